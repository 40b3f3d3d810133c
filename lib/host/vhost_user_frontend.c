/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "align.h"
#include "vhost_user_eventfd.h"
#include "vhost_user_frontend_private.h"
#include "virtq/feature.h"

/* What one call of process does at most. */
enum { REQUESTS_MAX = 16, EVENTS = 32 };

VIRTQ_API size_t
virtq_vhost_user_frontend_size(const struct virtq_vhost_user_frontend_config *config)
{
    if (config->struct_size != sizeof(*config) || config->queue_count == 0 ||
        config->queue_count > VHOST_USER_VRING_IDX_MASK + 1 || config->deadline == 0 ||
        config->reserved_ != 0) {
        return 0;
    }
    return virtq_priv_align_up(virtq_priv_align_up(sizeof(struct virtq_vhost_user_frontend)) +
                               config->queue_count * sizeof(struct virtq_priv_frontend_ring));
}

static void lay_out(struct virtq_vhost_user_frontend *frontend,
                    const struct virtq_vhost_user_frontend_config *config)
{
    uint32_t i;

    memset(frontend, 0, sizeof(*frontend));
    frontend->rings =
        (struct virtq_priv_frontend_ring *)(void *)((unsigned char *)frontend +
                                                    virtq_priv_align_up(sizeof(*frontend)));
    frontend->queue_count = config->queue_count;
    frontend->deadline = config->deadline;
    frontend->wanted = config->protocol;
    frontend->opaque = config->opaque;
    frontend->queues = 1;
    if (config->ops != NULL) {
        memcpy(&frontend->ops, config->ops,
               config->ops->size < sizeof(frontend->ops) ? config->ops->size
                                                         : sizeof(frontend->ops));
    }
    for (i = 0; i < config->queue_count; i++) {
        frontend->rings[i] = (struct virtq_priv_frontend_ring){-1, -1, -1, 0};
    }
    frontend->epoll = -1;
    frontend->ended = -1;
    virtq_vhost_user_channel_init(&frontend->channel, -1);
    virtq_vhost_user_channel_init(&frontend->requests, -1);
}

/* Everything that init opens, but the caller's socket. */
static void close_own(struct virtq_vhost_user_frontend *frontend)
{
    uint32_t i;

    for (i = 0; i < frontend->queue_count; i++) {
        const struct virtq_priv_frontend_ring *ring = &frontend->rings[i];
        const int fds[3] = {ring->kick, ring->call, ring->err};
        unsigned k;

        for (k = 0; k < 3; k++) {
            if (fds[k] >= 0) {
                (void)close(fds[k]);
            }
        }
    }
    if (frontend->ended >= 0) {
        (void)close(frontend->ended);
    }
    if (frontend->epoll >= 0) {
        (void)close(frontend->epoll);
    }
}

static bool open_ring(struct virtq_vhost_user_frontend *frontend, uint32_t index)
{
    struct virtq_priv_frontend_ring *ring = &frontend->rings[index];
    struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = index}};

    ring->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ring->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ring->err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return ring->kick >= 0 && ring->call >= 0 && ring->err >= 0 &&
           epoll_ctl(frontend->epoll, EPOLL_CTL_ADD, ring->err, &event) == 0;
}

VIRTQ_API int virtq_vhost_user_frontend_init(void *memory, size_t size,
                                             const struct virtq_vhost_user_frontend_config *config,
                                             struct virtq_vhost_user_frontend **frontend)
{
    struct virtq_vhost_user_frontend *made = memory;
    struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = VIRTQ_PRIV_FRONTEND_CHANNEL}};
    struct epoll_event ended = {.events = EPOLLIN, .data = {.u32 = VIRTQ_PRIV_FRONTEND_ENDED}};
    const size_t needed = virtq_vhost_user_frontend_size(config);
    int error = VIRTQ_OK;
    uint32_t i;

    if (needed == 0 || memory == NULL || (uintptr_t)memory % VIRTQ_CACHE_LINE != 0) {
        return VIRTQ_EINVAL;
    }
    if (size < needed) {
        return VIRTQ_ENOMEM;
    }
    lay_out(made, config);
    made->epoll = epoll_create1(EPOLL_CLOEXEC);
    made->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made->ended < 0 || epoll_ctl(made->epoll, EPOLL_CTL_ADD, made->ended, &ended) != 0) {
        error = VIRTQ_ENOMEM;
    }
    for (i = 0; i < made->queue_count && error == VIRTQ_OK; i++) {
        error = open_ring(made, i) ? VIRTQ_OK : VIRTQ_ENOMEM;
    }
    if (error == VIRTQ_OK && epoll_ctl(made->epoll, EPOLL_CTL_ADD, config->socket, &event) != 0) {
        error = VIRTQ_EINVAL;
    }
    if (error != VIRTQ_OK) {
        close_own(made);
        return error;
    }
    virtq_vhost_user_channel_init(&made->channel, config->socket);
    virtq_vhost_user_frontend_set_domain(made, config->domain);
    *frontend = made;
    return VIRTQ_OK;
}

VIRTQ_API void virtq_vhost_user_frontend_fini(struct virtq_vhost_user_frontend *frontend)
{
    virtq_vhost_user_frontend_set_domain(frontend, NULL);
    virtq_vhost_user_channel_fini(&frontend->requests);
    virtq_vhost_user_channel_fini(&frontend->channel);
    close_own(frontend);
}

VIRTQ_API int virtq_vhost_user_frontend_fd(const struct virtq_vhost_user_frontend *frontend)
{
    return frontend->epoll;
}

int virtq_priv_frontend_end(struct virtq_vhost_user_frontend *frontend, uint32_t refusal)
{
    if (!frontend->over) {
        frontend->over = true;
        frontend->refusal = refusal;
        virtq_vhost_user_channel_fini(&frontend->requests);
        virtq_vhost_user_channel_fini(&frontend->channel);
        /* The set can be read from now on: whoever waits for it learns of the end. */
        (void)eventfd_write(frontend->ended, 1);
    }
    return VIRTQ_EPEER;
}

void virtq_priv_frontend_events(const struct virtq_vhost_user_frontend *frontend, uint32_t *channel,
                                uint32_t *requests)
{
    const bool sends = frontend->channel.sent != frontend->channel.to_send;
    const bool answers = frontend->requests.sent != frontend->requests.to_send;

    *channel = EPOLLIN | (sends ? (uint32_t)EPOLLOUT : 0u);
    /* Each request of the back-end may have an answer on both: while one waits none is read. */
    *requests = answers ? (uint32_t)EPOLLOUT : sends ? 0u : (uint32_t)EPOLLIN;
}

/* The requests that are there, as long as answers go out. */
static int serve_requests(struct virtq_vhost_user_frontend *frontend)
{
    int served = 1;
    int i;

    for (i = 0; i < REQUESTS_MAX && served == 1; i++) {
        const int flushed = virtq_vhost_user_channel_flush(&frontend->channel);

        if (flushed < 0) {
            return virtq_priv_frontend_end(frontend,
                                           virtq_vhost_user_channel_refusal(&frontend->channel));
        }
        served = flushed == 1 ? virtq_priv_frontend_serve(frontend) : 0;
    }
    return served < 0 ? served : VIRTQ_OK;
}

/* Nothing comes here but answers, and none is awaited. */
static int serve_channel(struct virtq_vhost_user_frontend *frontend)
{
    struct virtq_vhost_user_message *message;
    const int got = virtq_vhost_user_channel_receive(&frontend->channel, &message);

    if (got == 0) {
        return VIRTQ_OK;
    }
    return virtq_priv_frontend_end(frontend,
                                   got == 1 ? (uint32_t)VIRTQ_VHOST_USER_REFUSED_ORDER
                                            : virtq_vhost_user_channel_refusal(&frontend->channel));
}

/* Waits from now on for what can go on. */
static void rearm(struct virtq_vhost_user_frontend *frontend)
{
    struct epoll_event channel = {.data = {.u32 = VIRTQ_PRIV_FRONTEND_CHANNEL}};
    struct epoll_event requests = {.data = {.u32 = VIRTQ_PRIV_FRONTEND_REQUESTS}};
    uint32_t for_channel;
    uint32_t for_requests;

    virtq_priv_frontend_events(frontend, &for_channel, &for_requests);
    channel.events = for_channel;
    requests.events = for_requests;
    (void)epoll_ctl(frontend->epoll, EPOLL_CTL_MOD, frontend->channel.socket, &channel);
    if (frontend->requests.socket >= 0 &&
        epoll_ctl(frontend->epoll, EPOLL_CTL_MOD, frontend->requests.socket, &requests) != 0) {
        (void)epoll_ctl(frontend->epoll, EPOLL_CTL_ADD, frontend->requests.socket, &requests);
    }
}

static void ring_broken(struct virtq_vhost_user_frontend *frontend, uint32_t index)
{
    if (virtq_priv_eventfd_take(frontend->rings[index].err) == 1 && frontend->ops.broken != NULL) {
        frontend->ops.broken(frontend->opaque, index);
    }
}

VIRTQ_API int virtq_vhost_user_frontend_process(struct virtq_vhost_user_frontend *frontend)
{
    struct epoll_event events[EVENTS];
    int count;
    int i;

    if (frontend->over || frontend->asking) {
        return frontend->over ? VIRTQ_EPEER : VIRTQ_OK;
    }
    count = epoll_wait(frontend->epoll, events, EVENTS, 0);
    frontend->asking = true; /* What is called from here begins no request. */
    for (i = 0; i < count && !frontend->over; i++) {
        if (events[i].data.u32 < frontend->queue_count) {
            ring_broken(frontend, events[i].data.u32);
        } else if (events[i].data.u32 == VIRTQ_PRIV_FRONTEND_CHANNEL) {
            (void)serve_channel(frontend);
        }
    }
    if (!frontend->over) {
        (void)serve_requests(frontend);
    }
    frontend->asking = false;
    if (!frontend->over) {
        rearm(frontend);
    }
    return frontend->over ? VIRTQ_EPEER : VIRTQ_OK;
}

VIRTQ_API uint32_t
virtq_vhost_user_frontend_refusal(const struct virtq_vhost_user_frontend *frontend)
{
    return frontend->refusal;
}

VIRTQ_API uint64_t
virtq_vhost_user_frontend_offered(const struct virtq_vhost_user_frontend *frontend)
{
    return frontend->offered & ~VIRTQ_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES);
}

VIRTQ_API uint64_t
virtq_vhost_user_frontend_features(const struct virtq_vhost_user_frontend *frontend)
{
    return frontend->features & ~VIRTQ_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES);
}

VIRTQ_API uint64_t
virtq_vhost_user_frontend_protocol(const struct virtq_vhost_user_frontend *frontend)
{
    return frontend->protocol;
}

VIRTQ_API uint32_t
virtq_vhost_user_frontend_queues(const struct virtq_vhost_user_frontend *frontend)
{
    return frontend->queues;
}
