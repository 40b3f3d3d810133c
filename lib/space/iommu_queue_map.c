/* SPDX-License-Identifier: BSD-3-Clause */
/* The strict and the lazy policy. */
#include <string.h>

#include "../iommu/iova_depot.h"
#include "iommu_queue.h"
#include "region.h"

/* The list of all that waits: unmapped, flushed, and only then free (L4, M6). What the backend
 * could not do is never used again, for a mapping may linger at any of these addresses. */
void virtq_iommu_queue_flush(struct virtq_iommu_queue *queue)
{
    const struct virtq_iommu_backend *backend = queue->backend;
    unsigned count = queue->range_count;
    unsigned i;

    if (count == 0) {
        return;
    }
    queue->usage.flushes++;
    if (backend->unmap(backend->context, queue->ranges, count) == 0 &&
        backend->flush(backend->context, queue->ranges, count) == 0) {
        for (i = 0; i < queue->pending_count; i++) {
            (void)virtq_iova_cache_free(&queue->cache, queue->pending[i].addr,
                                        queue->pending[i].len);
        }
    } else {
        queue->usage.leaked += queue->pending_count;
    }
    queue->range_count = 0;
    queue->pending_count = 0;
}

/* Addresses that wait for a flush are a reserve: before there is a shortage they are freed. */
static int take(struct virtq_iommu_queue *queue, const struct virtq_priv_layout *layout,
                virtq_addr_t *addr)
{
    const uint64_t longest = (queue->mask + 1) << (VIRTQ_IOVA_ORDERS - 1);
    int tries;
    int error = 0;

    for (tries = 0; tries < 2; tries++) {
        /* A common size is aligned to itself, and so to every page that fits in it. */
        error = layout->align != 0 && layout->len > longest
                    ? virtq_priv_iova_depot_take(&queue->cache, layout->len, layout->align, addr)
                    : virtq_iova_cache_alloc(&queue->cache, layout->len, addr);
        if (error != VIRTQ_ENOMEM || queue->pending_count == 0) {
            break;
        }
        virtq_iommu_queue_flush(queue);
    }
    return error;
}

static int measure(const struct virtq_iommu_queue *queue, const struct virtq_mapping *mapping,
                   uint64_t page_sizes, struct virtq_priv_layout *layout, uint64_t *mapped)
{
    unsigned count = (unsigned)mapping->segments_readable + mapping->segments_writable;
    unsigned i;

    *layout = (struct virtq_priv_layout){queue->mask, page_sizes, 0, 0, 0};
    *mapped = 0;
    for (i = 0; i < count; i++) {
        const struct virtq_segment *segment = &mapping->segments[i];
        struct virtq_region range;
        int error;

        if (virtq_priv_iommu_bounces(queue, segment)) {
            continue;
        }
        error = virtq_priv_layout_add(layout, segment->base, segment->len, &range);
        if (error != 0) {
            return error;
        }
        ++*mapped;
    }
    return count == 0 ? VIRTQ_EINVAL : 0;
}

int virtq_priv_iommu_reserve(struct virtq_iommu_queue *queue, const struct virtq_mapping *mapping,
                             struct virtq_priv_layout *layout,
                             struct virtq_priv_iommu_record *record)
{
    int error = measure(queue, mapping, queue->page_sizes, layout, &record->count);

    if (error == 0 && record->count != 0) {
        error = take(queue, layout, &layout->base);
    }
    if ((error == VIRTQ_ENOMEM || error == VIRTQ_ETOOBIG) && layout->align != 0) {
        /* Large pages need room to be aligned in; small ones are better than none. */
        error = measure(queue, mapping, 0, layout, &record->count);
        if (error == 0) {
            error = take(queue, layout, &layout->base);
        }
    }
    queue->usage.shortages += error == VIRTQ_ENOMEM;
    if (error != 0) {
        return error;
    }
    record->addr = layout->base;
    record->len = layout->len;
    record->groups = 0;
    layout->len = 0;
    return 0;
}

int virtq_priv_iommu_install(struct virtq_iommu_queue *queue, virtq_addr_t addr, uint64_t len,
                             const struct virtq_region *ranges, unsigned count)
{
    const struct virtq_iommu_backend *backend = queue->backend;
    int error = backend->map(backend->context, ranges, count);

    if (error == VIRTQ_ENOMEM && queue->pending_count != 0) {
        /* What waits holds the backend's room too. */
        virtq_iommu_queue_flush(queue);
        error = backend->map(backend->context, ranges, count);
    }
    if (error != 0) {
        (void)virtq_iova_cache_free(&queue->cache, addr, len);
        queue->usage.shortages += error == VIRTQ_ENOMEM;
        return error;
    }
    queue->usage.mapped++;
    return 0;
}

void virtq_priv_iommu_withdraw(struct virtq_iommu_queue *queue, virtq_addr_t addr, uint64_t len,
                               const struct virtq_region *ranges, unsigned count)
{
    const struct virtq_iommu_backend *backend = queue->backend;

    queue->usage.mapped--;
    queue->usage.flushes++;
    if (backend->unmap(backend->context, ranges, count) == 0 &&
        backend->flush(backend->context, ranges, count) == 0) {
        (void)virtq_iova_cache_free(&queue->cache, addr, len);
    } else {
        queue->usage.leaked++;
    }
}

void virtq_priv_iommu_retire(struct virtq_iommu_queue *queue,
                             struct virtq_priv_iommu_record *record)
{
    struct virtq_region *ranges = virtq_priv_iommu_ranges(record);
    unsigned count = (unsigned)record->count;

    if (count > queue->entries ||
        (queue->policy != (uint32_t)VIRTQ_IOMMU_LAZY && queue->batching == 0)) {
        virtq_priv_iommu_withdraw(queue, record->addr, record->len, ranges, count);
        return;
    }
    if (count > queue->entries - queue->range_count) {
        virtq_iommu_queue_flush(queue);
    }
    if (queue->pending_count == 0) {
        queue->since = queue->now;
    }
    memcpy(&queue->ranges[queue->range_count], ranges, count * sizeof(*ranges));
    queue->range_count += count;
    queue->pending[queue->pending_count++] =
        (struct virtq_iommu_pending){record->addr, record->len};
    queue->usage.mapped--;
    if (queue->range_count == queue->entries) {
        virtq_iommu_queue_flush(queue);
    }
}

void virtq_priv_iommu_batch(struct virtq_space *space, int more)
{
    struct virtq_iommu_queue *queue = virtq_priv_iommu_queue_of(space);

    queue->batching = more != 0;
    if (more == 0) {
        virtq_iommu_queue_flush(queue);
    }
}

uint64_t virtq_iommu_queue_tick(struct virtq_iommu_queue *queue, uint64_t now)
{
    queue->now = now;
    if (queue->pending_count != 0 && now - queue->since >= queue->age_limit) {
        virtq_iommu_queue_flush(queue);
    }
    return queue->pending_count;
}

/* One segment after the other, each on pages of its own, with its low bits and its own permission.
 * measure() has seen them, so none can fail. */
static void place(struct virtq_priv_layout *layout, struct virtq_mapping *mapping,
                  struct virtq_priv_iommu_record *record)
{
    struct virtq_region *ranges = virtq_priv_iommu_ranges(record);
    unsigned i;

    for (i = 0; i < record->count; i++) {
        const struct virtq_segment *segment = &mapping->segments[i];
        uint64_t lead = (uintptr_t)segment->base & layout->mask;

        (void)virtq_priv_layout_add(layout, segment->base, segment->len, &ranges[i]);
        ranges[i].permissions =
            i < mapping->segments_readable ? VIRTQ_PERMISSION_READ : VIRTQ_PERMISSION_WRITE;
        mapping->runs[i] = (struct virtq_run){.addr = ranges[i].first + lead, .len = segment->len};
    }
}

static int mapped_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    struct virtq_iommu_queue *queue = virtq_priv_iommu_queue_of(space);
    struct virtq_priv_iommu_record *record = mapping->record;
    struct virtq_priv_layout layout;
    int error;

    if ((unsigned)mapping->segments_readable + mapping->segments_writable > mapping->capacity) {
        return VIRTQ_EFULL;
    }
    error = virtq_priv_iommu_reserve(queue, mapping, &layout, record);
    if (error != 0) {
        return error;
    }
    place(&layout, mapping, record);
    error = virtq_priv_iommu_install(queue, record->addr, record->len,
                                     virtq_priv_iommu_ranges(record), (unsigned)record->count);
    if (error != 0) {
        return error;
    }
    mapping->runs_readable = mapping->segments_readable;
    mapping->runs_writable = mapping->segments_writable;
    return 0;
}

static void mapped_unmap(struct virtq_space *space, struct virtq_mapping *mapping, uint64_t written)
{
    (void)written;
    virtq_priv_iommu_retire(virtq_priv_iommu_queue_of(space), mapping->record);
}

int virtq_priv_iommu_share(struct virtq_space *space, void *base, uint64_t len,
                           uint32_t permissions, virtq_addr_t *addr)
{
    struct virtq_iommu_queue *queue = virtq_priv_iommu_queue_of(space);
    struct virtq_priv_layout layout = {queue->mask, queue->page_sizes, 0, 0, 0};
    struct virtq_region range;
    int error = virtq_priv_layout_add(&layout, base, len, &range);
    virtq_addr_t first;

    if (error != 0 || !virtq_priv_permissions_legal(permissions)) {
        return error == VIRTQ_EFAULT ? VIRTQ_EFAULT : VIRTQ_EINVAL;
    }
    error = take(queue, &layout, &first);
    if (error != 0 && layout.align != 0) {
        layout = (struct virtq_priv_layout){queue->mask, 0, 0, 0, 0};
        (void)virtq_priv_layout_add(&layout, base, len, &range);
        error = take(queue, &layout, &first);
    }
    if (error != 0) {
        /* virtq_space_share() has one word for all that does not fit. */
        queue->usage.shortages++;
        return VIRTQ_ENOMEM;
    }
    range.first += first;
    range.last += first;
    range.permissions = permissions;
    error = virtq_priv_iommu_install(queue, first, layout.len, &range, 1);
    if (error == 0) {
        *addr = range.first + ((uintptr_t)base & queue->mask);
    }
    return error;
}

/* The allocator knows where the address's range begins: a large page may lie behind padding. */
void virtq_priv_iommu_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    struct virtq_iommu_queue *queue = virtq_priv_iommu_queue_of(space);
    struct virtq_region range = {addr & ~queue->mask, (addr + (len - 1)) | queue->mask, NULL, 0};
    virtq_addr_t first;
    uint64_t taken;

    if (virtq_priv_iova_depot_find(queue->depot, range.first, &first, &taken) == 0) {
        virtq_priv_iommu_withdraw(queue, first, taken, &range, 1);
    }
}

const struct virtq_space_ops virtq_priv_iommu_mapped_batch_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "iommu",
    .map = mapped_map,
    .unmap = mapped_unmap,
    .share = virtq_priv_iommu_share,
    .unshare = virtq_priv_iommu_unshare,
    .batch = virtq_priv_iommu_batch,
};

const struct virtq_space_ops virtq_priv_iommu_mapped_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "iommu",
    .map = mapped_map,
    .unmap = mapped_unmap,
    .share = virtq_priv_iommu_share,
    .unshare = virtq_priv_iommu_unshare,
};
