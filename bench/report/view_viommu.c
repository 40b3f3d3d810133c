/* SPDX-License-Identifier: BSD-3-Clause */
/* Mapping through virtio-iommu: one line each. */
#include "report/value.h"
#include "report/views.h"

struct bench_table *bench_view_viommu(const json_t *root)
{
    struct bench_table *table = bench_table_new(
        "Virtio-iommu", "ns to map and unmap a buffer through a request queue, both roles of it, "
                        "and how many buffers that is in a second. Median of the rounds.");
    size_t index;
    json_t *row;

    bench_table_column(table, NULL, "format", true);
    bench_table_column(table, NULL, "request ns", false);
    bench_table_column(table, NULL, "buffers", false);
    bench_table_column(table, NULL, "method", true);
    bench_table_column(table, NULL, "ns", false);
    bench_table_column(table, NULL, "buffers/s", false);
    bench_table_column(table, NULL, "notifications", false);
    bench_table_column(table, NULL, "instr", false);
    json_array_foreach(json_object_get(root, "rows"), index, row)
    {
        char text[2][BENCH_VALUE_ROOM];
        double ns = bench_value_number(row, "ns.median");

        if (!bench_value_matches(row, "viommu", NULL)) {
            continue;
        }
        bench_table_cell(table, "%s", bench_value_axis(row, "format"));
        bench_table_cell(table, "%s", bench_value_axis(row, "request-ns"));
        bench_table_cell(table, "%s", bench_value_axis(row, "buffers"));
        bench_table_cell(table, "%s", bench_value_axis(row, "method"));
        bench_table_cell(table, "%s", bench_value_ns(text[0], ns));
        bench_table_cell(table, "%.0f", ns > 0 ? 1e9 / ns : 0);
        bench_table_cell(table, "%.3f", bench_value_number(row, "notifications"));
        bench_table_cell(table, "%s",
                         bench_value_count(text[1], bench_value_number(row, "instructions")));
    }
    return table;
}
