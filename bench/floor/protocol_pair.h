/* SPDX-License-Identifier: BSD-3-Clause */
/* The unchecked driver and device of protocol.h on two processors, polling: what the protocol alone
 * costs there. */
#ifndef BENCH_FLOOR_PROTOCOL_PAIR_H
#define BENCH_FLOOR_PROTOCOL_PAIR_H

#include "harness/cpu.h"
#include "harness/measure.h"

/* `outstanding`: 1 to 256 buffers of one segment. NULL: no memory. */
void *floor_split_pair_open(const struct bench_cpus *cpus, unsigned outstanding);
void *floor_packed_pair_open(const struct bench_cpus *cpus, unsigned outstanding);
void floor_protocol_pair_close(void *pair);

/* A bench_run; a unit is a buffer. */
int floor_protocol_pair_run(void *pair, uint64_t units, struct bench_sample *sample);

#endif
