/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Sorted tables of regions: the one search and the one way from regions to a window.
 */
#ifndef VIRTQ_LIB_SPACE_REGION_H
#define VIRTQ_LIB_SPACE_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include "virtq/region.h"
#include "virtq/space.h"

/** @brief Whether a set of permissions is one: not empty, nothing unknown. */
VIRTQ_INLINE bool virtq_priv_permissions_legal(uint32_t permissions)
{
    const uint32_t all = (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE;

    return permissions != 0 && (permissions & ~all) == 0;
}

/** @brief Whether [base, base + span] does not wrap in this program's memory. */
VIRTQ_INLINE bool virtq_priv_memory_legal(const void *base, uint64_t span)
{
    return span <= UINTPTR_MAX - (uintptr_t)base;
}

/** @brief Whether `after` continues `before`, both in device addresses and in memory; it lies
 * above, so its `first` is not 0. */
VIRTQ_INLINE bool virtq_priv_region_contiguous(const struct virtq_region *before,
                                               const struct virtq_region *after)
{
    uintptr_t end = (uintptr_t)before->base + (uintptr_t)(before->last - before->first);

    return after->first - 1 == before->last && end != UINTPTR_MAX &&
           (uintptr_t)after->base == end + 1;
}

/** @brief Whether a region is legal, as virtq/region.h says. */
bool virtq_priv_region_legal(const struct virtq_region *region);

/** @brief The largest window that holds `addr`, of regions with equal permissions: 0, VIRTQ_EFAULT
 * (in no region), VIRTQ_EPERM, VIRTQ_EINVAL (permission). */
int virtq_priv_region_window(const struct virtq_region *regions, unsigned count, virtq_addr_t addr,
                             uint32_t permission, struct virtq_window *window);

#endif
