/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_iommu
 * @brief An IOTLB: the translations that a device end has been told of, by someone who knows the
 * rest.
 *
 * A table of fixed capacity in the caller's memory. An update replaces whatever it overlaps;
 * an invalidation takes out exactly its range, and leaves no stale part. What is not in the table
 * is a miss (VIRTQ_EMISS): the owner finds out, and updates.
 *
 * Any number of threads: those who change the table take a lock, those who look up do not. Updates
 * and invalidations of one range take effect in the order in which they are called: an owner that
 * fetches a translation on one thread and passes on an invalidation on another has to keep them in
 * order itself (virtq_iommu_device_resolve() does it for a domain of this program).
 */
#ifndef VIRTQ_IOMMU_IOTLB_H
#define VIRTQ_IOMMU_IOTLB_H

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../region.h"
#include "../space.h"
#include "../tree.h"
#include "../types.h"

VIRTQ_BEGIN_DECLS

/** @brief An IOTLB. The caller owns the memory; the fields are private. */
struct virtq_iotlb {
    struct virtq_tree tree; /**< The translations, disjoint; changed under `lock`. */
    struct virtq_space
        *space;       /**< Whose queues forget their windows when a translation goes; NULL: none. */
    uint64_t dropped; /**< Remainders of entries that an invalidation dropped for want of room. */
    uint32_t lock;    /**< 1 while a thread changes the table. */
};

/** @brief How much memory an IOTLB needs; #VIRTQ_TREE_SIZE is the same as a constant.
 * @param capacity how many translations there can be, at least 1
 * @return bytes; SIZE_MAX: more than there can be. Any thread. */
VIRTQ_API size_t virtq_iotlb_size(unsigned capacity);

/** @brief Makes an empty IOTLB.
 * @param iotlb    result; owned by the caller
 * @param capacity how many translations there can be, at least 1; at least as many as the buffer
 * with the most needs at once
 * @param memory   virtq_iotlb_size() bytes, of any alignment; owned by the caller, must outlive the
 * IOTLB; private
 * @param size     bytes of it
 * @return 0, or VIRTQ_EINVAL (no memory, too little, no capacity): `iotlb` is untouched. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iotlb_init(struct virtq_iotlb *iotlb, unsigned capacity,
                                                void *memory, size_t size);

/** @brief Adds a translation. What it overlaps is cut or replaced, and then queues are told to
 * forget their windows. With neighbours that it continues, with equal permissions, it becomes one
 * entry.
 *
 * @param iotlb       an IOTLB
 * @param first       first device address
 * @param last        last device address, inclusive
 * @param base        this program's address of `first`; must stay mapped until the translation is
 * gone
 * @param permissions what the device may do: a set of enum virtq_permission, not empty
 * @return 0; VIRTQ_EINVAL (inverted, no or unknown permission, memory that wraps) or VIRTQ_ENOMEM
 * (capacity: invalidate something first): nothing changed, what was known of the range before is
 * known still. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iotlb_update(struct virtq_iotlb *iotlb, virtq_addr_t first,
                                                  virtq_addr_t last, void *base,
                                                  uint32_t permissions);

/** @brief Takes [first, last] out. Never for want of room does a stale part stay: where an entry
 * would be split and there is no room for its upper remainder, that goes too, and is a miss when it
 * is needed.
 *
 * The memory behind it may go once queues have forgotten their windows, as
 * virtq_space_invalidated() says.
 * @param iotlb an IOTLB
 * @param first first device address
 * @param last  last device address, inclusive; 0 and 2^64 - 1 empty the table
 * @return 0, or VIRTQ_EINVAL (inverted): nothing changed. Any thread. */
VIRTQ_API int virtq_iotlb_invalidate(struct virtq_iotlb *iotlb, virtq_addr_t first,
                                     virtq_addr_t last);

/** @brief The largest window that holds an address and grants a permission. Contiguous neighbours
 * that grant it too are part of it, up to 64 on each side.
 * @param iotlb      an IOTLB
 * @param addr       device address
 * @param permission a set of enum virtq_permission that the access needs
 * @param window     result; untouched on an error
 * @return 0; VIRTQ_EMISS (not known), VIRTQ_EPERM (known, but not for this) or VIRTQ_EINVAL
 * (permission). Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iotlb_lookup(struct virtq_iotlb *iotlb, virtq_addr_t addr,
                                                  uint32_t permission, struct virtq_window *window);

VIRTQ_END_DECLS

#endif
