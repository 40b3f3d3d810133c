/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Our front-end, and the device of the tests on a thread of its own: two programs but for
 * the process boundary. Memory, a space and a queue to go between them.
 */
#ifndef VIRTQ_TESTS_HOST_FRONTEND_RIG_H
#define VIRTQ_TESTS_HOST_FRONTEND_RIG_H

#include <stdlib.h>
#include <sys/socket.h>

#include "frontend_thread.h"
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
    struct frontend_thread other; /* The other program. */
    struct virtq_vhost_user_frontend *frontend;
    struct virtq_vhost_user_space_config room; /* Of the next space. */
    struct virtq_vhost_user_space *space;
    struct virtq_vhost_user_queue_config made; /* Of the next queue. */
    struct virtq_vhost_user_queue *queue;
    struct virtq_driver *driver;
    void *frontend_memory, *space_memory, *queue_memory;
};

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
    frontend_thread_open(&rig->other, ends[0], RIG_PLATFORM);
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

static inline void rig_close(struct rig *rig)
{
    virtq_vhost_user_frontend_fini(rig->frontend);
    frontend_thread_close(&rig->other);
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
