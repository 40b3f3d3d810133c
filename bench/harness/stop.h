/* SPDX-License-Identifier: BSD-3-Clause */
/* A clean end on SIGINT and SIGTERM: the handler sets a word, the loops look at it. */
#ifndef BENCH_HARNESS_STOP_H
#define BENCH_HARNESS_STOP_H

#include <stdbool.h>

/* What the shell expects of a program that ended because of Ctrl-C. */
#define BENCH_EXIT_STOPPED 130

extern int bench_stop_word;

/* From here on the first signal asks for a clean end; a second one kills. */
void bench_stop_install(void);

static inline bool bench_stop_asked(void)
{
    return __atomic_load_n(&bench_stop_word, __ATOMIC_RELAXED) != 0;
}

#endif
