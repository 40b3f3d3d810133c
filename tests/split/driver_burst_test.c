/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a split queue works on bursts: where the rings end and begin again, and where
 * something in the middle is not as most are. */
#include "driver_rig.h"

enum { BURST_SIZE = 8, BURST_MANY = 10 };

/** @brief Buffers of one segment, every second one writable; the `long_`-th has three, two of them
 * writable. */
static void make_burst(struct driver_rig *r, struct rig_buffer *b, struct virtq_buffer *buffers,
                       unsigned count, unsigned long_)
{
    for (unsigned i = 0; i < count; i++) {
        const unsigned writable = i == long_ ? 2 : i % 2;

        buffers[i] = *rig_make(r, &b[i], i == long_ ? 1 : 1 - i % 2, writable, i + 1);
    }
}

/** @brief The chain from `head` on is this buffer's; its descriptors join `seen`, where they were
 * not. */
static void expect_placed(const struct driver_rig *r, const struct rig_buffer *b, uint16_t head,
                          uint32_t *seen)
{
    const unsigned count = (unsigned)b->buffer.readable + b->buffer.writable;

    for (unsigned k = 0; k < count; k++) {
        const struct wire_desc desc = wire_desc(r->w, head);
        const unsigned flags = (k < b->buffer.readable ? 0u : (unsigned)WIRE_WRITE) |
                               (k + 1 < count ? (unsigned)WIRE_NEXT : 0u);

        cr_assert_eq(*seen >> head & 1u, 0u);
        *seen |= 1u << head;
        cr_assert_eq(desc.addr, memory_addr(&r->m, b->segments[k].base));
        cr_assert_eq(desc.len, b->segments[k].len);
        cr_assert_eq(desc.flags, flags);
        head = desc.next;
    }
}

/** @brief Adds a burst of one segment each as long as there is room, publishes it, and looks at
 * all of it. @return how many */
static unsigned fill_ring(struct driver_rig *r, struct rig_buffer *b)
{
    const uint16_t at = wire_avail_idx(r->w);
    struct virtq_buffer buffers[BURST_MANY];
    const unsigned room = rig_room(r);
    uint32_t seen = 0;

    make_burst(r, b, buffers, BURST_MANY, BURST_MANY);
    cr_assert_eq(r->calls->add(&r->q, buffers, BURST_MANY), (int)room);
    cr_assert_eq(r->calls->publish(&r->q), room);
    cr_assert_eq(rig_room(r), 0u);
    for (unsigned i = 0; i < room; i++) {
        expect_placed(r, &b[i], wire_avail_head(r->w, (uint32_t)(at + i)), &seen);
    }
    return room;
}

DriverTest(split_driver_burst, an_add_goes_on_in_the_first_slot)
{
    struct rig_buffer b[BURST_MANY];
    struct virtq_completion done[BURST_SIZE];

    for (unsigned start = 0; start < BURST_SIZE; start++) {
        rig_open_at(r, BURST_SIZE, MEMORY_BASIC, (uint16_t)(65536 - BURST_SIZE + start));
        for (unsigned round = 0; round < 3; round++) {
            const uint16_t at = wire_avail_idx(r->w);

            cr_assert_eq(fill_ring(r, b), (unsigned)BURST_SIZE);
            for (unsigned i = 0; i < BURST_SIZE; i++) {
                wire_use(r->w, wire_avail_head(r->w, (uint32_t)(at + i)), i % 2);
            }
            cr_assert_eq(r->calls->poll(&r->q, done, BURST_SIZE), BURST_SIZE);
            for (unsigned i = 0; i < BURST_SIZE; i++) {
                cr_assert_eq((uintptr_t)done[i].cookie, i + 1);
                cr_assert_eq(done[i].len, i % 2);
            }
            cr_assert_eq(rig_room(r), (unsigned)BURST_SIZE);
        }
    }
}

DriverTest(split_driver_burst, an_add_goes_on_behind_a_longer_buffer_and_no_further_than_it_is_told)
{
    enum { COUNT = BURST_SIZE - 3 };

    for (unsigned start = 0; start < BURST_SIZE; start++) {
        for (unsigned at = 0; at < COUNT; at++) {
            struct rig_buffer b[COUNT + 1];
            struct virtq_buffer buffers[COUNT + 1];
            uint32_t seen = 0;

            rig_open_at(r, BURST_SIZE, MEMORY_BASIC, (uint16_t)start);
            /* One more than is added, and there would be room for it. */
            make_burst(r, b, buffers, COUNT + 1, at);
            cr_assert_eq(r->calls->add(&r->q, buffers, COUNT), COUNT);
            cr_assert_eq(rig_room(r), 1u);
            cr_assert_eq(r->calls->publish(&r->q), (unsigned)COUNT);
            for (unsigned i = 0; i < COUNT; i++) {
                expect_placed(r, &b[i], wire_avail_head(r->w, start + i), &seen);
            }
        }
    }
}

DriverTest(split_driver_burst, what_comes_back_in_any_order_is_given_out_again_whole)
{
    static const uint16_t steps[] = {1, 3, 5, 7};

    for (unsigned start = 0; start < BURST_SIZE; start++) {
        struct rig_buffer b[BURST_MANY];
        struct virtq_completion done[BURST_SIZE];

        rig_open_at(r, BURST_SIZE, MEMORY_BASIC, (uint16_t)start);
        for (unsigned round = 0; round < 12; round++) {
            const uint16_t at = wire_avail_idx(r->w);
            const unsigned step = steps[round % 4u];
            /* All of them in one burst, or the first few and later the others. */
            const unsigned first = round % 3u == 0u ? BURST_SIZE : round % BURST_SIZE + 1u;

            cr_assert_eq(fill_ring(r, b), (unsigned)BURST_SIZE);
            for (unsigned i = 0; i < BURST_SIZE; i++) {
                wire_use(r->w, wire_avail_head(r->w, at + (i * step + round) % BURST_SIZE), 0);
            }
            cr_assert_eq(r->calls->poll(&r->q, done, first), (int)first);
            cr_assert_eq(r->calls->poll(&r->q, done + first, BURST_SIZE),
                         (int)(BURST_SIZE - first));
            for (unsigned i = 0; i < BURST_SIZE; i++) {
                cr_assert_eq((uintptr_t)done[i].cookie, (i * step + round) % BURST_SIZE + 1);
            }
        }
    }
}

DriverTest(split_driver_burst, what_has_come_back_is_given_out_again_and_nothing_else)
{
    for (unsigned step = 1; step < BURST_SIZE; step += 2) {
        struct rig_buffer b[BURST_MANY];
        struct virtq_completion done[BURST_SIZE];

        rig_open(r, BURST_SIZE, MEMORY_BASIC);
        cr_assert_eq(fill_ring(r, b), (unsigned)BURST_SIZE);
        for (unsigned round = 0; round < 20; round++) {
            const unsigned back = round % 5u + 1u;
            const uint16_t at = wire_avail_idx(r->w);
            uint32_t there = 0;
            uint32_t again = 0;

            /* The ring is full: which are its heads is known, and none is the head of two. */
            for (unsigned i = 0; i < back; i++) {
                const uint16_t head = (uint16_t)((round + i * step) % BURST_SIZE);

                there |= 1u << head;
                wire_use(r->w, head, 0);
            }
            cr_assert_eq(r->calls->poll(&r->q, done, BURST_SIZE), (int)back);
            cr_assert_eq(fill_ring(r, b), back);
            for (unsigned i = 0; i < back; i++) {
                again |= 1u << wire_avail_head(r->w, (uint32_t)(at + i));
            }
            cr_assert_eq(again, there);
        }
    }
}

DriverTest(split_driver_burst, a_length_beyond_the_buffer_is_clamped_wherever_it_stands)
{
    enum { COUNT = BURST_SIZE - 2 };

    for (unsigned start = 0; start < BURST_SIZE; start++) {
        for (unsigned odd = 0; odd < COUNT; odd++) {
            struct rig_buffer b[BURST_MANY];
            struct virtq_buffer buffers[COUNT];
            struct virtq_completion done[COUNT];

            rig_open_at(r, BURST_SIZE, MEMORY_BASIC, (uint16_t)start);
            make_burst(r, b, buffers, COUNT, odd);
            cr_assert_eq(r->calls->add(&r->q, buffers, COUNT), COUNT);
            cr_assert_eq(r->calls->publish(&r->q), (unsigned)COUNT);
            for (unsigned i = 0; i < COUNT; i++) {
                wire_use(r->w, wire_avail_head(r->w, start + i), i == odd ? 99 : i % 2);
            }
            cr_assert_eq(r->calls->poll(&r->q, done, COUNT), COUNT);
            for (unsigned i = 0; i < COUNT; i++) {
                cr_assert_eq((uintptr_t)done[i].cookie, i + 1);
                /* The two writable segments are of 2 and 3 bytes. */
                cr_assert_eq(done[i].len, i == odd ? 5 : i % 2);
            }
            cr_assert_eq(rig_counters(r).error_length, 1u);
            cr_assert_eq(rig_outstanding(r), 0u);
            /* The free list is whole: each descriptor is given out once. */
            cr_assert_eq(rig_room(r), (unsigned)BURST_SIZE);
            cr_assert_eq(fill_ring(r, b), (unsigned)BURST_SIZE);
        }
    }
}

DriverTest(split_driver_burst, a_bad_head_ends_a_burst_wherever_it_stands)
{
    for (unsigned start = 0; start < BURST_SIZE; start++) {
        for (unsigned odd = 0; odd < BURST_SIZE; odd++) {
            static const uint32_t bad[] = {BURST_SIZE, 0x10000, 0xffffffff};
            const uint32_t id = bad[odd % 3u];
            struct rig_buffer b[BURST_MANY];
            struct virtq_completion done[BURST_SIZE];

            rig_open_at(r, BURST_SIZE, MEMORY_BASIC, (uint16_t)start);
            cr_assert_eq(fill_ring(r, b), (unsigned)BURST_SIZE);
            for (unsigned i = 0; i < BURST_SIZE; i++) {
                wire_use(r->w, i == odd ? id : wire_avail_head(r->w, start + i), 0);
            }
            cr_assert_eq(r->calls->poll(&r->q, done, BURST_SIZE),
                         odd != 0 ? (int)odd : VIRTQ_EBROKEN);
            for (unsigned i = 0; i < odd; i++) {
                cr_assert_eq((uintptr_t)done[i].cookie, i + 1);
            }
            rig_expect_broken(r, VIRTQ_REASON_QUEUE_ID, start + odd, id);
            cr_assert_eq(rig_outstanding(r), BURST_SIZE - odd);
            cr_assert_eq(rig_room(r), odd);
        }
    }
}
