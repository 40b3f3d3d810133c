/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/space/swiotlb_queue.h"

#include <stddef.h>
#include <string.h>

#include "copy/copy.h"
#include "swiotlb_pool.h"
#include "swiotlb_queue.h"

/* To the pool, zeroed. */
static void give(struct virtq_slots *slots, uint64_t first, uint64_t number)
{
    const size_t at = offsetof(struct virtq_swiotlb_queue, slots);
    struct virtq_swiotlb_queue *queue =
        (struct virtq_swiotlb_queue *)(void *)((unsigned char *)slots - at);

    virtq_priv_swiotlb_release(queue->pool, first, number);
}

uint64_t virtq_swiotlb_queue_flush(struct virtq_swiotlb_queue *queue)
{
    return virtq_priv_slots_flush(&queue->slots);
}

static int queue_share(struct virtq_space *space, void *base, uint64_t len, uint32_t permissions,
                       virtq_addr_t *addr)
{
    struct virtq_swiotlb_queue *queue = (struct virtq_swiotlb_queue *)space;

    return virtq_priv_swiotlb_share(&queue->pool->space, base, len, permissions, addr);
}

/* The memory stays the caller's until virtq_swiotlb_free(). */
static void queue_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    (void)space;
    (void)addr;
    (void)len;
}

static int queue_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                        struct virtq_window *window)
{
    struct virtq_space *pool = &((struct virtq_swiotlb_queue *)space)->pool->space;

    return pool->ops->window(pool, addr, permission, window);
}

static const struct virtq_space_ops queue_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "swiotlb queue",
    .map = virtq_priv_swiotlb_queue_map,
    .unmap = virtq_priv_swiotlb_queue_unmap,
    .share = queue_share,
    .unshare = queue_unshare,
    .window = queue_window,
};

static const struct virtq_space_ops hooked_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "swiotlb queue",
    .map = virtq_priv_swiotlb_queue_map_hooked,
    .unmap = virtq_priv_swiotlb_queue_unmap_hooked,
    .share = queue_share,
    .unshare = queue_unshare,
    .window = queue_window,
};

size_t virtq_swiotlb_queue_private_size(const struct virtq_swiotlb_queue_config *config)
{
    return config->struct_size < sizeof(*config)
               ? 0
               : virtq_priv_slots_size(config->classes, config->depth);
}

void virtq_priv_swiotlb_queue_build(struct virtq_swiotlb_queue *queue, struct virtq_swiotlb *pool,
                                    const struct virtq_copy *copy, uint32_t classes, uint32_t depth,
                                    uint64_t *memory)
{
    memset(queue, 0, sizeof(*queue));
    if (pool == NULL) {
        queue->space.ops = &queue_ops;
        queue->slots.effort = VIRTQ_PRIV_SLOTS_KEPT;
        return;
    }
    queue->space = pool->space;
    queue->space.generation = 0;
    queue->space.guard = NULL;
    queue->space.guard_wait = NULL;
    queue->space.listeners = NULL;
    queue->pool = pool;
    queue->base = pool->pool;
    queue->size = pool->pool_size;
    queue->addr = pool->addr;
    queue->part_mask = ((uint64_t)1 << pool->granules.shift) - 1;
    queue->low_mask = pool->low_mask;
    /* A slot that is kept has to suit any low bits, so it begins where they are all 0. */
    queue->slot_mask = queue->part_mask | queue->low_mask;
    queue->copy = virtq_priv_copy_is_plain(copy) ? pool->copy : *copy;
    queue->take = pool->take;
    queue->space.ops = virtq_priv_copy_is_plain(&queue->copy) ? &queue_ops : &hooked_ops;
    virtq_priv_slots_init(&queue->slots, &pool->granules, pool->addr, queue->low_mask + 1, classes,
                          depth, memory);
    queue->slots.give = give;
}

int virtq_swiotlb_queue_init(struct virtq_swiotlb_queue *queue,
                             const struct virtq_swiotlb_queue_config *config)
{
    size_t needed = virtq_swiotlb_queue_private_size(config);

    if (needed == 0 || config->pool == NULL || config->memory == NULL ||
        (uintptr_t)config->memory % sizeof(uint64_t) != 0) {
        return VIRTQ_EINVAL;
    }
    if (config->memory_size < needed) {
        return VIRTQ_ENOMEM;
    }
    virtq_priv_swiotlb_queue_build(queue, config->pool, &config->copy, config->classes,
                                   config->depth, config->memory);
    return 0;
}

void virtq_swiotlb_queue_read_usage(const struct virtq_swiotlb_queue *queue,
                                    struct virtq_slots_usage *usage)
{
    virtq_priv_slots_read_usage(&queue->slots, usage);
}
