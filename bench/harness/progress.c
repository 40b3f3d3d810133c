/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "harness/timer.h"

#define SECONDS_BETWEEN_LINES 10.0

static double seconds_now(void)
{
    return (double)bench_clock_ns() / 1e9;
}

void bench_progress_begin(struct bench_progress *progress, const char *what, unsigned total)
{
    progress->what = what;
    progress->total = total;
    progress->done = 0;
    progress->terminal = isatty(STDERR_FILENO);
    progress->begin = seconds_now();
    progress->next = progress->begin + SECONDS_BETWEEN_LINES;
    if (!progress->terminal) {
        (void)fprintf(stderr, "%s: %u cases\n", what, total);
    }
}

void bench_progress_step(struct bench_progress *progress, const char *label)
{
    progress->done++;
    if (progress->terminal) {
        (void)fprintf(stderr, "\r\033[K%s: %u of %u  %.60s", progress->what, progress->done,
                      progress->total, label);
        (void)fflush(stderr);
    } else if (seconds_now() >= progress->next) {
        (void)fprintf(stderr, "%s: %u of %u  %s\n", progress->what, progress->done, progress->total,
                      label);
        progress->next = seconds_now() + SECONDS_BETWEEN_LINES;
    }
}

void bench_progress_end(struct bench_progress *progress)
{
    (void)fprintf(stderr, "%s%s: %u of %u cases in %.1f s\n", progress->terminal ? "\r\033[K" : "",
                  progress->what, progress->done, progress->total, seconds_now() - progress->begin);
}
