/* SPDX-License-Identifier: BSD-3-Clause */
/* One processor's own floors: copying, a full barrier, an atomic exchange. */
#ifndef BENCH_FLOOR_SINGLE_H
#define BENCH_FLOOR_SINGLE_H

#include "harness/measure.h"

#define FLOOR_MEMCPY_MAX 65536u

/* Where in a page a copy is to end, unless something else is asked for. */
#define FLOOR_COPY_TO 256u

struct floor_copy {
    size_t bytes;
    unsigned char *from;
    unsigned char *to;
    unsigned char *from_pages;
    unsigned char *to_pages;
};

/* `from_at`, `to_at`: where in a page the bytes begin, and where their copy does. False: no memory.
 */
bool floor_copy_open(struct floor_copy *copy, size_t bytes, size_t from_at, size_t to_at);
void floor_copy_close(struct floor_copy *copy);

/* bench_run functions. `context` is a struct floor_copy; both areas are hot. */
int floor_copy_run(void *context, uint64_t units, struct bench_sample *sample);
/* A store, then a full barrier. The context is not used. */
int floor_barrier_run(void *none, uint64_t units, struct bench_sample *sample);
/* An atomic compare and exchange on a line of its own. The context is not used. */
int floor_exchange_run(void *none, uint64_t units, struct bench_sample *sample);

#endif
