/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end of a split queue takes used buffers back.
 */
#ifndef VIRTQ_INLINE_SPLIT_DRIVER_POLL_H
#define VIRTQ_INLINE_SPLIT_DRIVER_POLL_H

#include "hint.h"
#include "split_driver_queue.h"

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

/** @brief A buffer is no longer outstanding, in one store. @param entry its entry */
VIRTQ_TEMPLATE void virtq_split_driver_land(struct virtq_driver_entry *entry)
{
    const uint32_t none = 0;

    __builtin_memcpy((unsigned char *)entry + offsetof(struct virtq_driver_entry, slots), &none,
                     sizeof(none));
}

/** @brief What the loop of a poll changes: local copies, so that no store makes them be loaded
 * again. */
struct virtq_split_driver_drained {
    uint32_t tail; /**< Last free descriptor. */
    uint32_t room; /**< Free descriptors. */
    uint32_t id;   /**< Of the element that ended the loop ... */
    uint32_t len;  /**< ... and its length. */
};

/** @brief An element by how far it lies before the last one, which the compiler is made to forget:
 * it would keep the sum in a register as well. @param end behind the last one @param left minus how
 * many, in units @param unit how many are one: a constant @return the element */
VIRTQ_TEMPLATE const struct virtq_used_elem *virtq_split_driver_element(
    const struct virtq_used_elem *end, ptrdiff_t *left, const ptrdiff_t unit)
{
    const ptrdiff_t bytes = (ptrdiff_t)sizeof(*end) / unit;

    VIRTQ_OPAQUE(*left);
    return (const struct virtq_used_elem *)(const void *)((const unsigned char *)end +
                                                          *left * bytes);
}

/** @brief A completion, in the same way. @param end behind the last one @param left as there @param
 * unit as there @return the completion */
VIRTQ_TEMPLATE struct virtq_completion *virtq_split_driver_completion(struct virtq_completion *end,
                                                                      ptrdiff_t *left,
                                                                      const ptrdiff_t unit)
{
    const ptrdiff_t bytes = (ptrdiff_t)sizeof(*end) / unit;

    VIRTQ_OPAQUE(*left);
    return (struct virtq_completion *)(void *)((unsigned char *)end + *left * bytes);
}

/** @brief The inner loop: as long as elements are as they should be. Nothing in it is called but a
 * space that has to be, so that all it works on stays in registers; and one register, which counts
 * up to 0, leads through elements and completions. @param q the queue @param how the instance
 * @param view what it changes @param elements behind the last one that is wanted, no further than
 * the ring's end @param completions behind the last one @param run how many, not 0 @return how many
 * were not taken: then the next one is odd */
VIRTQ_TEMPLATE uint32_t virtq_split_driver_drain_run(struct virtq_split_driver *q, unsigned how,
                                                     struct virtq_split_driver_drained *view,
                                                     const struct virtq_used_elem *elements,
                                                     struct virtq_completion *completions,
                                                     uint32_t run)
{
    const bool whole = sizeof(*completions) % sizeof(*elements) == 0u;
    const ptrdiff_t unit = whole ? (ptrdiff_t)sizeof(*elements) : 1;
    struct virtq_driver_entry *const entries = q->core.entries;
    uint16_t *const next = q->next;
    const uint32_t mask = q->mask;
    ptrdiff_t left = -(ptrdiff_t)run * unit;

    VIRTQ_OPAQUE(elements);
    VIRTQ_OPAQUE(completions);
    do {
        const struct virtq_used_elem *element = virtq_split_driver_element(elements, &left, unit);
        const uint32_t id = virtq_shm_load32(&element->id, how);
        const uint32_t len =
            virtq_shm_load32(&virtq_split_driver_element(elements, &left, unit)->len, how);
        size_t at = id * sizeof(*entries);
        uint32_t slots;

        view->id = id;
        view->len = len;
        if (VIRTQ_UNLIKELY(id > mask)) {
            break;
        }
        slots = virtq_driver_core_entry(entries, &at)->slots;
        if (VIRTQ_UNLIKELY(slots == 0u) ||
            VIRTQ_UNLIKELY(len > virtq_driver_core_entry(entries, &at)->writable)) {
            break;
        }
        if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED) {
            virtq_driver_map_undo(&q->core, (uint16_t)id, len);
        }
        virtq_driver_core_tell(virtq_split_driver_completion(completions, &left, unit),
                               virtq_driver_core_entry(entries, &at), len, id);
        view->room += slots;
        next[view->tail] = (uint16_t)id;
        view->tail = id ^ virtq_driver_core_entry(entries, &at)->link;
        virtq_split_driver_land(virtq_driver_core_entry(entries, &at));
        VIRTQ_OPAQUE(left);
        left += unit;
    } while (left != 0);
    return (uint32_t)(-left / unit);
}

/** @brief The loop of a poll. @param q the queue @param how the instance @param completions room
 * @param count how many are there and wanted, not 0 @return how many were taken, or VIRTQ_EBROKEN
 */
VIRTQ_TEMPLATE int virtq_split_driver_drain(struct virtq_split_driver *q, unsigned how,
                                            struct virtq_completion *completions, unsigned count)
{
    struct virtq_split_driver_drained view = {0, 0, 0, 0};
    unsigned done = 0;
    int error = VIRTQ_OK;
    bool dry;

    virtq_split_driver_fit(q);
    dry = virtq_split_driver_dry(q);
    do {
        const uint32_t start = q->polled & q->mask;
        const uint32_t there = q->mask + 1u - start;
        const uint32_t run = there < count - done ? there : count - done;
        uint32_t left;

        view.tail = q->tail;
        view.room = q->core.room;
        left = virtq_split_driver_drain_run(q, how, &view, q->elements + start + run,
                                            completions + done + run, run);
        done += run - left;
        q->tail = (uint16_t)view.tail;
        q->core.room = (uint16_t)view.room;
        q->polled = (uint16_t)(q->polled + run - left);
        if (VIRTQ_UNLIKELY(left != 0u)) {
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
