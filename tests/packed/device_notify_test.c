/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a packed queue, and who is to be woken: P9, P10, S14, N2. */
#include "device_rig.h"
#include "event_cases.h"
#include "support/random.h"
#include "support/reference.h"

/** @brief The driver says when it wants to be notified. */
static void arm(const struct device_rig *r, unsigned off_wrap, unsigned flags)
{
    wire_arm(r->w->driver, off_wrap, flags);
}

/** @brief A queue at `start` whose first test, which always says yes, is over. */
static void open_tested(struct device_rig *r, uint32_t size, uint64_t features, uint16_t start)
{
    rig_open_at(r, size, features, start);
    cr_assert_eq(r->calls->needs_notify(&r->q), 1);
    cr_assert_eq(r->calls->needs_notify(&r->q), 0);
}

/** @brief So many one-descriptor buffers are taken, then all shown as used at once. */
static void pass(struct device_rig *r, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        rig_offer(r, n, 8);
        (void)rig_pop_one(r);
    }
    for (unsigned n = 0; n < count; n++) {
        cr_assert_eq(rig_push(r, n, 0), 1);
    }
    cr_assert_eq(r->calls->publish(&r->q), (int)count);
    r->used = place_after(r->used, r->w->size, count);
}

/* ---- P9: the own structure ---- */

DeviceTest(packed_device_notify, p9_without_event_idx_the_own_flags_are_enable_or_disable)
{
    rig_open_at(r, 3, MEMORY_BASIC, 2);
    cr_assert_eq(wire_get(r->w->device, 4), 0u);
    for (unsigned n = 0; n < 8; n++) {
        r->calls->disable_notify(&r->q);
        cr_assert_eq(wire_event(r->w->device).flags, (unsigned)WIRE_DISABLE);
        rig_pass(r, 1);
        cr_assert_eq(wire_event(r->w->device).flags, (unsigned)WIRE_DISABLE);
        cr_assert(!r->calls->enable_notify(&r->q));
        cr_assert_eq(wire_event(r->w->device).flags, (unsigned)WIRE_ENABLE);
    }
    /* The driver's structure is the driver's. */
    cr_assert_eq(wire_get(r->w->driver, 4), 0u);
}

DeviceTest(packed_device_notify, p9_with_event_idx_offset_and_wrap_name_the_next_available_one)
{
    for (unsigned i = 0; i < MEMORY_SIZES - 1; i++) {
        const uint32_t size = memory_sizes[i];

        rig_open(r, size, MEMORY_EVENTS);
        for (uint32_t n = 0; n < 3 * size + 2; n++) {
            r->calls->disable_notify(&r->q);
            cr_assert_eq(wire_event(r->w->device).flags, (unsigned)WIRE_DISABLE);
            cr_assert(!r->calls->enable_notify(&r->q));
            cr_assert_eq(wire_event(r->w->device).flags, (unsigned)WIRE_AT);
            cr_assert_eq(wire_event(r->w->device).off_wrap, place_word(r->avail));
            rig_pass(r, 1);
        }
    }
}

DeviceTest(packed_device_notify, p9_to_enable_looks_once_more)
{
    for (unsigned events = 0; events < 2; events++) {
        for (uint16_t start = 0; start < 14; start++) {
            rig_open_at(r, 7, events != 0 ? MEMORY_EVENTS : MEMORY_BASIC,
                        (uint16_t)(start % 7 | start / 7 << 15));
            r->calls->disable_notify(&r->q);
            cr_assert_eq(rig_pop(r, 1), 0);
            rig_offer_list(r, 0, 1, 1);
            /* The driver made it available without a notification. */
            cr_assert(r->calls->enable_notify(&r->q));
            (void)rig_pop_one(r);
            cr_assert(!r->calls->enable_notify(&r->q));
            /* Put back, it is not new; what comes behind it is. */
            cr_assert_eq(r->calls->unpop(&r->q, r->chains, 1), 0);
            cr_assert(!r->calls->enable_notify(&r->q));
            if (events != 0) {
                cr_assert_eq(wire_event(r->w->device).off_wrap, place_word(r->avail));
            }
            rig_offer(r, 1, 1);
            cr_assert(r->calls->enable_notify(&r->q));
        }
    }
}

DeviceTest(packed_device_notify, p9_a_full_ring_in_flight_is_nothing_new)
{
    /* The next place shows what the device has already, a lap ago. */
    for (uint32_t size = 1; size <= 3; size++) {
        rig_open_at(r, size, MEMORY_EVENTS, 0);
        for (uint32_t n = 0; n < size; n++) {
            rig_offer(r, n, 1);
        }
        cr_assert_eq(rig_pop(r, RIG_CHAINS), (int)size);
        cr_assert(!r->calls->enable_notify(&r->q));
        cr_assert_eq(rig_pop(r, 1), 0);
    }
}

/* ---- P9, N2: the driver's structure ---- */

DeviceTest(packed_device_notify, p9_enable_and_disable_of_the_driver_are_honoured)
{
    for (unsigned events = 0; events < 2; events++) {
        open_tested(r, 7, events != 0 ? MEMORY_EVENTS : MEMORY_BASIC, 5);
        for (unsigned n = 0; n < 20; n++) {
            /* An offset that would not be met says nothing here. */
            arm(r, place_word(place_after(r->used, 7, 3)), n % 2);
            rig_pass(r, 1);
            cr_assert_eq(r->calls->needs_notify(&r->q), n % 2 == WIRE_ENABLE ? 1 : 0);
            cr_assert_eq(r->calls->needs_notify(&r->q), 0);
        }
    }
}

DeviceTest(packed_device_notify, p9_the_reserved_value_means_enable)
{
    for (unsigned events = 0; events < 2; events++) {
        open_tested(r, 7, events != 0 ? MEMORY_EVENTS : MEMORY_BASIC, 5);
        arm(r, place_word(place_after(r->used, 7, 3)), 3);
        cr_assert_eq(r->calls->needs_notify(&r->q), 0);
        rig_pass(r, 1);
        cr_assert_eq(r->calls->needs_notify(&r->q), 1);
    }
}

DeviceTest(packed_device_notify, p9_an_offset_outside_the_ring_notifies)
{
    static const uint16_t offsets[] = {7, 8, 300, 0x7fff};

    for (unsigned i = 0; i < 8; i++) {
        open_tested(r, 7, MEMORY_EVENTS, 5);
        arm(r, offsets[i / 2] | (i & 1) << 15, WIRE_AT);
        cr_assert_eq(r->calls->needs_notify(&r->q), 0);
        rig_pass(r, 1);
        cr_assert_eq(r->calls->needs_notify(&r->q), 1);
    }
}

DeviceTest(packed_device_notify, n2_without_event_idx_desc_means_enable)
{
    open_tested(r, 7, MEMORY_BASIC, 5);
    for (uint32_t k = 0; k < 14; k++) {
        arm(r, place_word(place_after(place_start(), 7, k)), WIRE_AT);
        rig_pass(r, 1);
        cr_assert_eq(r->calls->needs_notify(&r->q), 1);
    }
}

/* ---- P10 ---- */

DeviceTest(packed_device_notify, p10_the_test_is_exact_all_around_the_circle)
{
    static const uint32_t sizes[] = {1, 2, 3, 7};

    for (unsigned i = 0; i < 4; i++) {
        const uint32_t size = sizes[i];

        open_tested(r, size, MEMORY_EVENTS, (uint16_t)(size - 1));
        for (uint32_t k = 0; k < 2 * size; k++) {
            const uint16_t armed = place_word(place_after(place_start(), size, k));

            for (uint32_t count = 0; count <= size; count++) {
                for (uint32_t turn = 0; turn < 2 * size + 1; turn++) {
                    const struct place old = r->used;

                    arm(r, armed, WIRE_AT);
                    pass(r, count);
                    cr_assert_eq(r->calls->needs_notify(&r->q),
                                 event_meets(old, size, count, armed) ? 1 : 0);
                    if (turn % 2 == 0) {
                        rig_pass(r, 1);
                        (void)r->calls->needs_notify(&r->q);
                    }
                }
            }
        }
    }
}

DeviceTest(packed_device_notify, p10_the_numbers_at_which_formulas_fail)
{
    for (unsigned i = 0; i < EVENT_CASES; i++) {
        const struct event_case *c = &event_cases[i];

        open_tested(r, c->size, MEMORY_EVENTS, c->old);
        arm(r, c->armed, WIRE_AT);
        pass(r, c->count);
        cr_assert_eq(r->calls->needs_notify(&r->q), c->wanted ? 1 : 0);
    }
}

DeviceTest(packed_device_notify, p10_lists_of_any_length_agree_with_the_reference)
{
    uint64_t random = 4;

    for (unsigned i = 2; i < MEMORY_SIZES - 1; i++) {
        const uint32_t size = memory_sizes[i];
        struct reference_position old = {(uint16_t)(size - 1), false};
        uint32_t count = 0;

        open_tested(r, size, MEMORY_EVENTS, (uint16_t)(size - 1));
        for (unsigned n = 0; n < 4000; n++) {
            const unsigned slots = 1 + (unsigned)random_below(&random, size < 8 ? size : 8);
            const struct place tested = place_of((uint16_t)(old.index | old.wrap << 15));
            uint16_t armed;

            rig_offer_list(r, 1, slots - 1, 1);
            (void)rig_pop_one(r);
            rig_return(r, 1, 1, slots);
            count += slots;
            if (random_below(&random, 3) == 0) {
                armed = place_word(
                    place_after(tested, size, (uint32_t)random_below(&random, count + 3)));
                arm(r, armed, WIRE_AT);
                cr_assert_eq(r->calls->needs_notify(&r->q),
                             reference_packed_event(armed, size, old, count) ? 1 : 0);
                old = reference_position_advance(old, size, count);
                count = 0;
            }
        }
    }
}

DeviceTest(packed_device_notify, p10_a_list_that_jumps_over_the_armed_place_notifies)
{
    for (uint32_t armed = 0; armed < 7; armed++) {
        open_tested(r, 7, MEMORY_EVENTS, 4);
        arm(r, place_word(place_after(r->used, 7, armed)), WIRE_AT);
        rig_offer_list(r, 2, 2, 3);
        (void)rig_pop_one(r);
        /* One used descriptor is written; the place is passed all the same. */
        rig_return(r, 2, 3, 5);
        cr_assert_eq(r->calls->needs_notify(&r->q), armed < 5 ? 1 : 0);
    }
}

DeviceTest(packed_device_notify, p10_every_test_begins_to_count_anew_whatever_it_said)
{
    static const unsigned flags[] = {WIRE_ENABLE, WIRE_DISABLE, WIRE_AT, 3};

    for (unsigned i = 0; i < 4; i++) {
        struct place old;

        open_tested(r, 300, MEMORY_EVENTS, 298);
        old = r->used;
        arm(r, place_word(place_after(old, 300, 200)), flags[i]);
        pass(r, 5);
        cr_assert_eq(r->calls->needs_notify(&r->q),
                     flags[i] == (unsigned)WIRE_ENABLE || flags[i] == 3 ? 1 : 0);
        /* What was asked about is not new any more, though the driver armed it only now. */
        arm(r, place_word(place_after(old, 300, 3)), WIRE_AT);
        cr_assert_eq(r->calls->needs_notify(&r->q), 0);
        pass(r, 2);
        cr_assert_eq(r->calls->needs_notify(&r->q), 0);
        arm(r, place_word(place_after(old, 300, 7)), WIRE_AT);
        pass(r, 1);
        cr_assert_eq(r->calls->needs_notify(&r->q), 1);
    }
}

DeviceTest(packed_device_notify, p10_what_was_pushed_but_not_shown_does_not_count)
{
    open_tested(r, 7, MEMORY_EVENTS, 6);
    arm(r, 6, WIRE_AT);
    rig_offer(r, 0, 1);
    (void)rig_pop_one(r);
    cr_assert_eq(rig_push(r, 0, 1), 1);
    cr_assert_eq(r->calls->needs_notify(&r->q), 0);
    cr_assert_eq(r->calls->publish(&r->q), 1);
    cr_assert_eq(r->calls->needs_notify(&r->q), 1);
}

DeviceTest(packed_device_notify, p10_more_than_a_circle_between_two_tests_notifies)
{
    for (uint32_t size = 1; size <= 3; size++) {
        for (uint32_t k = 0; k < 2 * size; k++) {
            open_tested(r, size, MEMORY_EVENTS, 0);
            arm(r, place_word(place_after(place_start(), size, k)), WIRE_AT);
            rig_pass(r, 2 * size + k);
            cr_assert_eq(r->calls->needs_notify(&r->q), 1);
        }
        arm(r, place_word(place_after(r->used, size, size)), WIRE_AT);
        rig_pass(r, 70000);
        cr_assert_eq(r->calls->needs_notify(&r->q), 1);
        cr_assert_eq(r->calls->needs_notify(&r->q), 0);
    }
}

/* ---- S14 ---- */

DeviceTest(packed_device_notify, s14_the_first_test_after_a_start_or_a_reset_says_yes)
{
    for (unsigned events = 0; events < 2; events++) {
        rig_open(r, 7, events != 0 ? MEMORY_EVENTS : MEMORY_BASIC);
        for (unsigned turn = 0; turn < 2; turn++) {
            arm(r, 5, WIRE_DISABLE);
            /* Nothing to tell yet. */
            cr_assert_eq(r->calls->needs_notify(&r->q), 0);
            rig_pass(r, 1);
            cr_assert_eq(r->calls->needs_notify(&r->q), 1);
            rig_pass(r, 1);
            cr_assert_eq(r->calls->needs_notify(&r->q), 0);
            r->calls->reset(&r->q);
            memset(r->w->desc, 0, (size_t)7 * WIRE_DESC);
            r->avail = r->used = place_start();
        }
    }
}
