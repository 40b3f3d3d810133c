/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_iommu
 * @brief A queue's own store of IOVAs: common sizes are taken and given back without a lock that
 * anyone else wants.
 *
 * For each of the sizes of 1, 2, 4, ... 32 granules it holds two magazines: addresses are taken
 * from one and given back to it; when it is empty or full the two change places, and only when both
 * are does one go to the depot for another. So a queue that takes and gives back in any pattern of
 * less than a magazine meets nobody. Other lengths are rounded up to these; longer ones go to the
 * depot.
 *
 * One owner thread. The lock in it is for virtq_iova_depot_drain() on another thread.
 */
#ifndef VIRTQ_IOVA_CACHE_H
#define VIRTQ_IOVA_CACHE_H

#include <stdint.h>

#include "../error.h"
#include "../types.h"
#include "iova_depot.h"

VIRTQ_BEGIN_DECLS

/** @brief Magazines that a cache holds: two for each size. */
#define VIRTQ_IOVA_CACHE_MAGAZINES (2 * VIRTQ_IOVA_ORDERS)

/** @brief A cache. The caller owns the memory; the fields are private. */
struct virtq_iova_cache {
    /** 1 while a thread is inside; on a cache line that others want only for a drain. */
    uint32_t lock __attribute__((aligned(VIRTQ_CACHE_LINE)));
    uint32_t shift;                                        /**< The granule as a power of two. */
    struct virtq_iova_magazine *loaded[VIRTQ_IOVA_ORDERS]; /**< Those in use, by size. */
    struct virtq_iova_magazine *spare[VIRTQ_IOVA_ORDERS];  /**< Those to change to. */
    struct virtq_iova_depot *depot;                        /**< Where addresses come from. */
    struct virtq_iova_home *home;                          /**< Where its magazines wait. */
    struct virtq_iova_cache *next; /**< In the depot's list; guarded by its `caches_lock`. */
};

/** @brief Makes an empty cache.
 * @param cache result; owned by the caller, aligned to #VIRTQ_CACHE_LINE, until
 * virtq_iova_cache_destroy()
 * @param depot a depot with #VIRTQ_IOVA_CACHE_MAGAZINES empty magazines left; must outlive the
 * cache
 * @return 0; VIRTQ_ENOMEM (magazines) or VIRTQ_EINVAL (no depot, a granule of 2^59 bytes or more):
 * `cache` is not one, the depot is unchanged. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iova_cache_init(struct virtq_iova_cache *cache,
                                                     struct virtq_iova_depot *depot);

/** @brief Gives the magazines, and the addresses in them, back to the depot.
 * @param cache a cache; what was taken from it and is not given back yet is lost. The owner. */
VIRTQ_API void virtq_iova_cache_destroy(struct virtq_iova_cache *cache);

/** @brief Takes a range. Up to 32 granules, `len` counts as the next power of two of granules, and
 * the address is aligned to that; a longer one has whole granules, and is aligned to one.
 * @param cache a cache
 * @param len   bytes, at least 1
 * @param addr  result: the first address
 * @return 0; VIRTQ_ENOMEM (no room though all magazines were emptied), VIRTQ_ETOOBIG (not even if
 * nothing else were allocated) or VIRTQ_EINVAL (len): nothing is taken. The owner. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iova_cache_alloc(struct virtq_iova_cache *cache, uint64_t len,
                                                      virtq_addr_t *addr);

/** @brief Gives a range back. The mapping must be gone, and flushed (L4).
 * @param cache a cache of the depot that the range comes from; not necessarily the one it was taken
 * from
 * @param addr  what virtq_iova_cache_alloc() gave; of up to 32 granules it is not checked
 * @param len   the length that was asked for
 * @return 0, or VIRTQ_EINVAL (a longer one that was not allocated): nothing changed. The owner. */
VIRTQ_API int virtq_iova_cache_free(struct virtq_iova_cache *cache, virtq_addr_t addr,
                                    uint64_t len);

VIRTQ_END_DECLS

#endif
