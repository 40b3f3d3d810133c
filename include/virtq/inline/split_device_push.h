/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a split queue gives used buffers back, and publishes them.
 */
#ifndef VIRTQ_INLINE_SPLIT_DEVICE_PUSH_H
#define VIRTQ_INLINE_SPLIT_DEVICE_PUSH_H

#include "hint.h"
#include "split_device_queue.h"

/** @brief Writes one used element. @param element where @param how the instance @param used head
 * and bytes written */
VIRTQ_TEMPLATE void virtq_split_device_write(struct virtq_used_elem *element, unsigned how,
                                             const struct virtq_used_buffer *used)
{
    virtq_shm_store32(&element->id, used->id, how);
    virtq_shm_store32(&element->len, used->len, how);
}

/** @brief Pushes buffers, up to the end of the ring. No sum of an address is kept in a register:
 * every access forms its own. @param q the queue @param how the instance @param used them @param
 * count how many, not 0 @param at used index of the first one @param left result: minus those that
 * are not looked at before the end of the ring, for one was not in flight @return how many */
VIRTQ_TEMPLATE unsigned virtq_split_device_push_run(struct virtq_split_device *q, unsigned how,
                                                    const struct virtq_used_buffer *used,
                                                    unsigned count, uint32_t at, ptrdiff_t *left)
{
    struct virtq_device_entry *const entries = q->core.entries;
    const uint32_t size = q->core.size;
    const uint32_t first = at & q->mask;
    const uint32_t run = count < size - first ? count : size - first;
    struct virtq_used_elem *elements = q->elements + first + run;
    ptrdiff_t i;

    used += run;
    VIRTQ_OPAQUE(elements);
    VIRTQ_OPAQUE(used);
    for (i = -(ptrdiff_t)run; i != 0; i++) {
        size_t id = used[i].id;
        uint32_t len;

        VIRTQ_OPAQUE(id);
        VIRTQ_OPAQUE(i);
        len = used[i].len;
        if (VIRTQ_UNLIKELY(!virtq_device_core_pushable(entries, size, id, len))) {
            break;
        }
        VIRTQ_OPAQUE(id);
        virtq_device_core_land(&entries[id]);
        VIRTQ_OPAQUE(i);
        virtq_shm_store32(&elements[i].id, (uint32_t)id, how);
        VIRTQ_OPAQUE(i);
        virtq_shm_store32(&elements[i].len, len, how);
        VIRTQ_OPAQUE(i);
    }
    *left = i;
    return run + (unsigned)i;
}

/** @brief The rest of a push that came to the end of the ring, out of line: nearly always none.
 * One run is enough, for no more buffers are in flight than the ring has slots. @param q the queue
 * @param how the instance @param used the next ones @param count how many @param at used index of
 * the first one @return how many were in flight */
VIRTQ_OUTLINE unsigned virtq_split_device_push_rest(struct virtq_split_device *q, unsigned how,
                                                    const struct virtq_used_buffer *used,
                                                    unsigned count, uint32_t at)
{
    ptrdiff_t left;

    return virtq_split_device_push_run(q, how, used, count, at, &left);
}

/** @brief See virtq_device_push(). @param q the queue @param how the instance @param used them
 * @param count how many
 * @return how many, or an error */
VIRTQ_TEMPLATE int virtq_split_device_push(struct virtq_split_device *q, unsigned how,
                                           const struct virtq_used_buffer *used, unsigned count)
{
    const uint32_t at = q->pushed;
    ptrdiff_t left;
    unsigned done;
    int error = virtq_split_device_begin(q, how);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    if (VIRTQ_UNLIKELY((q->core.flags & VIRTQ_CORE_IN_ORDER) != 0u)) {
        return virtq_device_core_hold(&q->core, used, count);
    }
    virtq_hint_claim(q->elements, at, count, q->mask, how);
    done = virtq_split_device_push_run(q, how, used, count, at, &left);
    if (VIRTQ_UNLIKELY(done != count) && left == 0) {
        done += virtq_split_device_push_rest(q, how, used + done, count - done, at + done);
    }
    q->pushed = (uint16_t)(at + done);
    q->core.unpublished += done;
    return virtq_device_core_pushed(&q->core, used, done, count);
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
        virtq_split_device_write(&q->elements[q->pushed & q->mask], how, &used);
        q->pushed = (uint16_t)(q->pushed + buffers);
        q->core.unpublished += buffers;
        buffers = virtq_device_core_batch(&q->core, &used, &slots);
    }
}

/** @brief See virtq_device_publish(). @param q the queue @param how the instance @return how many,
 * or an error */
VIRTQ_TEMPLATE int virtq_split_device_publish(struct virtq_split_device *q, unsigned how)
{
    uint32_t count;
    uint16_t pushed;
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
    virtq_barrier_write(how);
    pushed = q->pushed;
    virtq_shm_store16_release(&q->used->idx, pushed, how);
    q->published = pushed;
    q->core.unpublished = 0;
    virtq_device_core_published(&q->core, count);
    return (int)count;
}

#endif
