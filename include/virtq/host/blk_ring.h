/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_blk
 * @brief One ring of a disk that is served over vhost-user, on a thread of the caller's.
 *
 * virtq_blk_ring_run() takes requests, does at once what needs not wait, has the rest carried out
 * by a carrier if there is one, publishes what is done, a burst at a time, and notifies the driver.
 * When there is nothing to do it looks again for a while, and then sleeps. It is made of
 * blk_queue.h and vhost_user_backend.h, and goes with struct virtq_vhost_user_ops:
 *
 *     started:    virtq_blk_ring_init(), and a thread that calls virtq_blk_ring_run()
 *     wake:       virtq_blk_ring_wake()
 *     withdrawn:  virtq_blk_ring_drain(), for each ring that runs
 *     stopping:   virtq_blk_ring_stop(), wait for the thread, virtq_blk_ring_fini()
 *
 * No thread is started here. A translation that is missing loses nothing: neither a request, nor
 * its completion, nor the notification.
 */
#ifndef VIRTQ_HOST_BLK_RING_H
#define VIRTQ_HOST_BLK_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "../api.h"
#include "../types.h"
#include "blk.h"
#include "vhost_user_backend.h"

VIRTQ_BEGIN_DECLS

/** @brief A ring. Lives in memory that the caller gives. */
struct virtq_blk_ring;

/** @brief What carries requests out while the ring's thread goes on: io_uring (blk_uring.h), or
 * anything else that reads and writes a file. All are called by the ring's thread. */
struct virtq_blk_carrier_ops {
    /** sizeof(struct virtq_blk_carrier_ops) of whoever fills the table. */
    size_t size;
    /** @brief Begins a read, a write or a flush, or keeps it until `submit`. @param carrier as
     * given to virtq_blk_ring_carry() @param request one of VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT and
     * VIRTIO_BLK_T_FLUSH, to go on at virtq_blk_request::done; not to be changed @param file the
     * disk's @param vector where its data lies; stays until the request has come to its end @param
     * count entries, at most 1024; 0 for a flush @param flags 0 or VIRTQ_BLK_STABLE @return 1: it
     * will come out of `next`; 0: it cannot be begun now, and is waited for instead */
    int (*begin)(void *carrier, struct virtq_blk_request *request, int file, struct iovec *vector,
                 unsigned count, uint32_t flags);
    /** @brief Nothing more is begun for now: what was kept is to be under way. @param carrier the
     * ring's @return 0; anything else: not all is, call again */
    int (*submit)(void *carrier);
    /** @brief Takes a request that has come to its end; in any order. What it has left undone is
     * done by waiting. @param carrier the ring's @param result result: bytes that were
     * moved, or an error of the system, below zero @return the request, or NULL: there is none now
     */
    struct virtq_blk_request *(*next)(void *carrier, int64_t *result);
    /** @brief Where to wait for requests to come to their end. @param carrier the ring's @return a
     * descriptor that is readable when `next` has one */
    int (*fd)(void *carrier);
};

/** @brief Flags of a struct virtq_blk_ring_config. */
enum virtq_blk_ring_flag {
    VIRTQ_BLK_RING_STABLE = 1, /**< What is written is stable before it is reported: for a driver
                                    that was offered VIRTIO_BLK_F_FLUSH and did not accept it. */
    VIRTQ_BLK_RING_LOCATE = 2  /**< Note where in the guest's memory the buffers lie. */
};

/** @brief How a ring is to be. Begin with #VIRTQ_BLK_RING_CONFIG_INIT. */
struct virtq_blk_ring_config {
    size_t struct_size; /**< sizeof(struct virtq_blk_ring_config): lets the struct grow. */
    struct virtq_vhost_user_backend *backend; /**< With ::VIRTQ_VHOST_USER_RECORDED, and without
                                                   virtq_vhost_user_ops::serve. */
    const struct virtq_blk_disk *disk; /**< One that virtq_blk_disk_config() accepts; must outlive
                                            the ring. */
    uint32_t index;                    /**< Which of the back-end's rings. */
    int file;           /**< The disk's file or block device; the caller's, stays open. */
    uint32_t flags;     /**< A set of enum virtq_blk_ring_flag. */
    uint32_t depth;     /**< Most requests in flight, 1 to 32768. */
    uint32_t pieces;    /**< Most pieces of one, 3 to 32768. */
    uint32_t burst;     /**< How many are done before the driver is told of them, at least 1. */
    uint32_t polls;     /**< How often the ring is looked at in vain before its thread sleeps. */
    uint32_t reserved_; /**< Zero. */
};

/** @brief The initial value of a struct virtq_blk_ring_config. */
#define VIRTQ_BLK_RING_CONFIG_INIT                                                       \
    {                                                                                    \
        sizeof(struct virtq_blk_ring_config), NULL, NULL, 0, -1, 0, 128, 1024, 16, 32, 0 \
    }

/** @brief What a ring has done. */
struct virtq_blk_ring_counters {
    uint64_t popped;     /**< Buffers that were taken. */
    uint64_t bad;        /**< Of these, those that virtq_device_pop() found something wrong with. */
    virtq_addr_t lowest; /**< The first byte of the guest's memory that a request lay in. With
                              ::VIRTQ_BLK_RING_LOCATE; UINT64_MAX if there was none. */
    virtq_addr_t highest; /**< The last such byte; 0 if there was none. */
};

/** @brief Bytes of memory that a ring needs. Most of it is not touched while requests are few and
 * small.
 * @param config `depth` and `pieces` count
 * @return bytes, a multiple of #VIRTQ_CACHE_LINE, to which they are to be aligned; 0 if the
 * configuration is illegal. Any thread. */
VIRTQ_API size_t virtq_blk_ring_size(const struct virtq_blk_ring_config *config);

/** @brief Makes what serves a ring.
 * @param memory private memory, aligned to #VIRTQ_CACHE_LINE; owned by the caller, must stay until
 * virtq_blk_ring_fini()
 * @param size   its bytes, at least virtq_blk_ring_size()
 * @param config read during the call only
 * @param ring   result: where `memory` begins
 * @return 0; VIRTQ_EINVAL (configuration, alignment, or the back-end's ring does not run) or
 * VIRTQ_ENOMEM (memory too small, or no descriptor to be had): nothing is kept. The thread that
 * calls process, from virtq_vhost_user_ops::started on. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_blk_ring_init(void *memory, size_t size,
                                                   const struct virtq_blk_ring_config *config,
                                                   struct virtq_blk_ring **ring);

/** @brief Has somebody else carry out what would have to be waited for. Without this each request
 * is waited for.
 * @param ring    a ring that has not been run yet
 * @param carrier copied
 * @param opaque  handed to each of its functions; must stay until virtq_blk_ring_fini()
 * @return 0, or VIRTQ_EINVAL: a function is missing, and nothing changed. The thread that made the
 * ring. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_blk_ring_carry(struct virtq_blk_ring *ring,
                                                    const struct virtq_blk_carrier_ops *carrier,
                                                    void *opaque);

/** @brief Gives back what a ring holds.
 * @param ring a ring that nobody runs; its memory is the caller's again. Any thread. */
VIRTQ_API void virtq_blk_ring_fini(struct virtq_blk_ring *ring);

/** @brief Serves the ring until virtq_blk_ring_stop(), and until then nothing is in flight any
 * more.
 * @param ring a ring. A thread of its own, which is the ring's and the carrier's alone. */
VIRTQ_API void virtq_blk_ring_run(struct virtq_blk_ring *ring);

/** @brief Something has changed: virtq_blk_ring_run() is to look at everything again.
 * @param ring a ring. Any thread. */
VIRTQ_API void virtq_blk_ring_wake(struct virtq_blk_ring *ring);

/** @brief Has virtq_blk_ring_run() take no more requests and return when nothing is in flight.
 * Waits for nothing.
 * @param ring a ring. Any thread. */
VIRTQ_API void virtq_blk_ring_stop(struct virtq_blk_ring *ring);

/** @brief Waits until nothing is in flight, and lets the ring go on: for
 * virtq_vhost_user_ops::withdrawn.
 * @param ring a ring, whether it is run or not. One thread at a time, not the ring's own, and not
 * one that the ring's waits for. */
VIRTQ_API void virtq_blk_ring_drain(struct virtq_blk_ring *ring);

/** @brief What the ring has done until now.
 * @param ring     a ring
 * @param counters result. The ring's thread, or any while nobody runs it. */
VIRTQ_API void virtq_blk_ring_count(const struct virtq_blk_ring *ring,
                                    struct virtq_blk_ring_counters *counters);

VIRTQ_END_DECLS

#endif
