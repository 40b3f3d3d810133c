/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/views.h"

#include "report/value.h"

/* The JSON has them all. */
enum { FAILURES_PRINTED = 20 };

const bench_view bench_views[] = {
    bench_view_matrix,      bench_view_matrix_counts,
    bench_view_pair,        bench_view_latency,
    bench_view_crossings,   bench_view_cross,
    bench_view_cross_floor, bench_view_cross_requests,
    bench_view_copy,        bench_view_stream,
    bench_view_floor,       bench_view_lookup,
    bench_view_viommu,      NULL,
};

bool bench_views_one_processor(const json_t *root)
{
    const json_t *cpus = json_object_get(root, "cpus");

    return json_integer_value(json_array_get(cpus, 0)) ==
           json_integer_value(json_array_get(cpus, 1));
}

unsigned bench_views_failures(const json_t *root)
{
    unsigned failures = 0;
    size_t index;
    json_t *row;

    json_array_foreach(json_object_get(root, "rows"), index, row)
    {
        failures += json_is_false(json_object_get(row, "verified"));
    }
    return failures;
}

static void print_failures(const json_t *root, FILE *stream)
{
    unsigned left = FAILURES_PRINTED;
    size_t index;
    json_t *row;

    (void)fprintf(stream, "\n%u of %zu cases verified.\n",
                  (unsigned)json_array_size(json_object_get(root, "rows")) -
                      bench_views_failures(root),
                  json_array_size(json_object_get(root, "rows")));
    json_array_foreach(json_object_get(root, "rows"), index, row)
    {
        if (json_is_false(json_object_get(row, "verified")) && left > 0) {
            left--;
            (void)fprintf(stream, "FAILED: %s %s: %s\n", bench_value_text(row, "command"),
                          bench_value_text(row, "label"), bench_value_text(row, "failure"));
        }
    }
}

static void print_view(bench_view view, const json_t *root, FILE *stream)
{
    struct bench_table *table = view(root);

    if (!bench_table_is_empty(table)) {
        bench_table_print(table, stream);
    }
    bench_table_free(table);
}

void bench_views_print(const json_t *root, FILE *stream)
{
    print_view(bench_view_headline, root, stream);
    for (unsigned view = 0; bench_views[view] != NULL; view++) {
        print_view(bench_views[view], root, stream);
    }
    print_view(bench_view_machine, root, stream);
    print_failures(root, stream);
}
