/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Where the segments of a buffer go in one range of device addresses: each on whole pages of
 * its own.
 */
#ifndef VIRTQ_LIB_SPACE_IOMMU_PLACE_H
#define VIRTQ_LIB_SPACE_IOMMU_PLACE_H

#include <stdint.h>

#include "virtq/region.h"

/** @brief A walk along the segments. Once with `base` 0 to measure, once more to place. */
struct virtq_priv_layout {
    uint64_t mask;       /**< The granule minus 1. */
    uint64_t page_sizes; /**< Page sizes above the granule. */
    virtq_addr_t base;   /**< The range's first address, aligned to `align`. */
    uint64_t len;        /**< Bytes of the range so far. */
    uint64_t align;      /**< What the range must be aligned to, for large pages; 0: a granule. */
};

/** @brief Adds `len` bytes at `base`: `range` becomes the whole pages around them, without
 * permissions.
 *
 * Where a large page fits, device address and memory are congruent, so that the backend can use it.
 * @return 0, VIRTQ_EINVAL (no bytes), VIRTQ_EFAULT (wraps) or VIRTQ_ETOOBIG (2^64 bytes in all) */
int virtq_priv_layout_add(struct virtq_priv_layout *layout, void *base, uint64_t len,
                          struct virtq_region *range);

#endif
