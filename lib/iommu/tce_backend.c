/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's end of a TCE window: lists of ranges become calls. */
#include "virtq/iommu/tce_backend.h"

#include <string.h>

#include "../space/region.h"
#include "tce_backend_private.h"
#include "tce_private.h"

/* All pages of a range. A range may lie over several regions of memory, a page may not. */
static int add_range(struct virtq_tce_backend *backend, const struct virtq_region *range,
                     struct virtq_priv_tce_run *run)
{
    const uint32_t shift = backend->window.shift;
    const uint64_t mask = virtq_priv_tce_mask(&backend->window);
    const unsigned char *base = range->base;
    uint64_t left = ((range->last - range->first) >> shift) + 1;
    uint64_t ioba = range->first;

    while (left != 0) {
        uint64_t span;
        uint64_t real;
        uint64_t some;
        int64_t status;

        if (!virtq_priv_tce_real(backend, base, &real, &span) || span < mask) {
            return VIRTQ_EFAULT;
        }
        /* Whole pages from there to the region's end. */
        some = ((span - mask) >> shift) + 1;
        some = some < left ? some : left;
        status = virtq_priv_tce_run_add(backend, run, ioba, real | range->permissions, some);
        if (status != VIRTQ_TCE_SUCCESS) {
            return virtq_tce_error(status);
        }
        ioba += some << shift;
        base += some << shift;
        left -= some;
    }
    return 0;
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
            result = virtq_priv_tce_clear(backend, first, run);
            error = error == 0 ? result : error;
            first = ranges[i].first;
            run = some;
        }
    }
    result = virtq_priv_tce_clear(backend, first, run);
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
                      unsigned count, struct virtq_priv_tce_run *run)
{
    int error = 0;
    unsigned i;

    for (i = 0; i < count && error == 0; i++) {
        error = add_range(backend, &ranges[i], run);
    }
    if (error == 0) {
        error = virtq_tce_error(virtq_priv_tce_run_flush(backend, run));
    }
    virtq_priv_tce_run_end(backend, run);
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
        bool lists = virtq_priv_tce_has(backend, VIRTQ_TCE_HAS_PUT_INDIRECT);
        struct virtq_priv_tce_run run = {0, 0, NULL, 0, lists ? VIRTQ_TCE_LIST_MAX : 1, 0, 0};
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
        virtq_priv_tce_lacks(backend, VIRTQ_TCE_HAS_PUT_INDIRECT);
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
