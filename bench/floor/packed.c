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
    queue->driver_wrap = FLAGS_AVAIL_FIRST;
    queue->driver_used_wrap = FLAGS_USED_FIRST;
    queue->device_wrap = FLAGS_AVAIL_FIRST;
    queue->device_used_wrap = FLAGS_USED_FIRST;
    queue->free_count = BENCH_RING_SIZE;
    for (uint16_t id = 0; id < BENCH_RING_SIZE; id++) {
        queue->free_ids[id] = (uint16_t)(BENCH_RING_SIZE - 1u - id);
    }
}

static inline void advance(uint16_t *position, uint16_t *flags, unsigned by)
{
    *position = (uint16_t)(*position + by);
    if (*position >= BENCH_RING_SIZE) {
        *position = (uint16_t)(*position - BENCH_RING_SIZE);
        *flags ^= FLAGS_BOTH;
    }
}

static inline unsigned segment_flags(const struct floor_buffer *buffer, unsigned segment)
{
    return segment >= buffer->readable ? VIRTQ_DESC_F_WRITE : 0;
}

static inline void write_table(struct floor_packed *queue, uint16_t id,
                               const struct floor_buffer *buffer)
{
    struct pvirtq_desc *table = queue->tables[id];
    struct pvirtq_desc *element = &queue->ring[queue->driver_next];
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
static inline unsigned write_list(struct floor_packed *queue, uint16_t id,
                                  const struct floor_buffer *buffer)
{
    unsigned count = (unsigned)buffer->readable + buffer->writable;
    uint16_t at = queue->driver_next;
    uint16_t wrap = queue->driver_wrap;

    for (unsigned segment = 0; segment < count; segment++) {
        struct pvirtq_desc *element = &queue->ring[at];

        element->addr = buffer->segments[segment].addr;
        element->len = buffer->segments[segment].len;
        element->id = id;
        if (segment > 0) {
            unsigned next = segment + 1 < count ? VIRTQ_DESC_F_NEXT : 0;

            element->flags = (uint16_t)(segment_flags(buffer, segment) | next | wrap);
        }
        advance(&at, &wrap, 1);
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
    struct pvirtq_desc *first = &queue->ring[queue->driver_next];
    unsigned first_flags = 0;
    unsigned moved = 0;

    for (unsigned index = 0; index < count; index++) {
        const struct floor_buffer *buffer = &buffers[index];
        uint16_t id = queue->free_ids[--queue->free_count];
        struct pvirtq_desc *head = &queue->ring[queue->driver_next];
        unsigned flags = queue->driver_wrap;
        unsigned slots = 1;

        if (queue->indirect) {
            write_table(queue, id, buffer);
            flags |= VIRTQ_DESC_F_INDIRECT;
        } else {
            slots = write_list(queue, id, buffer);
            flags |= segment_flags(buffer, 0) | (slots > 1 ? VIRTQ_DESC_F_NEXT : 0);
        }
        queue->records[id].cookie = buffer->cookie;
        queue->records[id].slots = (uint16_t)slots;
        if (index == 0) {
            first_flags = flags;
        } else {
            head->flags = (uint16_t)flags;
        }
        advance(&queue->driver_next, &queue->driver_wrap, slots);
        moved += slots;
    }
    /* The whole batch becomes available with its first head. */
    __atomic_store_n(&first->flags, (uint16_t)first_flags, __ATOMIC_RELEASE);
    if (queue->tests) {
        queue->notifications += needs_notify(&queue->device_event, queue->driver_next,
                                             queue->driver_wrap == FLAGS_AVAIL_FIRST, moved);
    }
}

FLOOR_FUNCTION unsigned floor_packed_driver_poll(struct floor_packed *queue,
                                                 struct floor_completion *completions,
                                                 unsigned count)
{
    for (unsigned index = 0; index < count; index++) {
        const struct pvirtq_desc *element = &queue->ring[queue->driver_used];
        uint16_t id;

        if ((__atomic_load_n(&element->flags, __ATOMIC_ACQUIRE) & FLAGS_BOTH) !=
            queue->driver_used_wrap) {
            return index;
        }
        id = element->id;
        completions[index].cookie = queue->records[id].cookie;
        completions[index].len = element->len;
        queue->free_ids[queue->free_count++] = id;
        advance(&queue->driver_used, &queue->driver_used_wrap, queue->records[id].slots);
    }
    return count;
}

/* Walks one list or table from the device's position; gives the piece after it. */
static inline struct floor_piece *walk(struct floor_packed *queue, struct floor_chain *chain,
                                       struct floor_piece *piece)
{
    const struct pvirtq_desc *element = &queue->ring[queue->device_next];
    unsigned writable = 0;

    chain->pieces = piece;
    chain->slots = 1;
    if ((element->flags & VIRTQ_DESC_F_INDIRECT) != 0) {
        const struct pvirtq_desc *table = (const struct pvirtq_desc *)(uintptr_t)element->addr;
        unsigned entries = element->len / (unsigned)sizeof(*table);

        for (unsigned entry = 0; entry < entries; entry++, piece++) {
            piece->base = (void *)(uintptr_t)table[entry].addr;
            piece->len = table[entry].len;
            writable += (table[entry].flags & VIRTQ_DESC_F_WRITE) != 0;
        }
        chain->id = element->id;
        advance(&queue->device_next, &queue->device_wrap, 1);
    } else {
        unsigned flags;

        chain->slots = 0;
        do {
            element = &queue->ring[queue->device_next];
            flags = element->flags;
            piece->base = (void *)(uintptr_t)element->addr;
            piece->len = element->len;
            piece++;
            writable += (flags & VIRTQ_DESC_F_WRITE) != 0;
            chain->id = element->id;
            chain->slots++;
            advance(&queue->device_next, &queue->device_wrap, 1);
        } while ((flags & VIRTQ_DESC_F_NEXT) != 0);
    }
    chain->writable = (uint16_t)writable;
    chain->readable = (uint16_t)((unsigned)(piece - chain->pieces) - writable);
    return piece;
}

FLOOR_FUNCTION unsigned floor_packed_device_pop(struct floor_packed *queue,
                                                struct floor_chain *chains, unsigned count,
                                                struct floor_piece *pieces)
{
    for (unsigned index = 0; index < count; index++) {
        unsigned flags = __atomic_load_n(&queue->ring[queue->device_next].flags, __ATOMIC_ACQUIRE);

        if ((flags & FLAGS_BOTH) != queue->device_wrap) {
            return index;
        }
        pieces = walk(queue, &chains[index], pieces);
    }
    return count;
}

FLOOR_FUNCTION void floor_packed_device_push(struct floor_packed *queue,
                                             const struct floor_used *used, unsigned count)
{
    struct pvirtq_desc *first = &queue->ring[queue->device_used];
    unsigned first_flags = 0;
    unsigned moved = 0;

    for (unsigned index = 0; index < count; index++) {
        struct pvirtq_desc *element = &queue->ring[queue->device_used];
        unsigned flags = queue->device_used_wrap | (used[index].len > 0 ? VIRTQ_DESC_F_WRITE : 0u);

        element->id = used[index].id;
        element->len = used[index].len;
        if (index == 0) {
            first_flags = flags;
        } else {
            element->flags = (uint16_t)flags;
        }
        advance(&queue->device_used, &queue->device_used_wrap, used[index].slots);
        moved += used[index].slots;
    }
    __atomic_store_n(&first->flags, (uint16_t)first_flags, __ATOMIC_RELEASE);
    if (queue->tests) {
        queue->notifications += needs_notify(&queue->driver_event, queue->device_used,
                                             queue->device_used_wrap == FLAGS_USED_FIRST, moved);
    }
}
