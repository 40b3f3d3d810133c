/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What the parts of a front-end's space share.
 */
#ifndef VIRTQ_LIB_HOST_VHOST_USER_SPACE_PRIVATE_H
#define VIRTQ_LIB_HOST_VHOST_USER_SPACE_PRIVATE_H

#include <stdbool.h>

#include "virtq/host/memory.h"
#include "virtq/host/vhost_user_space.h"
#include "virtq/iommu/domain.h"
#include "virtq/iommu/iova.h"
#include "virtq/iommu/iova_depot.h"
#include "virtq/space/bar.h"
#include "virtq/space/direct.h"
#include "virtq/space/swiotlb.h"

/** @brief What the device may do with memory that it is given. */
#define VIRTQ_PRIV_BOTH ((uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE)

/** @brief The iommu kind's parts. */
struct virtq_priv_user_iommu {
    struct virtq_iommu_queue queue;     /**< The space. */
    struct virtq_iommu_backend backend; /**< Maps in `domain`; or gives and takes memory slots. */
    struct virtq_domain domain;         /**< With an IOTLB: what answers misses. */
    struct virtq_iova iova;             /**< Addresses ... */
    struct virtq_iova_depot depot;      /**< ... and where they wait. */
    virtq_addr_t shared;                /**< Without an IOTLB: where all of the memory is. */
};

/** @brief A space, and what it is made of. */
struct virtq_priv_user_space {
    struct virtq_vhost_user_space shown;        /**< What the caller sees. */
    struct virtq_vhost_user_frontend *frontend; /**< Whose back-end has the memory. */
    struct virtq_host_memory memory;            /**< The memory. */
    uint32_t kind;                              /**< An enum virtq_vhost_user_space_kind. */
    bool iotlb;                                 /**< The back-end asks. */
    bool given;                                 /**< It has `shown.share`. */
    union {
        struct virtq_direct direct;         /**< Direct. */
        struct virtq_swiotlb swiotlb;       /**< Swiotlb. */
        struct virtq_bar bar;               /**< Bar. */
        struct virtq_priv_user_iommu iommu; /**< Iommu. */
    } is;                                   /**< By kind. */
};

/** @brief Whether the back-end has an IOTLB. */
bool virtq_priv_user_space_iotlb(const struct virtq_vhost_user_space_config *config);

/** @brief Bytes of private memory that the iommu kind's tables need. */
size_t virtq_priv_user_iommu_size(const struct virtq_vhost_user_space_config *config);

/** @brief Makes the iommu kind of memory that the back-end has, with an IOTLB; or has not yet: 0,
 * or an enum virtq_error, and nothing is kept. @param memory at a cache line */
int virtq_priv_user_iommu_init(struct virtq_priv_user_space *space, unsigned char *memory,
                               const struct virtq_vhost_user_space_config *config);

/** @brief Undoes it. */
void virtq_priv_user_iommu_fini(struct virtq_priv_user_space *space);

#endif
