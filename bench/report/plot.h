/* SPDX-License-Identifier: BSD-3-Clause */
/* A plot as SVG, drawn by gnuplot.
 *
 * A plot is JSON: {"title", "x", "y", "bars": true or false, "series": [{"name", "points": [[x, y],
 * ...]}, ...]}. With bars, x is the text of a cluster; with lines, a number on a scale of powers of
 * two; with "sizes": true these are bytes.
 */
#ifndef BENCH_REPORT_PLOT_H
#define BENCH_REPORT_PLOT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

json_t *bench_plot_new(const char *title, const char *x, const char *y, bool bars);
/* A new series of a plot; borrowed. */
json_t *bench_plot_series(json_t *plot, const char *name);
/* `x`: owned by the series from here on. A y that is not a number is left out. */
void bench_plot_point(json_t *series, json_t *x, double y);

/* Takes the last series away if it has no points: gnuplot complains of one that has none. */
void bench_plot_drop_empty(json_t *plot);

bool bench_plot_has_points(const json_t *plot);

/* Writes one <svg> element of a plot that has points. False: no gnuplot, or it failed; then nothing
 * was written. `number` tells the page's plots apart. */
bool bench_plot_write(const json_t *plot, unsigned number, FILE *stream);

/* The plots that results have data for: a new array. */
json_t *bench_plots_make(const json_t *root);

/* Adds those of virtq-bench cross. */
void bench_plots_add_cross(json_t *plots, const json_t *root);

#endif
