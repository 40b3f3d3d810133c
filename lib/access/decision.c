/* SPDX-License-Identifier: BSD-3-Clause */
#include "access.h"

int virtq_priv_access_refuse(struct virtq_access_decision *decision,
                             enum virtq_access_reason reason)
{
    static const struct virtq_access_decision nothing;

    *decision = nothing;
    decision->reason = (uint32_t)reason;
    return VIRTQ_ENOTSUP;
}

/* Staging is for a device that can do without: one that has the feature lets nobody near its region
 * who has not accepted it. */
static bool may_stage(const struct virtq_access_facts *facts, enum virtq_access_space space)
{
    return facts->pool == (uint8_t)VIRTQ_ACCESS_POOL_DEVICE && space != VIRTQ_ACCESS_BAR &&
           (facts->features & virtq_priv_access_restricted(facts)) == 0u;
}

int virtq_priv_access_choose(const struct virtq_access_facts *facts,
                             struct virtq_access_decision *decision, enum virtq_access_space space,
                             enum virtq_access_reason reason)
{
    decision->space = (uint32_t)space;
    decision->reason = (uint32_t)reason;
    decision->address_bits = facts->device_bits == 0u ? 64u : facts->device_bits;
    /* Barriers that are too strong only cost time; so whoever has a doubt uses them. */
    if ((decision->accept & VIRTQ_PRIV_ACCESS_ORDER) != 0u ||
        virtq_priv_access_is(facts, VIRTQ_ACCESS_HARDWARE) ||
        virtq_priv_access_is(facts, VIRTQ_ACCESS_ORDER_NEEDED)) {
        decision->flags |= (uint32_t)VIRTQ_ACCESS_DEVICE_ORDER;
    }
    if (may_stage(facts, space)) {
        decision->flags |= (uint32_t)VIRTQ_ACCESS_STAGING;
    }
    return VIRTQ_OK;
}

int virtq_priv_access_choose_pool(const struct virtq_access_facts *facts,
                                  struct virtq_access_decision *decision)
{
    /* An address within the device's own region never was one on the bus: offsets, not DMA. */
    if (facts->pool == (uint8_t)VIRTQ_ACCESS_POOL_DEVICE) {
        return virtq_priv_access_choose(facts, decision, VIRTQ_ACCESS_BAR,
                                        VIRTQ_ACCESS_RESTRICTED_DEVICE);
    }
    return virtq_priv_access_choose(facts, decision, VIRTQ_ACCESS_SWIOTLB, VIRTQ_ACCESS_RESTRICTED);
}

enum virtq_access_reason virtq_priv_access_direct_reason(const struct virtq_access_facts *facts,
                                                         bool platform)
{
    if (!platform) {
        return VIRTQ_ACCESS_PHYSICAL;
    }
    switch (facts->iommu) {
    case VIRTQ_ACCESS_IOMMU_IDENTITY:
        return VIRTQ_ACCESS_IDENTITY;
    case VIRTQ_ACCESS_IOMMU_ABSENT:
        return virtq_priv_access_is(facts, VIRTQ_ACCESS_ADDRESSES_DIFFER)
                   ? VIRTQ_ACCESS_OFFSET
                   : VIRTQ_ACCESS_UNTRANSLATED;
    default:
        return VIRTQ_ACCESS_BYPASSED;
    }
}
