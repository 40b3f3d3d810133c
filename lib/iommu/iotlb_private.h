/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What the iommu space does with an IOTLB, and the IOTLB with its misses.
 */
#ifndef VIRTQ_LIB_IOMMU_IOTLB_PRIVATE_H
#define VIRTQ_LIB_IOMMU_IOTLB_PRIVATE_H

#include <stdbool.h>

#include "virtq/iommu/iotlb.h"

/** @brief virtq_iotlb_update() that tells nobody: says whether something was replaced or evicted,
 * for the caller to tell the space once it holds no lock. `evicts`: a full table makes room. The
 * region is legal. */
int virtq_priv_iotlb_enter(struct virtq_iotlb *iotlb, const struct virtq_region *region,
                           bool evicts, bool *replaced, bool *evicted);

/** @brief Takes off the list what `region` resolves. The IOTLB's lock is held. */
void virtq_priv_iotlb_resolve_misses(struct virtq_iotlb *iotlb, const struct virtq_region *region);

#endif
