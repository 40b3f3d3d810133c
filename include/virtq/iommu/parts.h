/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_iommu
 * @brief A range of device addresses, cut into parts of equal size: where a depot gives each queue
 * addresses of its own, and a domain keeps each part's mappings apart.
 *
 * Given the same range and number, virtq_iova_depot_spread() and virtq_domain_init_shards() cut at
 * the same addresses. Then queues on different threads write nothing in common.
 */
#ifndef VIRTQ_IOMMU_PARTS_H
#define VIRTQ_IOMMU_PARTS_H

#include <stdint.h>

#include "../types.h"

VIRTQ_BEGIN_DECLS

/** @brief The most parts there can be: a set of them is 64 bits. */
#define VIRTQ_IOMMU_PARTS_MAX 64

/** @brief A cut range. Private to what holds it. */
struct virtq_iommu_parts {
    virtq_addr_t first; /**< Where part 0 begins. */
    uint32_t shift;     /**< A part has 2^shift bytes, ... */
    uint32_t count;     /**< ... and so many there are. */
};

VIRTQ_END_DECLS

#endif
