/* SPDX-License-Identifier: BSD-3-Clause */
/* Each ring has a thread of its own, while the front-end's messages change memory, call and enable
 * beneath it: L3, L5. */
#include <pthread.h>
#include <sched.h>

#include "frontend.h"

#define FEATURES (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | FRONTEND_PROTOCOL)

enum { ROUNDS = 300 };

struct worker {
    struct frontend *f;
    uint32_t index;
    uint32_t stop;
    pthread_t thread;
};

static struct worker workers[FRONTEND_RINGS];

static void *work(void *opaque)
{
    struct worker *worker = opaque;

    while (__atomic_load_n(&worker->stop, __ATOMIC_ACQUIRE) == 0) {
        if (virtq_vhost_user_vring_enabled(worker->f->backend, worker->index)) {
            frontend_serve(worker->f, worker->index);
        }
        sched_yield();
    }
    return NULL;
}

static int start(void *opaque, uint32_t index)
{
    workers[index].f = opaque;
    workers[index].index = index;
    workers[index].stop = 0;
    return pthread_create(&workers[index].thread, NULL, work, &workers[index]);
}

static void stop(void *opaque, uint32_t index)
{
    (void)opaque;
    __atomic_store_n(&workers[index].stop, 1u, __ATOMIC_RELEASE);
    cr_assert_eq(pthread_join(workers[index].thread, NULL), 0);
}

static const struct virtq_vhost_user_ops threaded = {
    .size = sizeof(struct virtq_vhost_user_ops), .started = start, .stopping = stop};

static void exchange(struct frontend *f, unsigned index, unsigned count)
{
    unsigned done = 0;

    for (unsigned i = 0; i < count; i++) {
        frontend_add(f, index, index * 8 + i);
    }
    while (done < count) {
        done += frontend_take(f, index);
        sched_yield();
    }
}

Test(host_threads, l3_memory_and_calls_change_while_other_threads_serve)
{
    struct frontend f;
    struct virtq_vhost_user_slot extra = {0,
                                          {UINT64_C(1) << 40, 0x10000, UINT64_C(1) << 50, 0x1000}};
    struct virtq_vhost_user_memory memory = {.count = 2};
    int fds[2];

    frontend_open_with(&f, 0, &threaded);
    fds[0] = f.file;
    fds[1] = f.file;
    memory.regions[0] = frontend_region(0);
    memory.regions[1] = frontend_region(1);
    frontend_greet(&f, FEATURES);
    frontend_start(&f, 0, FEATURES, 8);
    frontend_start(&f, 1, FEATURES, 16);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t index = i % FRONTEND_RINGS;

        exchange(&f, 0, 3);
        exchange(&f, 1, 2);
        cr_assert_eq(frontend_try(&f, VHOST_USER_ADD_MEM_REG, &extra, sizeof(extra), &f.file, 1),
                     0);
        exchange(&f, 0, 2);
        cr_assert_eq(frontend_try(&f, VHOST_USER_SET_VRING_CALL, &index, 8, &f.call[index], 1), 0);
        cr_assert_eq(frontend_try(&f, VHOST_USER_REM_MEM_REG, &extra, sizeof(extra), NULL, 0), 0);
        if (i % 8 == 0) {
            /* The same memory anew: every window that a ring has goes, and its buffers too. */
            cr_assert_eq(frontend_try(&f, VHOST_USER_SET_MEM_TABLE, &memory, 8 + 2 * 32, fds, 2),
                         0);
        }
        cr_assert_eq(frontend_try_state(&f, VHOST_USER_SET_VRING_ENABLE, 1, 0), 0);
        exchange(&f, 0, 2);
        cr_assert_eq(frontend_try_state(&f, VHOST_USER_SET_VRING_ENABLE, 1, 1), 0);
    }
    cr_assert_eq(virtq_vhost_user_backend_process(f.backend), 0);
    cr_assert_eq(virtq_vhost_user_backend_mapped(f.backend), 2u * FRONTEND_REGION);
    cr_assert_eq(frontend_stop(&f, 0), (uint32_t)ROUNDS * 7);
    cr_assert_eq(frontend_stop(&f, 1), (uint32_t)ROUNDS * 2);
    frontend_close(&f);
}

static unsigned woken[FRONTEND_RINGS];

static void count_wake(void *opaque, uint32_t index)
{
    (void)opaque;
    woken[index]++;
}

/* Nobody kicks for what was available before a ring was enabled, nor at a descriptor that has been
 * replaced. */
Test(host_threads, a_ring_with_a_thread_of_its_own_is_told_to_look_again)
{
    static const struct virtq_vhost_user_ops told = {.size = sizeof(struct virtq_vhost_user_ops),
                                                     .wake = count_wake};
    struct frontend f;

    woken[0] = woken[1] = 0;
    frontend_open_with(&f, 0, &told);
    frontend_greet(&f, FEATURES);
    cr_assert_eq(frontend_try_state(&f, VHOST_USER_SET_VRING_ENABLE, 0, 0), 0);
    cr_assert_eq(woken[0], 0u, "it does not run");
    frontend_start(&f, 0, FEATURES, 8);
    cr_assert_eq(woken[0], 2u, "started, and enabled");
    cr_assert_eq(frontend_try_state(&f, VHOST_USER_SET_VRING_ENABLE, 0, 0), 0);
    cr_assert_eq(frontend_try_state(&f, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
    cr_assert_eq(woken[0], 4u);
    cr_assert_eq(frontend_kick_message(&f, 0), 0);
    cr_assert_eq(woken[0], 5u);
    cr_assert_eq(woken[1], 0u);
    frontend_close(&f);
}
