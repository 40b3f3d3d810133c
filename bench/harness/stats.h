/* SPDX-License-Identifier: BSD-3-Clause */
/* Order statistics of repeated runs. */
#ifndef BENCH_HARNESS_STATS_H
#define BENCH_HARNESS_STATS_H

#include <stddef.h>

struct bench_spread {
    double min;
    double p25;
    double median;
    double p75;
    double max;
};

/* Sorts `values` in place; `count` is at least 1. */
struct bench_spread bench_stats_spread(double *values, size_t count);

#endif
