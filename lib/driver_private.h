/* SPDX-License-Identifier: BSD-3-Clause */
/* The library tier's driver queue: one of the two formats, and the instance of its templates that
 * was chosen at init. */
#ifndef VIRTQ_LIB_DRIVER_PRIVATE_H
#define VIRTQ_LIB_DRIVER_PRIVATE_H

#include "virtq/driver.h"
#include "virtq/inline/driver_state.h"

/* The hot path of one instance. */
struct virtq_driver_ops {
    int (*add)(struct virtq_driver *driver, const struct virtq_buffer *buffers, unsigned count);
    unsigned (*publish)(struct virtq_driver *driver);
    bool (*needs_notify)(struct virtq_driver *driver, uint32_t *data);
    int (*poll)(struct virtq_driver *driver, struct virtq_completion *completions, unsigned count);
    bool (*enable_notify)(struct virtq_driver *driver, unsigned buffers);
    void (*disable_notify)(struct virtq_driver *driver);
    int (*restore)(struct virtq_driver *driver, const struct virtq_state *state);
};

struct virtq_driver {
    const struct virtq_driver_ops *ops;
    unsigned how; /* enum virtq_instance */
    bool is_packed;
    union {
        struct virtq_driver_core core; /* both formats begin with it */
        struct virtq_split_driver split;
        struct virtq_packed_driver packed;
    } queue;
};

/* The instances of a format, by virtq_priv_driver_index(). */
#define VIRTQ_DRIVER_INSTANCES 8

extern const struct virtq_driver_ops *const virtq_priv_split_driver_ops[VIRTQ_DRIVER_INSTANCES]
    __attribute__((visibility("hidden")));
extern const struct virtq_driver_ops *const virtq_priv_packed_driver_ops[VIRTQ_DRIVER_INSTANCES]
    __attribute__((visibility("hidden")));

/* The four kinds of space; then device-strength barriers and a big-endian ring, each for `called`
 * and `premapped`. */
static inline unsigned virtq_priv_driver_index(unsigned how)
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
#define VIRTQ_DRIVER_INSTANCE(format, name, how)                                             \
    static int virtq_##format##_driver_##name##_add(                                         \
        struct virtq_driver *driver, const struct virtq_buffer *buffers, unsigned count)     \
    {                                                                                        \
        return virtq_##format##_driver_add(&driver->queue.format, how, buffers, count);      \
    }                                                                                        \
    static unsigned virtq_##format##_driver_##name##_publish(struct virtq_driver *driver)    \
    {                                                                                        \
        return virtq_##format##_driver_publish(&driver->queue.format, how);                  \
    }                                                                                        \
    static bool virtq_##format##_driver_##name##_needs_notify(struct virtq_driver *driver,   \
                                                              uint32_t *data)                \
    {                                                                                        \
        return virtq_##format##_driver_needs_notify(&driver->queue.format, how, data);       \
    }                                                                                        \
    static int virtq_##format##_driver_##name##_poll(                                        \
        struct virtq_driver *driver, struct virtq_completion *completions, unsigned count)   \
    {                                                                                        \
        return virtq_##format##_driver_poll(&driver->queue.format, how, completions, count); \
    }                                                                                        \
    static bool virtq_##format##_driver_##name##_enable_notify(struct virtq_driver *driver,  \
                                                               unsigned buffers)             \
    {                                                                                        \
        return virtq_##format##_driver_enable_notify(&driver->queue.format, how, buffers);   \
    }                                                                                        \
    static void virtq_##format##_driver_##name##_disable_notify(struct virtq_driver *driver) \
    {                                                                                        \
        virtq_##format##_driver_disable_notify(&driver->queue.format, how);                  \
    }                                                                                        \
    static int virtq_##format##_driver_##name##_restore(struct virtq_driver *driver,         \
                                                        const struct virtq_state *state)     \
    {                                                                                        \
        return virtq_##format##_driver_restore(&driver->queue.format, how, state);           \
    }                                                                                        \
    static const struct virtq_driver_ops virtq_##format##_driver_##name##_ops = {            \
        .add = virtq_##format##_driver_##name##_add,                                         \
        .publish = virtq_##format##_driver_##name##_publish,                                 \
        .needs_notify = virtq_##format##_driver_##name##_needs_notify,                       \
        .poll = virtq_##format##_driver_##name##_poll,                                       \
        .enable_notify = virtq_##format##_driver_##name##_enable_notify,                     \
        .disable_notify = virtq_##format##_driver_##name##_disable_notify,                   \
        .restore = virtq_##format##_driver_##name##_restore,                                 \
    }

#endif
