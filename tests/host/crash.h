/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A back-end in a process of its own, which can be killed at any time, and a front-end that
 * goes on with the next one. Its device holds buffers back and completes them in any order.
 */
#ifndef VIRTQ_TESTS_HOST_CRASH_H
#define VIRTQ_TESTS_HOST_CRASH_H

#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "frontend.h"
#include "random.h"

enum { CRASH_SIZE = 16, CRASH_SLOTS = 64, CRASH_HELD = 16, CRASH_PIECES = 4 };

/* Stopping where buffers are served, so that somebody else can take the steps. */
enum crash_armed {
    CRASH_FREE = 0,   /* No. */
    CRASH_ARMED = 1,  /* At the next service. */
    CRASH_STEPS = 2,  /* It has stopped. */
    CRASH_SERVED = 3, /* The service has ended. */
    CRASH_NOT = 4     /* Nobody can be traced here. */
};

/* What both processes see. */
struct crash_shared {
    volatile unsigned drain; /* 1: hold nothing back. */
    volatile unsigned
        armed; /* 1: stop where buffers are served, so that somebody can take the steps. */
};

/* The device, in its process. */
struct crash_device {
    struct frontend f; /* Its back-end, and nothing else. */
    struct crash_shared *shared;
    struct virtq_chain held[CRASH_HELD];
    struct virtq_piece pieces[CRASH_HELD][CRASH_PIECES];
    unsigned count;
    uint64_t random;
};

/* The front-end. */
struct crash {
    struct frontend f;
    struct crash_shared *shared;
    uint64_t features;
    uint64_t random;
    pid_t child;
    int inflight; /* Where the records are. */
    struct virtq_vhost_user_inflight wire;
    bool busy[CRASH_SLOTS];
    unsigned outstanding;
    unsigned done;
};

static inline void crash_complete(struct crash_device *device, uint32_t index, unsigned which)
{
    struct virtq_chain chain = device->held[which];
    struct virtq_cursor reader;
    struct virtq_cursor writer;
    unsigned char bytes[64];
    uint64_t count;

    chain.pieces = device->pieces[which];
    reader = virtq_chain_reader(&chain);
    writer = virtq_chain_writer(&chain);
    count = virtq_cursor_read(&reader, bytes, sizeof(bytes));
    for (uint64_t i = 0; i < count; i++) {
        bytes[i] = (unsigned char)~bytes[i];
    }
    count = virtq_cursor_write(&writer, bytes, count);
    if (virtq_vhost_user_vring_push(device->f.backend, index, &chain, (uint32_t)count) != 1) {
        _exit(3);
    }
    device->count--;
    device->held[which] = device->held[device->count];
    memcpy(device->pieces[which], device->pieces[device->count], sizeof(device->pieces[which]));
}

static inline void crash_serve(void *opaque, uint32_t index)
{
    struct crash_device *device = opaque;
    struct virtq_vhost_user_backend *backend = device->f.backend;
    int got = 0;
    unsigned keep;

    if (device->shared->armed == CRASH_ARMED) {
        const bool traced = ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;

        device->shared->armed = traced ? CRASH_STEPS : CRASH_NOT;
        (void)(traced && raise(SIGSTOP) != 0);
    }
    virtq_vhost_user_vring_enter(backend, index);
    while (device->count < CRASH_HELD &&
           (got = virtq_vhost_user_vring_pop(backend, index, &device->held[device->count], 1,
                                             device->pieces[device->count], CRASH_PIECES)) == 1) {
        device->count++;
    }
    if (got < 0) {
        _exit(4);
    }
    keep = device->shared->drain != 0 ? 0 : (unsigned)random_below(&device->random, 4);
    while (device->count > keep) {
        crash_complete(device, index, (unsigned)random_below(&device->random, device->count));
        if (random_below(&device->random, 3) == 0) {
            (void)virtq_vhost_user_vring_publish(backend, index);
        }
    }
    (void)virtq_vhost_user_vring_publish(backend, index);
    (void)virtq_vhost_user_vring_notify(backend, index);
    virtq_vhost_user_vring_leave(backend, index);
    if (device->shared->armed == CRASH_STEPS) {
        device->shared->armed = CRASH_SERVED;
    }
}

static inline void crash_stopping(void *opaque, uint32_t index)
{
    struct crash_device *device = opaque;

    virtq_vhost_user_vring_enter(device->f.backend, index);
    while (device->count != 0) {
        crash_complete(device, index, 0);
    }
    virtq_vhost_user_vring_leave(device->f.backend, index);
}

/* All that the other process does. */
static inline void crash_child(struct crash *c, int socket)
{
    static const struct virtq_vhost_user_ops ops = {
        .size = sizeof(ops), .serve = crash_serve, .stopping = crash_stopping};
    static struct crash_device device;
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;
    struct pollfd ready;

    /* It may not outlive a test that fails. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    memset(&device, 0, sizeof(device));
    device.shared = c->shared;
    device.random = random_next(&c->random);
    config.flags = VIRTQ_VHOST_USER_RECORDED;
    config.features = c->f.more;
    config.ops = &ops;
    frontend_backend_open(&device.f, socket, &config, &device);
    ready = (struct pollfd){virtq_vhost_user_backend_fd(device.f.backend), POLLIN, 0};
    while (poll(&ready, 1, -1) >= 0 && virtq_vhost_user_backend_process(device.f.backend) == 0) {
    }
    virtq_vhost_user_backend_fini(device.f.backend);
    _exit(0);
}

static inline void crash_spawn(struct crash *c)
{
    int ends[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    (void)random_next(&c->random);
    c->shared->armed = CRASH_FREE;
    c->shared->drain = 0;
    c->child = fork();
    cr_assert(c->child >= 0);
    if (c->child == 0) {
        (void)close(ends[1]);
        crash_child(c, ends[0]);
    }
    (void)close(ends[0]);
    c->f.socket = ends[1];
    frontend_greet(&c->f, c->features);
}

/* Asks for memory for records, as at the very first start. */
static inline void crash_get_inflight(struct crash *c)
{
    struct virtq_vhost_user_header header;
    char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(16)));
    struct iovec part = {&header, sizeof(header)};
    struct msghdr message = {0};

    c->wire = (struct virtq_vhost_user_inflight){0, 0, FRONTEND_RINGS, CRASH_SIZE, 0};
    frontend_put(&c->f, VHOST_USER_GET_INFLIGHT_FD, 0, &c->wire, 24, NULL, 0);
    cr_assert_eq(frontend_run(&c->f), 0);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cr_assert_eq(recvmsg(c->f.socket, &message, MSG_WAITALL), (ssize_t)sizeof(header));
    cr_assert_eq(header.request, (uint32_t)VHOST_USER_GET_INFLIGHT_FD);
    cr_assert_eq(header.size, 24u);
    cr_assert(message.msg_controllen >= CMSG_LEN(sizeof(int)), "no descriptor came along");
    memcpy(&c->inflight, control + CMSG_LEN(0), sizeof(int));
    cr_assert_eq(recv(c->f.socket, &c->wire, 24, MSG_WAITALL), 24);
    cr_assert(c->wire.mmap_size != 0 && c->wire.queue_count == FRONTEND_RINGS &&
              c->wire.queue_size == CRASH_SIZE);
}

static inline void crash_set_inflight(struct crash *c)
{
    cr_assert_eq(frontend_try(&c->f, VHOST_USER_SET_INFLIGHT_FD, &c->wire, 24, &c->inflight, 1), 0);
}

static inline void crash_open(struct crash *c, uint64_t features, uint64_t seed)
{
    memset(c, 0, sizeof(*c));
    c->features = features;
    c->random = seed;
    c->f.more = VIRTQ_FEATURE(VIRTIO_F_IN_ORDER);
    c->f.ring_base = frontend_user[0];
    c->shared =
        mmap(NULL, sizeof(*c->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert(c->shared != MAP_FAILED);
    frontend_guest_open(&c->f);
    crash_spawn(c);
    crash_get_inflight(c);
    crash_set_inflight(c);
    frontend_start(&c->f, 0, features, CRASH_SIZE);
}

static inline void crash_kill(struct crash *c)
{
    int status;

    cr_assert_eq(kill(c->child, SIGKILL), 0);
    do {
        cr_assert_eq(waitpid(c->child, &status, 0), c->child);
    } while (WIFSTOPPED(status));
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the back-end has ended: %d",
              WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    cr_assert_eq(close(c->f.socket), 0);
    c->f.socket = -1;
}

/* A new process goes on with the records. Of where the ring stands the front-end knows only what
 * QEMU knows then: the used index of a split ring, and the very first base of a packed one. */
static inline void crash_go_on(struct crash *c)
{
    uint32_t base = 0x80008000u;

    crash_spawn(c);
    crash_set_inflight(c);
    if ((c->features & VIRTQ_FEATURE(VIRTIO_F_RING_PACKED)) == 0) {
        const unsigned char *used =
            c->f.guest + frontend_ring_at(0) + (size_t)c->f.layout.device.offset;

        base = used[2] | (uint32_t)used[3] << 8;
    }
    frontend_describe(&c->f, 0, CRASH_SIZE, base);
    cr_assert_eq(frontend_kick_message(&c->f, 0), 0);
    cr_assert_eq(frontend_try_state(&c->f, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
}

/* Makes up to `most` buffers available: how many. */
static inline unsigned crash_add(struct crash *c, unsigned most)
{
    unsigned added = 0;

    while (added < most && c->outstanding < CRASH_SIZE / 2) {
        unsigned slot = (unsigned)random_below(&c->random, CRASH_SLOTS);

        while (c->busy[slot]) {
            slot = (slot + 1) % CRASH_SLOTS;
        }
        c->busy[slot] = true;
        c->outstanding++;
        added++;
        frontend_add(&c->f, 0, slot);
    }
    return added;
}

/* Takes back what there is, each once, and looks at its bytes. */
static inline void crash_take(struct crash *c)
{
    struct virtq_completion completion;
    int got;

    while ((got = virtq_driver_poll(c->f.driver[0], &completion, 1)) == 1) {
        const unsigned char *place = completion.cookie;
        const size_t slot = (size_t)(place - (c->f.guest + FRONTEND_REGION)) / 64;

        cr_assert(slot < CRASH_SLOTS && c->busy[slot]);
        cr_assert_eq(completion.len, 4u);
        for (unsigned i = 0; i < 4; i++) {
            cr_assert_eq(place[32 + i] + place[i], 255);
        }
        c->busy[slot] = false;
        c->outstanding--;
        c->done++;
    }
    cr_assert_eq(got, 0, "the driver was shown what cannot be");
}

/* Waits until all is back; the notification of each batch has to come. */
static inline void crash_drain(struct crash *c)
{
    struct pollfd call = {c->f.call[0], POLLIN, 0};
    uint64_t calls;

    c->shared->drain = 1;
    frontend_kick(&c->f, 0);
    for (;;) {
        crash_take(c);
        if (c->outstanding == 0) {
            return;
        }
        if (virtq_driver_enable_notify(c->f.driver[0])) {
            continue;
        }
        cr_assert_eq(poll(&call, 1, 60000), 1, "%u buffers are lost", c->outstanding);
        cr_assert_eq(read(call.fd, &calls, sizeof(calls)), (ssize_t)sizeof(calls));
    }
}

static inline void crash_close(struct crash *c)
{
    int status;

    cr_assert_eq(close(c->f.socket), 0);
    c->f.socket = -1;
    cr_assert_eq(waitpid(c->child, &status, 0), c->child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cr_assert_eq(close(c->inflight), 0);
    cr_assert_eq(munmap(c->shared, sizeof(*c->shared)), 0);
    frontend_close(&c->f);
}

#endif
