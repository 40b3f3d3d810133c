/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end's decision where the table has no row: peers of another's making, and advice. */
#include <stdbool.h>

#include "plain.h"
#include "runner.h"

/* The driver's decision on some facts, which is `reason`. */
static struct virtq_access_decision decide(const struct virtq_access_facts *facts, uint32_t reason)
{
    struct virtq_access_decision decision = {0};
    int result = virtq_access_driver(facts, &decision);

    cr_assert_eq(decision.reason, reason, "%s", virtq_access_reason_name(decision.reason));
    cr_assert_eq(result, virtq_access_is_refusal(reason) ? VIRTQ_ENOTSUP : VIRTQ_OK);
    return decision;
}

Test(access_driver, bounces_what_is_beyond_the_reach_and_only_that)
{
    struct virtq_access_facts facts = plain();
    struct virtq_access_decision decision = {0};

    for (unsigned device = 0; device <= 64; device++) {
        for (unsigned memory = 0; memory <= 64; memory++) {
            bool short_of = (device == 0 ? 64u : device) < (memory == 0 ? 64u : memory);

            facts.device_bits = (uint8_t)device;
            facts.memory_bits = (uint8_t)memory;
            cr_assert_eq(virtq_access_driver(&facts, &decision), VIRTQ_OK);
            cr_assert_eq(decision.space, (uint32_t)VIRTQ_ACCESS_DIRECT);
            cr_assert_eq(decision.bounce, short_of ? (uint32_t)VIRTQ_ACCESS_BOUNCE_SOME
                                                   : (uint32_t)VIRTQ_ACCESS_BOUNCE_NONE);
            cr_assert_eq(decision.address_bits, device == 0 ? 64u : device);
        }
    }
}

Test(access_driver, a_driver_refuses_hardware_behind_an_iommu_that_does_not_say_so)
{
    struct virtq_access_facts facts = plain();

    facts.features = VERSION;
    facts.iommu = VIRTQ_ACCESS_IOMMU_TRANSLATES;
    (void)decide(&facts, VIRTQ_ACCESS_PHYSICAL);
    facts.flags = VIRTQ_ACCESS_HARDWARE;
    (void)decide(&facts, VIRTQ_ACCESS_NOT_BYPASSED);
    facts.flags |= (uint32_t)VIRTQ_ACCESS_MAY_BYPASS;
    (void)decide(&facts, VIRTQ_ACCESS_PHYSICAL);
}

Test(access_driver, a_driver_refuses_a_legacy_interface_with_bit_33)
{
    struct virtq_access_facts facts = plain();

    facts.generation = VIRTQ_ACCESS_LEGACY;
    (void)decide(&facts, VIRTQ_ACCESS_LEGACY_PLATFORM);
    facts.generation = VIRTQ_ACCESS_TRANSITIONAL;
    facts.features = PLATFORM;
    (void)decide(&facts, VIRTQ_ACCESS_LEGACY_PLATFORM);
    /* Over its modern interface a device of another's making may have both. */
    facts.features = VERSION | PLATFORM;
    cr_assert_eq(decide(&facts, VIRTQ_ACCESS_UNTRANSLATED).accept, VERSION | PLATFORM);
    facts.known = 0;
    cr_assert_eq(decide(&facts, VIRTQ_ACCESS_PHYSICAL).accept, 0u);
}

Test(access_driver, a_bus_offset_is_the_platforms_and_not_for_a_clear_bit)
{
    struct virtq_access_facts facts = plain();

    facts.flags = VIRTQ_ACCESS_ADDRESSES_DIFFER;
    cr_assert_eq(decide(&facts, VIRTQ_ACCESS_OFFSET).space, (uint32_t)VIRTQ_ACCESS_DIRECT);
    facts.features = VERSION;
    (void)decide(&facts, VIRTQ_ACCESS_PHYSICAL);
}

Test(access_driver, barriers_for_devices_go_with_the_bit_and_with_hardware)
{
    struct virtq_access_facts facts = plain();

    cr_assert(decide(&facts, VIRTQ_ACCESS_UNTRANSLATED).flags == VIRTQ_ACCESS_DEVICE_ORDER);
    facts.known = VERSION | PLATFORM;
    cr_assert_eq(decide(&facts, VIRTQ_ACCESS_UNTRANSLATED).flags, 0u);
    facts.flags = VIRTQ_ACCESS_HARDWARE;
    cr_assert(decide(&facts, VIRTQ_ACCESS_UNTRANSLATED).flags == VIRTQ_ACCESS_DEVICE_ORDER);
    facts.flags = VIRTQ_ACCESS_ORDER_NEEDED;
    cr_assert(decide(&facts, VIRTQ_ACCESS_UNTRANSLATED).flags == VIRTQ_ACCESS_DEVICE_ORDER);
}

Test(access_driver, a_region_on_the_device_stages_parts_unless_it_has_to_be_asked_for)
{
    struct virtq_access_facts facts = plain();

    facts.pool = VIRTQ_ACCESS_POOL_DEVICE;
    facts.known = VERSION;
    cr_assert(decide(&facts, VIRTQ_ACCESS_PHYSICAL).flags == VIRTQ_ACCESS_STAGING);
    facts.features |= RESTRICTED;
    cr_assert_eq(decide(&facts, VIRTQ_ACCESS_PHYSICAL).flags, 0u);
    facts.known |= RESTRICTED;
    cr_assert_eq(decide(&facts, VIRTQ_ACCESS_RESTRICTED_DEVICE).space, (uint32_t)VIRTQ_ACCESS_BAR);
    facts.features &= ~RESTRICTED;
    facts.pool = VIRTQ_ACCESS_POOL_SYSTEM;
    cr_assert_eq(decide(&facts, VIRTQ_ACCESS_PHYSICAL).flags, 0u);
}

Test(access_driver, an_iommu_that_cannot_be_programmed_is_bypassed_or_refused)
{
    struct virtq_access_facts facts = plain();

    facts.features = VERSION | PLATFORM;
    facts.iommu = VIRTQ_ACCESS_IOMMU_TRANSLATES;
    facts.flags = VIRTQ_ACCESS_IOMMU_ALIEN;
    (void)decide(&facts, VIRTQ_ACCESS_ALIEN);
    facts.flags |= (uint32_t)VIRTQ_ACCESS_MAY_BYPASS;
    cr_assert(decide(&facts, VIRTQ_ACCESS_BYPASSED).flags == VIRTQ_ACCESS_SET_BYPASS);
}

Test(access_driver, a_pool_is_accepted_without_an_iommu_that_nobody_programs)
{
    struct virtq_access_facts facts = plain();

    facts.features = VERSION | PLATFORM | RESTRICTED;
    facts.pool = VIRTQ_ACCESS_POOL_SYSTEM;
    facts.iommu = VIRTQ_ACCESS_IOMMU_TRANSLATES;
    cr_assert_eq(decide(&facts, VIRTQ_ACCESS_TRANSLATED).accept, VERSION | PLATFORM);
    facts.flags = VIRTQ_ACCESS_IOMMU_ALIEN;
    cr_assert_eq(decide(&facts, VIRTQ_ACCESS_RESTRICTED).accept, VERSION | RESTRICTED);
}

Test(access_driver, an_unprivileged_driver_shares_no_pool_in_system_memory)
{
    struct virtq_access_facts facts = plain();

    facts.features = VERSION | PLATFORM | RESTRICTED;
    facts.pool = VIRTQ_ACCESS_POOL_SYSTEM;
    facts.iommu = VIRTQ_ACCESS_IOMMU_TRANSLATES;
    facts.flags = (uint32_t)VIRTQ_ACCESS_UNPRIVILEGED | (uint32_t)VIRTQ_ACCESS_HIDDEN;
    cr_assert(decide(&facts, VIRTQ_ACCESS_TRANSLATED_HIDDEN).flags == VIRTQ_ACCESS_MAP_POOL);
    facts.flags = VIRTQ_ACCESS_HIDDEN;
    (void)decide(&facts, VIRTQ_ACCESS_RESTRICTED);
}

Test(access_driver, a_pool_leaves_access_platform_as_it_is_where_nothing_translates)
{
    struct virtq_access_facts facts = plain();

    facts.features = VERSION | PLATFORM | RESTRICTED;
    facts.pool = VIRTQ_ACCESS_POOL_SYSTEM;
    cr_assert_eq(decide(&facts, VIRTQ_ACCESS_RESTRICTED).accept, VERSION | PLATFORM | RESTRICTED);
    facts.iommu = VIRTQ_ACCESS_IOMMU_IDENTITY;
    cr_assert_eq(decide(&facts, VIRTQ_ACCESS_RESTRICTED).accept, VERSION | PLATFORM | RESTRICTED);
    facts.iommu = VIRTQ_ACCESS_IOMMU_TRANSLATES;
    facts.flags = VIRTQ_ACCESS_HIDDEN;
    cr_assert_eq(decide(&facts, VIRTQ_ACCESS_RESTRICTED).accept, VERSION | PLATFORM | RESTRICTED);
}
