/* SPDX-License-Identifier: BSD-3-Clause */
/* A hostile driver against our device, both formats: addresses, lengths and permissions of single
 * elements. */
#include "driver.h"

static void ranges_outside(struct hostile *h)
{
    static const struct element bad[] = {
        {GUEST - 1, 1, 0},
        {GUEST - 1, 2, 0},
        {GUEST - 1, GUEST_SIZE, 0},
        {GUEST + GUEST_SIZE - 1, 2, 0},
        {GUEST + GUEST_SIZE, 1, 0},
        {GUEST, GUEST_SIZE + 1, 0},
        {GUEST + 1, GUEST_SIZE, 0},
        {GUEST, UINT32_MAX, 0},
        {0, 1, 0},
        {GUEST + ((uint64_t)1 << 32), 1, 0},
        {UINT64_MAX, 1, 0},
        {GUEST | (uint64_t)1 << 63, 1, 0},
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        offer_one(h, bad[i].addr, bad[i].len, 0);
        expect_bad(h, VIRTQ_REASON_ADDRESS);
        offer_one(h, bad[i].addr, bad[i].len, WRITE);
        expect_bad(h, VIRTQ_REASON_ADDRESS);
    }
    offer_one(h, GUEST, GUEST_SIZE, 0);
    expect_good(h, 1, 0, GUEST_SIZE, 0);
}

Hostile(hostile_element, row_20_a_range_that_is_not_granted_to_the_last_byte_is_a_bad_buffer)
{
    both_formats(h, BASIC, ranges_outside);
}

static void ranges_wrap(struct hostile *h)
{
    static const struct element bad[] = {
        {UINT64_MAX, 2, 0},
        {UINT64_MAX - 15, 17, 0},
        {UINT64_MAX - 0xfffe, UINT32_MAX, 0},
        /* These wrap round to the granted memory. */
        {UINT64_MAX - GUEST_SIZE, UINT32_MAX, 0},
        {GUEST - UINT32_MAX, UINT32_MAX, 0},
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        offer_one(h, bad[i].addr, bad[i].len, 0);
        expect_bad(h, VIRTQ_REASON_ADDRESS);
        offer_one(h, bad[i].addr, bad[i].len, WRITE);
        expect_bad(h, VIRTQ_REASON_ADDRESS);
    }
}

Hostile(hostile_element, row_18_a_range_that_wraps_is_a_bad_buffer)
{
    both_formats(h, BASIC, ranges_wrap);
}

static void edges(struct hostile *h)
{
    static const struct element good[] = {
        {GUEST, 1, 0},
        {GUEST + GUEST_SIZE - 1, 1, 0},
        {GUEST + 1, GUEST_SIZE - 1, 0},
        {GUEST, GUEST_SIZE, 0},
    };

    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const unsigned char *want = h->guest.view + (good[i].addr - GUEST);

        offer_one(h, good[i].addr, good[i].len, 0);
        cr_assert_eq(hostile_pop(h), 1);
        cr_assert(h->chain.pieces[0].base == want && h->chain.pieces[0].len == good[i].len);
        hostile_return(h, 0);
        offer_one(h, good[i].addr, good[i].len, WRITE);
        cr_assert_eq(hostile_pop(h), 1);
        cr_assert(h->chain.pieces[0].base == want && h->chain.pieces[0].len == good[i].len);
        hostile_return(h, good[i].len);
    }
}

Hostile(hostile_element, the_first_and_the_last_byte_are_granted_and_lead_where_they_should)
{
    both_formats(h, BASIC, edges);
}

static void lengths_0(struct hostile *h)
{
    static const uint64_t addresses[] = {GUEST, 0, GUEST - 1, GUEST + GUEST_SIZE, UINT64_MAX};
    struct element list[4] = {{0, 0, 0}, {GUEST, 3, 0}, {0, 0, WRITE}, {GUEST + 3, 4, WRITE}};

    for (unsigned i = 0; i < 5; i++) {
        offer_one(h, addresses[i], 0, 0);
        expect_good(h, 0, 0, 0, 0);
        offer_one(h, addresses[i], 0, WRITE);
        expect_good(h, 0, 0, 0, 0);
        list[0].addr = addresses[i];
        list[2].addr = addresses[i];
        offer_list(h, list, 4);
        expect_good(h, 1, 1, 3, 4);
    }
}

Hostile(hostile_element,
        row_17_an_element_of_length_0_is_no_piece_and_its_address_is_never_looked_at)
{
    both_formats(h, BASIC, lengths_0);
}

static void wrong_way(struct hostile *h, uint32_t permission, unsigned flags)
{
    const struct element mixed[2] = {{GUEST, 8, 0}, {GUEST + 8, 8, WRITE}};

    offer_one(h, GUEST, 8, flags ^ WRITE);
    expect_bad(h, VIRTQ_REASON_PERMISSION);
    offer_one(h, GUEST, 8, flags);
    expect_good(h, flags == 0 ? 1 : 0, flags == 0 ? 0 : 1, flags == 0 ? 8 : 0, flags == 0 ? 0 : 8);
    offer_list(h, mixed, 2);
    expect_bad(h, VIRTQ_REASON_PERMISSION);
    offer_one(h, GUEST + GUEST_SIZE, 1, flags ^ WRITE);
    expect_bad(h, VIRTQ_REASON_ADDRESS);
    table_entry(h, 64, 0, GUEST, 1, flags, 0);
    offer_one(h, GUEST + 64, 16, INDIRECT);
    if (permission == (uint32_t)VIRTQ_PERMISSION_READ) {
        expect_good(h, 1, 0, 1, 0);
    } else {
        expect_bad(h, VIRTQ_REASON_PERMISSION); /* The table itself may not be read. */
    }
}

Hostile(hostile_element, row_78_the_permission_is_enforced_for_each_access)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        hostile_grant(h, VIRTQ_PERMISSION_READ);
        hostile_open(h, packed != 0, 8, BASIC);
        wrong_way(h, VIRTQ_PERMISSION_READ, 0);
        hostile_grant(h, VIRTQ_PERMISSION_WRITE);
        hostile_open(h, packed != 0, 8, BASIC);
        wrong_way(h, VIRTQ_PERMISSION_WRITE, WRITE);
    }
}

static void refused_never_leak(struct hostile *h)
{
    static const struct element order[2] = {{GUEST, 1, WRITE}, {GUEST, 1, 0}};
    static const struct element good[2] = {{GUEST, 1, 0}, {GUEST + 1, 1, WRITE}};

    table_entry(h, 0, 0, GUEST, 1, WRITE | NEXT, 1);
    table_entry(h, 0, 1, GUEST, 1, 0, 0);
    for (unsigned i = 0; i < 2 * h->size; i++) {
        offer_one(h, 0, 1, 0);
        expect_bad(h, VIRTQ_REASON_ADDRESS);
        offer_list(h, order, 2);
        expect_bad(h, VIRTQ_REASON_ORDER);
        offer_one(h, GUEST, 15, INDIRECT);
        expect_bad(h, VIRTQ_REASON_TABLE_LENGTH);
        offer_one(h, GUEST, 32, INDIRECT);
        expect_bad(h, VIRTQ_REASON_ORDER);
        offer_list(h, good, 2);
        expect_good(h, 1, 1, 1, 1);
    }
    cr_assert_eq(virtq_device_outstanding(h->device), 0u);
}

Hostile(hostile_element, row_31_twice_as_many_bad_buffers_as_the_queue_is_long_leak_nothing)
{
    both_formats(h, BASIC, refused_never_leak);
}

static void all_refused_at_once(struct hostile *h)
{
    struct virtq_chain chains[16];
    struct virtq_used_buffer used[16];

    for (unsigned lap = 0; lap < 5; lap++) {
        unsigned seen = 0;

        for (unsigned i = 0; i < h->size; i++) {
            if (h->packed) {
                packed_desc(h, 0, 1, i, 0);
            } else {
                split_desc(h, i, 0, 1, 0, 0);
                split_offer(h, i);
            }
        }
        /* A bad buffer is consumed; pop never comes back with the same one. */
        for (unsigned done = 0; done < h->size;) {
            int got = virtq_device_pop(h->device, chains + done, 16 - done, h->pieces, 1);

            cr_assert_gt(got, 0);
            done += (unsigned)got;
        }
        for (unsigned i = 0; i < h->size; i++) {
            cr_assert_eq(chains[i].reason, (uint32_t)VIRTQ_REASON_ADDRESS);
            seen |= 1u << chains[i].id;
            used[i] = (struct virtq_used_buffer){chains[i].id, 0};
        }
        cr_assert_eq(seen, (1u << h->size) - 1);
        cr_assert_eq(virtq_device_pop(h->device, chains, 16, h->pieces, 1), 0);
        cr_assert_eq(virtq_device_push(h->device, used, h->size), (int)h->size);
        cr_assert_eq(virtq_device_publish(h->device), (int)h->size);
    }
}

Hostile(hostile_element, row_12_a_queue_full_of_bad_buffers_comes_out_once_each)
{
    both_formats(h, BASIC, all_refused_at_once);
}

static void no_length_for_a_bad_buffer(struct hostile *h)
{
    const struct element list[2] = {{GUEST, 8, WRITE}, {0, 8, WRITE}};
    struct virtq_used_buffer used = {0, 1};

    offer_list(h, list, 2);
    cr_assert_eq(hostile_pop(h), 1);
    cr_assert_eq(h->chain.reason, (uint32_t)VIRTQ_REASON_ADDRESS);
    cr_assert_eq(virtq_device_push(h->device, &used, 1), VIRTQ_EINVAL);
    used.len = 0;
    cr_assert_eq(virtq_device_push(h->device, &used, 1), 1);
}

Hostile(hostile_element, a_bad_buffer_can_only_be_given_back_with_length_0)
{
    both_formats(h, BASIC, no_length_for_a_bad_buffer);
}

static void pieces_run_short(struct hostile *h)
{
    struct element list[5];
    struct virtq_chain chains[4];

    for (unsigned i = 0; i < 5; i++) {
        list[i] = (struct element){GUEST + i, 1, i < 3 ? 0 : WRITE};
    }
    offer_list(h, list, 5);
    cr_assert_eq(virtq_device_pop(h->device, chains, 1, h->pieces, 4), 1);
    cr_assert_eq(chains[0].reason, (uint32_t)VIRTQ_REASON_PIECES);
    h->chain = chains[0];
    hostile_return(h, 0);
    offer_list(h, list, 5);
    cr_assert_eq(virtq_device_pop(h->device, chains, 1, h->pieces, 5), 1);
    cr_assert_eq(chains[0].reason, (uint32_t)VIRTQ_REASON_NONE);
    cr_assert_eq(chains[0].readable + chains[0].writable, 5u);
    h->chain = chains[0];
    hostile_return(h, 2);
}

Hostile(hostile_element, row_09_more_pieces_than_the_caller_has_room_for_is_a_bad_buffer)
{
    both_formats(h, BASIC, pieces_run_short);
}

static void pieces_short_for_the_second(struct hostile *h)
{
    struct virtq_chain chains[3];

    for (unsigned i = 0; i < 3; i++) {
        if (h->packed) {
            packed_desc(h, GUEST, 1, i, NEXT);
            packed_desc(h, GUEST, 1, i, 0);
        } else {
            split_desc(h, i * 2, GUEST, 1, NEXT, i * 2 + 1);
            split_desc(h, i * 2 + 1, GUEST, 1, 0, 0);
            split_offer(h, i * 2);
        }
    }
    /* Room for one and a half: the second waits, it is not bad. */
    cr_assert_eq(virtq_device_pop(h->device, chains, 3, h->pieces, 3), 1);
    cr_assert_eq(virtq_device_pop(h->device, chains, 3, h->pieces, 4), 2);
    cr_assert_eq(chains[1].reason, (uint32_t)VIRTQ_REASON_NONE);
    cr_assert(chains[1].pieces == h->pieces + 2);
}

Hostile(hostile_element, a_buffer_that_finds_too_few_pieces_left_waits_for_the_next_pop)
{
    both_formats(h, BASIC, pieces_short_for_the_second);
}
