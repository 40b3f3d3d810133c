/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables of a report, made from results (harness/results.h says how they look). */
#ifndef BENCH_REPORT_VIEWS_H
#define BENCH_REPORT_VIEWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "report/table.h"

/* One view each; an empty table if the results have nothing for it. The caller frees it. */
struct bench_table *bench_view_headline(const json_t *root);
struct bench_table *bench_view_floor(const json_t *root);
struct bench_table *bench_view_matrix(const json_t *root);
struct bench_table *bench_view_matrix_counts(const json_t *root);
struct bench_table *bench_view_pair(const json_t *root);
struct bench_table *bench_view_latency(const json_t *root);
struct bench_table *bench_view_cross(const json_t *root);
struct bench_table *bench_view_cross_floor(const json_t *root);
struct bench_table *bench_view_cross_requests(const json_t *root);
struct bench_table *bench_view_crossings(const json_t *root);
struct bench_table *bench_view_copy(const json_t *root);
struct bench_table *bench_view_lookup(const json_t *root);
struct bench_table *bench_view_stream(const json_t *root);
struct bench_table *bench_view_viommu(const json_t *root);

typedef struct bench_table *(*bench_view)(const json_t *root);

/* All of them in reading order, without the headline; ends with NULL. */
extern const bench_view bench_views[];

/* The headline if there is one, then every table that is not empty, then the machine. */
void bench_views_print(const json_t *root, FILE *stream);

/* Whether both sides ran on one processor: then what is called "two cores" is not. */
bool bench_views_one_processor(const json_t *root);

/* How many rows failed. */
unsigned bench_views_failures(const json_t *root);

/* "cpu": "...", one line each: what the figures were measured on. */
struct bench_table *bench_view_machine(const json_t *root);

#endif
