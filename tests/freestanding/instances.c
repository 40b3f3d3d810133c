/* SPDX-License-Identifier: BSD-3-Clause */
/* Every function of the inline tier that is on a hot path, once for each format, end and instance:
 * hot_<format>_<end>_<instance>_<verb>. tests/freestanding compiles and links it without a C
 * library, tests/abi reads its machine code. */
#include <virtq/inline/packed_device.h>
#include <virtq/inline/packed_driver.h>
#include <virtq/inline/split_device.h>
#include <virtq/inline/split_driver.h>

#define BOTH_ENDS(format, end, name, how)                                                     \
    int hot_##format##_##end##_##name##_disable_notify(struct virtq_##format##_##end *queue); \
    int hot_##format##_##end##_##name##_disable_notify(struct virtq_##format##_##end *queue)  \
    {                                                                                         \
        virtq_##format##_##end##_disable_notify(queue, how);                                  \
        return 0;                                                                             \
    }                                                                                         \
    int hot_##format##_##end##_##name##_publish(struct virtq_##format##_##end *queue);        \
    int hot_##format##_##end##_##name##_publish(struct virtq_##format##_##end *queue)         \
    {                                                                                         \
        return (int)virtq_##format##_##end##_publish(queue, how);                             \
    }

#define DRIVER(format, name, how)                                                                  \
    BOTH_ENDS(format, driver, name, how)                                                           \
    int hot_##format##_driver_##name##_add(struct virtq_##format##_driver *queue,                  \
                                           const struct virtq_buffer *buffers, unsigned count);    \
    int hot_##format##_driver_##name##_add(struct virtq_##format##_driver *queue,                  \
                                           const struct virtq_buffer *buffers, unsigned count)     \
    {                                                                                              \
        return virtq_##format##_driver_add(queue, how, buffers, count);                            \
    }                                                                                              \
    int hot_##format##_driver_##name##_poll(struct virtq_##format##_driver *queue,                 \
                                            struct virtq_completion *completions, unsigned count); \
    int hot_##format##_driver_##name##_poll(struct virtq_##format##_driver *queue,                 \
                                            struct virtq_completion *completions, unsigned count)  \
    {                                                                                              \
        return virtq_##format##_driver_poll(queue, how, completions, count);                       \
    }                                                                                              \
    int hot_##format##_driver_##name##_needs_notify(struct virtq_##format##_driver *queue,         \
                                                    uint32_t *data);                               \
    int hot_##format##_driver_##name##_needs_notify(struct virtq_##format##_driver *queue,         \
                                                    uint32_t *data)                                \
    {                                                                                              \
        return virtq_##format##_driver_needs_notify(queue, how, data);                             \
    }                                                                                              \
    int hot_##format##_driver_##name##_enable_notify(struct virtq_##format##_driver *queue,        \
                                                     unsigned buffers);                            \
    int hot_##format##_driver_##name##_enable_notify(struct virtq_##format##_driver *queue,        \
                                                     unsigned buffers)                             \
    {                                                                                              \
        return virtq_##format##_driver_enable_notify(queue, how, buffers);                         \
    }

#define DEVICE(format, name, how)                                                                  \
    BOTH_ENDS(format, device, name, how)                                                           \
    int hot_##format##_device_##name##_pop(struct virtq_##format##_device *queue,                  \
                                           struct virtq_chain *chains, unsigned count,             \
                                           struct virtq_piece *pieces, unsigned piece_count);      \
    int hot_##format##_device_##name##_pop(struct virtq_##format##_device *queue,                  \
                                           struct virtq_chain *chains, unsigned count,             \
                                           struct virtq_piece *pieces, unsigned piece_count)       \
    {                                                                                              \
        return virtq_##format##_device_pop(queue, how, chains, count, pieces, piece_count);        \
    }                                                                                              \
    int hot_##format##_device_##name##_push(struct virtq_##format##_device *queue,                 \
                                            const struct virtq_used_buffer *used, unsigned count); \
    int hot_##format##_device_##name##_push(struct virtq_##format##_device *queue,                 \
                                            const struct virtq_used_buffer *used, unsigned count)  \
    {                                                                                              \
        return virtq_##format##_device_push(queue, how, used, count);                              \
    }                                                                                              \
    int hot_##format##_device_##name##_needs_notify(struct virtq_##format##_device *queue);        \
    int hot_##format##_device_##name##_needs_notify(struct virtq_##format##_device *queue)         \
    {                                                                                              \
        return virtq_##format##_device_needs_notify(queue, how);                                   \
    }                                                                                              \
    int hot_##format##_device_##name##_enable_notify(struct virtq_##format##_device *queue);       \
    int hot_##format##_device_##name##_enable_notify(struct virtq_##format##_device *queue)        \
    {                                                                                              \
        return virtq_##format##_device_enable_notify(queue, how);                                  \
    }

#define INSTANCE(name, how)   \
    DRIVER(split, name, how)  \
    DRIVER(packed, name, how) \
    DEVICE(split, name, how)  \
    DEVICE(packed, name, how)

INSTANCE(called, VIRTQ_INSTANCE_CALLED)
INSTANCE(direct, VIRTQ_INSTANCE_DIRECT)
INSTANCE(bar, VIRTQ_INSTANCE_BAR)
INSTANCE(premapped, VIRTQ_INSTANCE_PREMAPPED)
