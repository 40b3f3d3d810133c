/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a split queue says and asks who is to be woken.
 */
#ifndef VIRTQ_INLINE_SPLIT_DEVICE_NOTIFY_H
#define VIRTQ_INLINE_SPLIT_DEVICE_NOTIFY_H

#include "split_device_queue.h"

/** @brief S13: whether a legacy device has drained the ring and has to say so. @param q the queue
 * @param how the instance
 * @return whether */
VIRTQ_TEMPLATE bool virtq_split_device_drained(const struct virtq_split_device *q, unsigned how)
{
    return (q->core.flags & VIRTQ_CORE_NOTIFY_ON_EMPTY) != 0u && q->core.in_flight == 0u &&
           q->core.untested != 0u && virtq_shm_load16(&q->avail->idx, how) == q->popped;
}

/** @brief See virtq_device_needs_notify(). @param q the queue @param how the instance @return 1, 0
 * or an error */
VIRTQ_TEMPLATE int virtq_split_device_needs_notify(struct virtq_split_device *q, unsigned how)
{
    const uint32_t untested = q->core.untested;
    bool wanted = untested >= VIRTQ_UNTESTED_MANY;
    int error = virtq_split_device_begin(q, how);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    if (VIRTQ_UNLIKELY(untested == 0u) && (q->core.flags & VIRTQ_CORE_QUIESCED) != 0u) {
        /* U1, R1: drained, so the ring may be gone. */
        return virtq_device_core_tested(&q->core, false);
    }
    /* B5, partner B7 of the driver: the index before its event or flags, else both ends sleep. */
    virtq_barrier_full(how);
    if ((q->core.flags & VIRTQ_CORE_EVENT_IDX) != 0u) {
        uint16_t event = virtq_shm_load16(&q->ring[q->core.size], how);

        wanted = wanted || virtq_event_split(event, q->published, (uint16_t)untested);
    } else {
        uint16_t flags = virtq_shm_load16(&q->avail->flags, how);

        wanted = wanted || (untested != 0u && (flags & VIRTQ_AVAIL_F_NO_INTERRUPT) == 0u);
    }
    wanted = wanted || virtq_split_device_drained(q, how);
    return virtq_device_core_tested(&q->core, wanted);
}

/** @brief See virtq_device_enable_notify(). @param q the queue @param how the instance @return
 * whether something new came */
VIRTQ_TEMPLATE bool virtq_split_device_enable_notify(struct virtq_split_device *q, unsigned how)
{
    uint16_t known = (uint16_t)(q->popped + q->core.ahead);

    if (VIRTQ_UNLIKELY(virtq_split_device_begin(q, how) != VIRTQ_OK)) {
        return true;
    }
    if (VIRTQ_UNLIKELY((q->core.flags & VIRTQ_CORE_QUIESCED) != 0u)) {
        return false;
    }
    if ((q->core.flags & VIRTQ_CORE_EVENT_IDX) != 0u) {
        virtq_shm_store16((uint16_t *)(void *)&q->elements[q->core.size], known, how);
    } else {
        virtq_shm_store16(&q->used->flags, 0, how);
    }
    q->core.flags &= ~(uint32_t)VIRTQ_CORE_SILENT;
    /* B7, partner B2 of the driver: our wish before its index, else it may have gone by unseen. */
    virtq_barrier_full(how);
    return virtq_shm_load16(&q->avail->idx, how) != known;
}

/** @brief See virtq_device_disable_notify(). @param q the queue @param how the instance */
VIRTQ_TEMPLATE void virtq_split_device_disable_notify(struct virtq_split_device *q, unsigned how)
{
    const uint32_t still = (uint32_t)VIRTQ_CORE_SILENT | (uint32_t)VIRTQ_CORE_QUIESCED;

    if ((q->core.flags & still) != 0u || virtq_split_device_begin(q, how) != VIRTQ_OK) {
        return;
    }
    q->core.flags |= VIRTQ_CORE_SILENT;
    if ((q->core.flags & VIRTQ_CORE_EVENT_IDX) != 0u) {
        /* S11: flags stay 0 with EVENT_IDX; the event is put as far away as it can be. */
        virtq_shm_store16((uint16_t *)(void *)&q->elements[q->core.size],
                          (uint16_t)(q->popped - 1u), how);
    } else {
        virtq_shm_store16(&q->used->flags, VIRTQ_USED_F_NO_NOTIFY, how);
    }
}

#endif
