/* SPDX-License-Identifier: BSD-3-Clause */
/* The few ratios that say most, each against what it is held to. */
#include <string.h>

#include "report/value.h"
#include "report/views.h"

struct headline {
    const char *text;
    const char *command;
    const char *at[7]; /* "axis=value" conditions */
    const char *floor; /* which of the row's floors */
    double goal;       /* the ratio that is wanted at most; 0: none */
};

#define PAIR(format)                                                                      \
    {                                                                                     \
        "format=" format, "space=direct", "tier=inline", "notify=poll", "outstanding=64", \
            "peers=threads", "payload=untouched"                                          \
    }
#define MATRIX(format, end)                                                                  \
    {                                                                                        \
        "format=" format, "end=" end, "space=direct", "tier=inline", "shape=64", "batch=32", \
            "table=direct"                                                                   \
    }

static const struct headline headlines[] = {
    {"two cores, split, 64 outstanding, polling; floor: two bare rings", "pair", PAIR("split"),
     "floor", 1.6},
    {"two cores, split, the same; floor: an unchecked queue", "pair", PAIR("split"), "floor2", 0},
    {"two cores, packed, 64 outstanding, polling; floor: an in-place ring", "pair", PAIR("packed"),
     "floor", 2.5},
    {"two cores, packed, the same; floor: an unchecked queue", "pair", PAIR("packed"), "floor2", 0},
    {"one thread, split driver, 64 B, batch 32; floor: an unchecked one", "matrix",
     MATRIX("split", "driver"), "floor", 0},
    {"one thread, packed driver, 64 B, batch 32; floor: an unchecked one", "matrix",
     MATRIX("packed", "driver"), "floor", 0},
    {"one thread, split device, 64 B, batch 32; floor: an unchecked one", "matrix",
     MATRIX("split", "device"), "floor", 0},
    {"one thread, packed device, 64 B, batch 32; floor: an unchecked one", "matrix",
     MATRIX("packed", "device"), "floor", 0},
};

#undef PAIR
#undef MATRIX

static const json_t *find(const json_t *root, const struct headline *headline)
{
    size_t index;
    json_t *row;

    if (strcmp(headline->command, "pair") == 0 && bench_views_one_processor(root)) {
        return NULL;
    }
    json_array_foreach(json_object_get(root, "rows"), index, row)
    {
        if (bench_value_matches(row, headline->command, headline->at[0], headline->at[1],
                                headline->at[2], headline->at[3], headline->at[4], headline->at[5],
                                headline->at[6], NULL) &&
            json_object_get(row, headline->floor) != NULL) {
            return row;
        }
    }
    return NULL;
}

static void line(struct bench_table *table, const struct headline *headline, const json_t *row)
{
    const json_t *floor = json_object_get(row, headline->floor);
    double ratio = bench_value_number(floor, "ratio");
    char text[3][BENCH_VALUE_ROOM];

    bench_table_cell(table, "%s", headline->text);
    bench_table_cell(table, "%s", bench_value_ratio(text[0], ratio));
    bench_table_cell(table, "%s", bench_value_ns(text[1], bench_value_number(row, "ns.median")));
    bench_table_cell(table, "%s", bench_value_ns(text[2], bench_value_number(floor, "ns.median")));
    if (headline->goal > 0.0) {
        bool disturbed =
            2.0 * bench_value_number(row, "disturbed") > bench_value_number(row, "ns.rounds");
        const char *judgement = ratio <= headline->goal ? "met" : "NOT met";

        bench_table_cell(table, "at most %.1fx: %s", headline->goal,
                         disturbed ? "disturbed" : judgement);
    } else {
        bench_table_cell(table, "-");
    }
}

struct bench_table *bench_view_headline(const json_t *root)
{
    struct bench_table *table = bench_table_new(
        "At a glance",
        "Inline tier, direct space. Each ratio is of figures measured side by side. disturbed: other programs had the\n"
        "processors meanwhile, so that the figure says nothing.");

    bench_table_column(table, NULL, "what", true);
    bench_table_column(table, NULL, "ratio", false);
    bench_table_column(table, NULL, "ns", false);
    bench_table_column(table, NULL, "floor", false);
    bench_table_column(table, NULL, "goal", false);
    for (size_t index = 0; index < sizeof(headlines) / sizeof(headlines[0]); index++) {
        const json_t *row = find(root, &headlines[index]);

        if (row != NULL) {
            line(table, &headlines[index], row);
        }
    }
    return table;
}
