/* SPDX-License-Identifier: BSD-3-Clause */
/* What the figures were measured on, and with what. */
#include <math.h>

#include "report/value.h"
#include "report/views.h"

static void line(struct bench_table *table, const char *what, const char *value)
{
    bench_table_cell(table, "%s", what);
    bench_table_cell(table, "%s", value);
}

static void cores(struct bench_table *table, const json_t *root)
{
    const json_t *cpus = json_object_get(root, "cpus");

    bench_table_cell(table, "cores");
    bench_table_cell(table, "%.0f; measured on %d and %d%s; load when begun %.2f",
                     bench_value_number(root, "machine.cores"),
                     (int)json_integer_value(json_array_get(cpus, 0)),
                     (int)json_integer_value(json_array_get(cpus, 1)),
                     bench_views_one_processor(root) ? ", ONE PROCESSOR for both sides" : "",
                     bench_value_number(root, "machine.load"));
}

static void disturbances(struct bench_table *table, const json_t *root)
{
    double disturbed = 0.0;
    double rounds = 0.0;
    size_t index;
    json_t *row;

    json_array_foreach(json_object_get(root, "rows"), index, row)
    {
        if (isfinite(bench_value_number(row, "disturbed"))) {
            disturbed += bench_value_number(row, "disturbed");
            rounds += bench_value_number(row, "ns.rounds");
        }
    }
    if (rounds > 0.0) {
        bench_table_cell(table, "disturbed");
        bench_table_cell(table, "%.1f %% of %.0f rounds, by other programs on these processors",
                         disturbed / rounds * 100.0, rounds);
    }
}

struct bench_table *bench_view_machine(const json_t *root)
{
    struct bench_table *table = bench_table_new("Measured on", NULL);

    bench_table_column(table, NULL, "what", true);
    bench_table_column(table, NULL, "value", true);
    line(table, "processor", bench_value_text(root, "machine.cpu"));
    cores(table, root);
    bench_table_cell(table, "memory");
    bench_table_cell(table, "%.1f GiB",
                     bench_value_number(root, "machine.memory_bytes") / ldexp(1.0, 30));
    line(table, "system", bench_value_text(root, "machine.system"));
    bench_table_cell(table, "kernel");
    bench_table_cell(table, "%s, %s", bench_value_text(root, "machine.kernel"),
                     bench_value_text(root, "machine.architecture"));
    bench_table_cell(table, "clock");
    bench_table_cell(table, "%s; a pair of readings costs %.1f ns, taken off",
                     bench_value_text(root, "machine.clock"),
                     bench_value_number(root, "machine.clock_ns"));
    line(table, "counters",
         json_is_true(json_object_get(root, "counters")) ? "instructions and cycles, user mode"
                                                         : "not counted by this machine");
    disturbances(table, root);
    line(table, "compiler", bench_value_text(root, "build.compiler"));
    bench_table_cell(table, "flags");
    bench_table_cell(table, "%s (%s)", bench_value_text(root, "build.flags"),
                     bench_value_text(root, "build.type"));
    bench_table_cell(table, "libvirtq");
    bench_table_cell(table, "%s, virtq-bench %s", bench_value_text(root, "library"),
                     bench_value_text(root, "version"));
    bench_table_cell(table, "date");
    bench_table_cell(table, "%s%s%s", bench_value_text(root, "date"),
                     json_is_true(json_object_get(root, "quick")) ? ", --quick: rough figures" : "",
                     json_is_true(json_object_get(root, "stopped")) ? ", STOPPED before the end"
                                                                    : "");
    return table;
}
