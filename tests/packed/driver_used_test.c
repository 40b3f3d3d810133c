/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a packed queue takes used buffers back: P5, P7, P12. */
#include "driver_rig.h"
#include "support/random.h"

/** @brief What a model of the queue knows of a buffer that is out. */
struct sent {
    uintptr_t cookie;
    uint16_t id;
    uint16_t slots;
    uint16_t writable; /**< Bytes. */
};

/* ---- P5 ---- */

DriverTest(packed_driver_used, p5_one_used_descriptor_stands_for_a_whole_list)
{
    struct wire_image before;
    uint16_t ids[2];

    rig_open_at(r, 7, MEMORY_BASIC, 5 | 0x8000);
    ids[0] = rig_send(r, 2, 1, 10);
    ids[1] = rig_send(r, 1, 3, 11);
    wire_keep(r->w, &before);
    rig_use(r, ids[0], 3, 3);
    /* The rest of the list, at 6 and 0, was not touched and still says "available". */
    cr_assert(wire_same_at(r->w, &before, 6) && wire_same_at(r->w, &before, 0));
    cr_assert_eq((uintptr_t)rig_poll(r).cookie, 10u);
    cr_assert_eq(rig_room(r), 3u);
    /* The next one is looked for 3 further on, at 1, with the other wrap counter. */
    wire_flags_put(r->w, 6, WIRE_BOTH);
    wire_flags_put(r->w, 0, 0);
    cr_assert_eq(rig_poll_none(r), 0);
    cr_assert_eq(r->used.offset, 1u);
    cr_assert(!r->used.wrap);
    rig_use(r, ids[1], 0, 4);
    cr_assert_eq((uintptr_t)rig_poll(r).cookie, 11u);
    cr_assert_eq(rig_room(r), 7u);
}

DriverTest(packed_driver_used, p5_lists_used_in_any_order_are_skipped_by_their_own_length)
{
    for (unsigned i = 0; i < MEMORY_SIZES - 1; i++) {
        const uint32_t size = memory_sizes[i];
        struct sent out[300];
        uint64_t random = 17 + size;
        unsigned count = 0;

        rig_open(r, size, MEMORY_BASIC);
        for (uintptr_t n = 0; n < 1500; n++) {
            const unsigned most = size < RIG_SEGMENTS ? size : RIG_SEGMENTS;
            const unsigned slots = 1 + (unsigned)random_below(&random, most);
            const uint32_t room = rig_room(r);
            struct virtq_completion done;
            unsigned pick;

            if (slots <= room) {
                out[count] = (struct sent){n, rig_send(r, slots - 1, 1, n), (uint16_t)slots,
                                           (uint16_t)slots};
                cr_assert_eq(rig_room(r), room - slots);
                count++;
            } else {
                cr_assert_eq(rig_try(r, slots, 0, n), VIRTQ_EFULL);
            }
            if (slots <= room && random_below(&random, 3) != 0) {
                continue;
            }
            pick = (unsigned)random_below(&random, count);
            rig_use(r, out[pick].id, out[pick].writable, out[pick].slots);
            done = rig_poll(r);
            cr_assert_eq((uintptr_t)done.cookie, out[pick].cookie);
            cr_assert_eq(done.len, out[pick].writable);
            cr_assert_eq(rig_poll_none(r), 0);
            out[pick] = out[--count];
        }
    }
}

DriverTest(packed_driver_used, p5_nothing_the_driver_wrote_is_read_back)
{
    for (unsigned n = 0; n < 21; n++) {
        uint16_t ids[2];

        rig_open_at(r, 7, MEMORY_BASIC, (uint16_t)(n % 7 | (n & 1) << 15));
        ids[0] = rig_send(r, 1, 2, 10);
        ids[1] = rig_send(r, 2, 1, 11);
        /* A device may write anywhere in the ring: junk, but for what looks used. */
        for (uint32_t k = 0; k < 7; k++) {
            wire_desc_put(wire_at(r->w, k), UINT64_MAX, UINT32_MAX, 0xffff,
                          (unsigned)WIRE_USED | (unsigned)WIRE_INDIRECT | (unsigned)WIRE_NEXT);
        }
        rig_use(r, ids[1], 3, 3);
        rig_use(r, ids[0], 5, 3);
        cr_assert_eq((uintptr_t)rig_poll(r).cookie, 11u);
        cr_assert_eq((uintptr_t)rig_poll(r).cookie, 10u);
        cr_assert_eq(rig_poll_none(r), 0);
        cr_assert_eq(rig_room(r), 7u);
        cr_assert_eq(rig_counters(r).error_length, 0u);
    }
}

/* ---- P7 ---- */

DriverTest(packed_driver_used, p7_next_and_other_flags_of_a_used_descriptor_are_ignored)
{
    rig_open(r, 3, MEMORY_BASIC);
    for (unsigned n = 0; n < 0x8000; n = n * 2 + 1) {
        /* All bits but AVAIL and USED. */
        const unsigned more = n & ~(unsigned)WIRE_BOTH;
        const struct place here = r->used;
        struct virtq_completion done;

        rig_use(r, rig_send(r, 0, 1, n), 1, 1);
        wire_flags_put(r->w, here.offset, place_used(here) | more);
        done = rig_poll(r);
        cr_assert_eq((uintptr_t)done.cookie, n);
        cr_assert_eq(done.len, 1u);
        cr_assert_eq(rig_poll_none(r), 0);
    }
}

DriverTest(packed_driver_used, p7_a_length_without_write_counts_all_the_same)
{
    /* Devices that never set WRITE are in the field. */
    rig_open(r, 3, MEMORY_BASIC);
    for (unsigned n = 0; n < 10; n++) {
        const struct place here = r->used;

        rig_use(r, rig_send(r, 1, 1, n), 2, 2);
        wire_flags_put(r->w, here.offset, place_used(here));
        cr_assert_eq(rig_poll(r).len, 2u);
    }
}

DriverTest(packed_driver_used, p7_a_length_beyond_the_writable_part_is_clamped_and_counted)
{
    static const uint32_t lens[] = {0, 1, 5, 6, 7, 0x10000, UINT32_MAX};

    rig_open(r, 8, MEMORY_BASIC);
    for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        rig_use(r, rig_send(r, 1, 2, i), lens[i], 3);
        cr_assert_eq(rig_poll(r).len, lens[i] < 5 ? lens[i] : 5);
        cr_assert_eq(rig_counters(r).error_length, i < 3 ? 0 : i - 2u);
    }
    /* Nothing to write is nothing written. */
    rig_use(r, rig_send(r, 2, 0, 0), 9, 2);
    cr_assert_eq(rig_poll(r).len, 0u);
}

DriverTest(packed_driver_used, p7_a_strict_driver_takes_such_a_length_for_a_broken_queue)
{
    struct place here;

    r->config.flags = VIRTQ_DRIVER_STRICT_LENGTH;
    rig_open_at(r, 8, MEMORY_BASIC, 6 | 0x8000);
    rig_use(r, rig_send(r, 1, 2, 1), 5, 3);
    cr_assert_eq(rig_poll(r).len, 5u);
    here = r->used;
    rig_use(r, rig_send(r, 1, 2, 2), 6, 3);
    cr_assert_eq(rig_poll_none(r), VIRTQ_EBROKEN);
    rig_expect_broken(r, VIRTQ_REASON_QUEUE_LENGTH, place_word(here), 6);
    cr_assert_eq(rig_outstanding(r), 1u);
    r->config.flags = 0;
}

/* ---- P12: ids that come back ---- */

DriverTest(packed_driver_used, p12_an_id_that_is_not_outstanding_breaks_the_queue)
{
    for (unsigned n = 0; n < 9; n++) {
        const struct place here = place_of(2 | 0x8000);
        unsigned bad[5] = {8, 0x8000, 0xffff, 0, 0};
        uint16_t ids[2];

        rig_open_at(r, 8, MEMORY_BASIC, place_word(here));
        ids[0] = rig_send(r, 1, 0, 0);
        ids[1] = rig_send(r, 1, 0, 1);
        while (bad[3] == ids[0] || bad[3] == ids[1]) {
            bad[3]++; /* Free. */
        }
        if (n >= 4) {
            /* Added, but not shown: the device cannot know it. */
            rig_add(r, 1, 0, 2);
            bad[4] = wire_desc(r->w, place_after(here, 8, 2)).id;
            bad[3] = bad[3] == bad[4] ? bad[3] + 1 : bad[3];
            cr_assert(bad[3] != ids[0] && bad[3] != ids[1]);
        }
        rig_use(r, bad[n % 5], 0, 1);
        cr_assert_eq(rig_poll_none(r), VIRTQ_EBROKEN);
        rig_expect_broken(r, VIRTQ_REASON_QUEUE_ID, place_word(here), bad[n % 5]);
    }
}

DriverTest(packed_driver_used, p12_an_id_completes_once)
{
    struct virtq_completion done[4];
    struct place second;
    uint16_t id;

    rig_open(r, 8, MEMORY_BASIC);
    id = rig_send(r, 1, 0, 0);
    (void)rig_send(r, 1, 0, 1);
    rig_use(r, id, 0, 1);
    second = r->used;
    rig_use(r, id, 0, 1);
    /* What came before the break is given out. */
    cr_assert_eq(r->calls->poll(&r->q, done, 4), 1);
    cr_assert_eq((uintptr_t)done[0].cookie, 0u);
    cr_assert_eq(r->calls->poll(&r->q, done, 4), VIRTQ_EBROKEN);
    rig_expect_broken(r, VIRTQ_REASON_QUEUE_ID, place_word(second), id);
}

/* ---- Batches and prefill ---- */

DriverTest(packed_driver_used, a_poll_gives_no_more_than_there_is_room_for)
{
    struct virtq_completion done[8];

    rig_open_at(r, 7, MEMORY_BASIC, 3);
    for (unsigned n = 0; n < 7; n++) {
        (void)rig_send(r, 0, 1, n);
    }
    for (unsigned n = 0; n < 7; n++) {
        rig_use(r, wire_desc(r->w, r->used).id, 1, 1);
    }
    cr_assert_eq(r->calls->poll(&r->q, done, 3), 3);
    cr_assert_eq(r->calls->poll(&r->q, done + 3, 2), 2);
    cr_assert_eq(r->calls->poll(&r->q, done + 5, 3), 2);
    for (unsigned n = 0; n < 7; n++) {
        cr_assert_eq((uintptr_t)done[n].cookie, n);
        cr_assert_eq(done[n].len, 1u);
    }
    cr_assert_eq(r->calls->poll(&r->q, done, 8), 0);
}

DriverTest(packed_driver_used, a_batch_stops_before_the_first_bad_buffer)
{
    struct virtq_segment segments[4];
    struct virtq_buffer buffers[4];
    struct place first;

    rig_open_at(r, 7, MEMORY_BASIC, 6);
    first = r->avail;
    for (unsigned i = 0; i < 4; i++) {
        segments[i].base = r->m.data + (size_t)i * 64;
        segments[i].len = i == 2 ? 0 : 8;
        buffers[i] = (struct virtq_buffer){&segments[i], (void *)(uintptr_t)i, 1, 0, 0};
    }
    cr_assert_eq(r->calls->add(&r->q, buffers, 4), 2);
    cr_assert_eq(r->calls->add(&r->q, buffers + 2, 2), VIRTQ_EINVAL);
    cr_assert(!wire_is_available(r->w, first));
    cr_assert_eq(r->calls->publish(&r->q), 2u);
    cr_assert_eq(wire_desc(r->w, first).addr, memory_addr(&r->m, segments[0].base));
    cr_assert_eq(wire_desc(r->w, first).flags, place_available(first));
    first = place_after(first, 7, 1);
    cr_assert_eq(wire_desc(r->w, first).addr, memory_addr(&r->m, segments[1].base));
    cr_assert_eq(wire_desc(r->w, first).flags, place_available(first));
    cr_assert(!wire_is_available(r->w, place_after(first, 7, 1)));
}

DriverTest(packed_driver_used, a_batch_stops_where_the_ring_is_full)
{
    struct virtq_buffer buffers[9];
    struct virtq_buffer one;

    rig_open(r, 7, MEMORY_BASIC);
    one = rig_make(r, 1, 0, 5);
    for (unsigned i = 0; i < 9; i++) {
        buffers[i] = one;
    }
    cr_assert_eq(r->calls->add(&r->q, buffers, 9), 7);
    cr_assert_eq(r->calls->add(&r->q, buffers, 9), VIRTQ_EFULL);
    cr_assert_eq(r->calls->publish(&r->q), 7u);
    for (unsigned i = 0; i < 7; i++) {
        cr_assert_eq(wire_desc_of(wire_at(r->w, i)).flags, (unsigned)WIRE_AVAIL);
    }
}

DriverTest(packed_driver_used, a_queue_prefilled_before_the_device_runs_recycles_for_ever)
{
    for (unsigned i = 0; i < MEMORY_SIZES - 1; i++) {
        const uint32_t size = memory_sizes[i];

        rig_open(r, size, MEMORY_BASIC);
        for (uint32_t n = 0; n < size; n++) {
            rig_add(r, 0, 1, n);
        }
        cr_assert_eq(r->calls->publish(&r->q), size);
        for (uint32_t n = 0; n < 3 * size + 5; n++) {
            /* The ring is full: what is used is what stands there. */
            const struct wire_desc desc = wire_desc(r->w, r->used);
            struct virtq_completion done;

            cr_assert_eq(desc.flags & (unsigned)WIRE_BOTH, place_available(r->used));
            cr_assert((desc.flags & (unsigned)WIRE_WRITE) != 0);
            rig_use(r, desc.id, 1, 1);
            done = rig_poll(r);
            cr_assert_eq((uintptr_t)done.cookie, n % size);
            cr_assert_eq(done.len, 1u);
            rig_add(r, 0, 1, n % size);
            cr_assert_eq(r->calls->publish(&r->q), 1u);
        }
    }
}

/* ---- Bad calls ---- */

DriverTest(packed_driver_used, a_bad_call_gets_its_error_and_changes_nothing)
{
    static const int expected[] = {VIRTQ_EINVAL, VIRTQ_EINVAL, VIRTQ_EINVAL, VIRTQ_ETOOBIG};
    struct virtq_buffer bad[4];
    struct virtq_segment empty;
    struct wire_image before;

    for (uint16_t start = 0; start < 8; start++) {
        rig_open_at(r, 8, MEMORY_EVENTS, start);
        rig_pass(r, 3);
        for (unsigned i = 0; i < 4; i++) {
            bad[i] = rig_make(r, RIG_SEGMENTS + 1, 0, 1);
        }
        empty = r->latest[0];
        empty.len = 0;
        bad[0].readable = 0;
        bad[1].segments = &empty;
        bad[1].readable = 1;
        bad[2].readable = 1;
        bad[2].flags = 4;
        wire_keep(r->w, &before);
        for (unsigned i = 0; i < 4; i++) {
            cr_assert_eq(r->calls->add(&r->q, &bad[i], 1), expected[i]);
            cr_assert(wire_same(r->w, &before));
            cr_assert_eq(rig_counters(r).error_caller, i + 1u);
        }
        cr_assert_eq(r->calls->publish(&r->q), 0u);
        cr_assert_eq(rig_room(r), 8u);
        cr_assert(wire_same(r->w, &before));
        rig_pass(r, 9);
    }
}

DriverTest(packed_driver_used, a_bad_segment_in_a_list_shows_the_device_nothing)
{
    for (uint16_t start = 0; start < 16; start++) {
        for (unsigned at = 1; at < 5; at++) {
            struct virtq_buffer buffer;

            rig_open_at(r, 8, MEMORY_BASIC, (uint16_t)(start % 8 | start / 8 << 15));
            buffer = rig_make(r, 3, 2, 1);
            r->latest[at].len = 0;
            cr_assert_eq(r->calls->add(&r->q, &buffer, 1), VIRTQ_EINVAL);
            cr_assert_eq(r->calls->publish(&r->q), 0u);
            /* No descriptor is available now, nor taken for a used one later. (The zeroes that a
               restore leaves are used ones of a counter of 0; it takes none while none is out.) */
            for (uint32_t k = 0; k < 8; k++) {
                const struct place place = place_after(r->avail, 8, k);

                cr_assert(!wire_is_available(r->w, place));
                cr_assert(!wire_is_used(r->w, place) || wire_desc(r->w, place).flags == 0);
            }
            cr_assert_eq(rig_poll_none(r), 0);
            cr_assert_eq(rig_room(r), 8u);
            for (unsigned n = 0; n < 4; n++) {
                rig_use(r, rig_send(r, 2, 3, n), 1, 5);
                cr_assert_eq((uintptr_t)rig_poll(r).cookie, n);
            }
        }
    }
}

DriverTest(packed_driver_used, a_buffer_has_2_to_the_32_bytes_at_most)
{
    struct virtq_buffer buffer;

    rig_open(r, 8, MEMORY_BASIC);
    buffer = rig_make(r, 1, 1, 1);
    buffer.flags = VIRTQ_BUFFER_PREMAPPED;
    r->latest[0].addr = 1;
    r->latest[0].len = UINT32_MAX;
    r->latest[1].addr = UINT64_C(1) << 40;
    r->latest[1].len = 2;
    cr_assert_eq(r->calls->add(&r->q, &buffer, 1), VIRTQ_ETOOBIG);
    cr_assert_eq(r->calls->publish(&r->q), 0u);
    cr_assert(!wire_is_available(r->w, r->avail));
    r->latest[1].len = 1;
    cr_assert_eq(r->calls->add(&r->q, &buffer, 1), 1);
    cr_assert_eq(r->calls->publish(&r->q), 1u);
    cr_assert_eq(wire_desc(r->w, r->avail).len, UINT32_MAX);
    cr_assert_eq(wire_desc_of(wire_at(r->w, 1)).addr, UINT64_C(1) << 40);
}
