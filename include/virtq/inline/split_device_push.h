/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a split queue gives used buffers back, and publishes them.
 */
#ifndef VIRTQ_INLINE_SPLIT_DEVICE_PUSH_H
#define VIRTQ_INLINE_SPLIT_DEVICE_PUSH_H

#include "split_device_queue.h"

/** @brief Writes one used element. @param element where @param how the instance @param used head
 * and bytes written */
VIRTQ_TEMPLATE void virtq_split_device_write(struct virtq_used_elem *element, unsigned how,
                                             const struct virtq_used_buffer *used)
{
    virtq_shm_store32(&element->id, used->id, how);
    virtq_shm_store32(&element->len, used->len, how);
}

/** @brief See virtq_device_push(). @param q the queue @param how the instance @param used them
 * @param count how many
 * @return how many, or an error */
VIRTQ_TEMPLATE int virtq_split_device_push(struct virtq_split_device *q, unsigned how,
                                           const struct virtq_used_buffer *used, unsigned count)
{
    const struct virtq_used_buffer *const first = used;
    struct virtq_device_entry *const entries = q->core.entries;
    const uint32_t size = q->core.size;
    struct virtq_used_elem *elements;
    uint32_t pushed = q->pushed;
    unsigned done;
    int error = virtq_split_device_begin(q, how);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    if (VIRTQ_UNLIKELY((q->core.flags & VIRTQ_CORE_IN_ORDER) != 0u)) {
        return virtq_device_core_hold(&q->core, used, count);
    }
    elements = q->elements;
    for (const struct virtq_used_buffer *last = used + count; used != last; used++) {
        const struct virtq_used_buffer buffer = *used;

        if (VIRTQ_UNLIKELY(!virtq_device_core_pushable(entries, size, buffer))) {
            break;
        }
        virtq_device_core_land(&entries[buffer.id]);
        virtq_split_device_write(&elements[pushed & (size - 1u)], how, &buffer);
        pushed++;
    }
    done = (unsigned)(used - first);
    q->pushed = (uint16_t)pushed;
    q->core.unpublished += done;
    return virtq_device_core_pushed(&q->core, first, done, count);
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
    virtq_shm_store16_release(&q->used->idx, q->pushed, how);
    q->published = q->pushed;
    q->core.unpublished = 0;
    virtq_device_core_published(&q->core, count);
    return (int)count;
}

#endif
