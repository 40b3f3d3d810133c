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
 * **Driver end** (restricted_driver.h). virtq_restricted_driver_init() between reading the device's
 * features and writing its own; then virtq_restricted_driver_place() for each queue, which puts
 * ring and indirect tables into the pool. Whatever a buffer's memory is, no address outside the
 * pool is published, except by a caller who passes one himself (::VIRTQ_BUFFER_PREMAPPED).
 *
 * **Device end** (restricted_device.h). virtq_restricted_device_offer() before it offers features,
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
#include "error.h"
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

VIRTQ_END_DECLS

#endif
