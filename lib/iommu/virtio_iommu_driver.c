/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtio_iommu_driver.h"

#include <stdbool.h>
#include <string.h>

#include "../space/lock.h"
#include "virtq/feature.h"
#include "virtq/iommu/virtio_iommu.h"

VIRTQ_STATIC_ASSERT(sizeof(struct virtio_iommu_req_map) <= VIRTQ_VIRTIO_IOMMU_REQUEST_BYTES,
                    "a request fits");
VIRTQ_STATIC_ASSERT(sizeof(struct virtio_iommu_req_probe) <=
                        (size_t)VIRTQ_PRIV_VIOMMU_DRIVER_PROPERTIES,
                    "a PROBE's readable part fits");

static bool requests_legal(const struct virtq_virtio_iommu_driver_config *config)
{
    return config->requests != 0 && config->requests <= VIRTQ_SIZE_MAX;
}

size_t virtq_virtio_iommu_driver_shared_size(const struct virtq_virtio_iommu_driver_config *config)
{
    const struct virtq_virtio_iommu_settings *settings = config->settings;

    if (!requests_legal(config) || settings == NULL ||
        settings->probe_size > VIRTQ_VIRTIO_IOMMU_PROBE_MAX) {
        return 0;
    }
    return (size_t)config->requests * VIRTQ_VIRTIO_IOMMU_REQUEST_BYTES +
           virtq_priv_viommu_driver_probe_bytes(settings->probe_size);
}

size_t virtq_virtio_iommu_driver_private_size(const struct virtq_virtio_iommu_driver_config *config)
{
    return requests_legal(config) ? config->requests * sizeof(struct virtq_virtio_iommu_slot) : 0;
}

static int check_config(const struct virtq_virtio_iommu_driver_config *config)
{
    size_t shared;

    if (config->struct_size < sizeof(*config) || config->queue == NULL || config->space == NULL ||
        config->shared == NULL || config->memory == NULL || config->notify == NULL ||
        config->wait == NULL ||
        (config->flags & ~(uint32_t)VIRTQ_VIRTIO_IOMMU_DRIVER_SLEEPS) != 0) {
        return VIRTQ_EINVAL;
    }
    shared = virtq_virtio_iommu_driver_shared_size(config);
    if (shared == 0 || config->settings->granule == 0 ||
        ((uintptr_t)config->shared & (VIRTQ_CACHE_LINE - 1)) != 0 ||
        ((uintptr_t)config->memory & 7) != 0) {
        return VIRTQ_EINVAL;
    }
    /* A request is two descriptors, and whoever else uses the queue would be given our replies. */
    if (virtq_driver_outstanding(config->queue) != 0 || virtq_driver_room(config->queue) < 2) {
        return VIRTQ_EINVAL;
    }
    return config->shared_size < shared ||
                   config->memory_size < virtq_virtio_iommu_driver_private_size(config)
               ? VIRTQ_ENOMEM
               : 0;
}

int virtq_virtio_iommu_driver_init(struct virtq_virtio_iommu_driver *driver,
                                   const struct virtq_virtio_iommu_driver_config *config)
{
    const uint32_t both = (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE;
    int error = check_config(config);

    if (error != 0) {
        return error;
    }
    memset(driver, 0, sizeof(*driver));
    driver->config = *config;
    driver->config.settings = NULL;
    driver->settings = *config->settings;
    driver->slots = config->memory;
    memset(driver->slots, 0, virtq_virtio_iommu_driver_private_size(config));
    error = virtq_space_share(config->space, config->shared,
                              virtq_virtio_iommu_driver_shared_size(config), both, &driver->addr);
    if (error != 0) {
        return error;
    }
    virtq_priv_viommu_driver_clear(driver);
    virtq_driver_disable_notify(config->queue);
    return 0;
}

int virtq_virtio_iommu_driver_destroy(struct virtq_virtio_iommu_driver *driver)
{
    struct virtq_virtio_iommu_driver_config config = driver->config;

    if (virtq_driver_outstanding(config.queue) != 0) {
        return VIRTQ_EBUSY;
    }
    config.settings = &driver->settings;
    virtq_space_unshare(config.space, driver->addr, virtq_virtio_iommu_driver_shared_size(&config));
    return 0;
}

int virtq_virtio_iommu_driver_reset(struct virtq_virtio_iommu_driver *driver)
{
    void *cookie;
    int error;

    while (virtq_driver_detach(driver->config.queue, &cookie) == 1) {
    }
    error = virtq_driver_reset(driver->config.queue);
    if (error == 0) {
        virtq_driver_disable_notify(driver->config.queue);
        virtq_priv_viommu_driver_clear(driver);
    }
    return error;
}

int virtq_virtio_iommu_driver_reap(struct virtq_virtio_iommu_driver *driver)
{
    uint64_t before;
    int result;

    virtq_priv_lock(&driver->lock);
    before = driver->taken;
    virtq_priv_viommu_driver_reap(driver);
    result = driver->broken != 0 ? VIRTQ_EBROKEN : (int)(driver->taken - before);
    virtq_priv_unlock(&driver->lock);
    return result;
}

void virtq_virtio_iommu_driver_read_usage(struct virtq_virtio_iommu_driver *driver,
                                          struct virtq_virtio_iommu_driver_usage *usage)
{
    virtq_priv_lock(&driver->lock);
    *usage = driver->usage;
    virtq_priv_unlock(&driver->lock);
}

int virtq_virtio_iommu_driver_set_bypass(struct virtq_virtio_iommu_driver *driver, uint32_t bypass)
{
    if (bypass > 1) {
        return VIRTQ_EINVAL;
    }
    if (!virtq_feature_has(driver->settings.features, VIRTIO_IOMMU_F_BYPASS_CONFIG) ||
        driver->config.write_bypass == NULL) {
        return VIRTQ_ENOTSUP;
    }
    return driver->config.write_bypass(driver->config.context, (uint8_t)bypass);
}

/* The properties are read by the one thread that has their memory. */
static int probe(struct virtq_virtio_iommu_driver *driver, uint32_t endpoint)
{
    const struct virtq_priv_viommu_driver_list list = {
        .count = 1, .endpoint = endpoint, .type = VIRTIO_IOMMU_T_PROBE};
    struct virtq_priv_viommu_driver_batch batch = {.pending = 0};
    int error = VIRTQ_EBUSY;

    virtq_priv_lock(&driver->lock);
    if (driver->probing == 0) {
        driver->probing = 1;
        error = virtq_priv_viommu_driver_call(driver, &list, &batch);
        /* Where it was given up the device may write there still: until a reset. */
        driver->probing = error == 0 || batch.pending > 0;
    }
    virtq_priv_unlock(&driver->lock);
    return error;
}

int virtq_virtio_iommu_driver_probe(struct virtq_virtio_iommu_driver *driver, uint32_t endpoint,
                                    struct virtq_virtio_iommu_region *regions, unsigned capacity,
                                    unsigned *count)
{
    const unsigned char *properties =
        (const unsigned char *)driver->config.shared +
        (size_t)driver->config.requests * VIRTQ_VIRTIO_IOMMU_REQUEST_BYTES +
        VIRTQ_PRIV_VIOMMU_DRIVER_PROPERTIES;
    int error;

    if (!virtq_feature_has(driver->settings.features, VIRTIO_IOMMU_F_PROBE)) {
        *count = 0;
        return 0;
    }
    error = probe(driver, endpoint);
    if (error != 0) {
        return error;
    }
    error = virtq_virtio_iommu_properties_read(properties, driver->settings.probe_size, regions,
                                               capacity, count);
    virtq_priv_lock(&driver->lock);
    driver->probing = 0;
    virtq_priv_unlock(&driver->lock);
    return error;
}
