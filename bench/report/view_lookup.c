/* SPDX-License-Identifier: BSD-3-Clause */
/* Lookups: one line each. */
#include "report/value.h"
#include "report/views.h"

struct bench_table *bench_view_lookup(const json_t *root)
{
    struct bench_table *table = bench_table_new(
        "Lookup", "ns to find the window of a random address, beside a binary "
                  "search in a sorted array, and a call that finds nothing. Median of the rounds.");
    size_t index;
    json_t *row;

    bench_table_column(table, NULL, "table", true);
    bench_table_column(table, NULL, "windows", false);
    bench_table_column(table, NULL, "ns", false);
    bench_table_column(table, NULL, "array", false);
    bench_table_column(table, NULL, "call", false);
    bench_table_column(table, NULL, "instr", false);
    json_array_foreach(json_object_get(root, "rows"), index, row)
    {
        char text[4][BENCH_VALUE_ROOM];

        if (!bench_value_matches(row, "lookup", NULL)) {
            continue;
        }
        bench_table_cell(table, "%s", bench_value_axis(row, "table"));
        bench_table_cell(table, "%s", bench_value_axis(row, "windows"));
        bench_table_cell(table, "%s",
                         bench_value_ns(text[0], bench_value_number(row, "ns.median")));
        bench_table_cell(table, "%s",
                         bench_value_ns(text[1], bench_value_number(row, "floor.ns.median")));
        bench_table_cell(table, "%s",
                         bench_value_ns(text[3], bench_value_number(row, "floor2.ns.median")));
        bench_table_cell(table, "%s",
                         bench_value_count(text[2], bench_value_number(row, "instructions")));
    }
    return table;
}
