/* SPDX-License-Identifier: BSD-3-Clause */
#include "access.h"

enum {
    /* Flags that need an IOMMU, or a pool, to be about. */
    ABOUT_IOMMU = (int)VIRTQ_ACCESS_MAY_BYPASS | (int)VIRTQ_ACCESS_IOMMU_ALIEN |
                  (int)VIRTQ_ACCESS_IOMMU_SHARES,
    ABOUT_POOL = (int)VIRTQ_ACCESS_POOL_ONLY | (int)VIRTQ_ACCESS_POOL_FORCED,
    FLAGS = 2 * (int)VIRTQ_ACCESS_PLATFORM_ALWAYS - 1
};

static bool taken(unsigned bit)
{
    static const uint8_t others[] = {
        VIRTIO_F_INDIRECT_DESC,   VIRTIO_F_EVENT_IDX,         VIRTIO_F_VERSION_1,
        VIRTIO_F_ACCESS_PLATFORM, VIRTIO_F_RING_PACKED,       VIRTIO_F_IN_ORDER,
        VIRTIO_F_ORDER_PLATFORM,  VIRTIO_F_NOTIFICATION_DATA, VIRTIO_F_NOTIF_CONFIG_DATA,
        VIRTIO_F_RING_RESET,      VIRTIO_F_SUSPEND,
    };

    for (unsigned i = 0; i < sizeof(others); i++) {
        if (others[i] == bit) {
            return true;
        }
    }
    return false;
}

static const char *range_objection(const struct virtq_access_facts *facts)
{
    if (facts->struct_size < sizeof(*facts)) {
        return "struct_size is not that of the facts";
    }
    if (facts->generation > (uint8_t)VIRTQ_ACCESS_MODERN ||
        facts->iommu > (uint8_t)VIRTQ_ACCESS_IOMMU_BYPASSED ||
        facts->pool > (uint8_t)VIRTQ_ACCESS_POOL_DEVICE) {
        return "an unknown generation, kind of IOMMU or place of the pool";
    }
    if ((facts->flags & ~(uint32_t)FLAGS) != 0u) {
        return "an unknown flag";
    }
    if (facts->device_bits > 64u || facts->memory_bits > 64u) {
        return "an address has at most 64 bits";
    }
    if (facts->restricted_bit > 63u) {
        return "the restricted-DMA bit is a number up to 63";
    }
    if (taken(facts->restricted_bit)) {
        return "the restricted-DMA bit's number is another feature's";
    }
    return NULL;
}

VIRTQ_API const char *virtq_access_objection(const struct virtq_access_facts *facts)
{
    const char *objection = facts == NULL ? "no facts" : range_objection(facts);

    if (objection != NULL) {
        return objection;
    }
    if (facts->iommu == (uint8_t)VIRTQ_ACCESS_IOMMU_ABSENT &&
        (facts->flags & (uint32_t)ABOUT_IOMMU) != 0u) {
        return "there is no IOMMU to bypass, to program or to share memory";
    }
    if (facts->pool == (uint8_t)VIRTQ_ACCESS_POOL_NONE &&
        (facts->flags & (uint32_t)ABOUT_POOL) != 0u) {
        return "there is no pool to be restricted to";
    }
    if (facts->pool == (uint8_t)VIRTQ_ACCESS_POOL_DEVICE &&
        virtq_priv_access_is(facts, VIRTQ_ACCESS_POOL_FORCED)) {
        return "a platform can force a pool in system memory, not one on the device";
    }
    if (virtq_priv_access_is(facts, VIRTQ_ACCESS_HIDDEN_LATE) &&
        !virtq_priv_access_is(facts, VIRTQ_ACCESS_HIDDEN)) {
        return "memory that is not hidden was not hidden late";
    }
    if (facts->iommu >= (uint8_t)VIRTQ_ACCESS_IOMMU_IDENTITY &&
        virtq_priv_access_is(facts, VIRTQ_ACCESS_ADDRESSES_DIFFER)) {
        return "an identity or a bypass gives physical addresses";
    }
    return NULL;
}
