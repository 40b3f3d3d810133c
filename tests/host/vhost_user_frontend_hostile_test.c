/* SPDX-License-Identifier: BSD-3-Clause */
/* Back-ends that a front-end must not trust. */
#include "frontend_peer.h"

/* What a front-end asks, to get a wrong answer. */
enum question { FEATURES, ACCEPT, CONFIG, STATUS, INFLIGHT, LOG, SLOT };

static int ask(struct peer *peer, enum question question)
{
    struct virtq_vhost_user_inflight inflight;
    struct virtq_vhost_user_share share = {peer->page, PAGE, 0, 0, 0, 0};
    unsigned char bytes[8];
    int fd = 0;

    switch (question) {
    case FEATURES:
        return virtq_vhost_user_frontend_greet(peer->frontend);
    case ACCEPT:
        return virtq_vhost_user_frontend_accept(peer->frontend, VERSION_1);
    case CONFIG:
        return virtq_vhost_user_frontend_read_config(peer->frontend, 4, bytes, 8);
    case STATUS:
        return virtq_vhost_user_frontend_status(peer->frontend);
    case INFLIGHT:
        return virtq_vhost_user_frontend_get_inflight(peer->frontend, 2, 64, &inflight, &fd);
    case LOG:
        return virtq_vhost_user_frontend_set_log(peer->frontend, 0, PAGE, 0);
    default:
        return virtq_vhost_user_frontend_add_memory(peer->frontend, &share);
    }
}

struct wrong {
    enum question question;
    uint32_t request;
    uint32_t flags;
    uint32_t size;
    uint32_t words[6]; /* The payload begins so. */
    uint32_t fds;
    uint32_t refusal; /* What it is refused for. */
};

#define REFUSED(what) VIRTQ_VHOST_USER_REFUSED_##what

static const struct wrong wrongs[] = {
    {FEATURES, VHOST_USER_SET_FEATURES, ANSWER, 8, {0}, 0, REFUSED(ORDER)},
    {FEATURES, VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 8, {0}, 0, REFUSED(FLAGS)},
    {FEATURES, VHOST_USER_GET_FEATURES, ANSWER | VHOST_USER_NEED_REPLY, 8, {0}, 0, REFUSED(FLAGS)},
    {FEATURES, VHOST_USER_GET_FEATURES, ANSWER | 16, 8, {0}, 0, REFUSED(FLAGS)},
    {FEATURES, VHOST_USER_GET_FEATURES, VHOST_USER_REPLY | 2, 8, {0}, 0, REFUSED(VERSION)},
    {FEATURES, VHOST_USER_GET_FEATURES, ANSWER, 4, {0}, 0, REFUSED(SIZE)},
    {FEATURES, VHOST_USER_GET_FEATURES, ANSWER, 16, {0}, 0, REFUSED(SIZE)},
    {FEATURES, VHOST_USER_GET_FEATURES, ANSWER, 0, {0}, 0, REFUSED(SIZE)},
    {FEATURES, VHOST_USER_GET_FEATURES, ANSWER, 8, {0}, 1, REFUSED(FDS)},
    {ACCEPT, VHOST_USER_SET_FEATURES, ANSWER, 4, {0}, 0, REFUSED(SIZE)},
    {ACCEPT, VHOST_USER_SET_FEATURES, ANSWER, 8, {0}, 2, REFUSED(FDS)},
    {ACCEPT, VHOST_USER_GET_FEATURES, ANSWER, 8, {0}, 0, REFUSED(ORDER)},
    {CONFIG, VHOST_USER_GET_CONFIG, ANSWER, 12, {4, 8, 0}, 0, REFUSED(VALUE)},
    {CONFIG, VHOST_USER_GET_CONFIG, ANSWER, 20, {4, 9, 0}, 0, REFUSED(VALUE)},
    {CONFIG, VHOST_USER_GET_CONFIG, ANSWER, 20, {5, 8, 0}, 0, REFUSED(VALUE)},
    {CONFIG, VHOST_USER_GET_CONFIG, ANSWER, 24, {4, 8, 0}, 0, REFUSED(VALUE)},
    {CONFIG, VHOST_USER_GET_CONFIG, ANSWER, 4, {4}, 0, REFUSED(VALUE)},
    {CONFIG, VHOST_USER_GET_CONFIG, ANSWER, 20, {4, 8, 0}, 1, REFUSED(FDS)},
    {STATUS, VHOST_USER_GET_STATUS, ANSWER, 8, {256}, 0, REFUSED(VALUE)},
    {STATUS, VHOST_USER_GET_STATUS, ANSWER, 8, {1, 1}, 0, REFUSED(VALUE)},
    {INFLIGHT, VHOST_USER_GET_INFLIGHT_FD, ANSWER, 24, {64, 0, 0, 0, 0x400002}, 0, REFUSED(VALUE)},
    {INFLIGHT, VHOST_USER_GET_INFLIGHT_FD, ANSWER, 24, {64, 0, 0, 0, 0x400003}, 1, REFUSED(VALUE)},
    {INFLIGHT, VHOST_USER_GET_INFLIGHT_FD, ANSWER, 24, {64, 0, 0, 0, 0x410002}, 1, REFUSED(VALUE)},
    {INFLIGHT, VHOST_USER_GET_INFLIGHT_FD, ANSWER, 24, {0, 1, 0, 0, 0x400002}, 1, REFUSED(VALUE)},
    {INFLIGHT,
     VHOST_USER_GET_INFLIGHT_FD,
     ANSWER,
     24,
     {4097, 0, 0, 0, 0x400002},
     1,
     REFUSED(VALUE)},
    {INFLIGHT,
     VHOST_USER_GET_INFLIGHT_FD,
     ANSWER,
     24,
     {64, 0, 4064, 0, 0x400002},
     1,
     REFUSED(VALUE)},
    {INFLIGHT,
     VHOST_USER_GET_INFLIGHT_FD,
     ANSWER,
     24,
     {64, 0, ~0u, ~0u, 0x400002},
     1,
     REFUSED(VALUE)},
    {INFLIGHT, VHOST_USER_GET_INFLIGHT_FD, ANSWER, 24, {64, 0, 0, 0, 0x400002}, 2, REFUSED(FDS)},
    {INFLIGHT, VHOST_USER_GET_INFLIGHT_FD, ANSWER, 16, {64}, 1, REFUSED(SIZE)},
    {LOG, VHOST_USER_SET_LOG_BASE, ANSWER, 16, {0}, 0, REFUSED(SIZE)},
    {SLOT, VHOST_USER_ADD_MEM_REG, ANSWER, 40, {0}, 0, REFUSED(SIZE)},
    {SLOT, VHOST_USER_SET_MEM_TABLE, ANSWER, 8, {0}, 0, REFUSED(ORDER)},
};

Test(host_frontend_hostile, an_answer_that_is_not_one_to_the_question_ends_the_connection)
{
    struct virtq_host_memory file;
    int fds[2];

    cr_assert_eq(virtq_host_memory_init(&file, PAGE, VIRTQ_HOST_MEMORY_SMALL_PAGES), 0);
    cr_assert_eq(file.size, (uint64_t)PAGE);
    fds[0] = fds[1] = file.fd;
    for (unsigned i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        const struct wrong *wrong = &wrongs[i];
        unsigned char payload[64] = {0};
        struct peer peer;

        memcpy(payload, wrong->words, sizeof(wrong->words));
        peer_open(&peer, PATIENCE);
        if (wrong->question != FEATURES) {
            peer_greet(&peer, PROTOCOL);
        }
        peer_put(&peer.channel, wrong->request, wrong->flags, payload, wrong->size, fds,
                 wrong->fds);
        cr_assert_eq(ask(&peer, wrong->question), VIRTQ_EPEER, "row %u", i);
        cr_assert_eq(
            virtq_vhost_user_frontend_refusal(peer.frontend), wrong->refusal, "row %u: %s", i,
            virtq_vhost_user_refusal_name(virtq_vhost_user_frontend_refusal(peer.frontend)));
        /* It stays over, and nobody waits for more. */
        cr_assert_eq(ask(&peer, wrong->question), VIRTQ_EPEER);
        cr_assert_eq(virtq_vhost_user_frontend_process(peer.frontend), VIRTQ_EPEER);
        peer_close(&peer);
    }
    virtq_host_memory_fini(&file);
}

Test(host_frontend_hostile, what_was_not_offered_is_not_even_asked_for)
{
    struct virtq_vhost_user_message *message;
    struct peer peer;

    peer_open(&peer, PATIENCE);
    cr_assert_eq(virtq_vhost_user_frontend_accept(peer.frontend, VERSION_1), VIRTQ_ENOTSUP);
    peer_greet(&peer, VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
                          VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_BACKEND_REQ));
    /* It would be acknowledged. */
    cr_assert_eq(virtq_vhost_user_frontend_accept(peer.frontend, VERSION_1 | 1), VIRTQ_ENOTSUP);
    for (enum question question = CONFIG; question <= SLOT; question++) {
        cr_assert_eq(ask(&peer, question), VIRTQ_ENOTSUP);
    }
    cr_assert_eq(virtq_vhost_user_frontend_reset(peer.frontend), VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_vhost_user_frontend_set_status(peer.frontend, 1), VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_vhost_user_channel_receive(&peer.channel, &message), 0);
    peer_close(&peer);
}

Test(host_frontend_hostile, a_refusal_leaves_the_connection)
{
    struct peer peer;

    peer_open(&peer, PATIENCE);
    peer_greet(&peer, PROTOCOL);
    peer_number(&peer, VHOST_USER_SET_FEATURES, 1);
    cr_assert_eq(ask(&peer, ACCEPT), VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_vhost_user_frontend_refusal(peer.frontend), REFUSED(DEVICE));
    peer_put(&peer.channel, VHOST_USER_GET_CONFIG, ANSWER, NULL, 0, NULL, 0);
    cr_assert_eq(ask(&peer, CONFIG), VIRTQ_ENOTSUP);
    peer_number(&peer, VHOST_USER_ADD_MEM_REG, 1);
    cr_assert_eq(ask(&peer, SLOT), VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_vhost_user_frontend_process(peer.frontend), 0);
    /* There were two slots. */
    peer_number(&peer, VHOST_USER_ADD_MEM_REG, 0);
    peer_number(&peer, VHOST_USER_ADD_MEM_REG, 0);
    cr_assert_eq(ask(&peer, SLOT), 0);
    cr_assert_eq(ask(&peer, SLOT), 0);
    cr_assert_eq(ask(&peer, SLOT), VIRTQ_ENOMEM);
    peer_close(&peer);
}

Test(host_frontend_hostile, nobody_waits_for_ever)
{
    struct virtq_vhost_user_iotlb miss = {.iova = 1, .permissions = 1, .type = 1};
    struct peer peer;

    peer_open(&peer, 50);
    cr_assert_eq(ask(&peer, FEATURES), VIRTQ_EPEER);
    cr_assert_eq(virtq_vhost_user_frontend_refusal(peer.frontend), REFUSED(TIME));
    peer_close(&peer);
    /* A part of an answer is none; nor are questions. */
    peer_open(&peer, 50);
    peer_greet(&peer, PROTOCOL);
    cr_assert_eq(write(peer.channel.socket, &(uint32_t){2}, 4), 4);
    peer_put(&peer.requests, VHOST_USER_BACKEND_IOTLB_MSG, VHOST_USER_VERSION, &miss, sizeof(miss),
             NULL, 0);
    cr_assert_eq(ask(&peer, ACCEPT), VIRTQ_EPEER);
    cr_assert_eq(virtq_vhost_user_frontend_refusal(peer.frontend), REFUSED(TIME));
    peer_close(&peer);
}

Test(host_frontend_hostile, an_answer_that_nobody_awaits_ends_the_connection)
{
    struct peer peer;

    peer_open(&peer, PATIENCE);
    peer_greet(&peer, PROTOCOL);
    peer_number(&peer, VHOST_USER_SET_FEATURES, 0);
    cr_assert_eq(virtq_vhost_user_frontend_process(peer.frontend), VIRTQ_EPEER);
    cr_assert_eq(virtq_vhost_user_frontend_refusal(peer.frontend), REFUSED(ORDER));
    peer_close(&peer);
}

Test(host_frontend_hostile, a_base_is_legal_or_the_connection_is_over)
{
    static const struct {
        uint64_t format;
        uint32_t index, told, base;
        int result;
    } rows[] = {
        {0, 0, 0, 0, 0},
        {0, 0, 0xffff, 0xffff, 0},
        {0, 1, 0, 0, VIRTQ_EPEER},
        {0, 0, 0x10000, 0, VIRTQ_EPEER},
        {PACKED, 0, 0x80038003, 0x80038003, 0},
        {PACKED, 0, 0x80078002, 0, VIRTQ_EPEER}, /* Used ahead of available. */
        {PACKED, 0, 0x8003, 0x80038003, 0},      /* Only the low half. */
        {PACKED, 0, 5, 0x50005, 0},
        {PACKED, 0, 8, 0, VIRTQ_EPEER},
        {PACKED, 0, 0x80088000, 0, VIRTQ_EPEER},
        {PACKED, 0, 0x80018003, 0x80018003, 0},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct peer peer;
        uint32_t base = 77;

        peer_open(&peer, PATIENCE);
        peer_greet(&peer, PROTOCOL);
        peer_accept(&peer, VERSION_1 | rows[i].format);
        peer_started(&peer, 8);
        cr_assert_eq(peer_stop(&peer, rows[i].index, rows[i].told, &base), rows[i].result, "row %u",
                     i);
        cr_assert_eq(base, rows[i].result == 0 ? rows[i].base : 77, "row %u", i);
        peer_close(&peer);
    }
}

Test(host_frontend_hostile, a_ring_that_is_not_enabled_is_stopped_again)
{
    struct virtq_vhost_user_state state = {0, 0};
    struct peer peer;

    peer_open(&peer, PATIENCE);
    peer_greet(&peer, PROTOCOL);
    peer_accept(&peer, VERSION_1);
    for (uint32_t request = 0; request < 6; request++) {
        static const uint32_t order[] = {VHOST_USER_SET_VRING_NUM,  VHOST_USER_SET_VRING_BASE,
                                         VHOST_USER_SET_VRING_ADDR, VHOST_USER_SET_VRING_ERR,
                                         VHOST_USER_SET_VRING_CALL, VHOST_USER_SET_VRING_KICK};

        peer_number(&peer, order[request], 0);
    }
    peer_number(&peer, VHOST_USER_SET_VRING_ENABLE, 1);
    peer_put(&peer.channel, VHOST_USER_GET_VRING_BASE, ANSWER, &state, sizeof(state), NULL, 0);
    cr_assert_eq(peer_start(&peer, 8), VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_vhost_user_frontend_stop(peer.frontend, 0, NULL), VIRTQ_EINVAL);
    peer_close(&peer);
}

Test(host_frontend_hostile, broken_rings_and_changed_configurations_are_told)
{
    struct virtq_vhost_user_message *message;
    struct peer peer;

    peer_open(&peer, PATIENCE);
    peer_greet(&peer, PROTOCOL);
    peer_accept(&peer, VERSION_1);
    peer_number(&peer, VHOST_USER_SET_VRING_NUM, 0);
    peer_number(&peer, VHOST_USER_SET_VRING_BASE, 0);
    peer_number(&peer, VHOST_USER_SET_VRING_ADDR, 0);
    peer_number(&peer, VHOST_USER_SET_VRING_ERR, 1); /* No further. */
    cr_assert_eq(peer_start(&peer, 8), VIRTQ_ENOTSUP);
    (void)peer_next(&peer, VHOST_USER_SET_VRING_NUM);
    (void)peer_next(&peer, VHOST_USER_SET_VRING_BASE);
    message = peer_next(&peer, VHOST_USER_SET_VRING_ADDR);
    cr_assert_neq(message->payload.addr.descriptor, UINT64_C(1));
    message = peer_next(&peer, VHOST_USER_SET_VRING_ERR);
    cr_assert_eq(message->fd_count, 1u);
    cr_assert_eq(eventfd_write(message->fds[0], 1), 0);
    peer_put(&peer.requests, VHOST_USER_BACKEND_CONFIG_CHANGE,
             (uint32_t)VHOST_USER_VERSION | (uint32_t)VHOST_USER_NEED_REPLY, NULL, 0, NULL, 0);
    cr_assert_eq(virtq_vhost_user_frontend_process(peer.frontend), 0);
    cr_assert_eq(peer.broken, 1u);
    cr_assert_eq(peer.changed, 1u);
    cr_assert_eq(virtq_vhost_user_channel_receive(&peer.requests, &message), 1);
    cr_assert_eq(message->payload.u64, 0u);
    peer_close(&peer);
}

Test(host_frontend_hostile, illegal_memory_and_rings_are_not_sent)
{
    struct virtq_vhost_user_message *message;
    struct virtq_vhost_user_share share;
    struct peer peer;

    peer_open(&peer, PATIENCE);
    peer_greet(&peer, PROTOCOL);
    for (unsigned i = 0; i < 4; i++) {
        share = (struct virtq_vhost_user_share){peer.page, PAGE, 0, 0, 0, 0};
        share.size = i == 0 ? 0 : PAGE;
        share.address = i == 1 ? UINT64_MAX - PAGE + 2 : 0;
        share.offset = i == 2 ? UINT64_MAX - PAGE + 2 : 0;
        share.fd = i == 3 ? -1 : 0;
        cr_assert_eq(virtq_vhost_user_frontend_set_memory(peer.frontend, &share, 1), VIRTQ_EINVAL);
        cr_assert_eq(virtq_vhost_user_frontend_add_memory(peer.frontend, &share), VIRTQ_EINVAL);
    }
    cr_assert_eq(virtq_vhost_user_frontend_set_memory(peer.frontend, &share, 0), VIRTQ_EINVAL);
    peer_accept(&peer, VERSION_1);
    cr_assert_eq(peer_start(&peer, 7), VIRTQ_EINVAL); /* Split: a power of two. */
    cr_assert_eq(virtq_vhost_user_channel_receive(&peer.channel, &message), 0);
    peer_close(&peer);
}
