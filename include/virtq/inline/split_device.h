/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a split queue, as templates.
 *
 * Every function takes `how`, an enum virtq_instance that must be a constant. What each does, and
 * which thread may call it, is said at the function of the same name in device.h; set a queue up
 * with inline/device_setup.h. The device never writes the descriptor table or the available ring
 * (S6). [virtio 1.4, Split Virtqueues]
 */
#ifndef VIRTQ_INLINE_SPLIT_DEVICE_H
#define VIRTQ_INLINE_SPLIT_DEVICE_H

#include "../split.h"
#include "device_core.h"
#include "walk.h"

/** @brief The device end of a split queue. */
struct virtq_split_device {
    struct virtq_device_core core;    /**< What is the same for both formats. */
    const struct virtq_desc *desc;    /**< Shared: descriptor table. */
    const struct virtq_avail *avail;  /**< Shared: head of the available ring. */
    const uint16_t *ring;             /**< Shared: slots of the available ring, then used_event. */
    struct virtq_used *used;          /**< Shared: head of the used ring. */
    struct virtq_used_elem *elements; /**< Shared: elements of the used ring, then avail_event. */
    uint16_t mask;                    /**< Queue size - 1. */
    uint16_t popped;                  /**< Available index up to which buffers were taken. */
    uint16_t seen;                    /**< Available index as last read and checked. */
    uint16_t pushed;                  /**< Used index, unpublished elements included. */
    uint16_t published;               /**< Used index as the driver sees it. */
};

/** @brief Derives the pointers from `core.areas`. @param q the queue */
VIRTQ_INLINE void virtq_split_device_attach(struct virtq_split_device *q)
{
    unsigned char *used = (unsigned char *)q->core.areas.device;
    const unsigned char *avail = (const unsigned char *)q->core.areas.driver;

    q->desc = (const struct virtq_desc *)q->core.areas.descriptor;
    q->avail = (const struct virtq_avail *)(const void *)avail;
    q->ring = (const uint16_t *)(const void *)(avail + sizeof(struct virtq_avail));
    q->used = (struct virtq_used *)(void *)used;
    q->elements = (struct virtq_used_elem *)(void *)(used + sizeof(struct virtq_used));
    q->mask = (uint16_t)(q->core.size - 1u);
}

/** @brief The space has moved on: forgets the windows, and finds the ring again if it goes through
 * the space.
 * @param q the queue @return 0, VIRTQ_EMISS (nothing is lost: resolve and call again) or
 * VIRTQ_EBROKEN */
VIRTQ_COLD int virtq_split_device_refresh(struct virtq_split_device *q)
{
    struct virtq_device_core *core = &q->core;
    uint64_t generation = __atomic_load_n(&core->space->generation, __ATOMIC_ACQUIRE);
    int error = VIRTQ_OK;

    virtq_device_core_forget(core);
    if ((core->flags & VIRTQ_CORE_TRANSLATED) != 0u) {
        uint64_t size = core->size;

        error = virtq_device_core_ring(core, size * 16u, size * 2u + 6u, size * 8u + 6u);
        if (error != VIRTQ_OK) {
            return virtq_device_core_lost(core, q->popped, error);
        }
        virtq_split_device_attach(q);
    }
    core->generation = generation;
    return VIRTQ_OK;
}

/** @brief What every call begins with. @param q the queue @param how the instance @return 0,
 * VIRTQ_EMISS or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_device_begin(struct virtq_split_device *q, unsigned how)
{
    int state = virtq_device_core_begin(&q->core, how);

    return VIRTQ_UNLIKELY(state > 0) ? virtq_split_device_refresh(q) : state;
}

/** @brief Walks a table: a chain within it, from entry 0. S5.
 * @param q the queue @param how the instance @param walk the walk @param addr the table's device
 * address @param len its bytes
 * @return as for the walker */
VIRTQ_TEMPLATE int virtq_split_device_table(struct virtq_split_device *q, unsigned how,
                                            struct virtq_walk *walk, virtq_addr_t addr,
                                            uint32_t len)
{
    struct virtq_table table;
    uint32_t index = 0;
    int result = virtq_walk_open(&q->core, how, &table, addr, len);

    if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
        return result;
    }
    for (uint32_t steps = 1;; steps++) {
        struct virtq_desc entry;

        result = virtq_walk_entry(&q->core, how, &table, index, &entry);
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
            return result;
        }
        if (VIRTQ_UNLIKELY((entry.flags & VIRTQ_DESC_F_INDIRECT) != 0u)) {
            return (int)VIRTQ_REASON_TABLE_NESTED;
        }
        result = virtq_walk_element(&q->core, how, walk, entry.addr, entry.len,
                                    (entry.flags & VIRTQ_DESC_F_WRITE) != 0u);
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK) || (entry.flags & VIRTQ_DESC_F_NEXT) == 0u) {
            return result;
        }
        index = entry.next;
        if (VIRTQ_UNLIKELY(index >= table.entries)) {
            return (int)VIRTQ_REASON_TABLE_RANGE;
        }
        if (VIRTQ_UNLIKELY(steps == table.entries)) {
            return (int)VIRTQ_REASON_TABLE_LOOP;
        }
    }
}

/** @brief Walks a chain of ring descriptors, which may end in one table. S4, S5, H1, H4.
 * @param q the queue @param how the instance @param walk the walk @param head below the queue size
 * @return as for the walker, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_device_walk(struct virtq_split_device *q, unsigned how,
                                           struct virtq_walk *walk, uint16_t head)
{
    uint32_t index = head;

    for (uint32_t steps = 1;; steps++) {
        const struct virtq_desc *desc = &q->desc[index];
        uint64_t addr = virtq_shm_load64(&desc->addr, how);
        uint32_t len = virtq_shm_load32(&desc->len, how);
        uint16_t flags = virtq_shm_load16(&desc->flags, how);
        int result;

        if ((flags & VIRTQ_DESC_F_INDIRECT) != 0u) {
            /* The device MUST ignore WRITE here: virtio 1.4, Indirect Descriptors. */
            return (flags & VIRTQ_DESC_F_NEXT) != 0u
                       ? (int)VIRTQ_REASON_TABLE_NEXT
                       : virtq_split_device_table(q, how, walk, addr, len);
        }
        result =
            virtq_walk_element(&q->core, how, walk, addr, len, (flags & VIRTQ_DESC_F_WRITE) != 0u);
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK) || (flags & VIRTQ_DESC_F_NEXT) == 0u) {
            return result;
        }
        index = virtq_shm_load16(&desc->next, how);
        if (VIRTQ_UNLIKELY(index > q->mask)) {
            return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_NEXT, q->popped, index);
        }
        if (VIRTQ_UNLIKELY(steps == q->core.size)) {
            return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_LOOP, q->popped, head);
        }
    }
}

/** @brief Takes one buffer. @param q the queue @param how the instance @param chain result @param
 * piece first free piece @param first of the caller's array @param end of it
 * @return its pieces (0 or more), or VIRTQ_EMISS, VIRTQ_EBROKEN, VIRTQ_EFULL (come back with all
 * pieces free) */
VIRTQ_TEMPLATE int64_t virtq_split_device_take(struct virtq_split_device *q, unsigned how,
                                               struct virtq_chain *chain, struct virtq_piece *piece,
                                               struct virtq_piece *first, struct virtq_piece *end)
{
    struct virtq_walk walk;
    uint16_t head = virtq_shm_load16(&q->ring[q->popped & q->mask], how);
    int result;

    if (VIRTQ_UNLIKELY(head > q->mask)) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_HEAD, q->popped, head);
    }
    if (VIRTQ_UNLIKELY(q->core.entries[head].slots != 0u)) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_IN_FLIGHT, q->popped, head);
    }
    virtq_walk_begin(&walk, piece, end);
    result = virtq_split_device_walk(q, how, &walk, head);
    if (VIRTQ_LIKELY(result == VIRTQ_OK)) {
        result = virtq_walk_end(&walk, chain);
    }
    if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
        if (result == VIRTQ_EFULL && piece == first) {
            result = (int)VIRTQ_REASON_PIECES;
        }
        if (result < 0) {
            return result;
        }
        virtq_walk_bad(&q->core, chain, result);
        walk.piece = piece;
    }
    chain->id = head;
    chain->slots = 1;
    virtq_device_core_enter(&q->core, chain, q->popped);
    q->popped++;
    return walk.piece - piece;
}

/** @brief Reads and checks the available index. @param q the queue @param how the instance @return
 * entries to take, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_device_look(struct virtq_split_device *q, unsigned how)
{
    /* B3, partner B1 of the driver: the index before slots and descriptors. */
    uint16_t available = virtq_shm_load16_acquire(&q->avail->idx, how);

    virtq_barrier_read((q->core.flags & VIRTQ_CORE_PLATFORM) != 0u);
    /* S8: never more than the queue size between what is available and what was returned. */
    if (VIRTQ_UNLIKELY((uint16_t)(available - q->published) > q->core.size ||
                       (uint16_t)(available - q->popped) > q->core.size)) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_INDEX, q->popped, available);
    }
    q->seen = available;
    return (uint16_t)(available - q->popped);
}

/** @brief What a pop gives that stopped early. @param q the queue @param done buffers taken @param
 * result why it stopped
 * @return what pop returns */
VIRTQ_COLD int virtq_split_device_stopped(struct virtq_split_device *q, unsigned done, int result)
{
    if (result == VIRTQ_EMISS && done == 0u) {
        q->core.counters.error_miss++;
        q->core.ahead = (uint16_t)(q->seen - q->popped);
    }
    return done != 0u ? (int)done : result;
}

/** @brief See virtq_device_pop(). @param q the queue @param how the instance @param chains room for
 * `count` @param count budget
 * @param pieces room @param piece_count how many @return how many, or VIRTQ_EMISS or VIRTQ_EBROKEN
 */
VIRTQ_TEMPLATE int virtq_split_device_pop(struct virtq_split_device *q, unsigned how,
                                          struct virtq_chain *chains, unsigned count,
                                          struct virtq_piece *pieces, unsigned piece_count)
{
    struct virtq_piece *piece = pieces;
    unsigned there = (uint16_t)(q->seen - q->popped);
    unsigned done = 0;
    int64_t taken = virtq_split_device_begin(q, how);

    if (VIRTQ_UNLIKELY(taken < 0)) {
        return (int)taken;
    }
    if (VIRTQ_UNLIKELY((q->core.flags & VIRTQ_CORE_QUIESCED) != 0u)) {
        return 0;
    }
    if (there < count) {
        int fresh = virtq_split_device_look(q, how);

        if (fresh <= 0) {
            return fresh;
        }
        there = (unsigned)fresh;
    }
    count = there < count ? there : count;
    while (done < count) {
        taken = virtq_split_device_take(q, how, &chains[done], piece, pieces, pieces + piece_count);
        if (VIRTQ_UNLIKELY(taken < 0)) {
            break;
        }
        piece += taken;
        done++;
    }
    virtq_device_core_popped(&q->core, done, done, (uint32_t)(piece - pieces));
    return VIRTQ_LIKELY(taken >= 0) ? (int)done : virtq_split_device_stopped(q, done, (int)taken);
}

/** @brief Writes one used element. @param q the queue @param how the instance @param used head and
 * bytes written @param buffers how many it stands for: 1, or a batch (I2) */
VIRTQ_TEMPLATE void virtq_split_device_write(struct virtq_split_device *q, unsigned how,
                                             const struct virtq_used_buffer *used, uint32_t buffers)
{
    struct virtq_used_elem *element = &q->elements[q->pushed & q->mask];

    virtq_shm_store32(&element->id, used->id, how);
    virtq_shm_store32(&element->len, used->len, how);
    q->pushed = (uint16_t)(q->pushed + buffers);
}

/** @brief See virtq_device_push(). @param q the queue @param how the instance @param used them
 * @param count how many
 * @return how many, or an error */
VIRTQ_TEMPLATE int virtq_split_device_push(struct virtq_split_device *q, unsigned how,
                                           const struct virtq_used_buffer *used, unsigned count)
{
    const bool in_order = (q->core.flags & VIRTQ_CORE_IN_ORDER) != 0u;
    unsigned done = 0;
    int error = virtq_split_device_begin(q, how);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    for (; done < count; done++) {
        struct virtq_device_entry *entry = virtq_device_core_pushable(&q->core, &used[done]);

        if (VIRTQ_UNLIKELY(entry == NULL)) {
            break;
        }
        if (VIRTQ_UNLIKELY(in_order)) {
            if (!virtq_device_core_hold(&q->core, &used[done])) {
                break;
            }
            continue;
        }
        entry->slots = 0;
        virtq_split_device_write(q, how, &used[done], 1);
    }
    return virtq_device_core_pushed(&q->core, in_order, done, count);
}

/** @brief IN_ORDER: writes what is held back and whose turn has come, one element for a run of
 * fully used buffers. I2.
 * @param q the queue @param how the instance */
VIRTQ_TEMPLATE void virtq_split_device_flush(struct virtq_split_device *q, unsigned how)
{
    struct virtq_used_buffer used = {0, 0};
    uint32_t slots;
    uint32_t buffers = virtq_device_core_batch(&q->core, &used, &slots);

    while (buffers != 0u) {
        virtq_split_device_write(q, how, &used, buffers);
        q->core.unpublished += buffers;
        buffers = virtq_device_core_batch(&q->core, &used, &slots);
    }
}

/** @brief See virtq_device_publish(). @param q the queue @param how the instance @return how many,
 * or an error */
VIRTQ_TEMPLATE int virtq_split_device_publish(struct virtq_split_device *q, unsigned how)
{
    uint32_t count;
    int error = virtq_split_device_begin(q, how);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    if (VIRTQ_UNLIKELY(q->core.held != 0u)) {
        virtq_split_device_flush(q, how);
    }
    count = q->core.unpublished;
    if (count == 0u) {
        return 0;
    }
    /* B4, partner B6 of the driver: data and elements before the index. */
    virtq_barrier_write((q->core.flags & VIRTQ_CORE_PLATFORM) != 0u);
    virtq_shm_store16_release(&q->used->idx, q->pushed, how);
    q->published = q->pushed;
    q->core.unpublished = 0;
    virtq_device_core_published(&q->core, count);
    return (int)count;
}

/** @brief S13: whether a legacy device has drained the ring and has to say so. @param q the queue
 * @param how the instance
 * @return whether */
VIRTQ_TEMPLATE bool virtq_split_device_drained(const struct virtq_split_device *q, unsigned how)
{
    return (q->core.flags & VIRTQ_CORE_NOTIFY_ON_EMPTY) != 0u && q->core.in_flight == 0u &&
           q->core.untested != 0u && virtq_shm_load16(&q->avail->idx, how) == q->popped;
}

/** @brief See virtq_device_needs_notify(). @param q the queue @param how the instance @return 1, 0
 * or an error */
VIRTQ_TEMPLATE int virtq_split_device_needs_notify(struct virtq_split_device *q, unsigned how)
{
    const uint32_t untested = q->core.untested;
    bool wanted = untested >= VIRTQ_UNTESTED_MANY;
    int error = virtq_split_device_begin(q, how);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    /* B5, partner B7 of the driver: the index before its event or flags, else both ends sleep. */
    virtq_barrier_full((q->core.flags & VIRTQ_CORE_PLATFORM) != 0u);
    if ((q->core.flags & VIRTQ_CORE_EVENT_IDX) != 0u) {
        uint16_t event = virtq_shm_load16(&q->ring[q->core.size], how);

        wanted = wanted || virtq_event_split(event, q->published, (uint16_t)untested);
    } else {
        uint16_t flags = virtq_shm_load16(&q->avail->flags, how);

        wanted = wanted || (untested != 0u && (flags & VIRTQ_AVAIL_F_NO_INTERRUPT) == 0u);
    }
    wanted = wanted || virtq_split_device_drained(q, how);
    return virtq_device_core_tested(&q->core, wanted);
}

/** @brief See virtq_device_enable_notify(). @param q the queue @param how the instance @return
 * whether something new came */
VIRTQ_TEMPLATE bool virtq_split_device_enable_notify(struct virtq_split_device *q, unsigned how)
{
    uint16_t known = (uint16_t)(q->popped + q->core.ahead);

    if (VIRTQ_UNLIKELY(virtq_split_device_begin(q, how) != VIRTQ_OK)) {
        return true;
    }
    if (VIRTQ_UNLIKELY((q->core.flags & VIRTQ_CORE_QUIESCED) != 0u)) {
        return false;
    }
    if ((q->core.flags & VIRTQ_CORE_EVENT_IDX) != 0u) {
        virtq_shm_store16((uint16_t *)(void *)&q->elements[q->core.size], known, how);
    } else {
        virtq_shm_store16(&q->used->flags, 0, how);
    }
    q->core.flags &= ~(uint32_t)VIRTQ_CORE_SILENT;
    /* B7, partner B2 of the driver: our wish before its index, else it may have gone by unseen. */
    virtq_barrier_full((q->core.flags & VIRTQ_CORE_PLATFORM) != 0u);
    return virtq_shm_load16(&q->avail->idx, how) != known;
}

/** @brief See virtq_device_disable_notify(). @param q the queue @param how the instance */
VIRTQ_TEMPLATE void virtq_split_device_disable_notify(struct virtq_split_device *q, unsigned how)
{
    if ((q->core.flags & VIRTQ_CORE_SILENT) != 0u || virtq_split_device_begin(q, how) != VIRTQ_OK) {
        return;
    }
    q->core.flags |= VIRTQ_CORE_SILENT;
    if ((q->core.flags & VIRTQ_CORE_EVENT_IDX) != 0u) {
        /* S11: flags stay 0 with EVENT_IDX; the event is put as far away as it can be. */
        virtq_shm_store16((uint16_t *)(void *)&q->elements[q->core.size],
                          (uint16_t)(q->popped - 1u), how);
    } else {
        virtq_shm_store16(&q->used->flags, VIRTQ_USED_F_NO_NOTIFY, how);
    }
}

/** @brief See virtq_device_unpop(). @param q the queue @param chains the latest ones @param count
 * how many @return 0 or VIRTQ_EINVAL */
VIRTQ_INLINE int virtq_split_device_unpop(struct virtq_split_device *q,
                                          const struct virtq_chain *chains, unsigned count)
{
    uint16_t sequence = (uint16_t)(q->popped - count);

    if (count == 0u || count > q->core.in_flight) {
        return VIRTQ_EINVAL;
    }
    for (unsigned i = 0; i < count; i++, sequence++) {
        const struct virtq_device_entry *entry = &q->core.entries[chains[i].id & q->mask];

        if (chains[i].id > q->mask || entry->slots == 0u || entry->sequence != sequence) {
            return VIRTQ_EINVAL;
        }
    }
    virtq_device_core_unpopped(&q->core, chains, count, count);
    q->popped = (uint16_t)(q->popped - count);
    return VIRTQ_OK;
}

#endif
