/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a split queue, and who is to be woken: S11, S12, S14, N1. */
#include "driver_rig.h"
#include "support/random.h"
#include "support/reference.h"

/** @brief Publishes so many buffers; the device uses them all and they come back. */
static void pass(struct driver_rig *r, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        rig_add(r, 1, 0, i);
    }
    cr_assert_eq(r->calls->publish(&r->q), count);
    for (unsigned i = 0; i < count; i++) {
        const uint16_t at = wire_used_idx(r->w);

        wire_use(r->w, wire_avail_head(r->w, at), 0);
        (void)rig_poll(r);
    }
}

/** @brief The device arms its event. */
static void arm(const struct driver_rig *r, uint16_t event)
{
    wire_put(wire_avail_event_at(r->w), 2, event, r->w->big);
}

/* ---- S11 ---- */

DriverTest(split_driver_notify, s11_without_event_idx_the_own_flags_are_0_or_1)
{
    rig_open(r, 4, MEMORY_BASIC);
    cr_assert_eq(wire_avail_flags(r->w), 0);
    r->calls->disable_notify(&r->q);
    cr_assert_eq(wire_avail_flags(r->w), 1);
    r->calls->disable_notify(&r->q);
    (void)rig_send(r, 1);
    cr_assert_eq(wire_avail_flags(r->w), 1);
    cr_assert(!r->calls->enable_notify(&r->q, 1));
    cr_assert_eq(wire_avail_flags(r->w), 0);
    cr_assert_eq(wire_used_event(r->w), 0);
}

DriverTest(split_driver_notify, s11_without_event_idx_the_peers_flag_is_honoured)
{
    rig_open(r, 4, MEMORY_BASIC);
    for (unsigned flags = 0; flags < 4; flags++) {
        wire_put(r->w->used, 2, flags, false);
        /* avail_event is not there: it says nothing. */
        arm(r, (uint16_t)(wire_avail_idx(r->w) + 77));
        pass(r, 1);
        cr_assert_eq(r->calls->needs_notify(&r->q, NULL), (flags & 1) == 0);
        /* Nothing was published since. */
        cr_assert(!r->calls->needs_notify(&r->q, NULL));
    }
}

DriverTest(split_driver_notify, s11_with_event_idx_the_own_flags_stay_0)
{
    rig_open_at(r, 4, MEMORY_EVENTS, 65534);
    for (unsigned n = 0; n < 20; n++) {
        r->calls->disable_notify(&r->q);
        cr_assert_eq(wire_avail_flags(r->w), 0);
        /* The event farthest away. */
        cr_assert_eq(wire_used_event(r->w), (65534 + n - 1) & 0xffff);
        cr_assert(!r->calls->enable_notify(&r->q, 1));
        cr_assert_eq(wire_avail_flags(r->w), 0);
        cr_assert_eq(wire_used_event(r->w), (65534 + n) & 0xffff);
        pass(r, 1);
    }
}

DriverTest(split_driver_notify, s11_with_event_idx_the_peers_flag_is_ignored)
{
    rig_open(r, 4, MEMORY_EVENTS);
    for (unsigned flags = 0; flags < 4; flags++) {
        wire_put(r->w->used, 2, flags, false);
        arm(r, wire_avail_idx(r->w));
        pass(r, 1);
        cr_assert(r->calls->needs_notify(&r->q, NULL));
        arm(r, wire_avail_idx(r->w) + 1u);
        pass(r, 1);
        cr_assert(!r->calls->needs_notify(&r->q, NULL));
    }
}

DriverTest(split_driver_notify, s11_to_enable_looks_once_more)
{
    for (unsigned events = 0; events < 2; events++) {
        uint16_t head;

        rig_open(r, 4, events != 0 ? MEMORY_EVENTS : MEMORY_BASIC);
        head = rig_send(r, 1);
        r->calls->disable_notify(&r->q);
        wire_use(r->w, head, 0);
        /* The device used it without a notification: whoever slept now would sleep for ever. */
        cr_assert(r->calls->enable_notify(&r->q, 1));
        (void)rig_poll(r);
        cr_assert(!r->calls->enable_notify(&r->q, 1));
    }
}

DriverTest(split_driver_notify, s11_a_wake_up_can_wait_for_several_buffers)
{
    uint16_t heads[8];

    rig_open_at(r, 8, MEMORY_EVENTS, 65533);
    for (unsigned i = 0; i < 8; i++) {
        heads[i] = rig_send(r, i);
    }
    /* With the n-th used buffer the index passes event + 1. */
    for (unsigned n = 1; n <= 8; n++) {
        cr_assert(!r->calls->enable_notify(&r->q, n));
        cr_assert_eq(wire_used_event(r->w), (65533 + n - 1) & 0xffff);
    }
    /* More than are outstanding count as that many: the ninth would never come. */
    cr_assert(!r->calls->enable_notify(&r->q, 9));
    cr_assert_eq(wire_used_event(r->w), (65533 + 7) & 0xffff);
    for (unsigned i = 0; i < 3; i++) {
        wire_use(r->w, heads[i], 0);
    }
    cr_assert(!r->calls->enable_notify(&r->q, 4));
    cr_assert(r->calls->enable_notify(&r->q, 3));
    cr_assert(r->calls->enable_notify(&r->q, 1));
}

DriverTest(split_driver_notify, s11_without_event_idx_the_next_buffer_wakes)
{
    uint16_t head;

    rig_open(r, 8, MEMORY_BASIC);
    head = rig_send(r, 1);
    (void)rig_send(r, 2);
    r->calls->disable_notify(&r->q);
    cr_assert(!r->calls->enable_notify(&r->q, 2));
    cr_assert_eq(wire_avail_flags(r->w), 0);
    wire_use(r->w, head, 0);
    cr_assert(r->calls->enable_notify(&r->q, 2));
}

/* ---- S12 ---- */

DriverTest(split_driver_notify, s12_the_numbers_that_a_plain_comparison_loses)
{
    /* old, n, event, wanted. */
    static const struct {
        uint16_t old;
        uint16_t n;
        uint16_t event;
        bool wanted;
    } cases[] = {
        {65527, 32, 65527, true}, {65527, 32, 65535, true}, {65527, 32, 0, true},
        {65527, 32, 22, true},    {65527, 32, 23, false},   {65527, 32, 65526, false},
        {65535, 1, 65535, true},  {65535, 1, 0, false},     {65535, 1, 65534, false},
        {0, 1, 0, true},          {0, 1, 65535, false},     {0, 32, 31, true},
        {0, 32, 32, false},       {32767, 2, 32768, true},  {32767, 2, 32769, false},
        {65504, 32, 65535, true}, {65504, 32, 0, false},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rig_open_at(r, 32, MEMORY_EVENTS, cases[i].old);
        arm(r, cases[i].event);
        pass(r, cases[i].n);
        cr_assert_eq(wire_avail_idx(r->w), (uint16_t)(cases[i].old + cases[i].n));
        cr_assert_eq(r->calls->needs_notify(&r->q, NULL), cases[i].wanted);
    }
}

DriverTest(split_driver_notify, s12_the_test_is_exact_all_around_the_circle)
{
    uint64_t random = 12;
    unsigned laps = 0;

    rig_open_at(r, 32, MEMORY_EVENTS, 65000);
    while (laps < 3) {
        const uint16_t old = wire_avail_idx(r->w);
        const unsigned n = (unsigned)random_below(&random, 33);
        /* Around both edges of what is published, or anywhere. */
        const uint16_t event =
            (uint16_t)(random_below(&random, 4) == 0 ? random_below(&random, 65536)
                                                     : old - 2u + random_below(&random, n + 4));

        arm(r, event);
        pass(r, n / 2);
        pass(r, n - n / 2);
        cr_assert_eq(r->calls->needs_notify(&r->q, NULL),
                     reference_split_event(event, old, (uint16_t)(old + n)));
        laps += wire_avail_idx(r->w) < old ? 1u : 0u;
    }
}

DriverTest(split_driver_notify, s12_more_than_65535_entries_between_two_tests_notify)
{
    rig_open_at(r, 32, MEMORY_EVENTS, 100);
    /* 65535 entries are exact: all but one index lie among them. */
    arm(r, 99);
    for (unsigned n = 0; n < 65535; n++) {
        pass(r, 1);
    }
    cr_assert(!r->calls->needs_notify(&r->q, NULL));
    /* With 65536 old and new are the same; with more there is no telling. */
    for (unsigned more = 0; more < 2; more++) {
        const uint16_t old = wire_avail_idx(r->w);

        arm(r, (uint16_t)(old + 40000));
        for (unsigned n = 0; n < 65536 + more * 10; n++) {
            pass(r, 1);
        }
        cr_assert(r->calls->needs_notify(&r->q, NULL));
        cr_assert(!r->calls->needs_notify(&r->q, NULL));
    }
}

/* ---- S14, N1 ---- */

DriverTest(split_driver_notify, s14_the_first_test_after_a_restore_says_yes)
{
    const uint64_t features[2] = {MEMORY_BASIC, MEMORY_EVENTS};

    for (unsigned i = 0; i < 2; i++) {
        const struct virtq_state state = {VIRTQ_FORMAT_SPLIT, 4, 500, 500, 0};

        rig_open(r, 4, features[i]);
        cr_assert_eq(r->calls->restore(&r->q, &state), 0);
        wire_put(r->w->used, 2, 1, false);
        arm(r, 9000);
        cr_assert(r->calls->needs_notify(&r->q, NULL));
        cr_assert(!r->calls->needs_notify(&r->q, NULL));
    }
}

DriverTest(split_driver_notify, n1_the_word_is_the_queue_and_the_index_with_its_top_bit_as_wrap)
{
    static const uint16_t starts[] = {0, 1, 0x7fff, 0x8000, 0xfffe, 0xffff};

    for (unsigned i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        uint32_t word = 0;

        rig_open_at(r, 4, MEMORY_EVENTS | VIRTQ_FEATURE(VIRTIO_F_NOTIFICATION_DATA), starts[i]);
        for (unsigned n = 0; n < 3; n++) {
            const uint16_t idx = (uint16_t)(starts[i] + n + 1);

            arm(r, (uint16_t)(idx - 1));
            pass(r, 1);
            cr_assert(r->calls->needs_notify(&r->q, &word));
            cr_assert_eq(word & 0xffff, 3u);
            cr_assert_eq(word >> 16 & 0x7fff, idx & 0x7fffu);
            cr_assert_eq(word >> 31, (unsigned)idx >> 15);
        }
        /* What was added and not published is not in it. */
        rig_add(r, 1, 0, 1);
        (void)r->calls->needs_notify(&r->q, &word);
        cr_assert_eq(word >> 16, wire_avail_idx(r->w));
    }
}

DriverTest(split_driver_notify, n1_without_the_feature_the_word_is_just_the_queue)
{
    uint32_t word = 0;

    rig_open_at(r, 4, MEMORY_BASIC, 0x9000);
    pass(r, 1);
    cr_assert(r->calls->needs_notify(&r->q, &word));
    cr_assert_eq(word, 3u);
}
