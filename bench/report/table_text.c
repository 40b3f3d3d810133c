/* SPDX-License-Identifier: BSD-3-Clause */
/* A table on a terminal. */
#include "report/table_private.h"

static void pad(FILE *stream, size_t width)
{
    (void)fprintf(stream, "%*s", (int)width, "");
}

/* Two blanks between columns, a line before a group. */
static size_t gap(const struct bench_table *table, size_t column, FILE *stream)
{
    const char *text = column == 0 ? "" : (table_group_begins(table, column) ? " | " : "  ");

    if (stream != NULL) {
        (void)fputs(text, stream);
    }
    return table_text_width(text);
}

/* Texts to the left, numbers to the right; no blanks at the end of a line. */
static void print_cell(const struct bench_table *table, FILE *stream, size_t column,
                       const char *text)
{
    size_t used = table_text_width(text);
    size_t width = table->columns[column].width;
    size_t space = width > used ? width - used : 0;
    bool last = column + 1 == table->column_count;

    (void)gap(table, column, stream);
    if (!table->columns[column].text) {
        pad(stream, space);
    }
    (void)fputs(text, stream);
    if (table->columns[column].text && !last) {
        pad(stream, space);
    }
    if (last) {
        (void)fputc('\n', stream);
    }
}

static size_t group_width(const struct bench_table *table, size_t column)
{
    size_t width = table->columns[column].width;

    for (size_t next = column + 1; next < column + table_group_span(table, column); next++) {
        width += gap(table, next, NULL) + table->columns[next].width;
    }
    return width;
}

/* A group's heading may be wider than its columns: then the first of them grows. */
static void widen_groups(struct bench_table *table)
{
    for (size_t column = 0; column < table->column_count;
         column += table_group_span(table, column)) {
        const char *group = table->columns[column].group;
        size_t width = group_width(table, column);

        if (group != NULL && table_text_width(group) > width) {
            table->columns[column].width += table_text_width(group) - width;
        }
    }
}

static void print_groups(const struct bench_table *table, FILE *stream)
{
    size_t pending = 0;

    for (size_t column = 0; column < table->column_count;
         column += table_group_span(table, column)) {
        const char *group =
            table->columns[column].group != NULL ? table->columns[column].group : "";

        pad(stream, pending);
        (void)gap(table, column, stream);
        (void)fputs(group, stream);
        pending = group_width(table, column) - table_text_width(group);
    }
    (void)fputc('\n', stream);
}

static void print_rule(const struct bench_table *table, FILE *stream)
{
    size_t width = 0;

    for (size_t column = 0; column < table->column_count; column++) {
        width += gap(table, column, NULL) + table->columns[column].width;
    }
    while (width-- > 0) {
        (void)fputc('-', stream);
    }
    (void)fputc('\n', stream);
}

void bench_table_print(const struct bench_table *constant, FILE *stream)
{
    struct bench_table table = *constant;

    widen_groups(&table);
    (void)fprintf(stream, "\n%s\n%s%s\n", table.title, table.note != NULL ? table.note : "",
                  table.note != NULL ? "\n" : "");
    if (table_has_groups(&table)) {
        print_groups(&table, stream);
    }
    for (size_t column = 0; column < table.column_count; column++) {
        print_cell(&table, stream, column, table.columns[column].name);
    }
    print_rule(&table, stream);
    for (size_t cell = 0; cell < table.cell_count; cell++) {
        print_cell(&table, stream, cell % table.column_count,
                   table_cell_repeats(&table, cell) ? "" : table.cells[cell]);
    }
}
