/* SPDX-License-Identifier: BSD-3-Clause */
/* What programs behind vhost-user share: they listen, say what they refuse, and a signal ends them
 * in order. */
#ifndef VIRTQ_EXAMPLES_SERVE_H
#define VIRTQ_EXAMPLES_SERVE_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <virtq/host/vhost_user_server.h>

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

/* For struct virtq_vhost_user_ops. */
static inline void serve_refused(void *opaque, uint32_t number, uint32_t refusal)
{
    (void)opaque;
    fprintf(stderr, "%s refused: %s\n", virtq_vhost_user_request_name(number),
            virtq_vhost_user_refusal_name(refusal));
}

/* Listens at a path, or says why not. */
static inline struct virtq_vhost_user_server *serve_open(
    const char *path, const struct virtq_vhost_user_backend_config *device)
{
    struct virtq_vhost_user_server_config config = VIRTQ_VHOST_USER_SERVER_CONFIG_INIT;
    struct virtq_vhost_user_server *server;
    size_t size;
    void *memory;

    config.path = path;
    config.backend = device;
    size = virtq_vhost_user_server_size(&config);
    memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    if (memory == NULL || virtq_vhost_user_server_init(memory, size, &config, &server) != 0) {
        perror(path);
        free(memory);
        return NULL;
    }
    return server;
}

static inline void serve_close(struct virtq_vhost_user_server *server)
{
    virtq_vhost_user_server_fini(server);
    free(server);
}

#endif
