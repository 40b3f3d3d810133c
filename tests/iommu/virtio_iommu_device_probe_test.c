/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtio-iommu device: PROBE and reserved memory. M5. */
#include "virtio_iommu_device_fixture.h"

enum { RW = VIRTIO_IOMMU_MAP_F_READ | VIRTIO_IOMMU_MAP_F_WRITE };

static const struct virtq_virtio_iommu_resv_mem ranges[] = {
    {0x8000, 0xffff, VIRTIO_IOMMU_RESV_MEM_T_RESERVED},
    {0xfee00000, 0xfeefffff, VIRTIO_IOMMU_RESV_MEM_T_MSI},
};
static const unsigned char value[6] = {1, 2, 3, 4, 5, 6};
static const struct virtq_virtio_iommu_property others[] = {
    {value, 0xabc, sizeof(value)},
    {NULL, 2, 0},
};

/* Endpoint RIG_ID has properties of each kind, the others have none. */
static void open_ranges(struct rig *rig)
{
    struct virtq_virtio_iommu_endpoint_config config = VIRTQ_VIRTIO_IOMMU_ENDPOINT_CONFIG_INIT;

    rig_prepare(rig);
    rig_make(rig);
    config.id = RIG_ID + 1;
    cr_assert_eq(virtq_virtio_iommu_device_add(rig->iommu, &rig->endpoints[1], &config), VIRTQ_OK);
    config.id = RIG_ID;
    config.reserved = ranges;
    config.reserved_count = 2;
    config.properties = others;
    config.property_count = 2;
    cr_assert_eq(virtq_virtio_iommu_device_add(rig->iommu, &rig->endpoints[0], &config), VIRTQ_OK);
}

static unsigned le16_at(const unsigned char *at)
{
    return at[0] | (unsigned)at[1] << 8;
}

static uint64_t le64_at(const unsigned char *at)
{
    uint64_t word = 0;
    unsigned i;

    for (i = 8; i > 0; i--) {
        word = word << 8 | at[i - 1];
    }
    return word;
}

static bool all_zero(const unsigned char *at, size_t count)
{
    size_t i;

    for (i = 0; i < count && at[i] == 0; i++) {
    }
    return i == count;
}

Test(iommu_virtio_iommu_device_probe, properties_are_a_list_each_behind_the_last)
{
    struct rig rig;
    const unsigned char *at = rig.answer;

    open_ranges(&rig);
    cr_assert_eq(rig_probe(&rig, RIG_ID, RIG_PROBE), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig.used, (uint32_t)RIG_PROBE + 4);
    cr_assert_eq(le16_at(at), (unsigned)VIRTIO_IOMMU_PROBE_T_RESV_MEM);
    cr_assert_eq(le16_at(at + 2), 20u, "the value without its header");
    cr_assert_eq(at[4], VIRTIO_IOMMU_RESV_MEM_T_RESERVED);
    cr_assert(all_zero(at + 5, 3));
    cr_assert_eq(le64_at(at + 8), 0x8000u);
    cr_assert_eq(le64_at(at + 16), 0xffffu);
    at += 24;
    cr_assert_eq(le16_at(at), (unsigned)VIRTIO_IOMMU_PROBE_T_RESV_MEM);
    cr_assert_eq(at[4], VIRTIO_IOMMU_RESV_MEM_T_MSI);
    cr_assert_eq(le64_at(at + 8), 0xfee00000u);
    cr_assert_eq(le64_at(at + 16), 0xfeefffffu);
    at += 24;
    cr_assert_eq(le16_at(at), 0xabcu, "reserved bits are 0");
    cr_assert_eq(le16_at(at + 2), 6u);
    cr_assert(memcmp(at + 4, value, 6) == 0);
    at += 10;
    cr_assert_eq(le16_at(at), 2u);
    cr_assert_eq(le16_at(at + 2), 0u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_probe, what_properties_leave_is_filled_with_zeroes)
{
    struct rig rig;

    open_ranges(&rig);
    cr_assert_eq(rig_probe(&rig, RIG_ID, RIG_PROBE), VIRTIO_IOMMU_S_OK);
    cr_assert(all_zero(rig.answer + 62, RIG_PROBE - 62));
    cr_assert_eq(rig_probe(&rig, RIG_ID + 1, RIG_PROBE), VIRTIO_IOMMU_S_OK);
    cr_assert(all_zero(rig.answer, RIG_PROBE), "none at all");
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_probe, reserved_fields_of_properties_are_zero)
{
    struct rig rig;

    open_ranges(&rig);
    cr_assert_eq(rig_probe(&rig, RIG_ID, RIG_PROBE), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(le16_at(rig.answer) >> 12, 0u);
    cr_assert_eq(le16_at(rig.answer + 48) >> 12, 0u);
    cr_assert(all_zero(rig.answer + 5, 3));
    cr_assert(all_zero(rig.answer + 24 + 5, 3));
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_probe, reserved_bytes_of_the_request_are_ignored)
{
    struct virtio_iommu_req_probe request;
    struct rig rig;

    open_ranges(&rig);
    memset(&request, 0xff, sizeof(request));
    request.head.type = VIRTIO_IOMMU_T_PROBE;
    request.endpoint = rig_le32(RIG_ID);
    cr_assert_eq(rig_send(&rig, &request, sizeof(request), RIG_PROBE + 4), VIRTIO_IOMMU_S_OK);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_probe, probe_of_no_endpoint_finds_nothing)
{
    struct rig rig;

    open_ranges(&rig);
    cr_assert_eq(rig_probe(&rig, 99, RIG_PROBE), VIRTIO_IOMMU_S_NOENT);
    cr_assert_eq(rig.used, (uint32_t)RIG_PROBE + 4, "the tail is where it belongs");
    cr_assert(all_zero(rig.answer, RIG_PROBE));
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_probe, probe_that_is_not_offered_is_not_written)
{
    struct rig rig;

    rig_prepare(&rig);
    rig.config.features &= ~(1ull << VIRTIO_IOMMU_F_PROBE);
    rig_start(&rig);
    cr_assert_eq(rig_probe(&rig, RIG_ID, RIG_PROBE), -1);
    cr_assert_eq(rig.used, 0u);
    cr_assert_eq(rig.answer[0], 0xeeu);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_probe, too_little_room_gets_no_property)
{
    struct rig rig;
    uint32_t room;

    open_ranges(&rig);
    for (room = 0; room < RIG_PROBE; room++) {
        cr_assert_eq(rig_probe(&rig, RIG_ID, room), VIRTIO_IOMMU_S_INVAL);
        cr_assert_eq(rig.used, room + 4);
        cr_assert(all_zero(rig.answer, room));
    }
    cr_assert_eq(rig_probe(&rig, RIG_ID, RIG_PROBE + 9), VIRTIO_IOMMU_S_OK, "more is no harm");
    cr_assert_eq(rig.used, (uint32_t)RIG_PROBE + 4);
    rig_close(&rig);
}

static int add(struct rig *rig, const struct virtq_virtio_iommu_resv_mem *reserved, uint32_t count)
{
    struct virtq_virtio_iommu_endpoint_config config = VIRTQ_VIRTIO_IOMMU_ENDPOINT_CONFIG_INIT;

    config.id = 70;
    config.reserved = reserved;
    config.reserved_count = count;
    return virtq_virtio_iommu_device_add(rig->iommu, &rig->endpoints[2], &config);
}

Test(iommu_virtio_iommu_device_probe, an_endpoint_has_at_most_one_doorbell)
{
    const struct virtq_virtio_iommu_resv_mem two[] = {
        {0x1000, 0x1fff, VIRTIO_IOMMU_RESV_MEM_T_MSI},
        {0x3000, 0x3fff, VIRTIO_IOMMU_RESV_MEM_T_MSI},
    };
    const struct virtq_virtio_iommu_resv_mem unknown = {0x1000, 0x1fff, 2};
    struct rig rig;

    open_ranges(&rig);
    cr_assert_eq(add(&rig, two, 2), VIRTQ_EINVAL);
    cr_assert_eq(add(&rig, &unknown, 1), VIRTQ_EINVAL);
    cr_assert_eq(add(&rig, two, 1), VIRTQ_OK);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_probe, reserved_ranges_do_not_overlap)
{
    const struct virtq_virtio_iommu_resv_mem overlap[] = {{0x1000, 0x1fff, 0}, {0x1fff, 0x2fff, 0}};
    const struct virtq_virtio_iommu_resv_mem disorder[] = {{0x2000, 0x2fff, 0}, {0x0, 0xfff, 0}};
    const struct virtq_virtio_iommu_resv_mem inverted[] = {{0x2000, 0x1fff, 0}};
    struct rig rig;

    open_ranges(&rig);
    cr_assert_eq(add(&rig, overlap, 2), VIRTQ_EINVAL);
    cr_assert_eq(add(&rig, disorder, 2), VIRTQ_EINVAL);
    cr_assert_eq(add(&rig, inverted, 1), VIRTQ_EINVAL);
    cr_assert_eq(rig_usage(&rig).endpoints, 2u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_probe, more_properties_than_fit_are_refused)
{
    static const unsigned char big[RIG_PROBE];
    struct virtq_virtio_iommu_property property = {big, 5, RIG_PROBE - 3};
    struct virtq_virtio_iommu_endpoint_config config = VIRTQ_VIRTIO_IOMMU_ENDPOINT_CONFIG_INIT;
    struct rig rig;

    open_ranges(&rig);
    config.id = 70;
    config.properties = &property;
    config.property_count = 1;
    cr_assert_eq(virtq_virtio_iommu_device_add(rig.iommu, &rig.endpoints[2], &config),
                 VIRTQ_ETOOBIG);
    property.length--;
    property.type = 0x1000;
    cr_assert_eq(virtq_virtio_iommu_device_add(rig.iommu, &rig.endpoints[2], &config), VIRTQ_EINVAL,
                 "12 bits");
    property.type = VIRTIO_IOMMU_PROBE_T_RESV_MEM;
    cr_assert_eq(virtq_virtio_iommu_device_add(rig.iommu, &rig.endpoints[2], &config), VIRTQ_EINVAL,
                 "has a list of its own");
    property.type = 5;
    cr_assert_eq(virtq_virtio_iommu_device_add(rig.iommu, &rig.endpoints[2], &config), VIRTQ_OK);
    cr_assert_eq(rig_probe(&rig, 70, RIG_PROBE), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(le16_at(rig.answer + 2), RIG_PROBE - 4u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_probe, map_over_reserved_memory_is_invalid)
{
    struct rig rig;

    open_ranges(&rig);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID + 1), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, 1, 0x7000, 0x8fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_INVAL);
    cr_assert_eq(rig_map(&rig, 1, 0xf000, 0xffff, RIG_PHYS, RW), VIRTIO_IOMMU_S_INVAL);
    cr_assert_eq(rig_map(&rig, 1, 0xfee00000, 0xfee00fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_INVAL);
    cr_assert_eq(rig_map(&rig, 1, 0x7000, 0x7fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, 1, 0x10000, 0x10fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_probe, attach_of_an_incompatible_endpoint_is_unsupported)
{
    struct rig rig;

    open_ranges(&rig);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID + 1), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, 1, 0x9000, 0x9fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_UNSUPP,
                 "the domain maps what the endpoint reserves");
    cr_assert_null(rig.endpoints[0].domain);
    cr_assert_eq(rig_unmap(&rig, 1, 0x9000, 0x9fff), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK, "and now it does not");
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_probe, reserved_memory_is_reached_by_nobody)
{
    struct rig rig;
    struct virtq_virtio_iommu_mapping mapping = {0, 0, 0, 0};

    rig_prepare(&rig);
    free(rig.memory);
    rig.memory = calloc(1, 0x20000);
    rig.region = (struct virtq_region){0, 0x1ffff, rig.memory, RIG_BOTH};
    cr_assert_eq(virtq_direct_init_regions(&rig.direct, &rig.region, 1), VIRTQ_OK);
    rig_make(&rig);
    cr_assert_eq(add(&rig, ranges, 2), VIRTQ_OK);
    cr_assert_eq(rig_attach_with(&rig, 1, 70, VIRTIO_IOMMU_ATTACH_F_BYPASS), VIRTIO_IOMMU_S_OK);
    cr_assert(rig_reach(&rig, 2, 0x7fff, RIG_READ) == rig.memory + 0x7fff);
    cr_assert_null(rig_reach(&rig, 2, 0x8000, RIG_READ), "also in bypass mode");
    cr_assert_null(rig_reach(&rig, 2, 0xffff, RIG_WRITE));
    cr_assert(rig_reach(&rig, 2, 0x10000, RIG_READ) == rig.memory + 0x10000);
    cr_assert_eq(
        virtq_virtio_iommu_endpoint_translate(&rig.endpoints[2], 0x12345, RIG_READ, &mapping),
        VIRTQ_OK);
    cr_assert_eq(mapping.first, 0x10000u);
    cr_assert_eq(mapping.last, 0xfedfffffu);
    cr_assert_eq(
        virtq_virtio_iommu_endpoint_translate(&rig.endpoints[2], 0xfee01000, RIG_WRITE, &mapping),
        VIRTQ_EFAULT);
    rig_close(&rig);
}
