/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a split queue, and who is to be woken: S11 to S14. */
#include "device_rig.h"
#include "support/random.h"
#include "support/reference.h"

/** @brief The driver arms its event. */
static void arm(const struct device_rig *r, uint16_t event)
{
    wire_put(wire_used_event_at(r->w), 2, event, r->w->big);
}

/** @brief A queue at `start` whose first test, which always says yes, is over; one buffer went
 * through, so that indices stand at start + 1. */
static void open_tested(struct device_rig *r, uint32_t size, uint64_t features, uint16_t start)
{
    rig_open_at(r, size, features, (uint16_t)(start - 1));
    rig_pass(r, 1);
    cr_assert_eq(r->calls->needs_notify(&r->q), 1);
    cr_assert_eq(wire_used_idx(r->w), start);
}

/* ---- S11 ---- */

DeviceTest(split_device_notify, s11_without_event_idx_the_own_flags_are_0_or_1)
{
    rig_open(r, 4, MEMORY_BASIC);
    cr_assert_eq(wire_used_flags(r->w), 0);
    r->calls->disable_notify(&r->q);
    cr_assert_eq(wire_used_flags(r->w), 1);
    rig_pass(r, 2);
    r->calls->disable_notify(&r->q);
    cr_assert_eq(wire_used_flags(r->w), 1);
    cr_assert(!r->calls->enable_notify(&r->q));
    cr_assert_eq(wire_used_flags(r->w), 0);
    cr_assert_eq(wire_avail_event(r->w), 0);
}

DeviceTest(split_device_notify, s11_without_event_idx_the_peers_flag_is_honoured)
{
    open_tested(r, 4, MEMORY_BASIC, 8);
    for (unsigned flags = 0; flags < 4; flags++) {
        wire_put(r->w->avail, 2, flags, false);
        /* used_event is not there: it says nothing. */
        arm(r, (uint16_t)(wire_used_idx(r->w) + 99));
        rig_pass(r, 1);
        cr_assert_eq(r->calls->needs_notify(&r->q), (flags & 1) == 0 ? 1 : 0);
        cr_assert_eq(r->calls->needs_notify(&r->q), 0);
    }
}

DeviceTest(split_device_notify, s11_with_event_idx_the_own_flags_stay_0)
{
    rig_open_at(r, 4, MEMORY_EVENTS, 65534);
    for (unsigned n = 0; n < 20; n++) {
        r->calls->disable_notify(&r->q);
        cr_assert_eq(wire_used_flags(r->w), 0);
        /* The event farthest away. */
        cr_assert_eq(wire_avail_event(r->w), (65534 + n - 1) & 0xffff);
        cr_assert(!r->calls->enable_notify(&r->q));
        cr_assert_eq(wire_used_flags(r->w), 0);
        cr_assert_eq(wire_avail_event(r->w), (65534 + n) & 0xffff);
        rig_pass(r, 1);
    }
}

DeviceTest(split_device_notify, s11_with_event_idx_the_peers_flag_is_ignored)
{
    open_tested(r, 4, MEMORY_EVENTS, 8);
    for (unsigned flags = 0; flags < 4; flags++) {
        wire_put(r->w->avail, 2, flags, false);
        arm(r, wire_used_idx(r->w));
        rig_pass(r, 1);
        cr_assert_eq(r->calls->needs_notify(&r->q), 1);
        arm(r, (uint16_t)(wire_used_idx(r->w) + 1));
        rig_pass(r, 1);
        cr_assert_eq(r->calls->needs_notify(&r->q), 0);
    }
}

DeviceTest(split_device_notify, s11_to_enable_looks_once_more)
{
    for (unsigned events = 0; events < 2; events++) {
        rig_open_at(r, 4, events != 0 ? MEMORY_EVENTS : MEMORY_BASIC, 65535);
        r->calls->disable_notify(&r->q);
        cr_assert_eq(rig_pop(r, 1), 0);
        rig_offer(r, 0, 1);
        /* The driver made it available without a notification. */
        cr_assert(r->calls->enable_notify(&r->q));
        (void)rig_pop_one(r);
        cr_assert(!r->calls->enable_notify(&r->q));
        /* Put back, it is not new. */
        cr_assert_eq(r->calls->unpop(&r->q, r->chains, 1), 0);
        cr_assert(!r->calls->enable_notify(&r->q));
        cr_assert_eq(wire_avail_event(r->w), events != 0 ? wire_avail_idx(r->w) : 0);
        rig_offer(r, 1, 1);
        cr_assert(r->calls->enable_notify(&r->q));
    }
}

DeviceTest(split_device_notify, s11_what_a_pop_left_behind_is_reason_to_pop_again)
{
    rig_open(r, 8, MEMORY_EVENTS);
    for (unsigned k = 0; k < 3; k++) {
        rig_offer(r, k, 1);
    }
    for (unsigned k = 0; k < 3; k++) {
        cr_assert(r->calls->enable_notify(&r->q));
        cr_assert_eq(wire_avail_event(r->w), k);
        cr_assert_eq(rig_pop_one(r)->id, k);
    }
    cr_assert(!r->calls->enable_notify(&r->q));
    cr_assert_eq(wire_avail_event(r->w), 3);
}

/* ---- S12 ---- */

DeviceTest(split_device_notify, s12_the_numbers_that_a_plain_comparison_loses)
{
    /* old, n, event, wanted. */
    static const struct {
        uint16_t old;
        uint16_t n;
        uint16_t event;
        int wanted;
    } cases[] = {
        {65527, 32, 65527, 1}, {65527, 32, 65535, 1}, {65527, 32, 0, 1},    {65527, 32, 22, 1},
        {65527, 32, 23, 0},    {65527, 32, 65526, 0}, {65535, 1, 65535, 1}, {65535, 1, 0, 0},
        {65535, 1, 65534, 0},  {0, 1, 0, 1},          {0, 1, 65535, 0},     {0, 32, 31, 1},
        {0, 32, 32, 0},        {32767, 2, 32768, 1},  {32767, 2, 32769, 0}, {65504, 32, 65535, 1},
        {65504, 32, 0, 0},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_tested(r, 32, MEMORY_EVENTS, cases[i].old);
        arm(r, cases[i].event);
        for (unsigned k = 0; k < cases[i].n; k++) {
            rig_offer(r, k, 1);
        }
        cr_assert_eq(rig_pop(r, 32), cases[i].n);
        for (unsigned k = 0; k < cases[i].n; k++) {
            cr_assert_eq(rig_push(r, k, 0), 1);
        }
        cr_assert_eq(r->calls->publish(&r->q), cases[i].n);
        cr_assert_eq(r->calls->needs_notify(&r->q), cases[i].wanted);
    }
}

DeviceTest(split_device_notify, s12_the_test_is_exact_all_around_the_circle)
{
    uint64_t random = 21;
    unsigned laps = 0;

    open_tested(r, 32, MEMORY_EVENTS, 65000);
    while (laps < 3) {
        const uint16_t old = wire_used_idx(r->w);
        const unsigned n = (unsigned)random_below(&random, 33);
        const uint16_t event =
            (uint16_t)(random_below(&random, 4) == 0 ? random_below(&random, 65536)
                                                     : old - 2u + random_below(&random, n + 4));

        arm(r, event);
        rig_pass(r, n);
        cr_assert_eq(r->calls->needs_notify(&r->q),
                     reference_split_event(event, old, (uint16_t)(old + n)) ? 1 : 0);
        laps += wire_used_idx(r->w) < old ? 1u : 0u;
    }
}

DeviceTest(split_device_notify, s12_more_than_65535_entries_between_two_tests_notify)
{
    open_tested(r, 32, MEMORY_EVENTS, 100);
    arm(r, 99);
    rig_pass(r, 65535);
    cr_assert_eq(r->calls->needs_notify(&r->q), 0);
    for (unsigned more = 0; more < 2; more++) {
        arm(r, (uint16_t)(wire_used_idx(r->w) + 40000));
        rig_pass(r, 65536 + more * 10);
        cr_assert_eq(r->calls->needs_notify(&r->q), 1);
        cr_assert_eq(r->calls->needs_notify(&r->q), 0);
    }
}

DeviceTest(split_device_notify, s12_nothing_shown_is_nothing_to_tell)
{
    open_tested(r, 4, MEMORY_EVENTS, 50);
    arm(r, 50);
    cr_assert_eq(r->calls->needs_notify(&r->q), 0);
    rig_offer(r, 0, 1);
    (void)rig_pop_one(r);
    cr_assert_eq(rig_push(r, 0, 0), 1);
    /* Pushed, but not shown. */
    cr_assert_eq(r->calls->needs_notify(&r->q), 0);
    cr_assert_eq(r->calls->publish(&r->q), 1);
    cr_assert_eq(r->calls->needs_notify(&r->q), 1);
    cr_assert_eq(r->calls->needs_notify(&r->q), 0);
}

/* ---- S13: NOTIFY_ON_EMPTY ---- */

DeviceTest(split_device_notify, s13_a_drained_ring_notifies_whatever_is_suppressed)
{
    for (unsigned events = 0; events < 2; events++) {
        const uint64_t features = VIRTQ_FEATURE(VIRTIO_F_NOTIFY_ON_EMPTY) |
                                  (events != 0 ? VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) : UINT64_C(0));

        open_tested(r, 8, features, 65534);
        wire_put(r->w->avail, 2, 1, false);
        arm(r, 40000);
        for (unsigned k = 0; k < 3; k++) {
            rig_offer(r, k, 1);
        }
        /* Two are used, and one still waits: not drained. */
        for (unsigned k = 0; k < 2; k++) {
            rig_return(r, rig_pop_one(r)->id, 0);
            cr_assert_eq(r->calls->needs_notify(&r->q), 0);
        }
        /* Taken but not used: not drained. */
        (void)rig_pop_one(r);
        cr_assert_eq(r->calls->needs_notify(&r->q), 0);
        rig_return(r, 2, 0);
        cr_assert_eq(r->calls->needs_notify(&r->q), 1);
        /* Once. */
        cr_assert_eq(r->calls->needs_notify(&r->q), 0);
    }
}

DeviceTest(split_device_notify, s13_without_the_feature_a_drained_ring_stays_silent)
{
    open_tested(r, 8, 0, 3);
    wire_put(r->w->avail, 2, 1, false);
    rig_pass(r, 1);
    cr_assert_eq(r->calls->needs_notify(&r->q), 0);
}

/* ---- S14 ---- */

DeviceTest(split_device_notify, s14_the_first_test_after_a_start_says_yes)
{
    for (unsigned events = 0; events < 2; events++) {
        rig_open(r, 4, events != 0 ? MEMORY_EVENTS : MEMORY_BASIC);
        wire_put(r->w->avail, 2, 1, false);
        arm(r, 9000);
        /* Nothing to tell yet. */
        cr_assert_eq(r->calls->needs_notify(&r->q), 0);
        rig_pass(r, 1);
        cr_assert_eq(r->calls->needs_notify(&r->q), 1);
        rig_pass(r, 1);
        cr_assert_eq(r->calls->needs_notify(&r->q), 0);
    }
}

DeviceTest(split_device_notify, s14_the_first_test_after_a_restore_or_reset_says_yes)
{
    for (unsigned events = 0; events < 2; events++) {
        /* What was used last, before the move, may never have been told. */
        rig_open_at(r, 4, events != 0 ? MEMORY_EVENTS : MEMORY_BASIC, 500);
        wire_put(r->w->avail, 2, 1, false);
        arm(r, 9000);
        cr_assert_eq(r->calls->needs_notify(&r->q), 1);
        cr_assert_eq(r->calls->needs_notify(&r->q), 0);
        r->calls->reset(&r->q);
        wire_put(r->w->avail + 2, 2, 0, false);
        wire_put(r->w->used + 2, 2, 0, false);
        rig_pass(r, 1);
        cr_assert_eq(r->calls->needs_notify(&r->q), 1);
        rig_pass(r, 1);
        cr_assert_eq(r->calls->needs_notify(&r->q), 0);
    }
}
