/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief How the guest's end makes calls, and where its memory lies.
 */
#ifndef VIRTQ_LIB_IOMMU_TCE_BACKEND_PRIVATE_H
#define VIRTQ_LIB_IOMMU_TCE_BACKEND_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "virtq/iommu/tce_backend.h"

/** @brief The real address of a pointer, and how many bytes minus 1 lie there in one region of
 * memory. @return false: it is in none */
bool virtq_priv_tce_real(const struct virtq_tce_backend *backend, const void *pointer,
                         uint64_t *real, uint64_t *span);

/** @brief Pages that lie one behind the other on the bus, and their entries, until a call is made
 * of them. All zero but for `most`: empty. */
struct virtq_priv_tce_run {
    uint64_t first; /**< The first page's bus address. */
    uint64_t entry; /**< Its entry: a run of one page needs no list. */
    uint64_t *list; /**< All entries, once there are two; NULL: no list page is taken. */
    unsigned count; /**< How many there are. */
    unsigned most;  /**< How many a call can have. */
    unsigned page;  /**< Which list page it is. */
    uint64_t put;   /**< Pages that calls were made for: all that may have an entry now. */
};

/** @brief Adds pages that lie one behind the other on the bus and in memory; makes a call wherever
 * they do not continue the run, or it is full.
 * @param ioba  the first page's bus address
 * @param entry its entry
 * @param pages how many
 * @return VIRTQ_TCE_SUCCESS, or the status of a call that failed */
int64_t virtq_priv_tce_run_add(struct virtq_tce_backend *backend, struct virtq_priv_tce_run *run,
                               uint64_t ioba, uint64_t entry, uint64_t pages);

/** @brief Makes a call of the run so far, and empties it. @return its status */
int64_t virtq_priv_tce_run_flush(struct virtq_tce_backend *backend, struct virtq_priv_tce_run *run);

/** @brief Gives the list page back, if one was taken; what is in the run is dropped. */
void virtq_priv_tce_run_end(struct virtq_tce_backend *backend, struct virtq_priv_tce_run *run);

/** @brief Clears `count` entries from a bus address on, as many as can be. @return 0, or the error
 * of the first call that failed */
int virtq_priv_tce_clear(struct virtq_tce_backend *backend, uint64_t ioba, uint64_t count);

/** @brief Whether the hypervisor has a call, an enum virtq_tce_has, as far as is known. */
bool virtq_priv_tce_has(const struct virtq_tce_backend *backend, uint32_t what);

/** @brief It said H_FUNCTION: it is not asked again. */
void virtq_priv_tce_lacks(struct virtq_tce_backend *backend, uint32_t what);

#endif
