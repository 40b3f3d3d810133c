/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A pool in each of its forms, mapped once for each end between pages that trap; what the
 * tests of restricted DMA stand on.
 */
#ifndef VIRTQ_TESTS_RESTRICTED_FIXTURE_H
#define VIRTQ_TESTS_RESTRICTED_FIXTURE_H

#include "hostile/block.h"
/* Its macros first. */
#include "virtq/virtq.h"

enum { POOL_PAGE = 4096, POOL_SIZE = 32 * POOL_PAGE, POOL_FORMS = 3 };

/* Where the pool is for the device; nowhere near a pointer, and not where the region's are. */
#define POOL_FIRST UINT64_C(0x80000000)
#define POOL_RESTRICTED VIRTQ_FEATURE(VIRTQ_ACCESS_RESTRICTED_BIT)
#define POOL_VERSION VIRTQ_FEATURE(VIRTIO_F_VERSION_1)

struct pool {
    struct block block; /**< `at` is the driver's, `view` the device's. */
    struct virtq_restricted_config driver_config;
    struct virtq_restricted_config device_config;
    struct virtq_restricted_driver driver;
    struct virtq_restricted_device device;
    void *books;
};

/** @brief The configurations, but for private memory: a device that offers restricted DMA, a driver
 * that knows it. `at` and `view` are set. */
static inline void pool_describe(struct pool *p, uint32_t form)
{
    const struct virtq_restricted_config fresh = VIRTQ_RESTRICTED_CONFIG_INIT;
    struct virtq_restricted_config *config = &p->driver_config;

    *config = fresh;
    config->facts.features = POOL_VERSION | POOL_RESTRICTED;
    config->facts.known = POOL_VERSION | POOL_RESTRICTED;
    config->pool.base = p->block.at;
    config->pool.size = POOL_SIZE;
    config->pool.form = form;
    if (form != (uint32_t)VIRTQ_RESTRICTED_DEVICE) {
        config->pool.first = POOL_FIRST;
    }
    if (form == (uint32_t)VIRTQ_RESTRICTED_RANGE) {
        /* All but the last page, and much where there is no pool. */
        config->pool.reach.first = 0x1000;
        config->pool.reach.last = POOL_FIRST + POOL_SIZE - POOL_PAGE - 1;
    }
    p->device_config = *config;
    p->device_config.pool.base = p->block.view;
    config->memory_size = virtq_restricted_private_size(config);
    cr_assert_neq(config->memory_size, 0u);
}

/** @brief A pool, and its configurations. */
static inline void pool_prepare(struct pool *p, uint32_t form)
{
    memset(p, 0, sizeof(*p));
    block_init(&p->block, POOL_SIZE, POOL_PAGE, true);
    pool_describe(p, form);
    p->books = malloc(p->driver_config.memory_size);
    p->driver_config.memory = p->books;
}

static inline void pool_open(struct pool *p, uint32_t form, uint32_t flags)
{
    pool_prepare(p, form);
    p->driver_config.flags = flags;
    cr_assert_eq(virtq_restricted_driver_init(&p->driver, &p->driver_config), 0);
    cr_assert_eq(
        virtq_restricted_device_init(&p->device, &p->device_config, p->driver.decision.accept), 0);
    cr_assert_not_null(p->driver.space);
    cr_assert_not_null(p->device.space);
}

static inline void pool_close(struct pool *p)
{
    cr_assert_eq(virtq_restricted_driver_fini(&p->driver), 0);
    free(p->books);
    block_free(&p->block);
}

/** @brief What of the pool the device reaches, as both ends must know it. */
static inline virtq_addr_t pool_first(const struct pool *p)
{
    return p->device_config.pool.first;
}

static inline virtq_addr_t pool_last(const struct pool *p)
{
    uint64_t size = p->device_config.pool.form == (uint32_t)VIRTQ_RESTRICTED_RANGE
                        ? (uint64_t)POOL_SIZE - POOL_PAGE
                        : (uint64_t)POOL_SIZE;

    return pool_first(p) + (size - 1);
}

static inline struct virtq_driver_config pool_queue(bool packed, uint32_t size, bool tables)
{
    struct virtq_driver_config queue = VIRTQ_DRIVER_CONFIG_INIT;

    queue.format = packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    queue.size = size;
    queue.segments_max = 6;
    queue.features = POOL_VERSION | (packed ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0) |
                     (tables ? VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) : 0);
    return queue;
}

static inline struct virtq_device_config pool_queue_of(const struct virtq_driver_config *queue,
                                                       const struct virtq_area_addresses *addresses)
{
    struct virtq_device_config config = VIRTQ_DEVICE_CONFIG_INIT;

    config.format = queue->format;
    config.size = queue->size;
    config.features = queue->features;
    config.addresses = *addresses;
    return config;
}

#endif
