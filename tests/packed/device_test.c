/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a packed queue takes buffers: P1 to P3, P5, P6, P13, unpop. */
#include "device_rig.h"
#include "support/random.h"

/* ---- P1 ---- */

DeviceTest(packed_device, p1_areas_need_no_more_than_their_own_alignment)
{
    static const unsigned align[3] = {16, 4, 4};

    rig_prepare(r, 7, MEMORY_BASIC, 0x8000);
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
}

DeviceTest(packed_device, p1_a_size_is_any_number_up_to_32768)
{
    rig_prepare(r, 8, MEMORY_BASIC, 0x8000);
    for (uint32_t size = 0; size <= 70000; size++) {
        r->config.size = size;
        cr_assert_eq(r->calls->size(&r->config) != 0, size != 0 && size <= 32768);
    }
}

DeviceTest(packed_device, p1_building_the_queue_writes_nothing)
{
    struct wire_image before;

    rig_prepare(r, 7, MEMORY_EVENTS, 0x8000);
    memset(r->w->desc, 0x77, (size_t)7 * WIRE_DESC);
    memset(r->w->driver, 0x77, 4);
    memset(r->w->device, 0x77, 4);
    wire_keep(r->w, &before);
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    cr_assert(wire_same(r->w, &before));
}

DeviceTest(packed_device, p1_both_wrap_counters_start_at_1)
{
    for (unsigned i = 0; i < MEMORY_SIZES; i++) {
        rig_open(r, memory_sizes[i], MEMORY_BASIC);
        cr_assert_eq(rig_pop(r, 1), 0);
        /* Available to a counter of 0. */
        wire_flags_put(r->w, 0, WIRE_USED);
        cr_assert_eq(rig_pop(r, 1), 0);
        rig_offer(r, 0, 8);
        cr_assert_eq(wire_desc_of(wire_at(r->w, 0)).flags & (unsigned)WIRE_BOTH,
                     (unsigned)WIRE_AVAIL);
        cr_assert_eq(rig_pop_one(r)->id, 0);
        rig_return(r, 0, 8, 1);
        cr_assert_eq(wire_desc_of(wire_at(r->w, 0)).flags,
                     (unsigned)WIRE_BOTH | (unsigned)WIRE_WRITE);
    }
}

/* ---- P2 ---- */

DeviceTest(packed_device, p2_available_is_judged_by_both_bits)
{
    static const unsigned flags[4] = {0, WIRE_AVAIL, WIRE_USED, WIRE_BOTH};

    for (uint32_t size = 1; size <= 3; size++) {
        rig_open(r, size, MEMORY_BASIC);
        for (uint32_t n = 0; n < 6 * size; n++) {
            const bool wrap = n / size % 2 == 0;

            for (unsigned i = 0; i < 4; i++) {
                if (flags[i] != (wrap ? (unsigned)WIRE_AVAIL : (unsigned)WIRE_USED)) {
                    /* Everything else says that there is a buffer. */
                    wire_flags_put(r->w, n % size, flags[i] | (unsigned)WIRE_WRITE);
                    cr_assert_eq(rig_pop(r, 1), 0);
                }
            }
            rig_offer(r, 0, 4);
            (void)rig_pop_one(r);
            rig_return(r, 0, 4, 1);
        }
    }
}

DeviceTest(packed_device, p2_flags_that_mean_nothing_are_ignored)
{
    rig_open(r, 3, MEMORY_BASIC);
    for (unsigned bit = 3; bit < 15; bit++) {
        if (1u << bit != (unsigned)WIRE_AVAIL) {
            rig_put(r, 0, 5, 1, (unsigned)WIRE_WRITE | 1u << bit);
            cr_assert_eq(rig_pop_one(r)->writable_bytes, 5u);
            rig_return(r, 1, 5, 1);
        }
    }
}

/* ---- P3, P5 ---- */

DeviceTest(packed_device, p3_a_list_goes_on_behind_the_end_with_the_other_bits)
{
    for (unsigned i = 0; i < MEMORY_SIZES; i++) {
        const uint32_t size = memory_sizes[i];
        const uint32_t most = size < 8 ? size : 8;

        for (uint32_t before = 1; before <= most; before++) {
            for (unsigned wrap = 0; wrap < 2; wrap++) {
                rig_open_at(r, size, MEMORY_BASIC, (uint16_t)((size - before) | wrap << 15));
                rig_offer_list(r, size - 1, most - most / 2, most / 2);
                rig_expect_list(r, rig_pop_one(r), size - 1, most - most / 2, most / 2);
                cr_assert_eq(rig_pop(r, 1), 0);
                rig_return(r, size - 1, most / 2, most);
                cr_assert_eq(r->used.wrap, wrap == 0);
                rig_pass(r, 3);
            }
        }
    }
}

DeviceTest(packed_device, p3_a_list_can_fill_the_ring)
{
    for (unsigned i = 0; i < MEMORY_SIZES - 1; i++) {
        const uint32_t size = memory_sizes[i];

        for (uint32_t start = 0; start < size; start += size / 7 + 1) {
            rig_open_at(r, size, MEMORY_BASIC, (uint16_t)start);
            for (unsigned lap = 0; lap < 3; lap++) {
                rig_offer_list(r, 0, size / 2, size - size / 2);
                rig_expect_list(r, rig_pop_one(r), 0, size / 2, size - size / 2);
                rig_return(r, 0, 1, size);
            }
        }
    }
}

DeviceTest(packed_device, p5_the_device_skips_by_its_own_record)
{
    for (uint16_t start = 0; start < 14; start++) {
        struct wire_image before;

        rig_open_at(r, 7, MEMORY_BASIC, (uint16_t)(start % 7 | start / 7 << 15));
        rig_offer_list(r, 5, 1, 2);
        rig_offer_list(r, 6, 2, 2);
        cr_assert_eq(rig_pop(r, 4), 2);
        /* The driver turns the lists into something else, too late. */
        for (uint32_t at = 0; at < 7; at++) {
            wire_desc_put(wire_at(r->w, at), UINT64_MAX, UINT32_MAX, 1, WIRE_INDIRECT);
        }
        wire_keep(r->w, &before);
        cr_assert_eq(rig_push(r, 6, 7), 1);
        cr_assert_eq(r->calls->publish(&r->q), 1);
        /* One descriptor was written, at the device's own place. */
        for (uint32_t at = 0; at < 7; at++) {
            cr_assert_eq(wire_same_at(r->w, &before, at), at != r->used.offset);
        }
        rig_expect_used(r, 6, 7, 4);
        rig_return(r, 5, 5, 3);
        rig_pass(r, 9);
    }
}

/* ---- P6 ---- */

DeviceTest(packed_device, p6_a_linked_descriptor_that_is_not_available_breaks_the_queue)
{
    for (uint16_t start = 0; start < 14; start++) {
        for (unsigned at = 1; at < 4; at++) {
            for (unsigned wrong = 0; wrong < 4; wrong++) {
                const unsigned bits = (wrong & 1 ? (unsigned)WIRE_AVAIL : 0u) |
                                      (wrong & 2 ? (unsigned)WIRE_USED : 0u);
                struct place place;

                rig_open_at(r, 7, MEMORY_BASIC, (uint16_t)(start % 7 | start / 7 << 15));
                place = place_after(r->avail, 7, at);
                rig_offer_list(r, 2, 2, 2);
                if (bits == place_available(place)) {
                    continue;
                }
                wire_flags_put(r->w, place.offset, bits | (unsigned)WIRE_NEXT);
                /* Not the end of the list, and not an empty ring. */
                rig_expect_broken(r, VIRTQ_REASON_QUEUE_PARTIAL, place, bits | (unsigned)WIRE_NEXT);
                cr_assert_eq(rig_outstanding(r), 0u);
            }
        }
    }
}

DeviceTest(packed_device, p6_what_was_sound_before_is_given_out_first)
{
    for (unsigned budget = 2; budget < 5; budget++) {
        struct place place;

        rig_open_at(r, 7, MEMORY_BASIC, 5);
        rig_offer(r, 0, 3);
        rig_offer_list(r, 1, 1, 1);
        place = place_after(r->avail, 7, 1);
        rig_put(r, 0, 1, RIG_NO_ID, WIRE_NEXT);
        cr_assert_eq(rig_pop(r, budget), 2);
        cr_assert_eq(r->chains[0].id, 0);
        rig_expect_list(r, &r->chains[1], 1, 1, 1);
        if (budget == 2) {
            /* The rest was not looked at yet. */
            rig_return(r, 0, 3, 1);
        }
        rig_expect_broken(r, VIRTQ_REASON_QUEUE_PARTIAL, place, wire_desc(r->w, place).flags);
    }
}

DeviceTest(packed_device, p6_a_list_without_an_end_is_bounded_by_the_ring)
{
    for (uint32_t size = 1; size <= 7; size++) {
        for (uint32_t taken = 0; taken < size; taken++) {
            struct place head;

            rig_open_at(r, size, MEMORY_BASIC, (uint16_t)(size - 1));
            for (uint32_t n = 0; n < taken; n++) {
                rig_offer(r, n, 1);
            }
            cr_assert_eq(rig_pop(r, RIG_CHAINS), (int)taken);
            head = r->avail;
            for (uint32_t n = 0; n < size - taken; n++) {
                rig_put(r, 0, 1, RIG_NO_ID, WIRE_NEXT);
            }
            if (taken == 0) {
                /* Once round, it meets its own head, which is not available with that counter. */
                rig_expect_broken(r, VIRTQ_REASON_QUEUE_PARTIAL, r->avail,
                                  place_available(head) | (unsigned)WIRE_NEXT);
                continue;
            }
            /* On over what is in flight. */
            rig_put(r, 0, 1, RIG_NO_ID, WIRE_NEXT);
            rig_expect_broken(r, VIRTQ_REASON_QUEUE_LOOP, head, size - taken + 1);
        }
    }
}

/* ---- P13 ---- */

DeviceTest(packed_device, p13_buffers_are_taken_in_ring_order_and_used_as_they_complete)
{
    static const unsigned slots[4] = {2, 1, 3, 1};

    for (unsigned order = 0; order < 256; order++) {
        unsigned done = 0;

        rig_open_at(r, 7, MEMORY_BASIC, (uint16_t)(order % 7 | (order & 8) << 12));
        for (unsigned n = 0; n < 4; n++) {
            rig_offer_list(r, 6 - n, 0, slots[n]);
        }
        cr_assert_eq(rig_pop(r, 8), 4);
        for (unsigned n = 0; n < 4; n++) {
            rig_expect_list(r, &r->chains[n], 6 - n, 0, slots[n]);
        }
        /* Each of the 24 orders comes up, some more than once. */
        for (unsigned turn = 0; turn < 4; turn++) {
            unsigned pick = (order >> (turn * 2)) & 3;

            while ((done & 1u << pick) != 0) {
                pick = (pick + 1) % 4;
            }
            done |= 1u << pick;
            rig_return(r, 6 - pick, 1, slots[pick]);
        }
        rig_pass(r, 4);
    }
}

/* ---- Unpop ---- */

DeviceTest(packed_device, what_was_unpopped_comes_again_in_its_order)
{
    struct wire_image before;

    rig_open_at(r, 17, MEMORY_BASIC, 12);
    for (unsigned n = 0; n < 5; n++) {
        rig_offer_list(r, n * 3, 1, n + 1 > 3 ? 3 : n + 1);
    }
    wire_keep(r->w, &before);
    cr_assert_eq(rig_pop(r, 8), 5);
    cr_assert_eq(r->calls->unpop(&r->q, r->chains + 3, 2), 0);
    cr_assert_eq(r->calls->unpop(&r->q, r->chains + 1, 2), 0);
    cr_assert_eq(rig_outstanding(r), 1u);
    cr_assert(wire_same(r->w, &before));
    cr_assert_eq(rig_push(r, 3, 0), VIRTQ_EINVAL);
    for (unsigned n = 1; n < 5; n++) {
        rig_expect_list(r, rig_pop_one(r), n * 3, 1, n + 1 > 3 ? 3 : n + 1);
    }
    cr_assert_eq(rig_pop(r, 1), 0);
    rig_return(r, 9, 2, 4);
    cr_assert_eq(rig_outstanding(r), 4u);
}

DeviceTest(packed_device, only_the_latest_chains_can_be_unpopped)
{
    struct virtq_chain swapped[2];
    struct virtq_chain stranger;
    struct wire_image before;

    rig_open_at(r, 8, MEMORY_BASIC, 6);
    for (unsigned n = 0; n < 4; n++) {
        rig_offer(r, n, 1);
    }
    cr_assert_eq(rig_pop(r, 4), 4);
    swapped[0] = r->chains[3];
    swapped[1] = r->chains[2];
    stranger = r->chains[3];
    stranger.id = 6;
    wire_keep(r->w, &before);
    cr_assert_eq(r->calls->unpop(&r->q, r->chains, 2), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->unpop(&r->q, r->chains + 2, 1), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->unpop(&r->q, swapped, 2), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->unpop(&r->q, &stranger, 1), VIRTQ_EINVAL);
    stranger.id = 0xffff;
    cr_assert_eq(r->calls->unpop(&r->q, &stranger, 1), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->unpop(&r->q, r->chains, 0), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->unpop(&r->q, r->chains, 5), VIRTQ_EINVAL);
    cr_assert(wire_same(r->w, &before));
    rig_return(r, 3, 1, 1);
    /* Pushed, and so no longer there. */
    cr_assert_eq(r->calls->unpop(&r->q, r->chains + 3, 1), VIRTQ_EINVAL);
    cr_assert_eq(r->calls->unpop(&r->q, r->chains + 2, 2), VIRTQ_EINVAL);
    cr_assert_eq(rig_outstanding(r), 3u);
    for (unsigned n = 0; n < 3; n++) {
        rig_return(r, n, 1, 1);
    }
}
