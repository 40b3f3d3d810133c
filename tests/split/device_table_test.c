/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a split queue and indirect tables: S5. */
#include "device_rig.h"

enum { NEXT_WRITE = (unsigned)WIRE_NEXT | (unsigned)WIRE_WRITE };

/** @brief A table of one readable and one writable entry at `table` bytes. */
static void put_pair(const struct device_rig *r, size_t table)
{
    rig_entry(r, table, 0, 0, 3, WIRE_NEXT, 1);
    rig_entry(r, table, 1, 100, 4, WIRE_WRITE, 0);
}

static void expect_pair(struct device_rig *r)
{
    const struct virtq_chain *chain = rig_pop_one(r);

    cr_assert(chain->readable == 1 && chain->writable == 1);
    rig_expect_piece(r, chain, 0, 0, 3);
    rig_expect_piece(r, chain, 1, 100, 4);
    rig_return(r, chain->id, 4);
}

DeviceTest(split_device_table, s5_write_on_the_descriptor_of_a_table_is_ignored)
{
    rig_open(r, 4, MEMORY_TABLES);
    put_pair(r, 0);
    rig_table(r, 0, 0, 32, 0);
    wire_offer(r->w, 0);
    expect_pair(r);
    rig_table(r, 0, 0, 32, WIRE_WRITE);
    wire_offer(r->w, 0);
    expect_pair(r);
}

DeviceTest(split_device_table, s5_a_direct_chain_may_end_in_one_table)
{
    const struct virtq_chain *chain;

    rig_open(r, 4, MEMORY_TABLES);
    put_pair(r, 0);
    for (unsigned direct = 1; direct <= 3; direct++) {
        for (unsigned k = 0; k < direct; k++) {
            rig_desc(r, k, 200 + k * 10, 10, WIRE_NEXT, k + 1);
        }
        rig_table(r, direct, 0, 32, direct == 2 ? WIRE_WRITE : 0);
        wire_offer(r->w, 0);
        chain = rig_pop_one(r);
        cr_assert_eq(chain->readable, direct + 1);
        cr_assert_eq(chain->readable_bytes, direct * 10 + 3);
        cr_assert_eq(chain->writable_bytes, 4u);
        rig_expect_piece(r, chain, direct, 0, 3);
        rig_expect_piece(r, chain, direct + 1, 100, 4);
        rig_return(r, 0, 0);
    }
    /* The parts keep their order across the border. */
    rig_desc(r, 0, 0, 1, NEXT_WRITE, 1);
    rig_table(r, 1, 0, 32, 0);
    wire_offer(r->w, 0);
    rig_expect_bad(r, VIRTQ_REASON_ORDER);
    rig_entry(r, 0, 0, 0, 3, WIRE_WRITE, 0);
    wire_offer(r->w, 0);
    cr_assert_eq(rig_pop_one(r)->writable_bytes, 4u);
}

DeviceTest(split_device_table, s5_indirect_and_next_together_make_the_buffer_bad)
{
    rig_open(r, 4, MEMORY_TABLES);
    put_pair(r, 0);
    rig_table(r, 0, 0, 32, WIRE_NEXT);
    wire_offer(r->w, 0);
    rig_expect_bad(r, VIRTQ_REASON_TABLE_NEXT);
    rig_table(r, 0, 0, 32, 0);
    wire_offer(r->w, 0);
    expect_pair(r);
}

DeviceTest(split_device_table, s5_a_table_in_a_table_makes_the_buffer_bad)
{
    rig_open(r, 4, MEMORY_TABLES);
    for (unsigned depth = 0; depth < 3; depth++) {
        for (unsigned k = 0; k < 3; k++) {
            rig_entry(r, 0, k, 0, 16, k < 2 ? WIRE_NEXT : 0, k + 1);
        }
        rig_entry(r, 0, depth, 0, 16, WIRE_INDIRECT, 0);
        rig_table(r, 0, 0, 48, 0);
        wire_offer(r->w, 0);
        rig_expect_bad(r, VIRTQ_REASON_TABLE_NESTED);
    }
}

DeviceTest(split_device_table, s5_a_tables_length_is_whole_entries_and_bounded)
{
    static const uint32_t bad[] = {0, 1, 15, 17, 40, 7 * 16, 0x10000, 0xfffffff0u, UINT32_MAX};

    r->config.table_max = 6;
    rig_open(r, 4, MEMORY_TABLES);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put_pair(r, 0);
        rig_table(r, 0, 0, bad[i], 0);
        wire_offer(r->w, 0);
        rig_expect_bad(r, VIRTQ_REASON_TABLE_LENGTH);
    }
    /* Longer than the queue is no matter: the bound is the caller's. */
    for (unsigned k = 0; k < 6; k++) {
        rig_entry(r, 0, k, k * 8, 8, k < 5 ? WIRE_NEXT : 0, k + 1);
    }
    rig_table(r, 0, 0, 96, 0);
    wire_offer(r->w, 0);
    cr_assert_eq(rig_pop_one(r)->readable, 6u);
}

DeviceTest(split_device_table, s5_the_bound_is_the_queue_size_if_none_is_given)
{
    rig_open(r, 4, MEMORY_TABLES);
    for (unsigned k = 0; k < 5; k++) {
        rig_entry(r, 0, k, k * 8, 8, k < 3 ? WIRE_NEXT : 0, k + 1);
    }
    rig_table(r, 0, 0, 64, 0);
    wire_offer(r->w, 0);
    cr_assert_eq(rig_pop_one(r)->readable, 4u);
    rig_return(r, 0, 0);
    rig_table(r, 0, 0, 80, 0);
    wire_offer(r->w, 0);
    rig_expect_bad(r, VIRTQ_REASON_TABLE_LENGTH);
}

DeviceTest(split_device_table, s5_next_is_checked_against_the_tables_own_size)
{
    static const uint16_t nexts[] = {3, 4, 15, 0x8000, 0xffff};

    /* 3 is below the queue size, and there is an entry: but not of this table. */
    rig_open(r, 16, MEMORY_TABLES);
    for (unsigned i = 0; i < sizeof(nexts) / sizeof(nexts[0]); i++) {
        rig_entry(r, 0, 0, 0, 1, WIRE_NEXT, nexts[i]);
        rig_entry(r, 0, 3, 0, 1, 0, 0);
        rig_table(r, 0, 0, 48, 0);
        wire_offer(r->w, 0);
        rig_expect_bad(r, VIRTQ_REASON_TABLE_RANGE);
    }
    /* Within it any order goes. */
    rig_entry(r, 0, 0, 0, 1, WIRE_NEXT, 2);
    rig_entry(r, 0, 2, 2, 3, WIRE_NEXT, 1);
    rig_entry(r, 0, 1, 7, 4, 0, 0);
    wire_offer(r->w, 0);
    (void)rig_pop_one(r);
    rig_expect_piece(r, &r->chains[0], 0, 0, 1);
    rig_expect_piece(r, &r->chains[0], 1, 2, 3);
    rig_expect_piece(r, &r->chains[0], 2, 7, 4);
}

DeviceTest(split_device_table, s5_a_circle_in_a_table_ends)
{
    rig_open(r, 16, MEMORY_TABLES);
    for (unsigned back = 0; back < 3; back++) {
        rig_entry(r, 0, 0, 0, 1, WIRE_NEXT, 1);
        rig_entry(r, 0, 1, 0, 1, WIRE_NEXT, 2);
        rig_entry(r, 0, 2, 0, 1, WIRE_NEXT, back);
        rig_table(r, 0, 0, 48, 0);
        wire_offer(r->w, 0);
        rig_expect_bad(r, VIRTQ_REASON_TABLE_LOOP);
    }
    /* Empty elements are steps too. */
    rig_entry(r, 0, 0, 0, 0, WIRE_NEXT, 0);
    rig_table(r, 0, 0, 16, 0);
    wire_offer(r->w, 0);
    rig_expect_bad(r, VIRTQ_REASON_TABLE_LOOP);
}

DeviceTest(split_device_table, s5_a_table_needs_no_alignment)
{
    rig_open(r, 4, MEMORY_TABLES);
    for (size_t off = 0; off < 16; off++) {
        put_pair(r, off);
        rig_table(r, 0, off, 32, 0);
        wire_offer(r->w, 0);
        expect_pair(r);
    }
}

DeviceTest(split_device_table, s5_a_table_outside_what_is_granted_makes_the_buffer_bad)
{
    const uint64_t end = MEMORY_FIRST;

    rig_open(r, 4, MEMORY_TABLES);
    /* Before the first byte, across it, across the last, and across the end of all addresses. */
    wire_desc_put(r->w->desc, false, end - 64, 32, WIRE_INDIRECT, 0);
    wire_offer(r->w, 0);
    rig_expect_bad(r, VIRTQ_REASON_ADDRESS);
    wire_desc_put(r->w->desc, false, end - 16, 32, WIRE_INDIRECT, 0);
    wire_offer(r->w, 0);
    rig_expect_bad(r, VIRTQ_REASON_ADDRESS);
    wire_desc_put(r->w->desc, false, r->m.region.last - 15, 32, WIRE_INDIRECT, 0);
    wire_offer(r->w, 0);
    rig_expect_bad(r, VIRTQ_REASON_ADDRESS);
    wire_desc_put(r->w->desc, false, UINT64_MAX - 15, 32, WIRE_INDIRECT, 0);
    wire_offer(r->w, 0);
    rig_expect_bad(r, VIRTQ_REASON_ADDRESS);
}

DeviceTest(split_device_table, s5_no_table_without_the_feature)
{
    rig_open(r, 4, MEMORY_BASIC);
    put_pair(r, 0);
    rig_table(r, 0, 0, 32, 0);
    wire_offer(r->w, 0);
    rig_expect_bad(r, VIRTQ_REASON_TABLE_OFF);
    rig_pass(r, 1);
}
