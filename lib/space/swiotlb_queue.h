/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What the two halves of a queue's space share: its mappings.
 *
 * #VIRTQ_PRIV_SLOT_PARTS in a record's number tells that the buffer did not come in the short way.
 */
#ifndef VIRTQ_LIB_SPACE_SWIOTLB_QUEUE_H
#define VIRTQ_LIB_SPACE_SWIOTLB_QUEUE_H

#include "slots.h"
#include "virtq/space/swiotlb_queue.h"

/** @brief Makes one without checks, in memory of any contents.
 * @param pool NULL: of no pool, so that it has no slot for any buffer and takes none
 * @param copy as in the configuration @param classes @param depth and @param memory as of
 * virtq_priv_slots_init() */
void virtq_priv_swiotlb_queue_build(struct virtq_swiotlb_queue *queue, struct virtq_swiotlb *pool,
                                    const struct virtq_copy *copy, uint32_t classes, uint32_t depth,
                                    uint64_t *memory);

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
