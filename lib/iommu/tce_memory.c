/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's end: all of memory at once, and where memory lies. */
#include "../space/region.h"
#include "tce_backend_private.h"
#include "tce_private.h"

bool virtq_priv_tce_real(const struct virtq_tce_backend *backend, const void *pointer,
                         uint64_t *real, uint64_t *span)
{
    unsigned i;

    for (i = 0; i < backend->memory_count; i++) {
        const struct virtq_region *region = &backend->memory[i];
        uint64_t size = region->last - region->first;
        uint64_t offset = (uint64_t)(uintptr_t)pointer - (uintptr_t)region->base;

        if ((uintptr_t)pointer >= (uintptr_t)region->base && offset <= size) {
            *real = region->first + offset;
            *span = size - offset;
            return true;
        }
    }
    return false;
}

/* Where a region of memory lies on the bus, when all of memory does. */
static bool range_of(const struct virtq_tce_backend *backend, const struct virtq_region *region,
                     struct virtq_region *range)
{
    const struct virtq_tce_window *window = &backend->window;

    if (region->last > virtq_tce_window_last(window) - window->first) {
        return false;
    }
    range->first = window->first + region->first;
    range->last = window->first + region->last;
    range->base = region->base;
    return true;
}

static int unmap_first(struct virtq_tce_backend *backend, unsigned count)
{
    const struct virtq_iommu_backend *ops = &backend->backend;
    int error = 0;
    unsigned i;

    for (i = 0; i < count; i++) {
        struct virtq_region range = {0, 0, NULL, 0};
        int result = range_of(backend, &backend->memory[i], &range)
                         ? ops->unmap(ops->context, &range, 1)
                         : VIRTQ_EINVAL;

        error = error == 0 ? result : error;
    }
    return error;
}

int virtq_tce_map_all(struct virtq_tce_backend *backend, uint32_t permissions)
{
    const struct virtq_iommu_backend *ops = &backend->backend;
    uint64_t mask = virtq_priv_tce_mask(&backend->window);
    struct virtq_region range = {0, 0, NULL, permissions};
    int error = virtq_priv_permissions_legal(permissions) ? 0 : VIRTQ_EINVAL;
    unsigned i;

    for (i = 0; i < backend->memory_count && error == 0; i++) {
        const struct virtq_region *region = &backend->memory[i];

        if (!range_of(backend, region, &range) || (region->first & mask) != 0 ||
            (region->last & mask) != mask) {
            error = VIRTQ_EINVAL;
        }
    }
    if (error != 0) {
        return error;
    }
    for (i = 0; i < backend->memory_count; i++) {
        (void)range_of(backend, &backend->memory[i], &range);
        error = ops->map(ops->context, &range, 1);
        if (error != 0) {
            if (unmap_first(backend, i) != 0) {
                (void)__atomic_add_fetch(&backend->usage.lost, 1u, __ATOMIC_RELAXED);
            }
            return error;
        }
    }
    return 0;
}

int virtq_tce_unmap_all(struct virtq_tce_backend *backend)
{
    return unmap_first(backend, backend->memory_count);
}

int virtq_tce_linear(const struct virtq_tce_backend *backend, uint32_t permissions,
                     struct virtq_window *linear)
{
    const struct virtq_region *lowest = &backend->memory[0];
    struct virtq_region range = {0, 0, NULL, 0};
    virtq_addr_t last = 0;
    unsigned i;

    if (!virtq_priv_permissions_legal(permissions)) {
        return VIRTQ_EINVAL;
    }
    for (i = 0; i < backend->memory_count; i++) {
        const struct virtq_region *region = &backend->memory[i];

        if (!range_of(backend, region, &range)) {
            return VIRTQ_EINVAL;
        }
        /* Modulo 2^64: pointers may lie below real addresses as well as above. */
        if ((uintptr_t)region->base - region->first !=
            (uintptr_t)backend->memory[0].base - backend->memory[0].first) {
            return VIRTQ_ENOTSUP;
        }
        lowest = region->first < lowest->first ? region : lowest;
        last = range.last > last ? range.last : last;
    }
    linear->first = backend->window.first + lowest->first;
    linear->last = last;
    linear->base = lowest->base;
    linear->permissions = permissions;
    linear->reserved_ = 0;
    return 0;
}
