/* SPDX-License-Identifier: BSD-3-Clause */
#include "access.h"

/* What the driver's end comes to know on its way to a decision. */
struct outlook {
    bool platform;   /* device addresses are the platform's */
    bool restricted; /* the restricted-DMA bit would be accepted */
    bool translates; /* an IOMMU stands between, and is not bypassed */
    bool drivable;   /* ... and this platform can program it */
    bool hidden;     /* memory that the device cannot see unless it is shared */
    bool pool;       /* there is a restricted pool that may be used */
};

/* The pool of an unprivileged driver is the device's region or none: others share one in system
 * memory. */
static bool may_pool(const struct virtq_access_facts *facts, bool restricted)
{
    return (restricted || virtq_priv_access_is(facts, VIRTQ_ACCESS_POOL_FORCED)) &&
           !(virtq_priv_access_is(facts, VIRTQ_ACCESS_UNPRIVILEGED) &&
             facts->pool == (uint8_t)VIRTQ_ACCESS_POOL_SYSTEM);
}

static struct outlook look(const struct virtq_access_facts *facts, uint64_t accept)
{
    struct outlook outlook;

    outlook.platform = (accept & VIRTQ_PRIV_ACCESS_PLATFORM) != 0u ||
                       virtq_priv_access_is(facts, VIRTQ_ACCESS_PLATFORM_ALWAYS);
    outlook.restricted = (accept & virtq_priv_access_restricted(facts)) != 0u;
    outlook.translates = facts->iommu == (uint8_t)VIRTQ_ACCESS_IOMMU_TRANSLATES;
    outlook.drivable = outlook.translates && !virtq_priv_access_is(facts, VIRTQ_ACCESS_IOMMU_ALIEN);
    outlook.hidden = virtq_priv_access_is(facts, VIRTQ_ACCESS_HIDDEN);
    outlook.pool = may_pool(facts, outlook.restricted);
    return outlook;
}

/* Whether the driver and the device can talk at all; 0, or a reason. */
static uint32_t misfit(const struct virtq_access_facts *facts)
{
    bool modern = (facts->features & VIRTQ_PRIV_ACCESS_VERSION) != 0u &&
                  facts->generation != (uint8_t)VIRTQ_ACCESS_LEGACY;

    /* Bit 33 of an interface with 32 bits: some driver or other does not see it, and hands out
     * addresses that mean something else to the device. */
    if (!modern && (facts->features & VIRTQ_PRIV_ACCESS_PLATFORM) != 0u) {
        return (uint32_t)VIRTQ_ACCESS_LEGACY_PLATFORM;
    }
    if (facts->generation != (uint8_t)VIRTQ_ACCESS_MODERN) {
        return 0;
    }
    if (!modern) {
        return (uint32_t)VIRTQ_ACCESS_VERSION_MISSING;
    }
    return (facts->known & VIRTQ_PRIV_ACCESS_VERSION) == 0u ? (uint32_t)VIRTQ_ACCESS_DRIVER_OLD
                                                            : 0u;
}

static uint64_t acceptable(const struct virtq_access_facts *facts)
{
    uint64_t accept = virtq_priv_access_bits(facts, facts->features & facts->known);

    /* Without VERSION_1 the driver is on the legacy interface. */
    return (accept & VIRTQ_PRIV_ACCESS_VERSION) == 0u ? 0u : accept;
}

/* An unprivileged driver may name any address; only what the IOMMU checks, or the device's own
 * region, confines it. */
static bool confined(const struct virtq_access_facts *facts, const struct outlook *outlook)
{
    return !virtq_priv_access_is(facts, VIRTQ_ACCESS_UNPRIVILEGED) ||
           (outlook->platform && outlook->drivable) ||
           (outlook->restricted && facts->pool == (uint8_t)VIRTQ_ACCESS_POOL_DEVICE);
}

static int through_iommu(const struct virtq_access_facts *facts, const struct outlook *outlook,
                         struct virtq_access_decision *decision)
{
    bool asked = (decision->accept & VIRTQ_PRIV_ACCESS_PLATFORM) != 0u;

    /* Whoever accepts restricted DMA promises to pass nothing but the pool's addresses. */
    decision->accept &= ~virtq_priv_access_restricted(facts);
    if (outlook->hidden && !virtq_priv_access_is(facts, VIRTQ_ACCESS_IOMMU_SHARES)) {
        decision->bounce = (uint32_t)VIRTQ_ACCESS_BOUNCE_ALL;
        decision->flags |= (uint32_t)VIRTQ_ACCESS_MAP_POOL;
        return virtq_priv_access_choose(facts, decision, VIRTQ_ACCESS_IOMMU,
                                        VIRTQ_ACCESS_TRANSLATED_HIDDEN);
    }
    return virtq_priv_access_choose(facts, decision, VIRTQ_ACCESS_IOMMU,
                                    asked ? VIRTQ_ACCESS_TRANSLATED
                                          : VIRTQ_ACCESS_TRANSLATED_ALWAYS);
}

static int through_pool(const struct virtq_access_facts *facts, const struct outlook *outlook,
                        struct virtq_access_decision *decision)
{
    /* To accept ACCESS_PLATFORM is to promise that the IOMMU is programmed or disabled. */
    if (outlook->translates && !outlook->drivable) {
        decision->accept &= ~VIRTQ_PRIV_ACCESS_PLATFORM;
    }
    decision->bounce = (uint32_t)VIRTQ_ACCESS_BOUNCE_ALL;
    if (outlook->restricted) {
        return virtq_priv_access_choose_pool(facts, decision);
    }
    return virtq_priv_access_choose(facts, decision, VIRTQ_ACCESS_SWIOTLB, VIRTQ_ACCESS_FORCED);
}

/* Whether what lies between the device and memory gives an address no chance; 0, or a reason. */
static uint32_t blocked(const struct virtq_access_facts *facts, const struct outlook *outlook)
{
    if (outlook->translates && !virtq_priv_access_is(facts, VIRTQ_ACCESS_MAY_BYPASS)) {
        if (outlook->platform) {
            return (uint32_t)VIRTQ_ACCESS_ALIEN;
        }
        if (virtq_priv_access_is(facts, VIRTQ_ACCESS_HARDWARE)) {
            return (uint32_t)VIRTQ_ACCESS_NOT_BYPASSED;
        }
    }
    /* The address of the pool that the platform would give is not the one that the device takes. */
    if (outlook->hidden && !outlook->platform &&
        (outlook->translates || virtq_priv_access_is(facts, VIRTQ_ACCESS_ADDRESSES_DIFFER))) {
        return (uint32_t)VIRTQ_ACCESS_NOT_PHYSICAL;
    }
    return 0;
}

static int without_help(const struct virtq_access_facts *facts, const struct outlook *outlook,
                        struct virtq_access_decision *decision)
{
    uint32_t reason = blocked(facts, outlook);
    unsigned device = facts->device_bits == 0u ? 64u : facts->device_bits;
    unsigned memory = facts->memory_bits == 0u ? 64u : facts->memory_bits;

    if (reason != 0u) {
        return virtq_priv_access_refuse(decision, (enum virtq_access_reason)reason);
    }
    if (outlook->platform && outlook->translates) {
        decision->flags |= (uint32_t)VIRTQ_ACCESS_SET_BYPASS;
    }
    if (outlook->hidden) {
        decision->bounce = (uint32_t)VIRTQ_ACCESS_BOUNCE_ALL;
        return virtq_priv_access_choose(facts, decision, VIRTQ_ACCESS_SWIOTLB,
                                        outlook->platform ? VIRTQ_ACCESS_BOUNCED_PLATFORM
                                                          : VIRTQ_ACCESS_BOUNCED_PHYSICAL);
    }
    if (device < memory) {
        decision->bounce = (uint32_t)VIRTQ_ACCESS_BOUNCE_SOME;
    }
    return virtq_priv_access_choose(facts, decision, VIRTQ_ACCESS_DIRECT,
                                    virtq_priv_access_direct_reason(facts, outlook->platform));
}

/* With a choice between the two, the IOMMU: it copies nothing. Where memory is hidden and it cannot
 * share it, the pool: one would have to be mapped anyway, and this one is there already. */
static bool prefers_iommu(const struct virtq_access_facts *facts, const struct outlook *outlook)
{
    return outlook->platform && outlook->drivable &&
           !(outlook->pool && outlook->hidden &&
             !virtq_priv_access_is(facts, VIRTQ_ACCESS_IOMMU_SHARES));
}

VIRTQ_API int virtq_access_driver(const struct virtq_access_facts *facts,
                                  struct virtq_access_decision *decision)
{
    struct virtq_access_decision fresh = {0};
    struct outlook outlook;
    uint32_t reason;

    if (decision == NULL || virtq_access_objection(facts) != NULL) {
        return VIRTQ_EINVAL;
    }
    *decision = fresh;
    reason = misfit(facts);
    if (reason != 0u) {
        return virtq_priv_access_refuse(decision, (enum virtq_access_reason)reason);
    }
    decision->accept = acceptable(facts);
    outlook = look(facts, decision->accept);
    if (!confined(facts, &outlook)) {
        return virtq_priv_access_refuse(decision, VIRTQ_ACCESS_NOT_CONFINED);
    }
    if (prefers_iommu(facts, &outlook)) {
        return through_iommu(facts, &outlook, decision);
    }
    if (outlook.pool) {
        return through_pool(facts, &outlook, decision);
    }
    return without_help(facts, &outlook, decision);
}
