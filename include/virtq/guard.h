/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_guard
 * @brief The guard of a space: memory is withdrawn from device ends on other threads, and the
 * withdrawal returns only when none of them can still use it (L3).
 *
 * Three schemes, chosen when the guard is made:
 * - **caller**: whoever withdraws sees to it that no queue's owner is inside a call. Nothing is
 * waited for.
 * - **epoch**: each owner says when it begins and ends a burst of calls: one full barrier a burst,
 * on a line of its own. A withdrawal waits until all who began before it have ended.
 * - **lock**: each owner holds a lock of its own during a burst; a withdrawal takes every lock
 * once.
 *
 * Without a guard a space behaves as with the caller's scheme.
 *
 *     virtq_guard_enter(&user);
 *     n = virtq_device_pop(device, ...);      // pieces may be touched from here on
 *     ...                                     // copy, serve, virtq_device_push()
 *     virtq_guard_leave(&user, virtq_device_outstanding(device), virtq_device_stale(device));
 *
 * Buffers that were popped and not pushed when their owner leaves hold their memory without a
 * burst. They are counted: after a withdrawal virtq_guard_held() says how many are left that were
 * popped before it, and whoever withdraws may wait for them, fail, or stop their owners. Until it
 * says 0 the memory must stay.
 *
 * A burst must not withdraw, update or invalidate: leave first. So must one that has got
 * VIRTQ_EMISS, before it resolves it.
 */
#ifndef VIRTQ_GUARD_H
#define VIRTQ_GUARD_H

#include <stdint.h>

#include "api.h"
#include "error.h"
#include "space.h"

VIRTQ_BEGIN_DECLS

/** @brief Who sees to it that a withdrawn window is not used any more. */
enum virtq_guard_scheme {
    VIRTQ_GUARD_CALLER = 0, /**< The caller serialises. */
    VIRTQ_GUARD_EPOCH = 1,  /**< A withdrawal waits for bursts that began before it. */
    VIRTQ_GUARD_LOCK = 2    /**< A burst is under a lock. */
};

/** @brief One owner of queues on the space: a thread, as far as the guard is concerned. The caller
 * owns the memory; the fields are private. */
struct virtq_guard_user {
    /** Epoch: 0 outside of a burst, else 2 * generation + 1 as it was when the burst began. Lock: 1
     * during a burst. On a cache line that only a withdrawal shares. */
    virtq_generation_t inside __attribute__((aligned(VIRTQ_CACHE_LINE)));
#if VIRTQ_ATOMIC64
    uint64_t held; /**< As of the last leave: generation (32 bits), buffers in flight (16), and of
                      them those from before that generation (16). */
#else
    uint32_t held_begun;      /**< Moves before the next two words do. */
    uint32_t held_generation; /**< The first half of what `held` is elsewhere, */
    uint32_t held_counts;     /**< the second one, */
    uint32_t held_done;       /**< and as `held_begun` once both are of one leave. */
#endif
    virtq_generation_t began;      /**< The generation when the burst began; the owner's. */
    struct virtq_guard *guard;     /**< Where it belongs; NULL: nowhere. */
    struct virtq_guard_user *next; /**< Guarded by the guard's lock. */
};

/** @brief A guard. The caller owns the memory; the fields are private. */
struct virtq_guard {
    struct virtq_space *space;      /**< The guarded one. */
    struct virtq_guard_user *users; /**< Who may have windows; guarded by `lock`. */
    uint32_t scheme;                /**< An enum virtq_guard_scheme. */
    uint32_t lock;                  /**< 1 while a thread is at the list. */
};

/** @brief Makes a guard and puts it before a space.
 * @param guard  result; owned by the caller, must outlive the space's queues
 * @param space  the device end's space; it has no guard yet
 * @param scheme an enum virtq_guard_scheme
 * @return 0; VIRTQ_EINVAL (no such scheme) or VIRTQ_EBUSY (the space has a guard): nothing changed.
 * Before the first queue uses the space. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_guard_init(struct virtq_guard *guard,
                                                struct virtq_space *space, uint32_t scheme);

/** @brief Takes the guard away from its space again.
 * @param guard a guard without users; no thread uses the space meanwhile
 * @return 0, or VIRTQ_EBUSY (it has users): nothing changed */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_guard_fini(struct virtq_guard *guard);

/** @brief Adds an owner of queues.
 * @param guard a guard
 * @param user  result; owned by the caller, must stay until virtq_guard_part(); its own cache lines
 * @return 0; VIRTQ_EINVAL (not aligned to #VIRTQ_CACHE_LINE): nothing changed. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_guard_join(struct virtq_guard *guard,
                                                struct virtq_guard_user *user);

/** @brief Removes an owner of queues, which has no windows and no buffers any more.
 * @param user outside of a burst; free when this returns. Any thread. */
VIRTQ_API void virtq_guard_part(struct virtq_guard_user *user);

/** @brief Returns when no burst is under way that began before the latest withdrawal. Every
 * withdrawal does this by itself: virtq_space_invalidated().
 * @param guard a guard. Any thread, not within a burst. */
VIRTQ_API void virtq_guard_wait(struct virtq_guard *guard);

/** @brief Buffers that were popped before the latest withdrawal and have not been pushed: they may
 * still lie in what was withdrawn.
 *
 * Never too few. It falls as their owners push them and leave; 0 stays 0 until the next withdrawal.
 * @param guard a guard
 * @return how many. Any thread, after the withdrawal has returned. */
VIRTQ_API uint64_t virtq_guard_held(struct virtq_guard *guard);

/** @brief Waits for a user's lock; see virtq_guard_enter(). @param user a user of a locking guard
 */
VIRTQ_API void virtq_guard_lock(struct virtq_guard_user *user);

/** @brief Begins a burst: until virtq_guard_leave() windows may be used.
 * @param user outside of a burst. Its owner's thread. */
VIRTQ_INLINE void virtq_guard_enter(struct virtq_guard_user *user)
{
    const struct virtq_guard *guard = user->guard;

    if (guard->scheme == (uint32_t)VIRTQ_GUARD_LOCK) {
        virtq_guard_lock(user);
    }
    user->began = __atomic_load_n(&guard->space->generation, __ATOMIC_ACQUIRE);
    if (guard->scheme == (uint32_t)VIRTQ_GUARD_EPOCH) {
        __atomic_store_n(&user->inside, user->began * 2u + 1u, __ATOMIC_RELAXED);
        /* G1, partner G2 of virtq_guard_wait(): the mark before any look at the generation. Either
         * we see the new generation and ask for new windows, or the withdrawal sees the mark. */
#if defined(__x86_64__)
        __asm__ __volatile__("lock; addl $0, -4(%%rsp)" ::: "memory", "cc");
#else
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
    }
}

/** @brief What virtq_guard_held() is to know of a user. @param user within a burst. Its owner's
 * thread. @param counts buffers in flight (16), and of them old ones (16) */
VIRTQ_INLINE void virtq_guard_tell(struct virtq_guard_user *user, uint32_t counts)
{
#if VIRTQ_ATOMIC64
    __atomic_store_n(&user->held, user->began << 32 | counts, __ATOMIC_RELAXED);
#else
    /* G5, partner G6 of virtq_guard_held(): whoever finds both counters alike has both words from
     * between them. */
    const uint32_t turn = user->held_done + 1u;

    __atomic_store_n(&user->held_begun, turn, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&user->held_generation, user->began, __ATOMIC_RELAXED);
    __atomic_store_n(&user->held_counts, counts, __ATOMIC_RELAXED);
    __atomic_store_n(&user->held_done, turn, __ATOMIC_RELEASE);
#endif
}

/** @brief Ends a burst: no piece may be touched any more but those of buffers in flight.
 * @param user within a burst. Its owner's thread.
 * @param outstanding virtq_device_outstanding(), summed up over the owner's queues on the space
 * @param stale       virtq_device_stale(), likewise */
VIRTQ_INLINE void virtq_guard_leave(struct virtq_guard_user *user, uint32_t outstanding,
                                    uint32_t stale)
{
    const uint32_t most = UINT16_MAX;
    const uint32_t flying = outstanding < most ? outstanding : most;
    const uint32_t old = stale < most ? stale : most;

    /* With the generation as it was at the beginning: a withdrawal meanwhile takes everything in
     * flight for its own. */
    virtq_guard_tell(user, flying << 16 | old);
    /* G3, partner G4 of virtq_guard_wait(): all that was done in the windows before they go. */
    __atomic_store_n(&user->inside, 0u, __ATOMIC_RELEASE);
}

VIRTQ_END_DECLS

#endif
