/* SPDX-License-Identifier: BSD-3-Clause */
/* virtq-bench pair: driver and device on two processors. */
#include <stdlib.h>

#include "commands.h"
#include "floor/protocol_pair.h"
#include "floor/rings.h"
#include "harness/burst.h"
#include "harness/progress.h"
#include "harness/results.h"
#include "harness/stop.h"
#include "queue/pair.h"
#include "queue/variant.h"
#include "report/value.h"

enum { SLOT_BYTES = 2 * VIRTQ_CACHE_LINE };

/* Buffers of a run that verifies; being woken takes a thousand times as long as looking. */
enum { VERIFIED_POLLING = 4096, VERIFIED_NOTIFIED = 256 };

/* A round with --quick. */
#define QUICK_NS 0.5e6

enum {
    AXIS_PEERS,
    AXIS_FORMAT,
    AXIS_SPACE,
    AXIS_NOTIFY,
    AXIS_TIER,
    AXIS_PAYLOAD,
    AXIS_OUTSTANDING,
    AXES
};

static const char *const peers_names[] = {"threads", "processes", NULL};
static const char *const notify_names[] = {"poll", "eventfd", NULL};
static const char *const payload_names[] = {"untouched", "touched", NULL};
static const char *const outstanding_names[] = {"1", "16", "64", "256", NULL};

static struct bench_axis axes[AXES] = {
    {"peers", "these kinds of peers (threads, unless said)", peers_names, 0, false},
    {"format", "these formats", bench_format_names, 0, false},
    {"space", "these address spaces", bench_space_names, 0, false},
    {"notify", "polling, or sleeping and notifying", notify_names, 0, false},
    {"tier", "these tiers", bench_tier_names, 0, false},
    {"payload",
     "payload that is left alone or is written and read by both sides (untouched, unless said)",
     payload_names, 0, false},
    {"outstanding", "so many buffers outstanding", outstanding_names, 0, false},
};

struct pair_case {
    struct bench_pair pair;
    struct bench_queue *queue;
    struct bench_cpus cpus;
    bool processes;
    void *floor;     /* bare rings */
    void *unchecked; /* an unchecked queue; NULL where the case does not poll */
    struct bench_subject floors[2];
    const char *floor_names[2];
    const char *failure;
};

static int near_side(struct bench_duo *duo, void *context)
{
    struct bench_pair *pair = context;

    return pair->queue->variant->drive(duo, pair);
}

static int far_side(struct bench_duo *duo, void *context)
{
    struct bench_pair *pair = context;

    return pair->queue->variant->attend(duo, pair);
}

static int far_process(struct bench_duo *duo, void *context)
{
    struct bench_pair *pair = context;

    bench_space_leave_driver(&pair->queue->space);
    return far_side(duo, context);
}

static int run_pair(struct pair_case *work, uint64_t units, uint64_t *elapsed)
{
    int result;

    work->pair.units = bench_whole_bursts(units);
    result =
        work->processes
            ? bench_duo_run_processes(&work->cpus, near_side, far_process, &work->pair, elapsed)
            : bench_duo_run(&work->cpus, near_side, far_side, &work->pair, elapsed);
    if (result != 0 && work->pair.device_failure != NULL) {
        work->failure = work->pair.device_failure;
    } else if (result != 0) {
        work->failure =
            work->pair.failure != NULL ? work->pair.failure : "the device's side gave up";
    }
    return result;
}

/* Runs in which every byte is written by one side and found by the other, on the same two
 * processors: to the device, then from it. */
static int verify(struct pair_case *work)
{
    static const struct bench_shape answers = {
        "answers", "1 x 64 B from the device", 0, 1, {64, 0, 0, 0}};
    bool touch = work->pair.touch;
    uint64_t units = work->pair.notify ? VERIFIED_NOTIFIED : VERIFIED_POLLING;
    uint64_t elapsed;
    int result;

    work->pair.touch = true;
    result = run_pair(work, units, &elapsed);
    if (result == 0) {
        bench_queue_shape(work->queue, &answers);
        result = run_pair(work, units, &elapsed);
        bench_queue_shape(work->queue, &bench_shapes[BENCH_SHAPE_64]);
    }
    work->pair.touch = touch;
    return result;
}

static int run_case(void *context, uint64_t units, struct bench_sample *sample)
{
    struct pair_case *work = context;

    if (run_pair(work, units, &sample->timer.ns) != 0) {
        return -1;
    }
    sample->timer.sections = 1;
    sample->units = work->pair.units;
    return 0;
}

/* The floors of a case: bare rings, and, where it polls, an unchecked queue of the same format. */
static bool open_floors(struct pair_case *work, bool packed, unsigned outstanding)
{
    work->floor = packed ? floor_in_place_open(&work->cpus, outstanding)
                         : floor_two_rings_open(&work->cpus, outstanding);
    work->floors[0] =
        (struct bench_subject){packed ? floor_in_place_run : floor_two_rings_run, work->floor};
    work->floor_names[0] = packed ? "in place" : "two rings";
    if (work->pair.notify) {
        return work->floor != NULL;
    }
    work->unchecked = packed ? floor_packed_pair_open(&work->cpus, outstanding)
                             : floor_split_pair_open(&work->cpus, outstanding);
    work->floors[1] = (struct bench_subject){floor_protocol_pair_run, work->unchecked};
    work->floor_names[1] = "unchecked queue";
    return work->floor != NULL && work->unchecked != NULL;
}

static bool open_case(struct pair_case *work, const struct bench_point *point,
                      const struct bench_options *options)
{
    unsigned outstanding = (unsigned)atoi(outstanding_names[point->at[AXIS_OUTSTANDING]]);
    struct bench_queue_config config = {
        .format = (enum virtq_format)point->at[AXIS_FORMAT],
        .tier = (enum bench_tier)point->at[AXIS_TIER],
        .space = (enum bench_space_kind)point->at[AXIS_SPACE],
        .two_views = point->at[AXIS_PEERS] == 1,
        .slots = outstanding,
        .slot_bytes = SLOT_BYTES,
        .segments_max = 1,
    };
    int error = 0;

    work->cpus = options->cpus;
    work->processes = config.two_views;
    work->failure = "no memory or no eventfd";
    work->queue = bench_queue_open(&config, &error);
    if (!bench_pair_open(&work->pair, work->queue) || work->queue == NULL) {
        work->failure = error != 0 ? virtq_error_name(error) : work->failure;
        return false;
    }
    bench_queue_shape(work->queue, &bench_shapes[BENCH_SHAPE_64]);
    work->pair.outstanding = outstanding;
    work->pair.notify = point->at[AXIS_NOTIFY] == 1;
    work->pair.touch = point->at[AXIS_PAYLOAD] == 1;
    return open_floors(work, config.format == VIRTQ_FORMAT_PACKED, outstanding);
}

static void close_case(struct pair_case *work)
{
    bench_pair_close(&work->pair);
    bench_queue_close(work->queue);
    floor_rings_close(work->floor);
    floor_protocol_pair_close(work->unchecked);
}

/* Latencies, in a run of their own: reading the clock costs more than a buffer does. */
static int measure_latency(struct pair_case *work, double ns_per_buffer, double round_ns,
                           json_t *row)
{
    struct bench_histogram *histogram = calloc(1, sizeof(*histogram));
    uint64_t elapsed;
    int result;

    if (histogram == NULL) {
        return -1;
    }
    work->pair.latencies = histogram;
    result = run_pair(work, (uint64_t)(2.0 * round_ns / ns_per_buffer) + 64u, &elapsed);
    work->pair.latencies = NULL;
    if (result == 0) {
        (void)json_object_set_new(row, "latency",
                                  json_pack("{s:f, s:f, s:f, s:f, s:f, s:I}", "p50",
                                            bench_histogram_quantile(histogram, 0.5), "p90",
                                            bench_histogram_quantile(histogram, 0.9), "p99",
                                            bench_histogram_quantile(histogram, 0.99), "p999",
                                            bench_histogram_quantile(histogram, 0.999), "max",
                                            (double)histogram->max, "count",
                                            (json_int_t)histogram->total));
    }
    free(histogram);
    return result;
}

static void measure(struct bench_results *results, json_t *row, const struct bench_point *point,
                    const struct bench_options *options)
{
    struct bench_effort effort = bench_effort_choose(options->quick, options->rounds, QUICK_NS);
    struct pair_case work = {.floor = NULL};
    struct bench_subject subject = {run_case, &work};
    struct bench_measured measured;

    if (!open_case(&work, point, options)) {
        bench_row_fail(results, row, work.failure);
        close_case(&work);
        return;
    }
    if (verify(&work) != 0 ||
        bench_measure(&subject, work.floors, work.unchecked != NULL ? 2 : 1, &effort, &measured) !=
            0 ||
        verify(&work) != 0 ||
        measure_latency(&work, measured.ns.median, effort.round_ns, row) != 0) {
        bench_row_fail(results, row, work.failure);
    } else {
        bench_row_set_measured(row, "buffer", &measured, work.floor_names);
    }
    close_case(&work);
}

/* The iommu space keeps its mappings in this process' domain: its device end cannot be in another
 * one. */
static bool is_case(const struct bench_point *point)
{
    return point->at[AXIS_PEERS] == 0 || point->at[AXIS_SPACE] != BENCH_SPACE_IOMMU;
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

static bool choose_processes;

static int run(const struct bench_command *command, const struct bench_options *options)
{
    struct bench_results results;
    struct bench_progress progress;
    struct bench_point point;

    if (choose_processes) {
        axes[AXIS_PEERS].chosen = 2;
    }
    axes[AXIS_PEERS].chosen |= axes[AXIS_PEERS].chosen == 0;
    axes[AXIS_PAYLOAD].chosen |= axes[AXIS_PAYLOAD].chosen == 0;
    bench_results_begin(&results, options);
    /* Counting would be of one side alone. */
    bench_counters_close();
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

enum { OPTION_PROCESSES = BENCH_OPTION_OWN };

static const struct argp_option pair_options[] = {
    {"processes", OPTION_PROCESSES, NULL, 0,
     "Two processes over shared memory instead of two threads; as --peers processes", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t pair_parse(int key, char *argument, struct argp_state *state)
{
    bool *processes = state->input;

    (void)argument;
    if (key == OPTION_PROCESSES) {
        *processes = true;
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp pair_argp = {pair_options, pair_parse, NULL, NULL, NULL, NULL, NULL};

const struct bench_command bench_command_pair = {
    .name = "pair",
    .summary = "driver and device on two cores: ns per buffer, and latency percentiles",
    .text =
        "Measures driver and device on two cores, from add to poll.\v"
        "Every case is verified by runs of its own, before and after, in which all bytes are written by one side and "
        "found by the other, both ways; the timed runs check the order and the lengths. --payload touched times that too.",
    .axes = axes,
    .axis_count = AXES,
    .own = &pair_argp,
    .own_input = &choose_processes,
    .run = run,
};
