/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_space_swiotlb
 * @brief A space for one queue in front of a shared pool: it keeps free slots of its own, so that
 * queues on different threads share neither a lock nor a cache line.
 *
 * Give each driver's queue one of these instead of the pool itself. What the pool's page says about
 * buffers holds here too, and:
 * - Slots come in **classes**: a granule, two, four, ... Each class keeps up to `depth` free slots.
 * In steady state a buffer costs two copies and no more than a few dozen instructions. What is
 * larger than the largest class goes to the pool, slot by slot, up to the whole pool.
 * - A slot that goes back into a class is zeroed as far as the buffer reached; one that goes back
 * to the pool, whole. At any moment the pool holds granted bytes and zeros, and what the device
 * itself wrote where nothing was granted.
 * - Slots that are kept count as taken. Where the pool is short, a queue first gives back what it
 * keeps; if that is not enough the answer is VIRTQ_ENOMEM, counted, and it is the other queues'
 * owners who may call virtq_swiotlb_queue_flush().
 *
 * Two queues share no cache line if neither their structs nor their private memory do: align both
 * to #VIRTQ_CACHE_LINE.
 *
 * One owner: it is called on the thread of the one queue that it was given to.
 */
#ifndef VIRTQ_SPACE_SWIOTLB_QUEUE_H
#define VIRTQ_SPACE_SWIOTLB_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "../copy.h"
#include "../error.h"
#include "../space.h"
#include "slots.h"
#include "swiotlb.h"

VIRTQ_BEGIN_DECLS

/** @brief The most classes that a struct virtq_swiotlb_queue can have. */
#define VIRTQ_SWIOTLB_CLASSES_MAX VIRTQ_SLOTS_CLASSES_MAX

/** @brief How a queue's cache is to be. Begin with #VIRTQ_SWIOTLB_QUEUE_CONFIG_INIT. */
struct virtq_swiotlb_queue_config {
    size_t struct_size;         /**< sizeof(struct virtq_swiotlb_queue_config): lets it grow. */
    struct virtq_swiotlb *pool; /**< Where slots come from; must outlive the cache. */
    uint32_t classes;   /**< Size classes, 1 to #VIRTQ_SWIOTLB_CLASSES_MAX: the largest has 2 to the
                           power of `classes` - 1 granules. */
    uint32_t depth;     /**< Free slots that each class keeps at most, 1 to 65536: as many as there
                           are buffers outstanding at once, so that the pool is never asked. */
    void *memory;       /**< Private memory, 8-byte aligned, never shared:
                           virtq_swiotlb_queue_private_size() bytes. */
    size_t memory_size; /**< Bytes of `memory`. */
    struct virtq_copy copy; /**< How this queue's bytes get into the pool and out of it, for fused
                               work; zero: as the pool copies. Only the owner's thread calls it. */
};

/** @brief The initial value of a struct virtq_swiotlb_queue_config: slots of up to 64 granules, 64
 * of each. */
#define VIRTQ_SWIOTLB_QUEUE_CONFIG_INIT                                  \
    {                                                                    \
        sizeof(struct virtq_swiotlb_queue_config), NULL, 7, 64, NULL, 0, \
        {                                                                \
            NULL, NULL, NULL, NULL, NULL                                 \
        }                                                                \
    }

/** @brief One queue's cache of slots. The caller owns the memory; the fields are private. */
struct virtq_swiotlb_queue {
    struct virtq_space space;   /**< What the queue is given: `&queue.space`. */
    struct virtq_swiotlb *pool; /**< Where slots come from. */
    unsigned char *base;        /**< First byte of the pool. */
    uint64_t size;              /**< Bytes of the pool. */
    virtq_addr_t addr;          /**< Device address of `base`. */
    uint64_t slot_mask;         /**< Alignment of slots minus 1. */
    uint64_t part_mask;         /**< A granule's bytes minus 1. */
    uint64_t low_mask;          /**< Address bits to keep. */
    struct virtq_copy copy;     /**< How bytes get into the pool and out of it. */
    /** As the pool's. */
    void (*take)(void *to, void *from, size_t len, size_t size);
    struct virtq_slots slots; /**< The free slots, and what was counted. */
};

/** @brief Bytes of private memory that a cache needs.
 * @param config the configuration; `classes` and `depth` are read, the rest need not be set yet
 * @return bytes, to be 8-byte aligned; 0 if the configuration is illegal. Any thread. */
VIRTQ_API size_t virtq_swiotlb_queue_private_size(const struct virtq_swiotlb_queue_config *config);

/** @brief Makes a space for one queue. It takes nothing of the pool yet.
 *
 * Sets `driver_kind` to VIRTQ_SPACE_CALLED and `device_kind` to VIRTQ_SPACE_DIRECT, as the pool's.
 * @param queue  result; owned by the caller, must outlive the queue on it; never in memory the
 * device can reach
 * @param config read during the call only
 * @return 0; VIRTQ_EINVAL (configuration or alignment) or VIRTQ_ENOMEM (private memory too small):
 * `queue` is untouched. Any thread, before the queue. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_swiotlb_queue_init(
    struct virtq_swiotlb_queue *queue, const struct virtq_swiotlb_queue_config *config);

/** @brief Gives all free slots back to the pool, zeroed: because others are short, or because the
 * queue has ended.
 *
 * Slots that buffers have stay where they are.
 * @param queue a cache
 * @return bytes given back. The owner's thread. */
VIRTQ_API uint64_t virtq_swiotlb_queue_flush(struct virtq_swiotlb_queue *queue);

/** @brief What was counted.
 * @param queue a cache
 * @param usage result. The owner's thread. */
VIRTQ_API void virtq_swiotlb_queue_read_usage(const struct virtq_swiotlb_queue *queue,
                                              struct virtq_slots_usage *usage);

VIRTQ_END_DECLS

#endif
