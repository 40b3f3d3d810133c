/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a split queue gives buffers back: S9; heads, batches, and calls that are
 * refused. */
#include "device_rig.h"

/* ---- S9 ---- */

DeviceTest(split_device_push, s9_the_element_is_whole_before_the_index_moves)
{
    rig_open_at(r, 4, MEMORY_BASIC, 65534);
    for (unsigned n = 0; n < 12; n++) {
        const uint16_t at = (uint16_t)(65534 + n);
        struct wire_image before;

        rig_offer(r, n % 4, 100);
        (void)rig_pop_one(r);
        wire_keep(r->w, &before);
        cr_assert_eq(rig_push(r, n % 4, n), 1);
        cr_assert_eq(wire_used_id(r->w, at), n % 4);
        cr_assert_eq(wire_used_len(r->w, at), n);
        cr_assert_eq(wire_used_idx(r->w), at);
        cr_assert_eq(wire_used_flags(r->w), 0);
        /* One element, and not a byte more. */
        wire_put(wire_used_at(r->w, at), 8,
                 wire_get(before.bytes + 64 + 14 + 4 + (at % 4u) * 8, 8, false), false);
        cr_assert(wire_same_all(r->w, &before));
        wire_use_at(r->w, at, n % 4, n);
        cr_assert_eq(r->calls->publish(&r->q), 1);
        cr_assert_eq(wire_used_idx(r->w), (uint16_t)(at + 1));
    }
}

DeviceTest(split_device_push, s9_the_length_is_at_most_the_writable_part)
{
    rig_open(r, 4, MEMORY_BASIC);
    /* 5 readable and 3 + 4 writable bytes. */
    rig_desc(r, 0, 0, 5, WIRE_NEXT, 1);
    rig_desc(r, 1, 10, 3, (unsigned)WIRE_NEXT | (unsigned)WIRE_WRITE, 2);
    rig_desc(r, 2, 20, 4, WIRE_WRITE, 0);
    for (uint32_t len = 0; len <= 7; len++) {
        const uint16_t at = wire_used_idx(r->w);
        struct wire_image before;

        wire_offer(r->w, 0);
        (void)rig_pop_one(r);
        wire_keep(r->w, &before);
        cr_assert_eq(rig_push(r, 0, 8), VIRTQ_EINVAL);
        cr_assert_eq(rig_push(r, 0, UINT32_MAX), VIRTQ_EINVAL);
        cr_assert_eq(r->calls->publish(&r->q), 0);
        cr_assert(wire_same_all(r->w, &before));
        rig_return(r, 0, len);
        cr_assert_eq(wire_used_len(r->w, at), len);
    }
    rig_desc(r, 0, 0, 5, 0, 0);
    wire_offer(r->w, 0);
    (void)rig_pop_one(r);
    cr_assert_eq(rig_push(r, 0, 1), VIRTQ_EINVAL);
    rig_return(r, 0, 0);
}

DeviceTest(split_device_push, s9_what_is_written_through_the_writer_is_the_length)
{
    static const char text[] = "a text of some length";
    struct virtq_cursor writer;

    rig_open(r, 4, MEMORY_BASIC);
    rig_desc(r, 0, 0, 3, (unsigned)WIRE_NEXT | (unsigned)WIRE_WRITE, 1);
    rig_desc(r, 1, 50, 60, WIRE_WRITE, 0);
    wire_offer(r->w, 0);
    writer = virtq_chain_writer(rig_pop_one(r));
    cr_assert_eq(virtq_cursor_write(&writer, text, sizeof(text)), sizeof(text));
    rig_return(r, 0, (uint32_t)virtq_cursor_moved(&writer));
    cr_assert_eq(wire_used_len(r->w, 0), sizeof(text));
    cr_assert_eq(memcmp(r->m.data, text, 3), 0);
    cr_assert_eq(memcmp(r->m.data + 50, text + 3, sizeof(text) - 3), 0);
    cr_assert_eq(r->m.data[3], 0xa5);
}

DeviceTest(split_device_push, s9_every_length_that_a_descriptor_can_say_is_a_limit)
{
    static const uint32_t lens[] = {1, 0x10000, UINT32_MAX - 2u, UINT32_MAX};
    const uint32_t both = (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE;
    const uint64_t last = MEMORY_FIRST + (UINT64_C(1) << 33);

    rig_prepare(r, 4, MEMORY_BASIC, 0);
    /* Nothing looks at the memory that is not there. */
    cr_assert_eq(virtq_direct_init(&r->m.direct, r->m.base, MEMORY_FIRST, last, both), 0);
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        rig_offer(r, i, lens[i]);
        cr_assert_eq(rig_pop_one(r)->writable_bytes, lens[i]);
        if (lens[i] != UINT32_MAX) {
            cr_assert_eq(rig_push(r, i, lens[i] + 1u), VIRTQ_EINVAL);
            cr_assert_eq(rig_push(r, i, UINT32_MAX), VIRTQ_EINVAL);
        }
        rig_return(r, i, lens[i]);
        cr_assert_eq(wire_used_len(r->w, (uint16_t)(i * 2)), lens[i]);
        rig_desc(r, i, 0, lens[i], 0, 0);
        wire_offer(r->w, i);
        cr_assert_eq(rig_pop_one(r)->readable_bytes, lens[i]);
        cr_assert_eq(rig_push(r, i, 1), VIRTQ_EINVAL);
        cr_assert_eq(rig_push(r, i, UINT32_MAX), VIRTQ_EINVAL);
        rig_return(r, i, 0);
    }
}

/* ---- Heads ---- */

DeviceTest(split_device_push, a_head_beyond_the_table_breaks_the_queue)
{
    static const uint16_t heads[] = {8, 9, 0x8000, 0xffff};

    for (unsigned i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        rig_open(r, 8, MEMORY_BASIC);
        wire_offer(r->w, heads[i]);
        rig_expect_broken(r, VIRTQ_REASON_QUEUE_HEAD, heads[i]);
    }
}

DeviceTest(split_device_push, a_head_made_available_twice_breaks_the_queue)
{
    rig_open(r, 8, MEMORY_BASIC);
    rig_offer(r, 3, 1);
    rig_offer(r, 3, 1);
    cr_assert_eq(rig_pop(r, 4), 1);
    rig_expect_broken(r, VIRTQ_REASON_QUEUE_IN_FLIGHT, 3);
}

DeviceTest(split_device_push, a_head_that_was_given_back_may_come_again)
{
    rig_open(r, 8, MEMORY_BASIC);
    for (unsigned n = 0; n < 50; n++) {
        rig_offer(r, 3, n + 1);
        cr_assert_eq(rig_pop_one(r)->writable_bytes, n + 1u);
        rig_return(r, 3, n + 1);
    }
}

/* ---- Batches ---- */

DeviceTest(split_device_push, a_batch_is_shown_with_one_store_of_the_index)
{
    struct virtq_used_buffer used[8];

    rig_open_at(r, 8, MEMORY_BASIC, 65532);
    for (unsigned round = 0; round < 20; round++) {
        const uint16_t at = wire_used_idx(r->w);

        for (unsigned k = 0; k < 6; k++) {
            rig_offer(r, (k + round) % 8, 50);
        }
        cr_assert_eq(rig_pop(r, 4), 4);
        cr_assert_eq(rig_pop(r, 4), 2);
        cr_assert_eq(rig_outstanding(r), 6u);
        /* Any order: every other one first. */
        for (unsigned k = 0; k < 6; k++) {
            used[k] = (struct virtq_used_buffer){((k * 2) % 6 + k / 3 + round) % 8, k};
        }
        cr_assert_eq(r->calls->push(&r->q, used, 4), 4);
        cr_assert_eq(wire_used_idx(r->w), at);
        cr_assert_eq(r->calls->push(&r->q, used + 4, 2), 2);
        cr_assert_eq(wire_used_idx(r->w), at);
        cr_assert_eq(r->calls->publish(&r->q), 6);
        cr_assert_eq(wire_used_idx(r->w), (uint16_t)(at + 6));
        cr_assert_eq(r->calls->publish(&r->q), 0);
        for (unsigned k = 0; k < 6; k++) {
            cr_assert_eq(wire_used_id(r->w, at + k), used[k].id);
            cr_assert_eq(wire_used_len(r->w, at + k), k);
        }
    }
}

DeviceTest(split_device_push, a_batch_goes_on_where_the_rings_begin_again)
{
    struct virtq_used_buffer used[8];

    for (unsigned bad = 0; bad <= 8; bad++) {
        const uint16_t at = 65531;

        rig_open_at(r, 8, MEMORY_BASIC, at);
        for (unsigned k = 0; k < 8; k++) {
            rig_offer(r, k * 3 % 8, 10 + k);
        }
        cr_assert_eq(rig_pop(r, 8), 8);
        for (unsigned k = 0; k < 8; k++) {
            cr_assert_eq(r->chains[k].id, k * 3 % 8);
            cr_assert_eq(r->chains[k].reason, (uint32_t)VIRTQ_REASON_NONE);
            cr_assert(r->chains[k].readable == 0 && r->chains[k].writable == 1);
            rig_expect_piece(r, &r->chains[k], 0, k * 3 % 8 * 64, 10 + k);
            used[k] = (struct virtq_used_buffer){r->chains[k].id, 10 + k};
        }
        if (bad < 8) {
            used[bad].len++;
            cr_assert_eq(r->calls->push(&r->q, used, 8), bad == 0 ? VIRTQ_EINVAL : (int)bad);
            used[bad].len--;
        }
        cr_assert_eq(r->calls->push(&r->q, used + bad % 8, 8 - bad % 8), 8 - (int)(bad % 8));
        cr_assert_eq(rig_outstanding(r), 0u);
        cr_assert_eq(r->calls->publish(&r->q), 8);
        for (unsigned k = 0; k < 8; k++) {
            cr_assert_eq(wire_used_id(r->w, (uint16_t)(at + k)), used[k].id);
            cr_assert_eq(wire_used_len(r->w, (uint16_t)(at + k)), 10 + k);
        }
    }
}

DeviceTest(split_device_push, a_pop_gives_no_more_than_there_is_room_for)
{
    struct virtq_chain chains[8];
    struct virtq_piece pieces[4];

    rig_open(r, 8, MEMORY_BASIC);
    /* Buffers of 2, 2 and 1 pieces, then one of 2. */
    for (unsigned k = 0; k < 4; k++) {
        rig_desc(r, k * 2, k * 64, 1, k == 2 ? 0 : WIRE_NEXT, k * 2 + 1);
        rig_desc(r, k * 2 + 1, k * 64 + 32, 1, 0, 0);
        wire_offer(r->w, k * 2);
    }
    cr_assert_eq(r->calls->pop(&r->q, chains, 8, pieces, 3), 1);
    cr_assert_eq(r->calls->pop(&r->q, chains + 1, 8, pieces, 4), 2);
    cr_assert_eq(chains[1].readable + chains[2].readable, 3u);
    /* Alone and still too large: a bad buffer, not a queue that stands still. */
    cr_assert_eq(r->calls->pop(&r->q, chains + 3, 8, pieces, 1), 1);
    cr_assert_eq(chains[3].reason, (uint32_t)VIRTQ_REASON_PIECES);
    cr_assert_eq(chains[3].id, 6);
    cr_assert_eq(r->calls->pop(&r->q, chains, 8, pieces, 4), 0);
}

/* ---- Refused calls change nothing ---- */

DeviceTest(split_device_push, a_bad_call_gets_its_error_and_changes_nothing)
{
    static const uint32_t ids[] = {1, 2, 7, 8, 0x10000, UINT32_MAX};
    struct virtq_used_buffer used[3] = {{0, 1}, {5, 0}, {0, 0}};
    struct wire_image before;

    rig_open(r, 8, MEMORY_BASIC);
    rig_offer(r, 0, 4);
    rig_offer(r, 1, 4);
    (void)rig_pop_one(r);
    wire_keep(r->w, &before);
    for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        cr_assert_eq(rig_push(r, ids[i], 0), VIRTQ_EINVAL);
    }
    cr_assert(wire_same_all(r->w, &before));
    cr_assert_eq(rig_outstanding(r), 1u);
    /* A batch goes as far as it is sound. */
    cr_assert_eq(r->calls->push(&r->q, used, 3), 1);
    cr_assert_eq(rig_push(r, 0, 1), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->publish(&r->q), 1);
    cr_assert_eq(wire_used_idx(r->w), 1);
    cr_assert_eq(wire_used_id(r->w, 0), 0u);
    cr_assert_eq(wire_used_len(r->w, 0), 1u);
    cr_assert_eq(wire_used_id(r->w, 1), 0u);
}
