/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's end of a TCE window: lists of ranges become calls. */
#include "virtq/iommu/tce_backend.h"

#include <string.h>

#include "../space/lock.h"
#include "../space/region.h"
#include "tce_backend_private.h"
#include "tce_private.h"

/* Pages that lie one behind the other on the bus, and their entries, until a call is made of them.
 */
struct run {
    uint64_t first; /* The first page's bus address. */
    uint64_t entry; /* Its entry: a run of one page needs no list. */
    uint64_t *list; /* All entries, once there are two; NULL: no list page is taken. */
    unsigned count; /* How many there are. */
    unsigned most;  /* How many a call can have. */
    unsigned page;  /* Which list page it is. */
    uint64_t put;   /* Pages that calls were made for, those of a failed one included. */
};

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

static bool has(const struct virtq_tce_backend *backend, uint32_t what)
{
    return (__atomic_load_n(&backend->calls, __ATOMIC_RELAXED) & what) != 0;
}

/* It said H_FUNCTION: it is not asked again. */
static void lacks(struct virtq_tce_backend *backend, uint32_t what)
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
        /* Acquire: pairs with give_list(), so that its call is done with the page. */
        if (__atomic_compare_exchange_n(&backend->lists_taken, &taken,
                                        taken | (unused & (0 - unused)), false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
            for (unused &= 0 - unused; unused >> page != 1; page++) {
            }
            return page;
        }
    }
}

static void give_list(struct virtq_tce_backend *backend, struct run *run)
{
    if (run->list != NULL) {
        (void)__atomic_and_fetch(&backend->lists_taken, ~((uint64_t)1 << run->page),
                                 __ATOMIC_RELEASE);
        run->list = NULL;
    }
}

/* Makes a call of the run so far, and empties it. */
static int64_t flush_run(struct virtq_tce_backend *backend, struct run *run)
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

static int64_t add_page(struct virtq_tce_backend *backend, struct run *run, uint64_t ioba,
                        uint64_t entry)
{
    if (run->count != 0 && (run->count == run->most ||
                            run->first + ((uint64_t)run->count << backend->window.shift) != ioba)) {
        int64_t status = flush_run(backend, run);

        if (status != VIRTQ_TCE_SUCCESS) {
            return status;
        }
    }
    if (run->count == 0) {
        run->first = ioba;
        run->entry = entry;
    } else {
        if (run->list == NULL) {
            run->page = take_list(backend);
            run->list =
                (uint64_t *)(void *)(backend->lists + (size_t)run->page * VIRTQ_TCE_LIST_SIZE);
        }
        if (run->count == 1) {
            run->list[0] = virtq_priv_tce_order(run->entry);
        }
        run->list[run->count] = virtq_priv_tce_order(entry);
    }
    run->count++;
    return VIRTQ_TCE_SUCCESS;
}

/* All pages of a range. A range may lie over several regions of memory, a page may not. */
static int add_range(struct virtq_tce_backend *backend, const struct virtq_region *range,
                     struct run *run)
{
    uint64_t mask = virtq_priv_tce_mask(&backend->window);
    uint64_t left = (range->last - range->first) >> backend->window.shift;
    const unsigned char *base = range->base;
    uint64_t ioba = range->first;

    for (;;) {
        uint64_t span;
        uint64_t real;
        int64_t status;

        if (!virtq_priv_tce_real(backend, base, &real, &span) || span < mask) {
            return VIRTQ_EFAULT;
        }
        do {
            status = add_page(backend, run, ioba, real | range->permissions);
            if (status != VIRTQ_TCE_SUCCESS) {
                return virtq_tce_error(status);
            }
            if (left-- == 0) {
                return 0;
            }
            ioba += mask + 1;
            real += mask + 1;
            base += mask + 1;
            span -= mask + 1;
        } while (span != UINT64_MAX && span >= mask);
    }
}

/* Grants nothing in `count` pages any more. */
static int clear_pages(struct virtq_tce_backend *backend, uint64_t ioba, uint64_t count)
{
    int error = 0;

    while (count != 0) {
        uint64_t some = count < VIRTQ_TCE_LIST_MAX ? count : VIRTQ_TCE_LIST_MAX;
        int64_t status = VIRTQ_TCE_FUNCTION;

        if (some > 1 && has(backend, VIRTQ_TCE_HAS_STUFF)) {
            status = call(backend, VIRTQ_TCE_STUFF, ioba, 0, some);
            count_call(backend, &backend->usage.stuffs, status);
            if (status == VIRTQ_TCE_FUNCTION) {
                lacks(backend, VIRTQ_TCE_HAS_STUFF);
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

/* The first `pages` pages of a list. Ranges that continue each other, up or down, are one run:
 * addresses that were taken one after the other come back in either order. */
static int clear_ranges(struct virtq_tce_backend *backend, const struct virtq_region *ranges,
                        unsigned count, uint64_t pages)
{
    const uint32_t shift = backend->window.shift;
    uint64_t first = 0;
    uint64_t run = 0;
    int result;
    int error = 0;
    unsigned i;

    for (i = 0; i < count && pages != 0; i++) {
        uint64_t some = ((ranges[i].last - ranges[i].first) >> shift) + 1;

        some = some < pages ? some : pages;
        pages -= some;
        if (run != 0 && ranges[i].first == first + (run << shift)) {
            run += some;
        } else if (run != 0 && ranges[i].first + (some << shift) == first) {
            first = ranges[i].first;
            run += some;
        } else {
            result = clear_pages(backend, first, run);
            error = error == 0 ? result : error;
            first = ranges[i].first;
            run = some;
        }
    }
    result = clear_pages(backend, first, run);
    return error == 0 ? result : error;
}

static bool range_legal(const struct virtq_tce_backend *backend, const struct virtq_region *range)
{
    const struct virtq_tce_window *window = &backend->window;
    uint64_t mask = virtq_priv_tce_mask(window);

    return range->first <= range->last && range->first >= window->first &&
           range->last <= virtq_tce_window_last(window) && (range->first & mask) == 0 &&
           (range->last & mask) == mask;
}

/* Until the first failure; `run` says how far it came. */
static int put_ranges(struct virtq_tce_backend *backend, const struct virtq_region *ranges,
                      unsigned count, struct run *run)
{
    int error = 0;
    unsigned i;

    for (i = 0; i < count && error == 0; i++) {
        error = add_range(backend, &ranges[i], run);
    }
    if (error == 0) {
        error = virtq_tce_error(flush_run(backend, run));
    }
    give_list(backend, run);
    return error;
}

/* All or none. */
static int backend_map(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct virtq_tce_backend *backend = context;
    unsigned i;

    for (i = 0; i < count; i++) {
        if (!range_legal(backend, &ranges[i]) ||
            !virtq_priv_permissions_legal(ranges[i].permissions)) {
            return VIRTQ_EINVAL;
        }
    }
    for (;;) {
        bool lists = has(backend, VIRTQ_TCE_HAS_PUT_INDIRECT);
        struct run run = {0, 0, NULL, 0, lists ? VIRTQ_TCE_LIST_MAX : 1, 0, 0};
        int error = put_ranges(backend, ranges, count, &run);

        if (error == 0) {
            return 0;
        }
        if (run.put != 0 && clear_ranges(backend, ranges, count, run.put) != 0) {
            (void)__atomic_add_fetch(&backend->usage.lost, 1u, __ATOMIC_RELAXED);
        }
        if (error != VIRTQ_ENOTSUP || !lists) {
            return error;
        }
        lacks(backend, VIRTQ_TCE_HAS_PUT_INDIRECT);
    }
}

static int backend_unmap(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct virtq_tce_backend *backend = context;
    unsigned i;

    for (i = 0; i < count; i++) {
        if (!range_legal(backend, &ranges[i])) {
            return VIRTQ_EINVAL;
        }
    }
    return clear_ranges(backend, ranges, count, UINT64_MAX);
}

/* A call that has returned has withdrawn what it replaced: there is nothing left to wait for. */
static int backend_flush(void *context, const struct virtq_region *ranges, unsigned count)
{
    (void)context;
    (void)ranges;
    (void)count;
    return 0;
}

static bool memory_legal(const struct virtq_tce_backend_config *config)
{
    uint64_t mask = virtq_priv_tce_mask(&config->window);
    unsigned i;

    if (config->memory == NULL || config->memory_count == 0) {
        return false;
    }
    for (i = 0; i < config->memory_count; i++) {
        const struct virtq_region *region = &config->memory[i];

        if (region->first > region->last ||
            !virtq_priv_memory_legal(region->base, region->last - region->first) ||
            ((region->first ^ (uintptr_t)region->base) & mask) != 0) {
            return false;
        }
    }
    return true;
}

/* Where the hypervisor finds the list pages. */
static bool lists_legal(struct virtq_tce_backend *backend)
{
    uint64_t size = (uint64_t)backend->list_count * VIRTQ_TCE_LIST_SIZE;
    uint64_t span;

    return backend->list_count == 0 ||
           (backend->list_count <= VIRTQ_TCE_LISTS_MAX && backend->lists != NULL &&
            virtq_priv_tce_real(backend, backend->lists, &backend->lists_real, &span) &&
            size - 1 <= span && (backend->lists_real & (VIRTQ_TCE_LIST_SIZE - 1)) == 0 &&
            ((uintptr_t)backend->lists & 7) == 0);
}

int virtq_tce_backend_init(struct virtq_tce_backend *backend,
                           const struct virtq_tce_backend_config *config)
{
    struct virtq_tce_backend made;

    if (config->struct_size < sizeof(*config) || config->call == NULL ||
        virtq_tce_window_check(&config->window) != 0 || !memory_legal(config)) {
        return VIRTQ_EINVAL;
    }
    memset(&made, 0, sizeof(made));
    made.backend = (struct virtq_iommu_backend){sizeof(made.backend), backend, backend_map,
                                                backend_unmap, backend_flush};
    made.window = config->window;
    made.call = config->call;
    made.context = config->context;
    made.memory = config->memory;
    made.memory_count = config->memory_count;
    made.lists = config->lists;
    made.list_count = config->list_count;
    made.calls = config->calls;
    if (made.list_count == 0) {
        made.calls &= ~(uint32_t)VIRTQ_TCE_HAS_PUT_INDIRECT;
    }
    if (!lists_legal(&made)) {
        return VIRTQ_EINVAL;
    }
    *backend = made;
    return 0;
}

int virtq_tce_read_entry(const struct virtq_tce_backend *backend, virtq_addr_t addr,
                         uint64_t *entry)
{
    const struct virtq_tce_window *window = &backend->window;
    const uint64_t arguments[4] = {window->liobn, addr & ~virtq_priv_tce_mask(window), 0, 0};
    uint64_t result = 0;
    int error;

    if (addr < window->first || addr > virtq_tce_window_last(window)) {
        return VIRTQ_EFAULT;
    }
    error = virtq_tce_error(backend->call(backend->context, VIRTQ_TCE_GET, arguments, &result));
    if (error == 0) {
        *entry = result;
    }
    return error;
}

void virtq_tce_read_usage(const struct virtq_tce_backend *backend, struct virtq_tce_usage *usage)
{
    usage->puts = __atomic_load_n(&backend->usage.puts, __ATOMIC_RELAXED);
    usage->puts_indirect = __atomic_load_n(&backend->usage.puts_indirect, __ATOMIC_RELAXED);
    usage->stuffs = __atomic_load_n(&backend->usage.stuffs, __ATOMIC_RELAXED);
    usage->failures = __atomic_load_n(&backend->usage.failures, __ATOMIC_RELAXED);
    usage->lost = __atomic_load_n(&backend->usage.lost, __ATOMIC_RELAXED);
}
