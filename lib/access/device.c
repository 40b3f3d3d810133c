/* SPDX-License-Identifier: BSD-3-Clause */
#include "access.h"

/* Whether memory is hidden as far as a device end can know; nothing else here may ask for it. */
static bool known_hidden(const struct virtq_access_facts *facts)
{
    return virtq_priv_access_is(facts, VIRTQ_ACCESS_HIDDEN) &&
           !virtq_priv_access_is(facts, VIRTQ_ACCESS_HIDDEN_LATE);
}

/* Whether ACCESS_PLATFORM would give the device memory to reach. */
static bool platform_reaches(const struct virtq_access_facts *facts)
{
    return facts->iommu == (uint8_t)VIRTQ_ACCESS_IOMMU_TRANSLATES &&
           (!known_hidden(facts) || virtq_priv_access_is(facts, VIRTQ_ACCESS_IOMMU_SHARES));
}

/* Whether every address of this device is translated, with no way round. */
static bool always_translated(const struct virtq_access_facts *facts)
{
    return facts->iommu == (uint8_t)VIRTQ_ACCESS_IOMMU_TRANSLATES &&
           !virtq_priv_access_is(facts, VIRTQ_ACCESS_MAY_BYPASS) &&
           !virtq_priv_access_is(facts, VIRTQ_ACCESS_PLATFORM_ALWAYS);
}

/* An unprivileged driver writes the features itself: what confines it must be insisted on. */
static uint32_t require_confinement(const struct virtq_access_facts *facts,
                                    struct virtq_access_decision *decision)
{
    uint64_t restricted = decision->offer & virtq_priv_access_restricted(facts);

    if (facts->iommu == (uint8_t)VIRTQ_ACCESS_IOMMU_TRANSLATES &&
        (decision->offer & VIRTQ_PRIV_ACCESS_PLATFORM) != 0u) {
        decision->require |= VIRTQ_PRIV_ACCESS_PLATFORM;
        return 0;
    }
    if (facts->pool == (uint8_t)VIRTQ_ACCESS_POOL_DEVICE && restricted != 0u) {
        decision->require |= restricted;
        return 0;
    }
    return (uint32_t)VIRTQ_ACCESS_NOT_CONFINED;
}

/* One that reaches a pool and nothing else, unless an IOMMU helps. */
static uint32_t require_pool(const struct virtq_access_facts *facts,
                             struct virtq_access_decision *decision)
{
    uint64_t platform = decision->offer & VIRTQ_PRIV_ACCESS_PLATFORM;
    uint64_t restricted = decision->offer & virtq_priv_access_restricted(facts);

    /* A legacy driver cannot be made to promise anything. */
    if (facts->generation != (uint8_t)VIRTQ_ACCESS_MODERN) {
        return (uint32_t)VIRTQ_ACCESS_POOL_LEGACY;
    }
    if (!platform_reaches(facts)) {
        platform = 0;
    }
    if (platform != 0u && restricted != 0u) {
        decision->require_any = platform | restricted;
    } else if (platform == 0u && restricted == 0u) {
        return (uint32_t)VIRTQ_ACCESS_POOL_UNANNOUNCED;
    } else {
        decision->require |= platform | restricted;
    }
    return 0;
}

/* One whose addresses are the platform's, or that knows that it cannot read all memory. */
static uint32_t require_platform(const struct virtq_access_facts *facts,
                                 struct virtq_access_decision *decision)
{
    uint64_t platform = decision->offer & VIRTQ_PRIV_ACCESS_PLATFORM;
    uint64_t restricted = decision->offer & virtq_priv_access_restricted(facts);

    if (platform != 0u && restricted != 0u) {
        decision->require_any = platform | restricted;
    } else if (platform != 0u) {
        decision->require |= platform;
    } else if (always_translated(facts)) {
        decision->require |= restricted;
        return restricted == 0u ? (uint32_t)VIRTQ_ACCESS_PLATFORM_MISSING : 0u;
    }
    /* Else memory is hidden only: the driver knows, and may bounce by physical address. */
    return 0;
}

static uint32_t require(const struct virtq_access_facts *facts,
                        struct virtq_access_decision *decision)
{
    if (facts->generation == (uint8_t)VIRTQ_ACCESS_MODERN) {
        decision->require |= VIRTQ_PRIV_ACCESS_VERSION;
    }
    if (virtq_priv_access_is(facts, VIRTQ_ACCESS_ORDER_NEEDED)) {
        decision->require |= decision->offer & VIRTQ_PRIV_ACCESS_ORDER;
    }
    if (virtq_priv_access_is(facts, VIRTQ_ACCESS_UNPRIVILEGED)) {
        return require_confinement(facts, decision);
    }
    if (virtq_priv_access_is(facts, VIRTQ_ACCESS_POOL_FORCED)) {
        return 0;
    }
    if (virtq_priv_access_is(facts, VIRTQ_ACCESS_POOL_ONLY)) {
        return require_pool(facts, decision);
    }
    return always_translated(facts) || known_hidden(facts) ? require_platform(facts, decision) : 0u;
}

/* The space that goes with a set of accepted features. */
static int resolve(const struct virtq_access_facts *facts, uint64_t accepted,
                   struct virtq_access_decision *decision)
{
    bool asked = (accepted & VIRTQ_PRIV_ACCESS_PLATFORM) != 0u;
    bool always = virtq_priv_access_is(facts, VIRTQ_ACCESS_PLATFORM_ALWAYS);

    decision->accept = accepted;
    if ((accepted & virtq_priv_access_restricted(facts)) != 0u) {
        return virtq_priv_access_choose_pool(facts, decision);
    }
    if ((asked || always) && facts->iommu == (uint8_t)VIRTQ_ACCESS_IOMMU_TRANSLATES) {
        return virtq_priv_access_choose(facts, decision, VIRTQ_ACCESS_IOMMU,
                                        asked ? VIRTQ_ACCESS_TRANSLATED
                                              : VIRTQ_ACCESS_TRANSLATED_ALWAYS);
    }
    if (virtq_priv_access_is(facts, VIRTQ_ACCESS_POOL_FORCED)) {
        return virtq_priv_access_choose(facts, decision, VIRTQ_ACCESS_SWIOTLB, VIRTQ_ACCESS_FORCED);
    }
    /* A pool of the driver's lies anywhere in its memory, and looks like any other buffer. */
    return virtq_priv_access_choose(facts, decision, VIRTQ_ACCESS_DIRECT,
                                    known_hidden(facts)
                                        ? VIRTQ_ACCESS_DRIVER_BOUNCES
                                        : virtq_priv_access_direct_reason(facts, asked || always));
}

/* What is offered and required; 0, or a reason. */
static uint32_t terms(const struct virtq_access_facts *facts,
                      struct virtq_access_decision *decision)
{
    if (facts->generation != (uint8_t)VIRTQ_ACCESS_MODERN &&
        (facts->features & VIRTQ_PRIV_ACCESS_PLATFORM) != 0u) {
        return (uint32_t)VIRTQ_ACCESS_LEGACY_PLATFORM;
    }
    if (facts->generation == (uint8_t)VIRTQ_ACCESS_MODERN &&
        (facts->features & VIRTQ_PRIV_ACCESS_VERSION) == 0u) {
        return (uint32_t)VIRTQ_ACCESS_VERSION_MISSING;
    }
    decision->offer = virtq_priv_access_bits(facts, facts->features);
    return require(facts, decision);
}

VIRTQ_API int virtq_access_device(const struct virtq_access_facts *facts,
                                  struct virtq_access_decision *decision)
{
    struct virtq_access_decision fresh = {0};
    uint64_t best;
    uint32_t reason;
    int result;

    if (decision == NULL || virtq_access_objection(facts) != NULL) {
        return VIRTQ_EINVAL;
    }
    *decision = fresh;
    reason = terms(facts, decision);
    if (reason != 0u) {
        return virtq_priv_access_refuse(decision, (enum virtq_access_reason)reason);
    }
    best = decision->offer;
    if ((best & VIRTQ_PRIV_ACCESS_PLATFORM) != 0u && platform_reaches(facts)) {
        best &= ~virtq_priv_access_restricted(facts);
    }
    result = resolve(facts, best, decision);
    decision->accept = 0;
    return result;
}

/* Whether the driver kept to the terms; 0, or a reason. */
static uint32_t breach(const struct virtq_access_facts *facts, uint64_t accepted,
                       const struct virtq_access_decision *decision)
{
    uint64_t missing = decision->require & ~accepted;

    if ((accepted & ~decision->offer) != 0u) {
        return (uint32_t)VIRTQ_ACCESS_NOT_OFFERED;
    }
    if ((missing & VIRTQ_PRIV_ACCESS_VERSION) != 0u) {
        return (uint32_t)VIRTQ_ACCESS_DRIVER_OLD;
    }
    if ((missing & VIRTQ_PRIV_ACCESS_PLATFORM) != 0u) {
        return (uint32_t)VIRTQ_ACCESS_PLATFORM_DECLINED;
    }
    if ((missing & virtq_priv_access_restricted(facts)) != 0u) {
        return (uint32_t)VIRTQ_ACCESS_POOL_DECLINED;
    }
    if (missing != 0u) {
        return (uint32_t)VIRTQ_ACCESS_ORDER_DECLINED;
    }
    if (decision->require_any != 0u && (decision->require_any & accepted) == 0u) {
        return (uint32_t)VIRTQ_ACCESS_BOTH_DECLINED;
    }
    return 0;
}

/* Of all that the driver wrote, what concerns access. Without VERSION_1 it speaks the legacy
 * interface, where the number of the restricted-DMA bit means something else. */
static uint64_t concerning(const struct virtq_access_facts *facts, uint64_t accepted)
{
    uint64_t bits = accepted & (VIRTQ_PRIV_ACCESS_VERSION | VIRTQ_PRIV_ACCESS_PLATFORM |
                                VIRTQ_PRIV_ACCESS_ORDER | virtq_priv_access_restricted(facts));

    return (bits & VIRTQ_PRIV_ACCESS_VERSION) != 0u ? bits
                                                    : bits & ~virtq_priv_access_restricted(facts);
}

VIRTQ_API int virtq_access_agree(const struct virtq_access_facts *facts, uint64_t accepted,
                                 struct virtq_access_decision *decision)
{
    struct virtq_access_decision fresh = {0};
    uint64_t bits;
    uint32_t reason;

    if (decision == NULL || virtq_access_objection(facts) != NULL) {
        return VIRTQ_EINVAL;
    }
    *decision = fresh;
    bits = concerning(facts, accepted);
    reason = terms(facts, decision);
    if (reason == 0u) {
        reason = breach(facts, bits, decision);
    }
    if (reason != 0u) {
        return virtq_priv_access_refuse(decision, (enum virtq_access_reason)reason);
    }
    return resolve(facts, bits, decision);
}
