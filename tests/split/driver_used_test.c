/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a split queue takes used buffers back: S9 and S10; batches, detach, and calls
 * that are refused. */
#include "driver_rig.h"

/* ---- S9: used lengths ---- */

DriverTest(split_driver_used, s9_the_length_is_what_the_device_wrote)
{
    static const uint32_t lengths[] = {0, 1, 5, 6, 9, 10};

    rig_open(r, 4, MEMORY_BASIC);
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct virtq_completion done;

        /* Writable are 1 + 2 + 3 + 4 bytes; less than that is no error. */
        rig_add(r, 0, 4, i + 1);
        cr_assert_eq(r->calls->publish(&r->q), 1u);
        wire_use(r->w, wire_avail_head(r->w, i), lengths[i]);
        done = rig_poll(r);
        cr_assert_eq((uintptr_t)done.cookie, i + 1);
        cr_assert_eq(done.len, lengths[i]);
        cr_assert_eq(done.id, wire_avail_head(r->w, i));
    }
    cr_assert_eq(rig_counters(r).error_length, 0u);
}

DriverTest(split_driver_used, s9_a_length_beyond_the_writable_part_is_clamped_and_counted)
{
    static const uint32_t lengths[] = {4, 100, 0x10000, UINT32_MAX};

    rig_open(r, 4, MEMORY_BASIC);
    for (unsigned i = 0; i < 4; i++) {
        /* 1 readable byte, then 2 writable ones: the device's 3 would count both. */
        rig_add(r, 1, 1, i);
        cr_assert_eq(r->calls->publish(&r->q), 1u);
        wire_use(r->w, wire_avail_head(r->w, i), lengths[i]);
        cr_assert_eq(rig_poll(r).len, 2u);
        cr_assert_eq(rig_counters(r).error_length, i + 1u);
    }
    (void)rig_send(r, 9);
    wire_use(r->w, wire_avail_head(r->w, 4), 1);
    cr_assert_eq(rig_poll(r).len, 0u);
    cr_assert_eq(rig_fault(r).reason, (uint32_t)VIRTQ_REASON_NONE);
}

DriverTest(split_driver_used, s9_a_strict_driver_takes_such_a_length_for_a_broken_queue)
{
    r->config.flags = VIRTQ_DRIVER_STRICT_LENGTH;
    rig_open(r, 4, MEMORY_BASIC);
    rig_add(r, 1, 1, 1);
    rig_add(r, 1, 1, 2);
    cr_assert_eq(r->calls->publish(&r->q), 2u);
    wire_use(r->w, wire_avail_head(r->w, 0), 2);
    wire_use(r->w, wire_avail_head(r->w, 1), 3);
    cr_assert_eq((uintptr_t)rig_poll(r).cookie, 1u);
    cr_assert_eq(rig_poll_none(r), VIRTQ_EBROKEN);
    rig_expect_broken(r, VIRTQ_REASON_QUEUE_LENGTH, 1, 3);
}

DriverTest(split_driver_used, s9_a_buffer_of_2_to_the_32_writable_bytes_can_be_used_in_full)
{
    struct rig_buffer b;

    rig_open(r, 4, MEMORY_BASIC);
    (void)rig_make(r, &b, 0, 2, 1);
    b.buffer.flags = VIRTQ_BUFFER_PREMAPPED;
    b.segments[0].len = UINT32_MAX;
    b.segments[1].len = 1;
    cr_assert_eq(r->calls->add(&r->q, &b.buffer, 1), 1);
    cr_assert_eq(r->calls->publish(&r->q), 1u);
    /* 2^32 cannot be said: the most that can is no violation. */
    wire_use(r->w, wire_avail_head(r->w, 0), UINT32_MAX);
    cr_assert_eq(rig_poll(r).len, UINT32_MAX);
    cr_assert_eq(rig_counters(r).error_length, 0u);
}

/* ---- S10: only outstanding heads, each once ---- */

DriverTest(split_driver_used, s10_a_head_that_is_not_outstanding_breaks_the_queue)
{
    /* One outstanding chain, 0 -> 1. Its tail; a free one; the size; and, for those who take the
       remainder, the head itself plus the size, or with bits above. */
    static const uint32_t ids[] = {1, 2, 7, 8, 0x10000, 0x80000000u, UINT32_MAX};

    for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        rig_open(r, 8, MEMORY_BASIC);
        rig_add(r, 1, 1, 1);
        cr_assert_eq(r->calls->publish(&r->q), 1u);
        cr_assert_eq(wire_avail_head(r->w, 0), 0);
        cr_assert_eq(wire_desc(r->w, 0).next, 1);
        wire_use(r->w, ids[i], 0);
        cr_assert_eq(rig_poll_none(r), VIRTQ_EBROKEN);
        rig_expect_broken(r, VIRTQ_REASON_QUEUE_ID, 0, ids[i]);
        cr_assert_eq(rig_outstanding(r), 1u);
    }
}

DriverTest(split_driver_used, s10_a_head_completes_once)
{
    struct virtq_completion done[2];
    uint16_t head;

    rig_open(r, 4, MEMORY_BASIC);
    head = rig_send(r, 1);
    (void)rig_send(r, 2);
    wire_use(r->w, head, 0);
    wire_use(r->w, head, 0);
    cr_assert_eq(r->calls->poll(&r->q, done, 2), 1);
    cr_assert_eq((uintptr_t)done[0].cookie, 1u);
    cr_assert_eq(rig_poll_none(r), VIRTQ_EBROKEN);
    rig_expect_broken(r, VIRTQ_REASON_QUEUE_ID, 1, head);
    cr_assert_eq(rig_outstanding(r), 1u);
}

DriverTest(split_driver_used, s10_a_head_the_device_was_not_shown_is_not_outstanding)
{
    rig_open(r, 4, MEMORY_BASIC);
    (void)rig_send(r, 1);
    rig_add(r, 1, 0, 2);
    wire_use(r->w, wire_avail_head(r->w, 1), 0);
    cr_assert_eq(rig_poll_none(r), VIRTQ_EBROKEN);
    rig_expect_broken(r, VIRTQ_REASON_QUEUE_ID, 0, wire_avail_head(r->w, 1));
}

DriverTest(split_driver_used, s10_an_index_beyond_what_is_outstanding_breaks_the_queue)
{
    rig_open_at(r, 4, MEMORY_BASIC, 65535);
    (void)rig_send(r, 1);
    wire_use(r->w, 0, 0);
    wire_used_move(r->w, 1);
    cr_assert_eq(wire_used_idx(r->w), 1);
    cr_assert_eq(rig_poll_none(r), VIRTQ_EBROKEN);
    rig_expect_broken(r, VIRTQ_REASON_QUEUE_INDEX, 65535, 1);
}

DriverTest(split_driver_used, s10_buffers_come_back_in_whatever_order_the_device_uses_them)
{
    struct virtq_completion done[8];

    rig_open_at(r, 8, MEMORY_BASIC, 65531);
    for (unsigned round = 0; round < 40; round++) {
        const uint16_t at = wire_avail_idx(r->w);

        for (unsigned i = 0; i < 4; i++) {
            rig_add(r, 1, i % 2, i);
        }
        cr_assert_eq(r->calls->publish(&r->q), 4u);
        for (unsigned i = 0; i < 4; i++) {
            /* Backwards, and beginning with each in turn. */
            wire_use(r->w, wire_avail_head(r->w, at + (i * 3 + round) % 4u), 0);
        }
        cr_assert_eq(r->calls->poll(&r->q, done, 8), 4);
        for (unsigned i = 0; i < 4; i++) {
            cr_assert_eq((uintptr_t)done[i].cookie, (i * 3 + round) % 4);
        }
        cr_assert_eq(rig_room(r), 8u);
        cr_assert_eq(rig_outstanding(r), 0u);
    }
}

/* ---- Batches ---- */

DriverTest(split_driver_used, a_batch_becomes_available_with_one_store_of_the_index)
{
    struct rig_buffer b[6];
    struct virtq_buffer buffers[6];
    struct virtq_completion done[6];
    struct wire_image before;

    rig_open(r, 4, MEMORY_BASIC);
    for (unsigned i = 0; i < 6; i++) {
        buffers[i] = *rig_make(r, &b[i], 1, 0, i);
    }
    wire_keep(r->w, &before);
    /* Four fit: the first four, in order. */
    cr_assert_eq(r->calls->add(&r->q, buffers, 6), 4);
    cr_assert_eq(wire_avail_idx(r->w), 0);
    cr_assert(wire_same(r->w, &before, 2));
    cr_assert_eq(rig_outstanding(r), 4u);
    cr_assert_eq(r->calls->publish(&r->q), 4u);
    cr_assert_eq(wire_avail_idx(r->w), 4);
    cr_assert_eq(r->calls->publish(&r->q), 0u);
    cr_assert_eq(wire_avail_idx(r->w), 4);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(wire_desc(r->w, wire_avail_head(r->w, i)).addr,
                     memory_addr(&r->m, b[i].segments[0].base));
        wire_use_at(r->w, (uint16_t)i, wire_avail_head(r->w, i), 0);
    }
    cr_assert_eq(r->calls->poll(&r->q, done, 6), 0);
    wire_used_move(r->w, 4);
    cr_assert_eq(r->calls->poll(&r->q, done, 3), 3);
    cr_assert_eq(r->calls->poll(&r->q, done + 3, 3), 1);
    cr_assert_eq(r->calls->poll(&r->q, done, 6), 0);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq((uintptr_t)done[i].cookie, i);
    }
    cr_assert_eq(r->calls->add(&r->q, buffers + 4, 2), 2);
}

DriverTest(split_driver_used, a_batch_stops_before_the_first_bad_buffer)
{
    struct rig_buffer b[3];
    struct virtq_buffer buffers[3];

    rig_open(r, 8, MEMORY_BASIC);
    for (unsigned i = 0; i < 3; i++) {
        buffers[i] = *rig_make(r, &b[i], 1, 1, i);
    }
    b[1].segments[1].len = 0;
    cr_assert_eq(r->calls->add(&r->q, buffers, 3), 1);
    cr_assert_eq(r->calls->add(&r->q, buffers + 1, 2), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->publish(&r->q), 1u);
    cr_assert_eq(wire_avail_idx(r->w), 1);
    cr_assert_eq(rig_room(r), 6u);
}

DriverTest(split_driver_used, a_queue_prefilled_before_the_device_runs_recycles_for_ever)
{
    rig_open(r, 16, MEMORY_EVENTS);
    for (unsigned i = 0; i < 16; i++) {
        rig_add(r, 0, 1, i);
    }
    cr_assert_eq(r->calls->publish(&r->q), 16u);
    cr_assert_eq(wire_avail_idx(r->w), 16);
    cr_assert(r->calls->needs_notify(&r->q, NULL));
    for (unsigned n = 0; n < 1000; n++) {
        const uint16_t head = wire_avail_head(r->w, n);
        struct virtq_completion done;

        cr_assert_eq(wire_desc(r->w, head).flags, (unsigned)WIRE_WRITE);
        wire_use(r->w, head, 1);
        done = rig_poll(r);
        cr_assert_eq(done.len, 1u);
        rig_add(r, 0, 1, (uintptr_t)done.cookie);
        cr_assert_eq(r->calls->publish(&r->q), 1u);
        cr_assert_eq(wire_avail_head(r->w, n + 16), head);
        cr_assert_eq(wire_avail_idx(r->w), n + 17);
    }
}

/* ---- Refused calls change nothing ---- */

DriverTest(split_driver_used, a_bad_call_gets_its_error_and_changes_nothing_the_device_can_see)
{
    struct wire_image before;
    struct rig_buffer b;

    for (unsigned tables = 0; tables < 2; tables++) {
        uint64_t refused;

        rig_open(r, 8, tables != 0 ? MEMORY_TABLES : MEMORY_BASIC);
        (void)rig_send(r, 1);
        rig_add(r, 1, 1, 2);
        refused = rig_counters(r).error_caller;
        wire_keep(r->w, &before);
        cr_assert_eq(rig_try(r, 0, 0, 3), VIRTQ_EINVAL);
        cr_assert_eq(rig_try(r, 9, 0, 3), VIRTQ_ETOOBIG);
        (void)rig_make(r, &b, 1, 0, 3);
        b.segments[0].len = 0;
        cr_assert_eq(r->calls->add(&r->q, &b.buffer, 1), VIRTQ_EINVAL);
        (void)rig_make(r, &b, 1, 1, 3);
        b.buffer.flags = 4;
        cr_assert_eq(r->calls->add(&r->q, &b.buffer, 1), VIRTQ_EINVAL);
        cr_assert(wire_same_all(r->w, &before));
        /* Found out late: then only descriptors that are free may have been written. */
        (void)rig_make(r, &b, 1, 2, 3);
        b.segments[2].len = 0;
        cr_assert_eq(r->calls->add(&r->q, &b.buffer, 1), VIRTQ_EINVAL);
        cr_assert(wire_same(r->w, &before, 1) && wire_same(r->w, &before, 2));
        cr_assert_eq(memcmp(r->w->desc, before.bytes, tables != 0 ? 32 : 48), 0);
        cr_assert_eq(rig_counters(r).error_caller, refused + 5);
        cr_assert_eq(rig_outstanding(r), 2u);
        cr_assert_eq(rig_room(r), tables != 0 ? 6u : 5u);
        cr_assert_eq(r->calls->publish(&r->q), 1u);
        cr_assert_eq(wire_avail_idx(r->w), 2);
    }
}

DriverTest(split_driver_used, a_full_ring_is_a_shortage_and_changes_nothing)
{
    struct wire_image before;

    rig_open(r, 4, MEMORY_BASIC);
    rig_add(r, 2, 1, 1);
    wire_keep(r->w, &before);
    cr_assert_eq(rig_try(r, 1, 1, 2), VIRTQ_EFULL);
    cr_assert(wire_same_all(r->w, &before));
    cr_assert_eq(rig_counters(r).error_full, 1u);
    cr_assert_eq(rig_try(r, 1, 0, 2), 1);
    wire_keep(r->w, &before);
    cr_assert_eq(rig_try(r, 1, 0, 3), VIRTQ_EFULL);
    cr_assert(wire_same_all(r->w, &before));
}

/* ---- Detach ---- */

DriverTest(split_driver_used, detach_gives_each_unused_buffer_back_once)
{
    unsigned seen = 0;
    void *cookie = NULL;

    rig_open(r, 8, MEMORY_BASIC);
    for (unsigned i = 0; i < 4; i++) {
        rig_add(r, 1, i % 2, i);
        if (i != 3) {
            cr_assert_eq(r->calls->publish(&r->q), 1u);
        }
    }
    wire_use(r->w, wire_avail_head(r->w, 1), 0);
    cr_assert_eq((uintptr_t)rig_poll(r).cookie, 1u);
    /* Published or not: 0, 2 and 3 are still out. */
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(r->calls->detach(&r->q, &cookie), 1);
        cr_assert_eq(seen & 1u << (uintptr_t)cookie, 0u);
        seen |= 1u << (uintptr_t)cookie;
    }
    cr_assert_eq(seen, 0xdu);
    cr_assert_eq(r->calls->detach(&r->q, &cookie), 0);
    cr_assert_eq(rig_outstanding(r), 0u);
    cr_assert_eq(rig_poll_none(r), 0);
}
