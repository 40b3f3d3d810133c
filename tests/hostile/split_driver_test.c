/* SPDX-License-Identifier: BSD-3-Clause */
/* A hostile driver against our split device: indices, heads and chains. The numbers are classes of
 * defects that others had; see SECURITY.md for what is promised instead. */
#include "driver.h"

static const uint32_t sizes[] = {1, 2, 4, 8, 256};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

/* ---- Indices ---- */

Hostile(hostile_split_driver, row_05_an_index_that_jumps_beyond_the_queue_breaks_it)
{
    for (unsigned i = 0; i < SIZES; i++) {
        hostile_open(h, false, sizes[i], BASIC);
        split_index(h, sizes[i] + 1);
        expect_broken(h, VIRTQ_REASON_QUEUE_INDEX, 0, sizes[i] + 1);
    }
}

Hostile(hostile_split_driver, row_05_an_index_that_jumps_by_the_queue_size_is_legal)
{
    for (unsigned i = 0; i < SIZES; i++) {
        hostile_open(h, false, sizes[i], BASIC);
        for (unsigned k = 0; k < sizes[i]; k++) {
            split_desc(h, k, GUEST, 1, 0, 0);
            split_offer(h, k);
        }
        for (unsigned k = 0; k < sizes[i]; k++) {
            expect_good(h, 1, 0, 1, 0);
        }
        cr_assert_eq(hostile_pop(h), 0);
    }
}

Hostile(hostile_split_driver, row_05_an_index_that_runs_backwards_breaks_the_queue)
{
    hostile_open(h, false, 4, BASIC);
    split_offer(h, 0);
    expect_good(h, 0, 0, 0, 0);
    split_index(h, 0);
    expect_broken(h, VIRTQ_REASON_QUEUE_INDEX, 1, 0);

    hostile_open(h, false, 4, BASIC);
    split_index(h, 0xffff);
    expect_broken(h, VIRTQ_REASON_QUEUE_INDEX, 0, 0xffff);
}

Hostile(hostile_split_driver, row_05_an_index_raised_during_the_drain_counts_what_is_in_flight)
{
    struct virtq_chain chains[4];

    hostile_open(h, false, 4, BASIC);
    for (unsigned k = 0; k < 4; k++) {
        split_offer(h, k);
    }
    cr_assert_eq(virtq_device_pop(h->device, chains, 2, h->pieces, PIECES), 2);
    /* Two are in flight and two wait; one more has no room, whatever pop has taken meanwhile. */
    split_index(h, 5);
    cr_assert_eq(virtq_device_pop(h->device, chains, 4, h->pieces, PIECES), VIRTQ_EBROKEN);
    expect_latched(h, VIRTQ_REASON_QUEUE_INDEX, 2, 5);
}

Hostile(hostile_split_driver, row_05_an_index_raised_after_a_push_waits_for_its_publish)
{
    struct virtq_used_buffer used;

    hostile_open(h, false, 2, BASIC);
    split_offer(h, 0);
    split_offer(h, 1);
    cr_assert_eq(hostile_pop(h), 1);
    used = (struct virtq_used_buffer){h->chain.id, 0};
    cr_assert_eq(virtq_device_push(h->device, &used, 1), 1);
    /* The driver cannot know yet that head 0 is free again. */
    split_offer(h, 0);
    cr_assert_eq(virtq_device_pop(h->device, &h->chain, 4, h->pieces, PIECES), VIRTQ_EBROKEN);
    expect_latched(h, VIRTQ_REASON_QUEUE_INDEX, 1, 3);
}

Hostile(hostile_split_driver, row_06_exactly_as_many_as_the_queue_is_long_may_be_outstanding)
{
    struct virtq_chain chains[256];

    for (unsigned i = 0; i < SIZES; i++) {
        hostile_open(h, false, sizes[i], BASIC);
        for (unsigned k = 0; k < sizes[i]; k++) {
            split_offer(h, k);
        }
        cr_assert_eq(virtq_device_pop(h->device, chains, 256, h->pieces, PIECES), (int)sizes[i]);
        cr_assert_eq(virtq_device_outstanding(h->device), sizes[i]);
        cr_assert_eq(virtq_device_pop(h->device, chains, 256, h->pieces, PIECES), 0);
        cr_assert_eq(hostile_fault(h).reason, (uint32_t)VIRTQ_REASON_NONE);
    }
}

Hostile(hostile_split_driver, row_07_the_index_wraps_at_65536_and_the_queue_goes_on)
{
    hostile_open(h, false, 4, BASIC);
    for (unsigned k = 0; k < 70000; k++) {
        split_desc(h, k & 3, GUEST + (k & 1023), 2, 0, 0);
        split_offer(h, k & 3);
        cr_assert_eq(hostile_pop(h), 1);
        cr_assert_eq(h->chain.id, k & 3);
        cr_assert(h->chain.pieces[0].base == h->guest.view + (k & 1023));
        hostile_return(h, 0);
        cr_assert_eq(get16(h->ring[2].at + 2), (k + 1) & 0xffff);
        cr_assert_eq(get32(h->ring[2].at + 4 + (size_t)(k & 3) * 8), k & 3);
    }
    split_index(h, h->next + 5u);
    expect_broken(h, VIRTQ_REASON_QUEUE_INDEX, 70000 & 0xffff, (70000 & 0xffff) + 5);
}

Hostile(hostile_split_driver, row_34_a_driver_that_refills_at_once_gets_no_more_than_the_budget)
{
    struct virtq_chain chains[4];

    hostile_open(h, false, 4, BASIC);
    for (unsigned k = 0; k < 100; k++) {
        while ((uint16_t)(h->next - k) < 4) {
            split_offer(h, h->next & 3);
        }
        cr_assert_eq(virtq_device_pop(h->device, chains, 1, h->pieces, PIECES), 1);
        h->chain = chains[0];
        hostile_return(h, 0);
    }
}

/* ---- Heads ---- */

Hostile(hostile_split_driver, row_04_a_head_that_is_no_descriptor_breaks_the_queue)
{
    static const unsigned beyond[] = {0, 1, 0x7fff};

    for (unsigned i = 0; i < SIZES; i++) {
        for (unsigned k = 0; k < 3; k++) {
            hostile_open(h, false, sizes[i], BASIC);
            split_offer(h, sizes[i] + beyond[k]);
            expect_broken(h, VIRTQ_REASON_QUEUE_HEAD, 0, sizes[i] + beyond[k]);
        }
        hostile_open(h, false, sizes[i], BASIC);
        split_offer(h, 0xffff);
        expect_broken(h, VIRTQ_REASON_QUEUE_HEAD, 0, 0xffff);
    }
}

Hostile(hostile_split_driver, row_04_the_last_descriptor_is_a_legal_head)
{
    for (unsigned i = 0; i < SIZES; i++) {
        hostile_open(h, false, sizes[i], BASIC);
        split_desc(h, sizes[i] - 1, GUEST, 5, WRITE, 0xffff);
        split_offer(h, sizes[i] - 1);
        expect_good(h, 0, 1, 0, 5);
    }
}

Hostile(hostile_split_driver, row_30_a_head_made_available_while_the_device_has_it_breaks_the_queue)
{
    struct virtq_chain chains[2];

    hostile_open(h, false, 4, BASIC);
    split_offer(h, 2);
    cr_assert_eq(hostile_pop(h), 1);
    split_offer(h, 2);
    expect_broken(h, VIRTQ_REASON_QUEUE_IN_FLIGHT, 1, 2);

    /* Both in one pop: the first still comes out. */
    hostile_open(h, false, 4, BASIC);
    split_offer(h, 3);
    split_offer(h, 3);
    cr_assert_eq(virtq_device_pop(h->device, chains, 2, h->pieces, PIECES), 1);
    expect_broken(h, VIRTQ_REASON_QUEUE_IN_FLIGHT, 1, 3);
}

Hostile(hostile_split_driver, row_30_a_head_is_legal_again_once_it_was_used)
{
    hostile_open(h, false, 4, BASIC);
    for (unsigned k = 0; k < 9; k++) {
        split_offer(h, 1);
        expect_good(h, 0, 0, 0, 0);
    }
}

/* ---- Chains ---- */

Hostile(hostile_split_driver, row_01_a_descriptor_that_follows_itself_breaks_the_queue)
{
    static const uint32_t lens[] = {0, 1, 16};

    for (unsigned i = 0; i < SIZES; i++) {
        for (unsigned k = 0; k < 3; k++) {
            hostile_open(h, false, sizes[i], BASIC);
            split_desc(h, 0, GUEST, lens[k], NEXT, 0);
            split_offer(h, 0);
            /* Bigger queues run out of pieces on the way, which is the lesser evil: the rest of
             * the array is not the driver's to fill. */
            if (lens[k] != 0 && sizes[i] > PIECES) {
                expect_bad(h, VIRTQ_REASON_PIECES);
            } else {
                expect_broken(h, VIRTQ_REASON_QUEUE_LOOP, 0, 0);
            }
        }
    }
}

Hostile(hostile_split_driver, row_01_a_circle_of_two_with_all_lengths_0_breaks_the_queue)
{
    for (unsigned i = 1; i < SIZES; i++) {
        hostile_open(h, false, sizes[i], BASIC);
        split_desc(h, 0, 0, 0, NEXT, 1);
        split_desc(h, 1, 0, 0, NEXT | WRITE, 0);
        split_offer(h, 1);
        /* Readable after writable comes first: the circle is never closed. */
        expect_bad(h, VIRTQ_REASON_ORDER);
        split_desc(h, 1, 0, 0, NEXT, 0);
        split_offer(h, 1);
        expect_broken(h, VIRTQ_REASON_QUEUE_LOOP, 1, 1);
    }
}

Hostile(hostile_split_driver, row_02_a_chain_as_long_as_the_queue_is_legal_and_one_longer_is_not)
{
    for (unsigned i = 0; i < SIZES; i++) {
        const unsigned n = sizes[i];

        for (unsigned length = n > 1 ? n - 1 : 1; length <= n + 1; length++) {
            hostile_open(h, false, n, BASIC);
            for (unsigned k = 0; k < n; k++) {
                split_desc(h, k, 0, 0, k + 1 < length ? NEXT : 0, (k + 1) % n);
            }
            split_offer(h, 0);
            if (length <= n) {
                expect_good(h, 0, 0, 0, 0);
            } else {
                expect_broken(h, VIRTQ_REASON_QUEUE_LOOP, 0, 0);
            }
        }
    }
}

Hostile(hostile_split_driver, row_03_next_that_is_no_descriptor_breaks_the_queue)
{
    for (unsigned i = 0; i < SIZES; i++) {
        const unsigned beyond[] = {sizes[i], sizes[i] + 1, 0xffff};

        for (unsigned k = 0; k < 3; k++) {
            hostile_open(h, false, sizes[i], BASIC);
            split_desc(h, 0, GUEST, 1, NEXT, beyond[k]);
            split_offer(h, 0);
            expect_broken(h, VIRTQ_REASON_QUEUE_NEXT, 0, beyond[k]);
        }
    }
}

Hostile(hostile_split_driver, row_03_next_is_not_looked_at_without_its_flag)
{
    hostile_open(h, false, 8, BASIC);
    split_desc(h, 0, GUEST, 1, NEXT, 7);
    split_desc(h, 7, GUEST + 1, 2, WRITE, 0xffff);
    split_offer(h, 0);
    expect_good(h, 1, 1, 1, 2);
}

Hostile(hostile_split_driver, row_15_readable_after_writable_is_a_bad_buffer)
{
    static const uint32_t lens[] = {0, 8}; /* A writable element of length 0 counts as well. */

    for (unsigned k = 0; k < 2; k++) {
        hostile_open(h, false, 8, BASIC);
        split_desc(h, 0, GUEST, 4, NEXT, 1);
        split_desc(h, 1, GUEST, lens[k], NEXT | WRITE, 2);
        split_desc(h, 2, GUEST, 4, 0, 0);
        split_offer(h, 0);
        expect_bad(h, VIRTQ_REASON_ORDER);

        split_desc(h, 1, GUEST, lens[k], NEXT | WRITE, 3);
        split_desc(h, 3, GUEST, 0, 0, 0);
        split_offer(h, 1);
        expect_bad(h, VIRTQ_REASON_ORDER);
    }
}

Hostile(hostile_split_driver, unknown_descriptor_flags_are_ignored)
{
    hostile_open(h, false, 8, BASIC);
    split_desc(h, 0, GUEST, 4, 0xfff8 | NEXT, 1);
    split_desc(h, 1, GUEST, 4, 0xfff8 | WRITE, 0);
    split_offer(h, 0);
    expect_good(h, 1, 1, 4, 4);
}

/* ---- Notifications and geometry ---- */

Hostile(hostile_split_driver, row_43_an_event_index_that_moves_gets_one_signal_a_test_at_most)
{
    unsigned signals = 0;

    hostile_open(h, false, 4, EVENTS);
    for (unsigned k = 0; k < 500; k++) {
        split_offer(h, k & 3);
        cr_assert_eq(hostile_pop(h), 1);
        hostile_return(h, 0);
        put16(h->ring[1].at + 4 + 8, k); /* used_event: always the very element just used. */
        signals += virtq_device_needs_notify(h->device) == 1;
        put16(h->ring[1].at + 4 + 8, k * 40503u);
        cr_assert_eq(virtq_device_needs_notify(h->device), 0, "nothing was published since");
    }
    cr_assert_eq(signals, 500u);
}

Hostile(hostile_split_driver, row_43_flags_with_every_bit_set_are_only_a_wish)
{
    hostile_open(h, false, 4, BASIC);
    put16(h->ring[1].at, 0xffff);
    for (unsigned k = 0; k < 6; k++) {
        split_offer(h, k & 3);
        expect_good(h, 0, 0, 0, 0);
        cr_assert_eq(virtq_device_needs_notify(h->device), k == 0 ? 1 : 0, "the first says yes");
    }
    put16(h->ring[1].at, 0xfffe);
    split_offer(h, 0);
    expect_good(h, 0, 0, 0, 0);
    cr_assert_eq(virtq_device_needs_notify(h->device), 1);
}

Hostile(hostile_split_driver, row_45_the_geometry_is_frozen_at_init)
{
    hostile_open(h, false, 4, BASIC);
    h->config.size = 32768;
    h->config.table_max = 65535;
    memset(&h->config.areas, 0, sizeof(h->config.areas));
    h->config.space = NULL;
    split_desc(h, 0, GUEST, 1, NEXT, 4);
    split_offer(h, 0);
    expect_broken(h, VIRTQ_REASON_QUEUE_NEXT, 0, 4);
}

Hostile(hostile_split_driver, row_32_a_buffer_left_in_the_ring_does_not_keep_the_device_awake)
{
    hostile_open(h, false, 4, EVENTS);
    split_offer(h, 0);
    cr_assert(virtq_device_enable_notify(h->device), "something new came");
    cr_assert_eq(hostile_pop(h), 1);
    cr_assert_eq(virtq_device_unpop(h->device, &h->chain, 1), 0);
    cr_assert(!virtq_device_enable_notify(h->device), "what was put back is not new");
    split_offer(h, 1);
    cr_assert(virtq_device_enable_notify(h->device), "but this is");
}
