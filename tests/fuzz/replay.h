/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What each target gives to the two programs that play inputs: libFuzzer's and replay.c.
 */
#ifndef VIRTQ_TESTS_FUZZ_REPLAY_H
#define VIRTQ_TESTS_FUZZ_REPLAY_H

#include <stddef.h>
#include <stdint.h>

/** @brief Plays an input: how far it got, in buffers or the like. It ends the program if anything
 * is wrong. */
unsigned fuzz_play(const uint8_t *data, size_t size);

/** @brief How far all inputs of the corpus get together, at least, where words are little-endian.
 */
extern const unsigned fuzz_enough;

#endif
