/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What an x86-64 processor says of itself, by the names in its manuals.
 */
#ifndef VIRTQ_LIB_COPY_X86_H
#define VIRTQ_LIB_COPY_X86_H

#ifdef __x86_64__

#    ifdef __SSE2__
/** @brief Defined if vector registers may be used. A program that is built without them has a
 * reason: it may be a kernel, which would spoil somebody's. */
#        define VIRTQ_PRIV_X86_VECTORS 1
#    endif

#    include <stdint.h>

#    include "virtq/api.h"

/** @brief What CPUID gives. */
struct virtq_priv_cpuid {
    uint32_t eax; /**< EAX. */
    uint32_t ebx; /**< EBX. */
    uint32_t ecx; /**< ECX. */
    uint32_t edx; /**< EDX. */
};

/** @brief Bits of CPUID: leaf, register, name. */
enum virtq_priv_cpuid_bit {
    VIRTQ_PRIV_LEAF1_ECX_SSE41 = 1 << 19,    /**< MOVNTDQA. */
    VIRTQ_PRIV_LEAF1_ECX_OSXSAVE = 1 << 27,  /**< XGETBV may be used. */
    VIRTQ_PRIV_LEAF1_ECX_AVX = 1 << 28,      /**< AVX. */
    VIRTQ_PRIV_LEAF7_EBX_AVX2 = 1 << 5,      /**< AVX2. */
    VIRTQ_PRIV_LEAF7_EBX_AVX512F = 1 << 16,  /**< 64-byte vectors. */
    VIRTQ_PRIV_LEAF7_EBX_AVX512BW = 1 << 30, /**< Masks of bytes. */
    VIRTQ_PRIV_LEAF7_ECX_VBMI2 = 1 << 6,     /**< Of a later generation. */
    VIRTQ_PRIV_LEAF7_ECX_VNNI = 1 << 11      /**< VPDPWSSD. */
};

/** @brief Asks the processor.
 * @param leaf what about; subleaf 0 */
VIRTQ_INLINE struct virtq_priv_cpuid virtq_priv_cpuid(uint32_t leaf)
{
    struct virtq_priv_cpuid id;

    __asm__ volatile("cpuid"
                     : "=a"(id.eax), "=b"(id.ebx), "=c"(id.ecx), "=d"(id.edx)
                     : "a"(leaf), "c"(0));
    return id;
}

#endif

#endif
