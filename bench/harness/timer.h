/* SPDX-License-Identifier: BSD-3-Clause */
/* Adds up the time of the sections between start and stop.
 *
 * Loops lie inside a section, never around it alone: a section is tens of buffers at least, and
 * what reading the clock costs is measured once and taken off each section.
 */
#ifndef BENCH_HARNESS_TIMER_H
#define BENCH_HARNESS_TIMER_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "harness/counters.h"

struct bench_timer {
    bool counting; /* in: also count instructions and cycles (a separate run: it disturbs the time)
                    */
    uint64_t begin;
    uint64_t ns;       /* sum of the sections as the clock saw them */
    uint64_t sections; /* how many there were */
    struct bench_counts counts;
};

static inline uint64_t bench_clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void bench_timer_start(struct bench_timer *timer)
{
    if (timer->counting) {
        bench_counters_start(&timer->counts);
    }
    timer->begin = bench_clock_ns();
}

static inline void bench_timer_stop(struct bench_timer *timer)
{
    timer->ns += bench_clock_ns() - timer->begin;
    timer->sections++;
    if (timer->counting) {
        bench_counters_stop(&timer->counts);
    }
}

/* The sections' time without the cost of the clock. */
double bench_timer_elapsed(const struct bench_timer *timer);

/* What an empty section seems to take, in ns: measured at the first call. */
double bench_timer_overhead(void);

#endif
