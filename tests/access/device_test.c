/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end's decision: exactly what it offers and requires. */
#include "plain.h"
#include "runner.h"

enum { ALSO = 1 << 5 }; /* a bit of the device type: none of these functions' */

static void expect(const struct virtq_access_facts *facts, uint64_t require, uint64_t require_any)
{
    struct virtq_access_decision decision = {0};

    cr_assert_eq(virtq_access_device(facts, &decision), VIRTQ_OK, "%s",
                 virtq_access_reason_name(decision.reason));
    cr_assert_eq(decision.offer, facts->features & ~(uint64_t)ALSO);
    cr_assert_eq(decision.require, require);
    cr_assert_eq(decision.require_any, require_any);
    cr_assert_eq(decision.accept, 0u);
}

Test(access_device, without_a_ground_it_requires_version_1_alone)
{
    struct virtq_access_facts facts = plain();

    facts.features |= (uint64_t)ALSO;
    expect(&facts, VERSION, 0);
    facts.iommu = VIRTQ_ACCESS_IOMMU_IDENTITY;
    expect(&facts, VERSION, 0);
    facts.iommu = VIRTQ_ACCESS_IOMMU_TRANSLATES;
    facts.flags = VIRTQ_ACCESS_MAY_BYPASS;
    expect(&facts, VERSION, 0);
    facts.features = VERSION;
    facts.generation = VIRTQ_ACCESS_TRANSITIONAL;
    expect(&facts, 0, 0);
}

Test(access_device, translation_requires_access_platform_or_the_pool)
{
    struct virtq_access_facts facts = plain();

    facts.iommu = VIRTQ_ACCESS_IOMMU_TRANSLATES;
    expect(&facts, VERSION | PLATFORM, 0);
    facts.flags = VIRTQ_ACCESS_ORDER_NEEDED;
    expect(&facts, VERSION | PLATFORM | ORDER, 0);
    facts.pool = VIRTQ_ACCESS_POOL_SYSTEM;
    expect(&facts, VERSION | PLATFORM | ORDER, 0);
    facts.features |= RESTRICTED;
    expect(&facts, VERSION | ORDER, PLATFORM | RESTRICTED);
    facts.features &= ~PLATFORM;
    expect(&facts, VERSION | ORDER | RESTRICTED, 0);
}

Test(access_device, memory_known_to_be_hidden_requires_access_platform_or_the_pool)
{
    struct virtq_access_facts facts = plain();

    facts.flags = VIRTQ_ACCESS_HIDDEN;
    expect(&facts, VERSION | PLATFORM, 0);
    facts.features |= RESTRICTED;
    facts.pool = VIRTQ_ACCESS_POOL_DEVICE;
    expect(&facts, VERSION, PLATFORM | RESTRICTED);
    /* Without the bit nobody is refused: the driver may bounce by physical address. */
    facts.features &= ~PLATFORM;
    expect(&facts, VERSION, 0);
    facts = plain();
    facts.flags = (uint32_t)VIRTQ_ACCESS_HIDDEN | (uint32_t)VIRTQ_ACCESS_HIDDEN_LATE;
    expect(&facts, VERSION, 0);
}

Test(access_device, a_pool_alone_is_required_and_with_an_iommu_one_of_the_two)
{
    struct virtq_access_facts facts = plain();

    facts.features |= RESTRICTED;
    facts.pool = VIRTQ_ACCESS_POOL_SYSTEM;
    facts.flags = VIRTQ_ACCESS_POOL_ONLY;
    expect(&facts, VERSION | RESTRICTED, 0);
    facts.iommu = VIRTQ_ACCESS_IOMMU_TRANSLATES;
    expect(&facts, VERSION, PLATFORM | RESTRICTED);
    facts.features &= ~RESTRICTED;
    expect(&facts, VERSION | PLATFORM, 0);
    facts.flags |= (uint32_t)VIRTQ_ACCESS_POOL_FORCED;
    expect(&facts, VERSION, 0);
}

Test(access_device, an_unprivileged_driver_has_to_accept_what_confines_it)
{
    struct virtq_access_facts facts = plain();
    struct virtq_access_decision decision = {0};

    facts.iommu = VIRTQ_ACCESS_IOMMU_TRANSLATES;
    facts.flags = (uint32_t)VIRTQ_ACCESS_UNPRIVILEGED | (uint32_t)VIRTQ_ACCESS_MAY_BYPASS;
    expect(&facts, VERSION | PLATFORM, 0);
    facts.iommu = VIRTQ_ACCESS_IOMMU_ABSENT;
    facts.flags = VIRTQ_ACCESS_UNPRIVILEGED;
    facts.features |= RESTRICTED;
    facts.pool = VIRTQ_ACCESS_POOL_DEVICE;
    expect(&facts, VERSION | RESTRICTED, 0);
    facts.pool = VIRTQ_ACCESS_POOL_SYSTEM;
    cr_assert_eq(virtq_access_device(&facts, &decision), VIRTQ_ENOTSUP);
    cr_assert_eq(decision.reason, (uint32_t)VIRTQ_ACCESS_NOT_CONFINED);
}
