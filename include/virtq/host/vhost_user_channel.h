/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_vhost_user
 * @brief One end of a vhost-user connection: whole messages out of a socket's bytes, and into it.
 *
 * Never waits. Whatever the peer sends, a channel reads no further than the message that it is
 * at, keeps at most #VIRTQ_VHOST_USER_FDS_MAX descriptors, and closes those that nobody takes.
 */
#ifndef VIRTQ_HOST_VHOST_USER_CHANNEL_H
#define VIRTQ_HOST_VHOST_USER_CHANNEL_H

#include <stdint.h>

#include "../api.h"
#include "vhost_user.h"

VIRTQ_BEGIN_DECLS

/** @brief A connection. The caller owns the memory; the fields are private. */
struct virtq_vhost_user_channel {
    int socket;                             /**< Owned. */
    uint32_t received;                      /**< Bytes of `in`: its header first. */
    uint32_t sent;                          /**< Bytes of `out` that are gone ... */
    uint32_t to_send;                       /**< ... of so many. */
    uint32_t refusal;                       /**< Why the connection is over. */
    uint32_t whole;                         /**< 1: `in` has been handed out. */
    struct virtq_vhost_user_message in;     /**< What comes. */
    struct virtq_vhost_user_header header;  /**< What goes: the header ... */
    union virtq_vhost_user_payload payload; /**< ... and the payload. */
    int fds[VIRTQ_VHOST_USER_FDS_MAX];      /**< Descriptors that go along, duplicates of ours. */
    uint32_t fd_count;                      /**< How many. */
};

/** @brief Makes a channel of a connected socket.
 * @param channel result; owned by the caller
 * @param socket  a connected stream socket of AF_UNIX; from now on the channel's, which closes it
 */
VIRTQ_API void virtq_vhost_user_channel_init(struct virtq_vhost_user_channel *channel, int socket);

/** @brief Closes the socket, and all descriptors of messages that nobody took.
 * @param channel a channel; twice does no harm */
VIRTQ_API void virtq_vhost_user_channel_fini(struct virtq_vhost_user_channel *channel);

/** @brief Reads what has come, at most one message.
 * @param channel a channel
 * @param message result: the channel's own, until the next call; descriptors that are still in it
 * then are closed
 * @return 1: a whole message, whose version, flags and length are legal, and nothing more is known
 * of it; 0: not yet; VIRTQ_EPEER: the connection is over, see virtq_vhost_user_channel_refusal().
 * One thread at a time. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_channel_receive(
    struct virtq_vhost_user_channel *channel, struct virtq_vhost_user_message **message);

/** @brief Sends a message, or as much of it as goes now; the rest goes with
 * virtq_vhost_user_channel_flush().
 * @param channel  a channel
 * @param header   its header: `size` is that of the payload, at most sizeof(union
 * virtq_vhost_user_payload)
 * @param payload  `header->size` bytes, copied; NULL if that is 0
 * @param fds      descriptors to go along, still the caller's; NULL if there are none
 * @param fd_count at most #VIRTQ_VHOST_USER_FDS_MAX
 * @return 0, also when only a part is gone; VIRTQ_EBUSY (the last message is not gone yet),
 * VIRTQ_EINVAL (too much), VIRTQ_ENOMEM (no descriptor could be duplicated): nothing changed; or
 * VIRTQ_EPEER. One thread at a time. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_channel_send(
    struct virtq_vhost_user_channel *channel, const struct virtq_vhost_user_header *header,
    const void *payload, const int *fds, uint32_t fd_count);

/** @brief Sends what is left of the last message.
 * @param channel a channel
 * @return 1: nothing is left; 0: the peer does not read, wait until the socket can be written;
 * VIRTQ_EPEER. One thread at a time. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_channel_flush(
    struct virtq_vhost_user_channel *channel);

/** @brief Why the connection is over.
 * @param channel a channel
 * @return an enum virtq_vhost_user_refusal; VIRTQ_VHOST_USER_ACCEPTED if it is not, or if the peer
 * closed it between two messages */
VIRTQ_API uint32_t virtq_vhost_user_channel_refusal(const struct virtq_vhost_user_channel *channel);

VIRTQ_END_DECLS

#endif
