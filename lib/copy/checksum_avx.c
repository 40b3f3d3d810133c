/* SPDX-License-Identifier: BSD-3-Clause */
#include "checksum_wide.h"

typedef int virtq_priv_checksum_avx_unit; /* On another machine there is nothing. */

#ifdef VIRTQ_PRIV_X86_VECTORS

#    define AVX2 __attribute__((target("avx2")))

typedef uint64_t vector128 __attribute__((vector_size(16)));
typedef uint64_t vector256 __attribute__((vector_size(32)));

enum {
    XCR0_YMM = 0x06, /* XMM and the upper halves of YMM are saved ... */
    XCR0_ZMM = 0xe6  /* ... and the mask registers and ZMM, too. */
};

/* Whether the system saves the registers of these state components. */
static int saves(uint32_t components)
{
    const uint32_t needed = VIRTQ_PRIV_LEAF1_ECX_OSXSAVE | VIRTQ_PRIV_LEAF1_ECX_AVX;
    uint32_t low;
    uint32_t high;

    if (virtq_priv_cpuid(0).eax < 7 || (virtq_priv_cpuid(1).ecx & needed) != needed) {
        return 0;
    }
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & components) == components;
}

int virtq_priv_has_avx2(void)
{
    return saves(XCR0_YMM) && (virtq_priv_cpuid(7).ebx & VIRTQ_PRIV_LEAF7_EBX_AVX2) != 0;
}

/* The first processors with AVX-512 slow down when it is used; those that have VBMI2 too do not. */
int virtq_priv_has_avx512(void)
{
    const uint32_t basic = VIRTQ_PRIV_LEAF7_EBX_AVX512F | VIRTQ_PRIV_LEAF7_EBX_AVX512BW;
    const uint32_t later = VIRTQ_PRIV_LEAF7_ECX_VBMI2 | VIRTQ_PRIV_LEAF7_ECX_VNNI;
    struct virtq_priv_cpuid id;

    if (!saves(XCR0_ZMM)) {
        return 0;
    }
    id = virtq_priv_cpuid(7);
    return (id.ebx & basic) == basic && (id.ecx & later) == later;
}

AVX2 VIRTQ_TEMPLATE vector256 rest256(unsigned char *to, const unsigned char *from, size_t len)
{
    return (vector256){virtq_priv_checksum_tail(to, from, len, 1)};
}

/* Halves onto halves: a step takes no longer than one word of a plain sum. */
AVX2 VIRTQ_TEMPLATE uint64_t total256(vector256 all)
{
    const vector128 half = (vector128){all[0], all[1]} + (vector128){all[2], all[3]};

    return half[0] + half[1];
}

AVX2 uint32_t virtq_priv_checksum_avx2(void *out, const void *in, size_t len)
{
    VIRTQ_PRIV_CHECKSUM_WIDE(vector256, "+x", rest256, total256);
}

#endif
