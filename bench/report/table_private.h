/* SPDX-License-Identifier: BSD-3-Clause */
/* What a table is made of, for those who print it. */
#ifndef BENCH_REPORT_TABLE_PRIVATE_H
#define BENCH_REPORT_TABLE_PRIVATE_H

#include "report/table.h"

#define TABLE_COLUMNS_MAX 32

struct table_column {
    char *group;
    char *name;
    bool text;
    size_t width;
};

struct bench_table {
    char *title;
    char *note;
    struct table_column columns[TABLE_COLUMNS_MAX];
    size_t column_count;
    char **cells;
    size_t cell_count;
    size_t cell_room;
};

/* How many columns from `first` on stand under its heading. */
size_t table_group_span(const struct bench_table *table, size_t first);
/* Whether a column is the first of several under one heading. */
bool table_group_begins(const struct bench_table *table, size_t column);
bool table_has_groups(const struct bench_table *table);
/* Whether a cell says what the one above says, and so do all text cells before it. */
bool table_cell_repeats(const struct bench_table *table, size_t cell);
/* Columns that a text takes on a terminal. */
size_t table_text_width(const char *text);

#endif
