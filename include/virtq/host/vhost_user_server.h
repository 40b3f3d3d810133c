/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_vhost_user
 * @brief A device that waits for front-ends at a socket, and serves one after the other.
 *
 * The caller's event loop waits until virtq_vhost_user_server_fd() can be read, and then calls
 * virtq_vhost_user_server_process(): that accepts a connection, makes a back-end of it
 * (vhost_user_backend.h), lets it do what there is to do, and ends it when the connection is over.
 * Whoever connects meanwhile waits in the socket's queue. No thread is started.
 *
 * Who has no event loop has virtq_vhost_user_server_run() do that:
 *
 *     config.path = "/tmp/disk.sock";
 *     config.backend = &device;        // what each connection's back-end is like
 *     virtq_vhost_user_server_init(memory, size, &config, &server);
 *     virtq_vhost_user_server_run(server, signals);
 *     virtq_vhost_user_server_fini(server);
 *
 * Whatever a front-end does ends its own connection at most.
 */
#ifndef VIRTQ_HOST_VHOST_USER_SERVER_H
#define VIRTQ_HOST_VHOST_USER_SERVER_H

#include <stddef.h>

#include "../api.h"
#include "vhost_user_backend.h"

VIRTQ_BEGIN_DECLS

/** @brief A server. Lives in memory that the caller gives. */
struct virtq_vhost_user_server;

/** @brief How a server is to be. Begin with #VIRTQ_VHOST_USER_SERVER_CONFIG_INIT. */
struct virtq_vhost_user_server_config {
    size_t struct_size; /**< sizeof(struct virtq_vhost_user_server_config): lets the struct grow. */
    const char *path;   /**< Where to listen, as for virtq_socket_listen(); read during init only.
                             NULL: */
    int listener;       /**< a socket that listens already; the server's after an init without
                             error. -1 with a path. */
    int reserved_;      /**< Zero. */
    /** The back-end of each connection, as for virtq_vhost_user_backend_init(), without its socket.
     * Copied; its table of functions has to stay as long as the server. */
    const struct virtq_vhost_user_backend_config *backend;
};

/** @brief The initial value of a struct virtq_vhost_user_server_config. */
#define VIRTQ_VHOST_USER_SERVER_CONFIG_INIT                              \
    {                                                                    \
        sizeof(struct virtq_vhost_user_server_config), NULL, -1, 0, NULL \
    }

/** @brief Bytes of memory that a server needs, that of its back-end included.
 * @param config `backend` counts
 * @return bytes, a multiple of #VIRTQ_CACHE_LINE, to which they are to be aligned; 0 if the
 * configuration is illegal. Any thread. */
VIRTQ_API size_t virtq_vhost_user_server_size(const struct virtq_vhost_user_server_config *config);

/** @brief Listens.
 * @param memory private memory, aligned to #VIRTQ_CACHE_LINE; owned by the caller, must stay until
 * virtq_vhost_user_server_fini()
 * @param size   its bytes, at least virtq_vhost_user_server_size()
 * @param config read during the call only
 * @param server result: where `memory` begins
 * @return 0; VIRTQ_EINVAL (configuration, alignment, or `listener` does not listen), VIRTQ_ENOMEM
 * (memory too small, or no descriptor to be had), or with a path whatever virtq_socket_listen()
 * says, and then `errno` holds the system's error: nothing is kept, and `listener` is still the
 * caller's. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_server_init(
    void *memory, size_t size, const struct virtq_vhost_user_server_config *config,
    struct virtq_vhost_user_server **server);

/** @brief Ends the back-end if there is one (virtq_vhost_user_backend_fini()), and listens no more.
 * Where it was given a path, that goes.
 * @param server a server; its memory is the caller's again. The thread that calls process. */
VIRTQ_API void virtq_vhost_user_server_fini(struct virtq_vhost_user_server *server);

/** @brief What an event loop waits for: readable means that process has something to do.
 * @param server a server
 * @return a descriptor, the server's own, the same until it ends. Any thread. */
VIRTQ_API int virtq_vhost_user_server_fd(const struct virtq_vhost_user_server *server);

/** @brief Does what there is to do, and never waits: takes the next connection, or a bounded number
 * of its messages and kicks, or ends it. The functions of struct virtq_vhost_user_ops are called
 * within.
 * @param server a server
 * @return 0: wait and call again, whatever has become of a connection; else somebody cannot be
 * served, though he did nothing wrong: VIRTQ_ENOMEM (for want of descriptors: he waits, or has been
 * hung up on; call again when there are some) or VIRTQ_EINVAL (there is no handler for
 * ::VIRTQ_VHOST_USER_CATCH: he has been hung up on). One thread at a time, not between enter and
 * leave. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_server_process(
    struct virtq_vhost_user_server *server);

/** @brief Waits and calls virtq_vhost_user_server_process(), until somebody asks to end.
 * @param server a server
 * @param end    a descriptor that is readable when it is to end, as signalfd() gives; not read
 * @return 0: it is readable; else what virtq_vhost_user_server_process() says. The thread that
 * calls process. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_server_run(struct virtq_vhost_user_server *server,
                                                           int end);

/** @brief Who is being served.
 * @param server a server
 * @return the back-end of this connection, also within its functions up to and including the last
 * virtq_vhost_user_ops::stopping; NULL: nobody. The thread that calls process; other threads keep
 * what their virtq_vhost_user_ops::started has found. */
VIRTQ_API struct virtq_vhost_user_backend *virtq_vhost_user_server_backend(
    const struct virtq_vhost_user_server *server);

VIRTQ_END_DECLS

#endif
