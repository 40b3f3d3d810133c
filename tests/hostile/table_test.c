/* SPDX-License-Identifier: BSD-3-Clause */
/* A hostile driver against our device: indirect tables, both formats and what is split's alone. */
#include "driver.h"

static void lengths(struct hostile *h)
{
    static const uint32_t bad[] = {
        0, 1, 8, 15, 17, 24, 31, 33, 0xfffffff0, 0xffffffff, 0x80000000, (TABLE_MAX + 1) * 16};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        offer_one(h, GUEST, bad[i], INDIRECT);
        expect_bad(h, VIRTQ_REASON_TABLE_LENGTH);
    }
    table_fill(h, 0, TABLE_MAX);
    for (unsigned count = 1; count <= TABLE_MAX; count += 7) {
        table_fill(h, 0, count);
        offer_one(h, GUEST, count * 16, INDIRECT);
        expect_good(h, count, 0, count, 0);
    }
    table_fill(h, 0, TABLE_MAX);
    offer_one(h, GUEST, TABLE_MAX * 16, INDIRECT);
    expect_good(h, TABLE_MAX, 0, TABLE_MAX, 0);
}

Hostile(hostile_table, row_10_row_14_a_length_that_is_0_odd_or_over_the_limit_is_a_bad_buffer)
{
    both_formats(h, BASIC, lengths);
}

Hostile(hostile_table, row_14_the_limit_is_the_queue_size_unless_the_caller_says_more)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        hostile_open(h, packed != 0, 8, BASIC);
        h->config.table_max = 0;
        cr_assert_eq(
            virtq_device_init(h->memory.view, h->memory.size, &h->config, &h->device, NULL), 0);
        table_fill(h, 0, 8);
        offer_one(h, GUEST, 8 * 16, INDIRECT);
        expect_good(h, 8, 0, 8, 0);
        table_fill(h, 0, 9);
        offer_one(h, GUEST, 9 * 16, INDIRECT);
        expect_bad(h, VIRTQ_REASON_TABLE_LENGTH);
    }
}

static void feature_off(struct hostile *h)
{
    table_fill(h, 0, 2);
    offer_one(h, GUEST, 32, INDIRECT);
    expect_bad(h, VIRTQ_REASON_TABLE_OFF);
    offer_one(h, GUEST, 0, INDIRECT);
    expect_bad(h, VIRTQ_REASON_TABLE_OFF);
}

Hostile(hostile_table, a_table_without_the_feature_is_a_bad_buffer)
{
    both_formats(h, VIRTQ_FEATURE(VIRTIO_F_VERSION_1), feature_off);
}

static void places(struct hostile *h)
{
    static const uint64_t bad[] = {0,
                                   GUEST - 1,
                                   GUEST - 16,
                                   GUEST + GUEST_SIZE,
                                   GUEST + GUEST_SIZE - 16,
                                   GUEST + GUEST_SIZE - 31,
                                   UINT64_MAX - 30,
                                   UINT64_MAX - 31,
                                   UINT64_MAX};

    /* Row 8: all of the table, not just its first entry, has to be granted. */
    table_fill(h, GUEST_SIZE - 16, 1);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        offer_one(h, bad[i], 32, INDIRECT);
        expect_bad(h, VIRTQ_REASON_ADDRESS);
    }
    table_fill(h, GUEST_SIZE - 32, 2);
    offer_one(h, GUEST + GUEST_SIZE - 32, 32, INDIRECT);
    expect_good(h, 2, 0, 2, 0);
    table_fill(h, 0, 2);
    offer_one(h, GUEST, 32, INDIRECT);
    expect_good(h, 2, 0, 2, 0);
}

Hostile(hostile_table, row_08_a_table_that_leaves_the_region_by_one_entry_is_a_bad_buffer)
{
    both_formats(h, BASIC, places);
}

static void odd_places(struct hostile *h)
{
    for (unsigned at = 0; at < 17; at++) {
        table_fill(h, at, 3);
        offer_one(h, GUEST + at, 48, INDIRECT);
        expect_good(h, 3, 0, 3, 0);
        table_fill(h, GUEST_SIZE - 48 - at, 3);
        offer_one(h, GUEST + GUEST_SIZE - 48 - at, 48, INDIRECT);
        expect_good(h, 3, 0, 3, 0);
    }
}

Hostile(hostile_table, row_13_a_table_needs_no_alignment)
{
    both_formats(h, BASIC, odd_places);
}

static void write_flag(struct hostile *h)
{
    table_entry(h, 0, 0, GUEST, 5, NEXT, 1);
    table_entry(h, 0, 1, GUEST, 6, WRITE, 0);
    offer_one(h, GUEST, 32, INDIRECT | WRITE);
    expect_good(h, 1, 1, 5, 6);
}

Hostile(hostile_table, row_16_WRITE_on_the_descriptor_of_a_table_is_ignored)
{
    both_formats(h, BASIC, write_flag);
}

static void entries(struct hostile *h)
{
    static const struct {
        uint64_t addr;
        uint32_t len;
        enum virtq_reason reason;
    } bad[] = {
        {GUEST + GUEST_SIZE, 1, VIRTQ_REASON_ADDRESS},
        {GUEST - 1, 1, VIRTQ_REASON_ADDRESS},
        {GUEST + GUEST_SIZE - 1, 2, VIRTQ_REASON_ADDRESS},
        {UINT64_MAX, 2, VIRTQ_REASON_ADDRESS},
        {0, 0, VIRTQ_REASON_NONE},
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (unsigned at = 0; at < 2; at++) { /* Aligned and not: read in two ways. */
            table_entry(h, at, 0, GUEST, 5, NEXT, 1);
            table_entry(h, at, 1, bad[i].addr, bad[i].len, WRITE, 0);
            offer_one(h, GUEST + at, 32, INDIRECT);
            if (bad[i].reason == VIRTQ_REASON_NONE) {
                expect_good(h, 1, 0, 5, 0);
            } else {
                expect_bad(h, bad[i].reason);
            }
        }
    }
    table_entry(h, 0, 0, GUEST, 0, NEXT | WRITE, 1);
    table_entry(h, 0, 1, GUEST, 5, 0, 0);
    offer_one(h, GUEST, 32, INDIRECT);
    expect_bad(h, VIRTQ_REASON_ORDER);
}

Hostile(hostile_table, the_entries_of_a_table_are_judged_like_descriptors)
{
    both_formats(h, BASIC, entries);
}

static void many_pieces(struct hostile *h)
{
    struct virtq_chain chain;

    for (unsigned room = 10; room <= 12; room++) {
        table_fill(h, 0, 11);
        offer_one(h, GUEST, 11 * 16, INDIRECT);
        cr_assert_eq(virtq_device_pop(h->device, &chain, 1, h->pieces, room), 1);
        cr_assert_eq(chain.reason, room < 11 ? (uint32_t)VIRTQ_REASON_PIECES : 0u);
        h->chain = chain;
        hostile_return(h, 0);
    }
}

Hostile(hostile_table, row_09_a_table_of_one_piece_more_than_there_is_room_for_is_a_bad_buffer)
{
    both_formats(h, BASIC, many_pieces);
}

/* ---- Split only ---- */

Hostile(hostile_table, row_11_a_table_in_a_table_is_a_bad_buffer)
{
    hostile_open(h, false, 8, BASIC);
    table_fill(h, 64, 1);
    table_entry(h, 0, 0, GUEST, 5, NEXT, 1);
    table_entry(h, 0, 1, GUEST + 64, 16, INDIRECT, 0);
    offer_one(h, GUEST, 32, INDIRECT);
    expect_bad(h, VIRTQ_REASON_TABLE_NESTED);
    table_entry(h, 0, 0, GUEST, 16, INDIRECT | NEXT | WRITE, 0); /* Itself. */
    offer_one(h, GUEST, 16, INDIRECT);
    expect_bad(h, VIRTQ_REASON_TABLE_NESTED);
}

Hostile(hostile_table, row_12_INDIRECT_with_NEXT_is_a_bad_buffer_on_split)
{
    hostile_open(h, false, 8, BASIC);
    table_fill(h, 0, 2);
    for (unsigned k = 0; k < 20; k++) {
        split_desc(h, 0, GUEST, 32, INDIRECT | NEXT, 1);
        split_desc(h, 1, GUEST, 4, 0, 0);
        split_offer(h, 0);
        expect_bad(h, VIRTQ_REASON_TABLE_NEXT);
    }
    offer_one(h, GUEST, 32, INDIRECT);
    expect_good(h, 2, 0, 2, 0);
}

Hostile(hostile_table, row_03_next_that_leaves_the_table_is_a_bad_buffer)
{
    static const unsigned beyond[] = {3, 4, 7, 0xffff};

    hostile_open(h, false, 8, BASIC);
    for (unsigned k = 0; k < 4; k++) {
        table_fill(h, 0, 3);
        table_entry(h, 0, 1, GUEST, 5, NEXT, beyond[k]);
        offer_one(h, GUEST, 48, INDIRECT);
        expect_bad(h, VIRTQ_REASON_TABLE_RANGE);
    }
    table_entry(h, 0, 0, GUEST, 5, NEXT, 2);
    table_entry(h, 0, 1, GUEST, 6, 0, 0);
    table_entry(h, 0, 2, GUEST, 7, NEXT, 1);
    offer_one(h, GUEST, 48, INDIRECT);
    expect_good(h, 3, 0, 18, 0); /* In any order, as long as it is inside. */
}

Hostile(hostile_table, row_01_a_circle_in_a_table_is_a_bad_buffer)
{
    static const uint32_t lens[] = {0, 1};

    hostile_open(h, false, 8, BASIC);
    for (unsigned k = 0; k < 2; k++) {
        for (unsigned count = 1; count <= TABLE_MAX; count++) {
            for (unsigned i = 0; i < count; i++) {
                table_entry(h, 0, i, GUEST, lens[k], NEXT, (i + 1) % count);
            }
            offer_one(h, GUEST, count * 16, INDIRECT);
            expect_bad(h, VIRTQ_REASON_TABLE_LOOP);
        }
    }
}

Hostile(hostile_table, row_02_a_table_used_to_its_last_entry_is_no_circle)
{
    hostile_open(h, false, 8, BASIC);
    for (unsigned count = 1; count <= TABLE_MAX; count++) {
        for (unsigned i = 0; i < count; i++) {
            table_entry(h, 0, i, GUEST, 0, i + 1 < count ? NEXT : 0, (i + 1) % count);
        }
        offer_one(h, GUEST, count * 16, INDIRECT);
        expect_good(h, 0, 0, 0, 0);
    }
}

Hostile(hostile_table, a_bad_table_behind_good_descriptors_takes_their_pieces_back)
{
    const struct element list[3] = {{GUEST, 4, 0}, {GUEST, 4, 0}, {GUEST, 17, INDIRECT}};
    struct virtq_chain chains[2];

    hostile_open(h, false, 8, BASIC);
    offer_list(h, list, 3);
    split_desc(h, 4, GUEST + 9, 9, 0, 0);
    split_offer(h, 4);
    cr_assert_eq(virtq_device_pop(h->device, chains, 2, h->pieces, 1), 2);
    cr_assert_eq(chains[0].reason, (uint32_t)VIRTQ_REASON_PIECES);

    hostile_open(h, false, 8, BASIC);
    offer_list(h, list, 3);
    split_desc(h, 4, GUEST + 9, 9, 0, 0);
    split_offer(h, 4);
    cr_assert_eq(virtq_device_pop(h->device, chains, 2, h->pieces, 3), 2);
    cr_assert_eq(chains[0].reason, (uint32_t)VIRTQ_REASON_TABLE_LENGTH);
    cr_assert_eq(chains[1].reason, (uint32_t)VIRTQ_REASON_NONE);
    cr_assert(chains[1].pieces == h->pieces && chains[1].pieces[0].len == 9);
}
