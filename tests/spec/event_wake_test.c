/* SPDX-License-Identifier: BSD-3-Clause */
/* No wake-up is lost: one end goes to sleep while the other shows something, and each stops the
 * other at every single access and barrier. Either the sleeper's second look finds it, or the other
 * end is told to notify. B2, B5, B7, B12. That the processors keep the order too is what the
 * barriers are for (ordering_split_test.c, ordering_packed_test.c). */
#include "order_bench.h"

ORDER_INSTANCE(split, direct, VIRTQ_INSTANCE_DIRECT);
ORDER_INSTANCE(split, called, VIRTQ_INSTANCE_CALLED);
ORDER_INSTANCE(packed, direct, VIRTQ_INSTANCE_DIRECT);
ORDER_INSTANCE(packed, called, VIRTQ_INSTANCE_CALLED);

enum { EVENTS_MAX = 40 };

static struct order_bench b;
static unsigned stop;   /* Before which event of the one end the other one runs. */
static unsigned passed; /* Events so far. */
static void (*meanwhile)(void);
static bool look_again; /* What the sleeper was told, if `meanwhile` put it to sleep ... */
static bool notify;     /* ... or what the other end was told, if it showed something. */

static void interrupt(const struct order_event *event)
{
    (void)event;
    if (passed++ == stop) {
        meanwhile();
    }
}

/* Runs `act` with `other` at the chosen place, or behind it all. Gives whether that was within. */
static bool interleave(void (*act)(void), void (*other)(void), unsigned where)
{
    order_begin();
    stop = where;
    passed = 0;
    meanwhile = other;
    order_hook = interrupt;
    act();
    order_hook = NULL;
    if (passed > where) {
        return true;
    }
    other();
    return false;
}

static void driver_shows(void)
{
    order_add(&b);
    cr_assert_eq(b.with->publish(&b), b.batch);
    notify = b.with->driver_test(&b, NULL);
}

static void device_shows(void)
{
    order_push(&b);
    cr_assert_eq(b.with->device_publish(&b), (int)b.batch);
    notify = b.with->device_test(&b) == 1;
}

static void device_sleeps(void)
{
    look_again = b.with->device_enable(&b);
}

static void driver_sleeps(void)
{
    look_again = b.with->driver_enable(&b, 1);
}

/* `shape`: bit 0 EVENT_IDX, bit 1 chains of three, bit 2 IN_ORDER, bit 3 tables, bit 4 two buffers,
 * bit 5 packed, bit 6 a space that is asked. */
static void open_shape(unsigned shape)
{
    memset(&b, 0, sizeof(b));
    b.packed = (shape & 32) != 0;
    b.with = b.packed            ? (shape & 64) != 0 ? &packed_called : &packed_direct
             : (shape & 64) != 0 ? &split_called
                                 : &split_direct;
    b.size = b.packed ? 7 : 8;
    b.chain = (shape & 2) != 0 ? ORDER_CHAIN : 1;
    b.tables = (shape & 8) != 0;
    b.batch = (shape & 16) != 0 ? 2 : 1;
    b.features = ((shape & 1) != 0 ? VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) : 0) |
                 ((shape & 4) != 0 ? VIRTQ_FEATURE(VIRTIO_F_IN_ORDER) : 0);
    order_open(&b);
}

/* The round's other half, so that the next one finds nothing left over. */
static void finish(bool driver_slept)
{
    if (!driver_slept) {
        order_pop(&b);
        order_push(&b);
        cr_assert_eq(b.with->device_publish(&b), (int)b.batch);
        (void)b.with->device_test(&b);
    }
    order_poll(&b);
}

/* Both start out not to be disturbed, and with nothing the other has not seen. */
static void begin_round(bool driver_sleeper)
{
    b.with->driver_disable(&b);
    b.with->device_disable(&b);
    notify = false;
    look_again = false;
    if (driver_sleeper) {
        driver_shows();
        order_pop(&b);
        cr_assert(!notify, "the device did not want to know");
    }
}

/* The sleeper is stopped at each of its three steps, and after them. */
static void stop_the_sleeper(bool driver_sleeper)
{
    for (unsigned shape = 0; shape < 128; shape++) {
        open_shape(shape);
        begin_round(driver_sleeper);
        if (driver_sleeper) {
            device_shows(); /* The device's first answer is yes in any case. */
            finish(true);
        } else {
            driver_shows();
            finish(false);
        }
        for (unsigned round = 0; round < 60; round++) {
            const unsigned where = round % 4;
            bool within;

            begin_round(driver_sleeper);
            within = driver_sleeper ? interleave(driver_sleeps, device_shows, where)
                                    : interleave(device_sleeps, driver_shows, where);
            cr_assert_eq(within, where < 3, "a wish, a barrier, a look");
            cr_assert(look_again || notify, "shape %u, before step %u", shape, where);
            cr_assert_eq(look_again, within, "what came before the look is found by it");
            cr_assert(within || notify, "what came after it is told");
            finish(driver_sleeper);
        }
    }
}

Test(spec_event_wake, b7_what_comes_while_the_device_goes_to_sleep_is_found_or_told)
{
    stop_the_sleeper(false);
}

Test(spec_event_wake, b7_what_comes_while_the_driver_goes_to_sleep_is_found_or_told)
{
    stop_the_sleeper(true);
}

/* The other way round: the sleeper runs whole at each step of the one that shows something. */
static void stop_the_other(bool driver_sleeper)
{
    for (unsigned shape = 0; shape < 128; shape++) {
        unsigned within = 0;

        open_shape(shape);
        begin_round(driver_sleeper);
        if (driver_sleeper) {
            device_shows();
            finish(true);
        } else {
            driver_shows();
            finish(false);
        }
        for (unsigned where = 0; where < EVENTS_MAX; where++) {
            begin_round(driver_sleeper);
            within += driver_sleeper ? interleave(device_shows, driver_sleeps, where)
                                     : interleave(driver_shows, device_sleeps, where);
            cr_assert(look_again || notify, "shape %u, before step %u", shape, where);
            finish(driver_sleeper);
        }
        cr_assert(within >= 4 && within < EVENTS_MAX, "every step was a stop, and the end too");
    }
}

Test(spec_event_wake, b2_b12_a_device_that_falls_asleep_at_any_step_of_the_driver_is_woken)
{
    stop_the_other(false);
}

Test(spec_event_wake, b5_b12_a_driver_that_falls_asleep_at_any_step_of_the_device_is_woken)
{
    stop_the_other(true);
}

/* enable_notify_after: the driver sleeps through all but the last buffer it named. */
static unsigned wanted_after;

static void driver_sleeps_longer(void)
{
    look_again = b.with->driver_enable(&b, wanted_after);
}

static void device_shows_one(void)
{
    const struct virtq_chain *chain = &b.chains[--b.batch];
    const struct virtq_used_buffer used = {chain->id, (uint32_t)chain->writable_bytes};

    cr_assert_eq(b.with->push(&b, &used, 1), 1);
    cr_assert_eq(b.with->device_publish(&b), 1);
    notify = b.with->device_test(&b) == 1;
}

static void sleep_for(bool packed, unsigned after, unsigned where)
{
    unsigned shown = 0;

    open_shape(1u | (packed ? 32u : 0));
    b.batch = 1;
    begin_round(true);
    device_shows();
    finish(true);
    b.batch = ORDER_BATCH;
    begin_round(true);
    wanted_after = after;
    (void)interleave(driver_sleeps_longer, device_shows_one, where);
    shown = 1;
    while (!look_again && !notify) {
        cr_assert_lt(shown, after, "%u of %u, begun before step %u", shown, after, where);
        device_shows_one();
        shown++;
    }
    cr_assert(look_again || shown == after, "and not before: buffers of one descriptor each");
}

Test(spec_event_wake, b7_a_driver_that_waits_for_several_is_woken_by_the_last_of_them)
{
    for (unsigned variant = 0; variant < 2 * ORDER_BATCH * 4; variant++) {
        sleep_for(variant % 2 != 0, 1 + variant / 2 % ORDER_BATCH, variant / 2 / ORDER_BATCH);
    }
}

/* A sleeper that is not told and finds nothing has nothing to find. */
Test(spec_event_wake, b7_without_news_the_second_look_says_sleep)
{
    for (unsigned shape = 0; shape < 128; shape++) {
        open_shape(shape);
        for (unsigned round = 0; round < 20; round++) {
            cr_assert(!b.with->device_enable(&b));
            cr_assert(!b.with->driver_enable(&b, 1));
            driver_shows();
            cr_assert(notify, "it was asked for");
            cr_assert(!b.with->driver_enable(&b, 1));
            cr_assert(b.with->device_enable(&b), "and again: it still lies there");
            order_pop(&b);
            cr_assert(!b.with->device_enable(&b));
            device_shows();
            cr_assert(notify, "it was asked for");
            cr_assert(b.with->driver_enable(&b, 1));
            order_poll(&b);
        }
    }
}
