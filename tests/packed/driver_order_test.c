/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a packed queue with VIRTIO_F_IN_ORDER: I3, I4, I5. */
#include "driver_rig.h"

/** @brief Sends so many buffers of 1 readable and 2 writable bytes in 2 descriptors; cookies count
 * from `first`; gives the last id. */
static uint16_t send(struct driver_rig *r, unsigned count, uintptr_t first)
{
    uint16_t id = 0;

    for (unsigned i = 0; i < count; i++) {
        id = rig_send(r, 1, 1, first + i);
    }
    return id;
}

DriverTest(packed_driver_order, i3_one_descriptor_stands_for_a_batch_and_all_its_descriptors)
{
    struct virtq_completion done[8];

    rig_open_at(r, 17, MEMORY_ORDERED, 14 | 0x8000);
    for (unsigned round = 0; round < 40; round++) {
        const unsigned count = 1 + round % 8;
        const uint16_t last = send(r, count, round * 10);

        /* Over the first descriptor of the batch, with the id of its last buffer. */
        rig_use(r, last, 2, count * 2);
        cr_assert_eq(r->calls->poll(&r->q, done, 8), (int)count);
        for (unsigned i = 0; i < count; i++) {
            cr_assert_eq((uintptr_t)done[i].cookie, round * 10 + i);
            cr_assert_eq(done[i].len, 2u);
        }
        cr_assert_eq(done[count - 1].id, last);
        cr_assert_eq(rig_room(r), 17u);
        cr_assert_eq(r->calls->poll(&r->q, done, 8), 0);
    }
}

DriverTest(packed_driver_order, i3_lists_of_different_length_are_skipped_together)
{
    for (uint16_t start = 0; start < 14; start++) {
        struct virtq_completion done[4];
        uint16_t last;

        rig_open_at(r, 7, MEMORY_ORDERED, (uint16_t)(start % 7 | start / 7 << 15));
        (void)rig_send(r, 1, 2, 0);
        (void)rig_send(r, 1, 0, 1);
        last = rig_send(r, 0, 2, 2);
        (void)rig_send(r, 1, 0, 3);
        rig_use(r, last, 1, 3 + 1 + 2);
        cr_assert_eq(r->calls->poll(&r->q, done, 4), 3);
        cr_assert_eq(rig_room(r), 6u);
        rig_use(r, wire_desc(r->w, r->used).id, 0, 1);
        cr_assert_eq((uintptr_t)rig_poll(r).cookie, 3u);
        cr_assert_eq(rig_room(r), 7u);
    }
}

DriverTest(packed_driver_order, i3_a_batch_can_be_polled_bit_by_bit)
{
    rig_open(r, 16, MEMORY_ORDERED);
    rig_use(r, send(r, 3, 0), 1, 6);
    rig_use(r, send(r, 2, 3), 0, 4);
    for (unsigned i = 0; i < 5; i++) {
        struct virtq_completion done;

        /* The rest of a batch that was begun is waiting, though nothing new is in the ring. */
        cr_assert(r->calls->enable_notify(&r->q, 1));
        done = rig_poll(r);
        cr_assert_eq((uintptr_t)done.cookie, i);
        cr_assert_eq(done.len, i == 2 ? 1u : i == 4 ? 0u : 2u);
    }
    cr_assert_eq(rig_poll_none(r), 0);
    cr_assert(!r->calls->enable_notify(&r->q, 1));
}

DriverTest(packed_driver_order, i4_a_skipped_buffer_was_used_in_full)
{
    struct virtq_completion done[4];

    rig_open(r, 16, MEMORY_ORDERED);
    (void)rig_send(r, 1, 2, 0); /* 2 + 3 writable bytes */
    (void)rig_send(r, 2, 0, 1); /* none */
    (void)rig_send(r, 0, 1, 2); /* 1 */
    rig_use(r, rig_send(r, 1, 3, 3), 7, 3 + 2 + 1 + 4);
    cr_assert_eq(r->calls->poll(&r->q, done, 4), 4);
    cr_assert_eq(done[0].len, 5u);
    cr_assert_eq(done[1].len, 0u);
    cr_assert_eq(done[2].len, 1u);
    /* Only the last one has a length of its own, of 2 + 3 + 4. */
    cr_assert_eq(done[3].len, 7u);
    cr_assert_eq(rig_counters(r).error_length, 0u);
}

DriverTest(packed_driver_order, i4_the_length_of_the_last_one_is_clamped)
{
    struct virtq_completion done[2];

    rig_open(r, 16, MEMORY_ORDERED);
    rig_use(r, send(r, 2, 0), 3, 4);
    cr_assert_eq(r->calls->poll(&r->q, done, 2), 2);
    cr_assert_eq(done[0].len, 2u);
    cr_assert_eq(done[1].len, 2u);
    cr_assert_eq(rig_counters(r).error_length, 1u);
}

DriverTest(packed_driver_order, i5_an_id_that_is_not_outstanding_breaks_the_queue)
{
    for (unsigned n = 0; n < 5; n++) {
        const struct place here = place_of(6 | 0x8000);
        unsigned bad[5] = {8, 0x8000, 0xffff, 0, 0};
        uint16_t done;
        uint16_t last;

        rig_open_at(r, 8, MEMORY_ORDERED, place_word(here));
        done = send(r, 1, 0);
        rig_use(r, done, 0, 2);
        (void)rig_poll(r);
        last = send(r, 2, 1);
        /* What came back already, and what is added but not shown. */
        bad[3] = done;
        rig_add(r, 1, 0, 9);
        bad[4] = wire_desc(r->w, place_after(here, 8, 6)).id;
        cr_assert(bad[3] != last && bad[4] != last);
        rig_use(r, bad[n], 0, 2);
        cr_assert_eq(rig_poll_none(r), VIRTQ_EBROKEN);
        rig_expect_broken(r, VIRTQ_REASON_QUEUE_ID, place_word(place_after(here, 8, 2)), bad[n]);
        /* None was given out on the way to it. */
        cr_assert_eq(rig_outstanding(r), 3u);
    }
}

DriverTest(packed_driver_order, i5_a_batch_ends_within_what_is_outstanding)
{
    struct virtq_completion done[16];

    /* Of a full ring, and whatever is asked for, no more than that comes back. */
    rig_open_at(r, 7, MEMORY_ORDERED, 3);
    for (unsigned round = 0; round < 20; round++) {
        uint16_t last = 0;

        for (unsigned i = 0; i < 7; i++) {
            last = rig_send(r, 1, 0, i);
        }
        rig_use(r, last, 0, 7);
        cr_assert_eq(r->calls->poll(&r->q, done, 16), 7);
        for (unsigned i = 0; i < 7; i++) {
            cr_assert_eq((uintptr_t)done[i].cookie, i);
        }
        cr_assert_eq(rig_outstanding(r), 0u);
    }
}

DriverTest(packed_driver_order, a_batch_cut_short_by_a_reset_is_forgotten)
{
    unsigned back = 0;
    void *cookie;

    rig_open(r, 8, MEMORY_ORDERED);
    (void)send(r, 1, 3);
    rig_use(r, send(r, 3, 0), 1, 8);
    cr_assert_eq((uintptr_t)rig_poll(r).cookie, 3u);
    while (r->calls->detach(&r->q, &cookie) == 1) {
        back |= 1u << (uintptr_t)cookie;
    }
    cr_assert_eq(back, 7u);
    cr_assert_eq(r->calls->reset(&r->q), 0);
    r->avail = place_start();
    r->used = place_start();
    for (unsigned i = 0; i < 20; i++) {
        rig_use(r, send(r, 1, i), 0, 2);
        cr_assert_eq((uintptr_t)rig_poll(r).cookie, i);
        cr_assert_eq(rig_poll_none(r), 0);
    }
}

DriverTest(packed_driver_order, tables_come_back_in_batches_too)
{
    struct virtq_completion done[4];

    rig_open_at(r, 3, MEMORY_ORDERED | VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC), 2 | 0x8000);
    for (unsigned round = 0; round < 20; round++) {
        const unsigned count = 1 + round % 3;
        const uint16_t last = send(r, count, 0);

        /* One descriptor each. */
        rig_use(r, last, 1, count);
        cr_assert_eq(r->calls->poll(&r->q, done, 4), (int)count);
        for (unsigned i = 0; i < count; i++) {
            cr_assert_eq((uintptr_t)done[i].cookie, i);
            cr_assert_eq(done[i].len, i + 1 == count ? 1u : 2u);
        }
    }
}
