/* SPDX-License-Identifier: BSD-3-Clause */
/* The packed format, unchecked. */
#include "floor/ring.h"

enum {
    FLAGS_BOTH = PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED,
    FLAGS_AVAIL_FIRST = PVIRTQ_DESC_F_AVAIL, /* available while the wrap counter is 1 */
    FLAGS_USED_FIRST = FLAGS_BOTH            /* used while the wrap counter is 1 */
};

void floor_packed_init(struct floor_packed *queue, bool indirect)
{
    *queue = (struct floor_packed){.indirect = indirect, .tests = true};
    queue->driver_next.flags = FLAGS_AVAIL_FIRST;
    queue->driver_used.flags = FLAGS_USED_FIRST;
    queue->device_next.flags = FLAGS_AVAIL_FIRST;
    queue->device_used.flags = FLAGS_USED_FIRST;
    queue->free_count = BENCH_RING_SIZE;
    for (uint16_t id = 0; id < BENCH_RING_SIZE; id++) {
        queue->free_ids[id] = (uint16_t)(BENCH_RING_SIZE - 1u - id);
    }
}

static inline void advance(struct floor_position *position, unsigned by)
{
    position->at = (uint16_t)(position->at + by);
    if (position->at >= BENCH_RING_SIZE) {
        position->at = (uint16_t)(position->at - BENCH_RING_SIZE);
        position->flags ^= FLAGS_BOTH;
    }
}

static inline unsigned segment_flags(const struct floor_buffer *buffer, unsigned segment)
{
    return segment >= buffer->readable ? VIRTQ_DESC_F_WRITE : 0;
}

static inline void write_table(struct floor_packed *queue, uint16_t at, uint16_t id,
                               const struct floor_buffer *buffer)
{
    struct pvirtq_desc *table = queue->tables[id];
    struct pvirtq_desc *element = &queue->ring[at];
    unsigned count = (unsigned)buffer->readable + buffer->writable;

    for (unsigned segment = 0; segment < count; segment++) {
        table[segment].addr = buffer->segments[segment].addr;
        table[segment].len = buffer->segments[segment].len;
        table[segment].flags = (uint16_t)segment_flags(buffer, segment);
    }
    element->addr = (uintptr_t)table;
    element->len = (uint32_t)(count * sizeof(*table));
    element->id = id;
}

/* The head's flags are left to the caller: they make the list available. */
static inline unsigned write_list(struct floor_packed *queue, struct floor_position at, uint16_t id,
                                  const struct floor_buffer *buffer)
{
    unsigned count = (unsigned)buffer->readable + buffer->writable;

    for (unsigned segment = 0; segment < count; segment++) {
        struct pvirtq_desc *element = &queue->ring[at.at];

        element->addr = buffer->segments[segment].addr;
        element->len = buffer->segments[segment].len;
        element->id = id;
        if (segment > 0) {
            unsigned next = segment + 1 < count ? VIRTQ_DESC_F_NEXT : 0;

            element->flags = (uint16_t)(segment_flags(buffer, segment) | next | at.flags);
        }
        advance(&at, 1);
    }
    return count;
}

static inline unsigned needs_notify(const uint32_t *peer, uint16_t now, bool wrapped_to_one,
                                    unsigned moved)
{
    uint32_t event;
    uint16_t at;

    floor_fence();
    event = __atomic_load_n(peer, __ATOMIC_RELAXED);
    if (event >> 16 != VIRTQ_RING_EVENT_FLAGS_DESC) {
        return event >> 16 == VIRTQ_RING_EVENT_FLAGS_ENABLE;
    }
    at = event & 0x7fffu;
    if ((event >> 15 & 1u) != wrapped_to_one) {
        at = (uint16_t)(at - BENCH_RING_SIZE);
    }
    return floor_needs_event(at, now, (uint16_t)(now - moved));
}

FLOOR_FUNCTION void floor_packed_driver_add(struct floor_packed *queue,
                                            const struct floor_buffer *buffers, unsigned count)
{
    struct floor_position next = queue->driver_next;
    struct pvirtq_desc *first = &queue->ring[next.at];
    const uint16_t *ids = &queue->free_ids[queue->free_count];
    bool indirect = queue->indirect;
    unsigned first_flags = 0;
    unsigned moved = 0;

    for (unsigned index = 0; index < count; index++) {
        const struct floor_buffer *buffer = &buffers[index];
        struct pvirtq_desc *head = &queue->ring[next.at];
        unsigned flags = next.flags;
        unsigned slots = 1;
        uint16_t id = *--ids;

        if (indirect) {
            write_table(queue, next.at, id, buffer);
            flags |= VIRTQ_DESC_F_INDIRECT;
        } else {
            slots = write_list(queue, next, id, buffer);
            flags |= segment_flags(buffer, 0) | (slots > 1 ? VIRTQ_DESC_F_NEXT : 0);
        }
        queue->records[id].cookie = buffer->cookie;
        queue->records[id].slots = (uint16_t)slots;
        if (index == 0) {
            first_flags = flags;
        } else {
            head->flags = (uint16_t)flags;
        }
        advance(&next, slots);
        moved += slots;
    }
    queue->free_count = (uint16_t)(queue->free_count - count);
    queue->driver_next = next;
    /* The whole batch becomes available with its first head. */
    __atomic_store_n(&first->flags, (uint16_t)first_flags, __ATOMIC_RELEASE);
    if (queue->tests) {
        queue->driver_notifications +=
            needs_notify(&queue->device_event, next.at, next.flags == FLAGS_AVAIL_FIRST, moved);
    }
}

FLOOR_FUNCTION unsigned floor_packed_driver_poll(struct floor_packed *queue,
                                                 struct floor_completion *completions,
                                                 unsigned count)
{
    struct floor_position used = queue->driver_used;
    uint16_t *ids = &queue->free_ids[queue->free_count];
    unsigned index = 0;

    for (; index < count; index++) {
        const struct pvirtq_desc *element = &queue->ring[used.at];
        uint16_t id;

        if ((__atomic_load_n(&element->flags, __ATOMIC_ACQUIRE) & FLAGS_BOTH) != used.flags) {
            break;
        }
        id = element->id;
        completions[index].cookie = queue->records[id].cookie;
        completions[index].len = element->len;
        *ids++ = id;
        /* A branch that is foreseen: else each position would wait for three loads, one after the
         * other. */
        if (__builtin_expect(queue->records[id].slots == 1, 1)) {
            advance(&used, 1);
        } else {
            advance(&used, queue->records[id].slots);
        }
    }
    queue->free_count = (uint16_t)(queue->free_count + index);
    queue->driver_used = used;
    return index;
}

static inline struct floor_piece *walk_table(const struct pvirtq_desc *element,
                                             struct floor_chain *chain, struct floor_piece *piece)
{
    const struct pvirtq_desc *table = (const struct pvirtq_desc *)(uintptr_t)element->addr;
    unsigned entries = element->len / (unsigned)sizeof(*table);
    unsigned writable = 0;

    for (unsigned entry = 0; entry < entries; entry++, piece++) {
        piece->base = (void *)(uintptr_t)table[entry].addr;
        piece->len = table[entry].len;
        writable += (table[entry].flags & VIRTQ_DESC_F_WRITE) != 0;
    }
    chain->id = element->id;
    chain->slots = 1;
    chain->writable = (uint16_t)writable;
    chain->readable = (uint16_t)(entries - writable);
    return piece;
}

static inline struct floor_piece *walk_list(struct floor_packed *queue, struct floor_position at,
                                            struct floor_chain *chain, struct floor_piece *piece)
{
    unsigned writable = 0;
    unsigned slots = 0;
    unsigned flags;

    do {
        const struct pvirtq_desc *element = &queue->ring[at.at];

        flags = element->flags;
        piece->base = (void *)(uintptr_t)element->addr;
        piece->len = element->len;
        piece++;
        writable += (flags & VIRTQ_DESC_F_WRITE) != 0;
        chain->id = element->id;
        slots++;
        advance(&at, 1);
    } while ((flags & VIRTQ_DESC_F_NEXT) != 0);
    chain->slots = (uint16_t)slots;
    chain->writable = (uint16_t)writable;
    chain->readable = (uint16_t)(slots - writable);
    return piece;
}

FLOOR_FUNCTION unsigned floor_packed_device_pop(struct floor_packed *queue,
                                                struct floor_chain *chains, unsigned count,
                                                struct floor_piece *pieces)
{
    struct floor_position next = queue->device_next;
    unsigned index = 0;

    for (; index < count; index++) {
        const struct pvirtq_desc *element = &queue->ring[next.at];
        unsigned flags = __atomic_load_n(&element->flags, __ATOMIC_ACQUIRE);

        if ((flags & FLAGS_BOTH) != next.flags) {
            break;
        }
        chains[index].pieces = pieces;
        pieces = (flags & VIRTQ_DESC_F_INDIRECT) != 0
                     ? walk_table(element, &chains[index], pieces)
                     : walk_list(queue, next, &chains[index], pieces);
        advance(&next, chains[index].slots);
    }
    queue->device_next = next;
    return index;
}

FLOOR_FUNCTION void floor_packed_device_push(struct floor_packed *queue,
                                             const struct floor_used *used, unsigned count)
{
    struct floor_position next = queue->device_used;
    struct pvirtq_desc *first = &queue->ring[next.at];
    unsigned first_flags = 0;
    unsigned moved = 0;

    for (unsigned index = 0; index < count; index++) {
        struct pvirtq_desc *element = &queue->ring[next.at];
        unsigned flags = next.flags | (used[index].len > 0 ? VIRTQ_DESC_F_WRITE : 0u);

        element->id = used[index].id;
        element->len = used[index].len;
        if (index == 0) {
            first_flags = flags;
        } else {
            element->flags = (uint16_t)flags;
        }
        advance(&next, used[index].slots);
        moved += used[index].slots;
    }
    queue->device_used = next;
    __atomic_store_n(&first->flags, (uint16_t)first_flags, __ATOMIC_RELEASE);
    if (queue->tests) {
        queue->device_notifications +=
            needs_notify(&queue->driver_event, next.at, next.flags == FLAGS_USED_FIRST, moved);
    }
}
