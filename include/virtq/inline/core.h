/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief What both ends keep of a negotiation, and how private memory is laid out.
 */
#ifndef VIRTQ_INLINE_CORE_H
#define VIRTQ_INLINE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../api.h"
#include "../feature.h"
#include "../types.h"

/** @brief Flags kept from the negotiation. */
enum virtq_core_flag {
    VIRTQ_CORE_EVENT_IDX = 1, /**< VIRTIO_F_EVENT_IDX. */
    VIRTQ_CORE_IN_ORDER = 2,  /**< VIRTIO_F_IN_ORDER. */
    VIRTQ_CORE_TABLES = 8,    /**< VIRTIO_F_INDIRECT_DESC, and (driver) tables were given. */
    VIRTQ_CORE_NOTIFICATION_DATA = 16, /**< VIRTIO_F_NOTIFICATION_DATA. */
    VIRTQ_CORE_STRICT_LENGTH = 32,     /**< VIRTQ_DRIVER_STRICT_LENGTH. */
    VIRTQ_CORE_NOTIFY_ON_EMPTY = 64,   /**< VIRTIO_F_NOTIFY_ON_EMPTY. */
    VIRTQ_CORE_BIG_ENDIAN = 128,       /**< The ring is big-endian. */
    VIRTQ_CORE_QUIESCED = 256,         /**< Device: pop gives nothing. */
    VIRTQ_CORE_SILENT = 512,           /**< Own notifications are switched off already. */
    VIRTQ_CORE_TRANSLATED = 1024,      /**< Device: the ring goes through the space. */
    VIRTQ_CORE_BATCHES = 2048,         /**< Driver: the space is told of buffers that come back
                                          together. */
    VIRTQ_CORE_DETACHED = 4096         /**< Driver: the ring shows buffers that are the caller's
                                          again. */
};

/** @brief A number of entries since the last test after which the test cannot be exact, so it says
 * yes. */
#define VIRTQ_UNTESTED_MANY 0x10000u

/** @brief The flags that follow from negotiated features alone. @param features them @return a set
 * of enum virtq_core_flag */
VIRTQ_INLINE uint32_t virtq_core_flags(uint64_t features)
{
    uint32_t flags = 0;

    flags |= virtq_feature_has(features, VIRTIO_F_EVENT_IDX) ? (uint32_t)VIRTQ_CORE_EVENT_IDX : 0u;
    flags |= virtq_feature_has(features, VIRTIO_F_IN_ORDER) ? (uint32_t)VIRTQ_CORE_IN_ORDER : 0u;
    flags |= virtq_feature_has(features, VIRTIO_F_INDIRECT_DESC) ? (uint32_t)VIRTQ_CORE_TABLES : 0u;
    flags |= virtq_feature_has(features, VIRTIO_F_NOTIFICATION_DATA)
                 ? (uint32_t)VIRTQ_CORE_NOTIFICATION_DATA
                 : 0u;
    flags |= virtq_feature_has(features, VIRTIO_F_NOTIFY_ON_EMPTY)
                 ? (uint32_t)VIRTQ_CORE_NOTIFY_ON_EMPTY
                 : 0u;
    return flags;
}

/** @brief Whether a queue can have this format, size, byte order and these features at all. S1, P1.
 * @param format an enum virtq_format @param size descriptors @param features negotiated @param
 * big_endian legacy byte order
 * @return whether */
VIRTQ_INLINE bool virtq_core_legal(uint32_t format, uint32_t size, uint64_t features,
                                   bool big_endian)
{
    bool packed = virtq_feature_has(features, VIRTIO_F_RING_PACKED) != 0;

    if (size == 0u || size > VIRTQ_SIZE_MAX || format > (uint32_t)VIRTQ_FORMAT_PACKED) {
        return false;
    }
    if (packed != (format == (uint32_t)VIRTQ_FORMAT_PACKED)) {
        return false;
    }
    if (big_endian && (packed || virtq_feature_has(features, VIRTIO_F_VERSION_1))) {
        return false;
    }
    return packed || (size & (size - 1u)) == 0u;
}

/** @brief Hands out private memory piece by piece; with `base` NULL it only counts. */
struct virtq_carver {
    unsigned char *base; /**< Start, aligned to #VIRTQ_CACHE_LINE; or NULL. */
    size_t used;         /**< Bytes handed out. */
};

/** @brief The next piece, on a cache line of its own.
 * @param carver where from @param bytes how many; sizes are bounded by the queue size, so no sum
 * can wrap
 * @return the piece, or NULL when only counting */
VIRTQ_INLINE void *virtq_core_carve(struct virtq_carver *carver, size_t bytes)
{
    size_t at = carver->used;

    carver->used += (bytes + VIRTQ_CACHE_LINE - 1u) & ~(size_t)(VIRTQ_CACHE_LINE - 1u);
    return carver->base != NULL ? carver->base + at : NULL;
}

/** @brief Copies a configuration of any age: what the caller's struct does not have yet counts as
 * 0.
 * @param to the library's struct @param to_size its bytes @param from the caller's @param from_size
 * its own word for its bytes
 * @return whether `from_size` makes sense */
VIRTQ_INLINE bool virtq_core_copy_config(void *to, size_t to_size, const void *from,
                                         size_t from_size)
{
    if (from_size < sizeof(size_t)) {
        return false;
    }
    __builtin_memset(to, 0, to_size);
    __builtin_memcpy(to, from, from_size < to_size ? from_size : to_size);
    return true;
}

/** @brief A pointer some bytes on, where the base may be NULL because addresses are pointers.
 * @param base a window's base @param offset bytes @return the pointer */
VIRTQ_TEMPLATE unsigned char *virtq_core_at(const unsigned char *base, uint64_t offset)
{
    return (unsigned char *)((uintptr_t)base + (uintptr_t)offset);
}

/** @brief Checks that a ring's areas are there and aligned. S1, P1. @param areas them @param
 * features negotiated: they tell the format @return whether */
VIRTQ_INLINE bool virtq_core_aligned(const struct virtq_areas *areas, uint64_t features)
{
    const uintptr_t driver = virtq_feature_has(features, VIRTIO_F_RING_PACKED) != 0 ? 3u : 1u;

    return areas->descriptor != NULL && areas->driver != NULL && areas->device != NULL &&
           ((uintptr_t)areas->descriptor & 15u) == 0u &&
           ((uintptr_t)areas->driver & driver) == 0u && ((uintptr_t)areas->device & 3u) == 0u;
}

#endif
