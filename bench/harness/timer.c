/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/timer.h"

#include "harness/stats.h"

enum { PROBES = 101, SECTIONS = 200 };

double bench_timer_overhead(void)
{
    static double overhead = -1.0;
    double probes[PROBES];

    if (overhead >= 0.0) {
        return overhead;
    }
    for (unsigned probe = 0; probe < PROBES; probe++) {
        struct bench_timer timer = {0};

        for (unsigned section = 0; section < SECTIONS; section++) {
            bench_timer_start(&timer);
            bench_timer_stop(&timer);
        }
        probes[probe] = (double)timer.ns / SECTIONS;
    }
    overhead = bench_stats_spread(probes, PROBES).median;
    return overhead;
}

double bench_timer_elapsed(const struct bench_timer *timer)
{
    double elapsed = (double)timer->ns - (double)timer->sections * bench_timer_overhead();

    return elapsed > 0.0 ? elapsed : 0.0;
}
