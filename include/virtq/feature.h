/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_wire
 * @brief Feature bits that concern a virtqueue, by the specification's names and numbers.
 *
 * Each is a bit number, as in the specification; test it with #VIRTQ_FEATURE. They stand under
 * `#ifndef`, so that they live beside an operating system's own headers. [virtio 1.4, Reserved
 * Feature Bits]
 */
#ifndef VIRTQ_FEATURE_H
#define VIRTQ_FEATURE_H

#include <stdint.h>

#include "api.h"

/** @brief The mask of a feature bit number. */
#define VIRTQ_FEATURE(bit) ((uint64_t)1 << (bit))

#ifndef VIRTIO_F_NOTIFY_ON_EMPTY
/** @brief Legacy: notify when the available ring is drained, whatever is suppressed. */
#    define VIRTIO_F_NOTIFY_ON_EMPTY 24
#endif
#ifndef VIRTIO_F_ANY_LAYOUT
/** @brief Legacy: arbitrary framing. */
#    define VIRTIO_F_ANY_LAYOUT 27
#endif
#ifndef VIRTIO_F_INDIRECT_DESC
/** @brief Indirect descriptor tables. */
#    define VIRTIO_F_INDIRECT_DESC 28
#endif
#ifndef VIRTIO_F_EVENT_IDX
/** @brief used_event and avail_event; RING_EVENT_FLAGS_DESC. */
#    define VIRTIO_F_EVENT_IDX 29
#endif
#ifndef VIRTIO_F_VERSION_1
/** @brief Not legacy: little-endian rings. */
#    define VIRTIO_F_VERSION_1 32
#endif
#ifndef VIRTIO_F_ACCESS_PLATFORM
/** @brief Device addresses are translated or limited by the platform. */
#    define VIRTIO_F_ACCESS_PLATFORM 33
#endif
#ifndef VIRTIO_F_RING_PACKED
/** @brief The packed format. */
#    define VIRTIO_F_RING_PACKED 34
#endif
#ifndef VIRTIO_F_IN_ORDER
/** @brief Buffers are used in the order in which they were made available. */
#    define VIRTIO_F_IN_ORDER 35
#endif
#ifndef VIRTIO_F_ORDER_PLATFORM
/** @brief Memory is ordered as the platform orders devices, not processors. */
#    define VIRTIO_F_ORDER_PLATFORM 36
#endif
#ifndef VIRTIO_F_NOTIFICATION_DATA
/** @brief A driver's notification carries the ring's position. */
#    define VIRTIO_F_NOTIFICATION_DATA 38
#endif
#ifndef VIRTIO_F_NOTIF_CONFIG_DATA
/** @brief The device gives the value that names the queue in a notification. */
#    define VIRTIO_F_NOTIF_CONFIG_DATA 39
#endif
#ifndef VIRTIO_F_RING_RESET
/** @brief One queue can be reset. */
#    define VIRTIO_F_RING_RESET 40
#endif
#ifndef VIRTIO_F_SUSPEND
/** @brief The device can be suspended. */
#    define VIRTIO_F_SUSPEND 43
#endif

/** @brief Whether a bit is in a set of features.
 * @param features the set
 * @param bit the bit's number
 * @return 1 or 0 */
VIRTQ_INLINE int virtq_feature_has(uint64_t features, unsigned bit)
{
    return (int)((features >> bit) & 1u);
}

#endif
