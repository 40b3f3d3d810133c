/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_space_swiotlb
 * @brief Several pools as one space: pools are added while queues run, and withdrawn when empty.
 *
 * The driver end takes a slot of the first pool that has room; the device end finds the windows of
 * all. A buffer lies in one pool. Pools count their own shortages.
 *
 * Any number of queues may be given the group itself: each buffer then takes the group's lock and
 * that of a pool. A queue that is to share neither with others is given a space of its own in front
 * of the group, see virtq/space/swiotlb_group_queue.h.
 */
#ifndef VIRTQ_SPACE_SWIOTLB_GROUP_H
#define VIRTQ_SPACE_SWIOTLB_GROUP_H

#include <stdint.h>

#include "../error.h"
#include "../space.h"
#include "swiotlb.h"

VIRTQ_BEGIN_DECLS

/** @brief The most pools of a group. */
#define VIRTQ_SWIOTLB_POOLS_MAX 16

/** @brief A pool in a group. The fields are private. */
struct virtq_swiotlb_member {
    struct virtq_swiotlb *pool; /**< NULL: no pool here. */
    uint64_t users;             /**< Buffers that are in it, or try to be; not those of a queue that
                                     keeps slots, but for a moment. */
    uint64_t serial;            /**< Which addition it was. */
    uint32_t closing;           /**< 1: it gives no slots, for it is to be removed. */
    uint32_t reserved_;
};

/** @brief A group of pools. The caller owns the memory; the fields are private. */
struct virtq_swiotlb_group {
    struct virtq_space space; /**< What queues are given: `&group.space`. */
    struct virtq_swiotlb_member
        members[VIRTQ_SWIOTLB_POOLS_MAX]; /**< Guarded by `lock`; an index stays a pool's own. */
    uint64_t added;                       /**< How many pools ever were. */
    uint32_t lock;                        /**< 1 while a thread is inside. */
    uint32_t turned; /**< How often a pool was closed, opened again or removed: read without
                        the lock. */
};

/** @brief Makes a group without pools. Sets both kinds to VIRTQ_SPACE_CALLED.
 * @param group result; owned by the caller, must outlive every queue on it; never in memory the
 * device can reach. Any thread, before the first queue; no error is possible. */
VIRTQ_API void virtq_swiotlb_group_init(struct virtq_swiotlb_group *group);

/** @brief Adds a pool, while queues run; or opens one again that virtq_swiotlb_group_remove() has
 * closed.
 * @param group a group
 * @param pool  must stay until it is removed
 * @return 0; VIRTQ_EINVAL (its device addresses overlap those of another one) or VIRTQ_ENOMEM
 * (#VIRTQ_SWIOTLB_POOLS_MAX pools are there): nothing changed. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_swiotlb_group_add(struct virtq_swiotlb_group *group,
                                                       struct virtq_swiotlb *pool);

/** @brief Withdraws a pool of which nothing is taken, while queues run; one of which something is
 * taken gives no slot any more.
 *
 * Every device end forgets its windows, as virtq_space_invalidated() says, and a guard is waited
 * for. A queue that keeps free slots of a closed pool gives them back with its next buffer, added
 * or completed: so this succeeds once the buffers in the pool have come back, and whoever waits for
 * that calls it again.
 * @param group a group
 * @param pool  one of its pools
 * @return 0; VIRTQ_EBUSY (slots of it are taken, rings and persistent ones too: it is closed, until
 * it is removed or added again) or VIRTQ_EINVAL (not in this group): nothing changed. Any thread,
 * not within a burst. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_swiotlb_group_remove(struct virtq_swiotlb_group *group,
                                                          struct virtq_swiotlb *pool);

VIRTQ_END_DECLS

#endif
