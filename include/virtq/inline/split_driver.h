/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end of a split queue, as templates.
 *
 * Every function takes `how`, an enum virtq_instance that must be a constant. What each does, and
 * which thread may call it, is said at the function of the same name in driver.h; set a queue up
 * with inline/driver_setup.h. The driver never loads from the descriptor table, the available ring
 * or a table (S6). [virtio 1.4, Split Virtqueues]
 */
#ifndef VIRTQ_INLINE_SPLIT_DRIVER_H
#define VIRTQ_INLINE_SPLIT_DRIVER_H

#include "../split.h"
#include "driver_core.h"

/** @brief The driver end of a split queue. */
struct virtq_split_driver {
    struct virtq_driver_core core;    /**< What is the same for both formats. */
    struct virtq_desc *desc;          /**< Shared: descriptor table. */
    struct virtq_avail *avail;        /**< Shared: head of the available ring. */
    uint16_t *ring;                   /**< Shared: slots of the available ring, then used_event. */
    struct virtq_used *used;          /**< Shared: head of the used ring. */
    struct virtq_used_elem *elements; /**< Shared: elements of the used ring, then avail_event. */
    uint16_t *next;  /**< Private: the free list; with IN_ORDER simply the next slot, for ever. */
    uint16_t *heads; /**< Private: what the available ring holds. */
    uint16_t mask;   /**< Queue size - 1. */
    uint16_t head;   /**< First free descriptor. */
    uint16_t added;  /**< Available index, unpublished buffers included. */
    uint16_t published; /**< Available index as the device sees it. */
    uint16_t polled;    /**< Used index up to which buffers were taken back. */
    uint16_t seen;      /**< Used index as last read and checked. */
    uint16_t oldest;    /**< IN_ORDER: head of the buffer that is to come back next. */
    uint16_t batch_id;  /**< IN_ORDER: last buffer of the batch being given out ... */
    uint32_t batch_len; /**< ... and the length the device gave for it ... */
    uint32_t batch;     /**< ... if this is 1. */
};

/** @brief The word by which the driver asks for used buffer notifications (EVENT_IDX). @param q the
 * queue @return used_event */
VIRTQ_TEMPLATE uint16_t *virtq_split_driver_used_event(const struct virtq_split_driver *q)
{
    return &q->ring[q->core.size];
}

/** @brief The word by which the device asks for available buffer notifications (EVENT_IDX). @param
 * q the queue @return avail_event */
VIRTQ_TEMPLATE uint16_t *virtq_split_driver_avail_event(const struct virtq_split_driver *q)
{
    return (uint16_t *)(void *)&q->elements[q->core.size];
}

/** @brief Writes one descriptor; one store a field. @param desc where @param how the instance
 * @param addr device address @param len bytes @param flags VIRTQ_DESC_F_* @param next only stored
 * with VIRTQ_DESC_F_NEXT */
VIRTQ_TEMPLATE void virtq_split_driver_write(struct virtq_desc *desc, unsigned how, uint64_t addr,
                                             uint32_t len, uint16_t flags, uint16_t next)
{
    virtq_shm_store64(&desc->addr, addr, how);
    virtq_shm_store32(&desc->len, len, how);
    virtq_shm_store16(&desc->flags, flags, how);
    if ((flags & VIRTQ_DESC_F_NEXT) != 0u) {
        virtq_shm_store16(&desc->next, next, how);
    }
}

/** @brief Writes a buffer's runs as a chain: into the ring along the free list, or into a table one
 * after the other.
 *
 * Nothing is committed here: on an error the descriptors are free as before.
 * @param q the queue @param how the instance @param source the runs @param table the table, or NULL
 * for the ring
 * @param writable result: bytes the device may write @param last result: last descriptor used
 * @return the next free descriptor (0 for a table), or a negative error */
VIRTQ_TEMPLATE int virtq_split_driver_chain(struct virtq_split_driver *q, unsigned how,
                                            const struct virtq_driver_source *source,
                                            struct virtq_desc *table, uint64_t *writable,
                                            uint16_t *last)
{
    struct virtq_desc *base = table != NULL ? table : q->desc;
    uint16_t i = table != NULL ? 0 : q->head;
    uint64_t total = 0;
    uint64_t read = 0;

    for (uint32_t k = 0; k < source->count; k++) {
        uint16_t next = table != NULL ? (uint16_t)(i + 1u) : q->next[i];
        uint16_t flags = k < source->readable ? 0 : VIRTQ_DESC_F_WRITE;
        uint64_t addr;
        uint32_t len;

        if (VIRTQ_UNLIKELY(virtq_driver_core_run(&q->core, how, source, k, &addr, &len) !=
                           VIRTQ_OK)) {
            return VIRTQ_EFAULT;
        }
        if (VIRTQ_UNLIKELY(len == 0u)) {
            return VIRTQ_EINVAL;
        }
        total += len;
        read += k < source->readable ? len : 0u;
        if (k + 1u < source->count) {
            flags |= VIRTQ_DESC_F_NEXT;
        }
        virtq_split_driver_write(&base[i], how, addr, len, flags, next);
        *last = i;
        i = next;
    }
    if (VIRTQ_UNLIKELY(total > (uint64_t)1 << 32)) {
        return VIRTQ_ETOOBIG;
    }
    *writable = total - read;
    return i;
}

/** @brief Puts a head into the available ring; a slot that holds it already is left alone, so that
 * its line stays with the device. @param q the queue @param how the instance @param head the head
 */
VIRTQ_TEMPLATE void virtq_split_driver_offer(struct virtq_split_driver *q, unsigned how,
                                             uint16_t head)
{
    uint16_t slot = q->added & q->mask;

    if (q->heads[slot] != head) {
        q->heads[slot] = head;
        virtq_shm_store16(&q->ring[slot], head, how);
    }
}

/** @brief Puts a written chain into the books and its head into the available ring.
 * @param q the queue @param how the instance @param buffer the buffer @param slots ring descriptors
 * @param last its last one
 * @param next the next free one @param writable bytes the device may write */
VIRTQ_TEMPLATE void virtq_split_driver_commit(struct virtq_split_driver *q, unsigned how,
                                              const struct virtq_buffer *buffer, uint16_t slots,
                                              uint16_t last, uint16_t next, uint64_t writable)
{
    struct virtq_driver_entry *entry = &q->core.entries[q->head];

    entry->cookie = buffer->cookie;
    entry->writable = writable > UINT32_MAX ? UINT32_MAX : (uint32_t)writable;
    entry->slots = slots;
    entry->last = last;
    virtq_split_driver_offer(q, how, q->head);
    q->head = next;
    q->added++;
    q->core.room = (uint16_t)(q->core.room - slots);
}

/** @brief A buffer in an indirect table: one ring descriptor. S5.
 * @param q the queue @param how the instance @param buffer the buffer @param source its runs
 * @return 0 or an error */
VIRTQ_TEMPLATE int virtq_split_driver_place_table(struct virtq_split_driver *q, unsigned how,
                                                  const struct virtq_buffer *buffer,
                                                  const struct virtq_driver_source *source)
{
    size_t offset = (size_t)q->core.table_bytes * q->head;
    struct virtq_desc *table = (struct virtq_desc *)(void *)(q->core.tables + offset);
    uint64_t writable = 0;
    uint16_t last = 0;
    int result;

    if (VIRTQ_UNLIKELY(q->core.room == 0u)) {
        return VIRTQ_EFULL;
    }
    result = virtq_split_driver_chain(q, how, source, table, &writable, &last);
    if (VIRTQ_UNLIKELY(result < 0)) {
        return result;
    }
    virtq_split_driver_write(&q->desc[q->head], how, q->core.tables_addr + offset,
                             (uint32_t)source->count * 16u, VIRTQ_DESC_F_INDIRECT, 0);
    virtq_split_driver_commit(q, how, buffer, 1, q->head, q->next[q->head], writable);
    return VIRTQ_OK;
}

/** @brief A buffer in ring descriptors.
 * @param q the queue @param how the instance @param buffer the buffer @param source its runs
 * @return 0 or an error */
VIRTQ_TEMPLATE int virtq_split_driver_place_chain(struct virtq_split_driver *q, unsigned how,
                                                  const struct virtq_buffer *buffer,
                                                  const struct virtq_driver_source *source)
{
    uint64_t writable = 0;
    uint16_t last = 0;
    int result;

    if (VIRTQ_UNLIKELY(source->count > q->core.room)) {
        return source->count > q->core.size ? VIRTQ_ETOOBIG : VIRTQ_EFULL;
    }
    result = virtq_split_driver_chain(q, how, source, NULL, &writable, &last);
    if (VIRTQ_UNLIKELY(result < 0)) {
        return result;
    }
    virtq_split_driver_commit(q, how, buffer, source->count, last, (uint16_t)result, writable);
    return VIRTQ_OK;
}

/** @brief Places one buffer. @param q the queue @param how the instance @param buffer the buffer
 * @return 0 or an error, then nothing has changed */
VIRTQ_TEMPLATE int virtq_split_driver_place(struct virtq_split_driver *q, unsigned how,
                                            const struct virtq_buffer *buffer)
{
    struct virtq_driver_source source;
    int error = virtq_driver_core_source(&q->core, how, buffer, q->head, &source);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    if (source.table) {
        error = virtq_split_driver_place_table(q, how, buffer, &source);
    } else {
        error = virtq_split_driver_place_chain(q, how, buffer, &source);
    }
    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED && VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        virtq_driver_core_unmap(&q->core, q->head, 0);
    }
    return error;
}

/** @brief See virtq_driver_add(). @param q the queue @param how the instance @param buffers them
 * @param count how many
 * @return how many were added, or an error */
VIRTQ_TEMPLATE int virtq_split_driver_add(struct virtq_split_driver *q, unsigned how,
                                          const struct virtq_buffer *buffers, unsigned count)
{
    unsigned done = 0;
    int error = VIRTQ_OK;

    if (VIRTQ_UNLIKELY(q->core.fault.reason != (uint32_t)VIRTQ_REASON_NONE)) {
        return VIRTQ_EBROKEN;
    }
    for (; done < count; done++) {
        error = virtq_split_driver_place(q, how, &buffers[done]);
        if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
            error = virtq_driver_core_refuse(&q->core, error);
            break;
        }
    }
    q->core.unpublished += done;
    q->core.counters.added += done;
    return done != 0u ? (int)done : error;
}

/** @brief See virtq_driver_publish(). @param q the queue @param how the instance @return how many
 */
VIRTQ_TEMPLATE unsigned virtq_split_driver_publish(struct virtq_split_driver *q, unsigned how)
{
    unsigned count = q->core.unpublished;

    if (count == 0u) {
        return 0;
    }
    /* B1, partner B3: descriptors and slots before the index. virtio 1.4, Updating idx. */
    virtq_barrier_write((q->core.flags & VIRTQ_CORE_PLATFORM) != 0u);
    virtq_shm_store16_release(&q->avail->idx, q->added, how);
    q->published = q->added;
    q->core.unpublished = 0;
    q->core.outstanding += count;
    virtq_driver_core_published(&q->core, count);
    return count;
}

/** @brief See virtq_driver_needs_notify(). @param q the queue @param how the instance @param data
 * result or NULL @return whether */
VIRTQ_TEMPLATE bool virtq_split_driver_needs_notify(struct virtq_split_driver *q, unsigned how,
                                                    uint32_t *data)
{
    const uint32_t flags = q->core.flags;
    const uint32_t untested = q->core.untested;
    bool wanted = untested >= VIRTQ_UNTESTED_MANY;

    if (data != NULL) {
        *data = virtq_driver_core_notification(&q->core, q->published);
    }
    /* B2, partner B7 of the device: the index before its event or flags, else both ends sleep. */
    virtq_barrier_full((flags & VIRTQ_CORE_PLATFORM) != 0u);
    if ((flags & VIRTQ_CORE_EVENT_IDX) != 0u) {
        uint16_t event = virtq_shm_load16(virtq_split_driver_avail_event(q), how);

        wanted = wanted || virtq_event_split(event, q->published, (uint16_t)untested);
    } else {
        uint16_t used_flags = virtq_shm_load16(&q->used->flags, how);

        wanted = wanted || (untested != 0u && (used_flags & VIRTQ_USED_F_NO_NOTIFY) == 0u);
    }
    return virtq_driver_core_tested(&q->core, wanted);
}

/** @brief Frees an entry's descriptors. @param q the queue @param id its head @param in_order a
 * constant: the ring is its own free list */
VIRTQ_TEMPLATE void virtq_split_driver_free(struct virtq_split_driver *q, uint16_t id,
                                            bool in_order)
{
    struct virtq_driver_entry *entry = &q->core.entries[id];

    q->core.room = (uint16_t)(q->core.room + entry->slots);
    entry->slots = 0;
    if (!in_order) {
        q->next[entry->last] = q->head;
        q->head = id;
    }
}

/** @brief Reads and checks the used index. @param q the queue @param how the instance @return
 * entries to take, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_driver_look(struct virtq_split_driver *q, unsigned how)
{
    /* B6, partner B4 of the device: the index before the elements and the data. */
    uint16_t used = virtq_shm_load16_acquire(&q->used->idx, how);
    uint16_t fresh = (uint16_t)(used - q->polled);

    virtq_barrier_read((q->core.flags & VIRTQ_CORE_PLATFORM) != 0u);
    if (VIRTQ_UNLIKELY(fresh > q->core.outstanding)) {
        return virtq_driver_core_break(&q->core, VIRTQ_REASON_QUEUE_INDEX, q->polled, used);
    }
    q->seen = used;
    return fresh;
}

/** @brief Takes one buffer out of the books and gives it out. @param q the queue @param how the
 * instance @param id its head, checked @param len what the device said, or the writable bytes
 * @param in_order a constant @param completion result
 * @return 0 or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_driver_complete(struct virtq_split_driver *q, unsigned how,
                                               uint16_t id, uint32_t len, bool in_order,
                                               struct virtq_completion *completion)
{
    struct virtq_driver_entry *entry = &q->core.entries[id];

    if (VIRTQ_UNLIKELY(len > entry->writable) &&
        virtq_driver_core_clamp(&q->core, entry->writable, q->polled, &len) != VIRTQ_OK) {
        return VIRTQ_EBROKEN;
    }
    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED) {
        virtq_driver_core_unmap(&q->core, id, len);
    }
    completion->cookie = entry->cookie;
    completion->len = len;
    completion->id = id;
    virtq_split_driver_free(q, id, in_order);
    return VIRTQ_OK;
}

/** @brief Whether a head was added but not yet published: then the device cannot know it.
 * @param q the queue @param id an outstanding head @return whether */
VIRTQ_COLD bool virtq_split_driver_hidden(const struct virtq_split_driver *q, uint16_t id)
{
    for (uint16_t i = q->published; i != q->added; i++) {
        if (q->heads[i & q->mask] == id) {
            return true;
        }
    }
    return false;
}

/** @brief One used element: its head must be outstanding (S10), and complete once. @param q the
 * queue @param how the instance
 * @param completion result @return 0 or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_driver_take(struct virtq_split_driver *q, unsigned how,
                                           struct virtq_completion *completion)
{
    const struct virtq_used_elem *element = &q->elements[q->polled & q->mask];
    uint32_t id = virtq_shm_load32(&element->id, how);
    uint32_t len = virtq_shm_load32(&element->len, how);

    if (VIRTQ_UNLIKELY(id > q->mask || q->core.entries[id].slots == 0u)) {
        return virtq_driver_core_break(&q->core, VIRTQ_REASON_QUEUE_ID, q->polled, id);
    }
    if (VIRTQ_UNLIKELY(q->added != q->published) && virtq_split_driver_hidden(q, (uint16_t)id)) {
        return virtq_driver_core_break(&q->core, VIRTQ_REASON_QUEUE_ID, q->polled, id);
    }
    return virtq_split_driver_complete(q, how, (uint16_t)id, len, false, completion);
}

/** @brief The same with IN_ORDER: one element may stand for a batch, whose earlier buffers count as
 * fully used. I2, I4, I5.
 * @param q the queue @param how the instance @param completion result @return 0 or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_driver_take_ordered(struct virtq_split_driver *q, unsigned how,
                                                   struct virtq_completion *completion)
{
    uint16_t id = q->oldest;
    struct virtq_driver_entry *entry = &q->core.entries[id];
    uint32_t len = entry->writable;
    int error;

    if (q->batch == 0u) {
        const struct virtq_used_elem *element = &q->elements[q->polled & q->mask];
        uint32_t last = virtq_shm_load32(&element->id, how);

        q->batch_len = virtq_shm_load32(&element->len, how);
        if (last > q->mask || q->core.entries[last].slots == 0u) {
            return virtq_driver_core_break(&q->core, VIRTQ_REASON_QUEUE_ID, q->polled, last);
        }
        q->batch_id = (uint16_t)last;
        q->batch = 1;
    }
    if (id == q->batch_id) {
        len = q->batch_len;
        q->batch = 0;
    } else if ((uint16_t)(q->seen - q->polled) == 1u) {
        /* The index covers fewer buffers than the batch it ends with: the device skipped or
         * reordered. */
        return virtq_driver_core_break(&q->core, VIRTQ_REASON_QUEUE_ORDER, q->polled, q->batch_id);
    }
    q->oldest = (uint16_t)((id + entry->slots) & q->mask);
    error = virtq_split_driver_complete(q, how, id, len, true, completion);
    return error;
}

/** @brief The loop of a poll. @param q the queue @param how the instance @param in_order a constant
 * @param completions room
 * @param count how many are there and wanted @return how many were taken, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_driver_drain(struct virtq_split_driver *q, unsigned how,
                                            bool in_order, struct virtq_completion *completions,
                                            unsigned count)
{
    unsigned done = 0;
    int error = VIRTQ_OK;

    for (; done < count; done++) {
        error = in_order ? virtq_split_driver_take_ordered(q, how, &completions[done])
                         : virtq_split_driver_take(q, how, &completions[done]);
        if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
            break;
        }
        q->polled++;
    }
    q->core.outstanding -= done;
    q->core.counters.used += done;
    return done != 0u ? (int)done : error;
}

/** @brief See virtq_driver_poll(). @param q the queue @param how the instance @param completions
 * room for `count` @param count at most so many @return how many, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_driver_poll(struct virtq_split_driver *q, unsigned how,
                                           struct virtq_completion *completions, unsigned count)
{
    unsigned there = (uint16_t)(q->seen - q->polled);

    if (VIRTQ_UNLIKELY(q->core.fault.reason != (uint32_t)VIRTQ_REASON_NONE)) {
        return VIRTQ_EBROKEN;
    }
    if (there < count) {
        int fresh = virtq_split_driver_look(q, how);

        if (fresh <= 0) {
            return fresh;
        }
        there = (unsigned)fresh;
    }
    count = there < count ? there : count;
    if ((q->core.flags & VIRTQ_CORE_IN_ORDER) != 0u) {
        return virtq_split_driver_drain(q, how, true, completions, count);
    }
    return virtq_split_driver_drain(q, how, false, completions, count);
}

/** @brief See virtq_driver_enable_notify_after(). @param q the queue @param how the instance @param
 * buffers 1 or more @return whether so many came */
VIRTQ_TEMPLATE bool virtq_split_driver_enable_notify(struct virtq_split_driver *q, unsigned how,
                                                     unsigned buffers)
{
    uint32_t after = buffers > q->core.outstanding ? q->core.outstanding : buffers;

    after = after == 0u ? 1u : after;
    if ((q->core.flags & VIRTQ_CORE_EVENT_IDX) != 0u) {
        virtq_shm_store16(virtq_split_driver_used_event(q), (uint16_t)(q->polled + after - 1u),
                          how);
    } else {
        after = 1;
        virtq_shm_store16(&q->avail->flags, 0, how);
    }
    q->core.flags &= ~(uint32_t)VIRTQ_CORE_SILENT;
    /* B7, partner B5 of the device: our wish before its index, else it may have gone by unseen. */
    virtq_barrier_full((q->core.flags & VIRTQ_CORE_PLATFORM) != 0u);
    return q->core.fault.reason != (uint32_t)VIRTQ_REASON_NONE ||
           (uint16_t)(virtq_shm_load16(&q->used->idx, how) - q->polled) >= after;
}

/** @brief See virtq_driver_disable_notify(). @param q the queue @param how the instance */
VIRTQ_TEMPLATE void virtq_split_driver_disable_notify(struct virtq_split_driver *q, unsigned how)
{
    if ((q->core.flags & VIRTQ_CORE_SILENT) != 0u) {
        return;
    }
    q->core.flags |= VIRTQ_CORE_SILENT;
    if ((q->core.flags & VIRTQ_CORE_EVENT_IDX) != 0u) {
        /* S11: flags stay 0 with EVENT_IDX; the event is put as far away as it can be. */
        virtq_shm_store16(virtq_split_driver_used_event(q), (uint16_t)(q->polled - 1u), how);
    } else {
        virtq_shm_store16(&q->avail->flags, VIRTQ_AVAIL_F_NO_INTERRUPT, how);
    }
}

#endif
