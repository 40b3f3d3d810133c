/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading results, and writing numbers so that a person can compare them. */
#ifndef BENCH_REPORT_VALUE_H
#define BENCH_REPORT_VALUE_H

#include <jansson.h>
#include <stdbool.h>

/* The number at "a.b.c", or NaN. */
double bench_value_number(const json_t *object, const char *path);
/* The text at "a.b.c", or "". */
const char *bench_value_text(const json_t *object, const char *path);
/* The value of an axis of a row, or "". */
const char *bench_value_axis(const json_t *row, const char *axis);
/* Whether a row is of a command and, on each "axis=value" that follows up to a NULL, has that
 * value. */
bool bench_value_matches(const json_t *row, const char *command, ...) __attribute__((sentinel));

#define BENCH_VALUE_ROOM 24

/* Each writes into `text` of BENCH_VALUE_ROOM bytes and returns it; "-" for NaN. */
const char *bench_value_ns(char *text, double ns);   /* 3 digits: "8.12", "81.2", "812", "8120" */
const char *bench_value_time(char *text, double ns); /* "812 ns", "8.1 us" */
const char *bench_value_ratio(char *text, double ratio); /* "2.3x" */
const char *bench_value_rate(char *text, double bytes);  /* "1.23 GB/s" */
const char *bench_value_count(char *text, double count); /* "81" */
/* Half the middle half of the rounds, in percent of their median: "4". */
const char *bench_value_spread(char *text, const json_t *spread);

#endif
