/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Our front-end, and the device of the tests on a thread of its own: two programs but for
 * the process boundary. Memory, a space and a queue to go between them.
 */
#ifndef VIRTQ_TESTS_HOST_FRONTEND_RIG_H
#define VIRTQ_TESTS_HOST_FRONTEND_RIG_H

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frontend_device.h"
#include "virtq/host/vhost_user_queue.h"
#include "virtq/host/vhost_user_space.h"

#define RIG_VERSION_1 VIRTQ_FEATURE(VIRTIO_F_VERSION_1)
#define RIG_PACKED VIRTQ_FEATURE(VIRTIO_F_RING_PACKED)
#define RIG_PLATFORM VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM)
#define RIG_MORE (VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) | VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC))

enum { RIG_PATIENCE = 60000, RIG_PAGE = 4096, RIG_BUFFERS = 16 * RIG_PAGE };

static const uint64_t rig_shapes[] = {RIG_VERSION_1, RIG_VERSION_1 | RIG_MORE,
                                      RIG_VERSION_1 | RIG_PACKED,
                                      RIG_VERSION_1 | RIG_PACKED | RIG_MORE};
enum { RIG_SHAPES = sizeof(rig_shapes) / sizeof(rig_shapes[0]) };

struct rig {
    struct frontend device; /* The other program's. */
    pthread_t thread;
    int end;
    struct virtq_vhost_user_frontend *frontend;
    struct virtq_vhost_user_space_config room; /* Of the next space. */
    struct virtq_vhost_user_space *space;
    struct virtq_vhost_user_queue_config made; /* Of the next queue. */
    struct virtq_vhost_user_queue *queue;
    struct virtq_driver *driver;
    void *frontend_memory, *space_memory, *queue_memory;
};

static inline void *rig_run_device(void *opaque)
{
    struct rig *rig = opaque;
    struct pollfd ready[2] = {{virtq_vhost_user_backend_fd(rig->device.backend), POLLIN, 0},
                              {rig->end, POLLIN, 0}};
    int result = 0;

    while (result == 0 && ready[1].revents == 0) {
        (void)poll(ready, 2, -1);
        result = virtq_vhost_user_backend_process(rig->device.backend);
    }
    return NULL;
}

static inline void rig_open_device(struct rig *rig, int socket)
{
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;
    size_t size;

    config.socket = socket;
    config.flags = VIRTQ_VHOST_USER_STRICT;
    config.features = FRONTEND_OFFERED | RIG_PLATFORM;
    config.queue_count = FRONTEND_RINGS;
    config.ops = &frontend_ops;
    config.opaque = &rig->device;
    size = virtq_vhost_user_backend_size(&config);
    rig->device.memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    cr_assert_eq(
        virtq_vhost_user_backend_init(rig->device.memory, size, &config, &rig->device.backend), 0);
    rig->end = eventfd(0, EFD_CLOEXEC);
    cr_assert(rig->end >= 0);
    cr_assert_eq(pthread_create(&rig->thread, NULL, rig_run_device, rig), 0);
}

/* A connection with these features, and of the protocol's only some. */
static inline void rig_open(struct rig *rig, uint64_t features, uint64_t protocol)
{
    const struct virtq_vhost_user_space_config room = VIRTQ_VHOST_USER_SPACE_CONFIG_INIT;
    const struct virtq_vhost_user_queue_config made = VIRTQ_VHOST_USER_QUEUE_CONFIG_INIT;
    struct virtq_vhost_user_frontend_config config = VIRTQ_VHOST_USER_FRONTEND_CONFIG_INIT;
    size_t size;
    int ends[2];

    memset(rig, 0, sizeof(*rig));
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    rig_open_device(rig, ends[0]);
    config.socket = ends[1];
    config.queue_count = FRONTEND_RINGS;
    config.deadline = RIG_PATIENCE;
    config.protocol = protocol;
    size = virtq_vhost_user_frontend_size(&config);
    rig->frontend_memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    cr_assert_eq(
        virtq_vhost_user_frontend_init(rig->frontend_memory, size, &config, &rig->frontend), 0);
    cr_assert_eq(virtq_vhost_user_frontend_greet(rig->frontend), 0);
    cr_assert_eq(virtq_vhost_user_frontend_accept(rig->frontend, features), 0);
    rig->room = room;
    rig->room.frontend = rig->frontend;
    rig->room.buffer_size = RIG_BUFFERS;
    rig->made = made;
    rig->made.frontend = rig->frontend;
    rig->made.size = 8;
    rig->made.segments_max = 2;
}

/* The device's program ends. */
static inline void rig_kill_device(struct rig *rig)
{
    const uint64_t one = 1;

    cr_assert_eq(write(rig->end, &one, sizeof(one)), (ssize_t)sizeof(one));
    cr_assert_eq(pthread_join(rig->thread, NULL), 0);
    virtq_vhost_user_backend_fini(rig->device.backend);
    rig->device.backend = NULL;
}

static inline void rig_close(struct rig *rig)
{
    virtq_vhost_user_frontend_fini(rig->frontend);
    if (rig->device.backend != NULL) {
        rig_kill_device(rig);
    }
    cr_assert_eq(close(rig->end), 0);
    free(rig->device.memory);
    free(rig->frontend_memory);
    free(rig->space_memory);
    free(rig->queue_memory);
}

/* Memory in a space as configured, for the ring as configured: 0, or why not. */
static inline int rig_take_space(struct rig *rig)
{
    size_t size;

    rig->room.ring_size = virtq_vhost_user_queue_ring_size(&rig->made);
    cr_assert_neq(rig->room.ring_size, 0u);
    size = virtq_vhost_user_space_size(&rig->room);
    if (size == 0) {
        return VIRTQ_EINVAL;
    }
    free(rig->space_memory);
    rig->space_memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    memset(rig->space_memory, 0xa5, size);
    return virtq_vhost_user_space_init(rig->space_memory, size, &rig->room, &rig->space);
}

/* A ring as configured, at the first byte for rings. */
static inline void rig_make_queue(struct rig *rig)
{
    size_t size;

    rig->made.space = rig->space->space;
    rig->made.ring = rig->space->rings;
    size = virtq_vhost_user_queue_size(&rig->made);
    free(rig->queue_memory);
    rig->queue_memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    memset(rig->queue_memory, 0xa5, size);
    cr_assert_eq(virtq_vhost_user_queue_init(rig->queue_memory, size, &rig->made, &rig->queue), 0);
    rig->driver = virtq_vhost_user_queue_driver(rig->queue);
}

static inline unsigned char *rig_place(const struct rig *rig, unsigned round)
{
    return (unsigned char *)rig->space->buffers + (size_t)(round % 16) * RIG_PAGE;
}

/* Adds a buffer of eight bytes each way. */
static inline void rig_add(struct rig *rig, unsigned round)
{
    unsigned char *place = rig_place(rig, round);
    struct virtq_segment segments[2] = {{.base = place, .len = 8}, {.base = place + 64, .len = 8}};
    struct virtq_buffer buffer = {
        .segments = segments, .readable = 1, .writable = 1, .cookie = place};

    for (unsigned i = 0; i < 8; i++) {
        place[i] = (unsigned char)(round * 8 + i);
        place[64 + i] = place[i];
    }
    cr_assert_eq(virtq_driver_add(rig->driver, &buffer, 1), 1);
}

/* Takes one back, and looks at what the device has written. */
static inline void rig_expect(struct rig *rig)
{
    struct virtq_completion completion = {0};
    const unsigned char *place;

    cr_assert_eq(virtq_vhost_user_queue_take(rig->queue, &completion, 1, RIG_PATIENCE), 1);
    cr_assert_eq(completion.len, 8u);
    place = completion.cookie;
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(place[64 + i], 255 - place[i]);
    }
}

/* Buffers there and back, up to three at a time. */
static inline void rig_traffic(struct rig *rig, unsigned count)
{
    for (unsigned round = 0; round < count; round++) {
        const unsigned lot = round % 3 + 1;

        for (unsigned i = 0; i < lot; i++) {
            rig_add(rig, round + i);
        }
        cr_assert_eq(virtq_vhost_user_queue_publish(rig->queue), lot);
        for (unsigned i = 0; i < lot; i++) {
            rig_expect(rig);
        }
    }
}

#endif
