/* SPDX-License-Identifier: BSD-3-Clause */
/* Windows as the device end keeps them: small ones, holes, permissions, lies, misses; both
 * formats. */
#include "source.h"

#define READ ((uint32_t)VIRTQ_PERMISSION_READ)
#define RW ((uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE)

/* Opens a queue of 8 on a source, once for each format. */
#define FORMATS(packed_) for (unsigned packed_ = 0; packed_ < 2; packed_++)

Hostile(hostile_window, row_22_windows_of_1_byte_cut_a_buffer_into_bytes)
{
    FORMATS(packed)
    {
        struct source source;
        const struct element list[2] = {{GUEST + 5, 7, 0}, {GUEST + 90, 3, WRITE}};

        source_whole(&source, h);
        source.grain = 1;
        hostile_open(h, packed != 0, 8, BASIC);
        offer_list(h, list, 2);
        cr_assert_eq(hostile_pop(h), 1);
        cr_assert(h->chain.readable == 7 && h->chain.writable == 3);
        cr_assert(h->chain.readable_bytes == 7 && h->chain.writable_bytes == 3);
        for (unsigned i = 0; i < 10; i++) {
            cr_assert(h->chain.pieces[i].base == h->guest.view + (i < 7 ? 5 + i : 83 + i));
            cr_assert_eq(h->chain.pieces[i].len, 1u);
        }
        hostile_return(h, 3);
        offer_one(h, GUEST, PIECES + 1, 0); /* Bounded by the pieces. G3. */
        expect_bad(h, VIRTQ_REASON_PIECES);
        offer_one(h, GUEST, UINT32_MAX, 0);
        expect_bad(h, VIRTQ_REASON_PIECES);
        offer_one(h, GUEST, PIECES, 0);
        expect_good(h, PIECES, 0, PIECES, 0);
        table_fill(h, 3, 4);
        offer_one(h, GUEST + 3, 64, INDIRECT);
        expect_good(h, 4, 0, 4, 0);
    }
}

Hostile(hostile_window, row_22_row_79_a_buffer_over_2_and_3_regions_is_cut_where_they_meet)
{
    static const size_t offsets[] = {4090, 8192, 40};
    static const uint32_t lens[] = {6, 16, 10};

    FORMATS(packed)
    {
        struct source source;

        source_init(&source, h);
        source_add(&source, 0x1000, 4096, h->guest.view, RW);
        source_add(&source, 0x2000, 16, h->guest.view + 8192, RW);
        source_add(&source, 0x2010, 4096, h->guest.view + 40, RW);
        hostile_open(h, packed != 0, 8, BASIC);
        for (unsigned k = 0; k < 3; k++) {
            offer_one(h, 0x1000 + 4090, 22, k & 1 ? WRITE : 0);
            expect_pieces(h, offsets, lens, 2);
            offer_one(h, 0x1000 + 4090, 32, k & 1 ? WRITE : 0);
            expect_pieces(h, offsets, lens, 3);
        }
    }
}

Hostile(hostile_window, row_21_a_hole_in_the_middle_is_a_bad_buffer)
{
    FORMATS(packed)
    {
        struct source source;

        source_init(&source, h);
        source_add(&source, 0x1000, 100, h->guest.view, RW);
        source_add(&source, 0x1065, 100, h->guest.view + 101, RW);
        hostile_open(h, packed != 0, 8, BASIC);
        for (unsigned k = 0; k < 3; k++) {
            offer_one(h, 0x1000, 201, 0);
            expect_bad(h, VIRTQ_REASON_ADDRESS);
            offer_one(h, 0x1063, 2, WRITE);
            expect_bad(h, VIRTQ_REASON_ADDRESS);
            offer_one(h, 0x1063, 1, 0);
            expect_good(h, 1, 0, 1, 0);
            offer_one(h, 0x1065, 100, 0);
            expect_good(h, 1, 0, 100, 0);
            table_fill(h, 84, 2);
            offer_one(h, 0x1054, 32, INDIRECT);
            expect_bad(h, VIRTQ_REASON_ADDRESS);
        }
    }
}

Hostile(hostile_window, row_78_permissions_may_change_within_a_buffer)
{
    static const uint32_t permissions[] = {0, VIRTQ_PERMISSION_READ, VIRTQ_PERMISSION_WRITE, RW};

    FORMATS(packed)
    {
        for (unsigned first = 0; first < 4; first++) {
            for (unsigned second = 0; second < 4; second++) {
                for (unsigned write = 0; write < 2; write++) {
                    uint32_t want = write != 0 ? (uint32_t)VIRTQ_PERMISSION_WRITE : READ;
                    struct source source;
                    bool good;

                    source_init(&source, h);
                    source_add(&source, 0x1000, 16, h->guest.view, permissions[first]);
                    source_add(&source, 0x1010, 16, h->guest.view + 16, permissions[second]);
                    hostile_open(h, packed != 0, 8, BASIC);
                    good = (permissions[first] & permissions[second] & want) != 0;
                    offer_one(h, 0x1008, 16, write != 0 ? WRITE : 0);
                    if (good) {
                        expect_good(h, write == 0 ? 2 : 0, write != 0 ? 2 : 0, write == 0 ? 16 : 0,
                                    write != 0 ? 16 : 0);
                    } else {
                        expect_bad(h, VIRTQ_REASON_PERMISSION);
                    }
                }
            }
        }
    }
}

Hostile(hostile_window, a_window_that_does_not_hold_the_address_or_the_access_is_not_used)
{
    FORMATS(packed)
    {
        for (unsigned lie = LIE_BELOW; lie <= LIE_EMPTY; lie++) {
            struct source source;

            source_whole(&source, h);
            source.lie = (enum lie)lie;
            hostile_open(h, packed != 0, 8, BASIC);
            offer_one(h, GUEST + 8, 8, 0);
            expect_bad(h, VIRTQ_REASON_ADDRESS);
            offer_one(h, GUEST + 8, 8, WRITE);
            expect_bad(h, VIRTQ_REASON_ADDRESS);
            offer_one(h, GUEST, 16, INDIRECT);
            expect_bad(h, VIRTQ_REASON_ADDRESS);
            source.lie = LIE_NONE;
            offer_one(h, GUEST + 8, 8, 0);
            expect_good(h, 1, 0, 8, 0);
        }
    }
}

Hostile(hostile_window, any_error_of_the_source_is_a_bad_buffer_but_a_miss)
{
    static const int answers[] = {VIRTQ_EFAULT, VIRTQ_EINVAL, VIRTQ_ENOMEM, VIRTQ_EBROKEN, -1000};

    FORMATS(packed)
    {
        for (unsigned k = 0; k < 5; k++) {
            struct source source;

            source_whole(&source, h);
            source.answer = answers[k];
            hostile_open(h, packed != 0, 8, BASIC);
            offer_one(h, GUEST, 8, 0);
            expect_bad(h, VIRTQ_REASON_ADDRESS);
            offer_one(h, GUEST, 16, INDIRECT);
            expect_bad(h, VIRTQ_REASON_ADDRESS);
        }
    }
}

Hostile(hostile_window, M4_a_miss_says_where_consumes_nothing_and_resumes_in_order)
{
    FORMATS(packed)
    {
        const struct element list[2] = {{0x1008, 4, 0}, {0x2008, 16, WRITE}};
        struct virtq_chain chains[4];
        struct source source;

        source_init(&source, h);
        source_add(&source, 0x1000, 4096, h->guest.view, RW);
        source_add(&source, 0x2000, 16, h->guest.view + 4096, RW);
        source_add(&source, 0x2010, 16, h->guest.view + 8192, RW);
        source.runs[0].missing = source.runs[1].missing = source.runs[2].missing = true;
        hostile_open(h, packed != 0, 8, BASIC);
        offer_list(h, list, 2);
        expect_miss(h, 0x1008, 4, VIRTQ_PERMISSION_READ);
        source.runs[0].missing = false;
        expect_miss(h, 0x2008, 16, VIRTQ_PERMISSION_WRITE);
        source.runs[1].missing = false;
        expect_miss(h, 0x2010, 8, VIRTQ_PERMISSION_WRITE);
        source.runs[2].missing = false;
        expect_good(h, 1, 2, 4, 16);
        /* What lies before the miss comes out first. */
        source.runs[1].missing = true;
        virtq_space_invalidated(&source.space);
        for (unsigned k = 0; k < 4; k++) {
            const uint64_t addr = k == 2 ? 0x2000 : 0x1000 + k;

            if (packed != 0) {
                packed_desc(h, addr, 1, k, 0);
            } else {
                split_desc(h, k, addr, 1, 0, 0);
                split_offer(h, k);
            }
        }
        cr_assert_eq(virtq_device_pop(h->device, chains, 4, h->pieces, PIECES), 2);
        cr_assert(chains[0].id == 0 && chains[1].id == 1);
        expect_miss(h, 0x2000, 1, VIRTQ_PERMISSION_READ);
        cr_assert(!virtq_device_enable_notify(h->device), "what a miss left behind is not new");
        source.runs[1].missing = false;
        cr_assert_eq(virtq_device_pop(h->device, chains, 4, h->pieces, PIECES), 2);
        cr_assert(chains[0].id == 2 && chains[1].id == 3);
    }
}

Hostile(hostile_window, M4_a_miss_of_a_table_wants_all_of_it)
{
    FORMATS(packed)
    {
        struct source source;

        source_init(&source, h);
        source_add(&source, 0x1000, 40, h->guest.view, RW);
        source_add(&source, 0x1028, 4096, h->guest.view + 40, RW);
        source_add(&source, GUEST, 4096, h->guest.view, RW);
        source.runs[0].missing = source.runs[1].missing = true;
        hostile_open(h, packed != 0, 8, BASIC);
        table_fill(h, 0, 4);
        offer_one(h, 0x1000, 64, INDIRECT);
        expect_miss(h, 0x1000, 64, VIRTQ_PERMISSION_READ);
        source.runs[0].missing = false;
        cr_assert_eq(hostile_pop(h), VIRTQ_EMISS); /* At its second window. */
        source.runs[1].missing = false;
        expect_good(h, 4, 0, 4, 0);
    }
}

Hostile(hostile_window, row_76_an_invalidation_makes_the_queue_forget_its_windows)
{
    FORMATS(packed)
    {
        struct source source;
        unsigned asked;

        source_whole(&source, h);
        hostile_open(h, packed != 0, 8, BASIC);
        table_fill(h, 0, 1);
        for (unsigned k = 0; k < 3; k++) {
            offer_one(h, GUEST + 8, 8, 0);
            expect_good(h, 1, 0, 8, 0);
            offer_one(h, GUEST + 8, 8, WRITE);
            expect_good(h, 0, 1, 0, 8);
            offer_one(h, GUEST, 16, INDIRECT);
            expect_good(h, 1, 0, 1, 0);
        }
        cr_assert_eq(source.questions, 3u, "one for each kind of access");
        source.runs[0].permissions = 0;
        virtq_space_invalidated(&source.space);
        asked = source.questions;
        offer_one(h, GUEST + 8, 8, 0);
        expect_bad(h, VIRTQ_REASON_PERMISSION);
        offer_one(h, GUEST + 8, 8, WRITE);
        expect_bad(h, VIRTQ_REASON_PERMISSION);
        offer_one(h, GUEST, 16, INDIRECT);
        expect_bad(h, VIRTQ_REASON_PERMISSION);
        cr_assert_gt(source.questions, asked);
    }
}

Hostile(hostile_window, row_73_the_whole_64_bit_range_and_its_top_can_be_granted)
{
    FORMATS(packed)
    {
        struct source source;

        source_init(&source, h);
        source_add(&source, 0, 0, h->guest.view, RW); /* 2^64 bytes. */
        source.same = true;                           /* No pointer is that far away. */
        source.grain = 0;
        hostile_open(h, packed != 0, 8, BASIC);
        offer_one(h, 100, 8, 0);
        cr_assert_eq(hostile_pop(h), 1);
        cr_assert(h->chain.reason == 0 && h->chain.pieces[0].base == h->guest.view + 100);
        hostile_return(h, 0);

        source_init(&source, h);
        source_add(&source, UINT64_MAX - 15, 16, h->guest.view, RW);
        hostile_open(h, packed != 0, 8, BASIC);
        offer_one(h, UINT64_MAX - 15, 16, 0);
        expect_good(h, 1, 0, 16, 0);
        offer_one(h, UINT64_MAX, 1, WRITE);
        expect_good(h, 0, 1, 0, 1);
        offer_one(h, UINT64_MAX, 2, WRITE);
        expect_bad(h, VIRTQ_REASON_ADDRESS);
        offer_one(h, UINT64_MAX - 16, 16, 0);
        expect_bad(h, VIRTQ_REASON_ADDRESS);
        table_fill(h, 0, 1);
        table_entry(h, 0, 0, UINT64_MAX - 1, 2, 0, 0);
        offer_one(h, UINT64_MAX - 15, 16, INDIRECT);
        expect_good(h, 1, 0, 2, 0);
    }
}

Hostile(hostile_window, row_19_lengths_that_add_up_to_more_than_4_gib_are_a_bad_buffer)
{
    static const uint64_t gib = (uint64_t)1 << 30;

    FORMATS(packed)
    {
        struct element list[5];
        struct source source;

        source_init(&source, h);
        /* One page of memory answers for all of it: the device looks at no byte. */
        source_add(&source, 0, 8 * gib, h->guest.view, RW);
        hostile_open(h, packed != 0, 8, BASIC);
        for (unsigned i = 0; i < 5; i++) {
            list[i] = (struct element){i, (uint32_t)gib, i < 2 ? 0 : WRITE};
        }
        offer_list(h, list, 4);
        expect_good(h, 2, 2, 2 * gib, 2 * gib);
        list[4].len = 1;
        offer_list(h, list, 5);
        expect_bad(h, VIRTQ_REASON_TOTAL);
        for (unsigned i = 0; i < 5; i++) {
            list[i].len = UINT32_MAX;
        }
        offer_list(h, list, 2);
        expect_bad(h, VIRTQ_REASON_TOTAL);
        offer_list(h, list, 5);
        expect_bad(h, VIRTQ_REASON_TOTAL);
        list[1].len = 1;
        offer_list(h, list, 2);
        expect_good(h, 2, 0, 4 * gib, 0);
        table_entry(h, 0, 0, 0, UINT32_MAX, NEXT | WRITE, 1);
        table_entry(h, 0, 1, 0, 2, WRITE, 0);
        offer_one(h, 0, 32, INDIRECT);
        expect_bad(h, VIRTQ_REASON_TOTAL);
        table_entry(h, 0, 1, 0, 1, WRITE, 0);
        offer_one(h, 0, 32, INDIRECT);
        cr_assert_eq(hostile_pop(h), 1);
        cr_assert(h->chain.reason == 0 && h->chain.writable_bytes == 4 * gib);
        hostile_return(h, UINT32_MAX);
    }
}
