/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/crossing.h"

#include <math.h>
#include <string.h>

#include "report/value.h"

enum { POINTS_MAX = 64 };

/* Both curves at the sizes that they share, as logarithms: what counts is how many times as much
 * one costs, and sizes are spread that way. */
struct curves {
    unsigned count;
    double size[POINTS_MAX];
    double small[POINTS_MAX];
    double large[POINTS_MAX];
};

const struct bench_crossing_pair bench_crossing_pairs[] = {
    {"swiotlb-dynamic", "iommu-strict"},        {"swiotlb-dynamic", "iommu-lazy"},
    {"swiotlb-persistent", "iommu-strict"},     {"swiotlb-persistent", "iommu-lazy"},
    {"swiotlb-persistent", "iommu-persistent"}, {NULL, NULL},
};

bool bench_crossing_is_point(const json_t *row, const struct bench_crossing_at *at,
                             const char *space)
{
    return strcmp(bench_value_text(row, "command"), "cross") == 0 &&
           strcmp(bench_value_axis(row, "space"), space) == 0 &&
           strcmp(bench_value_axis(row, "direction"), at->direction) == 0 &&
           strcmp(bench_value_axis(row, "queues"), at->queues) == 0 &&
           (strcmp(bench_value_axis(row, "request-ns"), at->request_ns) == 0 ||
            bench_value_number(row, "requests") <= 0.0) &&
           bench_value_number(row, "ns.median") > 0.0;
}

/* What a way costs at a size; NaN: not measured. */
static double cost_at(const json_t *rows, const struct bench_crossing_at *at, const char *space,
                      double bytes)
{
    size_t index;
    json_t *row;

    json_array_foreach(rows, index, row)
    {
        if (bench_value_number(row, "bytes") == bytes && bench_crossing_is_point(row, at, space)) {
            return bench_value_number(row, "ns.median");
        }
    }
    return (double)NAN;
}

/* In the order of the rows, which is that of the sizes. */
static void collect(const json_t *rows, const struct bench_crossing_at *at,
                    const struct bench_crossing_pair *pair, struct curves *curves)
{
    size_t index;
    json_t *row;

    curves->count = 0;
    json_array_foreach(rows, index, row)
    {
        double bytes = bench_value_number(row, "bytes");
        double large;

        if (curves->count == POINTS_MAX || !bench_crossing_is_point(row, at, pair->small)) {
            continue;
        }
        large = cost_at(rows, at, pair->large, bytes);
        if (isfinite(large) && large > 0.0 &&
            (curves->count == 0 || log(bytes) > curves->size[curves->count - 1])) {
            curves->size[curves->count] = log(bytes);
            curves->small[curves->count] = log(bench_value_number(row, "ns.median"));
            curves->large[curves->count] = log(large);
            curves->count++;
        }
    }
}

static double difference(const struct curves *curves, unsigned at)
{
    return curves->large[at] - curves->small[at];
}

/* How many sizes belong to the first way. A figure that something disturbed may cross the curves
 * once more than they do: so it is the split that the figures contradict least, taken together. */
static unsigned split(const struct curves *curves)
{
    double total = 0.0;
    double best = 0.0;
    unsigned count = 0;

    for (unsigned at = 0; at < curves->count; at++) {
        total += difference(curves, at);
        if (total > best) {
            best = total;
            count = at + 1;
        }
    }
    return count;
}

bool bench_crossing_find(const json_t *root, const struct bench_crossing_at *at,
                         const struct bench_crossing_pair *pair, struct bench_crossing *crossing)
{
    struct curves curves;
    unsigned above;
    double before;
    double after;
    double share;

    collect(json_object_get(root, "rows"), at, pair, &curves);
    if (curves.count < 2) {
        return false;
    }
    above = split(&curves);
    *crossing = (struct bench_crossing){BENCH_CROSSING_LARGE, (double)NAN, (double)NAN};
    if (above == 0 || above == curves.count) {
        crossing->kind = above == 0 ? BENCH_CROSSING_LARGE : BENCH_CROSSING_SMALL;
        return true;
    }
    before = difference(&curves, above - 1);
    after = difference(&curves, above);
    share = before > 0.0 && after <= 0.0 ? before / (before - after) : 0.5;
    crossing->kind = BENCH_CROSSING_POINT;
    crossing->bytes =
        exp(curves.size[above - 1] + share * (curves.size[above] - curves.size[above - 1]));
    crossing->ns =
        exp(curves.small[above - 1] + share * (curves.small[above] - curves.small[above - 1]));
    return true;
}

bool bench_crossing_depends(const json_t *root, const struct bench_crossing_at *at,
                            const struct bench_crossing_pair *pair)
{
    size_t index;
    json_t *row;

    json_array_foreach(json_object_get(root, "rows"), index, row)
    {
        if (bench_value_number(row, "requests") > 0.0 &&
            (bench_crossing_is_point(row, at, pair->small) ||
             bench_crossing_is_point(row, at, pair->large))) {
            return true;
        }
    }
    return false;
}

json_t *bench_crossing_requests(const json_t *root)
{
    json_t *requests = json_object();
    size_t index;
    json_t *row;

    json_array_foreach(json_object_get(root, "rows"), index, row)
    {
        if (bench_value_matches(row, "cross", NULL)) {
            (void)json_object_set_new(requests, bench_value_axis(row, "request-ns"), json_true());
        }
    }
    return requests;
}
