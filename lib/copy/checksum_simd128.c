/* SPDX-License-Identifier: BSD-3-Clause */
#include "checksum_wide.h"

typedef int virtq_priv_checksum_simd128_unit; /* Where there are no vectors, there is nothing. */

#ifdef VIRTQ_PRIV_SIMD128

typedef uint64_t vector __attribute__((vector_size(16)));

VIRTQ_TEMPLATE vector rest128(unsigned char *to, const unsigned char *from, size_t len)
{
    return (vector){virtq_priv_checksum_tail(to, from, len, 1)};
}

VIRTQ_TEMPLATE uint64_t total128(vector all)
{
    return all[0] + all[1];
}

uint32_t virtq_priv_checksum_simd128(void *out, const void *in, size_t len)
{
    VIRTQ_PRIV_CHECKSUM_WIDE(vector, VIRTQ_PRIV_SIMD128, rest128, total128);
}

#endif
