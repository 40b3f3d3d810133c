/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/histogram.h"

uint64_t bench_histogram_lowest(unsigned bin)
{
    unsigned shift;
    uint64_t mantissa;

    if (bin < (1u << BENCH_HISTOGRAM_SHIFT)) {
        return bin;
    }
    shift = (bin >> BENCH_HISTOGRAM_SHIFT) - 1u;
    mantissa = (1u << BENCH_HISTOGRAM_SHIFT) | (bin & ((1u << BENCH_HISTOGRAM_SHIFT) - 1u));
    return mantissa << shift;
}

double bench_histogram_quantile(const struct bench_histogram *histogram, double fraction)
{
    double wanted = fraction * (double)histogram->total;
    uint64_t seen = 0;

    for (unsigned bin = 0; bin + 1 < BENCH_HISTOGRAM_BINS; bin++) {
        seen += histogram->bins[bin];
        if (seen != 0 && (double)seen >= wanted) {
            double middle =
                ((double)bench_histogram_lowest(bin) + (double)bench_histogram_lowest(bin + 1)) /
                2.0;

            return middle < (double)histogram->max ? middle : (double)histogram->max;
        }
    }
    return (double)histogram->max;
}
