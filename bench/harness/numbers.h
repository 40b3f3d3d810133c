/* SPDX-License-Identifier: BSD-3-Clause */
/* An axis whose values are numbers that an option lists: "0,500,2000". */
#ifndef BENCH_HARNESS_NUMBERS_H
#define BENCH_HARNESS_NUMBERS_H

#include <stdbool.h>

enum { BENCH_NUMBERS_MAX = 8, BENCH_NUMBERS_ROOM = 12 };

struct bench_numbers {
    char texts[BENCH_NUMBERS_MAX][BENCH_NUMBERS_ROOM];
    const char *names[BENCH_NUMBERS_MAX + 1]; /* ends with NULL; what is measured unless asked */
};

/* False: not a list of 1 to BENCH_NUMBERS_MAX numbers from 0 to `max`, which is below 10^11. */
bool bench_numbers_parse(struct bench_numbers *numbers, const char *list, unsigned long max);

#endif
