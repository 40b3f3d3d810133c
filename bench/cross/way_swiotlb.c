/* SPDX-License-Identifier: BSD-3-Clause */
/* The device reaches a pool: payload is copied into a slot of it, of a buffer's own or one that is
 * kept. */
#include "cross/ways.h"

static int open_pool(struct cross_world *world)
{
    struct virtq_swiotlb_config config = VIRTQ_SWIOTLB_CONFIG_INIT;

    config.pool = world->memory;
    config.pool_size = world->size;
    config.addr = CROSS_FIRST;
    config.granule = CROSS_GRANULE;
    config.memory_size = virtq_swiotlb_private_size(world->size, CROSS_GRANULE);
    config.memory = world->books = cross_private(config.memory_size);
    if (world->books == NULL) {
        return VIRTQ_ENOMEM;
    }
    world->device = &world->swiotlb.space;
    return virtq_swiotlb_init(&world->swiotlb, &config);
}

int cross_swiotlb_dynamic_open(struct cross_world *world)
{
    int error = open_pool(world);

    if (error == 0 && !cross_world_open_ports(world)) {
        error = VIRTQ_ENOMEM;
    }
    for (unsigned queue = 0; error == 0 && queue < world->config.queues; queue++) {
        struct virtq_swiotlb_queue_config config = VIRTQ_SWIOTLB_QUEUE_CONFIG_INIT;
        struct cross_port *port = world->ports[queue];

        config.pool = &world->swiotlb;
        config.classes = cross_classes(world->config.bytes);
        config.depth = world->window;
        config.memory_size = virtq_swiotlb_queue_private_size(&config);
        config.memory = port->memory = cross_private(config.memory_size);
        error = config.memory == NULL ? VIRTQ_ENOMEM
                                      : virtq_swiotlb_queue_init(&port->swiotlb, &config);
        world->driver[queue] = &port->swiotlb.space;
    }
    return error;
}

int cross_swiotlb_group_open(struct cross_world *world)
{
    int error = open_pool(world);

    virtq_swiotlb_group_init(&world->swiotlb_group);
    world->device = &world->swiotlb_group.space;
    if (error == 0) {
        error = virtq_swiotlb_group_add(&world->swiotlb_group, &world->swiotlb);
    }
    if (error == 0 && !cross_world_open_ports(world)) {
        error = VIRTQ_ENOMEM;
    }
    for (unsigned queue = 0; error == 0 && queue < world->config.queues; queue++) {
        struct virtq_swiotlb_group_queue_config config = VIRTQ_SWIOTLB_GROUP_QUEUE_CONFIG_INIT;
        struct cross_port *port = world->ports[queue];

        config.group = &world->swiotlb_group;
        config.pools = 1;
        config.classes = cross_classes(world->config.bytes);
        config.depth = world->window;
        config.memory_size = virtq_swiotlb_group_queue_private_size(&config);
        config.memory = port->memory = cross_private(config.memory_size);
        error = config.memory == NULL
                    ? VIRTQ_ENOMEM
                    : virtq_swiotlb_group_queue_init(&port->swiotlb_group, &config);
        world->driver[queue] = &port->swiotlb_group.space;
    }
    return error;
}

int cross_swiotlb_persistent_open(struct cross_world *world)
{
    int error = open_pool(world);

    /* The pool is the device's from the beginning: there is nothing to share. */
    virtq_premapped_init(&world->premapped, &world->swiotlb.space);
    cross_world_use(world, &world->premapped.space);
    world->first = CROSS_FIRST;
    return error;
}
