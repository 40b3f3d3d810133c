/* SPDX-License-Identifier: BSD-3-Clause */
/* What programs behind vhost-user share: a socket to wait at, and one front-end after the other. A
 * signal ends them in order. */
#ifndef VIRTQ_EXAMPLES_SERVE_H
#define VIRTQ_EXAMPLES_SERVE_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <virtq/host/vhost_user_backend.h>

/* SIGINT and SIGTERM come out of a descriptor; a peer that goes is an error of write(). All threads
 * that are started later keep to it. */
static inline int serve_signals(void)
{
    sigset_t set;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* A socket that listens; what an earlier run has left there goes, if it is a socket. */
static inline int serve_listen(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stat old;

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
    } else if (listener >= 0) {
        memcpy(address.sun_path, path, strlen(path));
        if (stat(path, &old) == 0 && S_ISSOCK(old.st_mode)) {
            (void)unlink(path);
        }
        if (bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
            listen(listener, 4) == 0) {
            return listener;
        }
    }
    perror(path);
    return -1;
}

/* Until there is something to read; false if a signal asks to end. */
static inline bool serve_wait(int fd, int signals)
{
    struct pollfd ready[] = {{fd, POLLIN, 0}, {signals, POLLIN, 0}};

    while (poll(ready, 2, -1) < 0 && errno == EINTR) {
    }
    return ready[1].revents == 0;
}

/* For struct virtq_vhost_user_ops. */
static inline void serve_refused(void *opaque, uint32_t number, uint32_t refusal)
{
    (void)opaque;
    fprintf(stderr, "%s refused: %s\n", virtq_vhost_user_request_name(number),
            virtq_vhost_user_refusal_name(refusal));
}

/* Serves whoever connects; `backend` is where the device's functions look for their back-end. */
static inline int serve_all(const char *path, int signals,
                            struct virtq_vhost_user_backend_config *config,
                            struct virtq_vhost_user_backend **backend)
{
    const int listener = serve_listen(path);
    const size_t size = virtq_vhost_user_backend_size(config);
    void *memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    int result = listener < 0 || memory == NULL || size == 0 ? -1 : 0;

    while (result == 0 && serve_wait(listener, signals)) {
        config->socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (config->socket < 0) {
            continue;
        }
        if (virtq_vhost_user_backend_init(memory, size, config, backend) != 0) {
            (void)close(config->socket);
            continue;
        }
        while (serve_wait(virtq_vhost_user_backend_fd(*backend), signals) &&
               virtq_vhost_user_backend_process(*backend) == 0) {
        }
        virtq_vhost_user_backend_fini(*backend);
    }
    if (listener >= 0) {
        (void)close(listener);
        (void)unlink(path);
    }
    free(memory);
    return result;
}

#endif
