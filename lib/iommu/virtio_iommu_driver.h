/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief How requests get into the queue of a virtio-iommu, and replies out of it.
 *
 * Everything here is called with the driver's lock held, and may let go of it for a hook.
 */
#ifndef VIRTQ_LIB_IOMMU_VIRTIO_IOMMU_DRIVER_H
#define VIRTQ_LIB_IOMMU_VIRTIO_IOMMU_DRIVER_H

#include <stdint.h>

#include "virtq/iommu/virtio_iommu_driver.h"
#include "virtq/region.h"

/** @brief No slot. */
#define VIRTQ_PRIV_VIOMMU_DRIVER_NONE UINT32_MAX

enum {
    /** Ranges of a list whose refusals a batch remembers. */
    VIRTQ_PRIV_VIOMMU_DRIVER_TURN = 256,
    /** Bytes before the properties: the device-readable part of PROBE, and padding. */
    VIRTQ_PRIV_VIOMMU_DRIVER_PROPERTIES = 128
};

/** @brief Shared memory of PROBE: both parts and the tail, in whole cache lines. */
VIRTQ_INLINE uint32_t virtq_priv_viommu_driver_probe_bytes(uint32_t probe_size)
{
    const uint32_t mask = VIRTQ_VIRTIO_IOMMU_REQUEST_BYTES - 1;

    return (uint32_t)VIRTQ_PRIV_VIOMMU_DRIVER_PROPERTIES + ((probe_size + 4 + mask) & ~mask);
}

/** @brief Requests that one thread waits for, on its stack. */
struct virtq_priv_viommu_driver_batch {
    uint32_t pending; /**< Replies that are not in yet. */
    int error;        /**< The first failure. */
    /** A bit for each range that the device has refused, so that there is nothing to take back. */
    uint64_t refused[VIRTQ_PRIV_VIOMMU_DRIVER_TURN / 64];
};

/** @brief Requests of one type. */
struct virtq_priv_viommu_driver_list {
    const struct virtq_region *ranges; /**< MAP and UNMAP: `count` of them. */
    uint64_t physical;                 /**< MAP: guest-physical address, with `given`. */
    uint32_t count;                    /**< How many requests; 1 for other types. */
    uint32_t given;    /**< 1: `physical` and `flags` are given; 0: `base` and `permissions` of the
                          ranges say where and what. */
    uint32_t flags;    /**< MAP and ATTACH: their field. */
    uint32_t domain;   /**< All but PROBE. */
    uint32_t endpoint; /**< ATTACH, DETACH, PROBE. */
    uint8_t type;      /**< VIRTIO_IOMMU_T_*. */
};

/** @brief Puts all requests of a list into the queue, waiting for room where there is none.
 *
 * `batch` NULL: UNMAPs that nobody waits for yet. `sent`: how many there were up to an error, which
 * is VIRTQ_EBROKEN, or what is wrong with the memory of a MAP. */
int virtq_priv_viommu_driver_send(struct virtq_virtio_iommu_driver *driver,
                                  const struct virtq_priv_viommu_driver_list *list,
                                  struct virtq_priv_viommu_driver_batch *batch, uint32_t *sent);

/** @brief Waits for a batch: its error. */
int virtq_priv_viommu_driver_finish(struct virtq_virtio_iommu_driver *driver,
                                    struct virtq_priv_viommu_driver_batch *batch);

/** @brief Sends and waits. */
int virtq_priv_viommu_driver_call(struct virtq_virtio_iommu_driver *driver,
                                  const struct virtq_priv_viommu_driver_list *list,
                                  struct virtq_priv_viommu_driver_batch *batch);

/** @brief Lets the device work, and waits unless a reply has come meanwhile: 0, look again; or
 * VIRTQ_EBROKEN. */
int virtq_priv_viommu_driver_pump(struct virtq_virtio_iommu_driver *driver);

/** @brief Takes back what is there. */
void virtq_priv_viommu_driver_reap(struct virtq_virtio_iommu_driver *driver);

/** @brief Nothing is sent from now on: VIRTQ_EBROKEN. */
int virtq_priv_viommu_driver_break(struct virtq_virtio_iommu_driver *driver);

/** @brief All slots are free. */
void virtq_priv_viommu_driver_clear(struct virtq_virtio_iommu_driver *driver);

/** @brief Gives a slot back. */
void virtq_priv_viommu_driver_put(struct virtq_virtio_iommu_driver *driver, uint32_t slot);

/** @brief Writes request `at` of a list into the memory of slot `index`, and what the queue is to
 * be given: 0, or the reason why the memory cannot be mapped. */
int virtq_priv_viommu_driver_encode(struct virtq_virtio_iommu_driver *driver,
                                    const struct virtq_priv_viommu_driver_list *list, uint32_t at,
                                    uint32_t index, struct virtq_segment segments[2]);

#endif
