/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole messages out of a socket's bytes, each judged by its row; and no descriptor is ever lost.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "process.h"
#include "random.h"
#include "runner.h"
#include "virtq/error.h"
#include "virtq/host/vhost_user_channel.h"

static int connect_pair(struct virtq_vhost_user_channel *channel)
{
    int ends[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    virtq_vhost_user_channel_init(channel, ends[0]);
    return ends[1];
}

/* Sends bytes, and `fd_count` descriptors along with them: as a peer that keeps no rules. */
static void put(int socket, const void *bytes, size_t len, unsigned fd_count)
{
    char control[CMSG_SPACE(sizeof(int) * 64)] __attribute__((aligned(16))) = {0};
    struct iovec part = {(void *)(uintptr_t)bytes, len};
    struct msghdr to = {0};
    int fds[64];

    to.msg_iov = &part;
    to.msg_iovlen = 1;
    for (unsigned i = 0; i < fd_count; i++) {
        fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
        cr_assert(fds[i] >= 0);
    }
    if (fd_count != 0) {
        to.msg_control = control;
        to.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        CMSG_FIRSTHDR(&to)->cmsg_level = SOL_SOCKET;
        CMSG_FIRSTHDR(&to)->cmsg_type = SCM_RIGHTS;
        CMSG_FIRSTHDR(&to)->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&to)), fds, sizeof(int) * fd_count);
    }
    cr_assert_eq(sendmsg(socket, &to, MSG_NOSIGNAL), (ssize_t)len);
    for (unsigned i = 0; i < fd_count; i++) {
        cr_assert_eq(close(fds[i]), 0);
    }
}

Test(host_channel, a_message_may_come_byte_by_byte_and_keeps_its_descriptors)
{
    unsigned before = process_fds();
    struct virtq_vhost_user_channel channel;
    struct virtq_vhost_user_message *message = NULL;
    int peer = connect_pair(&channel);
    unsigned char bytes[20] = {0};
    struct virtq_vhost_user_header header = {VHOST_USER_SET_VRING_CALL, VHOST_USER_VERSION, 8};

    memcpy(bytes, &header, sizeof(header));
    bytes[12] = 7;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < sizeof(bytes); i++) {
            cr_assert_eq(virtq_vhost_user_channel_receive(&channel, &message), 0);
            put(peer, bytes + i, 1, i == 0 ? 1 : 0);
        }
        cr_assert_eq(virtq_vhost_user_channel_receive(&channel, &message), 1);
        cr_assert_eq(message->header.request, VHOST_USER_SET_VRING_CALL);
        cr_assert_eq(message->fd_count, 1u);
        cr_assert(fcntl(message->fds[0], F_GETFD) == FD_CLOEXEC);
        cr_assert_eq(virtq_vhost_user_judge(message, 0), VIRTQ_VHOST_USER_ACCEPTED);
    }
    virtq_vhost_user_channel_fini(&channel);
    virtq_vhost_user_channel_fini(&channel);
    cr_assert_eq(close(peer), 0);
    cr_assert_eq(process_fds(), before);
}

Test(host_channel, a_message_does_not_take_the_next_ones_descriptors)
{
    struct virtq_vhost_user_channel channel;
    struct virtq_vhost_user_message *message = NULL;
    int peer = connect_pair(&channel);
    struct virtq_vhost_user_header plain = {VHOST_USER_SET_OWNER, VHOST_USER_VERSION, 0};

    put(peer, &plain, sizeof(plain), 0);
    put(peer, &plain, sizeof(plain), 2);
    cr_assert_eq(virtq_vhost_user_channel_receive(&channel, &message), 1);
    cr_assert_eq(message->fd_count, 0u);
    message->header.size = 8; /* Whoever has a message may write his answer into it. */
    message->fd_count = 5;
    cr_assert_eq(virtq_vhost_user_channel_receive(&channel, &message), 1);
    cr_assert_eq(message->fd_count, 2u);
    cr_assert_eq(virtq_vhost_user_judge(message, 0), VIRTQ_VHOST_USER_REFUSED_FDS);
    cr_assert_eq(virtq_vhost_user_channel_receive(&channel, &message), 0);
    virtq_vhost_user_channel_fini(&channel);
    cr_assert_eq(close(peer), 0);
}

static void expect_end(const void *bytes, size_t len, unsigned fds, uint32_t refusal)
{
    unsigned before = process_fds();
    struct virtq_vhost_user_channel channel;
    struct virtq_vhost_user_message *message = NULL;
    int peer = connect_pair(&channel);

    if (len != 0) {
        put(peer, bytes, len, fds);
    }
    cr_assert_eq(shutdown(peer, SHUT_WR), 0);
    cr_assert_eq(virtq_vhost_user_channel_receive(&channel, &message), VIRTQ_EPEER);
    cr_assert_eq(virtq_vhost_user_channel_refusal(&channel), refusal, "%s",
                 virtq_vhost_user_refusal_name(virtq_vhost_user_channel_refusal(&channel)));
    cr_assert_eq(virtq_vhost_user_channel_receive(&channel, &message), VIRTQ_EPEER);
    cr_assert_eq(virtq_vhost_user_channel_flush(&channel), VIRTQ_EPEER);
    cr_assert_eq(close(peer), 0);
    cr_assert_eq(process_fds(), before, "descriptors are left");
}

/* An emulator of other machines may keep it to itself that descriptors were dropped. */
static int truncation_is_told(void)
{
    char control[CMSG_SPACE(sizeof(int) * 8)] __attribute__((aligned(16)));
    char byte = 0;
    struct iovec part = {&byte, 1};
    struct msghdr from = {0};
    int ends[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    put(ends[0], &byte, 1, 9);
    from.msg_iov = &part;
    from.msg_iovlen = 1;
    from.msg_control = control;
    from.msg_controllen = sizeof(control);
    cr_assert_eq(recvmsg(ends[1], &from, 0), 1);
    for (unsigned i = 0; i < 8; i++) {
        int fd;

        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&from)) + i * sizeof(int), sizeof(fd));
        cr_assert_eq(close(fd), 0);
    }
    cr_assert(close(ends[0]) == 0 && close(ends[1]) == 0);
    return (from.msg_flags & MSG_CTRUNC) != 0;
}

Test(host_channel, what_cannot_be_a_message_ends_the_connection_and_says_why)
{
    const uint32_t longest = sizeof(union virtq_vhost_user_payload);
    struct virtq_vhost_user_header header = {VHOST_USER_SET_OWNER, VHOST_USER_VERSION, 0};

    expect_end(NULL, 0, 0, VIRTQ_VHOST_USER_ACCEPTED);
    expect_end(&header, 1, 1, VIRTQ_VHOST_USER_REFUSED_SHORT);
    if (truncation_is_told()) {
        expect_end(&header, sizeof(header), 9, VIRTQ_VHOST_USER_REFUSED_FDS);
        expect_end(&header, sizeof(header), 64, VIRTQ_VHOST_USER_REFUSED_FDS);
    }
    header.size = 1;
    expect_end(&header, sizeof(header), 8, VIRTQ_VHOST_USER_REFUSED_SHORT);
    header.size = longest + 1;
    expect_end(&header, sizeof(header), 1, VIRTQ_VHOST_USER_REFUSED_LENGTH);
    header.size = UINT32_MAX;
    expect_end(&header, sizeof(header), 0, VIRTQ_VHOST_USER_REFUSED_LENGTH);
    header.size = 0;
    for (uint32_t version = 0; version < 4; version++) {
        header.flags = version;
        if (version != VHOST_USER_VERSION) {
            expect_end(&header, sizeof(header), 0, VIRTQ_VHOST_USER_REFUSED_VERSION);
        }
    }
    header.flags = VHOST_USER_VERSION | 0x10u;
    expect_end(&header, sizeof(header), 0, VIRTQ_VHOST_USER_REFUSED_FLAGS);
}

Test(host_channel, a_peer_that_does_not_read_makes_nobody_wait)
{
    struct virtq_vhost_user_channel channel;
    struct virtq_vhost_user_message reply = {0};
    int peer = connect_pair(&channel);
    unsigned sent = 0;
    unsigned got = 0;
    int error;

    reply.header.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
    reply.header.size = sizeof(reply.payload);
    reply.header.request = 1;
    while ((error = virtq_vhost_user_channel_send(&channel, &reply.header, &reply.payload, &peer,
                                                  1)) == 0) {
        cr_assert(++sent < 100000);
        reply.header.request++;
    }
    cr_assert_eq(error, VIRTQ_EBUSY);
    cr_assert_eq(virtq_vhost_user_channel_flush(&channel), 0);
    for (got = 1; got <= sent; got++) {
        struct virtq_vhost_user_header header = {0};
        char payload[sizeof(reply.payload)];

        cr_assert(virtq_vhost_user_channel_flush(&channel) >= 0);
        cr_assert_eq(recv(peer, &header, sizeof(header), MSG_WAITALL), (ssize_t)sizeof(header));
        cr_assert(virtq_vhost_user_channel_flush(&channel) >= 0);
        cr_assert_eq(recv(peer, payload, sizeof(payload), MSG_WAITALL), (ssize_t)sizeof(payload));
        cr_assert_eq(header.request, got);
    }
    cr_assert_eq(virtq_vhost_user_channel_flush(&channel), 1);
    cr_assert_eq(close(peer), 0);
    cr_assert_eq(virtq_vhost_user_channel_send(&channel, &reply.header, &reply.payload, NULL, 0),
                 VIRTQ_EPEER);
    virtq_vhost_user_channel_fini(&channel);
}

/* Each row, and what is just off it. */
struct row {
    uint32_t request;
    uint32_t size;
    uint32_t fds;
    unsigned feature; /* 64: none is needed. */
};

static const struct row rows[] = {
    {VHOST_USER_GET_FEATURES, 0, 0, 64},
    {VHOST_USER_SET_FEATURES, 8, 0, 64},
    {VHOST_USER_SET_OWNER, 0, 0, 64},
    {VHOST_USER_RESET_OWNER, 0, 0, 64},
    {VHOST_USER_SET_MEM_TABLE, 8 + 3 * 32, 3, 64},
    {VHOST_USER_SET_LOG_BASE, 16, 1, VHOST_USER_PROTOCOL_F_LOG_SHMFD},
    {VHOST_USER_SET_VRING_NUM, 8, 0, 64},
    {VHOST_USER_SET_VRING_ADDR, 40, 0, 64},
    {VHOST_USER_SET_VRING_BASE, 8, 0, 64},
    {VHOST_USER_GET_VRING_BASE, 8, 0, 64},
    {VHOST_USER_SET_VRING_KICK, 8, 1, 64},
    {VHOST_USER_SET_VRING_CALL, 8, 1, 64},
    {VHOST_USER_SET_VRING_ERR, 8, 1, 64},
    {VHOST_USER_GET_PROTOCOL_FEATURES, 0, 0, 64},
    {VHOST_USER_SET_PROTOCOL_FEATURES, 8, 0, 64},
    {VHOST_USER_GET_QUEUE_NUM, 0, 0, VHOST_USER_PROTOCOL_F_MQ},
    {VHOST_USER_SET_VRING_ENABLE, 8, 0, 64},
    {VHOST_USER_IOTLB_MSG, 32, 0, 64},
    {VHOST_USER_GET_CONFIG, 12 + 60, 0, VHOST_USER_PROTOCOL_F_CONFIG},
    {VHOST_USER_SET_CONFIG, 12 + 60, 0, VHOST_USER_PROTOCOL_F_CONFIG},
    {VHOST_USER_RESET_DEVICE, 0, 0, VHOST_USER_PROTOCOL_F_RESET_DEVICE},
    {VHOST_USER_GET_MAX_MEM_SLOTS, 0, 0, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS},
    {VHOST_USER_ADD_MEM_REG, 40, 1, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS},
    {VHOST_USER_SET_STATUS, 8, 0, VHOST_USER_PROTOCOL_F_STATUS},
    {VHOST_USER_GET_STATUS, 0, 0, VHOST_USER_PROTOCOL_F_STATUS},
};

static struct virtq_vhost_user_message example(const struct row *row)
{
    struct virtq_vhost_user_message message = {0};

    message.header.request = row->request;
    message.header.flags = VHOST_USER_VERSION;
    message.header.size = row->size;
    message.fd_count = row->fds;
    if (row->request == VHOST_USER_SET_MEM_TABLE) {
        message.payload.memory.count = row->fds;
    }
    if (row->request == VHOST_USER_GET_CONFIG || row->request == VHOST_USER_SET_CONFIG) {
        message.payload.config.size = row->size - 12;
    }
    return message;
}

Test(host_rules, each_row_takes_its_own_size_and_descriptors_and_no_others)
{
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct virtq_vhost_user_message message = example(&rows[i]);
        const char *name = virtq_vhost_user_request_name(rows[i].request);

        cr_assert_eq(virtq_vhost_user_judge(&message, UINT64_MAX), VIRTQ_VHOST_USER_ACCEPTED, "%s",
                     name);
        for (uint32_t size = 0; size <= sizeof(message.payload); size++) {
            message.header.size = size;
            cr_assert_eq(virtq_vhost_user_judge(&message, UINT64_MAX),
                         size == rows[i].size ? VIRTQ_VHOST_USER_ACCEPTED
                                              : VIRTQ_VHOST_USER_REFUSED_SIZE,
                         "%s of %u bytes", name, size);
        }
        message.header.size = rows[i].size;
        for (uint32_t fds = 0; fds <= VIRTQ_VHOST_USER_FDS_MAX; fds++) {
            message.fd_count = fds;
            cr_assert_eq(virtq_vhost_user_judge(&message, UINT64_MAX),
                         fds == rows[i].fds ? VIRTQ_VHOST_USER_ACCEPTED
                                            : VIRTQ_VHOST_USER_REFUSED_FDS,
                         "%s with %u descriptors", name, fds);
        }
        message.fd_count = rows[i].fds;
        if (rows[i].feature < 64) {
            cr_assert_eq(virtq_vhost_user_judge(&message, ~((uint64_t)1 << rows[i].feature)),
                         VIRTQ_VHOST_USER_REFUSED_PROTOCOL, "%s", name);
        } else {
            cr_assert_eq(virtq_vhost_user_judge(&message, 0), VIRTQ_VHOST_USER_ACCEPTED, "%s",
                         name);
        }
    }
}

Test(host_rules, a_count_in_the_payload_must_agree_with_what_came)
{
    struct virtq_vhost_user_message table = example(&rows[4]);
    struct virtq_vhost_user_message config = example(&rows[18]);
    struct virtq_vhost_user_message kick = example(&rows[10]);

    table.payload.memory.count = 2;
    cr_assert_eq(virtq_vhost_user_judge(&table, 0), VIRTQ_VHOST_USER_REFUSED_SIZE);
    table.payload.memory.count = 0x8000003;
    cr_assert_eq(virtq_vhost_user_judge(&table, 0), VIRTQ_VHOST_USER_REFUSED_SIZE);
    config.payload.config.size = 59;
    cr_assert_eq(virtq_vhost_user_judge(&config, UINT64_MAX), VIRTQ_VHOST_USER_REFUSED_SIZE);
    config.payload.config.size = UINT32_MAX;
    cr_assert_eq(virtq_vhost_user_judge(&config, UINT64_MAX), VIRTQ_VHOST_USER_REFUSED_SIZE);
    kick.payload.u64 = VHOST_USER_VRING_NOFD_MASK;
    cr_assert_eq(virtq_vhost_user_judge(&kick, 0), VIRTQ_VHOST_USER_REFUSED_FDS);
    kick.fd_count = 0;
    cr_assert_eq(virtq_vhost_user_judge(&kick, 0), VIRTQ_VHOST_USER_ACCEPTED);
}

Test(host_rules, names_are_there_for_every_number)
{
    cr_assert_eq(strcmp(virtq_vhost_user_request_name(VHOST_USER_NONE), "?"), 0);
    cr_assert_eq(strcmp(virtq_vhost_user_request_name(UINT32_MAX), "?"), 0);
    cr_assert_eq(strcmp(virtq_vhost_user_refusal_name(UINT32_MAX), "?"), 0);
    for (uint32_t i = 0; i <= VIRTQ_VHOST_USER_REFUSED_PLACE; i++) {
        cr_assert(strlen(virtq_vhost_user_refusal_name(i)) > 4);
    }
    cr_assert_eq(virtq_vhost_user_answered(VHOST_USER_GET_CONFIG, 0), 0);
    cr_assert_eq(virtq_vhost_user_answered(VHOST_USER_GET_CONFIG, UINT64_MAX), 1);
    cr_assert_eq(virtq_vhost_user_answered(VHOST_USER_SET_FEATURES, UINT64_MAX), 0);
    cr_assert_eq(virtq_vhost_user_answered(UINT32_MAX, UINT64_MAX), 0);
}

/* Random bytes whose headers are nearly right, in random cuts, with random descriptors: every
 * connection ends, or goes on, and leaves no descriptor behind. */
Test(host_channel, random_bytes_end_a_connection_or_are_messages)
{
    uint64_t seed = 20260;
    unsigned before = process_fds();
    unsigned whole = 0;

    for (unsigned round = 0; round < 2000; round++) {
        struct virtq_vhost_user_channel channel;
        struct virtq_vhost_user_message *message = NULL;
        int peer = connect_pair(&channel);
        int result = 0;

        for (unsigned i = 0; i < 8 && result >= 0; i++) {
            uint32_t words[90];
            size_t len = 12 + random_below(&seed, 3) * 4;

            for (unsigned w = 0; w < 90; w++) {
                words[w] = (uint32_t)random_next(&seed);
            }
            words[0] = (uint32_t)random_below(&seed, VHOST_USER_REQUEST_COUNT + 2);
            words[1] = random_below(&seed, 50) != 0 ? 1u : (uint32_t)random_below(&seed, 17);
            words[2] = (uint32_t)random_below(&seed, random_below(&seed, 50) != 0 ? 44 : 400);
            put(peer, words, len, (unsigned)random_below(&seed, 3));
            while ((result = virtq_vhost_user_channel_receive(&channel, &message)) == 1) {
                cr_assert(message->header.size <= sizeof(message->payload));
                cr_assert(message->fd_count <= VIRTQ_VHOST_USER_FDS_MAX);
                (void)virtq_vhost_user_judge(message, random_next(&seed));
                whole++;
            }
        }
        virtq_vhost_user_channel_fini(&channel);
        cr_assert_eq(close(peer), 0);
    }
    cr_assert(whole > 1000, "only %u whole messages", whole);
    cr_assert_eq(process_fds(), before, "seed 20260: descriptors are left");
}
