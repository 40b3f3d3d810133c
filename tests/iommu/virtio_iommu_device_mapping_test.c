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
