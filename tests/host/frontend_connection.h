/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A front-end of the tests, its connection: it speaks the protocol word for word.
 */
#ifndef VIRTQ_TESTS_HOST_FRONTEND_CONNECTION_H
#define VIRTQ_TESTS_HOST_FRONTEND_CONNECTION_H

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "frontend_device.h"

/* A guest, and no back-end yet. */
static inline void frontend_guest_open(struct frontend *f)
{
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
}

/* A back-end that knows nothing of the guest yet, at one end of a connection. */
static inline void frontend_backend_open(struct frontend *f, int socket,
                                         const struct virtq_vhost_user_backend_config *wanted,
                                         void *opaque)
{
    struct virtq_vhost_user_backend_config config = *wanted;

    config.socket = socket;
    config.features |= FRONTEND_OFFERED;
    config.queue_count = FRONTEND_RINGS;
    config.config_size = FRONTEND_CONFIG;
    config.opaque = opaque;
    f->memory = aligned_alloc(VIRTQ_CACHE_LINE, virtq_vhost_user_backend_size(&config));
    cr_assert(f->memory != NULL);
    cr_assert_eq(virtq_vhost_user_backend_init(f->memory, virtq_vhost_user_backend_size(&config),
                                               &config, &f->backend),
                 0);
}

/* A guest, and a back-end in the same process. */
static inline void frontend_open_config(struct frontend *f,
                                        const struct virtq_vhost_user_backend_config *config)
{
    int ends[2];

    memset(f, 0, sizeof(*f));
    f->more = config->features;
    f->ring_base = frontend_user[0];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    f->socket = ends[1];
    frontend_guest_open(f);
    frontend_backend_open(f, ends[0], config, f);
}

static inline void frontend_open_with(struct frontend *f, uint32_t flags,
                                      const struct virtq_vhost_user_ops *ops)
{
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;

    config.flags = flags;
    config.ops = ops;
    frontend_open_config(f, &config);
}

static inline void frontend_open(struct frontend *f, uint32_t flags)
{
    frontend_open_with(f, flags, &frontend_ops);
}

static inline void frontend_close(struct frontend *f)
{
    if (f->backend != NULL) {
        virtq_vhost_user_backend_fini(f->backend);
    }
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

/* Lets the back-end do all that there is to do; one in another process is waited for, until it
 * answers. */
static inline int frontend_run(struct frontend *f)
{
    struct pollfd answer = {f->socket, POLLIN, 0};
    struct pollfd ready;

    if (f->backend == NULL) {
        return poll(&answer, 1, 60000) == 1 ? 0 : -1;
    }
    ready = (struct pollfd){virtq_vhost_user_backend_fd(f->backend), POLLIN, 0};
    for (unsigned i = 0; i < 64 && poll(&ready, 1, 0) > 0; i++) {
        int result = virtq_vhost_user_backend_process(f->backend);

        if (result != 0) {
            return result;
        }
    }
    return 0;
}

/* Sends a header, and the first `size` bytes of it and its payload. */
static inline void frontend_put_bytes(struct frontend *f, struct virtq_vhost_user_header *header,
                                      const void *payload, size_t size, const int *fds,
                                      uint32_t fd_count)
{
    const size_t first = size < sizeof(*header) ? size : sizeof(*header);
    struct iovec parts[2] = {{header, first}, {(void *)(uintptr_t)payload, size - first}};
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

static inline void frontend_put(struct frontend *f, uint32_t request, uint32_t flags,
                                const void *payload, uint32_t size, const int *fds,
                                uint32_t fd_count)
{
    struct virtq_vhost_user_header header = {request, VHOST_USER_VERSION | flags, size};

    frontend_put_bytes(f, &header, payload, sizeof(header) + size, fds, fd_count);
}

/* The answer to a request: its payload's size, or -1 if there is none. */
static inline int frontend_answer(struct frontend *f, uint32_t request, void *payload, size_t room)
{
    struct virtq_vhost_user_header header;
    const int flags = f->backend == NULL ? MSG_WAITALL : MSG_DONTWAIT;
    ssize_t got = recv(f->socket, &header, sizeof(header), flags);

    if (got != (ssize_t)sizeof(header)) {
        return -1;
    }
    cr_assert_eq(header.request, request);
    cr_assert_eq(header.flags, (uint32_t)VHOST_USER_VERSION | (uint32_t)VHOST_USER_REPLY);
    cr_assert(header.size <= room);
    if (header.size != 0) {
        cr_assert_eq(recv(f->socket, payload, header.size, flags), (ssize_t)header.size);
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

#endif
