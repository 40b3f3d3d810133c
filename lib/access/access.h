/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What the two ends' decisions share: questions about the facts, and the ways to answer.
 */
#ifndef VIRTQ_LIB_ACCESS_ACCESS_H
#define VIRTQ_LIB_ACCESS_ACCESS_H

#include <stdbool.h>

#include "virtq/access.h"

#define VIRTQ_PRIV_ACCESS_VERSION VIRTQ_FEATURE(VIRTIO_F_VERSION_1)
#define VIRTQ_PRIV_ACCESS_PLATFORM VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM)
#define VIRTQ_PRIV_ACCESS_ORDER VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM)

/** @brief Whether a flag is set among the facts. */
VIRTQ_INLINE bool virtq_priv_access_is(const struct virtq_access_facts *facts,
                                       enum virtq_access_flag flag)
{
    return (facts->flags & (uint32_t)flag) != 0u;
}

/** @brief The restricted-DMA bit as a mask; 0 where there is no pool that it could mean. */
VIRTQ_INLINE uint64_t virtq_priv_access_restricted(const struct virtq_access_facts *facts)
{
    return facts->restricted_bit == 0u || facts->pool == (uint8_t)VIRTQ_ACCESS_POOL_NONE
               ? 0u
               : VIRTQ_FEATURE(facts->restricted_bit);
}

/** @brief Those of some features that concern access, as far as the interface can carry them.
 *
 * A legacy interface has 32 bits, and what they mean there was settled before restricted DMA: none
 * of them is about access. */
VIRTQ_INLINE uint64_t virtq_priv_access_bits(const struct virtq_access_facts *facts,
                                             uint64_t features)
{
    if (facts->generation == (uint8_t)VIRTQ_ACCESS_LEGACY) {
        return 0;
    }
    return features & (VIRTQ_PRIV_ACCESS_VERSION | VIRTQ_PRIV_ACCESS_PLATFORM |
                       VIRTQ_PRIV_ACCESS_ORDER | virtq_priv_access_restricted(facts));
}

/** @brief Answers with a refusal.
 * @return VIRTQ_ENOTSUP */
int virtq_priv_access_refuse(struct virtq_access_decision *decision,
                             enum virtq_access_reason reason);

/** @brief Sets the space and why, and what follows from the facts whatever the space is.
 * @return VIRTQ_OK */
int virtq_priv_access_choose(const struct virtq_access_facts *facts,
                             struct virtq_access_decision *decision, enum virtq_access_space space,
                             enum virtq_access_reason reason);

/** @brief The space of restricted DMA, by where the pool lies. */
int virtq_priv_access_choose_pool(const struct virtq_access_facts *facts,
                                  struct virtq_access_decision *decision);

/** @brief Why the direct space will do, by what stands between the device and memory. */
enum virtq_access_reason virtq_priv_access_direct_reason(const struct virtq_access_facts *facts,
                                                         bool platform);

#endif
