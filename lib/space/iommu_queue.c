/* SPDX-License-Identifier: BSD-3-Clause */
/* An iommu space of one queue: how it is made and undone. */
#include "iommu_queue.h"

#include <string.h>

#include "region.h"

size_t virtq_iommu_queue_private_size(uint32_t policy, unsigned entries)
{
    if (policy <= (uint32_t)VIRTQ_IOMMU_LAZY) {
        return entries * (sizeof(struct virtq_region) + sizeof(struct virtq_iommu_pending));
    }
    if (policy == (uint32_t)VIRTQ_IOMMU_PERSISTENT) {
        return entries * sizeof(struct virtq_iommu_shared);
    }
    return 0;
}

static int check_identity(const struct virtq_window *window)
{
    return window->first <= window->last && virtq_priv_permissions_legal(window->permissions) &&
                   virtq_priv_memory_legal(window->base, window->last - window->first)
               ? 0
               : VIRTQ_EINVAL;
}

static int check_backend(const struct virtq_iommu_queue_config *config)
{
    const struct virtq_iommu_backend *backend = config->backend;
    uint64_t granule;

    if (config->depot == NULL || backend == NULL || backend->size < sizeof(*backend) ||
        backend->map == NULL || backend->unmap == NULL || backend->flush == NULL) {
        return VIRTQ_EINVAL;
    }
    /* Pages smaller than what addresses are made of would be of no use, larger ones of all. */
    granule = config->depot->iova->granule;
    return config->page_sizes != 0 && (config->page_sizes & granule) == 0 ? VIRTQ_EINVAL : 0;
}

/* Strict needs no tables, but can use them. */
static unsigned entries_of(const struct virtq_iommu_queue_config *config)
{
    return config->policy == (uint32_t)VIRTQ_IOMMU_STRICT && config->memory == NULL
               ? 0
               : config->entries;
}

static int check_config(const struct virtq_iommu_queue_config *config)
{
    size_t needed;

    if (config->struct_size < sizeof(*config) || config->policy > (uint32_t)VIRTQ_IOMMU_IDENTITY) {
        return VIRTQ_EINVAL;
    }
    if (config->policy == (uint32_t)VIRTQ_IOMMU_IDENTITY) {
        return check_identity(&config->identity);
    }
    if (check_backend(config) != 0) {
        return VIRTQ_EINVAL;
    }
    needed = virtq_iommu_queue_private_size(config->policy, entries_of(config));
    if (config->policy != (uint32_t)VIRTQ_IOMMU_STRICT && (needed == 0 || config->memory == NULL)) {
        return VIRTQ_EINVAL;
    }
    if (needed != 0 && ((uintptr_t)config->memory & 7) != 0) {
        return VIRTQ_EINVAL;
    }
    return config->memory_size < needed ? VIRTQ_ENOMEM : 0;
}

static void init_space(struct virtq_space *space, const struct virtq_iommu_queue_config *config)
{
    space->driver_kind = VIRTQ_SPACE_CALLED;
    space->device_kind = VIRTQ_SPACE_CALLED;
    switch (config->policy) {
    case VIRTQ_IOMMU_IDENTITY:
        /* An address is computed and checked against the range, without a call. */
        space->ops = &virtq_priv_iommu_identity_ops;
        space->driver_kind = VIRTQ_SPACE_BAR;
        space->linear = config->identity;
        break;
    case VIRTQ_IOMMU_PERSISTENT:
        space->ops = &virtq_priv_iommu_persistent_ops;
        break;
    default:
        space->ops = config->policy == (uint32_t)VIRTQ_IOMMU_STRICT && entries_of(config) != 0
                         ? &virtq_priv_iommu_mapped_batch_ops
                         : &virtq_priv_iommu_mapped_ops;
        space->record_fixed = sizeof(struct virtq_priv_iommu_record);
        space->record_per_segment = sizeof(struct virtq_region);
        break;
    }
}

int virtq_iommu_queue_init(struct virtq_iommu_queue *queue,
                           const struct virtq_iommu_queue_config *config)
{
    int error = check_config(config);

    if (error != 0) {
        return error;
    }
    memset(queue, 0, sizeof(*queue));
    init_space(&queue->space, config);
    queue->policy = config->policy;
    if (config->policy == (uint32_t)VIRTQ_IOMMU_IDENTITY) {
        return 0;
    }
    queue->depot = config->depot;
    queue->backend = config->backend;
    queue->mask = config->depot->iova->granule - 1;
    queue->page_sizes = config->page_sizes & ~((queue->mask << 1) | 1);
    queue->entries = entries_of(config);
    queue->age_limit = config->age_limit;
    if (config->policy == (uint32_t)VIRTQ_IOMMU_PERSISTENT) {
        queue->shared = config->memory;
    } else if (queue->entries != 0) {
        queue->ranges = config->memory;
        queue->pending = (struct virtq_iommu_pending *)(void *)(queue->ranges + queue->entries);
    }
    return virtq_iova_cache_init(&queue->cache, queue->depot);
}

void virtq_iommu_queue_destroy(struct virtq_iommu_queue *queue)
{
    if (queue->policy == (uint32_t)VIRTQ_IOMMU_IDENTITY) {
        return;
    }
    virtq_iommu_queue_flush(queue);
    virtq_iova_cache_destroy(&queue->cache);
}

void virtq_iommu_queue_read_usage(const struct virtq_iommu_queue *queue,
                                  struct virtq_iommu_queue_usage *usage)
{
    *usage = queue->usage;
    usage->pending = queue->pending_count;
}

/* Identity: what the driver end computes by itself, for those who ask. */

static int linear_at(const struct virtq_window *linear, const void *base, uint64_t len,
                     uint32_t permissions, virtq_addr_t *addr)
{
    uint64_t offset = (uint64_t)(uintptr_t)base - (uintptr_t)linear->base;
    uint64_t span = linear->last - linear->first;

    if (len == 0 || !virtq_priv_permissions_legal(permissions)) {
        return VIRTQ_EINVAL;
    }
    if ((uintptr_t)base < (uintptr_t)linear->base || offset > span || len - 1 > span - offset ||
        (linear->permissions & permissions) != permissions) {
        return VIRTQ_EFAULT;
    }
    *addr = linear->first + offset;
    return 0;
}

static int identity_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
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
        uint32_t permission =
            i < mapping->segments_readable ? VIRTQ_PERMISSION_READ : VIRTQ_PERMISSION_WRITE;
        int error = linear_at(&space->linear, segment->base, segment->len, permission,
                              &mapping->runs[i].addr);

        if (error != 0) {
            return error;
        }
        mapping->runs[i].len = segment->len;
    }
    mapping->runs_readable = mapping->segments_readable;
    mapping->runs_writable = mapping->segments_writable;
    return 0;
}

static void identity_unmap(struct virtq_space *space, struct virtq_mapping *mapping,
                           uint64_t written)
{
    (void)space;
    (void)mapping;
    (void)written;
}

static int identity_share(struct virtq_space *space, void *base, uint64_t len, uint32_t permissions,
                          virtq_addr_t *addr)
{
    return linear_at(&space->linear, base, len, permissions, addr);
}

static void identity_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    (void)space;
    (void)addr;
    (void)len;
}

const struct virtq_space_ops virtq_priv_iommu_identity_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "iommu",
    .map = identity_map,
    .unmap = identity_unmap,
    .share = identity_share,
    .unshare = identity_unshare,
};
