/* SPDX-License-Identifier: BSD-3-Clause */
/* virtq-bench floor: what this machine needs at least, without any library. */
#include <string.h>

#include "commands.h"
#include "floor/protocol.h"
#include "floor/protocol_pair.h"
#include "floor/rings.h"
#include "floor/single.h"
#include "harness/progress.h"
#include "harness/results.h"
#include "harness/stop.h"

enum floor_kind {
    FLOOR_BARRIER,
    FLOOR_EXCHANGE,
    FLOOR_COPY,     /* parameter: bytes */
    FLOOR_PROTOCOL, /* parameter: see protocol_parameter() */
    FLOOR_LINE_TRIP,
    FLOOR_ONE_WAY,
    FLOOR_TWO_RINGS,  /* parameter: outstanding */
    FLOOR_IN_PLACE,   /* parameter: outstanding */
    FLOOR_SPLIT_PAIR, /* parameter: outstanding */
    FLOOR_PACKED_PAIR /* parameter: outstanding */
};

struct floor_case {
    const char *name;
    const char *unit;
    const char *text;
    enum floor_kind kind;
    unsigned parameter;
};

#define PROTOCOL(packed, end, shape, indirect) \
    ((packed) | (end) << 1 | (indirect) << 2 | (unsigned)(shape) << 3)

#define PROTOCOL_CASES(CASE, format, packed)                                                 \
    CASE(format "-driver", "buffer", "driver alone, 1 segment, batch 32", FLOOR_PROTOCOL,    \
         PROTOCOL(packed, BENCH_END_DRIVER, BENCH_SHAPE_64, 0))                              \
    CASE(format "-driver-4", "buffer", "driver alone, 4 segments, batch 32", FLOOR_PROTOCOL, \
         PROTOCOL(packed, BENCH_END_DRIVER, BENCH_SHAPE_NET_4, 0))                           \
    CASE(format "-driver-table", "buffer", "driver alone, 4 segments in a table, batch 32",  \
         FLOOR_PROTOCOL, PROTOCOL(packed, BENCH_END_DRIVER, BENCH_SHAPE_NET_4, 1))           \
    CASE(format "-device", "buffer", "device alone, 1 segment, batch 32", FLOOR_PROTOCOL,    \
         PROTOCOL(packed, BENCH_END_DEVICE, BENCH_SHAPE_64, 0))                              \
    CASE(format "-device-4", "buffer", "device alone, 4 segments, batch 32", FLOOR_PROTOCOL, \
         PROTOCOL(packed, BENCH_END_DEVICE, BENCH_SHAPE_NET_4, 0))                           \
    CASE(format "-device-table", "buffer", "device alone, 4 segments in a table, batch 32",  \
         FLOOR_PROTOCOL, PROTOCOL(packed, BENCH_END_DEVICE, BENCH_SHAPE_NET_4, 1))

#define OUTSTANDING_CASES(CASE, name, text, kind)                  \
    CASE(name "-1", "request", text ", 1 outstanding", kind, 1)    \
    CASE(name "-16", "request", text ", 16 outstanding", kind, 16) \
    CASE(name "-64", "request", text ", 64 outstanding", kind, 64) \
    CASE(name "-256", "request", text ", 256 outstanding", kind, 256)

#define FLOOR_CASES(CASE)                                                                          \
    CASE("barrier", "barrier", "a store, then a full barrier", FLOOR_BARRIER, 0)                   \
    CASE("exchange", "exchange", "an atomic compare and exchange", FLOOR_EXCHANGE, 0)              \
    CASE("memcpy-64", "copy", "memcpy of 64 B, hot", FLOOR_COPY, 64)                               \
    CASE("memcpy-1500", "copy", "memcpy of 1500 B, hot", FLOOR_COPY, 1500)                         \
    CASE("memcpy-4k", "copy", "memcpy of 4 KiB, hot", FLOOR_COPY, 4096)                            \
    CASE("memcpy-64k", "copy", "memcpy of 64 KiB, hot", FLOOR_COPY, 65536)                         \
    PROTOCOL_CASES(CASE, "split", 0u)                                                              \
    PROTOCOL_CASES(CASE, "packed", 1u)                                                             \
    CASE("line", "round trip", "a cache line to the other core and back", FLOOR_LINE_TRIP, 1)      \
    CASE("one-way", "message", "one ring, one way, published every 32", FLOOR_ONE_WAY, 0)          \
    OUTSTANDING_CASES(CASE, "two-rings", "request and reply over two rings", FLOOR_TWO_RINGS)      \
    OUTSTANDING_CASES(CASE, "in-place", "reply in the request's place", FLOOR_IN_PLACE)            \
    CASE("split-pair", "buffer", "unchecked queue, two cores, 64 outstanding", FLOOR_SPLIT_PAIR,   \
         64)                                                                                       \
    CASE("packed-pair", "buffer", "unchecked queue, two cores, 64 outstanding", FLOOR_PACKED_PAIR, \
         64)

#define CASE_RECORD(name, unit, text, kind, parameter) {name, unit, text, kind, parameter},
#define CASE_NAME(name, unit, text, kind, parameter) name,

static const struct floor_case cases[] = {FLOOR_CASES(CASE_RECORD)};
static const char *const case_names[] = {FLOOR_CASES(CASE_NAME) NULL};
static struct bench_axis axes[] = {{"case", "these floors", case_names, 0, false}};

enum { BATCH = 32 };

/* A round with --quick. */
#define QUICK_NS 1.0e6

static int measure_copy(const struct floor_case *floor, const struct bench_effort *effort,
                        struct bench_measured *measured)
{
    struct floor_copy copy;
    struct bench_subject subject = {floor_copy_run, &copy};
    int result;

    if (!floor_copy_open(&copy, floor->parameter, 0, FLOOR_COPY_TO)) {
        return -1;
    }
    result = bench_measure(&subject, NULL, 0, effort, measured);
    floor_copy_close(&copy);
    return result;
}

static int measure_protocol(const struct floor_case *floor, const struct bench_effort *effort,
                            struct bench_measured *measured)
{
    unsigned parameter = floor->parameter;
    struct floor_protocol *queue = floor_protocol_open(
        &bench_shapes[parameter >> 3], (parameter & 1u) != 0, (parameter & 4u) != 0, false);
    struct bench_one_thread work = {&floor_protocol_ends, queue, BATCH,
                                    (parameter & 2u) != 0 ? BENCH_END_DEVICE : BENCH_END_DRIVER};
    struct bench_subject subject = {bench_one_thread_run, &work};
    int result = queue != NULL ? bench_measure(&subject, NULL, 0, effort, measured) : -1;

    floor_protocol_close(queue);
    return result;
}

static int measure_rings(const struct floor_case *floor, const struct bench_cpus *cpus,
                         const struct bench_effort *effort, struct bench_measured *measured)
{
    static const struct {
        void *(*open)(const struct bench_cpus *cpus, unsigned outstanding);
        bench_run run;
    } rings[] = {
        {floor_line_open, floor_line_run},
        {floor_one_way_open, floor_one_way_run},
        {floor_two_rings_open, floor_two_rings_run},
        {floor_in_place_open, floor_in_place_run},
        {floor_split_pair_open, floor_protocol_pair_run},
        {floor_packed_pair_open, floor_protocol_pair_run},
    };
    unsigned kind = (unsigned)floor->kind - (unsigned)FLOOR_LINE_TRIP;
    void *memory = rings[kind].open(cpus, floor->parameter);
    struct bench_subject subject = {rings[kind].run, memory};
    int result = memory != NULL ? bench_measure(&subject, NULL, 0, effort, measured) : -1;

    floor_rings_close(memory);
    return result;
}

static int measure(const struct floor_case *floor, const struct bench_options *options,
                   struct bench_measured *measured)
{
    struct bench_effort effort = bench_effort_choose(options->quick, options->rounds, QUICK_NS);
    struct bench_subject barrier = {floor_barrier_run, NULL};
    struct bench_subject exchange = {floor_exchange_run, NULL};

    switch (floor->kind) {
    case FLOOR_BARRIER:
        return bench_measure(&barrier, NULL, 0, &effort, measured);
    case FLOOR_EXCHANGE:
        return bench_measure(&exchange, NULL, 0, &effort, measured);
    case FLOOR_COPY:
        return measure_copy(floor, &effort, measured);
    case FLOOR_PROTOCOL:
        return measure_protocol(floor, &effort, measured);
    default:
        return measure_rings(floor, &options->cpus, &effort, measured);
    }
}

static int run(const struct bench_command *command, const struct bench_options *options)
{
    struct bench_results results;
    struct bench_progress progress;
    struct bench_point point;
    unsigned total = bench_axes_count(command->axes, command->axis_count);

    bench_results_begin(&results, options);
    bench_progress_begin(&progress, command->name, total);
    for (bool more = bench_axes_next(command->axes, command->axis_count, &point, true);
         more && !bench_stop_asked();
         more = bench_axes_next(command->axes, command->axis_count, &point, false)) {
        const struct floor_case *floor = &cases[point.at[0]];
        json_t *row = bench_results_row(&results, command, &point);
        struct bench_measured measured;

        bench_progress_step(&progress, floor->name);
        (void)json_object_set_new(row, "text", json_string(floor->text));
        if (measure(floor, options, &measured) != 0) {
            bench_row_fail(&results, row, "wrong data, or no memory or thread");
            continue;
        }
        bench_row_set_measured(row, floor->unit, &measured, NULL);
    }
    bench_progress_end(&progress);
    return bench_results_end(&results, options);
}

const struct bench_command bench_command_floor = {
    .name = "floor",
    .summary = "what this machine needs at least: rings, copies, barriers, unchecked queues",
    .text =
        "Measures the floors: bare rings between two cores, copying, barriers, and drivers and devices that check "
        "nothing.\vEvery figure of the other commands is also given as a ratio to its floor, measured with it.",
    .axes = axes,
    .axis_count = 1,
    .run = run,
};
