/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a split queue with VIRTIO_F_IN_ORDER: I1, I2, I4, I5. */
#include "driver_rig.h"

/** @brief Publishes so many buffers of 1 readable and 2 writable bytes; cookies count from
 * `first`. */
static void send(struct driver_rig *r, unsigned count, uintptr_t first)
{
    for (unsigned i = 0; i < count; i++) {
        rig_add(r, 1, 1, first + i);
    }
    cr_assert_eq(r->calls->publish(&r->q), count);
}

/** @brief The device uses a batch: one element at the slot of its first buffer, the id of its last.
 */
static void use_batch(const struct driver_rig *r, unsigned count, uint32_t last_len)
{
    const uint16_t at = wire_used_idx(r->w);

    wire_use_at(r->w, at, wire_avail_head(r->w, at + count - 1u), last_len);
    /* The slots between are never written: they hold what they held. */
    for (unsigned i = 1; i < count; i++) {
        wire_use_at(r->w, (uint16_t)(at + i), UINT32_MAX, UINT32_MAX);
    }
    wire_used_move(r->w, count);
}

DriverTest(split_driver_order, i1_descriptors_are_used_in_ring_order)
{
    uint16_t expected = 0;

    rig_open(r, 8, MEMORY_ORDERED);
    for (unsigned n = 0; n < 200; n++) {
        const unsigned count = 1 + n % 5;
        uint16_t head;

        rig_add(r, count - count / 2, count / 2, n);
        cr_assert_eq(r->calls->publish(&r->q), 1u);
        head = wire_avail_head(r->w, n);
        for (unsigned k = 0; k < count; k++) {
            const uint16_t after = (uint16_t)(expected == 7 ? 0 : expected + 1);

            cr_assert_eq(head, expected);
            if (k + 1 < count) {
                /* 0 for the last descriptor of the table, x + 1 for the rest. */
                cr_assert((wire_desc(r->w, head).flags & (unsigned)WIRE_NEXT) != 0);
                cr_assert_eq(wire_desc(r->w, head).next, after);
            }
            head = expected = after;
        }
        wire_use(r->w, wire_avail_head(r->w, n), 0);
        cr_assert_eq((uintptr_t)rig_poll(r).cookie, n);
    }
}

DriverTest(split_driver_order, i1_tables_take_one_descriptor_each_and_are_sequential)
{
    rig_open(r, 4, MEMORY_ORDERED | VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC));
    for (unsigned n = 0; n < 20; n++) {
        struct wire_desc whole;

        rig_add(r, 3, 2, n);
        cr_assert_eq(r->calls->publish(&r->q), 1u);
        cr_assert_eq(wire_avail_head(r->w, n), n % 4);
        whole = wire_desc(r->w, n % 4);
        cr_assert_eq(whole.flags, (unsigned)WIRE_INDIRECT);
        for (unsigned k = 0; k < 4; k++) {
            cr_assert_eq(
                wire_desc_of(r->m.base + (whole.addr - MEMORY_FIRST) + k * 16u, false).next, k + 1);
        }
        wire_use(r->w, n % 4, 0);
        (void)rig_poll(r);
    }
}

DriverTest(split_driver_order, i1_starts_anew_at_descriptor_0_after_a_reset)
{
    rig_open(r, 8, MEMORY_ORDERED);
    send(r, 3, 0);
    use_batch(r, 3, 2);
    for (unsigned i = 0; i < 3; i++) {
        (void)rig_poll(r);
    }
    cr_assert_eq(r->calls->reset(&r->q), 0);
    send(r, 1, 0);
    cr_assert_eq(wire_avail_head(r->w, 0), 0);
    cr_assert_eq(wire_desc(r->w, 0).next, 1);
}

DriverTest(split_driver_order, i2_one_element_stands_for_a_batch)
{
    struct virtq_completion done[8];

    rig_open_at(r, 16, MEMORY_ORDERED, 65530);
    for (unsigned round = 0; round < 40; round++) {
        const unsigned count = 1 + round % 8;

        send(r, count, round * 10);
        use_batch(r, count, 2);
        cr_assert_eq(r->calls->poll(&r->q, done, 8), (int)count);
        for (unsigned i = 0; i < count; i++) {
            cr_assert_eq((uintptr_t)done[i].cookie, round * 10 + i);
            cr_assert_eq(done[i].len, 2u);
        }
        cr_assert_eq(rig_room(r), 16u);
    }
}

DriverTest(split_driver_order, i2_a_batch_can_be_polled_bit_by_bit)
{
    rig_open(r, 16, MEMORY_ORDERED);
    send(r, 5, 0);
    use_batch(r, 3, 1);
    use_batch(r, 2, 0);
    for (unsigned i = 0; i < 5; i++) {
        const struct virtq_completion done = rig_poll(r);

        cr_assert_eq((uintptr_t)done.cookie, i);
        cr_assert_eq(done.len, i == 2 ? 1u : i == 4 ? 0u : 2u);
    }
    cr_assert_eq(rig_poll_none(r), 0);
}

DriverTest(split_driver_order, i2_the_index_counts_buffers_not_descriptors)
{
    struct virtq_completion done[4];

    rig_open(r, 16, MEMORY_ORDERED);
    for (unsigned i = 0; i < 3; i++) {
        rig_add(r, 3, 2, i);
    }
    cr_assert_eq(r->calls->publish(&r->q), 3u);
    cr_assert_eq(wire_avail_idx(r->w), 3);
    use_batch(r, 3, 0);
    cr_assert_eq(wire_used_idx(r->w), 3);
    cr_assert_eq(r->calls->poll(&r->q, done, 4), 3);
    cr_assert_eq(rig_room(r), 16u);
}

DriverTest(split_driver_order, i4_a_skipped_buffer_was_used_in_full)
{
    struct virtq_completion done[4];

    rig_open(r, 16, MEMORY_ORDERED);
    rig_add(r, 1, 2, 0); /* 2 + 3 writable bytes */
    rig_add(r, 2, 0, 1); /* none */
    rig_add(r, 0, 1, 2); /* 1 */
    rig_add(r, 1, 3, 3); /* 2 + 3 + 4 */
    cr_assert_eq(r->calls->publish(&r->q), 4u);
    use_batch(r, 4, 7);
    cr_assert_eq(r->calls->poll(&r->q, done, 4), 4);
    cr_assert_eq(done[0].len, 5u);
    cr_assert_eq(done[1].len, 0u);
    cr_assert_eq(done[2].len, 1u);
    /* Only the last one has a length of its own. */
    cr_assert_eq(done[3].len, 7u);
    cr_assert_eq(rig_counters(r).error_length, 0u);
}

DriverTest(split_driver_order, i5_an_id_that_is_not_outstanding_breaks_the_queue)
{
    /* A tail, a free descriptor, and what is no descriptor. */
    static const uint32_t ids[] = {1, 3, 6, 8, 8 + 2, 0x10000, UINT32_MAX};

    for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        rig_open(r, 8, MEMORY_ORDERED);
        send(r, 2, 0);
        wire_use(r->w, ids[i], 0);
        wire_used_move(r->w, 1);
        cr_assert_eq(rig_poll_none(r), VIRTQ_EBROKEN);
        rig_expect_broken(r, VIRTQ_REASON_QUEUE_ID, 0, ids[i]);
        cr_assert_eq(rig_outstanding(r), 2u);
    }
}

DriverTest(split_driver_order, i5_the_search_ends_where_the_index_ends)
{
    struct virtq_completion done[8];

    /* Four are out and two are said to be used, but the id is that of the fourth. */
    rig_open(r, 16, MEMORY_ORDERED);
    send(r, 4, 0);
    wire_use(r->w, wire_avail_head(r->w, 3), 0);
    wire_used_move(r->w, 1);
    cr_assert_eq(r->calls->poll(&r->q, done, 8), 1);
    cr_assert_eq((uintptr_t)done[0].cookie, 0u);
    cr_assert_eq(rig_poll_none(r), VIRTQ_EBROKEN);
    rig_expect_broken(r, VIRTQ_REASON_QUEUE_ORDER, 1, wire_avail_head(r->w, 3));
    cr_assert_eq(rig_outstanding(r), 3u);
}

DriverTest(split_driver_order, i5_a_device_that_reorders_is_found_out)
{
    rig_open(r, 8, MEMORY_ORDERED);
    send(r, 2, 0);
    wire_use(r->w, wire_avail_head(r->w, 1), 2);
    cr_assert_eq(rig_poll_none(r), VIRTQ_EBROKEN);
    rig_expect_broken(r, VIRTQ_REASON_QUEUE_ORDER, 0, wire_avail_head(r->w, 1));
}

DriverTest(split_driver_order, i5_a_batch_does_not_end_in_what_was_not_published)
{
    struct virtq_completion done[4];

    rig_open(r, 8, MEMORY_ORDERED);
    send(r, 2, 0);
    rig_add(r, 1, 0, 2);
    wire_use(r->w, wire_avail_head(r->w, 2), 0);
    wire_used_move(r->w, 1);
    cr_assert_leq(r->calls->poll(&r->q, done, 4), 1);
    cr_assert_eq(rig_poll_none(r), VIRTQ_EBROKEN);
    cr_assert(rig_fault(r).reason != (uint32_t)VIRTQ_REASON_NONE);
}

DriverTest(split_driver_order, a_batch_cut_short_by_a_reset_is_forgotten)
{
    unsigned back = 0;
    void *cookie;

    rig_open(r, 8, MEMORY_ORDERED);
    send(r, 4, 0);
    use_batch(r, 3, 1);
    cr_assert_eq((uintptr_t)rig_poll(r).cookie, 0u);
    while (r->calls->detach(&r->q, &cookie) == 1) {
        back |= 1u << (uintptr_t)cookie;
    }
    cr_assert_eq(back, 0xeu);
    cr_assert_eq(r->calls->reset(&r->q), 0);
    send(r, 3, 10);
    for (unsigned i = 0; i < 3; i++) {
        wire_use(r->w, wire_avail_head(r->w, i), 0);
        cr_assert_eq((uintptr_t)rig_poll(r).cookie, 10u + i);
    }
}
