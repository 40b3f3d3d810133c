/* SPDX-License-Identifier: BSD-3-Clause */
/* The shapes of buffers that are measured. */
#ifndef BENCH_HARNESS_SHAPE_H
#define BENCH_HARNESS_SHAPE_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_SEGMENTS_MAX 4u

struct bench_shape {
    const char *name; /* as in the values of an axis "shape" */
    const char *text;
    uint16_t readable; /* segments the device may read */
    uint16_t writable; /* segments the device may write, after those */
    uint32_t len[BENCH_SEGMENTS_MAX];
};

enum bench_shape_kind {
    BENCH_SHAPE_64,
    BENCH_SHAPE_1500,
    BENCH_SHAPE_BLOCK_READ,
    BENCH_SHAPE_BLOCK_WRITE,
    BENCH_SHAPE_NET_4,
    BENCH_SHAPES
};

extern const struct bench_shape bench_shapes[BENCH_SHAPES];
/* Their names, for an axis. */
extern const char *const bench_shape_names[BENCH_SHAPES + 1];

static inline unsigned bench_shape_segments(const struct bench_shape *shape)
{
    return (unsigned)shape->readable + shape->writable;
}

uint32_t bench_shape_readable_bytes(const struct bench_shape *shape);
uint32_t bench_shape_writable_bytes(const struct bench_shape *shape);

/* What a space that coalesces makes of it: one segment each way. */
struct bench_shape bench_shape_coalesce(const struct bench_shape *shape);

#endif
