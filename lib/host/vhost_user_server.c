/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/host/vhost_user_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "align.h"
#include "virtq/error.h"
#include "virtq/host/socket.h"

struct virtq_vhost_user_server {
    struct virtq_vhost_user_backend_config config;
    struct virtq_vhost_user_backend *backend; /* NULL: nobody is there, and the listener counts. */
    void *memory;                             /* The back-end's. */
    size_t memory_size;
    int epoll;
    int listener;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* Empty: not ours. */
};

VIRTQ_API size_t virtq_vhost_user_server_size(const struct virtq_vhost_user_server_config *config)
{
    const size_t each = config->struct_size == sizeof(*config) && config->backend != NULL
                            ? virtq_vhost_user_backend_size(config->backend)
                            : 0;

    return each == 0 ? 0 : virtq_priv_align_up(sizeof(struct virtq_vhost_user_server)) + each;
}

/* Whether a socket listens; from now on who accepts never waits. */
static int take_over(int listener)
{
    const int flags = fcntl(listener, F_GETFL);
    socklen_t size = sizeof(int);
    int listens = 0;

    if (flags < 0 || getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 ||
        listens == 0 || fcntl(listener, F_SETFL, flags | O_NONBLOCK) != 0) {
        return VIRTQ_EINVAL;
    }
    return listener;
}

/* While somebody is served nobody else is looked for. */
static int watch_listener(const struct virtq_vhost_user_server *server, int operation,
                          uint32_t events)
{
    struct epoll_event event = {.events = events};

    return epoll_ctl(server->epoll, operation, server->listener, &event);
}

/* Opens what a server has open. */
static int open_all(struct virtq_vhost_user_server *server,
                    const struct virtq_vhost_user_server_config *config)
{
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll < 0) {
        return VIRTQ_ENOMEM;
    }
    server->listener =
        config->path != NULL ? virtq_socket_listen(config->path) : take_over(config->listener);
    if (server->listener < 0) {
        const int system = errno;

        (void)close(server->epoll);
        errno = system;
        return server->listener;
    }
    if (config->path != NULL) {
        memcpy(server->path, config->path, strlen(config->path));
    }
    if (watch_listener(server, EPOLL_CTL_ADD, EPOLLIN) != 0) {
        (void)close(server->epoll);
        if (config->path != NULL) {
            (void)close(server->listener);
            (void)unlink(server->path);
        }
        return VIRTQ_ENOMEM;
    }
    return VIRTQ_OK;
}

VIRTQ_API int virtq_vhost_user_server_init(void *memory, size_t size,
                                           const struct virtq_vhost_user_server_config *config,
                                           struct virtq_vhost_user_server **server)
{
    const size_t needed = virtq_vhost_user_server_size(config);
    const size_t own = virtq_priv_align_up(sizeof(struct virtq_vhost_user_server));
    struct virtq_vhost_user_server *made = memory;
    int error;

    if (needed == 0 || memory == NULL || (uintptr_t)memory % VIRTQ_CACHE_LINE != 0 ||
        (config->path != NULL) == (config->listener >= 0)) {
        return VIRTQ_EINVAL;
    }
    if (size < needed) {
        return VIRTQ_ENOMEM;
    }
    memset(made, 0, sizeof(*made));
    made->config = *config->backend;
    made->memory = (unsigned char *)memory + own;
    made->memory_size = needed - own;
    error = open_all(made, config);
    if (error == VIRTQ_OK) {
        *server = made;
    }
    return error;
}

/* Ends the back-end; its functions can still ask for it. */
static void hang_up(struct virtq_vhost_user_server *server)
{
    struct epoll_event event = {.events = 0};

    (void)epoll_ctl(server->epoll, EPOLL_CTL_DEL, virtq_vhost_user_backend_fd(server->backend),
                    &event);
    virtq_vhost_user_backend_fini(server->backend);
    server->backend = NULL;
}

VIRTQ_API void virtq_vhost_user_server_fini(struct virtq_vhost_user_server *server)
{
    if (server->backend != NULL) {
        hang_up(server);
    }
    (void)close(server->listener);
    (void)close(server->epoll);
    if (server->path[0] != '\0') {
        (void)unlink(server->path);
    }
}

VIRTQ_API int virtq_vhost_user_server_fd(const struct virtq_vhost_user_server *server)
{
    return server->epoll;
}

/* Makes a back-end of whoever waits, if he still does. */
static int welcome(struct virtq_vhost_user_server *server)
{
    struct epoll_event event = {.events = EPOLLIN};
    int error;

    server->config.socket = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    if (server->config.socket < 0) {
        return errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM
                   ? VIRTQ_ENOMEM
                   : VIRTQ_OK;
    }
    error = virtq_vhost_user_backend_init(server->memory, server->memory_size, &server->config,
                                          &server->backend);
    if (error != VIRTQ_OK) {
        (void)close(server->config.socket);
        return error;
    }
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, virtq_vhost_user_backend_fd(server->backend),
                  &event) != 0) {
        hang_up(server);
        return VIRTQ_ENOMEM;
    }
    (void)watch_listener(server, EPOLL_CTL_MOD, 0);
    return VIRTQ_OK;
}

VIRTQ_API int virtq_vhost_user_server_process(struct virtq_vhost_user_server *server)
{
    if (server->backend == NULL) {
        return welcome(server);
    }
    if (virtq_vhost_user_backend_process(server->backend) != VIRTQ_OK) {
        hang_up(server);
        (void)watch_listener(server, EPOLL_CTL_MOD, EPOLLIN);
    }
    return VIRTQ_OK;
}

VIRTQ_API int virtq_vhost_user_server_run(struct virtq_vhost_user_server *server, int end)
{
    struct pollfd ready[] = {{server->epoll, POLLIN, 0}, {end, POLLIN, 0}};
    int result = VIRTQ_OK;

    for (;;) {
        const int count = poll(ready, 2, -1);

        if (count > 0 && ready[1].revents != 0) {
            return VIRTQ_OK;
        }
        if (count > 0) {
            result = virtq_vhost_user_server_process(server);
        }
        if (result != VIRTQ_OK) {
            return result;
        }
    }
}

VIRTQ_API struct virtq_vhost_user_backend *virtq_vhost_user_server_backend(
    const struct virtq_vhost_user_server *server)
{
    return server->backend;
}
