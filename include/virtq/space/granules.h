/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_space
 * @brief The book-keeping of memory that is handed out in granules: which are taken, and where each
 * slot begins.
 *
 * Here only because struct virtq_bar and struct virtq_swiotlb hold one; there is nothing to call.
 * The bits lie in the caller's private memory, never in the memory that is handed out, because that
 * is shared with a peer.
 */
#ifndef VIRTQ_SPACE_GRANULES_H
#define VIRTQ_SPACE_GRANULES_H

#include <stdint.h>

#include "../api.h"

VIRTQ_BEGIN_DECLS

/** @brief Which granules are taken. All fields are private, and guarded by `lock`. */
struct virtq_granules {
    uint64_t *used;      /**< One bit a granule: it is taken. */
    uint64_t *starts;    /**< One bit a granule: a slot begins here. */
    uint64_t count;      /**< Granules in all. */
    uint64_t taken;      /**< Granules taken. */
    uint64_t high_water; /**< The most that were ever taken. */
    uint64_t shortages;  /**< Requests refused for want of room. */
    uint64_t impossible; /**< Requests refused because they could never be met. */
    uint32_t shift;      /**< A granule is 1 << shift bytes. */
    uint32_t lock;       /**< 1 while a thread is inside. */
};

VIRTQ_END_DECLS

#endif
