/* SPDX-License-Identifier: BSD-3-Clause */
/* Crash and go on: the back-end's process is killed at any point, and the next one finds in the
 * records what was in flight. M11. */
#include "crash.h"

#define BASE (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | FRONTEND_PROTOCOL)
#define PACKED VIRTQ_FEATURE(VIRTIO_F_RING_PACKED)
#define IN_ORDER VIRTQ_FEATURE(VIRTIO_F_IN_ORDER)
#define EVENT_IDX VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX)

static const uint64_t shapes[] = {
    BASE,          BASE | EVENT_IDX,          BASE | IN_ORDER,
    BASE | PACKED, BASE | PACKED | EVENT_IDX, BASE | PACKED | IN_ORDER};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]), KILLS = 25, EVERY = 797 };

Test(host_inflight, m11_a_back_end_killed_at_any_time_loses_no_buffer)
{
    for (unsigned i = 0; i < SHAPES; i++) {
        struct crash c;

        crash_open(&c, shapes[i], 1 + i);
        for (unsigned k = 0; k < KILLS; k++) {
            for (unsigned n = 1 + (unsigned)random_below(&c.random, 6); n != 0; n--) {
                const unsigned spin = (unsigned)random_below(&c.random, 20000);

                (void)crash_add(&c, 1 + (unsigned)random_below(&c.random, 4));
                frontend_kick(&c.f, 0);
                for (volatile unsigned at = 0; at < spin; at++) {
                }
                crash_take(&c);
            }
            crash_kill(&c);
            crash_go_on(&c);
            if (k % 4 == 0) {
                crash_drain(&c);
            }
        }
        crash_drain(&c);
        cr_assert(c.done > KILLS);
        crash_close(&c);
    }
}

/* Lets the child take so many instructions: whether it is still at it. */
static bool steps(const struct crash *c, unsigned count)
{
    int status;

    for (; count != 0 && c->shared->armed == CRASH_STEPS; count--) {
        cr_assert_eq(ptrace(PTRACE_SINGLESTEP, c->child, NULL, NULL), 0);
        cr_assert_eq(waitpid(c->child, &status, 0), c->child);
        cr_assert(WIFSTOPPED(status));
    }
    return c->shared->armed == CRASH_STEPS;
}

/* Whether the child has stopped where it is about to serve; false: nobody can be traced here. */
static bool stops(const struct crash *c)
{
    int status;
    unsigned i;

    for (i = 0; i < 60000 && c->shared->armed == CRASH_ARMED; i++) {
        (void)poll(NULL, 0, 1);
    }
    cr_assert(c->shared->armed != CRASH_ARMED);
    return c->shared->armed == CRASH_STEPS && waitpid(c->child, &status, 0) == c->child &&
           WIFSTOPPED(status);
}

/* A crash every so many instructions of a service of up to four buffers, from the first to the
 * last. @return how many crashes */
static unsigned crash_all_along(uint64_t shape, unsigned seed, unsigned every)
{
    struct crash c;
    unsigned at = seed % every;
    unsigned count = 0;
    bool more = true;

    crash_open(&c, shape, seed);
    while (more) {
        (void)crash_add(&c, 4);
        c.shared->armed = CRASH_ARMED;
        frontend_kick(&c.f, 0);
        if (!stops(&c)) {
            crash_drain(&c);
            break;
        }
        more = steps(&c, at);
        crash_kill(&c);
        crash_take(&c);
        crash_go_on(&c);
        crash_drain(&c);
        at += every;
        count++;
    }
    crash_close(&c);
    return count;
}

Test(host_inflight, m11_a_crash_between_any_two_instructions_loses_no_buffer)
{
    const char *word = getenv("VIRTQ_CRASH_EVERY");
    const unsigned every = word != NULL && atoi(word) > 0 ? (unsigned)atoi(word) : EVERY;

    for (unsigned i = 0; i < SHAPES; i++) {
        const unsigned count = crash_all_along(shapes[i], 100 + i * 7, every);

        cr_assert(count == 0 || count > 3, "only %u", count);
    }
}

Test(host_inflight, records_live_on_when_a_ring_is_stopped_and_started_again)
{
    for (unsigned i = 0; i < SHAPES; i++) {
        struct crash c;
        uint32_t base;

        crash_open(&c, shapes[i], 200 + i);
        for (unsigned n = 0; n < 20; n++) {
            (void)crash_add(&c, 1 + n % 5);
            frontend_kick(&c.f, 0);
            base = frontend_stop(&c.f, 0);
            crash_take(&c);
            frontend_describe(&c.f, 0, CRASH_SIZE, base);
            cr_assert_eq(frontend_kick_message(&c.f, 0), 0);
            crash_drain(&c);
            c.shared->drain = 0;
        }
        crash_close(&c);
    }
}

Test(host_inflight, after_a_reset_nothing_of_the_records_counts)
{
    for (unsigned i = 0; i < SHAPES; i++) {
        struct crash c;

        crash_open(&c, shapes[i], 300 + i);
        for (unsigned n = 0; n < 5; n++) {
            (void)crash_add(&c, 5);
            frontend_kick(&c.f, 0);
            crash_drain(&c);
            c.shared->drain = 0;
            cr_assert_eq(frontend_try(&c.f, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0), 0);
            frontend_start(&c.f, 0, c.features, CRASH_SIZE);
        }
        crash_close(&c);
    }
}
