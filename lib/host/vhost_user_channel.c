/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/host/vhost_user_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "virtq/error.h"

enum { HEADER = sizeof(struct virtq_vhost_user_header) };

/* Room for the descriptors of one message. With more the system drops those beyond, and says so. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * VIRTQ_VHOST_USER_FDS_MAX)];
};

static void close_all(int *fds, uint32_t count)
{
    uint32_t i;

    for (i = 0; i < count; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
        fds[i] = -1;
    }
}

/* The connection ends with the first reason. */
static int refuse(struct virtq_vhost_user_channel *channel, uint32_t refusal)
{
    if (channel->socket >= 0) {
        channel->refusal = refusal;
        virtq_vhost_user_channel_fini(channel);
    }
    return VIRTQ_EPEER;
}

/* Empties a message that somebody may have changed, except for its descriptors' array. */
static void begin(struct virtq_vhost_user_message *message)
{
    close_all(message->fds, VIRTQ_VHOST_USER_FDS_MAX);
    memset(&message->header, 0, sizeof(message->header));
    memset(&message->payload, 0, sizeof(message->payload));
    message->fd_count = 0;
}

VIRTQ_API void virtq_vhost_user_channel_init(struct virtq_vhost_user_channel *channel, int socket)
{
    uint32_t i;

    memset(channel, 0, sizeof(*channel));
    channel->socket = socket;
    for (i = 0; i < VIRTQ_VHOST_USER_FDS_MAX; i++) {
        channel->in.fds[i] = -1;
    }
}

VIRTQ_API void virtq_vhost_user_channel_fini(struct virtq_vhost_user_channel *channel)
{
    begin(&channel->in);
    close_all(channel->fds, channel->fd_count);
    channel->fd_count = 0;
    channel->to_send = 0;
    channel->sent = 0;
    if (channel->socket >= 0) {
        (void)close(channel->socket);
    }
    channel->socket = -1;
}

/* Takes over the descriptors that came with some bytes; false when there are too many. All that
 * the system has given us are closed in the end, those beyond the limit at once. */
static int take_fds(struct virtq_vhost_user_message *message, struct msghdr *from)
{
    int fits = (from->msg_flags & MSG_CTRUNC) == 0;
    struct cmsghdr *part;

    for (part = CMSG_FIRSTHDR(from); part != NULL; part = CMSG_NXTHDR(from, part)) {
        size_t count;
        size_t i;

        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
            if (message->fd_count < VIRTQ_VHOST_USER_FDS_MAX) {
                message->fds[message->fd_count++] = fd;
            } else {
                (void)close(fd);
                fits = 0;
            }
        }
    }
    return fits;
}

/* Reads up to `len` bytes: their number, 0 for none yet, or VIRTQ_EPEER. */
static int read_some(struct virtq_vhost_user_channel *channel, void *to, size_t len)
{
    union control control;
    struct iovec bytes = {to, len};
    struct msghdr from;
    ssize_t got;

    memset(&from, 0, sizeof(from));
    from.msg_iov = &bytes;
    from.msg_iovlen = 1;
    from.msg_control = control.bytes;
    from.msg_controllen = sizeof(control.bytes);
    do {
        got = recvmsg(channel->socket, &from, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return errno == EAGAIN ? 0 : refuse(channel, VIRTQ_VHOST_USER_REFUSED_SHORT);
    }
    if (!take_fds(&channel->in, &from)) {
        return refuse(channel, VIRTQ_VHOST_USER_REFUSED_FDS);
    }
    if (got == 0) {
        return refuse(channel, channel->received == 0 ? VIRTQ_VHOST_USER_ACCEPTED
                                                      : VIRTQ_VHOST_USER_REFUSED_SHORT);
    }
    channel->received += (uint32_t)got;
    return (int)got;
}

/* What is wrong with a header makes all that follows meaningless. */
static uint32_t judge_header(const struct virtq_vhost_user_header *header)
{
    const uint32_t known = VHOST_USER_VERSION_MASK | VHOST_USER_REPLY | VHOST_USER_NEED_REPLY;

    if ((header->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION) {
        return VIRTQ_VHOST_USER_REFUSED_VERSION;
    }
    if ((header->flags & ~known) != 0) {
        return VIRTQ_VHOST_USER_REFUSED_FLAGS;
    }
    return header->size > sizeof(union virtq_vhost_user_payload) ? VIRTQ_VHOST_USER_REFUSED_LENGTH
                                                                 : VIRTQ_VHOST_USER_ACCEPTED;
}

VIRTQ_API int virtq_vhost_user_channel_receive(struct virtq_vhost_user_channel *channel,
                                               struct virtq_vhost_user_message **message)
{
    struct virtq_vhost_user_message *in = &channel->in;

    if (channel->socket < 0) {
        return VIRTQ_EPEER;
    }
    if (channel->whole != 0) {
        channel->whole = 0;
        channel->received = 0;
        begin(in);
    }
    /* Never a byte beyond this message, or its successor's descriptors would come along. */
    while (channel->received < HEADER) {
        int got =
            read_some(channel, (char *)&in->header + channel->received, HEADER - channel->received);

        if (got <= 0) {
            return got;
        }
        if (channel->received == HEADER && judge_header(&in->header) != 0) {
            return refuse(channel, judge_header(&in->header));
        }
    }
    while (channel->received < HEADER + in->header.size) {
        uint32_t done = channel->received - HEADER;
        int got = read_some(channel, (char *)&in->payload + done, in->header.size - done);

        if (got <= 0) {
            return got;
        }
    }
    channel->whole = 1;
    *message = in;
    return 1;
}

VIRTQ_API int virtq_vhost_user_channel_send(struct virtq_vhost_user_channel *channel,
                                            const struct virtq_vhost_user_header *header,
                                            const void *payload, const int *fds, uint32_t fd_count)
{
    int flushed;

    if (channel->socket < 0) {
        return VIRTQ_EPEER;
    }
    if (header->size > sizeof(channel->payload) || fd_count > VIRTQ_VHOST_USER_FDS_MAX ||
        (header->size != 0 && payload == NULL)) {
        return VIRTQ_EINVAL;
    }
    if (channel->sent != channel->to_send) {
        return VIRTQ_EBUSY;
    }
    while (channel->fd_count < fd_count) {
        int fd = fcntl(fds[channel->fd_count], F_DUPFD_CLOEXEC, 0);

        if (fd < 0) {
            close_all(channel->fds, channel->fd_count);
            channel->fd_count = 0;
            return VIRTQ_ENOMEM;
        }
        channel->fds[channel->fd_count++] = fd;
    }
    channel->header = *header;
    if (header->size != 0) {
        memcpy(&channel->payload, payload, header->size);
    }
    channel->sent = 0;
    channel->to_send = HEADER + header->size;
    flushed = virtq_vhost_user_channel_flush(channel);
    return flushed < 0 ? flushed : VIRTQ_OK;
}

/* Sends once: bytes, 0 if there is no room, or less than 0. Descriptors go with the first byte. */
static ssize_t send_some(struct virtq_vhost_user_channel *channel)
{
    union control control;
    const uint32_t sent = channel->sent;
    struct iovec bytes[2];
    struct msghdr to;
    ssize_t put;

    memset(&to, 0, sizeof(to));
    memset(&control, 0, sizeof(control));
    bytes[0].iov_base = (char *)&channel->header + (sent < HEADER ? sent : HEADER);
    bytes[0].iov_len = sent < HEADER ? HEADER - sent : 0;
    bytes[1].iov_base = (char *)&channel->payload + (sent < HEADER ? 0 : sent - HEADER);
    bytes[1].iov_len = channel->to_send - sent - bytes[0].iov_len;
    to.msg_iov = bytes;
    to.msg_iovlen = 2;
    if (channel->fd_count != 0) {
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * channel->fd_count);
        to.msg_control = control.bytes;
        to.msg_controllen = CMSG_SPACE(sizeof(int) * channel->fd_count);
        memcpy(CMSG_DATA(&control.header), channel->fds, sizeof(int) * channel->fd_count);
    }
    do {
        put = sendmsg(channel->socket, &to, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (put < 0 && errno == EINTR);
    return put < 0 && (errno == EAGAIN) ? 0 : put;
}

VIRTQ_API int virtq_vhost_user_channel_flush(struct virtq_vhost_user_channel *channel)
{
    if (channel->socket < 0) {
        return VIRTQ_EPEER;
    }
    while (channel->sent != channel->to_send) {
        ssize_t put = send_some(channel);

        if (put <= 0) {
            return put == 0 ? 0 : refuse(channel, VIRTQ_VHOST_USER_REFUSED_SHORT);
        }
        channel->sent += (uint32_t)put;
        close_all(channel->fds, channel->fd_count);
        channel->fd_count = 0;
    }
    return 1;
}

VIRTQ_API uint32_t virtq_vhost_user_channel_refusal(const struct virtq_vhost_user_channel *channel)
{
    return channel->refusal;
}
