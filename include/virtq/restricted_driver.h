/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_restricted
 * @brief Restricted DMA, driver end: what to accept, and rings, tables and buffers in the pool.
 *
 * virtq/restricted.h has the whole.
 */
#ifndef VIRTQ_RESTRICTED_DRIVER_H
#define VIRTQ_RESTRICTED_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include "access.h"
#include "driver.h"
#include "error.h"
#include "restricted.h"
#include "space.h"
#include "space/bar.h"
#include "space/bar_stage.h"
#include "space/direct.h"
#include "space/mux.h"
#include "space/swiotlb.h"

VIRTQ_BEGIN_DECLS

/** @brief The driver end of a restricted device. The caller owns the memory, which is never shared;
 * beyond `space` and `decision` the fields are private. */
struct virtq_restricted_driver {
    struct virtq_space *space; /**< What queues are given; NULL: the decision is for no pool. */
    struct virtq_access_decision decision; /**< What was decided, and why: `accept` holds the bits
                                              to set before FEATURES_OK. */
    struct virtq_swiotlb swiotlb;          /**< System and range: the pool. */
    struct virtq_bar bar;                  /**< Device: the region. */
    struct virtq_bar_stage stage;          /**< Device: what is staged in it. */
    struct virtq_direct pass;              /**< System and range: segments that lie in the pool. */
    struct virtq_mux mux;                  /**< With VIRTQ_RESTRICTED_PARTS: both. */
    struct virtq_mux_route route;          /**< ... and which memory is the pool's. */
    uint32_t form;                         /**< An enum virtq_restricted_form. */
    uint32_t flags;                        /**< As configured. */
    uint32_t ordered;                      /**< Non-zero: queues need barriers for devices. */
    uint32_t reserved_;                    /**< Zero. */
};

/** @brief Bytes of private memory that a driver end needs.
 * @param config the configuration; of it `pool` and `granule` count
 * @return bytes, to be 8-byte aligned; 0 if `granule` is illegal or the pool is less than one
 * granule; a part of the pool that the device reaches never needs more. Any thread. */
VIRTQ_API size_t virtq_restricted_private_size(const struct virtq_restricted_config *config);

/** @brief Driver end: decides, and sets up the pool as the decision wants it.
 *
 * Of a pool in system memory only whole granules are used that lie in the device's range and in the
 * width of its addresses; they are zeroed. A region of the device is not touched. Call it again
 * after the device was reset, to begin with an empty pool, once every queue has been destroyed.
 * @param driver result; owned by the caller, must outlive every queue on it
 * @param config read during the call only; `facts.features` is what the device offers,
 * `facts.known` what the driver implements
 * @return 0: `decision.accept` is to be set, and if `space` is not NULL the pool is what queues
 * use; VIRTQ_ENOTSUP for a refusal: `decision.reason` says why, the driver sets FAILED;
 * VIRTQ_EINVAL (facts that contradict each other, a pool that wraps, an unknown form, flag or
 * memory type, granule, mask, alignment, no copy functions for memory that is not cacheable),
 * VIRTQ_EFAULT (no granule of the pool is in reach) or VIRTQ_ENOMEM (private memory too small). On
 * every error `space` is NULL. `driver` stays where it is as long as it is used. Any thread, before
 * the first queue. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_restricted_driver_init(
    struct virtq_restricted_driver *driver, const struct virtq_restricted_config *config);

/** @brief Driver end: takes memory in the pool for a queue's ring, and for its indirect tables.
 * @param driver a driver end
 * @param queue  a queue's configuration with format, size, features and segments_max; `areas` are
 * filled in, `tables` too if the features have VIRTIO_F_INDIRECT_DESC and buffers can have more
 * than one segment, and `space` if it is NULL. A space that is built on this end's (a struct
 * virtq_mux, a struct virtq_swiotlb_queue) is set before, for tables are as large as it needs them.
 * Where memory has to be ordered for a device, VIRTIO_F_ORDER_PLATFORM is added to `features`: it
 * concerns this end's barriers only.
 * @return 0; VIRTQ_EINVAL (format, size), VIRTQ_ENOMEM (no room in the pool now), VIRTQ_ETOOBIG
 * (not even in an empty one) or VIRTQ_ENOTSUP (there is no pool): nothing is taken, and `queue` is
 * untouched. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_restricted_driver_place(struct virtq_restricted_driver *driver,
                                                             struct virtq_driver_config *queue);

/** @brief Driver end: gives back what virtq_restricted_driver_place() took, once the queue has been
 * destroyed, or could not be made, and the device no longer uses it.
 * @param driver a driver end
 * @param queue  as virtq_restricted_driver_place() left it; `areas` and `tables` become NULL. Any
 * thread. */
VIRTQ_API void virtq_restricted_driver_remove(struct virtq_restricted_driver *driver,
                                              struct virtq_driver_config *queue);

/** @brief Driver end: the pool itself, so that each queue can have slots of its own in front of it
 * (virtq/space/swiotlb_queue.h), or requests can keep theirs (virtq/space/swiotlb_request.h).
 * @param driver a driver end
 * @return the pool, which goes on being the driver end's; NULL: there is none, or it is a region of
 * the device. Any thread. */
VIRTQ_API struct virtq_swiotlb *virtq_restricted_driver_swiotlb(
    struct virtq_restricted_driver *driver);

/** @brief Driver end: takes memory of the pool for the caller's own use: what lies there is not
 * copied, and another device can be told its address.
 *
 * A buffer that lies there as a whole goes as it is in a pool of system memory; otherwise, and for
 * buffers of which a part lies there, the driver end needs ::VIRTQ_RESTRICTED_PARTS.
 * @param driver a driver end
 * @param len    bytes, at least 1
 * @param align  alignment of the device address in bytes, a power of two; 0: the granule
 * @param base   result: the memory; the caller's until virtq_restricted_driver_free(). The device
 * may have written to it.
 * @return 0; VIRTQ_ENOMEM (no room in the pool now), VIRTQ_ETOOBIG (not even in an empty one),
 * VIRTQ_EINVAL (len, align) or VIRTQ_ENOTSUP (there is no pool): nothing changed. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_restricted_driver_alloc(struct virtq_restricted_driver *driver,
                                                             uint64_t len, uint64_t align,
                                                             void **base);

/** @brief Driver end: gives memory of virtq_restricted_driver_alloc() back. The device must no
 * longer use it.
 * @param driver a driver end
 * @param base   what virtq_restricted_driver_alloc() gave
 * @return 0; VIRTQ_EINVAL (nothing was allocated there) or VIRTQ_ENOTSUP (there is no pool):
 * nothing changed. Any thread. */
VIRTQ_API int virtq_restricted_driver_free(struct virtq_restricted_driver *driver, void *base);

/** @brief Ends a driver end; what lay in a pool of system memory is zeroed.
 * @param driver a driver end without queues
 * @return 0, after which only virtq_restricted_driver_init() may be called on it; or VIRTQ_EBUSY
 * (slots, rings or tables are still taken): nothing changed. Any thread, and no other at the same
 * time. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_restricted_driver_fini(struct virtq_restricted_driver *driver);

VIRTQ_END_DECLS

#endif
