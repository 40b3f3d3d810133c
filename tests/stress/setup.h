/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Queues for the stress suites: any tier, any format, rings and payload in one block.
 */
#ifndef VIRTQ_TESTS_STRESS_SETUP_H
#define VIRTQ_TESTS_STRESS_SETUP_H

#include "stress.h"

/* ---- The library tier behind the same calls ---- */

static int library_driver_init(struct driver_end *end, const struct virtq_driver_config *config,
                               void *memory, size_t size)
{
    return virtq_driver_init(memory, size, config, &end->queue.library);
}

static int library_driver_add(struct driver_end *end, const struct virtq_buffer *buffers,
                              unsigned count)
{
    return virtq_driver_add(end->queue.library, buffers, count);
}

static unsigned library_driver_publish(struct driver_end *end)
{
    return virtq_driver_publish(end->queue.library);
}

static bool library_driver_needs_notify(struct driver_end *end)
{
    return virtq_driver_needs_notify(end->queue.library, NULL);
}

static int library_driver_poll(struct driver_end *end, struct virtq_completion *completions,
                               unsigned count)
{
    return virtq_driver_poll(end->queue.library, completions, count);
}

static bool library_driver_enable_notify(struct driver_end *end, unsigned after)
{
    return virtq_driver_enable_notify_after(end->queue.library, after);
}

static void library_driver_disable_notify(struct driver_end *end)
{
    virtq_driver_disable_notify(end->queue.library);
}

static const struct driver_calls library_driver = {virtq_driver_size,
                                                   library_driver_init,
                                                   library_driver_add,
                                                   library_driver_publish,
                                                   library_driver_needs_notify,
                                                   library_driver_poll,
                                                   library_driver_enable_notify,
                                                   library_driver_disable_notify};

static int library_device_init(struct device_end *end, const struct virtq_device_config *config,
                               void *memory, size_t size)
{
    return virtq_device_init(memory, size, config, &end->queue.library, NULL);
}

static int library_device_pop(struct device_end *end, struct virtq_chain *chains, unsigned count,
                              struct virtq_piece *pieces, unsigned piece_count)
{
    return virtq_device_pop(end->queue.library, chains, count, pieces, piece_count);
}

static int library_device_push(struct device_end *end, const struct virtq_used_buffer *used,
                               unsigned count)
{
    return virtq_device_push(end->queue.library, used, count);
}

static int library_device_publish(struct device_end *end)
{
    return virtq_device_publish(end->queue.library);
}

static int library_device_needs_notify(struct device_end *end)
{
    return virtq_device_needs_notify(end->queue.library);
}

static bool library_device_enable_notify(struct device_end *end)
{
    return virtq_device_enable_notify(end->queue.library);
}

static void library_device_disable_notify(struct device_end *end)
{
    virtq_device_disable_notify(end->queue.library);
}

static const struct device_calls library_device = {virtq_device_size,
                                                   library_device_init,
                                                   library_device_pop,
                                                   library_device_push,
                                                   library_device_publish,
                                                   library_device_needs_notify,
                                                   library_device_enable_notify,
                                                   library_device_disable_notify};

/* ---- Queues ---- */

/** @brief What a run is about. */
struct stress_shape {
    bool library; /**< The library tier; else the inline one. */
    bool packed;
    bool sleeps;
    bool called; /**< Spaces that are asked. */
    uint64_t features;
};

/** @brief The features that the suites go through. */
static const uint64_t stress_features[] = {
    0, VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) | VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC),
    VIRTQ_FEATURE(VIRTIO_F_IN_ORDER) | VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC),
    VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) | VIRTQ_FEATURE(VIRTIO_F_IN_ORDER)};

enum {
    STRESS_FEATURES = sizeof(stress_features) / sizeof(stress_features[0]),
    STRESS_RING = 16384,  /* Bytes of ring and tables. */
    STRESS_TABLES = 8192, /* Where the tables begin. */
    STRESS_BLOCK = STRESS_RING + sizeof(struct stress_shared) + 64
};

/** @brief A configuration of a driver whose ring begins at `block`. */
static inline struct virtq_driver_config stress_driver_config(const struct stress_shape *shape,
                                                              void *block,
                                                              struct virtq_space *space)
{
    struct virtq_driver_config config = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_layout layout;

    config.format = shape->packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    config.size = shape->packed ? 13 : 16;
    config.features = shape->features | VIRTQ_FEATURE(VIRTIO_F_VERSION_1) |
                      (shape->packed ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0);
    config.segments_max = STRESS_SEGMENTS;
    config.space = space;
    cr_assert_eq(virtq_layout_init((enum virtq_format)config.format, config.size, &layout), 0);
    cr_assert_leq(layout.size, (uint64_t)STRESS_TABLES);
    virtq_layout_areas(&layout, block, &config.areas);
    cr_assert_leq(virtq_driver_tables_size(&config), (size_t)(STRESS_RING - STRESS_TABLES));
    config.tables = (unsigned char *)block + STRESS_TABLES;
    return config;
}

/** @brief The device's configuration to go with it. */
static inline struct virtq_device_config stress_device_config(
    const struct virtq_driver_config *driver, void *block, struct virtq_space *space)
{
    struct virtq_device_config config = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_layout layout;

    config.format = driver->format;
    config.size = driver->size;
    config.features = driver->features;
    config.space = space;
    cr_assert_eq(virtq_layout_init((enum virtq_format)config.format, config.size, &layout), 0);
    virtq_layout_areas(&layout, block, &config.areas);
    return config;
}

/** @brief Private memory for an end; freed by the caller. */
static inline void *stress_memory(size_t size)
{
    size_t whole = (size + VIRTQ_CACHE_LINE - 1) / VIRTQ_CACHE_LINE * VIRTQ_CACHE_LINE;
    void *memory = aligned_alloc(VIRTQ_CACHE_LINE, whole);

    cr_assert(size != 0 && memory != NULL);
    return memory;
}

/** @brief Chooses the tier of both ends, and opens the eventfds. */
static inline void stress_init(struct stress *s, const struct stress_shape *shape,
                               struct stress_shared *shared)
{
    memset(s, 0, sizeof(*s));
    s->shared = shared;
    s->sleeps = shape->sleeps;
    s->seconds = stress_seconds();
    s->seed = 4711;
    s->driver.calls =
        shape->library ? &library_driver : inline_drivers[shape->packed][shape->called];
    s->device.calls =
        shape->library ? &library_device : inline_devices[shape->packed][shape->called];
    for (unsigned i = 0; i < 2; i++) {
        s->kicks[i] = eventfd(0, 0);
        cr_assert_geq(s->kicks[i], 0);
    }
}

/** @brief Judges a run that is over. */
static inline void stress_judge(const struct stress *s)
{
    cr_assert_eq(s->shared->failed, 0u, "%s", s->shared->failure);
    cr_assert_gt(s->shared->passed, (uint64_t)STRESS_BUFFERS);
    (void)close(s->kicks[0]);
    (void)close(s->kicks[1]);
}

#endif
