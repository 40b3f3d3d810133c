/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A front-end of the tests: it speaks the protocol word for word, has a guest in a memfd of
 * two regions, and drives rings of a back-end that gives back each buffer's bytes inverted.
 */
#ifndef VIRTQ_TESTS_HOST_FRONTEND_H
#define VIRTQ_TESTS_HOST_FRONTEND_H

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runner.h"
#include "virtq/host/vhost_user_backend.h"
#include "virtq/virtq.h"

enum {
    FRONTEND_RINGS = 2,
    FRONTEND_REGION = 1 << 20,
    FRONTEND_HELD = 8, /* Buffers that the device keeps when it is told to. */
    FRONTEND_CONFIG = 60
};

#define FRONTEND_OFFERED                                                       \
    (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) | \
     VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) | 1)
#define FRONTEND_PROTOCOL VIRTQ_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES)

/* Where the two regions lie, in the guest and in the front-end. */
static const uint64_t frontend_guest[2] = {0x100000, UINT64_C(0x100000000)};
static const uint64_t frontend_user[2] = {UINT64_C(0x7f0000000000), UINT64_C(0x600000000000)};

struct frontend {
    struct virtq_vhost_user_backend *backend;
    void *memory;
    int socket;
    int file;             /* The guest's memory: both regions, one after the other. */
    unsigned char *guest; /* The same, here. */
    struct virtq_direct space;
    struct virtq_region regions[2];
    struct virtq_driver *driver[FRONTEND_RINGS];
    void *driver_memory[FRONTEND_RINGS];
    int kick[FRONTEND_RINGS];
    int call[FRONTEND_RINGS];
    struct virtq_layout layout;
    /* What the device was told. */
    unsigned started, stopping, resets, refused;
    uint64_t features;
    uint32_t last_refusal;
    bool hold;   /* Keep buffers instead of answering. */
    bool refuse; /* Start nothing. */
    struct virtq_chain held[FRONTEND_HELD];
    struct virtq_piece held_pieces[FRONTEND_HELD][4];
    unsigned held_count;
    unsigned char config[FRONTEND_CONFIG];
};

static inline void frontend_finish(struct virtq_device *device, const struct virtq_chain *chain)
{
    struct virtq_cursor reader = virtq_chain_reader(chain);
    struct virtq_cursor writer = virtq_chain_writer(chain);
    struct virtq_used_buffer used = {chain->id, 0};
    unsigned char bytes[64];
    uint64_t count = virtq_cursor_read(&reader, bytes, sizeof(bytes));

    for (uint64_t i = 0; i < count; i++) {
        bytes[i] = (unsigned char)~bytes[i];
    }
    used.len = (uint32_t)virtq_cursor_write(&writer, bytes, count);
    cr_assert_eq(virtq_device_push(device, &used, 1), 1);
}

static inline void frontend_release(struct frontend *f, uint32_t index)
{
    struct virtq_device *device = virtq_vhost_user_vring_device(f->backend, index);

    virtq_vhost_user_vring_enter(f->backend, index);
    for (unsigned i = 0; i < f->held_count; i++) {
        f->held[i].pieces = f->held_pieces[i];
        frontend_finish(device, &f->held[i]);
    }
    f->held_count = 0;
    cr_assert(virtq_device_publish(device) >= 0);
    (void)virtq_vhost_user_vring_notify(f->backend, index);
    virtq_vhost_user_vring_leave(f->backend, index);
}

static inline void frontend_serve(void *opaque, uint32_t index)
{
    struct frontend *f = opaque;
    struct virtq_device *device = virtq_vhost_user_vring_device(f->backend, index);
    struct virtq_chain chain;
    struct virtq_piece pieces[4];
    int got;

    virtq_vhost_user_vring_enter(f->backend, index);
    do {
        while ((got = virtq_device_pop(device, &chain, 1, pieces, 4)) == 1) {
            if (f->hold) {
                cr_assert(f->held_count < FRONTEND_HELD);
                memcpy(f->held_pieces[f->held_count], pieces, sizeof(pieces));
                f->held[f->held_count++] = chain;
            } else {
                frontend_finish(device, &chain);
            }
        }
        if (got == VIRTQ_EBROKEN) {
            virtq_vhost_user_vring_error(f->backend, index);
            break;
        }
        (void)virtq_device_publish(device);
        (void)virtq_vhost_user_vring_notify(f->backend, index);
    } while (virtq_device_enable_notify(device));
    virtq_vhost_user_vring_leave(f->backend, index);
}

static inline void frontend_features(void *opaque, uint64_t features)
{
    ((struct frontend *)opaque)->features = features;
}

static inline int frontend_started(void *opaque, uint32_t index)
{
    struct frontend *f = opaque;

    cr_assert(virtq_vhost_user_vring_device(f->backend, index) != NULL);
    f->started++;
    return f->refuse ? -1 : 0;
}

static inline void frontend_stopping(void *opaque, uint32_t index)
{
    struct frontend *f = opaque;

    f->stopping++;
    if (f->held_count != 0) {
        frontend_release(f, index);
    }
}

static inline int frontend_config_read(void *opaque, uint32_t offset, void *data, uint32_t len)
{
    struct frontend *f = opaque;

    cr_assert(offset <= FRONTEND_CONFIG && len <= FRONTEND_CONFIG - offset);
    memcpy(data, f->config + offset, len);
    return 0;
}

static inline int frontend_config_write(void *opaque, uint32_t offset, const void *data,
                                        uint32_t len, uint32_t flags)
{
    struct frontend *f = opaque;

    (void)flags;
    cr_assert(offset <= FRONTEND_CONFIG && len <= FRONTEND_CONFIG - offset);
    if (offset == 0) {
        return -1; /* The first byte is read-only. */
    }
    memcpy(f->config + offset, data, len);
    return 0;
}

static inline void frontend_reset(void *opaque)
{
    ((struct frontend *)opaque)->resets++;
}

static inline void frontend_refused(void *opaque, uint32_t request, uint32_t refusal)
{
    struct frontend *f = opaque;

    (void)request;
    f->refused++;
    f->last_refusal = refusal;
}

static const struct virtq_vhost_user_ops frontend_ops = {
    .size = sizeof(struct virtq_vhost_user_ops),
    .features = frontend_features,
    .started = frontend_started,
    .stopping = frontend_stopping,
    .serve = frontend_serve,
    .config_read = frontend_config_read,
    .config_write = frontend_config_write,
    .reset = frontend_reset,
    .refused = frontend_refused,
};

/* A guest, and a back-end that knows nothing of it yet. */
static inline void frontend_open_with(struct frontend *f, uint32_t flags,
                                      const struct virtq_vhost_user_ops *ops)
{
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;
    int ends[2];

    memset(f, 0, sizeof(*f));
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    f->socket = ends[1];
    f->file = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    cr_assert(f->file >= 0 && ftruncate(f->file, 2 * FRONTEND_REGION) == 0);
    f->guest = mmap(NULL, 2 * FRONTEND_REGION, PROT_READ | PROT_WRITE, MAP_SHARED, f->file, 0);
    cr_assert(f->guest != MAP_FAILED);
    for (unsigned i = 0; i < 2; i++) {
        f->regions[i].first = frontend_guest[i];
        f->regions[i].last = frontend_guest[i] + FRONTEND_REGION - 1;
        f->regions[i].base = f->guest + (size_t)i * FRONTEND_REGION;
        f->regions[i].permissions = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE;
    }
    cr_assert_eq(virtq_direct_init_regions(&f->space, f->regions, 2), 0);
    for (unsigned i = 0; i < FRONTEND_RINGS; i++) {
        f->kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        f->call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        cr_assert(f->kick[i] >= 0 && f->call[i] >= 0);
    }
    config.socket = ends[0];
    config.flags = flags;
    config.features = FRONTEND_OFFERED;
    config.queue_count = FRONTEND_RINGS;
    config.config_size = FRONTEND_CONFIG;
    config.ops = ops;
    config.opaque = f;
    f->memory = aligned_alloc(VIRTQ_CACHE_LINE, virtq_vhost_user_backend_size(&config));
    cr_assert(f->memory != NULL);
    cr_assert_eq(virtq_vhost_user_backend_init(f->memory, virtq_vhost_user_backend_size(&config),
                                               &config, &f->backend),
                 0);
}

static inline void frontend_open(struct frontend *f, uint32_t flags)
{
    frontend_open_with(f, flags, &frontend_ops);
}

static inline void frontend_close(struct frontend *f)
{
    virtq_vhost_user_backend_fini(f->backend);
    free(f->memory);
    for (unsigned i = 0; i < FRONTEND_RINGS; i++) {
        free(f->driver_memory[i]);
        cr_assert(close(f->kick[i]) == 0 && close(f->call[i]) == 0);
    }
    cr_assert_eq(munmap(f->guest, 2 * FRONTEND_REGION), 0);
    cr_assert_eq(close(f->file), 0);
    if (f->socket >= 0) {
        cr_assert_eq(close(f->socket), 0);
    }
}

/* Lets the back-end do all that there is to do. */
static inline int frontend_run(struct frontend *f)
{
    struct pollfd ready = {virtq_vhost_user_backend_fd(f->backend), POLLIN, 0};

    for (unsigned i = 0; i < 64 && poll(&ready, 1, 0) > 0; i++) {
        int result = virtq_vhost_user_backend_process(f->backend);

        if (result != 0) {
            return result;
        }
    }
    return 0;
}

static inline void frontend_put(struct frontend *f, uint32_t request, uint32_t flags,
                                const void *payload, uint32_t size, const int *fds,
                                uint32_t fd_count)
{
    struct virtq_vhost_user_header header = {request, VHOST_USER_VERSION | flags, size};
    struct iovec parts[2] = {{&header, sizeof(header)}, {(void *)(uintptr_t)payload, size}};
    char control[CMSG_SPACE(sizeof(int) * VIRTQ_VHOST_USER_FDS_MAX)] __attribute__((aligned(16)));
    struct msghdr message = {0};

    memset(control, 0, sizeof(control));
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    if (fd_count != 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        CMSG_FIRSTHDR(&message)->cmsg_level = SOL_SOCKET;
        CMSG_FIRSTHDR(&message)->cmsg_type = SCM_RIGHTS;
        CMSG_FIRSTHDR(&message)->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), fds, sizeof(int) * fd_count);
    }
    (void)sendmsg(f->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The answer to a request: its payload's size, or -1 if there is none. */
static inline int frontend_answer(struct frontend *f, uint32_t request, void *payload, size_t room)
{
    struct virtq_vhost_user_header header;
    ssize_t got = recv(f->socket, &header, sizeof(header), MSG_DONTWAIT);

    if (got != (ssize_t)sizeof(header)) {
        return -1;
    }
    cr_assert_eq(header.request, request);
    cr_assert_eq(header.flags, (uint32_t)VHOST_USER_VERSION | (uint32_t)VHOST_USER_REPLY);
    cr_assert(header.size <= room);
    if (header.size != 0) {
        cr_assert_eq(recv(f->socket, payload, header.size, MSG_DONTWAIT), (ssize_t)header.size);
    }
    return (int)header.size;
}

/* Sends a request that asks for its result: 0 accepted, 1 refused, -1 the connection is over. */
static inline int frontend_try(struct frontend *f, uint32_t request, const void *payload,
                               uint32_t size, const int *fds, uint32_t fd_count)
{
    uint64_t result = 7;

    frontend_put(f, request, VHOST_USER_NEED_REPLY, payload, size, fds, fd_count);
    if (frontend_run(f) != 0) {
        return -1;
    }
    cr_assert_eq(frontend_answer(f, request, &result, sizeof(result)), 8);
    cr_assert(result <= 1);
    return (int)result;
}

static inline int frontend_try_number(struct frontend *f, uint32_t request, uint64_t number)
{
    return frontend_try(f, request, &number, sizeof(number), NULL, 0);
}

static inline int frontend_try_state(struct frontend *f, uint32_t request, uint32_t index,
                                     uint32_t num)
{
    struct virtq_vhost_user_state state = {index, num};

    return frontend_try(f, request, &state, sizeof(state), NULL, 0);
}

static inline uint64_t frontend_ask(struct frontend *f, uint32_t request)
{
    uint64_t number = 0;

    frontend_put(f, request, 0, NULL, 0, NULL, 0);
    cr_assert_eq(frontend_run(f), 0);
    cr_assert_eq(frontend_answer(f, request, &number, sizeof(number)), 8);
    return number;
}

static inline struct virtq_vhost_user_region frontend_region(unsigned i)
{
    struct virtq_vhost_user_region region = {frontend_guest[i], FRONTEND_REGION, frontend_user[i],
                                             (uint64_t)i * FRONTEND_REGION};

    return region;
}

/* Features of both kinds, and the memory table. */
static inline void frontend_greet(struct frontend *f, uint64_t features)
{
    struct virtq_vhost_user_memory memory = {.count = 2};
    int fds[2] = {f->file, f->file};
    uint64_t protocol;

    cr_assert_eq(frontend_ask(f, VHOST_USER_GET_FEATURES), FRONTEND_OFFERED | FRONTEND_PROTOCOL);
    protocol = frontend_ask(f, VHOST_USER_GET_PROTOCOL_FEATURES);
    frontend_put(f, VHOST_USER_SET_PROTOCOL_FEATURES, 0, &protocol, sizeof(protocol), NULL, 0);
    cr_assert_eq(frontend_try(f, VHOST_USER_SET_OWNER, NULL, 0, NULL, 0), 0);
    cr_assert_eq(frontend_try_number(f, VHOST_USER_SET_FEATURES, features), 0);
    memory.regions[0] = frontend_region(1);
    memory.regions[1] = frontend_region(0);
    cr_assert_eq(frontend_try(f, VHOST_USER_SET_MEM_TABLE, &memory, 8 + 2 * 32, fds, 2), 0);
}

/* Where a ring lies in the guest's memory. */
static inline size_t frontend_ring_at(unsigned index)
{
    return 0x1000 + (size_t)index * 0x10000;
}

static inline struct virtq_vhost_user_addr frontend_addr(struct frontend *f, unsigned index)
{
    const uint64_t base = frontend_user[0] + frontend_ring_at(index);
    struct virtq_vhost_user_addr addr = {0};

    addr.index = index;
    addr.descriptor = base + f->layout.descriptor.offset;
    addr.available = base + f->layout.driver.offset;
    addr.used = base + f->layout.device.offset;
    return addr;
}

/* All that a ring needs but its kick. */
static inline void frontend_describe(struct frontend *f, unsigned index, uint32_t size,
                                     uint32_t base)
{
    struct virtq_vhost_user_addr addr = frontend_addr(f, index);
    uint64_t number = index;

    cr_assert_eq(frontend_try_state(f, VHOST_USER_SET_VRING_NUM, index, size), 0);
    cr_assert_eq(frontend_try_state(f, VHOST_USER_SET_VRING_BASE, index, base), 0);
    cr_assert_eq(frontend_try(f, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0), 0);
    cr_assert_eq(frontend_try(f, VHOST_USER_SET_VRING_CALL, &number, 8, &f->call[index], 1), 0);
}

static inline int frontend_kick_message(struct frontend *f, unsigned index)
{
    uint64_t number = index;

    return frontend_try(f, VHOST_USER_SET_VRING_KICK, &number, 8, &f->kick[index], 1);
}

/* A new driver on a ring of zeros, and the ring started. */
static inline void frontend_start(struct frontend *f, unsigned index, uint64_t features,
                                  uint32_t size)
{
    struct virtq_driver_config config = VIRTQ_DRIVER_CONFIG_INIT;
    const bool packed = virtq_feature_has(features, VIRTIO_F_RING_PACKED) != 0;

    config.format = packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    config.size = size;
    config.features = features & ~FRONTEND_PROTOCOL;
    config.segments_max = 4;
    config.space = &f->space.space;
    cr_assert_eq(virtq_layout_init((enum virtq_format)config.format, size, &f->layout), 0);
    memset(f->guest + frontend_ring_at(index), 0, (size_t)f->layout.size);
    virtq_layout_areas(&f->layout, f->guest + frontend_ring_at(index), &config.areas);
    free(f->driver_memory[index]);
    f->driver_memory[index] = aligned_alloc(VIRTQ_CACHE_LINE, virtq_driver_size(&config));
    cr_assert(f->driver_memory[index] != NULL);
    cr_assert_eq(virtq_driver_init(f->driver_memory[index], virtq_driver_size(&config), &config,
                                   &f->driver[index]),
                 0);
    frontend_describe(f, index, size, packed ? 0x80008000u : 0);
    cr_assert_eq(frontend_kick_message(f, index), 0, "%s",
                 virtq_vhost_user_refusal_name(f->last_refusal));
    if ((features & FRONTEND_PROTOCOL) != 0) {
        cr_assert_eq(frontend_try_state(f, VHOST_USER_SET_VRING_ENABLE, index, 1), 0);
    }
}

/* Places a buffer: four bytes to read and four to write, in slot `slot` of the second region. */
static inline void frontend_add(struct frontend *f, unsigned index, unsigned slot)
{
    unsigned char *place = f->guest + FRONTEND_REGION + (size_t)slot * 64;
    struct virtq_segment segments[2];
    struct virtq_buffer buffer = {0};

    for (unsigned i = 0; i < 4; i++) {
        place[i] = (unsigned char)(slot * 7 + i);
        place[32 + i] = 0;
    }
    memset(segments, 0, sizeof(segments));
    segments[0].base = place;
    segments[0].len = 4;
    segments[1].base = place + 32;
    segments[1].len = 4;
    buffer.segments = segments;
    buffer.readable = 1;
    buffer.writable = 1;
    buffer.cookie = place;
    cr_assert_eq(virtq_driver_add(f->driver[index], &buffer, 1), 1);
    cr_assert_eq(virtq_driver_publish(f->driver[index]), 1);
}

static inline void frontend_kick(struct frontend *f, unsigned index)
{
    uint64_t one = 1;

    cr_assert_eq(write(f->kick[index], &one, sizeof(one)), (ssize_t)sizeof(one));
}

/* Takes buffers back, and looks at what the device has written: how many there were. */
static inline unsigned frontend_take(struct frontend *f, unsigned index)
{
    struct virtq_completion completion;
    unsigned count = 0;

    while (virtq_driver_poll(f->driver[index], &completion, 1) == 1) {
        const unsigned char *place = completion.cookie;

        cr_assert_eq(completion.len, 4u);
        for (unsigned i = 0; i < 4; i++) {
            cr_assert_eq(place[32 + i] + place[i], 255);
        }
        count++;
    }
    return count;
}

/* `count` buffers there and back, in lots of up to four. */
static inline void frontend_traffic(struct frontend *f, unsigned index, unsigned count)
{
    uint64_t calls = 0;

    (void)!read(f->call[index], &calls, sizeof(calls));
    for (unsigned done = 0; done < count;) {
        unsigned lot = count - done < 4 ? count - done : 4;

        for (unsigned i = 0; i < lot; i++) {
            frontend_add(f, index, done + i);
        }
        frontend_kick(f, index);
        cr_assert_eq(frontend_run(f), 0);
        cr_assert_eq(frontend_take(f, index), lot);
        cr_assert_eq(read(f->call[index], &calls, sizeof(calls)), (ssize_t)sizeof(calls),
                     "no interrupt");
        cr_assert(!virtq_driver_enable_notify(f->driver[index]));
        done += lot;
    }
}

/* Stops a ring: its base. */
static inline uint32_t frontend_stop(struct frontend *f, unsigned index)
{
    struct virtq_vhost_user_state state = {index, 0};

    frontend_put(f, VHOST_USER_GET_VRING_BASE, 0, &state, sizeof(state), NULL, 0);
    cr_assert_eq(frontend_run(f), 0);
    cr_assert_eq(frontend_answer(f, VHOST_USER_GET_VRING_BASE, &state, sizeof(state)), 8);
    cr_assert_eq(state.index, index);
    return state.num;
}

#endif
