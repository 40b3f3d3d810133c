/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_types
 * @brief The small types that both ends, both formats and the spaces share.
 */
#ifndef VIRTQ_TYPES_H
#define VIRTQ_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"

VIRTQ_BEGIN_DECLS

#ifdef __cplusplus
/** @brief A compile-time check, in C and in C++. */
#    define VIRTQ_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
/** @brief A compile-time check, in C and in C++. */
#    define VIRTQ_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

/** @brief Largest queue size of either format. [virtio 1.4, Split Virtqueues; Packed Virtqueues] */
#define VIRTQ_SIZE_MAX 32768u

/** @brief A device address: the number in a descriptor. Physical, an IOVA or an offset, as the
 * space says. */
typedef uint64_t virtq_addr_t;
/** @brief 16 bits as they lie in a ring. */
typedef uint16_t virtq_le16;
/** @brief 32 bits as they lie in a ring. */
typedef uint32_t virtq_le32;
/** @brief 64 bits as they lie in a ring. */
typedef uint64_t virtq_le64;

/** @brief How a ring is laid out. */
enum virtq_format {
    VIRTQ_FORMAT_SPLIT = 0, /**< Descriptor table, available ring, used ring. */
    VIRTQ_FORMAT_PACKED = 1 /**< One descriptor ring and two event suppression structures. */
};

/** @brief What an access does; a window grants a set of them. */
enum virtq_permission {
    VIRTQ_PERMISSION_READ =
        1, /**< The device may read: descriptors, tables, device-readable data. */
    VIRTQ_PERMISSION_WRITE = 2 /**< The device may write: used area, device-writable data. */
};

/** @brief One piece of a buffer, as the driver's caller knows it.
 *
 * `base` counts for an ordinary buffer, `addr` for one with ::VIRTQ_BUFFER_PREMAPPED. */
struct virtq_segment {
    union {
        void *base; /**< Where it lies in this program's memory. */
        virtq_addr_t
            addr; /**< Its device address, from virtq_space_share() or the caller's own mapping. */
    };
    uint32_t len;   /**< Bytes, 1 to 2^32 - 1. */
    uint32_t route; /**< The caller's word on which space it goes to. Read only by a mux that was
                       made with VIRTQ_MUX_BY_SEGMENT, see virtq/space/mux.h. */
};

/** @brief Flags of a struct virtq_buffer. */
enum virtq_buffer_flag {
    VIRTQ_BUFFER_PREMAPPED = 1, /**< Segments hold device addresses; the space is not asked. */
    VIRTQ_BUFFER_DIRECT = 2     /**< Ring descriptors even where an indirect table could be used. */
};

/** @brief A buffer to add: device-readable segments first, device-writable ones after them.
 *
 * The library reads it during the call only; the memory of the segments belongs to the device
 * from virtq_driver_add() until the buffer comes back from virtq_driver_poll() or
 * virtq_driver_detach(). */
struct virtq_buffer {
    const struct virtq_segment *segments; /**< `readable + writable` of them. */
    void *cookie;      /**< Given back when the buffer is used; not looked at, may be NULL. */
    uint16_t readable; /**< How many segments the device may read. */
    uint16_t writable; /**< How many segments the device may write, after those. */
    uint32_t flags;    /**< A set of enum virtq_buffer_flag. */
};

/** @brief A buffer that the device has used. */
struct virtq_completion {
    void *cookie; /**< As given to virtq_driver_add(). */
    uint32_t len; /**< Bytes the device wrote, from the start of the writable part; never more than
                     fits there. Bytes beyond it are not to be trusted. */
    uint32_t id;  /**< The id the buffer had in the ring: for tracing. */
};

/** @brief What a queue counted since its initialisation. Each event costs at most one private
 * increment. */
struct virtq_counters {
    uint64_t added;             /**< Driver: buffers added. Device: buffers popped. */
    uint64_t used;              /**< Driver: used buffers polled. Device: buffers pushed. */
    uint64_t notify_asked;      /**< Tests that asked for a notification. */
    uint64_t notify_suppressed; /**< Tests that found it suppressed or not needed. */
    uint64_t window_hits;       /**< Device: pieces found in the queue's own windows. */
    uint64_t window_misses;     /**< Device: questions to the space. */
    uint64_t bytes_copied;      /**< Driver: bytes the space copied for this queue. */
    uint64_t error_full;        /**< Shortages of ring room. */
    uint64_t error_memory;      /**< Shortages of the space. */
    uint64_t error_miss;        /**< Misses reported to the caller. */
    uint64_t error_buffer;      /**< Bad buffers. */
    uint64_t error_length;      /**< Used lengths that were clamped. */
    uint64_t error_caller; /**< Calls refused with VIRTQ_EINVAL, VIRTQ_ETOOBIG or VIRTQ_EFAULT. */
};

/** @brief Where a queue's three areas lie in this program's memory. */
struct virtq_areas {
    void *descriptor; /**< Split: descriptor table. Packed: descriptor ring. */
    void *driver;     /**< Split: available ring. Packed: driver event suppression. */
    void *device;     /**< Split: used ring. Packed: device event suppression. */
};

/** @brief The device addresses of a queue's three areas: what the transport tells the device. */
struct virtq_area_addresses {
    virtq_addr_t descriptor; /**< Descriptor area. */
    virtq_addr_t driver;     /**< Driver area. */
    virtq_addr_t device;     /**< Device area. */
};

VIRTQ_END_DECLS

#endif
