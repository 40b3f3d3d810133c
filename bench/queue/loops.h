/* SPDX-License-Identifier: BSD-3-Clause */
/* The loops that are measured, compiled once for each instance: the file that includes this has
 * defined the functions call_*, and then says BENCH_VARIANT(name).
 */
#ifndef BENCH_QUEUE_LOOPS_H
#define BENCH_QUEUE_LOOPS_H

#include "harness/burst.h"
#include "harness/timer.h"
#include "queue/data.h"
#include "queue/variant.h"

/* Never inlined: a profiler is to see them. */
#define BENCH_LOOP static __attribute__((noinline))

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

/* What was popped goes back, in order. */
static inline bool push_back(struct bench_queue *queue, unsigned count)
{
    return call_push(queue, queue->used, count) == (int)count &&
           call_device_publish(queue) == (int)count;
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

/* Whether what was popped is well formed; it is to go back with all of its writable bytes.
 * Differences are gathered and judged once, as in the floors that the figures are compared with. */
static inline bool well_formed(struct bench_queue *queue, unsigned count)
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
static inline bool answer(struct bench_queue *queue, unsigned count, bool touch, uint64_t seed)
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

/* The slot so many after one, of as many as may be outstanding; not more than that. A division for
 * each burst would be more than the floors do. */
static inline unsigned slot_after(const struct bench_pair *pair, unsigned slot, unsigned count)
{
    slot += count;
    return slot >= pair->outstanding ? slot - pair->outstanding : slot;
}

/* Adds a burst. Slots are used in turn, so it may have two parts. */
static inline bool drive_send(struct bench_pair *pair, uint64_t sent, unsigned at, unsigned burst)
{
    struct bench_queue *queue = pair->queue;
    unsigned first = burst < pair->outstanding - at ? burst : pair->outstanding - at;

    if (pair->touch) {
        for (unsigned index = 0, slot = at; index < burst; index++) {
            bench_data_offer(&queue->buffers[slot], sent + index);
            slot = bench_next_slot(slot, pair->outstanding);
        }
    }
    if (call_add(queue, &queue->buffers[at], first) != (int)first ||
        (burst > first && call_add(queue, queue->buffers, burst - first) != (int)(burst - first))) {
        pair->failure = "a buffer could not be added";
        return false;
    }
    if (pair->latencies != NULL) {
        uint64_t now = bench_clock_ns();

        for (unsigned index = 0, slot = at; index < burst; index++) {
            pair->stamps[slot] = now;
            slot = bench_next_slot(slot, pair->outstanding);
        }
    }
    (void)call_publish(queue);
    if (pair->notify && call_needs_notify(queue)) {
        bench_pair_wake(pair->to_device);
    }
    return true;
}

/* What is wrong with completions that came back: they are to be these buffers in order, and whole.
 * 0: nothing. */
static inline uint64_t differences(const struct virtq_completion *completions,
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

/* Whether what came back came in order, and whole; judged once, as above. */
static inline bool in_order(const struct bench_pair *pair, unsigned slot, unsigned count)
{
    const struct bench_queue *queue = pair->queue;
    const unsigned run = pair->outstanding - slot < count ? pair->outstanding - slot : count;
    const uint32_t bytes = queue->writable_bytes;

    return (differences(queue->completions, &queue->buffers[slot], run, bytes) |
            differences(&queue->completions[run], queue->buffers, count - run, bytes)) == 0;
}

/* Looks at what came back: in order, whole, and if `touch` with the right bytes. */
static inline bool drive_take(struct bench_pair *pair, uint64_t got, unsigned slot, unsigned count)
{
    const struct bench_queue *queue = pair->queue;
    uint64_t now = pair->latencies != NULL ? bench_clock_ns() : 0;
    bool right = in_order(pair, slot, count);

    for (unsigned index = 0; (pair->touch || pair->latencies != NULL) && index < count; index++) {
        if (pair->touch) {
            right = right && bench_data_returned(&queue->buffers[slot], got + index);
        }
        if (pair->latencies != NULL) {
            bench_histogram_add(pair->latencies, now - pair->stamps[slot]);
        }
        slot = bench_next_slot(slot, pair->outstanding);
    }
    if (!right) {
        pair->failure = "a wrong buffer, length or payload came back";
    }
    return right;
}

static inline bool drive_wait(struct bench_duo *duo, struct bench_pair *pair)
{
    if (!pair->notify) {
        return bench_duo_wait(duo);
    }
    if (!call_enable_notify(pair->queue) && !bench_pair_sleep(duo, pair->to_driver)) {
        pair->failure = "the driver was not notified";
        return false;
    }
    call_disable_notify(pair->queue);
    return true;
}

BENCH_LOOP int loop_drive(struct bench_duo *duo, struct bench_pair *pair)
{
    uint64_t sent = 0;
    uint64_t got = 0;
    unsigned next = 0;   /* slot to send from */
    unsigned oldest = 0; /* slot to come back */

    call_disable_notify(pair->queue);
    while (got < pair->units) {
        unsigned burst =
            bench_burst(pair->outstanding, pair->outstanding - (sent - got), pair->units - sent);
        int count;

        if (burst > 0) {
            if (!drive_send(pair, sent, next, burst)) {
                return -1;
            }
            sent += burst;
            next = slot_after(pair, next, burst);
        }
        count = call_poll(pair->queue, pair->queue->completions, BENCH_BURST);
        if (count < 0) {
            pair->failure = "the driver's queue broke";
            return -1;
        }
        if (count == 0) {
            if (burst == 0 && !drive_wait(duo, pair)) {
                return -1;
            }
            continue;
        }
        if (!drive_take(pair, got, oldest, (unsigned)count)) {
            return -1;
        }
        got += (unsigned)count;
        oldest = slot_after(pair, oldest, (unsigned)count);
    }
    return 0;
}

static inline bool attend_wait(struct bench_duo *duo, struct bench_pair *pair)
{
    if (!pair->notify) {
        return bench_duo_wait(duo);
    }
    if (!call_device_enable_notify(pair->queue) && !bench_pair_sleep(duo, pair->to_device)) {
        return false;
    }
    call_device_disable_notify(pair->queue);
    return true;
}

BENCH_LOOP int loop_attend(struct bench_duo *duo, struct bench_pair *pair)
{
    struct bench_queue *queue = pair->queue;
    uint64_t done = 0;

    call_device_disable_notify(queue);
    while (done < pair->units) {
        int count = call_pop(queue, queue->chains, BENCH_BURST, queue->pieces,
                             BENCH_BURST * BENCH_QUEUE_SEGMENTS_MAX);

        if (count == 0) {
            if (!attend_wait(duo, pair)) {
                pair->device_failure = "the device was not notified";
                return -1;
            }
            continue;
        }
        if (count < 0) {
            pair->device_failure = "the device's queue broke";
            return -1;
        }
        if (!answer(queue, (unsigned)count, pair->touch, done)) {
            pair->device_failure = "a wrong buffer, length or payload came to the device";
            return -1;
        }
        if (!push_back(queue, (unsigned)count)) {
            pair->device_failure = "the device could not give buffers back";
            return -1;
        }
        if (pair->notify && call_device_needs_notify(queue) == 1) {
            bench_pair_wake(pair->to_driver);
        }
        done += (unsigned)count;
    }
    return 0;
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
