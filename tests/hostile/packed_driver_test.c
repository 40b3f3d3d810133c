/* SPDX-License-Identifier: BSD-3-Clause */
/* A hostile driver against our packed device: positions, lists, ids and event words. */
#include "driver.h"

static const uint32_t sizes[] = {1, 2, 3, 7, 8, 100};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

#define START 0x8000u

static void packed_open(struct hostile *h, uint32_t size)
{
    hostile_open(h, true, size, BASIC);
}

Hostile(hostile_packed_driver, row_36_an_id_that_is_not_below_the_queue_size_breaks_the_queue)
{
    static const unsigned beyond[] = {0, 1, 0x7f00};

    for (unsigned i = 0; i < SIZES; i++) {
        for (unsigned k = 0; k < 3; k++) {
            packed_open(h, sizes[i]);
            packed_desc(h, GUEST, 1, sizes[i] + beyond[k], 0);
            expect_broken(h, VIRTQ_REASON_QUEUE_HEAD, START, sizes[i] + beyond[k]);
        }
        packed_open(h, sizes[i]);
        packed_desc(h, GUEST, 1, 0xffff, 0);
        expect_broken(h, VIRTQ_REASON_QUEUE_HEAD, START, 0xffff);
        packed_open(h, sizes[i]);
        packed_desc(h, GUEST, 1, sizes[i] - 1, 0);
        expect_good(h, 1, 0, 1, 0);
    }
}

Hostile(hostile_packed_driver, row_36_an_id_that_the_device_has_breaks_the_queue)
{
    packed_open(h, 8);
    packed_desc(h, GUEST, 1, 5, 0);
    packed_desc(h, GUEST, 1, 5, 0);
    cr_assert_eq(hostile_pop(h), 1);
    expect_broken(h, VIRTQ_REASON_QUEUE_IN_FLIGHT, START + 1, 5);
    packed_open(h, 8);
    for (unsigned k = 0; k < 100; k++) { /* Legal once it was used. */
        packed_desc(h, GUEST, 1, 5, 0);
        expect_good(h, 1, 0, 1, 0);
    }
}

Hostile(hostile_packed_driver, row_36_the_id_of_the_last_descriptor_counts_and_no_other)
{
    packed_open(h, 8);
    packed_desc(h, GUEST, 1, 0xffff, NEXT);
    packed_desc(h, GUEST, 1, 0x4000, NEXT);
    packed_desc(h, GUEST, 1, 6, WRITE);
    cr_assert_eq(hostile_pop(h), 1);
    cr_assert_eq(h->chain.id, 6);
    hostile_return(h, 1);
    packed_desc(h, GUEST, 1, 6, NEXT);
    packed_desc(h, GUEST, 1, 0xffff, 0);
    expect_broken(h, VIRTQ_REASON_QUEUE_HEAD, START + 3, 0xffff);
}

Hostile(hostile_packed_driver, row_36_the_id_of_a_bad_buffer_is_judged_too)
{
    packed_open(h, 8);
    packed_desc(h, 0, 1, 1, NEXT);
    packed_desc(h, 0, 1, 9, 0);
    expect_broken(h, VIRTQ_REASON_QUEUE_HEAD, START, 9);
    packed_open(h, 8);
    packed_desc(h, GUEST, 1, 1, 0);
    packed_desc(h, 0, 1, 1, 0);
    cr_assert_eq(hostile_pop(h), 1);
    expect_broken(h, VIRTQ_REASON_QUEUE_IN_FLIGHT, START + 1, 1);
}

Hostile(hostile_packed_driver, a_list_that_goes_on_into_what_is_not_available_breaks_the_queue)
{
    for (unsigned i = 1; i < SIZES; i++) {
        packed_open(h, sizes[i]);
        packed_desc(h, GUEST, 1, 0, NEXT);
        expect_broken(h, VIRTQ_REASON_QUEUE_PARTIAL, START + 1, 0);
    }
    /* A descriptor with both bits as the device writes them is not available either. */
    packed_open(h, 8);
    packed_desc(h, GUEST, 1, 0, NEXT);
    put16(h->ring[0].at + 16 + 14, AVAIL | USED | NEXT);
    expect_broken(h, VIRTQ_REASON_QUEUE_PARTIAL, START + 1, AVAIL | USED | NEXT);
    /* Nor one of the other lap. */
    packed_open(h, 8);
    packed_desc(h, GUEST, 1, 0, NEXT);
    put16(h->ring[0].at + 16 + 14, USED);
    expect_broken(h, VIRTQ_REASON_QUEUE_PARTIAL, START + 1, USED);
}

Hostile(hostile_packed_driver, a_list_that_wraps_has_other_bits_behind_the_end)
{
    for (unsigned bad = 0; bad < 2; bad++) {
        packed_open(h, 8);
        for (unsigned k = 0; k < 6; k++) {
            packed_desc(h, GUEST, 1, k, 0);
            expect_good(h, 1, 0, 1, 0);
        }
        packed_desc(h, GUEST, 1, 1, NEXT);
        packed_desc(h, GUEST, 1, 1, NEXT);
        packed_desc(h, GUEST, 1, 1, 0);
        if (bad != 0) {
            put16(h->ring[0].at + 14, AVAIL); /* As if the ring had not wrapped. */
            expect_broken(h, VIRTQ_REASON_QUEUE_PARTIAL, 0, AVAIL);
        } else {
            expect_good(h, 3, 0, 3, 0);
        }
    }
}

Hostile(hostile_packed_driver, row_02_a_list_as_long_as_the_queue_is_legal_and_one_longer_is_not)
{
    for (unsigned i = 0; i < SIZES; i++) {
        const unsigned n = sizes[i];

        for (unsigned length = n > 1 ? n - 1 : 1; length <= n; length++) {
            packed_open(h, n);
            for (unsigned k = 0; k < length; k++) {
                packed_desc(h, 0, 0, 0, k + 1 < length ? NEXT : 0);
            }
            expect_good(h, 0, 0, 0, 0);
            packed_desc(h, GUEST, 1, 0, 0); /* Found where the list ends. */
            expect_good(h, 1, 0, 1, 0);
        }
        /* A full lap of NEXT meets its own start, which is of the wrong lap by then. */
        packed_open(h, n);
        for (unsigned k = 0; k < n; k++) {
            packed_desc(h, 0, 0, 0, NEXT);
        }
        expect_broken(h, VIRTQ_REASON_QUEUE_PARTIAL, 0, AVAIL | NEXT);
    }
}

Hostile(hostile_packed_driver, a_list_longer_than_the_free_part_of_the_ring_breaks_the_queue)
{
    packed_open(h, 4);
    packed_desc(h, GUEST, 1, 0, NEXT);
    packed_desc(h, GUEST, 1, 0, 0);
    cr_assert_eq(hostile_pop(h), 1);
    packed_desc(h, GUEST, 1, 1, NEXT);
    packed_desc(h, GUEST, 1, 1, NEXT);
    packed_desc(h, GUEST, 1, 1, NEXT); /* Over the two that the device still has. */
    packed_desc(h, GUEST, 1, 1, 0);
    expect_broken(h, VIRTQ_REASON_QUEUE_LOOP, START + 2, 3);
}

Hostile(hostile_packed_driver, row_05_a_full_ring_made_available_again_is_not_popped_twice)
{
    struct virtq_chain chains[9];

    packed_open(h, 4);
    for (unsigned k = 0; k < 8; k++) {
        packed_desc(h, GUEST, 1, k & 3, 0);
    }
    cr_assert_eq(virtq_device_pop(h->device, chains, 9, h->pieces, PIECES), 0,
                 "the first lap was overwritten by the second");
    packed_open(h, 4);
    for (unsigned k = 0; k < 4; k++) {
        packed_desc(h, GUEST, 1, k, 0);
    }
    cr_assert_eq(virtq_device_pop(h->device, chains, 9, h->pieces, PIECES), 4);
    for (unsigned k = 0; k < 4; k++) {
        packed_desc(h, GUEST, 1, k, 0);
    }
    cr_assert_eq(virtq_device_pop(h->device, chains, 9, h->pieces, PIECES), 0);
    cr_assert_eq(virtq_device_outstanding(h->device), 4u);
    cr_assert_eq(hostile_fault(h).reason, (uint32_t)VIRTQ_REASON_NONE);
}

Hostile(hostile_packed_driver, a_table_in_a_list_breaks_the_queue)
{
    packed_open(h, 8);
    table_fill(h, 0, 1);
    packed_desc(h, GUEST, 4, 0, NEXT);
    packed_desc(h, GUEST, 16, 0, INDIRECT);
    expect_broken(h, VIRTQ_REASON_QUEUE_TABLE, START, INDIRECT | AVAIL);
    packed_open(h, 8);
    packed_desc(h, GUEST, 4, 0, NEXT);
    packed_desc(h, GUEST, 4, 0, NEXT);
    packed_desc(h, GUEST, 16, 0, INDIRECT | WRITE);
    expect_broken(h, VIRTQ_REASON_QUEUE_TABLE, START, INDIRECT | AVAIL | WRITE);
}

Hostile(hostile_packed_driver, row_12_INDIRECT_with_NEXT_breaks_the_queue)
{
    packed_open(h, 8);
    table_fill(h, 0, 1);
    packed_desc(h, GUEST, 16, 0, INDIRECT | NEXT);
    packed_desc(h, GUEST, 4, 0, 0);
    expect_broken(h, VIRTQ_REASON_QUEUE_TABLE, START, INDIRECT | AVAIL | NEXT);
}

Hostile(hostile_packed_driver, only_WRITE_means_anything_in_a_table)
{
    packed_open(h, 8);
    table_entry(h, 0, 0, GUEST, 3, 0xffff & ~WRITE, 0);
    table_entry(h, 0, 1, GUEST, 4, 0xffff, 0);
    packed_desc(h, GUEST, 32, 0, INDIRECT);
    expect_good(h, 1, 1, 3, 4);
}

Hostile(hostile_packed_driver, row_24_a_descriptor_is_available_only_if_both_bits_say_so)
{
    static const unsigned words[] = {0, USED, AVAIL | USED, NEXT, 0x7fff & ~AVAIL, 0xffff};

    for (unsigned k = 0; k < 6; k++) {
        packed_open(h, 8);
        put16(h->ring[0].at + 14, words[k]);
        cr_assert_eq(hostile_pop(h), 0);
        cr_assert(!virtq_device_enable_notify(h->device));
    }
    packed_open(h, 8);
    put16(h->ring[0].at + 14, AVAIL);
    cr_assert(virtq_device_enable_notify(h->device));
    expect_good(h, 0, 0, 0, 0);
}

Hostile(hostile_packed_driver, row_15_readable_after_writable_is_skipped_to_the_end_of_its_list)
{
    packed_open(h, 8);
    packed_desc(h, GUEST, 0, 0, WRITE | NEXT);
    packed_desc(h, GUEST, 4, 0, NEXT);
    packed_desc(h, GUEST, 4, 0, NEXT);
    packed_desc(h, GUEST, 4, 3, 0);
    packed_desc(h, GUEST, 7, 1, 0);
    cr_assert_eq(hostile_pop(h), 1);
    cr_assert(h->chain.reason == VIRTQ_REASON_ORDER && h->chain.id == 3);
    hostile_return(h, 0);
    expect_good(h, 1, 0, 7, 0);
}

Hostile(hostile_packed_driver, row_07_row_35_every_size_goes_round_many_times)
{
    for (unsigned i = 0; i < SIZES; i++) {
        const unsigned n = sizes[i];

        packed_open(h, n);
        for (unsigned k = 0; k < 20 * n + 20000 / n; k++) {
            const uint16_t at = h->next;
            const unsigned length = k % (n < 5 ? n : 5) + 1;
            const unsigned char *used = h->ring[0].at + (size_t)(at & 0x7fff) * 16;
            unsigned flags;

            for (unsigned d = 0; d < length; d++) {
                packed_desc(h, GUEST + d, 1, k % n, WRITE | (d + 1 < length ? NEXT : 0));
            }
            expect_good(h, 0, length, 0, length);
            flags = WRITE | ((at & 0x8000) != 0 ? AVAIL | USED : 0u);
            cr_assert(get32(used + 8) == length && get16(used + 12) == k % n);
            cr_assert_eq(get16(used + 14), flags);
        }
        cr_assert_eq(hostile_pop(h), 0);
    }
}

Hostile(hostile_packed_driver, row_07_a_queue_of_32768_wraps_at_its_own_end)
{
    if (h->called) {
        return; /* Once is enough. */
    }
    packed_open(h, 32768);
    for (unsigned k = 0; k < 32768 + 10; k++) {
        packed_desc(h, GUEST, 1, 32767, 0);
        expect_good(h, 1, 0, 1, 0);
    }
    packed_desc(h, GUEST, 1, 32768, 0);
    expect_broken(h, VIRTQ_REASON_QUEUE_HEAD, 10, 32768);
}

/* ---- Event words ---- */

static int decision(struct hostile *h, unsigned off_wrap, unsigned flags)
{
    packed_desc(h, 0, 0, 0, 0);
    expect_good(h, 0, 0, 0, 0);
    put16(h->ring[1].at, off_wrap);
    put16(h->ring[1].at + 2, flags);
    return virtq_device_needs_notify(h->device);
}

Hostile(hostile_packed_driver, row_43_event_words_that_make_no_sense_notify)
{
    hostile_open(h, true, 8, EVENTS);
    cr_assert_eq(decision(h, 0, 1), 1, "the first test says yes");
    cr_assert_eq(decision(h, 0, 1), 0);
    cr_assert_eq(decision(h, 0, 3), 1, "reserved value");
    cr_assert_eq(decision(h, 8, 2), 1, "offset N");
    cr_assert_eq(decision(h, 0x7fff, 2), 1);
    cr_assert_eq(decision(h, 0xffff, 2), 1);
    cr_assert_eq(decision(h, 0, 0xfffd), 0, "bits beyond the two");
    cr_assert_eq(decision(h, 0, 0xfffc), 1);
    packed_open(h, 8); /* N2: without EVENT_IDX, 2 has no meaning. */
    cr_assert_eq(decision(h, 0, 1), 1);
    cr_assert_eq(decision(h, 6 | START, 2), 1);
    cr_assert_eq(virtq_device_needs_notify(h->device), 0, "nothing was published since");
}

Hostile(hostile_packed_driver, row_43_an_event_that_moves_gets_one_signal_a_publish_at_most)
{
    unsigned signals = 0;

    hostile_open(h, true, 7, EVENTS);
    for (unsigned k = 0; k < 500; k++) {
        signals += decision(h, k % 7 | (k / 7 % 2 == 0 ? START : 0), 2) == 1;
        put16(h->ring[1].at, k * 40503u % 7);
        cr_assert_eq(virtq_device_needs_notify(h->device), 0);
    }
    cr_assert_eq(signals, 500u);
}
