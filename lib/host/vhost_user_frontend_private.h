/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What the parts of a vhost-user front-end share.
 */
#ifndef VIRTQ_LIB_HOST_VHOST_USER_FRONTEND_PRIVATE_H
#define VIRTQ_LIB_HOST_VHOST_USER_FRONTEND_PRIVATE_H

#include <stdbool.h>

#include "virtq/host/vhost_user_channel.h"
#include "virtq/host/vhost_user_frontend.h"

/** @brief One ring: its eventfds, ours for as long as the front-end is. */
struct virtq_priv_frontend_ring {
    int kick;      /**< We write. */
    int call;      /**< The back-end writes, the caller waits. */
    int err;       /**< The back-end writes, process reads. */
    uint32_t size; /**< Descriptors; 0: it does not run. */
};

/** @brief What is in the set beside the rings' errors, by their indices. */
enum virtq_priv_frontend_event {
    VIRTQ_PRIV_FRONTEND_CHANNEL = 0x10000, /**< Answers. */
    VIRTQ_PRIV_FRONTEND_REQUESTS,          /**< The back-end's requests. */
    VIRTQ_PRIV_FRONTEND_ENDED              /**< The end. */
};

struct virtq_vhost_user_frontend {
    struct virtq_vhost_user_channel channel;  /**< Our requests, its answers. */
    struct virtq_vhost_user_channel requests; /**< Its requests, our answers; no socket: none. */
    struct virtq_vhost_user_frontend_ops ops; /**< What the caller wants to know. */
    void *opaque;                             /**< Handed to each of them. */
    struct virtq_domain *domain;              /**< What answers misses, or NULL. */
    struct virtq_domain_listener listener;    /**< Withdraws what is unmapped there. */
    struct virtq_priv_frontend_ring *rings;   /**< `queue_count` of them. */
    uint32_t queue_count;                     /**< As configured. */
    uint32_t deadline;                        /**< Milliseconds. */
    uint64_t wanted;                          /**< Protocol features that may be used ... */
    uint64_t protocol;                        /**< ... and those that are. */
    uint64_t offered;                         /**< The device's features ... */
    uint64_t features;                        /**< ... and those that were accepted. */
    uint32_t queues;                          /**< What the back-end says it has. */
    uint32_t slots_max;                       /**< Regions of memory that it can have ... */
    uint32_t slots;                           /**< ... and those that it has. */
    uint32_t refusal;                         /**< Why it is over, or what it refused. */
    int epoll;                                /**< Both channels, every `err`, and `ended`. */
    int ended;                                /**< An eventfd: set when it is over. */
    bool greeted;                             /**< What is offered is known. */
    bool asking;                              /**< Within a request: no other can begin. */
    bool over;                                /**< The connection is. */
};

/** @brief A request, and what its answer has to be. */
struct virtq_priv_question {
    uint32_t request;    /**< An enum virtq_vhost_user_request. */
    uint32_t size;       /**< Bytes of payload. */
    const void *payload; /**< `size` of them. */
    const int *fds;      /**< Go along. */
    uint32_t fd_count;   /**< How many. */
};

/** @brief Milliseconds of a clock that nobody sets. */
int64_t virtq_priv_frontend_now(void);

/** @brief Ends the connection: VIRTQ_EPEER. */
int virtq_priv_frontend_end(struct virtq_vhost_user_frontend *frontend, uint32_t refusal);

/** @brief Sends a request that has an answer of its own, and waits for it: 0, and the answer, good
 * until the next call; VIRTQ_ENOMEM, VIRTQ_EBUSY (within another one) or VIRTQ_EPEER. */
int virtq_priv_frontend_ask(struct virtq_vhost_user_frontend *frontend,
                            const struct virtq_priv_question *question,
                            struct virtq_vhost_user_message **answer);

/** @brief Sends a request without one; with REPLY_ACK waits for its result: 0, VIRTQ_ENOTSUP (the
 * back-end refuses it), VIRTQ_ENOMEM, VIRTQ_EBUSY or VIRTQ_EPEER. */
int virtq_priv_frontend_tell(struct virtq_vhost_user_frontend *frontend,
                             const struct virtq_priv_question *question);

/** @brief Asks for a number: 0, VIRTQ_EBUSY or VIRTQ_EPEER. */
int virtq_priv_frontend_number(struct virtq_vhost_user_frontend *frontend, uint32_t request,
                               uint64_t *number);

/** @brief Sets a number: as virtq_priv_frontend_tell(). */
int virtq_priv_frontend_set(struct virtq_vhost_user_frontend *frontend, uint32_t request,
                            uint64_t number);

/** @brief Sets a ring's number: as virtq_priv_frontend_tell(). */
int virtq_priv_frontend_set_ring(struct virtq_vhost_user_frontend *frontend, uint32_t request,
                                 uint32_t index, uint32_t number);

/** @brief Serves one request of the back-end: 1, 0 if there is none now, or VIRTQ_EPEER. Its answer
 * goes on both channels: nothing of ours may wait there. */
int virtq_priv_frontend_serve(struct virtq_vhost_user_frontend *frontend);

/** @brief What of both channels is to be waited for, given what is still to be sent: events of
 * poll(), which are those of epoll too. */
void virtq_priv_frontend_events(const struct virtq_vhost_user_frontend *frontend, uint32_t *channel,
                                uint32_t *requests);

/** @brief For the domain's listener: withdraws a list of ranges. */
void virtq_priv_frontend_unmapped(struct virtq_domain_listener *listener,
                                  const struct virtq_region *ranges, unsigned count);

/** @brief The same for one. */
void virtq_priv_frontend_unmapped_one(struct virtq_domain_listener *listener, virtq_addr_t first,
                                      virtq_addr_t last);

#endif
