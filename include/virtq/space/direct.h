/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_space_direct
 * @brief The direct space: a device address is a pointer plus a constant, or lies in a table of
 * memory regions.
 *
 * - **Constant**: virtq_direct_init(). One window; both ends compute and call nothing (L1).
 * Firmware, unikernels, a program that plays both ends, the device end of a pool in another program
 * (see space/swiotlb.h).
 * - **Regions**: virtq_direct_init_regions(). What a VMM knows of guest memory: ranges of
 * guest-physical addresses, each somewhere in this program's memory. The table can be swapped while
 * queues run (hot-plug).
 * - **Premapped**: virtq_premapped_init(). The caller's segments already hold device addresses.
 *
 * Trust: the device may reach every byte of every region, with the region's permissions, and
 * nothing else.
 */
#ifndef VIRTQ_SPACE_DIRECT_H
#define VIRTQ_SPACE_DIRECT_H

#include <stdint.h>

#include "../error.h"
#include "../region.h"
#include "../space.h"
#include "../types.h"

VIRTQ_BEGIN_DECLS

/** @brief A table of regions. Owned by the caller, and immutable from the call that takes it until
 * it has been replaced and its last reader is gone; see virtq_direct_set_regions(). */
struct virtq_direct_table {
    const struct virtq_region
        *regions;   /**< `count` of them, sorted by `first`, no two sharing a device address. */
    unsigned count; /**< Number of regions; 0: nothing is granted. */
};

/** @brief A direct space. The caller owns the memory; the fields are private. */
struct virtq_direct {
    struct virtq_space space; /**< What queues are given: `&direct.space`. */
    const struct virtq_direct_table
        *table; /**< The table in force; loaded with acquire, stored with release. */
    struct virtq_direct_table own; /**< The table of an init call. */
    struct virtq_region constant;  /**< The one region of virtq_direct_init(). */
};

/** @brief One window: device address = `first` + (pointer - `base`).
 *
 * Sets both kinds to VIRTQ_SPACE_DIRECT. The operations work as well, for those who call them.
 * @param direct      result; owned by the caller, must outlive every queue on it
 * @param base        this program's address of `first`; NULL with `first` 0 is the identity
 * @param first       first device address
 * @param last        last device address, inclusive
 * @param permissions what the device may do there: a set of enum virtq_permission, not empty
 * @return 0, or VIRTQ_EINVAL (`first` above `last`, unknown or no permission, memory that wraps):
 * `direct` is untouched. Any thread, before the first queue. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_direct_init(struct virtq_direct *direct, void *base,
                                                 virtq_addr_t first, virtq_addr_t last,
                                                 uint32_t permissions);

/** @brief A table of regions.
 *
 * Sets both kinds to VIRTQ_SPACE_CALLED. The device end gets the largest window: neighbours that
 * are contiguous in device addresses and in memory and have equal permissions count as one. The
 * driver end finds a segment's region by its pointer (the first of the table that grants the
 * access, where several lie over the same memory) and gives several runs for a segment that crosses
 * regions: a buffer can need more runs than it has segments.
 * @param direct  result; owned by the caller, must outlive every queue on it
 * @param regions `count` regions, sorted by `first`, disjoint in device addresses; owned by the
 * caller, immutable as long as this table is in force
 * @param count   number of regions; 0 grants nothing, and `regions` may be NULL
 * @return 0, or VIRTQ_EINVAL (an illegal region, wrong order, overlap): `direct` is untouched.
 * Any thread, before the first queue. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_direct_init_regions(struct virtq_direct *direct,
                                                         const struct virtq_region *regions,
                                                         unsigned count);

/** @brief Swaps the table of regions, while queues run on other threads.
 *
 * The new table is published with one release store; whoever asks for a window from then on sees
 * it. Then every queue is told to forget its windows (virtq_space_invalidated()), which it does at
 * its next call. Until that call it may go on using the old table's regions, and a call that is
 * under way may still read the old table itself. So:
 * - Regions that are in both tables, unchanged, may be used throughout.
 * - The **old table** (both arrays and struct) may be changed or freed once, after this function
 * returned, the owner of each queue on this space has been seen between two calls.
 * - The **memory of a removed region** may be unmapped once, beyond that, every device end has
 * pushed or forgotten the chains it popped before (virtq_device_outstanding()), and every driver
 * end has got back the buffers that lay in it.
 *
 * "Seen" means by a lock, a message, a join: something that orders memory. Whoever only adds
 * regions need not wait for anything but the old table's memory.
 * @param direct a space of virtq_direct_init_regions()
 * @param table  the new table; owned by the caller, immutable from now on
 * @return 0; VIRTQ_EINVAL (as for virtq_direct_init_regions()) or VIRTQ_ENOTSUP (a space of
 * virtq_direct_init()): the old table stays in force. Any one thread at a time; queues need not
 * stop. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_direct_set_regions(struct virtq_direct *direct,
                                                        const struct virtq_direct_table *table);

/** @brief A space whose buffers are premapped. The caller owns the memory; the fields are private.
 */
struct virtq_premapped {
    struct virtq_space space;  /**< What queues are given: `&premapped.space`. */
    struct virtq_space *under; /**< Where rings and indirect tables are mapped, or NULL. */
};

/** @brief A space in which segments already hold device addresses, and pieces are handed out as
 * device addresses.
 *
 * Sets both kinds to VIRTQ_SPACE_PREMAPPED. For callers that map buffers themselves (a VFIO user, a
 * forwarding device). Rings, indirect tables and windows go through `under`.
 *
 * Queues watch the generation of the space they were given: whoever calls virtq_space_invalidated()
 * on `under`, or a function that does, calls it on `&premapped->space` as well, afterwards.
 * @param premapped result; owned by the caller, must outlive every queue on it
 * @param under     the space behind it, which must outlive it; NULL: sharing and windows are
 * VIRTQ_ENOTSUP, so that only a device end whose ring lies at virtq_device_config::areas and that
 * gets no indirect tables can run on it Any thread, before the first queue; no error is possible.
 */
VIRTQ_API void virtq_premapped_init(struct virtq_premapped *premapped, struct virtq_space *under);

VIRTQ_END_DECLS

#endif
