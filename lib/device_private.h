/* SPDX-License-Identifier: BSD-3-Clause */
/* The library tier's device queue: one of the two formats, and the instance of its templates that
 * was chosen at init. */
#ifndef VIRTQ_LIB_DEVICE_PRIVATE_H
#define VIRTQ_LIB_DEVICE_PRIVATE_H

#include "virtq/device.h"
#include "virtq/inline/device_setup.h"

/* The hot path of one instance. */
struct virtq_device_ops {
    int (*pop)(struct virtq_device *device, struct virtq_chain *chains, unsigned count,
               struct virtq_piece *pieces, unsigned piece_count);
    int (*push)(struct virtq_device *device, const struct virtq_used_buffer *used, unsigned count);
    int (*publish)(struct virtq_device *device);
    int (*needs_notify)(struct virtq_device *device);
    bool (*enable_notify)(struct virtq_device *device);
    void (*disable_notify)(struct virtq_device *device);
};

struct virtq_device {
    const struct virtq_device_ops *ops;
    unsigned how; /* enum virtq_instance */
    bool is_packed;
    union {
        struct virtq_device_core core; /* both formats begin with it */
        struct virtq_split_device split;
        struct virtq_packed_device packed;
    } queue;
};

/* The instances of a format, by virtq_priv_device_index(). */
#define VIRTQ_DEVICE_INSTANCES 8

extern const struct virtq_device_ops *const virtq_priv_split_device_ops[VIRTQ_DEVICE_INSTANCES]
    __attribute__((visibility("hidden")));
extern const struct virtq_device_ops *const virtq_priv_packed_device_ops[VIRTQ_DEVICE_INSTANCES]
    __attribute__((visibility("hidden")));

/* The four kinds of space; then device-strength barriers and a big-endian ring, each for `called`
 * and `premapped`. */
static inline unsigned virtq_priv_device_index(unsigned how)
{
    const unsigned premapped = (how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_PREMAPPED ? 1u : 0u;

    if ((how & VIRTQ_INSTANCE_BIG_ENDIAN) != 0u) {
        return 6u + premapped;
    }
    if ((how & VIRTQ_INSTANCE_PLATFORM) != 0u) {
        return 4u + premapped;
    }
    return how & VIRTQ_INSTANCE_KIND;
}

/* One instance of the templates of a format. */
#define VIRTQ_DEVICE_INSTANCE(format, name, how)                                              \
    static int virtq_##format##_device_##name##_pop(                                          \
        struct virtq_device *device, struct virtq_chain *chains, unsigned count,              \
        struct virtq_piece *pieces, unsigned piece_count)                                     \
    {                                                                                         \
        return virtq_##format##_device_pop(&device->queue.format, how, chains, count, pieces, \
                                           piece_count);                                      \
    }                                                                                         \
    static int virtq_##format##_device_##name##_push(                                         \
        struct virtq_device *device, const struct virtq_used_buffer *used, unsigned count)    \
    {                                                                                         \
        return virtq_##format##_device_push(&device->queue.format, how, used, count);         \
    }                                                                                         \
    static int virtq_##format##_device_##name##_publish(struct virtq_device *device)          \
    {                                                                                         \
        return virtq_##format##_device_publish(&device->queue.format, how);                   \
    }                                                                                         \
    static int virtq_##format##_device_##name##_needs_notify(struct virtq_device *device)     \
    {                                                                                         \
        return virtq_##format##_device_needs_notify(&device->queue.format, how);              \
    }                                                                                         \
    static bool virtq_##format##_device_##name##_enable_notify(struct virtq_device *device)   \
    {                                                                                         \
        return virtq_##format##_device_enable_notify(&device->queue.format, how);             \
    }                                                                                         \
    static void virtq_##format##_device_##name##_disable_notify(struct virtq_device *device)  \
    {                                                                                         \
        virtq_##format##_device_disable_notify(&device->queue.format, how);                   \
    }                                                                                         \
    static const struct virtq_device_ops virtq_##format##_device_##name##_ops = {             \
        .pop = virtq_##format##_device_##name##_pop,                                          \
        .push = virtq_##format##_device_##name##_push,                                        \
        .publish = virtq_##format##_device_##name##_publish,                                  \
        .needs_notify = virtq_##format##_device_##name##_needs_notify,                        \
        .enable_notify = virtq_##format##_device_##name##_enable_notify,                      \
        .disable_notify = virtq_##format##_device_##name##_disable_notify,                    \
    }

#endif
