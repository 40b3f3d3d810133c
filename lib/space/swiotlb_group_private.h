/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What a group of pools and a queue's space in front of it share.
 */
#ifndef VIRTQ_LIB_SPACE_SWIOTLB_GROUP_PRIVATE_H
#define VIRTQ_LIB_SPACE_SWIOTLB_GROUP_PRIVATE_H

#include <stddef.h>

#include "stage.h"
#include "virtq/space/swiotlb_group.h"

/** @brief A record is the member's index, and then the pool's own record. */
#define VIRTQ_PRIV_SWIOTLB_GROUP_RECORD_FIXED \
    ((uint32_t)sizeof(uint64_t) + VIRTQ_PRIV_STAGE_RECORD_FIXED)

/** @brief The pool of a member, which cannot be removed until virtq_priv_swiotlb_group_leave();
 * NULL if there is none.
 * @param serial result: which addition it was, for one who is to take of the pool: there is none if
 * it is closed. 0: there is no pool. NULL: for one who is not to take */
struct virtq_swiotlb *virtq_priv_swiotlb_group_enter(struct virtq_swiotlb_group *group, unsigned at,
                                                     uint64_t *serial);

/** @brief Ends what virtq_priv_swiotlb_group_enter() began. */
void virtq_priv_swiotlb_group_leave(struct virtq_swiotlb_group *group, uint64_t at);

/** @brief How often a pool was closed, opened again, or removed. Acquire: what was done before is
 * seen under the lock. Nobody writes this line in steady state, so it is every processor's. */
VIRTQ_INLINE uint32_t virtq_priv_swiotlb_group_turned(const struct virtq_swiotlb_group *group)
{
    return __atomic_load_n(&group->turned, __ATOMIC_ACQUIRE);
}

#endif
