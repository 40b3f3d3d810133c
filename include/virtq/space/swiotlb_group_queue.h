/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_space_swiotlb
 * @brief A space for one queue in front of a group of pools: it keeps free slots of several pools,
 * so that queues on different threads share neither a lock nor a cache line that is written.
 *
 * What virtq/space/swiotlb_queue.h says of one pool holds here for each, and:
 * - A buffer goes to the pool that served the one before, if a slot of that is kept; then to any
 * other of which one is; and only then are the pools asked, in their order, under the group's lock.
 * - A pool that is added serves as soon as those before it are short. One that is being removed
 * (virtq_swiotlb_group_remove()) gets its slots back with the queue's next buffer, added or
 * completed; of a queue that has none, by virtq_swiotlb_group_queue_flush().
 * - The device end is given the group itself: `&group.space`.
 *
 * Two queues share no cache line that is written if neither their structs nor their private memory
 * do: align both to #VIRTQ_CACHE_LINE.
 *
 * One owner: it is called on the thread of the one queue that it was given to.
 */
#ifndef VIRTQ_SPACE_SWIOTLB_GROUP_QUEUE_H
#define VIRTQ_SPACE_SWIOTLB_GROUP_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "../copy.h"
#include "../error.h"
#include "../space.h"
#include "slots.h"
#include "swiotlb_group.h"
#include "swiotlb_queue.h"

VIRTQ_BEGIN_DECLS

/** @brief How a queue's slots are to be. Begin with #VIRTQ_SWIOTLB_GROUP_QUEUE_CONFIG_INIT. */
struct virtq_swiotlb_group_queue_config {
    size_t struct_size; /**< sizeof(struct virtq_swiotlb_group_queue_config): lets it grow. */
    struct virtq_swiotlb_group *group; /**< Where slots come from; must outlive the space. */
    uint32_t pools;     /**< Of how many pools slots are kept, 1 to #VIRTQ_SWIOTLB_POOLS_MAX; others
                             are asked for each buffer. */
    uint32_t classes;   /**< Size classes, 1 to #VIRTQ_SWIOTLB_CLASSES_MAX: the largest has 2 to the
                             power of `classes` - 1 granules. */
    uint32_t depth;     /**< Free slots that each class of each pool keeps at most, 1 to 65536. */
    uint32_t reserved_; /**< Zero. */
    void *memory;       /**< Private memory, 8-byte aligned, never shared:
                             virtq_swiotlb_group_queue_private_size() bytes. */
    size_t memory_size; /**< Bytes of `memory`. */
    struct virtq_copy
        copy; /**< How this queue's bytes get into a pool and out of it, for fused
                   work; zero: as each pool copies. Only the owner's thread calls it. */
};

/** @brief The initial value of a struct virtq_swiotlb_group_queue_config: slots of up to 64
 * granules, 64 of each, of up to four pools. */
#define VIRTQ_SWIOTLB_GROUP_QUEUE_CONFIG_INIT                                        \
    {                                                                                \
        sizeof(struct virtq_swiotlb_group_queue_config), NULL, 4, 7, 64, 0, NULL, 0, \
        {                                                                            \
            NULL, NULL, NULL, NULL, NULL                                             \
        }                                                                            \
    }

/** @brief What is kept of one pool. Private. */
struct virtq_swiotlb_group_cache {
    struct virtq_swiotlb_queue queue; /**< Its slots. */
    uint64_t *memory;                 /**< Their stacks; NULL: none are kept. */
    uint64_t serial;                  /**< Which addition to the group it is of; 0: none. */
};

/** @brief One queue's slots. The caller owns the memory; the fields are private. */
struct virtq_swiotlb_group_queue {
    struct virtq_space space;                 /**< What the queue is given: `&queue.space`. */
    struct virtq_swiotlb_group *group;        /**< Where slots come from. */
    struct virtq_swiotlb_group_cache *caches; /**< Of each place in the group, by its index. */
    uint32_t last;                            /**< Which pool served last. */
    uint32_t turned;                          /**< What the group said when it was looked at. */
    uint32_t classes;                         /**< Size classes. */
    uint32_t depth;                           /**< Slots that each keeps at most. */
    uint64_t misses;                          /**< Counted. */
    uint64_t shortages;                       /**< Counted. */
    uint64_t too_big;                         /**< Counted. */
    uint64_t high_water;                      /**< The most that was ever held. */
    struct virtq_copy copy;                   /**< As configured. */
};

/** @brief Bytes of private memory that a queue needs.
 * @param config the configuration; `pools`, `classes` and `depth` are read, the rest need not be
 * set yet
 * @return bytes, to be 8-byte aligned; 0 if the configuration is illegal. Any thread. */
VIRTQ_API size_t
virtq_swiotlb_group_queue_private_size(const struct virtq_swiotlb_group_queue_config *config);

/** @brief Makes a space for one queue. It takes nothing of any pool yet, and the group may be
 * empty.
 *
 * Sets `driver_kind` to VIRTQ_SPACE_CALLED. It has no device end: that is the group.
 * @param queue  result; owned by the caller, must outlive the queue on it; never in memory the
 * device can reach
 * @param config read during the call only
 * @return 0; VIRTQ_EINVAL (configuration or alignment) or VIRTQ_ENOMEM (private memory too small):
 * `queue` is untouched. Any thread, before the queue. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_swiotlb_group_queue_init(
    struct virtq_swiotlb_group_queue *queue, const struct virtq_swiotlb_group_queue_config *config);

/** @brief Gives all free slots back to their pools, zeroed: because others are short, because a
 * pool is to go, or because the queue has ended.
 *
 * Slots that buffers have stay where they are.
 * @param queue the space
 * @return bytes given back. The owner's thread. */
VIRTQ_API uint64_t virtq_swiotlb_group_queue_flush(struct virtq_swiotlb_group_queue *queue);

/** @brief What was counted, of all pools together.
 * @param queue the space
 * @param usage result. The owner's thread. */
VIRTQ_API void virtq_swiotlb_group_queue_read_usage(const struct virtq_swiotlb_group_queue *queue,
                                                    struct virtq_slots_usage *usage);

VIRTQ_END_DECLS

#endif
