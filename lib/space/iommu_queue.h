/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What the policies of an iommu queue have in common.
 */
#ifndef VIRTQ_LIB_SPACE_IOMMU_QUEUE_H
#define VIRTQ_LIB_SPACE_IOMMU_QUEUE_H

#include "iommu_place.h"
#include "virtq/space/iommu_queue.h"

/** @brief What unmap needs, in private memory; the ranges follow, as the backend was told of them.
 */
struct virtq_priv_iommu_record {
    virtq_addr_t addr; /**< First address of the whole buffer. */
    uint64_t len;      /**< The length that was asked for. */
    uint64_t count;    /**< Ranges; 0: no address was taken. */
    uint64_t groups;   /**< Parts that went through the pool; they follow the ranges. */
};

/** @brief The operations of each policy; strict with room for a list has those with a batch. */
extern const struct virtq_space_ops virtq_priv_iommu_mapped_ops;
extern const struct virtq_space_ops virtq_priv_iommu_bounced_ops;
extern const struct virtq_space_ops virtq_priv_iommu_mapped_batch_ops;
extern const struct virtq_space_ops virtq_priv_iommu_bounced_batch_ops;
extern const struct virtq_space_ops virtq_priv_iommu_persistent_ops;
extern const struct virtq_space_ops virtq_priv_iommu_identity_ops;

/** @brief The queue that a space is the first member of. */
VIRTQ_INLINE struct virtq_iommu_queue *virtq_priv_iommu_queue_of(struct virtq_space *space)
{
    return (struct virtq_iommu_queue *)(void *)space;
}

/** @brief The ranges behind a record. */
VIRTQ_INLINE struct virtq_region *virtq_priv_iommu_ranges(struct virtq_priv_iommu_record *record)
{
    return (struct virtq_region *)(void *)(record + 1);
}

/** @brief Whether a segment is copied rather than mapped. */
VIRTQ_INLINE int virtq_priv_iommu_bounces(const struct virtq_iommu_queue *queue,
                                          const struct virtq_segment *segment)
{
    return queue->bounce != NULL &&
           (((uintptr_t)segment->base | (uint64_t)segment->len) & queue->mask) != 0;
}

/** @brief Takes an address for all segments that are mapped, and begins the record: 0, or an error
 * and nothing is taken. `count` of the record is 0 if none are mapped. */
int virtq_priv_iommu_reserve(struct virtq_iommu_queue *queue, const struct virtq_mapping *mapping,
                             struct virtq_priv_layout *layout,
                             struct virtq_priv_iommu_record *record);

/** @brief Has the backend map: 0, or its error, and the address is given back. */
int virtq_priv_iommu_install(struct virtq_iommu_queue *queue, virtq_addr_t addr, uint64_t len,
                             const struct virtq_region *ranges, unsigned count);

/** @brief Unmapped, flushed, free, now. */
void virtq_priv_iommu_withdraw(struct virtq_iommu_queue *queue, virtq_addr_t addr, uint64_t len,
                               const struct virtq_region *ranges, unsigned count);

/** @brief Withdraws a buffer as the policy says. */
void virtq_priv_iommu_retire(struct virtq_iommu_queue *queue,
                             struct virtq_priv_iommu_record *record);

/** @brief virtq_space_ops::batch: what is retired in between is withdrawn at its end. */
void virtq_priv_iommu_batch(struct virtq_space *space, int more);

/** @brief virtq_space_ops::share with a mapping of its own, and its reverse. */
int virtq_priv_iommu_share(struct virtq_space *space, void *base, uint64_t len,
                           uint32_t permissions, virtq_addr_t *addr);
void virtq_priv_iommu_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len);

#endif
