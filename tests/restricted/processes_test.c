/* SPDX-License-Identifier: BSD-3-Clause */
/* Two processes that share a pool and nothing else: data both ways, back-pressure, a device that
 * dies. hostile_test.c has drivers that lie. */
#include "processes.h"

#define SEED UINT64_C(0x7e57ab1e00000a0c)

enum { BUFFERS = 300 };

/* What came back; how many. */
static unsigned collect(struct program *program)
{
    struct virtq_completion done;
    unsigned count = 0;

    while (program->calls->poll(&program->driver, &done) == 1) {
        struct ends_flight *flight = done.cookie;
        const char *wrong = ends_judge(flight, done.len);

        cr_assert_eq(flight->busy, 1);
        cr_assert_null(wrong, "%s; seed %llx", wrong, (unsigned long long)SEED);
        ends_drop(flight, &program->pool.driver);
        flight->busy = 0;
        count++;
    }
    return count;
}

static void notify(struct processes *s, unsigned expected)
{
    struct message message;

    (void)s->program->calls->publish(&s->program->driver);
    message = processes_order(s, (struct message){.order = ORDER_NOTIFY});
    cr_assert_eq(message.answer, (int32_t)expected);
    cr_assert_eq(message.bad, 0u);
}

/* Random buffers until `count` came back. Short of room it is the device's turn. */
static unsigned carry(struct processes *s, unsigned count, uint64_t *random, bool parts)
{
    struct program *program = s->program;
    unsigned sent = 0;
    unsigned came = 0;
    unsigned shortages = 0;

    while (came < count) {
        unsigned at = 0;
        int added = VIRTQ_EFULL;

        while (at < (unsigned)ENDS_BUFFERS && program->flights[at].busy != 0) {
            at++;
        }
        if (sent < count && at < (unsigned)ENDS_BUFFERS) {
            struct virtq_buffer buffer;

            ends_make(random, &program->flights[at], parts ? &program->pool.driver : NULL);
            buffer = ends_buffer(&program->flights[at]);
            added = program->calls->add(&program->driver, &buffer);
            cr_assert(added == 1 || added == VIRTQ_ENOMEM || added == VIRTQ_EFULL, "%d", added);
            program->flights[at].busy = added == 1;
            sent += added == 1;
            shortages += added == VIRTQ_ENOMEM;
        }
        if (added != 1) {
            if (at < (unsigned)ENDS_BUFFERS && sent < count) {
                ends_drop(&program->flights[at], &program->pool.driver);
            }
            cr_assert_gt(sent - came, 0u, "nothing is outstanding, and there is no room");
            notify(s, sent - came);
            came += collect(program);
            cr_assert_eq(came, sent, "a buffer was lost");
        }
    }
    return shortages;
}

static void data_both_ways(uint32_t form)
{
    for (unsigned bits = 0; bits < 16; bits++) {
        const bool parts = (bits & 8) != 0;
        struct processes s;
        uint64_t random = SEED + form * 16 + bits;

        processes_open(&s, form, parts ? VIRTQ_RESTRICTED_PARTS : 0, (bits & 1) != 0,
                       (bits & 2) != 0, (bits & 4) != 0);
        (void)carry(&s, BUFFERS, &random, parts);
        processes_close(&s);
    }
}

Test(restricted_processes, share_a_pool_of_the_system_and_nothing_else)
{
    data_both_ways(VIRTQ_RESTRICTED_SYSTEM);
}

Test(restricted_processes, share_a_region_of_the_device_and_nothing_else)
{
    data_both_ways(VIRTQ_RESTRICTED_DEVICE);
}

Test(restricted_processes, share_what_of_a_pool_lies_in_a_stated_range)
{
    data_both_ways(VIRTQ_RESTRICTED_RANGE);
}

Test(restricted_processes, a_driver_that_does_not_acknowledge_is_refused_at_features_ok)
{
    for (uint32_t form = 0; form < POOL_FORMS; form++) {
        struct processes s;
        struct message answer;

        processes_map(&s);
        pool_describe(&s.program->pool, form);
        processes_start(&s);
        answer = processes_features(&s, POOL_VERSION);
        cr_assert_eq(answer.answer, VIRTQ_ENOTSUP);
        cr_assert_eq(answer.reason, (uint32_t)VIRTQ_ACCESS_POOL_DECLINED);
        /* It may think better of it. */
        cr_assert_eq(processes_features(&s, POOL_VERSION | POOL_RESTRICTED).answer, 0);
        processes_stop(&s);
        processes_unmap(&s);
    }
}

/* All of the pool but little is the caller's: a few buffers fit at a time. */
static void exhaust(uint32_t form, bool packed)
{
    struct processes s;
    uint64_t random = SEED;
    void *held[POOL_SIZE / 1024];
    unsigned count = 0;

    processes_open(&s, form, 0, packed, false, false);
    while (virtq_restricted_driver_alloc(&s.program->pool.driver, 1024, 0, &held[count]) == 0) {
        count++;
    }
    for (unsigned i = 0; i < 10; i++) { /* 10 KiB in all, enough for the largest buffer twice. */
        cr_assert_eq(virtq_restricted_driver_free(&s.program->pool.driver, held[--count]), 0);
    }
    cr_assert_gt(carry(&s, BUFFERS, &random, false), 0u, "the pool was never short");
    while (count != 0) {
        cr_assert_eq(virtq_restricted_driver_free(&s.program->pool.driver, held[--count]), 0);
    }
    processes_close(&s);
}

Test(restricted_processes, an_exhausted_pool_is_back_pressure_and_nothing_is_lost)
{
    for (unsigned bits = 0; bits < 2 * POOL_FORMS; bits++) {
        exhaust(bits / 2, (bits & 1) != 0);
    }
}

/* ---- A device that dies ---- */

static unsigned send_some(struct program *program, uint64_t *random, unsigned wanted)
{
    unsigned sent = 0;

    for (unsigned i = 0; i < (unsigned)ENDS_BUFFERS && sent < wanted; i++) {
        struct virtq_buffer buffer;

        ends_make(random, &program->flights[i], NULL);
        buffer = ends_buffer(&program->flights[i]);
        if (program->calls->add(&program->driver, &buffer) != 1) {
            break;
        }
        program->flights[i].busy = 1;
        sent++;
    }
    (void)program->calls->publish(&program->driver);
    return sent;
}

/* What the dead device had comes back unanswered, and the bytes are what they were. */
static unsigned take_back(struct program *program)
{
    unsigned count = 0;
    void *cookie;

    while (virtq_driver_detach(program->driver.library, &cookie) == 1) {
        struct ends_flight *flight = cookie;
        uint32_t sum = 1;

        cr_assert_eq(flight->busy, 1);
        for (unsigned i = 0; i < flight->readable; i++) {
            sum = ends_sum(sum, flight->segments[i].base, flight->segments[i].len);
        }
        cr_assert_eq(sum, flight->sum);
        flight->busy = 0;
        count++;
    }
    return count;
}

static void die(uint32_t form, bool packed)
{
    struct processes s;
    struct program *program;
    uint64_t random = SEED;
    struct virtq_area_addresses addresses;

    processes_open(&s, form, 0, packed, true, false);
    program = s.program;
    for (unsigned life = 0; life < 3; life++) {
        unsigned sent = send_some(program, &random, 5);
        int status = -1;

        cr_assert_gt(sent, 2u);
        /* It has taken two of them. */
        cr_assert_eq(processes_order(&s, (struct message){.order = ORDER_HOLD}).answer, 1);
        cr_assert_eq(processes_order(&s, (struct message){.order = ORDER_HOLD}).answer, 1);
        cr_assert_eq(kill(s.child, SIGKILL), 0);
        cr_assert_eq(waitpid(s.child, &status, 0), s.child);
        cr_assert(WIFSIGNALED(status));
        (void)close(s.wire);
        cr_assert_eq(take_back(program), sent);
        cr_assert_eq(virtq_driver_reset(program->driver.library), 0);
        processes_start(&s);
        cr_assert_eq(processes_features(&s, program->pool.driver.decision.accept).answer, 0);
        virtq_driver_addresses(program->driver.library, &addresses);
        cr_assert_eq(processes_enable(&s, &addresses), 0);
        (void)carry(&s, 50, &random, false);
    }
    processes_close(&s); /* Nothing is left of the pool's slots. */
}

Test(restricted_processes, a_device_that_is_killed_and_comes_back_does_not_wedge_the_driver)
{
    for (unsigned bits = 0; bits < 2 * POOL_FORMS; bits++) {
        die(bits / 2, (bits & 1) != 0);
    }
}
