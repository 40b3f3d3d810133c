/* SPDX-License-Identifier: BSD-3-Clause */
/* The arithmetic of events and positions, exhaustively against walks of one step at a time: what
 * the specification says in words ("the driver enters the available index of the descriptor ...",
 * "offset, wrap counter"), with no subtraction in it. S12, P9, P10, N2. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "support/runner.h"
#include "virtq/inline/event.h"

enum { MOST = 300 };

/* Under Valgrind, emulators and without optimisation (VIRTQ_TEST_HURRIED) not every place, but
 * every so many: there it is the compiler's work that is tried. */
static uint32_t stride(void)
{
    return getenv("VIRTQ_TEST_HURRIED") != NULL ? 7 : 1;
}

/* ---- Split: indices that run freely ---- */

/* From `old` on, one entry after another is written: from the one with the armed index on, each
 * further test has to notify. Gives the number of tests that said otherwise. */
static unsigned long split_walk(uint16_t old, uint16_t event, unsigned most)
{
    unsigned long wrong = virtq_event_split(event, old, 0);
    uint16_t now = old;
    bool passed = false;

    for (unsigned count = 1; count <= most; count++) {
        passed = passed || now == event;
        now++;
        wrong += virtq_event_split(event, now, (uint16_t)count) != passed;
    }
    return wrong;
}

/* Every window of up to 300 entries from every start near a turn of the index or of its sign; every
 * event in it and a little outside, and some far away. */
static unsigned long split_walks(unsigned first, unsigned last)
{
    static const uint16_t far[] = {0x1000, 0x7fff, 0x8000, 0x8001, 0xf000};
    const uint32_t by = stride();
    unsigned long wrong = 0;

    for (unsigned old = first; old <= last; old += by) {
        for (unsigned ahead = 0; ahead < MOST + 8; ahead++) {
            wrong += split_walk((uint16_t)old, (uint16_t)(old + ahead - 4), MOST);
        }
        for (unsigned i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
            wrong += split_walk((uint16_t)old, (uint16_t)(old + far[i]), MOST);
        }
    }
    return wrong;
}

Test(spec_event, split_every_window_of_up_to_300_entries_at_the_turn_of_the_index)
{
    cr_assert_eq(split_walks(65536 - MOST - 4, 65536 + 4), 0ul);
}

Test(spec_event, split_every_window_of_up_to_300_entries_at_the_turn_of_the_sign)
{
    cr_assert_eq(split_walks(32768 - MOST - 4, 32768 + 4), 0ul);
}

/* Each event in turn, at the last count that does not reach it and at the first that does; the one
 * event that 65535 entries leave out; and none that they do not. */
Test(spec_event, split_every_event_and_windows_of_up_to_65535_entries)
{
    for (uint32_t old = 0; old < 65536; old += 2731) {
        const uint16_t end = (uint16_t)(old + 65535);
        uint16_t event = (uint16_t)old;
        unsigned long wrong = 0;

        for (uint32_t before = 0; before < 65535; before++, event++) {
            const uint16_t after = (uint16_t)(event + 1);

            wrong += virtq_event_split(event, event, (uint16_t)before);
            wrong += !virtq_event_split(event, after, (uint16_t)(before + 1));
            wrong += !virtq_event_split(event, end, 65535);
        }
        wrong += virtq_event_split(end, end, 65535);
        cr_assert_eq(wrong, 0ul, "from index %u", (unsigned)old);
    }
}

/* The case of S12 that a plain comparison gets wrong. */
Test(spec_event, split_an_event_just_before_the_turn_is_not_lost)
{
    cr_assert(virtq_event_split(65527, (uint16_t)(65527 + 32), 32));
    cr_assert(!virtq_event_split(65526, (uint16_t)(65527 + 32), 32));
    cr_assert(!virtq_event_split(23, (uint16_t)(65527 + 32), 32));
    cr_assert(virtq_event_split(22, (uint16_t)(65527 + 32), 32));
}

/* ---- Packed: an offset and a wrap counter ---- */

struct place {
    uint32_t offset;
    bool wrap;
};

static void step(struct place *place, uint32_t size)
{
    place->offset++;
    if (place->offset == size) {
        place->offset = 0;
        place->wrap = !place->wrap;
    }
}

static uint16_t word(struct place place)
{
    return (uint16_t)(place.offset | (place.wrap ? 0x8000u : 0u));
}

/* As split_walk(). */
static unsigned long packed_walk(uint32_t size, struct place old, struct place event, unsigned most)
{
    const uint16_t armed = word(event);
    unsigned long wrong = virtq_event_packed(armed, word(old), 0, size);
    bool passed = false;

    for (unsigned count = 1; count <= most; count++) {
        passed = passed || (old.offset == event.offset && old.wrap == event.wrap);
        step(&old, size);
        wrong += virtq_event_packed(armed, word(old), count, size) != passed;
    }
    return wrong;
}

/* Every armed place, and every count up to the ring's size, from one place on. */
static unsigned long packed_from(uint32_t size, struct place old)
{
    struct place event = {0, true};
    unsigned long wrong = 0;

    for (uint32_t i = 0; i < 2 * size; i++) {
        wrong += packed_walk(size, old, event, size);
        step(&event, size);
    }
    return wrong;
}

/* From every place. */
static unsigned long packed_all(uint32_t size)
{
    const uint32_t by = stride();
    struct place old = {0, true};
    unsigned long wrong = 0;

    for (uint32_t i = 0; i < 2 * size; i++) {
        wrong += i % by == 0 ? packed_from(size, old) : 0;
        step(&old, size);
    }
    return wrong;
}

Test(spec_event, packed_every_place_event_and_count_for_all_sizes_up_to_64)
{
    for (uint32_t size = 1; size <= 64; size++) {
        cr_assert_eq(packed_all(size), 0ul, "size %u", (unsigned)size);
    }
}

Test(spec_event, packed_every_place_event_and_count_for_size_256)
{
    cr_assert_eq(packed_all(256), 0ul);
}

Test(spec_event, packed_every_place_event_and_count_for_size_300)
{
    cr_assert_eq(packed_all(300), 0ul);
}

/* The sizes between, every event and count from the places where something turns. */
Test(spec_event, packed_every_event_and_count_at_the_turns_for_all_sizes_up_to_300)
{
    for (uint32_t size = 1; size <= MOST; size++) {
        const struct place olds[] = {{size - 1, true}, {0, false}, {size / 2, false}};

        for (unsigned i = 0; i < sizeof(olds) / sizeof(olds[0]); i++) {
            cr_assert_eq(packed_from(size, olds[i]), 0ul, "size %u", (unsigned)size);
        }
    }
}

/* The same sizes, every place and every event, at the counts where the answer turns: the last that
 * does not reach the event and the first that does, one lap, and two, which reach every event. */
static unsigned long packed_turns(uint32_t size, struct place old)
{
    struct place event = old;
    struct place lap = {old.offset, !old.wrap};
    unsigned long wrong = 0;

    for (uint32_t before = 0; before < 2 * size; before++) {
        const uint16_t armed = word(event);

        wrong += virtq_event_packed(armed, armed, before, size);
        step(&event, size);
        wrong += !virtq_event_packed(armed, word(event), before + 1, size);
        wrong += virtq_event_packed(armed, word(lap), size, size) != (before < size);
        wrong += !virtq_event_packed(armed, word(old), 2 * size, size);
    }
    return wrong;
}

Test(spec_event, packed_every_place_and_event_where_the_answer_turns_for_all_sizes_up_to_300)
{
    for (uint32_t size = 1; size <= MOST; size++) {
        const uint32_t by = stride();
        struct place old = {0, true};
        unsigned long wrong = 0;

        for (uint32_t i = 0; i < 2 * size; i++) {
            wrong += i % by == 0 ? packed_turns(size, old) : 0;
            step(&old, size);
        }
        cr_assert_eq(wrong, 0ul, "size %u", (unsigned)size);
    }
}

Test(spec_event, packed_the_largest_ring)
{
    const uint32_t size = 32768;
    const struct place olds[] = {{0, true}, {size - 1, true}, {1, false}, {size - 1, false}};

    for (unsigned i = 0; i < sizeof(olds) / sizeof(olds[0]); i++) {
        cr_assert_eq(packed_turns(size, olds[i]), 0ul);
    }
}

/* P9: such an event names no descriptor. A notification too many is legal, one too few is not. */
Test(spec_event, packed_an_offset_outside_the_ring_notifies_of_anything_new)
{
    for (uint32_t size = 1; size <= MOST; size++) {
        const uint32_t stride = size < 4 || size == 256 || size == MOST ? 1 : 211;

        for (uint32_t offset = size; offset < 32768; offset += stride) {
            for (unsigned wrap = 0; wrap < 2; wrap++) {
                const struct place event = {offset, wrap != 0};
                const struct place now = {offset % size, (offset & 1) != 0};

                cr_assert(virtq_event_packed(word(event), word(now), 1, size));
                cr_assert(virtq_event_packed(word(event), word(now), size, size));
                cr_assert(!virtq_event_packed(word(event), word(now), 0, size));
            }
        }
    }
}

Test(spec_event, packed_more_than_a_circle_of_news_notifies_whatever_is_armed)
{
    static const uint32_t counts[] = {65535, 65536, 65537, 131072};

    for (uint32_t size = 1; size <= MOST; size++) {
        struct place event = {0, true};

        for (uint32_t i = 0; i < 2 * size; i++) {
            for (unsigned c = 0; c < 4; c++) {
                cr_assert(virtq_event_packed(word(event), 0x8000, counts[c], size));
                cr_assert(virtq_event_packed(word(event), 0, counts[c], size));
            }
            step(&event, size);
        }
    }
}

/* Flags in the high half, as the structure is read as one word. Bits above the two are reserved. */
Test(spec_event, packed_flags_are_enable_disable_desc_and_the_reserved_value_is_enable)
{
    for (uint32_t high = 0; high < 65536; high++) {
        const uint32_t flags = high & 3;

        for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
            const bool desc = flags == VIRTQ_RING_EVENT_FLAGS_DESC && event_idx != 0;
            const bool off = flags == VIRTQ_RING_EVENT_FLAGS_DISABLE;
            /* 2 is armed, and 3 was written since the last test; then 2 was; then nothing. */
            const uint32_t armed = high << 16 | 0x8002;

            cr_assert_eq(virtq_event_wanted(armed, event_idx != 0, 0x8004, 1, 7), !off && !desc);
            cr_assert_eq(virtq_event_wanted(armed, event_idx != 0, 0x8003, 1, 7), !off);
            cr_assert(!virtq_event_wanted(armed, event_idx != 0, 0x8003, 0, 7));
        }
    }
}

/* ---- Packed positions ---- */

static void positions(uint32_t size)
{
    const uint32_t by = stride();
    struct place from = {0, true};

    for (uint32_t i = 0; i < 2 * size; i++) {
        struct place to = from;
        unsigned long wrong = 0;

        for (uint32_t count = 0; i % by == 0 && count <= size; count++) {
            struct virtq_place place = virtq_place_of(word(from), virtq_position_used(word(from)));

            virtq_place_step(&place, count, size);
            wrong += virtq_place_position(place) != word(to);
            wrong += virtq_position_advance(word(from), count, size) != word(to);
            wrong += virtq_position_retreat(word(to), count, size) != word(from);
            wrong += virtq_position_between(word(from), word(to), size) != count;
            wrong += virtq_position_offset(word(to)) != to.offset;
            step(&to, size);
        }
        cr_assert_eq(wrong, 0ul, "size %u", (unsigned)size);
        step(&from, size);
    }
}

Test(spec_event, packed_positions_move_as_a_walk_does_for_all_sizes_up_to_300)
{
    for (uint32_t size = 1; size <= MOST; size++) {
        positions(size);
    }
}

/* P2: what each end writes at a position. */
Test(spec_event, packed_flag_bits_follow_the_wrap_counter)
{
    cr_assert_eq(virtq_position_available(0x8000), 1u << 7);
    cr_assert_eq(virtq_position_available(0x0000), 1u << 15);
    cr_assert_eq(virtq_position_used(0x8000), 1u << 7 | 1u << 15);
    cr_assert_eq(virtq_position_used(0x0000), 0u);
}
