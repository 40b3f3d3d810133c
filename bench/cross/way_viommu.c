/* SPDX-License-Identifier: BSD-3-Clause */
/* Each payload is mapped by a request to a virtio-iommu: a notification, and a walk through both of
 * its roles. */
#include "cross/ways.h"

/* Segments that may wait for a flush: two windows' worth. */
enum { LAZY_ENTRIES = 2 * CROSS_WINDOW_MAX };

enum {
    MAGAZINES = 2 * CROSS_QUEUES_MAX * VIRTQ_IOVA_CACHE_MAGAZINES,
    MAPPINGS = CROSS_QUEUES_MAX * (CROSS_WINDOW_MAX + LAZY_ENTRIES + 8),
    RANGES = MAPPINGS + MAGAZINES * VIRTQ_IOVA_MAGAZINE_ROOM
};

/* What the queues share. */
struct books {
    struct virtq_iova_magazine magazines[MAGAZINES];
    struct virtq_iova_range ranges[RANGES];
};

static int open_shared(struct cross_world *world)
{
    const struct viommu_config config = {world->config.format, MAPPINGS, world->config.request_ns};
    struct books *books = world->books = cross_private(sizeof(*books));
    int error = books == NULL ? VIRTQ_ENOMEM : viommu_pair_open(&world->viommu, &config);

    if (error == 0) {
        error = virtq_iova_init(&world->iova, VIOMMU_FIRST, VIOMMU_LAST, CROSS_PAGE, books->ranges,
                                RANGES);
    }
    if (error == 0) {
        error = virtq_iova_depot_init(&world->depot, &world->iova, UINT64_MAX, books->magazines,
                                      MAGAZINES);
    }
    world->device = &world->viommu.endpoint.space;
    return error;
}

static int open_port(struct cross_world *world, unsigned queue, uint32_t policy)
{
    struct virtq_iommu_queue_config config = VIRTQ_IOMMU_QUEUE_CONFIG_INIT;
    struct cross_port *port = world->ports[queue];

    config.depot = &world->depot;
    config.backend = &world->viommu.backend;
    config.policy = policy;
    config.entries = policy == VIRTQ_IOMMU_LAZY ? LAZY_ENTRIES : 0;
    config.memory_size = virtq_iommu_queue_private_size(policy, config.entries);
    if (config.memory_size > 0) {
        config.memory = port->memory = cross_private(config.memory_size);
        if (config.memory == NULL) {
            return VIRTQ_ENOMEM;
        }
    }
    world->driver[queue] = &port->iommu.space;
    return virtq_iommu_queue_init(&port->iommu, &config);
}

static int open_policy(struct cross_world *world, uint32_t policy)
{
    int error = open_shared(world);

    if (error == 0 && !cross_world_open_ports(world)) {
        error = VIRTQ_ENOMEM;
    }
    for (unsigned queue = 0; error == 0 && queue < world->config.queues; queue++) {
        error = open_port(world, queue, policy);
    }
    return error;
}

int cross_viommu_strict_open(struct cross_world *world)
{
    return open_policy(world, VIRTQ_IOMMU_STRICT);
}

int cross_viommu_lazy_open(struct cross_world *world)
{
    return open_policy(world, VIRTQ_IOMMU_LAZY);
}
