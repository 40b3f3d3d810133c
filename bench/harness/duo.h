/* SPDX-License-Identifier: BSD-3-Clause */
/* Two sides on two processors, started together: two threads, or two processes. */
#ifndef BENCH_HARNESS_DUO_H
#define BENCH_HARNESS_DUO_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/cpu.h"
#include "harness/stop.h"

struct bench_duo {
    struct bench_cpus cpus;
    int ready;     /* how many sides have arrived at the start */
    int abandoned; /* one side has given up: the other must not wait for it */
};

/* A side's work. 0, or -1 after bench_duo_abandon(). */
typedef int (*bench_duo_side)(struct bench_duo *duo, void *context);

/* Runs `near` on the calling thread and `far` on a second one, each pinned. The time is that of
 * `near`, from the common start to its end: `near` is the side that knows when the work is done.
 * Returns 0, or -1 if a side failed or a signal came. */
int bench_duo_run(const struct bench_cpus *cpus, bench_duo_side near, bench_duo_side far,
                  void *context, uint64_t *elapsed_ns);

/* The same with `far` in a process of its own, forked from this one and gone afterwards: only what
 * lies in shared memory outlives it. */
int bench_duo_run_processes(const struct bench_cpus *cpus, bench_duo_side near, bench_duo_side far,
                            void *context, uint64_t *elapsed_ns);

static inline void bench_duo_abandon(struct bench_duo *duo)
{
    __atomic_store_n(&duo->abandoned, 1, __ATOMIC_RELAXED);
}

/* Whether a side has given up, and knows why. */
static inline bool bench_duo_abandoned(const struct bench_duo *duo)
{
    return __atomic_load_n(&duo->abandoned, __ATOMIC_RELAXED) != 0;
}

/* One turn of waiting for the other side. False: it is not worth waiting any more. */
static inline bool bench_duo_wait(const struct bench_duo *duo)
{
    bench_cpu_relax();
    return !bench_duo_abandoned(duo) && !bench_stop_asked();
}

#endif
