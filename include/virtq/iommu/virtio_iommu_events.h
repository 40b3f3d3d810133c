/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_virtio_iommu
 * @brief The driver's end of a virtio-iommu's event queue: faults, checked and in this processor's
 * order, and buffers for the next ones.
 *
 * It is a queue of its own, with an owner of its own: nothing is shared with the driver of the
 * requests. [virtio 1.4, IOMMU Device, Fault reporting]
 */
#ifndef VIRTQ_IOMMU_VIRTIO_IOMMU_EVENTS_H
#define VIRTQ_IOMMU_VIRTIO_IOMMU_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "../driver.h"
#include "../error.h"
#include "../space.h"
#include "../types.h"

VIRTQ_BEGIN_DECLS

/** @brief Bytes of shared memory that one event takes. */
#define VIRTQ_VIRTIO_IOMMU_EVENT_BYTES 32u

/** @brief A fault, as the device reported it. */
struct virtq_virtio_iommu_event {
    uint32_t reason;   /**< VIRTIO_IOMMU_FAULT_R_*; what is not known is _UNKNOWN. */
    uint32_t flags;    /**< A set of VIRTIO_IOMMU_FAULT_F_*; what is not defined is left out. */
    uint32_t endpoint; /**< Who caused it: the device's word. */
    uint32_t reserved_;
    virtq_addr_t address; /**< Where, if VIRTIO_IOMMU_FAULT_F_ADDRESS is among the flags; else 0. */
};

/** @brief How the queue is to be. Begin with #VIRTQ_VIRTIO_IOMMU_EVENTS_CONFIG_INIT. */
struct virtq_virtio_iommu_events_config {
    size_t struct_size; /**< sizeof(struct virtq_virtio_iommu_events_config): lets it grow. */
    struct virtq_driver *queue; /**< The event queue, empty; used through this only. */
    struct virtq_space *space;  /**< The queue's space: it has to reach `shared`. */
    void *shared;   /**< #VIRTQ_VIRTIO_IOMMU_EVENT_BYTES for each event, 8-byte aligned; written by
                       the device. */
    uint32_t count; /**< Events that can wait, at least 1; the queue has room for so many buffers
                       of one segment. */
    uint32_t reserved_;
};

/** @brief The initial value of a struct virtq_virtio_iommu_events_config. */
#define VIRTQ_VIRTIO_IOMMU_EVENTS_CONFIG_INIT                                   \
    {                                                                           \
        sizeof(struct virtq_virtio_iommu_events_config), NULL, NULL, NULL, 0, 0 \
    }

/** @brief The event queue. The caller owns the memory; the fields are private. */
struct virtq_virtio_iommu_events {
    struct virtq_virtio_iommu_events_config config; /**< As given. */
    virtq_addr_t addr;                              /**< Device address of the shared memory. */
    uint64_t ignored; /**< Reports that were none: too short, or with reserved bits. */
};

/** @brief Shares the memory, and gives the device all buffers. Ask virtq_driver_needs_notify()
 * afterwards.
 * @param events result; owned by the caller
 * @param config read during the call only
 * @return 0; VIRTQ_EINVAL (something is missing, not aligned, the queue is in use or has not the
 * room); or an error of virtq_space_share() or virtq_driver_add(): `events` is not to be used. The
 * queue's owner. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_events_init(
    struct virtq_virtio_iommu_events *events,
    const struct virtq_virtio_iommu_events_config *config);

/** @brief Takes reports, and gives their buffers to the device again. Ask
 * virtq_driver_needs_notify() afterwards.
 * @param events the queue
 * @param faults result: room for `count`
 * @param count  at least 1: the caller's budget, for reports that are ignored too
 * @param found  result: how many faults there are
 * @return how many buffers were taken, 0 for none; or VIRTQ_EBROKEN, and any other error with which
 * a buffer could not be added again: reset the device. The queue's owner. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_events_poll(
    struct virtq_virtio_iommu_events *events, struct virtq_virtio_iommu_event *faults,
    unsigned count, unsigned *found);

/** @brief Takes the memory back.
 * @param events a queue that the device no longer uses: it was reset. Its buffers are detached. The
 * queue's owner. */
VIRTQ_API void virtq_virtio_iommu_events_destroy(struct virtq_virtio_iommu_events *events);

VIRTQ_END_DECLS

#endif
