/* SPDX-License-Identifier: BSD-3-Clause */
/* The library tier: one instance for every format and space, for the choice is made behind it. */
#include "queue/queue.h"

static int call_add(struct bench_queue *queue, const struct virtq_buffer *buffers, unsigned count)
{
    return virtq_driver_add(queue->driver.library, buffers, count);
}

static unsigned call_publish(struct bench_queue *queue)
{
    return virtq_driver_publish(queue->driver.library);
}

static bool call_needs_notify(struct bench_queue *queue)
{
    return virtq_driver_needs_notify(queue->driver.library, NULL);
}

static int call_poll(struct bench_queue *queue, struct virtq_completion *completions,
                     unsigned count)
{
    return virtq_driver_poll(queue->driver.library, completions, count);
}

static bool call_enable_notify(struct bench_queue *queue)
{
    return virtq_driver_enable_notify(queue->driver.library);
}

static void call_disable_notify(struct bench_queue *queue)
{
    virtq_driver_disable_notify(queue->driver.library);
}

static int call_pop(struct bench_queue *queue, struct virtq_chain *chains, unsigned count,
                    struct virtq_piece *pieces, unsigned piece_count)
{
    return virtq_device_pop(queue->device.library, chains, count, pieces, piece_count);
}

static int call_push(struct bench_queue *queue, const struct virtq_used_buffer *used,
                     unsigned count)
{
    return virtq_device_push(queue->device.library, used, count);
}

static int call_device_publish(struct bench_queue *queue)
{
    return (int)virtq_device_publish(queue->device.library);
}

static int call_device_needs_notify(struct bench_queue *queue)
{
    return virtq_device_needs_notify(queue->device.library);
}

static bool call_device_enable_notify(struct bench_queue *queue)
{
    return virtq_device_enable_notify(queue->device.library);
}

static void call_device_disable_notify(struct bench_queue *queue)
{
    virtq_device_disable_notify(queue->device.library);
}

static int call_driver_init(struct bench_queue *queue, const struct virtq_driver_config *config)
{
    return virtq_driver_init(queue->driver_memory, queue->driver_memory_size, config,
                             &queue->driver.library);
}

static int call_device_init(struct bench_queue *queue, const struct virtq_device_config *config)
{
    return virtq_device_init(queue->device_memory, queue->device_memory_size, config,
                             &queue->device.library, NULL);
}

static size_t call_driver_size(const struct virtq_driver_config *config)
{
    return virtq_driver_size(config);
}

static size_t call_device_size(const struct virtq_device_config *config)
{
    return virtq_device_size(config);
}

static void call_driver_addresses(const struct bench_queue *queue,
                                  struct virtq_area_addresses *addresses)
{
    virtq_driver_addresses(queue->driver.library, addresses);
}

static void call_driver_destroy(struct bench_queue *queue)
{
    virtq_driver_destroy(queue->driver.library);
}

#include "queue/loops.h"

BENCH_VARIANT(bench_variant_library);
