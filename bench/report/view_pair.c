/* SPDX-License-Identifier: BSD-3-Clause */
/* Two cores: a line per variant, what is outstanding side by side. */
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

static void latency_columns(struct bench_table *table, const char *group)
{
    bench_table_column(table, group, "50 %", false);
    bench_table_column(table, group, "99 %", false);
}

static void latency_cells(struct bench_table *table, const json_t *row)
{
    char text[3][BENCH_VALUE_ROOM];

    bench_table_cell(table, "%s",
                     bench_value_time(text[0], bench_value_number(row, "latency.p50")));
    bench_table_cell(table, "%s",
                     bench_value_time(text[1], bench_value_number(row, "latency.p99")));
}

struct bench_table *bench_view_pair(const json_t *root)
{
    static const struct bench_pivot pivot = {
        .title = "Two cores: ns per buffer",
        .note =
            "From add to poll, 1 x 64 B, bursts up to 32. floor: times the two-ring floor (split) or the in-place floor (packed)\n"
            "with as many outstanding, which polls and sends no notifications. ±%: half the middle half of the rounds.",
        .command = "pair",
        .down = {"peers", "payload", "format", "space", "notify", "tier", NULL},
        .across = {"outstanding", NULL},
        .columns = time_columns,
        .cells = time_cells,
    };

    return bench_pivot_table(&pivot, json_object_get(root, "rows"));
}

struct bench_table *bench_view_latency(const json_t *root)
{
    static const struct bench_pivot pivot = {
        .title = "Two cores: latency of a buffer, percentiles",
        .note =
            "From publish to the poll that gave it back. The JSON has 90 %, 99.9 % and the longest, too.",
        .command = "pair",
        .down = {"peers", "payload", "format", "space", "notify", "tier", NULL},
        .across = {"outstanding", NULL},
        .columns = latency_columns,
        .cells = latency_cells,
    };

    return bench_pivot_table(&pivot, json_object_get(root, "rows"));
}
