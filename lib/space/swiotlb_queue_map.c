/* SPDX-License-Identifier: BSD-3-Clause */
/* How buffers get into a queue's slots and back: in the short way, if they have one segment; else,
 * if bytes are copied plainly and the class has a slot, in one pass over the segments; else as any
 * space stages. The outcome is the same. */
#include <string.h>

#include "copy/copy.h"
#include "stage.h"
#include "swiotlb_pool.h"
#include "swiotlb_queue.h"

/* Any buffer. */
VIRTQ_OUTLINE int map_parts(struct virtq_swiotlb_queue *queue, struct virtq_mapping *mapping)
{
    const struct virtq_priv_stage_shape shape = {queue->part_mask, queue->slot_mask,
                                                 queue->low_mask};
    struct virtq_priv_stage_record *record = mapping->record;
    struct virtq_priv_stage_plan plan;
    int error;

    if (virtq_priv_swiotlb_pass(queue->base, queue->size, queue->addr, mapping)) {
        record->number = VIRTQ_PRIV_SLOT_POOLED;
        record->count = 0;
        return 0;
    }
    error = virtq_priv_stage_plan(mapping, &shape, &plan);
    if (error == 0) {
        error = virtq_priv_slots_take(&queue->slots, record, plan.len);
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

/* Not empty, and not beyond the end of memory. One that ends just there is for map_parts(). */
VIRTQ_TEMPLATE bool is_usual(const struct virtq_segment *segment)
{
    return (uintptr_t)segment->base + segment->len > (uintptr_t)segment->base;
}

/* Where a buffer's parts go in a slot, as virtq_priv_stage_plan() says. */
struct few {
    uint64_t at;          /* Where the first part there is begins, from the slot's start. */
    uint64_t writable_at; /* Likewise, the writable one. */
    uint64_t readable_len;
    uint64_t writable_len;
};

/* Adds up the parts, and notes what is to be copied back; false if something is not usual. */
VIRTQ_TEMPLATE bool measure_few(const struct virtq_mapping *mapping, struct few *few)
{
    const struct virtq_segment *segment = mapping->segments;
    const struct virtq_segment *writable = segment + mapping->segments_readable;
    const struct virtq_segment *end = writable + mapping->segments_writable;
    struct virtq_priv_stage_target *target = virtq_priv_stage_targets(mapping->record);
    uint64_t readable_len = 0;
    uint64_t writable_len = 0;

    for (; segment != writable; segment++) {
        if (VIRTQ_UNLIKELY(!is_usual(segment))) {
            return false;
        }
        readable_len += segment->len;
    }
    for (; segment != end; segment++) {
        if (VIRTQ_UNLIKELY(!is_usual(segment))) {
            return false;
        }
        target->base = segment->base;
        target->len = segment->len;
        target++;
        writable_len += segment->len;
    }
    few->readable_len = readable_len;
    few->writable_len = writable_len;
    return true;
}

/* Gives the end of the last part, from the slot's start. */
VIRTQ_TEMPLATE uint64_t place_few(const struct virtq_swiotlb_queue *queue,
                                  const struct virtq_mapping *mapping, struct few *few)
{
    const struct virtq_segment *segments = mapping->segments;
    uint64_t end;

    few->at = (uintptr_t)segments->base & queue->low_mask;
    end = few->at + few->readable_len;
    few->writable_at = end;
    if (few->writable_len == 0) {
        return end;
    }
    if (few->readable_len != 0) {
        end = (end + queue->part_mask) & ~queue->part_mask;
        end += ((uintptr_t)segments[mapping->segments_readable].base - end) & queue->low_mask;
        few->writable_at = end;
    }
    return end + few->writable_len;
}

/* Copies the readable part in, and writes the runs. */
VIRTQ_TEMPLATE void fill_few(const struct virtq_swiotlb_queue *queue, struct virtq_mapping *mapping,
                             const struct few *few, uint64_t first)
{
    const struct virtq_segment *segment = mapping->segments;
    const struct virtq_segment *end = segment + mapping->segments_readable;
    unsigned char *to = queue->base + first + few->at;
    struct virtq_run *run = mapping->runs;

    mapping->runs_readable = few->readable_len != 0;
    mapping->runs_writable = few->writable_len != 0;
    mapping->copied += few->readable_len;
    if (few->readable_len != 0) {
        run->addr = queue->addr + first + few->at;
        run->len = (uint32_t)few->readable_len;
        run++;
    }
    if (few->writable_len != 0) {
        run->addr = queue->addr + first + few->writable_at;
        run->len = (uint32_t)few->writable_len;
    }
    for (; segment != end; segment++) {
        memcpy(to, segment->base, segment->len);
        to += segment->len;
    }
}

/* A buffer whose slot is in the cache, copied plainly. What is not usual, or in the pool already,
 * is for map_parts(), before anything is changed but the record. */
VIRTQ_OUTLINE int map_few(struct virtq_swiotlb_queue *queue, struct virtq_mapping *mapping)
{
    struct virtq_priv_stage_record *record = mapping->record;
    struct virtq_slots_class *free;
    struct few few;
    uint64_t end;
    uint64_t number;

    /* Two runs are room enough for any buffer. */
    if (VIRTQ_UNLIKELY((uint32_t)mapping->segments_readable + mapping->segments_writable == 0 ||
                       mapping->capacity < 2 ||
                       (uintptr_t)mapping->segments->base - (uintptr_t)queue->base < queue->size ||
                       !measure_few(mapping, &few))) {
        return map_parts(queue, mapping);
    }
    end = place_few(queue, mapping, &few);
    number = virtq_priv_slots_class_of(&queue->slots, end - 1);
    free = &queue->slots.free[number];
    if (VIRTQ_UNLIKELY(free->count == 0)) {
        return map_parts(queue, mapping);
    }
    record->first = free->slots[--free->count];
    record->filled_at = (uint32_t)few.at;
    record->filled = (uint32_t)(end - few.at);
    record->writable = record->first + few.writable_at;
    record->number = number | VIRTQ_PRIV_SLOT_PARTS;
    record->count = mapping->segments_writable;
    fill_few(queue, mapping, &few, record->first);
    return 0;
}

/* A buffer of one segment whose slot is in the cache, copied plainly: what map_few() would do, in
 * fewer instructions. Nothing is changed before all of it is known to hold. */
int virtq_priv_swiotlb_queue_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    struct virtq_swiotlb_queue *queue = (struct virtq_swiotlb_queue *)space;
    struct virtq_priv_stage_record *record = mapping->record;
    struct virtq_priv_stage_target *target = virtq_priv_stage_targets(record);
    const struct virtq_segment *segment = mapping->segments;
    const uint16_t writable = mapping->segments_writable;
    struct virtq_slots_class *free;
    uint64_t at;
    uint64_t number;

    if (VIRTQ_UNLIKELY((uint32_t)mapping->segments_readable + writable != 1 ||
                       mapping->capacity == 0 ||
                       (uintptr_t)segment->base + segment->len < segment->len ||
                       (uintptr_t)segment->base - (uintptr_t)queue->base < queue->size)) {
        return map_few(queue, mapping);
    }
    at = (uintptr_t)segment->base & queue->low_mask;
    /* A length of 0 becomes one that no class has. */
    number = virtq_priv_slots_class_of(&queue->slots, at + (uint32_t)(segment->len - 1));
    free = &queue->slots.free[number];
    if (VIRTQ_UNLIKELY(free->count == 0)) {
        return map_few(queue, mapping);
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

    if (record->number == VIRTQ_PRIV_SLOT_POOLED) {
        return;
    }
    virtq_priv_stage_drain(&queue->copy, mapping, queue->base, written);
    if (virtq_priv_slots_keep(&queue->slots, record)) {
        virtq_priv_copy_zero(&queue->copy, queue->base + record->first + record->filled_at,
                             record->filled);
        virtq_priv_copy_done(&queue->copy);
    } else {
        virtq_priv_slots_give(&queue->slots, record);
    }
}

/* A buffer that came as map_few() has it, or would have: a slot of a class, copied plainly. A long
 * one is zeroed piece by piece while it is copied, a short one at once. */
VIRTQ_OUTLINE void unmap_few(struct virtq_swiotlb_queue *queue, struct virtq_mapping *mapping,
                             uint64_t written)
{
    struct virtq_priv_stage_record *record = mapping->record;
    const struct virtq_priv_stage_target *target = virtq_priv_stage_targets(record);
    const struct virtq_priv_stage_target *end = target + record->count;
    struct virtq_slots_class *free =
        &queue->slots.free[record->number & (VIRTQ_PRIV_SLOT_PARTS - 1)];
    const uint64_t filled_at = record->first + record->filled_at;
    const bool is_long = record->filled > VIRTQ_PRIV_COPY_PIECE;
    unsigned char *from = queue->base + record->writable;

    if (VIRTQ_UNLIKELY(free->count == queue->slots.depth)) {
        unmap_parts(queue, mapping, written);
        return;
    }
    free->slots[free->count++] = record->first;
    for (; target != end; target++) {
        const size_t len = written < target->len ? (size_t)written : target->len;

        if (is_long) {
            queue->take(target->base, from, len, target->len);
        } else {
            memcpy(target->base, from, len);
        }
        mapping->copied += len;
        written -= len;
        from += target->len;
    }
    virtq_priv_copy_clear(queue->base + filled_at, is_long && record->count != 0
                                                       ? (size_t)(record->writable - filled_at)
                                                       : record->filled);
}

/* Only what the buffer could reach is zeroed: the rest of the slot is zero since it was taken from
 * the pool, or holds what the device wrote unasked, which tells it nothing. The slot is on the
 * stack a little before that, but the stack has one owner. */
void virtq_priv_swiotlb_queue_unmap(struct virtq_space *space, struct virtq_mapping *mapping,
                                    uint64_t written)
{
    struct virtq_swiotlb_queue *queue = (struct virtq_swiotlb_queue *)space;
    struct virtq_priv_stage_record *record = mapping->record;
    const struct virtq_priv_stage_target *target = virtq_priv_stage_targets(record);
    struct virtq_slots_class *free;
    unsigned char *from = queue->base + record->writable;
    size_t len;

    if (VIRTQ_UNLIKELY(record->number >= queue->slots.classes)) {
        if (VIRTQ_LIKELY((record->number & VIRTQ_PRIV_SLOT_POOLED) == 0)) {
            unmap_few(queue, mapping, written);
        } else {
            unmap_parts(queue, mapping, written);
        }
        return;
    }
    free = &queue->slots.free[record->number];
    if (VIRTQ_UNLIKELY(free->count == queue->slots.depth)) {
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
    queue->take(target->base, from, len, target->len);
}

int virtq_priv_swiotlb_queue_map_hooked(struct virtq_space *space, struct virtq_mapping *mapping)
{
    return map_parts((struct virtq_swiotlb_queue *)space, mapping);
}

void virtq_priv_swiotlb_queue_unmap_hooked(struct virtq_space *space, struct virtq_mapping *mapping,
                                           uint64_t written)
{
    unmap_parts((struct virtq_swiotlb_queue *)space, mapping, written);
}
