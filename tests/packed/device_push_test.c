/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a packed queue gives buffers back: P5, P7, P11, P12, batches. */
#include "device_rig.h"

/* ---- P7 ---- */

DeviceTest(packed_device_push, p7_write_is_set_exactly_where_a_length_is_given)
{
    for (unsigned i = 0; i < MEMORY_SIZES - 1; i++) {
        const uint32_t size = memory_sizes[i];

        rig_open(r, size, MEMORY_BASIC);
        for (uint32_t n = 0; n < 3 * size + 3; n++) {
            /* The id, the length and all 16 flags are judged; a readable buffer is given 0. */
            rig_put(r, 0, 8, n % size, n % 3 == 0 ? 0 : WIRE_WRITE);
            (void)rig_pop_one(r);
            rig_return(r, n % size, n % 3 == 0 ? 0 : n % 9, 1);
        }
    }
}

DeviceTest(packed_device_push, p7_nothing_of_the_lists_own_flags_stays)
{
    rig_open(r, 7, MEMORY_TABLES);
    for (unsigned n = 0; n < 20; n++) {
        /* NEXT and INDIRECT stood where the used descriptor is written. */
        rig_offer_list(r, 2, 1, 1);
        (void)rig_pop_one(r);
        rig_return(r, 2, n % 2, 2);
        rig_entry(r, 0, 0, 0, 8, WIRE_WRITE);
        rig_table(r, 3, 0, 16, WIRE_WRITE);
        (void)rig_pop_one(r);
        rig_return(r, 3, n % 3, 1);
    }
}

DeviceTest(packed_device_push, p7_the_length_is_at_most_the_writable_part)
{
    struct wire_image before;

    rig_open(r, 7, MEMORY_BASIC);
    rig_offer_list(r, 2, 2, 2); /* 1 + 2 readable, 3 + 4 writable bytes */
    (void)rig_pop_one(r);
    wire_keep(r->w, &before);
    cr_assert_eq(rig_push(r, 2, 8), VIRTQ_EINVAL);
    cr_assert_eq(rig_push(r, 2, UINT32_MAX), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->publish(&r->q), 0);
    cr_assert(wire_same(r->w, &before));
    cr_assert_eq(rig_outstanding(r), 1u);
    rig_return(r, 2, 7, 4);
}

/* ---- P11 ---- */

DeviceTest(packed_device_push, p11_of_a_batch_the_first_descriptor_is_shown_last)
{
    static const unsigned slots[3] = {2, 1, 2};

    for (uint16_t start = 0; start < 14; start++) {
        struct place places[3];
        struct virtq_used_buffer used[3];

        rig_open_at(r, 7, MEMORY_BASIC, (uint16_t)(start % 7 | start / 7 << 15));
        places[0] = r->used;
        for (unsigned n = 0; n < 3; n++) {
            rig_offer_list(r, n, 0, slots[n]);
            used[n] = (struct virtq_used_buffer){n, 1};
            places[n] = place_after(places[0], 7, n == 0 ? 0 : n == 1 ? 2 : 3);
        }
        cr_assert_eq(rig_pop(r, 4), 3);
        cr_assert_eq(r->calls->push(&r->q, used, 3), 3);
        /* Elements 1 and 2 may be there; but a driver that looks in order sees none of them. */
        cr_assert(!wire_is_used(r->w, places[0]));
        cr_assert(wire_is_used(r->w, places[1]));
        cr_assert(wire_is_used(r->w, places[2]));
        cr_assert_eq(r->calls->publish(&r->q), 3);
        for (unsigned n = 0; n < 3; n++) {
            rig_expect_used(r, n, 1, slots[n]);
        }
        rig_pass(r, 3);
    }
}

DeviceTest(packed_device_push, p11_pushes_one_by_one_are_one_batch_until_they_are_shown)
{
    for (unsigned i = 1; i < MEMORY_SIZES - 1; i++) {
        const uint32_t size = memory_sizes[i];
        const uint32_t count = size < RIG_CHAINS ? size : RIG_CHAINS;

        rig_open_at(r, size, MEMORY_BASIC, (uint16_t)(size - 1));
        for (unsigned lap = 0; lap < 4; lap++) {
            for (uint32_t n = 0; n < count; n++) {
                rig_offer(r, n, 8);
            }
            cr_assert_eq(rig_pop(r, count), (int)count);
            for (uint32_t n = 0; n < count; n++) {
                cr_assert_eq(rig_push(r, count - 1 - n, n % 9), 1);
                cr_assert(!wire_is_used(r->w, r->used));
            }
            cr_assert_eq(r->calls->publish(&r->q), (int)count);
            for (uint32_t n = 0; n < count; n++) {
                rig_expect_used(r, count - 1 - n, n % 9, 1);
            }
            cr_assert_eq(r->calls->publish(&r->q), 0);
        }
    }
}

/* ---- P12: ids, as the device judges them ---- */

DeviceTest(packed_device_push, p12_an_id_beyond_the_size_breaks_the_queue)
{
    static const uint16_t bad[] = {7, 8, 0x7fff, 0x8000, 0xffff};

    for (unsigned i = 0; i < 2 * sizeof(bad) / sizeof(bad[0]); i++) {
        struct place head;

        rig_open_at(r, 7, MEMORY_BASIC, 6);
        head = r->avail;
        if (i % 2 == 0) {
            rig_offer(r, bad[i / 2], 8);
        } else {
            rig_offer_list(r, bad[i / 2], 1, 2);
        }
        rig_expect_broken(r, VIRTQ_REASON_QUEUE_HEAD, head, bad[i / 2]);
    }
}

DeviceTest(packed_device_push, p12_an_id_that_is_in_flight_breaks_the_queue)
{
    for (unsigned list = 0; list < 2; list++) {
        struct place head;

        rig_open_at(r, 7, MEMORY_BASIC, 6);
        rig_offer(r, 4, 8);
        (void)rig_pop_one(r);
        head = r->avail;
        rig_offer_list(r, 4, list, 1);
        rig_expect_broken(r, VIRTQ_REASON_QUEUE_IN_FLIGHT, head, 4);
        cr_assert_eq(rig_outstanding(r), 1u);
        /* Given back, it may come again; also before the driver was shown so. */
        rig_open_at(r, 7, MEMORY_BASIC, 6);
        for (unsigned n = 0; n < 10; n++) {
            rig_offer_list(r, 4, list, 1);
            (void)rig_pop_one(r);
            rig_return(r, 4, 1, list + 1);
        }
    }
}

/* ---- Batches ---- */

DeviceTest(packed_device_push, a_pop_gives_no_more_than_there_is_room_for)
{
    rig_open_at(r, 17, MEMORY_BASIC, 15);
    for (unsigned n = 0; n < 4; n++) {
        rig_offer_list(r, n, 2, 1);
    }
    /* Room for two chains, then for the pieces of one. */
    cr_assert_eq(rig_pop(r, 2), 2);
    cr_assert_eq(r->calls->pop(&r->q, r->chains + 2, 4, r->pieces + 100, 5), 1);
    rig_expect_list(r, &r->chains[2], 2, 2, 1);
    /* One that can never fit is bad, and consumed. */
    cr_assert_eq(r->calls->pop(&r->q, r->chains + 3, 4, r->pieces + 200, 2), 1);
    cr_assert_eq(r->chains[3].reason, (uint32_t)VIRTQ_REASON_PIECES);
    cr_assert_eq(r->chains[3].id, 3);
    rig_expect_list(r, &r->chains[0], 0, 2, 1);
    rig_expect_list(r, &r->chains[1], 1, 2, 1);
    for (unsigned n = 4; n-- > 0;) {
        rig_return(r, n, n == 3 ? 0 : 3, 3);
    }
}

DeviceTest(packed_device_push, batches_of_every_kind_go_round_rings_of_every_size)
{
    for (unsigned i = 0; i < MEMORY_SIZES - 1; i++) {
        const uint32_t size = memory_sizes[i];
        const uint32_t most = size < 20 ? size : 20;

        rig_open(r, size, MEMORY_BASIC);
        for (uint32_t round = 0; round < 200; round++) {
            struct virtq_used_buffer used[20];
            uint32_t slots[20];
            uint32_t count = 0;

            for (uint32_t room = most; room != 0;) {
                slots[count] = 1 + (round + count) % 4;
                slots[count] = slots[count] > room ? room : slots[count];
                rig_offer_list(r, count, slots[count] - 1, 1);
                room -= slots[count++];
            }
            cr_assert_eq(rig_pop(r, RIG_CHAINS), (int)count);
            for (uint32_t n = 0; n < count; n++) {
                rig_expect_list(r, &r->chains[n], n, slots[n] - 1, 1);
                used[n] = (struct virtq_used_buffer){count - 1 - n, n % 2};
            }
            cr_assert_eq(r->calls->push(&r->q, used, count), (int)count);
            cr_assert_eq(r->calls->publish(&r->q), (int)count);
            for (uint32_t n = 0; n < count; n++) {
                rig_expect_used(r, count - 1 - n, n % 2, slots[count - 1 - n]);
            }
        }
    }
}

/* ---- Bad calls ---- */

DeviceTest(packed_device_push, a_bad_call_gets_its_error_and_changes_nothing)
{
    struct virtq_used_buffer used[4] = {{2, 1}, {1, 1}, {1, 1}, {0, 1}};
    struct wire_image before;

    rig_open_at(r, 7, MEMORY_BASIC, 5);
    for (unsigned n = 0; n < 3; n++) {
        rig_offer(r, n, 8);
    }
    wire_keep(r->w, &before);
    /* Not popped yet. */
    cr_assert_eq(rig_push(r, 0, 0), VIRTQ_EINVAL);
    cr_assert_eq(rig_pop(r, 3), 3);
    cr_assert_eq(rig_push(r, 3, 0), VIRTQ_EINVAL);
    cr_assert_eq(rig_push(r, 7, 0), VIRTQ_EINVAL);
    cr_assert_eq(rig_push(r, 0x10000, 0), VIRTQ_EINVAL);
    cr_assert_eq(rig_push(r, UINT32_MAX, 0), VIRTQ_EINVAL);
    cr_assert_eq(rig_push(r, 0, 9), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->publish(&r->q), 0);
    cr_assert(wire_same(r->w, &before));
    /* A batch stops before its first bad one. */
    cr_assert_eq(r->calls->push(&r->q, used, 4), 2);
    cr_assert_eq(rig_outstanding(r), 1u);
    cr_assert_eq(r->calls->publish(&r->q), 2);
    rig_expect_used(r, 2, 1, 1);
    rig_expect_used(r, 1, 1, 1);
    wire_keep(r->w, &before);
    cr_assert_eq(rig_push(r, 2, 1), VIRTQ_EINVAL);
    cr_assert(wire_same(r->w, &before));
    rig_return(r, 0, 8, 1);
    cr_assert_eq(rig_pop(r, 1), 0);
}

DeviceTest(packed_device_push, a_buffer_of_zero_bytes_is_a_buffer)
{
    rig_open(r, 7, MEMORY_BASIC);
    rig_put(r, 0, 0, 3, 0);
    cr_assert_eq(rig_pop_one(r)->readable_bytes, 0u);
    rig_return(r, 3, 0, 1);
    rig_put(r, 0, 0, 3, WIRE_WRITE);
    cr_assert_eq(rig_pop_one(r)->writable_bytes, 0u);
    cr_assert_eq(rig_push(r, 3, 1), VIRTQ_EINVAL);
    rig_return(r, 3, 0, 1);
    rig_pass(r, 9);
}
