/* SPDX-License-Identifier: BSD-3-Clause */
/* virtq-bench matrix: every variant on one thread, one end at a time. */
#include <stdlib.h>

#include "commands.h"
#include "floor/protocol.h"
#include "harness/progress.h"
#include "harness/results.h"
#include "harness/stop.h"
#include "queue/ends.h"
#include "report/value.h"

/* Buffers lie a line more than two pages apart, so that they do not all want the same cache sets.
 */
enum { SLOT_BYTES = 8192 + VIRTQ_CACHE_LINE };

/* A round with --quick: there are some hundred cases. */
#define QUICK_NS 0.25e6

enum { AXIS_FORMAT, AXIS_END, AXIS_TIER, AXIS_SPACE, AXIS_SHAPE, AXIS_TABLE, AXIS_BATCH, AXES };

static const char *const end_names[] = {"driver", "device", NULL};
static const char *const batch_names[] = {"1", "32", NULL};

static struct bench_axis axes[AXES] = {
    {"format", "these formats", bench_format_names, 0, false},
    {"end", "these ends", end_names, 0, false},
    {"tier", "these tiers", bench_tier_names, 0, false},
    {"space", "these address spaces", bench_space_names, 0, false},
    {"shape", "these shapes of buffers", bench_shape_names, 0, false},
    {"table", "chains in the ring, or in indirect tables", bench_table_names, 0, false},
    {"batch", "these batches", batch_names, 0, false},
};

/* A case, ready to run. */
struct matrix_case {
    struct bench_queue *queue;
    struct floor_protocol *floor;
    struct bench_one_thread work;
    struct bench_one_thread floor_work;
    uint64_t seed;
    const char *failure;
};

/* Data is verified before and after what is timed: with the queue where the timed cycles found and
 * left it. */
static int run_case(void *context, uint64_t units, struct bench_sample *sample)
{
    struct matrix_case *matrix = context;

    matrix->seed += BENCH_WINDOW;
    if (!bench_queue_verify(matrix->queue, matrix->seed)) {
        matrix->failure = "wrong data";
        return -1;
    }
    if (bench_one_thread_run(&matrix->work, units, sample) != 0) {
        matrix->failure = "wrong buffers came back";
        return -1;
    }
    matrix->seed += BENCH_WINDOW;
    if (!bench_queue_verify(matrix->queue, matrix->seed)) {
        matrix->failure = "wrong data after the timed part";
        return -1;
    }
    return 0;
}

static bool open_case(struct matrix_case *matrix, const struct bench_point *point)
{
    const struct bench_shape *shape = &bench_shapes[point->at[AXIS_SHAPE]];
    struct bench_shape seen = *shape;
    struct bench_queue_config config = {
        .format = (enum virtq_format)point->at[AXIS_FORMAT],
        .tier = (enum bench_tier)point->at[AXIS_TIER],
        .space = (enum bench_space_kind)point->at[AXIS_SPACE],
        .indirect = point->at[AXIS_TABLE] == 1,
        .slots = BENCH_WINDOW,
        .slot_bytes = SLOT_BYTES,
        .segments_max = BENCH_SEGMENTS_MAX,
    };
    unsigned batch = (unsigned)atoi(batch_names[point->at[AXIS_BATCH]]);
    enum bench_end end = (enum bench_end)point->at[AXIS_END];
    int error = 0;

    matrix->seed = 1;
    matrix->failure = NULL;
    matrix->queue = bench_queue_open(&config, &error);
    if (config.space == BENCH_SPACE_SWIOTLB) {
        seen = bench_shape_coalesce(shape);
    }
    matrix->floor = floor_protocol_open(&seen, config.format == VIRTQ_FORMAT_PACKED,
                                        config.indirect && bench_shape_segments(&seen) > 1,
                                        config.space == BENCH_SPACE_SWIOTLB);
    if (matrix->queue == NULL || matrix->floor == NULL) {
        matrix->failure = error != 0 ? virtq_error_name(error) : "no memory";
        return false;
    }
    bench_queue_shape(matrix->queue, shape);
    matrix->work = (struct bench_one_thread){&bench_queue_ends, matrix->queue, batch, end};
    matrix->floor_work = (struct bench_one_thread){&floor_protocol_ends, matrix->floor, batch, end};
    return true;
}

static void close_case(struct matrix_case *matrix)
{
    bench_queue_close(matrix->queue);
    floor_protocol_close(matrix->floor);
}

/* One segment never goes into a table. */
static bool is_case(const struct bench_point *point)
{
    return point->at[AXIS_TABLE] == 0 ||
           bench_shape_segments(&bench_shapes[point->at[AXIS_SHAPE]]) > 1;
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
    struct matrix_case matrix;
    struct bench_subject subject = {run_case, &matrix};
    struct bench_subject floor = {bench_one_thread_run, &matrix.floor_work};
    struct bench_measured measured;
    const char *name = point->at[AXIS_SPACE] == BENCH_SPACE_SWIOTLB ? "unchecked queue and memcpy"
                                                                    : "unchecked queue";

    if (!open_case(&matrix, point)) {
        bench_row_fail(results, row, matrix.failure);
    } else if (bench_measure(&subject, &floor, 1, &effort, &measured) != 0) {
        bench_row_fail(results, row, matrix.failure != NULL ? matrix.failure : "the floor failed");
    } else {
        bench_row_set_measured(row, "buffer", &measured, &name);
    }
    close_case(&matrix);
}

static int run(const struct bench_command *command, const struct bench_options *options)
{
    struct bench_results results;
    struct bench_progress progress;
    struct bench_point point;

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

const struct bench_command bench_command_matrix = {
    .name = "matrix",
    .summary =
        "every variant on one thread: ns, instructions and cycles per buffer, each end alone",
    .text =
        "Measures each end of a queue alone, on one thread, with the other end's work left out of the time.\v"
        "Lists may be repeated or separated by commas: --space direct,bar --batch 32. Without a filter everything is "
        "measured. Every byte of every case is verified before and after its timed part.",
    .axes = axes,
    .axis_count = AXES,
    .run = run,
};
