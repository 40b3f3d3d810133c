/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_restricted
 * @brief Restricted DMA from negotiation to queue: a device that can reach one pool and nothing
 * else.
 *
 * The pool has one of three forms (enum virtq_restricted_form): system memory that the platform
 * sets apart, a region of the device with offsets for addresses, or what of the platform's pool
 * lies in the range that the device states. Each end decides by virtq/access.h and gets, in one
 * struct, the space that goes with the decision.
 *
 * **Driver end.** virtq_restricted_driver_init() between reading the device's features and writing
 * its own; then virtq_restricted_driver_place() for each queue, which puts ring and indirect tables
 * into the pool. Whatever a buffer's memory is, no address outside the pool is published, except by
 * a caller who passes one himself (::VIRTQ_BUFFER_PREMAPPED).
 *
 * **Device end.** virtq_restricted_device_offer() before it offers features,
 * virtq_restricted_device_init() at FEATURES_OK, virtq_restricted_device_attach() for each queue
 * when it is enabled: a ring that does not lie in the pool is refused there. A buffer or a table
 * that does not is a bad buffer, and is not touched.
 *
 * Where the decision is for another space than a pool (there is an IOMMU, and the driver can
 * program it), `space` is NULL and `decision` says which.
 *
 * Trust: the device may read and write every byte of the pool at any time, and no other.
 */
#ifndef VIRTQ_RESTRICTED_H
#define VIRTQ_RESTRICTED_H

#include <stddef.h>
#include <stdint.h>

#include "access.h"
#include "copy.h"
#include "device.h"
#include "driver.h"
#include "error.h"
#include "space/bar.h"
#include "space/bar_stage.h"
#include "space/direct.h"
#include "space/mux.h"
#include "space/swiotlb.h"
#include "types.h"

VIRTQ_BEGIN_DECLS

/** @brief What the device can reach. */
enum virtq_restricted_form {
    /** A pool in system memory, described by the platform (`restricted-dma-pool`). Device addresses
     * are those of system memory. */
    VIRTQ_RESTRICTED_SYSTEM = 0,
    /** A pool in a region of the device, a BAR: device addresses are offsets. */
    VIRTQ_RESTRICTED_DEVICE = 1,
    /** A range of system memory that the device states; the pool is what of the platform's memory
     * for pools lies inside it. */
    VIRTQ_RESTRICTED_RANGE = 2
};

/** @brief A range of device addresses that a device states. */
struct virtq_restricted_range {
    virtq_addr_t first; /**< First address that the device reaches. */
    virtq_addr_t last;  /**< Last one, inclusive. */
};

/** @brief Bytes of a struct virtq_restricted_range in a device's configuration space: `first`, then
 * `last`, little-endian, 64 bits each. */
#define VIRTQ_RESTRICTED_RANGE_BYTES 16u

/** @brief Where the pool is: the same facts on both ends, each with its own `base`. */
struct virtq_restricted_pool {
    void *base;         /**< This program's address of the pool's first byte; owned by the caller,
                           must outlive the end. */
    uint64_t size;      /**< Its bytes, at least 1. */
    virtq_addr_t first; /**< System and range: the device address of `base`. Device: 0. */
    struct virtq_restricted_range reach; /**< Range: what the device states. Else not looked at. */
    uint32_t form;                       /**< An enum virtq_restricted_form. */
    uint32_t id;                         /**< Device: see virtq_bar_config::id. Else 0. */
    uint32_t shift;                      /**< Device: see virtq_bar_config::shift. Else 0. */
    uint32_t memory;                     /**< Device: an enum virtq_bar_memory. Else 0. */
    uint32_t widths;                     /**< Device: see virtq_bar_config::widths. Else 0. */
    uint32_t reserved_;                  /**< Zero. */
};

/** @brief Flags of a struct virtq_restricted_config. */
enum virtq_restricted_flag {
    /** Driver end: segments may lie in the pool, beside others that do not, in one buffer: those go
     * as they are, the others are staged. For transfers between devices that pass through the pool
     * in part. Costs a struct virtq_mux. */
    VIRTQ_RESTRICTED_PARTS = 1
};

/** @brief How an end is to be. Begin with #VIRTQ_RESTRICTED_CONFIG_INIT. */
struct virtq_restricted_config {
    size_t struct_size; /**< sizeof(struct virtq_restricted_config): lets the struct grow. */
    struct virtq_access_facts facts;   /**< What is known of device and platform. Its `pool` is not
                                          looked at: it follows from the form. */
    struct virtq_restricted_pool pool; /**< What the device reaches. */
    uint32_t flags;                    /**< Driver end: a set of enum virtq_restricted_flag. */
    uint32_t granule;  /**< Driver end: unit of slots in bytes, a power of two, 64 to 4096. */
    uint32_t low_mask; /**< Driver end: the low address bits that staging keeps: 0 or a power of two
                          minus 1. */
    uint32_t reserved_; /**< Zero. */
    void *memory;       /**< Driver end: private memory, 8-byte aligned, never shared, must outlive
                           the end: virtq_restricted_private_size() bytes. */
    size_t memory_size; /**< Driver end: bytes of `memory`. */
    struct virtq_copy copy; /**< Driver end: how bytes get into the pool and out of it; zero:
                               plainly, which is for cacheable memory only. */
};

/** @brief The initial value of a struct virtq_restricted_config. */
#define VIRTQ_RESTRICTED_CONFIG_INIT                                      \
    {                                                                     \
        sizeof(struct virtq_restricted_config), VIRTQ_ACCESS_FACTS_INIT,  \
            {NULL, 0, 0, {0, 0}, 0, 0, 0, 0, 0, 0}, 0, 64, 0, 0, NULL, 0, \
        {                                                                 \
            NULL, NULL, NULL, NULL, NULL                                  \
        }                                                                 \
    }

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

/** @brief A range as it is to stand in the device's configuration space.
 * @param range `first` must not be above `last`
 * @param bytes result: #VIRTQ_RESTRICTED_RANGE_BYTES of them, at any alignment
 * @return 0, or VIRTQ_EINVAL (`first` above `last`): `bytes` is untouched. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_restricted_range_write(
    const struct virtq_restricted_range *range, unsigned char *bytes);

/** @brief A range as it stood in the device's configuration space, from which the caller read it
 * once.
 * @param bytes #VIRTQ_RESTRICTED_RANGE_BYTES of them, at any alignment; in private memory
 * @param range result
 * @return 0, or VIRTQ_EINVAL (`first` above `last`: the device states nonsense): `range` is
 * untouched. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_restricted_range_read(const unsigned char *bytes,
                                                           struct virtq_restricted_range *range);

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
