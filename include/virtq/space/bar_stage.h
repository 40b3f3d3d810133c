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
    uint32_t reserved_;     /**< Zero. */
};

/** @brief The initial value of a struct virtq_bar_stage_config. */
#define VIRTQ_BAR_STAGE_CONFIG_INIT                                                       \
    {                                                                                     \
        sizeof(struct virtq_bar_stage_config), NULL, {NULL, NULL, NULL, NULL, NULL}, 0, 0 \
    }

/** @brief A space that stages. The caller owns the memory; the fields are private. */
struct virtq_bar_stage {
    struct virtq_space space; /**< What queues are given: `&stage.space`. */
    struct virtq_bar *bar;    /**< The region. */
    struct virtq_copy copy;   /**< How its memory is touched. */
    uint64_t low_mask;        /**< Address bits to keep. */
    uint32_t unit;            /**< Lengths and offsets are multiples of this. */
    uint32_t reserved_;       /**< Zero. */
};

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
 * @param stage  result; owned by the caller, must outlive every queue on it
 * @param config read during the call only
 * @return 0; VIRTQ_EINVAL (no region or one the device may not both read and write, mask, no
 * functions for memory that is not cacheable) or VIRTQ_ENOTSUP (no virtq_bar_manage()): `stage` is
 * untouched. Any thread, before the first queue. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_bar_stage_init(struct virtq_bar_stage *stage,
                                                    const struct virtq_bar_stage_config *config);

VIRTQ_END_DECLS

#endif
