/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The variants of copying and summing, and what they share.
 *
 * A partial sum is a 32-bit number that is congruent, modulo 0xffff, to the sum of the 16-bit words
 * in this machine's byte order, and 0 only if all bytes are. Halves of wider words count as words.
 */
#ifndef VIRTQ_LIB_COPY_CHECKSUM_H
#define VIRTQ_LIB_COPY_CHECKSUM_H

#include <stdint.h>
#include <string.h>

#include "virtq/copy_checksum.h"
#include "x86.h"

#if defined(VIRTQ_PRIV_X86_VECTORS)
#    define VIRTQ_PRIV_SIMD128 "+x"
#elif defined(__aarch64__) && defined(__ARM_NEON)
#    define VIRTQ_PRIV_SIMD128 "+w"
#endif

/** @brief The lower half of a 64-bit word. */
#define VIRTQ_PRIV_LOW32 UINT64_C(0xffffffff)

/** @brief Copies up to VIRTQ_CHECKSUM_STEP bytes, and gives their partial sum. */
typedef uint32_t (*virtq_priv_checksum_function)(void *out, const void *in, size_t len);

/** @brief 8 bytes at a time. */
uint32_t virtq_priv_checksum_portable(void *out, const void *in, size_t len);
/** @brief 16 bytes at a time. */
uint32_t virtq_priv_checksum_simd128(void *out, const void *in, size_t len);
/** @brief 32 bytes at a time. */
uint32_t virtq_priv_checksum_avx2(void *out, const void *in, size_t len);
/** @brief 64 bytes at a time. */
uint32_t virtq_priv_checksum_avx512(void *out, const void *in, size_t len);

/** @brief The partial sum of up to VIRTQ_CHECKSUM_STEP bytes, which are not copied. */
uint32_t virtq_priv_checksum_sum(const unsigned char *from, size_t len);

/** @brief Whether this processor and the system let AVX2 be used. */
int virtq_priv_has_avx2(void);
/** @brief Whether they let AVX-512BW be used, and it is not slower than AVX2. */
int virtq_priv_has_avx512(void);

/** @brief A partial sum, of a 64-bit one. Of its upper half, the carry goes round. */
VIRTQ_TEMPLATE uint32_t virtq_priv_checksum_narrow(uint64_t wide)
{
    return (uint32_t)((wide + (wide << 32 | wide >> 32)) >> 32);
}

/** @brief Adds the partial sum of `len` more bytes.
 *
 * The carry goes round: modulo 2^64 - 1, and so modulo 0xffff, the sum stays the same. After an odd
 * number of bytes each byte has changed its place in its word, which is what a multiplication by
 * 256 does modulo 0xffff. */
VIRTQ_TEMPLATE void virtq_priv_checksum_go_on(struct virtq_checksum *checksum, uint32_t part,
                                              size_t len)
{
    const uint64_t more = checksum->odd != 0 ? (uint64_t)part << 8 : part;
    const uint64_t sum = checksum->sum + more;

    checksum->sum = sum + (sum < more);
    checksum->odd ^= (uint32_t)(len & 1);
}

/** @brief Copies one word and adds it to `sum`. It passes through a register that the compiler
 * knows nothing of: otherwise it might load it from shared memory again for the sum.
 * @param copying constant 0: it is only summed */
#define VIRTQ_PRIV_CHECKSUM_STEP(type, sum, to, from, len, copying) \
    do {                                                            \
        type word;                                                  \
        memcpy(&word, from, sizeof(word));                          \
        VIRTQ_OPAQUE(word);                                         \
        (from) += sizeof(word);                                     \
        (len) -= sizeof(word);                                      \
        (sum) += word;                                              \
        if (copying) {                                              \
            memcpy(to, &word, sizeof(word));                        \
            (to) += sizeof(word);                                   \
        }                                                           \
    } while (0)

/** @brief The last few bytes. */
VIRTQ_TEMPLATE uint64_t virtq_priv_checksum_tail(unsigned char *to, const unsigned char *from,
                                                 size_t len, int copying)
{
    uint64_t sum = 0;

    while (len >= sizeof(uint64_t)) {
        uint64_t both = 0;

        VIRTQ_PRIV_CHECKSUM_STEP(uint64_t, both, to, from, len, copying);
        sum += (both & VIRTQ_PRIV_LOW32) + (both >> 32);
    }
    if (len >= sizeof(uint32_t)) {
        VIRTQ_PRIV_CHECKSUM_STEP(uint32_t, sum, to, from, len, copying);
    }
    if (len >= sizeof(uint16_t)) {
        VIRTQ_PRIV_CHECKSUM_STEP(uint16_t, sum, to, from, len, copying);
    }
    if (len != 0) {
        /* The first byte of a word, whose second one is 0. */
        unsigned char last[2] = {0, 0};
        uint16_t padded;

        VIRTQ_PRIV_CHECKSUM_STEP(unsigned char, last[0], to, from, len, copying);
        memcpy(&padded, last, sizeof(padded));
        sum += padded;
    }
    return sum;
}

#endif
