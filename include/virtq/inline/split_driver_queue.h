/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end of a split queue: what it knows.
 */
#ifndef VIRTQ_INLINE_SPLIT_DRIVER_QUEUE_H
#define VIRTQ_INLINE_SPLIT_DRIVER_QUEUE_H

#include "../split.h"
#include "driver_map.h"

/** @brief Descriptors that go round at first; twice as many, until the queue begins anew, once a
 * poll finds that they were not enough. */
#define VIRTQ_SPLIT_DRIVER_ROUND 16u

/** @brief The driver end of a split queue. */
struct virtq_split_driver {
    struct virtq_driver_core core;    /**< What is the same for both formats. */
    struct virtq_desc *desc;          /**< Shared: descriptor table. */
    struct virtq_avail *avail;        /**< Shared: head of the available ring. */
    uint16_t *ring;                   /**< Shared: slots of the available ring, then used_event. */
    struct virtq_used *used;          /**< Shared: head of the used ring. */
    struct virtq_used_elem *elements; /**< Shared: elements of the used ring, then avail_event. */
    uint16_t *next;  /**< Private: the free list; with IN_ORDER simply the next slot, for ever. */
    uint16_t *heads; /**< Private: what the available ring holds. */
    uint16_t mask;   /**< Queue size - 1. */
    uint16_t head;   /**< First free descriptor, if there is one. */
    uint16_t tail;   /**< Last free descriptor of those that go round. What is freed goes behind it:
                      * heads come round in order, and slots of the available ring need not be
                      * written anew. */
    uint16_t spare;  /**< Descriptors at the table's end that do not go round: few buffers in a
                      * large queue take few cache lines. Those that do are a power of two, so that
                      * a slot gets the same head again if buffers come back in order. */
    uint16_t added;  /**< Available index, unpublished buffers included. */
    uint16_t published; /**< Available index as the device sees it. */
    uint16_t polled;    /**< Used index up to which buffers were taken back. */
    uint16_t seen;      /**< Used index as last read and checked. */
    uint16_t oldest;    /**< IN_ORDER: head of the buffer that is to come back next. */
    uint16_t batch_id;  /**< IN_ORDER: last buffer of the batch being given out ... */
    uint32_t batch_len; /**< ... and the length the device gave for it ... */
    uint32_t batch;     /**< ... if this is 1. */
};

/** @brief The word by which the driver asks for used buffer notifications (EVENT_IDX). @param q the
 * queue @return used_event */
VIRTQ_TEMPLATE uint16_t *virtq_split_driver_used_event(const struct virtq_split_driver *q)
{
    return &q->ring[q->core.size];
}

/** @brief The word by which the device asks for available buffer notifications (EVENT_IDX). @param
 * q the queue @return avail_event */
VIRTQ_TEMPLATE uint16_t *virtq_split_driver_avail_event(const struct virtq_split_driver *q)
{
    return (uint16_t *)(void *)&q->elements[q->core.size];
}

/** @brief More descriptors are in use than go round: lets as many go round as it takes. Those that
 * are free now were not used before, and follow one another. @param q the queue */
VIRTQ_COLD void virtq_split_driver_widen(struct virtq_split_driver *q)
{
    uint32_t round = q->core.size - q->spare;

    while (q->core.room < q->core.size - round) {
        round *= 2u;
    }
    q->spare = (uint16_t)(q->core.size - round);
    q->tail = (uint16_t)(round - 1u);
}

/** @brief Before descriptors are freed: sees to it that those in use are no more than go round, so
 * that `tail` is free or the last one of its chain. @param q the queue */
VIRTQ_TEMPLATE void virtq_split_driver_fit(struct virtq_split_driver *q)
{
    if (VIRTQ_UNLIKELY(q->core.room < q->spare)) {
        virtq_split_driver_widen(q);
    }
}

/** @brief Whether none of those that go round is free: then what is freed first comes next. @param
 * q the queue, after virtq_split_driver_fit() @return whether */
VIRTQ_TEMPLATE bool virtq_split_driver_dry(const struct virtq_split_driver *q)
{
    return q->core.room == q->spare;
}

/** @brief After descriptors were freed: behind the last one come those that do not go round yet.
 * @param q the queue */
VIRTQ_TEMPLATE void virtq_split_driver_close(const struct virtq_split_driver *q)
{
    q->next[q->tail] = (uint16_t)((q->core.size - q->spare) & q->mask);
}

#endif
