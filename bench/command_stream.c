/* SPDX-License-Identifier: BSD-3-Clause */
/* virtq-bench stream: real input, carried from driver to device and back over every variant. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "harness/progress.h"
#include "harness/results.h"
#include "harness/stop.h"
#include "report/value.h"
#include "stream.h"

enum { AXIS_FORMAT, AXIS_SPACE, AXIS_TABLE, AXIS_TIER, AXES };

static struct bench_axis axes[AXES] = {
    {"format", "these formats", bench_format_names, 0, false},
    {"space", "these address spaces", bench_space_names, 0, false},
    {"table", "chains in the ring, or in indirect tables", bench_table_names, 0, false},
    {"tier", "these tiers", bench_tier_names, 0, false},
};

struct stream_options {
    const char *input;
    bool corrupt;
};

static struct stream_options stream_options;

static struct bench_queue *open_queue(const struct bench_point *point, int *error)
{
    struct bench_queue_config config = {
        .format = (enum virtq_format)point->at[AXIS_FORMAT],
        .tier = (enum bench_tier)point->at[AXIS_TIER],
        .space = (enum bench_space_kind)point->at[AXIS_SPACE],
        .indirect = point->at[AXIS_TABLE] == 1,
        .slots = STREAM_SLOTS,
        .slot_bytes = STREAM_SLOT_BYTES,
        .segments_max = 2 * STREAM_SEGMENTS,
    };

    return bench_queue_open(&config, error);
}

static void set_result(json_t *row, const struct stream_result *result)
{
    double seconds = result->queue_ns / 1e9;
    double blocks = (double)result->buffers;

    (void)json_object_set_new(row, "unit", json_string("buffer of 16 KiB"));
    (void)json_object_set_new(row, "bytes", json_integer((json_int_t)result->bytes));
    if (result->failure == NULL) {
        (void)json_object_set_new(row, "seconds", json_real(seconds));
    }
    (void)json_object_set_new(row, "sha256_sent", json_string(result->sent));
    (void)json_object_set_new(row, "sha256_returned", json_string(result->came));
    if (result->failure == NULL && result->buffers > 0 && seconds > 0.0 && result->copy_ns > 0.0) {
        (void)json_object_set_new(row, "bytes_per_second",
                                  json_real((double)result->bytes / seconds));
        (void)json_object_set_new(row, "floor",
                                  json_pack("{s:s, s:{s:f}, s:f}", "name",
                                            "one memcpy of the same blocks", "ns", "median",
                                            result->copy_ns / blocks, "ratio",
                                            result->queue_ns / result->copy_ns));
    }
}

static void carry(struct bench_results *results, json_t *row, const struct bench_point *point,
                  int file)
{
    struct stream_result result;
    int error = 0;
    struct bench_queue *queue = open_queue(point, &error);

    if (queue == NULL) {
        bench_row_fail(results, row, virtq_error_name(error));
        return;
    }
    stream_run(queue, file, stream_options.corrupt, &result);
    set_result(row, &result);
    if (result.failure != NULL) {
        bench_row_fail(results, row, result.failure);
    }
    bench_queue_close(queue);
}

static int run_all(const struct bench_command *command, const struct bench_options *options,
                   int file)
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
        json_t *row = bench_results_row(&results, command, &point);

        bench_progress_step(&progress, bench_value_text(row, "label"));
        carry(&results, row, &point, file);
    }
    bench_progress_end(&progress);
    return bench_results_end(&results, options);
}

/* It is read once for each variant, so a pipe will not do. */
static int open_input(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    const char *why = NULL;

    if (file < 0 || fstat(file, &status) != 0) {
        why = strerror(errno);
    } else if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
        why = "not a file that can be read more than once";
    }
    if (why != NULL) {
        (void)fprintf(stderr, "virtq-bench stream: %s: %s\n", path, why);
        if (file >= 0) {
            (void)close(file);
        }
        return -1;
    }
    return file;
}

static int run(const struct bench_command *command, const struct bench_options *options)
{
    int file = open_input(stream_options.input);
    int code;

    if (file < 0) {
        return BENCH_EXIT_FAILED;
    }
    code = run_all(command, options, file);
    (void)close(file);
    return code;
}

enum { OPTION_INPUT = BENCH_OPTION_OWN, OPTION_CORRUPT };

static const struct argp_option own_options[] = {
    {"input", OPTION_INPUT, "FILE", 0,
     "The file to carry, of any size; it is read once for each variant", 0},
    {"corrupt", OPTION_CORRUPT, NULL, OPTION_HIDDEN,
     "Spoil a byte in the device end: it must be noticed", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t own_parse(int key, char *argument, struct argp_state *state)
{
    struct stream_options *own = state->input;

    switch (key) {
    case OPTION_INPUT:
        own->input = argument;
        return 0;
    case OPTION_CORRUPT:
        own->corrupt = true;
        return 0;
    case ARGP_KEY_END:
        if (own->input == NULL) {
            argp_error(state, "--input FILE is missing");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp own_argp = {own_options, own_parse, NULL, NULL, NULL, NULL, NULL};

const struct bench_command bench_command_stream = {
    .name = "stream",
    .summary = "a file through a queue and back, over every variant, checked with SHA-256",
    .text =
        "Carries a file from driver to device and back, over every variant, and compares SHA-256 of what was read and of "
        "what came back.\vThe device copies the readable part of each buffer into its writable part. Memory does not grow "
        "with the file. Wrong data is a failure: exit code 1.",
    .axes = axes,
    .axis_count = AXES,
    .own = &own_argp,
    .own_input = &stream_options,
    .run = run,
};
