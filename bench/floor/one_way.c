/* SPDX-License-Identifier: BSD-3-Clause */
/* One producer, one consumer, each with its index on a line of its own and a private copy of the
 * other's. */
#include "floor/message.h"

enum { SIZE = 1024, MASK = SIZE - 1, PUBLISH_EVERY = 32 };

struct one_way {
    struct floor_frame frame;
    _Alignas(FLOOR_LINE) uint64_t head; /* the producer's */
    _Alignas(FLOOR_LINE) uint64_t tail; /* the consumer's */
    _Alignas(FLOOR_LINE) struct floor_message ring[SIZE];
};

void *floor_one_way_open(const struct bench_cpus *cpus, unsigned outstanding)
{
    return floor_frame_open(sizeof(struct one_way), cpus, outstanding);
}

static int produce(struct bench_duo *duo, void *context)
{
    struct one_way *queue = context;
    uint64_t tail = 0;

    for (uint64_t head = 0; head < queue->frame.units; head++) {
        while (head - tail == SIZE) {
            __atomic_store_n(&queue->head, head, __ATOMIC_RELEASE);
            tail = __atomic_load_n(&queue->tail, __ATOMIC_ACQUIRE);
            if (head - tail == SIZE && !bench_duo_wait(duo)) {
                return -1;
            }
        }
        queue->ring[head & MASK].number = head;
        queue->ring[head & MASK].value = floor_request_value(head);
        if ((head + 1) % PUBLISH_EVERY == 0) {
            __atomic_store_n(&queue->head, head + 1, __ATOMIC_RELEASE);
        }
    }
    __atomic_store_n(&queue->head, queue->frame.units, __ATOMIC_RELEASE);
    return 0;
}

static int consume(struct bench_duo *duo, void *context)
{
    struct one_way *queue = context;
    uint64_t head = 0;
    uint64_t wrong = 0;

    for (uint64_t tail = 0; tail < queue->frame.units; tail++) {
        while (tail == head) {
            __atomic_store_n(&queue->tail, tail, __ATOMIC_RELEASE);
            head = __atomic_load_n(&queue->head, __ATOMIC_ACQUIRE);
            if (tail == head && !bench_duo_wait(duo)) {
                return -1;
            }
        }
        wrong |= queue->ring[tail & MASK].number ^ tail;
        wrong |= queue->ring[tail & MASK].value ^ floor_request_value(tail);
        if ((tail + 1) % PUBLISH_EVERY == 0) {
            __atomic_store_n(&queue->tail, tail + 1, __ATOMIC_RELEASE);
        }
    }
    return wrong == 0 ? 0 : -1;
}

int floor_one_way_run(void *rings, uint64_t units, struct bench_sample *sample)
{
    struct one_way *queue = rings;

    queue->head = 0;
    queue->tail = 0;
    return floor_frame_run(&queue->frame, consume, produce, units, sample);
}

void floor_rings_close(void *rings)
{
    free(rings);
}
