/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/space/swiotlb_queue.h"

#include <stdbool.h>
#include <string.h>

#include "copy/copy.h"
#include "granules.h"
#include "swiotlb_pool.h"
#include "swiotlb_queue.h"

enum { DEPTH_MOST = 65536 };

static void give_back(struct virtq_swiotlb_queue *queue, uint32_t at, uint64_t slot)
{
    virtq_priv_swiotlb_release(queue->pool, slot >> queue->shift, (uint64_t)1 << at);
}

uint64_t virtq_swiotlb_queue_flush(struct virtq_swiotlb_queue *queue)
{
    uint64_t bytes = 0;
    uint32_t at;

    for (at = 0; at < queue->classes; at++) {
        struct virtq_swiotlb_class *free = &queue->free[at];

        bytes += free->count * virtq_priv_swiotlb_class_bytes(queue, at);
        while (free->count != 0) {
            free->count--;
            give_back(queue, at, free->slots[free->count]);
        }
    }
    queue->held -= bytes;
    return bytes;
}

/* Takes granules; if there are none, what is kept of other sizes has to go. */
static bool take_granules(struct virtq_swiotlb_queue *queue, uint64_t number, uint64_t *first)
{
    struct virtq_granules *all = &queue->pool->granules;
    const struct virtq_priv_place place =
        virtq_priv_granules_place(all, queue->addr, 0, queue->low_mask + 1);

    return virtq_priv_granules_take(all, number, place, first) ||
           (virtq_swiotlb_queue_flush(queue) != 0 &&
            virtq_priv_granules_take(all, number, place, first));
}

/* The cache has none: a slot of the class; else, or beyond the largest class, one of just these
 * bytes. Only the last word of the pool counts as its refusal. */
VIRTQ_COLD int take_from_pool(struct virtq_swiotlb_queue *queue,
                              struct virtq_priv_stage_record *record, uint64_t len, uint64_t at)
{
    struct virtq_granules *all = &queue->pool->granules;
    const uint64_t exact = virtq_priv_granules_of(all, len);
    uint64_t first = 0;
    int error = 0;

    queue->misses++;
    record->number = at | VIRTQ_PRIV_SLOT_PARTS;
    if (at == queue->classes || !take_granules(queue, (uint64_t)1 << at, &first)) {
        record->number = VIRTQ_PRIV_SLOT_POOLED | exact;
        if (!take_granules(queue, exact, &first)) {
            error = virtq_priv_granules_refuse(
                all, exact, virtq_priv_granules_place(all, queue->addr, 0, queue->low_mask + 1));
        }
    }
    record->first = first << queue->shift;
    if (error == 0) {
        queue->held += virtq_priv_swiotlb_slot_bytes(queue, record);
        queue->high_water = queue->held > queue->high_water ? queue->held : queue->high_water;
    }
    queue->shortages += error == VIRTQ_ENOMEM;
    queue->too_big += error == VIRTQ_ETOOBIG;
    return error;
}

int virtq_priv_swiotlb_queue_take(struct virtq_swiotlb_queue *queue,
                                  struct virtq_priv_stage_record *record, uint64_t len)
{
    const uint64_t at = virtq_priv_swiotlb_class_of(queue, len - 1);
    struct virtq_swiotlb_class *free = &queue->free[at];

    if (free->count == 0) {
        return take_from_pool(queue, record, len, at);
    }
    free->count--;
    record->first = free->slots[free->count];
    record->number = at | VIRTQ_PRIV_SLOT_PARTS;
    return 0;
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
    if (config->struct_size < sizeof(*config) || config->classes == 0 ||
        config->classes > VIRTQ_SWIOTLB_CLASSES_MAX || config->depth == 0 ||
        config->depth > DEPTH_MOST) {
        return 0;
    }
    return sizeof(uint64_t) * config->classes * config->depth;
}

static void build(struct virtq_swiotlb_queue *queue,
                  const struct virtq_swiotlb_queue_config *config)
{
    struct virtq_swiotlb *pool = config->pool;
    uint64_t *slots = config->memory;
    uint32_t at;

    queue->space = pool->space;
    queue->space.generation = 0;
    queue->space.guard = NULL;
    queue->space.guard_wait = NULL;
    queue->space.listeners = NULL;
    queue->pool = pool;
    queue->base = pool->pool;
    queue->size = pool->pool_size;
    queue->addr = pool->addr;
    queue->shift = pool->granules.shift;
    queue->part_mask = ((uint64_t)1 << queue->shift) - 1;
    queue->low_mask = pool->low_mask;
    /* A slot that is kept has to suit any low bits, so it begins where they are all 0. */
    queue->slot_mask = queue->part_mask | queue->low_mask;
    queue->classes = config->classes;
    queue->depth = config->depth;
    queue->copy = virtq_priv_copy_is_plain(&config->copy) ? pool->copy : config->copy;
    queue->take = pool->take;
    queue->space.ops = virtq_priv_copy_is_plain(&queue->copy) ? &queue_ops : &hooked_ops;
    for (at = 0; at < queue->classes; at++) {
        queue->free[at].slots = slots + (size_t)at * queue->depth;
    }
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
    memset(queue, 0, sizeof(*queue));
    build(queue, config);
    return 0;
}

void virtq_swiotlb_queue_read_usage(const struct virtq_swiotlb_queue *queue,
                                    struct virtq_swiotlb_queue_usage *usage)
{
    uint32_t at;

    *usage = (struct virtq_swiotlb_queue_usage){.misses = queue->misses,
                                                .returns = queue->returns,
                                                .shortages = queue->shortages,
                                                .too_big = queue->too_big,
                                                .held = queue->held,
                                                .high_water = queue->high_water};
    for (at = 0; at < queue->classes; at++) {
        usage->kept += queue->free[at].count * virtq_priv_swiotlb_class_bytes(queue, at);
    }
}
