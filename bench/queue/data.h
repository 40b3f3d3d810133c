/* SPDX-License-Identifier: BSD-3-Clause */
/* The bytes of the buffers: what goes out, what comes back, and whether it is right.
 *
 * Each buffer's bytes follow from a seed that both sides know: no two buffers in a row are alike,
 * so that one buffer's bytes in another's place are noticed.
 */
#ifndef BENCH_QUEUE_DATA_H
#define BENCH_QUEUE_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include <virtq/chain.h>
#include <virtq/types.h>

/* Driver: fills the readable segments of a buffer, and spoils the writable ones. */
void bench_data_offer(const struct virtq_buffer *buffer, uint64_t seed);
/* Device: whether the readable part is what was offered; writes the answer into the writable part.
 */
bool bench_data_answer(const struct virtq_chain *chain, uint64_t seed);
/* Driver: whether the writable segments hold the answer. */
bool bench_data_returned(const struct virtq_buffer *buffer, uint64_t seed);

#endif
