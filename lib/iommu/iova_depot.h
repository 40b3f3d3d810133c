/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief How caches swap magazines with their depot.
 */
#ifndef VIRTQ_LIB_IOMMU_IOVA_DEPOT_H
#define VIRTQ_LIB_IOMMU_IOVA_DEPOT_H

#include "virtq/iommu/iova_cache.h"

/** @brief A full magazine for an empty one, or NULL: there is none in the cache's home, and `empty`
 * stays with the caller. */
struct virtq_iova_magazine *virtq_priv_iova_depot_full(struct virtq_iova_cache *cache, size_t order,
                                                       struct virtq_iova_magazine *empty);

/** @brief An empty magazine for a full one. If there is none, the full one's addresses go to the
 * allocator, and it comes back itself. */
struct virtq_iova_magazine *virtq_priv_iova_depot_empty(struct virtq_iova_cache *cache,
                                                        size_t order,
                                                        struct virtq_iova_magazine *full);

/** @brief virtq_iova_depot_alloc() for a cache: in its own part of the range, if there is room. */
int virtq_priv_iova_depot_take(struct virtq_iova_cache *cache, uint64_t len, uint64_t align,
                               virtq_addr_t *addr);

/** @brief The allocation that holds an address: its begin, and its length. 0 or VIRTQ_EINVAL. */
int virtq_priv_iova_depot_find(struct virtq_iova_depot *depot, virtq_addr_t addr,
                               virtq_addr_t *first, uint64_t *len);

/** @brief Registers a cache and gives it a home and its magazines: 0 or VIRTQ_ENOMEM. */
int virtq_priv_iova_depot_join(struct virtq_iova_depot *depot, struct virtq_iova_cache *cache);

/** @brief Takes a cache's magazines, and all that is in them. */
void virtq_priv_iova_depot_leave(struct virtq_iova_depot *depot, struct virtq_iova_cache *cache);

#endif
