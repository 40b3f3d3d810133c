/* SPDX-License-Identifier: BSD-3-Clause */
/* The device reaches what is mapped: each payload for as long as it needs it, or all of them once.
 */
#include <stdlib.h>

#include "cross/ways.h"

/* Segments that may wait for a flush: two windows' worth. */
enum { LAZY_ENTRIES = 2 * CROSS_WINDOW_MAX };

/* What is shared: all the memory, and the ring's areas, which are parts of it. */
enum { PERSISTENT_ENTRIES = 8 };

/* Each queue's magazines for every size, and as many again to swap with. */
enum { MAGAZINES = 2 * CROSS_QUEUES_MAX * VIRTQ_IOVA_CACHE_MAGAZINES };

/* Mappings at a time, those that wait to be flushed among them; addresses that are in magazines
 * count as taken. */
enum {
    MAPPINGS = CROSS_QUEUES_MAX * (CROSS_WINDOW_MAX + LAZY_ENTRIES + PERSISTENT_ENTRIES),
    RANGES = MAPPINGS + MAGAZINES * VIRTQ_IOVA_MAGAZINE_ROOM
};

/* Parts of the range: each queue has one to itself. */
enum { PARTS = 2 * CROSS_QUEUES_MAX };

/* What the queues share, but for the pages themselves. Whole lines first, at the beginning of a
 * line.
 */
struct books {
    struct virtq_iova_home homes[PARTS];
    struct virtq_iova_magazine magazines[MAGAZINES];
    unsigned char mappings[VIRTQ_DOMAIN_SHARDS_SIZE(PARTS, MAPPINGS)];
    struct virtq_iova_range ranges[RANGES];
};

static int open_domain(struct cross_world *world, struct books *books)
{
    struct virtq_domain_config config = VIRTQ_DOMAIN_CONFIG_INIT;

    config.first = CROSS_FIRST;
    config.last = 2 * CROSS_FIRST - 1;
    config.shards = PARTS;
    config.capacity = MAPPINGS;
    config.memory = books->mappings;
    config.memory_size = sizeof(books->mappings);
    return virtq_domain_init_shards(&world->domain, &config);
}

static int open_shared(struct cross_world *world)
{
    struct books *books = world->books = cross_private(sizeof(*books));
    int error;

    if (books == NULL) {
        return VIRTQ_ENOMEM;
    }
    error = open_domain(world, books);
    if (error == 0) {
        error = virtq_iova_init(&world->iova, CROSS_FIRST, 2 * CROSS_FIRST - 1, CROSS_PAGE,
                                books->ranges, RANGES);
    }
    if (error == 0) {
        error = virtq_iova_depot_init(&world->depot, &world->iova, UINT64_MAX, books->magazines,
                                      MAGAZINES);
    }
    if (error == 0) {
        error = virtq_iova_depot_spread(&world->depot, books->homes, PARTS);
    }
    cross_backend_init(&world->backend, &world->domain, world->config.request_ns);
    return error;
}

static int open_port(struct cross_world *world, unsigned queue, uint32_t policy, unsigned entries)
{
    struct virtq_iommu_queue_config config = VIRTQ_IOMMU_QUEUE_CONFIG_INIT;
    struct cross_port *port = world->ports[queue];
    int error;

    config.depot = &world->depot;
    config.backend = &world->backend.backend;
    config.policy = policy;
    config.entries = entries;
    config.memory_size = virtq_iommu_queue_private_size(policy, entries);
    if (config.memory_size > 0) {
        config.memory = port->memory = cross_private(config.memory_size);
        if (config.memory == NULL) {
            return VIRTQ_ENOMEM;
        }
    }
    error = virtq_iommu_queue_init(&port->iommu, &config);
    if (error != 0) {
        return error;
    }
    world->driver[queue] = &port->iommu.space;
    error = virtq_iommu_device_init(&port->device, &world->domain, NULL);
    world->own_device[queue] = &port->device.space;
    if (error != 0) {
        return error;
    }
    if (policy == VIRTQ_IOMMU_PERSISTENT) {
        error = virtq_space_share(world->driver[queue], world->memory, world->size, CROSS_BOTH,
                                  &port->shared);
    }
    return error;
}

static int open_policy(struct cross_world *world, uint32_t policy, unsigned entries)
{
    int error = open_shared(world);

    if (error == 0 && !cross_world_open_ports(world)) {
        error = VIRTQ_ENOMEM;
    }
    for (unsigned queue = 0; error == 0 && queue < world->config.queues; queue++) {
        error = open_port(world, queue, policy, entries);
    }
    return error;
}

int cross_iommu_strict_open(struct cross_world *world)
{
    return open_policy(world, VIRTQ_IOMMU_STRICT, 0);
}

int cross_iommu_strict_batch_open(struct cross_world *world)
{
    return open_policy(world, VIRTQ_IOMMU_STRICT, CROSS_WINDOW_MAX);
}

int cross_iommu_lazy_open(struct cross_world *world)
{
    return open_policy(world, VIRTQ_IOMMU_LAZY, LAZY_ENTRIES);
}

int cross_iommu_persistent_open(struct cross_world *world)
{
    return open_policy(world, VIRTQ_IOMMU_PERSISTENT, PERSISTENT_ENTRIES);
}

void cross_iommu_close(struct cross_world *world)
{
    for (unsigned queue = 0; queue < CROSS_QUEUES_MAX; queue++) {
        struct cross_port *port = world->ports[queue];

        if (port == NULL || port->iommu.depot == NULL) {
            continue;
        }
        if (port->shared != 0) {
            virtq_space_unshare(&port->iommu.space, port->shared, world->size);
        }
        virtq_iommu_queue_destroy(&port->iommu);
        if (port->device.domain != NULL) {
            virtq_iommu_device_destroy(&port->device);
        }
    }
}
