/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end of a packed queue takes used buffers back.
 */
#ifndef VIRTQ_INLINE_PACKED_DRIVER_POLL_H
#define VIRTQ_INLINE_PACKED_DRIVER_POLL_H

#include "hint.h"
#include "packed_driver_queue.h"

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
        virtq_driver_core_clamp(&q->core, q->polled, len) != VIRTQ_OK) {
        return VIRTQ_EBROKEN;
    }
    len = len > entry->writable ? entry->writable : len;
    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED) {
        virtq_driver_map_undo(&q->core, id, len);
    }
    virtq_driver_core_tell(completion, entry, len, id);
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
    virtq_barrier_read(how);
    id = virtq_packed_driver_used(q, how, &len);
    if (VIRTQ_UNLIKELY(id < 0)) {
        return id;
    }
    if (VIRTQ_UNLIKELY(virtq_packed_driver_complete(q, how, (uint16_t)id, len, completion) !=
                       VIRTQ_OK)) {
        return VIRTQ_EBROKEN;
    }
    q->core.entries[id].link = q->id;
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
        virtq_barrier_read(how);
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
    q->core.entries[id].link = q->oldest;
    return 1;
}

/** @brief The loop of a poll that has to look closely: IN_ORDER, buffers added and not published,
 * or a space that is told of batches.
 * @param q the queue @param how the instance @param completions room @param count at most so many
 * @return how many were taken, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_driver_drain_closely(struct virtq_packed_driver *q, unsigned how,
                                                     struct virtq_completion *completions,
                                                     unsigned count)
{
    const bool in_order = (q->core.flags & VIRTQ_CORE_IN_ORDER) != 0u;
    /* A poll that finds nothing, as most do, tells nobody. */
    const bool batched = virtq_driver_map_batches(&q->core, how, count) &&
                         (q->batch != 0u || virtq_packed_driver_ready(q, how));
    unsigned done = 0;
    int taken = 0;

    if (batched) {
        virtq_driver_map_batch(&q->core, 1);
    }
    while (done < count) {
        taken = in_order ? virtq_packed_driver_take_ordered(q, how, &completions[done])
                         : virtq_packed_driver_take(q, how, &completions[done]);
        if (taken <= 0) {
            break;
        }
        done++;
    }
    if (batched) {
        virtq_driver_map_batch(&q->core, 0);
    }
    q->core.outstanding -= done;
    q->core.counters.used += done;
    return done != 0u ? (int)done : taken;
}

/** @brief A used descriptor that is not as it should be: no outstanding id, or a length beyond the
 * buffer. H2, H3. @param q the queue @param how the instance @param id as read @param len as read
 * @param completion result @return 0: taken nevertheless; or VIRTQ_EBROKEN */
VIRTQ_COLD int virtq_packed_driver_odd(struct virtq_packed_driver *q, unsigned how, uint32_t id,
                                       uint32_t len, struct virtq_completion *completion)
{
    int error;

    if (id >= q->core.size || q->core.entries[id].slots == 0u) {
        return virtq_driver_core_break(&q->core, VIRTQ_REASON_QUEUE_ID, q->polled, id);
    }
    error = virtq_packed_driver_complete(q, how, (uint16_t)id, len, completion);
    if (error == VIRTQ_OK) {
        q->core.entries[id].link = q->id;
        q->id = (uint16_t)id;
    }
    return error;
}

/** @brief A buffer is no longer outstanding, and its id is the first free one, in one store. @param
 * entry its entry @param after the free id that was first until now */
VIRTQ_TEMPLATE void virtq_packed_driver_land(struct virtq_driver_entry *entry, uint32_t after)
{
    const uint32_t word = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? after << 16 : after;

    __builtin_memcpy((unsigned char *)entry + offsetof(struct virtq_driver_entry, slots), &word,
                     sizeof(word));
}

/** @brief What the loop of a poll changes: local copies, so that no store makes them be loaded
 * again. */
struct virtq_packed_driver_drained {
    struct virtq_completion *completion; /**< The caller's next one. */
    struct virtq_place place;            /**< Of the next used descriptor. */
    uint32_t free_id;                    /**< First free id. */
    uint32_t room;                       /**< Free descriptors. */
    uint32_t id;                         /**< Of the descriptor that ended the loop ... */
    uint32_t len;                        /**< ... and its length. */
};

/** @brief The inner loop: as long as descriptors are used, and as they should be. Nothing in it is
 * called but a space that has to be, so that all it works on stays in registers. @param q the queue
 * @param how the instance @param view what it changes @param last end of the completions @return
 * whether what ended it is odd: its words are in the view */
VIRTQ_TEMPLATE bool virtq_packed_driver_drain_run(struct virtq_packed_driver *q, unsigned how,
                                                  struct virtq_packed_driver_drained *view,
                                                  const struct virtq_completion *last)
{
    const uint32_t both = PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED;
    const struct pvirtq_desc *const ring = q->desc;
    struct virtq_driver_entry *const entries = q->core.entries;
    const uint32_t size = q->core.size;

    while (view->completion != last) {
        const struct pvirtq_desc *desc = &ring[view->place.offset];
        /* B11, partner B10 of the device: flags before id, length and data. P2: both bits are our
         * wrap counter. */
        const uint32_t flags = virtq_shm_load16_acquire(&desc->flags, how);
        uint32_t slots;
        uint32_t id;
        uint32_t len;
        size_t at;

        if ((flags & both) != view->place.bits) {
            return false;
        }
        virtq_barrier_read(how);
        view->id = id = virtq_shm_load16(&desc->id, how);
        view->len = len = virtq_shm_load32(&desc->len, how);
        if (VIRTQ_UNLIKELY(id >= size)) {
            return true;
        }
        at = id * sizeof(*entries);
        slots = virtq_driver_core_entry(entries, &at)->slots;
        if (VIRTQ_UNLIKELY(slots == 0u) ||
            VIRTQ_UNLIKELY(len > virtq_driver_core_entry(entries, &at)->writable)) {
            return true;
        }
        if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED) {
            virtq_driver_map_undo(&q->core, (uint16_t)id, len);
        }
        virtq_driver_core_tell(view->completion, virtq_driver_core_entry(entries, &at), len, id);
        view->completion++;
        view->room += slots;
        virtq_packed_driver_land(virtq_driver_core_entry(entries, &at), view->free_id);
        view->free_id = id;
        /* P5: one used descriptor stands for the whole list; the next one is behind it. A guess
         * that lists are of one descriptor lets the next one be looked at before the entry has told
         * of this one. */
        if (VIRTQ_UNLIKELY(slots != 1u)) {
            VIRTQ_OPAQUE(slots);
            virtq_place_step(&view->place, slots - 1u, size);
        }
        virtq_place_step(&view->place, 1, size);
    }
    return false;
}

/** @brief The loop of a poll. @param q the queue @param how the instance @param completions room
 * @param count at most so many @return how many were taken, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_driver_drain(struct virtq_packed_driver *q, unsigned how,
                                             struct virtq_completion *completions, unsigned count)
{
    const struct virtq_completion *const last = completions + count;
    struct virtq_packed_driver_drained view = {completions, {0, 0}, 0, 0, 0, 0};
    unsigned done;
    bool odd;
    int error = VIRTQ_OK;

    do {
        view.place = virtq_place_of(q->polled, virtq_position_used(q->polled));
        view.free_id = q->id;
        view.room = q->core.room;
        virtq_hint_next(&q->desc[view.place.offset], view.place.bits, q->burst,
                        q->desc + q->core.size, q->core.size, how);
        odd = virtq_packed_driver_drain_run(q, how, &view, last);
        q->id = (uint16_t)view.free_id;
        q->polled = virtq_place_position(view.place);
        q->core.room = (uint16_t)view.room;
        if (VIRTQ_UNLIKELY(odd)) {
            error = virtq_packed_driver_odd(q, how, view.id, view.len, view.completion);
            view.completion += error == VIRTQ_OK;
        }
    } while (VIRTQ_UNLIKELY(odd) && error == VIRTQ_OK);
    done = (unsigned)(view.completion - completions);
    q->burst = done != 0u ? done : q->burst;
    q->core.outstanding -= done;
    q->core.counters.used += done;
    return done != 0u ? (int)done : error;
}

/** @brief virtq_packed_driver_drain_closely(), out of line: spaces that are called but not
 * told of batches do not pay for its registers. @param q the queue @param how the instance @param
 * completions room @param count as there @return the same */
VIRTQ_OUTLINE int virtq_packed_driver_drain_called(struct virtq_packed_driver *q, unsigned how,
                                                   struct virtq_completion *completions,
                                                   unsigned count)
{
    return virtq_packed_driver_drain_closely(q, how, completions, count);
}

/** @brief See virtq_driver_poll(). @param q the queue @param how the instance @param completions
 * room for `count` @param count at most so many @return how many, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_driver_poll(struct virtq_packed_driver *q, unsigned how,
                                            struct virtq_completion *completions, unsigned count)
{
    if (VIRTQ_UNLIKELY(q->core.fault.reason != (uint32_t)VIRTQ_REASON_NONE)) {
        return VIRTQ_EBROKEN;
    }
    /* Not more than are outstanding: then a device that marks everything used cannot keep us here.
     */
    count = count < q->core.outstanding ? count : q->core.outstanding;
    if (VIRTQ_UNLIKELY(virtq_driver_map_closely(&q->core, how) || q->added != q->published)) {
        return (how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED
                   ? virtq_packed_driver_drain_called(q, how, completions, count)
                   : virtq_packed_driver_drain_closely(q, how, completions, count);
    }
    return virtq_packed_driver_drain(q, how, completions, count);
}

#endif
