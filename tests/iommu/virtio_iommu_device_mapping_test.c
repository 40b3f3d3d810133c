/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtio-iommu device: MAP and UNMAP. M1, M5; L3, L6. */
#include "virtio_iommu_device_fixture.h"

enum { PAGE = 4096, DOMAIN = 1, RW = VIRTIO_IOMMU_MAP_F_READ | VIRTIO_IOMMU_MAP_F_WRITE };

/* A device whose pages have one byte, and endpoint 0 in DOMAIN. */
static void open_bytes(struct rig *rig)
{
    rig_prepare(rig);
    rig->config.page_size_mask = UINT64_MAX;
    rig_start(rig);
    cr_assert_eq(rig_attach(rig, DOMAIN, RIG_ID), VIRTIO_IOMMU_S_OK);
}

static void open_pages(struct rig *rig)
{
    rig_open(rig);
    cr_assert_eq(rig_attach(rig, DOMAIN, RIG_ID), VIRTIO_IOMMU_S_OK);
}

/* The pseudocode of the examples. */
static int map(struct rig *rig, uint64_t first, uint64_t last)
{
    return rig_map(rig, DOMAIN, first, last, RIG_PHYS + first, RW);
}

static int unmap(struct rig *rig, uint64_t first, uint64_t last)
{
    return rig_unmap(rig, DOMAIN, first, last);
}

static uint32_t mappings(struct rig *rig)
{
    return rig_usage(rig).mappings;
}

Test(iommu_virtio_iommu_device_mapping, unmap_example_1_succeeds_and_unmaps_nothing)
{
    struct rig rig;

    open_bytes(&rig);
    cr_assert_eq(unmap(&rig, 0, 4), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(mappings(&rig), 0u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, unmap_example_2_unmaps_a)
{
    struct rig rig;

    open_bytes(&rig);
    cr_assert_eq(map(&rig, 0, 9), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(unmap(&rig, 0, 9), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(mappings(&rig), 0u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, unmap_example_3_unmaps_a_and_b)
{
    struct rig rig;

    open_bytes(&rig);
    cr_assert_eq(map(&rig, 0, 4), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(map(&rig, 5, 9), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(unmap(&rig, 0, 9), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(mappings(&rig), 0u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, unmap_example_4_fails_and_unmaps_nothing)
{
    struct rig rig;

    open_bytes(&rig);
    cr_assert_eq(map(&rig, 0, 9), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(unmap(&rig, 0, 4), VIRTIO_IOMMU_S_RANGE);
    cr_assert_eq(mappings(&rig), 1u);
    cr_assert(rig_reach(&rig, 0, 4, RIG_READ) == rig.memory + 4);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, unmap_example_5_unmaps_a)
{
    struct rig rig;

    open_bytes(&rig);
    cr_assert_eq(map(&rig, 0, 4), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(map(&rig, 5, 9), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(unmap(&rig, 0, 4), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(mappings(&rig), 1u);
    cr_assert_null(rig_reach(&rig, 0, 4, RIG_READ));
    cr_assert(rig_reach(&rig, 0, 5, RIG_READ) == rig.memory + 5);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, unmap_example_6_unmaps_a)
{
    struct rig rig;

    open_bytes(&rig);
    cr_assert_eq(map(&rig, 0, 4), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(unmap(&rig, 0, 9), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(mappings(&rig), 0u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, unmap_example_7_unmaps_a_and_b)
{
    struct rig rig;

    open_bytes(&rig);
    cr_assert_eq(map(&rig, 0, 4), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(map(&rig, 10, 14), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(unmap(&rig, 0, 14), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(mappings(&rig), 0u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, a_mapped_range_leads_to_the_guests_memory)
{
    struct rig rig;

    open_pages(&rig);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1000, 0x1fff, RIG_PHYS + 0x3000, RW), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig.used, 4u);
    cr_assert(rig_reach(&rig, 0, 0x1000, RIG_READ) == rig.memory + 0x3000);
    cr_assert(rig_reach(&rig, 0, 0x1fff, RIG_WRITE) == rig.memory + 0x3fff);
    cr_assert_null(rig_reach(&rig, 0, 0xfff, RIG_READ));
    cr_assert_null(rig_reach(&rig, 0, 0x2000, RIG_READ));
    cr_assert_null(rig_reach(&rig, 1, 0x1000, RIG_READ), "attached to nothing");
    cr_assert_eq(rig_unmap(&rig, DOMAIN, 0x1000, 0x1fff), VIRTIO_IOMMU_S_OK);
    cr_assert_null(rig_reach(&rig, 0, 0x1000, RIG_READ));
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, map_of_unaligned_addresses_is_out_of_range)
{
    struct rig rig;

    open_pages(&rig);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1001, 0x1fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_RANGE);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1000, 0x1ffe, RIG_PHYS, RW), VIRTIO_IOMMU_S_RANGE);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1000, 0x2000, RIG_PHYS, RW), VIRTIO_IOMMU_S_RANGE);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1000, 0x1fff, RIG_PHYS + 8, RW), VIRTIO_IOMMU_S_RANGE);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x2000, 0x1fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_RANGE);
    cr_assert_eq(mappings(&rig), 0u);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1000, 0x1fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, map_over_a_mapping_is_invalid)
{
    struct rig rig;

    open_pages(&rig);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x2000, 0x3fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1000, 0x2fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_INVAL);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x3000, 0x4fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_INVAL);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1000, 0x8fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_INVAL);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x2000, 0x3fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_INVAL);
    cr_assert_eq(mappings(&rig), 1u);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1000, 0x1fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x4000, 0x4fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, map_with_an_unknown_flag_is_invalid)
{
    struct rig rig;

    open_pages(&rig);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1000, 0x1fff, RIG_PHYS, RW | 8), VIRTIO_IOMMU_S_INVAL);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1000, 0x1fff, RIG_PHYS, RW | 1u << 31),
                 VIRTIO_IOMMU_S_INVAL);
    cr_assert_eq(rig_map(&rig, DOMAIN + 1, 0x1000, 0x1fff, RIG_PHYS, RW | 8), VIRTIO_IOMMU_S_INVAL,
                 "a MUST before a SHOULD");
    cr_assert_eq(mappings(&rig), 0u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, map_flag_mmio_is_known_once_it_is_negotiated)
{
    const uint32_t flags = RW | VIRTIO_IOMMU_MAP_F_MMIO;
    struct virtq_virtio_iommu_mapping mapping = {0, 0, 0, 0};
    struct rig rig;

    open_pages(&rig);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1000, 0x1fff, RIG_PHYS, flags), VIRTIO_IOMMU_S_OK);
    cr_assert_null(rig_reach(&rig, 0, 0x1000, RIG_WRITE), "registers are no window");
    cr_assert_eq(
        virtq_virtio_iommu_endpoint_translate(&rig.endpoints[0], 0x1040, RIG_WRITE, &mapping),
        VIRTQ_OK);
    cr_assert_eq(mapping.first, 0x1000u);
    cr_assert_eq(mapping.last, 0x1fffu);
    cr_assert_eq(mapping.phys, (uint64_t)RIG_PHYS);
    cr_assert_eq(mapping.flags, flags);
    cr_assert_eq(virtq_virtio_iommu_device_negotiate(rig.iommu, rig.config.features &
                                                                    ~(1ull << VIRTIO_IOMMU_F_MMIO)),
                 VIRTQ_OK);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x2000, 0x2fff, RIG_PHYS, flags), VIRTIO_IOMMU_S_INVAL);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, map_and_unmap_of_no_domain_find_nothing)
{
    struct rig rig;

    open_pages(&rig);
    cr_assert_eq(rig_map(&rig, 2, 0x1000, 0x1fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_NOENT);
    cr_assert_eq(rig_unmap(&rig, 2, 0x1000, 0x1fff), VIRTIO_IOMMU_S_NOENT);
    cr_assert_eq(rig_detach(&rig, DOMAIN, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1000, 0x1fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_NOENT);
    cr_assert_eq(rig_unmap(&rig, DOMAIN, 0x1000, 0x1fff), VIRTIO_IOMMU_S_NOENT);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, map_and_unmap_of_a_bypass_domain_are_invalid)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(rig_attach_with(&rig, DOMAIN, RIG_ID, VIRTIO_IOMMU_ATTACH_F_BYPASS),
                 VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1000, 0x1fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_INVAL);
    cr_assert_eq(rig_unmap(&rig, DOMAIN, 0x1000, 0x1fff), VIRTIO_IOMMU_S_INVAL);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, what_is_mapped_without_write_is_not_written)
{
    struct rig rig;

    open_pages(&rig);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1000, 0x1fff, RIG_PHYS, VIRTIO_IOMMU_MAP_F_READ),
                 VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x2000, 0x2fff, RIG_PHYS + 0x1000, VIRTIO_IOMMU_MAP_F_WRITE),
                 VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x3000, 0x3fff, RIG_PHYS + 0x2000, 0), VIRTIO_IOMMU_S_OK);
    cr_assert(rig_reach(&rig, 0, 0x1000, RIG_READ) == rig.memory);
    cr_assert_null(rig_reach(&rig, 0, 0x1000, RIG_WRITE));
    cr_assert(rig_reach(&rig, 0, 0x2000, RIG_WRITE) == rig.memory + 0x1000);
    cr_assert_null(rig_reach(&rig, 0, 0x2000, RIG_READ));
    cr_assert_null(rig_reach(&rig, 0, 0x3000, RIG_READ));
    cr_assert_null(rig_reach(&rig, 0, 0x3000, RIG_WRITE));
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, map_outside_the_input_range_is_out_of_range)
{
    struct rig rig;

    rig_prepare(&rig);
    rig.config.input_first = 0x10000;
    rig.config.input_last = 0x1ffff;
    rig_start(&rig);
    cr_assert_eq(rig_attach(&rig, DOMAIN, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0xf000, 0xffff, RIG_PHYS, RW), VIRTIO_IOMMU_S_RANGE);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0xf000, 0x10fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_RANGE);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1f000, 0x20fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_RANGE);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x10000, 0x1ffff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_unmap(&rig, DOMAIN, 0, UINT64_MAX), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(mappings(&rig), 0u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, map_beyond_the_guests_addresses_is_a_bad_address)
{
    struct rig rig;

    rig_prepare(&rig);
    rig.config.phys_last = RIG_PHYS + RIG_MEMORY - 1;
    rig_start(&rig);
    cr_assert_eq(rig_attach(&rig, DOMAIN, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0, 0x1fff, RIG_PHYS + RIG_MEMORY - 0x1000, RW),
                 VIRTIO_IOMMU_S_FAULT);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0, 0xfff, RIG_PHYS + RIG_MEMORY, RW), VIRTIO_IOMMU_S_FAULT);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0, 0x1fff, UINT64_MAX - 0xfff, RW), VIRTIO_IOMMU_S_FAULT,
                 "wraps");
    cr_assert_eq(rig_map(&rig, DOMAIN, 0, 0xfff, RIG_PHYS + RIG_MEMORY - 0x1000, RW),
                 VIRTIO_IOMMU_S_OK);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, l6_the_last_page_can_be_mapped)
{
    struct rig rig;

    open_pages(&rig);
    cr_assert_eq(rig_map(&rig, DOMAIN, UINT64_MAX - 0xfff, UINT64_MAX, RIG_PHYS, RW),
                 VIRTIO_IOMMU_S_OK);
    cr_assert(rig_reach(&rig, 0, UINT64_MAX, RIG_WRITE) == rig.memory + 0xfff);
    cr_assert_eq(rig_unmap(&rig, DOMAIN, UINT64_MAX - 0x1fff, UINT64_MAX - 0x1000),
                 VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_unmap(&rig, DOMAIN, UINT64_MAX - 1, UINT64_MAX), VIRTIO_IOMMU_S_RANGE);
    cr_assert_eq(rig_unmap(&rig, DOMAIN, UINT64_MAX - 0xfff, UINT64_MAX), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(mappings(&rig), 0u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, unmap_with_reserved_bytes_is_invalid_and_unmaps_nothing)
{
    struct virtio_iommu_req_unmap request;
    struct rig rig;

    open_pages(&rig);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1000, 0x1fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    memset(&request, 0, sizeof(request));
    request.head.type = VIRTIO_IOMMU_T_UNMAP;
    request.domain = rig_le32(DOMAIN);
    request.virt_end = UINT64_MAX;
    request.reserved[3] = 1;
    cr_assert_eq(rig_send(&rig, &request, 28, 4), VIRTIO_IOMMU_S_INVAL);
    cr_assert_eq(mappings(&rig), 1u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, unmap_that_would_split_removes_no_mapping)
{
    struct rig rig;

    open_pages(&rig);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1000, 0x2fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x4000, 0x5fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x8000, 0x9fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_unmap(&rig, DOMAIN, 0x1000, 0x8fff), VIRTIO_IOMMU_S_RANGE);
    cr_assert_eq(rig_unmap(&rig, DOMAIN, 0x2000, 0x9fff), VIRTIO_IOMMU_S_RANGE);
    cr_assert_eq(rig_unmap(&rig, DOMAIN, 0x4001, 0x4002), VIRTIO_IOMMU_S_RANGE);
    cr_assert_eq(rig_unmap(&rig, DOMAIN, 0x5000, 0x4fff), VIRTIO_IOMMU_S_RANGE, "inverted");
    cr_assert_eq(mappings(&rig), 3u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, unmap_over_holes_removes_what_is_there)
{
    struct rig rig;

    open_pages(&rig);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x1000, 0x1fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x8000, 0x8fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, DOMAIN, 0x20000, 0x20fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_unmap(&rig, DOMAIN, 0x500, 0xa123), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(mappings(&rig), 1u);
    cr_assert_null(rig_reach(&rig, 0, 0x1000, RIG_READ));
    cr_assert_null(rig_reach(&rig, 0, 0x8000, RIG_READ));
    cr_assert(rig_reach(&rig, 0, 0x20000, RIG_READ) == rig.memory);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, a_guest_takes_no_more_mappings_than_there_are)
{
    struct rig rig;
    unsigned i;

    rig_prepare(&rig);
    rig.config.mappings = 40;
    rig.config.domain_mappings = 30;
    rig_start(&rig);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_attach(&rig, 2, RIG_ID + 1), VIRTIO_IOMMU_S_OK);
    for (i = 0; i < 30; i++) {
        cr_assert_eq(rig_map(&rig, 1, i * 0x2000, i * 0x2000 + 0xfff, RIG_PHYS, RW),
                     VIRTIO_IOMMU_S_OK);
    }
    cr_assert_eq(rig_map(&rig, 1, 0x100000, 0x100fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_NOMEM,
                 "of the domain");
    for (i = 0; i < 10; i++) {
        cr_assert_eq(rig_map(&rig, 2, i * 0x2000, i * 0x2000 + 0xfff, RIG_PHYS, RW),
                     VIRTIO_IOMMU_S_OK);
    }
    cr_assert_eq(rig_map(&rig, 2, 0x100000, 0x100fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_NOMEM,
                 "of all");
    cr_assert_eq(mappings(&rig), 40u);
    cr_assert_eq(rig_unmap(&rig, 1, 0, 0xfff), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, 2, 0x100000, 0x100fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_mapping, what_a_domain_had_serves_others_when_it_is_gone)
{
    struct rig rig;
    unsigned round;
    unsigned i;

    rig_prepare(&rig);
    rig.config.mappings = 500;
    rig_start(&rig);
    for (round = 0; round < 20; round++) {
        const uint32_t domain = round % 3;

        cr_assert_eq(rig_attach(&rig, domain, RIG_ID + round % 2), VIRTIO_IOMMU_S_OK);
        for (i = 0; i < 500; i++) {
            cr_assert_eq(rig_map(&rig, domain, i * 0x2000, i * 0x2000 + 0xfff, RIG_PHYS, RW),
                         VIRTIO_IOMMU_S_OK);
        }
        if (round % 5 == 0) {
            cr_assert_eq(rig_unmap(&rig, domain, 0x2000, UINT64_MAX), VIRTIO_IOMMU_S_OK);
            cr_assert_eq(rig_unmap(&rig, domain, 0, UINT64_MAX), VIRTIO_IOMMU_S_OK);
        }
        cr_assert_eq(rig_detach(&rig, domain, RIG_ID + round % 2), VIRTIO_IOMMU_S_OK);
        cr_assert_eq(mappings(&rig), 0u);
    }
    rig_close(&rig);
}
