/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a split queue: what it knows, and where its ring lies.
 */
#ifndef VIRTQ_INLINE_SPLIT_DEVICE_QUEUE_H
#define VIRTQ_INLINE_SPLIT_DEVICE_QUEUE_H

#include "../split.h"
#include "device_core.h"
#include "device_flight.h"
#include "device_ring.h"

/** @brief The device end of a split queue. */
struct virtq_split_device {
    struct virtq_device_core core;    /**< What is the same for both formats. */
    const struct virtq_desc *desc;    /**< Shared: descriptor table. */
    const struct virtq_avail *avail;  /**< Shared: head of the available ring. */
    const uint16_t *ring;             /**< Shared: slots of the available ring, then used_event. */
    struct virtq_used *used;          /**< Shared: head of the used ring. */
    struct virtq_used_elem *elements; /**< Shared: elements of the used ring, then avail_event. */
    uint32_t mask;                    /**< Queue size - 1. */
    uint16_t popped;                  /**< Available index up to which buffers were taken. */
    uint16_t seen;                    /**< Available index as last read and checked. */
    uint16_t pushed;                  /**< Used index, unpublished elements included. */
    uint16_t published;               /**< Used index as the driver sees it. */
    uint16_t burst;                   /**< Buffers of the latest pop, until the next one. */
    bool plain; /**< Whether the latest pop met nothing but plain descriptors. */
};

/** @brief Derives the pointers from `core.areas`. @param q the queue */
VIRTQ_INLINE void virtq_split_device_attach(struct virtq_split_device *q)
{
    unsigned char *used = (unsigned char *)q->core.areas.device;
    const unsigned char *avail = (const unsigned char *)q->core.areas.driver;

    q->desc = (const struct virtq_desc *)q->core.areas.descriptor;
    q->avail = (const struct virtq_avail *)(const void *)avail;
    q->ring = (const uint16_t *)(const void *)(avail + sizeof(struct virtq_avail));
    q->used = (struct virtq_used *)(void *)used;
    q->elements = (struct virtq_used_elem *)(void *)(used + sizeof(struct virtq_used));
    q->mask = q->core.size - 1u;
}

/** @brief The space has moved on: forgets the windows, and finds the ring again if it goes through
 * the space.
 * @param q the queue @return 0, VIRTQ_EMISS (nothing is lost: resolve and call again) or
 * VIRTQ_EBROKEN */
VIRTQ_COLD int virtq_split_device_refresh(struct virtq_split_device *q)
{
    struct virtq_device_core *core = &q->core;
    virtq_generation_t generation = __atomic_load_n(&core->space->generation, __ATOMIC_ACQUIRE);
    int error = VIRTQ_OK;

    virtq_device_core_age(core);
    virtq_device_core_forget(core);
    if ((core->flags & VIRTQ_CORE_TRANSLATED) != 0u) {
        uint64_t size = core->size;

        error = virtq_device_core_ring(core, size * 16u, size * 2u + 6u, size * 8u + 6u);
        if (error != VIRTQ_OK) {
            return virtq_device_core_lost(core, q->popped, error);
        }
        virtq_split_device_attach(q);
    }
    core->generation = generation;
    return VIRTQ_OK;
}

/** @brief What every call begins with. @param q the queue @param how the instance @return 0,
 * VIRTQ_EMISS or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_device_begin(struct virtq_split_device *q, unsigned how)
{
    int state = virtq_device_core_begin(&q->core, how);

    return VIRTQ_UNLIKELY(state > 0) ? virtq_split_device_refresh(q) : state;
}

#endif
