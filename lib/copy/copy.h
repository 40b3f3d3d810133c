/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Calls of a struct virtq_copy, with what a missing function stands for.
 */
#ifndef VIRTQ_LIB_COPY_COPY_H
#define VIRTQ_LIB_COPY_COPY_H

#include <string.h>

#include "virtq/copy.h"

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

/** @brief Ends the copies of one buffer. */
VIRTQ_INLINE void virtq_priv_copy_done(const struct virtq_copy *copy)
{
    if (copy->done != NULL) {
        copy->done(copy->context);
    }
}

#endif
