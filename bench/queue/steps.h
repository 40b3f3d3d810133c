/* SPDX-License-Identifier: BSD-3-Clause */
/* What all loops that are measured do between their calls; for loops.h. */
#ifndef BENCH_QUEUE_STEPS_H
#define BENCH_QUEUE_STEPS_H

#include "queue/data.h"
#include "queue/queue.h"

/* Never inlined: a profiler is to see them. */
#define BENCH_LOOP static __attribute__((noinline))
/* Always: a constant that is given to one of these is to reach all of it. */
#define BENCH_INLINE static inline __attribute__((always_inline))

/* What was popped goes back, in order. */
BENCH_INLINE bool push_back(struct bench_queue *queue, unsigned count)
{
    return call_push(queue, queue->used, count) == (int)count &&
           call_device_publish(queue) == (int)count;
}

/* Whether what was popped is well formed; it is to go back with all of its writable bytes.
 * Differences are gathered and judged once, as in the floors that the figures are compared with. */
BENCH_INLINE bool well_formed(struct bench_queue *queue, unsigned count)
{
    const uint32_t readable = queue->readable_bytes;
    const uint32_t writable = queue->writable_bytes;
    uint64_t wrong = 0;

    for (unsigned index = 0; index < count; index++) {
        const struct virtq_chain *chain = &queue->chains[index];

        wrong |= chain->reason ^ (uint32_t)VIRTQ_REASON_NONE;
        wrong |= chain->readable_bytes ^ readable;
        wrong |= chain->writable_bytes ^ writable;
        queue->used[index].id = chain->id;
        queue->used[index].len = writable;
    }
    return wrong == 0;
}

/* The device's work on a batch that was popped: whether it is well formed, and, if `touch`, its
 * data. */
BENCH_INLINE bool answer(struct bench_queue *queue, unsigned count, bool touch, uint64_t seed)
{
    if (!well_formed(queue, count)) {
        return false;
    }
    for (unsigned index = 0; touch && index < count; index++) {
        if (!bench_data_answer(&queue->chains[index], seed + index)) {
            return false;
        }
    }
    return true;
}

#endif
