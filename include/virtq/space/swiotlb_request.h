/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_space_swiotlb
 * @brief Persistent slots: a request owns its part of a pool for as long as it lives, so that using
 * it again costs a copy and nothing else.
 *
 * virtq_swiotlb_request_prepare() copies in and fills a struct virtq_buffer that is premapped;
 * virtq_driver_add() places it; when it comes back, virtq_swiotlb_request_complete() copies out.
 * Best on a queue with a space of virtq_premapped_init() over the pool; on the pool's own space, or
 * on a struct virtq_swiotlb_queue, premapped buffers work too.
 *
 * What the pool's page says about buffers holds here, but for one thing: a request that was
 * completed leaves its readable bytes in its slot, where the device was granted them, until the
 * next use overwrites them. What that one does not cover is zeroed before the device hears of it.
 * The writable part is zeroed as soon as it was copied back. So no granted byte is ever an old one,
 * and no byte of another request is ever there.
 *
 * A request has one owner: one thread at a time.
 */
#ifndef VIRTQ_SPACE_SWIOTLB_REQUEST_H
#define VIRTQ_SPACE_SWIOTLB_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "../copy.h"
#include "../error.h"
#include "../types.h"
#include "swiotlb.h"

VIRTQ_BEGIN_DECLS

/** @brief One part of a request's slot. The fields are private. */
struct virtq_swiotlb_part {
    unsigned char *base; /**< Where it begins in the pool. */
    virtq_addr_t addr;   /**< Device address of `base`. */
    uint32_t most;       /**< The longest that the part may be, in bytes. */
    uint32_t at;         /**< Where the bytes of this use begin, from `base`. */
    uint32_t len;        /**< Bytes of this use. After it a readable part still holds them. */
    uint32_t reserved_;
};

/** @brief A request with a slot of its own. The caller owns the memory, which is never where the
 * device can reach it; the fields are private. */
struct virtq_swiotlb_request {
    const struct virtq_segment *segments; /**< The caller's; NULL: not prepared. */
    uint16_t readable;                    /**< How many of them the device may read. */
    uint16_t writable;                    /**< How many it may write, after those. */
    uint32_t low_mask;                    /**< Address bits to keep. */
    struct virtq_swiotlb_part parts[2];   /**< Readable, writable. */
    struct virtq_segment device[2];       /**< What the buffer's segments point to. */
    /** As the pool's, if bytes are copied plainly; else NULL. */
    void (*take)(void *to, void *from, size_t len, size_t size);
    struct virtq_copy copy;     /**< How bytes get into the slot and out of it. */
    struct virtq_swiotlb *pool; /**< Whose slot it is. */
    void *slot;                 /**< From virtq_swiotlb_alloc(). */
};

/** @brief Takes slots for `count` requests: a whole ring's, say.
 * @param requests     result, `count` of them
 * @param count        at least 1
 * @param pool         the pool; must outlive the requests
 * @param copy         how to copy, read during the call only; NULL: as the pool copies
 * @param readable_max the most bytes the device will be given to read, in all; 0: none
 * @param writable_max the most bytes the device will be given to write, in all; 0: none
 * @return 0; VIRTQ_EINVAL (no request, or both sizes 0), VIRTQ_ENOMEM (no room now) or
 * VIRTQ_ETOOBIG (not even in an empty pool): nothing is taken. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_swiotlb_request_init(
    struct virtq_swiotlb_request *requests, unsigned count, struct virtq_swiotlb *pool,
    const struct virtq_copy *copy, uint32_t readable_max, uint32_t writable_max);

/** @brief Zeroes slots and gives them back to the pool.
 * @param requests `count` requests that the device no longer has
 * @param count    how many. Any thread. */
VIRTQ_API void virtq_swiotlb_request_fini(struct virtq_swiotlb_request *requests, unsigned count);

/** @brief Copies a buffer into the request's slot.
 *
 * The writable part is all zeros, wherever its segments lie.
 * @param request  a request that is not in use
 * @param segments `readable` + `writable` of them, with `base`; owned by the caller, and unchanged
 * until virtq_swiotlb_request_complete()
 * @param readable how many the device may read
 * @param writable how many it may write, after those
 * @param buffer   result: `segments`, `readable`, `writable` and `flags` are set, for
 * virtq_driver_add(); at most two segments, which stay valid as long as the request is in use.
 * `cookie` is left to the caller.
 * @return 0; VIRTQ_EBUSY (in use), VIRTQ_EINVAL (no segment, or an empty one), VIRTQ_EFAULT (memory
 * that wraps) or VIRTQ_ETOOBIG (more than the request was made for): nothing changed. The owner's
 * thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_swiotlb_request_prepare(struct virtq_swiotlb_request *request,
                                                             const struct virtq_segment *segments,
                                                             uint16_t readable, uint16_t writable,
                                                             struct virtq_buffer *buffer);

/** @brief Ends a use: copies back what the device wrote, over the writable segments in order, and
 * zeroes the writable part.
 * @param request a request; nothing happens if it is not in use
 * @param written bytes the device says it wrote: no more than the writable part is copied; 0 for a
 * buffer that was never added, or was detached
 * @return bytes copied. The owner's thread. */
VIRTQ_API uint64_t virtq_swiotlb_request_complete(struct virtq_swiotlb_request *request,
                                                  uint64_t written);

/** @brief Copies some of the readable part in again, while the device has it: for a buffer that
 * stays with the device.
 * @param request a request in use
 * @param offset  first byte, counted over the readable segments
 * @param len     bytes, may be 0
 * @return 0, or VIRTQ_EINVAL (not in use, or beyond the readable part): nothing copied. The owner's
 * thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_swiotlb_request_sync_in(struct virtq_swiotlb_request *request,
                                                             uint64_t offset, uint64_t len);

/** @brief Copies some of the writable part back, while the device has it.
 * @param request a request in use
 * @param offset  first byte, counted over the writable segments
 * @param len     bytes, may be 0
 * @return 0, or VIRTQ_EINVAL (not in use, or beyond the writable part): nothing copied. The owner's
 * thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_swiotlb_request_sync_out(struct virtq_swiotlb_request *request,
                                                              uint64_t offset, uint64_t len);

VIRTQ_END_DECLS

#endif
