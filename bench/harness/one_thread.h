/* SPDX-License-Identifier: BSD-3-Clause */
/* Both ends of a queue on one thread, with only one of them timed.
 *
 * In cycles of BENCH_WINDOW buffers: the driver fills the queue, the device serves it, the driver
 * drains it. The end that is measured has its sections timed, the other's work lies between them.
 * Payload is not touched in timed cycles; the data of a case is verified in whole cycles of their
 * own, before and after.
 */
#ifndef BENCH_HARNESS_ONE_THREAD_H
#define BENCH_HARNESS_ONE_THREAD_H

#include <stdbool.h>

#include "harness/measure.h"

/* Buffers outstanding at once; a ring of 256 holds them even with four descriptors each. */
#define BENCH_WINDOW 64u
#define BENCH_RING_SIZE 256u

enum bench_end { BENCH_END_DRIVER, BENCH_END_DEVICE };

/* What a queue can do. `count` is BENCH_WINDOW, `batch` divides it; each returns how many buffers
 * it handled. */
struct bench_ends {
    unsigned (*fill)(void *queue, unsigned count,
                     unsigned batch); /* add, publish, test for a notification: per batch */
    unsigned (*serve)(void *queue, unsigned count,
                      unsigned batch); /* pop, push, publish, test: per batch */
    unsigned (*drain)(void *queue, unsigned count, unsigned batch); /* poll: per batch */
    /* What came back in the last drain is what went in. Not timed, after each cycle. */
    bool (*check)(void *queue, unsigned count);
};

struct bench_one_thread {
    const struct bench_ends *ends;
    void *queue;
    unsigned batch;
    enum bench_end timed;
};

/* A bench_run; `context` is a struct bench_one_thread. */
int bench_one_thread_run(void *context, uint64_t units, struct bench_sample *sample);

#endif
