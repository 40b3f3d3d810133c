/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Event arithmetic for the tests of both ends: a walk that says what the answer has to be,
 * and the numbers at which formulas fail. P10.
 */
#ifndef VIRTQ_TESTS_PACKED_EVENT_CASES_H
#define VIRTQ_TESTS_PACKED_EVENT_CASES_H

#include "wire.h"

/** @brief Whether a walk over `count` descriptors from `place` on meets the armed one. */
static inline bool event_meets(struct place place, uint32_t size, uint32_t count, uint16_t armed)
{
    for (uint32_t n = 0; n < count; n++) {
        if (place_word(place) == armed) {
            return true;
        }
        place = place_after(place, size, 1);
    }
    return false;
}

/** @brief A test for a notification; bit 15 of places is the wrap counter. */
struct event_case {
    uint32_t size;
    uint16_t old; /**< Where the last test was. */
    uint16_t count;
    uint16_t armed;
    bool wanted;
};

static const struct event_case event_cases[] = {
    /* old is "negative": the news crosses the end, and the armed place lies before it. */
    {256, 250 | 0x8000, 8, 250 | 0x8000, true},
    {256, 250 | 0x8000, 8, 255 | 0x8000, true},
    {256, 250 | 0x8000, 8, 249 | 0x8000, false},
    {256, 250 | 0x8000, 8, 1, true},
    {256, 250 | 0x8000, 8, 2, false},
    {300, 297, 6, 299, true},
    {300, 297, 6, 2 | 0x8000, true},
    {300, 297, 6, 3 | 0x8000, false},
    /* The same offset with the other counter was a lap ago, or is a lap ahead. */
    {300, 10, 5, 12 | 0x8000, false},
    {300, 10 | 0x8000, 5, 12, false},
    {300, 297, 6, 299 | 0x8000, false},
    {300, 297, 6, 2, false},
    /* 65536 is no multiple of it. */
    {7, 6, 2, 6, true},
    {7, 6, 2, 0 | 0x8000, true},
    {7, 6, 2, 1 | 0x8000, false},
    {7, 6, 2, 0, false},
    /* A circle of exactly 65536 places. */
    {32768, 32767, 2, 32767, true},
    {32768, 32767, 2, 0 | 0x8000, true},
    {32768, 32767, 2, 1 | 0x8000, false},
    {32768, 32767, 2, 32767 | 0x8000, false},
    {32768, 32766 | 0x8000, 4, 1, true},
    {32768, 32766 | 0x8000, 4, 2, false},
    {32768, 0 | 0x8000, 1, 0, false},
};

enum { EVENT_CASES = sizeof(event_cases) / sizeof(event_cases[0]) };

#endif
