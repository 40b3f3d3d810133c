/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/measure.h"

#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "harness/cpu.h"
#include "harness/stop.h"

/* A first run of few units, then growing ones, until the pace is known well enough. */
enum { UNITS_FIRST = 64, CALIBRATIONS_MAX = 24 };

/* How often a run is repeated that something else disturbed. */
enum { REPEATS_MAX = 2 };

/* How often this program, a process it has waited for included, was made to give up a processor. */
static long preemptions(void)
{
    struct rusage self;
    struct rusage children;

    if (getrusage(RUSAGE_SELF, &self) != 0 || getrusage(RUSAGE_CHILDREN, &children) != 0) {
        return 0;
    }
    return self.ru_nivcsw + children.ru_nivcsw;
}

static int run_once(const struct bench_subject *subject, uint64_t units, bool counting,
                    struct bench_sample *sample)
{
    long before = preemptions();

    memset(sample, 0, sizeof(*sample));
    sample->timer.counting = counting;
    if (bench_stop_asked() || subject->run(subject->context, units, sample) != 0) {
        return -1;
    }
    /* Two sides that share a processor take it from each other all the time. */
    sample->disturbed = !bench_cpu_shared && preemptions() != before;
    return sample->units == 0 ? -1 : 0;
}

static double per_unit(const struct bench_sample *sample)
{
    return bench_timer_elapsed(&sample->timer) / (double)sample->units;
}

/* Warms up, and finds how many units fill a round. */
static int calibrate(const struct bench_subject *subject, double round_ns, uint64_t *units)
{
    struct bench_sample sample;

    *units = UNITS_FIRST;
    for (unsigned attempt = 0; attempt < CALIBRATIONS_MAX; attempt++) {
        double elapsed;

        if (run_once(subject, *units, false, &sample) != 0) {
            return -1;
        }
        elapsed = bench_timer_elapsed(&sample.timer);
        if (elapsed >= round_ns / 4.0) {
            *units = (uint64_t)(round_ns / elapsed * (double)sample.units) + 1u;
            return 0;
        }
        *units *= elapsed * 16.0 < round_ns ? 4u : 2u;
    }
    return 0;
}

static int run_undisturbed(const struct bench_subject *subject, uint64_t units,
                           struct bench_sample *sample)
{
    for (unsigned repeat = 0; repeat <= REPEATS_MAX; repeat++) {
        if (run_once(subject, units, false, sample) != 0) {
            return -1;
        }
        if (!sample->disturbed) {
            break;
        }
    }
    return 0;
}

static int count(const struct bench_subject *subject, uint64_t units,
                 struct bench_measured *measured)
{
    struct bench_sample sample;

    measured->instructions = (double)NAN;
    measured->cycles = (double)NAN;
    if (!bench_counters_available()) {
        return 0;
    }
    if (run_once(subject, units, true, &sample) != 0) {
        return -1;
    }
    measured->instructions =
        (double)sample.timer.counts.sum[BENCH_COUNTER_INSTRUCTIONS] / (double)sample.units;
    measured->cycles = (double)sample.timer.counts.sum[BENCH_COUNTER_CYCLES] / (double)sample.units;
    return 0;
}

/* What the rounds gave: the case first, then its floors. */
struct rounds {
    double times[1 + BENCH_FLOORS_MAX][BENCH_ROUNDS_MAX];
    double ratios[BENCH_FLOORS_MAX][BENCH_ROUNDS_MAX];
    unsigned disturbed;
};

static int run_round(const struct bench_subject *const *subjects, unsigned count,
                     const uint64_t *units, struct rounds *rounds, unsigned round)
{
    bool disturbed = false;

    /* The floors first: what they leave in the caches is not the case's. */
    for (unsigned index = count; index-- > 0;) {
        struct bench_sample sample;

        if (run_undisturbed(subjects[index], units[index], &sample) != 0) {
            return -1;
        }
        disturbed = disturbed || sample.disturbed;
        rounds->times[index][round] = per_unit(&sample);
    }
    rounds->disturbed += disturbed;
    for (unsigned floor = 0; floor + 1 < count; floor++) {
        double time = rounds->times[floor + 1][round];

        rounds->ratios[floor][round] = time > 0.0 ? rounds->times[0][round] / time : 0.0;
    }
    return 0;
}

static void conclude(struct rounds *rounds, unsigned floors, unsigned number,
                     struct bench_measured *measured)
{
    measured->rounds = number;
    measured->floors = floors;
    measured->disturbed = rounds->disturbed;
    measured->ns = bench_stats_spread(rounds->times[0], number);
    for (unsigned floor = 0; floor < floors; floor++) {
        measured->floor_ns[floor] = bench_stats_spread(rounds->times[floor + 1], number);
        measured->ratio[floor] = bench_stats_spread(rounds->ratios[floor], number).median;
    }
}

struct bench_effort bench_effort_choose(bool quick, unsigned rounds, double quick_ns)
{
    /* Many short rounds: what disturbs a machine then spoils some of them, and not all. */
    struct bench_effort effort = {31, 2e6};

    if (quick) {
        effort.rounds = 7;
        effort.round_ns = quick_ns;
    }
    if (rounds != 0) {
        effort.rounds = rounds;
    }
    return effort;
}

int bench_measure(const struct bench_subject *subject, const struct bench_subject *floors,
                  unsigned floor_count, const struct bench_effort *effort,
                  struct bench_measured *measured)
{
    const struct bench_subject *subjects[1 + BENCH_FLOORS_MAX] = {subject};
    uint64_t units[1 + BENCH_FLOORS_MAX];
    unsigned number = effort->rounds < BENCH_ROUNDS_MAX ? effort->rounds : BENCH_ROUNDS_MAX;
    struct rounds rounds;

    memset(measured, 0, sizeof(*measured));
    rounds.disturbed = 0;
    for (unsigned floor = 0; floor < floor_count; floor++) {
        subjects[floor + 1] = &floors[floor];
    }
    for (unsigned index = 0; index <= floor_count; index++) {
        if (calibrate(subjects[index], effort->round_ns, &units[index]) != 0) {
            return -1;
        }
    }
    for (unsigned round = 0; round < number; round++) {
        if (run_round(subjects, floor_count + 1, units, &rounds, round) != 0) {
            return -1;
        }
    }
    conclude(&rounds, floor_count, number, measured);
    return count(subject, units[0], measured);
}
