/* SPDX-License-Identifier: BSD-3-Clause */
/* The guard of a space: who is waited for, and which buffers are counted. */
#include <pthread.h>
#include <time.h>

#include "pair.h"

static const uint32_t waiting[] = {VIRTQ_GUARD_EPOCH, VIRTQ_GUARD_LOCK};

static void leave(struct pair *p, struct virtq_guard_user *user)
{
    virtq_guard_leave(user, virtq_device_outstanding(p->device), virtq_device_stale(p->device));
}

static void open_guarded(struct pair *p, struct virtq_guard *guard, struct virtq_guard_user *user,
                         uint32_t scheme)
{
    pair_open(p, 16, 0, PAIR_LEDGER);
    cr_assert_eq(virtq_guard_init(guard, p->space, scheme), VIRTQ_OK);
    cr_assert_eq(virtq_guard_join(guard, user), VIRTQ_OK);
}

Test(core_guard, refuses_what_makes_no_sense_and_changes_nothing)
{
    static struct virtq_guard_user user;
    struct virtq_direct direct;
    struct virtq_guard guard;
    struct virtq_guard second;

    cr_assert_eq(virtq_direct_init(&direct, NULL, 0, UINT64_MAX, VIRTQ_PERMISSION_READ), VIRTQ_OK);
    cr_assert_eq(virtq_guard_init(&guard, &direct.space, 3), VIRTQ_EINVAL);
    cr_assert_null(direct.space.guard);
    cr_assert_eq(virtq_guard_init(&guard, &direct.space, VIRTQ_GUARD_EPOCH), VIRTQ_OK);
    cr_assert_eq(virtq_guard_init(&second, &direct.space, VIRTQ_GUARD_LOCK), VIRTQ_EBUSY);
    cr_assert_eq(direct.space.guard, &guard);
    cr_assert_eq(
        virtq_guard_join(&guard, (struct virtq_guard_user *)(void *)((unsigned char *)&user + 8)),
        VIRTQ_EINVAL);
    cr_assert_eq(virtq_guard_join(&guard, &user), VIRTQ_OK);
    cr_assert_eq(virtq_guard_fini(&guard), VIRTQ_EBUSY);
    virtq_guard_part(&user);
    cr_assert_eq(virtq_guard_fini(&guard), VIRTQ_OK);
    cr_assert_null(direct.space.guard);
}

PairTest(core_guard, L3_counts_what_was_popped_before_the_withdrawal_until_it_is_pushed)
{
    static struct virtq_guard_user user;

    for (uint32_t scheme = VIRTQ_GUARD_CALLER; scheme <= VIRTQ_GUARD_LOCK; scheme++) {
        struct virtq_guard guard;

        open_guarded(p, &guard, &user, scheme);
        pair_send(p, 6, 1);
        virtq_guard_enter(&user);
        cr_assert_eq(pair_pop(p, 3), 3);
        leave(p, &user);
        cr_assert_eq(virtq_guard_held(&guard), 0u, "nothing was withdrawn yet");
        virtq_space_invalidated(p->space);
        cr_assert_eq(virtq_guard_held(&guard), 3u);

        virtq_guard_enter(&user);
        cr_assert_eq(virtq_device_stale(p->device), 3u);
        cr_assert_eq(pair_push(p, 1, 0), 1);
        cr_assert_eq(virtq_device_stale(p->device), 2u);
        cr_assert_eq(virtq_device_pop(p->device, p->chains + 3, 3, p->pieces + PAIR_PIECES / 2, 8),
                     3);
        cr_assert_eq(virtq_device_stale(p->device), 2u, "popped afterwards");
        cr_assert_eq(virtq_device_outstanding(p->device), 5u);
        leave(p, &user);
        cr_assert_eq(virtq_guard_held(&guard), 2u);

        virtq_guard_enter(&user);
        for (unsigned i = 0; i < 6; i++) {
            cr_assert_eq(pair_push(p, i, 0), i == 1 ? VIRTQ_EINVAL : 1);
        }
        cr_assert_eq(virtq_device_publish(p->device), 6);
        leave(p, &user);
        cr_assert_eq(virtq_guard_held(&guard), 0u);
        cr_assert_eq(pair_poll(p, 6), 6);
        virtq_guard_part(&user);
        pair_close(p);
    }
}

PairTest(core_guard, L3_takes_all_in_flight_for_its_own_where_the_queue_has_not_looked_since)
{
    static struct virtq_guard_user user;
    struct virtq_guard guard;

    open_guarded(p, &guard, &user, VIRTQ_GUARD_EPOCH);
    pair_send(p, 4, 1);
    virtq_guard_enter(&user);
    cr_assert_eq(pair_pop(p, 4), 4);
    leave(p, &user);
    virtq_space_invalidated(p->space);
    virtq_guard_enter(&user);
    leave(p, &user); /* No call in between. */
    cr_assert_eq(virtq_guard_held(&guard), 4u);
    virtq_space_invalidated(p->space);
    cr_assert_eq(virtq_guard_held(&guard), 4u);
    virtq_guard_enter(&user);
    cr_assert_eq(virtq_device_unpop(p->device, p->chains + 2, 2), VIRTQ_OK);
    cr_assert_eq(pair_push(p, 0, 0), 1);
    leave(p, &user);
    cr_assert_eq(virtq_guard_held(&guard), 1u, "put back is in flight no more");
    cr_assert_eq(pair_pop(p, 4), 2);
    cr_assert_eq(virtq_device_stale(p->device), 1u);
    virtq_guard_part(&user);
    cr_assert_eq(virtq_guard_fini(&guard), VIRTQ_OK);
}

PairTest(core_guard, L3_does_not_count_what_is_pushed_and_held_back_for_its_turn)
{
    static struct virtq_guard_user user;
    struct virtq_guard guard;

    pair_open(p, 16, VIRTQ_FEATURE(VIRTIO_F_IN_ORDER), PAIR_LEDGER);
    cr_assert_eq(virtq_guard_init(&guard, p->space, VIRTQ_GUARD_EPOCH), VIRTQ_OK);
    cr_assert_eq(virtq_guard_join(&guard, &user), VIRTQ_OK);
    pair_send(p, 3, 1);
    cr_assert_eq(pair_pop(p, 3), 3);
    cr_assert_eq(pair_push(p, 2, PAIR_SEGMENT), 1);
    virtq_space_moved(p->space);
    cr_assert_eq(virtq_device_stale(p->device), 2u);
    cr_assert_eq(pair_push(p, 0, PAIR_SEGMENT), 1);
    cr_assert_eq(virtq_device_stale(p->device), 1u);
    cr_assert_eq(pair_push(p, 1, PAIR_SEGMENT), 1);
    cr_assert_eq(virtq_device_stale(p->device), 0u);
    cr_assert_eq(virtq_device_publish(p->device), 3);
    virtq_guard_part(&user);
    cr_assert_eq(virtq_guard_fini(&guard), VIRTQ_OK);
}

/* ---- Who is waited for ---- */

struct withdrawal {
    struct virtq_space *space;
    uint32_t done;
};

static void *withdraw(void *argument)
{
    struct withdrawal *w = argument;

    virtq_space_invalidated(w->space);
    __atomic_store_n(&w->done, 1u, __ATOMIC_RELEASE);
    return NULL;
}

static void doze(void)
{
    const struct timespec a_while = {0, 20 * 1000 * 1000};

    (void)nanosleep(&a_while, NULL);
}

/* Those from which twice the number, and the number itself, wrap with the next withdrawal too. */
static const virtq_generation_t generations[] = {0, (virtq_generation_t)-1 / 2,
                                                 (virtq_generation_t)-1};

static void open_at(struct virtq_direct *direct, struct virtq_guard *guard, uint32_t scheme,
                    virtq_generation_t generation)
{
    cr_assert_eq(virtq_direct_init(direct, NULL, 0, UINT64_MAX, VIRTQ_PERMISSION_READ), VIRTQ_OK);
    direct->space.generation = generation;
    cr_assert_eq(virtq_guard_init(guard, &direct->space, scheme), VIRTQ_OK);
}

Test(core_guard, L3_a_withdrawal_returns_only_when_the_burst_before_it_has_ended)
{
    static struct virtq_guard_user users[2];

    for (unsigned i = 0; i < 2 * 3; i++) {
        struct withdrawal w = {NULL, 0};
        struct virtq_direct direct;
        struct virtq_guard guard;
        pthread_t thread;

        open_at(&direct, &guard, waiting[i % 2], generations[i / 2]);
        cr_assert_eq(virtq_guard_join(&guard, &users[0]), VIRTQ_OK);
        cr_assert_eq(virtq_guard_join(&guard, &users[1]), VIRTQ_OK);
        virtq_guard_enter(&users[0]);
        w.space = &direct.space;
        cr_assert_eq(pthread_create(&thread, NULL, withdraw, &w), 0);
        doze();
        cr_assert_eq(__atomic_load_n(&w.done, __ATOMIC_ACQUIRE), 0u, "scheme %u", waiting[i % 2]);
        virtq_guard_leave(&users[0], 0, 0);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        cr_assert_eq(w.done, 1u);
        virtq_guard_part(&users[0]);
        virtq_guard_part(&users[1]);
    }
}

Test(core_guard, L3_a_burst_that_began_after_it_is_not_waited_for)
{
    static struct virtq_guard_user user;

    for (unsigned i = 0; i < 3; i++) {
        struct virtq_direct direct;
        struct virtq_guard guard;

        open_at(&direct, &guard, VIRTQ_GUARD_EPOCH, generations[i]);
        cr_assert_eq(virtq_guard_join(&guard, &user), VIRTQ_OK);
        virtq_space_moved(&direct.space);
        virtq_guard_enter(&user);
        virtq_guard_wait(&guard);
        virtq_guard_leave(&user, 7, 3);
        cr_assert_eq(virtq_guard_held(&guard), 3u);
        virtq_space_moved(&direct.space);
        cr_assert_eq(virtq_guard_held(&guard), 7u);
        virtq_guard_part(&user);
    }
}

Test(core_guard, callers_who_serialise_wait_for_nothing)
{
    static struct virtq_guard_user user;
    struct virtq_direct direct;
    struct virtq_guard guard;

    cr_assert_eq(virtq_direct_init(&direct, NULL, 0, UINT64_MAX, VIRTQ_PERMISSION_READ), VIRTQ_OK);
    cr_assert_eq(virtq_guard_init(&guard, &direct.space, VIRTQ_GUARD_CALLER), VIRTQ_OK);
    cr_assert_eq(virtq_guard_join(&guard, &user), VIRTQ_OK);
    virtq_guard_enter(&user);
    virtq_space_invalidated(&direct.space);
    virtq_guard_leave(&user, 0, 0);
    virtq_guard_part(&user);
}
