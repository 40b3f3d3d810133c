/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a packed queue and its indirect tables: P8. */
#include "driver_rig.h"

/** @brief The latest buffer lies in a table that the descriptor at `place` refers to; gives the
 * table. */
static const unsigned char *expect_table(const struct driver_rig *r, struct place place)
{
    const unsigned count = (unsigned)r->segments[0] + r->segments[1];
    const struct wire_desc whole = wire_desc(r->w, place);
    const unsigned char *table = memory_at(&r->m, whole.addr);

    /* Never with NEXT; WRITE is reserved here. */
    cr_assert_eq(whole.flags, place_available(place) | (unsigned)WIRE_INDIRECT);
    cr_assert_eq(whole.len, count * WIRE_DESC);
    cr_assert_lt(whole.id, r->w->size);
    for (unsigned k = 0; k < count; k++) {
        const struct wire_desc entry = wire_desc_of(table + (size_t)k * WIRE_DESC);

        cr_assert_eq(entry.addr, memory_addr(&r->m, r->latest[k].base));
        cr_assert_eq(entry.len, r->latest[k].len);
        /* No other flag is valid in a table. */
        cr_assert_eq(entry.flags, k < r->segments[0] ? 0u : (unsigned)WIRE_WRITE);
    }
    return table;
}

DriverTest(packed_driver_table, p8_a_table_is_one_descriptor_and_its_entries_stand_in_a_row)
{
    rig_open_at(r, 3, MEMORY_TABLES, 1 | 0x8000);
    for (unsigned n = 0; n < 40; n++) {
        const struct place here = r->avail;
        const unsigned count = 2 + n % (RIG_SEGMENTS - 1);
        const unsigned writable = n % (count + 1);
        uint16_t id;

        id = rig_send(r, count - writable, writable, n);
        (void)expect_table(r, here);
        cr_assert_eq(rig_room(r), 2u);
        rig_use(r, id, writable, 1);
        cr_assert_eq((uintptr_t)rig_poll(r).cookie, n);
    }
}

DriverTest(packed_driver_table, p8_a_table_may_have_as_many_entries_as_the_queue_and_more)
{
    for (uint32_t size = 1; size <= RIG_SEGMENTS; size++) {
        for (unsigned count = 2; count <= RIG_SEGMENTS; count++) {
            rig_open(r, size, MEMORY_TABLES);
            (void)rig_send(r, 1, count - 1, 1);
            (void)expect_table(r, place_start());
        }
    }
}

DriverTest(packed_driver_table, p8_each_buffer_has_a_table_of_its_own)
{
    const unsigned char *tables[7];
    uint16_t ids[7];

    rig_open(r, 7, MEMORY_TABLES);
    for (unsigned n = 0; n < 7; n++) {
        const struct place here = r->avail;

        ids[n] = rig_send(r, 4, 4, n);
        tables[n] = expect_table(r, here);
        cr_assert_eq((uintptr_t)tables[n] % 16, 0u);
        for (unsigned k = 0; k < n; k++) {
            cr_assert((tables[n] > tables[k] ? tables[n] - tables[k] : tables[k] - tables[n]) >=
                      8 * WIRE_DESC);
        }
    }
    /* Two come back in the other order; the tables of the rest stay as they are. */
    rig_use(r, ids[4], 0, 1);
    rig_use(r, ids[2], 0, 1);
    cr_assert_eq((uintptr_t)rig_poll(r).cookie, 4u);
    cr_assert_eq((uintptr_t)rig_poll(r).cookie, 2u);
    for (unsigned n = 0; n < 2; n++) {
        const struct place here = r->avail;
        const unsigned char *table;

        (void)rig_send(r, 2, 6, 7 + n);
        table = expect_table(r, here);
        cr_assert(table == tables[4] || table == tables[2]);
    }
}

DriverTest(packed_driver_table, p8_a_list_is_all_direct_or_a_single_table)
{
    struct virtq_buffer buffer;
    struct place here;

    rig_open(r, 8, MEMORY_TABLES);
    /* One segment needs no table. */
    here = r->avail;
    rig_add(r, 1, 0, 1);
    cr_assert_eq(r->calls->publish(&r->q), 1u);
    (void)rig_expect_list(r, here);
    /* Neither does what the caller wants in the ring. */
    here = r->avail;
    buffer = rig_make(r, 2, 2, 2);
    buffer.flags = VIRTQ_BUFFER_DIRECT;
    cr_assert_eq(r->calls->add(&r->q, &buffer, 1), 1);
    cr_assert_eq(r->calls->publish(&r->q), 1u);
    (void)rig_expect_list(r, here);
    r->avail = place_after(here, 8, 4);
    cr_assert_eq(rig_room(r), 3u);
    here = r->avail;
    rig_add(r, 2, 2, 3);
    cr_assert_eq(r->calls->publish(&r->q), 1u);
    (void)expect_table(r, here);
    cr_assert_eq(rig_room(r), 2u);
}

DriverTest(packed_driver_table, p8_no_table_without_the_feature)
{
    rig_prepare(r, 8, MEMORY_BASIC);
    r->config.tables = r->m.tables;
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    r->open = true;
    r->config.tables = NULL;
    (void)rig_send(r, 2, 2, 1);
    cr_assert_eq(rig_room(r), 4u);
    /* Nor without memory for tables. */
    rig_prepare(r, 8, MEMORY_TABLES);
    r->config.tables = NULL;
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    r->open = true;
    (void)rig_send(r, 2, 2, 1);
    cr_assert_eq(rig_room(r), 4u);
}

DriverTest(packed_driver_table, p8_a_full_ring_and_a_bad_segment_leave_the_ring_as_it_was)
{
    struct virtq_buffer bad;
    struct wire_image before;

    rig_open(r, 3, MEMORY_TABLES);
    (void)rig_send(r, 2, 2, 1);
    bad = rig_make(r, 2, 2, 2);
    r->latest[3].len = 0;
    wire_keep(r->w, &before);
    cr_assert_eq(r->calls->add(&r->q, &bad, 1), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->publish(&r->q), 0u);
    cr_assert(wire_same(r->w, &before));
    (void)rig_send(r, 2, 2, 3);
    (void)rig_send(r, 2, 2, 4);
    wire_keep(r->w, &before);
    cr_assert_eq(rig_try(r, 2, 2, 5), VIRTQ_EFULL);
    cr_assert(wire_same(r->w, &before));
}

DriverTest(packed_driver_table, p8_a_table_that_is_misaligned_is_refused)
{
    rig_prepare(r, 8, MEMORY_TABLES);
    for (unsigned off = 1; off < 16; off++) {
        struct virtq_driver_config bad = r->config;

        bad.tables = r->m.tables + off;
        cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &bad), VIRTQ_EINVAL);
    }
}
