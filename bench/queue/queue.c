/* SPDX-License-Identifier: BSD-3-Clause */
#include "queue/queue.h"

#include <string.h>
#include <sys/mman.h>

#include <virtq/layout.h>

#include "queue/variant.h"

const char *const bench_tier_names[BENCH_TIERS + 1] = {"inline", "library", NULL};
const char *const bench_format_names[3] = {"split", "packed", NULL};
const char *const bench_table_names[3] = {"direct", "indirect", NULL};

static const struct bench_variant *choose(const struct bench_queue_config *config)
{
    static const struct bench_variant *const inlined[2][BENCH_SPACES] = {
        {&bench_variant_split_direct, &bench_variant_split_swiotlb, &bench_variant_split_iommu,
         &bench_variant_split_bar},
        {&bench_variant_packed_direct, &bench_variant_packed_swiotlb, &bench_variant_packed_iommu,
         &bench_variant_packed_bar},
    };

    return config->tier == BENCH_TIER_LIBRARY ? &bench_variant_library
                                              : inlined[config->format][config->space];
}

static void *shared_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return memory != MAP_FAILED ? memory : NULL;
}

static uint64_t features_of(const struct bench_queue_config *config)
{
    uint64_t features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX);

    features |= config->format == VIRTQ_FORMAT_PACKED ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;
    features |= config->indirect ? VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) : 0;
    features |= config->space != BENCH_SPACE_DIRECT ? VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM) : 0;
    return features;
}

static struct virtq_driver_config driver_config(const struct bench_queue *queue)
{
    struct virtq_driver_config config = VIRTQ_DRIVER_CONFIG_INIT;

    config.format = (uint32_t)queue->config.format;
    config.size = BENCH_RING_SIZE;
    config.features = features_of(&queue->config);
    config.segments_max = queue->config.segments_max;
    config.space = queue->space.driver;
    return config;
}

static int open_space(struct bench_queue *queue, struct virtq_layout *layout)
{
    const struct bench_queue_config *config = &queue->config;
    struct bench_space_needs needs = {0, config->slots * config->slot_bytes,
                                      config->slots * config->segments_max, config->two_views};
    int error = virtq_layout_init(config->format, BENCH_RING_SIZE, layout);

    if (error != 0) {
        return error;
    }
    needs.ring_bytes =
        (size_t)layout->size + (size_t)BENCH_RING_SIZE * BENCH_QUEUE_SEGMENTS_MAX * 2u * 16u;
    return bench_space_open(&queue->space, config->space, &needs);
}

static int open_driver(struct bench_queue *queue, const struct virtq_layout *layout,
                       struct virtq_areas *areas)
{
    struct virtq_driver_config config = driver_config(queue);
    void *ring = bench_space_ring(&queue->space, (size_t)layout->size, layout->align);

    if (ring == NULL) {
        return VIRTQ_ENOMEM;
    }
    virtq_layout_areas(layout, ring, areas);
    config.areas = *areas;
    if (queue->config.indirect) {
        config.tables =
            bench_space_ring(&queue->space, virtq_driver_tables_size(&config), VIRTQ_CACHE_LINE);
        if (config.tables == NULL) {
            return VIRTQ_ENOMEM;
        }
    }
    queue->driver_memory_size = queue->variant->driver_size(&config);
    queue->driver_memory = shared_memory(queue->driver_memory_size);
    return queue->driver_memory == NULL ? VIRTQ_ENOMEM
                                        : queue->variant->driver_init(queue, &config);
}

static int open_device(struct bench_queue *queue, const struct virtq_areas *areas)
{
    struct virtq_device_config config = VIRTQ_DEVICE_CONFIG_INIT;

    config.format = (uint32_t)queue->config.format;
    config.size = BENCH_RING_SIZE;
    config.features = features_of(&queue->config);
    config.space = queue->space.device;
    queue->variant->driver_addresses(queue, &config.addresses);
    if (queue->config.space == BENCH_SPACE_DIRECT) {
        /* As a VMM has it: it is told where the ring lies in its own memory. */
        config.areas.descriptor = bench_space_seen(&queue->space, areas->descriptor);
        config.areas.driver = bench_space_seen(&queue->space, areas->driver);
        config.areas.device = bench_space_seen(&queue->space, areas->device);
    } else {
        config.flags = VIRTQ_DEVICE_RING_TRANSLATED;
    }
    queue->device_memory_size = queue->variant->device_size(&config);
    queue->device_memory = shared_memory(queue->device_memory_size);
    return queue->device_memory == NULL ? VIRTQ_ENOMEM
                                        : queue->variant->device_init(queue, &config);
}

static int open_data(struct bench_queue *queue)
{
    for (unsigned slot = 0; slot < queue->config.slots; slot++) {
        queue->data[slot] =
            bench_space_data(&queue->space, queue->config.slot_bytes, VIRTQ_CACHE_LINE);
        if (queue->data[slot] == NULL) {
            return VIRTQ_ENOMEM;
        }
        queue->buffers[slot].cookie = &queue->buffers[slot];
    }
    return 0;
}

struct bench_queue *bench_queue_open(const struct bench_queue_config *config, int *error)
{
    struct bench_queue *queue = shared_memory(sizeof(*queue));
    struct virtq_layout layout;
    struct virtq_areas areas = {NULL, NULL, NULL};

    if (queue == NULL) {
        *error = VIRTQ_ENOMEM;
        return NULL;
    }
    queue->config = *config;
    queue->variant = choose(config);
    *error = open_space(queue, &layout);
    if (*error == 0) {
        *error = open_driver(queue, &layout, &areas);
        queue->driver_ready = *error == 0;
    }
    if (*error == 0) {
        *error = open_device(queue, &areas);
    }
    if (*error == 0) {
        *error = open_data(queue);
    }
    if (*error != 0) {
        bench_queue_close(queue);
        return NULL;
    }
    return queue;
}

void bench_queue_close(struct bench_queue *queue)
{
    if (queue == NULL) {
        return;
    }
    if (queue->driver_ready) {
        queue->variant->driver_destroy(queue);
    }
    bench_space_close(&queue->space);
    if (queue->driver_memory != NULL) {
        (void)munmap(queue->driver_memory, queue->driver_memory_size);
    }
    if (queue->device_memory != NULL) {
        (void)munmap(queue->device_memory, queue->device_memory_size);
    }
    (void)munmap(queue, sizeof(*queue));
}

void bench_queue_shape(struct bench_queue *queue, const struct bench_shape *shape)
{
    const unsigned count = bench_shape_segments(shape);

    for (unsigned slot = 0; slot < queue->config.slots; slot++) {
        /* One buffer's behind the other's: a line for each would be more to fetch than its ring. */
        struct virtq_segment *segments = &queue->segments[slot * count];
        unsigned char *at = queue->data[slot];

        for (unsigned segment = 0; segment < count; segment++) {
            segments[segment].base = at;
            segments[segment].len = shape->len[segment];
            at += shape->len[segment];
        }
        queue->buffers[slot].segments = segments;
        queue->buffers[slot].readable = shape->readable;
        queue->buffers[slot].writable = shape->writable;
    }
    queue->readable_bytes = bench_shape_readable_bytes(shape);
    queue->writable_bytes = bench_shape_writable_bytes(shape);
}
