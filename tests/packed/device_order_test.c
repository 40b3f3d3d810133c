/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a packed queue with VIRTIO_F_IN_ORDER: I3, I4, I6. */
#include "device_rig.h"

/** @brief Offers buffers of `slots` descriptors whose last has 8 writable bytes, ids from 0 on, and
 * pops them. */
static void take(struct device_rig *r, unsigned count, const unsigned *slots)
{
    for (unsigned n = 0; n < count; n++) {
        for (unsigned k = 1; k < slots[n]; k++) {
            rig_put(r, 0, 1, RIG_NO_ID, WIRE_NEXT);
        }
        rig_put(r, 64, 8, n, WIRE_WRITE);
    }
    cr_assert_eq(rig_pop(r, RIG_CHAINS), (int)count);
}

static const unsigned ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};

DeviceTest(packed_device_order, i3_one_descriptor_stands_for_a_batch_over_its_first_one)
{
    static const unsigned slots[5] = {2, 1, 3, 1, 2};

    for (uint16_t start = 0; start < 18; start++) {
        for (unsigned count = 1; count <= 5; count++) {
            struct wire_image before;
            uint32_t whole = 0;

            rig_open_at(r, 9, MEMORY_ORDERED, (uint16_t)(start % 9 | start / 9 << 15));
            take(r, count, slots);
            wire_keep(r->w, &before);
            for (unsigned n = 0; n < count; n++) {
                cr_assert_eq(rig_push(r, n, n + 1 == count ? 5 : 8), 1);
                whole += slots[n];
            }
            cr_assert(wire_same(r->w, &before));
            cr_assert_eq(r->calls->publish(&r->q), (int)count);
            for (uint32_t at = 0; at < 9; at++) {
                cr_assert_eq(wire_same_at(r->w, &before, at), at != r->used.offset);
            }
            /* The last one's id and length; behind it the whole batch's descriptors are skipped. */
            rig_expect_used(r, count - 1, 5, whole);
            take(r, 1, slots);
            cr_assert_eq(rig_push(r, 0, 8), 1);
            cr_assert_eq(r->calls->publish(&r->q), 1);
            rig_expect_used(r, 0, 8, 2);
        }
    }
}

DeviceTest(packed_device_order, i4_a_buffer_not_written_in_full_ends_its_batch)
{
    /* Lengths of 6 buffers of 8 bytes; the driver takes skipped ones for full. */
    static const uint32_t lengths[6] = {8, 3, 8, 8, 0, 8};
    static const unsigned slots[6] = {2, 1, 1, 2, 1, 1};

    rig_open_at(r, 9, MEMORY_ORDERED, 5 | 0x8000);
    take(r, 6, slots);
    for (unsigned n = 0; n < 6; n++) {
        cr_assert_eq(rig_push(r, n, lengths[n]), 1);
    }
    cr_assert_eq(r->calls->publish(&r->q), 6);
    /* 0 and 1, then 2 to 4, then 5. */
    rig_expect_used(r, 1, 3, 3);
    rig_expect_used(r, 4, 0, 4);
    rig_expect_used(r, 5, 8, 1);
}

DeviceTest(packed_device_order, i4_every_pattern_of_lengths_is_what_the_driver_takes_it_for)
{
    for (unsigned pattern = 0; pattern < 64; pattern++) {
        unsigned first = 0;

        rig_open_at(r, 7, MEMORY_ORDERED, (uint16_t)(pattern % 7));
        take(r, 6, ones);
        for (unsigned n = 0; n < 6; n++) {
            cr_assert_eq(rig_push(r, n, (pattern & 1u << n) != 0 ? 8 : 7), 1);
        }
        cr_assert_eq(r->calls->publish(&r->q), 6);
        for (unsigned n = 0; n < 6; n++) {
            if ((pattern & 1u << n) == 0 || n == 5) {
                rig_expect_used(r, n, (pattern & 1u << n) != 0 ? 8 : 7, n + 1 - first);
                first = n + 1;
            }
        }
    }
}

DeviceTest(packed_device_order, i4_a_bad_buffer_ends_its_batch)
{
    rig_open(r, 8, MEMORY_ORDERED);
    rig_offer(r, 0, 8);
    /* Bad: given back with 0, but the driver knows 8 writable bytes. */
    rig_put(r, 0, 8, RIG_NO_ID, (unsigned)WIRE_NEXT | (unsigned)WIRE_WRITE);
    rig_put(r, 0, 8, 1, 0);
    rig_offer(r, 2, 8);
    cr_assert_eq(rig_pop(r, 4), 3);
    cr_assert_eq(r->chains[1].reason, (uint32_t)VIRTQ_REASON_ORDER);
    cr_assert_eq(rig_push(r, 0, 8), 1);
    cr_assert_eq(rig_push(r, 1, 0), 1);
    cr_assert_eq(rig_push(r, 2, 8), 1);
    cr_assert_eq(r->calls->publish(&r->q), 3);
    rig_expect_used(r, 1, 0, 3);
    rig_expect_used(r, 2, 8, 1);
}

DeviceTest(packed_device_order, i6_what_is_pushed_early_is_held_back)
{
    struct wire_image before;

    rig_open_at(r, 7, MEMORY_ORDERED, 4);
    take(r, 5, ones);
    wire_keep(r->w, &before);
    cr_assert_eq(rig_push(r, 3, 8), 1);
    cr_assert_eq(rig_push(r, 1, 2), 1);
    cr_assert_eq(r->calls->publish(&r->q), 0);
    cr_assert_eq(rig_push(r, 4, 7), 1);
    cr_assert_eq(r->calls->publish(&r->q), 0);
    cr_assert(wire_same(r->w, &before));
    cr_assert_eq(rig_outstanding(r), 2u);
    /* The oldest comes: it and the one after it are shown, not 3 and 4 behind the gap. */
    cr_assert_eq(rig_push(r, 0, 8), 1);
    cr_assert_eq(r->calls->publish(&r->q), 2);
    rig_expect_used(r, 1, 2, 2);
    cr_assert(!wire_is_used(r->w, r->used));
    cr_assert_eq(rig_push(r, 2, 1), 1);
    cr_assert_eq(r->calls->publish(&r->q), 3);
    rig_expect_used(r, 2, 1, 1);
    rig_expect_used(r, 4, 7, 2);
    cr_assert(!wire_is_used(r->w, r->used));
}

DeviceTest(packed_device_order, i6_every_order_of_completion_reaches_the_driver_in_ring_order)
{
    static const unsigned slots[4] = {1, 2, 1, 3};

    rig_open_at(r, 7, MEMORY_ORDERED, 6 | 0x8000);
    for (unsigned order = 0; order < 256; order++) {
        unsigned done = 0;
        unsigned shown = 0;

        take(r, 4, slots);
        for (unsigned turn = 0; turn < 4; turn++) {
            unsigned pick = (order >> (turn * 2)) & 3;

            while ((done & 1u << pick) != 0) {
                pick = (pick + 1) % 4;
            }
            done |= 1u << pick;
            cr_assert_eq(rig_push(r, pick, pick), 1);
            cr_assert_geq(r->calls->publish(&r->q), 0);
            /* The contiguous prefix, and no more; none was written in full, so none is skipped. */
            while (shown < 4 && (done & 1u << shown) != 0) {
                rig_expect_used(r, shown, shown, slots[shown]);
                shown++;
            }
            cr_assert(shown == 4 || !wire_is_used(r->w, r->used));
        }
        cr_assert_eq(shown, 4u);
    }
}

DeviceTest(packed_device_order, i6_a_buffer_that_is_held_back_was_pushed)
{
    struct wire_image before;

    rig_open(r, 7, MEMORY_ORDERED);
    take(r, 2, ones);
    cr_assert_eq(rig_push(r, 1, 8), 1);
    wire_keep(r->w, &before);
    cr_assert_eq(rig_push(r, 1, 8), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->unpop(&r->q, r->chains + 1, 1), VIRTQ_EINVAL);
    cr_assert_eq(rig_outstanding(r), 1u);
    cr_assert(wire_same(r->w, &before));
    cr_assert_eq(rig_push(r, 0, 8), 1);
    cr_assert_eq(r->calls->publish(&r->q), 2);
    rig_expect_used(r, 1, 8, 2);
}

DeviceTest(packed_device_order, i6_what_was_unpopped_takes_its_place_again)
{
    static const unsigned slots[3] = {2, 1, 2};

    rig_open_at(r, 7, MEMORY_ORDERED, 5);
    for (unsigned n = 0; n < 30; n++) {
        take(r, 3, slots);
        cr_assert_eq(r->calls->unpop(&r->q, r->chains + 1, 2), 0);
        cr_assert_eq(rig_push(r, 0, 1), 1);
        cr_assert_eq(rig_pop(r, 4), 2);
        cr_assert_eq(r->chains[0].id, 1);
        cr_assert_eq(rig_push(r, 2, 3), 1);
        cr_assert_eq(rig_push(r, 1, 2), 1);
        cr_assert_eq(r->calls->publish(&r->q), 3);
        for (unsigned k = 0; k < 3; k++) {
            rig_expect_used(r, k, k + 1, slots[k]);
        }
    }
}

DeviceTest(packed_device_order, p11_of_several_batches_the_first_is_shown_last)
{
    struct place places[3];

    rig_open_at(r, 7, MEMORY_ORDERED, 6);
    take(r, 6, ones);
    places[0] = r->used;
    places[1] = place_after(places[0], 7, 2);
    places[2] = place_after(places[0], 7, 4);
    for (unsigned n = 0; n < 6; n++) {
        cr_assert_eq(rig_push(r, n, n % 2 == 0 ? 8 : 3), 1);
        cr_assert(!wire_is_used(r->w, places[0]));
    }
    cr_assert_eq(r->calls->publish(&r->q), 6);
    for (unsigned n = 0; n < 3; n++) {
        rig_expect_used(r, n * 2 + 1, 3, 2);
    }
}
