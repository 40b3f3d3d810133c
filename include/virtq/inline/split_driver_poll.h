/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end of a split queue takes used buffers back.
 */
#ifndef VIRTQ_INLINE_SPLIT_DRIVER_POLL_H
#define VIRTQ_INLINE_SPLIT_DRIVER_POLL_H

#include "hint.h"
#include "split_driver_drain.h"

/** @brief Frees an entry's descriptors. @param q the queue @param id its head @param in_order a
 * constant: the ring is its own free list */
VIRTQ_TEMPLATE void virtq_split_driver_free(struct virtq_split_driver *q, uint16_t id,
                                            bool in_order)
{
    struct virtq_driver_entry *entry = &q->core.entries[id];

    if (!in_order) {
        virtq_split_driver_fit(q);
        q->head = virtq_split_driver_dry(q) ? id : q->head;
        q->next[q->tail] = id;
        q->tail = id ^ entry->link;
        virtq_split_driver_close(q);
    }
    q->core.room = (uint16_t)(q->core.room + entry->slots);
    entry->slots = 0;
}

/** @brief Reads and checks the used index. @param q the queue @param how the instance @return
 * entries to take, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_driver_look(struct virtq_split_driver *q, unsigned how)
{
    /* B6, partner B4 of the device: the index before the elements and the data. */
    uint16_t used = virtq_shm_load16_acquire(&q->used->idx, how);
    uint16_t fresh = (uint16_t)(used - q->polled);

    virtq_barrier_read(how);
    if (VIRTQ_UNLIKELY(fresh > q->core.outstanding)) {
        if ((q->core.flags & VIRTQ_CORE_DETACHED) != 0u) {
            return 0;
        }
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
        virtq_driver_core_clamp(&q->core, q->polled, len) != VIRTQ_OK) {
        return VIRTQ_EBROKEN;
    }
    len = len > entry->writable ? entry->writable : len;
    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED) {
        virtq_driver_map_undo(&q->core, id, len);
    }
    virtq_driver_core_tell(completion, entry, len, id);
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

/** @brief The loop of a poll that has to look closely: IN_ORDER, buffers added and not published,
 * or a space that is told of batches.
 * @param q the queue @param how the instance @param completions room @param count how many are
 * there and wanted
 * @return how many were taken, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_driver_drain_closely(struct virtq_split_driver *q, unsigned how,
                                                    struct virtq_completion *completions,
                                                    unsigned count)
{
    const bool in_order = (q->core.flags & VIRTQ_CORE_IN_ORDER) != 0u;
    const bool batched = virtq_driver_map_batches(&q->core, how, count);
    unsigned done = 0;
    int error = VIRTQ_OK;

    if ((q->core.flags & VIRTQ_CORE_DETACHED) != 0u) {
        /* R1: seen before the first detach; detaching gives the rest back. */
        return 0;
    }
    if (batched) {
        virtq_driver_map_batch(&q->core, 1);
    }
    for (; done < count; done++) {
        error = in_order ? virtq_split_driver_take_ordered(q, how, &completions[done])
                         : virtq_split_driver_take(q, how, &completions[done]);
        if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
            break;
        }
        q->polled++;
    }
    if (batched) {
        virtq_driver_map_batch(&q->core, 0);
    }
    q->core.outstanding -= done;
    q->core.counters.used += done;
    return done != 0u ? (int)done : error;
}

/** @brief A used element that is not as it should be: no outstanding head (S10: each completes
 * once), or a length beyond the buffer. @param q the queue @param how the instance @param id as
 * read @param len as read @param completion result @return 0: taken nevertheless; or VIRTQ_EBROKEN
 */
VIRTQ_COLD int virtq_split_driver_odd(struct virtq_split_driver *q, unsigned how, uint32_t id,
                                      uint32_t len, struct virtq_completion *completion)
{
    int error;

    if (id > q->mask || q->core.entries[id].slots == 0u) {
        return virtq_driver_core_break(&q->core, VIRTQ_REASON_QUEUE_ID, q->polled, id);
    }
    error = virtq_split_driver_complete(q, how, (uint16_t)id, len, false, completion);
    q->polled = (uint16_t)(q->polled + (error == VIRTQ_OK));
    return error;
}

/** @brief The loop of a poll. @param q the queue @param how the instance @param completions room
 * @param count how many are there and wanted, not 0 @return how many were taken, or VIRTQ_EBROKEN
 */
VIRTQ_TEMPLATE int virtq_split_driver_drain(struct virtq_split_driver *q, unsigned how,
                                            struct virtq_completion *completions, unsigned count)
{
    struct virtq_split_driver_drained view = {0, 0, 0, 0, 0};
    unsigned done = 0;
    int error = VIRTQ_OK;
    bool dry;

    virtq_split_driver_fit(q);
    dry = virtq_split_driver_dry(q);
    do {
        const uint32_t start = q->polled & q->mask;
        const uint32_t there = q->mask + 1u - start;
        const uint32_t run = there < count - done ? there : count - done;

        view.tail = q->tail;
        view.room = q->core.room;
        view.left = run;
        virtq_split_driver_drain_runs(q, how, &view, q->elements + start + run,
                                      completions + done + run);
        done += run - view.left;
        q->tail = (uint16_t)view.tail;
        q->core.room = (uint16_t)view.room;
        q->polled = (uint16_t)(q->polled + run - view.left);
        if (VIRTQ_UNLIKELY(view.left != 0u)) {
            error = virtq_split_driver_odd(q, how, view.id, view.len, &completions[done]);
            if (error != VIRTQ_OK) {
                break;
            }
            done++;
        }
    } while (VIRTQ_UNLIKELY(done != count));
    if (VIRTQ_UNLIKELY(dry) && done != 0u) {
        q->head = (uint16_t)completions->id;
    }
    virtq_split_driver_close(q);
    q->core.outstanding -= done;
    q->core.counters.used += done;
    return done != 0u ? (int)done : error;
}

/** @brief virtq_split_driver_drain_closely(), out of line: spaces that are called but not
 * told of batches do not pay for its registers. @param q the queue @param how the instance @param
 * completions room @param count as there @return the same */
VIRTQ_OUTLINE int virtq_split_driver_drain_called(struct virtq_split_driver *q, unsigned how,
                                                  struct virtq_completion *completions,
                                                  unsigned count)
{
    return virtq_split_driver_drain_closely(q, how, completions, count);
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
    if (VIRTQ_UNLIKELY(count == 0u)) {
        return 0;
    }
    if (VIRTQ_UNLIKELY(virtq_driver_map_closely(&q->core, how) || q->added != q->published)) {
        return (how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED
                   ? virtq_split_driver_drain_called(q, how, completions, count)
                   : virtq_split_driver_drain_closely(q, how, completions, count);
    }
    virtq_hint_elements(q->elements, q->polled, count, q->mask, how);
    return virtq_split_driver_drain(q, how, completions, count);
}

#endif
