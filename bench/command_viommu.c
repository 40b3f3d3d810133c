/* SPDX-License-Identifier: BSD-3-Clause */
/* virtq-bench viommu: what it costs to map and unmap buffers through virtio-iommu. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "harness/numbers.h"
#include "harness/progress.h"
#include "harness/results.h"
#include "harness/stop.h"
#include "viommu/pair.h"

enum { AXIS_FORMAT, AXIS_REQUEST, AXIS_BUFFERS, AXIS_METHOD, AXES };
enum { SINGLE, BATCH };

/* A round with --quick. */
#define QUICK_NS 1.0e6

static const char *const format_names[] = {"split", "packed", NULL};
static const char *const buffer_names[] = {"1", "16", "64", "256", NULL};
static const unsigned buffer_counts[] = {1, 16, 64, 256};
static const char *const method_names[] = {"single", "batch", NULL};
static struct bench_numbers requests = {.names = {"0", "1000", NULL}};

static struct bench_axis axes[AXES] = {
    {"format", "these formats of the request queue", format_names, 0, false},
    {"request-ns", "notifications that take so long", requests.names, 0, true},
    {"buffers", "so many buffers at a time", buffer_names, 0, false},
    {"method", "one request each, or all in one batch", method_names, 0, false},
};

struct work {
    struct viommu_pair pair;
    struct virtq_region *ranges;
    unsigned count;
    unsigned step; /* ranges of one list */
};

/* All buffers mapped, then all unmapped: nothing of a list is there twice. */
static int map_all(struct work *work)
{
    const struct virtq_iommu_backend *backend = &work->pair.backend;
    int error = 0;

    for (unsigned at = 0; at < work->count && error == 0; at += work->step) {
        error = backend->map(backend->context, &work->ranges[at], work->step);
    }
    return error;
}

static int unmap_all(struct work *work)
{
    const struct virtq_iommu_backend *backend = &work->pair.backend;
    int error = 0;

    for (unsigned at = 0; at < work->count && error == 0; at += work->step) {
        error = backend->unmap(backend->context, &work->ranges[at], work->step);
        if (error == 0) {
            error = backend->flush(backend->context, &work->ranges[at], work->step);
        }
    }
    return error;
}

static int run_work(void *context, uint64_t units, struct bench_sample *sample)
{
    struct work *work = context;
    int error = 0;

    bench_timer_start(&sample->timer);
    while (sample->units < units && error == 0) {
        error = map_all(work);
        if (error == 0) {
            error = unmap_all(work);
        }
        sample->units += work->count;
    }
    bench_timer_stop(&sample->timer);
    return error;
}

/* The endpoint reaches each buffer, where it is, while it is mapped, and not a moment longer. */
static bool verify(struct work *work)
{
    struct virtq_space *space = &work->pair.endpoint.space;
    bool good = map_all(work) == 0;
    void *base;

    for (unsigned i = 0; i < work->count && good; i++) {
        good = virtq_space_translate(space, work->ranges[i].first + 1, 1, VIRTQ_PERMISSION_WRITE,
                                     &base) == 1 &&
               base == (unsigned char *)work->ranges[i].base + 1;
    }
    good = good && unmap_all(work) == 0;
    for (unsigned i = 0; i < work->count && good; i++) {
        good = virtq_space_translate(space, work->ranges[i].first, 1, VIRTQ_PERMISSION_READ,
                                     &base) < 0;
    }
    return good;
}

static int work_open(struct work *work, const struct bench_point *point)
{
    struct viommu_config config = {
        .format = point->at[AXIS_FORMAT] == 0 ? VIRTQ_FORMAT_SPLIT : VIRTQ_FORMAT_PACKED,
        .mappings = 1024,
        .request_ns = strtoull(requests.names[point->at[AXIS_REQUEST]], NULL, 10),
    };

    memset(work, 0, sizeof(*work));
    work->count = buffer_counts[point->at[AXIS_BUFFERS]];
    work->step = point->at[AXIS_METHOD] == SINGLE ? 1 : work->count;
    work->ranges = calloc(work->count, sizeof(*work->ranges));
    if (work->ranges == NULL) {
        return VIRTQ_ENOMEM;
    }
    for (unsigned i = 0; i < work->count; i++) {
        /* Every second page, and memory that nobody touches: no two are one window. */
        const virtq_addr_t first = VIOMMU_FIRST + (virtq_addr_t)(2 * i) * VIOMMU_PAGE;

        work->ranges[i] = (struct virtq_region){first, first + VIOMMU_PAGE - 1,
                                                (void *)(uintptr_t)(first + VIOMMU_FIRST), 3};
    }
    return viommu_pair_open(&work->pair, &config);
}

static void measure(struct bench_results *results, json_t *row, const struct bench_point *point,
                    const struct bench_options *options)
{
    struct bench_effort effort = bench_effort_choose(options->quick, options->rounds, QUICK_NS);
    struct work work;
    struct bench_subject subject = {run_work, &work};
    struct bench_measured measured;

    if (work_open(&work, point) == 0 && verify(&work) &&
        bench_measure(&subject, NULL, 0, &effort, &measured) == 0 && verify(&work)) {
        uint64_t before = viommu_pair_notifications(&work.pair);
        struct bench_sample once = {.units = 0};

        bench_row_set_measured(row, "buffer", &measured, NULL);
        if (run_work(&work, work.count, &once) == 0) {
            const double notifications =
                (double)(viommu_pair_notifications(&work.pair) - before) / work.count;

            (void)json_object_set_new(row, "notifications", json_real(notifications));
        }
    } else {
        bench_row_fail(results, row, "a wrong mapping, or no memory");
    }
    viommu_pair_close(&work.pair);
    free(work.ranges);
}

/* One buffer is one request, whatever the method. */
static bool is_case(const struct bench_point *point)
{
    return point->at[AXIS_BUFFERS] != 0 || point->at[AXIS_METHOD] == SINGLE;
}

static int run(const struct bench_command *command, const struct bench_options *options)
{
    struct bench_results results;
    struct bench_progress progress;
    struct bench_point point;

    bench_results_begin(&results, options);
    bench_progress_begin(&progress, command->name,
                         bench_axes_count(command->axes, command->axis_count));
    for (bool more = bench_axes_next(command->axes, command->axis_count, &point, true);
         more && !bench_stop_asked();
         more = bench_axes_next(command->axes, command->axis_count, &point, false)) {
        bench_progress_step(&progress, method_names[point.at[AXIS_METHOD]]);
        if (is_case(&point)) {
            measure(&results, bench_results_row(&results, command, &point), &point, options);
        }
    }
    bench_progress_end(&progress);
    return bench_results_end(&results, options);
}

enum { OPTION_REQUEST = BENCH_OPTION_OWN };

/* Up to a second. */
#define REQUEST_MAX 1000000000ul

static const struct argp_option viommu_options[] = {
    {"request-ns", OPTION_REQUEST, "LIST", 0,
     "What one notification to the hypervisor costs on top, in ns, up to 8 of them: 0,1000 unless "
     "said",
     0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t viommu_parse(int key, char *argument, struct argp_state *state)
{
    if (key != OPTION_REQUEST) {
        return ARGP_ERR_UNKNOWN;
    }
    if (!bench_numbers_parse(&requests, argument, REQUEST_MAX)) {
        argp_error(state, "--request-ns: '%s' is not a list of up to %d numbers from 0 to %lu",
                   argument, BENCH_NUMBERS_MAX, REQUEST_MAX);
    }
    return 0;
}

static const struct argp viommu_argp = {viommu_options, viommu_parse, NULL, NULL, NULL, NULL, NULL};

const struct bench_command bench_command_viommu = {
    .name = "viommu",
    .summary = "ns to map and unmap a buffer through virtio-iommu, one request each and batched",
    .text =
        "Measures MAP and UNMAP of a page for each buffer, through a request queue with both roles of virtio-iommu, one "
        "request at a time or all buffers in a batch.\v"
        "One thread plays both roles; the hypervisor's part is within the figures. What an endpoint reaches is verified "
        "before and after each timed part.",
    .axes = axes,
    .axis_count = AXES,
    .own = &viommu_argp,
    .run = run,
};
