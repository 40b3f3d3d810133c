/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Slots of whole granules, first fit, over bits in private memory. See
 * virtq/space/granules.h.
 *
 * It knows numbers of granules only, and touches nothing but its bits. Every function locks.
 */
#ifndef VIRTQ_LIB_SPACE_GRANULES_H
#define VIRTQ_LIB_SPACE_GRANULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtq/space/granules.h"

/** @brief Where a slot may begin: at granules whose number is `phase` modulo `stride`. */
struct virtq_priv_place {
    uint64_t stride; /**< A power of two. */
    uint64_t phase;  /**< Below `stride`. */
};

/** @brief Whether `granule` is a power of two in [least, most]. */
bool virtq_priv_granule_legal(uint32_t granule, uint32_t least, uint32_t most);

/** @brief Bytes of the bits for the whole granules of `size` bytes; 0 if there are none or they
 * exceed size_t. */
size_t virtq_priv_granules_size(uint64_t size, uint32_t granule);

/** @brief All free. `granule` is legal and `memory` holds virtq_priv_granules_size(), 8-byte
 * aligned. */
void virtq_priv_granules_init(struct virtq_granules *granules, uint64_t size, uint32_t granule,
                              void *memory);

/** @brief The granules whose address is `wanted` modulo `modulus`, if granule 0 has address
 * `start`. */
struct virtq_priv_place virtq_priv_granules_place(const struct virtq_granules *granules,
                                                  uint64_t start, uint64_t wanted,
                                                  uint64_t modulus);

/** @brief How many granules hold `len` bytes, at least 1 of them; never wraps. */
uint64_t virtq_priv_granules_of(const struct virtq_granules *granules, uint64_t len);

/** @brief Takes `number` granules: 0, VIRTQ_ENOMEM or VIRTQ_ETOOBIG (not even if all were free).
 * Counts. */
int virtq_priv_granules_alloc(struct virtq_granules *granules, uint64_t number,
                              struct virtq_priv_place place, uint64_t *first);

/** @brief Takes `number` granules, or counts nothing and is false. */
bool virtq_priv_granules_take(struct virtq_granules *granules, uint64_t number,
                              struct virtq_priv_place place, uint64_t *first);

/** @brief Counts that `number` granules were not to be had: VIRTQ_ENOMEM or VIRTQ_ETOOBIG. */
int virtq_priv_granules_refuse(struct virtq_granules *granules, uint64_t number,
                               struct virtq_priv_place place);

/** @brief Granules of the slot that begins at `first`; 0 if none does. */
uint64_t virtq_priv_granules_slot(struct virtq_granules *granules, uint64_t first);

/** @brief Gives a slot back, of which virtq_priv_granules_slot() said how long it is. */
void virtq_priv_granules_free(struct virtq_granules *granules, uint64_t first, uint64_t number);

/** @brief Whether all of [first, last] is taken, by whatever slots. */
bool virtq_priv_granules_taken(struct virtq_granules *granules, uint64_t first, uint64_t last);

#endif
