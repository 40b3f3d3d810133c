/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The guest's memory: regions of files mapped here, and the space that rings see.
 */
#ifndef VIRTQ_LIB_HOST_VHOST_USER_MAPPED_H
#define VIRTQ_LIB_HOST_VHOST_USER_MAPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vhost_user_fault.h"
#include "vhost_user_shm.h"
#include "virtq/guard.h"
#include "virtq/host/vhost_user_backend.h"
#include "virtq/space/direct.h"

/** @brief A region that is mapped. */
struct virtq_priv_mapped_region {
    struct virtq_vhost_user_region wire; /**< As received, and found legal. */
    uint64_t first;                      /**< The guest's address of what is used of it, ... */
    uint64_t size;                       /**< ... its bytes; 0: nothing is, and nothing mapped. */
    struct virtq_priv_shm shm;           /**< Where it is here. */
};

/** @brief Room for regions that were taken away and are still in use. */
enum { VIRTQ_PRIV_RETIRED_MAX = 2 * VIRTQ_VHOST_USER_SLOTS_MAX };

/** @brief All memory of one front-end. */
struct virtq_priv_mapped {
    struct virtq_direct direct;    /**< What rings are given. */
    struct virtq_guard guard;      /**< Whom a change waits for. */
    struct virtq_priv_fault fault; /**< What becomes of it when it shrinks. */
    struct virtq_guard *behind;    /**< Whoever sees this memory through an IOTLB, or NULL. */
    struct virtq_priv_mapped_region live[VIRTQ_VHOST_USER_SLOTS_MAX]; /**< Sorted by address. */
    struct virtq_priv_mapped_region retired[VIRTQ_PRIV_RETIRED_MAX];  /**< To be unmapped. */
    struct virtq_region regions[2][VIRTQ_VHOST_USER_SLOTS_MAX]; /**< The space's tables: ... */
    struct virtq_direct_table tables[2];                        /**< ... one in force, */
    uint32_t current;                                           /**< this one. */
    uint32_t count;                                             /**< Of `live`. */
    uint32_t retired_count;                                     /**< Of `retired`. */
    uint64_t window_first;                                      /**< Only what lies from here ... */
    uint64_t window_last; /**< ... to here, the guest's addresses, is ever mapped. */
    bool strict;          /**< Only memory that cannot shrink. */
};

/** @brief Nothing is mapped: 0, or an enum virtq_error. Of the configuration its flags and its
 * window matter. */
int virtq_priv_mapped_init(struct virtq_priv_mapped *mapped,
                           const struct virtq_vhost_user_backend_config *config);

/** @brief Unmaps everything; no queue uses the space any more. */
void virtq_priv_mapped_fini(struct virtq_priv_mapped *mapped);

/** @brief Replaces all regions, or none: an enum virtq_vhost_user_refusal. */
uint32_t virtq_priv_mapped_set(struct virtq_priv_mapped *mapped,
                               const struct virtq_vhost_user_region *regions, const int *fds,
                               uint32_t count);

/** @brief Adds a region: an enum virtq_vhost_user_refusal. */
uint32_t virtq_priv_mapped_add(struct virtq_priv_mapped *mapped,
                               const struct virtq_vhost_user_region *region, int fd);

/** @brief Takes a region away, named by its addresses and size: an enum virtq_vhost_user_refusal.
 */
uint32_t virtq_priv_mapped_remove(struct virtq_priv_mapped *mapped,
                                  const struct virtq_vhost_user_region *region);

/** @brief Unmaps what was taken away, if nothing uses it any more. */
void virtq_priv_mapped_reclaim(struct virtq_priv_mapped *mapped);

/** @brief How much memory there is from one of the front-end's own addresses on, in one region, and
 * where it is here; 0 if there is none. */
uint64_t virtq_priv_mapped_run(const struct virtq_priv_mapped *mapped, uint64_t user_address,
                               void **base);

/** @brief The guest-physical address of one of the front-end's own; false if there is none. */
bool virtq_priv_mapped_find(const struct virtq_priv_mapped *mapped, uint64_t user_address,
                            virtq_addr_t *addr);

/** @brief The guest-physical address of a byte of what is mapped; false if it is none. */
bool virtq_priv_mapped_locate(const struct virtq_priv_mapped *mapped, const void *byte,
                              virtq_addr_t *addr);

#endif
