/* SPDX-License-Identifier: BSD-3-Clause */
/* The loops of the two ends on two processors; for loops.h. */
#ifndef BENCH_QUEUE_LOOPS_PAIR_H
#define BENCH_QUEUE_LOOPS_PAIR_H

#include "harness/burst.h"
#include "harness/timer.h"
#include "queue/pair.h"
#include "queue/steps.h"

/* The slot so many after one, of as many as may be outstanding; not more than that. A division for
 * each burst would be more than the floors do. */
BENCH_INLINE unsigned slot_after(unsigned outstanding, unsigned slot, unsigned count)
{
    slot += count;
    return slot >= outstanding ? slot - outstanding : slot;
}

/* A run as a loop sees it. Where it only polls, and neither touches payloads nor reads the clock,
 * `plain` is a constant, and nothing of the rest is left: what a loop does beside its calls counts
 * for the queue, and the floors do not do it. */
struct bench_run_view {
    struct bench_pair *pair;
    struct bench_queue *queue;
    unsigned outstanding;
    bool plain;
};

BENCH_INLINE bool run_touches(const struct bench_run_view *run)
{
    return !run->plain && run->pair->touch;
}

BENCH_INLINE struct bench_histogram *run_latencies(const struct bench_run_view *run)
{
    return run->plain ? NULL : run->pair->latencies;
}

BENCH_INLINE bool run_notifies(const struct bench_run_view *run)
{
    return !run->plain && run->pair->notify;
}

BENCH_INLINE bool run_is_plain(const struct bench_pair *pair)
{
    return !pair->touch && pair->latencies == NULL && !pair->notify;
}

/* Adds a burst. Slots are used in turn, so it may have two parts. */
BENCH_INLINE bool drive_send(const struct bench_run_view *run, uint64_t sent, unsigned at,
                             unsigned burst)
{
    struct bench_queue *queue = run->queue;
    struct bench_pair *pair = run->pair;
    unsigned first = burst < run->outstanding - at ? burst : run->outstanding - at;

    for (unsigned index = 0, slot = at; run_touches(run) && index < burst; index++) {
        bench_data_offer(&queue->buffers[slot], sent + index);
        slot = bench_next_slot(slot, run->outstanding);
    }
    if (call_add(queue, &queue->buffers[at], first) != (int)first ||
        (burst > first && call_add(queue, queue->buffers, burst - first) != (int)(burst - first))) {
        pair->failure = "a buffer could not be added";
        return false;
    }
    if (run_latencies(run) != NULL) {
        uint64_t now = bench_clock_ns();

        for (unsigned index = 0, slot = at; index < burst; index++) {
            pair->stamps[slot] = now;
            slot = bench_next_slot(slot, run->outstanding);
        }
    }
    (void)call_publish(queue);
    if (run_notifies(run) && call_needs_notify(queue)) {
        bench_pair_wake(pair->to_device);
    }
    return true;
}

/* What is wrong with completions that came back: they are to be these buffers in order, and whole.
 * 0: nothing. */
BENCH_INLINE uint64_t differences(const struct virtq_completion *completions,
                                  const struct virtq_buffer *expected, unsigned count,
                                  uint32_t bytes)
{
    uint64_t wrong = 0;

    for (unsigned index = 0; index < count; index++) {
        wrong |= (uintptr_t)completions[index].cookie ^ (uintptr_t)&expected[index];
        wrong |= completions[index].len ^ bytes;
    }
    return wrong;
}

/* Whether what came back came in order, and whole; judged once, as on the other side. */
BENCH_INLINE bool in_order(const struct bench_run_view *run, unsigned slot, unsigned count)
{
    const struct bench_queue *queue = run->queue;
    const unsigned first = run->outstanding - slot < count ? run->outstanding - slot : count;
    const uint32_t bytes = queue->writable_bytes;
    uint64_t wrong = differences(queue->completions, &queue->buffers[slot], first, bytes);

    if (first < count) {
        wrong |= differences(&queue->completions[first], queue->buffers, count - first, bytes);
    }
    return wrong == 0;
}

/* Looks at what came back: in order, whole, and if it is touched with the right bytes. */
BENCH_INLINE bool drive_take(const struct bench_run_view *run, uint64_t got, unsigned slot,
                             unsigned count)
{
    struct bench_histogram *const latencies = run_latencies(run);
    const bool touch = run_touches(run);
    uint64_t now = latencies != NULL ? bench_clock_ns() : 0;
    bool right = in_order(run, slot, count);

    for (unsigned index = 0; (touch || latencies != NULL) && index < count; index++) {
        if (touch) {
            right = right && bench_data_returned(&run->queue->buffers[slot], got + index);
        }
        if (latencies != NULL) {
            bench_histogram_add(latencies, now - run->pair->stamps[slot]);
        }
        slot = bench_next_slot(slot, run->outstanding);
    }
    if (!right) {
        run->pair->failure = "a wrong buffer, length or payload came back";
    }
    return right;
}

BENCH_INLINE bool drive_wait(struct bench_duo *duo, const struct bench_run_view *run)
{
    if (!run_notifies(run)) {
        return bench_duo_wait(duo);
    }
    if (!call_enable_notify(run->queue) && !bench_pair_sleep(duo, run->pair->to_driver)) {
        if (!bench_duo_abandoned(duo)) {
            run->pair->failure = "the driver was not notified";
        }
        return false;
    }
    call_disable_notify(run->queue);
    return true;
}

BENCH_INLINE int drive(struct bench_duo *duo, struct bench_pair *pair, const bool plain)
{
    const struct bench_run_view run = {pair, pair->queue, pair->outstanding, plain};
    const uint64_t units = pair->units;
    uint64_t sent = 0;
    uint64_t got = 0;
    unsigned next = 0;   /* slot to send from */
    unsigned oldest = 0; /* slot to come back */

    while (got < units) {
        unsigned burst = bench_burst(run.outstanding, run.outstanding - (sent - got), units - sent);
        int count;

        if (burst > 0) {
            if (!drive_send(&run, sent, next, burst)) {
                return -1;
            }
            sent += burst;
            next = slot_after(run.outstanding, next, burst);
        }
        count = call_poll(run.queue, run.queue->completions, BENCH_BURST);
        if (count < 0) {
            pair->failure = "the driver's queue broke";
            return -1;
        }
        if (count == 0) {
            if (burst == 0 && !drive_wait(duo, &run)) {
                return -1;
            }
            continue;
        }
        if (!drive_take(&run, got, oldest, (unsigned)count)) {
            return -1;
        }
        got += (unsigned)count;
        oldest = slot_after(run.outstanding, oldest, (unsigned)count);
    }
    return 0;
}

BENCH_LOOP int loop_drive(struct bench_duo *duo, struct bench_pair *pair)
{
    call_disable_notify(pair->queue);
    return run_is_plain(pair) ? drive(duo, pair, true) : drive(duo, pair, false);
}

BENCH_INLINE bool attend_wait(struct bench_duo *duo, const struct bench_run_view *run)
{
    if (!run_notifies(run)) {
        return bench_duo_wait(duo);
    }
    if (!call_device_enable_notify(run->queue) && !bench_pair_sleep(duo, run->pair->to_device)) {
        if (!bench_duo_abandoned(duo)) {
            run->pair->device_failure = "the device was not notified";
        }
        return false;
    }
    call_device_disable_notify(run->queue);
    return true;
}

BENCH_INLINE int attend(struct bench_duo *duo, struct bench_pair *pair, const bool plain)
{
    const struct bench_run_view run = {pair, pair->queue, pair->outstanding, plain};
    struct bench_queue *queue = run.queue;
    const uint64_t units = pair->units;
    uint64_t done = 0;

    while (done < units) {
        int count = call_pop(queue, queue->chains, BENCH_BURST, queue->pieces,
                             BENCH_BURST * BENCH_QUEUE_SEGMENTS_MAX);

        if (count == 0) {
            if (!attend_wait(duo, &run)) {
                return -1;
            }
            continue;
        }
        if (count < 0) {
            pair->device_failure = "the device's queue broke";
            return -1;
        }
        if (!answer(queue, (unsigned)count, run_touches(&run), done)) {
            pair->device_failure = "a wrong buffer, length or payload came to the device";
            return -1;
        }
        if (!push_back(queue, (unsigned)count)) {
            pair->device_failure = "the device could not give buffers back";
            return -1;
        }
        if (run_notifies(&run) && call_device_needs_notify(queue) == 1) {
            bench_pair_wake(pair->to_driver);
        }
        done += (unsigned)count;
    }
    return 0;
}

BENCH_LOOP int loop_attend(struct bench_duo *duo, struct bench_pair *pair)
{
    call_device_disable_notify(pair->queue);
    return run_is_plain(pair) ? attend(duo, pair, true) : attend(duo, pair, false);
}

#endif
