/* SPDX-License-Identifier: BSD-3-Clause */
/* Instructions and cycles in user mode, by perf_event_open. Many machines (virtual ones above all)
 * do not count them, or do not let us: then everything here does nothing and the reports show "-".
 */
#ifndef BENCH_HARNESS_COUNTERS_H
#define BENCH_HARNESS_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

enum bench_counter { BENCH_COUNTER_INSTRUCTIONS, BENCH_COUNTER_CYCLES, BENCH_COUNTER_KINDS };

struct bench_counts {
    uint64_t begin[BENCH_COUNTER_KINDS];
    uint64_t sum[BENCH_COUNTER_KINDS];
};

/* Opens the counters of the calling thread. False: this machine does not count. */
bool bench_counters_open(void);
bool bench_counters_available(void);
void bench_counters_close(void);

/* Only after bench_counters_available() said true. */
void bench_counters_start(struct bench_counts *counts);
void bench_counters_stop(struct bench_counts *counts);

#endif
