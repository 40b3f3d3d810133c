/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/stats.h"

#include <stdlib.h>

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Between the two nearest values, by their distance. */
static double quantile(const double *sorted, size_t count, double fraction)
{
    double position = fraction * (double)(count - 1);
    size_t below = (size_t)position;
    size_t above = below + 1 < count ? below + 1 : below;

    return sorted[below] + (sorted[above] - sorted[below]) * (position - (double)below);
}

struct bench_spread bench_stats_spread(double *values, size_t count)
{
    struct bench_spread spread;

    qsort(values, count, sizeof(*values), compare);
    spread.min = values[0];
    spread.p25 = quantile(values, count, 0.25);
    spread.median = quantile(values, count, 0.5);
    spread.p75 = quantile(values, count, 0.75);
    spread.max = values[count - 1];
    return spread;
}
