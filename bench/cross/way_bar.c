/* SPDX-License-Identifier: BSD-3-Clause */
/* The device reaches a region of its own: payload is staged there, with the copies that the
 * region's memory takes. */
#include <virtq/copy_streaming.h>

#include "cross/ways.h"

static int open_region(struct cross_world *world, uint32_t memory)
{
    size_t private_size = virtq_bar_private_size(world->size, CROSS_GRANULE);
    struct virtq_bar_config config = VIRTQ_BAR_CONFIG_INIT;
    int error;

    config.base = world->memory;
    config.size = world->size;
    config.permissions = CROSS_BOTH;
    config.memory = memory;
    world->books = cross_private(private_size);
    world->device = &world->bar.space;
    if (world->books == NULL) {
        return VIRTQ_ENOMEM;
    }
    error = virtq_bar_init_config(&world->bar, &config);
    return error != 0 ? error
                      : virtq_bar_manage(&world->bar, CROSS_GRANULE, world->books, private_size);
}

/* Each queue keeps slots of its own. */
static int open_stages(struct cross_world *world, uint32_t memory, const struct virtq_copy *copy)
{
    int error = open_region(world, memory);

    if (error == 0 && !cross_world_open_ports(world)) {
        error = VIRTQ_ENOMEM;
    }
    for (unsigned queue = 0; error == 0 && queue < world->config.queues; queue++) {
        struct virtq_bar_stage_config config = VIRTQ_BAR_STAGE_CONFIG_INIT;
        struct cross_port *port = world->ports[queue];

        config.bar = &world->bar;
        config.copy = *copy;
        config.classes = cross_classes(world->config.bytes);
        config.depth = world->window;
        config.memory_size = virtq_bar_stage_private_size(&config);
        config.memory = port->memory = cross_private(config.memory_size);
        error = config.memory == NULL ? VIRTQ_ENOMEM : virtq_bar_stage_init(&port->stage, &config);
        world->driver[queue] = &port->stage.space;
    }
    return error;
}

int cross_bar_cacheable_open(struct cross_world *world)
{
    struct virtq_copy plain = {NULL, NULL, NULL, NULL, NULL};

    return open_stages(world, VIRTQ_BAR_CACHEABLE, &plain);
}

/* The memory here is as any other; the accesses are those that write-combining memory is best
 * served with. */
int cross_bar_write_combining_open(struct cross_world *world)
{
    struct virtq_copy streaming;

    virtq_copy_streaming(&streaming);
    return open_stages(world, VIRTQ_BAR_WRITE_COMBINING, &streaming);
}
