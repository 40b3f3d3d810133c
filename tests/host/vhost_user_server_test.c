/* SPDX-License-Identifier: BSD-3-Clause */
/* One front-end after the other behind one socket: whatever becomes of a connection, the next one
 * is served, and nothing is left of the last. */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "frontend.h"
#include "process.h"
#include "virtq/host/socket.h"
#include "virtq/host/vhost_user_server.h"

#define VERSION_1 VIRTQ_FEATURE(VIRTIO_F_VERSION_1)
#define PACKED VIRTQ_FEATURE(VIRTIO_F_RING_PACKED)

struct stand {
    struct virtq_vhost_user_backend_config device;
    struct virtq_vhost_user_server_config config;
    struct virtq_vhost_user_server *server;
    void *memory;
    char directory[32];
    char path[64];
    struct frontend f;
    unsigned stops;
};

static struct stand stand;

/* Looks for its back-end where a device does. */
static void stopping(void *opaque, uint32_t index)
{
    struct stand *s = (struct stand *)(void *)((unsigned char *)opaque - offsetof(struct stand, f));

    cr_assert_eq(virtq_vhost_user_server_backend(s->server), s->f.backend);
    cr_assert(virtq_vhost_user_vring_device(s->f.backend, index) != NULL);
    s->stops++;
}

static void describe(struct stand *s)
{
    static struct virtq_vhost_user_ops ops;

    memset(s, 0, sizeof(*s));
    (void)snprintf(s->directory, sizeof(s->directory), "/tmp/virtq-server-XXXXXX");
    cr_assert(mkdtemp(s->directory) != NULL);
    (void)snprintf(s->path, sizeof(s->path), "%s/s", s->directory);
    ops = frontend_ops;
    ops.stopping = stopping;
    s->device = (struct virtq_vhost_user_backend_config)VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;
    s->device.features = FRONTEND_OFFERED;
    s->device.queue_count = FRONTEND_RINGS;
    s->device.config_size = FRONTEND_CONFIG;
    s->device.ops = &ops;
    s->device.opaque = &s->f;
    s->config = (struct virtq_vhost_user_server_config)VIRTQ_VHOST_USER_SERVER_CONFIG_INIT;
    s->config.path = s->path;
    s->config.backend = &s->device;
    s->f.ring_base = frontend_user[0];
    s->f.socket = -1;
}

static int serve(struct stand *s)
{
    const size_t size = virtq_vhost_user_server_size(&s->config);

    cr_assert(size != 0 && size % VIRTQ_CACHE_LINE == 0);
    s->memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    cr_assert(s->memory != NULL);
    return virtq_vhost_user_server_init(s->memory, size, &s->config, &s->server);
}

static void stand_open(struct stand *s)
{
    describe(s);
    cr_assert_eq(serve(s), 0);
}

/* The path is gone, and so is all else. */
static void stand_close(struct stand *s)
{
    virtq_vhost_user_server_fini(s->server);
    free(s->memory);
    cr_assert_eq(rmdir(s->directory), 0, "%s: %s", s->directory, strerror(errno));
}

static bool readable(const struct stand *s)
{
    struct pollfd ready = {virtq_vhost_user_server_fd(s->server), POLLIN, 0};

    return poll(&ready, 1, 0) == 1;
}

/* Does all that there is to do. */
static void run(struct stand *s)
{
    for (unsigned i = 0; readable(s); i++) {
        cr_assert(i < 64, "it never comes to rest");
        cr_assert_eq(virtq_vhost_user_server_process(s->server), 0);
    }
}

static int enter(struct stand *s)
{
    const int fd = virtq_socket_connect(s->path);

    cr_assert(fd >= 0);
    return fd;
}

static void ask(int fd)
{
    const struct virtq_vhost_user_header header = {VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 0};

    cr_assert_eq(write(fd, &header, sizeof(header)), (ssize_t)sizeof(header));
}

static bool answered(int fd)
{
    unsigned char answer[64];
    const ssize_t got = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);

    cr_assert(got == 20 || (got < 0 && errno == EAGAIN));
    return got > 0;
}

/* What was not read of his makes it a reset. */
static bool hung_up(int fd)
{
    unsigned char byte;
    const ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);

    return got == 0 || (got < 0 && errno == ECONNRESET);
}

/* A whole session: features, memory, a ring and its buffers. */
static void session(struct stand *s, uint64_t features)
{
    s->f.socket = enter(s);
    run(s);
    s->f.backend = virtq_vhost_user_server_backend(s->server);
    cr_assert(s->f.backend != NULL);
    frontend_guest_open(&s->f);
    frontend_greet(&s->f, features);
    frontend_start(&s->f, 0, features, 8);
    frontend_traffic(&s->f, 0, 20);
}

static void session_end(struct stand *s)
{
    s->f.backend = NULL;
    frontend_close(&s->f);
    memset(s->f.driver_memory, 0, sizeof(s->f.driver_memory));
    s->f.socket = -1;
}

Test(host_server, one_front_end_after_the_other_drives_the_device_and_nothing_is_left_of_any)
{
    unsigned before;

    stand_open(&stand);
    before = process_fds();
    for (unsigned i = 0; i < 3; i++) {
        session(&stand, i == 1 ? VERSION_1 | PACKED : VERSION_1);
        cr_assert_eq(close(stand.f.socket), 0);
        stand.f.socket = -1;
        run(&stand);
        cr_assert(virtq_vhost_user_server_backend(stand.server) == NULL);
        cr_assert_eq(stand.stops, i + 1);
        session_end(&stand);
        cr_assert_eq(process_fds(), before, "descriptors are left");
    }
    stand_close(&stand);
}

Test(host_server, who_comes_while_another_is_served_waits_for_his_turn)
{
    int fds[3];

    stand_open(&stand);
    for (unsigned i = 0; i < 3; i++) {
        fds[i] = enter(&stand);
        ask(fds[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        run(&stand);
        cr_assert(answered(fds[i]));
        for (unsigned k = i + 1; k < 3; k++) {
            cr_assert(!answered(fds[k]));
        }
        /* Nor is the event loop told of who waits, again and again. */
        cr_assert(!readable(&stand));
        cr_assert_eq(close(fds[i]), 0);
    }
    run(&stand);
    cr_assert(virtq_vhost_user_server_backend(stand.server) == NULL);
    stand_close(&stand);
}

Test(host_server, who_is_gone_before_he_is_accepted_does_no_harm)
{
    int fd;

    stand_open(&stand);
    cr_assert_eq(close(enter(&stand)), 0);
    fd = enter(&stand);
    ask(fd);
    run(&stand);
    cr_assert(answered(fd));
    /* Nor does a call for nothing. */
    cr_assert_eq(virtq_vhost_user_server_process(stand.server), 0);
    cr_assert_eq(close(fd), 0);
    run(&stand);
    cr_assert_eq(virtq_vhost_user_server_process(stand.server), 0);
    stand_close(&stand);
}

Test(host_server, nonsense_ends_its_own_connection_and_no_other)
{
    static const unsigned char nonsense[32] = {0xff, 0xff, 0xff, 0xff, 0xff};
    const unsigned before = (stand_open(&stand), process_fds());
    int fd;

    for (unsigned i = 0; i < 4; i++) {
        fd = enter(&stand);
        cr_assert_eq(write(fd, nonsense, (size_t)8 * (i + 1)), 8 * ((ssize_t)i + 1));
        run(&stand);
        if (i == 0) {
            /* Half a header: the rest may come, and does not. */
            cr_assert(!hung_up(fd) && virtq_vhost_user_server_backend(stand.server) != NULL);
        } else {
            cr_assert(hung_up(fd) && virtq_vhost_user_server_backend(stand.server) == NULL);
        }
        cr_assert_eq(close(fd), 0);
        run(&stand);
        cr_assert_eq(process_fds(), before, "descriptors are left");
    }
    fd = enter(&stand);
    ask(fd);
    run(&stand);
    cr_assert(answered(fd));
    cr_assert_eq(close(fd), 0);
    stand_close(&stand);
}

Test(host_server, its_end_stops_the_rings_hangs_up_and_takes_the_path_along)
{
    struct stat file;
    unsigned before;

    describe(&stand);
    before = process_fds();
    cr_assert_eq(serve(&stand), 0);
    session(&stand, VERSION_1);
    cr_assert_eq(stand.stops, 0u);
    virtq_vhost_user_server_fini(stand.server);
    cr_assert_eq(stand.stops, 1u);
    cr_assert(hung_up(stand.f.socket));
    cr_assert(stat(stand.path, &file) != 0);
    session_end(&stand);
    cr_assert_eq(process_fds(), before, "descriptors are left");
    free(stand.memory);
    cr_assert_eq(rmdir(stand.directory), 0);
}

Test(host_server, a_socket_that_listens_already_is_taken_over_and_its_path_is_left)
{
    struct stat file;
    int fd;

    describe(&stand);
    stand.config.listener = virtq_socket_listen(stand.path);
    cr_assert(stand.config.listener >= 0);
    cr_assert_eq(fcntl(stand.config.listener, F_SETFL, 0), 0); /* One that waits. */
    stand.config.path = NULL;
    cr_assert_eq(serve(&stand), 0);
    cr_assert_eq(virtq_vhost_user_server_process(stand.server), 0);
    fd = enter(&stand);
    ask(fd);
    run(&stand);
    cr_assert(answered(fd));
    virtq_vhost_user_server_fini(stand.server);
    cr_assert(hung_up(fd));
    cr_assert(fcntl(stand.config.listener, F_GETFD) < 0, "the listener is still open");
    cr_assert(stat(stand.path, &file) == 0 && unlink(stand.path) == 0);
    cr_assert_eq(close(fd), 0);
    free(stand.memory);
    cr_assert_eq(rmdir(stand.directory), 0);
}

/* What process says while only descriptors below `most` can be had. */
static int process_with(struct stand *s, rlim_t most)
{
    struct rlimit limit;
    struct rlimit less;
    int result;

    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    less = limit;
    less.rlim_cur = most;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &less), 0);
    result = virtq_vhost_user_server_process(s->server);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return result;
}

Test(host_server, without_descriptors_it_says_so_and_serves_later)
{
    int fds[2];
    int next;

    if (getenv("VIRTQ_TEST_HURRIED") != NULL || getenv("VIRTQ_TEST_EMULATED") != NULL) {
        return; /* Valgrind lets the kernel accept, and closes what is beyond the limit. */
    }
    stand_open(&stand);
    for (unsigned i = 0; i < 2; i++) {
        fds[i] = enter(&stand);
        ask(fds[i]);
    }
    next = dup(fds[1]);
    cr_assert(next >= 0 && close(next) == 0);
    /* Not even one to accept with: he waits. */
    cr_assert_eq(process_with(&stand, (rlim_t)next), VIRTQ_ENOMEM);
    cr_assert(readable(&stand) && !hung_up(fds[0]));
    /* None for his back-end: he is hung up on. */
    cr_assert_eq(process_with(&stand, (rlim_t)next + 1), VIRTQ_ENOMEM);
    cr_assert(readable(&stand) && hung_up(fds[0]));
    cr_assert(virtq_vhost_user_server_backend(stand.server) == NULL);
    run(&stand);
    cr_assert(answered(fds[1]));
    cr_assert(close(fds[0]) == 0 && close(fds[1]) == 0);
    stand_close(&stand);
}

Test(host_server, a_device_that_needs_a_handler_nobody_has_installed_says_so)
{
    int fd;

    describe(&stand);
    stand.device.flags = VIRTQ_VHOST_USER_CATCH;
    cr_assert_eq(serve(&stand), 0);
    fd = enter(&stand);
    cr_assert_eq(virtq_vhost_user_server_process(stand.server), VIRTQ_EINVAL);
    cr_assert(hung_up(fd));
    cr_assert_eq(close(fd), 0);
    cr_assert(!readable(&stand));
    stand_close(&stand);
}

Test(host_server, an_illegal_configuration_makes_nothing)
{
    const unsigned before = (describe(&stand), process_fds());
    const struct virtq_vhost_user_server_config legal = stand.config;
    const int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t size = virtq_vhost_user_server_size(&legal);
    struct stat file;

    stand.memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    for (unsigned i = 0; i < 9; i++) {
        static const int errors[] = {VIRTQ_EINVAL, VIRTQ_EINVAL, VIRTQ_EINVAL,
                                     VIRTQ_EINVAL, VIRTQ_EINVAL, VIRTQ_EINVAL,
                                     VIRTQ_ENOMEM, VIRTQ_EINVAL, VIRTQ_EINVAL};
        unsigned char *memory = stand.memory;

        stand.config = legal;
        stand.device.queue_count = i == 0 ? 0 : 1;
        stand.config.struct_size -= i == 1 ? 8 : 0;
        stand.config.backend = i == 2 ? NULL : stand.config.backend;
        stand.config.path = i == 3 || i == 7 || i == 8 ? NULL : stand.config.path;
        stand.config.listener = i == 4 || i == 8 ? other : -1; /* It does not listen. */
        cr_assert_eq(virtq_vhost_user_server_size(&stand.config) != 0, i > 2, "%u", i);
        memory = i == 5 ? memory + 8 : memory;
        cr_assert_eq(virtq_vhost_user_server_init(
                         memory, i == 6 ? virtq_vhost_user_server_size(&stand.config) - 1 : size,
                         &stand.config, &stand.server),
                     errors[i], "%u", i);
        cr_assert(stand.server == NULL && stat(stand.path, &file) != 0, "%u", i);
    }
    stand.config = legal;
    cr_assert_eq(virtq_vhost_user_server_init(NULL, size, &stand.config, &stand.server),
                 VIRTQ_EINVAL);
    free(stand.memory);
    cr_assert_eq(close(other), 0);
    cr_assert_eq(process_fds(), before, "descriptors are left");
    cr_assert_eq(rmdir(stand.directory), 0);
}

Test(host_server, a_path_where_somebody_listens_is_not_taken)
{
    const int other = (describe(&stand), virtq_socket_listen(stand.path));
    const unsigned before = process_fds();

    cr_assert(other >= 0);
    cr_assert_eq(serve(&stand), VIRTQ_EBUSY);
    cr_assert_eq(errno, EADDRINUSE);
    cr_assert_eq(process_fds(), before, "descriptors are left");
    cr_assert(close(enter(&stand)) == 0 && close(other) == 0);
    /* And when he is gone, it is. */
    free(stand.memory);
    cr_assert_eq(serve(&stand), 0);
    stand_close(&stand);
}

/* Asks to end. */
static void asked(void *opaque, uint64_t features)
{
    struct stand *s = (struct stand *)(void *)((unsigned char *)opaque - offsetof(struct stand, f));
    const uint64_t one = 1;

    cr_assert_eq(features, VERSION_1);
    cr_assert_eq(write(s->f.kick[0], &one, sizeof(one)), (ssize_t)sizeof(one));
}

Test(host_server, it_is_run_until_somebody_asks_to_end)
{
    static const struct virtq_vhost_user_ops ops = {.size = sizeof(ops), .features = asked};
    uint64_t one = 0;
    int end;

    describe(&stand);
    stand.device.ops = &ops;
    cr_assert_eq(serve(&stand), 0);
    end = stand.f.kick[0] = eventfd(0, EFD_CLOEXEC);
    /* Two come and go; the third one has the device asked. */
    for (unsigned i = 0; i < 2; i++) {
        const int fd = enter(&stand);

        ask(fd);
        cr_assert_eq(close(fd), 0);
    }
    stand.f.socket = enter(&stand);
    one = VERSION_1;
    frontend_put(&stand.f, VHOST_USER_SET_FEATURES, 0, &one, sizeof(one), NULL, 0);
    cr_assert_eq(virtq_vhost_user_server_run(stand.server, end), 0);
    cr_assert(virtq_vhost_user_server_backend(stand.server) != NULL);
    /* It was not read: it ends at once. */
    cr_assert_eq(virtq_vhost_user_server_run(stand.server, end), 0);
    cr_assert(read(end, &one, sizeof(one)) == (ssize_t)sizeof(one) && one == 1);
    cr_assert(close(end) == 0 && close(stand.f.socket) == 0);
    stand_close(&stand);
}

Test(host_server, it_is_not_run_on_when_somebody_cannot_be_served)
{
    int end = eventfd(0, EFD_CLOEXEC);
    int fd;

    describe(&stand);
    stand.device.flags = VIRTQ_VHOST_USER_CATCH;
    cr_assert_eq(serve(&stand), 0);
    fd = enter(&stand);
    cr_assert_eq(virtq_vhost_user_server_run(stand.server, end), VIRTQ_EINVAL);
    cr_assert(close(fd) == 0 && close(end) == 0);
    stand_close(&stand);
}
