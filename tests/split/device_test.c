/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a split queue takes buffers: S1, S3 to S6, S8, unpop. */
#include "device_rig.h"
#include "support/guarded.h"

/* ---- S1 ---- */

DeviceTest(split_device, s1_areas_need_no_more_than_their_own_alignment)
{
    static const unsigned align[3] = {16, 2, 4};

    rig_prepare(r, 8, MEMORY_BASIC, 0);
    for (unsigned area = 0; area < 3; area++) {
        for (unsigned off = 1; off < align[area]; off++) {
            struct virtq_device_config bad = r->config;
            void **const to[3] = {&bad.areas.descriptor, &bad.areas.driver, &bad.areas.device};

            *to[area] = (unsigned char *)*to[area] + off;
            cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &bad), VIRTQ_EINVAL);
        }
    }
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    rig_pass(r, 20);
    cr_assert_eq(wire_used_idx(r->w), 20);
}

DeviceTest(split_device, s1_a_size_is_a_power_of_two_up_to_32768)
{
    rig_prepare(r, 8, MEMORY_BASIC, 0);
    for (uint32_t size = 0; size <= 70000; size++) {
        r->config.size = size;
        cr_assert_eq(r->calls->size(&r->config) != 0,
                     size != 0 && size <= 32768 && (size & (size - 1)) == 0);
    }
}

DeviceTest(split_device, s1_building_the_queue_writes_nothing)
{
    struct wire_image before;

    rig_prepare(r, 8, MEMORY_EVENTS, 0);
    memset(r->w->used, 0x77, wire_bytes(r->w, 2));
    wire_keep(r->w, &before);
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    cr_assert(wire_same_all(r->w, &before));
}

DeviceTest(split_device, s1_the_index_runs_freely_and_the_slot_is_its_remainder)
{
    for (uint32_t size = 1; size <= 8; size *= 8) {
        rig_open(r, size, MEMORY_BASIC);
        for (uint32_t n = 0; n < 66000; n++) {
            const uint32_t head = n * 5 % size;

            rig_desc(r, head, n % 1000, 1, WIRE_WRITE, 0);
            wire_offer(r->w, head);
            cr_assert_eq(rig_pop_one(r)->id, head);
            rig_expect_piece(r, &r->chains[0], 0, n % 1000, 1);
            cr_assert_eq(rig_push(r, head, n & 1), 1);
            cr_assert_eq(wire_used_id(r->w, n), head);
            cr_assert_eq(wire_used_len(r->w, n), n & 1);
            cr_assert_eq(wire_used_idx(r->w), n & 0xffff);
            cr_assert_eq(r->calls->publish(&r->q), 1);
            cr_assert_eq(wire_used_idx(r->w), (n + 1) & 0xffff);
        }
    }
}

/* ---- S3: framing ---- */

DeviceTest(split_device, s3_a_buffer_may_be_cut_anywhere)
{
    rig_open(r, 16, MEMORY_TABLES);
    /* 6 readable and 4 writable bytes, in every framing of two and two pieces, some empty. */
    for (uint32_t a = 0; a <= 6; a++) {
        for (uint32_t b = 0; b <= 4; b++) {
            const struct virtq_chain *chain;

            rig_desc(r, 0, 0, a, WIRE_NEXT, 7);
            rig_desc(r, 7, a, 6 - a, WIRE_NEXT, 2);
            rig_desc(r, 2, 100, b, (unsigned)WIRE_NEXT | (unsigned)WIRE_WRITE, 1);
            rig_desc(r, 1, 100 + b, 4 - b, WIRE_WRITE, 0xffff);
            wire_offer(r->w, 0);
            chain = rig_pop_one(r);
            cr_assert_eq(chain->readable_bytes, 6u);
            cr_assert_eq(chain->writable_bytes, 4u);
            /* An empty element is no piece. */
            cr_assert_eq(chain->readable, a % 6 == 0 ? 1u : 2u);
            cr_assert_eq(chain->writable, b % 4 == 0 ? 1u : 2u);
            rig_expect_piece(r, chain, 0, 0, a == 0 ? 6 : a);
            rig_expect_piece(r, chain, chain->readable, 100, b == 0 ? 4 : b);
            rig_return(r, 0, 4);
        }
    }
}

DeviceTest(split_device, s3_a_readable_element_after_a_writable_one_makes_the_buffer_bad)
{
    rig_open(r, 8, MEMORY_TABLES);
    rig_desc(r, 0, 0, 1, (unsigned)WIRE_NEXT | (unsigned)WIRE_WRITE, 1);
    rig_desc(r, 1, 0, 1, 0, 0);
    wire_offer(r->w, 0);
    rig_expect_bad(r, VIRTQ_REASON_ORDER);
    rig_entry(r, 0, 0, 0, 1, (unsigned)WIRE_NEXT | (unsigned)WIRE_WRITE, 1);
    rig_entry(r, 0, 1, 0, 1, 0, 0);
    rig_table(r, 0, 0, 32, 0);
    wire_offer(r->w, 0);
    rig_expect_bad(r, VIRTQ_REASON_ORDER);
    rig_pass(r, 3);
}

/* ---- S4: length of a chain ---- */

DeviceTest(split_device, s4_a_chain_is_as_long_as_the_queue_and_no_longer)
{
    rig_open(r, 8, MEMORY_BASIC);
    for (unsigned k = 0; k < 8; k++) {
        rig_desc(r, k, k * 2, 2, k == 7 ? 0 : WIRE_NEXT, k + 1);
    }
    wire_offer(r->w, 0);
    cr_assert_eq(rig_pop_one(r)->readable, 8u);
    cr_assert_eq(r->chains[0].readable_bytes, 16u);
    rig_return(r, 0, 0);
    /* The last goes back to one in the middle: a circle. */
    rig_desc(r, 7, 14, 2, WIRE_NEXT, 3);
    wire_offer(r->w, 0);
    rig_expect_broken(r, VIRTQ_REASON_QUEUE_LOOP, 0);
}

DeviceTest(split_device, s4_next_stays_below_the_size)
{
    static const uint16_t nexts[] = {8, 9, 0x8000, 0xffff};

    for (unsigned i = 0; i < sizeof(nexts) / sizeof(nexts[0]); i++) {
        rig_open(r, 8, MEMORY_BASIC);
        rig_desc(r, 2, 0, 2, WIRE_NEXT, nexts[i]);
        wire_offer(r->w, 2);
        rig_expect_broken(r, VIRTQ_REASON_QUEUE_NEXT, nexts[i]);
    }
    /* It means nothing without NEXT. */
    rig_open(r, 8, MEMORY_BASIC);
    rig_desc(r, 2, 0, 2, 0, 0xffff);
    wire_offer(r->w, 2);
    (void)rig_pop_one(r);
}

DeviceTest(split_device, s4_more_than_2_to_the_32_bytes_make_the_buffer_bad)
{
    struct virtq_premapped premapped;
    unsigned extra;

    /* Nobody has that much memory: pieces that are not translated. The inline instance here
       computes, so the library stands for both. */
    if (r->calls->core != NULL) {
        return;
    }
    rig_prepare(r, 8, MEMORY_BASIC, 0);
    virtq_premapped_init(&premapped, &r->m.direct.space);
    r->config.space = &premapped.space;
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    for (extra = 0; extra < 2; extra++) {
        rig_desc(r, 0, 0, UINT32_MAX, WIRE_NEXT, 1);
        rig_desc(r, 1, 0, 1 + extra, 0, 0);
        wire_offer(r->w, 0);
        cr_assert_eq(rig_pop(r, 1), 1);
        cr_assert_eq(r->chains[0].reason,
                     (uint32_t)(extra == 0 ? VIRTQ_REASON_NONE : VIRTQ_REASON_TOTAL));
        cr_assert_eq(r->chains[0].readable_bytes, extra == 0 ? UINT64_C(1) << 32 : 0u);
        rig_return(r, 0, 0);
    }
}

/* ---- S6, S8 ---- */

DeviceTest(split_device, s6_the_device_writes_neither_descriptors_nor_the_available_ring)
{
    struct wire_image before;

    rig_open(r, 8, MEMORY_EVENTS | MEMORY_TABLES);
    rig_entry(r, 0, 0, 0, 5, WIRE_WRITE, 0);
    for (unsigned k = 0; k < 8; k++) {
        if (k % 2 != 0) {
            rig_table(r, k, 0, 16, WIRE_WRITE);
            wire_offer(r->w, k);
        } else {
            rig_offer(r, k, 5);
        }
    }
    wire_keep(r->w, &before);
    r->calls->disable_notify(&r->q);
    cr_assert_eq(rig_pop(r, 8), 8);
    cr_assert_eq(r->calls->unpop(&r->q, r->chains + 6, 2), 0);
    for (unsigned k = 6; k-- > 0;) {
        cr_assert_eq(rig_push(r, k, k), k < 6 ? 1 : 0);
        (void)r->calls->publish(&r->q);
        (void)r->calls->needs_notify(&r->q);
        (void)r->calls->enable_notify(&r->q);
    }
    cr_assert(wire_same(r->w, &before, 0));
    cr_assert(wire_same(r->w, &before, 1));
    cr_assert_eq(wire_used_idx(r->w), 6);
}

DeviceTest(split_device, s8_an_index_more_than_the_size_ahead_breaks_the_queue)
{
    static const uint16_t starts[] = {0, 100, 0x7fff, 65528, 65533, 65535};

    for (unsigned i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        for (unsigned ahead = 0; ahead <= 8; ahead++) {
            /* As far as the size it is legal, wherever the index wraps. */
            rig_open_at(r, 8, MEMORY_BASIC, starts[i]);
            for (unsigned k = 0; k < ahead; k++) {
                rig_offer(r, k, 1);
            }
            cr_assert_eq(rig_pop(r, RIG_CHAINS), (int)ahead);
        }
        for (unsigned ahead = 9; ahead < 65536; ahead += 65535 - 9) {
            rig_open_at(r, 8, MEMORY_BASIC, starts[i]);
            wire_put(r->w->avail + 2, 2, starts[i] + ahead, false);
            rig_expect_broken(r, VIRTQ_REASON_QUEUE_INDEX, (starts[i] + ahead) & 0xffff);
        }
    }
}

DeviceTest(split_device, s8_what_is_in_flight_counts)
{
    rig_open_at(r, 4, MEMORY_BASIC, 65534);
    for (unsigned k = 0; k < 4; k++) {
        rig_offer(r, k, 1);
    }
    cr_assert_eq(rig_pop(r, 3), 3);
    /* Three are in flight and one waits: a fifth cannot be. */
    wire_put(r->w->avail + 2, 2, 65534 + 5, false);
    cr_assert_eq(rig_pop(r, 3), VIRTQ_EBROKEN);
    cr_assert_eq(rig_fault(r).reason, (uint32_t)VIRTQ_REASON_QUEUE_INDEX);
}

/* A device that took many looks at the next head before it knows that there is one. */
DeviceTest(split_device, a_head_that_is_looked_at_before_its_time_lies_in_the_ring)
{
    enum { SIZE = 32, MANY = 16, AVAIL = SIZE * 2 + 6 };
    const struct virtq_state state = {VIRTQ_FORMAT_SPLIT, SIZE, SIZE, SIZE, 0};

    rig_prepare(r, SIZE, MEMORY_BASIC, SIZE);
    r->w->avail = guarded_alloc(AVAIL);
    wire_put(r->w->avail + 2, 2, SIZE, false);
    r->config.areas.driver = r->w->avail;
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    cr_assert_eq(r->calls->restore(&r->q, &state), 0);
    for (unsigned round = 0; round < 6; round++) {
        const unsigned first = round * MANY % SIZE;

        for (unsigned k = 0; k < MANY; k++) {
            rig_offer(r, first + k, 8);
        }
        cr_assert_eq(rig_pop(r, SIZE), MANY);
        for (unsigned k = 0; k < MANY; k++) {
            cr_assert_eq(r->chains[k].id, first + k);
            rig_return(r, r->chains[k].id, 8);
        }
        /* Now nothing is there; what the next slot holds is no head at all. */
        wire_put(wire_avail_at(r->w, wire_avail_idx(r->w)), 2, 0xffff, false);
        cr_assert_eq(rig_pop(r, SIZE), 0);
    }
    guarded_free(r->w->avail, AVAIL);
}

/* ---- Unpop ---- */

DeviceTest(split_device, what_was_unpopped_comes_again_in_its_order)
{
    struct wire_image before;

    rig_open_at(r, 8, MEMORY_BASIC, 65533);
    for (unsigned k = 0; k < 6; k++) {
        rig_offer(r, (k * 3) % 8, k + 1);
    }
    wire_keep(r->w, &before);
    cr_assert_eq(rig_pop(r, 6), 6);
    cr_assert_eq(r->calls->unpop(&r->q, r->chains + 4, 2), 0);
    cr_assert_eq(r->calls->unpop(&r->q, r->chains + 1, 3), 0);
    cr_assert_eq(rig_outstanding(r), 1u);
    cr_assert(wire_same_all(r->w, &before));
    cr_assert_eq(rig_push(r, r->chains[1].id, 0), VIRTQ_EINVAL);
    for (unsigned k = 1; k < 6; k++) {
        cr_assert_eq(rig_pop_one(r)->id, (k * 3) % 8);
        cr_assert_eq(r->chains[0].writable_bytes, k + 1u);
    }
    cr_assert_eq(rig_pop(r, 1), 0);
    cr_assert_eq(rig_outstanding(r), 6u);
}

DeviceTest(split_device, only_the_latest_chains_can_be_unpopped)
{
    struct virtq_chain swapped[2];
    struct virtq_chain stranger;

    rig_open(r, 8, MEMORY_BASIC);
    for (unsigned k = 0; k < 4; k++) {
        rig_offer(r, k, 1);
    }
    cr_assert_eq(rig_pop(r, 4), 4);
    swapped[0] = r->chains[3];
    swapped[1] = r->chains[2];
    stranger = r->chains[3];
    stranger.id = 6;
    cr_assert_eq(r->calls->unpop(&r->q, r->chains, 2), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->unpop(&r->q, r->chains + 2, 1), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->unpop(&r->q, swapped, 2), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->unpop(&r->q, &stranger, 1), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->unpop(&r->q, r->chains, 0), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->unpop(&r->q, r->chains, 5), VIRTQ_EINVAL);
    rig_return(r, 3, 1);
    /* Pushed, and so no longer there. */
    cr_assert_eq(r->calls->unpop(&r->q, r->chains + 3, 1), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->unpop(&r->q, r->chains + 2, 2), VIRTQ_EINVAL);
    cr_assert_eq(rig_outstanding(r), 3u);
    for (unsigned k = 0; k < 3; k++) {
        rig_return(r, k, 1);
    }
}
