/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end of a packed queue, as templates.
 *
 * Every function takes `how`, an enum virtq_instance that must be a constant. What each does, and
 * which thread may call it, is said at the function of the same name in driver.h; set a queue up
 * with inline/driver_setup.h. The driver loads a descriptor's flags, and then id and length of a
 * used one; never an address. [virtio 1.4, Packed Virtqueues]
 */
#ifndef VIRTQ_INLINE_PACKED_DRIVER_H
#define VIRTQ_INLINE_PACKED_DRIVER_H

#include "../packed.h"
#include "driver_core.h"

/** @brief The driver end of a packed queue. */
struct virtq_packed_driver {
    struct virtq_driver_core core; /**< What is the same for both formats. */
    struct pvirtq_desc *desc;      /**< Shared: descriptor ring. */
    uint32_t *own_event;           /**< Shared: driver event suppression, as one word. */
    const uint32_t *event;         /**< Shared: device event suppression, as one word. */
    uint16_t *ids;      /**< Private: id of the buffer whose first descriptor is in the slot. */
    uint16_t id;        /**< First free id; the others follow in virtq_driver_entry::last. */
    uint16_t added;     /**< Position behind everything added. */
    uint16_t published; /**< Position behind everything the device sees; its flags are what publish
                           stores. */
    uint16_t
        published_flags; /**< Flags of the first unpublished descriptor: the only ones held back. */
    uint16_t polled;     /**< Position of the next used descriptor. */
    uint16_t oldest;     /**< IN_ORDER: id of the buffer that is to come back next. */
    uint16_t batch_id;   /**< IN_ORDER: last buffer of the batch being given out ... */
    uint32_t batch_len;  /**< ... and the length the device gave for it ... */
    uint32_t batch;      /**< ... if this is 1. */
};

/** @brief Writes all of a descriptor but its flags. @param desc where @param how the instance
 * @param addr device address @param len bytes @param id buffer id; in every descriptor, though only
 * the last one's counts */
VIRTQ_TEMPLATE void virtq_packed_driver_write(struct pvirtq_desc *desc, unsigned how, uint64_t addr,
                                              uint32_t len, uint16_t id)
{
    virtq_shm_store64(&desc->addr, addr, how);
    virtq_shm_store32(&desc->len, len, how);
    virtq_shm_store16(&desc->id, id, how);
}

/** @brief Writes flags, unless they are the first unpublished ones: those publish stores, last of
 * all. P4, B8.
 * @param q the queue @param how the instance @param position which descriptor @param flags its
 * flags */
VIRTQ_TEMPLATE void virtq_packed_driver_flag(struct virtq_packed_driver *q, unsigned how,
                                             uint16_t position, uint16_t flags)
{
    if (position == q->published) {
        q->published_flags = flags;
    } else {
        virtq_shm_store16(&q->desc[virtq_position_offset(position)].flags, flags, how);
    }
}

/** @brief Flags of an available descriptor. P3, P4. @param position where it is @param source the
 * buffer @param index which of its runs @return PVIRTQ_DESC_F_* and VIRTQ_DESC_F_* */
VIRTQ_TEMPLATE uint16_t virtq_packed_driver_flags(uint16_t position,
                                                  const struct virtq_driver_source *source,
                                                  uint32_t index)
{
    uint32_t flags = virtq_position_available(position);

    flags |= index < source->readable ? 0u : (uint32_t)VIRTQ_DESC_F_WRITE;
    flags |= index + 1u < source->count ? (uint32_t)VIRTQ_DESC_F_NEXT : 0u;
    return (uint16_t)flags;
}

/** @brief Puts a written list into the books. @param q the queue @param buffer the buffer @param
 * slots ring descriptors @param after the position behind it @param writable bytes the device may
 * write */
VIRTQ_TEMPLATE void virtq_packed_driver_commit(struct virtq_packed_driver *q,
                                               const struct virtq_buffer *buffer, uint16_t slots,
                                               uint16_t after, uint64_t writable)
{
    struct virtq_driver_entry *entry = &q->core.entries[q->id];

    q->ids[virtq_position_offset(q->added)] = q->id;
    q->id = entry->last;
    entry->cookie = buffer->cookie;
    entry->writable = writable > UINT32_MAX ? UINT32_MAX : (uint32_t)writable;
    entry->slots = slots;
    q->added = after;
    q->core.room = (uint16_t)(q->core.room - slots);
}

/** @brief A buffer in an indirect table: one ring descriptor. P8.
 * @param q the queue @param how the instance @param buffer the buffer @param source its runs
 * @return 0 or an error */
VIRTQ_TEMPLATE int virtq_packed_driver_place_table(struct virtq_packed_driver *q, unsigned how,
                                                   const struct virtq_buffer *buffer,
                                                   const struct virtq_driver_source *source)
{
    size_t offset = (size_t)q->core.table_bytes * q->id;
    struct pvirtq_desc *table = (struct pvirtq_desc *)(void *)(q->core.tables + offset);
    uint64_t total = 0;
    uint64_t read = 0;

    if (VIRTQ_UNLIKELY(q->core.room == 0u)) {
        return VIRTQ_EFULL;
    }
    for (uint32_t k = 0; k < source->count; k++) {
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
        virtq_packed_driver_write(&table[k], how, addr, len, 0);
        virtq_shm_store16(&table[k].flags, k < source->readable ? 0 : VIRTQ_DESC_F_WRITE, how);
    }
    if (VIRTQ_UNLIKELY(total > (uint64_t)1 << 32)) {
        return VIRTQ_ETOOBIG;
    }
    virtq_packed_driver_write(&q->desc[virtq_position_offset(q->added)], how,
                              q->core.tables_addr + offset, (uint32_t)source->count * 16u, q->id);
    virtq_packed_driver_flag(q, how, q->added,
                             virtq_position_available(q->added) | VIRTQ_DESC_F_INDIRECT);
    virtq_packed_driver_commit(q, buffer, 1, virtq_position_advance(q->added, 1, q->core.size),
                               total - read);
    return VIRTQ_OK;
}

/** @brief Makes the tail of a buffer that turned out to be bad unavailable again. Its head never
 * was.
 * @param q the queue @param how the instance @param end the position behind the last descriptor
 * written */
VIRTQ_COLD void virtq_packed_driver_erase(struct virtq_packed_driver *q, unsigned how, uint16_t end)
{
    uint16_t position = virtq_position_advance(q->added, 1, q->core.size);

    while (position != end) {
        uint16_t flags = virtq_position_used((uint16_t)(position ^ VIRTQ_POSITION_WRAP));

        virtq_shm_store16(&q->desc[virtq_position_offset(position)].flags, flags, how);
        position = virtq_position_advance(position, 1, q->core.size);
    }
}

/** @brief Writes a buffer's descriptors into the ring, all but the head's flags.
 * @param q the queue @param how the instance @param source its runs @param end result: the position
 * behind the last one written
 * @param writable result: bytes the device may write @return 0 or an error */
VIRTQ_TEMPLATE int virtq_packed_driver_list(struct virtq_packed_driver *q, unsigned how,
                                            const struct virtq_driver_source *source, uint16_t *end,
                                            uint64_t *writable)
{
    uint16_t position = q->added;
    uint64_t total = 0;
    uint64_t read = 0;

    for (uint32_t k = 0; k < source->count; k++) {
        struct pvirtq_desc *desc = &q->desc[virtq_position_offset(position)];
        uint64_t addr;
        uint32_t len;

        *end = position;
        if (VIRTQ_UNLIKELY(virtq_driver_core_run(&q->core, how, source, k, &addr, &len) !=
                           VIRTQ_OK)) {
            return VIRTQ_EFAULT;
        }
        if (VIRTQ_UNLIKELY(len == 0u)) {
            return VIRTQ_EINVAL;
        }
        total += len;
        read += k < source->readable ? len : 0u;
        virtq_packed_driver_write(desc, how, addr, len, q->id);
        if (k != 0u) {
            virtq_shm_store16(&desc->flags, virtq_packed_driver_flags(position, source, k), how);
        }
        position = virtq_position_advance(position, 1, q->core.size);
    }
    *end = position;
    *writable = total - read;
    return VIRTQ_UNLIKELY(total > (uint64_t)1 << 32) ? VIRTQ_ETOOBIG : VIRTQ_OK;
}

/** @brief A buffer in ring descriptors. P12: room for all of it first.
 * @param q the queue @param how the instance @param buffer the buffer @param source its runs
 * @return 0 or an error */
VIRTQ_TEMPLATE int virtq_packed_driver_place_list(struct virtq_packed_driver *q, unsigned how,
                                                  const struct virtq_buffer *buffer,
                                                  const struct virtq_driver_source *source)
{
    uint64_t writable = 0;
    uint16_t end = q->added;
    int error;

    if (VIRTQ_UNLIKELY(source->count > q->core.room)) {
        return source->count > q->core.size ? VIRTQ_ETOOBIG : VIRTQ_EFULL;
    }
    error = virtq_packed_driver_list(q, how, source, &end, &writable);
    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        if (end != q->added) {
            virtq_packed_driver_erase(q, how, end);
        }
        return error;
    }
    virtq_packed_driver_flag(q, how, q->added, virtq_packed_driver_flags(q->added, source, 0));
    virtq_packed_driver_commit(q, buffer, source->count, end, writable);
    return VIRTQ_OK;
}

/** @brief Places one buffer. @param q the queue @param how the instance @param buffer the buffer
 * @return 0 or an error, then nothing has changed */
VIRTQ_TEMPLATE int virtq_packed_driver_place(struct virtq_packed_driver *q, unsigned how,
                                             const struct virtq_buffer *buffer)
{
    struct virtq_driver_source source;
    uint16_t id = q->id;
    int error = virtq_driver_core_source(&q->core, how, buffer, id, &source);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    if (source.table) {
        error = virtq_packed_driver_place_table(q, how, buffer, &source);
    } else {
        error = virtq_packed_driver_place_list(q, how, buffer, &source);
    }
    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED && VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        virtq_driver_core_unmap(&q->core, id, 0);
    }
    return error;
}

/** @brief See virtq_driver_add(). @param q the queue @param how the instance @param buffers them
 * @param count how many
 * @return how many were added, or an error */
VIRTQ_TEMPLATE int virtq_packed_driver_add(struct virtq_packed_driver *q, unsigned how,
                                           const struct virtq_buffer *buffers, unsigned count)
{
    unsigned done = 0;
    int error = VIRTQ_OK;

    if (VIRTQ_UNLIKELY(q->core.fault.reason != (uint32_t)VIRTQ_REASON_NONE)) {
        return VIRTQ_EBROKEN;
    }
    for (; done < count; done++) {
        error = virtq_packed_driver_place(q, how, &buffers[done]);
        if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
            error = virtq_driver_core_refuse(&q->core, error);
            break;
        }
    }
    q->core.unpublished += done;
    q->core.counters.added += done;
    return done != 0u ? (int)done : error;
}

/** @brief Descriptors from one position to a later one. @param q the queue @param from a position
 * @param to less than a lap behind it, or the same @return how many, 0 to size */
VIRTQ_TEMPLATE uint32_t virtq_packed_driver_between(const struct virtq_packed_driver *q,
                                                    uint16_t from, uint16_t to)
{
    uint32_t offset = virtq_position_offset(to);

    offset += ((from ^ to) & VIRTQ_POSITION_WRAP) != 0u ? q->core.size : 0u;
    return offset - virtq_position_offset(from);
}

/** @brief See virtq_driver_publish(). @param q the queue @param how the instance @return how many
 */
VIRTQ_TEMPLATE unsigned virtq_packed_driver_publish(struct virtq_packed_driver *q, unsigned how)
{
    unsigned count = q->core.unpublished;

    if (count == 0u) {
        return 0;
    }
    /* B8, partner B9: everything else of every descriptor before the first one's flags. virtio 1.4,
     * Updating flags. */
    virtq_barrier_write((q->core.flags & VIRTQ_CORE_PLATFORM) != 0u);
    virtq_shm_store16_release(&q->desc[virtq_position_offset(q->published)].flags,
                              q->published_flags, how);
    virtq_driver_core_published(&q->core, virtq_packed_driver_between(q, q->published, q->added));
    q->published = q->added;
    q->core.unpublished = 0;
    q->core.outstanding += count;
    return count;
}

/** @brief See virtq_driver_needs_notify(). @param q the queue @param how the instance @param data
 * result or NULL @return whether */
VIRTQ_TEMPLATE bool virtq_packed_driver_needs_notify(struct virtq_packed_driver *q, unsigned how,
                                                     uint32_t *data)
{
    const uint32_t untested = q->core.untested;
    bool wanted = untested != 0u;
    uint32_t word;

    if (data != NULL) {
        *data = virtq_driver_core_notification(&q->core, q->published);
    }
    /* B12, partner B7 of the device: flags before the event, else both ends sleep. */
    virtq_barrier_full((q->core.flags & VIRTQ_CORE_PLATFORM) != 0u);
    /* B14: both halves in one load, so that a new flag is never paired with an old offset. */
    word = virtq_shm_load32(q->event, how);
    if (untested < VIRTQ_UNTESTED_MANY) {
        wanted = virtq_event_wanted(word, (q->core.flags & VIRTQ_CORE_EVENT_IDX) != 0u,
                                    q->published, untested, q->core.size);
    }
    return virtq_driver_core_tested(&q->core, wanted);
}

/** @brief Whether the next descriptor is used: both bits equal our wrap counter. P2. @param q the
 * queue @param how the instance
 * @return whether */
VIRTQ_TEMPLATE bool virtq_packed_driver_ready(const struct virtq_packed_driver *q, unsigned how)
{
    const uint16_t both = PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED;
    /* B11, partner B10 of the device: flags before id, length and data. */
    uint16_t flags =
        virtq_shm_load16_acquire(&q->desc[virtq_position_offset(q->polled)].flags, how);

    return (flags & both) == virtq_position_used(q->polled);
}

/** @brief Takes one buffer out of the books and gives it out. @param q the queue @param how the
 * instance @param id its id, checked
 * @param len what the device said, or the writable bytes @param completion result @return 0 or
 * VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_driver_complete(struct virtq_packed_driver *q, unsigned how,
                                                uint16_t id, uint32_t len,
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
    q->core.room = (uint16_t)(q->core.room + entry->slots);
    /* P5: one used descriptor stands for the whole list; the next one is behind it. */
    q->polled = virtq_position_advance(q->polled, entry->slots, q->core.size);
    entry->slots = 0;
    return VIRTQ_OK;
}

/** @brief Whether an id was added but not yet published: then the device cannot know it. @param q
 * the queue @param id an outstanding id @return whether */
VIRTQ_COLD bool virtq_packed_driver_hidden(const struct virtq_packed_driver *q, uint16_t id)
{
    uint16_t position = q->published;

    while (position != q->added) {
        uint16_t other = q->ids[virtq_position_offset(position)];

        if (other == id) {
            return true;
        }
        position = virtq_position_advance(position, q->core.entries[other].slots, q->core.size);
    }
    return false;
}

/** @brief Reads a used descriptor's id and length, once each. The id must be outstanding. @param q
 * the queue @param how the instance @param len result @return the id, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_driver_used(struct virtq_packed_driver *q, unsigned how,
                                            uint32_t *len)
{
    const struct pvirtq_desc *desc = &q->desc[virtq_position_offset(q->polled)];
    uint16_t id = virtq_shm_load16(&desc->id, how);

    *len = virtq_shm_load32(&desc->len, how);
    if (VIRTQ_UNLIKELY(id >= q->core.size || q->core.entries[id].slots == 0u)) {
        return virtq_driver_core_break(&q->core, VIRTQ_REASON_QUEUE_ID, q->polled, id);
    }
    if (VIRTQ_UNLIKELY(q->added != q->published) && virtq_packed_driver_hidden(q, id)) {
        return virtq_driver_core_break(&q->core, VIRTQ_REASON_QUEUE_ID, q->polled, id);
    }
    return id;
}

/** @brief One used descriptor. @param q the queue @param how the instance @param completion result
 * @return 1, 0 for none, VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_driver_take(struct virtq_packed_driver *q, unsigned how,
                                            struct virtq_completion *completion)
{
    uint32_t len;
    int id;

    if (!virtq_packed_driver_ready(q, how)) {
        return 0;
    }
    virtq_barrier_read((q->core.flags & VIRTQ_CORE_PLATFORM) != 0u);
    id = virtq_packed_driver_used(q, how, &len);
    if (VIRTQ_UNLIKELY(id < 0)) {
        return id;
    }
    if (VIRTQ_UNLIKELY(virtq_packed_driver_complete(q, how, (uint16_t)id, len, completion) !=
                       VIRTQ_OK)) {
        return VIRTQ_EBROKEN;
    }
    q->core.entries[id].last = q->id;
    q->id = (uint16_t)id;
    return 1;
}

/** @brief The same with IN_ORDER: one used descriptor may stand for a batch, whose earlier buffers
 * count as fully used. I3, I4, I5. Ids go round the ring of ids, so the buffer that is next is
 * known.
 * @param q the queue @param how the instance @param completion result @return 1, 0 for none,
 * VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_driver_take_ordered(struct virtq_packed_driver *q, unsigned how,
                                                    struct virtq_completion *completion)
{
    uint16_t id = q->oldest;
    uint32_t len = q->core.entries[id].writable;

    if (q->batch == 0u) {
        int last;

        if (!virtq_packed_driver_ready(q, how)) {
            return 0;
        }
        virtq_barrier_read((q->core.flags & VIRTQ_CORE_PLATFORM) != 0u);
        last = virtq_packed_driver_used(q, how, &q->batch_len);
        if (last < 0) {
            return last;
        }
        q->batch_id = (uint16_t)last;
        q->batch = 1;
    }
    if (id == q->batch_id) {
        len = q->batch_len;
        q->batch = 0;
    }
    if (VIRTQ_UNLIKELY(virtq_packed_driver_complete(q, how, id, len, completion) != VIRTQ_OK)) {
        return VIRTQ_EBROKEN;
    }
    q->oldest = id + 1u == q->core.size ? 0u : (uint16_t)(id + 1u);
    return 1;
}

/** @brief The loop of a poll. @param q the queue @param how the instance @param in_order a constant
 * @param completions room
 * @param count at most so many @return how many were taken, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_driver_drain(struct virtq_packed_driver *q, unsigned how,
                                             bool in_order, struct virtq_completion *completions,
                                             unsigned count)
{
    unsigned done = 0;
    int taken = 0;

    /* Not more than are outstanding: then a device that marks everything used cannot keep us here.
     */
    count = count < q->core.outstanding ? count : q->core.outstanding;
    while (done < count) {
        taken = in_order ? virtq_packed_driver_take_ordered(q, how, &completions[done])
                         : virtq_packed_driver_take(q, how, &completions[done]);
        if (taken <= 0) {
            break;
        }
        done++;
    }
    q->core.outstanding -= done;
    q->core.counters.used += done;
    return done != 0u ? (int)done : taken;
}

/** @brief See virtq_driver_poll(). @param q the queue @param how the instance @param completions
 * room for `count` @param count at most so many @return how many, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_driver_poll(struct virtq_packed_driver *q, unsigned how,
                                            struct virtq_completion *completions, unsigned count)
{
    if (VIRTQ_UNLIKELY(q->core.fault.reason != (uint32_t)VIRTQ_REASON_NONE)) {
        return VIRTQ_EBROKEN;
    }
    if ((q->core.flags & VIRTQ_CORE_IN_ORDER) != 0u) {
        return virtq_packed_driver_drain(q, how, true, completions, count);
    }
    return virtq_packed_driver_drain(q, how, false, completions, count);
}

/** @brief See virtq_driver_enable_notify_after(). @param q the queue @param how the instance @param
 * buffers 1 or more @return whether buffers came */
VIRTQ_TEMPLATE bool virtq_packed_driver_enable_notify(struct virtq_packed_driver *q, unsigned how,
                                                      unsigned buffers)
{
    uint32_t word = VIRTQ_RING_EVENT_FLAGS_ENABLE;

    if ((q->core.flags & VIRTQ_CORE_EVENT_IDX) != 0u) {
        uint32_t after = buffers > q->core.outstanding ? q->core.outstanding : buffers;
        uint16_t event =
            virtq_position_advance(q->polled, after == 0u ? 0u : after - 1u, q->core.size);

        word = event | VIRTQ_RING_EVENT_FLAGS_DESC << 16;
    }
    /* B13: offset and flags in one store. */
    virtq_shm_store32(q->own_event, word, how);
    q->core.flags &= ~(uint32_t)VIRTQ_CORE_SILENT;
    /* B7, partner B12 of the device: our wish before its flags, else they may have gone by unseen.
     */
    virtq_barrier_full((q->core.flags & VIRTQ_CORE_PLATFORM) != 0u);
    return q->core.fault.reason != (uint32_t)VIRTQ_REASON_NONE || q->batch != 0u ||
           (q->core.outstanding != 0u && virtq_packed_driver_ready(q, how));
}

/** @brief See virtq_driver_disable_notify(). @param q the queue @param how the instance */
VIRTQ_TEMPLATE void virtq_packed_driver_disable_notify(struct virtq_packed_driver *q, unsigned how)
{
    if ((q->core.flags & VIRTQ_CORE_SILENT) == 0u) {
        q->core.flags |= VIRTQ_CORE_SILENT;
        virtq_shm_store32(q->own_event, VIRTQ_RING_EVENT_FLAGS_DISABLE << 16, how);
    }
}

#endif
