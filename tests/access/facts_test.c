/* SPDX-License-Identifier: BSD-3-Clause */
/* Facts: what is refused before anything is decided; numbers of bits, and names. */
#include <stdbool.h>
#include <string.h>

#include "plain.h"
#include "runner.h"

enum { REASON_GAP = 14, REASONS_END = 47 };

Test(access_facts, a_bit_that_was_not_offered_is_refused_at_features_ok)
{
    struct virtq_access_facts facts = plain();
    struct virtq_access_decision decision = {0};

    facts.features = VERSION;
    cr_assert_eq(virtq_access_agree(&facts, VERSION | PLATFORM, &decision), VIRTQ_ENOTSUP);
    cr_assert_eq(decision.reason, (uint32_t)VIRTQ_ACCESS_NOT_OFFERED);
    /* Without a pool the restricted bit is some other feature, and none of this function's. */
    cr_assert_eq(virtq_access_agree(&facts, VERSION | RESTRICTED, &decision), VIRTQ_OK);
    cr_assert_eq(decision.accept, VERSION);
}

Test(access_facts, a_modern_device_without_version_1_is_refused_by_both_ends)
{
    struct virtq_access_facts facts = plain();
    struct virtq_access_decision decision = {0};

    facts.features = PLATFORM & 0u;
    cr_assert_eq(virtq_access_device(&facts, &decision), VIRTQ_ENOTSUP);
    cr_assert_eq(decision.reason, (uint32_t)VIRTQ_ACCESS_VERSION_MISSING);
    cr_assert_eq(virtq_access_driver(&facts, &decision), VIRTQ_ENOTSUP);
    cr_assert_eq(decision.reason, (uint32_t)VIRTQ_ACCESS_VERSION_MISSING);
}

Test(access_facts, the_restricted_bit_may_have_any_free_number)
{
    struct virtq_access_facts facts = plain();
    unsigned legal = 0;

    facts.pool = (uint8_t)VIRTQ_ACCESS_POOL_SYSTEM;
    facts.flags = (uint32_t)VIRTQ_ACCESS_POOL_ONLY;
    for (unsigned bit = 1; bit < 64; bit++) {
        struct virtq_access_decision device, driver;

        facts.restricted_bit = (uint8_t)bit;
        facts.features = VERSION | VIRTQ_FEATURE(bit);
        facts.known = facts.features;
        if (virtq_access_objection(&facts) != NULL) {
            cr_assert_eq(virtq_access_device(&facts, &device), VIRTQ_EINVAL);
            continue;
        }
        legal++;
        cr_assert_eq(virtq_access_device(&facts, &device), VIRTQ_OK);
        cr_assert_eq(device.require, VERSION | VIRTQ_FEATURE(bit));
        cr_assert_eq(virtq_access_driver(&facts, &driver), VIRTQ_OK);
        cr_assert_eq(driver.accept, VERSION | VIRTQ_FEATURE(bit));
        cr_assert_eq(driver.space, (uint32_t)VIRTQ_ACCESS_SWIOTLB);
    }
    cr_assert_eq(legal, 63u - 11u);
}

Test(access_facts, facts_that_contradict_each_other_are_refused_and_nothing_changes)
{
    static const struct {
        uint32_t flags;
        uint8_t iommu, pool;
    } wrong[] = {
        {VIRTQ_ACCESS_MAY_BYPASS, VIRTQ_ACCESS_IOMMU_ABSENT, VIRTQ_ACCESS_POOL_NONE},
        {VIRTQ_ACCESS_IOMMU_ALIEN, VIRTQ_ACCESS_IOMMU_ABSENT, VIRTQ_ACCESS_POOL_NONE},
        {VIRTQ_ACCESS_IOMMU_SHARES, VIRTQ_ACCESS_IOMMU_ABSENT, VIRTQ_ACCESS_POOL_NONE},
        {VIRTQ_ACCESS_POOL_ONLY, VIRTQ_ACCESS_IOMMU_ABSENT, VIRTQ_ACCESS_POOL_NONE},
        {VIRTQ_ACCESS_POOL_FORCED, VIRTQ_ACCESS_IOMMU_ABSENT, VIRTQ_ACCESS_POOL_NONE},
        {VIRTQ_ACCESS_POOL_FORCED, VIRTQ_ACCESS_IOMMU_ABSENT, VIRTQ_ACCESS_POOL_DEVICE},
        {VIRTQ_ACCESS_HIDDEN_LATE, VIRTQ_ACCESS_IOMMU_ABSENT, VIRTQ_ACCESS_POOL_NONE},
        {VIRTQ_ACCESS_ADDRESSES_DIFFER, VIRTQ_ACCESS_IOMMU_IDENTITY, VIRTQ_ACCESS_POOL_NONE},
        {VIRTQ_ACCESS_ADDRESSES_DIFFER, VIRTQ_ACCESS_IOMMU_BYPASSED, VIRTQ_ACCESS_POOL_NONE},
        {1u << 12, VIRTQ_ACCESS_IOMMU_ABSENT, VIRTQ_ACCESS_POOL_NONE},
        {1u << 31, VIRTQ_ACCESS_IOMMU_ABSENT, VIRTQ_ACCESS_POOL_NONE},
        {0, 4, VIRTQ_ACCESS_POOL_NONE},
        {0, VIRTQ_ACCESS_IOMMU_ABSENT, 3},
    };
    struct virtq_access_decision untouched, decision;

    memset(&untouched, 0xa5, sizeof(untouched));
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct virtq_access_facts facts = plain();

        decision = untouched;
        facts.flags = wrong[i].flags;
        facts.iommu = wrong[i].iommu;
        facts.pool = wrong[i].pool;
        cr_assert_not_null(virtq_access_objection(&facts), "case %u", i);
        cr_assert_eq(virtq_access_device(&facts, &decision), VIRTQ_EINVAL, "case %u", i);
        cr_assert_eq(virtq_access_driver(&facts, &decision), VIRTQ_EINVAL, "case %u", i);
        cr_assert_eq(virtq_access_agree(&facts, 0, &decision), VIRTQ_EINVAL, "case %u", i);
        cr_assert_eq(memcmp(&decision, &untouched, sizeof(decision)), 0, "case %u", i);
    }
}

Test(access_facts, values_out_of_range_are_refused)
{
    struct virtq_access_decision decision = {0};
    struct virtq_access_facts facts = plain();

    cr_assert_null(virtq_access_objection(&facts));
    cr_assert_not_null(virtq_access_objection(NULL));
    cr_assert_eq(virtq_access_driver(NULL, &decision), VIRTQ_EINVAL);
    cr_assert_eq(virtq_access_driver(&facts, NULL), VIRTQ_EINVAL);
    facts.struct_size--;
    cr_assert_eq(virtq_access_driver(&facts, &decision), VIRTQ_EINVAL);
    facts.struct_size += 9;
    cr_assert_eq(virtq_access_driver(&facts, &decision), VIRTQ_OK);
    facts.generation = 3;
    cr_assert_eq(virtq_access_driver(&facts, &decision), VIRTQ_EINVAL);
    facts = plain();
    facts.device_bits = 65;
    cr_assert_eq(virtq_access_driver(&facts, &decision), VIRTQ_EINVAL);
    facts = plain();
    facts.memory_bits = 65;
    cr_assert_eq(virtq_access_driver(&facts, &decision), VIRTQ_EINVAL);
    facts = plain();
    facts.restricted_bit = 64;
    cr_assert_eq(virtq_access_driver(&facts, &decision), VIRTQ_EINVAL);
    facts.restricted_bit = VIRTIO_F_ACCESS_PLATFORM;
    cr_assert_eq(virtq_access_driver(&facts, &decision), VIRTQ_EINVAL);
}

Test(access_facts, every_reason_has_a_sentence_of_its_own)
{
    for (uint32_t i = 0; i < REASONS_END; i++) {
        const char *name = virtq_access_reason_name(i);
        bool known = i < REASON_GAP || virtq_access_is_refusal(i);

        cr_assert_eq(strcmp(name, "unknown reason") != 0, known, "reason %u", i);
        for (uint32_t k = 0; known && k < i; k++) {
            cr_assert(strcmp(name, virtq_access_reason_name(k)) != 0, "%u, %u", i, k);
        }
    }
    cr_assert_str_eq(virtq_access_reason_name(REASONS_END), "unknown reason");
    cr_assert_str_eq(virtq_access_reason_name(UINT32_MAX), "unknown reason");
    /* A table shifted by one would still be full and distinct. */
    cr_assert_not_null(strstr(virtq_access_reason_name(VIRTQ_ACCESS_OFFSET), "offset"));
    cr_assert_not_null(strstr(virtq_access_reason_name(VIRTQ_ACCESS_FORCED), "everything into"));
    cr_assert_not_null(strstr(virtq_access_reason_name(VIRTQ_ACCESS_LEGACY_PLATFORM), "bit 33"));
    cr_assert_not_null(strstr(virtq_access_reason_name(VIRTQ_ACCESS_BOTH_DECLINED), "neither"));
    cr_assert_not_null(strstr(virtq_access_reason_name(VIRTQ_ACCESS_NOT_OFFERED), "not offered"));
}

Test(access_facts, spaces_have_names)
{
    static const char *const names[] = {"refused", "direct", "swiotlb", "iommu", "bar"};

    for (uint32_t space = 0; space < 5; space++) {
        cr_assert_str_eq(virtq_access_space_name(space), names[space]);
    }
    cr_assert_str_eq(virtq_access_space_name(5), "unknown space");
}
