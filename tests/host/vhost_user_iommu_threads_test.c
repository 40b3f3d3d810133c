/* SPDX-License-Identifier: BSD-3-Clause */
/* Each ring has a thread of its own that sleeps until it is kicked, while translations come and go
 * beneath it: M1, L3, L5. */
#include <pthread.h>
#include <sched.h>

#include "frontend_iommu.h"

#define FEATURES (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | FRONTEND_PROTOCOL)

enum { ROUNDS = 200 };

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
    struct virtq_vhost_user_backend *backend = worker->f->backend;

    while (__atomic_load_n(&worker->stop, __ATOMIC_ACQUIRE) == 0) {
        struct pollfd ready = {virtq_vhost_user_vring_kick_fd(backend, worker->index), POLLIN, 0};
        uint64_t count;

        cr_assert(poll(&ready, 1, 60000) == 1, "nobody has kicked");
        (void)!read(ready.fd, &count, sizeof(count));
        if (virtq_vhost_user_vring_enabled(backend, worker->index)) {
            frontend_serve(worker->f, worker->index);
        }
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
    __atomic_store_n(&workers[index].stop, 1u, __ATOMIC_RELEASE);
    frontend_kick(opaque, index);
    cr_assert_eq(pthread_join(workers[index].thread, NULL), 0);
}

static const struct virtq_vhost_user_ops threaded = {
    .size = sizeof(struct virtq_vhost_user_ops), .started = start, .stopping = stop};

static void exchange(struct iommu *io, unsigned index, unsigned count)
{
    unsigned done = 0;

    for (unsigned i = 0; i < count; i++) {
        frontend_add(&io->f, index, index * 8 + i);
    }
    frontend_kick(&io->f, index);
    while (done < count) {
        struct pollfd ready[2] = {{virtq_vhost_user_backend_fd(io->f.backend), POLLIN, 0},
                                  {io->f.call[index], POLLIN, 0}};

        cr_assert(poll(ready, 2, 60000) > 0, "nothing happens");
        (void)iommu_called(io, index);
        iommu_run(io);
        done += frontend_take(&io->f, index);
    }
}

static void threads_open(struct iommu *io, const struct virtq_vhost_user_ops *ops)
{
    iommu_open_with(io, 0, ops);
    frontend_greet(&io->f, FEATURES | IOMMU_PLATFORM);
    iommu_connect(io);
}

Test(host_iommu_threads, a_thread_that_sleeps_is_kicked_when_its_translation_comes)
{
    struct iommu io;

    threads_open(&io, &threaded);
    iommu_start(&io, 0, FEATURES, 8);
    iommu_start(&io, 1, FEATURES, 16);
    for (unsigned i = 0; i < ROUNDS; i++) {
        exchange(&io, 0, 3);
        exchange(&io, 1, 2);
        if (i % 3 == 0) {
            iommu_invalidate(&io, 0, 0);
        } else {
            iommu_invalidate(&io, iommu_first[1], FRONTEND_REGION);
        }
    }
    cr_assert_eq(frontend_stop(&io.f, 0), (uint32_t)ROUNDS * 3);
    cr_assert_eq(frontend_stop(&io.f, 1), (uint32_t)ROUNDS * 2);
    cr_assert(io.misses >= ROUNDS, "%u", io.misses);
    iommu_close(&io);
}

/* One burst of a thread, as long as it likes. */
struct burst {
    struct virtq_vhost_user_backend *backend;
    uint32_t inside;
    uint32_t over;
};

static void *stay_inside(void *opaque)
{
    struct burst *burst = opaque;

    virtq_vhost_user_vring_enter(burst->backend, 0);
    __atomic_store_n(&burst->inside, 1u, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < 30; i++) {
        sched_yield();
    }
    __atomic_store_n(&burst->over, 1u, __ATOMIC_RELEASE);
    virtq_vhost_user_vring_leave(burst->backend, 0);
    return NULL;
}

Test(host_iommu_threads, m1_an_invalidation_is_answered_when_no_burst_can_use_the_range)
{
    static const struct virtq_vhost_user_ops none = {.size = sizeof(none)};
    struct iommu io;

    threads_open(&io, &none);
    iommu_start(&io, 0, FEATURES, 8);
    cr_assert(virtq_vhost_user_vring_device(io.f.backend, 0) != NULL);
    for (unsigned i = 0; i < 5; i++) {
        struct burst burst = {io.f.backend, 0, 0};
        pthread_t thread;

        cr_assert_eq(iommu_tell(&io, VHOST_USER_IOTLB_UPDATE, iommu_first[1], IOMMU_PAGE,
                                frontend_user[1], IOMMU_BOTH),
                     0);
        cr_assert_eq(pthread_create(&thread, NULL, stay_inside, &burst), 0);
        while (__atomic_load_n(&burst.inside, __ATOMIC_ACQUIRE) == 0) {
            sched_yield();
        }
        iommu_invalidate(&io, iommu_first[1], IOMMU_PAGE);
        cr_assert_eq(__atomic_load_n(&burst.over, __ATOMIC_ACQUIRE), 1u);
        cr_assert_eq(pthread_join(thread, NULL), 0);
    }
    iommu_close(&io);
}
