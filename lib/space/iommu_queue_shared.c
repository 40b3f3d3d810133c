/* SPDX-License-Identifier: BSD-3-Clause */
/* The persistent policy: buffers lie in what is shared already. */
#include <string.h>

#include "iommu_queue.h"
#include "region.h"

/* The first region that does not end below `at`. */
static unsigned from(const struct virtq_iommu_queue *queue, uint64_t at)
{
    unsigned low = 0;
    unsigned high = queue->shared_count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (queue->shared[middle].last < at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Whether a region holds the bytes, and grants the access. */
static int holds(const struct virtq_iommu_shared *region, uint64_t first, uint64_t last,
                 uint32_t permissions)
{
    return region->base <= first && last <= region->last &&
           (region->permissions & permissions) == permissions;
}

/* A buffer is most likely where the one before it was. */
static const struct virtq_iommu_shared *find(struct virtq_iommu_queue *queue, uint64_t first,
                                             uint64_t last, uint32_t permissions)
{
    unsigned at = queue->shared_hit;

    if (at < queue->shared_count && holds(&queue->shared[at], first, last, permissions)) {
        return &queue->shared[at];
    }
    at = from(queue, first);
    if (at == queue->shared_count || !holds(&queue->shared[at], first, last, permissions)) {
        return NULL;
    }
    queue->shared_hit = at;
    return &queue->shared[at];
}

static int persistent_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    struct virtq_iommu_queue *queue = virtq_priv_iommu_queue_of(space);
    unsigned count = (unsigned)mapping->segments_readable + mapping->segments_writable;
    unsigned i;

    if (count == 0) {
        return VIRTQ_EINVAL;
    }
    if (count > mapping->capacity) {
        return VIRTQ_EFULL;
    }
    for (i = 0; i < count; i++) {
        const struct virtq_segment *segment = &mapping->segments[i];
        uint64_t first = (uintptr_t)segment->base;
        const struct virtq_iommu_shared *region;

        if (segment->len == 0) {
            return VIRTQ_EINVAL;
        }
        if (!virtq_priv_memory_legal(segment->base, segment->len - 1)) {
            return VIRTQ_EFAULT;
        }
        region =
            find(queue, first, first + (segment->len - 1),
                 i < mapping->segments_readable ? VIRTQ_PERMISSION_READ : VIRTQ_PERMISSION_WRITE);
        if (region == NULL) {
            return VIRTQ_EFAULT;
        }
        mapping->runs[i] =
            (struct virtq_run){.addr = region->addr + (first - region->base), .len = segment->len};
    }
    mapping->runs_readable = mapping->segments_readable;
    mapping->runs_writable = mapping->segments_writable;
    return 0;
}

static void persistent_unmap(struct virtq_space *space, struct virtq_mapping *mapping,
                             uint64_t written)
{
    (void)space;
    (void)mapping;
    (void)written;
}

/* What lies in a shared region is a part of it, and keeps it: a ring in a shared arena has the
 * arena's mapping. Half in a region is an error, for one byte would have two addresses. */
static int persistent_share(struct virtq_space *space, void *base, uint64_t len,
                            uint32_t permissions, virtq_addr_t *addr)
{
    struct virtq_iommu_queue *queue = virtq_priv_iommu_queue_of(space);
    uint64_t first = (uintptr_t)base;
    struct virtq_iommu_shared *region;
    unsigned at;
    int error;

    if (len == 0) {
        return VIRTQ_EINVAL;
    }
    if (!virtq_priv_memory_legal(base, len - 1)) {
        return VIRTQ_EFAULT;
    }
    at = from(queue, first);
    region = &queue->shared[at];
    if (at < queue->shared_count && region->base <= first + (len - 1)) {
        if (!holds(region, first, first + (len - 1), permissions)) {
            return VIRTQ_EINVAL;
        }
        region->users++;
        *addr = region->addr + (first - region->base);
        return 0;
    }
    if (queue->shared_count == queue->entries) {
        return VIRTQ_ENOMEM;
    }
    error = virtq_priv_iommu_share(space, base, len, permissions, addr);
    if (error != 0) {
        return error;
    }
    memmove(region + 1, region, (queue->shared_count - at) * sizeof(*region));
    *region = (struct virtq_iommu_shared){first, first + (len - 1), *addr, permissions, 1};
    queue->shared_count++;
    return 0;
}

static void persistent_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    struct virtq_iommu_queue *queue = virtq_priv_iommu_queue_of(space);
    unsigned i;

    (void)len;
    for (i = 0; i < queue->shared_count; i++) {
        struct virtq_iommu_shared *region = &queue->shared[i];
        uint64_t span = region->last - region->base;

        if (addr < region->addr || addr - region->addr > span) {
            continue;
        }
        if (--region->users == 0) {
            virtq_priv_iommu_unshare(space, region->addr, span + 1);
            queue->shared_count--;
            memmove(region, region + 1, (queue->shared_count - i) * sizeof(*region));
        }
        return;
    }
}

const struct virtq_space_ops virtq_priv_iommu_persistent_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "iommu",
    .map = persistent_map,
    .unmap = persistent_unmap,
    .share = persistent_share,
    .unshare = persistent_unshare,
};
