/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a split queue walks a buffer that is more than one plain descriptor.
 */
#ifndef VIRTQ_INLINE_SPLIT_DEVICE_WALK_H
#define VIRTQ_INLINE_SPLIT_DEVICE_WALK_H

#include "split_device_queue.h"
#include "table_walk.h"

/** @brief The flags that count. @param flags as read @return a set of them */
VIRTQ_TEMPLATE uint16_t virtq_split_device_flags(uint16_t flags)
{
    return flags & (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_INDIRECT);
}

/** @brief Reads a descriptor, each field once; all but `next`, which is read when it is needed.
 * @param from where @param how the instance @return a private copy in processor order */
VIRTQ_TEMPLATE struct virtq_desc virtq_split_device_read(const struct virtq_desc *from,
                                                         unsigned how)
{
    struct virtq_desc desc;

    desc.addr = virtq_shm_load64(&from->addr, how);
    desc.len = virtq_shm_load32(&from->len, how);
    desc.flags = virtq_split_device_flags(virtq_shm_load16(&from->flags, how));
    desc.next = 0;
    return desc;
}

/** @brief Walks a chain of ring descriptors, which may end in one table. S4, S5, H1, H4. @param q
 * the queue @param how the instance @param walk the walk @param desc the head, as read @param head
 * its index @return as for the walker, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_device_walk(struct virtq_split_device *q, unsigned how,
                                           struct virtq_walk *walk, struct virtq_desc desc,
                                           uint16_t head)
{
    uint32_t index = head;

    for (uint32_t steps = 1;; steps++) {
        const bool next = (desc.flags & VIRTQ_DESC_F_NEXT) != 0u;
        int result;

        if ((desc.flags & VIRTQ_DESC_F_INDIRECT) != 0u) {
            /* The device MUST ignore WRITE here: virtio 1.4, Indirect Descriptors. */
            return next ? (int)VIRTQ_REASON_TABLE_NEXT
                        : virtq_table_any(&q->core, how, false, walk, desc.addr, desc.len);
        }
        result = virtq_walk_element(&q->core, how, walk, desc.addr, desc.len,
                                    (desc.flags & VIRTQ_DESC_F_WRITE) != 0u);
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK) || !next) {
            return result;
        }
        index = virtq_shm_load16(&q->desc[index].next, how);
        if (VIRTQ_UNLIKELY(index > q->mask)) {
            return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_NEXT, q->popped, index);
        }
        if (VIRTQ_UNLIKELY(steps == q->core.size)) {
            return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_LOOP, q->popped, head);
        }
        desc = virtq_split_device_read(&q->desc[index], how);
    }
}

#endif
