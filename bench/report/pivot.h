/* SPDX-License-Identifier: BSD-3-Clause */
/* A table out of rows of results: some axes go down, some go across, the rest is the same for all.
 */
#ifndef BENCH_REPORT_PIVOT_H
#define BENCH_REPORT_PIVOT_H

#include <jansson.h>

#include "report/table.h"

#define BENCH_PIVOT_AXES 8

struct bench_pivot {
    const char *title;
    const char *note;
    const char *command;
    const char *down[BENCH_PIVOT_AXES];   /* names of axes; ends with NULL */
    const char *across[BENCH_PIVOT_AXES]; /* names of axes; ends with NULL */
    /* The columns under one heading. */
    void (*columns)(struct bench_table *table, const char *group);
    /* Their cells for one row of the results; NULL: there is none. */
    void (*cells)(struct bench_table *table, const json_t *row);
};

struct bench_table *bench_pivot_table(const struct bench_pivot *pivot, const json_t *rows);

#endif
