/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_copy
 * @brief How bytes go between private memory and memory that is shared with the other end.
 *
 * A space that stages buffers (a pool, a region of a device) copies through one of these. It lets
 * the memory be of a kind that a plain memcpy must not touch, and lets a user fuse work of his own
 * with the copy: a checksum, encryption.
 */
#ifndef VIRTQ_COPY_H
#define VIRTQ_COPY_H

#include <stddef.h>

#include "api.h"

VIRTQ_BEGIN_DECLS

/** @brief A way to copy. All of it may be zero: plain copies.
 *
 * The functions are called on whichever thread works with the space, so a `context` that changes
 * belongs to a space of one queue. Ranges never overlap and never wrap; `len` may be 0. What is
 * shared may change at any time: a function that judges what it copies loads each byte once. */
struct virtq_copy {
    /** Copies `len` bytes of private memory into shared memory. NULL: memcpy. */
    void (*to_shared)(void *context, void *to, const void *from, size_t len);
    /** Copies `len` bytes of shared memory into private memory. NULL: memcpy. */
    void (*from_shared)(void *context, void *to, const void *from, size_t len);
    /** Sets `len` bytes of shared memory to zero. NULL: memset. */
    void (*zero)(void *context, void *to, size_t len);
    /** Called once after all copies and zeroing of one buffer, before anybody is told of it: what
     * was stored is visible to the other end when it returns. NULL: nothing to do. */
    void (*done)(void *context);
    /** First argument of each function. */
    void *context;
};

VIRTQ_END_DECLS

#endif
