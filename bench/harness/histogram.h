/* SPDX-License-Identifier: BSD-3-Clause */
/* A histogram of latencies, log-linear: 32 bins per power of two, so a value is known to about 3 %.
 *
 * Of our own, because what a distribution offers does not fit a loop of 20 ns per buffer:
 * gsl_histogram searches its ranges at every increment, and HdrHistogram for C is not packaged.
 * Recording here is a count of leading zeros, a shift and an increment.
 */
#ifndef BENCH_HARNESS_HISTOGRAM_H
#define BENCH_HARNESS_HISTOGRAM_H

#include <stdint.h>

#define BENCH_HISTOGRAM_SHIFT 5
#define BENCH_HISTOGRAM_BINS ((64 - BENCH_HISTOGRAM_SHIFT + 1) << BENCH_HISTOGRAM_SHIFT)

struct bench_histogram {
    uint64_t total;
    uint64_t max;
    uint64_t bins[BENCH_HISTOGRAM_BINS];
};

/* Values below 32 have a bin each; above, the leading one and the five bits after it choose the
 * bin. */
static inline unsigned bench_histogram_bin(uint64_t value)
{
    unsigned shift;

    if (value < (1u << BENCH_HISTOGRAM_SHIFT)) {
        return (unsigned)value;
    }
    shift = 63u - (unsigned)__builtin_clzll(value) - BENCH_HISTOGRAM_SHIFT;
    return ((shift + 1u) << BENCH_HISTOGRAM_SHIFT) +
           (unsigned)((value >> shift) & ((1u << BENCH_HISTOGRAM_SHIFT) - 1u));
}

static inline void bench_histogram_add(struct bench_histogram *histogram, uint64_t value)
{
    histogram->bins[bench_histogram_bin(value)]++;
    histogram->total++;
    if (value > histogram->max) {
        histogram->max = value;
    }
}

/* The smallest value that falls into a bin. */
uint64_t bench_histogram_lowest(unsigned bin);

/* The value that `fraction` (0 to 1) of the recorded values do not exceed, to the middle of its
 * bin; 0 when nothing was recorded. */
double bench_histogram_quantile(const struct bench_histogram *histogram, double fraction);

#endif
