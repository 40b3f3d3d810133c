/* SPDX-License-Identifier: BSD-3-Clause */
/* The floors: one line each. */
#include "report/value.h"
#include "report/views.h"

struct bench_table *bench_view_floor(const json_t *root)
{
    struct bench_table *table = bench_table_new(
        "Floors",
        "What this machine needs at least. ns per unit: median of the rounds, and the least and the most.");
    size_t index;
    json_t *row;

    bench_table_column(table, NULL, "floor", true);
    bench_table_column(table, NULL, "what is done", true);
    bench_table_column(table, NULL, "per", true);
    bench_table_column(table, NULL, "ns", false);
    bench_table_column(table, NULL, "least", false);
    bench_table_column(table, NULL, "most", false);
    bench_table_column(table, NULL, "instr", false);
    bench_table_column(table, NULL, "cycles", false);
    json_array_foreach(json_object_get(root, "rows"), index, row)
    {
        char text[5][BENCH_VALUE_ROOM];

        if (!bench_value_matches(row, "floor", NULL)) {
            continue;
        }
        bench_table_cell(table, "%s", bench_value_axis(row, "case"));
        bench_table_cell(table, "%s", bench_value_text(row, "text"));
        bench_table_cell(table, "%s", bench_value_text(row, "unit"));
        bench_table_cell(table, "%s",
                         bench_value_ns(text[0], bench_value_number(row, "ns.median")));
        bench_table_cell(table, "%s", bench_value_ns(text[1], bench_value_number(row, "ns.min")));
        bench_table_cell(table, "%s", bench_value_ns(text[2], bench_value_number(row, "ns.max")));
        bench_table_cell(table, "%s",
                         bench_value_count(text[3], bench_value_number(row, "instructions")));
        bench_table_cell(table, "%s",
                         bench_value_count(text[4], bench_value_number(row, "cycles")));
    }
    return table;
}
