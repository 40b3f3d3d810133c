/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/restricted_driver.h"

#include <string.h>

#include "pool.h"
#include "space/lock.h"
#include "virtq/layout.h"

#define BOTH ((uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE)

enum { TABLE_ALIGN = 16, GRANULE_LEAST = 64, GRANULE_MOST = 4096 };

VIRTQ_API size_t virtq_restricted_private_size(const struct virtq_restricted_config *config)
{
    if (config->granule < (uint32_t)GRANULE_LEAST || config->granule > (uint32_t)GRANULE_MOST) {
        return 0;
    }
    return config->pool.form == (uint32_t)VIRTQ_RESTRICTED_DEVICE
               ? virtq_bar_private_size(config->pool.size, config->granule)
               : virtq_swiotlb_private_size(config->pool.size, config->granule);
}

static int open_system(struct virtq_restricted_driver *driver,
                       const struct virtq_restricted_config *config,
                       const struct virtq_restricted_pool *pool)
{
    struct virtq_swiotlb_config swiotlb = VIRTQ_SWIOTLB_CONFIG_INIT;
    int error;

    swiotlb.pool = pool->base;
    swiotlb.pool_size = pool->size;
    swiotlb.addr = pool->first;
    swiotlb.granule = config->granule;
    swiotlb.low_mask = config->low_mask;
    swiotlb.memory = config->memory;
    swiotlb.memory_size = config->memory_size;
    swiotlb.copy = config->copy;
    error = virtq_swiotlb_init(&driver->swiotlb, &swiotlb);
    if (error == 0) {
        error = virtq_direct_init(&driver->pass, pool->base, pool->first,
                                  pool->first + (pool->size - 1), BOTH);
    }
    return error;
}

static int open_region(struct virtq_restricted_driver *driver,
                       const struct virtq_restricted_config *config,
                       const struct virtq_restricted_pool *pool)
{
    struct virtq_bar_stage_config stage = VIRTQ_BAR_STAGE_CONFIG_INIT;
    int error = virtq_priv_restricted_open_bar(pool, &driver->bar);

    stage.bar = &driver->bar;
    stage.copy = config->copy;
    stage.low_mask = config->low_mask;
    if (error == 0) {
        error =
            virtq_bar_manage(&driver->bar, config->granule, config->memory, config->memory_size);
    }
    return error == 0 ? virtq_bar_stage_init(&driver->stage, &stage) : error;
}

/* Two members with one range of device addresses: memory of the pool goes as it is, and whatever
 * else is staged by the other. */
static int open_parts(struct virtq_restricted_driver *driver, struct virtq_space *pass,
                      struct virtq_space *stage, const struct virtq_restricted_pool *pool)
{
    const virtq_addr_t first = pass->linear.first;
    const virtq_addr_t last = pass->linear.last;
    const struct virtq_mux_member members[] = {{pass, first, last, first, BOTH},
                                               {stage, first, last, first, BOTH}};
    struct virtq_mux_config config = VIRTQ_MUX_CONFIG_INIT;

    driver->route.first = (uintptr_t)pool->base;
    driver->route.last = (uintptr_t)pool->base + (uintptr_t)(pool->size - 1);
    driver->route.member = 0;
    config.members = members;
    config.member_count = 2;
    config.routes = &driver->route;
    config.route_count = 1;
    config.other = 1;
    return virtq_mux_init(&driver->mux, &config);
}

static int open_pool(struct virtq_restricted_driver *driver,
                     const struct virtq_restricted_config *config)
{
    const bool region = driver->form == (uint32_t)VIRTQ_RESTRICTED_DEVICE;
    struct virtq_space *pass = region ? &driver->bar.space : &driver->pass.space;
    struct virtq_space *stage = region ? &driver->stage.space : &driver->swiotlb.space;
    struct virtq_restricted_pool pool;
    int error;

    /* Of the whole pool's, though a part may do with less: what is enough must not depend on what
     * the device states. */
    if (config->memory_size < virtq_restricted_private_size(config)) {
        return VIRTQ_ENOMEM;
    }
    error = virtq_priv_restricted_clip(&config->pool, driver->decision.address_bits,
                                       config->granule, &pool);

    if (error == 0) {
        error = region ? open_region(driver, config, &pool) : open_system(driver, config, &pool);
    }
    if (error == 0 && (driver->flags & (uint32_t)VIRTQ_RESTRICTED_PARTS) != 0) {
        error = open_parts(driver, pass, stage, &pool);
        stage = &driver->mux.space;
    }
    if (error == 0) {
        driver->ordered = virtq_priv_restricted_ordered(&driver->decision, &pool);
        driver->space = stage;
    }
    return error;
}

VIRTQ_API int virtq_restricted_driver_init(struct virtq_restricted_driver *driver,
                                           const struct virtq_restricted_config *config)
{
    struct virtq_access_facts facts;
    int error;

    memset(driver, 0, sizeof(*driver));
    if (!virtq_priv_restricted_facts(config, &facts) ||
        !virtq_priv_restricted_legal(&config->pool) || virtq_restricted_private_size(config) == 0) {
        return VIRTQ_EINVAL;
    }
    driver->form = config->pool.form;
    driver->flags = config->flags;
    error = virtq_access_driver(&facts, &driver->decision);
    if (error != 0 || !virtq_priv_restricted_pooled(&driver->decision)) {
        return error;
    }
    return open_pool(driver, config);
}

VIRTQ_API struct virtq_swiotlb *virtq_restricted_driver_swiotlb(
    struct virtq_restricted_driver *driver)
{
    return driver->space != NULL && driver->form != (uint32_t)VIRTQ_RESTRICTED_DEVICE
               ? &driver->swiotlb
               : NULL;
}

VIRTQ_API int virtq_restricted_driver_alloc(struct virtq_restricted_driver *driver, uint64_t len,
                                            uint64_t align, void **base)
{
    if (driver->space == NULL) {
        return VIRTQ_ENOTSUP;
    }
    return driver->form == (uint32_t)VIRTQ_RESTRICTED_DEVICE
               ? virtq_bar_alloc(&driver->bar, len, align, base)
               : virtq_swiotlb_alloc(&driver->swiotlb, len, align, base);
}

VIRTQ_API int virtq_restricted_driver_free(struct virtq_restricted_driver *driver, void *base)
{
    if (driver->space == NULL) {
        return VIRTQ_ENOTSUP;
    }
    return driver->form == (uint32_t)VIRTQ_RESTRICTED_DEVICE
               ? virtq_bar_free(&driver->bar, base)
               : virtq_swiotlb_free(&driver->swiotlb, base);
}

static bool wants_tables(const struct virtq_driver_config *queue)
{
    return (queue->features & VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC)) != 0 &&
           queue->segments_max > 1;
}

VIRTQ_API int virtq_restricted_driver_place(struct virtq_restricted_driver *driver,
                                            struct virtq_driver_config *queue)
{
    struct virtq_driver_config placed = *queue;
    struct virtq_layout layout;
    void *ring = NULL;
    int error;

    if (driver->space == NULL) {
        return VIRTQ_ENOTSUP;
    }
    if (placed.space == NULL) {
        placed.space = driver->space;
    }
    placed.tables = NULL;
    if (driver->ordered != 0) {
        placed.features |= VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM);
    }
    error = virtq_layout_init((enum virtq_format)placed.format, placed.size, &layout);
    if (error != 0) {
        return error;
    }
    error = virtq_restricted_driver_alloc(driver, layout.size, layout.align, &ring);
    if (error != 0) {
        return error;
    }
    if (wants_tables(&placed)) {
        size_t size = virtq_driver_tables_size(&placed);

        error = size == 0
                    ? VIRTQ_EINVAL
                    : virtq_restricted_driver_alloc(driver, size, TABLE_ALIGN, &placed.tables);
        if (error != 0) {
            (void)virtq_restricted_driver_free(driver, ring);
            return error;
        }
    }
    virtq_layout_areas(&layout, ring, &placed.areas);
    *queue = placed;
    return 0;
}

VIRTQ_API void virtq_restricted_driver_remove(struct virtq_restricted_driver *driver,
                                              struct virtq_driver_config *queue)
{
    const struct virtq_areas none = {NULL, NULL, NULL};

    /* The ring is one block, which begins with the descriptor area. */
    (void)virtq_restricted_driver_free(driver, queue->areas.descriptor);
    if (queue->tables != NULL) {
        (void)virtq_restricted_driver_free(driver, queue->tables);
    }
    queue->areas = none;
    queue->tables = NULL;
}

static bool region_used(struct virtq_granules *granules)
{
    bool used;

    virtq_priv_lock(&granules->lock);
    used = granules->taken != 0;
    virtq_priv_unlock(&granules->lock);
    return used;
}

VIRTQ_API int virtq_restricted_driver_fini(struct virtq_restricted_driver *driver)
{
    if (driver->space == NULL) {
        return 0;
    }
    if (driver->form == (uint32_t)VIRTQ_RESTRICTED_DEVICE) {
        if (region_used(&driver->bar.granules)) {
            return VIRTQ_EBUSY;
        }
    } else {
        int error = virtq_swiotlb_fini(&driver->swiotlb);

        if (error != 0) {
            return error;
        }
    }
    if ((driver->flags & (uint32_t)VIRTQ_RESTRICTED_PARTS) != 0) {
        virtq_mux_fini(&driver->mux);
    }
    driver->space = NULL;
    return 0;
}
