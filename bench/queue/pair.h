/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two sides of a queue know while they run on two processors. */
#ifndef BENCH_QUEUE_PAIR_H
#define BENCH_QUEUE_PAIR_H

#include "harness/duo.h"
#include "harness/histogram.h"
#include "queue/queue.h"

struct bench_pair {
    struct bench_queue *queue;
    uint64_t units;       /* buffers of this run */
    unsigned outstanding; /* 1 to the queue's slots */
    bool notify;          /* sleep when there is nothing to do, and wake the other side */
    bool touch;           /* write, read, check and answer the payload */
    int to_device;        /* eventfd */
    int to_driver;        /* eventfd */
    struct bench_histogram *latencies; /* NULL: no clock is read in the loop */
    uint64_t stamps[BENCH_OUTSTANDING_MAX];
    const char *failure;        /* why the driver's side gave up */
    const char *device_failure; /* why the device's side gave up; not known of another process */
};

bool bench_pair_open(struct bench_pair *pair, struct bench_queue *queue);
void bench_pair_close(struct bench_pair *pair);

/* Wakes whoever sleeps on a file. */
void bench_pair_wake(int file);
/* Sleeps until woken. False: the run is over, or nobody woke us for so long that a notification
 * must have been lost. */
bool bench_pair_sleep(const struct bench_duo *duo, int file);

#endif
