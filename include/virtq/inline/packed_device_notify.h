/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a packed queue says and asks who is to be woken.
 */
#ifndef VIRTQ_INLINE_PACKED_DEVICE_NOTIFY_H
#define VIRTQ_INLINE_PACKED_DEVICE_NOTIFY_H

#include "packed_device_queue.h"

/** @brief See virtq_device_needs_notify(). @param q the queue @param how the instance @return 1, 0
 * or an error */
VIRTQ_TEMPLATE int virtq_packed_device_needs_notify(struct virtq_packed_device *q, unsigned how)
{
    const uint32_t untested = q->core.untested;
    bool wanted = untested != 0u;
    uint32_t word;
    int error = virtq_packed_device_begin(q, how);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    if (VIRTQ_UNLIKELY(untested == 0u) && (q->core.flags & VIRTQ_CORE_QUIESCED) != 0u) {
        /* U1, R1: drained, so the ring may be gone. */
        return virtq_device_core_tested(&q->core, false);
    }
    /* B12, partner B7 of the driver: flags before the event, else both ends sleep. */
    virtq_barrier_full(how);
    /* B14: both halves in one load. */
    word = virtq_shm_load32(q->event, how);
    if (untested < VIRTQ_UNTESTED_MANY) {
        wanted = virtq_event_wanted(word, (q->core.flags & VIRTQ_CORE_EVENT_IDX) != 0u,
                                    q->published, untested, q->core.size);
    }
    return virtq_device_core_tested(&q->core, wanted);
}

/** @brief See virtq_device_enable_notify(). @param q the queue @param how the instance @return
 * whether something new came */
VIRTQ_TEMPLATE bool virtq_packed_device_enable_notify(struct virtq_packed_device *q, unsigned how)
{
    uint16_t known = virtq_position_advance(q->popped, q->core.ahead, q->core.size);
    uint32_t word = VIRTQ_RING_EVENT_FLAGS_ENABLE;

    if (VIRTQ_UNLIKELY(virtq_packed_device_begin(q, how) != VIRTQ_OK)) {
        return true;
    }
    if (VIRTQ_UNLIKELY((q->core.flags & VIRTQ_CORE_QUIESCED) != 0u)) {
        return false;
    }
    if ((q->core.flags & VIRTQ_CORE_EVENT_IDX) != 0u) {
        word = known | VIRTQ_RING_EVENT_FLAGS_DESC << 16;
    }
    /* B13: offset and flags in one store. */
    virtq_shm_store32(q->own_event, word, how);
    q->core.flags &= ~(uint32_t)VIRTQ_CORE_SILENT;
    /* B7, partner B12 of the driver: our wish before its flags, else they may have gone by unseen.
     */
    virtq_barrier_full(how);
    return q->slots + q->core.ahead < q->core.size &&
           virtq_packed_device_available(
               virtq_shm_load16(&q->desc[virtq_position_offset(known)].flags, how), known);
}

/** @brief See virtq_device_disable_notify(). @param q the queue @param how the instance */
VIRTQ_TEMPLATE void virtq_packed_device_disable_notify(struct virtq_packed_device *q, unsigned how)
{
    const uint32_t still = (uint32_t)VIRTQ_CORE_SILENT | (uint32_t)VIRTQ_CORE_QUIESCED;

    if ((q->core.flags & still) == 0u && virtq_packed_device_begin(q, how) == VIRTQ_OK) {
        q->core.flags |= VIRTQ_CORE_SILENT;
        virtq_shm_store32(q->own_event, VIRTQ_RING_EVENT_FLAGS_DISABLE << 16, how);
    }
}

#endif
