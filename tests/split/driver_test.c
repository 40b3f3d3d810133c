/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a split queue places buffers: S1 and S3 to S7, seen in the bytes of the ring.
 */
#include "driver_rig.h"

/** @brief A chain of ring descriptors says what the segments say, readable ones first; gives its
 * last index. */
static uint16_t expect_chain(const struct driver_rig *r, const struct rig_buffer *b, uint16_t head)
{
    const unsigned count = (unsigned)b->buffer.readable + b->buffer.writable;

    for (unsigned k = 0; k < count; k++) {
        const struct wire_desc desc = wire_desc(r->w, head);
        const unsigned flags = (k < b->buffer.readable ? 0u : (unsigned)WIRE_WRITE) |
                               (k + 1 < count ? (unsigned)WIRE_NEXT : 0u);

        cr_assert_eq(desc.addr, memory_addr(&r->m, b->segments[k].base));
        cr_assert_eq(desc.len, b->segments[k].len);
        cr_assert_eq(desc.flags, flags);
        if (k + 1 < count) {
            head = desc.next;
        }
    }
    return head;
}

/** @brief A table says what the segments say; its descriptor says INDIRECT and nothing else. */
static void expect_table(const struct driver_rig *r, const struct rig_buffer *b, uint16_t head)
{
    const unsigned count = (unsigned)b->buffer.readable + b->buffer.writable;
    const struct wire_desc whole = wire_desc(r->w, head);

    cr_assert_eq(whole.flags, (unsigned)WIRE_INDIRECT);
    cr_assert_eq(whole.len, count * 16);
    cr_assert(whole.addr >= memory_addr(&r->m, r->m.tables));
    cr_assert(whole.addr + whole.len <= memory_addr(&r->m, r->m.wire.desc));
    for (unsigned k = 0; k < count; k++) {
        const struct wire_desc desc =
            wire_desc_of(r->m.base + (whole.addr - MEMORY_FIRST) + (size_t)k * 16, r->w->big);

        cr_assert_eq(desc.addr, memory_addr(&r->m, b->segments[k].base));
        cr_assert_eq(desc.len, b->segments[k].len);
        cr_assert_eq(desc.flags & (unsigned)WIRE_INDIRECT, 0u);
        cr_assert_eq((desc.flags & (unsigned)WIRE_WRITE) != 0, k >= b->buffer.readable);
        cr_assert_eq((desc.flags & (unsigned)WIRE_NEXT) != 0, k + 1 < count);
        if (k + 1 < count) {
            cr_assert_eq(desc.next, k + 1);
        }
    }
}

/* ---- S1: alignment, sizes, free-running indices ---- */

DriverTest(split_driver, s1_areas_need_no_more_than_their_own_alignment)
{
    unsigned char *at[3];

    rig_prepare(r, 8, MEMORY_BASIC);
    at[0] = r->m.wire.desc;
    at[1] = r->m.wire.avail;
    at[2] = r->m.wire.used;
    for (unsigned area = 0; area < 3; area++) {
        static const unsigned align[3] = {16, 2, 4};
        struct virtq_driver_config bad = r->config;
        struct wire_image before;

        wire_keep(r->w, &before);
        for (unsigned off = 1; off < align[area]; off++) {
            void **const to[3] = {&bad.areas.descriptor, &bad.areas.driver, &bad.areas.device};

            *to[area] = at[area] + off;
            cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &bad), VIRTQ_EINVAL);
            cr_assert(wire_same_all(r->w, &before));
        }
    }
    rig_open(r, 8, MEMORY_BASIC);
    cr_assert_eq((uintptr_t)r->w->desc % 32, 16u);
    cr_assert_eq((uintptr_t)r->w->avail % 4, 2u);
    cr_assert_eq((uintptr_t)r->w->used % 8, 4u);
    cr_assert_eq(rig_send(r, 1), 0);
}

DriverTest(split_driver, s1_a_size_is_a_power_of_two_up_to_32768)
{
    rig_prepare(r, 8, MEMORY_BASIC);
    for (uint32_t size = 0; size <= 70000; size++) {
        const bool legal = size != 0 && size <= 32768 && (size & (size - 1)) == 0;

        r->config.size = size;
        cr_assert_eq(r->calls->size(&r->config) != 0, legal);
    }
    r->config.size = 6;
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), VIRTQ_EINVAL);
}

DriverTest(split_driver, s1_a_new_ring_is_zeroed_whatever_its_memory_held)
{
    const uint64_t features[3] = {MEMORY_BASIC, MEMORY_EVENTS, MEMORY_ORDERED};

    for (unsigned f = 0; f < 3; f++) {
        rig_open(r, 16, features[f]);
        for (unsigned area = 0; area < 3; area++) {
            const unsigned char *const at[3] = {r->w->desc, r->w->avail, r->w->used};

            for (size_t i = 0; i < wire_bytes(r->w, area); i++) {
                cr_assert_eq(at[area][i], 0);
            }
            /* And not a byte beyond. */
            cr_assert_eq(at[area][wire_bytes(r->w, area)], 0xa5);
        }
    }
}

DriverTest(split_driver, s1_the_index_runs_freely_and_the_slot_is_its_remainder)
{
    for (uint32_t size = 1; size <= 8; size *= 2) {
        uint32_t n = 0;

        rig_open(r, size, MEMORY_BASIC);
        while (n < 66000) {
            const uint32_t count = 1 + n % size;
            struct rig_buffer b[8];

            for (uint32_t i = 0; i < count; i++) {
                cr_assert_eq(r->calls->add(&r->q, rig_make(r, &b[i], 1, 0, n + i), 1), 1);
            }
            cr_assert_eq(wire_avail_idx(r->w), n & 0xffff);
            cr_assert_eq(r->calls->publish(&r->q), count);
            cr_assert_eq(wire_avail_idx(r->w), (n + count) & 0xffff);
            /* Used backwards, so that the slots come to hold other heads each time. */
            for (uint32_t i = count; i-- > 0;) {
                const uint16_t head = wire_avail_head(r->w, n + i);

                (void)expect_chain(r, &b[i], head);
                wire_use(r->w, head, 0);
                cr_assert_eq((uintptr_t)rig_poll(r).cookie, n + i);
            }
            n += count;
        }
        cr_assert_eq(rig_room(r), size);
    }
}

DriverTest(split_driver, s1_the_largest_queue_can_be_filled_to_the_last_descriptor)
{
    rig_open(r, 32768, MEMORY_BASIC);
    for (uint32_t n = 0; n < 32768; n++) {
        rig_add(r, 1, 0, n);
    }
    cr_assert_eq(rig_try(r, 1, 0, 0), VIRTQ_EFULL);
    cr_assert_eq(r->calls->publish(&r->q), 32768u);
    cr_assert_eq(wire_avail_idx(r->w), 32768);
    cr_assert_eq(wire_desc(r->w, wire_avail_head(r->w, 32767)).len, 1u);
}

/* ---- S3, S4: order and length of a chain ---- */

DriverTest(split_driver, s3_readable_descriptors_stand_before_writable_ones)
{
    for (unsigned readable = 0; readable <= 4; readable++) {
        for (unsigned writable = readable == 0 ? 1 : 0; writable <= 4; writable++) {
            struct rig_buffer b;

            rig_open(r, 8, MEMORY_BASIC);
            cr_assert_eq(r->calls->add(&r->q, rig_make(r, &b, readable, writable, 1), 1), 1);
            cr_assert_eq(r->calls->publish(&r->q), 1u);
            (void)expect_chain(r, &b, wire_avail_head(r->w, 0));
            cr_assert_eq(rig_room(r), 8 - readable - writable);
        }
    }
}

DriverTest(split_driver, s3_chains_of_a_fragmented_free_list_stay_whole)
{
    struct rig_buffer b[3];
    uint16_t heads[3];

    rig_open(r, 8, MEMORY_BASIC);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(r->calls->add(&r->q, rig_make(r, &b[i], 1, i < 2 ? 1 : 0, i), 1), 1);
        heads[i] = wire_avail_head(r->w, i);
    }
    cr_assert_eq(r->calls->publish(&r->q), 3u);
    /* The first comes back, so that the next chain needs its two and some that were never used. */
    wire_use(r->w, heads[0], 1);
    cr_assert_eq((uintptr_t)rig_poll(r).cookie, 0u);
    cr_assert_eq(rig_room(r), 5u);
    cr_assert_eq(r->calls->add(&r->q, rig_make(r, &b[0], 3, 2, 0), 1), 1);
    cr_assert_eq(r->calls->publish(&r->q), 1u);
    heads[0] = wire_avail_head(r->w, 3);
    for (unsigned i = 0; i < 3; i++) {
        (void)expect_chain(r, &b[i], heads[i]);
    }
    cr_assert_eq(rig_room(r), 0u);
}

DriverTest(split_driver, s4_a_chain_is_as_long_as_the_queue_at_most)
{
    struct rig_buffer b;
    struct wire_image before;

    rig_open(r, 4, MEMORY_BASIC);
    wire_keep(r->w, &before);
    cr_assert_eq(rig_try(r, 3, 2, 1), VIRTQ_ETOOBIG);
    cr_assert(wire_same_all(r->w, &before));
    cr_assert_eq(r->calls->add(&r->q, rig_make(r, &b, 2, 2, 1), 1), 1);
    (void)expect_chain(r, &b, wire_avail_head(r->w, 0));
    cr_assert_eq(rig_room(r), 0u);
    cr_assert_eq(rig_try(r, 1, 0, 1), VIRTQ_EFULL);
}

DriverTest(split_driver, s4_a_buffer_has_2_to_the_32_bytes_at_most)
{
    for (unsigned tables = 0; tables < 2; tables++) {
        struct rig_buffer b;

        rig_open(r, 8, tables != 0 ? MEMORY_TABLES : MEMORY_BASIC);
        (void)rig_make(r, &b, 2, 1, 1);
        b.buffer.flags = VIRTQ_BUFFER_PREMAPPED;
        for (unsigned k = 0; k < 3; k++) {
            b.segments[k].addr = k << 16;
            b.segments[k].len = k == 0 ? UINT32_MAX : 1;
        }
        cr_assert_eq(r->calls->add(&r->q, &b.buffer, 1), VIRTQ_ETOOBIG);
        cr_assert_eq(rig_room(r), 8u);
        b.buffer.readable = 1;
        cr_assert_eq(r->calls->add(&r->q, &b.buffer, 1), 1);
        cr_assert_eq(r->calls->publish(&r->q), 1u);
        cr_assert_eq(wire_avail_idx(r->w), 1);
    }
}

/* ---- S5: indirect tables ---- */

DriverTest(split_driver, s5_a_table_is_one_descriptor_and_never_chained)
{
    for (unsigned readable = 0; readable <= 4; readable++) {
        for (unsigned writable = readable < 2 ? 2 : 0; writable <= 4; writable++) {
            struct rig_buffer b;

            rig_open(r, 2, MEMORY_TABLES);
            cr_assert_eq(r->calls->add(&r->q, rig_make(r, &b, readable, writable, 1), 1), 1);
            cr_assert_eq(r->calls->publish(&r->q), 1u);
            expect_table(r, &b, wire_avail_head(r->w, 0));
            cr_assert_eq(rig_room(r), 1u);
        }
    }
}

DriverTest(split_driver, s5_each_descriptor_has_a_table_of_its_own)
{
    struct rig_buffer b[8];

    rig_open(r, 8, MEMORY_TABLES);
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(r->calls->add(&r->q, rig_make(r, &b[i], 4, 4, i), 1), 1);
    }
    cr_assert_eq(r->calls->publish(&r->q), 8u);
    /* Every one is as it was written: no table lies over another. */
    for (unsigned i = 0; i < 8; i++) {
        expect_table(r, &b[i], wire_avail_head(r->w, i));
    }
    for (unsigned i = 0; i < 8; i++) {
        wire_use(r->w, wire_avail_head(r->w, 7 - i), 1);
        cr_assert_eq((uintptr_t)rig_poll(r).cookie, 7 - i);
    }
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(r->calls->add(&r->q, rig_make(r, &b[i], 1, 1 + i % 4, i), 1), 1);
        expect_table(r, &b[i], wire_avail_head(r->w, 8 + i));
    }
}

DriverTest(split_driver, s5_one_segment_or_the_callers_word_makes_no_table)
{
    struct rig_buffer b;

    rig_open(r, 8, MEMORY_TABLES);
    cr_assert_eq(r->calls->add(&r->q, rig_make(r, &b, 0, 1, 1), 1), 1);
    (void)expect_chain(r, &b, wire_avail_head(r->w, 0));
    (void)rig_make(r, &b, 2, 2, 2);
    b.buffer.flags = VIRTQ_BUFFER_DIRECT;
    cr_assert_eq(r->calls->add(&r->q, &b.buffer, 1), 1);
    (void)expect_chain(r, &b, wire_avail_head(r->w, 1));
    cr_assert_eq(rig_room(r), 3u);
}

DriverTest(split_driver, s5_no_table_without_the_feature)
{
    struct rig_buffer b;

    rig_prepare(r, 8, MEMORY_BASIC);
    r->config.tables = r->m.tables;
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    r->open = true;
    cr_assert_eq(r->calls->add(&r->q, rig_make(r, &b, 2, 2, 1), 1), 1);
    (void)expect_chain(r, &b, wire_avail_head(r->w, 0));
}

/* ---- S6, S7 ---- */

DriverTest(split_driver, s6_nothing_the_driver_wrote_is_read_back)
{
    rig_open(r, 8, MEMORY_TABLES);
    for (uint32_t n = 0; n < 200; n++) {
        uint16_t heads[3];

        for (uint32_t i = 0; i < 3; i++) {
            struct rig_buffer b;
            const uint16_t at = (uint16_t)(n * 3 + i);

            (void)rig_make(r, &b, 1 + i % 2, 1, n * 3 + i);
            b.buffer.flags = i == 1 ? VIRTQ_BUFFER_DIRECT : 0u;
            cr_assert_eq(r->calls->add(&r->q, &b.buffer, 1), 1);
            heads[i] = wire_avail_head(r->w, at);
        }
        cr_assert_eq(r->calls->publish(&r->q), 3u);
        /* What a hostile device could do: everything but the used ring is junk now. */
        memset(r->w->desc, 0xff, wire_bytes(r->w, 0));
        memset(r->m.tables, 0xff, (size_t)8 * MEMORY_ENTRIES * 16);
        for (uint32_t i = 0; i < 3; i++) {
            wire_use(r->w, heads[(i + n) % 3], 1);
        }
        for (uint32_t i = 0; i < 3; i++) {
            const struct virtq_completion done = rig_poll(r);

            cr_assert_eq((uintptr_t)done.cookie, n * 3 + (i + n) % 3);
            cr_assert_eq(done.len, 1u);
        }
        cr_assert_eq(rig_room(r), 8u);
    }
}

DriverTest(split_driver, s7_the_avail_index_never_goes_backwards)
{
    void *cookie;
    uint16_t last;

    rig_open_at(r, 4, MEMORY_BASIC, 65530);
    last = wire_avail_idx(r->w);
    cr_assert_eq(last, 65530);
    for (unsigned n = 0; n < 64; n++) {
        const uint16_t before = wire_avail_idx(r->w);

        (void)rig_try(r, 1 + n % 3, n % 2, n);
        (void)rig_try(r, 0, 0, n);
        cr_assert_eq(wire_avail_idx(r->w), before);
        cr_assert_leq(r->calls->publish(&r->q), 1u);
        cr_assert_leq((uint16_t)(wire_avail_idx(r->w) - before), 1u);
        if (n % 3 == 2) {
            wire_use(r->w, wire_avail_head(r->w, last++), 0);
            (void)rig_poll(r);
        }
    }
    /* Taken back by the caller, but the device may have seen them. */
    rig_add(r, 1, 0, 77);
    last = wire_avail_idx(r->w);
    while (r->calls->detach(&r->q, &cookie) == 1) {
        cr_assert_eq(wire_avail_idx(r->w), last);
    }
    cr_assert_eq(r->calls->publish(&r->q), 0u);
    cr_assert_eq(rig_try(r, 1, 0, 0), VIRTQ_EFULL);
    cr_assert_eq(wire_avail_idx(r->w), last);
}
