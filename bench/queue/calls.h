/* SPDX-License-Identifier: BSD-3-Clause */
/* How an instance of the inline tier is called: the templates with their constants, under the names
 * that loops.h uses. */
#ifndef BENCH_QUEUE_CALLS_H
#define BENCH_QUEUE_CALLS_H

#include "queue/queue.h"

/* `format`: split or packed. `driver_how`, `device_how`: enum virtq_instance, as the space of each
 * end asks for. */
#define BENCH_INLINE_CALLS(format, driver_how, device_how)                                        \
    VIRTQ_TEMPLATE int call_add(struct bench_queue *queue, const struct virtq_buffer *buffers,    \
                                unsigned count)                                                   \
    {                                                                                             \
        return virtq_##format##_driver_add(&queue->driver.format, driver_how, buffers, count);    \
    }                                                                                             \
    VIRTQ_TEMPLATE unsigned call_publish(struct bench_queue *queue)                               \
    {                                                                                             \
        return virtq_##format##_driver_publish(&queue->driver.format, driver_how);                \
    }                                                                                             \
    VIRTQ_TEMPLATE bool call_needs_notify(struct bench_queue *queue)                              \
    {                                                                                             \
        return virtq_##format##_driver_needs_notify(&queue->driver.format, driver_how, NULL);     \
    }                                                                                             \
    VIRTQ_TEMPLATE int call_poll(struct bench_queue *queue, struct virtq_completion *completions, \
                                 unsigned count)                                                  \
    {                                                                                             \
        return virtq_##format##_driver_poll(&queue->driver.format, driver_how, completions,       \
                                            count);                                               \
    }                                                                                             \
    VIRTQ_TEMPLATE bool call_enable_notify(struct bench_queue *queue)                             \
    {                                                                                             \
        return virtq_##format##_driver_enable_notify(&queue->driver.format, driver_how, 1);       \
    }                                                                                             \
    VIRTQ_TEMPLATE void call_disable_notify(struct bench_queue *queue)                            \
    {                                                                                             \
        virtq_##format##_driver_disable_notify(&queue->driver.format, driver_how);                \
    }                                                                                             \
    VIRTQ_TEMPLATE int call_pop(struct bench_queue *queue, struct virtq_chain *chains,            \
                                unsigned count, struct virtq_piece *pieces, unsigned piece_count) \
    {                                                                                             \
        return virtq_##format##_device_pop(&queue->device.format, device_how, chains, count,      \
                                           pieces, piece_count);                                  \
    }                                                                                             \
    VIRTQ_TEMPLATE int call_push(struct bench_queue *queue, const struct virtq_used_buffer *used, \
                                 unsigned count)                                                  \
    {                                                                                             \
        return virtq_##format##_device_push(&queue->device.format, device_how, used, count);      \
    }                                                                                             \
    VIRTQ_TEMPLATE int call_device_publish(struct bench_queue *queue)                             \
    {                                                                                             \
        return (int)virtq_##format##_device_publish(&queue->device.format, device_how);           \
    }                                                                                             \
    VIRTQ_TEMPLATE int call_device_needs_notify(struct bench_queue *queue)                        \
    {                                                                                             \
        return virtq_##format##_device_needs_notify(&queue->device.format, device_how);           \
    }                                                                                             \
    VIRTQ_TEMPLATE bool call_device_enable_notify(struct bench_queue *queue)                      \
    {                                                                                             \
        return virtq_##format##_device_enable_notify(&queue->device.format, device_how);          \
    }                                                                                             \
    VIRTQ_TEMPLATE void call_device_disable_notify(struct bench_queue *queue)                     \
    {                                                                                             \
        virtq_##format##_device_disable_notify(&queue->device.format, device_how);                \
    }                                                                                             \
    static int call_driver_init(struct bench_queue *queue,                                        \
                                const struct virtq_driver_config *config)                         \
    {                                                                                             \
        if (virtq_driver_setup_instance(config) != (unsigned)(driver_how)) {                      \
            return VIRTQ_EINVAL;                                                                  \
        }                                                                                         \
        return virtq_##format##_driver_init(&queue->driver.format, config, queue->driver_memory,  \
                                            queue->driver_memory_size);                           \
    }                                                                                             \
    static int call_device_init(struct bench_queue *queue,                                        \
                                const struct virtq_device_config *config)                         \
    {                                                                                             \
        if (virtq_device_setup_instance(config) != (unsigned)(device_how)) {                      \
            return VIRTQ_EINVAL;                                                                  \
        }                                                                                         \
        return virtq_##format##_device_init(&queue->device.format, config, queue->device_memory,  \
                                            queue->device_memory_size, NULL);                     \
    }                                                                                             \
    static size_t call_driver_size(const struct virtq_driver_config *config)                      \
    {                                                                                             \
        return virtq_driver_setup_size(config);                                                   \
    }                                                                                             \
    static size_t call_device_size(const struct virtq_device_config *config)                      \
    {                                                                                             \
        return virtq_device_setup_size(config);                                                   \
    }                                                                                             \
    static void call_driver_addresses(const struct bench_queue *queue,                            \
                                      struct virtq_area_addresses *addresses)                     \
    {                                                                                             \
        *addresses = queue->driver.format.core.addresses;                                         \
    }                                                                                             \
    static void call_driver_destroy(struct bench_queue *queue)                                    \
    {                                                                                             \
        virtq_driver_setup_destroy(&queue->driver.format.core, driver_how);                       \
    }

#endif
