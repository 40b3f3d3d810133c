/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two-processor floors share: the message, and the frame of a run. */
#ifndef BENCH_FLOOR_MESSAGE_H
#define BENCH_FLOOR_MESSAGE_H

#include <stdlib.h>
#include <string.h>

#include "floor/rings.h"
#include "harness/burst.h"
#include "harness/duo.h"

#define FLOOR_LINE 64

struct floor_message {
    uint64_t number;
    uint64_t value;
};

/* The beginning of each ring's memory. */
struct floor_frame {
    struct bench_cpus cpus;
    unsigned outstanding;
    uint64_t units;
};

/* What a request carries and what its reply must: neither side can guess the other's part from a
 * message it lost. */
static inline uint64_t floor_request_value(uint64_t number)
{
    return number * 0x9e3779b97f4a7c15u;
}

static inline uint64_t floor_reply_value(uint64_t request_value)
{
    return ~request_value;
}

static inline void *floor_frame_open(size_t size, const struct bench_cpus *cpus,
                                     unsigned outstanding)
{
    size_t whole = (size + FLOOR_LINE - 1) / FLOOR_LINE * FLOOR_LINE;
    struct floor_frame *frame = aligned_alloc(FLOOR_LINE, whole);

    if (frame != NULL) {
        memset(frame, 0, whole);
        frame->cpus = *cpus;
        frame->outstanding = outstanding;
    }
    return frame;
}

static inline int floor_frame_run(struct floor_frame *frame, bench_duo_side near,
                                  bench_duo_side far, uint64_t units, struct bench_sample *sample)
{
    uint64_t elapsed = 0;

    units = bench_whole_bursts(units);
    frame->units = units;
    if (bench_duo_run(&frame->cpus, near, far, frame, &elapsed) != 0) {
        return -1;
    }
    sample->timer.ns = elapsed;
    sample->timer.sections = 1;
    sample->units = units;
    return 0;
}

#endif
