/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Both ends behind one table of calls each: the inline tier's instances and the library
 * tier, so that one test body runs over all of them.
 */
#ifndef VIRTQ_TESTS_HOSTILE_ENDS_H
#define VIRTQ_TESTS_HOSTILE_ENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtq/inline/device_setup.h"
#include "virtq/inline/driver_state.h"
#include "virtq/virtq.h"

/** @brief A driver end of any tier. */
struct driver_end {
    const struct driver_calls *calls;
    union {
        struct virtq_split_driver split;
        struct virtq_packed_driver packed;
        struct virtq_driver *library;
    } queue;
};

/** @brief What can be done with it. */
struct driver_calls {
    size_t (*size)(const struct virtq_driver_config *config);
    int (*init)(struct driver_end *end, const struct virtq_driver_config *config, void *memory,
                size_t size);
    int (*add)(struct driver_end *end, const struct virtq_buffer *buffers, unsigned count);
    unsigned (*publish)(struct driver_end *end);
    bool (*needs_notify)(struct driver_end *end);
    int (*poll)(struct driver_end *end, struct virtq_completion *completions, unsigned count);
    bool (*enable_notify)(struct driver_end *end, unsigned after);
    void (*disable_notify)(struct driver_end *end);
};

/** @brief A device end of any tier. */
struct device_end {
    const struct device_calls *calls;
    union {
        struct virtq_split_device split;
        struct virtq_packed_device packed;
        struct virtq_device *library;
    } queue;
};

/** @brief What can be done with it. */
struct device_calls {
    size_t (*size)(const struct virtq_device_config *config);
    int (*init)(struct device_end *end, const struct virtq_device_config *config, void *memory,
                size_t size);
    int (*pop)(struct device_end *end, struct virtq_chain *chains, unsigned count,
               struct virtq_piece *pieces, unsigned piece_count);
    int (*push)(struct device_end *end, const struct virtq_used_buffer *used, unsigned count);
    int (*publish)(struct device_end *end);
    int (*needs_notify)(struct device_end *end);
    bool (*enable_notify)(struct device_end *end);
    void (*disable_notify)(struct device_end *end);
};

#define ENDS_DRIVER(format, name, how)                                                             \
    static int format##_driver_##name##_init(struct driver_end *end,                               \
                                             const struct virtq_driver_config *config,             \
                                             void *memory, size_t size)                            \
    {                                                                                              \
        return virtq_##format##_driver_init(&end->queue.format, config, memory, size);             \
    }                                                                                              \
    static int format##_driver_##name##_add(struct driver_end *end,                                \
                                            const struct virtq_buffer *buffers, unsigned count)    \
    {                                                                                              \
        return virtq_##format##_driver_add(&end->queue.format, how, buffers, count);               \
    }                                                                                              \
    static unsigned format##_driver_##name##_publish(struct driver_end *end)                       \
    {                                                                                              \
        return virtq_##format##_driver_publish(&end->queue.format, how);                           \
    }                                                                                              \
    static bool format##_driver_##name##_needs_notify(struct driver_end *end)                      \
    {                                                                                              \
        return virtq_##format##_driver_needs_notify(&end->queue.format, how, NULL);                \
    }                                                                                              \
    static int format##_driver_##name##_poll(struct driver_end *end,                               \
                                             struct virtq_completion *completions, unsigned count) \
    {                                                                                              \
        return virtq_##format##_driver_poll(&end->queue.format, how, completions, count);          \
    }                                                                                              \
    static bool format##_driver_##name##_enable_notify(struct driver_end *end, unsigned after)     \
    {                                                                                              \
        return virtq_##format##_driver_enable_notify(&end->queue.format, how, after);              \
    }                                                                                              \
    static void format##_driver_##name##_disable_notify(struct driver_end *end)                    \
    {                                                                                              \
        virtq_##format##_driver_disable_notify(&end->queue.format, how);                           \
    }                                                                                              \
    static const struct driver_calls format##_driver_##name = {                                    \
        virtq_driver_setup_size,                                                                   \
        format##_driver_##name##_init,                                                             \
        format##_driver_##name##_add,                                                              \
        format##_driver_##name##_publish,                                                          \
        format##_driver_##name##_needs_notify,                                                     \
        format##_driver_##name##_poll,                                                             \
        format##_driver_##name##_enable_notify,                                                    \
        format##_driver_##name##_disable_notify}

#define ENDS_DEVICE(format, name, how)                                                             \
    static int format##_device_##name##_init(struct device_end *end,                               \
                                             const struct virtq_device_config *config,             \
                                             void *memory, size_t size)                            \
    {                                                                                              \
        return virtq_##format##_device_init(&end->queue.format, config, memory, size, NULL);       \
    }                                                                                              \
    static int format##_device_##name##_pop(struct device_end *end, struct virtq_chain *chains,    \
                                            unsigned count, struct virtq_piece *pieces,            \
                                            unsigned piece_count)                                  \
    {                                                                                              \
        return virtq_##format##_device_pop(&end->queue.format, how, chains, count, pieces,         \
                                           piece_count);                                           \
    }                                                                                              \
    static int format##_device_##name##_push(struct device_end *end,                               \
                                             const struct virtq_used_buffer *used, unsigned count) \
    {                                                                                              \
        return virtq_##format##_device_push(&end->queue.format, how, used, count);                 \
    }                                                                                              \
    static int format##_device_##name##_publish(struct device_end *end)                            \
    {                                                                                              \
        return virtq_##format##_device_publish(&end->queue.format, how);                           \
    }                                                                                              \
    static int format##_device_##name##_needs_notify(struct device_end *end)                       \
    {                                                                                              \
        return virtq_##format##_device_needs_notify(&end->queue.format, how);                      \
    }                                                                                              \
    static bool format##_device_##name##_enable_notify(struct device_end *end)                     \
    {                                                                                              \
        return virtq_##format##_device_enable_notify(&end->queue.format, how);                     \
    }                                                                                              \
    static void format##_device_##name##_disable_notify(struct device_end *end)                    \
    {                                                                                              \
        virtq_##format##_device_disable_notify(&end->queue.format, how);                           \
    }                                                                                              \
    static const struct device_calls format##_device_##name = {                                    \
        virtq_device_setup_size,                                                                   \
        format##_device_##name##_init,                                                             \
        format##_device_##name##_pop,                                                              \
        format##_device_##name##_push,                                                             \
        format##_device_##name##_publish,                                                          \
        format##_device_##name##_needs_notify,                                                     \
        format##_device_##name##_enable_notify,                                                    \
        format##_device_##name##_disable_notify}

ENDS_DRIVER(split, direct, VIRTQ_INSTANCE_DIRECT);
ENDS_DRIVER(split, called, VIRTQ_INSTANCE_CALLED);
ENDS_DRIVER(packed, direct, VIRTQ_INSTANCE_DIRECT);
ENDS_DRIVER(packed, called, VIRTQ_INSTANCE_CALLED);
ENDS_DEVICE(split, direct, VIRTQ_INSTANCE_DIRECT);
ENDS_DEVICE(split, called, VIRTQ_INSTANCE_CALLED);
ENDS_DEVICE(packed, direct, VIRTQ_INSTANCE_DIRECT);
ENDS_DEVICE(packed, called, VIRTQ_INSTANCE_CALLED);

/** @brief The inline tier's instances, by [packed][called]. */
static const struct driver_calls *const inline_drivers[2][2] = {
    {&split_driver_direct, &split_driver_called}, {&packed_driver_direct, &packed_driver_called}};
/** @brief The same for the device end. */
static const struct device_calls *const inline_devices[2][2] = {
    {&split_device_direct, &split_device_called}, {&packed_device_direct, &packed_device_called}};

#endif
