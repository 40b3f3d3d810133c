/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests, and the wait for their answers. */
#include <poll.h>
#include <time.h>

#include "vhost_user_frontend_private.h"
#include "virtq/feature.h"

/* What the answer to a request may be. */
struct answer_rule {
    uint16_t size_min; /* Bytes of payload ... */
    uint16_t size_max; /* ... at least and at most. */
    uint8_t fds_max;   /* Descriptors that may come along. */
};

/* Those that have an answer of their own; of any other the result is a number. */
static struct answer_rule rule_of(uint32_t request)
{
    const uint16_t config = sizeof(struct virtq_vhost_user_config);

    switch (request) {
    case VHOST_USER_GET_CONFIG:
        return (struct answer_rule){0, config, 0};
    case VHOST_USER_SET_LOG_BASE:
        return (struct answer_rule){0, 8, 0}; /* Some answer with a number, some with nothing. */
    case VHOST_USER_GET_INFLIGHT_FD:
        return (struct answer_rule){20, sizeof(struct virtq_vhost_user_inflight), 1};
    default:
        return (struct answer_rule){8, 8, 0};
    }
}

int64_t virtq_priv_frontend_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Sleeps until something can go on; false: it is too late. */
static bool sleep_until(struct virtq_vhost_user_frontend *frontend, int64_t deadline)
{
    struct pollfd ready[2] = {{.fd = frontend->channel.socket}, {.fd = frontend->requests.socket}};
    const int64_t left = deadline - virtq_priv_frontend_now();
    uint32_t channel;
    uint32_t requests;

    if (left <= 0) {
        return false;
    }
    virtq_priv_frontend_events(frontend, &channel, &requests);
    ready[0].events = (short)channel;
    ready[1].events = (short)requests;
    if (requests == 0) {
        ready[1].fd = -1; /* It would be ready whenever its other end is closed. */
    }
    (void)poll(ready, 2, left < INT32_MAX ? (int)left : INT32_MAX);
    return true;
}

static int channel_over(struct virtq_vhost_user_frontend *frontend)
{
    (void)virtq_priv_frontend_end(frontend, virtq_vhost_user_channel_refusal(&frontend->channel));
    return VIRTQ_EPEER;
}

/* Waits until all is sent and, if there is to be an answer, that has come. Meanwhile the back-end's
 * own requests are served: it may need a translation before it can answer. */
static int wait_for(struct virtq_vhost_user_frontend *frontend, int64_t deadline,
                    struct virtq_vhost_user_message **answer)
{
    for (;;) {
        int done = virtq_vhost_user_channel_flush(&frontend->channel);

        if (done < 0) {
            return channel_over(frontend);
        }
        if (done == 1 && answer == NULL) {
            return VIRTQ_OK;
        }
        if (done == 1) {
            int got = virtq_vhost_user_channel_receive(&frontend->channel, answer);

            if (got != 0) {
                return got == 1 ? VIRTQ_OK : channel_over(frontend);
            }
            done = virtq_priv_frontend_serve(frontend);
            if (done < 0) {
                return done;
            }
        } else {
            done = 0;
        }
        /* A back-end that asks for ever is no reason to wait for ever. */
        if ((done == 1 && virtq_priv_frontend_now() >= deadline) ||
            (done == 0 && !sleep_until(frontend, deadline))) {
            (void)virtq_priv_frontend_end(frontend, VIRTQ_VHOST_USER_REFUSED_TIME);
            return VIRTQ_EPEER;
        }
    }
}

/* What has come answers what was asked, in form. */
static int judge(struct virtq_vhost_user_frontend *frontend,
                 const struct virtq_vhost_user_message *answer, uint32_t request,
                 struct answer_rule rule)
{
    uint32_t refusal = VIRTQ_VHOST_USER_ACCEPTED;

    if (answer->header.request != request) {
        refusal = VIRTQ_VHOST_USER_REFUSED_ORDER;
    } else if (answer->header.flags !=
               ((uint32_t)VHOST_USER_VERSION | (uint32_t)VHOST_USER_REPLY)) {
        refusal = VIRTQ_VHOST_USER_REFUSED_FLAGS;
    } else if (answer->header.size < rule.size_min || answer->header.size > rule.size_max) {
        refusal = VIRTQ_VHOST_USER_REFUSED_SIZE;
    } else if (answer->fd_count > rule.fds_max) {
        refusal = VIRTQ_VHOST_USER_REFUSED_FDS;
    }
    return refusal == VIRTQ_VHOST_USER_ACCEPTED ? VIRTQ_OK
                                                : virtq_priv_frontend_end(frontend, refusal);
}

/* Sends, and waits for what is to come. */
static int exchange(struct virtq_vhost_user_frontend *frontend,
                    const struct virtq_priv_question *question, uint32_t flags,
                    struct virtq_vhost_user_message **answer)
{
    const struct virtq_vhost_user_header header = {
        question->request, (uint32_t)VHOST_USER_VERSION | flags, question->size};
    const int64_t deadline = virtq_priv_frontend_now() + frontend->deadline;
    /* An update that answered a miss may still be on its way. */
    int error = wait_for(frontend, deadline, NULL);

    if (error == VIRTQ_OK) {
        error = virtq_vhost_user_channel_send(&frontend->channel, &header, question->payload,
                                              question->fds, question->fd_count);
        if (error == VIRTQ_EPEER) {
            return channel_over(frontend);
        }
    }
    return error == VIRTQ_OK ? wait_for(frontend, deadline, answer) : error;
}

int virtq_priv_frontend_ask(struct virtq_vhost_user_frontend *frontend,
                            const struct virtq_priv_question *question,
                            struct virtq_vhost_user_message **answer)
{
    int error;

    if (frontend->over || frontend->asking) {
        return frontend->over ? VIRTQ_EPEER : VIRTQ_EBUSY;
    }
    frontend->asking = true;
    *answer = NULL;
    error = exchange(frontend, question, 0, answer);
    frontend->asking = false;
    return error == VIRTQ_OK && *answer != NULL
               ? judge(frontend, *answer, question->request, rule_of(question->request))
               : error;
}

int virtq_priv_frontend_tell(struct virtq_vhost_user_frontend *frontend,
                             const struct virtq_priv_question *question)
{
    const struct answer_rule result = {8, 8, 0};
    const bool acknowledged =
        virtq_feature_has(frontend->protocol, VHOST_USER_PROTOCOL_F_REPLY_ACK) != 0;
    struct virtq_vhost_user_message *answer = NULL;
    int error;

    if (frontend->over || frontend->asking) {
        return frontend->over ? VIRTQ_EPEER : VIRTQ_EBUSY;
    }
    frontend->asking = true;
    error = exchange(frontend, question, acknowledged ? (uint32_t)VHOST_USER_NEED_REPLY : 0u,
                     acknowledged ? &answer : NULL);
    frontend->asking = false;
    if (error != VIRTQ_OK || answer == NULL) {
        return error;
    }
    error = judge(frontend, answer, question->request, result);
    if (error == VIRTQ_OK && answer->payload.u64 != 0) {
        frontend->refusal = VIRTQ_VHOST_USER_REFUSED_DEVICE;
        error = VIRTQ_ENOTSUP;
    }
    return error;
}

int virtq_priv_frontend_number(struct virtq_vhost_user_frontend *frontend, uint32_t request,
                               uint64_t *number)
{
    const struct virtq_priv_question question = {.request = request};
    struct virtq_vhost_user_message *answer = NULL;
    const int error = virtq_priv_frontend_ask(frontend, &question, &answer);

    if (error == VIRTQ_OK && answer != NULL) {
        *number = answer->payload.u64;
    }
    return error;
}

int virtq_priv_frontend_set(struct virtq_vhost_user_frontend *frontend, uint32_t request,
                            uint64_t number)
{
    const struct virtq_priv_question question = {
        .request = request, .size = sizeof(number), .payload = &number};

    return virtq_priv_frontend_tell(frontend, &question);
}

int virtq_priv_frontend_set_ring(struct virtq_vhost_user_frontend *frontend, uint32_t request,
                                 uint32_t index, uint32_t number)
{
    const struct virtq_vhost_user_state state = {index, number};
    const struct virtq_priv_question question = {
        .request = request, .size = sizeof(state), .payload = &state};

    return virtq_priv_frontend_tell(frontend, &question);
}
