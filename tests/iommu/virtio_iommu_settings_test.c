/* SPDX-License-Identifier: BSD-3-Clause */
/* Which features the driver accepts, and what it makes of the device's configuration. */
#include "virtq/iommu/virtio_iommu_settings.h"

#include <string.h>

#include "runner.h"
#include "virtq/feature.h"
#include "virtq/iommu/virtio_iommu.h"

#define BIT(name) VIRTQ_FEATURE(VIRTIO_IOMMU_F_##name)
#define ALL                                                                           \
    (BIT(INPUT_RANGE) | BIT(DOMAIN_RANGE) | BIT(MAP_UNMAP) | BIT(PROBE) | BIT(MMIO) | \
     BIT(BYPASS_CONFIG))

/* The bytes as the specification lays them out, little-endian, whatever this processor is. */
static void put(unsigned char *bytes, unsigned at, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++) {
        bytes[at + i] = (unsigned char)(value >> (8 * i));
    }
}

static void fill(unsigned char bytes[40])
{
    memset(bytes, 0, 40);
    put(bytes, 0, 8, 0x40201000);
    put(bytes, 8, 8, 0x100000);
    put(bytes, 16, 8, 0xffffffffff);
    put(bytes, 24, 4, 3);
    put(bytes, 28, 4, 0x10000);
    put(bytes, 32, 4, 512);
    put(bytes, 36, 1, 1);
}

Test(iommu_virtio_iommu_settings, accepts_the_ranges_and_probe_when_they_are_offered)
{
    cr_assert_eq(virtq_virtio_iommu_settings_accept(ALL, 0), ALL);
    cr_assert_eq(virtq_virtio_iommu_settings_accept(BIT(MAP_UNMAP), 0), BIT(MAP_UNMAP));
    cr_assert_eq(virtq_virtio_iommu_settings_accept(BIT(MAP_UNMAP) | BIT(PROBE), 0),
                 BIT(MAP_UNMAP) | BIT(PROBE));
    /* What belongs to the transport is for others to accept. */
    cr_assert_eq(virtq_virtio_iommu_settings_accept(~(uint64_t)0, VIRTQ_VIRTIO_IOMMU_ACCEPT_BYPASS),
                 ALL);
}

Test(iommu_virtio_iommu_settings, gives_up_a_device_without_map_and_unmap)
{
    struct virtq_virtio_iommu_settings settings;
    unsigned char bytes[40];

    fill(bytes);
    cr_assert_eq(virtq_virtio_iommu_settings_accept(ALL & ~BIT(MAP_UNMAP), 0), 0u);
    cr_assert_eq(virtq_virtio_iommu_settings_read(&settings, bytes, 40, ALL & ~BIT(MAP_UNMAP)),
                 VIRTQ_ENOTSUP);
}

Test(iommu_virtio_iommu_settings, bypass_is_accepted_only_on_request_and_without_its_successor)
{
    const uint64_t old = BIT(MAP_UNMAP) | BIT(BYPASS);

    cr_assert_eq(virtq_virtio_iommu_settings_accept(old, 0), BIT(MAP_UNMAP));
    cr_assert_eq(virtq_virtio_iommu_settings_accept(old, VIRTQ_VIRTIO_IOMMU_ACCEPT_BYPASS), old);
    cr_assert_eq(virtq_virtio_iommu_settings_accept(old | BIT(BYPASS_CONFIG),
                                                    VIRTQ_VIRTIO_IOMMU_ACCEPT_BYPASS),
                 BIT(MAP_UNMAP) | BIT(BYPASS_CONFIG));
}

Test(iommu_virtio_iommu_settings, reads_each_field_at_its_place)
{
    struct virtq_virtio_iommu_settings settings;
    unsigned char bytes[41];

    fill(bytes + 1); /* Of no alignment. */
    cr_assert_eq(virtq_virtio_iommu_settings_read(&settings, bytes + 1, 40, ALL), 0);
    cr_assert_eq(settings.features, ALL);
    cr_assert_eq(settings.page_sizes, 0x40201000u);
    cr_assert_eq(settings.granule, 0x1000u);
    cr_assert_eq(settings.first, 0x100000u);
    cr_assert_eq(settings.last, 0xffffffffffu);
    cr_assert_eq(settings.domain_first, 3u);
    cr_assert_eq(settings.domain_last, 0x10000u);
    cr_assert_eq(settings.probe_size, 512u);
    cr_assert_eq(settings.bypass, 1u);
}

Test(iommu_virtio_iommu_settings, fields_without_their_feature_are_not_read)
{
    struct virtq_virtio_iommu_settings settings;
    unsigned char bytes[40];

    memset(bytes, 0xff, sizeof(bytes));
    put(bytes, 0, 8, 1);
    cr_assert_eq(virtq_virtio_iommu_settings_read(&settings, bytes, 40, BIT(MAP_UNMAP)), 0);
    cr_assert_eq(settings.granule, 1u);
    cr_assert_eq(settings.first, 0u);
    cr_assert_eq(settings.last, UINT64_MAX);
    cr_assert_eq(settings.domain_first, 0u);
    cr_assert_eq(settings.domain_last, UINT32_MAX);
    cr_assert_eq(settings.probe_size, 0u);
    cr_assert_eq(settings.bypass, 0u);
    cr_assert_eq(virtq_virtio_iommu_settings_read(&settings, bytes, 8, BIT(MAP_UNMAP)), 0);
    cr_assert_eq(
        virtq_virtio_iommu_settings_read(&settings, bytes, 8, BIT(MAP_UNMAP) | BIT(BYPASS)), 0);
    cr_assert_eq(settings.bypass, 1u);
}

Test(iommu_virtio_iommu_settings, bits_1_to_7_of_bypass_are_ignored)
{
    struct virtq_virtio_iommu_settings settings;
    unsigned char bytes[40];

    fill(bytes);
    bytes[36] = 0xfe;
    cr_assert_eq(virtq_virtio_iommu_settings_read(&settings, bytes, 40, ALL), 0);
    cr_assert_eq(settings.bypass, 0u);
    bytes[36] = 0xff;
    cr_assert_eq(virtq_virtio_iommu_settings_read(&settings, bytes, 40, ALL), 0);
    cr_assert_eq(settings.bypass, 1u);
}

Test(iommu_virtio_iommu_settings, refuses_what_is_too_short_for_its_features)
{
    static const struct {
        uint64_t features;
        size_t size;
    } rows[] = {{0, 8},           {BIT(INPUT_RANGE), 24},   {BIT(DOMAIN_RANGE), 32},
                {BIT(PROBE), 36}, {BIT(BYPASS_CONFIG), 37}, {ALL, 37}};
    struct virtq_virtio_iommu_settings settings;
    unsigned char bytes[40];

    fill(bytes);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const uint64_t features = rows[i].features | BIT(MAP_UNMAP);

        cr_assert_eq(virtq_virtio_iommu_settings_read(&settings, bytes, rows[i].size - 1, features),
                     VIRTQ_EINVAL, "row %u", i);
        cr_assert_eq(virtq_virtio_iommu_settings_read(&settings, bytes, rows[i].size, features), 0,
                     "row %u", i);
    }
}

Test(iommu_virtio_iommu_settings, refuses_limits_that_make_no_sense_and_leaves_the_result)
{
    static const struct {
        unsigned at;
        unsigned width;
        uint64_t value;
        int error;
    } rows[] = {{0, 8, 0, VIRTQ_EINVAL},             /* no page size */
                {8, 8, 0x10000000000, VIRTQ_EINVAL}, /* start above end */
                {16, 8, 0x100ffe, VIRTQ_EINVAL},     /* not one whole page */
                {8, 8, 0xfffffff001, VIRTQ_EINVAL},  /* nor here */
                {24, 4, 0x10001, VIRTQ_EINVAL},      /* no domain */
                {32, 4, VIRTQ_VIRTIO_IOMMU_PROBE_MAX + 1, VIRTQ_ETOOBIG},
                {32, 4, UINT32_MAX, VIRTQ_ETOOBIG},
                {16, 8, 0x100fff, 0},
                {16, 8, UINT64_MAX, 0},
                {8, 8, 0xfffffff000, 0},
                {24, 4, 0x10000, 0},
                {32, 4, VIRTQ_VIRTIO_IOMMU_PROBE_MAX, 0}};
    unsigned char bytes[40];

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct virtq_virtio_iommu_settings settings = {.features = 99};

        fill(bytes);
        put(bytes, rows[i].at, rows[i].width, rows[i].value);
        cr_assert_eq(virtq_virtio_iommu_settings_read(&settings, bytes, 40, ALL), rows[i].error,
                     "row %u", i);
        cr_assert(rows[i].error == 0 || settings.features == 99, "row %u", i);
    }
}
