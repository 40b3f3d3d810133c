/* SPDX-License-Identifier: BSD-3-Clause */
#include "floor/protocol_pair.h"

#include "floor/message.h"
#include "floor/ring.h"

struct protocol_pair {
    struct floor_frame frame;
    struct floor_split split;
    struct floor_packed packed;
    bool is_packed;
    _Alignas(FLOOR_LINE) struct floor_segment segments[FLOOR_OUTSTANDING_MAX];
    struct floor_buffer buffers[FLOOR_OUTSTANDING_MAX];
};

enum { BYTES = 64 };

static void *pair_open(const struct bench_cpus *cpus, unsigned outstanding, bool packed)
{
    struct protocol_pair *pair = floor_frame_open(sizeof(*pair), cpus, outstanding);

    if (pair == NULL) {
        return NULL;
    }
    pair->is_packed = packed;
    floor_split_init(&pair->split, false);
    floor_packed_init(&pair->packed, false);
    pair->split.tests = false;
    pair->packed.tests = false;
    for (unsigned slot = 0; slot < outstanding; slot++) {
        /* Payload is not touched: any address will do, if each is another. */
        pair->segments[slot].addr = (uintptr_t)&pair->buffers[slot];
        pair->segments[slot].len = BYTES;
        pair->buffers[slot].segments = &pair->segments[slot];
        pair->buffers[slot].cookie = &pair->buffers[slot];
        pair->buffers[slot].readable = 1;
    }
    return pair;
}

void *floor_split_pair_open(const struct bench_cpus *cpus, unsigned outstanding)
{
    return pair_open(cpus, outstanding, false);
}

void *floor_packed_pair_open(const struct bench_cpus *cpus, unsigned outstanding)
{
    return pair_open(cpus, outstanding, true);
}

void floor_protocol_pair_close(void *pair)
{
    free(pair);
}

static void add(struct protocol_pair *pair, unsigned at, unsigned count)
{
    if (count == 0) {
        return;
    }
    if (pair->is_packed) {
        floor_packed_driver_add(&pair->packed, &pair->buffers[at], count);
    } else {
        floor_split_driver_add(&pair->split, &pair->buffers[at], count);
    }
}

static void send_burst(struct protocol_pair *pair, uint64_t sent, unsigned burst)
{
    unsigned outstanding = pair->frame.outstanding;
    unsigned at = (unsigned)(sent % outstanding);
    unsigned first = burst < outstanding - at ? burst : outstanding - at;

    add(pair, at, first);
    add(pair, 0, burst - first);
}

static int drive(struct bench_duo *duo, void *context)
{
    struct protocol_pair *pair = context;
    struct floor_completion completions[BENCH_BURST];
    unsigned outstanding = pair->frame.outstanding;
    unsigned slot = 0;
    uint64_t sent = 0;
    uint64_t got = 0;

    while (got < pair->frame.units) {
        unsigned burst =
            bench_burst(outstanding, outstanding - (sent - got), pair->frame.units - sent);
        unsigned count;

        send_burst(pair, sent, burst);
        sent += burst;
        count = pair->is_packed ? floor_packed_driver_poll(&pair->packed, completions, BENCH_BURST)
                                : floor_split_driver_poll(&pair->split, completions, BENCH_BURST);
        if (count == 0 && burst == 0 && !bench_duo_wait(duo)) {
            return -1;
        }
        for (unsigned index = 0; index < count; index++) {
            if (completions[index].cookie != &pair->buffers[slot]) {
                return -1;
            }
            slot = bench_next_slot(slot, outstanding);
        }
        got += count;
    }
    return 0;
}

static unsigned serve(struct protocol_pair *pair)
{
    struct floor_chain chains[BENCH_BURST];
    struct floor_piece pieces[BENCH_BURST];
    struct floor_used used[BENCH_BURST];
    unsigned count = pair->is_packed
                         ? floor_packed_device_pop(&pair->packed, chains, BENCH_BURST, pieces)
                         : floor_split_device_pop(&pair->split, chains, BENCH_BURST, pieces);

    if (count == 0) {
        return 0;
    }
    for (unsigned index = 0; index < count; index++) {
        used[index] = (struct floor_used){chains[index].id, chains[index].slots, 0};
    }
    if (pair->is_packed) {
        floor_packed_device_push(&pair->packed, used, count);
    } else {
        floor_split_device_push(&pair->split, used, count);
    }
    return count;
}

static int attend(struct bench_duo *duo, void *context)
{
    struct protocol_pair *pair = context;
    uint64_t done = 0;

    while (done < pair->frame.units) {
        unsigned count = serve(pair);

        if (count == 0 && !bench_duo_wait(duo)) {
            return -1;
        }
        done += count;
    }
    return 0;
}

int floor_protocol_pair_run(void *context, uint64_t units, struct bench_sample *sample)
{
    struct protocol_pair *pair = context;

    return floor_frame_run(&pair->frame, drive, attend, units, sample);
}
