/* SPDX-License-Identifier: BSD-3-Clause */
/* A queue of the library for the one-thread harness. */
#ifndef BENCH_QUEUE_ENDS_H
#define BENCH_QUEUE_ENDS_H

#include "queue/queue.h"

/* For struct bench_one_thread, with a struct bench_queue. */
extern const struct bench_ends bench_queue_ends;

/* One cycle with data, not timed: every byte of every buffer is written, found by the device,
 * answered and found again. */
bool bench_queue_verify(struct bench_queue *queue, uint64_t seed);

#endif
