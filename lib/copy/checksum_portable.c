/* SPDX-License-Identifier: BSD-3-Clause */
#include "checksum.h"

/* Halves are summed apart, so that no carry is ever lost and none has to be waited for. */
VIRTQ_TEMPLATE uint64_t copy_words(unsigned char *to, const unsigned char *from, size_t len)
{
    uint64_t low = 0;
    uint64_t high = 0;

    while (len >= sizeof(uint64_t)) {
        uint64_t both = 0;

        VIRTQ_PRIV_CHECKSUM_STEP(uint64_t, both, to, from, len);
        low += both & VIRTQ_PRIV_LOW32;
        high += both >> 32;
    }
    return low + high + virtq_priv_checksum_tail(to, from, len);
}

/* Where a word that may be unaligned is loaded byte by byte, it matters that most are aligned. */
void virtq_priv_checksum_portable(struct virtq_checksum *checksum, void *to, const void *from,
                                  size_t len)
{
    uint64_t part;

    if ((((uintptr_t)to | (uintptr_t)from) & (sizeof(uint64_t) - 1)) == 0) {
        part = copy_words(__builtin_assume_aligned(to, sizeof(uint64_t)),
                          __builtin_assume_aligned(from, sizeof(uint64_t)), len);
    } else {
        part = copy_words(to, from, len);
    }
    virtq_priv_checksum_go_on(checksum, part, len);
}
