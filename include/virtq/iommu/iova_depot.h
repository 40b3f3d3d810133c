/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_iommu
 * @brief A depot: one IOVA allocator for many threads, with magazines of addresses that their
 * caches swap.
 *
 * A magazine holds addresses of one size that are free for the caches and taken for the allocator.
 * Caches (iommu/iova_cache.h) swap whole magazines with the depot, so that its lock is taken once
 * for dozens of addresses, and not at all while a cache gives back what it takes.
 *
 * Each cache has a **home**, where its addresses lie and its magazines wait. With
 * virtq_iova_depot_spread() there are several homes, each a part of the range with a lock and lines
 * of its own: then queues on different threads meet nowhere while each takes and gives back, in any
 * pattern. Without, there is one for all.
 *
 * Exhaustion is deterministic: before VIRTQ_ENOMEM is answered, every magazine, also those of other
 * caches, is emptied into the allocator, and the request is tried once more.
 *
 * Any number of threads: the depot has a lock.
 */
#ifndef VIRTQ_IOVA_DEPOT_H
#define VIRTQ_IOVA_DEPOT_H

#include <stdint.h>

#include "../error.h"
#include "../types.h"
#include "iova.h"
#include "parts.h"

VIRTQ_BEGIN_DECLS

struct virtq_iova_cache;

/** @brief Sizes that are kept in magazines: 1, 2, 4, ... 32 granules. */
#define VIRTQ_IOVA_ORDERS 6
/** @brief Addresses in a full magazine: with them it takes 512 bytes. */
#define VIRTQ_IOVA_MAGAZINE_ROOM 62

/** @brief Addresses of one size. The caller gives the memory; the fields are private. */
struct virtq_iova_magazine {
    struct virtq_iova_magazine *next;             /**< In a list of the depot. */
    uint64_t count;                               /**< How many addresses there are. */
    virtq_addr_t addrs[VIRTQ_IOVA_MAGAZINE_ROOM]; /**< The addresses; the last goes out first. */
};

/** @brief A home: magazines of addresses of one part of the range. The caller gives the memory; the
 * fields are private. */
struct virtq_iova_home {
    uint32_t lock;   /**< 1 while a thread is inside; before the depot's. */
    uint32_t caches; /**< How many live here; guarded by the depot's `caches_lock`. */
    struct virtq_iova_magazine *empty; /**< Magazines without addresses; guarded by `lock`. */
    struct virtq_iova_magazine
        *full[VIRTQ_IOVA_ORDERS]; /**< Full ones by size; guarded by `lock`. */
};

/** @brief A depot. The caller owns the memory; the fields are private. */
struct virtq_iova_depot {
    struct virtq_iova *iova;           /**< Where addresses come from; guarded by `lock`. */
    struct virtq_iova_magazine *empty; /**< Magazines without addresses that are in no home; guarded
                                          by `lock`. */
    struct virtq_iova_cache *caches;   /**< Those that swap with it; guarded by `caches_lock`. */
    virtq_addr_t limit;                /**< The highest address to hand out. */
    uint64_t drains;                /**< How often all magazines were emptied; guarded by `lock`. */
    uint32_t lock;                  /**< 1 while a thread is inside; taken last. */
    uint32_t caches_lock;           /**< 1 while a thread walks the caches; taken first. */
    struct virtq_iova_home *homes;  /**< The homes; NULL: only `whole`. */
    struct virtq_iommu_parts parts; /**< Which part of the range each has. */
    struct virtq_iova_home whole;   /**< The home of all, until there are others. */
};

/** @brief Makes a depot of an allocator.
 * @param depot     result; owned by the caller
 * @param iova      an allocator, used through this depot only from now on; must outlive it. Its
 * capacity covers what is taken and what lies in magazines
 * @param limit     highest address to hand out, inclusive: what the device can reach
 * @param magazines memory for `count` magazines; owned by the caller, must outlive the depot;
 * private. At the beginning of a cache line, if queues on several threads are not to share lines
 * @param count     how many there are: #VIRTQ_IOVA_CACHE_MAGAZINES for each cache, and as many more
 * as full ones shall wait in the depot; 0 if there are no caches
 * @return 0, or VIRTQ_EINVAL (no allocator, no memory): `depot` is untouched. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iova_depot_init(struct virtq_iova_depot *depot,
                                                     struct virtq_iova *iova, virtq_addr_t limit,
                                                     struct virtq_iova_magazine *magazines,
                                                     unsigned count);

/** @brief Gives caches homes of their own: the allocator's range is cut into parts, as
 * virtq_domain_init_shards() cuts the same range, and each new cache takes the least used one.
 *
 * Addresses come from a cache's own part as long as there are any, then from anywhere.
 * @param depot a depot without caches yet
 * @param homes memory for `count` homes, aligned to #VIRTQ_CACHE_LINE; owned by the caller, must
 * outlive the depot; private
 * @param count how many, 1 to #VIRTQ_IOMMU_PARTS_MAX, at best a power of two
 * @return 0; VIRTQ_EBUSY (it has caches, or homes) or VIRTQ_EINVAL (no memory, not aligned, count):
 * nothing changed. Before any other thread uses the depot. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iova_depot_spread(struct virtq_iova_depot *depot,
                                                       struct virtq_iova_home *homes,
                                                       unsigned count);

/** @brief Takes a range straight from the allocator: for sizes and alignments that are not common.
 * @param depot a depot
 * @param len   bytes, at least 1; rounded up to whole granules
 * @param align alignment of the address in bytes, a power of two; less than a granule counts as one
 * @param addr  result: the first address
 * @return 0; VIRTQ_ENOMEM (no room though all magazines were emptied), VIRTQ_ETOOBIG or
 * VIRTQ_EINVAL, as virtq_iova_alloc() says: nothing is taken. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iova_depot_alloc(struct virtq_iova_depot *depot, uint64_t len,
                                                      uint64_t align, virtq_addr_t *addr);

/** @brief Gives a range of virtq_iova_depot_alloc() back. The mapping must be gone, and flushed
 * (L4).
 * @param depot the depot
 * @param addr  what virtq_iova_depot_alloc() gave
 * @return 0, or VIRTQ_EINVAL (no allocation begins there): nothing changed. Any thread. */
VIRTQ_API int virtq_iova_depot_free(struct virtq_iova_depot *depot, virtq_addr_t addr);

/** @brief Empties all magazines into the allocator, those of the caches too: before regions are
 * reserved, or to see what is really taken.
 * @param depot a depot. Any thread. */
VIRTQ_API void virtq_iova_depot_drain(struct virtq_iova_depot *depot);

VIRTQ_END_DECLS

#endif
