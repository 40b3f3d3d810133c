/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A program of examples/ that is run as a process of its own, and a ring of its device whose
 * driver end is hostile. Before it the program is included, with example_main for its main().
 */
#ifndef VIRTQ_TESTS_HOST_SERVED_H
#define VIRTQ_TESTS_HOST_SERVED_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"
#include "virtq/host/socket.h"
#include "virtq/host/vhost_user_queue.h"
#include "virtq/host/vhost_user_space.h"

enum { SERVED_SIZE = 256, SERVED_ROOM = 1 << 16, SERVED_PATIENCE = 60000 };

struct served {
    pid_t child;
    char paths[2][64];
    struct virtq_vhost_user_frontend *frontend;
    struct virtq_vhost_user_space *space;
    struct virtq_vhost_user_queue *queue;
    struct virtq_layout layout;
    bool broken; /* It has said so of the ring. */
};

static _Alignas(VIRTQ_CACHE_LINE) unsigned char served_memory[3][SERVED_ROOM];

static inline void served_broken(void *opaque, uint32_t index)
{
    (void)index;
    ((struct served *)opaque)->broken = true;
}

/* Runs the program with that many paths to listen at. */
static inline int served_connect(struct served *served, int paths)
{
    const char *const arguments[] = {"example", served->paths[0], served->paths[1]};
    int fd;

    served->child = fork();
    cr_assert(served->child >= 0);
    if (served->child == 0) {
        /* It does not outlive a test that fails. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(freopen("/dev/null", "w", stdout) == NULL
                  ? 99
                  : example_main(1 + paths, (char **)(uintptr_t)arguments));
    }
    for (unsigned i = 0; (fd = virtq_socket_connect(served->paths[0])) < 0; i++) {
        cr_assert(i < 3000 && waitpid(served->child, NULL, WNOHANG) == 0);
        (void)poll(NULL, 0, 10);
    }
    return fd;
}

/* Starts a split ring of the program's first device. */
static inline void served_open(struct served *served, int paths, uint32_t index, uint64_t buffers)
{
    const struct virtq_vhost_user_frontend_ops ops = {.size = sizeof(ops), .broken = served_broken};
    struct virtq_vhost_user_frontend_config config = VIRTQ_VHOST_USER_FRONTEND_CONFIG_INIT;
    struct virtq_vhost_user_queue_config ring = VIRTQ_VHOST_USER_QUEUE_CONFIG_INIT;
    struct virtq_vhost_user_space_config room = VIRTQ_VHOST_USER_SPACE_CONFIG_INIT;
    const uint64_t features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);

    memset(served, 0, sizeof(*served));
    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(served->paths[i], sizeof(served->paths[i]), "/tmp/virtq-served-%d-%u.sock",
                       (int)getpid(), i);
    }
    config.deadline = SERVED_PATIENCE;
    config.queue_count = index + 1;
    config.ops = &ops;
    config.opaque = served;
    config.socket = served_connect(served, paths);
    cr_assert_eq(
        virtq_vhost_user_frontend_init(served_memory[0], SERVED_ROOM, &config, &served->frontend),
        0);
    cr_assert_eq(virtq_vhost_user_frontend_greet(served->frontend), 0);
    cr_assert_eq(virtq_vhost_user_frontend_accept(served->frontend, features), 0);
    cr_assert_eq(virtq_layout_init(VIRTQ_FORMAT_SPLIT, SERVED_SIZE, &served->layout), 0);
    ring.frontend = room.frontend = served->frontend;
    ring.index = index;
    ring.size = SERVED_SIZE;
    ring.segments_max = 1;
    room.ring_size = virtq_vhost_user_queue_ring_size(&ring);
    room.buffer_size = buffers;
    cr_assert_eq(virtq_vhost_user_space_init(served_memory[1], SERVED_ROOM, &room, &served->space),
                 0);
    ring.space = served->space->space;
    ring.ring = served->space->rings;
    cr_assert_eq(virtq_vhost_user_queue_init(served_memory[2], SERVED_ROOM, &ring, &served->queue),
                 0);
    cr_assert_eq(virtq_vhost_user_queue_start(served->queue), 0);
    cr_assert_eq(virtq_vhost_user_frontend_ready(served->frontend), 0);
}

/* The driver's number of buffers made available, and the device's of used ones. */
static inline uint16_t *served_available(const struct served *served)
{
    unsigned char *area = (unsigned char *)served->space->rings + served->layout.driver.offset;

    return (uint16_t *)(void *)area + 1;
}

static inline uint16_t *served_used(const struct served *served)
{
    unsigned char *area = (unsigned char *)served->space->rings + served->layout.device.offset;

    return (uint16_t *)(void *)area + 1;
}

/* Of a ring that is stopped, or whose connection is over. */
static inline void served_close(struct served *served)
{
    virtq_vhost_user_queue_fini(served->queue);
    virtq_vhost_user_space_fini(served->space);
    virtq_vhost_user_frontend_fini(served->frontend);
}

#endif
