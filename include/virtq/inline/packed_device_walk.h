/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a packed queue walks a buffer that is more than one plain descriptor.
 */
#ifndef VIRTQ_INLINE_PACKED_DEVICE_WALK_H
#define VIRTQ_INLINE_PACKED_DEVICE_WALK_H

#include "packed_device_queue.h"
#include "table_walk.h"

/** @brief Reads a descriptor's address and length, once each. @param from where @param how the
 * instance
 * @param flags as read before them @return a private copy in processor order; its id is read at the
 * end */
VIRTQ_TEMPLATE struct pvirtq_desc virtq_packed_device_read(const struct pvirtq_desc *from,
                                                           unsigned how, uint16_t flags)
{
    struct pvirtq_desc desc;

    desc.addr = virtq_shm_load64(&from->addr, how);
    desc.len = virtq_shm_load32(&from->len, how);
    desc.id = 0;
    desc.flags = flags;
    return desc;
}

/** @brief One descriptor of a list. @param q the queue @param how the instance @param walk the walk
 * @param desc as read @return as for the walker */
VIRTQ_TEMPLATE int virtq_packed_device_element(struct virtq_packed_device *q, unsigned how,
                                               struct virtq_walk *walk, struct pvirtq_desc desc)
{
    if ((desc.flags & VIRTQ_DESC_F_INDIRECT) != 0u) {
        return virtq_table_any(&q->core, how, true, walk, desc.addr, desc.len);
    }
    return virtq_walk_element(&q->core, how, walk, desc.addr, desc.len,
                              (desc.flags & VIRTQ_DESC_F_WRITE) != 0u);
}

/** @brief Whether a list may go on as this descriptor says: an INDIRECT one stands alone (P8), and
 * a list is no longer than what the ring has free (S4, H4). @param q the queue @param flags as read
 * @param slots descriptors so far, this one included
 * @return 0 or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_judge(struct virtq_packed_device *q, uint16_t flags,
                                             uint32_t slots)
{
    if (VIRTQ_UNLIKELY((flags & VIRTQ_DESC_F_INDIRECT) != 0u &&
                       (slots != 1u || (flags & VIRTQ_DESC_F_NEXT) != 0u))) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_TABLE, q->popped, flags);
    }
    if (VIRTQ_UNLIKELY(slots + q->slots > q->core.size)) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_LOOP, q->popped, slots);
    }
    return VIRTQ_OK;
}

/** @brief Walks a list of ring descriptors to its end, even if an element is bad: the ring goes on
 * behind it. @param q the queue @param how the instance @param walk the walk; its chain gets the id
 * @param desc the first one, as read @param slots result: descriptors @return as for the walker, or
 * VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_walk(struct virtq_packed_device *q, unsigned how,
                                            struct virtq_walk *walk, struct pvirtq_desc desc,
                                            uint32_t *slots)
{
    struct virtq_place place = virtq_place_of(q->popped, virtq_position_available(q->popped));
    const uint16_t both = PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED;
    uint32_t count = 1;
    int result = VIRTQ_OK;

    for (;; count++) {
        const struct pvirtq_desc *at = &q->desc[place.offset];
        uint16_t flags;

        if (VIRTQ_UNLIKELY(virtq_packed_device_judge(q, desc.flags, count) != VIRTQ_OK)) {
            return VIRTQ_EBROKEN;
        }
        if (VIRTQ_LIKELY(result == VIRTQ_OK)) {
            result = virtq_packed_device_element(q, how, walk, desc);
        }
        if ((desc.flags & VIRTQ_DESC_F_NEXT) == 0u) {
            /* The id of the last descriptor counts: virtio 1.4, Next Flag: Descriptor Chaining. */
            virtq_walk_name(walk->chain, virtq_shm_load16(&at->id, how));
            *slots = count;
            return result;
        }
        virtq_place_step(&place, 1, q->core.size);
        at = &q->desc[place.offset];
        flags = virtq_shm_load16(&at->flags, how);
        if (VIRTQ_UNLIKELY((flags & both) != place.bits)) {
            /* P6: the driver makes the head available last, so this is no end but an error. */
            return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_PARTIAL,
                                           virtq_place_position(place), flags);
        }
        desc = virtq_packed_device_read(at, how, flags);
    }
}

#endif
