/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Pseudo-random numbers from a fixed seed: the same on every machine, so that a failure
 * comes again.
 */
#ifndef VIRTQ_TESTS_RANDOM_H
#define VIRTQ_TESTS_RANDOM_H

#include <stdint.h>

/** @brief The next number of a splitmix64 sequence; `*state` is the seed at first. */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t word = *state += UINT64_C(0x9e3779b97f4a7c15);

    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

/** @brief A number in [0, count), `count` at least 1. */
static inline uint64_t random_below(uint64_t *state, uint64_t count)
{
    return random_next(state) % count;
}

#endif
