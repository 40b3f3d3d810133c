/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a packed queue: what it knows, and where its ring lies.
 */
#ifndef VIRTQ_INLINE_PACKED_DEVICE_QUEUE_H
#define VIRTQ_INLINE_PACKED_DEVICE_QUEUE_H

#include "../packed.h"
#include "device_core.h"
#include "device_flight.h"
#include "device_ring.h"

/** @brief The device end of a packed queue. */
struct virtq_packed_device {
    struct virtq_device_core core; /**< What is the same for both formats. */
    struct pvirtq_desc *desc;      /**< Shared: descriptor ring. */
    const uint32_t *event;         /**< Shared: driver event suppression, as one word. */
    uint32_t *own_event;           /**< Shared: device event suppression, as one word. */
    uint16_t popped;               /**< Position of the next available descriptor. */
    uint16_t pushed;    /**< Position of the next used descriptor, unpublished ones included. */
    uint16_t published; /**< The same as the driver sees it; its flags are what publish stores. */
    uint16_t published_flags; /**< Flags of the first unpublished used descriptor: the only ones
                                 held back. */
    uint32_t slots;           /**< Ring descriptors popped and not published as used. */
    uint32_t burst;           /**< Buffers of the latest pop, if all were plain descriptors. */
};

/** @brief Derives the pointers from `core.areas`. @param q the queue */
VIRTQ_INLINE void virtq_packed_device_attach(struct virtq_packed_device *q)
{
    q->desc = (struct pvirtq_desc *)q->core.areas.descriptor;
    q->event = (const uint32_t *)q->core.areas.driver;
    q->own_event = (uint32_t *)q->core.areas.device;
}

/** @brief The space has moved on: forgets the windows, and finds the ring again if it goes through
 * the space.
 * @param q the queue @return 0, VIRTQ_EMISS (nothing is lost: resolve and call again) or
 * VIRTQ_EBROKEN */
VIRTQ_COLD int virtq_packed_device_refresh(struct virtq_packed_device *q)
{
    struct virtq_device_core *core = &q->core;
    virtq_generation_t generation = __atomic_load_n(&core->space->generation, __ATOMIC_ACQUIRE);
    int error = VIRTQ_OK;

    virtq_device_core_age(core);
    virtq_device_core_forget(core);
    if ((core->flags & VIRTQ_CORE_TRANSLATED) != 0u) {
        error = virtq_device_core_ring(core, (uint64_t)core->size * 16u, 4, 4);
        if (error != VIRTQ_OK) {
            return virtq_device_core_lost(core, q->popped, error);
        }
        virtq_packed_device_attach(q);
    }
    core->generation = generation;
    return VIRTQ_OK;
}

/** @brief What every call begins with. @param q the queue @param how the instance @return 0,
 * VIRTQ_EMISS or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_begin(struct virtq_packed_device *q, unsigned how)
{
    int state = virtq_device_core_begin(&q->core, how);

    return VIRTQ_UNLIKELY(state > 0) ? virtq_packed_device_refresh(q) : state;
}

/** @brief A position as the loops keep it: no sum has to be made of it. */
struct virtq_packed_place {
    struct pvirtq_desc *ring; /**< The descriptor ring. */
    struct pvirtq_desc *at;   /**< The descriptor. */
    struct pvirtq_desc *end;  /**< Behind the ring. */
    uint32_t bits;            /**< AVAIL and USED, as for struct virtq_place. */
};

/** @brief A position as a place. @param q the queue @param position a position @param bits its flag
 * bits @return the place */
VIRTQ_TEMPLATE struct virtq_packed_place virtq_packed_place_of(const struct virtq_packed_device *q,
                                                               uint16_t position, uint16_t bits)
{
    struct virtq_packed_place place = {q->desc, q->desc + virtq_position_offset(position),
                                       q->desc + q->core.size, bits};

    return place;
}

/** @brief A place as a position. @param place a place @return its position */
VIRTQ_TEMPLATE uint16_t virtq_packed_place_position(const struct virtq_packed_place *place)
{
    const struct virtq_place there = {(uint32_t)(place->at - place->ring), place->bits};

    return virtq_place_position(there);
}

/** @brief Moves a place on; P3: both bits flip where it passes the end. @param place the place
 * @param count descriptors, 0 to `size` @param size queue size */
VIRTQ_TEMPLATE void virtq_packed_place_step(struct virtq_packed_place *place, uint32_t count,
                                            uint32_t size)
{
    place->at += count;
    if (VIRTQ_UNLIKELY(place->at >= place->end)) {
        place->at -= size;
        place->bits ^= PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED;
    }
}

/** @brief Whether flags say "available" at a position: AVAIL is its wrap counter and USED the
 * inverse. P2.
 * @param flags as read @param position where @return whether */
VIRTQ_TEMPLATE bool virtq_packed_device_available(uint16_t flags, uint16_t position)
{
    const uint16_t both = PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED;

    return (flags & both) == virtq_position_available(position);
}

#endif
