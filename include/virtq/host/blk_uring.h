/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_blk
 * @brief Io_uring as the carrier of a ring's requests (blk_ring.h): a header alone, for
 * libvirtq-host needs nothing but the C library. Who includes it links with -luring, and includes
 * it first or defines _GNU_SOURCE, as liburing.h wants it.
 *
 *     if (virtq_blk_uring_init(&uring, depth) == 0) {
 *         virtq_blk_ring_carry(ring, virtq_blk_uring_carrier(), &uring);
 *     }
 *
 * Where there is no liburing.h, or with VIRTQ_NO_LIBURING, virtq_blk_uring_init() says so, and
 * nothing is to be linked; as it does where a container's rules forbid io_uring. Then each request
 * is waited for.
 */
#ifndef VIRTQ_HOST_BLK_URING_H
#define VIRTQ_HOST_BLK_URING_H

#if !defined(VIRTQ_NO_LIBURING) && !defined(DOXYGEN) && defined(__has_include)
#    if __has_include(<liburing.h>)
#        include <liburing.h>
#        define VIRTQ_BLK_URING 1
#    endif
#endif
#ifndef VIRTQ_BLK_URING
/** @brief 1: this header uses liburing. */
#    define VIRTQ_BLK_URING 0
#endif

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "../api.h"
#include "../error.h"
#include "blk_ring.h"

VIRTQ_BEGIN_DECLS

/** @brief What carries out the requests of one ring. The caller owns the struct; the fields are
 * private. */
struct virtq_blk_uring {
#if VIRTQ_BLK_URING
    struct io_uring ring; /**< As liburing has it. */
#endif
    int open; /**< 1: there is one. */
};

#if VIRTQ_BLK_URING
/** @cond */
static inline int virtq_priv_blk_uring_begin(void *carrier, struct virtq_blk_request *request,
                                             int file, struct iovec *vector, unsigned count,
                                             uint32_t flags)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&((struct virtq_blk_uring *)carrier)->ring);
    const uint64_t at = request->offset + request->done;

    if (entry == NULL) {
        return 0;
    }
    if (request->type == VIRTIO_BLK_T_FLUSH) {
        io_uring_prep_fsync(entry, file, IORING_FSYNC_DATASYNC);
    } else if (request->type == VIRTIO_BLK_T_IN) {
        io_uring_prep_readv(entry, file, vector, count, at);
    } else {
        io_uring_prep_writev2(entry, file, vector, count, at,
                              (flags & (uint32_t)VIRTQ_BLK_STABLE) != 0 ? RWF_DSYNC : 0);
    }
    io_uring_sqe_set_data(entry, request);
    return 1;
}

/* All that was begun, with one call. */
static inline int virtq_priv_blk_uring_submit(void *carrier)
{
    struct io_uring *ring = &((struct virtq_blk_uring *)carrier)->ring;

    return io_uring_sq_ready(ring) != 0 && io_uring_submit(ring) <= 0;
}

static inline struct virtq_blk_request *virtq_priv_blk_uring_next(void *carrier, int64_t *result)
{
    struct io_uring *ring = &((struct virtq_blk_uring *)carrier)->ring;
    struct virtq_blk_request *request = NULL;
    struct io_uring_cqe *entry;

    if (io_uring_peek_cqe(ring, &entry) == 0) {
        request = (struct virtq_blk_request *)io_uring_cqe_get_data(entry);
        *result = entry->res;
        io_uring_cqe_seen(ring, entry);
    }
    return request;
}

static inline int virtq_priv_blk_uring_fd(void *carrier)
{
    return ((struct virtq_blk_uring *)carrier)->ring.ring_fd;
}
/** @endcond */
#endif

/** @brief Opens an io_uring.
 * @param uring result; the caller's until virtq_blk_uring_fini(), also after an error
 * @param depth most requests in flight: that of the ring
 * @return 0; VIRTQ_ENOTSUP (there is none here) or VIRTQ_ENOMEM (no memory or descriptor to be
 * had): nothing is kept. Any thread. */
VIRTQ_MUST_CHECK static inline int virtq_blk_uring_init(struct virtq_blk_uring *uring,
                                                        unsigned depth)
{
#if VIRTQ_BLK_URING
    const int result = io_uring_queue_init(depth, &uring->ring, 0);

    uring->open = result == 0;
    if (result == -ENOMEM || result == -EMFILE || result == -ENFILE) {
        return VIRTQ_ENOMEM;
    }
    return result == 0 ? VIRTQ_OK : VIRTQ_ENOTSUP;
#else
    (void)depth;
    uring->open = 0;
    return VIRTQ_ENOTSUP;
#endif
}

/** @brief Closes it.
 * @param uring what virtq_blk_uring_init() was called for, with or without success; nothing of it
 * is in flight. Any thread. */
static inline void virtq_blk_uring_fini(struct virtq_blk_uring *uring)
{
#if VIRTQ_BLK_URING
    if (uring->open != 0) {
        io_uring_queue_exit(&uring->ring);
    }
#endif
    uring->open = 0;
}

/** @brief The carrier, for virtq_blk_ring_carry(); the struct virtq_blk_uring is its `opaque`.
 * @return a table that stays; NULL: this header uses no liburing. Any thread. */
static inline const struct virtq_blk_carrier_ops *virtq_blk_uring_carrier(void)
{
#if VIRTQ_BLK_URING
    static const struct virtq_blk_carrier_ops carrier = {
        sizeof(struct virtq_blk_carrier_ops), virtq_priv_blk_uring_begin,
        virtq_priv_blk_uring_submit, virtq_priv_blk_uring_next, virtq_priv_blk_uring_fd};

    return &carrier;
#else
    return NULL;
#endif
}

VIRTQ_END_DECLS

#endif
