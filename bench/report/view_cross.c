/* SPDX-License-Identifier: BSD-3-Clause */
/* Copy or map: a line per way, the sizes side by side; and where the ways cross. */
#include <string.h>

#include "report/crossing.h"
#include "report/pivot.h"
#include "report/value.h"
#include "report/views.h"

/* A group is "size 4K": the sizes say enough by themselves. */
static void time_columns(struct bench_table *table, const char *group)
{
    const char *size = group != NULL ? strchr(group, ' ') : NULL;

    bench_table_column(table, NULL, size != NULL ? size + 1 : "ns", false);
}

static void time_cells(struct bench_table *table, const json_t *row)
{
    char text[BENCH_VALUE_ROOM];

    bench_table_cell(table, "%s", bench_value_ns(text, bench_value_number(row, "ns.median")));
}

static void ratio_cells(struct bench_table *table, const json_t *row)
{
    char text[BENCH_VALUE_ROOM];

    bench_table_cell(table, "%s", bench_value_ratio(text, bench_value_number(row, "floor.ratio")));
}

struct bench_table *bench_view_cross(const json_t *root)
{
    static const struct bench_pivot pivot = {
        .title = "Copy or map: ns per buffer, by the bytes of its payload",
        .note =
            "One segment's whole way: add, publish, pop, push, poll, both ends on one thread. write: to the device; read: from\n"
            "it. queues 2: two threads with a queue each, on one space; ns of a buffer on either. request-ns: what one request\n"
            "to the hypervisor costs on top.",
        .command = "cross",
        .down = {"direction", "queues", "space", "request-ns", NULL},
        .across = {"size", NULL},
        .columns = time_columns,
        .cells = time_cells,
    };

    return bench_pivot_table(&pivot, json_object_get(root, "rows"));
}

/* The rows that have a floor. */
static json_t *rows_with_floor(const json_t *root)
{
    json_t *rows = json_array();
    size_t index;
    json_t *row;

    json_array_foreach(json_object_get(root, "rows"), index, row)
    {
        if (bench_value_matches(row, "cross", NULL) && json_object_get(row, "floor") != NULL) {
            (void)json_array_append(rows, row);
        }
    }
    return rows;
}

struct bench_table *bench_view_cross_floor(const json_t *root)
{
    static const struct bench_pivot pivot = {
        .title = "Copy or map: times the floor",
        .note =
            "floor: the direct space, measured in the same rounds; and, for ways that copy, one memcpy of the payload.",
        .command = "cross",
        .down = {"direction", "space", NULL},
        .across = {"size", NULL},
        .columns = time_columns,
        .cells = ratio_cells,
    };
    json_t *rows = rows_with_floor(root);
    struct bench_table *table = bench_pivot_table(&pivot, rows);

    json_decref(rows);
    return table;
}

static void request_cells(struct bench_table *table, const json_t *row)
{
    bench_table_cell(table, "%.2f", bench_value_number(row, "requests"));
}

/* The rows of ways that ask somebody, on one queue. */
static json_t *rows_with_requests(const json_t *root)
{
    json_t *rows = json_array();
    size_t index;
    json_t *row;

    json_array_foreach(json_object_get(root, "rows"), index, row)
    {
        if (bench_value_matches(row, "cross", NULL) && bench_value_number(row, "requests") > 0.0 &&
            strcmp(bench_value_axis(row, "queues"), "1") == 0) {
            (void)json_array_append(rows, row);
        }
    }
    return rows;
}

struct bench_table *bench_view_cross_requests(const json_t *root)
{
    static const struct bench_pivot pivot = {
        .title = "Copy or map: requests to the hypervisor for each buffer",
        .note =
            "iommu: map, unmap and flush are one each, whatever they are for. tce: each hypercall.",
        .command = "cross",
        .down = {"direction", "space", NULL},
        .across = {"size", NULL},
        .columns = time_columns,
        .cells = request_cells,
    };
    json_t *rows = rows_with_requests(root);
    struct bench_table *table = bench_pivot_table(&pivot, rows);

    json_decref(rows);
    return table;
}

static const char *size_text(char *text, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB"};
    unsigned unit = 0;

    for (; bytes >= 1000.0 && unit < 2; unit++) {
        bytes /= 1024.0;
    }
    (void)snprintf(text, BENCH_VALUE_ROOM, unit > 0 && bytes < 9.95 ? "%.1f %s" : "%.0f %s", bytes,
                   units[unit]);
    return text;
}

static void crossing_line(struct bench_table *table, const struct bench_crossing_at *at,
                          const struct bench_crossing_pair *pair,
                          const struct bench_crossing *crossing)
{
    char text[BENCH_VALUE_ROOM];

    bench_table_cell(table, "%s", at->direction);
    bench_table_cell(table, "%s", at->queues);
    bench_table_cell(table, "%s", at->request_ns);
    if (crossing->kind == BENCH_CROSSING_POINT) {
        bench_table_cell(table, "%s", size_text(text, crossing->bytes));
        bench_table_cell(table, "below %s, above %s", pair->small, pair->large);
    } else {
        bench_table_cell(table, "-");
        bench_table_cell(table, "%s, at every size (never %s)",
                         crossing->kind == BENCH_CROSSING_SMALL ? pair->small : pair->large,
                         crossing->kind == BENCH_CROSSING_SMALL ? pair->large : pair->small);
    }
}

static void crossing_lines(struct bench_table *table, const json_t *root, const char *direction,
                           const char *queues)
{
    json_t *requests = bench_crossing_requests(root);
    const char *request;
    json_t *unused;
    bool first = true;

    json_object_foreach(requests, request, unused)
    {
        struct bench_crossing_at at = {direction, queues, request};

        for (unsigned pair = 0; bench_crossing_pairs[pair].small != NULL; pair++) {
            struct bench_crossing crossing;

            /* Ways that ask nobody cross where they crossed before. */
            if ((first || bench_crossing_depends(root, &at, &bench_crossing_pairs[pair])) &&
                bench_crossing_find(root, &at, &bench_crossing_pairs[pair], &crossing)) {
                crossing_line(table, &at, &bench_crossing_pairs[pair], &crossing);
            }
        }
        first = false;
    }
    json_decref(requests);
}

struct bench_table *bench_view_crossings(const json_t *root)
{
    struct bench_table *table = bench_table_new(
        "Copy or map: where the ways cross",
        "Between two sizes that were measured: by the two curves, drawn straight between them on logarithmic scales.");

    bench_table_column(table, NULL, "direction", true);
    bench_table_column(table, NULL, "queues", true);
    bench_table_column(table, NULL, "request-ns", true);
    bench_table_column(table, NULL, "at", false);
    bench_table_column(table, NULL, "cheaper", true);
    crossing_lines(table, root, "write", "1");
    crossing_lines(table, root, "read", "1");
    crossing_lines(table, root, "write", "2");
    crossing_lines(table, root, "read", "2");
    return table;
}
