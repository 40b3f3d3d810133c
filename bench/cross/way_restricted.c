/* SPDX-License-Identifier: BSD-3-Clause */
/* The device reaches a pool by negotiation: both ends decide by the facts, and every queue of the
 * driver end takes slots from the one pool. */
#include "cross/ways.h"

static void describe(const struct cross_world *world, struct virtq_restricted_config *config)
{
    config->facts.features =
        VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTQ_ACCESS_RESTRICTED_BIT);
    config->facts.known = config->facts.features;
    config->pool.form = VIRTQ_RESTRICTED_SYSTEM;
    config->pool.base = world->memory;
    config->pool.size = world->size;
    config->pool.first = CROSS_FIRST;
    config->granule = CROSS_GRANULE;
}

int cross_restricted_open(struct cross_world *world)
{
    struct virtq_restricted_config config = VIRTQ_RESTRICTED_CONFIG_INIT;
    int error;

    describe(world, &config);
    config.memory_size = virtq_restricted_private_size(&config);
    config.memory = world->books = cross_private(config.memory_size);
    if (world->books == NULL) {
        return VIRTQ_ENOMEM;
    }
    error = virtq_restricted_driver_init(&world->restricted, &config);
    if (error == 0) {
        error = virtq_restricted_device_init(&world->restricted_device, &config,
                                             world->restricted.decision.accept);
    }
    if (error == 0) {
        cross_world_use(world, world->restricted.space);
        world->device = world->restricted_device.space;
    }
    return error;
}
