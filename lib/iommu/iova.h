/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What the depot asks of an allocator.
 */
#ifndef VIRTQ_LIB_IOMMU_IOVA_H
#define VIRTQ_LIB_IOMMU_IOVA_H

#include "virtq/iommu/iova.h"

/** @brief The allocation that holds an address: its begin, and its length (0: 2^64 bytes). 0 or
 * VIRTQ_EINVAL. */
int virtq_priv_iova_find(const struct virtq_iova *iova, virtq_addr_t addr, virtq_addr_t *first,
                         uint64_t *len);

/** @brief virtq_iova_alloc() in [low, high] only: 0, VIRTQ_ENOMEM or VIRTQ_EINVAL. */
int virtq_priv_iova_alloc_in(struct virtq_iova *iova, uint64_t len, uint64_t align,
                             virtq_addr_t low, virtq_addr_t high, virtq_addr_t *addr);

#endif
