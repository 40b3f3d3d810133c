/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What the two halves of a queue's space share: its classes of slots, and its mappings.
 */
#ifndef VIRTQ_LIB_SPACE_SWIOTLB_QUEUE_H
#define VIRTQ_LIB_SPACE_SWIOTLB_QUEUE_H

#include <stdbool.h>

#include "stage.h"
#include "virtq/space/swiotlb_queue.h"

/** @brief What a record's number is: a class, if the buffer has one segment and came in the short
 * way; a class with this bit, if not ... */
#define VIRTQ_PRIV_SLOT_PARTS ((uint64_t)1 << 8)
/** @brief ... or granules with this one, if the slot goes back to the pool: 0 of them, if the
 * buffer was there already. */
#define VIRTQ_PRIV_SLOT_POOLED ((uint64_t)1 << 63)

/** @brief The smallest class for `last` + 1 bytes; beyond the largest there is one more, which is
 * always empty. A loop that ends at once for small buffers, and no builtin: it is a call on some
 * processors. */
VIRTQ_TEMPLATE uint64_t virtq_priv_swiotlb_class_of(const struct virtq_swiotlb_queue *queue,
                                                    uint64_t last)
{
    uint64_t units = last >> queue->shift;
    uint64_t at = 0;

    while (VIRTQ_UNLIKELY(units != 0) && at < queue->classes) {
        units >>= 1;
        at++;
    }
    return at;
}

/** @brief Bytes of the slots of a class. */
VIRTQ_INLINE uint64_t virtq_priv_swiotlb_class_bytes(const struct virtq_swiotlb_queue *queue,
                                                     uint32_t at)
{
    return (uint64_t)1 << (queue->shift + at);
}

/** @brief Bytes of a buffer's slot. */
VIRTQ_INLINE uint64_t virtq_priv_swiotlb_slot_bytes(const struct virtq_swiotlb_queue *queue,
                                                    const struct virtq_priv_stage_record *record)
{
    const uint64_t number = record->number;

    if ((number & VIRTQ_PRIV_SLOT_POOLED) != 0) {
        return (number & ~VIRTQ_PRIV_SLOT_POOLED) << queue->shift;
    }
    return virtq_priv_swiotlb_class_bytes(queue, (uint32_t)(number & (VIRTQ_PRIV_SLOT_PARTS - 1)));
}

/** @brief Takes a slot of `len` bytes, from its class or from the pool: 0, VIRTQ_ENOMEM or
 * VIRTQ_ETOOBIG. */
int virtq_priv_swiotlb_queue_take(struct virtq_swiotlb_queue *queue,
                                  struct virtq_priv_stage_record *record, uint64_t len);

/** @brief virtq_space_ops::map where bytes are copied plainly. */
int virtq_priv_swiotlb_queue_map(struct virtq_space *space, struct virtq_mapping *mapping);
/** @brief virtq_space_ops::unmap where bytes are copied plainly. */
void virtq_priv_swiotlb_queue_unmap(struct virtq_space *space, struct virtq_mapping *mapping,
                                    uint64_t written);

/** @brief virtq_space_ops::map for any way to copy. */
int virtq_priv_swiotlb_queue_map_hooked(struct virtq_space *space, struct virtq_mapping *mapping);
/** @brief virtq_space_ops::unmap for any way to copy. */
void virtq_priv_swiotlb_queue_unmap_hooked(struct virtq_space *space, struct virtq_mapping *mapping,
                                           uint64_t written);

#endif
