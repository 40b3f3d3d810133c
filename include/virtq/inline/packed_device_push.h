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
 * @param used id and bytes written @param bits its position's @return its flags. P7: WRITE says
 * that `len` counts */
VIRTQ_TEMPLATE uint32_t virtq_packed_device_write(struct pvirtq_desc *desc, unsigned how,
                                                  struct virtq_used_buffer used, uint32_t bits)
{
    uint32_t flags = bits + VIRTQ_DESC_F_WRITE;

    virtq_shm_store32(&desc->len, used.len, how);
    virtq_shm_store16(&desc->id, (uint16_t)used.id, how);
    if (used.len == 0u) {
        flags = bits;
    }
    return flags;
}

/** @brief Pushes one buffer. @param entries the queue's @param size how many @param how the
 * instance
 * @param place where; moved on @param used it @param flags where its flags go: those of the first
 * unpublished one are held back, so that the driver never sees a part of what is published at once
 * (P5, P11) @return whether it was in flight */
VIRTQ_TEMPLATE bool virtq_packed_device_push_one(struct virtq_device_entry *entries, uint32_t size,
                                                 unsigned how, struct virtq_packed_place *place,
                                                 struct virtq_used_buffer used, uint16_t *flags)
{
    size_t id = used.id;
    uint32_t bits;

    VIRTQ_OPAQUE(id);
    used.id = (uint32_t)id;
    if (VIRTQ_UNLIKELY(!virtq_device_core_pushable(entries, size, id, used.len))) {
        return false;
    }
    bits = virtq_packed_device_write(place->at, how, used, place->bits);
    if (flags != NULL) {
        *flags = (uint16_t)bits;
    } else {
        virtq_shm_store16(&place->at->flags, (uint16_t)bits, how);
    }
    virtq_packed_place_step(place, (uint16_t)entries[id].ticket, size);
    VIRTQ_OPAQUE(id);
    virtq_device_core_land(&entries[id]);
    return true;
}

/** @brief See virtq_device_push(). @param q the queue @param how the instance @param used them
 * @param count how many @return how many, or an error */
VIRTQ_TEMPLATE int virtq_packed_device_push(struct virtq_packed_device *q, unsigned how,
                                            const struct virtq_used_buffer *used, unsigned count)
{
    const struct virtq_used_buffer *const first = used;
    const struct virtq_used_buffer *const last = used + count;
    struct virtq_device_entry *const entries = q->core.entries;
    const uint32_t size = q->core.size;
    struct virtq_packed_place place;
    unsigned done;
    int error = virtq_packed_device_begin(q, how);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    if (VIRTQ_UNLIKELY((q->core.flags & VIRTQ_CORE_IN_ORDER) != 0u)) {
        return virtq_device_core_hold(&q->core, used, count);
    }
    place = virtq_packed_place_of(q, q->pushed, virtq_position_used(q->pushed));
    if (q->core.unpublished == 0u && used != last) {
        used += virtq_packed_device_push_one(entries, size, how, &place, *used, &q->published_flags)
                    ? 1
                    : 0;
    }
    if (VIRTQ_LIKELY(q->core.unpublished != 0u || used != first)) {
        while (used != last &&
               virtq_packed_device_push_one(entries, size, how, &place, *used, NULL)) {
            used++;
        }
    }
    done = (unsigned)(used - first);
    q->pushed = virtq_packed_place_position(&place);
    q->core.unpublished += done;
    return virtq_device_core_pushed(&q->core, first, done, count);
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
        const uint32_t flags =
            virtq_packed_device_write(desc, how, used, virtq_position_used(q->pushed));

        if (q->core.unpublished == 0u) {
            q->published_flags = (uint16_t)flags;
        } else {
            virtq_shm_store16(&desc->flags, (uint16_t)flags, how);
        }
        q->pushed = virtq_position_advance(q->pushed, slots, q->core.size);
        q->core.unpublished += buffers;
        buffers = virtq_device_core_batch(&q->core, &used, &slots);
    }
}

/** @brief See virtq_device_publish(). @param q the queue @param how the instance @return how many,
 * or an error */
VIRTQ_TEMPLATE int virtq_packed_device_publish(struct virtq_packed_device *q, unsigned how)
{
    uint32_t slots;
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
    slots = virtq_position_between(q->published, q->pushed, q->core.size);
    virtq_device_core_published(&q->core, slots);
    q->published = q->pushed;
    q->slots -= slots;
    q->core.unpublished = 0;
    return (int)count;
}

#endif
