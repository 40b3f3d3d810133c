/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_wire
 * @brief The split format as it lies in memory, by the specification's names.
 *
 * Every field is little-endian (legacy: the guest's byte order); nothing here converts. Plain
 * words, not `_Atomic`: all access goes through inline/shm.h. [virtio 1.4, Split Virtqueues]
 */
#ifndef VIRTQ_SPLIT_H
#define VIRTQ_SPLIT_H

#include <stdint.h>

#include "types.h"

VIRTQ_BEGIN_DECLS

#ifndef VIRTQ_DESC_F_NEXT
/** @brief The buffer goes on in the descriptor `next`. */
#    define VIRTQ_DESC_F_NEXT 1
/** @brief Device-writable; else device-readable. */
#    define VIRTQ_DESC_F_WRITE 2
/** @brief The element holds a table of descriptors. */
#    define VIRTQ_DESC_F_INDIRECT 4
#endif
#ifndef VIRTQ_AVAIL_F_NO_INTERRUPT
/** @brief The driver asks for no used buffer notifications. */
#    define VIRTQ_AVAIL_F_NO_INTERRUPT 1
#endif
#ifndef VIRTQ_USED_F_NO_NOTIFY
/** @brief The device asks for no available buffer notifications. */
#    define VIRTQ_USED_F_NO_NOTIFY 1
#endif

/** @brief A descriptor. [virtio 1.4, The Virtqueue Descriptor Table] */
struct virtq_desc {
    virtq_le64 addr;  /**< Device address. */
    virtq_le32 len;   /**< Bytes. */
    virtq_le16 flags; /**< VIRTQ_DESC_F_*. */
    virtq_le16 next;  /**< The next descriptor, if VIRTQ_DESC_F_NEXT. */
};

/** @brief The head of the available ring; `size` slots and `used_event` follow. */
struct virtq_avail {
    virtq_le16 flags; /**< VIRTQ_AVAIL_F_*. */
    virtq_le16 idx;   /**< Free-running: where the driver puts the next head. */
};

/** @brief One entry of the used ring. */
struct virtq_used_elem {
    virtq_le32 id;  /**< Head of the used chain. */
    virtq_le32 len; /**< Bytes written by the device. */
};

/** @brief The head of the used ring; `size` elements and `avail_event` follow. */
struct virtq_used {
    virtq_le16 flags; /**< VIRTQ_USED_F_*. */
    virtq_le16 idx;   /**< Free-running: where the device puts the next element. */
};

VIRTQ_STATIC_ASSERT(sizeof(struct virtq_desc) == 16, "a descriptor has 16 bytes");
VIRTQ_STATIC_ASSERT(sizeof(struct virtq_avail) == 4, "the slots begin at byte 4");
VIRTQ_STATIC_ASSERT(sizeof(struct virtq_used_elem) == 8, "a used element has 8 bytes");
VIRTQ_STATIC_ASSERT(sizeof(struct virtq_used) == 4, "the elements begin at byte 4");

VIRTQ_END_DECLS

#endif
