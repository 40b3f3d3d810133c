/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What a queue of requests tells the ring that it belongs to.
 */
#ifndef VIRTQ_LIB_HOST_BLK_QUEUE_PRIVATE_H
#define VIRTQ_LIB_HOST_BLK_QUEUE_PRIVATE_H

#include <stdbool.h>

#include "virtq/host/blk_queue.h"

/** @brief How many buffers were taken, and how many of them were bad: those never come out of
 * virtq_blk_queue_pop(). */
void virtq_priv_blk_queue_count(const struct virtq_blk_queue *queue, uint64_t *popped,
                                uint64_t *bad);

/** @brief Whether virtq_blk_queue_pop() takes nothing before something else has come to its end: a
 * request, or the wait for a translation. */
bool virtq_priv_blk_queue_full(const struct virtq_blk_queue *queue);

#endif
