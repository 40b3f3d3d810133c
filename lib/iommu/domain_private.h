/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The shards of a domain, and what the iommu space does with them.
 *
 * Whoever needs several shards' locks takes them from the lowest up, and waits for nothing else
 * while it holds one.
 */
#ifndef VIRTQ_LIB_IOMMU_DOMAIN_PRIVATE_H
#define VIRTQ_LIB_IOMMU_DOMAIN_PRIVATE_H

#include "../space/tree.h"
#include "parts.h"
#include "virtq/iommu/domain.h"

/** @brief A shard by its number. */
VIRTQ_INLINE struct virtq_domain_shard *virtq_priv_domain_shard(const struct virtq_domain *domain,
                                                                unsigned at)
{
    return (struct virtq_domain_shard *)(void *)(domain->shards + at * VIRTQ_DOMAIN_STRIDE);
}

/** @brief The shards that [first, last] lies in, as a set. */
VIRTQ_INLINE uint64_t virtq_priv_domain_set(const struct virtq_domain *domain, virtq_addr_t first,
                                            virtq_addr_t last)
{
    return virtq_priv_parts_set(virtq_priv_parts_at(&domain->parts, first),
                                virtq_priv_parts_at(&domain->parts, last));
}

/** @brief Maps all of a list, of at least one, or nothing: 0, VIRTQ_EINVAL or VIRTQ_ENOMEM. */
int virtq_priv_domain_map(struct virtq_domain *domain, const struct virtq_region *ranges,
                          unsigned count);

/** @brief Unmaps what lies in a list, all or nothing: 0 or VIRTQ_EINVAL. Tells nobody. */
int virtq_priv_domain_unmap(struct virtq_domain *domain, const struct virtq_region *ranges,
                            unsigned count);

/** @brief Takes the lock of the shard that an address is in. */
struct virtq_domain_shard *virtq_priv_domain_hold(struct virtq_domain *domain, virtq_addr_t addr);

/** @brief Gives it back. */
void virtq_priv_domain_release(struct virtq_domain_shard *shard);

/** @brief virtq_domain_lookup() for a caller that holds the shard, and with a say in what is
 * merged: the window ends where the shard does.
 */
int virtq_priv_domain_window(const struct virtq_domain_shard *shard, virtq_addr_t addr,
                             uint32_t permission, enum virtq_priv_merge merge,
                             struct virtq_window *window);

#endif
