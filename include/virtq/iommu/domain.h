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
 * Any number of threads: those who change the table take a lock, those who look up do not. A domain
 * with **shards** has a table and a lock for each part of its range: threads that map in different
 * parts do not wait for each other, and write no cache line in common. A mapping may lie in any
 * number of shards.
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
#include "parts.h"

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

    /** @brief The same for a list, so that what a flush covers is one invalidation; or NULL:
     * `invalidate` is called for each.
     * @param listener the listener
     * @param ranges   what was unmapped; `first` and `last` count; read during the call only
     * @param count    at least 1 */
    void (*invalidate_list)(struct virtq_domain_listener *listener,
                            const struct virtq_region *ranges, unsigned count);
};

/** @brief The mappings of one part of a domain's range. Private. */
struct virtq_domain_shard {
    struct virtq_tree tree; /**< The mappings, disjoint; changed under `lock`. */
    uint32_t lock;          /**< 1 while a thread changes the table. */
    uint32_t crosses;       /**< 1: its lowest mapping comes from the shard below; 2: its highest
                               goes on in the shard above; guarded by `lock`. */
};

/** @brief Bytes from one shard to the next: processors fetch lines in pairs. */
#define VIRTQ_DOMAIN_STRIDE ((size_t)2 * VIRTQ_CACHE_LINE)

/** @brief A domain. The caller owns the memory; the fields are private. */
struct virtq_domain {
    unsigned char *shards;                   /**< The first shard. */
    struct virtq_iommu_parts parts;          /**< Which shard an address is in. */
    struct virtq_domain_listener *listeners; /**< Who is told of unmappings. */
    struct virtq_domain_shard whole;         /**< The shard of a domain that has only one. */
};

/** @brief How a domain with shards is to be. Begin with #VIRTQ_DOMAIN_CONFIG_INIT. */
struct virtq_domain_config {
    size_t struct_size; /**< sizeof(struct virtq_domain_config): lets the struct grow. */
    virtq_addr_t first; /**< First address of the range that is cut: that of the allocator. */
    virtq_addr_t last;  /**< Last address of it, inclusive. What lies outside can be mapped too, and
                           is in the first or last shard. */
    unsigned shards;    /**< How many, 1 to #VIRTQ_IOMMU_PARTS_MAX, at best a power of two; as many
                           as queues is enough. */
    unsigned capacity;  /**< How many mappings there can be in each, at least 1. One that lies in
                           several shards counts in each of them. */
    void *memory; /**< virtq_domain_shards_size() bytes, of any alignment; owned by the caller,
                     must outlive the domain; private. */
    size_t memory_size; /**< Bytes of it. */
};

/** @brief The initial value of a struct virtq_domain_config. */
#define VIRTQ_DOMAIN_CONFIG_INIT                                          \
    {                                                                     \
        sizeof(struct virtq_domain_config), 0, UINT64_MAX, 16, 0, NULL, 0 \
    }

/** @brief Bytes of memory for a domain with shards; a constant where both are. */
#define VIRTQ_DOMAIN_SHARDS_SIZE(shards, capacity) \
    ((size_t)(shards) * (VIRTQ_DOMAIN_STRIDE + VIRTQ_TREE_SIZE(capacity)) + VIRTQ_DOMAIN_STRIDE - 1)

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

/** @brief How much memory a domain with shards needs; #VIRTQ_DOMAIN_SHARDS_SIZE is the same as a
 * constant.
 * @param shards   as it will be configured
 * @param capacity as it will be configured
 * @return bytes; SIZE_MAX: more than there can be. Any thread. */
VIRTQ_API size_t virtq_domain_shards_size(unsigned shards, unsigned capacity);

/** @brief Makes an empty domain with shards.
 * @param domain result; owned by the caller
 * @param config read during the call only
 * @return 0, or VIRTQ_EINVAL (a number out of range, an inverted range, no memory or too little):
 * `domain` is untouched. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_domain_init_shards(struct virtq_domain *domain,
                                                        const struct virtq_domain_config *config);

/** @brief How many mappings there are.
 * @param domain a domain
 * @return mappings; one that lies in several shards counts in each. While others map and unmap it
 * is no more than a moment's picture. Any thread. */
VIRTQ_API unsigned virtq_domain_count(const struct virtq_domain *domain);

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
 * that grant it too are part of it, up to 64 on each side in each shard.
 * @param domain     a domain
 * @param addr       device address
 * @param permission a set of enum virtq_permission that the access needs
 * @param window     result; untouched on an error
 * @return 0; VIRTQ_EFAULT (not mapped), VIRTQ_EPERM (mapped, but not for this) or VIRTQ_EINVAL
 * (permission). Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_domain_lookup(struct virtq_domain *domain, virtq_addr_t addr,
                                                   uint32_t permission,
                                                   struct virtq_window *window);

/** @brief As virtq_domain_lookup(), for one who keeps translations elsewhere and is told of them:
 * of the window every byte has the same permissions, so that what it replaces there loses none.
 * @param domain     a domain
 * @param addr       device address
 * @param permission a set of enum virtq_permission that the access needs
 * @param window     result, with all that is granted; untouched on an error
 * @return 0; VIRTQ_EFAULT (not mapped), VIRTQ_EPERM (mapped, but not for this) or VIRTQ_EINVAL
 * (permission). Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_domain_translation(struct virtq_domain *domain,
                                                        virtq_addr_t addr, uint32_t permission,
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
