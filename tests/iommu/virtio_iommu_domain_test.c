/* SPDX-License-Identifier: BSD-3-Clause */
/* A domain of the driver role: what may be mapped in it, and who is attached to it. */
#include "virtio_iommu_fixture.h"

PairTest(iommu_virtio_iommu_domain, sends_nothing_outside_the_limits_of_the_device)
{
    struct virtq_region good = stand_range(0);
    struct stand stand;
    unsigned sent;

    stand_open(&stand, p);
    sent = (unsigned)stand_usage(&stand).requests;
#define REFUSED(field, value)                                                                    \
    do {                                                                                         \
        struct virtq_region ranges[2] = {good, stand_range(1)};                                  \
                                                                                                 \
        ranges[1].field = (value);                                                               \
        cr_assert_eq(stand_map(&stand, ranges, 2), VIRTQ_EINVAL, "%s %s", #field, #value);       \
        if (strcmp(#field, "first") == 0 || strcmp(#field, "last") == 0) {                       \
            cr_assert_eq(stand_unmap(&stand, ranges, 2), VIRTQ_EINVAL);                          \
            cr_assert_eq(                                                                        \
                virtq_virtio_iommu_mapper_unmap(&stand.mapper, ranges[1].first, ranges[1].last), \
                VIRTQ_EINVAL);                                                                   \
            cr_assert_eq(virtq_virtio_iommu_mapper_map(&stand.mapper, ranges[1].first,           \
                                                       ranges[1].last, 0, 1),                    \
                         VIRTQ_EINVAL);                                                          \
        }                                                                                        \
    } while (0)
    REFUSED(first, 0xff000);    /* below input_range.start */
    REFUSED(last, 0x100000fff); /* above input_range.end */
    REFUSED(first, 0x101800);   /* not aligned */
    REFUSED(last, 0x102ffe);    /* nor here */
    REFUSED(last, 0x100fff);    /* before its start */
    REFUSED(last, 0x101000);    /* its start */
    REFUSED(permissions, 0);
    REFUSED(permissions, 4);
#undef REFUSED
    cr_assert_eq(stand_map(&stand, &good, 0), VIRTQ_EINVAL);
    cr_assert_eq(stand_unmap(&stand, &good, 0), VIRTQ_EINVAL);
    good.base = (void *)(uintptr_t)0x40000800;
    cr_assert_eq(stand_map(&stand, &good, 1), VIRTQ_EINVAL, "memory that is not aligned");
    cr_assert_eq(stand_usage(&stand).requests, sent);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_domain, l6_the_top_of_the_address_space_is_legal)
{
    struct virtq_region top = {UINT64_MAX - (PAGE - 1), UINT64_MAX, NULL, 3};
    struct stand stand;
    uint64_t phys = 0;

    stand_prepare(&stand, p, 256, PAIR_DIRECT);
    stand.device.input_start = stand.settings.first = 0;
    stand.device.input_end = stand.settings.last = UINT64_MAX;
    stand_start(&stand);
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), 0);
    top.base = (void *)(uintptr_t)PAGE;
    cr_assert_eq(stand_map(&stand, &top, 1), 0);
    cr_assert(reference_viommu_translate(&stand.device, ENDPOINT, UINT64_MAX, 3, &phys));
    cr_assert_eq(phys, 2u * PAGE - 1);
    cr_assert_eq(virtq_virtio_iommu_mapper_unmap(&stand.mapper, 0, UINT64_MAX), 0);
    cr_assert_eq(stand.device.count, 0u);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_domain, memory_is_mapped_by_its_guest_physical_address)
{
    static unsigned char memory[4 * PAGE] __attribute__((aligned(4096)));
    const struct virtq_region regions[2] = {
        {0x10000, 0x10000 + 2 * PAGE - 1, memory, 3},
        {0x80000, 0x80000 + 2 * PAGE - 1, memory + 2 * PAGE, 1}};
    struct virtq_direct constant;
    struct virtq_direct table;
    struct virtq_space *spaces[2];

    cr_assert_eq(virtq_direct_init(&constant, memory, 0x10000, 0x10000 + 2 * PAGE - 1, 3), 0);
    cr_assert_eq(virtq_direct_init_regions(&table, regions, 2), 0);
    spaces[0] = &constant.space;
    spaces[1] = &table.space;
    for (unsigned i = 0; i < 2; i++) {
        struct virtq_region range = stand_range(0);
        struct stand stand;
        uint64_t phys = 0;

        stand_prepare(&stand, p, 256, PAIR_DIRECT);
        stand.config.physical = spaces[i];
        stand_start(&stand);
        cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), 0);
        range.base = memory + PAGE;
        cr_assert_eq(stand_map(&stand, &range, 1), 0);
        cr_assert(reference_viommu_translate(&stand.device, ENDPOINT, range.first, 3, &phys));
        cr_assert_eq(phys, 0x10000u + PAGE);
        range = stand_range(1);
        range.last += PAGE; /* Beyond the region; and not beginning in it. */
        range.base = memory + PAGE;
        cr_assert_eq(stand_map(&stand, &range, 1), VIRTQ_EFAULT);
        range.base = (void *)((uintptr_t)memory - PAGE);
        cr_assert_eq(stand_map(&stand, &range, 1), VIRTQ_EFAULT);
        if (i == 1) {
            range = stand_range(1);
            range.base = memory + 2 * PAGE;
            cr_assert_eq(stand_map(&stand, &range, 1), VIRTQ_EFAULT, "that may not be written");
            range.permissions = VIRTQ_PERMISSION_READ;
            cr_assert_eq(stand_map(&stand, &range, 1), 0);
            cr_assert(reference_viommu_translate(&stand.device, ENDPOINT, range.first, 1, &phys));
            cr_assert_eq(phys, 0x80000u);
        }
        stand_close(&stand);
        pair_close(p);
    }
}

PairTest(iommu_virtio_iommu_domain, memory_that_may_not_be_written_is_not_mapped_for_it)
{
    static unsigned char memory[PAGE] __attribute__((aligned(4096)));
    struct virtq_region range = stand_range(0);
    struct virtq_direct constant;
    struct stand stand;

    cr_assert_eq(virtq_direct_init(&constant, memory, 0, PAGE - 1, VIRTQ_PERMISSION_READ), 0);
    stand_prepare(&stand, p, 256, PAIR_DIRECT);
    stand.config.physical = &constant.space;
    stand_start(&stand);
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), 0);
    range.base = memory;
    cr_assert_eq(stand_map(&stand, &range, 1), VIRTQ_EFAULT);
    range.permissions = VIRTQ_PERMISSION_READ;
    cr_assert_eq(stand_map(&stand, &range, 1), 0);
    stand_close(&stand);
    pair_close(p);
}

/* Where a granule is a byte, one byte is legal for the device and not for the driver. */
PairTest(iommu_virtio_iommu_domain, the_last_address_is_above_the_first)
{
    struct virtq_region range = {0x100001, 0x100001, NULL, 3};
    struct stand stand;

    stand_prepare(&stand, p, 256, PAIR_DIRECT);
    stand.device.granule = stand.settings.granule = 1;
    stand_start(&stand);
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), 0);
    cr_assert_eq(stand_map(&stand, &range, 1), VIRTQ_EINVAL);
    range.last++;
    cr_assert_eq(stand_map(&stand, &range, 1), 0);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_domain, memory_without_an_address_maps_nothing_of_its_list)
{
    static unsigned char memory[2 * PAGE] __attribute__((aligned(4096)));
    struct virtq_direct constant;
    struct virtq_region ranges[40];
    struct stand stand;

    cr_assert_eq(virtq_direct_init(&constant, memory, 0, 2 * PAGE - 1, 3), 0);
    stand_prepare(&stand, p, 256, PAIR_DIRECT);
    stand.config.physical = &constant.space;
    stand_start(&stand);
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, ENDPOINT), 0);
    for (unsigned i = 0; i < 40; i++) {
        ranges[i] = stand_range(i);
        ranges[i].base = memory;
    }
    for (unsigned bad = 0; bad < 40; bad += 13) {
        ranges[bad].base = (void *)((uintptr_t)memory + 2 * PAGE);
        cr_assert_eq(stand_map(&stand, ranges, 40), VIRTQ_EFAULT);
        cr_assert_eq(stand.device.count, 0u);
        ranges[bad].base = memory;
    }
    cr_assert_eq(stand_map(&stand, ranges, 40), 0);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_domain, a_bypass_domain_is_attached_as_one_and_maps_nothing)
{
    struct virtq_virtio_iommu_mapper bypass;
    struct virtq_region range = stand_range(0);
    struct virtq_iommu_backend backend;
    struct stand stand;

    stand_open(&stand, p);
    cr_assert_eq(
        virtq_virtio_iommu_mapper_init(&bypass, &stand.driver, 9, VIRTQ_VIRTIO_IOMMU_MAPPER_BYPASS),
        0);
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&bypass, 1), 0);
    cr_assert_eq(stand.device.endpoints[1].bypass, (uint32_t)VIRTIO_IOMMU_ATTACH_F_BYPASS);
    cr_assert_eq(stand.device.endpoints[ENDPOINT].bypass, 0u);
    virtq_virtio_iommu_mapper_backend(&bypass, &backend);
    cr_assert_eq(backend.map(&bypass, &range, 1), VIRTQ_ENOTSUP);
    cr_assert_eq(backend.unmap(&bypass, &range, 1), VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_virtio_iommu_mapper_map(&bypass, range.first, range.last, 0, 1),
                 VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_virtio_iommu_mapper_unmap(&bypass, range.first, range.last), VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&bypass, 1), 0);
    cr_assert_eq(virtq_virtio_iommu_mapper_detach(&bypass, 1), 0);
    stand.driver.settings.features &= ~BIT(BYPASS_CONFIG);
    cr_assert_eq(
        virtq_virtio_iommu_mapper_init(&bypass, &stand.driver, 9, VIRTQ_VIRTIO_IOMMU_MAPPER_BYPASS),
        VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_virtio_iommu_mapper_init(&bypass, &stand.driver, 9, 2), VIRTQ_EINVAL);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_domain, a_domain_out_of_the_device_s_range_is_refused)
{
    static const struct {
        uint32_t domain;
        int error;
    } rows[] = {
        {0, VIRTQ_EINVAL}, {1, 0}, {100, 0}, {101, VIRTQ_EINVAL}, {UINT32_MAX, VIRTQ_EINVAL}};
    struct virtq_virtio_iommu_mapper mapper;
    struct stand stand;

    stand_open(&stand, p);
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_eq(virtq_virtio_iommu_mapper_init(&mapper, &stand.driver, rows[i].domain, 0),
                     rows[i].error);
    }
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_domain, attaches_and_detaches)
{
    struct virtq_region range = stand_range(0);
    struct stand stand;

    stand_open(&stand, p);
    cr_assert_eq(stand.device.endpoints[ENDPOINT].domain, (int64_t)DOMAIN);
    cr_assert_eq(virtq_virtio_iommu_mapper_attach(&stand.mapper, 8), VIRTQ_EINVAL);
    cr_assert_eq(virtq_virtio_iommu_mapper_detach(&stand.mapper, 8), VIRTQ_EINVAL);
    cr_assert_eq(virtq_virtio_iommu_mapper_detach(&stand.mapper, 2), VIRTQ_EINVAL);
    cr_assert_eq(stand_map(&stand, &range, 1), 0);
    cr_assert_eq(virtq_virtio_iommu_mapper_detach(&stand.mapper, ENDPOINT), 0);
    cr_assert_eq(stand.device.endpoints[ENDPOINT].domain, (int64_t)REFERENCE_VIOMMU_NOWHERE);
    cr_assert_eq(stand.device.count, 0u);
    cr_assert_eq(stand_map(&stand, &range, 1), VIRTQ_EINVAL, "the domain is gone");
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_domain, a_join_probes_reserves_and_attaches)
{
    static const unsigned char properties[] = {1, 0, 20, 0, 0,    0,    0,    0,   0, 0, 0x10, 0,
                                               0, 0, 0,  0, 0xff, 0x0f, 0x10, 0x0, 0, 0, 0,    0};
    struct virtq_virtio_iommu_region regions[2];
    struct virtq_iova_range ranges[8];
    struct virtq_iova iova;
    struct stand stand;
    unsigned count = 0;
    virtq_addr_t addr = 0;

    stand_open(&stand, p);
    stand.device.properties = properties;
    stand.device.properties_size = sizeof(properties);
    cr_assert_eq(virtq_iova_init(&iova, stand.settings.first, stand.settings.last,
                                 stand.settings.granule, ranges, 8),
                 0);
    cr_assert_eq(virtq_virtio_iommu_mapper_join(&stand.mapper, 5, &iova, regions, 0, &count),
                 VIRTQ_ENOMEM);
    cr_assert_eq(stand.device.endpoints[5].domain, (int64_t)REFERENCE_VIOMMU_NOWHERE);
    cr_assert_eq(virtq_virtio_iommu_mapper_join(&stand.mapper, 5, &iova, regions, 2, &count), 0);
    cr_assert_eq(count, 1u);
    cr_assert_eq(stand.device.endpoints[5].domain, (int64_t)DOMAIN);
    cr_assert_eq(virtq_iova_alloc(&iova, 1, 0, UINT64_MAX, &addr), 0);
    cr_assert_eq(addr, 0x101000u, "the first page is reserved");
    /* An address that is in use cannot be reserved, so the endpoint is not attached. */
    cr_assert_eq(virtq_iova_free(&iova, addr), 0);
    cr_assert_eq(virtq_iova_init(&iova, 0x100000, 0xffffffff, PAGE, ranges, 8), 0);
    cr_assert_eq(virtq_iova_alloc(&iova, 1, 0, UINT64_MAX, &addr), 0);
    cr_assert_eq(virtq_virtio_iommu_mapper_join(&stand.mapper, 6, &iova, regions, 2, &count),
                 VIRTQ_EBUSY);
    cr_assert_eq(stand.device.endpoints[6].domain, (int64_t)REFERENCE_VIOMMU_NOWHERE);
    cr_assert_eq(virtq_virtio_iommu_mapper_join(&stand.mapper, 6, NULL, regions, 2, &count), 0);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_domain, registers_are_mapped_as_such_where_that_is_negotiated)
{
    struct stand stand;

    stand_open(&stand, p);
    cr_assert_eq(virtq_virtio_iommu_mapper_map(&stand.mapper, 0x200000, 0x200fff, 0xfee00000,
                                               VIRTIO_IOMMU_MAP_F_WRITE | VIRTIO_IOMMU_MAP_F_MMIO),
                 0);
    cr_assert_eq(stand.device.mappings[0].flags,
                 VIRTIO_IOMMU_MAP_F_WRITE | VIRTIO_IOMMU_MAP_F_MMIO);
    cr_assert_eq(stand.device.mappings[0].phys, 0xfee00000u);
    cr_assert_eq(virtq_virtio_iommu_mapper_map(&stand.mapper, 0x201000, 0x201fff, 0xfee00000,
                                               VIRTIO_IOMMU_MAP_F_MMIO),
                 VIRTQ_EINVAL, "no access at all");
    cr_assert_eq(virtq_virtio_iommu_mapper_map(&stand.mapper, 0x201000, 0x201fff, 0xfee00000, 8),
                 VIRTQ_EINVAL);
    cr_assert_eq(virtq_virtio_iommu_mapper_map(&stand.mapper, 0x201000, 0x201fff, 0xfee00800, 1),
                 VIRTQ_EINVAL);
    cr_assert_eq(
        virtq_virtio_iommu_mapper_map(&stand.mapper, 0x201000, 0x202fff, ~(uint64_t)0xfff, 1),
        VIRTQ_EINVAL, "a range that wraps");
    stand.driver.settings.features &= ~BIT(MMIO);
    cr_assert_eq(virtq_virtio_iommu_mapper_map(&stand.mapper, 0x201000, 0x201fff, 0xfee00000,
                                               VIRTIO_IOMMU_MAP_F_WRITE | VIRTIO_IOMMU_MAP_F_MMIO),
                 VIRTQ_ENOTSUP);
    cr_assert_eq(stand.device.count, 1u);
    stand_close(&stand);
    pair_close(p);
}

PairTest(iommu_virtio_iommu_domain, m5_an_unmap_covers_several_and_holes_and_splits_none)
{
    struct virtq_region ranges[3];
    struct stand stand;

    stand_open(&stand, p);
    ranges[0] = stand_range(0);
    ranges[1] = stand_range(2);
    ranges[2] = stand_range(4);
    ranges[2].last += PAGE;
    cr_assert_eq(stand_map(&stand, ranges, 3), 0);
    cr_assert_eq(
        virtq_virtio_iommu_mapper_unmap(&stand.mapper, ranges[0].first, ranges[1].last + PAGE), 0);
    cr_assert_eq(stand.device.count, 1u);
    cr_assert_eq(
        virtq_virtio_iommu_mapper_unmap(&stand.mapper, ranges[2].first, ranges[2].last - PAGE),
        VIRTQ_EINVAL, "half of a mapping");
    cr_assert_eq(stand.device.count, 1u);
    cr_assert_eq(stand.device.rule_breaks, 1u);
    stand.device.rule_breaks = 0;
    stand_close(&stand);
    pair_close(p);
}
