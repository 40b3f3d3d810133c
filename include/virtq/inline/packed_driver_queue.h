/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end of a packed queue: what it knows.
 */
#ifndef VIRTQ_INLINE_PACKED_DRIVER_QUEUE_H
#define VIRTQ_INLINE_PACKED_DRIVER_QUEUE_H

#include "../packed.h"
#include "driver_map.h"

/** @brief The driver end of a packed queue. */
struct virtq_packed_driver {
    struct virtq_driver_core core; /**< What is the same for both formats. */
    struct pvirtq_desc *desc;      /**< Shared: descriptor ring. */
    uint32_t *own_event;           /**< Shared: driver event suppression, as one word. */
    const uint32_t *event;         /**< Shared: device event suppression, as one word. */
    uint16_t *ids;      /**< Private: id of the buffer whose first descriptor is in the slot. */
    uint16_t id;        /**< First free id; the others follow in virtq_driver_entry::link. */
    uint16_t added;     /**< Position behind everything added. */
    uint16_t published; /**< Position behind everything the device sees; its flags are what publish
                           stores. */
    uint16_t
        published_flags; /**< Flags of the first unpublished descriptor: the only ones held back. */
    uint16_t polled;     /**< Position of the next used descriptor. */
    uint16_t oldest;     /**< IN_ORDER: id of the buffer that is to come back next. */
    uint16_t batch_id;   /**< IN_ORDER: last buffer of the batch being given out ... */
    uint32_t batch_len;  /**< ... and the length the device gave for it ... */
    uint32_t batch;      /**< ... if this is 1. */
    uint32_t burst;      /**< Buffers of the latest poll that found any. */
};

#endif
