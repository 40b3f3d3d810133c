/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end of a split queue publishes, and says and asks who is to be woken.
 */
#ifndef VIRTQ_INLINE_SPLIT_DRIVER_NOTIFY_H
#define VIRTQ_INLINE_SPLIT_DRIVER_NOTIFY_H

#include "split_driver_queue.h"

/** @brief See virtq_driver_publish(). @param q the queue @param how the instance @return how many
 */
VIRTQ_TEMPLATE unsigned virtq_split_driver_publish(struct virtq_split_driver *q, unsigned how)
{
    const uint16_t added = q->added;
    unsigned count = q->core.unpublished;

    if (count == 0u || VIRTQ_UNLIKELY(q->core.fault.reason != (uint32_t)VIRTQ_REASON_NONE)) {
        return 0;
    }
    /* B1, partner B3: descriptors and slots before the index. virtio 1.4, Updating idx. */
    virtq_barrier_write(how);
    virtq_shm_store16_release(&q->avail->idx, added, how);
    q->published = added;
    q->core.unpublished = 0;
    q->core.outstanding += count;
    virtq_driver_core_published(&q->core, count);
    return count;
}

/** @brief See virtq_driver_needs_notify(). @param q the queue @param how the instance @param data
 * result or NULL @return whether */
VIRTQ_TEMPLATE bool virtq_split_driver_needs_notify(struct virtq_split_driver *q, unsigned how,
                                                    uint32_t *data)
{
    const uint32_t flags = q->core.flags;
    const uint32_t untested = q->core.untested;
    bool wanted = untested >= VIRTQ_UNTESTED_MANY;

    if (data != NULL) {
        *data = virtq_driver_core_notification(&q->core, q->published);
    }
    if (VIRTQ_UNLIKELY(q->core.fault.reason != (uint32_t)VIRTQ_REASON_NONE)) {
        return false;
    }
    /* B2, partner B7 of the device: the index before its event or flags, else both ends sleep. */
    virtq_barrier_full(how);
    if ((flags & VIRTQ_CORE_EVENT_IDX) != 0u) {
        uint16_t event = virtq_shm_load16(virtq_split_driver_avail_event(q), how);

        wanted = wanted || virtq_event_split(event, q->published, (uint16_t)untested);
    } else {
        uint16_t used_flags = virtq_shm_load16(&q->used->flags, how);

        wanted = wanted || (untested != 0u && (used_flags & VIRTQ_USED_F_NO_NOTIFY) == 0u);
    }
    return virtq_driver_core_tested(&q->core, wanted);
}

/** @brief See virtq_driver_enable_notify_after(). @param q the queue @param how the instance @param
 * buffers 1 or more @return whether so many came */
VIRTQ_TEMPLATE bool virtq_split_driver_enable_notify(struct virtq_split_driver *q, unsigned how,
                                                     unsigned buffers)
{
    uint32_t after = buffers > q->core.outstanding ? q->core.outstanding : buffers;

    after = after == 0u ? 1u : after;
    if ((q->core.flags & VIRTQ_CORE_EVENT_IDX) != 0u) {
        virtq_shm_store16(virtq_split_driver_used_event(q), (uint16_t)(q->polled + after - 1u),
                          how);
    } else {
        after = 1;
        virtq_shm_store16(&q->avail->flags, 0, how);
    }
    q->core.flags &= ~(uint32_t)VIRTQ_CORE_SILENT;
    /* B7, partner B5 of the device: our wish before its index, else it may have gone by unseen. */
    virtq_barrier_full(how);
    return q->core.fault.reason != (uint32_t)VIRTQ_REASON_NONE ||
           (uint16_t)(virtq_shm_load16(&q->used->idx, how) - q->polled) >= after;
}

/** @brief See virtq_driver_disable_notify(). @param q the queue @param how the instance */
VIRTQ_TEMPLATE void virtq_split_driver_disable_notify(struct virtq_split_driver *q, unsigned how)
{
    if ((q->core.flags & VIRTQ_CORE_SILENT) != 0u) {
        return;
    }
    q->core.flags |= VIRTQ_CORE_SILENT;
    if ((q->core.flags & VIRTQ_CORE_EVENT_IDX) != 0u) {
        /* S11: flags stay 0 with EVENT_IDX; the event is put as far away as it can be. */
        virtq_shm_store16(virtq_split_driver_used_event(q), (uint16_t)(q->polled - 1u), how);
    } else {
        virtq_shm_store16(&q->avail->flags, VIRTQ_AVAIL_F_NO_INTERRUPT, how);
    }
}

#endif
