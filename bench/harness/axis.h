/* SPDX-License-Identifier: BSD-3-Clause */
/* The axes along which cases differ (format, end, space, ...), and the choice of values on each. */
#ifndef BENCH_HARNESS_AXIS_H
#define BENCH_HARNESS_AXIS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define BENCH_AXES_MAX 10u

struct bench_axis {
    const char *name;          /* the option's name, too */
    const char *help;          /* what is chosen */
    const char *const *values; /* ends with NULL; at most 64 */
    uint64_t chosen;           /* a bit per value; 0: not chosen yet, all of them */
    bool own;                  /* the subcommand has an option of its own for it */
};

/* Adds the values of a list "a,b,c" to the choice. On an unknown one: false, and a message with all
 * known ones in `error`. */
bool bench_axis_choose(struct bench_axis *axis, const char *list, char *error, size_t room);

/* The value's index, or -1. */
int bench_axis_index(const struct bench_axis *axis, const char *value, size_t length);

/* One place in the product of all axes: an index of a value for each. */
struct bench_point {
    unsigned at[BENCH_AXES_MAX];
};

/* Visits the chosen points, last axis fastest. `first` restarts; false: there is no further one. */
bool bench_axes_next(const struct bench_axis *axes, unsigned count, struct bench_point *point,
                     bool first);

/* How many points are chosen. */
unsigned bench_axes_count(const struct bench_axis *axes, unsigned count);

/* "split driver inline ..." */
void bench_axes_label(const struct bench_axis *axes, unsigned count,
                      const struct bench_point *point, char *label, size_t room);

#endif
