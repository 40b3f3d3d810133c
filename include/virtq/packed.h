/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_wire
 * @brief The packed format as it lies in memory, by the specification's names.
 *
 * Every field is little-endian; nothing here converts. [virtio 1.4, Packed Virtqueues]
 */
#ifndef VIRTQ_PACKED_H
#define VIRTQ_PACKED_H

#include <stdint.h>

#include "types.h"

VIRTQ_BEGIN_DECLS

#ifndef VIRTQ_DESC_F_NEXT
/** @brief The buffer goes on in the following descriptor. */
#    define VIRTQ_DESC_F_NEXT 1
/** @brief Available: device-writable. Used: the device wrote data, and `len` is valid. */
#    define VIRTQ_DESC_F_WRITE 2
/** @brief The element holds a table of descriptors. */
#    define VIRTQ_DESC_F_INDIRECT 4
#endif
/** @brief The driver's wrap counter when it made the descriptor available (a mask; the bit is
 * number 7). */
#define PVIRTQ_DESC_F_AVAIL 0x0080u
/** @brief Its inverse then; equal to AVAIL once used (a mask; the bit is number 15). */
#define PVIRTQ_DESC_F_USED 0x8000u

/** @brief Notify at every change. */
#define VIRTQ_RING_EVENT_FLAGS_ENABLE 0x0u
/** @brief Never notify. */
#define VIRTQ_RING_EVENT_FLAGS_DISABLE 0x1u
/** @brief Notify when the named descriptor changes; only with VIRTIO_F_EVENT_IDX. */
#define VIRTQ_RING_EVENT_FLAGS_DESC 0x2u

/** @brief A descriptor. [virtio 1.4, Structure of the Virtqueue Descriptor Ring] */
struct pvirtq_desc {
    virtq_le64 addr;  /**< Device address. */
    virtq_le32 len;   /**< Available: bytes of the element. Used: bytes written. */
    virtq_le16 id;    /**< Buffer id. */
    virtq_le16 flags; /**< VIRTQ_DESC_F_* and PVIRTQ_DESC_F_*. */
};

/** @brief Driver or device event suppression. Two le16 in one aligned word, so that a reader can
 * take both at once. [virtio 1.4, Event Suppression Structure Format] */
struct pvirtq_event_suppress {
    virtq_le16 off_wrap; /**< Descriptor offset in bits 0 to 14, wrap counter in bit 15. */
    virtq_le16 flags;    /**< VIRTQ_RING_EVENT_FLAGS_*, the other bits 0. */
};

VIRTQ_STATIC_ASSERT(sizeof(struct pvirtq_desc) == 16, "a descriptor has 16 bytes");
VIRTQ_STATIC_ASSERT(sizeof(struct pvirtq_event_suppress) == 4, "event suppression has 4 bytes");

VIRTQ_END_DECLS

#endif
