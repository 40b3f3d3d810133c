/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The memory of one front-end, as the handler of SIGBUS sees it.
 */
#ifndef VIRTQ_LIB_HOST_VHOST_USER_FAULT_H
#define VIRTQ_LIB_HOST_VHOST_USER_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtq/host/vhost_user_backend.h"

/** @brief Most mappings of one back-end: all regions, those that were taken away, those of a table
 * that is about to replace them, and a few of other kinds. */
enum { VIRTQ_PRIV_FAULT_RANGES = 4 * VIRTQ_VHOST_USER_SLOTS_MAX };

/** @brief A mapping whose file may become shorter. */
struct virtq_priv_fault_range {
    uintptr_t first; /**< A page's. */
    size_t size;     /**< Whole pages. */
    size_t page;     /**< What is replaced at once. */
};

/** @brief All of a back-end's; in a list of the process while it is joined. Only the thread that
 * processes messages changes it, under the list's lock. */
struct virtq_priv_fault {
    struct virtq_priv_fault *next;
    struct virtq_priv_fault_range ranges[VIRTQ_PRIV_FAULT_RANGES];
    uint32_t count;   /**< Of `ranges`. */
    uint32_t latched; /**< 1: an access found nothing. Stays. */
    int wake;         /**< Readable then. -1: nothing is caught. */
};

/** @brief How the event loop's set names `wake`. */
enum { VIRTQ_PRIV_FAULT_WAKE = -4 };

/** @brief Accesses to what is added from now on are caught: 0; VIRTQ_EINVAL (the handler is not
 * installed), VIRTQ_ENOMEM (no descriptor). */
int virtq_priv_fault_join(struct virtq_priv_fault *fault, int epoll);

/** @brief Nothing is caught. */
void virtq_priv_fault_none(struct virtq_priv_fault *fault);

/** @brief Leaves the list; all mappings are gone. */
void virtq_priv_fault_part(struct virtq_priv_fault *fault);

/** @brief Adds a mapping: false if there is no room. */
bool virtq_priv_fault_add(struct virtq_priv_fault *fault, const void *mapping, size_t size,
                          size_t page);

/** @brief Takes a mapping out, before it is unmapped. */
void virtq_priv_fault_drop(struct virtq_priv_fault *fault, const void *mapping);

/** @brief Whether an access has found nothing. */
bool virtq_priv_fault_latched(const struct virtq_priv_fault *fault);

#endif
