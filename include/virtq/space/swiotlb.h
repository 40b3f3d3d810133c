/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_space_swiotlb
 * @brief The swiotlb space: a pool that both sides may touch, and copies between it and the
 * caller's private memory.
 *
 * For encrypted guests, for restricted pools, for devices that reach only some addresses. The
 * driver end takes a **slot** of the pool for each buffer, of any size up to the pool, copies the
 * buffer in, and copies back what the device wrote.
 *
 * - The readable segments of a buffer become one run, the writable ones another: never more than
 * two runs.
 * - The writable part of a slot begins as zeros: the device learns nothing of what the caller had
 * there. So whatever length the device reports, the caller finds bytes that the device wrote, zeros
 * where it only said so, and its own old ones beyond that; never another buffer's.
 * - Only the bytes that the device says it wrote are copied back, over the writable segments in
 * order.
 * - Pool and slots are zeroed at creation and on release: the device finds granted bytes or zeros,
 * nothing else.
 * - A buffer whose segments lie in the pool already (memory of virtq_swiotlb_alloc()) is not
 * copied: each segment becomes a run, if there is room for as many runs, which there always is for
 * two.
 * - Nothing in the pool is ever read but payload. What is needed to undo a mapping is kept in
 * private memory.
 * - The low bits of addresses are kept, if asked: `(slot & mask) == (original & mask)`.
 *
 * The device end may touch exactly the pool: `device_kind` is VIRTQ_SPACE_DIRECT. A device end in
 * another program needs no pool of its own: virtq_direct_init() over the same bytes and device
 * addresses is the same window.
 *
 * Trust: the device may read and write every byte of the pool at any time, and no other.
 */
#ifndef VIRTQ_SPACE_SWIOTLB_H
#define VIRTQ_SPACE_SWIOTLB_H

#include <stddef.h>
#include <stdint.h>

#include "../copy.h"
#include "../error.h"
#include "../space.h"
#include "../types.h"
#include "granules.h"

VIRTQ_BEGIN_DECLS

/** @brief How a pool's pages become common to both sides, and private again: for guests whose
 * memory is encrypted. All of it may be zero. Each is called once in a pool's life, never for a
 * buffer. */
struct virtq_swiotlb_host {
    /** Makes [base, base + len) common with the other side, in virtq_swiotlb_init(); what was there
     * may be lost. 0, or a negative number, and then nothing is common. NULL: nothing to do. */
    int (*share)(void *context, void *base, uint64_t len);
    /** Makes it private again, in virtq_swiotlb_fini(). NULL: nothing to do. */
    void (*unshare)(void *context, void *base, uint64_t len);
    /** First argument of each. */
    void *context;
};

/** @brief How a pool is to be. Begin with #VIRTQ_SWIOTLB_CONFIG_INIT. */
struct virtq_swiotlb_config {
    size_t struct_size; /**< sizeof(struct virtq_swiotlb_config): lets the struct grow. */
    void *pool; /**< First byte of the pool, aligned to `granule`; owned by the caller, must outlive
                   the space. */
    uint64_t pool_size; /**< Bytes of the pool, a multiple of `granule`. */
    virtq_addr_t
        addr; /**< Device address of `pool`, aligned to `granule`; the pool may end at 2^64 - 1. */
    uint32_t granule; /**< Unit of slots in bytes: a power of two, 64 to 4096. Two slots never share
                         one. */
    uint32_t low_mask; /**< The low address bits to keep: 0 or a power of two minus 1. */
    void *memory; /**< Private memory, 8-byte aligned, never shared: virtq_swiotlb_private_size()
                     bytes. */
    size_t memory_size;     /**< Bytes of `memory`. */
    struct virtq_copy copy; /**< How bytes get into the pool and out of it; zero: plainly. Called on
                               every thread that maps, so its context must be safe for that. */
    struct virtq_swiotlb_host host; /**< How its pages become common; zero: they are. */
};

/** @brief The initial value of a struct virtq_swiotlb_config. */
#define VIRTQ_SWIOTLB_CONFIG_INIT                                        \
    {                                                                    \
        sizeof(struct virtq_swiotlb_config), NULL, 0, 0, 64, 0, NULL, 0, \
            {NULL, NULL, NULL, NULL, NULL},                              \
        {                                                                \
            NULL, NULL, NULL                                             \
        }                                                                \
    }

/** @brief A pool. The caller owns the memory; the fields are private. */
struct virtq_swiotlb {
    struct virtq_space space; /**< What queues are given: `&swiotlb.space`. */
    unsigned char *pool;      /**< First byte of the pool. */
    uint64_t pool_size;       /**< Bytes of the pool. */
    virtq_addr_t addr;        /**< Device address of `pool`. */
    uint64_t low_mask;        /**< Address bits to keep. */
    struct virtq_granules
        granules;           /**< Which granules are taken; its bits lie in private memory. */
    struct virtq_copy copy; /**< How bytes get into the pool and out of it. */
    struct virtq_swiotlb_host host; /**< How its pages become private again. */
    /** Copies out and zeroes, where that is done plainly: the best way on this processor. */
    void (*take)(void *to, void *from, size_t len, size_t size);
};

/** @brief How full a pool is and was. */
struct virtq_swiotlb_usage {
    uint64_t size;       /**< Bytes of the pool. */
    uint64_t used;       /**< Bytes taken now, whole granules. */
    uint64_t high_water; /**< The most bytes that were ever taken. */
    uint64_t shortages;  /**< Requests answered VIRTQ_ENOMEM. */
    uint64_t too_big;    /**< Requests answered VIRTQ_ETOOBIG. */
};

/** @brief Bytes of private memory that a pool needs.
 * @param pool_size bytes of the pool
 * @param granule   unit of slots in bytes, a power of two, 64 to 4096
 * @return bytes, to be 8-byte aligned; 0 if `granule` is illegal or `pool_size` is less than one
 * granule. Any thread. */
VIRTQ_API size_t virtq_swiotlb_private_size(uint64_t pool_size, uint32_t granule);

/** @brief Makes a space of a pool, and zeroes the pool.
 *
 * Sets `driver_kind` to VIRTQ_SPACE_CALLED and `device_kind` to VIRTQ_SPACE_DIRECT with exactly the
 * pool as the window.
 * @param swiotlb result; owned by the caller, must outlive every queue on it; never in memory the
 * device can reach
 * @param config  read during the call only
 * @return 0; VIRTQ_EINVAL (sizes, alignment, mask, a range that wraps), VIRTQ_ENOMEM (private
 * memory too small), or what virtq_swiotlb_host::share answered if that is not 0: `swiotlb` and
 * pool are untouched. Any thread, before the first queue. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_swiotlb_init(struct virtq_swiotlb *swiotlb,
                                                  const struct virtq_swiotlb_config *config);

/** @brief Ends a pool: its pages become private again, zeroed.
 * @param swiotlb a pool that no queue and no other space uses any more
 * @return 0, after which only virtq_swiotlb_init() may be called on it; or VIRTQ_EBUSY (slots are
 * still taken, those that a struct virtq_swiotlb_queue keeps included): nothing changed. Any
 * thread, and no other at the same time. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_swiotlb_fini(struct virtq_swiotlb *swiotlb);

/** @brief The largest buffer that an otherwise empty pool can always take, however it is aligned
 * and however it is divided into a readable and a writable part. A larger one may still fit, or is
 * refused with VIRTQ_ETOOBIG.
 * @param swiotlb a pool
 * @return bytes of a buffer's segments in all, at most 2^32 - 1; 0 if the pool is too small to
 * promise anything. Any thread. */
VIRTQ_API uint64_t virtq_swiotlb_max_mapping(const struct virtq_swiotlb *swiotlb);

/** @brief Takes memory of the pool for as long as the caller likes: rings, tables, premapped and
 * persistent buffers.
 *
 * It is zeroed; the device may have written to it since. virtq_space_share() tells its device
 * address.
 * @param swiotlb a pool
 * @param len     bytes, at least 1
 * @param align   alignment of the device address in bytes, a power of two; 0: the granule
 * @param base    result: the memory; the caller's until virtq_swiotlb_free()
 * @return 0; VIRTQ_ENOMEM (no room now, counted), VIRTQ_ETOOBIG (not even in an empty pool) or
 * VIRTQ_EINVAL (len, align): nothing changed. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_swiotlb_alloc(struct virtq_swiotlb *swiotlb, uint64_t len,
                                                   uint64_t align, void **base);

/** @brief Gives memory of virtq_swiotlb_alloc() back, and zeroes it. The device must no longer use
 * it.
 * @param swiotlb the pool
 * @param base    what virtq_swiotlb_alloc() gave
 * @return 0, or VIRTQ_EINVAL (no slot begins there): nothing changed. Any thread. */
VIRTQ_API int virtq_swiotlb_free(struct virtq_swiotlb *swiotlb, void *base);

/** @brief How full the pool is, and was.
 * @param swiotlb a pool
 * @param usage   result: one consistent moment. Any thread. */
VIRTQ_API void virtq_swiotlb_read_usage(struct virtq_swiotlb *swiotlb,
                                        struct virtq_swiotlb_usage *usage);

VIRTQ_END_DECLS

#endif
