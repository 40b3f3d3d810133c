/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a packed queue places buffers: P1 to P4, P12. */
#include "driver_rig.h"
#include "support/random.h"

/* ---- P1 ---- */

DriverTest(packed_driver, p1_areas_need_no_more_than_their_own_alignment)
{
    static const unsigned align[3] = {16, 4, 4};

    rig_prepare(r, 8, MEMORY_BASIC);
    for (unsigned area = 0; area < 3; area++) {
        for (unsigned off = 1; off < align[area]; off++) {
            struct virtq_driver_config bad = r->config;
            void **const to[3] = {&bad.areas.descriptor, &bad.areas.driver, &bad.areas.device};

            *to[area] = (unsigned char *)*to[area] + off;
            cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &bad), VIRTQ_EINVAL);
        }
    }
    cr_assert_eq(wire_get(r->w->desc, 4), 0xa5a5a5a5u);
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    r->open = true;
    rig_pass(r, 20);
}

DriverTest(packed_driver, p1_a_size_is_any_number_up_to_32768)
{
    rig_prepare(r, 8, MEMORY_BASIC);
    for (uint32_t size = 0; size <= 70000; size++) {
        r->config.size = size;
        cr_assert_eq(r->calls->size(&r->config) != 0, size != 0 && size <= 32768);
    }
}

DriverTest(packed_driver, p1_a_new_ring_is_zeroed_whatever_its_memory_held)
{
    for (unsigned i = 0; i < MEMORY_SIZES; i++) {
        const size_t ring = (size_t)memory_sizes[i] * WIRE_DESC;

        rig_open(r, memory_sizes[i], MEMORY_EVENTS);
        for (size_t at = 0; at < ring; at++) {
            cr_assert_eq(r->w->desc[at], 0);
        }
        cr_assert_eq(wire_get(r->w->driver, 4), 0u);
        cr_assert_eq(wire_get(r->w->device, 4), 0u);
        /* Not a byte more. */
        cr_assert_eq(r->w->desc[-1], 0xa5);
        cr_assert_eq(r->w->desc[ring], 0xa5);
        cr_assert_eq(r->w->driver[4], 0xa5);
        cr_assert_eq(r->w->device[4], 0xa5);
    }
}

DriverTest(packed_driver, p1_both_wrap_counters_start_at_1)
{
    for (unsigned i = 0; i < MEMORY_SIZES; i++) {
        uint16_t id;

        rig_open(r, memory_sizes[i], MEMORY_BASIC);
        /* Zeroes would be used descriptors of a counter of 0. */
        cr_assert_eq(rig_poll_none(r), 0);
        id = rig_send(r, 1, 0, 1);
        cr_assert_eq(wire_desc(r->w, place_start()).flags, (unsigned)WIRE_AVAIL);
        wire_flags_put(r->w, 0, 0);
        cr_assert_eq(rig_poll_none(r), 0);
        wire_flags_put(r->w, 0, WIRE_BOTH);
        cr_assert_eq(rig_poll(r).id, id);
    }
}

/* ---- P2 ---- */

DriverTest(packed_driver, p2_available_is_the_wrap_counter_and_its_inverse)
{
    for (unsigned i = 0; i < MEMORY_SIZES - 1; i++) {
        const uint32_t size = memory_sizes[i];

        rig_open(r, size, MEMORY_BASIC);
        for (uint32_t n = 0; n < 5 * size + 1; n++) {
            struct place place = place_after(place_start(), size, n);

            const uint16_t id = rig_send(r, 1, 0, n);

            cr_assert_eq(wire_desc(r->w, place).flags,
                         n / size % 2 == 0 ? (unsigned)WIRE_AVAIL : (unsigned)WIRE_USED);
            rig_use(r, id, 0, 1);
            cr_assert_eq((uintptr_t)rig_poll(r).cookie, n);
        }
    }
}

DriverTest(packed_driver, p2_used_is_both_bits_and_not_just_their_equality)
{
    static const unsigned flags[4] = {0, WIRE_AVAIL, WIRE_USED, WIRE_BOTH};

    for (uint32_t size = 1; size <= 3; size++) {
        rig_open(r, size, MEMORY_BASIC);
        for (uint32_t n = 0; n < 6 * size; n++) {
            const bool wrap = n / size % 2 == 0;
            const uint16_t id = rig_send(r, 1, 0, n);

            for (unsigned i = 0; i < 4; i++) {
                if (flags[i] != (wrap ? (unsigned)WIRE_BOTH : 0u)) {
                    wire_flags_put(r->w, n % size, flags[i]);
                    cr_assert_eq(rig_poll_none(r), 0);
                    cr_assert_eq(rig_outstanding(r), 1u);
                }
            }
            rig_use(r, id, 0, 1);
            cr_assert_eq((uintptr_t)rig_poll(r).cookie, n);
        }
    }
}

/* ---- P3 ---- */

DriverTest(packed_driver, p3_a_list_that_wraps_has_other_bits_behind_the_end)
{
    for (unsigned i = 0; i < MEMORY_SIZES; i++) {
        const uint32_t size = memory_sizes[i];
        const uint32_t most = size < RIG_SEGMENTS ? size : RIG_SEGMENTS;

        for (uint32_t before = 1; before <= most; before++) {
            for (unsigned wrap = 0; wrap < 2; wrap++) {
                const uint16_t start = (uint16_t)((size - before) | wrap << 15);
                uint16_t id;

                rig_open_at(r, size, MEMORY_BASIC, start);
                /* Every descriptor is judged: `before` of them at the end, the rest behind it. */
                id = rig_send(r, most - most / 2, most / 2, 7);
                cr_assert_eq(r->avail.wrap, wrap == 0);
                cr_assert_eq(r->avail.offset, most - before);
                rig_use(r, id, 0, most);
                cr_assert_eq((uintptr_t)rig_poll(r).cookie, 7u);
                /* Both counters flipped, also the one with which used ones are awaited. */
                rig_use(r, rig_send(r, 1, 0, 8), 0, 1);
                cr_assert_eq((uintptr_t)rig_poll(r).cookie, 8u);
            }
        }
    }
}

DriverTest(packed_driver, p3_lists_of_every_length_go_round_rings_of_every_size)
{
    uint64_t random = 5;

    for (unsigned i = 0; i < MEMORY_SIZES - 1; i++) {
        const uint32_t size = memory_sizes[i];

        rig_open(r, size, MEMORY_BASIC);
        for (uint32_t n = 0; n < 6 * size + 20; n++) {
            const unsigned most = size < RIG_SEGMENTS ? size : RIG_SEGMENTS;
            const unsigned count = 1 + (unsigned)random_below(&random, most);
            const unsigned writable = (unsigned)random_below(&random, count + 1);

            rig_use(r, rig_send(r, count - writable, writable, n), writable, count);
            cr_assert_eq((uintptr_t)rig_poll(r).cookie, n);
            cr_assert_eq(rig_room(r), size);
        }
    }
}

/* ---- P4 ---- */

DriverTest(packed_driver, p4_the_heads_flags_come_last)
{
    rig_open_at(r, 7, MEMORY_BASIC, 4 | 0x8000);
    for (unsigned n = 0; n < 30; n++) {
        const struct place first = r->avail;
        const unsigned count = 1 + n % 5;
        uint16_t before = wire_desc(r->w, first).flags;

        rig_add(r, count, 0, n);
        /* Everything else may be there already, but the device looks at the head. */
        cr_assert_eq(wire_desc(r->w, first).flags, before);
        cr_assert(!wire_is_available(r->w, first));
        cr_assert_eq(r->calls->publish(&r->q), 1u);
        rig_use(r, rig_expect_list(r, first), 0, count);
        (void)rig_poll(r);
    }
}

DriverTest(packed_driver, p4_a_batch_becomes_available_with_its_first_head)
{
    struct place first;

    rig_open_at(r, 7, MEMORY_BASIC, 5);
    first = r->avail;
    for (unsigned n = 0; n < 3; n++) {
        rig_add(r, 1, 1, n);
        cr_assert(!wire_is_available(r->w, first));
    }
    cr_assert_eq(r->calls->publish(&r->q), 3u);
    for (unsigned n = 0; n < 6; n++) {
        const struct place place = place_after(first, 7, n);
        const unsigned rest = n % 2 == 0 ? (unsigned)WIRE_NEXT : (unsigned)WIRE_WRITE;

        cr_assert_eq(wire_desc(r->w, place).flags, place_available(place) | rest);
    }
    cr_assert(!wire_is_available(r->w, r->avail));
    cr_assert_eq(r->calls->publish(&r->q), 0u);
}

DriverTest(packed_driver, p4_the_last_descriptor_has_the_id)
{
    uint16_t ids[4];

    rig_open(r, 16, MEMORY_BASIC);
    for (unsigned n = 0; n < 4; n++) {
        ids[n] = rig_send(r, 2, 2, n);
    }
    /* Used in any order, each is known by what stood there. */
    for (unsigned n = 4; n-- > 0;) {
        rig_use(r, ids[n], 0, 4);
        cr_assert_eq((uintptr_t)rig_poll(r).cookie, n);
    }
}

/* ---- P12 ---- */

DriverTest(packed_driver, p12_there_is_room_for_all_of_a_list_or_for_none)
{
    for (uint32_t size = 2; size <= 7; size++) {
        for (uint32_t taken = 1; taken < size; taken++) {
            const unsigned most = size - taken;
            struct wire_image before;

            rig_open_at(r, size, MEMORY_BASIC, (uint16_t)(size - 1));
            for (uint32_t n = 0; n < taken; n++) {
                (void)rig_send(r, 1, 0, n);
            }
            wire_keep(r->w, &before);
            cr_assert_eq(rig_try(r, most, 1, 99), VIRTQ_EFULL);
            cr_assert(wire_same(r->w, &before));
            cr_assert_eq(r->calls->publish(&r->q), 0u);
            cr_assert_eq(rig_room(r), most);
            (void)rig_send(r, most, 0, 99);
            cr_assert_eq(rig_room(r), 0u);
            wire_keep(r->w, &before);
            cr_assert_eq(rig_try(r, 1, 0, 100), VIRTQ_EFULL);
            cr_assert(wire_same(r->w, &before));
        }
    }
}

DriverTest(packed_driver, p12_a_list_longer_than_the_ring_can_never_be)
{
    for (uint32_t size = 1; size < RIG_SEGMENTS; size++) {
        struct wire_image before;

        rig_open(r, size, MEMORY_BASIC);
        wire_keep(r->w, &before);
        cr_assert_eq(rig_try(r, size, 1, 1), VIRTQ_ETOOBIG);
        cr_assert(wire_same(r->w, &before));
        (void)rig_send(r, size, 0, 2);
    }
}

DriverTest(packed_driver, p12_ids_are_unique_among_what_is_outstanding)
{
    uint64_t random = 9;
    uint16_t ids[300];
    uint32_t count = 0;
    bool out[300] = {false};

    rig_open(r, 300, MEMORY_BASIC);
    for (unsigned n = 0; n < 3000; n++) {
        uint32_t pick;

        while (count < 300 && random_below(&random, 8) != 0) {
            const uint16_t id = rig_send(r, 1, 0, n);

            cr_assert(!out[id]);
            out[id] = true;
            ids[count++] = id;
        }
        if (count == 0) {
            continue;
        }
        pick = (uint32_t)random_below(&random, count);
        rig_use(r, ids[pick], 0, 1);
        cr_assert_eq(rig_poll(r).id, ids[pick]);
        out[ids[pick]] = false;
        ids[pick] = ids[--count];
    }
}

DriverTest(packed_driver, p12_the_largest_ring_can_be_filled_to_the_last_descriptor)
{
    unsigned char *seen = calloc(1, 32768);

    cr_assert_not_null(seen);
    rig_open_at(r, 32768, MEMORY_BASIC, 32760);
    for (uint32_t n = 0; n < 32768; n++) {
        const struct place place = r->avail;
        struct wire_desc desc;

        rig_add(r, 0, 1, n);
        cr_assert_eq(r->calls->publish(&r->q), 1u);
        desc = wire_desc(r->w, place);
        cr_assert_eq(desc.flags, place_available(place) | (unsigned)WIRE_WRITE);
        cr_assert_eq(seen[desc.id], 0);
        seen[desc.id] = 1;
    }
    cr_assert_eq(rig_try(r, 1, 0, 0), VIRTQ_EFULL);
    cr_assert_eq(rig_outstanding(r), 32768u);
    for (uint32_t n = 32768; n-- > 0;) {
        rig_use(r, (uint16_t)n, 1, 1);
        cr_assert_eq(rig_poll(r).id, n);
    }
    cr_assert_eq(rig_room(r), 32768u);
    free(seen);
}
