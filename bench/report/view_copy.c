/* SPDX-License-Identifier: BSD-3-Clause */
/* The ways to copy, beside memcpy. */
#include "report/pivot.h"
#include "report/value.h"
#include "report/views.h"

static void columns(struct bench_table *table, const char *group)
{
    bench_table_column(table, group, "ns", false);
    bench_table_column(table, group, "memcpy", false);
}

static void cells(struct bench_table *table, const json_t *row)
{
    char text[2][BENCH_VALUE_ROOM];

    bench_table_cell(table, "%s", bench_value_ns(text[0], bench_value_number(row, "ns.median")));
    bench_table_cell(table, "%s",
                     bench_value_ratio(text[1], bench_value_number(row, "floor.ratio")));
}

struct bench_table *bench_view_copy(const json_t *root)
{
    static const struct bench_pivot pivot = {
        .title = "Ways to copy, one thread, hot memory",
        .note =
            "ns per copy; memcpy: times a memcpy of the same bytes, measured in turn.\n"
            "apart: memcpy, then RFC 1071's sum. fused: both in one pass. streaming, device: ordinary memory, one fence a copy.\n"
            "place: where in a page the bytes lie, and where their copy does.",
        .command = "copy",
        .down = {"way", "place", NULL},
        .across = {"bytes", NULL},
        .columns = columns,
        .cells = cells,
    };

    return bench_pivot_table(&pivot, json_object_get(root, "rows"));
}
