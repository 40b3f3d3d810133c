/* SPDX-License-Identifier: BSD-3-Clause */
/* The unchecked rings as a queue of the one-thread harness. */
#include "floor/protocol.h"

#include <stdlib.h>
#include <string.h>

#include "floor/ring.h"

/* Buffers lie a line more than a page apart, so that they do not all want the same cache sets. */
enum { BUFFER_STRIDE = 8192 + FLOOR_LINE, HALF_PAGE = 2048 };

struct floor_protocol {
    struct floor_split split;
    struct floor_packed packed;
    bool is_packed;
    bool copies;
    struct bench_shape shape;
    uint32_t readable_bytes;
    uint32_t writable_bytes;
    struct floor_segment segments[BENCH_WINDOW * BENCH_SEGMENTS_MAX];
    struct floor_buffer buffers[BENCH_WINDOW];
    struct floor_completion completions[BENCH_WINDOW];
    struct floor_chain chains[BENCH_WINDOW];
    struct floor_used used[BENCH_WINDOW];
    struct floor_piece pieces[BENCH_WINDOW * BENCH_SEGMENTS_MAX];
    unsigned char *memory;
    unsigned char *data;   /* BENCH_WINDOW buffers of BUFFER_STRIDE */
    unsigned char *bounce; /* as many, to copy to and from; half a page out of step with `data` */
};

static void prepare_buffers(struct floor_protocol *queue)
{
    unsigned count = bench_shape_segments(&queue->shape);

    for (unsigned index = 0; index < BENCH_WINDOW; index++) {
        struct floor_segment *segments = &queue->segments[index * count];
        unsigned char *at = queue->data + (size_t)index * BUFFER_STRIDE;

        for (unsigned segment = 0; segment < count; segment++) {
            segments[segment].addr = (uintptr_t)at;
            segments[segment].len = queue->shape.len[segment];
            at += queue->shape.len[segment];
        }
        queue->buffers[index].segments = segments;
        queue->buffers[index].cookie = &queue->buffers[index];
        queue->buffers[index].readable = queue->shape.readable;
        queue->buffers[index].writable = queue->shape.writable;
    }
}

struct floor_protocol *floor_protocol_open(const struct bench_shape *shape, bool packed,
                                           bool indirect, bool copies)
{
    size_t size = (sizeof(struct floor_protocol) + FLOOR_LINE - 1) / FLOOR_LINE * FLOOR_LINE;
    struct floor_protocol *queue = aligned_alloc(FLOOR_LINE, size);

    if (queue == NULL) {
        return NULL;
    }
    memset(queue, 0, size);
    queue->memory = calloc(2u * BENCH_WINDOW + 1u, BUFFER_STRIDE);
    if (queue->memory == NULL) {
        floor_protocol_close(queue);
        return NULL;
    }
    queue->data = queue->memory;
    queue->bounce = queue->memory + (size_t)BENCH_WINDOW * BUFFER_STRIDE + HALF_PAGE;
    queue->is_packed = packed;
    queue->copies = copies;
    queue->shape = *shape;
    queue->readable_bytes = bench_shape_readable_bytes(shape);
    queue->writable_bytes = bench_shape_writable_bytes(shape);
    floor_split_init(&queue->split, indirect);
    floor_packed_init(&queue->packed, indirect);
    prepare_buffers(queue);
    return queue;
}

void floor_protocol_close(struct floor_protocol *queue)
{
    if (queue != NULL) {
        free(queue->memory);
        free(queue);
    }
}

/* What a bounce buffer cannot do without. */
static void copy(struct floor_protocol *queue, unsigned first, unsigned count, bool back)
{
    for (unsigned index = first; index < first + count; index++) {
        unsigned char *data = queue->data + (size_t)index * BUFFER_STRIDE;
        unsigned char *bounce = queue->bounce + (size_t)index * BUFFER_STRIDE;

        if (back) {
            memcpy(data + queue->readable_bytes, bounce + queue->readable_bytes,
                   queue->writable_bytes);
        } else {
            memcpy(bounce, data, queue->readable_bytes);
        }
    }
}

static unsigned fill(void *context, unsigned count, unsigned batch)
{
    struct floor_protocol *queue = context;

    for (unsigned done = 0; done < count; done += batch) {
        if (queue->copies) {
            copy(queue, done, batch, false);
        }
        if (queue->is_packed) {
            floor_packed_driver_add(&queue->packed, &queue->buffers[done], batch);
        } else {
            floor_split_driver_add(&queue->split, &queue->buffers[done], batch);
        }
    }
    return count;
}

static unsigned serve_batch(struct floor_protocol *queue, unsigned batch)
{
    unsigned got =
        queue->is_packed
            ? floor_packed_device_pop(&queue->packed, queue->chains, batch, queue->pieces)
            : floor_split_device_pop(&queue->split, queue->chains, batch, queue->pieces);

    if (got == 0) {
        return 0;
    }
    for (unsigned index = 0; index < got; index++) {
        queue->used[index].id = queue->chains[index].id;
        queue->used[index].slots = queue->chains[index].slots;
        queue->used[index].len = queue->writable_bytes;
    }
    if (queue->is_packed) {
        floor_packed_device_push(&queue->packed, queue->used, got);
    } else {
        floor_split_device_push(&queue->split, queue->used, got);
    }
    return got;
}

static unsigned serve(void *context, unsigned count, unsigned batch)
{
    unsigned done = 0;
    unsigned got = 1;

    while (done < count && got > 0) {
        got = serve_batch(context, batch);
        done += got;
    }
    return done;
}

static unsigned drain(void *context, unsigned count, unsigned batch)
{
    struct floor_protocol *queue = context;
    unsigned done = 0;
    unsigned got = 1;

    while (done < count && got > 0) {
        struct floor_completion *completions = &queue->completions[done];

        got = queue->is_packed ? floor_packed_driver_poll(&queue->packed, completions, batch)
                               : floor_split_driver_poll(&queue->split, completions, batch);
        if (queue->copies) {
            copy(queue, done, got, true);
        }
        done += got;
    }
    return done;
}

/* Both ends keep order, so buffer n comes back n-th, with all of its writable bytes. */
static bool check(void *context, unsigned count)
{
    const struct floor_protocol *queue = context;

    for (unsigned index = 0; index < count; index++) {
        if (queue->completions[index].cookie != &queue->buffers[index] ||
            queue->completions[index].len != queue->writable_bytes) {
            return false;
        }
    }
    return true;
}

const struct bench_ends floor_protocol_ends = {fill, serve, drain, check};
