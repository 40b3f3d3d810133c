/* SPDX-License-Identifier: BSD-3-Clause */
/* A hostile device against our packed driver: used descriptors, ids and orders. */
#include "device.h"

#define START 0x8000u
#define BOTH (PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED)

static const uint32_t sizes[] = {1, 2, 3, 7, 8, 100};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

static void packed(struct rogue *r, uint32_t size)
{
    rogue_open(r, true, size, 0, 0);
}

Rogue(hostile_packed_device, row_49_an_id_that_is_not_below_the_queue_size_breaks_the_queue)
{
    for (unsigned i = 0; i < SIZES; i++) {
        const uint32_t bad[] = {sizes[i], sizes[i] + 1, 0x7fff, 0x8000, 0xffff};

        for (unsigned k = 0; k < 5; k++) {
            packed(r, sizes[i]);
            (void)rogue_send(r, 1, 0);
            rogue_use(r, bad[k], 0, 1);
            expect_break(r, VIRTQ_REASON_QUEUE_ID, START, bad[k]);
        }
    }
}

Rogue(hostile_packed_device, row_50_an_id_that_is_not_outstanding_breaks_the_queue)
{
    unsigned id;

    packed(r, 7);
    id = rogue_send(r, 0, 1);
    rogue_use(r, (id + 3) % 7, 0, 1);
    expect_break(r, VIRTQ_REASON_QUEUE_ID, START, (id + 3) % 7);
}

Rogue(hostile_packed_device, row_50_an_id_used_twice_breaks_the_queue)
{
    unsigned id;

    packed(r, 7);
    id = rogue_send(r, 0, 1);
    (void)rogue_send(r, 0, 1);
    rogue_use(r, id, 8, 1);
    rogue_use(r, id, 8, 1);
    expect_back(r, 1, 8);
    expect_break(r, VIRTQ_REASON_QUEUE_ID, START + 1, id);
}

Rogue(hostile_packed_device, an_id_that_was_not_published_yet_breaks_the_queue)
{
    for (unsigned ahead = 1; ahead <= 3; ahead++) {
        unsigned id;

        packed(r, 8);
        (void)rogue_send(r, 0, 1);
        for (unsigned k = 0; k < ahead; k++) {
            cr_assert_eq(rogue_add(r, 1, 1), 1);
        }
        /* The driver writes ids before it publishes: the device can see them all the same. */
        id = get16(r->ring[0].at + (size_t)(1 + 2 * (ahead - 1)) * 16 + 12);
        rogue_use(r, id, 8, 1);
        expect_break(r, VIRTQ_REASON_QUEUE_ID, START, id);
    }
}

Rogue(hostile_packed_device, a_published_id_comes_back_while_others_wait_to_be_published)
{
    unsigned id;

    packed(r, 8);
    id = rogue_send(r, 0, 1);
    cr_assert_eq(rogue_add(r, 0, 2), 1);
    cr_assert_eq(rogue_add(r, 0, 2), 1);
    rogue_use(r, id, 5, 1);
    expect_back(r, 1, 5);
    cr_assert_eq(virtq_driver_publish(r->driver), 2u);
}

Rogue(hostile_packed_device, ids_come_back_in_any_order_and_each_once)
{
    packed(r, 8);
    for (unsigned lap = 0; lap < 50; lap++) {
        unsigned ids[8];

        for (unsigned k = 0; k < 8; k++) {
            ids[k] = rogue_send(r, 0, 1);
        }
        cr_assert_eq(rogue_add(r, 0, 1), VIRTQ_EFULL);
        for (unsigned k = 0; k < 8; k++) {
            rogue_use(r, ids[(k * 3 + lap) % 8], k, 1);
            expect_back(r, lap * 8ul + (k * 3 + lap) % 8 + 1, k);
        }
    }
}

Rogue(hostile_packed_device, a_ring_marked_used_all_over_gives_each_buffer_once_and_then_breaks)
{
    for (unsigned i = 0; i < SIZES; i++) {
        unsigned ids[100];
        unsigned n = sizes[i] < 4 ? sizes[i] : 4;
        int got;

        packed(r, sizes[i]);
        for (unsigned k = 0; k < n; k++) {
            ids[k] = rogue_send(r, 0, 1);
        }
        for (uint32_t d = 0; d < sizes[i]; d++) {
            put32(r->ring[0].at + (size_t)d * 16 + 8, 1);
            put16(r->ring[0].at + (size_t)d * 16 + 12, ids[0]);
            put16(r->ring[0].at + (size_t)d * 16 + 14, BOTH);
        }
        got = virtq_driver_poll(r->driver, r->done, 300);
        cr_assert_eq(got, 1, "the same id comes back once");
        if (n > 1) {
            expect_break(r, VIRTQ_REASON_QUEUE_ID, START + 1, ids[0]);
        } else {
            /* Nothing is outstanding any more, so nothing is looked at. */
            cr_assert_eq(virtq_driver_poll(r->driver, r->done, 300), 0);
        }
    }
}

Rogue(hostile_packed_device, used_descriptors_without_anything_outstanding_are_not_looked_at)
{
    packed(r, 8);
    for (unsigned d = 0; d < 8; d++) {
        put16(r->ring[0].at + (size_t)d * 16 + 14, BOTH);
    }
    for (unsigned k = 0; k < 20; k++) {
        cr_assert_eq(virtq_driver_poll(r->driver, r->done, 300), 0);
        cr_assert(!virtq_driver_enable_notify(r->driver));
    }
}

Rogue(hostile_packed_device, row_24_only_both_bits_at_the_drivers_wrap_say_used)
{
    static const unsigned words[] = {0, PVIRTQ_DESC_F_AVAIL, PVIRTQ_DESC_F_USED, 0x7fff, 0x7f7f};
    unsigned id;

    packed(r, 4);
    id = rogue_send(r, 0, 1);
    for (unsigned k = 0; k < 5; k++) {
        put16(r->ring[0].at + 14, words[k]);
        cr_assert_eq(rogue_poll(r), 0);
        cr_assert(!virtq_driver_enable_notify(r->driver));
    }
    put16(r->ring[0].at + 14, 0xffff);
    put16(r->ring[0].at + 12, id);
    put32(r->ring[0].at + 8, 3);
    cr_assert(virtq_driver_enable_notify(r->driver));
    expect_back(r, 1, 3);
}

Rogue(hostile_packed_device, P7_the_length_counts_with_WRITE_and_without)
{
    packed(r, 4);
    for (unsigned k = 0; k < 20; k++) {
        unsigned id = rogue_send(r, 0, 1);
        unsigned char *at = r->ring[0].at + (size_t)(r->used & 0x7fff) * 16;

        rogue_use(r, id, 7, 1);
        if ((k & 1) != 0) {
            put16(at + 14, get16(at + 14) | VIRTQ_DESC_F_WRITE);
        }
        expect_back(r, k + 1, 7);
    }
}

Rogue(hostile_packed_device, row_07_lists_skip_as_many_as_they_had_on_every_size)
{
    for (unsigned i = 0; i < SIZES; i++) {
        packed(r, sizes[i]);
        for (unsigned long k = 0; k < 3000; k++) {
            unsigned slots = (unsigned)(k % (sizes[i] < 4 ? sizes[i] : 4)) + 1;
            unsigned id = rogue_send(r, slots - 1, 1);

            cr_assert_eq(rogue_poll(r), 0);
            rogue_use(r, id, (uint32_t)(k & 7), slots);
            expect_back(r, k + 1, (uint32_t)(k & 7));
            cr_assert_eq(virtq_driver_room(r->driver), sizes[i]);
        }
    }
}

Rogue(hostile_packed_device, row_43_event_words_that_make_no_sense_notify)
{
    static const unsigned words[][2] = {{0, 3}, {8, 2}, {0x7fff, 2}, {0xffff, 2}, {0, 0xfffc}};

    rogue_open(r, true, 8, VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX), 0);
    for (unsigned k = 0; k < 5; k++) {
        unsigned id;

        put16(r->ring[2].at, words[k][0]);
        put16(r->ring[2].at + 2, words[k][1]);
        id = rogue_send(r, 0, 1);
        cr_assert(virtq_driver_needs_notify(r->driver, NULL));
        cr_assert(!virtq_driver_needs_notify(r->driver, NULL), "nothing was published since");
        rogue_use(r, id, 0, 1);
        expect_back(r, k + 1, 0);
    }
}

/* ---- IN_ORDER ---- */

static void ordered(struct rogue *r)
{
    rogue_open(r, true, 7, VIRTQ_FEATURE(VIRTIO_F_IN_ORDER), 0);
}

Rogue(hostile_packed_device, in_order_an_unknown_id_breaks_the_queue)
{
    static const uint32_t bad[] = {3, 7, 0xffff};

    for (unsigned k = 0; k < 3; k++) {
        ordered(r);
        (void)rogue_send(r, 1, 0);
        (void)rogue_send(r, 1, 0);
        rogue_use(r, bad[k], 0, 1);
        expect_break(r, VIRTQ_REASON_QUEUE_ID, START, bad[k]);
    }
}

Rogue(hostile_packed_device, in_order_a_batch_comes_out_one_by_one_and_only_the_last_has_a_length)
{
    unsigned id = 0;

    ordered(r);
    for (unsigned k = 0; k < 3; k++) {
        id = rogue_send(r, 0, 2);
    }
    rogue_use(r, id, 5, 6);
    expect_back(r, 1, 16);
    expect_back(r, 2, 16);
    expect_back(r, 3, 5);
    cr_assert_eq(rogue_poll(r), 0);
    rogue_use(r, rogue_send(r, 0, 1), 4, 1);
    expect_back(r, 4, 4);
}

Rogue(hostile_packed_device, in_order_a_descriptor_that_repeats_itself_breaks_the_queue)
{
    unsigned id;

    ordered(r);
    id = rogue_send(r, 0, 1);
    (void)rogue_send(r, 0, 1);
    rogue_use(r, id, 1, 1);
    rogue_use(r, id, 1, 1);
    expect_back(r, 1, 1);
    expect_break(r, VIRTQ_REASON_QUEUE_ID, START + 1, id);
}

Rogue(hostile_packed_device, in_order_an_id_that_was_not_published_yet_breaks_the_queue)
{
    ordered(r);
    (void)rogue_send(r, 0, 1);
    cr_assert_eq(rogue_add(r, 0, 1), 1);
    rogue_use(r, 1, 8, 1);
    expect_break(r, VIRTQ_REASON_QUEUE_ID, START, 1);
}

Rogue(hostile_packed_device, in_order_a_batch_of_all_that_is_outstanding_is_the_longest_there_is)
{
    ordered(r);
    for (unsigned lap = 0; lap < 30; lap++) {
        unsigned id = 0;

        for (unsigned k = 0; k < 7; k++) {
            id = rogue_send(r, 0, 1);
        }
        rogue_use(r, id, 8, 7);
        cr_assert_eq(virtq_driver_poll(r->driver, r->done, 300), 7);
        cr_assert_eq(virtq_driver_poll(r->driver, r->done, 300), 0);
    }
}
