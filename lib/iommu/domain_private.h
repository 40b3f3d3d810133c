/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What the iommu space does with a domain while it holds the domain's lock.
 */
#ifndef VIRTQ_LIB_IOMMU_DOMAIN_PRIVATE_H
#define VIRTQ_LIB_IOMMU_DOMAIN_PRIVATE_H

#include "../space/tree.h"
#include "virtq/iommu/domain.h"

/** @brief virtq_domain_lookup() for a caller that holds the lock, and with a say in what is merged.
 */
int virtq_priv_domain_window(const struct virtq_domain *domain, virtq_addr_t addr,
                             uint32_t permission, enum virtq_priv_merge merge,
                             struct virtq_window *window);

#endif
