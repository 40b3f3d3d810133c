/* SPDX-License-Identifier: BSD-3-Clause */
/* The device reaches a region of its own: payload is staged there, with the copies that the
 * region's memory takes. */
#include <virtq/copy_streaming.h>

#include "cross/ways.h"

static int open_stage(struct cross_world *world, uint32_t memory, const struct virtq_copy *copy)
{
    size_t private_size = virtq_bar_private_size(world->size, CROSS_GRANULE);
    struct virtq_bar_config config = VIRTQ_BAR_CONFIG_INIT;
    struct virtq_bar_stage_config stage = VIRTQ_BAR_STAGE_CONFIG_INIT;
    int error;

    config.base = world->memory;
    config.size = world->size;
    config.permissions = CROSS_BOTH;
    config.memory = memory;
    stage.bar = &world->bar;
    stage.copy = *copy;
    world->books = cross_private(private_size);
    if (world->books == NULL) {
        return VIRTQ_ENOMEM;
    }
    error = virtq_bar_init_config(&world->bar, &config);
    if (error == 0) {
        error = virtq_bar_manage(&world->bar, CROSS_GRANULE, world->books, private_size);
    }
    if (error == 0) {
        error = virtq_bar_stage_init(&world->stage, &stage);
    }
    cross_world_use(world, &world->stage.space);
    world->device = &world->bar.space;
    return error;
}

int cross_bar_cacheable_open(struct cross_world *world)
{
    struct virtq_copy plain = {NULL, NULL, NULL, NULL, NULL};

    return open_stage(world, VIRTQ_BAR_CACHEABLE, &plain);
}

/* The memory here is as any other; the accesses are those that write-combining memory is best
 * served with. */
int cross_bar_write_combining_open(struct cross_world *world)
{
    struct virtq_copy streaming;

    virtq_copy_streaming(&streaming);
    return open_stage(world, VIRTQ_BAR_WRITE_COMBINING, &streaming);
}
