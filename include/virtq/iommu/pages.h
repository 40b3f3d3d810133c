/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_iommu
 * @brief Cuts a range into pages of the sizes that a backend has: for those who write one.
 */
#ifndef VIRTQ_IOMMU_PAGES_H
#define VIRTQ_IOMMU_PAGES_H

#include <stdint.h>

#include "../error.h"
#include "../region.h"

VIRTQ_BEGIN_DECLS

/** @brief Pages of one size, one behind the other. */
struct virtq_iommu_pages {
    virtq_addr_t first; /**< First device address, aligned to `size`. */
    void *base;         /**< Its memory, aligned to `size`; NULL if the range had none. */
    uint64_t size;      /**< Bytes of a page, a power of two. */
    uint64_t count;     /**< How many pages, at least 1. */
};

/** @brief Takes the next pages off the front of a range: of the largest size that fits there, and
 * as many as until a larger size fits or the range ends.
 *
 * Called until it answers 0 it gives the fewest pages that the range can be made of.
 * @param page_sizes the sizes there are: a set of powers of two, each its own bit
 * @param rest       what is left of the range; in: `first` to `last` inclusive, `base` or NULL for
 * a range without memory (then only addresses are aligned). Out: without `pages`; with nothing left
 * `first` is 1 and `last` is 0
 * @param pages      result; untouched unless 1 is returned
 * @return 1: `pages` is filled; 0: nothing was left; VIRTQ_EINVAL: begin or end are not at a page
 * of any size: nothing changed. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iommu_pages_next(uint64_t page_sizes,
                                                      struct virtq_region *rest,
                                                      struct virtq_iommu_pages *pages);

VIRTQ_END_DECLS

#endif
