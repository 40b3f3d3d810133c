/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The taken ranges of an allocator: a balanced tree (AVL) of entries that are named by
 * number, from 1 on.
 */
#ifndef VIRTQ_LIB_IOMMU_IOVA_TREE_H
#define VIRTQ_LIB_IOMMU_IOVA_TREE_H

#include "virtq/api.h"
#include "virtq/iommu/iova.h"

/** @brief No tree is higher: 2^32 entries make 47 levels at most. */
#define VIRTQ_PRIV_IOVA_HEIGHT 48

/** @brief An entry by its number, which is not 0. */
VIRTQ_INLINE struct virtq_iova_range *virtq_priv_iova_at(const struct virtq_iova *iova,
                                                         uint32_t number)
{
    return &iova->ranges[number - 1];
}

/** @brief The first range that does not end below `addr`; 0: there is none. */
uint32_t virtq_priv_iova_from(const struct virtq_iova *iova, virtq_addr_t addr);

/** @brief Adds a range that shares no address with another; there is room. */
void virtq_priv_iova_insert(struct virtq_iova *iova, virtq_addr_t first, virtq_addr_t last,
                            uint8_t reserved);

/** @brief Removes the range that begins at `first`; there is one. */
void virtq_priv_iova_remove(struct virtq_iova *iova, virtq_addr_t first);

#endif
