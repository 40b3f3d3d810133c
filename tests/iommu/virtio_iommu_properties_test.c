/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver reads an endpoint's properties: what must be taken, and what must be refused. */
#include "virtq/iommu/virtio_iommu_properties.h"

#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "runner.h"

enum { PROPERTIES = 256, ROOM = 8 };

struct list {
    unsigned char bytes[PROPERTIES];
    unsigned used;
};

static void put(struct list *list, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++) {
        list->bytes[list->used++] = (unsigned char)(value >> (8 * i));
    }
}

static void put_header(struct list *list, unsigned type, unsigned length)
{
    put(list, 2, type);
    put(list, 2, length);
}

static void put_reserved(struct list *list, unsigned subtype, uint64_t first, uint64_t last)
{
    put_header(list, 1, 20);
    put(list, 4, subtype);
    put(list, 8, first);
    put(list, 8, last);
}

/* In memory that ends where the list does, so that a byte read beyond is noticed. */
static int parse(const struct list *list, size_t size, struct virtq_virtio_iommu_region *regions,
                 unsigned capacity, unsigned *count)
{
    unsigned char *copy = malloc(size + 1);
    int error;

    cr_assert_not_null(copy);
    memcpy(copy + 1, list->bytes, size); /* Of no alignment, too. */
    error = virtq_virtio_iommu_properties_read(copy + 1, size, regions, capacity, count);
    free(copy);
    return error;
}

Test(iommu_virtio_iommu_properties, an_empty_list_reserves_nothing)
{
    struct virtq_virtio_iommu_region regions[ROOM];
    struct list list = {{0}, 0};

    for (unsigned size = 0; size <= PROPERTIES; size++) {
        unsigned count = 99;

        cr_assert_eq(parse(&list, size, regions, ROOM, &count), 0);
        cr_assert_eq(count, 0u);
    }
}

Test(iommu_virtio_iommu_properties, m5_both_kinds_of_reserved_memory_are_read)
{
    struct virtq_virtio_iommu_region regions[ROOM];
    struct list list = {{0}, 0};
    unsigned count = 0;

    put_reserved(&list, 0, 0x1000, 0x1fff);
    put_reserved(&list, 1, 0xfee00000, 0xfeefffff);
    put_reserved(&list, 0, 0xfffffffffffff000, UINT64_MAX);
    cr_assert_eq(parse(&list, PROPERTIES, regions, ROOM, &count), 0);
    cr_assert_eq(count, 3u);
    cr_assert(regions[0].first == 0x1000 && regions[0].last == 0x1fff && regions[0].msi == 0);
    cr_assert(regions[1].first == 0xfee00000 && regions[1].last == 0xfeefffff);
    cr_assert_eq(regions[1].msi, 1u);
    cr_assert(regions[2].first == 0xfffffffffffff000 && regions[2].last == UINT64_MAX);
    /* The list may also just end. */
    count = 0;
    cr_assert_eq(parse(&list, list.used, regions, ROOM, &count), 0);
    cr_assert_eq(count, 3u);
}

Test(iommu_virtio_iommu_properties, an_unknown_subtype_counts_as_reserved_and_reserved_is_ignored)
{
    struct virtq_virtio_iommu_region regions[ROOM];
    struct list list = {{0}, 0};
    unsigned count = 0;

    put_reserved(&list, 0xffffff00u | 77, 5, 6);
    put_reserved(&list, 0xffffff01u, 7, 8);
    cr_assert_eq(parse(&list, PROPERTIES, regions, ROOM, &count), 0);
    cr_assert_eq(count, 2u);
    cr_assert_eq(regions[0].msi, 0u);
    cr_assert_eq(regions[1].msi, 1u);
}

Test(iommu_virtio_iommu_properties, unknown_types_and_those_with_reserved_bits_are_passed_over)
{
    struct virtq_virtio_iommu_region regions[ROOM];
    struct list list = {{0}, 0};
    unsigned count = 0;

    put_header(&list, 2, 0);
    put_header(&list, 0xfff, 3);
    put(&list, 3, 0x010101);
    put_header(&list, 0x1001, 20); /* RESV_MEM but for a reserved bit */
    list.used += 20;
    put_header(&list, 0x8000, 1); /* no type, but not the end either */
    put(&list, 1, 1);
    put_reserved(&list, 0, 1, 2);
    put_header(&list, 0, 0);
    put_reserved(&list, 0, 3, 4); /* behind the end */
    cr_assert_eq(parse(&list, PROPERTIES, regions, ROOM, &count), 0);
    cr_assert_eq(count, 1u);
    cr_assert(regions[0].first == 1 && regions[0].last == 2);
}

Test(iommu_virtio_iommu_properties, the_length_is_the_device_s_and_not_deduced_from_the_type)
{
    struct virtq_virtio_iommu_region regions[ROOM];
    struct list list = {{0}, 0};
    unsigned count = 0;

    /* A RESV_MEM of a later specification: longer. */
    put_header(&list, 1, 28);
    put(&list, 4, 0);
    put(&list, 8, 1);
    put(&list, 8, 2);
    put(&list, 8, UINT64_MAX);
    put_reserved(&list, 0, 3, 4);
    cr_assert_eq(parse(&list, PROPERTIES, regions, ROOM, &count), 0);
    cr_assert_eq(count, 2u);
    cr_assert_eq(regions[1].first, 3u);
}

Test(iommu_virtio_iommu_properties, what_is_malformed_is_refused)
{
    struct virtq_virtio_iommu_region regions[ROOM];
    struct list list = {{0}, 0};
    unsigned count = 99;

    put_reserved(&list, 0, 2, 1);
    cr_assert_eq(parse(&list, PROPERTIES, regions, ROOM, &count), VIRTQ_EPEER, "inverted");
    list.used = 0;
    put_header(&list, 1, 19);
    cr_assert_eq(parse(&list, PROPERTIES, regions, ROOM, &count), VIRTQ_EPEER, "too short");
    list.used = 0;
    put_header(&list, 7, 0xffff);
    cr_assert_eq(parse(&list, PROPERTIES, regions, ROOM, &count), VIRTQ_EPEER, "overruns");
    list.used = 0;
    put_reserved(&list, 0, 1, 2);
    for (unsigned size = 4; size < 24; size++) {
        cr_assert_eq(parse(&list, size, regions, ROOM, &count), VIRTQ_EPEER, "%u bytes", size);
    }
    cr_assert_eq(count, 99u);
}

Test(iommu_virtio_iommu_properties, more_regions_than_there_is_room_for_are_counted)
{
    struct virtq_virtio_iommu_region regions[ROOM];
    struct list list = {{0}, 0};
    unsigned count = 0;

    for (unsigned i = 0; i < 5; i++) {
        put_reserved(&list, 0, i, i);
    }
    memset(regions, 0xff, sizeof(regions));
    cr_assert_eq(parse(&list, PROPERTIES, regions, 4, &count), VIRTQ_ENOMEM);
    cr_assert_eq(count, 5u);
    cr_assert_eq(regions[3].first, 3u);
    cr_assert_eq(regions[4].first, UINT64_MAX, "nothing beyond the caller's room");
    count = 0;
    cr_assert_eq(parse(&list, PROPERTIES, NULL, 0, &count), 0);
    cr_assert_eq(count, 5u);
}

Test(iommu_virtio_iommu_properties, random_lists_are_taken_or_refused_and_never_overrun)
{
    struct virtq_virtio_iommu_region regions[ROOM];
    uint64_t seed = 4;
    unsigned taken = 0;

    for (unsigned round = 0; round < 20000; round++) {
        struct list list = {{0}, 0};
        unsigned count = 0;
        size_t size = random_below(&seed, PROPERTIES + 1);
        int error;

        for (unsigned i = 0; i < PROPERTIES; i++) {
            /* Small numbers are types and lengths that mean something. */
            list.bytes[i] = (unsigned char)(random_next(&seed) & (i % 2 == 0 ? 0x1f : 0x01));
        }
        error = parse(&list, size, regions, ROOM, &count);
        cr_assert(error == 0 || error == VIRTQ_EPEER || error == VIRTQ_ENOMEM, "round %u", round);
        for (unsigned i = 0; error == 0 && i < count; i++) {
            cr_assert_leq(regions[i].first, regions[i].last);
        }
        taken += error == 0 && count > 0;
    }
    cr_assert_gt(taken, 0u, "some lists had regions");
}

Test(iommu_virtio_iommu_properties, m5_reserved_regions_are_never_handed_out)
{
    static const struct virtq_virtio_iommu_region regions[] = {
        {0x2000, 0x2fff, 0, 0}, {0x4800, 0x5001, 1, 0}, {0x100000000, UINT64_MAX, 0, 0}};
    struct virtq_iova_range ranges[32];
    struct virtq_iova iova;
    virtq_addr_t addr;
    unsigned handed = 0;

    cr_assert_eq(virtq_iova_init(&iova, 0x1000, 0x8fff, 0x1000, ranges, 32), 0);
    cr_assert_eq(virtq_virtio_iommu_properties_reserve(regions, 3, &iova), 0);
    while (virtq_iova_alloc(&iova, 1, 0, UINT64_MAX, &addr) == 0) {
        cr_assert(addr != 0x2000 && addr != 0x4000 && addr != 0x5000);
        handed++;
    }
    cr_assert_eq(handed, 5u);
    cr_assert_eq(virtq_virtio_iommu_properties_reserve(regions, 0, &iova), 0);
    cr_assert_eq(virtq_virtio_iommu_properties_reserve(
                     &(const struct virtq_virtio_iommu_region){0x1000, 0x1000, 0, 0}, 1, &iova),
                 VIRTQ_EBUSY);
}
