/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/restricted_device.h"

#include <string.h>

#include "pool.h"
#include "virtq/layout.h"

VIRTQ_API int virtq_restricted_device_offer(const struct virtq_restricted_config *config,
                                            struct virtq_access_decision *decision)
{
    struct virtq_access_facts facts;

    if (!virtq_priv_restricted_facts(config, &facts)) {
        return VIRTQ_EINVAL;
    }
    facts.flags |= (uint32_t)VIRTQ_ACCESS_POOL_ONLY;
    return virtq_access_device(&facts, decision);
}

static int open_pool(struct virtq_restricted_device *device,
                     const struct virtq_restricted_config *config)
{
    const uint32_t both = (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE;
    const bool region = config->pool.form == (uint32_t)VIRTQ_RESTRICTED_DEVICE;
    struct virtq_restricted_pool pool;
    int error = virtq_priv_restricted_clip(&config->pool, device->decision.address_bits, 1, &pool);

    if (error == 0) {
        error = region ? virtq_priv_restricted_open_bar(&pool, &device->bar)
                       : virtq_direct_init(&device->direct, pool.base, pool.first,
                                           pool.first + (pool.size - 1), both);
    }
    if (error == 0) {
        device->ordered = virtq_priv_restricted_ordered(&device->decision, &pool);
        device->space = region ? &device->bar.space : &device->direct.space;
    }
    return error;
}

VIRTQ_API int virtq_restricted_device_init(struct virtq_restricted_device *device,
                                           const struct virtq_restricted_config *config,
                                           uint64_t accepted)
{
    struct virtq_access_facts facts;
    int error;

    memset(device, 0, sizeof(*device));
    if (!virtq_priv_restricted_facts(config, &facts) ||
        !virtq_priv_restricted_legal(&config->pool)) {
        return VIRTQ_EINVAL;
    }
    facts.flags |= (uint32_t)VIRTQ_ACCESS_POOL_ONLY;
    error = virtq_access_agree(&facts, accepted, &device->decision);
    if (error != 0 || !virtq_priv_restricted_pooled(&device->decision)) {
        return error;
    }
    return open_pool(device, config);
}

/* Whether [addr, addr + size) lies in the pool, in the form that cannot wrap (M9). */
static bool inside(const struct virtq_window *pool, virtq_addr_t addr, uint64_t size)
{
    return addr >= pool->first && addr <= pool->last && size - 1 <= pool->last - addr;
}

VIRTQ_API int virtq_restricted_device_attach(struct virtq_restricted_device *device,
                                             struct virtq_device_config *queue)
{
    const struct virtq_area_addresses *at = &queue->addresses;
    struct virtq_layout layout;
    int error;

    if (device->space == NULL) {
        return VIRTQ_ENOTSUP;
    }
    error = virtq_layout_init((enum virtq_format)queue->format, queue->size, &layout);
    if (error != 0) {
        return error;
    }
    if (!inside(&device->space->linear, at->descriptor, layout.descriptor.size) ||
        !inside(&device->space->linear, at->driver, layout.driver.size) ||
        !inside(&device->space->linear, at->device, layout.device.size)) {
        return VIRTQ_EFAULT;
    }
    queue->space = device->space;
    queue->flags |= (uint32_t)VIRTQ_DEVICE_RING_TRANSLATED;
    if (device->ordered != 0) {
        queue->features |= VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM);
    }
    return 0;
}
