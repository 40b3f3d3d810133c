/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A guest and its hypervisor in one program: both roles of virtio-iommu on one request queue
 * and one event queue, and an endpoint with a queue of its own.
 */
#ifndef VIRTQ_TESTS_IOMMU_VIRTIO_IOMMU_BOTH_H
#define VIRTQ_TESTS_IOMMU_VIRTIO_IOMMU_BOTH_H

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/runner.h"
#include "virtq/iommu/virtio_iommu.h"
#include "virtq/virtq.h"

enum {
    BOTH_PAGE = 4096,
    BOTH_PAGES = 96,
    BOTH_MEMORY = BOTH_PAGES * BOTH_PAGE,
    BOTH_PHYS = 0x40000000, /**< Where the guest's memory begins. */
    BOTH_RING = 64,
    BOTH_EVENTS = 8,
    BOTH_ENDPOINT = 5,
    BOTH_DOMAIN = 1,
    BOTH_SPACES = 2, /**< Driver queues' spaces behind the endpoint. */
    BOTH_ENTRIES = 16,
    BOTH_MAGAZINES = 2 * BOTH_SPACES * VIRTQ_IOVA_CACHE_MAGAZINES,
    BOTH_RANGES = 512 + BOTH_MAGAZINES * VIRTQ_IOVA_MAGAZINE_ROOM,
    BOTH_ALL = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE
};

/** @brief A queue with both ends. */
struct both_queue {
    struct virtq_driver *driver;
    struct virtq_device *device;
    void *driver_memory;
    void *device_memory;
};

/** @brief All of it. */
struct both {
    unsigned format;
    unsigned char *memory; /**< The guest's. */
    unsigned used;         /**< Pages of it. */
    struct virtq_direct direct;
    struct virtq_virtio_iommu_device *iommu;
    struct virtq_virtio_iommu_endpoint endpoint;
    void *iommu_memory;
    struct both_queue requests;
    struct both_queue reports;
    struct virtq_virtio_iommu_settings settings;
    struct virtq_virtio_iommu_driver driver;
    struct virtq_virtio_iommu_mapper mapper;
    struct virtq_iommu_backend backend;
    struct virtq_virtio_iommu_events events;
    void *driver_memory;
    struct virtq_iova_range ranges[BOTH_RANGES];
    struct virtq_iova_magazine magazines[BOTH_MAGAZINES];
    struct virtq_iova iova;
    struct virtq_iova_depot depot;
    struct virtq_iommu_queue *spaces[BOTH_SPACES];
    uint64_t waiting[BOTH_SPACES][BOTH_ENTRIES * 8];
    pthread_mutex_t lock; /**< Of the device's thread, which is whoever waits. */
};

/** @brief Whole pages of the guest's memory. */
static inline void *both_pages(struct both *both, size_t bytes)
{
    void *result = both->memory + (size_t)both->used * BOTH_PAGE;

    both->used += (unsigned)((bytes + BOTH_PAGE - 1) / BOTH_PAGE);
    cr_assert(both->used <= (unsigned)BOTH_PAGES);
    return result;
}

static inline void *both_private(size_t bytes)
{
    const size_t rounded = (bytes + VIRTQ_CACHE_LINE - 1) & ~(size_t)(VIRTQ_CACHE_LINE - 1);
    void *result = aligned_alloc(VIRTQ_CACHE_LINE, rounded);

    cr_assert_not_null(result);
    memset(result, 0, rounded);
    return result;
}

/** @brief A queue; the device finds its ring where the driver's space says. */
static inline void both_queue_open(struct both *both, struct both_queue *queue,
                                   struct virtq_space *driver, struct virtq_space *device)
{
    struct virtq_driver_config driver_config = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device_config = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_layout layout;
    size_t size;

    cr_assert_eq(virtq_layout_init((enum virtq_format)both->format, BOTH_RING, &layout), 0);
    driver_config.format = device_config.format = both->format;
    driver_config.size = device_config.size = BOTH_RING;
    driver_config.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    driver_config.features |= both->format != 0 ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;
    device_config.features = driver_config.features;
    driver_config.segments_max = 4;
    driver_config.space = driver;
    virtq_layout_areas(&layout, both_pages(both, (size_t)layout.size), &driver_config.areas);
    size = virtq_driver_size(&driver_config);
    queue->driver_memory = both_private(size);
    cr_assert_eq(virtq_driver_init(queue->driver_memory, size, &driver_config, &queue->driver), 0);
    device_config.flags = VIRTQ_DEVICE_RING_TRANSLATED;
    device_config.space = device;
    virtq_driver_addresses(queue->driver, &device_config.addresses);
    size = virtq_device_size(&device_config);
    queue->device_memory = both_private(size);
    cr_assert_eq(
        virtq_device_init(queue->device_memory, size, &device_config, &queue->device, NULL), 0);
}

static inline void both_queue_close(struct both_queue *queue)
{
    virtq_driver_destroy(queue->driver);
    free(queue->driver_memory);
    free(queue->device_memory);
}

/* The hypervisor runs when it is notified, and when it is waited for. */
static inline void both_serve(struct both *both)
{
    cr_assert_eq(pthread_mutex_lock(&both->lock), 0);
    cr_assert(virtq_virtio_iommu_device_serve(both->iommu, both->requests.device, 1000) >= 0);
    cr_assert_eq(pthread_mutex_unlock(&both->lock), 0);
}

static inline void both_notify(void *context, uint32_t data)
{
    (void)data;
    both_serve(context);
}

static inline int both_wait(void *context)
{
    both_serve(context);
    return 0;
}

static inline void both_open_device(struct both *both)
{
    static const struct virtq_virtio_iommu_resv_mem reserved[] = {
        {0x100000, 0x102fff, VIRTIO_IOMMU_RESV_MEM_T_RESERVED},
        {0xfee00000, 0xfeefffff, VIRTIO_IOMMU_RESV_MEM_T_MSI}};
    struct virtq_virtio_iommu_device_config config = VIRTQ_VIRTIO_IOMMU_DEVICE_CONFIG_INIT;
    struct virtq_virtio_iommu_endpoint_config endpoint = VIRTQ_VIRTIO_IOMMU_ENDPOINT_CONFIG_INIT;
    size_t size;

    cr_assert_eq(virtq_direct_init(&both->direct, both->memory, BOTH_PHYS,
                                   BOTH_PHYS + BOTH_MEMORY - 1, BOTH_ALL),
                 0);
    config.memory = &both->direct.space;
    config.mappings = 256;
    config.input_first = 0x100000;
    config.input_last = 0xffffffff;
    config.domain_first = 1;
    config.domain_last = 9;
    size = virtq_virtio_iommu_device_size(&config);
    both->iommu_memory = both_private(size);
    cr_assert_eq(virtq_virtio_iommu_device_init(both->iommu_memory, size, &config, &both->iommu),
                 0);
    endpoint.id = BOTH_ENDPOINT;
    endpoint.reserved = reserved;
    endpoint.reserved_count = 2;
    cr_assert_eq(virtq_virtio_iommu_device_add(both->iommu, &both->endpoint, &endpoint), 0);
}

/* Features and configuration go from one role to the other as a transport would carry them. */
static inline void both_open_driver(struct both *both)
{
    struct virtq_virtio_iommu_driver_config config = VIRTQ_VIRTIO_IOMMU_DRIVER_CONFIG_INIT;
    const uint64_t features = virtq_virtio_iommu_settings_accept(0x77u, 0);
    unsigned char bytes[40];

    cr_assert_eq(virtq_virtio_iommu_device_negotiate(both->iommu, features), 0);
    cr_assert_eq(virtq_virtio_iommu_device_config_read(both->iommu, 0, bytes, 40), 0);
    cr_assert_eq(virtq_virtio_iommu_settings_read(&both->settings, bytes, 40, features), 0);
    config.queue = both->requests.driver;
    config.space = &both->direct.space;
    config.physical = &both->direct.space;
    config.settings = &both->settings;
    config.requests = 24;
    config.shared_size = virtq_virtio_iommu_driver_shared_size(&config);
    config.shared = both_pages(both, config.shared_size);
    config.memory_size = virtq_virtio_iommu_driver_private_size(&config);
    config.memory = both->driver_memory = both_private(config.memory_size);
    config.context = both;
    config.notify = both_notify;
    config.wait = both_wait;
    cr_assert_eq(virtq_virtio_iommu_driver_init(&both->driver, &config), 0);
    cr_assert_eq(virtq_virtio_iommu_mapper_init(&both->mapper, &both->driver, BOTH_DOMAIN, 0), 0);
    virtq_virtio_iommu_mapper_backend(&both->mapper, &both->backend);
}

static inline void both_open_events(struct both *both)
{
    struct virtq_virtio_iommu_events_config config = VIRTQ_VIRTIO_IOMMU_EVENTS_CONFIG_INIT;

    config.queue = both->reports.driver;
    config.space = &both->direct.space;
    config.shared = both_pages(both, BOTH_EVENTS * VIRTQ_VIRTIO_IOMMU_EVENT_BYTES);
    config.count = BOTH_EVENTS;
    cr_assert_eq(virtq_virtio_iommu_events_init(&both->events, &config), 0);
}

static inline void both_open_spaces(struct both *both, uint32_t policy)
{
    struct virtq_iommu_queue_config config = VIRTQ_IOMMU_QUEUE_CONFIG_INIT;

    cr_assert_eq(virtq_iova_depot_init(&both->depot, &both->iova, UINT64_MAX, both->magazines,
                                       BOTH_MAGAZINES),
                 0);
    config.depot = &both->depot;
    config.backend = &both->backend;
    config.policy = policy;
    config.entries = BOTH_ENTRIES;
    for (unsigned i = 0; i < BOTH_SPACES; i++) {
        config.memory = both->waiting[i];
        config.memory_size = sizeof(both->waiting[i]);
        both->spaces[i] = both_private(sizeof(*both->spaces[i]));
        cr_assert_eq(virtq_iommu_queue_init(both->spaces[i], &config), 0);
    }
}

static inline struct both *both_open(unsigned format, uint32_t policy)
{
    struct virtq_virtio_iommu_region regions[4];
    struct both *both = both_private(sizeof(*both));
    unsigned count = 0;

    both->format = format;
    both->memory = aligned_alloc(BOTH_PAGE, BOTH_MEMORY);
    cr_assert_not_null(both->memory);
    memset(both->memory, 0, BOTH_MEMORY);
    cr_assert_eq(pthread_mutex_init(&both->lock, NULL), 0);
    both_open_device(both);
    both_queue_open(both, &both->requests, &both->direct.space, &both->direct.space);
    both_queue_open(both, &both->reports, &both->direct.space, &both->direct.space);
    both_open_driver(both);
    both_open_events(both);
    cr_assert_eq(virtq_iova_init(&both->iova, both->settings.first, both->settings.last,
                                 both->settings.granule, both->ranges, BOTH_RANGES),
                 0);
    cr_assert_eq(virtq_virtio_iommu_mapper_join(&both->mapper, BOTH_ENDPOINT, &both->iova, regions,
                                                4, &count),
                 0);
    cr_assert_eq(count, 2u);
    both_open_spaces(both, policy);
    return both;
}

static inline void both_close(struct both *both)
{
    struct virtq_virtio_iommu_usage usage;

    for (unsigned i = 0; i < BOTH_SPACES; i++) {
        virtq_iommu_queue_destroy(both->spaces[i]);
        free(both->spaces[i]);
    }
    virtq_virtio_iommu_device_read_usage(both->iommu, &usage);
    cr_assert_eq(usage.mappings, 0u);
    cr_assert_eq(usage.malformed, 0u);
    cr_assert_eq(virtq_virtio_iommu_mapper_detach(&both->mapper, BOTH_ENDPOINT), 0);
    virtq_virtio_iommu_events_destroy(&both->events);
    cr_assert_eq(virtq_virtio_iommu_driver_destroy(&both->driver), 0);
    both_queue_close(&both->requests);
    both_queue_close(&both->reports);
    virtq_virtio_iommu_device_remove(&both->endpoint);
    virtq_virtio_iommu_device_destroy(both->iommu);
    (void)pthread_mutex_destroy(&both->lock);
    free(both->iommu_memory);
    free(both->driver_memory);
    free(both->memory);
    free(both);
}

#endif
