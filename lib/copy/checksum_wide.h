/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Copying and summing with vectors of 64-bit words, for any width of vector.
 */
#ifndef VIRTQ_LIB_COPY_CHECKSUM_WIDE_H
#define VIRTQ_LIB_COPY_CHECKSUM_WIDE_H

#include "checksum.h"

/** @brief Loads, stores and sums the next vector. As with VIRTQ_PRIV_CHECKSUM_STEP, `constraint`
 * keeps it in the one register it was loaded into. */
#define VIRTQ_PRIV_CHECKSUM_VECTOR(vector, constraint, low, high) \
    do {                                                          \
        vector words;                                             \
        memcpy(&words, from, sizeof(words));                      \
        __asm__("" : constraint(words));                          \
        memcpy(to, &words, sizeof(words));                        \
        (low) += words & VIRTQ_PRIV_LOW32;                        \
        (high) += words >> 32;                                    \
        from += sizeof(words);                                    \
        to += sizeof(words);                                      \
        len -= sizeof(words);                                     \
    } while (0)

/** @brief The body of a variant, whose parameters are `checksum`, `out`, `in` and `len`.
 *
 * Vectors never overlap, for then bytes of shared memory would be loaded twice: what is left before
 * the first and after the last whole one is for `rest`.
 * @param vector     a vector of uint64_t
 * @param constraint of a register for one, read and written
 * @param align      what stores of long copies are aligned to; 1: as they come
 * @param rest       a function that copies less than a vector, and gives a vector of partial sums
 */
#define VIRTQ_PRIV_CHECKSUM_WIDE(vector, constraint, align, rest)                  \
    do {                                                                           \
        const size_t bytes = len;                                                  \
        unsigned char *to = out;                                                   \
        const unsigned char *from = in;                                            \
        vector low = {0};                                                          \
        vector high = {0};                                                         \
        vector low_odd = {0};                                                      \
        vector high_odd = {0};                                                     \
        uint64_t sum = 0;                                                          \
                                                                                   \
        if ((align) != 1 && len >= 8 * sizeof(vector)) {                           \
            /* An even number: bytes keep their places in their words. */          \
            size_t head = (0 - (size_t)(uintptr_t)to) & ~(size_t)1 & ((align)-1u); \
                                                                                   \
            if (head != 0) {                                                       \
                high = rest(to, from, head);                                       \
                to += head;                                                        \
                from += head;                                                      \
                len -= head;                                                       \
            }                                                                      \
        }                                                                          \
        while (len >= 4 * sizeof(vector)) {                                        \
            VIRTQ_PRIV_CHECKSUM_VECTOR(vector, constraint, low, high);             \
            VIRTQ_PRIV_CHECKSUM_VECTOR(vector, constraint, low_odd, high_odd);     \
            VIRTQ_PRIV_CHECKSUM_VECTOR(vector, constraint, low, high);             \
            VIRTQ_PRIV_CHECKSUM_VECTOR(vector, constraint, low_odd, high_odd);     \
        }                                                                          \
        if (len >= 2 * sizeof(vector)) {                                           \
            VIRTQ_PRIV_CHECKSUM_VECTOR(vector, constraint, low, high);             \
            VIRTQ_PRIV_CHECKSUM_VECTOR(vector, constraint, low_odd, high_odd);     \
        }                                                                          \
        if (len >= sizeof(vector)) {                                               \
            VIRTQ_PRIV_CHECKSUM_VECTOR(vector, constraint, low, high);             \
        }                                                                          \
        if (len != 0) {                                                            \
            low_odd += rest(to, from, len);                                        \
        }                                                                          \
        low = (low + high) + (low_odd + high_odd);                                 \
        for (unsigned i = 0; i < sizeof(vector) / sizeof(uint64_t); i++) {         \
            sum += low[i];                                                         \
        }                                                                          \
        virtq_priv_checksum_go_on(checksum, sum, bytes);                           \
    } while (0)

#endif
