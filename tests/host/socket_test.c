/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets by their path: who finds whom, and what is told when nobody is found. */
#include "virtq/host/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "runner.h"
#include "virtq/error.h"

/* A directory of the test's own, and a path in it. */
struct place {
    char directory[32];
    char path[64];
};

static void place_open(struct place *place)
{
    (void)snprintf(place->directory, sizeof(place->directory), "/tmp/virtq-socket-XXXXXX");
    cr_assert(mkdtemp(place->directory) != NULL);
    (void)snprintf(place->path, sizeof(place->path), "%s/s", place->directory);
}

/* Nothing is left in the directory. */
static void place_close(struct place *place)
{
    cr_assert_eq(rmdir(place->directory), 0, "%s: %s", place->directory, strerror(errno));
}

static bool there_is(const char *path)
{
    struct stat file;

    return lstat(path, &file) == 0;
}

static void close_all(const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        cr_assert_eq(close(fds[i]), 0);
    }
}

Test(host_socket, who_connects_is_heard_by_who_listens)
{
    struct place place;
    char byte = 0;
    int fds[3];

    place_open(&place);
    fds[0] = virtq_socket_listen(place.path);
    cr_assert(fds[0] >= 0);
    fds[1] = virtq_socket_connect(place.path);
    cr_assert(fds[1] >= 0);
    fds[2] = accept4(fds[0], NULL, NULL, SOCK_CLOEXEC);
    cr_assert(fds[2] >= 0);
    cr_assert_eq(write(fds[1], "x", 1), 1);
    cr_assert_eq(read(fds[2], &byte, 1), 1);
    cr_assert_eq(byte, 'x');
    close_all(fds, 3);
    cr_assert_eq(unlink(place.path), 0);
    place_close(&place);
}

Test(host_socket, neither_descriptor_is_handed_to_other_programs_and_only_accepting_never_waits)
{
    struct place place;
    int fds[2];

    place_open(&place);
    fds[0] = virtq_socket_listen(place.path);
    cr_assert(fds[0] >= 0);
    cr_assert(accept4(fds[0], NULL, NULL, SOCK_CLOEXEC) < 0 && errno == EAGAIN);
    fds[1] = virtq_socket_connect(place.path);
    cr_assert(fds[1] >= 0);
    cr_assert((fcntl(fds[0], F_GETFD) & FD_CLOEXEC) != 0);
    cr_assert((fcntl(fds[1], F_GETFD) & FD_CLOEXEC) != 0);
    cr_assert((fcntl(fds[1], F_GETFL) & O_NONBLOCK) == 0);
    close_all(fds, 2);
    cr_assert_eq(unlink(place.path), 0);
    place_close(&place);
}

Test(host_socket, a_socket_of_an_earlier_run_goes)
{
    struct place place;
    int fds[2];

    place_open(&place);
    fds[0] = virtq_socket_listen(place.path);
    cr_assert(fds[0] >= 0);
    cr_assert_eq(close(fds[0]), 0);
    cr_assert(there_is(place.path));
    cr_assert_eq(virtq_socket_connect(place.path), VIRTQ_EPEER);
    cr_assert_eq(errno, ECONNREFUSED);
    fds[0] = virtq_socket_listen(place.path);
    fds[1] = virtq_socket_connect(place.path);
    cr_assert(fds[0] >= 0 && fds[1] >= 0);
    close_all(fds, 2);
    cr_assert_eq(unlink(place.path), 0);
    place_close(&place);
}

Test(host_socket, somebody_who_listens_is_not_robbed_of_the_path_nor_disturbed)
{
    struct place place;
    int fds[2];

    place_open(&place);
    fds[0] = virtq_socket_listen(place.path);
    cr_assert(fds[0] >= 0);
    cr_assert_eq(virtq_socket_listen(place.path), VIRTQ_EBUSY);
    cr_assert_eq(errno, EADDRINUSE);
    cr_assert(accept4(fds[0], NULL, NULL, SOCK_CLOEXEC) < 0 && errno == EAGAIN);
    fds[1] = virtq_socket_connect(place.path);
    cr_assert(fds[1] >= 0);
    close_all(fds, 2);
    cr_assert_eq(unlink(place.path), 0);
    place_close(&place);
}

Test(host_socket, who_receives_datagrams_there_is_not_robbed_of_the_path_either)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct place place;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    place_open(&place);
    memcpy(address.sun_path, place.path, sizeof(place.path));
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(virtq_socket_listen(place.path), VIRTQ_EBUSY);
    cr_assert(there_is(place.path));
    cr_assert_eq(virtq_socket_connect(place.path), VIRTQ_EINVAL);
    cr_assert_eq(errno, EPROTOTYPE);
    cr_assert_eq(close(fd), 0);
    cr_assert_eq(unlink(place.path), 0);
    place_close(&place);
}

Test(host_socket, what_is_no_socket_stays)
{
    struct place place;
    char target[80];
    int fd;

    place_open(&place);
    fd = open(place.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert(fd >= 0 && write(fd, "dear", 4) == 4 && close(fd) == 0);
    cr_assert_eq(virtq_socket_listen(place.path), VIRTQ_EBUSY);
    cr_assert_eq(errno, EADDRINUSE);
    cr_assert_eq(virtq_socket_connect(place.path), VIRTQ_EPEER);
    cr_assert_eq(unlink(place.path), 0);
    /* Nor does what leads to a socket that nobody has: who made that may have meant it. */
    (void)snprintf(target, sizeof(target), "%s/t", place.directory);
    fd = virtq_socket_listen(target);
    cr_assert(fd >= 0 && close(fd) == 0);
    cr_assert_eq(symlink(target, place.path), 0);
    cr_assert_eq(virtq_socket_listen(place.path), VIRTQ_EBUSY);
    cr_assert(there_is(target) && there_is(place.path));
    cr_assert(unlink(target) == 0 && unlink(place.path) == 0);
    place_close(&place);
}

Test(host_socket, a_path_that_is_none_is_refused_with_the_reason)
{
    struct place place;
    char nowhere[80];
    char longest[109];

    place_open(&place);
    (void)snprintf(nowhere, sizeof(nowhere), "%s/none/s", place.directory);
    memset(longest, 'x', sizeof(longest));
    longest[108] = '\0';
    for (unsigned i = 0; i < 2; i++) {
        int (*const function)(const char *) = i == 0 ? virtq_socket_listen : virtq_socket_connect;

        cr_assert_eq(function(NULL), VIRTQ_EINVAL);
        cr_assert_eq(errno, EINVAL);
        cr_assert_eq(function(""), VIRTQ_EINVAL);
        cr_assert_eq(errno, EINVAL);
        cr_assert_eq(function(longest), VIRTQ_EINVAL);
        cr_assert_eq(errno, ENAMETOOLONG);
        cr_assert_eq(function(nowhere), i == 0 ? VIRTQ_EINVAL : VIRTQ_EPEER);
        cr_assert_eq(errno, ENOENT);
    }
    cr_assert_eq(virtq_socket_connect(place.path), VIRTQ_EPEER);
    place_close(&place);
}

Test(host_socket, the_longest_path_that_fits_is_taken)
{
    struct place place;
    char path[108];
    int fds[2];

    place_open(&place);
    memset(path, 'x', sizeof(path));
    memcpy(path, place.directory, strlen(place.directory));
    path[strlen(place.directory)] = '/';
    path[107] = '\0';
    fds[0] = virtq_socket_listen(path);
    fds[1] = virtq_socket_connect(path);
    cr_assert(fds[0] >= 0 && fds[1] >= 0);
    close_all(fds, 2);
    cr_assert_eq(unlink(path), 0);
    place_close(&place);
}

/* What a function says when no descriptor can be had. */
static int call_without(int (*function)(const char *), const char *path)
{
    const int next = dup(STDERR_FILENO);
    struct rlimit limit;
    struct rlimit less;
    int result;
    int system;

    cr_assert(next >= 0 && close(next) == 0);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    less = limit;
    less.rlim_cur = (rlim_t)next;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &less), 0);
    result = function(path);
    system = errno;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    errno = system;
    return result;
}

Test(host_socket, without_descriptors_it_says_so_and_leaves_nothing)
{
    struct place place;

    if (getenv("VIRTQ_TEST_HURRIED") != NULL || getenv("VIRTQ_TEST_EMULATED") != NULL) {
        return; /* There a limit is none of the kernel's. */
    }
    place_open(&place);
    cr_assert_eq(call_without(virtq_socket_listen, place.path), VIRTQ_ENOMEM);
    cr_assert_eq(errno, EMFILE);
    cr_assert_eq(call_without(virtq_socket_connect, place.path), VIRTQ_ENOMEM);
    cr_assert_eq(errno, EMFILE);
    cr_assert(!there_is(place.path));
    place_close(&place);
}
