/* SPDX-License-Identifier: BSD-3-Clause */
/* A table of text cells that prints itself on a terminal and as HTML. */
#ifndef BENCH_REPORT_TABLE_H
#define BENCH_REPORT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct bench_table;

/* Every function here ends the program if there is no memory. The texts are copied. */
struct bench_table *bench_table_new(const char *title, const char *note);
void bench_table_free(struct bench_table *table);

/* Columns next to each other with the same `group` (not NULL) stand under one heading. `text`:
 * left-aligned, and a value equal to the one above is left out. */
void bench_table_column(struct bench_table *table, const char *group, const char *name, bool text);
/* Fills cell by cell, row by row. */
void bench_table_cell(struct bench_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

bool bench_table_is_empty(const struct bench_table *table);
void bench_table_print(const struct bench_table *table, FILE *stream);
void bench_table_html(const struct bench_table *table, FILE *stream);

/* Text with the characters that mean something in HTML replaced. */
void bench_html_text(FILE *stream, const char *text);

#endif
