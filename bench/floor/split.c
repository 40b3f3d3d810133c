/* SPDX-License-Identifier: BSD-3-Clause */
/* The split format, unchecked. */
#include "floor/ring.h"

enum { MASK = BENCH_RING_SIZE - 1 };

void floor_split_init(struct floor_split *queue, bool indirect)
{
    *queue = (struct floor_split){.indirect = indirect, .tests = true};
    for (uint16_t slot = 0; slot < BENCH_RING_SIZE; slot++) {
        queue->desc[slot].next = (uint16_t)((slot + 1u) & MASK);
    }
}

/* Writes a chain over the free list; gives the descriptor after it. */
static inline uint16_t write_chain(struct virtq_desc *desc, uint16_t head,
                                   const struct floor_buffer *buffer)
{
    unsigned count = (unsigned)buffer->readable + buffer->writable;
    uint16_t at = head;

    for (unsigned segment = 0; segment < count; segment++) {
        struct virtq_desc *element = &desc[at];
        unsigned flags = segment >= buffer->readable ? VIRTQ_DESC_F_WRITE : 0;

        element->addr = buffer->segments[segment].addr;
        element->len = buffer->segments[segment].len;
        element->flags = (uint16_t)(flags | (segment + 1 < count ? VIRTQ_DESC_F_NEXT : 0));
        at = element->next;
    }
    return at;
}

static inline uint16_t write_table(struct floor_split *queue, uint16_t head,
                                   const struct floor_buffer *buffer)
{
    struct virtq_desc *table = queue->tables[head];
    struct virtq_desc *element = &queue->desc[head];
    unsigned count = (unsigned)buffer->readable + buffer->writable;

    for (unsigned segment = 0; segment < count; segment++) {
        unsigned flags = segment >= buffer->readable ? VIRTQ_DESC_F_WRITE : 0;

        table[segment].addr = buffer->segments[segment].addr;
        table[segment].len = buffer->segments[segment].len;
        table[segment].flags = (uint16_t)(flags | (segment + 1 < count ? VIRTQ_DESC_F_NEXT : 0));
        table[segment].next = (uint16_t)(segment + 1u);
    }
    element->addr = (uintptr_t)table;
    element->len = (uint32_t)(count * sizeof(*table));
    element->flags = VIRTQ_DESC_F_INDIRECT;
    return element->next;
}

FLOOR_FUNCTION void floor_split_driver_add(struct floor_split *queue,
                                           const struct floor_buffer *buffers, unsigned count)
{
    uint16_t past = queue->driver_avail;
    uint16_t now = past;
    uint16_t head = queue->free_head;
    bool indirect = queue->indirect;

    for (unsigned index = 0; index < count; index++) {
        queue->cookies[head] = buffers[index].cookie;
        queue->avail.ring[now++ & MASK] = head;
        head = indirect ? write_table(queue, head, &buffers[index])
                        : write_chain(queue->desc, head, &buffers[index]);
    }
    queue->free_head = head;
    queue->driver_avail = now;
    __atomic_store_n(&queue->avail.idx, now, __ATOMIC_RELEASE);
    if (queue->tests) {
        floor_fence();
        queue->driver_notifications += floor_needs_event(
            __atomic_load_n(&queue->used.avail_event, __ATOMIC_RELAXED), now, past);
    }
}

FLOOR_FUNCTION unsigned floor_split_driver_poll(struct floor_split *queue,
                                                struct floor_completion *completions,
                                                unsigned count)
{
    uint16_t used = queue->driver_used;
    uint16_t free_head = queue->free_head;
    unsigned ready = (uint16_t)(__atomic_load_n(&queue->used.idx, __ATOMIC_ACQUIRE) - used);

    ready = ready < count ? ready : count;
    for (unsigned index = 0; index < ready; index++) {
        const struct virtq_used_elem *element = &queue->used.ring[used++ & MASK];
        uint16_t head = (uint16_t)element->id;
        struct virtq_desc *last = &queue->desc[head];

        completions[index].cookie = queue->cookies[head];
        completions[index].len = element->len;
        while ((last->flags & VIRTQ_DESC_F_NEXT) != 0) {
            last = &queue->desc[last->next];
        }
        last->next = free_head;
        free_head = head;
    }
    queue->driver_used = used;
    queue->free_head = free_head;
    return ready;
}

FLOOR_FUNCTION unsigned floor_split_device_pop(struct floor_split *queue,
                                               struct floor_chain *chains, unsigned count,
                                               struct floor_piece *pieces)
{
    uint16_t avail = queue->device_avail;
    unsigned ready = (uint16_t)(__atomic_load_n(&queue->avail.idx, __ATOMIC_ACQUIRE) - avail);

    ready = ready < count ? ready : count;
    for (unsigned index = 0; index < ready; index++) {
        uint16_t head = queue->avail.ring[avail++ & MASK];
        const struct virtq_desc *table = queue->desc;
        const struct virtq_desc *element = &table[head];
        unsigned writable = 0;
        struct floor_piece *first = pieces;

        if ((element->flags & VIRTQ_DESC_F_INDIRECT) != 0) {
            table = (const struct virtq_desc *)(uintptr_t)element->addr;
            element = table;
        }
        for (;; element = &table[element->next]) {
            unsigned flags = element->flags;

            pieces->base = (void *)(uintptr_t)element->addr;
            pieces->len = element->len;
            pieces++;
            writable += (flags & VIRTQ_DESC_F_WRITE) != 0;
            if ((flags & VIRTQ_DESC_F_NEXT) == 0) {
                break;
            }
        }
        chains[index].pieces = first;
        chains[index].id = head;
        chains[index].writable = (uint16_t)writable;
        chains[index].readable = (uint16_t)((unsigned)(pieces - first) - writable);
    }
    queue->device_avail = avail;
    return ready;
}

FLOOR_FUNCTION void floor_split_device_push(struct floor_split *queue,
                                            const struct floor_used *used, unsigned count)
{
    uint16_t past = queue->device_used;
    uint16_t now = past;

    for (unsigned index = 0; index < count; index++) {
        struct virtq_used_elem *element = &queue->used.ring[now++ & MASK];

        element->id = used[index].id;
        element->len = used[index].len;
    }
    queue->device_used = now;
    __atomic_store_n(&queue->used.idx, now, __ATOMIC_RELEASE);
    if (queue->tests) {
        floor_fence();
        queue->device_notifications += floor_needs_event(
            __atomic_load_n(&queue->avail.used_event, __ATOMIC_RELAXED), now, past);
    }
}
