/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/space/swiotlb_queue.h"

#include <stdbool.h>
#include <string.h>

#include "copy/copy.h"
#include "granules.h"
#include "stage.h"
#include "swiotlb_pool.h"

enum { DEPTH_MOST = 65536 };

/* What record->number is: a class, if the buffer came in the short way; a class with this bit, if
 * in the long one; or granules with the other, if the slot goes back to the pool: 0 of them, if the
 * buffer was there already. */
#define LONG_WAY ((uint64_t)1 << 8)
#define FROM_POOL ((uint64_t)1 << 63)

/* The smallest class for `last` + 1 bytes; beyond the largest there is one more, which is always
 * empty. A loop that ends at once for small buffers, and no builtin: it is a call on some
 * processors. */
VIRTQ_TEMPLATE uint64_t class_of(const struct virtq_swiotlb_queue *queue, uint64_t last)
{
    uint64_t units = last >> queue->shift;
    uint64_t at = 0;

    while (VIRTQ_UNLIKELY(units != 0) && at < queue->classes) {
        units >>= 1;
        at++;
    }
    return at;
}

static uint64_t class_bytes(const struct virtq_swiotlb_queue *queue, uint32_t at)
{
    return (uint64_t)1 << (queue->shift + at);
}

static uint64_t bytes_of(const struct virtq_swiotlb_queue *queue,
                         const struct virtq_priv_stage_record *record)
{
    if ((record->number & FROM_POOL) != 0) {
        return (record->number & ~FROM_POOL) << queue->shift;
    }
    return class_bytes(queue, (uint32_t)(record->number & (LONG_WAY - 1)));
}

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

        bytes += free->count * class_bytes(queue, at);
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
    record->number = at | LONG_WAY;
    if (at == queue->classes || !take_granules(queue, (uint64_t)1 << at, &first)) {
        record->number = FROM_POOL | exact;
        if (!take_granules(queue, exact, &first)) {
            error = virtq_priv_granules_refuse(
                all, exact, virtq_priv_granules_place(all, queue->addr, 0, queue->low_mask + 1));
        }
    }
    record->first = first << queue->shift;
    if (error == 0) {
        queue->held += bytes_of(queue, record);
        queue->high_water = queue->held > queue->high_water ? queue->held : queue->high_water;
    }
    queue->shortages += error == VIRTQ_ENOMEM;
    queue->too_big += error == VIRTQ_ETOOBIG;
    return error;
}

static int take(struct virtq_swiotlb_queue *queue, struct virtq_priv_stage_record *record,
                uint64_t len)
{
    const uint64_t at = class_of(queue, len - 1);
    struct virtq_swiotlb_class *free = &queue->free[at];

    if (free->count == 0) {
        return take_from_pool(queue, record, len, at);
    }
    free->count--;
    record->first = free->slots[free->count];
    record->number = at | LONG_WAY;
    return 0;
}

/* Any buffer. */
VIRTQ_OUTLINE int map_parts(struct virtq_swiotlb_queue *queue, struct virtq_mapping *mapping)
{
    const struct virtq_priv_stage_shape shape = {queue->part_mask, queue->slot_mask,
                                                 queue->low_mask};
    struct virtq_priv_stage_record *record = mapping->record;
    struct virtq_priv_stage_plan plan;
    int error;

    if (virtq_priv_swiotlb_pass(queue->pool, mapping)) {
        record->number = FROM_POOL;
        record->count = 0;
        return 0;
    }
    error = virtq_priv_stage_plan(mapping, &shape, &plan);
    if (error == 0) {
        error = take(queue, record, plan.len);
    }
    if (error != 0) {
        return error;
    }
    /* Where it counts, in a class, a slot's bytes have far fewer than 32 bits. */
    record->filled_at = (uint32_t)plan.readable_at;
    record->filled = (uint32_t)(plan.len - plan.readable_at);
    virtq_priv_stage_fill(&queue->copy, mapping, &plan, queue->base, queue->addr, record->first,
                          true);
    return 0;
}

/* A buffer of one segment whose slot is in the cache, copied plainly: what map_parts() would do, in
 * a third of the instructions. Nothing is changed before all of it is known to hold. */
static int queue_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    struct virtq_swiotlb_queue *queue = (struct virtq_swiotlb_queue *)space;
    struct virtq_priv_stage_record *record = mapping->record;
    struct virtq_priv_stage_target *target = virtq_priv_stage_targets(record);
    const struct virtq_segment *segment = mapping->segments;
    const uint16_t writable = mapping->segments_writable;
    struct virtq_swiotlb_class *free;
    uint64_t at;
    uint64_t number;

    if (VIRTQ_UNLIKELY((uint32_t)mapping->segments_readable + writable != 1 ||
                       mapping->capacity == 0 ||
                       (uintptr_t)segment->base + segment->len < segment->len ||
                       (uintptr_t)segment->base - (uintptr_t)queue->base < queue->size)) {
        return map_parts(queue, mapping);
    }
    at = (uintptr_t)segment->base & queue->low_mask;
    /* A length of 0 becomes one that no class has. */
    number = class_of(queue, at + (uint32_t)(segment->len - 1));
    free = &queue->free[number];
    if (VIRTQ_UNLIKELY(free->count == 0)) {
        return map_parts(queue, mapping);
    }
    record->first = free->slots[--free->count];
    at += record->first;
    record->writable = at;
    record->number = number;
    record->count = writable;
    target->base = segment->base;
    target->len = segment->len;
    mapping->runs->addr = queue->addr + at;
    mapping->runs->len = segment->len;
    mapping->runs_readable = mapping->segments_readable;
    mapping->runs_writable = mapping->segments_writable;
    if (writable == 0) {
        mapping->copied += segment->len;
        memcpy(queue->base + at, segment->base, segment->len);
    }
    return 0;
}

/* Any buffer; also one that came in the short way but finds its class full. */
VIRTQ_OUTLINE void unmap_parts(struct virtq_swiotlb_queue *queue, struct virtq_mapping *mapping,
                               uint64_t written)
{
    const struct virtq_priv_stage_record *record = mapping->record;
    const uint64_t bytes = bytes_of(queue, record);
    struct virtq_swiotlb_class *free;

    if (bytes == 0) {
        return;
    }
    virtq_priv_stage_drain(&queue->copy, mapping, queue->base, written);
    if ((record->number & FROM_POOL) == 0) {
        free = &queue->free[record->number & (LONG_WAY - 1)];
        if (free->count != queue->depth) {
            free->slots[free->count++] = record->first;
            virtq_priv_copy_zero(&queue->copy, queue->base + record->first + record->filled_at,
                                 record->filled);
            virtq_priv_copy_done(&queue->copy);
            return;
        }
        queue->returns++;
    }
    queue->held -= bytes;
    virtq_priv_swiotlb_release(queue->pool, record->first >> queue->shift, bytes >> queue->shift);
}

/* Only what the buffer could reach is zeroed: the rest of the slot is zero since it was taken from
 * the pool, or holds what the device wrote unasked, which tells it nothing. The slot is on the
 * stack a little before that, but the stack has one owner. */
static void queue_unmap(struct virtq_space *space, struct virtq_mapping *mapping, uint64_t written)
{
    struct virtq_swiotlb_queue *queue = (struct virtq_swiotlb_queue *)space;
    struct virtq_priv_stage_record *record = mapping->record;
    const struct virtq_priv_stage_target *target = virtq_priv_stage_targets(record);
    struct virtq_swiotlb_class *free;
    unsigned char *from = queue->base + record->writable;
    size_t len;

    if (VIRTQ_UNLIKELY(record->number >= queue->classes)) {
        unmap_parts(queue, mapping, written);
        return;
    }
    free = &queue->free[record->number];
    if (VIRTQ_UNLIKELY(free->count == queue->depth)) {
        unmap_parts(queue, mapping, written);
        return;
    }
    free->slots[free->count++] = record->first;
    if (record->count == 0) {
        virtq_priv_copy_clear(from, target->len);
        return;
    }
    len = written < target->len ? (size_t)written : target->len;
    mapping->copied += len;
    virtq_priv_copy_take(target->base, from, len, target->len);
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
    .map = queue_map,
    .unmap = queue_unmap,
    .share = queue_share,
    .unshare = queue_unshare,
    .window = queue_window,
};

/* With hooks every buffer goes the long way. */
static int hooked_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    return map_parts((struct virtq_swiotlb_queue *)space, mapping);
}

static const struct virtq_space_ops hooked_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "swiotlb queue",
    .map = hooked_map,
    .unmap = queue_unmap,
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
        usage->kept += queue->free[at].count * class_bytes(queue, at);
    }
}
