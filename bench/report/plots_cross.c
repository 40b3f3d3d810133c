/* SPDX-License-Identifier: BSD-3-Clause */
/* The plots of virtq-bench cross: what each way costs over the payload's size, and where they
 * cross. */
#include <stdio.h>
#include <string.h>

#include "report/crossing.h"
#include "report/plot.h"
#include "report/value.h"

static const char *const ways[] = {"direct",
                                   "premapped",
                                   "swiotlb-dynamic",
                                   "swiotlb-persistent",
                                   "iommu-strict",
                                   "iommu-lazy",
                                   "iommu-persistent",
                                   "tce",
                                   "bar-cacheable",
                                   "bar-write-combining",
                                   "zpci-strict",
                                   "zpci-by-page",
                                   "zpci-lazy",
                                   "restricted",
                                   "swiotlb-group",
                                   "iommu-strict-batch",
                                   NULL};

/* Each of them for every cost of a request: the family of curves. */
static const char *const asking[] = {"iommu-strict", "iommu-lazy", "tce", NULL};
static const char *const asking_nobody[] = {"direct", "swiotlb-dynamic", "swiotlb-persistent",
                                            NULL};

static void add_curve(json_t *plot, const json_t *root, const struct bench_crossing_at *at,
                      const char *space, const char *name)
{
    json_t *series = bench_plot_series(plot, name);
    size_t index;
    json_t *row;

    json_array_foreach(json_object_get(root, "rows"), index, row)
    {
        if (bench_crossing_is_point(row, at, space)) {
            bench_plot_point(series, json_real(bench_value_number(row, "bytes")),
                             bench_value_number(row, "ns.median"));
        }
    }
    bench_plot_drop_empty(plot);
}

/* Where the ways of each pair meet, as circles on the curves. */
static void add_crossings(const json_t *root, const struct bench_crossing_at *at, json_t *series)
{
    for (unsigned pair = 0; bench_crossing_pairs[pair].small != NULL; pair++) {
        struct bench_crossing crossing;

        if (bench_crossing_find(root, at, &bench_crossing_pairs[pair], &crossing) &&
            crossing.kind == BENCH_CROSSING_POINT) {
            bench_plot_point(series, json_real(crossing.bytes), crossing.ns);
        }
    }
}

static json_t *new_plot(const char *what, const char *direction, const char *queues)
{
    char title[160];
    json_t *plot;

    (void)snprintf(title, sizeof(title), "Copy or map: %s, payload %s, %s", what,
                   strcmp(direction, "write") == 0 ? "to the device" : "from the device",
                   strcmp(queues, "1") == 0 ? "one queue" : "two queues on two threads");
    plot = bench_plot_new(title, "bytes of the payload", "ns per buffer", false);
    (void)json_object_set_new(plot, "sizes", json_true());
    return plot;
}

static json_t *plot_ways(const json_t *root, const char *direction, const char *queues,
                         const char *request)
{
    struct bench_crossing_at at = {direction, queues, request};
    json_t *plot = new_plot("all ways", direction, queues);

    for (unsigned way = 0; ways[way] != NULL; way++) {
        add_curve(plot, root, &at, ways[way], ways[way]);
    }
    add_crossings(root, &at, bench_plot_series(plot, "crossing points"));
    bench_plot_drop_empty(plot);
    return plot;
}

static json_t *plot_family(const json_t *root, const char *direction, json_t *requests)
{
    struct bench_crossing_at at = {direction, "1", ""};
    json_t *plot = new_plot("what a request costs", direction, "1");
    json_t *crossings = json_pack("{s:s, s:[]}", "name", "crossing points", "points");
    const char *request;
    json_t *unused;
    char name[80];

    json_object_foreach(requests, request, unused)
    {
        at.request_ns = request;
        for (unsigned way = 0; asking[way] != NULL; way++) {
            (void)snprintf(name, sizeof(name), "%s, %s ns a request", asking[way], request);
            add_curve(plot, root, &at, asking[way], name);
        }
        add_crossings(root, &at, crossings);
    }
    for (unsigned way = 0; asking_nobody[way] != NULL; way++) {
        add_curve(plot, root, &at, asking_nobody[way], asking_nobody[way]);
    }
    (void)json_array_append_new(json_object_get(plot, "series"), crossings);
    bench_plot_drop_empty(plot);
    return plot;
}

void bench_plots_add_cross(json_t *plots, const json_t *root)
{
    json_t *requests = bench_crossing_requests(root);
    const char *first = json_object_iter_key(json_object_iter(requests));

    if (first != NULL) {
        (void)json_array_append_new(plots, plot_ways(root, "write", "1", first));
        (void)json_array_append_new(plots, plot_ways(root, "read", "1", first));
        (void)json_array_append_new(plots, plot_family(root, "write", requests));
        (void)json_array_append_new(plots, plot_family(root, "read", requests));
        (void)json_array_append_new(plots, plot_ways(root, "write", "2", first));
    }
    json_decref(requests);
}
