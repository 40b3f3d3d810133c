/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Two ends that run at the same time: the loops of each, every byte checked.
 *
 * An end that sleeps waits on an eventfd, and only after enable_notify said that it may; a wake-up
 * that is lost leaves both asleep, which the wait reports as a failure after #STRESS_PATIENCE.
 */
#ifndef VIRTQ_TESTS_STRESS_H
#define VIRTQ_TESTS_STRESS_H

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "hostile/ends.h"
#include "support/random.h"
#include "support/runner.h"

enum {
    STRESS_BUFFERS = 64,     /* At most so many at once. */
    STRESS_SEGMENTS = 4,     /* Of one buffer. */
    STRESS_BYTES = 512,      /* Of one buffer, both parts. */
    STRESS_PATIENCE = 20000, /* Milliseconds without a wake-up. */
    STRESS_BATCH = 8,
    STRESS_UNTOUCHED = 0xa5
};

/** @brief The driver's memory of one buffer, in memory that both ends see. */
struct stress_slot {
    unsigned char bytes[STRESS_BYTES];
};

/** @brief What both ends see besides the ring. */
struct stress_shared {
    struct stress_slot slots[STRESS_BUFFERS];
    uint32_t stop;     /**< The device may leave. */
    uint32_t failed;   /**< An end has met an error: both leave. */
    uint64_t passed;   /**< Buffers that went round. */
    uint64_t seen[2];  /**< Counts each end's moments between two calls. */
    char failure[200]; /**< What the first error was. */
};

/** @brief One run. */
struct stress {
    struct stress_shared *shared;
    struct driver_end driver;
    struct device_end device;
    int kicks[2]; /**< Eventfds: to the device, to the driver. */
    bool sleeps;  /**< Else both spin. */
    double seconds;
    uint64_t seed; /**< The driver's. */
};

/** @brief Seconds for one configuration. */
static inline double stress_seconds(void)
{
    const char *word = getenv("VIRTQ_STRESS_SECONDS");
    double seconds = word != NULL ? atof(word) : 0;

    return seconds > 0 ? seconds : 0.5;
}

static inline double stress_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/** @brief Notes an error; the first one is kept. Gives false. */
static inline bool stress_fail(struct stress *s, const char *text)
{
    uint32_t none = 0;

    if (__atomic_compare_exchange_n(&s->shared->failed, &none, 1, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
        strncpy(s->shared->failure, text, sizeof(s->shared->failure) - 1);
        __atomic_store_n(&s->shared->failed, 2, __ATOMIC_SEQ_CST);
    }
    return false;
}

static inline bool stress_failed(const struct stress *s)
{
    return __atomic_load_n(&s->shared->failed, __ATOMIC_SEQ_CST) != 0;
}

static inline void stress_kick(const struct stress *s, unsigned to)
{
    const uint64_t one = 1;

    while (write(s->kicks[to], &one, sizeof(one)) < 0 && errno == EINTR) {
    }
}

/* Waits for a kick. */
static inline bool stress_wait(struct stress *s, unsigned who)
{
    struct pollfd wait = {s->kicks[who], POLLIN, 0};
    uint64_t count;
    int ready;

    do {
        ready = poll(&wait, 1, STRESS_PATIENCE);
    } while (ready < 0 && errno == EINTR);
    if (ready != 1) {
        return stress_fail(s,
                           who == 0 ? "the device was never woken" : "the driver was never woken");
    }
    if (read(s->kicks[who], &count, sizeof(count)) != (ssize_t)sizeof(count)) {
        return stress_fail(s, "an eventfd");
    }
    return true;
}

static inline unsigned char stress_byte(uint64_t number, size_t i, unsigned way)
{
    return (unsigned char)(number * 31 + i * 7 + (i >> 8) + way * 101);
}

/* How much of the writable part the device fills. */
static inline uint32_t stress_fill(uint64_t number, uint64_t room)
{
    return number % 3 != 0 ? (uint32_t)room : (uint32_t)(number / 3 % (room + 1));
}

/* ---- Driver ---- */

/** @brief A buffer that is on its way. */
struct stress_flight {
    uint64_t number;
    uint32_t readable;
    uint32_t writable;
};

static inline bool stress_add(struct stress *s, struct stress_flight *flights, unsigned slot,
                              uint64_t number)
{
    unsigned char *bytes = s->shared->slots[slot].bytes;
    struct stress_flight *flight = &flights[slot];
    struct virtq_segment segments[STRESS_SEGMENTS];
    struct virtq_buffer buffer = {segments, flight, 1, 0, 0};
    uint32_t cut;

    flight->number = number;
    flight->readable = 8 + (uint32_t)random_below(&s->seed, 200);
    flight->writable =
        (uint32_t)random_below(&s->seed, 3) == 0 ? 0 : 1 + (uint32_t)random_below(&s->seed, 250);
    memcpy(bytes, &number, 8);
    for (uint32_t i = 8; i < flight->readable; i++) {
        bytes[i] = stress_byte(number, i, 0);
    }
    memset(bytes + flight->readable, STRESS_UNTOUCHED, flight->writable + 1);
    segments[0] = (struct virtq_segment){.base = bytes, .len = flight->readable};
    cut = (uint32_t)random_below(&s->seed, flight->readable);
    if (cut != 0) {
        segments[0].len = cut;
        segments[1] = (struct virtq_segment){.base = bytes + cut, .len = flight->readable - cut};
        buffer.readable = 2;
    }
    if (flight->writable != 0) {
        segments[buffer.readable] =
            (struct virtq_segment){.base = bytes + flight->readable, .len = flight->writable};
        buffer.writable = 1;
    }
    buffer.flags = number % 5 == 0 ? VIRTQ_BUFFER_DIRECT : 0;
    return s->driver.calls->add(&s->driver, &buffer, 1) == 1;
}

static inline bool stress_check(struct stress *s, const struct stress_flight *flights,
                                const struct virtq_completion *done)
{
    const struct stress_flight *flight = done->cookie;
    const unsigned char *bytes = s->shared->slots[flight - flights].bytes + flight->readable;

    if (done->len != stress_fill(flight->number, flight->writable)) {
        return stress_fail(s, "a wrong used length");
    }
    for (uint32_t i = 0; i <= flight->writable; i++) {
        unsigned char want =
            i < done->len ? stress_byte(flight->number, i, 1) : (unsigned char)STRESS_UNTOUCHED;

        if (bytes[i] != want) {
            return stress_fail(s, "a wrong byte came back");
        }
    }
    return true;
}

/* Nothing to do: spins, or sleeps until enough came back. */
static inline bool stress_driver_idle(struct stress *s)
{
    if (!s->sleeps) {
        (void)sched_yield();
        return true;
    }
    if (!s->driver.calls->enable_notify(&s->driver, 1 + (unsigned)random_below(&s->seed, 4)) &&
        !stress_wait(s, 1)) {
        return false;
    }
    if (random_below(&s->seed, 2) != 0) {
        s->driver.calls->disable_notify(&s->driver);
    }
    return true;
}

/** @brief The driver's loop: until its time is over, however late the other end came, and
 * everything is back. */
static inline void stress_driver(struct stress *s)
{
    static _Thread_local struct stress_flight flights[STRESS_BUFFERS];
    struct virtq_completion done[STRESS_BATCH];
    unsigned unused[STRESS_BUFFERS];
    unsigned left = STRESS_BUFFERS;
    double end = stress_now() + s->seconds;
    uint64_t number = 0;

    for (unsigned i = 0; i < STRESS_BUFFERS; i++) {
        unused[i] = i;
    }
    while (!stress_failed(s)) {
        unsigned batch = 1 + (unsigned)random_below(&s->seed, STRESS_BATCH);
        bool over = (number & 15) == 0 && number > 2 * STRESS_BUFFERS && stress_now() >= end;
        unsigned added = 0;
        int got;

        if (over && left == STRESS_BUFFERS) {
            break;
        }
        while (added < batch && left != 0 && !over &&
               stress_add(s, flights, unused[left - 1], number)) {
            left--;
            added++;
            number++;
            over = (number & 15) == 0;
        }
        if (s->driver.calls->publish(&s->driver) != added) {
            (void)stress_fail(s, "publish said something else");
        }
        if (added != 0 && s->driver.calls->needs_notify(&s->driver)) {
            stress_kick(s, 0);
        }
        got = s->driver.calls->poll(&s->driver, done, STRESS_BATCH);
        if (got < 0) {
            (void)stress_fail(s, "the driver's queue broke");
        }
        for (int i = 0; i < got && stress_check(s, flights, &done[i]); i++) {
            unused[left++] = (unsigned)((struct stress_flight *)done[i].cookie - flights);
            __atomic_add_fetch(&s->shared->passed, 1, __ATOMIC_RELAXED);
        }
        __atomic_add_fetch(&s->shared->seen[0], 1, __ATOMIC_RELEASE);
        if (got == 0 && added == 0 && left != STRESS_BUFFERS && !stress_driver_idle(s)) {
            break;
        }
    }
    __atomic_store_n(&s->shared->stop, 1, __ATOMIC_SEQ_CST);
    stress_kick(s, 0);
}

/* ---- Device ---- */

/* Reads all of a chain, checks it, answers; gives the bytes written, or -1. */
static inline int64_t stress_serve(struct stress *s, const struct virtq_chain *chain)
{
    struct virtq_cursor reader = virtq_chain_reader(chain);
    struct virtq_cursor writer = virtq_chain_writer(chain);
    unsigned char bytes[STRESS_BYTES];
    uint64_t number;
    size_t len = virtq_cursor_read(&reader, bytes, sizeof(bytes));
    uint32_t fill;

    if (chain->reason != 0 || len != chain->readable_bytes || len < 8) {
        (void)stress_fail(s, "a bad buffer");
        return -1;
    }
    memcpy(&number, bytes, 8);
    for (size_t i = 8; i < len; i++) {
        if (bytes[i] != stress_byte(number, i, 0)) {
            (void)stress_fail(s, "a wrong byte arrived");
            return -1;
        }
    }
    fill = stress_fill(number, chain->writable_bytes);
    for (uint32_t i = 0; i < fill; i++) {
        bytes[i] = stress_byte(number, i, 1);
    }
    return (int64_t)virtq_cursor_write(&writer, bytes, fill);
}

static inline bool stress_device_idle(struct stress *s)
{
    if (!s->sleeps) {
        (void)sched_yield();
        return true;
    }
    if (!s->device.calls->enable_notify(&s->device) &&
        __atomic_load_n(&s->shared->stop, __ATOMIC_SEQ_CST) == 0 && !stress_wait(s, 0)) {
        return false;
    }
    s->device.calls->disable_notify(&s->device);
    return true;
}

/** @brief The device's loop: until the driver says so. */
static inline void stress_device(struct stress *s)
{
    uint64_t seed = 815;

    while (!stress_failed(s)) {
        struct virtq_chain chains[STRESS_BATCH];
        struct virtq_piece pieces[STRESS_BATCH * STRESS_SEGMENTS * 3];
        unsigned budget = 1 + (unsigned)random_below(&seed, STRESS_BATCH);
        int got = s->device.calls->pop(&s->device, chains, budget, pieces,
                                       STRESS_BATCH * STRESS_SEGMENTS * 3);

        if (got < 0) {
            (void)stress_fail(s, "the device's queue broke");
        }
        for (int i = got - 1; i >= 0; i--) { /* The last first: out of order. */
            int64_t len = stress_serve(s, &chains[i]);
            struct virtq_used_buffer used = {chains[i].id, (uint32_t)len};

            if (len < 0 || s->device.calls->push(&s->device, &used, 1) != 1) {
                (void)stress_fail(s, "a push failed");
            }
        }
        if (got > 0) {
            if (s->device.calls->publish(&s->device) != got) {
                (void)stress_fail(s, "publish said something else");
            }
            if (s->device.calls->needs_notify(&s->device) == 1) {
                stress_kick(s, 1);
            }
        }
        __atomic_add_fetch(&s->shared->seen[1], 1, __ATOMIC_RELEASE);
        if (got == 0) {
            if (__atomic_load_n(&s->shared->stop, __ATOMIC_SEQ_CST) != 0 ||
                !stress_device_idle(s)) {
                break;
            }
        }
    }
    stress_kick(s, 1); /* Nobody waits for one who has left. */
}

#endif
