/* SPDX-License-Identifier: BSD-3-Clause */
/* virtq-bench cross: where copying a payload stops being cheaper than mapping it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "cross/run.h"
#include "harness/numbers.h"
#include "harness/progress.h"
#include "harness/results.h"
#include "harness/stop.h"
#include "queue/queue.h"
#include "report/value.h"

enum { AXIS_DIRECTION, AXIS_QUEUES, AXIS_REQUEST, AXIS_SPACE, AXIS_SIZE, AXES };

/* A round with --quick: there are hundreds of cases. */
#define QUICK_NS 0.2e6

static const char *const direction_names[] = {"write", "read", NULL};
static const char *const queue_names[] = {"1", "2", NULL};
static const char *const size_names[] = {"64",   "128",  "256",  "512", "1K",  "1500",
                                         "2K",   "4K",   "8K",   "16K", "32K", "64K",
                                         "128K", "256K", "512K", "1M",  NULL};

/* With --quick: 64, 256, 1K, 1500, 4K, 16K, 64K, 256K, 1M. */
#define QUICK_SIZES ((uint64_t)0xaab5)

/* The same for all cases: the format hardly shows beside a payload's way. */
static enum virtq_format format = VIRTQ_FORMAT_SPLIT;

static struct bench_numbers requests = {.names = {"0", "500", "2000", NULL}};

static struct bench_axis axes[AXES] = {
    {"direction", "payload to the device (write) or from it (read)", direction_names, 0, false},
    {"queues", "so many queues, each on a thread of its own", queue_names, 0, false},
    {"request-ns", "requests to the hypervisor that take so long", requests.names, 0, true},
    {"space", "these ways to bring the payload within reach", cross_way_names, 0, false},
    {"size", "payloads of so many bytes", size_names, 0, false},
};

static uint32_t bytes_of(const char *size)
{
    char *end;
    unsigned long bytes = strtoul(size, &end, 10);

    if (*end == 'K') {
        bytes <<= 10;
    } else if (*end == 'M') {
        bytes <<= 20;
    }
    return (uint32_t)bytes;
}

/* Ways that ask nobody for a buffer need no family of curves. */
static bool is_case(const struct bench_point *point)
{
    return point->at[AXIS_REQUEST] == 0 || cross_way_asks((enum cross_way)point->at[AXIS_SPACE]);
}

static unsigned count_cases(const struct bench_command *command)
{
    struct bench_point point;
    unsigned count = 0;

    for (bool more = bench_axes_next(command->axes, command->axis_count, &point, true); more;
         more = bench_axes_next(command->axes, command->axis_count, &point, false)) {
        count += is_case(&point);
    }
    return count;
}

static void measure(struct bench_results *results, json_t *row, const struct bench_point *point,
                    const struct bench_options *options)
{
    struct bench_effort effort = bench_effort_choose(options->quick, options->rounds, QUICK_NS);
    struct cross_config config = {
        .way = (enum cross_way)point->at[AXIS_SPACE],
        .format = format,
        .to_device = point->at[AXIS_DIRECTION] == 0,
        .bytes = bytes_of(size_names[point->at[AXIS_SIZE]]),
        .queues = point->at[AXIS_QUEUES] + 1u,
        .request_ns = strtoull(requests.names[point->at[AXIS_REQUEST]], NULL, 10),
    };
    struct cross_run work;
    struct bench_subject subject = {cross_run_queues, &work};
    struct bench_subject floor = {cross_run_floor, &work};
    struct bench_measured measured;
    const char *name;

    if (!cross_run_open(&work, &config, &options->cpus)) {
        bench_row_fail(results, row, work.failure);
        cross_run_close(&work);
        return;
    }
    name = cross_run_floor_name(&work);
    (void)json_object_set_new(row, "bytes", json_integer((json_int_t)config.bytes));
    (void)json_object_set_new(row, "format", json_string(bench_format_names[format]));
    if (!cross_run_verify(&work) ||
        bench_measure(&subject, &floor, name != NULL, &effort, &measured) != 0 ||
        !cross_run_verify(&work)) {
        bench_row_fail(results, row, work.failure != NULL ? work.failure : "a side gave up");
    } else {
        if (config.queues > 1) {
            /* What was counted is that of neither queue. */
            measured.instructions = measured.cycles = (double)NAN;
        }
        bench_row_set_measured(row, "buffer", &measured, &name);
        (void)json_object_set_new(row, "requests", json_real(cross_run_requests(&work)));
    }
    cross_run_close(&work);
}

static int run(const struct bench_command *command, const struct bench_options *options)
{
    struct bench_results results;
    struct bench_progress progress;
    struct bench_point point;

    if (options->quick && axes[AXIS_SIZE].chosen == 0) {
        axes[AXIS_SIZE].chosen = QUICK_SIZES;
    }
    bench_results_begin(&results, options);
    bench_progress_begin(&progress, command->name, count_cases(command));
    for (bool more = bench_axes_next(command->axes, command->axis_count, &point, true);
         more && !bench_stop_asked();
         more = bench_axes_next(command->axes, command->axis_count, &point, false)) {
        json_t *row;

        if (!is_case(&point)) {
            continue;
        }
        row = bench_results_row(&results, command, &point);
        bench_progress_step(&progress, bench_value_text(row, "label"));
        measure(&results, row, &point, options);
    }
    bench_progress_end(&progress);
    return bench_results_end(&results, options);
}

enum { OPTION_REQUEST = BENCH_OPTION_OWN, OPTION_FORMAT };

/* Up to a second: a request that takes longer is a device, not a hypervisor. */
#define REQUEST_MAX 1000000000ul

static const struct argp_option cross_options[] = {
    {"request-ns", OPTION_REQUEST, "LIST", 0,
     "What one request to the hypervisor (map, unmap, flush) costs on top, in ns, up to 8 of them: "
     "0,500,2000 unless said",
     0},
    {"format", OPTION_FORMAT, "FORMAT", 0, "The queues' format: split (unless said) or packed", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static bool parse_format(const char *name)
{
    for (unsigned i = 0; bench_format_names[i] != NULL; i++) {
        if (strcmp(bench_format_names[i], name) == 0) {
            format = (enum virtq_format)i;
            return true;
        }
    }
    return false;
}

static error_t cross_parse(int key, char *argument, struct argp_state *state)
{
    if (key == OPTION_FORMAT) {
        if (!parse_format(argument)) {
            argp_error(state, "--format: '%s' is neither split nor packed", argument);
        }
        return 0;
    }
    if (key != OPTION_REQUEST) {
        return ARGP_ERR_UNKNOWN;
    }
    if (!bench_numbers_parse(&requests, argument, REQUEST_MAX)) {
        argp_error(state, "--request-ns: '%s' is not a list of up to %d numbers from 0 to %lu",
                   argument, BENCH_NUMBERS_MAX, REQUEST_MAX);
    }
    return 0;
}

static const struct argp cross_argp = {cross_options, cross_parse, NULL, NULL, NULL, NULL, NULL};

const struct bench_command bench_command_cross = {
    .name = "cross",
    .summary = "copy or map: ns per buffer over the payload's size, and where the spaces cross",
    .text =
        "Measures a payload's whole way, through driver and device and back, over its size and for each way to bring it "
        "within the device's reach; says from which size on mapping is cheaper than copying.\v"
        "One thread plays both ends of a queue; with --queues 2 two threads have a queue each on one space. Every byte of "
        "every case is verified before and after its timed part.",
    .axes = axes,
    .axis_count = AXES,
    .own = &cross_argp,
    .run = run,
};
