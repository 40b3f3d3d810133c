/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A queue between a driver and the virtio-iommu device, both of the library, of either
 * format.
 */
#ifndef VIRTQ_TESTS_IOMMU_VIRTIO_IOMMU_DEVICE_QUEUE_H
#define VIRTQ_TESTS_IOMMU_VIRTIO_IOMMU_DEVICE_QUEUE_H

#include "virtio_iommu_device_fixture.h"
#include "virtq/virtq.h"

enum { QUEUE_SIZE = 64, QUEUE_SEGMENTS = 64 };

/** @brief Both ends and their memory. The device end may be on another space. */
struct queue {
    struct virtq_direct direct;
    struct virtq_layout layout;
    void *ring;
    void *driver_memory;
    void *device_memory;
    struct virtq_driver *driver;
    struct virtq_device *device;
};

static inline void *queue_memory(size_t size)
{
    const size_t line = VIRTQ_CACHE_LINE;
    void *memory = aligned_alloc(line, (size + line - 1) / line * line);

    cr_assert(size != 0 && memory != NULL);
    return memory;
}

/** @brief Makes both ends. `space` is the device end's; NULL: this program's memory. */
static inline void queue_open(struct queue *queue, unsigned format, struct virtq_space *space)
{
    struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device = VIRTQ_DEVICE_CONFIG_INIT;

    cr_assert_eq(virtq_direct_init(&queue->direct, NULL, 0, UINT64_MAX, RIG_BOTH), VIRTQ_OK);
    cr_assert_eq(virtq_layout_init((enum virtq_format)format, QUEUE_SIZE, &queue->layout),
                 VIRTQ_OK);
    queue->ring = aligned_alloc(4096, (queue->layout.size + 4095) / 4096 * 4096);
    cr_assert(queue->ring != NULL);
    memset(queue->ring, 0, queue->layout.size);
    driver.format = format;
    driver.size = QUEUE_SIZE;
    driver.features =
        VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | (format != 0 ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0);
    driver.segments_max = QUEUE_SEGMENTS;
    driver.space = &queue->direct.space;
    virtq_layout_areas(&queue->layout, queue->ring, &driver.areas);
    device.format = format;
    device.size = QUEUE_SIZE;
    device.features = driver.features;
    device.space = space != NULL ? space : &queue->direct.space;
    device.areas = driver.areas;
    queue->driver_memory = queue_memory(virtq_driver_size(&driver));
    queue->device_memory = queue_memory(virtq_device_size(&device));
    cr_assert_eq(virtq_driver_init(queue->driver_memory, virtq_driver_size(&driver), &driver,
                                   &queue->driver),
                 VIRTQ_OK);
    cr_assert_eq(virtq_device_init(queue->device_memory, virtq_device_size(&device), &device,
                                   &queue->device, NULL),
                 VIRTQ_OK);
}

static inline void queue_close(struct queue *queue)
{
    free(queue->ring);
    free(queue->driver_memory);
    free(queue->device_memory);
}

/** @brief Adds and publishes a buffer. */
static inline void queue_add(struct queue *queue, const struct virtq_segment *segments,
                             unsigned readable, unsigned writable, void *cookie)
{
    struct virtq_buffer buffer;

    memset(&buffer, 0, sizeof(buffer));
    buffer.segments = segments;
    buffer.cookie = cookie;
    buffer.readable = (uint16_t)readable;
    buffer.writable = (uint16_t)writable;
    cr_assert_eq(virtq_driver_add(queue->driver, &buffer, 1), 1);
    (void)virtq_driver_publish(queue->driver);
}

/** @brief Adds a buffer of one readable and one writable segment; a length of 0: none of them. */
static inline void queue_send(struct queue *queue, void *readable, uint32_t length, void *writable,
                              uint32_t room)
{
    struct virtq_segment segments[2];
    unsigned count = 0;

    memset(segments, 0, sizeof(segments));
    if (length != 0) {
        segments[count].base = readable;
        segments[count++].len = length;
    }
    if (room != 0) {
        segments[count].base = writable;
        segments[count++].len = room;
    }
    queue_add(queue, segments, length != 0, room != 0, writable);
}

/** @brief The next used buffer's length, or -1: there is none. */
static inline int64_t queue_take(struct queue *queue)
{
    struct virtq_completion done;

    return virtq_driver_poll(queue->driver, &done, 1) == 1 ? (int64_t)done.len : -1;
}

#endif
