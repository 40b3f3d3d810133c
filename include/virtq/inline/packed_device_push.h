/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a packed queue gives used buffers back, and publishes them.
 */
#ifndef VIRTQ_INLINE_PACKED_DEVICE_PUSH_H
#define VIRTQ_INLINE_PACKED_DEVICE_PUSH_H

#include "packed_device_queue.h"

/** @brief Writes one used descriptor, all but its flags. @param desc where @param how the instance
 * @param used id and bytes written @return VIRTQ_DESC_F_WRITE if `len` is to count, else 0. P7 */
VIRTQ_TEMPLATE uint32_t virtq_packed_device_write(struct pvirtq_desc *desc, unsigned how,
                                                  const struct virtq_used_buffer *used)
{
    virtq_shm_store32(&desc->len, used->len, how);
    virtq_shm_store16(&desc->id, (uint16_t)used->id, how);
    return used->len != 0u ? (uint32_t)VIRTQ_DESC_F_WRITE : 0u;
}

/** @brief Writes its flags; those of the first unpublished one are held back, so that the driver
 * never sees a part of what is published at once. P5, P11. @param q the queue @param how the
 * instance @param desc where @param held the first unpublished one @param flags its flags */
VIRTQ_TEMPLATE void virtq_packed_device_flag(struct virtq_packed_device *q, unsigned how,
                                             struct pvirtq_desc *desc,
                                             const struct pvirtq_desc *held, uint32_t flags)
{
    if (VIRTQ_UNLIKELY(desc == held)) {
        q->published_flags = (uint16_t)flags;
    } else {
        virtq_shm_store16(&desc->flags, (uint16_t)flags, how);
    }
}

/** @brief See virtq_device_push(). @param q the queue @param how the instance @param used them
 * @param count how many @return how many, or an error */
VIRTQ_TEMPLATE int virtq_packed_device_push(struct virtq_packed_device *q, unsigned how,
                                            const struct virtq_used_buffer *used, unsigned count)
{
    const struct virtq_used_buffer *const first = used;
    const struct pvirtq_desc *held;
    struct virtq_place place = virtq_place_of(q->pushed, virtq_position_used(q->pushed));
    struct virtq_device_entry *const entries = q->core.entries;
    const uint32_t size = q->core.size;
    struct pvirtq_desc *ring;
    uint16_t before;
    unsigned done;
    int error = virtq_packed_device_begin(q, how);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    if (VIRTQ_UNLIKELY((q->core.flags & VIRTQ_CORE_IN_ORDER) != 0u)) {
        return virtq_device_core_hold(&q->core, used, count);
    }
    ring = q->desc;
    held = &ring[virtq_position_offset(q->published)];
    for (const struct virtq_used_buffer *last = used + count; used != last; used++) {
        const struct virtq_used_buffer buffer = *used;
        struct virtq_device_entry *entry = virtq_device_core_pushable(entries, size, &buffer);
        struct pvirtq_desc *desc = &ring[place.offset];
        uint32_t flags;

        if (VIRTQ_UNLIKELY(entry == NULL)) {
            break;
        }
        flags = place.bits | virtq_packed_device_write(desc, how, &buffer);
        virtq_packed_device_flag(q, how, desc, held, flags);
        virtq_place_step(&place, entry->slots, size);
        entry->limit = 0;
    }
    done = (unsigned)(used - first);
    before = q->pushed;
    q->pushed = virtq_place_position(place);
    q->unpublished_slots += virtq_position_between(before, q->pushed, q->core.size);
    q->core.unpublished += done;
    return virtq_device_core_pushed(&q->core, done, count);
}

/** @brief IN_ORDER: writes what is held back and whose turn has come, one descriptor for a run of
 * fully used buffers. I3.
 * @param q the queue @param how the instance */
VIRTQ_TEMPLATE void virtq_packed_device_flush(struct virtq_packed_device *q, unsigned how)
{
    struct virtq_used_buffer used = {0, 0};
    uint32_t slots;
    uint32_t buffers = virtq_device_core_batch(&q->core, &used, &slots);

    while (buffers != 0u) {
        struct pvirtq_desc *desc = &q->desc[virtq_position_offset(q->pushed)];
        const uint32_t flags = virtq_packed_device_write(desc, how, &used);

        virtq_packed_device_flag(q, how, desc, &q->desc[virtq_position_offset(q->published)],
                                 flags | virtq_position_used(q->pushed));
        q->pushed = virtq_position_advance(q->pushed, slots, q->core.size);
        q->unpublished_slots += slots;
        q->core.unpublished += buffers;
        buffers = virtq_device_core_batch(&q->core, &used, &slots);
    }
}

/** @brief See virtq_device_publish(). @param q the queue @param how the instance @return how many,
 * or an error */
VIRTQ_TEMPLATE int virtq_packed_device_publish(struct virtq_packed_device *q, unsigned how)
{
    uint32_t count;
    int error = virtq_packed_device_begin(q, how);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    if (VIRTQ_UNLIKELY(q->core.held != 0u)) {
        virtq_packed_device_flush(q, how);
    }
    count = q->core.unpublished;
    if (count == 0u) {
        return 0;
    }
    /* B10, partner B11 of the driver: data, lengths, ids and later flags before the first one's
     * flags. */
    virtq_barrier_write(how);
    virtq_shm_store16_release(&q->desc[virtq_position_offset(q->published)].flags,
                              q->published_flags, how);
    virtq_device_core_published(&q->core, q->unpublished_slots);
    q->published = q->pushed;
    q->slots -= q->unpublished_slots;
    q->unpublished_slots = 0;
    q->core.unpublished = 0;
    return (int)count;
}

#endif
