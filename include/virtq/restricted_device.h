/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_restricted
 * @brief Restricted DMA, device end: whom to let in, and the pool as all that it reaches.
 *
 * virtq/restricted.h has the whole.
 */
#ifndef VIRTQ_RESTRICTED_DEVICE_H
#define VIRTQ_RESTRICTED_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "access.h"
#include "device.h"
#include "error.h"
#include "restricted.h"
#include "space.h"
#include "space/bar.h"
#include "space/direct.h"

VIRTQ_BEGIN_DECLS

/** @brief The device end. The caller owns the memory; beyond `space` and `decision` the fields are
 * private. */
struct virtq_restricted_device {
    struct virtq_space *space; /**< What queues are given; NULL: what was negotiated is no pool. */
    struct virtq_access_decision decision; /**< What was negotiated, and why. */
    struct virtq_direct direct;            /**< System and range: the one window. */
    struct virtq_bar bar;                  /**< Device: the region. */
    uint32_t ordered;                      /**< Non-zero: queues need barriers for devices. */
    uint32_t reserved_;                    /**< Zero. */
};

/** @brief Device end, before it offers features: what to offer, and what to insist on.
 *
 * The device is taken to reach the pool and nothing else (::VIRTQ_ACCESS_POOL_ONLY), unless an
 * IOMMU helps it.
 * @param config   `facts.features` is what the device implements; of the rest `pool.form` counts
 * @param decision result, as of virtq_access_device()
 * @return 0; VIRTQ_ENOTSUP for a refusal: the device must not be shown to any driver; VIRTQ_EINVAL
 * (facts that contradict each other, an unknown form): `decision` is untouched. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_restricted_device_offer(
    const struct virtq_restricted_config *config, struct virtq_access_decision *decision);

/** @brief Device end, at FEATURES_OK (on a legacy interface: at DRIVER_OK): judges what the driver
 * accepted, and makes the pool the one thing that queues can reach.
 *
 * A driver that did not accept restricted DMA is refused, unless the platform is known to put
 * everything into the pool anyway (::VIRTQ_ACCESS_POOL_FORCED) and the device so chose to let it
 * be. If that is wrong the device still touches nothing but the pool: its buffers are bad ones.
 * @param device   result; owned by the caller, must outlive every queue on it
 * @param config   as for virtq_restricted_device_offer(), with all of `pool`
 * @param accepted all bits that the driver wrote; may be anything
 * @return 0, and if `space` is not NULL the pool is what queues use; VIRTQ_ENOTSUP for a refusal:
 * `decision.reason` says why, FEATURES_OK is not to be set; VIRTQ_EINVAL (facts that contradict
 * each other, a pool that wraps, an unknown form or memory type) or VIRTQ_EFAULT (nothing of the
 * pool is in reach). On every error `space` is NULL. Any thread, before the first queue. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_restricted_device_init(
    struct virtq_restricted_device *device, const struct virtq_restricted_config *config,
    uint64_t accepted);

/** @brief Device end, when the driver enables a queue: whether its ring lies in the pool.
 * @param device a device end
 * @param queue  a queue's configuration with format, size, features and `addresses`, which the
 * driver wrote and may be anything; `space` is filled in, VIRTQ_DEVICE_RING_TRANSLATED is set, and
 * where memory has to be ordered for a device VIRTIO_F_ORDER_PLATFORM is added to `features`
 * @return 0; VIRTQ_EFAULT (an area lies outside the pool, in part or as a whole), VIRTQ_EINVAL
 * (format, size) or VIRTQ_ENOTSUP (what was negotiated is no pool): `queue` is untouched, and
 * nothing was read. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_restricted_device_attach(
    struct virtq_restricted_device *device, struct virtq_device_config *queue);

VIRTQ_END_DECLS

#endif
