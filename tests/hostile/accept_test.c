/* SPDX-License-Identifier: BSD-3-Clause */
/* What is odd but legal must be accepted: this list binds as hard as the list of what is refused.
 */
#include "device.h"
#include "driver.h"
#include "source.h"

#define RW ((uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE)

static void unaligned_table(struct hostile *h)
{
    table_fill(h, 7, 3);
    offer_one(h, GUEST + 7, 48, INDIRECT);
    expect_good(h, 3, 0, 3, 0);
}

Hostile(hostile_accept, a01_a_table_at_an_odd_address)
{
    both_formats(h, BASIC, unaligned_table);
}

static void write_on_table(struct hostile *h)
{
    table_fill(h, 0, 2);
    offer_one(h, GUEST, 32, INDIRECT | WRITE);
    expect_good(h, 2, 0, 2, 0);
}

Hostile(hostile_accept, a02_WRITE_on_the_descriptor_of_a_table)
{
    both_formats(h, BASIC, write_on_table);
}

static void full_ring(struct hostile *h)
{
    struct virtq_chain chains[8];

    for (unsigned k = 0; k < 8; k++) {
        if (h->packed) {
            packed_desc(h, GUEST, 1, 7 - k, 0);
        } else {
            split_desc(h, k, GUEST, 1, 0, 0);
            split_offer(h, 7 - k);
        }
    }
    cr_assert_eq(virtq_device_pop(h->device, chains, 8, h->pieces, PIECES), 8);
    for (unsigned k = 0; k < 8; k++) {
        cr_assert(chains[k].reason == 0 && chains[k].id == 7 - k);
    }
}

Hostile(hostile_accept, a03_a_full_ring)
{
    both_formats(h, BASIC, full_ring);
}

Hostile(hostile_accept, a04_a_queue_of_1)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        hostile_open(h, packed != 0, 1, BASIC);
        for (unsigned k = 0; k < 10; k++) {
            offer_one(h, GUEST, 9, WRITE);
            expect_good(h, 0, 1, 0, 9);
        }
    }
}

Hostile(hostile_accept, a05_packed_queues_of_sizes_that_are_no_power_of_two)
{
    static const uint32_t sizes[] = {3, 5, 7, 100, 257, 300};

    for (unsigned i = 0; i < 6; i++) {
        hostile_open(h, true, sizes[i], BASIC);
        for (unsigned k = 0; k < 3 * sizes[i]; k++) {
            packed_desc(h, GUEST, 1, k % sizes[i], 0);
            expect_good(h, 1, 0, 1, 0);
        }
    }
}

Hostile(hostile_accept, a06_a_direct_chain_that_ends_in_a_table_on_split)
{
    const struct element list[3] = {{GUEST, 4, 0}, {GUEST, 5, 0}, {GUEST + 64, 32, INDIRECT}};

    hostile_open(h, false, 4, BASIC);
    table_entry(h, 64, 0, GUEST, 6, NEXT, 1);
    table_entry(h, 64, 1, GUEST, 7, WRITE, 0);
    offer_list(h, list, 3);
    expect_good(h, 3, 1, 15, 7);
}

Hostile(hostile_accept, a07_writable_elements_and_then_a_table_of_writable_ones_on_split)
{
    const struct element list[2] = {{GUEST, 4, WRITE}, {GUEST + 64, 16, INDIRECT}};

    hostile_open(h, false, 4, BASIC);
    table_entry(h, 64, 0, GUEST, 6, WRITE, 0);
    offer_list(h, list, 2);
    expect_good(h, 0, 2, 0, 10);
}

static void spurious(struct hostile *h)
{
    for (unsigned k = 0; k < 10; k++) {
        cr_assert_eq(hostile_pop(h), 0);
        cr_assert_eq(virtq_device_publish(h->device), 0);
        cr_assert_eq(virtq_device_needs_notify(h->device), 0);
        cr_assert(!virtq_device_enable_notify(h->device));
    }
    offer_one(h, GUEST, 1, 0);
    expect_good(h, 1, 0, 1, 0);
}

Hostile(hostile_accept, a08_notifications_for_nothing)
{
    both_formats(h, EVENTS, spurious);
}

Hostile(hostile_accept, a09_reserved_event_bits)
{
    hostile_open(h, true, 8, EVENTS);
    put16(h->ring[1].at + 2, 0xfff3);
    offer_one(h, GUEST, 1, 0);
    expect_good(h, 1, 0, 1, 0);
    cr_assert_eq(virtq_device_needs_notify(h->device), 1);
}

static void adjacent(struct hostile *h)
{
    offer_one(h, 0x1000, 64, 0);
    expect_good(h, 4, 0, 64, 0);
    offer_one(h, 0x1008, 40, WRITE);
    expect_good(h, 0, 3, 0, 40);
}

Hostile(hostile_accept, a10_a_buffer_over_several_adjacent_pieces)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        struct source source;

        source_init(&source, h);
        for (unsigned k = 0; k < 4; k++) {
            source_add(&source, 0x1000 + k * 16, 16, h->guest.view + k * 32, RW);
        }
        hostile_open(h, packed != 0, 8, BASIC);
        adjacent(h);
    }
}

static void exactly_n(struct hostile *h)
{
    struct element list[8];

    for (unsigned k = 0; k < 8; k++) {
        list[k] = (struct element){GUEST + k, 1, k < 4 ? 0 : WRITE};
    }
    offer_list(h, list, 8);
    expect_good(h, 4, 4, 4, 4);
}

Hostile(hostile_accept, a11_a_chain_of_exactly_N)
{
    both_formats(h, BASIC, exactly_n);
}

static void table_of_n(struct hostile *h)
{
    h->config.table_max = 8;
    table_fill(h, 0, 8);
    offer_one(h, GUEST, 8 * 16, INDIRECT);
    expect_good(h, 8, 0, 8, 0);
}

Hostile(hostile_accept, a12_a_table_of_exactly_N)
{
    both_formats(h, BASIC, table_of_n);
}

static void table_of_1(struct hostile *h)
{
    table_fill(h, 0, 1);
    offer_one(h, GUEST, 16, INDIRECT);
    expect_good(h, 1, 0, 1, 0);
}

Hostile(hostile_accept, a13_a_table_of_1)
{
    both_formats(h, BASIC, table_of_1);
}

static void used_0(struct hostile *h)
{
    offer_one(h, GUEST, 8, WRITE);
    cr_assert_eq(hostile_pop(h), 1);
    hostile_return(h, 0);
}

Hostile(hostile_accept, a14_a_used_length_of_0_for_a_writable_buffer)
{
    both_formats(h, BASIC, used_0);
}

static void zero_lengths(struct hostile *h)
{
    const struct element list[3] = {{UINT64_MAX, 0, 0}, {0, 0, 0}, {1, 0, WRITE}};

    offer_list(h, list, 3);
    expect_good(h, 0, 0, 0, 0);
}

Hostile(hostile_accept, a15_a_buffer_of_nothing_but_lengths_of_0)
{
    both_formats(h, BASIC, zero_lengths);
}

static void same_memory(struct hostile *h)
{
    const struct element list[2] = {{GUEST, 8, 0}, {GUEST, 8, WRITE}};

    offer_list(h, list, 2);
    expect_good(h, 1, 1, 8, 8);
}

Hostile(hostile_accept, a16_the_same_memory_readable_and_writable)
{
    both_formats(h, BASIC, same_memory);
}

static void odd_payload(struct hostile *h)
{
    for (unsigned at = 0; at < 20; at++) {
        offer_one(h, GUEST + at, 20 - at, 0);
        expect_good(h, 1, 0, 20 - at, 0);
    }
}

Hostile(hostile_accept, a17_payload_at_any_alignment)
{
    both_formats(h, BASIC, odd_payload);
}

Hostile(hostile_accept, a18_a_whole_region_as_one_element_and_as_a_table_entry)
{
    hostile_open(h, false, 8, BASIC);
    offer_one(h, GUEST, GUEST_SIZE, WRITE);
    expect_good(h, 0, 1, 0, GUEST_SIZE);
    table_entry(h, 0, 0, GUEST, GUEST_SIZE, 0, 0);
    offer_one(h, GUEST, 16, INDIRECT);
    expect_good(h, 1, 0, GUEST_SIZE, 0);
}

Hostile(hostile_accept, a19_a_split_table_in_any_order_with_entries_that_are_not_used)
{
    hostile_open(h, false, 8, BASIC);
    memset(h->guest.at, 0xff, 80);
    table_entry(h, 0, 0, GUEST, 1, NEXT, 4);
    table_entry(h, 0, 4, GUEST, 2, NEXT, 2);
    table_entry(h, 0, 2, GUEST, 3, 0, 0xffff);
    offer_one(h, GUEST, 80, INDIRECT);
    expect_good(h, 3, 0, 6, 0);
}

Hostile(hostile_accept, a20_a_bad_buffer_between_good_ones)
{
    hostile_open(h, true, 8, BASIC);
    for (unsigned k = 0; k < 20; k++) {
        offer_one(h, GUEST, 1, 0);
        expect_good(h, 1, 0, 1, 0);
        offer_one(h, 0, 1, 0);
        expect_bad(h, VIRTQ_REASON_ADDRESS);
    }
}

/* ---- The driver end ---- */

Rogue(hostile_accept, a21_a_used_length_of_0)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        rogue_open(r, packed != 0, 4, 0, VIRTQ_DRIVER_STRICT_LENGTH);
        rogue_use(r, rogue_send(r, 0, 1), 0, 1);
        expect_back(r, 1, 0);
    }
}

Rogue(hostile_accept, a22_completions_in_any_order)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        unsigned ids[3];

        rogue_open(r, packed != 0, 4, 0, 0);
        for (unsigned k = 0; k < 3; k++) {
            ids[k] = rogue_send(r, 0, 1);
        }
        for (unsigned k = 3; k-- > 0;) {
            rogue_use(r, ids[k], 8, 1);
            expect_back(r, k + 1, 8);
        }
    }
}

Rogue(hostile_accept, a23_polls_and_interrupts_for_nothing)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        rogue_open(r, packed != 0, 4, VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX), 0);
        for (unsigned k = 0; k < 10; k++) {
            cr_assert_eq(rogue_poll(r), 0);
            cr_assert(!virtq_driver_enable_notify(r->driver));
            cr_assert(!virtq_driver_needs_notify(r->driver, NULL));
        }
    }
}

Rogue(hostile_accept, a24_a_packed_used_descriptor_with_NEXT_and_unknown_flags)
{
    unsigned id;

    rogue_open(r, true, 4, 0, 0);
    id = rogue_send(r, 0, 1);
    put32(r->ring[0].at + 8, 2);
    put16(r->ring[0].at + 12, id);
    put16(r->ring[0].at + 14, 0xffff);
    expect_back(r, 1, 2);
}

Rogue(hostile_accept, a25_used_flags_with_unknown_bits)
{
    rogue_open(r, false, 4, 0, 0);
    put16(r->ring[2].at, 0xfffe);
    rogue_use(r, rogue_send(r, 0, 1), 2, 1);
    cr_assert(virtq_driver_needs_notify(r->driver, NULL));
    expect_back(r, 1, 2);
}

Rogue(hostile_accept, a26_a_buffer_of_exactly_N_segments_and_a_queue_of_1)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        rogue_open(r, packed != 0, 4, 0, 0);
        rogue_use(r, rogue_send(r, 2, 2), 16, 4);
        expect_back(r, 1, 16);
        rogue_open(r, packed != 0, 1, 0, 0);
        for (unsigned k = 0; k < 5; k++) {
            rogue_use(r, rogue_send(r, 0, 1), 8, 1);
            expect_back(r, k + 1, 8);
        }
    }
}

Rogue(hostile_accept, a27_in_order_one_element_for_all_of_a_full_ring)
{
    unsigned head = 0;

    rogue_open(r, false, 4, VIRTQ_FEATURE(VIRTIO_F_IN_ORDER), VIRTQ_DRIVER_STRICT_LENGTH);
    for (unsigned k = 0; k < 4; k++) {
        head = rogue_send(r, 0, 1);
    }
    rogue_use(r, head, 8, 1);
    put16(r->ring[2].at + 2, 4);
    cr_assert_eq(virtq_driver_poll(r->driver, r->done, 300), 4);
}
