/* SPDX-License-Identifier: BSD-3-Clause */
#include "queue/ends.h"

#include "queue/data.h"
#include "queue/variant.h"

enum { VERIFY_BATCH = 16 };

static unsigned fill(void *context, unsigned count, unsigned batch)
{
    struct bench_queue *queue = context;

    return queue->variant->fill(queue, count, batch);
}

static unsigned serve(void *context, unsigned count, unsigned batch)
{
    struct bench_queue *queue = context;

    return queue->variant->serve(queue, count, batch);
}

static unsigned drain(void *context, unsigned count, unsigned batch)
{
    struct bench_queue *queue = context;

    return queue->variant->drain(queue, count, batch);
}

/* The device keeps the order, so buffer n comes back n-th, with all of its writable bytes. */
static bool check(void *context, unsigned count)
{
    const struct bench_queue *queue = context;

    for (unsigned index = 0; index < count; index++) {
        if (queue->completions[index].cookie != &queue->buffers[index] ||
            queue->completions[index].len != queue->writable_bytes) {
            return false;
        }
    }
    return true;
}

const struct bench_ends bench_queue_ends = {fill, serve, drain, check};

bool bench_queue_verify(struct bench_queue *queue, uint64_t seed)
{
    for (unsigned slot = 0; slot < BENCH_WINDOW; slot++) {
        bench_data_offer(&queue->buffers[slot], seed + slot);
    }
    if (fill(queue, BENCH_WINDOW, VERIFY_BATCH) != BENCH_WINDOW ||
        queue->variant->serve_data(queue, BENCH_WINDOW, VERIFY_BATCH, seed) != BENCH_WINDOW ||
        drain(queue, BENCH_WINDOW, VERIFY_BATCH) != BENCH_WINDOW || !check(queue, BENCH_WINDOW)) {
        return false;
    }
    for (unsigned slot = 0; slot < BENCH_WINDOW; slot++) {
        if (!bench_data_returned(&queue->buffers[slot], seed + slot)) {
            return false;
        }
    }
    return true;
}
