/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end takes buffers that were popped before it was restored: see
 * virtq_device_retake(). Off the hot path, so that `how` need not be a constant.
 */
#ifndef VIRTQ_INLINE_DEVICE_RETAKE_H
#define VIRTQ_INLINE_DEVICE_RETAKE_H

#include "packed_device.h"
#include "split_device.h"

/** @brief From the next buffer's ticket to those of retaken ones: half a circle away from all that
 * unpop could take for the latest. */
#define VIRTQ_TICKET_RETAKEN 0x80000000u

/** @brief Whether such a buffer can be retaken at all. @param core the queue @param buffer its
 * record @param slots ring descriptors that it takes up @return whether */
VIRTQ_INLINE bool virtq_device_core_retakable(const struct virtq_device_core *core,
                                              const struct virtq_taken_buffer *buffer,
                                              uint32_t slots)
{
    return buffer->id < core->size && !virtq_device_core_flies(&core->entries[buffer->id]) &&
           slots != 0u && slots <= core->untaken;
}

/** @brief Ends a walk of a record: the buffer is in flight, bad or not. @param core the queue
 * @param walk the walk @param result of the walker @param slots ring descriptors @return 1,
 * VIRTQ_EMISS or VIRTQ_EBROKEN */
VIRTQ_INLINE int virtq_device_core_retaken(struct virtq_device_core *core, struct virtq_walk *walk,
                                           int result, uint32_t slots)
{
    struct virtq_chain *chain = walk->chain;
    uint32_t limit;

    result = virtq_walk_close(walk, result, &limit);
    if (result != VIRTQ_OK) {
        walk->piece = chain->pieces;
        result = virtq_walk_refuse(core, chain, result, true);
        if (result != VIRTQ_OK) {
            core->counters.error_miss += result == VIRTQ_EMISS ? 1u : 0u;
            return result;
        }
    }
    core->entries[chain->id].limit = limit;
    core->entries[chain->id].ticket = ((core->ticket & 0xffff0000u) ^ VIRTQ_TICKET_RETAKEN) | slots;
    core->untaken -= slots;
    virtq_device_core_popped(core, 0, chain, 1, chain->readable + chain->writable);
    return 1;
}

/** @brief See virtq_device_retake(). @param q the queue @param how the instance @param buffer its
 * record @param chain result @param pieces room @param piece_count how many @return see there */
VIRTQ_INLINE int virtq_split_device_retake(struct virtq_split_device *q, unsigned how,
                                           const struct virtq_taken_buffer *buffer,
                                           struct virtq_chain *chain, struct virtq_piece *pieces,
                                           unsigned piece_count)
{
    struct virtq_desc desc;
    struct virtq_walk walk;
    int error = virtq_split_device_begin(q, how);

    if (error != VIRTQ_OK || (q->core.flags & VIRTQ_CORE_QUIESCED) != 0u) {
        return error;
    }
    if (piece_count == 0u || !virtq_device_core_retakable(&q->core, buffer, 1)) {
        return VIRTQ_EINVAL;
    }
    virtq_walk_name(chain, buffer->id);
    desc = virtq_split_device_read(&q->desc[buffer->id], how);
    virtq_walk_begin(&walk, chain, pieces, pieces + piece_count);
    error = virtq_split_device_walk(q, how, &walk, desc, chain->id);
    return virtq_device_core_retaken(&q->core, &walk, error, 1);
}

/** @brief Whether descriptors can be one list of a ring: NEXT in all but the last, and INDIRECT
 * alone. P8. @param buffer its record @return whether */
VIRTQ_INLINE bool virtq_packed_device_listed(const struct virtq_taken_buffer *buffer)
{
    for (uint32_t i = 0; i < buffer->count; i++) {
        const uint16_t flags = virtq_shm_load16(&buffer->descs[i].flags, 0);
        const bool next = (flags & VIRTQ_DESC_F_NEXT) != 0u;

        if (next != (i + 1u != buffer->count) ||
            ((flags & VIRTQ_DESC_F_INDIRECT) != 0u && buffer->count != 1u)) {
            return false;
        }
    }
    return true;
}

/** @brief See virtq_device_retake(). @param q the queue @param how the instance @param buffer its
 * record @param chain result @param pieces room @param piece_count how many @return see there */
VIRTQ_INLINE int virtq_packed_device_retake(struct virtq_packed_device *q, unsigned how,
                                            const struct virtq_taken_buffer *buffer,
                                            struct virtq_chain *chain, struct virtq_piece *pieces,
                                            unsigned piece_count)
{
    struct virtq_walk walk;
    int error = virtq_packed_device_begin(q, how);

    if (error != VIRTQ_OK || (q->core.flags & VIRTQ_CORE_QUIESCED) != 0u) {
        return error;
    }
    if (piece_count == 0u || !virtq_device_core_retakable(&q->core, buffer, buffer->count) ||
        !virtq_packed_device_listed(buffer)) {
        return VIRTQ_EINVAL;
    }
    virtq_walk_name(chain, buffer->id);
    virtq_walk_begin(&walk, chain, pieces, pieces + piece_count);
    for (uint32_t i = 0; i < buffer->count && error == VIRTQ_OK; i++) {
        const struct pvirtq_desc *from = &buffer->descs[i];
        const struct pvirtq_desc desc =
            virtq_packed_device_read(from, how, virtq_shm_load16(&from->flags, how));

        error = virtq_packed_device_element(q, how, &walk, desc);
    }
    return virtq_device_core_retaken(&q->core, &walk, error, buffer->count);
}

#endif
