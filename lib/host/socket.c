/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/host/socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "virtq/error.h"

/* How many may wait to be accepted. */
enum { BACKLOG = 4 };

/* The system's error by our names; `errno` is as it was. */
static int error_of(int system)
{
    switch (system) {
    case EADDRINUSE:
        return VIRTQ_EBUSY;
    case ECONNREFUSED:
        return VIRTQ_EPEER;
    case EACCES:
    case EPERM:
    case EROFS:
        return VIRTQ_EPERM;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC:
        return VIRTQ_ENOMEM;
    default:
        return VIRTQ_EINVAL;
    }
}

static bool make_address(const char *path, struct sockaddr_un *address)
{
    const size_t length = path != NULL ? strlen(path) : 0;

    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    if (length == 0 || length >= sizeof(address->sun_path)) {
        errno = length == 0 ? EINVAL : ENAMETOOLONG;
        return false;
    }
    memcpy(address->sun_path, path, length);
    return true;
}

/* Whether a socket is there that nobody has bound any more. Who listens is not disturbed: a socket
 * of another type is refused for its type, and only if there is somebody to refuse it. */
static bool is_stale(const struct sockaddr_un *address)
{
    bool stale = false;
    struct stat file;

    if (lstat(address->sun_path, &file) == 0 && S_ISSOCK(file.st_mode)) {
        const int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        stale = probe >= 0 &&
                connect(probe, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
                errno == ECONNREFUSED;
        if (probe >= 0) {
            (void)close(probe);
        }
    }
    return stale;
}

/* Closes a socket that did not come to be what it should: why not. */
static int give_up(int fd)
{
    const int system = errno;

    if (fd >= 0) {
        (void)close(fd);
        errno = system;
    }
    return error_of(system);
}

VIRTQ_API int virtq_socket_listen(const char *path)
{
    struct sockaddr_un address;
    int fd;

    if (!make_address(path, &address)) {
        return VIRTQ_EINVAL;
    }
    /* Who was there when poll() said so may be gone when he is to be accepted. */
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return give_up(fd);
    }
    if (is_stale(&address)) {
        (void)unlink(path);
    }
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        return give_up(fd);
    }
    if (listen(fd, BACKLOG) != 0) {
        const int system = errno;

        (void)unlink(path);
        errno = system;
        return give_up(fd);
    }
    return fd;
}

VIRTQ_API int virtq_socket_connect(const char *path)
{
    struct sockaddr_un address;
    int result;
    int fd;

    if (!make_address(path, &address)) {
        return VIRTQ_EINVAL;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return give_up(fd);
    }
    do {
        result = connect(fd, (const struct sockaddr *)&address, sizeof(address));
    } while (result != 0 && errno == EINTR);
    if (result != 0) {
        /* A path that leads nowhere: somebody may make it do so later. */
        const int error = give_up(fd);

        return errno == ENOENT ? VIRTQ_EPEER : error;
    }
    return fd;
}
