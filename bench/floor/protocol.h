/* SPDX-License-Identifier: BSD-3-Clause */
/* What the protocol alone costs: a driver and a device that check nothing, for each format.
 *
 * They do all that the wire format asks for (descriptors, ids, event indices, the full barrier
 * before a notification test) on identity addresses, trust the other side, read shared memory back,
 * and know no errors. No queue that keeps its guard up can be as fast: they are what the library's
 * figures are held against. Each operation is a function that is never inlined, so that a profiler
 * can tell them apart.
 */
#ifndef BENCH_FLOOR_PROTOCOL_H
#define BENCH_FLOOR_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#include "harness/one_thread.h"
#include "harness/shape.h"

struct floor_segment {
    uint64_t addr;
    uint32_t len;
};

struct floor_buffer {
    const struct floor_segment *segments;
    void *cookie;
    uint16_t readable;
    uint16_t writable;
};

struct floor_completion {
    void *cookie;
    uint32_t len;
};

struct floor_piece {
    void *base;
    uint32_t len;
};

struct floor_chain {
    const struct floor_piece *pieces;
    uint16_t id;
    uint16_t slots;
    uint16_t readable;
    uint16_t writable;
};

struct floor_used {
    uint16_t id;
    uint16_t slots;
    uint32_t len;
};

/* A queue with everything the one-thread harness needs. */
struct floor_protocol;

/* `packed`, `indirect`: how the ring is used. `copies`: the driver also copies each buffer's bytes,
 * the readable ones when it is added and the writable ones when it comes back, as a bounce buffer
 * must. NULL: no memory. */
struct floor_protocol *floor_protocol_open(const struct bench_shape *shape, bool packed,
                                           bool indirect, bool copies);
void floor_protocol_close(struct floor_protocol *queue);

/* For bench_one_thread, with the queue. */
extern const struct bench_ends floor_protocol_ends;

#endif
