/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/one_thread.h"

static bool cycle_driver(const struct bench_one_thread *work, struct bench_timer *timer)
{
    unsigned filled;
    unsigned drained;

    bench_timer_start(timer);
    filled = work->ends->fill(work->queue, BENCH_WINDOW, work->batch);
    bench_timer_stop(timer);
    if (work->ends->serve(work->queue, BENCH_WINDOW, BENCH_WINDOW) != BENCH_WINDOW) {
        return false;
    }
    bench_timer_start(timer);
    drained = work->ends->drain(work->queue, BENCH_WINDOW, work->batch);
    bench_timer_stop(timer);
    return filled == BENCH_WINDOW && drained == BENCH_WINDOW;
}

static bool cycle_device(const struct bench_one_thread *work, struct bench_timer *timer)
{
    unsigned served;

    if (work->ends->fill(work->queue, BENCH_WINDOW, BENCH_WINDOW) != BENCH_WINDOW) {
        return false;
    }
    bench_timer_start(timer);
    served = work->ends->serve(work->queue, BENCH_WINDOW, work->batch);
    bench_timer_stop(timer);
    return served == BENCH_WINDOW &&
           work->ends->drain(work->queue, BENCH_WINDOW, BENCH_WINDOW) == BENCH_WINDOW;
}

int bench_one_thread_run(void *context, uint64_t units, struct bench_sample *sample)
{
    const struct bench_one_thread *work = context;

    while (sample->units < units) {
        bool whole = work->timed == BENCH_END_DRIVER ? cycle_driver(work, &sample->timer)
                                                     : cycle_device(work, &sample->timer);

        if (!whole || !work->ends->check(work->queue, BENCH_WINDOW)) {
            return -1;
        }
        sample->units += BENCH_WINDOW;
    }
    return 0;
}
