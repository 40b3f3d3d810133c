/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Parts of one piece of memory, each on cache lines of its own.
 */
#ifndef VIRTQ_LIB_HOST_ALIGN_H
#define VIRTQ_LIB_HOST_ALIGN_H

#include <stddef.h>

#include "virtq/api.h"

/** @brief Bytes, up to a whole number of cache lines. */
static inline size_t virtq_priv_align_up(size_t size)
{
    return (size + VIRTQ_CACHE_LINE - 1) / VIRTQ_CACHE_LINE * VIRTQ_CACHE_LINE;
}

#endif
