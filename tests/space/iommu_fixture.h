/* SPDX-License-Identifier: BSD-3-Clause */
/* What the iommu tests share: both ends over one domain, and memory to map. */
#ifndef VIRTQ_TESTS_SPACE_IOMMU_FIXTURE_H
#define VIRTQ_TESTS_SPACE_IOMMU_FIXTURE_H

#include "support/runner.h"
#include "support/spaces.h"
#include "virtq/space/iommu.h"

enum { PAGE = 4096, CAPACITY = 64 };

static unsigned char data[16 * PAGE] __attribute__((aligned(4096), unused));

/* Both ends over one domain. */
struct world {
    struct virtq_iova_range ranges[CAPACITY];
    unsigned char mappings[VIRTQ_TREE_SIZE(CAPACITY)];
    unsigned char entries[VIRTQ_TREE_SIZE(CAPACITY)];
    struct virtq_iova iova;
    struct virtq_domain domain;
    struct virtq_iotlb iotlb;
    struct virtq_iommu_backend backend;
    struct virtq_iommu iommu;
    struct virtq_iommu_device device;
};

static inline void world_open(struct world *world, virtq_addr_t first, virtq_addr_t last,
                              int with_iotlb)
{
    struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;

    cr_assert_eq(virtq_iova_init(&world->iova, first, last, PAGE, world->ranges, CAPACITY), 0);
    cr_assert_eq(
        virtq_domain_init(&world->domain, CAPACITY, world->mappings, sizeof(world->mappings)), 0);
    cr_assert_eq(virtq_iotlb_init(&world->iotlb, CAPACITY, world->entries, sizeof(world->entries)),
                 0);
    virtq_domain_backend(&world->domain, &world->backend);
    config.iova = &world->iova;
    config.backend = &world->backend;
    cr_assert_eq(virtq_iommu_init(&world->iommu, &config), 0);
    cr_assert_eq(
        virtq_iommu_device_init(&world->device, &world->domain, with_iotlb ? &world->iotlb : NULL),
        0);
}

static inline struct virtq_space *driver_of(struct world *world)
{
    return &world->iommu.space;
}

static inline struct virtq_space *device_of(struct world *world)
{
    return &world->device.space;
}

#endif
