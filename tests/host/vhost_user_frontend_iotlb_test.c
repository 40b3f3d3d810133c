/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end as the server of a back-end's IOTLB. */
#include <pthread.h>
#include <sched.h>

#include "frontend_peer.h"

/* The update that answers a miss. */
static void expect_update(struct peer *peer, uint64_t first, uint64_t size, const void *base)
{
    const struct virtq_vhost_user_iotlb *iotlb =
        &peer_next(peer, VHOST_USER_IOTLB_MSG)->payload.iotlb;

    cr_assert_eq(iotlb->type, VHOST_USER_IOTLB_UPDATE);
    cr_assert_eq(iotlb->iova, first);
    cr_assert_eq(iotlb->size, size);
    cr_assert_eq(iotlb->user_address, (uint64_t)(uintptr_t)base);
}

Test(host_frontend_iotlb, a_miss_is_answered_from_the_domain_and_bad_ones_are_not)
{
    static const struct {
        uint64_t addr;
        uint8_t permissions, type;
        bool found;
    } rows[] = {{0x10000, 1, 1, true},  {0x10fff, 3, 1, true},   {0x11000, 1, 1, true},
                {0x11000, 2, 1, false}, {0x12000, 1, 1, false},  {0xffff, 1, 1, false},
                {0x10000, 0, 1, false}, {0x10000, 4, 1, false},  {0x10000, 1, 2, false},
                {0x10000, 1, 3, false}, {UINT64_MAX, 1, 1, true}};
    struct virtq_vhost_user_message *message;
    struct peer peer;

    peer_open(&peer, PATIENCE);
    peer_greet(&peer, PROTOCOL);
    cr_assert_eq(virtq_domain_map(&peer.domain, 0x10000, 0x10fff, peer.page, 3), 0);
    cr_assert_eq(virtq_domain_map(&peer.domain, 0x11000, 0x11fff, peer.page, 1), 0);
    cr_assert_eq(virtq_domain_map(&peer.domain, UINT64_MAX - 15, UINT64_MAX, peer.page, 3), 0);
    for (unsigned translated = 0; translated < 2; translated++) {
        peer_accept(&peer, VERSION_1 | (translated != 0 ? PLATFORM : 0));
        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            const struct virtq_vhost_user_iotlb miss = {.iova = rows[i].addr,
                                                        .permissions = rows[i].permissions,
                                                        .type = rows[i].type,
                                                        .size = UINT64_MAX};
            const bool found = translated != 0 && rows[i].found;

            peer_put(&peer.requests, VHOST_USER_BACKEND_IOTLB_MSG,
                     (uint32_t)VHOST_USER_VERSION | (uint32_t)VHOST_USER_NEED_REPLY, &miss,
                     sizeof(miss), NULL, 0);
            cr_assert_eq(virtq_vhost_user_frontend_process(peer.frontend), 0);
            cr_assert_eq(virtq_vhost_user_channel_receive(&peer.requests, &message), 1);
            cr_assert_eq(message->header.flags, ANSWER);
            cr_assert_eq(message->payload.u64, found ? 0u : 1u, "row %u", i);
            if (found) {
                expect_update(
                    &peer, rows[i].addr == UINT64_MAX ? UINT64_MAX - 15 : rows[i].addr & ~0xfffull,
                    rows[i].addr == UINT64_MAX ? 16 : PAGE, peer.page);
            } else {
                cr_assert_eq(virtq_vhost_user_channel_receive(&peer.channel, &message), 0);
            }
        }
    }
    peer_close(&peer);
}

Test(host_frontend_iotlb, bad_requests_are_refused_and_noise_ends_the_connection)
{
    const struct virtq_vhost_user_iotlb miss = {.iova = 1, .permissions = 1, .type = 1};
    const struct {
        uint32_t request, flags, size;
    } rows[] = {
        {1, VHOST_USER_VERSION, 31}, {1, VHOST_USER_VERSION, 0},  {1, ANSWER, 32},
        {2, VHOST_USER_VERSION, 8},  {3, VHOST_USER_VERSION, 32}, {0, VHOST_USER_VERSION, 0},
        {99, VHOST_USER_VERSION, 8}};
    struct virtq_vhost_user_message *message;
    struct peer peer;

    peer_open(&peer, PATIENCE);
    peer_greet(&peer, PROTOCOL);
    peer_accept(&peer, VERSION_1 | PLATFORM);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        peer_put(&peer.requests, rows[i].request, rows[i].flags | (uint32_t)VHOST_USER_NEED_REPLY,
                 &miss, rows[i].size, NULL, 0);
        cr_assert_eq(virtq_vhost_user_frontend_process(peer.frontend), 0);
        cr_assert_eq(virtq_vhost_user_channel_receive(&peer.requests, &message), 1);
        cr_assert_eq(message->payload.u64, 1u, "row %u", i);
    }
    /* Descriptors are no part of any. */
    peer_put(&peer.requests, 2, VHOST_USER_VERSION, NULL, 0, &peer.requests.socket, 1);
    cr_assert_eq(virtq_vhost_user_frontend_process(peer.frontend), 0);
    cr_assert_eq(virtq_vhost_user_frontend_refusal(peer.frontend), VIRTQ_VHOST_USER_REFUSED_FDS);
    cr_assert_eq(peer.changed, 0u);
    cr_assert_eq(write(peer.requests.socket, "a message of nothing", 20), 20);
    cr_assert_eq(virtq_vhost_user_frontend_process(peer.frontend), VIRTQ_EPEER);
    peer_close(&peer);
}

Test(host_frontend_iotlb, m8_an_unmapping_returns_when_the_back_end_has_let_go)
{
    const struct virtq_vhost_user_iotlb miss = {.iova = 0x20000, .permissions = 1, .type = 1};
    const uint64_t protocols[] = {PROTOCOL,
                                  PROTOCOL & ~VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK)};

    for (unsigned i = 0; i < 2; i++) {
        const struct virtq_vhost_user_iotlb *iotlb;
        struct peer peer;

        peer_open(&peer, PATIENCE);
        peer_greet(&peer, protocols[i]);
        peer_accept(&peer, VERSION_1 | PLATFORM);
        cr_assert_eq(virtq_domain_map(&peer.domain, 0x10000, 0x10fff, peer.page, 3), 0);
        cr_assert_eq(virtq_domain_map(&peer.domain, 0x20000, 0x20fff, peer.page, 3), 0);
        /* It needs a translation before it can answer; with another request of ours behind the
         * invalidation where results are not told. */
        peer_put(&peer.requests, VHOST_USER_BACKEND_IOTLB_MSG, VHOST_USER_VERSION, &miss,
                 sizeof(miss), NULL, 0);
        peer_number(&peer, i == 0 ? VHOST_USER_IOTLB_MSG : VHOST_USER_GET_FEATURES,
                    i == 0 ? 0 : OFFERED);
        cr_assert_eq(virtq_domain_unmap(&peer.domain, 0x10000, 0x10fff), 0);
        iotlb = &peer_next(&peer, VHOST_USER_IOTLB_MSG)->payload.iotlb;
        cr_assert_eq(iotlb->type, VHOST_USER_IOTLB_INVALIDATE);
        cr_assert_eq(iotlb->iova, UINT64_C(0x10000));
        cr_assert_eq(iotlb->size, (uint64_t)PAGE);
        if (i != 0) {
            (void)peer_next(&peer, VHOST_USER_GET_FEATURES);
        }
        cr_assert_eq(virtq_vhost_user_frontend_process(peer.frontend), 0);
        expect_update(&peer, 0x20000, PAGE, peer.page);
        /* One that does not let go is cut off. */
        peer_number(&peer, VHOST_USER_IOTLB_MSG, 1);
        cr_assert_eq(virtq_domain_unmap(&peer.domain, 0x20000, 0x20fff), 0);
        cr_assert_eq(virtq_vhost_user_frontend_process(peer.frontend), VIRTQ_EPEER);
        peer_close(&peer);
    }
}

Test(host_frontend_iotlb, l6_all_addresses_are_withdrawn_in_two_halves)
{
    struct virtq_region region = {.first = UINT64_MAX - 15, .last = UINT64_MAX, .permissions = 3};
    const struct virtq_vhost_user_iotlb *iotlb;
    struct peer peer;

    peer_open(&peer, PATIENCE);
    peer_greet(&peer, PROTOCOL);
    region.base = peer.page;
    cr_assert_eq(virtq_vhost_user_frontend_update(peer.frontend, &region), VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_vhost_user_frontend_invalidate(peer.frontend, 0, 1), VIRTQ_ENOTSUP);
    peer_accept(&peer, VERSION_1 | PLATFORM);
    cr_assert_eq(virtq_vhost_user_frontend_invalidate(peer.frontend, 1, 0), VIRTQ_EINVAL);
    peer_number(&peer, VHOST_USER_IOTLB_MSG, 0);
    peer_number(&peer, VHOST_USER_IOTLB_MSG, 0);
    cr_assert_eq(virtq_vhost_user_frontend_invalidate(peer.frontend, 0, UINT64_MAX), 0);
    for (unsigned i = 0; i < 2; i++) {
        iotlb = &peer_next(&peer, VHOST_USER_IOTLB_MSG)->payload.iotlb;
        cr_assert_eq(iotlb->iova, (uint64_t)i << 63);
        cr_assert_eq(iotlb->size, UINT64_C(1) << 63);
    }
    peer_number(&peer, VHOST_USER_IOTLB_MSG, 0);
    cr_assert_eq(virtq_vhost_user_frontend_update(peer.frontend, &region), 0);
    expect_update(&peer, UINT64_MAX - 15, 16, peer.page);
    region.permissions = 0;
    cr_assert_eq(virtq_vhost_user_frontend_update(peer.frontend, &region), VIRTQ_EINVAL);
    peer_close(&peer);
}

Test(host_frontend_iotlb, another_domain_answers_and_what_goes_from_the_first_is_no_news)
{
    const struct virtq_vhost_user_iotlb miss = {.iova = 0x20000, .permissions = 1, .type = 1};
    unsigned char mappings[VIRTQ_TREE_SIZE(MAPPINGS)];
    struct virtq_vhost_user_message *message;
    struct virtq_domain domain;
    struct peer peer;

    peer_open(&peer, PATIENCE);
    peer_greet(&peer, PROTOCOL);
    peer_accept(&peer, VERSION_1 | PLATFORM);
    cr_assert_eq(virtq_domain_map(&peer.domain, 0x20000, 0x20fff, peer.page, 1), 0);
    cr_assert_eq(virtq_domain_init(&domain, MAPPINGS, mappings, sizeof(mappings)), 0);
    cr_assert_eq(virtq_domain_map(&domain, 0x20000, 0x20fff, peer.page + PAGE, 1), 0);
    virtq_vhost_user_frontend_set_domain(peer.frontend, &domain);
    peer_put(&peer.requests, VHOST_USER_BACKEND_IOTLB_MSG, VHOST_USER_VERSION, &miss, sizeof(miss),
             NULL, 0);
    cr_assert_eq(virtq_vhost_user_frontend_process(peer.frontend), 0);
    expect_update(&peer, 0x20000, PAGE, peer.page + PAGE);
    /* No answer is there to be waited for. */
    cr_assert_eq(virtq_domain_unmap(&peer.domain, 0x20000, 0x20fff), 0);
    cr_assert_eq(virtq_vhost_user_channel_receive(&peer.channel, &message), 0);
    peer_number(&peer, VHOST_USER_IOTLB_MSG, 0);
    cr_assert_eq(virtq_domain_unmap(&domain, 0x20000, 0x20fff), 0);
    cr_assert_eq(peer_next(&peer, VHOST_USER_IOTLB_MSG)->payload.iotlb.type,
                 VHOST_USER_IOTLB_INVALIDATE);
    virtq_vhost_user_frontend_set_domain(peer.frontend, NULL);
    peer_close(&peer);
}

/* What the back-end reads next, however long it takes to come. */
static struct virtq_vhost_user_iotlb await(struct peer *peer)
{
    struct virtq_vhost_user_message *message = NULL;
    struct pollfd ready = {peer->channel.socket, POLLIN, 0};
    int got;

    do {
        cr_assert_eq(poll(&ready, 1, PATIENCE), 1);
        got = virtq_vhost_user_channel_receive(&peer->channel, &message);
    } while (got == 0);
    cr_assert(got == 1 && message != NULL);
    return message->payload.iotlb;
}

/* Cannot let go before it knows where its ring is. */
static void *ask_before_answering(void *opaque)
{
    const struct virtq_vhost_user_iotlb miss = {.iova = 0x20000, .permissions = 1, .type = 1};
    struct peer *peer = opaque;

    cr_assert_eq(await(peer).type, VHOST_USER_IOTLB_INVALIDATE);
    peer_put(&peer->requests, VHOST_USER_BACKEND_IOTLB_MSG, VHOST_USER_VERSION, &miss, sizeof(miss),
             NULL, 0);
    cr_assert_eq(await(peer).type, VHOST_USER_IOTLB_UPDATE);
    peer_number(peer, VHOST_USER_IOTLB_MSG, 0);
    return NULL;
}

Test(host_frontend_iotlb, a_miss_is_answered_while_an_answer_is_awaited)
{
    struct peer peer;
    pthread_t thread;

    peer_open(&peer, PATIENCE);
    peer_greet(&peer, PROTOCOL);
    peer_accept(&peer, VERSION_1 | PLATFORM);
    cr_assert_eq(virtq_domain_map(&peer.domain, 0x20000, 0x20fff, peer.page, 3), 0);
    cr_assert_eq(pthread_create(&thread, NULL, ask_before_answering, &peer), 0);
    cr_assert_eq(virtq_vhost_user_frontend_invalidate(peer.frontend, 0x10000, 0x10fff), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    peer_close(&peer);
}

Test(host_frontend_iotlb, an_answer_takes_no_permission_from_its_neighbours)
{
    static const struct {
        uint64_t addr, first, size;
        uint8_t permissions;
    } rows[] = {{0x10000, 0x10000, PAGE, 1},
                {0x11000, 0x11000, PAGE, 3},
                {0x12000, 0x12000, 2 * PAGE, 1},
                {0x13fff, 0x12000, 2 * PAGE, 1}};
    static unsigned char memory[4 * PAGE];
    struct peer peer;

    peer_open(&peer, PATIENCE);
    peer_greet(&peer, PROTOCOL);
    peer_accept(&peer, VERSION_1 | PLATFORM);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(virtq_domain_map(&peer.domain, 0x10000 + i * PAGE, 0x10fff + i * PAGE,
                                      memory + (size_t)i * PAGE, i == 1 ? 3 : 1),
                     0);
    }
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct virtq_vhost_user_iotlb miss = {
            .iova = rows[i].addr, .permissions = 1, .type = 1};
        const struct virtq_vhost_user_iotlb *update;

        peer_put(&peer.requests, VHOST_USER_BACKEND_IOTLB_MSG, VHOST_USER_VERSION, &miss,
                 sizeof(miss), NULL, 0);
        cr_assert_eq(virtq_vhost_user_frontend_process(peer.frontend), 0);
        update = &peer_next(&peer, VHOST_USER_IOTLB_MSG)->payload.iotlb;
        cr_assert_eq(update->iova, rows[i].first, "row %u", i);
        cr_assert_eq(update->size, rows[i].size, "row %u", i);
        cr_assert_eq(update->permissions, rows[i].permissions, "row %u", i);
    }
    peer_close(&peer);
}

static uint32_t enough;

/* Asks, and never answers. */
static void *ask_for_ever(void *opaque)
{
    const struct virtq_vhost_user_iotlb miss = {.iova = 0, .permissions = 1, .type = 1};
    const struct virtq_vhost_user_header header = {VHOST_USER_BACKEND_IOTLB_MSG, VHOST_USER_VERSION,
                                                   sizeof(miss)};
    struct peer *peer = opaque;

    while (__atomic_load_n(&enough, __ATOMIC_ACQUIRE) == 0) {
        if (virtq_vhost_user_channel_flush(&peer->requests) == 1) {
            (void)!virtq_vhost_user_channel_send(&peer->requests, &header, &miss, NULL, 0);
        } else {
            sched_yield();
        }
    }
    return NULL;
}

Test(host_frontend_iotlb, questions_without_end_are_no_answer)
{
    struct peer peer;
    pthread_t thread;

    peer_open(&peer, 100);
    peer_greet(&peer, PROTOCOL);
    peer_accept(&peer, VERSION_1 | PLATFORM);
    __atomic_store_n(&enough, 0u, __ATOMIC_RELEASE);
    cr_assert_eq(pthread_create(&thread, NULL, ask_for_ever, &peer), 0);
    cr_assert_eq(virtq_vhost_user_frontend_invalidate(peer.frontend, 0x10000, 0x10fff),
                 VIRTQ_EPEER);
    cr_assert_eq(virtq_vhost_user_frontend_refusal(peer.frontend), VIRTQ_VHOST_USER_REFUSED_TIME);
    __atomic_store_n(&enough, 1u, __ATOMIC_RELEASE);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    peer_close(&peer);
}

/* A window that is not what was asked for, or may not be told. */
static int answer_wrongly(void *opaque, const struct virtq_miss *miss, struct virtq_window *window)
{
    struct peer *peer = opaque;

    *window = (struct virtq_window){
        .first = miss->addr, .last = miss->addr + PAGE - 1, .base = peer->page, .permissions = 3};
    switch (peer->changed++) {
    case 0:
        window->first++;
        return 0;
    case 1:
        window->last = miss->addr - 1;
        return 0;
    case 2:
        window->permissions = 1;
        return 0;
    case 3:
        window->first = 0;
        window->last = UINT64_MAX;
        return 0;
    default:
        return peer->changed == 5 ? VIRTQ_EFAULT : 0;
    }
}

Test(host_frontend_iotlb, what_the_caller_answers_is_judged_too)
{
    static const struct virtq_vhost_user_frontend_ops ops = {.size = sizeof(ops),
                                                             .miss = answer_wrongly};
    const struct virtq_vhost_user_iotlb miss = {.iova = 0x20000, .permissions = 2, .type = 1};
    struct virtq_vhost_user_message *message;
    struct peer peer;

    peer_open_with(&peer, PATIENCE, &ops);
    peer_greet(&peer, PROTOCOL);
    peer_accept(&peer, VERSION_1 | PLATFORM);
    for (unsigned i = 0; i < 6; i++) {
        peer_put(&peer.requests, VHOST_USER_BACKEND_IOTLB_MSG, VHOST_USER_VERSION, &miss,
                 sizeof(miss), NULL, 0);
        cr_assert_eq(virtq_vhost_user_frontend_process(peer.frontend), 0);
        if (i == 5) {
            expect_update(&peer, 0x20000, PAGE, peer.page);
        } else {
            cr_assert_eq(virtq_vhost_user_channel_receive(&peer.channel, &message), 0, "%u", i);
        }
    }
    peer_close(&peer);
}
