/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Copying and summing with vectors of 64-bit words, for any width of vector.
 */
#ifndef VIRTQ_LIB_COPY_CHECKSUM_WIDE_H
#define VIRTQ_LIB_COPY_CHECKSUM_WIDE_H

#include "checksum.h"

/** @brief Loads, stores and sums vector number `at` from here on. As with VIRTQ_PRIV_CHECKSUM_STEP,
 * `constraint` keeps it in the one register it was loaded into. `all` wraps; see
 * VIRTQ_PRIV_CHECKSUM_WIDE. */
#define VIRTQ_PRIV_CHECKSUM_VECTOR(vector, constraint, all, high, at) \
    do {                                                              \
        vector words;                                                 \
        memcpy(&words, from + (at) * sizeof(words), sizeof(words));   \
        __asm__("" : constraint(words));                              \
        memcpy(to + (at) * sizeof(words), &words, sizeof(words));     \
        (all) += words;                                               \
        (high) += words >> 32;                                        \
    } while (0)

/** @brief Goes on behind so many bytes. */
#define VIRTQ_PRIV_CHECKSUM_PASS(bytes) \
    do {                                \
        from += (bytes);                \
        to += (bytes);                  \
        len -= (bytes);                 \
    } while (0)

/** @brief The next two vectors: neither sum waits for the other. */
#define VIRTQ_PRIV_CHECKSUM_TWO(vector, constraint)                           \
    do {                                                                      \
        VIRTQ_PRIV_CHECKSUM_VECTOR(vector, constraint, all, high, 0);         \
        VIRTQ_PRIV_CHECKSUM_VECTOR(vector, constraint, all_odd, high_odd, 1); \
        VIRTQ_PRIV_CHECKSUM_PASS(2 * sizeof(vector));                         \
    } while (0)

/** @brief The next four. */
#define VIRTQ_PRIV_CHECKSUM_FOUR(vector, constraint)                          \
    do {                                                                      \
        VIRTQ_PRIV_CHECKSUM_VECTOR(vector, constraint, all, high, 0);         \
        VIRTQ_PRIV_CHECKSUM_VECTOR(vector, constraint, all_odd, high_odd, 1); \
        VIRTQ_PRIV_CHECKSUM_VECTOR(vector, constraint, all, high, 2);         \
        VIRTQ_PRIV_CHECKSUM_VECTOR(vector, constraint, all_odd, high_odd, 3); \
        VIRTQ_PRIV_CHECKSUM_PASS(4 * sizeof(vector));                         \
    } while (0)

/** @brief The body of a variant, whose parameters are `out`, `in` and `len`: it returns the partial
 * sum.
 *
 * Words of 64 bits are summed modulo 2^64, and their upper halves exactly; what the sum of the
 * lower halves was, which has room as well, follows from both. That takes one operation less than
 * to part each word.
 *
 * Vectors never overlap, for then bytes of shared memory would be loaded twice: what is left before
 * the first and after the last whole one is for `rest`.
 * @param vector     a vector of uint64_t
 * @param constraint of a register for one, read and written
 * @param rest       a function that copies less than a vector, and gives a vector of partial sums
 * @param total      a function that adds the words of a vector
 */
#define VIRTQ_PRIV_CHECKSUM_WIDE(vector, constraint, rest, total)         \
    do {                                                                  \
        unsigned char *to = out;                                          \
        const unsigned char *from = in;                                   \
        vector all = {0};                                                 \
        vector high = {0};                                                \
        vector all_odd = {0};                                             \
        vector high_odd = {0};                                            \
        vector rests = {0};                                               \
                                                                          \
        while (len >= 8 * sizeof(vector)) {                               \
            VIRTQ_PRIV_CHECKSUM_FOUR(vector, constraint);                 \
            VIRTQ_PRIV_CHECKSUM_FOUR(vector, constraint);                 \
        }                                                                 \
        if (len >= 4 * sizeof(vector)) {                                  \
            VIRTQ_PRIV_CHECKSUM_FOUR(vector, constraint);                 \
        }                                                                 \
        if (len >= 2 * sizeof(vector)) {                                  \
            VIRTQ_PRIV_CHECKSUM_TWO(vector, constraint);                  \
        }                                                                 \
        if (len >= sizeof(vector)) {                                      \
            VIRTQ_PRIV_CHECKSUM_VECTOR(vector, constraint, all, high, 0); \
            VIRTQ_PRIV_CHECKSUM_PASS(sizeof(vector));                     \
        }                                                                 \
        if (len != 0) {                                                   \
            rests += rest(to, from, len);                                 \
        }                                                                 \
        high += high_odd;                                                 \
        all += all_odd;                                                   \
        all = (all - (high << 32)) + high + rests;                        \
        return virtq_priv_checksum_narrow(total(all));                    \
    } while (0)

#endif
