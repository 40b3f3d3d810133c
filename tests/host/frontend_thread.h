/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The device of the tests on a thread of its own: another program but for the process
 * boundary.
 */
#ifndef VIRTQ_TESTS_HOST_FRONTEND_THREAD_H
#define VIRTQ_TESTS_HOST_FRONTEND_THREAD_H

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "frontend_device.h"

struct frontend_thread {
    struct frontend device;
    pthread_t thread;
    int end; /* Readable: it is to end. */
};

static inline void *frontend_thread_run(void *opaque)
{
    struct frontend_thread *other = opaque;
    struct pollfd ready[2] = {{virtq_vhost_user_backend_fd(other->device.backend), POLLIN, 0},
                              {other->end, POLLIN, 0}};
    int result = 0;

    while (result == 0 && ready[1].revents == 0) {
        (void)poll(ready, 2, -1);
        result = virtq_vhost_user_backend_process(other->device.backend);
    }
    return NULL;
}

/* A strict one, with some features more than usual. Its members are zero, but for what it is to say
 * of itself. */
static inline void frontend_thread_open(struct frontend_thread *other, int socket, uint64_t more)
{
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;
    size_t size;

    config.socket = socket;
    config.flags = VIRTQ_VHOST_USER_STRICT;
    config.features = FRONTEND_OFFERED | more;
    config.queue_count = FRONTEND_RINGS;
    config.config_size = FRONTEND_CONFIG;
    config.ops = &frontend_ops;
    config.opaque = &other->device;
    size = virtq_vhost_user_backend_size(&config);
    other->device.memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    cr_assert_eq(
        virtq_vhost_user_backend_init(other->device.memory, size, &config, &other->device.backend),
        0);
    other->end = eventfd(0, EFD_CLOEXEC);
    cr_assert(other->end >= 0);
    cr_assert_eq(pthread_create(&other->thread, NULL, frontend_thread_run, other), 0);
}

/* The device's program ends. */
static inline void frontend_thread_kill(struct frontend_thread *other)
{
    const uint64_t one = 1;

    cr_assert_eq(write(other->end, &one, sizeof(one)), (ssize_t)sizeof(one));
    cr_assert_eq(pthread_join(other->thread, NULL), 0);
    virtq_vhost_user_backend_fini(other->device.backend);
    other->device.backend = NULL;
}

static inline void frontend_thread_close(struct frontend_thread *other)
{
    if (other->device.backend != NULL) {
        frontend_thread_kill(other);
    }
    cr_assert_eq(close(other->end), 0);
    free(other->device.memory);
}

#endif
