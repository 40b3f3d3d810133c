/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a packed queue, and who is to be woken: P9, P10, S14, N1, N2. */
#include "driver_rig.h"
#include "event_cases.h"
#include "support/random.h"
#include "support/reference.h"

/** @brief The device says when it wants to be notified. */
static void arm(const struct driver_rig *r, unsigned off_wrap, unsigned flags)
{
    wire_arm(r->w->device, off_wrap, flags);
}

/** @brief Shows so many one-descriptor buffers at once, then takes them back from the device. */
static void pass(struct driver_rig *r, unsigned count)
{
    struct place first = r->avail;

    for (unsigned n = 0; n < count; n++) {
        rig_add(r, 1, 0, n);
    }
    cr_assert_eq(r->calls->publish(&r->q), count);
    for (unsigned n = 0; n < count; n++) {
        rig_use(r, wire_desc(r->w, first).id, 0, 1);
        (void)rig_poll(r);
        first = place_after(first, r->w->size, 1);
    }
}

/* ---- P9: the own structure ---- */

DriverTest(packed_driver_notify, p9_without_event_idx_the_own_flags_are_enable_or_disable)
{
    rig_open_at(r, 3, MEMORY_BASIC, 2);
    cr_assert_eq(wire_event(r->w->driver).flags, (unsigned)WIRE_ENABLE);
    for (unsigned n = 0; n < 8; n++) {
        r->calls->disable_notify(&r->q);
        cr_assert_eq(wire_event(r->w->driver).flags, (unsigned)WIRE_DISABLE);
        rig_pass(r, 1);
        cr_assert_eq(wire_event(r->w->driver).flags, (unsigned)WIRE_DISABLE);
        cr_assert(!r->calls->enable_notify(&r->q, 1));
        cr_assert_eq(wire_event(r->w->driver).flags, (unsigned)WIRE_ENABLE);
    }
    /* The device's structure is the device's. */
    cr_assert_eq(wire_get(r->w->device, 4), 0u);
}

DriverTest(packed_driver_notify, p9_with_event_idx_the_own_offset_and_wrap_name_the_next_used_one)
{
    for (unsigned i = 0; i < MEMORY_SIZES - 1; i++) {
        const uint32_t size = memory_sizes[i];

        rig_open(r, size, MEMORY_EVENTS);
        for (uint32_t n = 0; n < 3 * size + 2; n++) {
            r->calls->disable_notify(&r->q);
            cr_assert_eq(wire_event(r->w->driver).flags, (unsigned)WIRE_DISABLE);
            cr_assert(!r->calls->enable_notify(&r->q, 1));
            cr_assert_eq(wire_event(r->w->driver).flags, (unsigned)WIRE_AT);
            cr_assert_eq(wire_event(r->w->driver).off_wrap, place_word(r->used));
            rig_pass(r, 1);
        }
    }
}

DriverTest(packed_driver_notify, p9_a_wake_up_can_wait_for_several_buffers)
{
    rig_open_at(r, 7, MEMORY_EVENTS, 4 | 0x8000);
    for (unsigned n = 0; n < 6; n++) {
        (void)rig_send(r, 1, 0, n);
    }
    for (unsigned after = 1; after <= 9; after++) {
        cr_assert(!r->calls->enable_notify(&r->q, after));
        /* As many as are outstanding at most. */
        cr_assert_eq(wire_event(r->w->driver).off_wrap,
                     place_word(place_after(r->used, 7, after < 6 ? after - 1 : 5)));
        cr_assert_eq(wire_event(r->w->driver).flags, (unsigned)WIRE_AT);
    }
    rig_open(r, 7, MEMORY_BASIC);
    (void)rig_send(r, 1, 0, 1);
    (void)rig_send(r, 1, 0, 2);
    cr_assert(!r->calls->enable_notify(&r->q, 2));
    /* Nobody can ask for that without event indices: it is the next one. */
    cr_assert_eq(wire_event(r->w->driver).flags, (unsigned)WIRE_ENABLE);
}

DriverTest(packed_driver_notify, p9_to_enable_looks_once_more)
{
    for (unsigned events = 0; events < 2; events++) {
        for (uint16_t start = 0; start < 4; start++) {
            uint16_t id;

            rig_open_at(r, 2, events != 0 ? MEMORY_EVENTS : MEMORY_BASIC,
                        (uint16_t)(start % 2 | start / 2 << 15));
            r->calls->disable_notify(&r->q);
            id = rig_send(r, 1, 0, 1);
            cr_assert(!r->calls->enable_notify(&r->q, 1));
            r->calls->disable_notify(&r->q);
            rig_use(r, id, 0, 1);
            /* The device used it without a notification. */
            cr_assert(r->calls->enable_notify(&r->q, 1));
            (void)rig_poll(r);
            cr_assert(!r->calls->enable_notify(&r->q, 1));
        }
    }
}

/* ---- P9, N2: the device's structure ---- */

DriverTest(packed_driver_notify, p9_enable_and_disable_of_the_device_are_honoured)
{
    for (unsigned events = 0; events < 2; events++) {
        rig_open_at(r, 7, events != 0 ? MEMORY_EVENTS : MEMORY_BASIC, 5);
        for (unsigned n = 0; n < 20; n++) {
            /* An offset that would not be met says nothing here. */
            arm(r, place_word(place_after(r->avail, 7, 3)), n % 2);
            rig_pass(r, 1);
            cr_assert_eq(r->calls->needs_notify(&r->q, NULL), n % 2 == WIRE_ENABLE);
            cr_assert(!r->calls->needs_notify(&r->q, NULL));
        }
    }
}

DriverTest(packed_driver_notify, p9_the_reserved_value_means_enable)
{
    for (unsigned events = 0; events < 2; events++) {
        rig_open_at(r, 7, events != 0 ? MEMORY_EVENTS : MEMORY_BASIC, 5);
        arm(r, place_word(place_after(r->avail, 7, 3)), 3);
        cr_assert(!r->calls->needs_notify(&r->q, NULL));
        rig_pass(r, 1);
        cr_assert(r->calls->needs_notify(&r->q, NULL));
        cr_assert(!r->calls->needs_notify(&r->q, NULL));
    }
}

DriverTest(packed_driver_notify, p9_an_offset_outside_the_ring_notifies)
{
    static const uint16_t offsets[] = {7, 8, 300, 0x7fff};

    for (unsigned i = 0; i < 8; i++) {
        rig_open_at(r, 7, MEMORY_EVENTS, 5);
        arm(r, offsets[i / 2] | (i & 1) << 15, WIRE_AT);
        cr_assert(!r->calls->needs_notify(&r->q, NULL));
        rig_pass(r, 1);
        cr_assert(r->calls->needs_notify(&r->q, NULL));
    }
}

DriverTest(packed_driver_notify, n2_without_event_idx_desc_means_enable)
{
    rig_open_at(r, 7, MEMORY_BASIC, 5);
    for (uint32_t k = 0; k < 14; k++) {
        arm(r, place_word(place_after(place_start(), 7, k)), WIRE_AT);
        rig_pass(r, 1);
        cr_assert(r->calls->needs_notify(&r->q, NULL));
    }
}

/* ---- P10 ---- */

DriverTest(packed_driver_notify, p10_the_test_is_exact_all_around_the_circle)
{
    static const uint32_t sizes[] = {1, 2, 3, 7};

    for (unsigned i = 0; i < 4; i++) {
        const uint32_t size = sizes[i];

        rig_open_at(r, size, MEMORY_EVENTS, (uint16_t)(size - 1));
        /* Every place that is armed, every step, and as old position whatever comes. */
        for (uint32_t k = 0; k < 2 * size; k++) {
            const uint16_t armed = place_word(place_after(place_start(), size, k));

            for (uint32_t count = 0; count <= size; count++) {
                for (uint32_t turn = 0; turn < 2 * size + 1; turn++) {
                    const struct place old = r->avail;

                    arm(r, armed, WIRE_AT);
                    pass(r, count);
                    cr_assert_eq(r->calls->needs_notify(&r->q, NULL),
                                 event_meets(old, size, count, armed));
                    if (turn % 2 == 0) {
                        rig_pass(r, 1);
                        (void)r->calls->needs_notify(&r->q, NULL);
                    }
                }
            }
        }
    }
}

DriverTest(packed_driver_notify, p10_the_numbers_at_which_formulas_fail)
{
    for (unsigned i = 0; i < EVENT_CASES; i++) {
        const struct event_case *c = &event_cases[i];

        rig_open_at(r, c->size, MEMORY_EVENTS, c->old);
        arm(r, c->armed, WIRE_AT);
        pass(r, c->count);
        cr_assert_eq(r->calls->needs_notify(&r->q, NULL), c->wanted);
        cr_assert_eq(event_meets(place_of(c->old), c->size, c->count, c->armed), c->wanted);
    }
}

DriverTest(packed_driver_notify, p10_lists_of_any_length_agree_with_the_reference)
{
    uint64_t random = 3;

    for (unsigned i = 2; i < MEMORY_SIZES - 1; i++) {
        const uint32_t size = memory_sizes[i];
        struct reference_position old = {(uint16_t)(size - 1), false};
        uint32_t count = 0;

        rig_open_at(r, size, MEMORY_EVENTS, (uint16_t)(size - 1));
        for (unsigned n = 0; n < 4000; n++) {
            const unsigned slots = 1 + (unsigned)random_below(&random, size < 8 ? size : 8);
            uint16_t armed;

            rig_use(r, rig_send(r, slots, 0, n), 0, slots);
            (void)rig_poll(r);
            count += slots;
            if (random_below(&random, 3) == 0) {
                armed = place_word(place_after(place_of((uint16_t)(old.index | old.wrap << 15)),
                                               size, (uint32_t)random_below(&random, count + 3)));
                arm(r, armed, WIRE_AT);
                cr_assert_eq(r->calls->needs_notify(&r->q, NULL),
                             reference_packed_event(armed, size, old, count));
                old = reference_position_advance(old, size, count);
                count = 0;
            }
        }
    }
}

DriverTest(packed_driver_notify, p10_a_list_that_jumps_over_the_armed_place_notifies)
{
    for (uint32_t armed = 0; armed < 7; armed++) {
        rig_open_at(r, 7, MEMORY_EVENTS, 4);
        arm(r, place_word(place_after(r->avail, 7, armed)), WIRE_AT);
        (void)rig_send(r, 5, 0, 1);
        cr_assert_eq(r->calls->needs_notify(&r->q, NULL), armed < 5);
    }
}

DriverTest(packed_driver_notify, p10_every_test_begins_to_count_anew_whatever_it_said)
{
    static const unsigned flags[] = {WIRE_ENABLE, WIRE_DISABLE, WIRE_AT, 3};

    for (unsigned i = 0; i < 4; i++) {
        struct place old;

        rig_open_at(r, 300, MEMORY_EVENTS, 298);
        old = r->avail;
        arm(r, place_word(place_after(old, 300, 200)), flags[i]);
        pass(r, 5);
        cr_assert_eq(r->calls->needs_notify(&r->q, NULL),
                     flags[i] == (unsigned)WIRE_ENABLE || flags[i] == 3);
        /* What was asked about is not new any more, though the device armed it only now. */
        arm(r, place_word(place_after(old, 300, 3)), WIRE_AT);
        cr_assert(!r->calls->needs_notify(&r->q, NULL));
        pass(r, 2);
        cr_assert(!r->calls->needs_notify(&r->q, NULL));
        arm(r, place_word(place_after(old, 300, 7)), WIRE_AT);
        pass(r, 1);
        cr_assert(r->calls->needs_notify(&r->q, NULL));
    }
}

DriverTest(packed_driver_notify, p10_what_was_added_but_not_shown_does_not_count)
{
    rig_open_at(r, 7, MEMORY_EVENTS, 6);
    arm(r, 6, WIRE_AT);
    rig_add(r, 1, 0, 1);
    cr_assert(!r->calls->needs_notify(&r->q, NULL));
    cr_assert_eq(r->calls->publish(&r->q), 1u);
    cr_assert(r->calls->needs_notify(&r->q, NULL));
}

DriverTest(packed_driver_notify, p10_more_than_a_circle_between_two_tests_notifies)
{
    for (uint32_t size = 1; size <= 3; size++) {
        for (uint32_t k = 0; k < 2 * size; k++) {
            rig_open_at(r, size, MEMORY_EVENTS, 0);
            arm(r, place_word(place_after(place_start(), size, k)), WIRE_AT);
            rig_pass(r, 2 * size + k);
            cr_assert(r->calls->needs_notify(&r->q, NULL));
        }
        arm(r, place_word(place_after(r->avail, size, size)), WIRE_AT);
        rig_pass(r, 70000);
        cr_assert(r->calls->needs_notify(&r->q, NULL));
        cr_assert(!r->calls->needs_notify(&r->q, NULL));
    }
}

/* ---- N1 ---- */

DriverTest(packed_driver_notify, n1_the_word_is_the_queue_the_next_offset_and_its_wrap)
{
    for (unsigned i = 0; i < MEMORY_SIZES; i++) {
        const uint32_t size = memory_sizes[i];
        uint32_t word = 0;

        rig_open_at(r, size, MEMORY_BASIC | VIRTQ_FEATURE(VIRTIO_F_NOTIFICATION_DATA),
                    (uint16_t)((size - 1) | 0x8000));
        for (unsigned n = 0; n < 9; n++) {
            cr_assert(!r->calls->needs_notify(&r->q, &word));
            cr_assert_eq(word & 0xffff, 3u);
            cr_assert_eq(word >> 16 & 0x7fff, r->avail.offset);
            cr_assert_eq(word >> 31, r->avail.wrap ? 1u : 0u);
            (void)rig_send(r, 1, 0, n);
            /* Where the next one will be: behind what is shown, not behind what is added. */
            if (size > 1) {
                cr_assert_eq(rig_try(r, 1, 0, 77), 1);
            }
            cr_assert(r->calls->needs_notify(&r->q, &word));
            cr_assert_eq(word, 3u | (uint32_t)place_word(r->avail) << 16);
            if (size > 1) {
                cr_assert_eq(r->calls->publish(&r->q), 1u);
                r->avail = place_after(r->avail, size, 1);
                (void)r->calls->needs_notify(&r->q, NULL);
            }
            for (unsigned k = 0; k < (size > 1 ? 2u : 1u); k++) {
                rig_use(r, wire_desc(r->w, r->used).id, 0, 1);
                (void)rig_poll(r);
            }
        }
    }
}

DriverTest(packed_driver_notify, n1_without_the_feature_the_word_is_just_the_queue)
{
    uint32_t word = 0;

    rig_open_at(r, 7, MEMORY_BASIC, 5 | 0x8000);
    r->config.notify_id = 3;
    rig_pass(r, 1);
    cr_assert(r->calls->needs_notify(&r->q, &word));
    cr_assert_eq(word, 3u);
}

DriverTest(packed_driver_notify, s14_the_first_test_after_a_restore_says_yes)
{
    const struct virtq_state state = {VIRTQ_FORMAT_PACKED, 7, 3, 3, 0};

    for (unsigned events = 0; events < 2; events++) {
        rig_open(r, 7, events != 0 ? MEMORY_EVENTS : MEMORY_BASIC);
        cr_assert(!r->calls->needs_notify(&r->q, NULL));
        cr_assert_eq(r->calls->restore(&r->q, &state), 0);
        arm(r, 5, events != 0 ? WIRE_AT : WIRE_ENABLE);
        cr_assert(r->calls->needs_notify(&r->q, NULL));
        cr_assert(!r->calls->needs_notify(&r->q, NULL));
    }
}
