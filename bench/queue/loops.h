/* SPDX-License-Identifier: BSD-3-Clause */
/* The loops that are measured, compiled once for each instance: the file that includes this has
 * defined the functions call_*, and then says BENCH_VARIANT(name).
 */
#ifndef BENCH_QUEUE_LOOPS_H
#define BENCH_QUEUE_LOOPS_H

#include "queue/loops_pair.h"
#include "queue/steps.h"
#include "queue/variant.h"

BENCH_LOOP unsigned loop_fill(struct bench_queue *queue, unsigned count, unsigned batch)
{
    for (unsigned done = 0; done < count; done += batch) {
        if (call_add(queue, &queue->buffers[done], batch) != (int)batch ||
            call_publish(queue) != batch) {
            return done;
        }
        queue->driver_notifications += call_needs_notify(queue);
    }
    return count;
}

BENCH_LOOP unsigned loop_drain(struct bench_queue *queue, unsigned count, unsigned batch)
{
    unsigned done = 0;

    while (done < count) {
        int got = call_poll(queue, &queue->completions[done], batch);

        if (got <= 0) {
            break;
        }
        done += (unsigned)got;
    }
    return done;
}

BENCH_LOOP unsigned loop_serve(struct bench_queue *queue, unsigned count, unsigned batch)
{
    unsigned done = 0;

    while (done < count) {
        int got = call_pop(queue, queue->chains, batch, queue->pieces,
                           batch * BENCH_QUEUE_SEGMENTS_MAX * 2);

        if (got <= 0) {
            break;
        }
        for (int index = 0; index < got; index++) {
            queue->used[index].id = queue->chains[index].id;
            queue->used[index].len = (uint32_t)queue->chains[index].writable_bytes;
        }
        if (!push_back(queue, (unsigned)got)) {
            break;
        }
        queue->device_notifications += call_device_needs_notify(queue) == 1;
        done += (unsigned)got;
    }
    return done;
}

BENCH_LOOP unsigned loop_serve_data(struct bench_queue *queue, unsigned count, unsigned batch,
                                    uint64_t seed)
{
    unsigned done = 0;

    while (done < count) {
        int got = call_pop(queue, queue->chains, batch, queue->pieces,
                           batch * BENCH_QUEUE_SEGMENTS_MAX * 2);

        if (got <= 0 || !answer(queue, (unsigned)got, true, seed + done) ||
            !push_back(queue, (unsigned)got)) {
            break;
        }
        done += (unsigned)got;
    }
    return done;
}

static int single_add(struct bench_queue *queue, const struct virtq_buffer *buffers, unsigned count)
{
    return call_add(queue, buffers, count);
}

static unsigned single_publish(struct bench_queue *queue)
{
    return call_publish(queue);
}

static int single_poll(struct bench_queue *queue, struct virtq_completion *completions,
                       unsigned count)
{
    return call_poll(queue, completions, count);
}

static int single_pop(struct bench_queue *queue, struct virtq_chain *chains, unsigned count,
                      struct virtq_piece *pieces, unsigned piece_count)
{
    return call_pop(queue, chains, count, pieces, piece_count);
}

static int single_push(struct bench_queue *queue, const struct virtq_used_buffer *used,
                       unsigned count)
{
    return call_push(queue, used, count);
}

static int single_device_publish(struct bench_queue *queue)
{
    return call_device_publish(queue);
}

#define BENCH_VARIANT(name)                        \
    const struct bench_variant name = {            \
        .driver_size = call_driver_size,           \
        .device_size = call_device_size,           \
        .driver_init = call_driver_init,           \
        .device_init = call_device_init,           \
        .driver_addresses = call_driver_addresses, \
        .driver_destroy = call_driver_destroy,     \
        .fill = loop_fill,                         \
        .drain = loop_drain,                       \
        .serve = loop_serve,                       \
        .serve_data = loop_serve_data,             \
        .drive = loop_drive,                       \
        .attend = loop_attend,                     \
        .add = single_add,                         \
        .publish = single_publish,                 \
        .poll = single_poll,                       \
        .pop = single_pop,                         \
        .push = single_push,                       \
        .device_publish = single_device_publish,   \
    }

#endif
