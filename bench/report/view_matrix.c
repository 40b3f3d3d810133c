/* SPDX-License-Identifier: BSD-3-Clause */
/* One thread: a line per variant, the tiers and batches side by side. */
#include "report/pivot.h"
#include "report/value.h"
#include "report/views.h"

static void time_columns(struct bench_table *table, const char *group)
{
    bench_table_column(table, group, "ns", false);
    bench_table_column(table, group, "±%", false);
    bench_table_column(table, group, "floor", false);
}

static void time_cells(struct bench_table *table, const json_t *row)
{
    char text[3][BENCH_VALUE_ROOM];

    bench_table_cell(table, "%s", bench_value_ns(text[0], bench_value_number(row, "ns.median")));
    bench_table_cell(table, "%s", bench_value_spread(text[1], json_object_get(row, "ns")));
    bench_table_cell(table, "%s",
                     bench_value_ratio(text[2], bench_value_number(row, "floor.ratio")));
}

static void count_columns(struct bench_table *table, const char *group)
{
    bench_table_column(table, group, "instr", false);
    bench_table_column(table, group, "cycles", false);
}

static void count_cells(struct bench_table *table, const json_t *row)
{
    char text[2][BENCH_VALUE_ROOM];

    bench_table_cell(table, "%s",
                     bench_value_count(text[0], bench_value_number(row, "instructions")));
    bench_table_cell(table, "%s", bench_value_count(text[1], bench_value_number(row, "cycles")));
}

struct bench_table *bench_view_matrix(const json_t *root)
{
    static const struct bench_pivot pivot = {
        .title = "One thread: ns per buffer",
        .note =
            "driver: add + publish + test for a notification + poll. device: pop + push + publish + test. floor: times the\n"
            "unchecked queue's (with a memcpy of the payload, for swiotlb). ±%: half the middle half of the rounds.",
        .command = "matrix",
        .down = {"format", "end", "space", "shape", "table", NULL},
        .across = {"tier", "batch", NULL},
        .columns = time_columns,
        .cells = time_cells,
    };

    return bench_pivot_table(&pivot, json_object_get(root, "rows"));
}

struct bench_table *bench_view_matrix_counts(const json_t *root)
{
    static const struct bench_pivot pivot = {
        .title = "One thread: instructions and cycles per buffer",
        .note = "User mode only.",
        .command = "matrix",
        .down = {"format", "end", "space", "shape", "table", NULL},
        .across = {"tier", "batch", NULL},
        .columns = count_columns,
        .cells = count_cells,
    };

    if (!json_is_true(json_object_get(root, "counters"))) {
        return bench_table_new(pivot.title, NULL);
    }
    return bench_pivot_table(&pivot, json_object_get(root, "rows"));
}
