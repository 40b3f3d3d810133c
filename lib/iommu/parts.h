/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Where an address is among the parts of a range, and where each part lies.
 *
 * Every address has its part: what lies below the range is part of the first, what lies above it,
 * up to the top (L6), of the last.
 */
#ifndef VIRTQ_LIB_IOMMU_PARTS_H
#define VIRTQ_LIB_IOMMU_PARTS_H

#include "virtq/api.h"
#include "virtq/iommu/parts.h"

/** @brief Cuts [first, last] into up to `count` parts, at least 1: as few as a power of two of
 * bytes each allows. */
VIRTQ_INLINE void virtq_priv_parts_cut(struct virtq_iommu_parts *parts, virtq_addr_t first,
                                       virtq_addr_t last, unsigned count)
{
    uint32_t shift = 0;

    /* No part is all the 2^64 bytes: no shift says that, and the last part goes up to the top. */
    while (shift < 63 && (last - first) >> shift >= count) {
        shift++;
    }
    parts->first = first;
    parts->shift = shift;
    parts->count = count == 1 ? 1 : (uint32_t)((last - first) >> shift) + 1;
}

/** @brief The part that an address is in. */
VIRTQ_INLINE unsigned virtq_priv_parts_at(const struct virtq_iommu_parts *parts, virtq_addr_t addr)
{
    uint64_t at = addr < parts->first ? 0 : (addr - parts->first) >> parts->shift;

    return at < parts->count ? (unsigned)at : parts->count - 1;
}

/** @brief The first address of a part. */
VIRTQ_INLINE virtq_addr_t virtq_priv_parts_first(const struct virtq_iommu_parts *parts, unsigned at)
{
    return at == 0 ? 0 : parts->first + ((uint64_t)at << parts->shift);
}

/** @brief The last address of a part. */
VIRTQ_INLINE virtq_addr_t virtq_priv_parts_last(const struct virtq_iommu_parts *parts, unsigned at)
{
    return at + 1 == parts->count ? UINT64_MAX : virtq_priv_parts_first(parts, at + 1) - 1;
}

/** @brief The set of parts from `low` to `high`; of `low` alone if that is not below. */
VIRTQ_INLINE uint64_t virtq_priv_parts_set(unsigned low, unsigned high)
{
    unsigned more = high > low ? high - low : 0;

    return UINT64_MAX >> ((63 - more) & 63) << (low & 63);
}

#endif
