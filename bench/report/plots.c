/* SPDX-License-Identifier: BSD-3-Clause */
/* Which plots a report has. */
#include <stdlib.h>
#include <string.h>

#include "report/plot.h"
#include "report/value.h"

/* What a series takes from the results: rows of a command at some "axis=value" places, and two
 * values of each. */
struct selection {
    const char *name;
    const char *command;
    const char *at[6];
    const char *x; /* an axis */
    const char *y; /* the path of a number */
    double unit;   /* what the numbers are divided by; 0: nothing */
};

static void add_series(json_t *plot, const json_t *root, const struct selection *selection)
{
    json_t *series = bench_plot_series(plot, selection->name);
    bool bars = json_is_true(json_object_get(plot, "bars"));
    size_t index;
    json_t *row;

    json_array_foreach(json_object_get(root, "rows"), index, row)
    {
        const char *x = bench_value_axis(row, selection->x);

        if (bench_value_matches(row, selection->command, selection->at[0], selection->at[1],
                                selection->at[2], selection->at[3], selection->at[4],
                                selection->at[5], NULL)) {
            bench_plot_point(series, bars ? json_string(x) : json_real(strtod(x, NULL)),
                             bench_value_number(row, selection->y) /
                                 (selection->unit > 0.0 ? selection->unit : 1.0));
        }
    }
    bench_plot_drop_empty(plot);
}

#define PAIR(format, tier)                                                             \
    {                                                                                  \
        "peers=threads", "space=direct", "notify=poll", "format=" format, "tier=" tier \
    }
#define PAIR_SPACE(space)                                                             \
    {                                                                                 \
        "peers=threads", "notify=poll", "format=split", "tier=inline", "space=" space \
    }
#define MATRIX(format, end, tier)                                                          \
    {                                                                                      \
        "format=" format, "end=" end, "tier=" tier, "shape=64", "table=direct", "batch=32" \
    }
#define MATRIX_SPACE(space)                                                                     \
    {                                                                                           \
        "format=split", "end=driver", "tier=inline", "space=" space, "table=direct", "batch=32" \
    }
#define STREAM(format, table)                           \
    {                                                   \
        "format=" format, "table=" table, "tier=inline" \
    }

static const struct selection pair_times[] = {
    {"split, inline", "pair", PAIR("split", "inline"), "outstanding", "ns.median", 0},
    {"split, library", "pair", PAIR("split", "library"), "outstanding", "ns.median", 0},
    {"packed, inline", "pair", PAIR("packed", "inline"), "outstanding", "ns.median", 0},
    {"packed, library", "pair", PAIR("packed", "library"), "outstanding", "ns.median", 0},
    {"floor: two rings", "pair", PAIR("split", "inline"), "outstanding", "floor.ns.median", 0},
    {"floor: in place", "pair", PAIR("packed", "inline"), "outstanding", "floor.ns.median", 0},
    {"floor: unchecked split", "pair", PAIR("split", "inline"), "outstanding", "floor2.ns.median",
     0},
    {"floor: unchecked packed", "pair", PAIR("packed", "inline"), "outstanding", "floor2.ns.median",
     0},
};

static const struct selection pair_spaces[] = {
    {"direct", "pair", PAIR_SPACE("direct"), "outstanding", "ns.median", 0},
    {"swiotlb", "pair", PAIR_SPACE("swiotlb"), "outstanding", "ns.median", 0},
    {"iommu", "pair", PAIR_SPACE("iommu"), "outstanding", "ns.median", 0},
    {"bar", "pair", PAIR_SPACE("bar"), "outstanding", "ns.median", 0},
};

static const struct selection pair_latencies[] = {
    {"split, median", "pair", PAIR("split", "inline"), "outstanding", "latency.p50", 0},
    {"split, 99 %", "pair", PAIR("split", "inline"), "outstanding", "latency.p99", 0},
    {"packed, median", "pair", PAIR("packed", "inline"), "outstanding", "latency.p50", 0},
    {"packed, 99 %", "pair", PAIR("packed", "inline"), "outstanding", "latency.p99", 0},
};

static const struct selection matrix_tiers[] = {
    {"split driver, inline", "matrix", MATRIX("split", "driver", "inline"), "space", "ns.median",
     0},
    {"split driver, library", "matrix", MATRIX("split", "driver", "library"), "space", "ns.median",
     0},
    {"split device, inline", "matrix", MATRIX("split", "device", "inline"), "space", "ns.median",
     0},
    {"split device, library", "matrix", MATRIX("split", "device", "library"), "space", "ns.median",
     0},
    {"packed driver, inline", "matrix", MATRIX("packed", "driver", "inline"), "space", "ns.median",
     0},
    {"packed driver, library", "matrix", MATRIX("packed", "driver", "library"), "space",
     "ns.median", 0},
    {"packed device, inline", "matrix", MATRIX("packed", "device", "inline"), "space", "ns.median",
     0},
    {"packed device, library", "matrix", MATRIX("packed", "device", "library"), "space",
     "ns.median", 0},
};

static const struct selection matrix_shapes[] = {
    {"direct", "matrix", MATRIX_SPACE("direct"), "shape", "ns.median", 0},
    {"swiotlb", "matrix", MATRIX_SPACE("swiotlb"), "shape", "ns.median", 0},
    {"iommu", "matrix", MATRIX_SPACE("iommu"), "shape", "ns.median", 0},
    {"bar", "matrix", MATRIX_SPACE("bar"), "shape", "ns.median", 0},
};

static const struct selection stream_rates[] = {
    {"split, direct", "stream", STREAM("split", "direct"), "space", "bytes_per_second", 1e9},
    {"split, indirect", "stream", STREAM("split", "indirect"), "space", "bytes_per_second", 1e9},
    {"packed, direct", "stream", STREAM("packed", "direct"), "space", "bytes_per_second", 1e9},
    {"packed, indirect", "stream", STREAM("packed", "indirect"), "space", "bytes_per_second", 1e9},
};

static const struct selection copy_ways[] = {
    {"memcpy", "copy", {"way=memcpy", "place=0+256"}, "bytes", "ns.median", 0},
    {"memcpy, then the sum", "copy", {"way=apart", "place=0+256"}, "bytes", "ns.median", 0},
    {"copy and sum in one pass", "copy", {"way=fused", "place=0+256"}, "bytes", "ns.median", 0},
    {"streaming stores", "copy", {"way=streaming", "place=0+256"}, "bytes", "ns.median", 0},
};

#define SELECTIONS(array) array, sizeof(array) / sizeof((array)[0])

static const struct plot {
    const char *title;
    const char *x;
    const char *y;
    bool bars;
    const struct selection *selections;
    size_t count;
} plots_of_report[] = {
    {"Two cores, polling, direct space", "buffers outstanding", "ns per buffer", false,
     SELECTIONS(pair_times)},
    {"Two cores, polling, split, inline tier: the spaces", "buffers outstanding", "ns per buffer",
     false, SELECTIONS(pair_spaces)},
    {"Two cores, polling, direct space, inline tier: latency", "buffers outstanding", "ns", false,
     SELECTIONS(pair_latencies)},
    {"One thread, 1 x 64 B, batch 32: what a space costs", "", "ns per buffer", true,
     SELECTIONS(matrix_tiers)},
    {"One thread, split driver, inline tier, batch 32: where the spaces cross", "", "ns per buffer",
     true, SELECTIONS(matrix_shapes)},
    {"A file through the queue and back, inline tier", "", "GB per second", true,
     SELECTIONS(stream_rates)},
    {"Ways to copy, one thread, hot memory", "bytes", "ns per copy", false, SELECTIONS(copy_ways)},
};

json_t *bench_plots_make(const json_t *root)
{
    json_t *plots = json_array();

    for (size_t index = 0; index < sizeof(plots_of_report) / sizeof(plots_of_report[0]); index++) {
        const struct plot *wanted = &plots_of_report[index];
        json_t *plot = bench_plot_new(wanted->title, wanted->x, wanted->y, wanted->bars);

        for (size_t selection = 0; selection < wanted->count; selection++) {
            add_series(plot, root, &wanted->selections[selection]);
        }
        (void)json_array_append_new(plots, plot);
    }
    bench_plots_add_cross(plots, root);
    return plots;
}
