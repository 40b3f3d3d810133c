/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A scripted back-end: its answers wait in the socket before the front-end's questions are
 * asked.
 */
#ifndef VIRTQ_TESTS_HOST_FRONTEND_PEER_H
#define VIRTQ_TESTS_HOST_FRONTEND_PEER_H

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner.h"
#include "virtq/feature.h"
#include "virtq/host/memory.h"
#include "virtq/host/vhost_user_channel.h"
#include "virtq/host/vhost_user_frontend.h"

#define VERSION_1 VIRTQ_FEATURE(VIRTIO_F_VERSION_1)
#define PACKED VIRTQ_FEATURE(VIRTIO_F_RING_PACKED)
#define PLATFORM VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM)
#define OFFERED (VERSION_1 | PACKED | PLATFORM | VIRTQ_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES))
#define PROTOCOL                                                                             \
    (VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_MQ) | VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_CONFIG) | \
     VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK) |                                        \
     VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |                                      \
     VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) |                                   \
     VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_STATUS) |                                           \
     VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_LOG_SHMFD) |                                        \
     VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
#define ANSWER ((uint32_t)VHOST_USER_VERSION | (uint32_t)VHOST_USER_REPLY)

enum { PATIENCE = 60000, MAPPINGS = 8, PAGE = 4096 };

struct peer {
    struct virtq_vhost_user_channel channel;  /* The back-end's end. */
    struct virtq_vhost_user_channel requests; /* Its own requests go here. */
    struct virtq_vhost_user_frontend *frontend;
    void *memory;
    struct virtq_domain domain;
    unsigned char mappings[VIRTQ_TREE_SIZE(MAPPINGS)];
    unsigned char page[2 * PAGE];
    unsigned broken, changed;
};

static inline void peer_broken(void *opaque, uint32_t index)
{
    ((struct peer *)opaque)->broken += index + 1;
}

static inline void peer_changed(void *opaque)
{
    ((struct peer *)opaque)->changed++;
}

static inline void peer_put(struct virtq_vhost_user_channel *channel, uint32_t request,
                            uint32_t flags, const void *payload, uint32_t size, const int *fds,
                            uint32_t fd_count)
{
    struct virtq_vhost_user_header header = {request, flags, size};

    cr_assert_eq(virtq_vhost_user_channel_send(channel, &header, payload, fds, fd_count), 0);
}

static inline void peer_number(struct peer *peer, uint32_t request, uint64_t value)
{
    peer_put(&peer->channel, request, ANSWER, &value, sizeof(value), NULL, 0);
}

static inline void peer_open_with(struct peer *peer, uint32_t deadline,
                                  const struct virtq_vhost_user_frontend_ops *ops)
{
    struct virtq_vhost_user_frontend_config config = VIRTQ_VHOST_USER_FRONTEND_CONFIG_INIT;
    size_t size;
    int ends[2];

    memset(peer, 0, sizeof(*peer));
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    cr_assert_eq(virtq_domain_init(&peer->domain, MAPPINGS, peer->mappings, sizeof(peer->mappings)),
                 0);
    virtq_vhost_user_channel_init(&peer->channel, ends[0]);
    virtq_vhost_user_channel_init(&peer->requests, -1);
    config.socket = ends[1];
    config.deadline = deadline;
    config.queue_count = 2;
    config.domain = &peer->domain;
    config.ops = ops;
    config.opaque = peer;
    size = virtq_vhost_user_frontend_size(&config);
    peer->memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    cr_assert_eq(virtq_vhost_user_frontend_init(peer->memory, size, &config, &peer->frontend), 0);
}

static inline void peer_open(struct peer *peer, uint32_t deadline)
{
    static const struct virtq_vhost_user_frontend_ops ops = {
        .size = sizeof(ops), .broken = peer_broken, .config_changed = peer_changed};

    peer_open_with(peer, deadline, &ops);
}

static inline void peer_close(struct peer *peer)
{
    virtq_vhost_user_frontend_fini(peer->frontend);
    virtq_vhost_user_channel_fini(&peer->channel);
    virtq_vhost_user_channel_fini(&peer->requests);
    free(peer->memory);
}

/* The next message of the front-end. */
static inline struct virtq_vhost_user_message *peer_next(struct peer *peer, uint32_t request)
{
    struct virtq_vhost_user_message *message = NULL;

    cr_assert_eq(virtq_vhost_user_channel_receive(&peer->channel, &message), 1, "no request");
    cr_assert_eq(message->header.request, request);
    return message;
}

/* A session with these protocol features. */
static inline void peer_greet(struct peer *peer, uint64_t protocol)
{
    peer_number(peer, VHOST_USER_GET_FEATURES, OFFERED);
    peer_number(peer, VHOST_USER_GET_PROTOCOL_FEATURES, protocol);
    if ((protocol & VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK)) != 0) {
        peer_number(peer, VHOST_USER_SET_OWNER, 0);
    }
    if ((protocol & VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_MQ)) != 0) {
        peer_number(peer, VHOST_USER_GET_QUEUE_NUM, 2);
    }
    if ((protocol & VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) != 0) {
        peer_number(peer, VHOST_USER_GET_MAX_MEM_SLOTS, 2);
    }
    if ((protocol & VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK)) != 0) {
        peer_number(peer, VHOST_USER_SET_BACKEND_REQ_FD, 0);
    }
    cr_assert_eq(virtq_vhost_user_frontend_greet(peer->frontend), 0);
    cr_assert_eq(virtq_vhost_user_frontend_protocol(peer->frontend), protocol);
    while (peer->requests.socket < 0) {
        struct virtq_vhost_user_message *message = NULL;

        cr_assert_eq(virtq_vhost_user_channel_receive(&peer->channel, &message), 1);
        if (message->header.request == VHOST_USER_SET_BACKEND_REQ_FD) {
            virtq_vhost_user_channel_init(&peer->requests, message->fds[0]);
            message->fds[0] = -1;
        }
    }
}

static inline void peer_accept(struct peer *peer, uint64_t features)
{
    if ((virtq_vhost_user_frontend_protocol(peer->frontend) &
         VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK)) != 0) {
        peer_number(peer, VHOST_USER_SET_FEATURES, 0);
    }
    cr_assert_eq(virtq_vhost_user_frontend_accept(peer->frontend, features), 0);
    cr_assert_eq(peer_next(peer, VHOST_USER_SET_FEATURES)->payload.u64,
                 features | VIRTQ_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES));
}

static inline int peer_start(struct peer *peer, uint32_t size)
{
    static unsigned char ring_memory[4096];
    struct virtq_vhost_user_ring ring;

    memset(&ring, 0, sizeof(ring));
    ring.struct_size = sizeof(ring);
    ring.size = size;
    ring.areas = (struct virtq_areas){ring_memory, ring_memory + 1024, ring_memory + 2048};
    ring.addresses = (struct virtq_area_addresses){1, 2, 3};
    return virtq_vhost_user_frontend_start(peer->frontend, 0, &ring);
}

static inline void peer_started(struct peer *peer, uint32_t size)
{
    static const uint32_t requests[] = {VHOST_USER_SET_VRING_NUM,   VHOST_USER_SET_VRING_BASE,
                                        VHOST_USER_SET_VRING_ADDR,  VHOST_USER_SET_VRING_ERR,
                                        VHOST_USER_SET_VRING_CALL,  VHOST_USER_SET_VRING_KICK,
                                        VHOST_USER_SET_VRING_ENABLE};

    for (unsigned i = 0; i < 7; i++) {
        peer_number(peer, requests[i], 0);
    }
    cr_assert_eq(peer_start(peer, size), 0);
    for (unsigned i = 0; i < 7; i++) {
        (void)peer_next(peer, requests[i]);
    }
}

static inline int peer_stop(struct peer *peer, uint32_t index, uint32_t num, uint32_t *base)
{
    const struct virtq_vhost_user_state state = {index, num};

    peer_put(&peer->channel, VHOST_USER_GET_VRING_BASE, ANSWER, &state, sizeof(state), NULL, 0);
    return virtq_vhost_user_frontend_stop(peer->frontend, 0, base);
}

#endif
