/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_space_bar
 * @brief Staging in a region: buffers of any memory are copied into the region and back, for
 * devices that cannot reach the program's memory at all.
 *
 * As a pool does (virtq/space/swiotlb.h): the readable segments of a buffer become one run, the
 * writable ones another, in one slot that virtq_bar_alloc() could have given; the writable part
 * begins as a copy of the caller's bytes; only what the device says it wrote is copied back, over
 * the writable segments in order. Nothing in the region is ever read but payload.
 *
 * Bytes go through a struct virtq_copy that suits the region's memory type, and through nothing
 * else: no access is made that the copy's functions do not make. Rings and tables have to lie in
 * the region themselves (virtq_bar_alloc()).
 *
 * The device end needs nothing of this: to it the region is a region.
 *
 * One space serves any number of queues, and takes a slot of the region's books for each buffer,
 * under their lock. With `depth` it is the space of one queue, which **keeps** free slots, as
 * virtq/space/swiotlb_queue.h says: in steady state queues on different threads then share neither
 * a lock nor a cache line.
 *
 * Trust: the device may read and write every byte of the region at any time, and no other. What was
 * staged stays there until something else is: it was the device's to see.
 */
#ifndef VIRTQ_SPACE_BAR_STAGE_H
#define VIRTQ_SPACE_BAR_STAGE_H

#include <stddef.h>
#include <stdint.h>

#include "../copy.h"
#include "../error.h"
#include "../space.h"
#include "bar.h"
#include "slots.h"

VIRTQ_BEGIN_DECLS

/** @brief How staging is to be. Begin with #VIRTQ_BAR_STAGE_CONFIG_INIT. */
struct virtq_bar_stage_config {
    size_t struct_size;     /**< sizeof(struct virtq_bar_stage_config): lets the struct grow. */
    struct virtq_bar *bar;  /**< A region with virtq_bar_manage(); must outlive the space. The
                                 device may read and write it. */
    struct virtq_copy copy; /**< How the region's memory is touched. All zero is good for cacheable
                                 memory only; other memory needs both copy functions, which make
                                 none but accesses that it takes. */
    uint32_t low_mask;      /**< The low address bits to keep: 0 or a power of two minus 1. */
    uint32_t classes;       /**< Size classes of the slots that are kept, 1 to
                                 #VIRTQ_SLOTS_CLASSES_MAX: the largest has 2 to the power of
                                 `classes` - 1 granules. */
    uint32_t depth;     /**< Free slots that each class keeps at most, up to 65536: as many as there
                             are buffers outstanding at once, so that the region is never asked; 0:
                             none are kept, and queues may share the space. */
    uint32_t reserved_; /**< Zero. */
    void *memory;       /**< Private memory, 8-byte aligned, never shared:
                             virtq_bar_stage_private_size() bytes; not used if `depth` is 0. */
    size_t memory_size; /**< Bytes of `memory`. */
};

/** @brief The initial value of a struct virtq_bar_stage_config: nothing is kept; with a `depth`,
 * slots of up to 64 granules are. */
#define VIRTQ_BAR_STAGE_CONFIG_INIT                                                              \
    {                                                                                            \
        sizeof(struct virtq_bar_stage_config), NULL, {NULL, NULL, NULL, NULL, NULL}, 0, 7, 0, 0, \
            NULL, 0                                                                              \
    }

/** @brief A space that stages. The caller owns the memory; the fields are private. */
struct virtq_bar_stage {
    struct virtq_space space; /**< What queues are given: `&stage.space`. */
    struct virtq_bar *bar;    /**< The region. */
    struct virtq_copy copy;   /**< How its memory is touched. */
    uint64_t low_mask;        /**< Address bits to keep. */
    uint32_t unit;            /**< Lengths and offsets are multiples of this. */
    uint32_t reserved_;       /**< Zero. */
    struct virtq_slots slots; /**< The free slots it keeps, and what was counted. */
};

/** @brief Bytes of private memory that the slots a space keeps need.
 * @param config the configuration; `classes` and `depth` are read, the rest need not be set yet
 * @return bytes, to be 8-byte aligned; 0 if none are kept, or the configuration is illegal. Any
 * thread. */
VIRTQ_API size_t virtq_bar_stage_private_size(const struct virtq_bar_stage_config *config);

/** @brief Makes a space that stages in a region.
 *
 * Sets `driver_kind` to VIRTQ_SPACE_CALLED and `device_kind` to VIRTQ_SPACE_BAR with the region as
 * the window. If accesses of one byte are not allowed (VIRTQ_BAR_DEVICE), virtq_driver_add()
 * answers VIRTQ_EFAULT to segments whose length is no multiple of the smallest width that is, and
 * to a first one of either part whose kept address bits are none: their bytes could only be stored
 * by reading others. A length that the device reports is then rounded up to that width.
 *
 * A region without room is VIRTQ_ENOMEM, a shortage; a buffer larger than the region is
 * VIRTQ_ETOOBIG.
 * A space that keeps slots is called on the thread of its one queue.
 * @param stage  result; owned by the caller, must outlive every queue on it
 * @param config read during the call only
 * @return 0; VIRTQ_EINVAL (no region or one the device may not both read and write, mask, no
 * functions for memory that is not cacheable, classes, depth or alignment), VIRTQ_ENOTSUP (no
 * virtq_bar_manage()) or VIRTQ_ENOMEM (private memory too small): `stage` is untouched. Any thread,
 * before the first queue. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_bar_stage_init(struct virtq_bar_stage *stage,
                                                    const struct virtq_bar_stage_config *config);

/** @brief Gives all free slots that a space keeps back to the region: because others are short, or
 * because the queue has ended.
 *
 * Slots that buffers have stay where they are.
 * @param stage a space
 * @return bytes given back. The owner's thread. */
VIRTQ_API uint64_t virtq_bar_stage_flush(struct virtq_bar_stage *stage);

/** @brief What the slots that a space keeps counted; all 0 if it keeps none.
 * @param stage a space
 * @param usage result. The owner's thread. */
VIRTQ_API void virtq_bar_stage_read_usage(const struct virtq_bar_stage *stage,
                                          struct virtq_slots_usage *usage);

VIRTQ_END_DECLS

#endif
