/* SPDX-License-Identifier: BSD-3-Clause */
/* A hostile device against our split driver: used indices, ids and orders. */
#include "device.h"

static void split(struct rogue *r, uint32_t size)
{
    rogue_open(r, false, size, 0, 0);
}

static void used_index(struct rogue *r, unsigned index)
{
    put16(r->ring[2].at + 2, index & 0xffff);
}

Rogue(hostile_split_device, row_54_an_index_beyond_what_is_outstanding_breaks_the_queue)
{
    static const unsigned jumps[] = {2, 4, 5, 0x7fff, 0x8000, 0xffff};

    for (unsigned k = 0; k < 6; k++) {
        split(r, 4);
        (void)rogue_send(r, 1, 0);
        used_index(r, jumps[k]);
        expect_break(r, VIRTQ_REASON_QUEUE_INDEX, 0, jumps[k]);
    }
    split(r, 4); /* Nothing is outstanding at all. */
    used_index(r, 1);
    expect_break(r, VIRTQ_REASON_QUEUE_INDEX, 0, 1);
}

Rogue(hostile_split_device, row_54_an_index_that_runs_backwards_breaks_the_queue)
{
    split(r, 4);
    rogue_use(r, rogue_send(r, 1, 0), 0, 1);
    expect_back(r, 1, 0);
    (void)rogue_send(r, 1, 0);
    used_index(r, 0);
    expect_break(r, VIRTQ_REASON_QUEUE_INDEX, 1, 0);
}

Rogue(hostile_split_device, row_54_an_index_that_counts_unpublished_buffers_breaks_the_queue)
{
    split(r, 4);
    rogue_use(r, rogue_send(r, 1, 0), 0, 1);
    cr_assert_eq(rogue_add(r, 1, 0), 1);
    used_index(r, 2);
    expect_break(r, VIRTQ_REASON_QUEUE_INDEX, 0, 2);
}

Rogue(hostile_split_device, row_49_an_id_that_is_no_descriptor_breaks_the_queue)
{
    static const uint32_t bad[] = {4, 5, 0xffff, 0x10000, 0x10001, 0x80000000, 0xffffffff};

    for (unsigned k = 0; k < 7; k++) {
        split(r, 4);
        (void)rogue_send(r, 1, 0);
        rogue_use(r, bad[k], 0, 1);
        expect_break(r, VIRTQ_REASON_QUEUE_ID, 0, bad[k]);
    }
}

Rogue(hostile_split_device, row_50_an_id_that_is_no_head_breaks_the_queue)
{
    unsigned head;

    split(r, 8);
    head = rogue_send(r, 2, 1);
    rogue_use(r, get16(r->ring[0].at + (size_t)head * 16 + 14), 0, 1); /* Its middle. */
    expect_break(r, VIRTQ_REASON_QUEUE_ID, 0, 1);
    split(r, 8);
    (void)rogue_send(r, 2, 1);
    rogue_use(r, 7, 0, 1); /* A free one. */
    expect_break(r, VIRTQ_REASON_QUEUE_ID, 0, 7);
}

Rogue(hostile_split_device, row_50_an_id_used_twice_breaks_the_queue)
{
    unsigned head;

    split(r, 4);
    head = rogue_send(r, 0, 1);
    (void)rogue_send(r, 0, 1);
    rogue_use(r, head, 8, 1);
    rogue_use(r, head, 8, 1);
    expect_back(r, 1, 8);
    expect_break(r, VIRTQ_REASON_QUEUE_ID, 1, head);
}

Rogue(hostile_split_device, an_id_that_was_not_published_yet_breaks_the_queue)
{
    for (unsigned ahead = 1; ahead <= 3; ahead++) {
        unsigned head;

        split(r, 8);
        head = rogue_send(r, 1, 0);
        for (unsigned k = 0; k < ahead; k++) {
            cr_assert_eq(rogue_add(r, 1, 0), 1);
        }
        rogue_use(r, (head + ahead) & 7, 0, 1);
        expect_break(r, VIRTQ_REASON_QUEUE_ID, 0, head + ahead);
    }
}

Rogue(hostile_split_device, a_published_id_comes_back_while_others_wait_to_be_published)
{
    unsigned head;

    split(r, 8);
    head = rogue_send(r, 0, 1);
    cr_assert_eq(rogue_add(r, 1, 0), 1);
    rogue_use(r, head, 5, 1);
    expect_back(r, 1, 5);
}

Rogue(hostile_split_device, everything_before_the_break_is_given_out)
{
    unsigned first;
    unsigned second;

    split(r, 4);
    first = rogue_send(r, 0, 1);
    second = rogue_send(r, 0, 1);
    (void)rogue_send(r, 0, 1);
    rogue_use(r, second, 2, 1);
    rogue_use(r, first, 1, 1);
    rogue_use(r, 99, 1, 1);
    cr_assert_eq(virtq_driver_poll(r->driver, r->done, 8), 2);
    cr_assert(r->done[0].cookie == (void *)2 && r->done[1].cookie == (void *)1);
    expect_break(r, VIRTQ_REASON_QUEUE_ID, 2, 99);
}

Rogue(hostile_split_device, row_07_stale_elements_are_not_read_and_the_index_wraps)
{
    split(r, 4);
    for (unsigned long k = 0; k < 70000; k++) {
        unsigned head = rogue_send(r, 0, 1);

        cr_assert_eq(rogue_poll(r), 0);
        rogue_use(r, head, (uint32_t)(k & 7), 1);
        expect_back(r, k + 1, (uint32_t)(k & 7));
        cr_assert_eq(rogue_poll(r), 0);
    }
}

/* ---- IN_ORDER ---- */

static void ordered(struct rogue *r)
{
    rogue_open(r, false, 8, VIRTQ_FEATURE(VIRTIO_F_IN_ORDER), 0);
}

Rogue(hostile_split_device, in_order_an_unknown_id_breaks_the_queue)
{
    static const uint32_t bad[] = {3, 8, 0xffffffff};

    for (unsigned k = 0; k < 3; k++) {
        ordered(r);
        (void)rogue_send(r, 1, 0);
        (void)rogue_send(r, 1, 0);
        rogue_use(r, bad[k], 0, 1);
        expect_break(r, VIRTQ_REASON_QUEUE_ID, 0, bad[k]);
    }
}

Rogue(hostile_split_device, in_order_a_later_buffer_than_the_index_covers_breaks_the_queue)
{
    unsigned heads[3];

    ordered(r);
    for (unsigned k = 0; k < 3; k++) {
        heads[k] = rogue_send(r, 0, 1);
    }
    rogue_use(r, heads[1], 8, 1); /* Says one was used, but names the second. */
    expect_break(r, VIRTQ_REASON_QUEUE_ORDER, 0, heads[1]);

    ordered(r);
    for (unsigned k = 0; k < 3; k++) {
        heads[k] = rogue_send(r, 0, 1);
    }
    rogue_use(r, heads[2], 8, 1);
    used_index(r, 2);
    expect_back(r, 1, 8); /* It could be the first of a batch of three, until the index says no. */
    expect_break(r, VIRTQ_REASON_QUEUE_ORDER, 1, heads[2]);
}

Rogue(hostile_split_device, in_order_a_batch_comes_out_one_by_one_and_only_the_last_has_a_length)
{
    unsigned head = 0;

    ordered(r);
    for (unsigned k = 0; k < 3; k++) {
        head = rogue_send(r, 0, 2);
    }
    rogue_use(r, head, 5, 1);
    used_index(r, 3);
    expect_back(r, 1, 16);
    expect_back(r, 2, 16);
    expect_back(r, 3, 5);
    cr_assert_eq(rogue_poll(r), 0);
}

Rogue(hostile_split_device, in_order_an_element_that_repeats_itself_breaks_the_queue)
{
    unsigned head;

    ordered(r);
    head = rogue_send(r, 0, 1);
    (void)rogue_send(r, 0, 1);
    rogue_use(r, head, 1, 1);
    rogue_use(r, head, 1, 1);
    expect_back(r, 1, 1);
    expect_break(r, VIRTQ_REASON_QUEUE_ID, 1, head);
}

Rogue(hostile_split_device, in_order_an_id_that_was_not_published_yet_breaks_the_queue)
{
    ordered(r);
    (void)rogue_send(r, 0, 1);
    cr_assert_eq(rogue_add(r, 0, 1), 1);
    rogue_use(r, 1, 8, 1);
    expect_break(r, VIRTQ_REASON_QUEUE_ORDER, 0, 1);
}
