/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The one door to shared memory: every load and store of a ring, an event word or a table.
 *
 * Each function does exactly one access of its own width, so that a field cannot be read twice or
 * in halves (threats: double fetch, torn access). Only a processor without 64-bit accesses
 * (#VIRTQ_ATOMIC64) takes two for a descriptor's address: each half once, and an honest peer does
 * not change what it has published. Data loads and stores are relaxed atomics, not
 * plain ones: the peer writes at the same time. A test may define #VIRTQ_SHM_TRACE before including
 * this and sees every access before it happens, and every barrier (#VIRTQ_BARRIER_TRACE).
 */
#ifndef VIRTQ_INLINE_SHM_H
#define VIRTQ_INLINE_SHM_H

#include <stdbool.h>
#include <stdint.h>

#include "../api.h"

#ifndef VIRTQ_SHM_TRACE
/** @brief A test's hook, called before each access: pointer, width in bytes, an enum virtq_access.
 */
#    define VIRTQ_SHM_TRACE(pointer, width, access) ((void)0)
#endif

#ifndef VIRTQ_BARRIER_TRACE
/** @brief A test's hook, called before each barrier, also before one that is no instruction here:
 * 'w' write, 'r' read, 'f' full. */
#    define VIRTQ_BARRIER_TRACE(kind) ((void)0)
#endif

/** @brief What a test's hook is told of an access; bit 0 says whether it stores. */
enum virtq_access {
    VIRTQ_ACCESS_LOAD = 0,    /**< A relaxed load, or a copy out of a table. */
    VIRTQ_ACCESS_STORE = 1,   /**< A relaxed store. */
    VIRTQ_ACCESS_ACQUIRE = 2, /**< A load that later accesses stay behind. */
    VIRTQ_ACCESS_RELEASE = 3  /**< A store that earlier accesses stay before. */
};

/** @brief Which instance of a template: a constant, so that everything that depends on it folds
 * away.
 *
 * The low bits are an enum virtq_space_kind; the rest are flags. */
enum virtq_instance {
    VIRTQ_INSTANCE_CALLED = 0,     /**< Any space: at most one call per buffer or per miss. */
    VIRTQ_INSTANCE_DIRECT = 1,     /**< Address = pointer + constant. */
    VIRTQ_INSTANCE_BAR = 2,        /**< Address = checked offset. */
    VIRTQ_INSTANCE_PREMAPPED = 3,  /**< Addresses pass through. */
    VIRTQ_INSTANCE_KIND = 3,       /**< Mask of the above. */
    VIRTQ_INSTANCE_BIG_ENDIAN = 4, /**< The ring is big-endian: a legacy guest. */
    VIRTQ_INSTANCE_PLATFORM = 8    /**< VIRTIO_F_ORDER_PLATFORM was negotiated. */
};

/** @brief Whether ring words have to be swapped on this processor.
 * @param how an enum virtq_instance
 * @return a constant where `how` is one */
VIRTQ_TEMPLATE bool virtq_shm_swaps(unsigned how)
{
    return ((how & VIRTQ_INSTANCE_BIG_ENDIAN) != 0u) != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

/** @brief Swaps the bytes of a word. Written out: some processors lack the instruction, and their
 * compilers would call a library for the builtin. @param value a word @return it, last byte first
 */
VIRTQ_TEMPLATE uint32_t virtq_shm_swap32(uint32_t value)
{
    return value << 24 | (value & 0xff00u) << 8 | (value >> 8 & 0xff00u) | value >> 24;
}

/** @brief Swaps the bytes of a word. @param value a word @return it, last byte first */
VIRTQ_TEMPLATE uint64_t virtq_shm_swap64(uint64_t value)
{
    return (uint64_t)virtq_shm_swap32((uint32_t)value) << 32 |
           virtq_shm_swap32((uint32_t)(value >> 32));
}

/** @brief Ring order to processor order and back. @param value a word @param how an instance
 * @return the word */
VIRTQ_TEMPLATE uint16_t virtq_shm_order16(uint16_t value, unsigned how)
{
    if (virtq_shm_swaps(how)) {
        value = (uint16_t)(value << 8 | value >> 8);
    }
    return value;
}

/** @brief Ring order to processor order and back. @param value a word @param how an instance
 * @return the word */
VIRTQ_TEMPLATE uint32_t virtq_shm_order32(uint32_t value, unsigned how)
{
    return virtq_shm_swaps(how) ? virtq_shm_swap32(value) : value;
}

/** @brief Ring order to processor order and back. @param value a word @param how an instance
 * @return the word */
VIRTQ_TEMPLATE uint64_t virtq_shm_order64(uint64_t value, unsigned how)
{
    return virtq_shm_swaps(how) ? virtq_shm_swap64(value) : value;
}

/** @brief Two 16-bit fields that lie side by side as the one word they are loaded as. @param first
 * the one at the lower address @param second the other @param how the instance @return the word in
 * processor order */
VIRTQ_TEMPLATE uint32_t virtq_shm_pair(uint16_t first, uint16_t second, unsigned how)
{
    return (how & VIRTQ_INSTANCE_BIG_ENDIAN) != 0u ? (uint32_t)first << 16 | second
                                                   : (uint32_t)second << 16 | first;
}

/** @brief The field at the lower address. @param tail the word @param how the instance @return it
 */
VIRTQ_TEMPLATE uint16_t virtq_shm_pair_first(uint32_t tail, unsigned how)
{
    return (uint16_t)((how & VIRTQ_INSTANCE_BIG_ENDIAN) != 0u ? tail >> 16 : tail);
}

/** @brief The field at the higher address. @param tail the word @param how the instance @return it
 */
VIRTQ_TEMPLATE uint16_t virtq_shm_pair_second(uint32_t tail, unsigned how)
{
    return (uint16_t)((how & VIRTQ_INSTANCE_BIG_ENDIAN) != 0u ? tail : tail >> 16);
}

/** @brief One 16-bit load. @param from ring word @param how an instance @return its value */
VIRTQ_TEMPLATE uint16_t virtq_shm_load16(const uint16_t *from, unsigned how)
{
    VIRTQ_SHM_TRACE(from, 2, VIRTQ_ACCESS_LOAD);
    return virtq_shm_order16(__atomic_load_n(from, __ATOMIC_RELAXED), how);
}

/** @brief One 16-bit load that later accesses stay behind. @param from ring word @param how an
 * instance @return value */
VIRTQ_TEMPLATE uint16_t virtq_shm_load16_acquire(const uint16_t *from, unsigned how)
{
    VIRTQ_SHM_TRACE(from, 2, VIRTQ_ACCESS_ACQUIRE);
    return virtq_shm_order16(__atomic_load_n(from, __ATOMIC_ACQUIRE), how);
}

/** @brief One 32-bit load. @param from ring word @param how an instance @return its value */
VIRTQ_TEMPLATE uint32_t virtq_shm_load32(const uint32_t *from, unsigned how)
{
    VIRTQ_SHM_TRACE(from, 4, VIRTQ_ACCESS_LOAD);
    return virtq_shm_order32(__atomic_load_n(from, __ATOMIC_RELAXED), how);
}

/** @brief A word of 64 bits that lies over narrower fields. */
typedef uint64_t virtq_shm_fields_t __attribute__((may_alias));

#if VIRTQ_ATOMIC64
/** @brief 64 bits as they lie. @param from where @return them */
VIRTQ_TEMPLATE uint64_t virtq_shm_load_whole(const uint64_t *from)
{
    return __atomic_load_n(from, __ATOMIC_RELAXED);
}

/** @brief 64 bits as they are to lie. @param to where @param value they */
VIRTQ_TEMPLATE void virtq_shm_store_whole(virtq_shm_fields_t *to, uint64_t value)
{
    __atomic_store_n(to, value, __ATOMIC_RELAXED);
}
#else
/** @brief Half of a word of 64 bits. */
typedef uint32_t virtq_shm_half_t __attribute__((may_alias));

/** @brief 64 bits as they lie. @param from where @return them */
VIRTQ_TEMPLATE uint64_t virtq_shm_load_whole(const uint64_t *from)
{
    const virtq_shm_half_t *half = (const virtq_shm_half_t *)from;
    const uint64_t first = __atomic_load_n(&half[0], __ATOMIC_RELAXED);
    const uint64_t second = __atomic_load_n(&half[1], __ATOMIC_RELAXED);

    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? first << 32 | second : second << 32 | first;
}

/** @brief 64 bits as they are to lie. @param to where @param value they */
VIRTQ_TEMPLATE void virtq_shm_store_whole(virtq_shm_fields_t *to, uint64_t value)
{
    virtq_shm_half_t *half = (virtq_shm_half_t *)to;
    const unsigned high = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 0 : 1;

    __atomic_store_n(&half[high], (uint32_t)(value >> 32), __ATOMIC_RELAXED);
    __atomic_store_n(&half[1 - high], (uint32_t)value, __ATOMIC_RELAXED);
}
#endif

/** @brief One 64-bit load. @param from ring word @param how an instance @return its value */
VIRTQ_TEMPLATE uint64_t virtq_shm_load64(const uint64_t *from, unsigned how)
{
    VIRTQ_SHM_TRACE(from, 8, VIRTQ_ACCESS_LOAD);
    return virtq_shm_order64(virtq_shm_load_whole(from), how);
}

/** @brief Sets a ring's memory to zero by the stores that a ring knows: aligned, of 2, 4 or 8
 * bytes. A memset may make others, which memory of a device need not take (M9).
 * @param base aligned to 2 @param len bytes, an even number */
VIRTQ_INLINE void virtq_shm_zero(void *base, uint64_t len)
{
    unsigned char *at = (unsigned char *)base;

    while (len != 0u) {
        const uintptr_t low = (uintptr_t)at;
        const unsigned width = (low & 7u) == 0u && len >= 8u   ? 8u
                               : (low & 3u) == 0u && len >= 4u ? 4u
                                                               : 2u;

        VIRTQ_SHM_TRACE(at, width, VIRTQ_ACCESS_STORE);
        if (width == 8u) {
            virtq_shm_store_whole((uint64_t *)(void *)at, 0u);
        } else if (width == 4u) {
            __atomic_store_n((uint32_t *)(void *)at, 0u, __ATOMIC_RELAXED);
        } else {
            __atomic_store_n((uint16_t *)(void *)at, 0u, __ATOMIC_RELAXED);
        }
        at += width;
        len -= width;
    }
}

/** @brief One 16-bit store. @param to ring word @param value its value @param how an instance */
VIRTQ_TEMPLATE void virtq_shm_store16(uint16_t *to, uint16_t value, unsigned how)
{
    VIRTQ_SHM_TRACE(to, 2, VIRTQ_ACCESS_STORE);
    __atomic_store_n(to, virtq_shm_order16(value, how), __ATOMIC_RELAXED);
}

/** @brief One 16-bit store that earlier accesses stay before. @param to ring word @param value its
 * value @param how an instance */
VIRTQ_TEMPLATE void virtq_shm_store16_release(uint16_t *to, uint16_t value, unsigned how)
{
    VIRTQ_SHM_TRACE(to, 2, VIRTQ_ACCESS_RELEASE);
    __atomic_store_n(to, virtq_shm_order16(value, how), __ATOMIC_RELEASE);
}

/** @brief One 32-bit store. @param to ring word @param value its value @param how an instance */
VIRTQ_TEMPLATE void virtq_shm_store32(uint32_t *to, uint32_t value, unsigned how)
{
    VIRTQ_SHM_TRACE(to, 4, VIRTQ_ACCESS_STORE);
    __atomic_store_n(to, virtq_shm_order32(value, how), __ATOMIC_RELAXED);
}

/** @brief One 32-bit store that earlier accesses stay before. @param to ring word @param value its
 * value @param how an instance */
VIRTQ_TEMPLATE void virtq_shm_store32_release(uint32_t *to, uint32_t value, unsigned how)
{
    VIRTQ_SHM_TRACE(to, 4, VIRTQ_ACCESS_RELEASE);
    __atomic_store_n(to, virtq_shm_order32(value, how), __ATOMIC_RELEASE);
}

/** @brief Three fields that lie side by side in eight aligned bytes, in one store: stores wait in
 * the processor for the ring's lines, and each takes a place there. @param to the first field
 * @param first its value @param second of the next @param third of the last @param how an instance
 */
VIRTQ_TEMPLATE void virtq_shm_store_fields(uint32_t *to, uint32_t first, uint16_t second,
                                           uint16_t third, unsigned how)
{
    const uint64_t word = (how & VIRTQ_INSTANCE_BIG_ENDIAN) != 0u
                              ? (uint64_t)first << 32 | (uint32_t)second << 16 | third
                              : (uint64_t)third << 48 | (uint64_t)second << 32 | first;

    VIRTQ_SHM_TRACE(to, 8, VIRTQ_ACCESS_STORE);
    virtq_shm_store_whole((virtq_shm_fields_t *)(void *)to, virtq_shm_order64(word, how));
}

/** @brief One 64-bit store. @param to ring word @param value its value @param how an instance */
VIRTQ_TEMPLATE void virtq_shm_store64(uint64_t *to, uint64_t value, unsigned how)
{
    VIRTQ_SHM_TRACE(to, 8, VIRTQ_ACCESS_STORE);
    virtq_shm_store_whole(to, virtq_shm_order64(value, how));
}

#endif
