/* SPDX-License-Identifier: BSD-3-Clause */
/* Progress on stderr: one line that is redrawn on a terminal, else a line every few seconds. */
#ifndef BENCH_HARNESS_PROGRESS_H
#define BENCH_HARNESS_PROGRESS_H

struct bench_progress {
    const char *what;
    unsigned total;
    unsigned done;
    int terminal;
    double next; /* when the next line is due, without a terminal */
    double begin;
};

void bench_progress_begin(struct bench_progress *progress, const char *what, unsigned total);
/* Before a case. */
void bench_progress_step(struct bench_progress *progress, const char *label);
/* Clears the line; says how long it took. */
void bench_progress_end(struct bench_progress *progress);

#endif
