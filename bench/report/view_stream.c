/* SPDX-License-Identifier: BSD-3-Clause */
/* Real input: bytes per second of each variant. */
#include "report/pivot.h"
#include "report/value.h"
#include "report/views.h"

static void columns(struct bench_table *table, const char *group)
{
    bench_table_column(table, group, "rate", false);
    bench_table_column(table, group, "floor", false);
    bench_table_column(table, group, "SHA-256", false);
}

static void cells(struct bench_table *table, const json_t *row)
{
    char text[2][BENCH_VALUE_ROOM];

    bench_table_cell(table, "%s",
                     bench_value_rate(text[0], bench_value_number(row, "bytes_per_second")));
    bench_table_cell(table, "%s",
                     bench_value_ratio(text[1], bench_value_number(row, "floor.ratio")));
    bench_table_cell(
        table, "%s",
        row == NULL ? "-" : (json_is_true(json_object_get(row, "verified")) ? "same" : "FAILED"));
}

struct bench_table *bench_view_stream(const json_t *root)
{
    static const struct bench_pivot pivot = {
        .title = "A file through the queue and back",
        .note =
            "Each byte goes to the device and comes back; the hash of what came back is compared with the file's.\n"
            "rate: bytes of the file per second, without reading and hashing. floor: times one memcpy of the same blocks.",
        .command = "stream",
        .down = {"format", "space", "table", NULL},
        .across = {"tier", NULL},
        .columns = columns,
        .cells = cells,
    };

    return bench_pivot_table(&pivot, json_object_get(root, "rows"));
}
