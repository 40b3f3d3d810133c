/* SPDX-License-Identifier: BSD-3-Clause */
/* virtq-bench copy: what the ways to copy cost beside memcpy, over hot memory. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "floor/single.h"
#include "harness/progress.h"
#include "harness/results.h"
#include "harness/stop.h"
#include "virtq/copy_checksum.h"
#include "virtq/copy_device.h"
#include "virtq/copy_streaming.h"

enum way {
    WAY_MEMCPY,
    WAY_APART,
    WAY_FUSED,
    WAY_PORTABLE,
    WAY_SIMD128,
    WAY_AVX2,
    WAY_AVX512,
    WAY_STREAMING,
    WAY_STREAMING_FROM,
    WAY_DEVICE
};

enum { AXIS_WAY, AXIS_BYTES, AXES, SIZES = 6 };

static const char *const way_names[] = {"memcpy",         "apart",  "fused",  "portable",
                                        "simd128",        "avx2",   "avx512", "streaming",
                                        "streaming-from", "device", NULL};
static const char *const size_names[] = {"64", "256", "1500", "4096", "16384", "65536", NULL};
static const unsigned sizes[SIZES] = {64, 256, 1500, 4096, 16384, 65536};

static struct bench_axis axes[AXES] = {
    {"way", "these ways to copy", way_names, 0, false},
    {"bytes", "these sizes", size_names, 0, false},
};

/* A round with --quick. */
#define QUICK_NS 1.0e6

struct work {
    struct floor_copy areas;
    enum way way;
    struct virtq_checksum checksum;
    struct virtq_copy copy;
    uint32_t sum; /* RFC 1071's, taken byte by byte */
};

#define NOT_INLINED __attribute__((noinline))

NOT_INLINED static uint16_t sum_apart(struct work *work, unsigned char *to)
{
    memcpy(to, work->areas.from, work->areas.bytes);
    virtq_checksum_reset(&work->checksum);
    virtq_checksum_add(&work->checksum, work->areas.from, work->areas.bytes);
    return virtq_checksum_fold(&work->checksum);
}

NOT_INLINED static uint16_t sum_fused(struct work *work, unsigned char *to)
{
    return virtq_checksum_copy_whole(&work->checksum, to, work->areas.from, work->areas.bytes);
}

NOT_INLINED static uint16_t copy_hooked(struct work *work, unsigned char *to)
{
    if (work->way == WAY_STREAMING_FROM) {
        work->copy.from_shared(work->copy.context, to, work->areas.from, work->areas.bytes);
    } else {
        work->copy.to_shared(work->copy.context, to, work->areas.from, work->areas.bytes);
    }
    work->copy.done(work->copy.context);
    return (uint16_t)work->sum;
}

/* Gives whether every sum was right. */
static bool copy_many(struct work *work, unsigned char *to, uint64_t times)
{
    uint16_t (*one)(struct work *, unsigned char *) = work->way == WAY_APART       ? sum_apart
                                                      : work->way >= WAY_STREAMING ? copy_hooked
                                                                                   : sum_fused;
    unsigned wrong = 0;

    for (uint64_t time = 0; time < times; time++) {
        wrong |= one(work, to) ^ work->sum;
        __asm__ volatile("" ::: "memory");
    }
    return wrong == 0;
}

static int work_run(void *context, uint64_t units, struct bench_sample *sample)
{
    struct work *work = context;
    unsigned char *to = work->areas.to + (size_t)4 * VIRTQ_CACHE_LINE; /* As the floor does. */
    bool right;

    if (work->way == WAY_MEMCPY) {
        return floor_copy_run(&work->areas, units, sample);
    }
    memset(to, 0, work->areas.bytes);
    bench_timer_start(&sample->timer);
    right = copy_many(work, to, units);
    bench_timer_stop(&sample->timer);
    sample->units = units;
    return right && memcmp(to, work->areas.from, work->areas.bytes) == 0 ? 0 : -1;
}

static uint32_t sum_slowly(const unsigned char *from, size_t bytes)
{
    uint32_t sum = 0;

    for (size_t at = 0; at < bytes; at++) {
        sum += at % 2 == 0 ? (uint32_t)from[at] << 8 : from[at];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* NULL, or why this way is not to be had here. */
static const char *work_open(struct work *work, const struct bench_point *point)
{
    static const uint32_t variants[] = {[WAY_PORTABLE] = VIRTQ_CHECKSUM_PORTABLE,
                                        [WAY_SIMD128] = VIRTQ_CHECKSUM_SIMD128,
                                        [WAY_AVX2] = VIRTQ_CHECKSUM_AVX2,
                                        [WAY_AVX512] = VIRTQ_CHECKSUM_AVX512};

    work->way = (enum way)point->at[AXIS_WAY];
    if (virtq_checksum_init_variant(&work->checksum,
                                    work->way <= WAY_AVX512 ? variants[work->way] : 0) != 0) {
        return "this processor lacks it";
    }
    virtq_copy_streaming(&work->copy);
    if (work->way == WAY_DEVICE && virtq_copy_device(&work->copy, 1 | 2 | 4 | 8) != 0) {
        return "no such copies";
    }
    if (!floor_copy_open(&work->areas, sizes[point->at[AXIS_BYTES]])) {
        return "no memory";
    }
    work->sum = sum_slowly(work->areas.from, work->areas.bytes);
    return NULL;
}

static void measure(struct bench_results *results, json_t *row, const struct bench_point *point,
                    const struct bench_options *options)
{
    static const char *const floors[] = {"memcpy"};
    struct bench_effort effort = bench_effort_choose(options->quick, options->rounds, QUICK_NS);
    struct bench_measured measured;
    struct work work;
    struct bench_subject subject = {work_run, &work};
    struct bench_subject floor = {floor_copy_run, &work.areas};
    const char *why = work_open(&work, point);

    if (why != NULL) {
        bench_row_fail(results, row, why);
        return;
    }
    if (bench_measure(&subject, &floor, 1, &effort, &measured) == 0) {
        bench_row_set_measured(row, "copy", &measured, floors);
    } else {
        bench_row_fail(results, row, "wrong data or a wrong sum");
    }
    floor_copy_close(&work.areas);
}

/* What this processor lacks is no case at all. */
static bool is_here(const struct bench_point *point)
{
    struct work work;
    const char *why;

    if (point->at[AXIS_WAY] < WAY_PORTABLE || point->at[AXIS_WAY] > WAY_AVX512) {
        return true;
    }
    why = work_open(&work, point);
    if (why == NULL) {
        floor_copy_close(&work.areas);
    }
    return why == NULL;
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
        bench_progress_step(&progress, way_names[point.at[AXIS_WAY]]);
        if (is_here(&point)) {
            measure(&results, bench_results_row(&results, command, &point), &point, options);
        }
    }
    bench_progress_end(&progress);
    return bench_results_end(&results, options);
}

const struct bench_command bench_command_copy = {
    .name = "copy",
    .summary = "memcpy, and copies that sum, that stream, or that keep to allowed widths",
    .text =
        "Measures the ways to copy a staged buffer, one thread, hot memory, each beside a memcpy of the same bytes.\v"
        "apart: memcpy, then the sum of the source. fused: both in one pass, the best variant; portable to avx512: each "
        "variant. streaming, device: with one fence a copy, on ordinary memory.",
    .axes = axes,
    .axis_count = AXES,
    .run = run,
};
