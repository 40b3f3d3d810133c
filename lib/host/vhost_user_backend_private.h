/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What the parts of a vhost-user back-end share.
 */
#ifndef VIRTQ_LIB_HOST_VHOST_USER_BACKEND_PRIVATE_H
#define VIRTQ_LIB_HOST_VHOST_USER_BACKEND_PRIVATE_H

#include <stdbool.h>

#include "vhost_user_inflight.h"
#include "vhost_user_log.h"
#include "vhost_user_mapped.h"
#include "vhost_user_tlb.h"
#include "virtq/host/vhost_user_channel.h"

/** @brief One ring. Its worker reads `device`, `enabled` and the descriptors; only the thread that
 * processes messages writes. */
struct virtq_priv_vring {
    struct virtq_guard_user user;        /**< Its worker's bursts, while it runs. */
    struct virtq_device *device;         /**< NULL: stopped. */
    void *memory;                        /**< For `device`. */
    struct virtq_priv_inflight inflight; /**< Its records. */
    struct virtq_priv_log_ring log;      /**< Where writes to it are logged. */
    struct virtq_vhost_user_addr addr;   /**< As received; `has_addr`. */
    uint32_t size;                       /**< Descriptors; 0: not known yet. */
    uint32_t base;                       /**< Where it starts, or has stopped. */
    uint32_t enabled;                    /**< 1: may have effects. */
    uint64_t seen;                       /**< Updates of the IOTLB when the burst began; see */
    uint64_t missed;                     /**< virtq_priv_vring_missed(). The owner's. */
    uint32_t waits;                      /**< 1: something was missing that has not come yet. */
    uint32_t told;                       /**< 1: that it is broken. Any thread. */
    bool owes;                           /**< The owner's: the last burst missed something. */
    bool inside;                         /**< The thread that processes messages is its owner. */
    bool starting;                       /**< Starts as soon as it can be found. */
    bool translated;                     /**< Its addresses are the IOMMU's. */
    bool has_addr;                       /**< The addresses are known. */
    bool watched;                        /**< `kick` is in the event loop's set. */
    int kick;                            /**< -1: there is none. */
    int call;                            /**< -1: there is none. */
    int err;                             /**< -1: there is none. */
};

struct virtq_vhost_user_backend {
    struct virtq_vhost_user_channel channel;    /**< To the front-end. */
    struct virtq_priv_mapped mapped;            /**< Its memory. */
    struct virtq_priv_tlb tlb;                  /**< Its IOMMU. */
    struct virtq_priv_log log;                  /**< What was written to it. */
    struct virtq_priv_inflight_memory inflight; /**< Where records are. */
    struct virtq_vhost_user_ops ops;            /**< The device. */
    void *opaque;                               /**< For `ops`. */
    struct virtq_priv_vring *vrings;            /**< `queue_count` of them. */
    size_t vring_memory_size;                   /**< Bytes of each one's memory. */
    uint64_t offered;          /**< Features, VHOST_USER_F_PROTOCOL_FEATURES too. */
    uint64_t features;         /**< What was accepted of them. */
    uint64_t protocol_offered; /**< Protocol features. */
    uint64_t protocol;         /**< What was accepted of them. */
    uint32_t queue_count;      /**< Rings. */
    uint32_t queue_size;       /**< The largest. */
    uint32_t table_max;        /**< See the configuration. */
    uint32_t config_size;      /**< See the configuration. */
    uint32_t refusal;          /**< The latest. */
    uint32_t events;           /**< What is waited for at the socket. */
    uint32_t status;           /**< The device's, as the front-end wrote it. */
    int epoll;                 /**< What the event loop waits for. */
};

/** @brief Serves a request: an enum virtq_vhost_user_refusal. What it answers it leaves in the
 * message's payload, with its size in the header; descriptors that it keeps it takes out. */
uint32_t virtq_priv_backend_serve(struct virtq_vhost_user_backend *backend,
                                  struct virtq_vhost_user_message *message);

/** @brief Whether a ring runs, or will as soon as it can. */
bool virtq_priv_vring_runs(const struct virtq_priv_vring *vring);

/** @brief Whether any ring does. */
bool virtq_priv_backend_runs(const struct virtq_vhost_user_backend *backend);

/** @brief Stops and disables all rings, wherever they stand. */
void virtq_priv_backend_stop(struct virtq_vhost_user_backend *backend);

/** @brief How a ring's queue is made: all but where the ring lies. */
void virtq_priv_vring_config(struct virtq_space *space, uint64_t features, uint32_t size,
                             uint32_t table_max, struct virtq_device_config *config);

/** @brief Starts a ring that is known: an enum virtq_vhost_user_refusal. */
uint32_t virtq_priv_vring_start(struct virtq_vhost_user_backend *backend, uint32_t index);

/** @brief Stops a ring; false if the device did not give all its buffers back, and the base is
 * unknown. */
bool virtq_priv_vring_stop(struct virtq_vhost_user_backend *backend, uint32_t index);

/** @brief Puts a descriptor in an old one's place, which its worker may be using, and closes that
 * one. */
void virtq_priv_vring_replace(struct virtq_vhost_user_backend *backend, int *place, int fd);

/** @brief Whether a descriptor can be a kick, a call or an error's: an enum
 * virtq_vhost_user_refusal. -1 can. */
uint32_t virtq_priv_vring_judge_fd(int fd);

/** @brief Writes to one of a ring's descriptors, or does nothing if it is -1. */
void virtq_priv_vring_signal(const int *place);

/** @brief Waits until every burst has ended that may have seen what was before. */
void virtq_priv_backend_settle(struct virtq_vhost_user_backend *backend);

/** @brief The log that counts follows from the features and from what the front-end gave. */
void virtq_priv_log_choose(struct virtq_vhost_user_backend *backend);

/** @brief The same for a ring's address of its used area. */
void virtq_priv_log_ring_set(struct virtq_vhost_user_backend *backend,
                             struct virtq_priv_vring *vring);

/** @brief Requests: as virtq_priv_backend_serve(). */
uint32_t virtq_priv_status_reset(struct virtq_vhost_user_backend *backend,
                                 struct virtq_vhost_user_message *message);
uint32_t virtq_priv_status_set(struct virtq_vhost_user_backend *backend,
                               struct virtq_vhost_user_message *message);
uint32_t virtq_priv_status_get(struct virtq_vhost_user_backend *backend,
                               struct virtq_vhost_user_message *message);
uint32_t virtq_priv_records_get_inflight(struct virtq_vhost_user_backend *backend,
                                         struct virtq_vhost_user_message *message);
uint32_t virtq_priv_records_set_inflight(struct virtq_vhost_user_backend *backend,
                                         struct virtq_vhost_user_message *message);
uint32_t virtq_priv_records_set_log_base(struct virtq_vhost_user_backend *backend,
                                         struct virtq_vhost_user_message *message);
uint32_t virtq_priv_records_set_log_fd(struct virtq_vhost_user_backend *backend,
                                       struct virtq_vhost_user_message *message);

/** @brief Changes where kicks come: an enum virtq_vhost_user_refusal; then `fd` is the caller's. */
uint32_t virtq_priv_vring_set_kick(struct virtq_vhost_user_backend *backend, uint32_t index,
                                   int fd);

/** @brief Something has happened at a ring's kick. */
void virtq_priv_vring_kicked(struct virtq_vhost_user_backend *backend, uint32_t index);

/** @brief A burst has begun, or has ended: after one in which anything was missing, the ring is
 * served again when something comes. Its thread. */
void virtq_priv_vring_began(struct virtq_vhost_user_backend *backend, uint32_t index);
void virtq_priv_vring_ended(struct virtq_vhost_user_backend *backend, uint32_t index);

/** @brief Serves all rings for which there may be now what they were missing. */
void virtq_priv_backend_retry(struct virtq_vhost_user_backend *backend);

/** @brief Lets the device serve a ring, if it runs and is enabled. */
void virtq_priv_vring_serve(struct virtq_vhost_user_backend *backend, uint32_t index);

#endif
