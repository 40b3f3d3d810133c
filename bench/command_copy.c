/* SPDX-License-Identifier: BSD-3-Clause */
/* virtq-bench copy: what the ways to copy cost beside memcpy, over hot memory. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "floor/ring.h"
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

enum { AXIS_WAY, AXIS_BYTES, AXIS_PLACE, AXES, SIZES = 6, PACKET = 2, PLACES = 12 };

static const char *const way_names[] = {"memcpy",         "apart",  "fused",  "portable",
                                        "simd128",        "avx2",   "avx512", "streaming",
                                        "streaming-from", "device", NULL};
static const char *const size_names[] = {"64", "256", "1500", "4096", "16384", "65536", NULL};
static const unsigned sizes[SIZES] = {64, 256, 1500, 4096, 16384, 65536};

/* Where in a page the bytes lie, and where their copy does. Equal ends of addresses, lines that are
 * crossed, and loads that seem to wait for stores all cost something. The first is for every size,
 * the others for a packet. */
static const char *const place_names[] = {"0+256", "0+0",  "2+2",  "14+14", "16+16",  "0+2", "2+0",
                                          "0+34",  "2+34", "0+64", "64+0",  "0+1536", NULL};
static const struct {
    size_t from;
    size_t to;
} places[PLACES] = {{0, FLOOR_COPY_TO},
                    {0, 0},
                    {2, 2},
                    {14, 14},
                    {16, 16},
                    {0, 2},
                    {2, 0},
                    {0, 34},
                    {2, 34},
                    {0, 64},
                    {64, 0},
                    {0, 1536}};

static struct bench_axis axes[AXES] = {
    {"way", "these ways to copy", way_names, 0, false},
    {"bytes", "these sizes", size_names, 0, false},
    {"place", "these offsets into a page of the bytes and of their copy", place_names, 0, false},
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

/* Gives whether every sum was right, as the others do. Each way has a loop of its own: memcpy has,
 * too, and a call through a pointer more takes as long as a line's copy or two. */
FLOOR_FUNCTION static bool sum_apart(struct work *work, uint64_t times)
{
    const struct floor_copy areas = work->areas;
    unsigned wrong = 0;

    for (uint64_t time = 0; time < times; time++) {
        memcpy(areas.to, areas.from, areas.bytes);
        virtq_checksum_reset(&work->checksum);
        virtq_checksum_add(&work->checksum, areas.from, areas.bytes);
        wrong |= virtq_checksum_fold(&work->checksum) ^ work->sum;
        __asm__ volatile("" ::: "memory");
    }
    return wrong == 0;
}

FLOOR_FUNCTION static bool sum_fused(struct work *work, uint64_t times)
{
    const struct floor_copy areas = work->areas;
    const uint32_t sum = work->sum;
    unsigned wrong = 0;

    for (uint64_t time = 0; time < times; time++) {
        wrong |=
            virtq_checksum_copy_whole(&work->checksum, areas.to, areas.from, areas.bytes) ^ sum;
        __asm__ volatile("" ::: "memory");
    }
    return wrong == 0;
}

FLOOR_FUNCTION static bool copy_hooked(struct work *work, uint64_t times)
{
    const struct floor_copy areas = work->areas;
    const struct virtq_copy *copy = &work->copy;
    void (*one)(void *, void *, const void *, size_t) =
        work->way == WAY_STREAMING_FROM ? copy->from_shared : copy->to_shared;

    for (uint64_t time = 0; time < times; time++) {
        one(copy->context, areas.to, areas.from, areas.bytes);
        copy->done(copy->context);
        __asm__ volatile("" ::: "memory");
    }
    return true;
}

static int work_run(void *context, uint64_t units, struct bench_sample *sample)
{
    struct work *work = context;
    const struct floor_copy *areas = &work->areas;
    bool (*many)(struct work *, uint64_t) = work->way == WAY_APART       ? sum_apart
                                            : work->way >= WAY_STREAMING ? copy_hooked
                                                                         : sum_fused;
    bool right;

    if (work->way == WAY_MEMCPY) {
        return floor_copy_run(&work->areas, units, sample);
    }
    memset(areas->to, 0, areas->bytes);
    bench_timer_start(&sample->timer);
    right = many(work, units);
    bench_timer_stop(&sample->timer);
    sample->units = units;
    return right && memcmp(areas->to, areas->from, areas->bytes) == 0 ? 0 : -1;
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
    if (!floor_copy_open(&work->areas, sizes[point->at[AXIS_BYTES]],
                         places[point->at[AXIS_PLACE]].from, places[point->at[AXIS_PLACE]].to)) {
        return "no memory";
    }
    work->sum = sum_slowly(work->areas.from, work->areas.bytes);
    return NULL;
}

FLOOR_FUNCTION static void measure(struct bench_results *results, json_t *row,
                                   const struct bench_point *point,
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

/* With a stack that begins at a page's end. A packet begins with a page, and where the lower bits
 * of addresses agree, each return, and each load from the stack, waits for a store of the copy. */
FLOOR_FUNCTION static void measure_apart(struct bench_results *results, json_t *row,
                                         const struct bench_point *point,
                                         const struct bench_options *options)
{
    enum { PAGE = 4096 };
    unsigned char *above = __builtin_alloca((uintptr_t)__builtin_frame_address(0) % PAGE + 1);

    __asm__ volatile("" : : "r"(above) : "memory");
    measure(results, row, point, options);
    __asm__ volatile("" : : "r"(above) : "memory");
}

/* What this processor lacks is no case at all, nor is a place for another size, or for what takes
 * no sum on its way. */
static bool is_here(const struct bench_point *point)
{
    struct work work;
    const char *why;

    if (point->at[AXIS_PLACE] != 0 &&
        (point->at[AXIS_BYTES] != PACKET || point->at[AXIS_WAY] < WAY_FUSED ||
         point->at[AXIS_WAY] > WAY_AVX512)) {
        return false;
    }
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
            measure_apart(&results, bench_results_row(&results, command, &point), &point, options);
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
        "variant. streaming, device: with one fence a copy, on ordinary memory. Places: FROM+TO, all but the first for "
        "packets of 1500 bytes and one pass only.",
    .axes = axes,
    .axis_count = AXES,
    .run = run,
};
