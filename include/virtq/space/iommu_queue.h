/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_space_iommu
 * @brief The iommu space of one driver queue: with a policy, and addresses of its own.
 *
 * - **strict**: a buffer costs map, unmap and flush, of which the latter are one request for all
 * buffers of a poll; when it is back the device reaches nothing of it.
 * - **lazy**: a buffer costs map; a list of many is unmapped and flushed at once. Until then the
 * device reaches buffers that are back, but no other memory at their addresses.
 * - **persistent**: a buffer costs a look into a table; the device reaches what is shared.
 * - **identity**: a buffer costs nothing; the device reaches the whole range, always.
 *
 * Strict hands all segments of a buffer to the backend as one list, and those of all buffers that
 * one call of virtq_driver_poll() takes as one list too, if it has memory for that; lazy hands over
 * all buffers that wait. An address is used again only after the flush that covers it has completed
 * (L4).
 *
 * What several queues share is the depot of addresses and the backend. One owner thread: the same
 * that owns the driver queue on it.
 */
#ifndef VIRTQ_SPACE_IOMMU_QUEUE_H
#define VIRTQ_SPACE_IOMMU_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../iommu/backend.h"
#include "../iommu/iova_cache.h"
#include "../iommu/iova_depot.h"
#include "../space.h"
#include "../types.h"

VIRTQ_BEGIN_DECLS

/** @brief When the device loses its reach. */
enum virtq_iommu_policy {
    VIRTQ_IOMMU_STRICT = 0,     /**< Before the buffer is back. */
    VIRTQ_IOMMU_LAZY = 1,       /**< At the next flush: when the list is full, or old. */
    VIRTQ_IOMMU_PERSISTENT = 2, /**< At virtq_space_unshare(); buffers lie in shared memory. */
    VIRTQ_IOMMU_IDENTITY = 3    /**< Never; the backend is not asked. */
};

/** @brief How a queue's space is to be. Begin with #VIRTQ_IOMMU_QUEUE_CONFIG_INIT. */
struct virtq_iommu_queue_config {
    size_t struct_size; /**< sizeof(struct virtq_iommu_queue_config): lets the struct grow. */
    struct virtq_iova_depot *depot; /**< Where addresses come from; its granule is the smallest page
                                       size; must outlive the space. Identity: not used. */
    const struct virtq_iommu_backend
        *backend;        /**< What installs mappings; must outlive the space. Identity: not used. */
    uint64_t page_sizes; /**< Page sizes of the backend, each its own bit, the granule among them;
                            0: the granule alone. */
    void *memory;        /**< Private memory, 8-byte aligned, never shared:
                            virtq_iommu_queue_private_size() bytes. Strict: may be NULL, then each
                            buffer that comes back is a request of its own. */
    size_t memory_size;  /**< Bytes of `memory`. */
    unsigned entries;    /**< Lazy: segments that may wait for a flush, at least 1. Persistent:
                            regions that may be shared at a time, at least 1. Strict: segments that
                            are unmapped in one request when buffers come back together: as many as
                            a poll's buffers have. */
    uint32_t policy;     /**< An enum virtq_iommu_policy. */
    uint64_t age_limit;  /**< Lazy: how old the oldest in the list may be, in the unit of
                            virtq_iommu_queue_tick(); 0: each tick flushes. */
    struct virtq_window identity; /**< Identity: the range and what the device may do there. `base`
                                     is the memory of `first`: for address = pointer it is `first`
                                     itself. */
};

/** @brief The initial value of a struct virtq_iommu_queue_config. */
#define VIRTQ_IOMMU_QUEUE_CONFIG_INIT                                             \
    {                                                                             \
        sizeof(struct virtq_iommu_queue_config), NULL, NULL, 0, NULL, 0, 0, 0, 0, \
        {                                                                         \
            0, 0, NULL, 0, 0                                                      \
        }                                                                         \
    }

/** @brief What happened in a queue's space. */
struct virtq_iommu_queue_usage {
    uint64_t mapped;    /**< Buffers and shared areas mapped now. */
    uint64_t pending;   /**< Buffers that came back and wait for a flush. */
    uint64_t flushes;   /**< Requests to the backend for a flush. */
    uint64_t shortages; /**< Requests answered VIRTQ_ENOMEM. */
    uint64_t leaked;    /**< Buffers whose addresses are never to be used again, because the backend
                           could not unmap or flush them. */
};

/** @brief A buffer's addresses that wait for a flush. Private. */
struct virtq_iommu_pending {
    virtq_addr_t addr; /**< First address. */
    uint64_t len;      /**< The length that was asked for. */
};

/** @brief A shared region. Private. */
struct virtq_iommu_shared {
    uint64_t base;        /**< First byte, as a number. */
    uint64_t last;        /**< Last byte, inclusive. */
    virtq_addr_t addr;    /**< Device address of `base`. */
    uint32_t permissions; /**< What the device may do. */
    uint32_t users;       /**< How often it, or a part of it, is shared. */
};

/** @brief A queue's space. The caller owns the memory; the fields are private. */
struct virtq_iommu_queue {
    struct virtq_space space;                  /**< What the queue is given: `&queue.space`. */
    struct virtq_iova_depot *depot;            /**< Where addresses come from. */
    const struct virtq_iommu_backend *backend; /**< What installs mappings. */
    uint64_t page_sizes;                       /**< Larger ones than the granule. */
    uint64_t mask;                             /**< The granule minus 1. */
    struct virtq_space *bounce;                /**< Where parts of pages are copied; or NULL. */
    struct virtq_region *ranges;               /**< What waits to be unmapped ... */
    struct virtq_iommu_pending *pending;       /**< ... and the buffers it belongs to. */
    struct virtq_iommu_shared *shared;         /**< Persistent: the regions, sorted by memory. */
    unsigned range_count;                      /**< How many `ranges` wait. */
    unsigned pending_count;                    /**< How many `pending` there are. */
    unsigned shared_count;                     /**< How many `shared` there are. */
    unsigned shared_hit;                       /**< Which one was found last. */
    unsigned entries;                          /**< Room in each of the tables. */
    uint32_t policy;                           /**< An enum virtq_iommu_policy. */
    uint32_t batching;                         /**< Strict: 1 while buffers come back together. */
    uint32_t reserved_;
    uint64_t now;                         /**< The last tick. */
    uint64_t since;                       /**< The last tick before the oldest came. */
    uint64_t age_limit;                   /**< As configured. */
    struct virtq_iommu_queue_usage usage; /**< What happened. */
    struct virtq_iova_cache cache;        /**< Its own store of addresses. */
};

/** @brief Bytes of private memory that a space needs.
 * @param policy  an enum virtq_iommu_policy
 * @param entries as it will be configured
 * @return bytes, to be 8-byte aligned; 0 where none are needed. Any thread. */
VIRTQ_API size_t virtq_iommu_queue_private_size(uint32_t policy, unsigned entries);

/** @brief Makes the space of one driver queue.
 *
 * Sets `driver_kind` to VIRTQ_SPACE_CALLED, with the identity policy to VIRTQ_SPACE_BAR: addresses
 * are computed and range-checked without a call. It has no device end: see
 * virtq_iommu_device_init().
 * @param queue  result; owned by the caller, aligned to #VIRTQ_CACHE_LINE, until
 * virtq_iommu_queue_destroy(); never in memory the device can reach
 * @param config read during the call only
 * @return 0; VIRTQ_EINVAL (something is missing or out of range) or VIRTQ_ENOMEM (private memory
 * too small, or not enough magazines in the depot): `queue` is not to be used. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iommu_queue_init(
    struct virtq_iommu_queue *queue, const struct virtq_iommu_queue_config *config);

/** @brief Flushes, and gives the addresses that are kept back to the depot.
 * @param queue a space without a driver queue; everything shared has been unshared. The owner. */
VIRTQ_API void virtq_iommu_queue_destroy(struct virtq_iommu_queue *queue);

/** @brief The device is not trusted with the rest of a page: segments that do not begin and end at
 * page boundaries are copied through a pool from now on.
 *
 * What is shared (rings, tables) is not copied: give it pages of its own.
 * @param queue  a strict or lazy space without a driver queue on it yet
 * @param bounce a pool whose memory the device reaches at the pool's device addresses: share it
 * through this space, and make the pool of what virtq_space_share() gave; must outlive the driver
 * queue
 * @return 0; VIRTQ_ENOTSUP (policy: there the device reaches whole regions anyway) or VIRTQ_EINVAL
 * (no pool, or none that maps): nothing changed. The owner. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iommu_queue_distrust(struct virtq_iommu_queue *queue,
                                                          struct virtq_space *bounce);

/** @brief Lazy: says what time it is, and flushes if the oldest in the list is as old as the limit.
 *
 * A buffer counts as old as the last tick before it came back, so nothing waits longer than the
 * limit and the distance of two ticks.
 * @param queue a space
 * @param now   a clock of the caller's that does not go backwards, in any unit; it may wrap
 * @return buffers that still wait for a flush; 0: no tick is needed. The owner. */
VIRTQ_API uint64_t virtq_iommu_queue_tick(struct virtq_iommu_queue *queue, uint64_t now);

/** @brief Lazy: unmaps and flushes all that waits, now.
 * @param queue a space. The owner. */
VIRTQ_API void virtq_iommu_queue_flush(struct virtq_iommu_queue *queue);

/** @brief What happened so far.
 * @param queue a space
 * @param usage result. The owner. */
VIRTQ_API void virtq_iommu_queue_read_usage(const struct virtq_iommu_queue *queue,
                                            struct virtq_iommu_queue_usage *usage);

VIRTQ_END_DECLS

#endif
