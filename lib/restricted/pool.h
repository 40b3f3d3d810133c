/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What both ends of a restricted device work out from the same facts: if they came to
 * different pools, addresses that one publishes would be refused by the other.
 */
#ifndef VIRTQ_LIB_RESTRICTED_POOL_H
#define VIRTQ_LIB_RESTRICTED_POOL_H

#include <stdbool.h>

#include "virtq/restricted.h"
#include "virtq/space/bar.h"

/** @brief Facts for virtq/access.h: those of the caller, with the place of the pool.
 * @return false: the configuration has an unknown size, form or flag; `facts` is untouched */
bool virtq_priv_restricted_facts(const struct virtq_restricted_config *config,
                                 struct virtq_access_facts *facts);

/** @brief Whether a pool's facts can be true; its form is known. */
bool virtq_priv_restricted_legal(const struct virtq_restricted_pool *pool);

/** @brief The part of a pool that the device reaches, in whole granules of device addresses and of
 * memory.
 * @param pool    a legal pool
 * @param bits    width of the device's addresses
 * @param granule a power of two; 1: every byte
 * @param clipped result
 * @return 0, or VIRTQ_EFAULT: there is no such part */
int virtq_priv_restricted_clip(const struct virtq_restricted_pool *pool, uint32_t bits,
                               uint64_t granule, struct virtq_restricted_pool *clipped);

/** @brief A region of the device as the bar space wants it, from a clipped pool. */
int virtq_priv_restricted_open_bar(const struct virtq_restricted_pool *pool, struct virtq_bar *bar);

/** @brief Whether a decision is for the pool. */
VIRTQ_INLINE bool virtq_priv_restricted_pooled(const struct virtq_access_decision *decision)
{
    return decision->space == (uint32_t)VIRTQ_ACCESS_SWIOTLB ||
           decision->space == (uint32_t)VIRTQ_ACCESS_BAR;
}

/** @brief Whether queues need barriers for devices: as decided, and for stores that are gathered,
 * which plain barriers do not order. */
VIRTQ_INLINE uint32_t virtq_priv_restricted_ordered(const struct virtq_access_decision *decision,
                                                    const struct virtq_restricted_pool *pool)
{
    return (decision->flags & (uint32_t)VIRTQ_ACCESS_DEVICE_ORDER) != 0u ||
           pool->memory == (uint32_t)VIRTQ_BAR_WRITE_COMBINING;
}

#endif
