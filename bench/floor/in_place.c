/* SPDX-License-Identifier: BSD-3-Clause */
/* A request, and in its place the reply. A slot's own state says whose it is, so no index crosses.
 */
#include "floor/message.h"

enum { SIZE = FLOOR_OUTSTANDING_MAX, MASK = SIZE - 1 };

/* As long as a packed descriptor: 8 bytes of value, 6 of number, 2 of state. */
struct slot {
    uint64_t value;
    uint32_t number;
    uint16_t number_high;
    uint16_t state;
};

struct in_place {
    struct floor_frame frame;
    _Alignas(FLOOR_LINE) struct slot ring[SIZE];
};

/* The state of slot `at` in its round: requests and replies of a round differ, and so do those of
 * the round before. */
static inline uint16_t request_state(uint64_t at)
{
    return (uint16_t)(2u * (at / SIZE) + 1u);
}

static inline uint16_t reply_state(uint64_t at)
{
    return (uint16_t)(2u * (at / SIZE) + 2u);
}

void *floor_in_place_open(const struct bench_cpus *cpus, unsigned outstanding)
{
    return floor_frame_open(sizeof(struct in_place), cpus, outstanding);
}

static inline void slot_write(struct slot *slot, uint64_t at)
{
    slot->value = floor_request_value(at);
    slot->number = (uint32_t)at;
    slot->number_high = (uint16_t)(at >> 32);
}

/* A burst becomes visible with its first slot, which is written last. */
static uint64_t send_burst(struct in_place *ring, uint64_t sent, uint64_t end)
{
    uint64_t first = sent;

    slot_write(&ring->ring[sent & MASK], sent);
    for (sent++; sent < end; sent++) {
        slot_write(&ring->ring[sent & MASK], sent);
        __atomic_store_n(&ring->ring[sent & MASK].state, request_state(sent), __ATOMIC_RELAXED);
    }
    __atomic_store_n(&ring->ring[first & MASK].state, request_state(first), __ATOMIC_RELEASE);
    return end;
}

static uint64_t take_replies(struct in_place *ring, uint64_t got, uint64_t sent, uint64_t *wrong)
{
    uint64_t end = sent - got < BENCH_BURST ? sent : got + BENCH_BURST;

    for (; got < end; got++) {
        const struct slot *slot = &ring->ring[got & MASK];

        if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) != reply_state(got)) {
            break;
        }
        *wrong |= slot->value ^ floor_reply_value(floor_request_value(got));
        *wrong |= (slot->number | (uint64_t)slot->number_high << 32) ^ got;
    }
    return got;
}

static int ask(struct bench_duo *duo, void *context)
{
    struct in_place *ring = context;
    uint64_t units = ring->frame.units;
    uint64_t sent = 0;
    uint64_t got = 0;
    uint64_t wrong = 0;

    while (got < units) {
        unsigned outstanding = ring->frame.outstanding;
        unsigned burst = bench_burst(outstanding, outstanding - (sent - got), units - sent);
        uint64_t before = got;

        if (burst > 0) {
            sent = send_burst(ring, sent, sent + burst);
        }
        got = take_replies(ring, got, sent, &wrong);
        if (got == before && burst == 0 && !bench_duo_wait(duo)) {
            return -1;
        }
    }
    return wrong == 0 ? 0 : -1;
}

static uint64_t answer_burst(struct in_place *ring, uint64_t done)
{
    uint64_t first = done;
    uint64_t end = done + BENCH_BURST;

    for (; done < end; done++) {
        struct slot *slot = &ring->ring[done & MASK];

        if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) != request_state(done)) {
            break;
        }
        slot->value = floor_reply_value(slot->value);
        if (done != first) {
            __atomic_store_n(&slot->state, reply_state(done), __ATOMIC_RELAXED);
        }
    }
    if (done != first) {
        __atomic_store_n(&ring->ring[first & MASK].state, reply_state(first), __ATOMIC_RELEASE);
    }
    return done;
}

static int answer(struct bench_duo *duo, void *context)
{
    struct in_place *ring = context;
    uint64_t done = 0;

    while (done < ring->frame.units) {
        uint64_t end = answer_burst(ring, done);

        if (end == done && !bench_duo_wait(duo)) {
            return -1;
        }
        done = end;
    }
    return 0;
}

int floor_in_place_run(void *context, uint64_t units, struct bench_sample *sample)
{
    struct in_place *ring = context;

    memset(ring->ring, 0, sizeof(ring->ring));
    return floor_frame_run(&ring->frame, ask, answer, units, sample);
}
