/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_vhost_user
 * @brief Where the two ends of vhost-user meet: stream sockets of AF_UNIX, by their path.
 *
 * Both functions answer with a descriptor, or with an error; then `errno` holds the system's own,
 * so that perror() tells a user what is wrong with the path.
 */
#ifndef VIRTQ_HOST_SOCKET_H
#define VIRTQ_HOST_SOCKET_H

#include "../api.h"

VIRTQ_BEGIN_DECLS

/** @brief Listens for connections. A socket that an earlier run has left there, and at which nobody
 * listens any more, goes; nothing else does.
 * @param path where, shorter than 108 bytes
 * @return a descriptor, the caller's, that is readable when somebody wants to connect; accept4()
 * never waits. When it is closed the path stays, and is to be unlinked. VIRTQ_EINVAL (no path, one
 * that is too long or that leads nowhere), VIRTQ_EBUSY (somebody listens there, or it is no
 * socket), VIRTQ_EPERM (no permission) or VIRTQ_ENOMEM (no descriptor to be had): nothing is kept,
 * and whatever was in use is as it was. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_socket_listen(const char *path);

/** @brief Connects to somebody who listens. If many others do at this moment, it waits.
 * @param path where, shorter than 108 bytes
 * @return a connected socket, the caller's; VIRTQ_EINVAL (no path, or one that is too long),
 * VIRTQ_EPEER (nobody listens there: there may be somebody later), VIRTQ_EPERM (no permission) or
 * VIRTQ_ENOMEM (no descriptor to be had): nothing is kept. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_socket_connect(const char *path);

VIRTQ_END_DECLS

#endif
