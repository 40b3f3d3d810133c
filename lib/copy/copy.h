/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Calls of a struct virtq_copy, with what a missing function stands for.
 */
#ifndef VIRTQ_LIB_COPY_COPY_H
#define VIRTQ_LIB_COPY_COPY_H

#include <stdbool.h>
#include <string.h>

#include "virtq/copy.h"

/** @brief Whether bytes are copied and zeroed by nothing but memcpy and memset. */
VIRTQ_INLINE bool virtq_priv_copy_is_plain(const struct virtq_copy *copy)
{
    return copy->to_shared == NULL && copy->from_shared == NULL && copy->zero == NULL &&
           copy->done == NULL;
}

/** @brief Copies into shared memory. */
VIRTQ_INLINE void virtq_priv_copy_to_shared(const struct virtq_copy *copy, void *to,
                                            const void *from, size_t len)
{
    if (copy->to_shared != NULL) {
        copy->to_shared(copy->context, to, from, len);
    } else {
        memcpy(to, from, len);
    }
}

/** @brief Copies out of shared memory. */
VIRTQ_INLINE void virtq_priv_copy_from_shared(const struct virtq_copy *copy, void *to,
                                              const void *from, size_t len)
{
    if (copy->from_shared != NULL) {
        copy->from_shared(copy->context, to, from, len);
    } else {
        memcpy(to, from, len);
    }
}

/** @brief Zeroes shared memory. */
VIRTQ_INLINE void virtq_priv_copy_zero(const struct virtq_copy *copy, void *to, size_t len)
{
    if (copy->zero != NULL) {
        copy->zero(copy->context, to, len);
    } else {
        memset(to, 0, len);
    }
}

/** @brief Bytes that the nearest cache still has after they were copied; more than most packets. */
#define VIRTQ_PRIV_COPY_PIECE ((size_t)1536)

/** @brief Plainly copies `len` bytes out of shared memory and zeroes `size` there, which are no
 * fewer, while they are at hand. */
typedef void (*virtq_priv_take_function)(void *to, void *from, size_t len, size_t size);

/** @brief A virtq_priv_take_function for any machine. */
void virtq_priv_copy_take(void *to, void *from, size_t len, size_t size);

/** @brief The best one for this processor. It is asked, which may take long: once a pool. */
virtq_priv_take_function virtq_priv_copy_take_best(void);

/** @brief virtq_priv_copy_clear() of more than a piece. */
void virtq_priv_copy_clear_pieces(void *at, size_t size);

/** @brief Plainly zeroes shared memory. */
VIRTQ_INLINE void virtq_priv_copy_clear(void *at, size_t size)
{
    if (VIRTQ_UNLIKELY(size > VIRTQ_PRIV_COPY_PIECE)) {
        virtq_priv_copy_clear_pieces(at, size);
        return;
    }
    memset(at, 0, size);
}

/** @brief Ends the copies of one buffer. */
VIRTQ_INLINE void virtq_priv_copy_done(const struct virtq_copy *copy)
{
    if (copy->done != NULL) {
        copy->done(copy->context);
    }
}

#endif
