/* SPDX-License-Identifier: BSD-3-Clause */
/* How a case is measured: warmed up, then in rounds, its floor and itself in turn.
 *
 * A shared machine changes its pace from second to second; a floor measured a minute ago says
 * little. So each round runs the floor and then the case, and the ratio that is reported is the
 * median of the rounds' ratios.
 */
#ifndef BENCH_HARNESS_MEASURE_H
#define BENCH_HARNESS_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/stats.h"
#include "harness/timer.h"

/* What one run gave. */
struct bench_sample {
    struct bench_timer timer; /* in: `counting`; out: the time */
    uint64_t units;           /* out: buffers, messages, calls ... that were really done */
    bool disturbed;           /* out: something else ran on our processors meanwhile */
};

/* Does about `units` units of work and times them. 0, or -1: the data was wrong, or the work could
 * not be done. */
typedef int (*bench_run)(void *context, uint64_t units, struct bench_sample *sample);

struct bench_subject {
    bench_run run;
    void *context;
};

struct bench_effort {
    unsigned rounds;
    double round_ns; /* how long one round should take */
};

#define BENCH_ROUNDS_MAX 101u
#define BENCH_FLOORS_MAX 2u

struct bench_measured {
    struct bench_spread ns; /* per unit */
    unsigned rounds;
    double instructions; /* per unit; NaN where not counted */
    double cycles;
    unsigned disturbed; /* how many rounds something else disturbed, even when they were repeated */
    unsigned floors;
    struct bench_spread floor_ns[BENCH_FLOORS_MAX]; /* per unit */
    double ratio[BENCH_FLOORS_MAX];                 /* of the case to each floor */
};

/* `rounds` 0: as `quick` says. `quick_ns`: a round's length with `quick`. */
struct bench_effort bench_effort_choose(bool quick, unsigned rounds, double quick_ns);

/* Returns 0, or -1 if a run failed or a signal came. There may be no floor, and up to
 * BENCH_FLOORS_MAX. */
int bench_measure(const struct bench_subject *subject, const struct bench_subject *floors,
                  unsigned floor_count, const struct bench_effort *effort,
                  struct bench_measured *measured);

#endif
