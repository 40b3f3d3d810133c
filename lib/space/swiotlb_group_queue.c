/* SPDX-License-Identifier: BSD-3-Clause */
/* A queue's slots of several pools. A cache looks at its pool only while that cannot be removed:
 * while it has a slot of it, or between enter and leave. */
#include "virtq/space/swiotlb_group_queue.h"

#include <string.h>

#include "slots.h"
#include "swiotlb_group_private.h"
#include "swiotlb_queue.h"

/* Whether another pool may serve what this one did not. */
static int is_short(int error)
{
    return error == VIRTQ_ENOMEM || error == VIRTQ_ETOOBIG;
}

/* A record is the place in the group, and then that of the pool's space. */
static int map_at(struct virtq_swiotlb_group_queue *queue, uint32_t at,
                  struct virtq_mapping *mapping)
{
    struct virtq_space *space = &queue->caches[at].queue.space;
    uint64_t *record = mapping->record;
    int error;

    *record = at;
    mapping->record = record + 1;
    error = space->ops->map(space, mapping);
    mapping->record = record;
    return error;
}

/* The queue's slots of a pool, made anew if another pool is there than was, or none. Then nothing
 * is kept of the old one, which was empty when it was removed. */
static void renew(struct virtq_swiotlb_group_queue *queue, uint32_t at, struct virtq_swiotlb *pool,
                  uint64_t serial)
{
    struct virtq_swiotlb_group_cache *cache = &queue->caches[at];

    if (cache->serial != serial) {
        virtq_priv_swiotlb_queue_build(&cache->queue, pool, &queue->copy, queue->classes,
                                       cache->memory != NULL ? queue->depth : 0, cache->memory);
        cache->queue.slots.effort = VIRTQ_PRIV_SLOTS_KEPT;
        cache->serial = serial;
    }
}

/* Some pool was closed, opened again, or removed. What is kept of a closed one goes back. The
 * memory of one that is gone is not to be taken for a pool's any more. */
VIRTQ_COLD void catch_up(struct virtq_swiotlb_group_queue *queue, uint32_t turned)
{
    uint32_t at;

    queue->turned = turned;
    for (at = 0; at < VIRTQ_SWIOTLB_POOLS_MAX; at++) {
        struct virtq_swiotlb_group_cache *cache = &queue->caches[at];
        uint64_t serial;
        struct virtq_swiotlb *pool = virtq_priv_swiotlb_group_enter(queue->group, at, &serial);

        if (serial != cache->serial) {
            renew(queue, at, NULL, 0);
        } else if (pool == NULL) {
            (void)virtq_priv_slots_flush(&cache->queue.slots);
            cache->queue.slots.depth = 0;
        } else if (cache->memory != NULL) {
            cache->queue.slots.depth = queue->depth;
        }
        if (pool != NULL) {
            virtq_priv_swiotlb_group_leave(queue->group, at);
        }
    }
}

VIRTQ_INLINE void look(struct virtq_swiotlb_group_queue *queue)
{
    const uint32_t turned = virtq_priv_swiotlb_group_turned(queue->group);

    if (VIRTQ_UNLIKELY(turned != queue->turned)) {
        catch_up(queue, turned);
    }
}

/* A pool that has to be asked, if it is there and open. */
static int ask(struct virtq_swiotlb_group_queue *queue, uint32_t at, uint32_t effort,
               struct virtq_mapping *mapping)
{
    struct virtq_slots *slots = &queue->caches[at].queue.slots;
    uint64_t serial;
    struct virtq_swiotlb *pool = virtq_priv_swiotlb_group_enter(queue->group, at, &serial);
    int error;

    if (pool == NULL) {
        return VIRTQ_ETOOBIG;
    }
    renew(queue, at, pool, serial);
    slots->effort = effort;
    error = map_at(queue, at, mapping);
    slots->effort = VIRTQ_PRIV_SLOTS_KEPT;
    virtq_priv_swiotlb_group_leave(queue->group, at);
    return error;
}

static uint64_t held(const struct virtq_swiotlb_group_queue *queue)
{
    uint64_t bytes = 0;
    uint32_t at;

    for (at = 0; at < VIRTQ_SWIOTLB_POOLS_MAX; at++) {
        bytes += queue->caches[at].queue.slots.held;
    }
    return bytes;
}

/* The pools in their order. What one never takes another one may, later. */
static int ask_each(struct virtq_swiotlb_group_queue *queue, uint32_t effort,
                    struct virtq_mapping *mapping)
{
    int result = VIRTQ_ETOOBIG;
    uint32_t at;

    for (at = 0; at < VIRTQ_SWIOTLB_POOLS_MAX; at++) {
        const int error = ask(queue, at, effort, mapping);

        if (!is_short(error)) {
            queue->last = at;
            return error;
        }
        result = error == VIRTQ_ENOMEM ? error : result;
    }
    return result;
}

/* Nothing is kept that would do. What is kept of a pool goes only if none has room: a pool that is
 * short would else cost the queue its slots time and again. */
static int ask_all(struct virtq_swiotlb_group_queue *queue, struct virtq_mapping *mapping)
{
    int error = ask_each(queue, VIRTQ_PRIV_SLOTS_ROOM, mapping);

    queue->misses++;
    if (is_short(error)) {
        error = ask_each(queue, VIRTQ_PRIV_SLOTS_ALL, mapping);
    }
    if (error == 0) {
        const uint64_t bytes = held(queue);

        queue->high_water = bytes > queue->high_water ? bytes : queue->high_water;
    }
    queue->shortages += error == VIRTQ_ENOMEM;
    queue->too_big += error == VIRTQ_ETOOBIG;
    return error;
}

/* The pool that served last has none: then any other of which something is held. */
VIRTQ_COLD int map_elsewhere(struct virtq_swiotlb_group_queue *queue, struct virtq_mapping *mapping)
{
    uint32_t at;

    for (at = 0; at < VIRTQ_SWIOTLB_POOLS_MAX; at++) {
        if (at != queue->last && queue->caches[at].queue.slots.held != 0 &&
            map_at(queue, at, mapping) == 0) {
            queue->last = at;
            return 0;
        }
    }
    return ask_all(queue, mapping);
}

static int queue_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    struct virtq_swiotlb_group_queue *queue = (struct virtq_swiotlb_group_queue *)space;
    int error;

    look(queue);
    error = map_at(queue, queue->last, mapping);
    return VIRTQ_UNLIKELY(is_short(error)) ? map_elsewhere(queue, mapping) : error;
}

static void queue_unmap(struct virtq_space *space, struct virtq_mapping *mapping, uint64_t written)
{
    struct virtq_swiotlb_group_queue *queue = (struct virtq_swiotlb_group_queue *)space;
    uint64_t *record = mapping->record;
    struct virtq_space *own = &queue->caches[*record].queue.space;

    look(queue);
    mapping->record = record + 1;
    own->ops->unmap(own, mapping, written);
    mapping->record = record;
}

static int queue_share(struct virtq_space *space, void *base, uint64_t len, uint32_t permissions,
                       virtq_addr_t *addr)
{
    struct virtq_swiotlb_group_queue *queue = (struct virtq_swiotlb_group_queue *)space;

    return virtq_space_share(&queue->group->space, base, len, permissions, addr);
}

/* The memory stays the caller's until virtq_swiotlb_free(). */
static void queue_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    (void)space;
    (void)addr;
    (void)len;
}

static const struct virtq_space_ops queue_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "swiotlb group queue",
    .map = queue_map,
    .unmap = queue_unmap,
    .share = queue_share,
    .unshare = queue_unshare,
};

size_t virtq_swiotlb_group_queue_private_size(const struct virtq_swiotlb_group_queue_config *config)
{
    size_t each;

    if (config->struct_size < sizeof(*config) || config->pools - 1u >= VIRTQ_SWIOTLB_POOLS_MAX) {
        return 0;
    }
    each = virtq_priv_slots_size(config->classes, config->depth);
    return each == 0 ? 0
                     : VIRTQ_SWIOTLB_POOLS_MAX * sizeof(struct virtq_swiotlb_group_cache) +
                           each * config->pools;
}

int virtq_swiotlb_group_queue_init(struct virtq_swiotlb_group_queue *queue,
                                   const struct virtq_swiotlb_group_queue_config *config)
{
    const size_t needed = virtq_swiotlb_group_queue_private_size(config);
    uint64_t *stacks;
    uint32_t at;

    if (needed == 0 || config->group == NULL || config->memory == NULL ||
        (uintptr_t)config->memory % sizeof(uint64_t) != 0) {
        return VIRTQ_EINVAL;
    }
    if (config->memory_size < needed) {
        return VIRTQ_ENOMEM;
    }
    memset(queue, 0, sizeof(*queue));
    queue->space.ops = &queue_ops;
    queue->space.driver_kind = VIRTQ_SPACE_CALLED;
    queue->space.device_kind = VIRTQ_SPACE_CALLED;
    queue->space.record_fixed = config->group->space.record_fixed;
    queue->space.record_per_segment = config->group->space.record_per_segment;
    queue->space.runs_max = config->group->space.runs_max;
    queue->group = config->group;
    queue->classes = config->classes;
    queue->depth = config->depth;
    queue->copy = config->copy;
    queue->turned = virtq_priv_swiotlb_group_turned(config->group);
    queue->caches = config->memory;
    stacks = (uint64_t *)(void *)(queue->caches + VIRTQ_SWIOTLB_POOLS_MAX);
    for (at = 0; at < VIRTQ_SWIOTLB_POOLS_MAX; at++) {
        struct virtq_swiotlb_group_cache *cache = &queue->caches[at];

        virtq_priv_swiotlb_queue_build(&cache->queue, NULL, NULL, 0, 0, NULL);
        cache->memory =
            at < config->pools ? stacks + (size_t)at * config->classes * config->depth : NULL;
        cache->serial = 0;
    }
    return 0;
}

uint64_t virtq_swiotlb_group_queue_flush(struct virtq_swiotlb_group_queue *queue)
{
    uint64_t bytes = 0;
    uint32_t at;

    for (at = 0; at < VIRTQ_SWIOTLB_POOLS_MAX; at++) {
        bytes += virtq_priv_slots_flush(&queue->caches[at].queue.slots);
    }
    return bytes;
}

void virtq_swiotlb_group_queue_read_usage(const struct virtq_swiotlb_group_queue *queue,
                                          struct virtq_slots_usage *usage)
{
    uint32_t at;

    *usage = (struct virtq_slots_usage){.misses = queue->misses,
                                        .shortages = queue->shortages,
                                        .too_big = queue->too_big,
                                        .high_water = queue->high_water};
    for (at = 0; at < VIRTQ_SWIOTLB_POOLS_MAX; at++) {
        struct virtq_slots_usage one;

        virtq_priv_slots_read_usage(&queue->caches[at].queue.slots, &one);
        usage->returns += one.returns;
        usage->held += one.held;
        usage->kept += one.kept;
    }
}
