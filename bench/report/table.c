/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "report/table_private.h"

static void *must(void *memory)
{
    if (memory == NULL) {
        (void)fprintf(stderr, "virtq-bench: out of memory\n");
        exit(EXIT_FAILURE);
    }
    return memory;
}

static char *copy(const char *text)
{
    return text != NULL ? must(strdup(text)) : NULL;
}

struct bench_table *bench_table_new(const char *title, const char *note)
{
    struct bench_table *table = must(calloc(1, sizeof(*table)));

    table->title = copy(title);
    table->note = copy(note);
    return table;
}

void bench_table_free(struct bench_table *table)
{
    for (size_t column = 0; column < table->column_count; column++) {
        free(table->columns[column].group);
        free(table->columns[column].name);
    }
    for (size_t cell = 0; cell < table->cell_count; cell++) {
        free(table->cells[cell]);
    }
    free(table->cells);
    free(table->title);
    free(table->note);
    free(table);
}

/* UTF-8 bytes that continue a character take no room. */
size_t table_text_width(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0u) != 0x80u;
    }
    return width;
}

void bench_table_column(struct bench_table *table, const char *group, const char *name, bool text)
{
    struct table_column *column = &table->columns[table->column_count];

    if (table->column_count == TABLE_COLUMNS_MAX) {
        return;
    }
    column->group = copy(group);
    column->name = copy(name);
    column->text = text;
    column->width = table_text_width(name);
    table->column_count++;
}

void bench_table_cell(struct bench_table *table, const char *format, ...)
{
    struct table_column *column = &table->columns[table->cell_count % table->column_count];
    char text[160];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (table->cell_count == table->cell_room) {
        table->cell_room = table->cell_room == 0 ? 256 : 2 * table->cell_room;
        table->cells = must(realloc(table->cells, table->cell_room * sizeof(*table->cells)));
    }
    table->cells[table->cell_count++] = copy(text);
    if (table_text_width(text) > column->width) {
        column->width = table_text_width(text);
    }
}

bool bench_table_is_empty(const struct bench_table *table)
{
    return table->cell_count == 0;
}

static bool same_group(const struct bench_table *table, size_t left, size_t right)
{
    const char *group = table->columns[left].group;
    const char *other = table->columns[right].group;

    return group != NULL && other != NULL && strcmp(group, other) == 0;
}

size_t table_group_span(const struct bench_table *table, size_t first)
{
    size_t last = first + 1;

    while (last < table->column_count && same_group(table, first, last)) {
        last++;
    }
    return last - first;
}

bool table_group_begins(const struct bench_table *table, size_t column)
{
    return column > 0 && table->columns[column].group != NULL &&
           !same_group(table, column - 1, column);
}

bool table_has_groups(const struct bench_table *table)
{
    for (size_t column = 0; column < table->column_count; column++) {
        if (table->columns[column].group != NULL) {
            return true;
        }
    }
    return false;
}

bool table_cell_repeats(const struct bench_table *table, size_t cell)
{
    size_t column = cell % table->column_count;

    if (cell < table->column_count) {
        return false;
    }
    for (size_t back = 0; back <= column; back++) {
        if (!table->columns[column - back].text ||
            strcmp(table->cells[cell - back], table->cells[cell - back - table->column_count]) !=
                0) {
            return false;
        }
    }
    return true;
}
