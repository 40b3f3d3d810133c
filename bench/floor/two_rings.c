/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests over one ring, replies over another. What is outstanding bounds both, so neither has to
 * look for room. */
#include "floor/message.h"

enum { SIZE = FLOOR_OUTSTANDING_MAX, MASK = SIZE - 1 };

struct one_ring {
    _Alignas(FLOOR_LINE) uint64_t head;
    _Alignas(FLOOR_LINE) struct floor_message ring[SIZE];
};

struct two_rings {
    struct floor_frame frame;
    struct one_ring request;
    struct one_ring reply;
};

void *floor_two_rings_open(const struct bench_cpus *cpus, unsigned outstanding)
{
    return floor_frame_open(sizeof(struct two_rings), cpus, outstanding);
}

/* Takes at most a burst from a ring; the number of them. */
static inline uint64_t ready(const struct one_ring *ring, uint64_t tail)
{
    uint64_t count = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) - tail;

    return count < BENCH_BURST ? count : BENCH_BURST;
}

static uint64_t send_burst(struct two_rings *rings, uint64_t sent, uint64_t end)
{
    for (; sent < end; sent++) {
        rings->request.ring[sent & MASK].number = sent;
        rings->request.ring[sent & MASK].value = floor_request_value(sent);
    }
    __atomic_store_n(&rings->request.head, sent, __ATOMIC_RELEASE);
    return sent;
}

static int ask(struct bench_duo *duo, void *context)
{
    struct two_rings *rings = context;
    uint64_t units = rings->frame.units;
    uint64_t sent = 0;
    uint64_t got = 0;
    uint64_t wrong = 0;

    while (got < units) {
        unsigned outstanding = rings->frame.outstanding;
        unsigned burst = bench_burst(outstanding, outstanding - (sent - got), units - sent);
        uint64_t end;

        if (burst > 0) {
            sent = send_burst(rings, sent, sent + burst);
        }
        end = got + ready(&rings->reply, got);
        if (end == got && burst == 0 && !bench_duo_wait(duo)) {
            return -1;
        }
        for (; got < end; got++) {
            const struct floor_message *reply = &rings->reply.ring[got & MASK];

            wrong |= (reply->number ^ got) |
                     (reply->value ^ floor_reply_value(floor_request_value(got)));
        }
    }
    return wrong == 0 ? 0 : -1;
}

static int answer(struct bench_duo *duo, void *context)
{
    struct two_rings *rings = context;
    uint64_t done = 0;

    while (done < rings->frame.units) {
        uint64_t end = done + ready(&rings->request, done);

        if (end == done) {
            if (!bench_duo_wait(duo)) {
                return -1;
            }
            continue;
        }
        for (; done < end; done++) {
            const struct floor_message *request = &rings->request.ring[done & MASK];

            rings->reply.ring[done & MASK].number = request->number;
            rings->reply.ring[done & MASK].value = floor_reply_value(request->value);
        }
        __atomic_store_n(&rings->reply.head, done, __ATOMIC_RELEASE);
    }
    return 0;
}

int floor_two_rings_run(void *context, uint64_t units, struct bench_sample *sample)
{
    struct two_rings *rings = context;

    rings->request.head = 0;
    rings->reply.head = 0;
    return floor_frame_run(&rings->frame, ask, answer, units, sample);
}
