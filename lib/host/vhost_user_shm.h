/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A part of a file that the front-end shares, mapped here.
 */
#ifndef VIRTQ_LIB_HOST_VHOST_USER_SHM_H
#define VIRTQ_LIB_HOST_VHOST_USER_SHM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vhost_user_fault.h"

/** @brief A mapping. All zeros: there is none. */
struct virtq_priv_shm {
    void *mapping;       /**< What munmap gets ... */
    size_t mapping_size; /**< ... and how many bytes. */
    unsigned char *base; /**< The first byte that was asked for. */
};

/** @brief Maps a part of a file, whole pages of it: an enum virtq_vhost_user_refusal; on a refusal
 * `shm` is as it was. The file has to have all of it, and, if `strict`, for ever. */
uint32_t virtq_priv_shm_map(struct virtq_priv_shm *shm, struct virtq_priv_fault *fault, int fd,
                            uint64_t offset, uint64_t size, bool strict);

/** @brief Unmaps it, if it is mapped. */
void virtq_priv_shm_unmap(struct virtq_priv_shm *shm, struct virtq_priv_fault *fault);

#endif
