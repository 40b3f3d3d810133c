/* SPDX-License-Identifier: BSD-3-Clause */
#include "checksum.h"

/* Halves are summed apart, so that no carry is ever lost and none has to be waited for. */
#define WORD(to, from, len, low, high, copying)                           \
    do {                                                                  \
        uint64_t both = 0;                                                \
                                                                          \
        VIRTQ_PRIV_CHECKSUM_STEP(uint64_t, both, to, from, len, copying); \
        (low) += both & VIRTQ_PRIV_LOW32;                                 \
        (high) += both >> 32;                                             \
    } while (0)

VIRTQ_TEMPLATE uint32_t sum_words(unsigned char *to, const unsigned char *from, size_t len,
                                  int copying)
{
    uint64_t low = 0;
    uint64_t high = 0;

    while (len >= 4 * sizeof(uint64_t)) {
        WORD(to, from, len, low, high, copying);
        WORD(to, from, len, low, high, copying);
        WORD(to, from, len, low, high, copying);
        WORD(to, from, len, low, high, copying);
    }
    return virtq_priv_checksum_narrow(low + high +
                                      virtq_priv_checksum_tail(to, from, len, copying));
}

uint32_t virtq_priv_checksum_sum(const unsigned char *from, size_t len)
{
    return sum_words(NULL, from, len, 0);
}

/* Where a word that may be unaligned is loaded byte by byte, it matters that most are aligned. */
uint32_t virtq_priv_checksum_portable(void *out, const void *in, size_t len)
{
    if ((((uintptr_t)out | (uintptr_t)in) & (sizeof(uint64_t) - 1)) == 0) {
        return sum_words(__builtin_assume_aligned(out, sizeof(uint64_t)),
                         __builtin_assume_aligned(in, sizeof(uint64_t)), len, 1);
    }
    return sum_words(out, in, len, 1);
}
