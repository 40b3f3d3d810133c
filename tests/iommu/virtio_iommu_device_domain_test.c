/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtio-iommu device: ATTACH, DETACH, bypass. M1, M5; L3. */
#include "virtio_iommu_device_fixture.h"

enum {
    BYPASS = VIRTIO_IOMMU_ATTACH_F_BYPASS,
    RW = VIRTIO_IOMMU_MAP_F_READ | VIRTIO_IOMMU_MAP_F_WRITE,
    AT_BYPASS = 36
};

static void set_bypass(struct rig *rig, uint8_t value)
{
    cr_assert_eq(virtq_virtio_iommu_device_config_write(rig->iommu, AT_BYPASS, &value, 1),
                 VIRTQ_OK);
}

static uint8_t bypass(struct rig *rig)
{
    uint8_t value = 0xee;

    cr_assert_eq(virtq_virtio_iommu_device_config_read(rig->iommu, AT_BYPASS, &value, 1), VIRTQ_OK);
    return value;
}

Test(iommu_virtio_iommu_device_domain, attach_with_reserved_bytes_is_invalid)
{
    struct virtio_iommu_req_attach request;
    struct rig rig;
    unsigned i;

    rig_open(&rig);
    for (i = 0; i < sizeof(request.reserved); i++) {
        memset(&request, 0, sizeof(request));
        request.head.type = VIRTIO_IOMMU_T_ATTACH;
        request.endpoint = rig_le32(RIG_ID);
        request.reserved[i] = 0x80;
        cr_assert_eq(rig_send(&rig, &request, 20, 4), VIRTIO_IOMMU_S_INVAL);
    }
    cr_assert_eq(rig_usage(&rig).domains, 0u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, attach_with_an_unknown_flag_is_invalid)
{
    struct rig rig;
    unsigned bit;

    rig_open(&rig);
    for (bit = 1; bit < 32; bit++) {
        cr_assert_eq(rig_attach_with(&rig, 1, RIG_ID, 1u << bit), VIRTIO_IOMMU_S_INVAL);
    }
    cr_assert_eq(virtq_virtio_iommu_device_negotiate(rig.iommu, 1u << VIRTIO_IOMMU_F_MAP_UNMAP),
                 VIRTQ_OK);
    cr_assert_eq(rig_attach_with(&rig, 1, RIG_ID, BYPASS), VIRTIO_IOMMU_S_INVAL,
                 "known only with BYPASS_CONFIG");
    cr_assert_eq(rig_usage(&rig).domains, 0u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, attach_of_no_endpoint_finds_nothing)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID - 1), VIRTIO_IOMMU_S_NOENT);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID + RIG_ENDPOINTS), VIRTIO_IOMMU_S_NOENT);
    cr_assert_eq(rig_attach(&rig, 1, UINT32_MAX), VIRTIO_IOMMU_S_NOENT);
    cr_assert_eq(rig_usage(&rig).domains, 0u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, attach_outside_the_domain_range_is_out_of_range)
{
    struct rig rig;

    rig_prepare(&rig);
    rig.config.domain_first = 5;
    rig.config.domain_last = 6;
    rig_start(&rig);
    cr_assert_eq(rig_attach(&rig, 4, RIG_ID), VIRTIO_IOMMU_S_RANGE);
    cr_assert_eq(rig_attach(&rig, 7, RIG_ID), VIRTIO_IOMMU_S_RANGE);
    cr_assert_eq(rig_attach(&rig, 5, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_attach(&rig, 6, RIG_ID + 1), VIRTIO_IOMMU_S_OK);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, several_endpoints_share_a_domain)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, 1, 0x1000, 0x1fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID + 1), VIRTIO_IOMMU_S_OK);
    cr_assert(rig_reach(&rig, 0, 0x1000, RIG_READ) == rig.memory);
    cr_assert(rig_reach(&rig, 1, 0x1000, RIG_READ) == rig.memory);
    cr_assert_null(rig_reach(&rig, 2, 0x1000, RIG_READ));
    cr_assert_eq(rig_detach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_null(rig_reach(&rig, 0, 0x1000, RIG_READ));
    cr_assert(rig_reach(&rig, 1, 0x1000, RIG_READ) == rig.memory, "the domain lives");
    cr_assert_eq(rig_detach(&rig, 1, RIG_ID + 1), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_usage(&rig).domains, 0u);
    cr_assert_eq(rig_usage(&rig).mappings, 0u, "they go with the last endpoint");
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, attach_with_another_bypass_flag_is_invalid)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_attach_with(&rig, 2, RIG_ID + 1, BYPASS), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_attach_with(&rig, 1, RIG_ID + 2, BYPASS), VIRTIO_IOMMU_S_INVAL);
    cr_assert_eq(rig_attach(&rig, 2, RIG_ID + 2), VIRTIO_IOMMU_S_INVAL);
    cr_assert_eq(rig_attach_with(&rig, 1, RIG_ID, BYPASS), VIRTIO_IOMMU_S_INVAL, "its own too");
    cr_assert_null(rig.endpoints[2].domain);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, attach_elsewhere_leaves_the_old_domain)
{
    const uint64_t before = 0x1000;
    struct rig rig;
    uint64_t generation;

    rig_open(&rig);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, 1, before, before + 0xfff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    generation = rig.endpoints[0].space.generation;
    cr_assert_eq(rig_attach(&rig, 2, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert(rig.endpoints[0].space.generation != generation, "L3: windows are forgotten");
    cr_assert_null(rig_reach(&rig, 0, before, RIG_READ));
    cr_assert_eq(rig_usage(&rig).domains, 1u, "as if it was detached first");
    cr_assert_eq(rig_usage(&rig).mappings, 0u);
    cr_assert_eq(rig_map(&rig, 1, 0, 0xfff, RIG_PHYS, RW), VIRTIO_IOMMU_S_NOENT);
    cr_assert_eq(rig_attach(&rig, 2, RIG_ID), VIRTIO_IOMMU_S_OK, "again is nothing new");
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, a_refused_attach_changes_nothing)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, 1, 0x1000, 0x1fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_attach_with(&rig, 2, RIG_ID + 1, BYPASS), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_attach(&rig, 2, RIG_ID), VIRTIO_IOMMU_S_INVAL);
    cr_assert(rig_reach(&rig, 0, 0x1000, RIG_READ) == rig.memory);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, no_more_domains_than_there_can_be)
{
    struct rig rig;

    rig_prepare(&rig);
    rig.config.domains = 2;
    rig_start(&rig);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_attach(&rig, 2, RIG_ID + 1), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_attach(&rig, 3, RIG_ID + 2), VIRTIO_IOMMU_S_NOMEM);
    cr_assert_eq(rig_attach(&rig, 3, RIG_ID + 1), VIRTIO_IOMMU_S_OK, "its old one goes");
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID + 2), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_attach(&rig, 4, RIG_ID + 2), VIRTIO_IOMMU_S_NOMEM, "its old one stays");
    cr_assert_eq(rig_usage(&rig).domains, 2u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, detach_ignores_reserved_bytes)
{
    struct virtio_iommu_req_detach request;
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    memset(&request, 0xff, sizeof(request));
    request.head.type = VIRTIO_IOMMU_T_DETACH;
    request.domain = rig_le32(1);
    request.endpoint = rig_le32(RIG_ID);
    cr_assert_eq(rig_send(&rig, &request, 20, 4), VIRTIO_IOMMU_S_OK);
    cr_assert_null(rig.endpoints[0].domain);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, detach_of_no_endpoint_finds_nothing)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_detach(&rig, 1, 77), VIRTIO_IOMMU_S_NOENT);
    cr_assert_eq(rig_detach(&rig, 9, 77), VIRTIO_IOMMU_S_NOENT, "a MUST before a MAY");
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, detach_from_another_domain_is_invalid)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_attach(&rig, 2, RIG_ID + 1), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_detach(&rig, 9, RIG_ID), VIRTIO_IOMMU_S_INVAL, "no such domain");
    cr_assert_eq(rig_detach(&rig, 2, RIG_ID), VIRTIO_IOMMU_S_INVAL, "not its own");
    cr_assert_eq(rig_detach(&rig, 1, RIG_ID + 2), VIRTIO_IOMMU_S_INVAL, "attached to nothing");
    cr_assert_eq(rig_usage(&rig).domains, 2u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, after_detach_no_mapping_can_be_reached)
{
    struct rig rig;
    uint64_t generation;

    rig_open(&rig);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, 1, 0x1000, 0x1fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    generation = rig.endpoints[0].space.generation;
    cr_assert_eq(rig_detach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert(rig.endpoints[0].space.generation != generation);
    cr_assert_null(rig_reach(&rig, 0, 0x1000, RIG_READ));
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_null(rig_reach(&rig, 0, 0x1000, RIG_READ), "the number names a new domain");
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, an_unattached_endpoint_reaches_nothing)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(bypass(&rig), 0u);
    cr_assert_null(rig_reach(&rig, 0, RIG_PHYS, RIG_READ));
    cr_assert_null(rig_reach(&rig, 0, RIG_PHYS, RIG_WRITE));
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, bypass_is_the_drivers_to_switch)
{
    struct rig rig;
    uint64_t generation;

    rig_open(&rig);
    set_bypass(&rig, 1);
    cr_assert_eq(bypass(&rig), 1u);
    cr_assert(rig_reach(&rig, 0, RIG_PHYS + 5, RIG_WRITE) == rig.memory + 5, "the identity");
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID + 1), VIRTIO_IOMMU_S_OK);
    cr_assert_null(rig_reach(&rig, 1, RIG_PHYS, RIG_READ), "attached: not in bypass mode");
    generation = rig.endpoints[0].space.generation;
    set_bypass(&rig, 0);
    cr_assert(rig.endpoints[0].space.generation != generation);
    cr_assert_null(rig_reach(&rig, 0, RIG_PHYS + 5, RIG_WRITE));
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, bypass_survives_a_device_reset_but_no_system_reset)
{
    struct rig rig;

    rig_open(&rig);
    set_bypass(&rig, 1);
    virtq_virtio_iommu_device_reset(rig.iommu);
    cr_assert_eq(bypass(&rig), 1u);
    cr_assert(rig_reach(&rig, 0, RIG_PHYS, RIG_READ) == rig.memory,
              "also while no feature is negotiated");
    virtq_virtio_iommu_device_reset_system(rig.iommu);
    cr_assert_eq(bypass(&rig), 0u);
    cr_assert_null(rig_reach(&rig, 0, RIG_PHYS, RIG_READ));
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, bypass_may_begin_as_1_where_the_owner_says_so)
{
    struct rig rig;

    rig_prepare(&rig);
    rig.config.bypass = 1;
    rig_start(&rig);
    cr_assert_eq(bypass(&rig), 1u);
    cr_assert(rig_reach(&rig, 0, RIG_PHYS, RIG_READ) == rig.memory);
    set_bypass(&rig, 0);
    virtq_virtio_iommu_device_reset_system(rig.iommu);
    cr_assert_eq(bypass(&rig), 1u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, bypass_is_never_another_value_than_0_or_1)
{
    struct rig rig;
    unsigned value;

    rig_open(&rig);
    for (value = 2; value < 256; value++) {
        const uint8_t byte = (uint8_t)value;

        cr_assert_eq(virtq_virtio_iommu_device_config_write(rig.iommu, AT_BYPASS, &byte, 1),
                     VIRTQ_EINVAL);
        cr_assert_eq(bypass(&rig), 0u);
    }
    rig.config.bypass = 2;
    cr_assert_eq(virtq_virtio_iommu_device_size(&rig.config), 0u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, a_bypass_domain_is_the_identity)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(rig_attach_with(&rig, 1, RIG_ID, BYPASS), VIRTIO_IOMMU_S_OK);
    cr_assert(rig_reach(&rig, 0, RIG_PHYS + 7, RIG_WRITE) == rig.memory + 7);
    cr_assert_null(rig_reach(&rig, 0, RIG_PHYS - 1, RIG_WRITE), "no memory there");
    cr_assert_eq(rig_detach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_null(rig_reach(&rig, 0, RIG_PHYS + 7, RIG_WRITE));
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, the_old_bypass_feature_counts_once_negotiated)
{
    const uint64_t features = 1u << VIRTIO_IOMMU_F_BYPASS | 1u << VIRTIO_IOMMU_F_MAP_UNMAP;
    struct rig rig;

    rig_prepare(&rig);
    rig.config.features = features;
    rig_start(&rig);
    cr_assert(rig_reach(&rig, 0, RIG_PHYS, RIG_READ) == rig.memory);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_null(rig_reach(&rig, 0, RIG_PHYS, RIG_READ));
    virtq_virtio_iommu_device_reset(rig.iommu);
    cr_assert_null(rig_reach(&rig, 0, RIG_PHYS, RIG_READ), "not negotiated any more");
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, reset_attaches_endpoints_to_nothing)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID + 1), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, 1, 0x1000, 0x1fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    virtq_virtio_iommu_device_reset(rig.iommu);
    cr_assert_eq(rig_usage(&rig).domains, 0u);
    cr_assert_eq(rig_usage(&rig).mappings, 0u);
    cr_assert_null(rig_reach(&rig, 0, 0x1000, RIG_READ));
    cr_assert_eq(rig_map(&rig, 1, 0x1000, 0x1fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_UNSUPP,
                 "MAP_UNMAP is not negotiated");
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, an_endpoint_can_go_and_come_back)
{
    struct virtq_virtio_iommu_endpoint_config config = VIRTQ_VIRTIO_IOMMU_ENDPOINT_CONFIG_INIT;
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID + 1), VIRTIO_IOMMU_S_OK);
    virtq_virtio_iommu_device_remove(&rig.endpoints[1]);
    cr_assert_eq(rig_usage(&rig).domains, 0u);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID + 1), VIRTIO_IOMMU_S_NOENT);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID + 2), VIRTIO_IOMMU_S_OK);
    config.id = RIG_ID;
    cr_assert_eq(virtq_virtio_iommu_device_add(rig.iommu, &rig.endpoints[1], &config), VIRTQ_EINVAL,
                 "the id is taken");
    config.id = 1;
    cr_assert_eq(virtq_virtio_iommu_device_add(rig.iommu, &rig.endpoints[1], &config), VIRTQ_OK);
    cr_assert_eq(rig_attach(&rig, 1, 1), VIRTIO_IOMMU_S_OK);
    config.id = 2;
    {
        struct virtq_virtio_iommu_endpoint more;

        cr_assert_eq(virtq_virtio_iommu_device_add(rig.iommu, &more, &config), VIRTQ_ENOMEM);
    }
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_domain, the_guests_memory_goes_from_endpoints_too)
{
    const struct virtq_direct_table none = {NULL, 0};
    struct rig rig;
    uint64_t generation;

    rig_open(&rig);
    set_bypass(&rig, 1);
    cr_assert(rig_reach(&rig, 0, RIG_PHYS, RIG_READ) == rig.memory);
    generation = rig.endpoints[0].space.generation;
    cr_assert_eq(virtq_direct_set_regions(&rig.direct, &none), VIRTQ_OK);
    cr_assert(rig.endpoints[0].space.generation != generation);
    cr_assert_null(rig_reach(&rig, 0, RIG_PHYS, RIG_READ));
    rig_close(&rig);
}
