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

#include <stdbool.h>
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
    uint64_t evicted; /**< Entries that went to make room for others. */
    virtq_addr_t hand;         /**< Where the search for one to evict goes on. */
    struct virtq_miss *misses; /**< Outstanding misses, oldest first, or NULL. */
    unsigned misses_capacity;  /**< How many there can be. */
    unsigned misses_count;     /**< How many there are ... */
    unsigned misses_taken;     /**< ... and how many of them, from the oldest, were asked for. */
    uint32_t evicts;           /**< 1: a full table makes room. */
    uint32_t lock;             /**< 1 while a thread changes the table. */
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

/** @brief Has a full IOTLB make room, instead of answering VIRTQ_ENOMEM.
 *
 * What goes is a translation that was not looked up lately (the clock algorithm). Queues forget
 * their windows, and what was evicted is a miss when it is needed. A buffer that is retried after
 * each miss gets on as long as the capacity is at least what all queues' buffers in front need
 * together, and two more.
 * @param iotlb  an IOTLB
 * @param evicts whether it makes room; not so at first. Before the first queue. */
VIRTQ_API void virtq_iotlb_set_eviction(struct virtq_iotlb *iotlb, bool evicts);

/** @brief Gives an IOTLB memory for a list of outstanding misses.
 * @param iotlb    an IOTLB
 * @param misses   memory for `capacity` misses; owned by the caller, must outlive the IOTLB;
 * private
 * @param capacity how many can be outstanding at once: the bound on what one device can have its
 * owner ask for
 * @return 0, or VIRTQ_EINVAL (no memory or no capacity): nothing changed. Before the first queue.
 */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iotlb_set_misses(struct virtq_iotlb *iotlb,
                                                      struct virtq_miss *misses, unsigned capacity);

/** @brief Notes a miss of a queue, so that it is asked for once, however many queues and retries
 * run into it.
 *
 * It is outstanding until virtq_iotlb_update() brings a translation of its first address with the
 * permissions it needs, or virtq_iotlb_forget_miss().
 * @param iotlb an IOTLB with virtq_iotlb_set_misses()
 * @param miss  what virtq_device_miss() gave; read during the call only
 * @return 1: new. 0: outstanding already, or known meanwhile: nothing changed, retry. VIRTQ_ENOMEM:
 * too many are outstanding, note it again later; VIRTQ_EINVAL (no length or illegal permissions);
 * VIRTQ_ENOTSUP (no list): nothing changed. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iotlb_note_miss(struct virtq_iotlb *iotlb,
                                                     const struct virtq_miss *miss);

/** @brief The oldest miss that was not handed out yet: to be asked for now. It stays outstanding.
 * @param iotlb an IOTLB
 * @param miss  result; untouched if there is none
 * @return 1, or 0: there is none. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iotlb_next_miss(struct virtq_iotlb *iotlb,
                                                     struct virtq_miss *miss);

/** @brief Takes a miss off the list that will not be resolved: its translation was refused.
 * @param iotlb an IOTLB
 * @param miss  as virtq_iotlb_next_miss() gave it; if it is not outstanding nothing happens. Any
 * thread. */
VIRTQ_API void virtq_iotlb_forget_miss(struct virtq_iotlb *iotlb, const struct virtq_miss *miss);

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
 * (capacity, without virtq_iotlb_set_eviction(): invalidate something first): nothing changed, what
 * was known of the range before is known still. Any thread. */
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
