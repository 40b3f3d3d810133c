/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Single accesses of memory that is not ordinary: naturally aligned, of a known width.
 */
#ifndef VIRTQ_LIB_COPY_ACCESS_H
#define VIRTQ_LIB_COPY_ACCESS_H

#include <stdint.h>
#include <string.h>

#include "virtq/api.h"

/** @brief The widths that are one access on this machine, as a set. */
#define VIRTQ_PRIV_WIDTHS (UINTPTR_MAX > UINT32_MAX ? 15u : 7u)

/** @brief The widest access of a set that fits a range's beginning; 0 if none does.
 *
 * Blocks that are naturally aligned contain each other or have nothing in common, so that taking
 * the widest never spoils the rest. */
VIRTQ_INLINE uint32_t virtq_priv_access_width(uintptr_t at, size_t len, uint32_t widths)
{
    uint32_t width;

    for (width = 8; width != 0; width >>= 1) {
        if ((widths & width) != 0 && (at & (width - 1)) == 0 && len >= width) {
            break;
        }
    }
    return width;
}

/* One access each: a volatile one is neither split, merged nor left out. */
#define VIRTQ_PRIV_ACCESS_STORE(type)      \
    do {                                   \
        type word;                         \
        memcpy(&word, from, sizeof(word)); \
        *(volatile type *)to = word;       \
    } while (0)
#define VIRTQ_PRIV_ACCESS_LOAD(type)              \
    do {                                          \
        type word = *(const volatile type *)from; \
        memcpy(to, &word, sizeof(word));          \
    } while (0)

/** @brief Stores `width` private bytes with one access; `to` is aligned. */
VIRTQ_INLINE void virtq_priv_access_store(void *to, const void *from, uint32_t width)
{
    switch (width) {
    case 1:
        VIRTQ_PRIV_ACCESS_STORE(uint8_t);
        break;
    case 2:
        VIRTQ_PRIV_ACCESS_STORE(uint16_t);
        break;
    case 4:
        VIRTQ_PRIV_ACCESS_STORE(uint32_t);
        break;
    default:
        VIRTQ_PRIV_ACCESS_STORE(uint64_t);
        break;
    }
}

/** @brief Loads `width` bytes with one access; `from` is aligned. */
VIRTQ_INLINE void virtq_priv_access_load(void *to, const void *from, uint32_t width)
{
    switch (width) {
    case 1:
        VIRTQ_PRIV_ACCESS_LOAD(uint8_t);
        break;
    case 2:
        VIRTQ_PRIV_ACCESS_LOAD(uint16_t);
        break;
    case 4:
        VIRTQ_PRIV_ACCESS_LOAD(uint32_t);
        break;
    default:
        VIRTQ_PRIV_ACCESS_LOAD(uint64_t);
        break;
    }
}

/** @brief Stores with accesses of these widths, as many bytes of `len` as fit.
 * @param from NULL: zeros
 * @return bytes that were left */
size_t virtq_priv_access_copy_to(unsigned char *to, const unsigned char *from, size_t len,
                                 uint32_t widths);

/** @brief Loads with accesses of these widths, as many bytes of `len` as fit.
 * @return bytes that were left */
size_t virtq_priv_access_copy_from(unsigned char *to, const unsigned char *from, size_t len,
                                   uint32_t widths);

/** @brief All stores before it, of any kind, are visible to a device before any store behind it. */
VIRTQ_INLINE void virtq_priv_access_flush(void)
{
#if defined(__x86_64__)
    __asm__ volatile("sfence" ::: "memory");
#elif defined(__aarch64__)
    __asm__ volatile("dsb st" ::: "memory");
#elif defined(__riscv)
    __asm__ volatile("fence iorw, iorw" ::: "memory");
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

#endif
