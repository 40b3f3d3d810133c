/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_iommu
 * @brief A domain: the mappings of one IOMMU address space, kept in this program.
 *
 * A table of fixed capacity in the caller's memory; every call takes at most O(log n) steps for
 * each mapping that it adds or removes. Mapping refuses overlap; unmapping never splits a mapping;
 * both change everything asked or nothing. Those who keep translations of it (an IOTLB, the windows
 * of queues) listen, and are told of every unmapping before it counts as done.
 *
 * Any number of threads: those who change the table take a lock, those who look up do not.
 */
#ifndef VIRTQ_IOMMU_DOMAIN_H
#define VIRTQ_IOMMU_DOMAIN_H

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../region.h"
#include "../space.h"
#include "../tree.h"
#include "../types.h"
#include "backend.h"

VIRTQ_BEGIN_DECLS

/** @brief Someone who keeps translations of a domain. Embed it; the memory is the listener's. */
struct virtq_domain_listener {
    struct virtq_domain_listener *next; /**< Private to the domain. */

    /** @brief Forget every translation of [first, last]; they are no longer in the domain.
     *
     * Called without any lock, on the thread that unmaps, possibly on several at once.
     * @param listener the listener
     * @param first    first device address
     * @param last     last device address, inclusive */
    void (*invalidate)(struct virtq_domain_listener *listener, virtq_addr_t first,
                       virtq_addr_t last);
};

/** @brief A domain. The caller owns the memory; the fields are private. */
struct virtq_domain {
    struct virtq_tree tree;                  /**< The mappings, disjoint; changed under `lock`. */
    struct virtq_domain_listener *listeners; /**< Who is told of unmappings. */
    uint32_t lock;                           /**< 1 while a thread changes the table. */
};

/** @brief How much memory a domain needs; #VIRTQ_TREE_SIZE is the same as a constant.
 * @param capacity how many mappings there can be, at least 1
 * @return bytes; SIZE_MAX: more than there can be. Any thread. */
VIRTQ_API size_t virtq_domain_size(unsigned capacity);

/** @brief Makes an empty domain.
 * @param domain   result; owned by the caller
 * @param capacity how many mappings there can be, at least 1; one buffer in an iommu space takes
 * one for each segment
 * @param memory   virtq_domain_size() bytes, of any alignment; owned by the caller, must outlive
 * the domain; private
 * @param size     bytes of it
 * @return 0, or VIRTQ_EINVAL (no memory, too little, no capacity): `domain` is untouched. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_domain_init(struct virtq_domain *domain, unsigned capacity,
                                                 void *memory, size_t size);

/** @brief Adds a mapping.
 * @param domain      a domain
 * @param first       first device address
 * @param last        last device address, inclusive
 * @param base        this program's address of `first`; must stay mapped as long as the mapping
 * does
 * @param permissions what the device may do: a set of enum virtq_permission, not empty
 * @return 0; VIRTQ_EINVAL (inverted, no or unknown permission, memory that wraps, overlap with a
 * mapping) or VIRTQ_ENOMEM (capacity): nothing changed. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_domain_map(struct virtq_domain *domain, virtq_addr_t first,
                                                virtq_addr_t last, void *base,
                                                uint32_t permissions);

/** @brief Removes every mapping in [first, last], and tells the listeners. Holes in the range are
 * no error.
 *
 * When it returns, no lookup gives the range any more, and every listener has been told. Queues
 * forget their windows as virtq_space_invalidated() says.
 * @param domain a domain
 * @param first  first device address
 * @param last   last device address, inclusive; 0 and 2^64 - 1 empty the domain
 * @return 0; or VIRTQ_EINVAL: inverted, or a mapping lies only partly in the range: nothing
 * changed. Any thread. Source: [virtio 1.4, UNMAP request] */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_domain_unmap(struct virtq_domain *domain, virtq_addr_t first,
                                                  virtq_addr_t last);

/** @brief The largest window that holds an address and grants a permission. Contiguous neighbours
 * that grant it too are part of it, up to 64 on each side.
 * @param domain     a domain
 * @param addr       device address
 * @param permission a set of enum virtq_permission that the access needs
 * @param window     result; untouched on an error
 * @return 0; VIRTQ_EFAULT (not mapped), VIRTQ_EPERM (mapped, but not for this) or VIRTQ_EINVAL
 * (permission). Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_domain_lookup(struct virtq_domain *domain, virtq_addr_t addr,
                                                   uint32_t permission,
                                                   struct virtq_window *window);

/** @brief Adds a listener.
 * @param domain   a domain
 * @param listener `invalidate` is set; owned by the caller, must stay until virtq_domain_unlisten()
 * While no other thread uses the domain. */
VIRTQ_API void virtq_domain_listen(struct virtq_domain *domain,
                                   struct virtq_domain_listener *listener);

/** @brief Removes a listener, if it is one.
 * @param domain   a domain
 * @param listener no longer used when this returns
 * While no other thread uses the domain. */
VIRTQ_API void virtq_domain_unlisten(struct virtq_domain *domain,
                                     struct virtq_domain_listener *listener);

/** @brief The domain as the backend of an iommu space: mappings go straight into its table, a flush
 * tells the listeners.
 *
 * A flush returns when every listener has been told; a queue on another thread forgets its windows
 * when it next compares generations, see virtq_space_invalidated().
 * @param domain  a domain; must outlive every space on the backend
 * @param backend result; owned by the caller */
VIRTQ_API void virtq_domain_backend(struct virtq_domain *domain,
                                    struct virtq_iommu_backend *backend);

VIRTQ_END_DECLS

#endif
