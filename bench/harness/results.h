/* SPDX-License-Identifier: BSD-3-Clause */
/* The results of a run, kept as the JSON that is written: tables, plots and reports all read this
 * one form.
 *
 * {"program", "version", "library", "date", "quick", "stopped", "machine": {...}, "build": {...},
 * "cpus": [a, b], "rows": [row...]} row: {"command", "axes": {name: value, ...}, "label", "unit",
 * "verified", "ns": {"min", "p25", "median", "p75", "max", "rounds"}, "disturbed" (how many
 * rounds), "instructions", "cycles", "floor": {"name", "ns": {...}, "ratio"}, "floor2": the same,
 * ... and what a subcommand adds}
 */
#ifndef BENCH_HARNESS_RESULTS_H
#define BENCH_HARNESS_RESULTS_H

#include <jansson.h>
#include <stdbool.h>

#include "harness/measure.h"
#include "harness/options.h"

struct bench_results {
    json_t *root;
    json_t *rows; /* borrowed from root */
    bool failed;  /* some case gave wrong data or could not run */
};

void bench_results_begin(struct bench_results *results, const struct bench_options *options);

/* Adds a row for a point of the command's axes; gives it back (borrowed) for more to be set. */
json_t *bench_results_row(struct bench_results *results, const struct bench_command *command,
                          const struct bench_point *point);

/* Sets what was measured. `floors` names the floors, as many as were measured. */
void bench_row_set_measured(json_t *row, const char *unit, const struct bench_measured *measured,
                            const char *const *floors);

/* Says that a case failed, on stderr and in its row, the last one. If a signal ended it, the row is
 * taken away. */
void bench_row_fail(struct bench_results *results, json_t *row, const char *why);

json_t *bench_spread_json(const struct bench_spread *spread, unsigned rounds);

/* Prints the tables, writes the JSON, frees everything. Returns the exit code. */
int bench_results_end(struct bench_results *results, const struct bench_options *options);

#endif
