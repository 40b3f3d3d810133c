/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The dirty log: a bit for each page of the guest that this back-end has written to. M10.
 */
#ifndef VIRTQ_LIB_HOST_VHOST_USER_LOG_H
#define VIRTQ_LIB_HOST_VHOST_USER_LOG_H

#include "vhost_user_mapped.h"
#include "vhost_user_shm.h"
#include "virtq/chain.h"
#include "virtq/device.h"

/** @brief A log that the front-end gave. */
struct virtq_priv_log_area {
    struct virtq_priv_shm shm; /**< Where it is here. */
    uint64_t size;             /**< Bytes of it. */
};

/** @brief The logs of a back-end. Rings read `active`; the thread that processes messages writes,
 * and changes only what no burst can see any more. */
struct virtq_priv_log {
    struct virtq_priv_log_area areas[2];      /**< The latest one, and the one before it. */
    const struct virtq_priv_log_area *active; /**< Where writes are logged; NULL: nowhere. */
    uint32_t current;                         /**< The latest of `areas`. */
    int fd;                                   /**< Whom to tell; -1: nobody. */
};

/** @brief Where writes to a ring's used area are logged. */
struct virtq_priv_log_ring {
    uint64_t addrs[2];    /**< The latest address, and the one before it. */
    const uint64_t *addr; /**< The latest, or NULL: they are not. */
    uint32_t current;     /**< The latest of `addrs`. */
};

/** @brief The log that counts now, or NULL. Within a burst; good until its end. */
static inline const struct virtq_priv_log_area *virtq_priv_log_active(
    const struct virtq_priv_log *log)
{
    return __atomic_load_n(&log->active, __ATOMIC_ACQUIRE);
}

/** @brief Marks all pages of a range; what the log has no bits for is left out (L6). */
void virtq_priv_log_mark(const struct virtq_priv_log_area *area, uint64_t first, uint64_t len);

/** @brief Marks the first `len` bytes of a buffer's writable part. */
void virtq_priv_log_buffer(const struct virtq_priv_log_area *area,
                           const struct virtq_priv_mapped *mapped, const struct virtq_chain *chain,
                           uint64_t len);

/** @brief Marks what was published between two positions. */
void virtq_priv_log_used(const struct virtq_priv_log_area *area,
                         const struct virtq_priv_log_ring *ring,
                         const struct virtq_priv_mapped *mapped, const struct virtq_device *device,
                         uint16_t from, uint16_t to);

/** @brief Marks what the device says of its wish for notifications. */
void virtq_priv_log_event(const struct virtq_priv_log_area *area,
                          const struct virtq_priv_log_ring *ring,
                          const struct virtq_device *device);

#endif
