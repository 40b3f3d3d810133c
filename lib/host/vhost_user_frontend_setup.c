/* SPDX-License-Identifier: BSD-3-Clause */
/* What both ends agree on before rings run: features, and what is in the device. */
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vhost_user_frontend_private.h"
#include "virtq/feature.h"

/* What this end can make use of. */
#define KNOWN                                                                                   \
    (VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_MQ) | VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_LOG_SHMFD) | \
     VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK) |                                           \
     VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |                                         \
     VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_CONFIG) |                                              \
     VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) |                                      \
     VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_RESET_DEVICE) |                                        \
     VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) |                                 \
     VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_STATUS))

typedef struct virtq_vhost_user_frontend frontend_type;

static bool has(const frontend_type *frontend, unsigned feature)
{
    return virtq_feature_has(frontend->protocol, feature) != 0;
}

/* A channel for the back-end's own requests: one end goes there. */
static int open_requests(frontend_type *frontend)
{
    const struct virtq_priv_question question = {
        .request = VHOST_USER_SET_BACKEND_REQ_FD, .fds = NULL, .fd_count = 1};
    struct virtq_priv_question with_end = question;
    struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = VIRTQ_PRIV_FRONTEND_REQUESTS}};
    int ends[2];
    int error;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
        return VIRTQ_ENOMEM;
    }
    virtq_vhost_user_channel_init(&frontend->requests, ends[0]);
    (void)epoll_ctl(frontend->epoll, EPOLL_CTL_ADD, ends[0], &event);
    with_end.fds = &ends[1];
    error = virtq_priv_frontend_tell(frontend, &with_end);
    (void)close(ends[1]);
    if (error != VIRTQ_OK) {
        virtq_vhost_user_channel_fini(&frontend->requests);
    }
    return error;
}

/* What needs a protocol feature to be asked. */
static int ask_limits(frontend_type *frontend)
{
    uint64_t number = 1;
    int error = VIRTQ_OK;

    if (has(frontend, VHOST_USER_PROTOCOL_F_MQ)) {
        error = virtq_priv_frontend_number(frontend, VHOST_USER_GET_QUEUE_NUM, &number);
        if (error == VIRTQ_OK && (number == 0 || number > UINT16_MAX)) {
            error = virtq_priv_frontend_end(frontend, VIRTQ_VHOST_USER_REFUSED_VALUE);
        }
        frontend->queues = (uint32_t)number;
    }
    if (error == VIRTQ_OK && has(frontend, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) {
        error = virtq_priv_frontend_number(frontend, VHOST_USER_GET_MAX_MEM_SLOTS, &number);
        if (error == VIRTQ_OK && number == 0) {
            error = virtq_priv_frontend_end(frontend, VIRTQ_VHOST_USER_REFUSED_VALUE);
        }
        frontend->slots_max = number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
    }
    return error;
}

static int agree_on_protocol(frontend_type *frontend)
{
    uint64_t offered;
    int error = virtq_priv_frontend_number(frontend, VHOST_USER_GET_PROTOCOL_FEATURES, &offered);

    if (error != VIRTQ_OK) {
        return error;
    }
    offered &= frontend->wanted & KNOWN;
    error = virtq_priv_frontend_set(frontend, VHOST_USER_SET_PROTOCOL_FEATURES, offered);
    /* From the next request on: this one could not be acknowledged yet. */
    frontend->protocol = error == VIRTQ_OK ? offered : 0;
    return error;
}

VIRTQ_API int virtq_vhost_user_frontend_greet(frontend_type *frontend)
{
    const struct virtq_priv_question owner = {.request = VHOST_USER_SET_OWNER};
    uint64_t offered;
    int error = virtq_priv_frontend_number(frontend, VHOST_USER_GET_FEATURES, &offered);

    if (error == VIRTQ_OK) {
        frontend->offered = offered;
        if (virtq_feature_has(offered, VHOST_USER_F_PROTOCOL_FEATURES)) {
            error = agree_on_protocol(frontend);
        }
    }
    if (error == VIRTQ_OK) {
        error = virtq_priv_frontend_tell(frontend, &owner);
    }
    if (error == VIRTQ_OK) {
        error = ask_limits(frontend);
    }
    if (error == VIRTQ_OK && has(frontend, VHOST_USER_PROTOCOL_F_BACKEND_REQ)) {
        error = open_requests(frontend);
    }
    frontend->greeted = error == VIRTQ_OK;
    /* A back-end that refuses any of these cannot be driven. */
    return error == VIRTQ_ENOTSUP
               ? virtq_priv_frontend_end(frontend, VIRTQ_VHOST_USER_REFUSED_DEVICE)
               : error;
}

static bool runs(const frontend_type *frontend)
{
    uint32_t i;

    for (i = 0; i < frontend->queue_count; i++) {
        if (frontend->rings[i].size != 0) {
            return true;
        }
    }
    return false;
}

VIRTQ_API int virtq_vhost_user_frontend_accept(frontend_type *frontend, uint64_t features)
{
    const uint64_t protocol = VIRTQ_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES);
    const uint64_t all = features | (frontend->offered & protocol);
    int error;

    if (!frontend->greeted || (all & ~frontend->offered) != 0) {
        return frontend->over ? VIRTQ_EPEER : VIRTQ_ENOTSUP;
    }
    if (((all ^ frontend->features) & ~VIRTQ_FEATURE(VHOST_F_LOG_ALL)) != 0 && runs(frontend)) {
        return VIRTQ_EBUSY;
    }
    error = virtq_priv_frontend_set(frontend, VHOST_USER_SET_FEATURES, all);
    if (error == VIRTQ_OK) {
        frontend->features = all;
    }
    return error;
}

/* A range of the configuration space as it is sent; false: there is none like it. */
static bool config_range(struct virtq_vhost_user_config *config, uint32_t offset, uint32_t len)
{
    memset(config, 0, sizeof(*config));
    config->offset = offset;
    config->size = len;
    return len != 0 && len <= VIRTQ_VHOST_USER_CONFIG_MAX && offset <= UINT32_MAX - len;
}

VIRTQ_API int virtq_vhost_user_frontend_read_config(frontend_type *frontend, uint32_t offset,
                                                    void *data, uint32_t len)
{
    struct virtq_vhost_user_config config;
    struct virtq_priv_question question = {.request = VHOST_USER_GET_CONFIG, .payload = &config};
    struct virtq_vhost_user_message *answer;
    int error;

    if (!config_range(&config, offset, len)) {
        return VIRTQ_EINVAL;
    }
    if (!has(frontend, VHOST_USER_PROTOCOL_F_CONFIG)) {
        return VIRTQ_ENOTSUP;
    }
    question.size = (uint32_t)offsetof(struct virtq_vhost_user_config, data) + len;
    error = virtq_priv_frontend_ask(frontend, &question, &answer);
    if (error != VIRTQ_OK) {
        return error;
    }
    if (answer->header.size == 0) {
        frontend->refusal = VIRTQ_VHOST_USER_REFUSED_DEVICE;
        return VIRTQ_ENOTSUP;
    }
    if (answer->header.size != question.size || answer->payload.config.offset != offset ||
        answer->payload.config.size != len) {
        return virtq_priv_frontend_end(frontend, VIRTQ_VHOST_USER_REFUSED_VALUE);
    }
    memcpy(data, answer->payload.config.data, len);
    return VIRTQ_OK;
}

VIRTQ_API int virtq_vhost_user_frontend_write_config(frontend_type *frontend, uint32_t offset,
                                                     const void *data, uint32_t len)
{
    struct virtq_vhost_user_config config;
    struct virtq_priv_question question = {.request = VHOST_USER_SET_CONFIG, .payload = &config};

    if (!config_range(&config, offset, len)) {
        return VIRTQ_EINVAL;
    }
    if (!has(frontend, VHOST_USER_PROTOCOL_F_CONFIG)) {
        return VIRTQ_ENOTSUP;
    }
    memcpy(config.data, data, len);
    question.size = (uint32_t)offsetof(struct virtq_vhost_user_config, data) + len;
    return virtq_priv_frontend_tell(frontend, &question);
}

VIRTQ_API int virtq_vhost_user_frontend_reset(frontend_type *frontend)
{
    const struct virtq_priv_question question = {.request = VHOST_USER_RESET_DEVICE};
    uint32_t i;
    int error;

    if (has(frontend, VHOST_USER_PROTOCOL_F_RESET_DEVICE)) {
        error = virtq_priv_frontend_tell(frontend, &question);
    } else if (has(frontend, VHOST_USER_PROTOCOL_F_STATUS)) {
        error = virtq_priv_frontend_set(frontend, VHOST_USER_SET_STATUS, 0);
    } else {
        return VIRTQ_ENOTSUP;
    }
    for (i = 0; error == VIRTQ_OK && i < frontend->queue_count; i++) {
        frontend->rings[i].size = 0;
    }
    return error;
}

VIRTQ_API int virtq_vhost_user_frontend_set_status(frontend_type *frontend, uint32_t status)
{
    if (status == 0 || status > UINT8_MAX) {
        return VIRTQ_EINVAL;
    }
    return has(frontend, VHOST_USER_PROTOCOL_F_STATUS)
               ? virtq_priv_frontend_set(frontend, VHOST_USER_SET_STATUS, status)
               : VIRTQ_ENOTSUP;
}

VIRTQ_API int virtq_vhost_user_frontend_ready(frontend_type *frontend)
{
    /* ACKNOWLEDGE, DRIVER, FEATURES_OK and DRIVER_OK. */
    return has(frontend, VHOST_USER_PROTOCOL_F_STATUS)
               ? virtq_vhost_user_frontend_set_status(frontend, 15)
               : VIRTQ_OK;
}

VIRTQ_API int virtq_vhost_user_frontend_status(frontend_type *frontend)
{
    uint64_t status;
    int error;

    if (!has(frontend, VHOST_USER_PROTOCOL_F_STATUS)) {
        return VIRTQ_ENOTSUP;
    }
    error = virtq_priv_frontend_number(frontend, VHOST_USER_GET_STATUS, &status);
    if (error == VIRTQ_OK && status > UINT8_MAX) {
        error = virtq_priv_frontend_end(frontend, VIRTQ_VHOST_USER_REFUSED_VALUE);
    }
    return error == VIRTQ_OK ? (int)status : error;
}
