/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_iommu
 * @brief An allocator of device addresses (IOVAs): page-grained ranges, with reserved regions kept
 * out.
 *
 * A table of taken ranges in the caller's memory, of a fixed capacity: one entry a live allocation
 * or reserved region, in a balanced tree that knows the longest gap below each: taking and giving
 * back are O(log n), but for requests whose alignment rules out gaps that are long enough. The
 * lowest gap that fits is taken, so the same requests give the same addresses. Ranges are [first,
 * last] (L6): the allocator works up to the top of the 64-bit range.
 *
 * It has no lock: one thread at a time. An iommu space that owns it locks it.
 */
#ifndef VIRTQ_IOMMU_IOVA_H
#define VIRTQ_IOMMU_IOVA_H

#include <stdint.h>

#include "../error.h"
#include "../types.h"

VIRTQ_BEGIN_DECLS

/** @brief A range of addresses that is not free. Private, but the caller gives the memory for them.
 */
struct virtq_iova_range {
    virtq_addr_t first; /**< First address. */
    virtq_addr_t last;  /**< Last address, inclusive. */
    virtq_addr_t low;   /**< First address of all that is below it in the tree, and of itself. */
    virtq_addr_t high;  /**< Last address of these. */
    uint64_t gap;       /**< Bytes of the longest gap between them. */
    uint32_t left;      /**< Lower ones: the number of an entry, from 1 on; 0: none. */
    uint32_t right;     /**< Higher ones. */
    uint8_t height;     /**< Levels, its own among them. */
    uint8_t reserved;   /**< 1: kept out for ever; 0: allocated. */
    uint8_t keeps;      /**< 1: it is reserved, or one below it. */
    uint8_t unused_[5]; /**< Zero. */
};

/** @brief An allocator. The caller owns the memory; the fields are private. */
struct virtq_iova {
    struct virtq_iova_range *ranges; /**< The taken ranges, disjoint, and entries without one. */
    unsigned count;                  /**< How many there are. */
    unsigned capacity;               /**< How many there can be. */
    uint32_t root;                   /**< The number of the tree's root; 0: nothing is taken. */
    uint32_t spare;                  /**< The list of entries given back, by `left`. */
    uint32_t fresh;                  /**< How many entries were ever used. */
    virtq_addr_t first;              /**< First address to hand out. */
    virtq_addr_t last;               /**< Last address to hand out, inclusive. */
    uint64_t granule;                /**< Bytes of a page, a power of two. */
};

/** @brief Makes an allocator of the whole granules in [first, last].
 * @param iova     result; owned by the caller
 * @param first    first address, rounded up to a granule
 * @param last     last address, inclusive, rounded down to the end of a granule
 * @param granule  page size in bytes, a power of two
 * @param ranges   memory for `capacity` entries; owned by the caller, must outlive the allocator;
 * private
 * @param capacity how many allocations and reserved regions there can be at a time, at least 1
 * @return 0, or VIRTQ_EINVAL (granule, no whole granule in the range, no capacity): `iova` is
 * untouched. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iova_init(struct virtq_iova *iova, virtq_addr_t first,
                                               virtq_addr_t last, uint64_t granule,
                                               struct virtq_iova_range *ranges, unsigned capacity);

/** @brief Keeps a region out for ever: every granule that [first, last] touches. Regions may
 * overlap; what lies outside the allocator's range is ignored.
 * @param iova  an allocator
 * @param first first address
 * @param last  last address, inclusive
 * @return 0; VIRTQ_EINVAL (`first` above `last`), VIRTQ_EBUSY (part of it is allocated) or
 * VIRTQ_ENOMEM (capacity): nothing changed. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iova_reserve(struct virtq_iova *iova, virtq_addr_t first,
                                                  virtq_addr_t last);

/** @brief Takes the lowest free range of whole granules.
 * @param iova  an allocator
 * @param len   bytes, at least 1; rounded up to whole granules
 * @param align alignment of the address in bytes, a power of two; less than a granule counts as one
 * @param limit highest address the range may hold, inclusive: what the device can reach
 * @param addr  result: the first address
 * @return 0; VIRTQ_ENOMEM (no gap, or no entry, left now), VIRTQ_ETOOBIG (not even if nothing else
 * were allocated) or VIRTQ_EINVAL (len, align): nothing changed. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iova_alloc(struct virtq_iova *iova, uint64_t len,
                                                uint64_t align, virtq_addr_t limit,
                                                virtq_addr_t *addr);

/** @brief Gives a range back. It is handed out again from now on: the mapping must be gone, and
 * flushed (L4).
 * @param iova an allocator
 * @param addr what virtq_iova_alloc() gave
 * @return 0, or VIRTQ_EINVAL (no allocation begins there): nothing changed. */
VIRTQ_API int virtq_iova_free(struct virtq_iova *iova, virtq_addr_t addr);

VIRTQ_END_DECLS

#endif
