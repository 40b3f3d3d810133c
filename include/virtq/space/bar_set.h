/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_space_bar
 * @brief Several regions as one space: a device address is a region's id and an offset into it.
 *
 * All regions are made by virtq_bar_init_config() with one shift, on both ends: the id is in the
 * high bits, the offset below. An address whose id is no region's, or whose offset lies beyond its
 * region, is VIRTQ_EFAULT on the device end; so is memory in no region on the driver end. Rings and
 * tables may lie in any of them.
 *
 * Trust: the device may reach the regions, each with its permissions, and nothing else.
 */
#ifndef VIRTQ_SPACE_BAR_SET_H
#define VIRTQ_SPACE_BAR_SET_H

#include <stdint.h>

#include "../error.h"
#include "../space.h"
#include "bar.h"

VIRTQ_BEGIN_DECLS

/** @brief The most regions that a set can have. */
#define VIRTQ_BAR_SET_REGIONS 16u

/** @brief Several regions. The caller owns the memory; the fields are private. */
struct virtq_bar_set {
    struct virtq_space space;                         /**< What queues are given: `&set.space`. */
    struct virtq_bar *regions[VIRTQ_BAR_SET_REGIONS]; /**< Them. */
    uint32_t count;                                   /**< How many. */
    uint32_t reserved_;                               /**< Zero. */
};

/** @brief Makes one space of several regions. Their memory is not touched.
 *
 * Sets both kinds to VIRTQ_SPACE_CALLED.
 * @param set     result; owned by the caller, must outlive every queue on it
 * @param regions `count` of them, of distinct ids, none of whose addresses or memory overlap; the
 * array is read during the call only, the regions must outlive the set
 * @param count   1 to #VIRTQ_BAR_SET_REGIONS
 * @return 0, or VIRTQ_EINVAL (count, or regions that overlap): `set` is untouched. Any thread,
 * before the first queue. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_bar_set_init(struct virtq_bar_set *set,
                                                  struct virtq_bar *const *regions, uint32_t count);

/** @brief The region with an id.
 * @param set a set
 * @param id  as the region was made with
 * @return the region, or NULL. Any thread. */
VIRTQ_API struct virtq_bar *virtq_bar_set_region(const struct virtq_bar_set *set, uint32_t id);

VIRTQ_END_DECLS

#endif
