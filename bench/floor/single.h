/* SPDX-License-Identifier: BSD-3-Clause */
/* One processor's own floors: copying, a full barrier, an atomic exchange. */
#ifndef BENCH_FLOOR_SINGLE_H
#define BENCH_FLOOR_SINGLE_H

#include "harness/measure.h"

#define FLOOR_MEMCPY_MAX 65536u

struct floor_copy {
    size_t bytes;
    unsigned char *from;
    unsigned char *to;
};

/* False: no memory. */
bool floor_copy_open(struct floor_copy *copy, size_t bytes);
void floor_copy_close(struct floor_copy *copy);

/* bench_run functions. `copy` is a struct floor_copy; both areas are hot. */
int floor_copy_run(void *copy, uint64_t units, struct bench_sample *sample);
/* A store, then a full barrier. The context is not used. */
int floor_barrier_run(void *none, uint64_t units, struct bench_sample *sample);
/* An atomic compare and exchange on a line of its own. The context is not used. */
int floor_exchange_run(void *none, uint64_t units, struct bench_sample *sample);

#endif
