/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's end of a TCE window: entries become calls. */
#include "../space/lock.h"
#include "tce_backend_private.h"
#include "tce_private.h"

static void count_call(struct virtq_tce_backend *backend, uint64_t *counter, int64_t status)
{
    (void)__atomic_add_fetch(counter, 1u, __ATOMIC_RELAXED);
    if (status != VIRTQ_TCE_SUCCESS) {
        (void)__atomic_add_fetch(&backend->usage.failures, 1u, __ATOMIC_RELAXED);
    }
}

/* One call; `a` to `c` are what follows the LIOBN. */
static int64_t call(struct virtq_tce_backend *backend, uint64_t number, uint64_t a, uint64_t b,
                    uint64_t c)
{
    const uint64_t arguments[4] = {backend->window.liobn, a, b, c};
    uint64_t ignored = 0;

    return backend->call(backend->context, number, arguments, &ignored);
}

static int64_t put(struct virtq_tce_backend *backend, uint64_t ioba, uint64_t entry)
{
    int64_t status = call(backend, VIRTQ_TCE_PUT, ioba, entry, 0);

    count_call(backend, &backend->usage.puts, status);
    return status;
}

bool virtq_priv_tce_has(const struct virtq_tce_backend *backend, uint32_t what)
{
    return (__atomic_load_n(&backend->calls, __ATOMIC_RELAXED) & what) != 0;
}

void virtq_priv_tce_lacks(struct virtq_tce_backend *backend, uint32_t what)
{
    (void)__atomic_and_fetch(&backend->calls, ~what, __ATOMIC_RELAXED);
}

/* A list page that no other thread fills. Its holder is about to make one call, so waiting for it
 * is cheaper than the puts that would make do without. */
static unsigned take_list(struct virtq_tce_backend *backend)
{
    uint64_t all = UINT64_MAX >> (VIRTQ_TCE_LISTS_MAX - backend->list_count);
    uint64_t taken = __atomic_load_n(&backend->lists_taken, __ATOMIC_RELAXED);
    unsigned page = 0;

    for (;;) {
        uint64_t unused = ~taken & all;

        if (unused == 0) {
            virtq_priv_relax();
            taken = __atomic_load_n(&backend->lists_taken, __ATOMIC_RELAXED);
            continue;
        }
        /* Acquire: pairs with virtq_priv_tce_run_end(), so that its call is done with the page. */
        if (__atomic_compare_exchange_n(&backend->lists_taken, &taken,
                                        taken | (unused & (0 - unused)), false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
            for (unused &= 0 - unused; unused >> page != 1; page++) {
            }
            return page;
        }
    }
}

void virtq_priv_tce_run_end(struct virtq_tce_backend *backend, struct virtq_priv_tce_run *run)
{
    if (run->list != NULL) {
        (void)__atomic_and_fetch(&backend->lists_taken, ~((uint64_t)1 << run->page),
                                 __ATOMIC_RELEASE);
        run->list = NULL;
    }
}

int64_t virtq_priv_tce_run_flush(struct virtq_tce_backend *backend, struct virtq_priv_tce_run *run)
{
    int64_t status = VIRTQ_TCE_SUCCESS;

    if (run->count == 1) {
        status = put(backend, run->first, run->entry);
    } else if (run->count != 0) {
        status = call(backend, VIRTQ_TCE_PUT_INDIRECT, run->first,
                      backend->lists_real + (uint64_t)run->page * VIRTQ_TCE_LIST_SIZE, run->count);
        count_call(backend, &backend->usage.puts_indirect, status);
    }
    /* A list may have been put half way, a single entry was not. */
    run->put += status == VIRTQ_TCE_SUCCESS || run->count > 1 ? run->count : 0;
    run->count = 0;
    return status;
}

/* Entries behind the first, into the list page: as many of `pages` as it has room for. */
static uint64_t fill_list(struct virtq_tce_backend *backend, struct virtq_priv_tce_run *run,
                          uint64_t entry, uint64_t pages)
{
    const uint64_t page = virtq_priv_tce_mask(&backend->window) + 1;
    const uint64_t room = run->most - run->count;
    const uint64_t some = pages < room ? pages : room;
    uint64_t i;

    if (run->list == NULL) {
        run->page = take_list(backend);
        run->list = (uint64_t *)(void *)(backend->lists + (size_t)run->page * VIRTQ_TCE_LIST_SIZE);
    }
    if (run->count == 1) {
        run->list[0] = virtq_priv_tce_order(run->entry);
    }
    for (i = 0; i < some; i++) {
        run->list[run->count + i] = virtq_priv_tce_order(entry + i * page);
    }
    run->count += (unsigned)some;
    return some;
}

int64_t virtq_priv_tce_run_add(struct virtq_tce_backend *backend, struct virtq_priv_tce_run *run,
                               uint64_t ioba, uint64_t entry, uint64_t pages)
{
    const uint32_t shift = backend->window.shift;

    while (pages != 0) {
        uint64_t some = 1;

        if (run->count != 0 &&
            (run->count == run->most || run->first + ((uint64_t)run->count << shift) != ioba)) {
            int64_t status = virtq_priv_tce_run_flush(backend, run);

            if (status != VIRTQ_TCE_SUCCESS) {
                return status;
            }
        }
        if (run->count == 0) {
            run->first = ioba;
            run->entry = entry;
            run->count = 1;
        } else {
            some = fill_list(backend, run, entry, pages);
        }
        ioba += some << shift;
        entry += some << shift;
        pages -= some;
    }
    return VIRTQ_TCE_SUCCESS;
}

int virtq_priv_tce_clear(struct virtq_tce_backend *backend, uint64_t ioba, uint64_t count)
{
    int error = 0;

    while (count != 0) {
        uint64_t some = count < VIRTQ_TCE_LIST_MAX ? count : VIRTQ_TCE_LIST_MAX;
        int64_t status = VIRTQ_TCE_FUNCTION;

        if (some > 1 && virtq_priv_tce_has(backend, VIRTQ_TCE_HAS_STUFF)) {
            status = call(backend, VIRTQ_TCE_STUFF, ioba, 0, some);
            count_call(backend, &backend->usage.stuffs, status);
            if (status == VIRTQ_TCE_FUNCTION) {
                virtq_priv_tce_lacks(backend, VIRTQ_TCE_HAS_STUFF);
            }
        }
        if (status == VIRTQ_TCE_FUNCTION) {
            some = 1;
            status = put(backend, ioba, 0);
        }
        /* All others are cleared nevertheless: the fewer are left, the better. */
        error = error == 0 ? virtq_tce_error(status) : error;
        ioba += some << backend->window.shift;
        count -= some;
    }
    return error;
}
