/* SPDX-License-Identifier: BSD-3-Clause */
/* The device reaches what is mapped: each payload for as long as it needs it, or all of them once.
 */
#include "cross/ways.h"

/* Each queue has three areas beside its buffers; and all of the memory is one. */
enum { MAPPINGS = CROSS_QUEUES_MAX * (CROSS_WINDOW_MAX + 4) + 1 };

struct books {
    unsigned char mappings[VIRTQ_TREE_SIZE(MAPPINGS)];
    struct virtq_iova_range ranges[MAPPINGS];
};

int cross_iommu_strict_open(struct cross_world *world)
{
    struct books *books = world->books = cross_private(sizeof(*books));
    struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;
    int error;

    if (books == NULL) {
        return VIRTQ_ENOMEM;
    }
    error = virtq_domain_init(&world->domain, MAPPINGS, books->mappings, sizeof(books->mappings));
    if (error == 0) {
        error = virtq_iova_init(&world->iova, CROSS_FIRST, 2 * CROSS_FIRST - 1, CROSS_PAGE,
                                books->ranges, MAPPINGS);
    }
    cross_backend_init(&world->backend, &world->domain, world->config.request_ns);
    config.iova = &world->iova;
    config.backend = &world->backend.backend;
    if (error == 0) {
        error = virtq_iommu_init(&world->iommu, &config);
    }
    if (error == 0) {
        error = virtq_iommu_device_init(&world->iommu_device, &world->domain, NULL);
    }
    cross_world_use(world, &world->iommu.space);
    world->device = &world->iommu_device.space;
    return error;
}

int cross_iommu_persistent_open(struct cross_world *world)
{
    int error = cross_iommu_strict_open(world);

    if (error != 0) {
        return error;
    }
    virtq_premapped_init(&world->premapped, &world->iommu.space);
    cross_world_use(world, &world->premapped.space);
    return virtq_space_share(&world->iommu.space, world->memory, world->size, CROSS_BOTH,
                             &world->first);
}

void cross_iommu_close(struct cross_world *world)
{
    if (world->iommu_device.domain != NULL) {
        virtq_iommu_device_destroy(&world->iommu_device);
    }
}
