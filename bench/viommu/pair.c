/* SPDX-License-Identifier: BSD-3-Clause */
#include "viommu/pair.h"

#include <stdlib.h>
#include <string.h>

#include "cross/backend.h"
#include "virtq/iommu/virtio_iommu.h"

enum { RING = 1024, REQUESTS = 512, ENDPOINT = 1, DOMAIN = 1 };
enum { OF_IOMMU, OF_QUEUE_DRIVER, OF_QUEUE_DEVICE, OF_DRIVER };

static void *lines(size_t bytes)
{
    size_t rounded = (bytes + VIOMMU_PAGE - 1) & ~(size_t)(VIOMMU_PAGE - 1);
    void *memory = bytes == 0 ? NULL : aligned_alloc(VIOMMU_PAGE, rounded);

    if (memory != NULL) {
        memset(memory, 0, rounded);
    }
    return memory;
}

/* The hypervisor takes what there is. It runs where it is notified, one thread at a time. */
static void serve(struct viommu_pair *pair)
{
    (void)pthread_mutex_lock(&pair->lock);
    (void)!virtq_virtio_iommu_device_serve(pair->iommu, pair->queue_device, REQUESTS);
    (void)pthread_mutex_unlock(&pair->lock);
}

static void notify(void *context, uint32_t data)
{
    struct viommu_pair *pair = context;

    (void)data;
    cross_backend_ask(pair->request_ns);
    serve(pair);
}

/* What is awaited was taken by another thread, or is being taken: a look is not a notification. */
static int wait_for(void *context)
{
    serve(context);
    return 0;
}

static int open_device(struct viommu_pair *pair, const struct viommu_config *config)
{
    struct virtq_virtio_iommu_device_config device = VIRTQ_VIRTIO_IOMMU_DEVICE_CONFIG_INIT;
    struct virtq_virtio_iommu_endpoint_config endpoint = VIRTQ_VIRTIO_IOMMU_ENDPOINT_CONFIG_INIT;
    size_t size;
    int error = virtq_direct_init(&pair->direct, NULL, 0, UINT64_MAX, 3);

    if (error != 0) {
        return error;
    }
    device.memory = &pair->direct.space;
    device.mappings = config->mappings;
    device.input_first = VIOMMU_FIRST;
    device.input_last = VIOMMU_LAST;
    size = virtq_virtio_iommu_device_size(&device);
    pair->private_memory[OF_IOMMU] = lines(size);
    if (pair->private_memory[OF_IOMMU] == NULL) {
        return VIRTQ_ENOMEM;
    }
    error =
        virtq_virtio_iommu_device_init(pair->private_memory[OF_IOMMU], size, &device, &pair->iommu);
    endpoint.id = ENDPOINT;
    return error != 0 ? error
                      : virtq_virtio_iommu_device_add(pair->iommu, &pair->endpoint, &endpoint);
}

static int open_queue(struct viommu_pair *pair, enum virtq_format format)
{
    struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_layout layout;
    int error = virtq_layout_init(format, RING, &layout);

    if (error != 0) {
        return error;
    }
    driver.format = device.format = (uint32_t)format;
    driver.size = device.size = RING;
    driver.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    driver.features |=
        format == VIRTQ_FORMAT_PACKED ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : (uint64_t)0;
    device.features = driver.features;
    driver.segments_max = 2;
    driver.space = device.space = &pair->direct.space;
    pair->ring = lines((size_t)layout.size);
    pair->private_memory[OF_QUEUE_DRIVER] = lines(virtq_driver_size(&driver));
    pair->private_memory[OF_QUEUE_DEVICE] = lines(virtq_device_size(&device));
    if (pair->ring == NULL || pair->private_memory[OF_QUEUE_DRIVER] == NULL ||
        pair->private_memory[OF_QUEUE_DEVICE] == NULL) {
        return VIRTQ_ENOMEM;
    }
    virtq_layout_areas(&layout, pair->ring, &driver.areas);
    device.areas = driver.areas;
    error = virtq_driver_init(pair->private_memory[OF_QUEUE_DRIVER], virtq_driver_size(&driver),
                              &driver, &pair->queue_driver);
    return error != 0
               ? error
               : virtq_device_init(pair->private_memory[OF_QUEUE_DEVICE],
                                   virtq_device_size(&device), &device, &pair->queue_device, NULL);
}

static int open_driver(struct viommu_pair *pair)
{
    const uint64_t features = virtq_virtio_iommu_settings_accept(0x77u, 0);
    struct virtq_virtio_iommu_driver_config config = VIRTQ_VIRTIO_IOMMU_DRIVER_CONFIG_INIT;
    struct virtq_virtio_iommu_settings settings;
    unsigned char bytes[sizeof(struct virtio_iommu_config)];
    int error = virtq_virtio_iommu_device_negotiate(pair->iommu, features);

    if (error == 0) {
        error = virtq_virtio_iommu_device_config_read(pair->iommu, 0, bytes, sizeof(bytes));
    }
    if (error == 0) {
        error = virtq_virtio_iommu_settings_read(&settings, bytes, sizeof(bytes), features);
    }
    if (error != 0) {
        return error;
    }
    config.queue = pair->queue_driver;
    config.space = config.physical = &pair->direct.space;
    config.settings = &settings;
    config.requests = REQUESTS;
    config.shared_size = virtq_virtio_iommu_driver_shared_size(&config);
    config.memory_size = virtq_virtio_iommu_driver_private_size(&config);
    config.shared = pair->shared = lines(config.shared_size);
    config.memory = pair->private_memory[OF_DRIVER] = lines(config.memory_size);
    config.context = pair;
    config.notify = notify;
    config.wait = wait_for;
    if (config.shared == NULL || config.memory == NULL) {
        return VIRTQ_ENOMEM;
    }
    error = virtq_virtio_iommu_driver_init(&pair->driver, &config);
    return error != 0 ? error
                      : virtq_virtio_iommu_mapper_init(&pair->mapper, &pair->driver, DOMAIN, 0);
}

int viommu_pair_open(struct viommu_pair *pair, const struct viommu_config *config)
{
    unsigned count;
    int error;

    pair->request_ns = config->request_ns;
    pair->open = pthread_mutex_init(&pair->lock, NULL) == 0;
    error = pair->open ? open_device(pair, config) : VIRTQ_ENOMEM;
    if (error == 0) {
        error = open_queue(pair, config->format);
    }
    if (error == 0) {
        error = open_driver(pair);
    }
    if (error == 0) {
        error = virtq_virtio_iommu_mapper_join(&pair->mapper, ENDPOINT, NULL, NULL, 0, &count);
        virtq_virtio_iommu_mapper_backend(&pair->mapper, &pair->backend);
    }
    return error;
}

void viommu_pair_close(struct viommu_pair *pair)
{
    if (pair->iommu != NULL) {
        virtq_virtio_iommu_device_destroy(pair->iommu);
    }
    for (unsigned i = 0; i < sizeof(pair->private_memory) / sizeof(pair->private_memory[0]); i++) {
        free(pair->private_memory[i]);
    }
    free(pair->ring);
    free(pair->shared);
    if (pair->open) {
        (void)pthread_mutex_destroy(&pair->lock);
    }
    memset(pair, 0, sizeof(*pair));
}

uint64_t viommu_pair_notifications(struct viommu_pair *pair)
{
    struct virtq_virtio_iommu_driver_usage usage;

    virtq_virtio_iommu_driver_read_usage(&pair->driver, &usage);
    return usage.notifications;
}
