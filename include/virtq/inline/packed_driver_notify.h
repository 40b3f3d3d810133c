/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end of a packed queue publishes, and says and asks who is to be woken.
 */
#ifndef VIRTQ_INLINE_PACKED_DRIVER_NOTIFY_H
#define VIRTQ_INLINE_PACKED_DRIVER_NOTIFY_H

#include "packed_driver_poll.h"
#include "packed_driver_queue.h"

/** @brief See virtq_driver_publish(). @param q the queue @param how the instance @return how many
 */
VIRTQ_TEMPLATE unsigned virtq_packed_driver_publish(struct virtq_packed_driver *q, unsigned how)
{
    unsigned count = q->core.unpublished;

    if (count == 0u || VIRTQ_UNLIKELY(q->core.fault.reason != (uint32_t)VIRTQ_REASON_NONE)) {
        return 0;
    }
    /* B8, partner B9: everything else of every descriptor before the first one's flags. virtio 1.4,
     * Updating flags. */
    virtq_barrier_write(how);
    virtq_shm_store16_release(&q->desc[virtq_position_offset(q->published)].flags,
                              q->published_flags, how);
    virtq_driver_core_published(&q->core,
                                virtq_position_between(q->published, q->added, q->core.size));
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
    if (VIRTQ_UNLIKELY(q->core.fault.reason != (uint32_t)VIRTQ_REASON_NONE)) {
        return false;
    }
    /* B12, partner B7 of the device: flags before the event, else both ends sleep. */
    virtq_barrier_full(how);
    /* B14: both halves in one load, so that a new flag is never paired with an old offset. */
    word = virtq_shm_load32(q->event, how);
    if (untested < VIRTQ_UNTESTED_MANY) {
        wanted = virtq_event_wanted(word, (q->core.flags & VIRTQ_CORE_EVENT_IDX) != 0u,
                                    q->published, untested, q->core.size);
    }
    return virtq_driver_core_tested(&q->core, wanted);
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
    virtq_barrier_full(how);
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
