/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a packed queue walks indirect tables: P8. */
#include "device_rig.h"

enum { NEXT = WIRE_NEXT, WRITE = WIRE_WRITE, INDIRECT = WIRE_INDIRECT };

/** @brief A table of so many entries of k + 1 bytes, the last `writable` of them writable. */
static void fill(const struct device_rig *r, size_t table, unsigned count, unsigned writable,
                 unsigned more)
{
    for (unsigned k = 0; k < count; k++) {
        rig_entry(r, table, k, k * RIG_APART, k + 1,
                  (k + writable < count ? 0u : (unsigned)WRITE) | more);
    }
}

DeviceTest(packed_device_table, p8_entries_stand_in_a_row_and_only_write_means_something)
{
    /* NEXT, INDIRECT, AVAIL, USED and the reserved bits of an entry, and its id, are ignored. */
    static const unsigned more[] = {0,      NEXT,      INDIRECT, NEXT | INDIRECT, WIRE_AVAIL,
                                    0x8000, WIRE_BOTH, 0xfffd,   0x7f78};

    for (unsigned i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        for (unsigned count = 1; count <= 7; count++) {
            for (unsigned writable = 0; writable <= count; writable++) {
                rig_open_at(r, 7, MEMORY_TABLES, 6);
                fill(r, 0, count, writable, more[i] & ~(unsigned)WRITE);
                rig_table(r, 3, 0, count * WIRE_DESC, 0);
                rig_expect_list(r, rig_pop_one(r), 3, count - writable, writable);
                rig_return(r, 3, writable != 0, 1);
            }
        }
    }
}

DeviceTest(packed_device_table, p8_write_on_the_descriptor_of_a_table_is_ignored)
{
    rig_open(r, 3, MEMORY_TABLES);
    for (unsigned writable = 0; writable <= 2; writable++) {
        fill(r, 0, 2, writable, 0);
        rig_table(r, 1, 0, 32, WRITE);
        rig_expect_list(r, rig_pop_one(r), 1, 2 - writable, writable);
        rig_return(r, 1, 0, 1);
    }
}

DeviceTest(packed_device_table, p8_a_table_of_exactly_the_queue_size_is_legal)
{
    for (unsigned i = 0; i < MEMORY_SIZES - 1; i++) {
        const uint32_t size = memory_sizes[i];

        /* The bound is the size where the caller gives none. */
        rig_open(r, size, MEMORY_TABLES);
        for (uint32_t k = 0; k <= size; k++) {
            rig_entry(r, 0, k, k * RIG_APART % 32768, k + 1, WRITE);
        }
        rig_table(r, 0, 0, size * WIRE_DESC, 0);
        rig_expect_list(r, rig_pop_one(r), 0, 0, size);
        rig_return(r, 0, 1, 1);
        rig_table(r, 0, 0, (size + 1) * WIRE_DESC, 0);
        rig_expect_bad(r, VIRTQ_REASON_TABLE_LENGTH, 1);
        rig_pass(r, 5);
    }
}

DeviceTest(packed_device_table, p8_the_callers_bound_may_be_more_or_less_than_the_size)
{
    for (uint32_t most = 1; most <= 12; most++) {
        r->config.table_max = most;
        rig_open(r, 7, MEMORY_TABLES);
        fill(r, 0, 13, 13, 0);
        for (uint32_t count = 1; count <= 13; count++) {
            rig_table(r, 0, 0, count * WIRE_DESC, 0);
            if (count <= most) {
                rig_expect_list(r, rig_pop_one(r), 0, 0, count);
                rig_return(r, 0, 1, 1);
            } else {
                rig_expect_bad(r, VIRTQ_REASON_TABLE_LENGTH, 1);
            }
        }
    }
    r->config.table_max = 0;
}

DeviceTest(packed_device_table, p8_a_length_of_zero_or_of_broken_entries_makes_the_buffer_bad)
{
    static const uint32_t bad[] = {0, 1, 8, 15, 17, 31, 33, 0x80000000u, 0xfffffff0u, UINT32_MAX};

    rig_open(r, 7, MEMORY_TABLES);
    fill(r, 0, 4, 4, 0);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        rig_table(r, 2, 0, bad[i], 0);
        rig_expect_bad(r, VIRTQ_REASON_TABLE_LENGTH, 1);
    }
    rig_pass(r, 3);
}

DeviceTest(packed_device_table, p8_indirect_together_with_next_breaks_the_queue)
{
    for (unsigned i = 0; i < 2; i++) {
        struct place head;

        rig_open_at(r, 7, MEMORY_TABLES, 5);
        head = r->avail;
        fill(r, 0, 2, 0, 0);
        rig_table(r, 2, 0, 32, (unsigned)NEXT | (i != 0 ? (unsigned)WRITE : 0u));
        rig_put(r, 0, 4, 2, WRITE);
        rig_expect_broken(r, VIRTQ_REASON_QUEUE_TABLE, head, wire_desc(r->w, head).flags);
    }
}

DeviceTest(packed_device_table, p8_a_list_that_goes_on_into_a_table_breaks_the_queue)
{
    for (unsigned direct = 1; direct < 5; direct++) {
        struct place head;
        unsigned flags;

        rig_open_at(r, 7, MEMORY_TABLES, 5);
        head = r->avail;
        for (unsigned k = 0; k < direct; k++) {
            rig_put(r, 0, 4, RIG_NO_ID, NEXT);
        }
        fill(r, 0, 2, 0, 0);
        rig_table(r, 2, 0, 32, 0);
        flags = wire_desc(r->w, place_after(head, 7, direct)).flags;
        rig_expect_broken(r, VIRTQ_REASON_QUEUE_TABLE, head, flags);
    }
}

DeviceTest(packed_device_table, p8_a_readable_entry_after_a_writable_one_makes_the_buffer_bad)
{
    rig_open(r, 7, MEMORY_TABLES);
    for (unsigned at = 1; at < 5; at++) {
        fill(r, 0, 5, 5, 0);
        rig_entry(r, 0, at, 0, 1, 0);
        rig_table(r, 2, 0, 5 * WIRE_DESC, 0);
        rig_expect_bad(r, VIRTQ_REASON_ORDER, 1);
        rig_offer_list(r, 1, 0, at);
        wire_flags_put(r->w, place_after(r->avail, 7, 6).offset,
                       wire_desc(r->w, place_after(r->avail, 7, 6)).flags | (unsigned)NEXT);
        rig_put(r, 0, 1, 1, 0);
        rig_expect_bad(r, VIRTQ_REASON_ORDER, at + 1);
    }
    rig_pass(r, 3);
}

DeviceTest(packed_device_table, p8_a_table_needs_no_alignment)
{
    rig_open(r, 7, MEMORY_TABLES);
    for (unsigned off = 0; off < 17; off++) {
        fill(r, off, 3, 1, 0);
        rig_table(r, 2, off, 48, 0);
        rig_expect_list(r, rig_pop_one(r), 2, 2, 1);
        rig_return(r, 2, 1, 1);
    }
}

DeviceTest(packed_device_table, p8_a_table_outside_what_is_granted_makes_the_buffer_bad)
{
    rig_open(r, 7, MEMORY_TABLES);
    for (unsigned i = 0; i < 5; i++) {
        const uint64_t bad[5] = {0, MEMORY_FIRST - 16, r->m.region.last - 30, r->m.region.last + 1,
                                 UINT64_MAX - 15};
        const uint32_t at = r->avail.offset;

        rig_table(r, 2, 0, 32, 0);
        wire_put(wire_at(r->w, at), 8, bad[i]);
        rig_expect_bad(r, VIRTQ_REASON_ADDRESS, 1);
    }
    rig_pass(r, 3);
}

DeviceTest(packed_device_table, p8_no_table_without_the_feature)
{
    rig_open(r, 7, MEMORY_BASIC);
    fill(r, 0, 2, 1, 0);
    rig_table(r, 2, 0, 32, 0);
    rig_expect_bad(r, VIRTQ_REASON_TABLE_OFF, 1);
    rig_pass(r, 3);
}
