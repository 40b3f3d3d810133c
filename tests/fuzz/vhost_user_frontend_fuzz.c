/* SPDX-License-Identifier: BSD-3-Clause */
/* A back-end made of whatever bytes there are, for a front-end that asks it everything there is to
 * ask. Its answers wait in the sockets before the questions come, so that nothing waits for long.
 *
 * The input: steps, each an enum step and what that reads; behind the end it reads as 0. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "replay.h"
#include "virtq/host/vhost_user_channel.h"
#include "virtq/host/vhost_user_frontend.h"
#include "virtq/host/vhost_user_queue.h"
#include "virtq/host/vhost_user_space.h"
#include "virtq/virtq.h"

enum { MEMORY = 1 << 16, STEPS = 120, QUEUES = 2 };

#define FEATURES                                                                   \
    (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM) | \
     VIRTQ_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES))

enum step {
    STEP_ANSWER,  /* Request, descriptors, payload's bytes, payload. */
    STEP_NUMBER,  /* Request, a number of eight bytes: the answer most questions have. */
    STEP_REQUEST, /* As STEP_ANSWER: the back-end's own, with flags before the size. */
    STEP_RAW,     /* How many (1), bytes. */
    STEP_CALL,    /* Which question. */
    STEP_COUNT
};

struct back_end {
    struct virtq_vhost_user_channel near; /* Its end of the connection. */
    struct virtq_vhost_user_channel own;  /* For its own requests. */
    struct virtq_vhost_user_frontend *frontend;
    struct virtq_vhost_user_space *space;
    struct virtq_vhost_user_queue *queue; /* In that space. */
    void *memory[2];                      /* Of both. */
    const uint8_t *bytes;
    size_t left;
    unsigned answered; /* Questions, well. */
};

static int file = -1;
static unsigned char *memory;

static void take(struct back_end *end, void *to, size_t len)
{
    const size_t some = len < end->left ? len : end->left;

    memset(to, 0, len);
    if (some != 0) {
        memcpy(to, end->bytes, some);
    }
    end->bytes += some;
    end->left -= some;
}

static unsigned byte(struct back_end *end)
{
    uint8_t value;

    take(end, &value, 1);
    return value;
}

/* Takes what the front-end has sent, and the channel that it gives. */
static void drain(struct back_end *end)
{
    struct virtq_vhost_user_message *message;

    while (virtq_vhost_user_channel_receive(&end->near, &message) == 1) {
        if (message->header.request == VHOST_USER_SET_BACKEND_REQ_FD && message->fd_count == 1) {
            virtq_vhost_user_channel_fini(&end->own);
            virtq_vhost_user_channel_init(&end->own, message->fds[0]);
            message->fds[0] = -1;
        }
    }
}

static void send_message(struct back_end *end, struct virtq_vhost_user_channel *to, uint32_t flags)
{
    struct virtq_vhost_user_header header = {0, flags, 0};
    unsigned char payload[256];
    const int fds[2] = {file, file};
    unsigned fd_count;

    header.request = byte(end);
    fd_count = byte(end) % 3;
    header.size = byte(end);
    take(end, payload, header.size);
    (void)!virtq_vhost_user_channel_send(to, &header, payload, fds, fd_count);
}

static void send_number(struct back_end *end)
{
    struct virtq_vhost_user_header header = {
        0, (uint32_t)VHOST_USER_VERSION | (uint32_t)VHOST_USER_REPLY, 8};
    unsigned char payload[8];

    header.request = byte(end);
    take(end, payload, sizeof(payload));
    (void)!virtq_vhost_user_channel_send(&end->near, &header, payload, NULL, 0);
}

static void send_raw(struct back_end *end)
{
    unsigned char bytes[256];
    const unsigned count = byte(end);

    take(end, bytes, count);
    if (end->near.socket >= 0) {
        (void)!send(end->near.socket, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

/* What is at a device address: the same place in the one share of memory. */
static int miss(void *opaque, const struct virtq_miss *asked, struct virtq_window *window)
{
    (void)opaque;
    if (asked->addr >= MEMORY) {
        return -1;
    }
    window->first = 0;
    window->last = MEMORY - 1;
    window->base = memory;
    window->permissions = (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE;
    return 0;
}

static int start(struct back_end *end, uint32_t index)
{
    struct virtq_vhost_user_ring ring = {.struct_size = sizeof(ring), .size = 8};
    struct virtq_layout layout;

    if (virtq_layout_init(VIRTQ_FORMAT_SPLIT, 8, &layout) != 0) {
        return -1;
    }
    virtq_layout_areas(&layout, memory + (size_t)index * 4096, &ring.areas);
    ring.addresses.descriptor = (virtq_addr_t)index * 4096 + layout.descriptor.offset;
    ring.addresses.driver = (virtq_addr_t)index * 4096 + layout.driver.offset;
    ring.addresses.device = (virtq_addr_t)index * 4096 + layout.device.offset;
    return virtq_vhost_user_frontend_start(end->frontend, index, &ring);
}

static int inflight(struct back_end *end)
{
    struct virtq_vhost_user_inflight records;
    int fd = -1;
    int result = virtq_vhost_user_frontend_get_inflight(end->frontend, QUEUES, 8, &records, &fd);

    if (result == 0) {
        (void)!virtq_vhost_user_frontend_set_inflight(end->frontend, &records, fd);
        (void)close(fd);
    }
    return result;
}

static int translations(struct back_end *end)
{
    const struct virtq_region region = {
        .first = 0, .last = MEMORY - 1, .base = memory, .permissions = 3};
    const int result = virtq_vhost_user_frontend_update(end->frontend, &region);

    return result | virtq_vhost_user_frontend_invalidate(end->frontend, 0, MEMORY - 1);
}

static int open_space(struct back_end *end)
{
    struct virtq_vhost_user_space_config config = VIRTQ_VHOST_USER_SPACE_CONFIG_INIT;
    size_t size;
    int error;

    if (end->space != NULL) {
        return -1;
    }
    config.frontend = end->frontend;
    config.kind = byte(end) % 4;
    config.ring_size = config.buffer_size = 4096;
    config.mappings = 8;
    size = virtq_vhost_user_space_size(&config);
    if (size == 0) {
        return -1;
    }
    end->memory[0] = aligned_alloc(VIRTQ_CACHE_LINE, size);
    error = virtq_vhost_user_space_init(end->memory[0], size, &config, &end->space);
    if (error != 0) {
        free(end->memory[0]);
        end->memory[0] = NULL;
    }
    return error;
}

static int open_queue(struct back_end *end)
{
    struct virtq_vhost_user_queue_config config = VIRTQ_VHOST_USER_QUEUE_CONFIG_INIT;
    size_t size;
    int error;

    if (end->space == NULL) {
        return -1;
    }
    config.frontend = end->frontend;
    config.space = end->space->space;
    config.ring = end->space->rings;
    config.size = 8;
    size = virtq_vhost_user_queue_size(&config);
    if (end->queue == NULL && size != 0) {
        end->memory[1] = aligned_alloc(VIRTQ_CACHE_LINE, size);
        error = virtq_vhost_user_queue_init(end->memory[1], size, &config, &end->queue);
        if (error != 0) {
            free(end->memory[1]);
            end->memory[1] = NULL;
        }
    }
    return end->queue != NULL ? virtq_vhost_user_queue_start(end->queue) : -1;
}

/* A buffer, and a look for it. */
static int drive(struct back_end *end)
{
    struct virtq_segment segment = {.len = 64};
    const struct virtq_buffer buffer = {.segments = &segment, .writable = 1};
    struct virtq_completion completion;

    if (end->queue == NULL) {
        return -1;
    }
    segment.base = end->space->buffers;
    if (virtq_driver_add(virtq_vhost_user_queue_driver(end->queue), &buffer, 1) == 1) {
        (void)virtq_vhost_user_queue_publish(end->queue);
    }
    return virtq_vhost_user_queue_take(end->queue, &completion, 1, 1);
}

static int stop_queue(struct back_end *end)
{
    int error = end->queue != NULL ? virtq_vhost_user_queue_stop(end->queue) : -1;
    void *cookie;

    /* As far as anybody knows it uses nothing any more. */
    while (error == 0 && virtq_driver_detach(virtq_vhost_user_queue_driver(end->queue), &cookie)) {
    }
    return error;
}

static void close_all(struct back_end *end)
{
    if (end->queue != NULL) {
        virtq_vhost_user_queue_fini(end->queue);
    }
    if (end->space != NULL) {
        virtq_vhost_user_space_fini(end->space);
    }
    free(end->memory[1]);
    free(end->memory[0]);
    virtq_vhost_user_frontend_fini(end->frontend);
}

static int ask(struct back_end *end, unsigned question)
{
    struct virtq_vhost_user_frontend *frontend = end->frontend;
    const struct virtq_vhost_user_share share = {memory, MEMORY, 0, 0, file, 0};
    unsigned char config[16] = {0};
    uint32_t base;

    switch (question % 21) {
    case 0:
        return virtq_vhost_user_frontend_greet(frontend);
    case 1:
        return virtq_vhost_user_frontend_accept(
            frontend, virtq_vhost_user_frontend_offered(frontend) & FEATURES);
    case 2:
        return virtq_vhost_user_frontend_set_memory(frontend, &share, 1);
    case 3:
        return virtq_vhost_user_frontend_add_memory(frontend, &share);
    case 4:
        return virtq_vhost_user_frontend_remove_memory(frontend, &share);
    case 5:
        return virtq_vhost_user_frontend_read_config(frontend, 4, config, sizeof(config));
    case 6:
        return virtq_vhost_user_frontend_write_config(frontend, 4, config, sizeof(config));
    case 7:
        return virtq_vhost_user_frontend_set_status(frontend, 4);
    case 8:
        return virtq_vhost_user_frontend_status(frontend);
    case 9:
        return virtq_vhost_user_frontend_set_log(frontend, file, MEMORY, 0);
    case 10:
        return inflight(end);
    case 11:
    case 12:
        return start(end, question % 21 - 11);
    case 13:
        return virtq_vhost_user_frontend_stop(frontend, 0, &base);
    case 14:
        return translations(end);
    case 15:
        return virtq_vhost_user_frontend_reset(frontend);
    case 16:
        return open_space(end);
    case 17:
        return open_queue(end);
    case 18:
        return drive(end);
    case 19:
        return stop_queue(end);
    default:
        return virtq_vhost_user_frontend_ready(frontend);
    }
}

static void step(struct back_end *end)
{
    uint32_t flags;

    switch (byte(end) % STEP_COUNT) {
    case STEP_ANSWER:
        send_message(end, &end->near, (uint32_t)VHOST_USER_VERSION | (uint32_t)VHOST_USER_REPLY);
        break;
    case STEP_NUMBER:
        send_number(end);
        break;
    case STEP_REQUEST:
        flags = byte(end);
        send_message(end, &end->own, flags);
        break;
    case STEP_RAW:
        send_raw(end);
        break;
    default:
        end->answered += ask(end, byte(end)) >= 0 ? 1 : 0;
        (void)!virtq_vhost_user_frontend_process(end->frontend);
        break;
    }
    drain(end);
}

static void open_once(void)
{
    if (file < 0) {
        file = memfd_create("share", MFD_CLOEXEC);
        if (file < 0 || ftruncate(file, MEMORY) != 0) {
            abort();
        }
        memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (memory == MAP_FAILED) {
            abort();
        }
    }
}

const unsigned fuzz_enough = 60; /* Questions that were answered well. */

unsigned fuzz_play(const uint8_t *data, size_t size)
{
    static const struct virtq_vhost_user_frontend_ops ops = {.size = sizeof(ops), .miss = miss};
    struct virtq_vhost_user_frontend_config config = VIRTQ_VHOST_USER_FRONTEND_CONFIG_INIT;
    struct back_end end = {.bytes = data, .left = size};
    void *own;
    int ends[2];
    int probes[2];
    size_t needed;

    open_once();
    probes[0] = dup(file);
    (void)close(probes[0]);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        abort();
    }
    virtq_vhost_user_channel_init(&end.near, ends[0]);
    virtq_vhost_user_channel_init(&end.own, -1);
    config.socket = ends[1];
    config.deadline = 1;
    config.queue_count = QUEUES;
    config.ops = &ops;
    config.opaque = &end;
    needed = (virtq_vhost_user_frontend_size(&config) + 63) / 64 * 64;
    own = aligned_alloc(VIRTQ_CACHE_LINE, needed);
    if (own == NULL || virtq_vhost_user_frontend_init(own, needed, &config, &end.frontend) != 0) {
        abort();
    }
    for (unsigned i = 0; i < STEPS && end.left != 0; i++) {
        step(&end);
    }
    close_all(&end);
    virtq_vhost_user_channel_fini(&end.near);
    virtq_vhost_user_channel_fini(&end.own);
    free(own);
    probes[1] = dup(file);
    (void)close(probes[1]);
    if (probes[0] != probes[1]) {
        fprintf(stderr, "vhost_user_frontend_fuzz: a descriptor was left\n");
        abort();
    }
    return end.answered;
}
