/* SPDX-License-Identifier: BSD-3-Clause */
/* What two processors need at least to pass messages of 16 bytes: rings without descriptors, ids or
 * notifications. */
#ifndef BENCH_FLOOR_RINGS_H
#define BENCH_FLOOR_RINGS_H

#include "harness/cpu.h"
#include "harness/measure.h"

#define FLOOR_OUTSTANDING_MAX 256u

/* Each opens its memory for two processors and gives NULL if there is none; `outstanding` is 1 to
 * FLOOR_OUTSTANDING_MAX. */

/* One way: Lamport's ring for one producer and one consumer, published every 32 messages. */
void *floor_one_way_open(const struct bench_cpus *cpus, unsigned outstanding);
/* A request and its reply over two rings, as a split queue has an available and a used ring. */
void *floor_two_rings_open(const struct bench_cpus *cpus, unsigned outstanding);
/* A request whose reply takes its place, as in a packed ring. */
void *floor_in_place_open(const struct bench_cpus *cpus, unsigned outstanding);
/* One cache line there and back. */
void *floor_line_open(const struct bench_cpus *cpus, unsigned outstanding);
void floor_rings_close(void *rings);

/* bench_run functions; a unit is a message, a request with its reply, a round trip. The messages
 * are checked. */
int floor_one_way_run(void *rings, uint64_t units, struct bench_sample *sample);
int floor_two_rings_run(void *rings, uint64_t units, struct bench_sample *sample);
int floor_in_place_run(void *rings, uint64_t units, struct bench_sample *sample);
int floor_line_run(void *rings, uint64_t units, struct bench_sample *sample);

#endif
