/* SPDX-License-Identifier: BSD-3-Clause */
/* The device reaches everything, at a constant from where the program has it. */
#include "cross/ways.h"

int cross_direct_open(struct cross_world *world)
{
    cross_world_use(world, &world->direct.space);
    world->device = &world->direct.space;
    return virtq_direct_init(&world->direct, world->memory, CROSS_FIRST,
                             CROSS_FIRST + world->size - 1, CROSS_BOTH);
}

int cross_premapped_open(struct cross_world *world)
{
    int error = cross_direct_open(world);

    if (error != 0) {
        return error;
    }
    virtq_premapped_init(&world->premapped, &world->direct.space);
    cross_world_use(world, &world->premapped.space);
    return virtq_space_share(&world->direct.space, world->memory, world->size, CROSS_BOTH,
                             &world->first);
}
