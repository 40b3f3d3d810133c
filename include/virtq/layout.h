/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_layout
 * @brief Sizes, alignments and offsets of a queue's areas.
 *
 * Memory is taken to be coherent between both ends. Where it is not, map the ring uncached, or
 * clean and invalidate around the calls: virtq_layout_init() gives each area cache lines of its
 * own, no line but those of a packed descriptor ring is written by both ends, and private memory is
 * on whole lines of its own. B17.
 */
#ifndef VIRTQ_LAYOUT_H
#define VIRTQ_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "types.h"

VIRTQ_BEGIN_DECLS

/** @brief One area: where it begins when the queue lies in one block, how long it is, how it is
 * aligned. */
struct virtq_area_layout {
    uint64_t offset; /**< Bytes from the start of the block. */
    uint64_t size;   /**< Bytes. */
    uint32_t align;  /**< Bytes, a power of two. */
    uint32_t reserved_;
};

/** @brief The three areas of a queue in one block. */
struct virtq_layout {
    struct virtq_area_layout descriptor; /**< Descriptor area. */
    struct virtq_area_layout driver;     /**< Driver area. */
    struct virtq_area_layout device;     /**< Device area. */
    uint64_t size;                       /**< Bytes of the whole block. */
    uint32_t align;                      /**< Alignment of the whole block. */
    uint32_t reserved_;
};

/** @brief Lays a queue out for VIRTIO_F_VERSION_1: each area aligned as the specification asks, and
 * on cache lines of its own so that the two ends do not fight over one.
 *
 * In a split queue the slots of the available ring and the elements of the used ring begin a line,
 * with flags and index at the end of the one before: the line that tells of a burst is none of
 * those that carry it, and a burst of 32 has lines that no other burst has. The driver and device
 * areas' offsets therefore are no multiples of a line.
 *
 * @param format an enum virtq_format
 * @param size   descriptors: split a power of two, packed any number, 1 to 32768
 * @param layout result; untouched on error
 * @return 0, or VIRTQ_EINVAL for an illegal format or size. Any thread.
 * Source: [virtio 1.4, Split Virtqueues; Structure Size and Alignment] */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_layout_init(enum virtq_format format, uint32_t size,
                                                 struct virtq_layout *layout);

/** @brief Lays a split queue out as legacy interfaces do: the used ring begins at the next multiple
 * of `align`.
 *
 * @param size   descriptors, a power of two, 1 to 32768
 * @param align  Queue Align, a power of two of at least 4; 4096 for PCI
 * @param layout result; untouched on error
 * @return 0, or VIRTQ_EINVAL. Any thread.
 * Source: [virtio 1.4, Legacy Interfaces: A Note on Virtqueue Layout] */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_layout_init_legacy(uint32_t size, uint32_t align,
                                                        struct virtq_layout *layout);

/** @brief The areas' addresses in a block that begins at `block`.
 * @param layout a layout
 * @param block  first byte of the memory, aligned to `layout->align`
 * @param areas  result */
VIRTQ_API void virtq_layout_areas(const struct virtq_layout *layout, void *block,
                                  struct virtq_areas *areas);

VIRTQ_END_DECLS

#endif
