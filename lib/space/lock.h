/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A spinlock on one word, for spaces that several queues share (L5).
 *
 * The core knows no operating system, so a waiter can only spin. Held for a few instructions to a
 * walk of a table, never over a copy or a caller's function.
 */
#ifndef VIRTQ_LIB_SPACE_LOCK_H
#define VIRTQ_LIB_SPACE_LOCK_H

#include <stdint.h>

#include "virtq/api.h"

/** @brief Tells the processor that this is a wait. */
VIRTQ_INLINE void virtq_priv_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

/** @brief Waits until the word is 0, and makes it 1. Acquire: pairs with virtq_priv_unlock(). */
VIRTQ_INLINE void virtq_priv_lock(uint32_t *lock)
{
    while (__atomic_exchange_n(lock, 1u, __ATOMIC_ACQUIRE) != 0) {
        /* Spin on a plain load: waiters then share the cache line instead of fighting over it. */
        while (__atomic_load_n(lock, __ATOMIC_RELAXED) != 0) {
            virtq_priv_relax();
        }
    }
}

/** @brief Makes the word 0. Release: pairs with virtq_priv_lock(). */
VIRTQ_INLINE void virtq_priv_unlock(uint32_t *lock)
{
    __atomic_store_n(lock, 0u, __ATOMIC_RELEASE);
}

#endif
