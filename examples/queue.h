/* SPDX-License-Identifier: BSD-3-Clause */
/* A small queue with both ends, for the examples that are about spaces: the device sends back what
 * it reads. */
#ifndef EXAMPLES_QUEUE_H
#define EXAMPLES_QUEUE_H

#include <stdint.h>
#include <virtq/virtq.h>

#include "support.h"

#define QUEUE_SIZE 16u
#define QUEUE_RING_BYTES 4096u /* of memory that the device reaches, aligned to as much */

struct queue {
    struct virtq_driver *driver;
    struct virtq_device *device;
    void *driver_memory;
    void *device_memory;
};

/* `driver`, `device`: what each end knows of addresses. `ring`: QUEUE_RING_BYTES. */
static inline void queue_open(struct queue *queue, struct virtq_space *driver,
                              struct virtq_space *device, void *ring)
{
    struct virtq_driver_config driver_config = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device_config = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_layout layout;
    size_t size;

    check(virtq_layout_init(VIRTQ_FORMAT_SPLIT, QUEUE_SIZE, &layout) == VIRTQ_OK, "layout");
    driver_config.size = QUEUE_SIZE;
    driver_config.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    driver_config.segments_max = 4;
    driver_config.space = driver;
    virtq_layout_areas(&layout, ring, &driver_config.areas);
    size = virtq_driver_size(&driver_config);
    queue->driver_memory = memory(size, VIRTQ_CACHE_LINE);
    check(virtq_driver_init(queue->driver_memory, size, &driver_config, &queue->driver) == VIRTQ_OK,
          "driver");

    device_config.size = QUEUE_SIZE;
    device_config.features = driver_config.features;
    device_config.flags = VIRTQ_DEVICE_RING_TRANSLATED;
    device_config.space = device;
    virtq_driver_addresses(queue->driver, &device_config.addresses);
    size = virtq_device_size(&device_config);
    queue->device_memory = memory(size, VIRTQ_CACHE_LINE);
    check(virtq_device_init(queue->device_memory, size, &device_config, &queue->device, NULL) ==
              VIRTQ_OK,
          "device");
}

static inline void queue_close(struct queue *queue)
{
    virtq_driver_destroy(queue->driver);
    free(queue->driver_memory);
    free(queue->device_memory);
}

/* The device: one buffer, whose writable part becomes a copy of its readable part. */
static inline void queue_echo(struct queue *queue)
{
    struct virtq_chain chain;
    struct virtq_piece pieces[8];
    struct virtq_cursor reader;
    struct virtq_cursor writer;
    struct virtq_used_buffer used;

    check(virtq_device_pop(queue->device, &chain, 1, pieces, 8) == 1, "pop");
    check(chain.reason == VIRTQ_REASON_NONE, virtq_reason_name(chain.reason));
    reader = virtq_chain_reader(&chain);
    writer = virtq_chain_writer(&chain);
    (void)virtq_cursor_copy(&writer, &reader, chain.readable_bytes);
    used = (struct virtq_used_buffer){chain.id, (uint32_t)virtq_cursor_moved(&writer)};
    check(virtq_device_push(queue->device, &used, 1) == 1, "push");
    check(virtq_device_publish(queue->device) == 1, "publish");
}

/* A buffer to the device and back; how many bytes the device wrote. */
static inline uint32_t queue_carry(struct queue *queue, const struct virtq_buffer *buffer)
{
    struct virtq_completion done;

    check(virtq_driver_add(queue->driver, buffer, 1) == 1, "add");
    check(virtq_driver_publish(queue->driver) == 1, "publish");
    queue_echo(queue);
    check(virtq_driver_poll(queue->driver, &done, 1) == 1, "poll");
    check(done.cookie == buffer->cookie, "the buffer that was added");
    return done.len;
}

#endif
