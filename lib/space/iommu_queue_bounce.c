/* SPDX-License-Identifier: BSD-3-Clause */
/* What is less than whole pages goes through a pool: a device that is not trusted never sees a
 * neighbour's bytes. */
#include <string.h>

#include "iommu_queue.h"

/* Neighbouring segments of one direction that are copied: one mapping of the pool's. The pool's own
 * record follows, then the next group. */
struct group {
    uint64_t size;     /* Bytes of this one with its record. */
    uint64_t writable; /* Writable bytes of the buffer before it ... */
    uint64_t len;      /* ... and how many of them are its own; 0: it is readable. */
    uint64_t reserved; /* Keeps the record as aligned as this. */
};

/* Where a walk along a buffer's segments is. */
struct walk {
    struct virtq_mapping *mapping;
    struct virtq_region *range; /* The next one. */
    struct group *group;        /* The next one. */
    uint64_t groups;            /* How many were begun. */
    uint64_t writable;          /* Writable bytes passed. */
    uint16_t runs;              /* Runs given so far. */
};

static struct group *first_group(struct virtq_priv_iommu_record *record)
{
    return (struct group *)(void *)(virtq_priv_iommu_ranges(record) + record->count);
}

static struct group *next_group(struct group *group)
{
    return (struct group *)(void *)((unsigned char *)group + group->size);
}

static void leave_pool(struct virtq_iommu_queue *queue, struct virtq_mapping *mapping,
                       struct group *group, uint64_t groups, uint64_t written)
{
    while (groups-- > 0) {
        struct virtq_mapping part = {.record = group + 1};
        uint64_t own = written > group->writable ? written - group->writable : 0;

        queue->bounce->ops->unmap(queue->bounce, &part, own < group->len ? own : group->len);
        mapping->copied += part.copied;
        group = next_group(group);
    }
}

/* Segments [at, end) are neighbours of one direction, and copied. */
static int enter_pool(struct virtq_iommu_queue *queue, struct walk *walk, unsigned at, unsigned end)
{
    struct virtq_mapping *mapping = walk->mapping;
    int readable = at < mapping->segments_readable;
    uint16_t count = (uint16_t)(end - at);
    struct virtq_mapping part = {.runs = mapping->runs + walk->runs,
                                 .segments = mapping->segments + at,
                                 .record = walk->group + 1,
                                 .segments_readable = readable ? count : 0,
                                 .segments_writable = readable ? 0 : count,
                                 .capacity = (uint16_t)(mapping->capacity - walk->runs)};
    int error = part.capacity == 0 ? VIRTQ_EFULL : queue->bounce->ops->map(queue->bounce, &part);

    if (error != 0) {
        return error;
    }
    walk->group->size = sizeof(*walk->group) + virtq_space_record_size(queue->bounce, count);
    walk->group->writable = walk->writable;
    walk->group->len = 0;
    for (; !readable && at < end; at++) {
        walk->group->len += mapping->segments[at].len;
    }
    walk->writable += walk->group->len;
    walk->group = next_group(walk->group);
    walk->groups++;
    walk->runs = (uint16_t)(walk->runs + part.runs_readable + part.runs_writable);
    mapping->copied += part.copied;
    return 0;
}

/* A segment of whole pages. */
static int enter_pages(struct virtq_priv_layout *layout, struct walk *walk, unsigned at)
{
    struct virtq_mapping *mapping = walk->mapping;
    const struct virtq_segment *segment = &mapping->segments[at];
    int readable = at < mapping->segments_readable;

    if (walk->runs == mapping->capacity) {
        return VIRTQ_EFULL;
    }
    (void)virtq_priv_layout_add(layout, segment->base, segment->len, walk->range);
    walk->range->permissions = readable ? VIRTQ_PERMISSION_READ : VIRTQ_PERMISSION_WRITE;
    mapping->runs[walk->runs++] =
        (struct virtq_run){.addr = walk->range->first, .len = segment->len};
    walk->range++;
    walk->writable += readable ? 0 : segment->len;
    return 0;
}

static int walk_segments(struct virtq_iommu_queue *queue, struct virtq_priv_layout *layout,
                         struct walk *walk)
{
    struct virtq_mapping *mapping = walk->mapping;
    unsigned readable = mapping->segments_readable;
    unsigned count = readable + mapping->segments_writable;
    unsigned at = 0;
    int error = 0;

    while (at < count && error == 0) {
        unsigned stop = at < readable ? readable : count;
        unsigned end = at;

        while (end < stop && virtq_priv_iommu_bounces(queue, &mapping->segments[end])) {
            end++;
        }
        error = end != at ? enter_pool(queue, walk, at, end) : enter_pages(layout, walk, end++);
        at = end;
        if (at >= readable && error == 0 && stop == readable) {
            mapping->runs_readable = walk->runs;
        }
    }
    return error;
}

static int bounced_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    struct virtq_iommu_queue *queue = virtq_priv_iommu_queue_of(space);
    struct virtq_priv_iommu_record *record = mapping->record;
    struct virtq_region *ranges = virtq_priv_iommu_ranges(record);
    struct virtq_priv_layout layout;
    struct walk walk = {mapping, ranges, NULL, 0, 0, 0};
    unsigned count;
    int error = virtq_priv_iommu_reserve(queue, mapping, &layout, record);

    if (error != 0) {
        return error;
    }
    count = (unsigned)record->count;
    walk.group = first_group(record);
    mapping->runs_readable = 0;
    error = walk_segments(queue, &layout, &walk);
    if (error == 0 && count != 0) {
        error = virtq_priv_iommu_install(queue, record->addr, record->len, ranges, count);
    } else if (count != 0) {
        (void)virtq_iova_cache_free(&queue->cache, record->addr, record->len);
    }
    if (error != 0) {
        leave_pool(queue, mapping, first_group(record), walk.groups, 0);
        return error;
    }
    queue->usage.mapped += count == 0;
    record->groups = walk.groups;
    mapping->runs_writable = (uint16_t)(walk.runs - mapping->runs_readable);
    return 0;
}

static void bounced_unmap(struct virtq_space *space, struct virtq_mapping *mapping,
                          uint64_t written)
{
    struct virtq_iommu_queue *queue = virtq_priv_iommu_queue_of(space);
    struct virtq_priv_iommu_record *record = mapping->record;

    leave_pool(queue, mapping, first_group(record), record->groups, written);
    if (record->count != 0) {
        virtq_priv_iommu_retire(queue, record);
    } else {
        queue->usage.mapped--;
    }
}

const struct virtq_space_ops virtq_priv_iommu_bounced_batch_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "iommu",
    .map = bounced_map,
    .unmap = bounced_unmap,
    .share = virtq_priv_iommu_share,
    .unshare = virtq_priv_iommu_unshare,
    .batch = virtq_priv_iommu_batch,
};

const struct virtq_space_ops virtq_priv_iommu_bounced_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "iommu",
    .map = bounced_map,
    .unmap = bounced_unmap,
    .share = virtq_priv_iommu_share,
    .unshare = virtq_priv_iommu_unshare,
};

int virtq_iommu_queue_distrust(struct virtq_iommu_queue *queue, struct virtq_space *bounce)
{
    size_t pooled;

    if (queue->policy > (uint32_t)VIRTQ_IOMMU_LAZY) {
        return VIRTQ_ENOTSUP;
    }
    if (bounce == NULL || bounce == &queue->space ||
        bounce->ops->size < offsetof(struct virtq_space_ops, share) || bounce->ops->map == NULL ||
        bounce->ops->unmap == NULL) {
        return VIRTQ_EINVAL;
    }
    /* Each segment is a range, or at worst a group of its own. */
    pooled = sizeof(struct group) + virtq_space_record_size(bounce, 1);
    queue->bounce = bounce;
    queue->space.ops = queue->space.ops->batch != NULL ? &virtq_priv_iommu_bounced_batch_ops
                                                       : &virtq_priv_iommu_bounced_ops;
    queue->space.record_per_segment =
        (uint32_t)(pooled > sizeof(struct virtq_region) ? pooled : sizeof(struct virtq_region));
    return 0;
}
