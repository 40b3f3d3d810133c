/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/shape.h"

const struct bench_shape bench_shapes[BENCH_SHAPES] = {
    {"64", "1 x 64 B", 1, 0, {64, 0, 0, 0}},
    {"1500", "1 x 1500 B", 1, 0, {1500, 0, 0, 0}},
    {"block-read", "16 B + 4 KiB read + 1 B", 1, 2, {16, 4096, 1, 0}},
    {"block-write", "16 B + 4 KiB written + 1 B", 2, 1, {16, 4096, 1, 0}},
    {"net-4", "4 segments, 1512 B", 4, 0, {12, 66, 722, 712}},
};

const char *const bench_shape_names[BENCH_SHAPES + 1] = {"64",          "1500",  "block-read",
                                                         "block-write", "net-4", NULL};

static uint32_t sum(const struct bench_shape *shape, unsigned from, unsigned to)
{
    uint32_t bytes = 0;

    for (unsigned segment = from; segment < to; segment++) {
        bytes += shape->len[segment];
    }
    return bytes;
}

uint32_t bench_shape_readable_bytes(const struct bench_shape *shape)
{
    return sum(shape, 0, shape->readable);
}

uint32_t bench_shape_writable_bytes(const struct bench_shape *shape)
{
    return sum(shape, shape->readable, bench_shape_segments(shape));
}

struct bench_shape bench_shape_coalesce(const struct bench_shape *shape)
{
    struct bench_shape one = {
        shape->name, shape->text, shape->readable > 0, shape->writable > 0, {0, 0, 0, 0}};

    one.len[0] =
        shape->readable > 0 ? bench_shape_readable_bytes(shape) : bench_shape_writable_bytes(shape);
    one.len[1] = shape->readable > 0 ? bench_shape_writable_bytes(shape) : 0;
    return one;
}
