/* SPDX-License-Identifier: BSD-3-Clause */
/* Withdrawals and the bursts that they have to wait for. */
#include "virtq/guard.h"

#include <stdbool.h>

#include "space/lock.h"

#define GENERATION_MAX ((virtq_generation_t)-1)

VIRTQ_API int virtq_guard_init(struct virtq_guard *guard, struct virtq_space *space,
                               uint32_t scheme)
{
    if (scheme > (uint32_t)VIRTQ_GUARD_LOCK) {
        return VIRTQ_EINVAL;
    }
    if (space->guard != NULL) {
        return VIRTQ_EBUSY;
    }
    guard->space = space;
    guard->users = NULL;
    guard->scheme = scheme;
    guard->lock = 0;
    space->guard = guard;
    space->guard_wait = virtq_guard_wait;
    return VIRTQ_OK;
}

VIRTQ_API int virtq_guard_fini(struct virtq_guard *guard)
{
    if (guard->users != NULL) {
        return VIRTQ_EBUSY;
    }
    guard->space->guard = NULL;
    return VIRTQ_OK;
}

VIRTQ_API int virtq_guard_join(struct virtq_guard *guard, struct virtq_guard_user *user)
{
    if ((uintptr_t)user % VIRTQ_CACHE_LINE != 0u) {
        return VIRTQ_EINVAL;
    }
    user->inside = 0;
#if VIRTQ_ATOMIC64
    user->held = 0;
#else
    user->held_begun = 0;
    user->held_generation = 0;
    user->held_counts = 0;
    user->held_done = 0;
#endif
    user->began = 0;
    user->guard = guard;
    virtq_priv_lock(&guard->lock);
    user->next = guard->users;
    guard->users = user;
    virtq_priv_unlock(&guard->lock);
    return VIRTQ_OK;
}

VIRTQ_API void virtq_guard_part(struct virtq_guard_user *user)
{
    struct virtq_guard *guard = user->guard;
    struct virtq_guard_user **at = &guard->users;

    virtq_priv_lock(&guard->lock);
    while (*at != user) {
        at = &(*at)->next;
    }
    *at = user->next;
    virtq_priv_unlock(&guard->lock);
    user->guard = NULL;
}

VIRTQ_API void virtq_guard_lock(struct virtq_guard_user *user)
{
    virtq_generation_t free = 0;

    while (!__atomic_compare_exchange_n(&user->inside, &free, 1u, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
        free = 0;
        virtq_priv_relax();
    }
}

/* A burst that began before `generation` may have windows of before. */
static void wait_for_epoch(const struct virtq_guard_user *user, virtq_generation_t generation)
{
    for (;;) {
        /* G4, partner G3 of virtq_guard_leave(). */
        const virtq_generation_t inside = __atomic_load_n(&user->inside, __ATOMIC_ACQUIRE);

        /* Twice a generation, and the difference of two, may wrap. */
        if (inside == 0u || (virtq_generation_t)(inside - generation * 2u) <= GENERATION_MAX / 2u) {
            return;
        }
        virtq_priv_relax();
    }
}

VIRTQ_API void virtq_guard_wait(struct virtq_guard *guard)
{
    const virtq_generation_t generation =
        __atomic_load_n(&guard->space->generation, __ATOMIC_RELAXED);

    if (guard->scheme == (uint32_t)VIRTQ_GUARD_CALLER) {
        return;
    }
    /* G2, partner G1 of virtq_guard_enter(): the new generation before any look at the marks. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    virtq_priv_lock(&guard->lock);
    for (struct virtq_guard_user *user = guard->users; user != NULL; user = user->next) {
        if (guard->scheme == (uint32_t)VIRTQ_GUARD_EPOCH) {
            wait_for_epoch(user, generation);
        } else {
            virtq_guard_lock(user);
            __atomic_store_n(&user->inside, 0u, __ATOMIC_RELEASE);
        }
    }
    virtq_priv_unlock(&guard->lock);
}

/* What virtq_guard_tell() told: the generation, then the counts. */
static uint64_t told_by(const struct virtq_guard_user *user)
{
#if VIRTQ_ATOMIC64
    return __atomic_load_n(&user->held, __ATOMIC_ACQUIRE);
#else
    for (;;) {
        /* G6, partner G5 of virtq_guard_tell(). */
        const uint32_t done = __atomic_load_n(&user->held_done, __ATOMIC_ACQUIRE);
        const uint64_t generation = __atomic_load_n(&user->held_generation, __ATOMIC_RELAXED);
        const uint32_t counts = __atomic_load_n(&user->held_counts, __ATOMIC_RELAXED);

        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&user->held_begun, __ATOMIC_RELAXED) == done) {
            return generation << 32 | counts;
        }
        virtq_priv_relax();
    }
#endif
}

VIRTQ_API uint64_t virtq_guard_held(struct virtq_guard *guard)
{
    const uint32_t generation =
        (uint32_t)__atomic_load_n(&guard->space->generation, __ATOMIC_ACQUIRE);
    uint64_t held = 0;

    virtq_priv_lock(&guard->lock);
    for (const struct virtq_guard_user *user = guard->users; user != NULL; user = user->next) {
        const uint64_t last = told_by(user);

        /* Who has not begun a burst since then has not told old from new. */
        held += (uint32_t)(last >> 32) == generation ? last & UINT16_MAX : last >> 16 & UINT16_MAX;
    }
    virtq_priv_unlock(&guard->lock);
    return held;
}
