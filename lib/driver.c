/* SPDX-License-Identifier: BSD-3-Clause */
/* The library tier of the driver end: chooses an instance once, at init, and from then on is one
 * indirect call away from the templates. */
#include "driver_private.h"

/* The queue's struct comes first in the caller's memory, the arrays on the following cache lines.
 */
static size_t header_bytes(void)
{
    return (sizeof(struct virtq_driver) + VIRTQ_CACHE_LINE - 1u) & ~(size_t)(VIRTQ_CACHE_LINE - 1u);
}

VIRTQ_API size_t virtq_driver_size(const struct virtq_driver_config *config)
{
    size_t arrays = virtq_driver_setup_size(config);

    return arrays == 0u ? 0u : header_bytes() + arrays;
}

VIRTQ_API size_t virtq_driver_tables_size(const struct virtq_driver_config *config)
{
    struct virtq_driver_config copy;

    if (!virtq_driver_setup_config(&copy, config)) {
        return 0;
    }
    return virtq_driver_setup_runs(&copy) * 16u * copy.size;
}

VIRTQ_API int virtq_driver_init(void *memory, size_t memory_size,
                                const struct virtq_driver_config *config,
                                struct virtq_driver **driver)
{
    struct virtq_driver_config copy;
    struct virtq_driver fresh;
    unsigned char *arrays;
    size_t arrays_size;
    int error;

    if (driver == NULL || memory == NULL || !virtq_driver_setup_config(&copy, config)) {
        return VIRTQ_EINVAL;
    }
    if (memory_size < header_bytes()) {
        return VIRTQ_ENOMEM;
    }
    arrays = (unsigned char *)memory + header_bytes();
    arrays_size = memory_size - header_bytes();
    fresh.how = virtq_driver_setup_instance(&copy);
    fresh.is_packed = copy.format == (uint32_t)VIRTQ_FORMAT_PACKED;
    if (fresh.is_packed) {
        fresh.ops = virtq_priv_packed_driver_ops[virtq_priv_driver_index(fresh.how)];
        error = virtq_packed_driver_init(&fresh.queue.packed, &copy, arrays, arrays_size);
    } else {
        fresh.ops = virtq_priv_split_driver_ops[virtq_priv_driver_index(fresh.how)];
        error = virtq_split_driver_init(&fresh.queue.split, &copy, arrays, arrays_size);
    }
    if (error == VIRTQ_OK) {
        *driver = (struct virtq_driver *)memory;
        **driver = fresh;
    }
    return error;
}

VIRTQ_API void virtq_driver_addresses(const struct virtq_driver *driver,
                                      struct virtq_area_addresses *addresses)
{
    *addresses = driver->queue.core.addresses;
}

VIRTQ_API int virtq_driver_add(struct virtq_driver *driver, const struct virtq_buffer *buffers,
                               unsigned count)
{
    return driver->ops->add(driver, buffers, count);
}

VIRTQ_API unsigned virtq_driver_publish(struct virtq_driver *driver)
{
    return driver->ops->publish(driver);
}

VIRTQ_API bool virtq_driver_needs_notify(struct virtq_driver *driver, uint32_t *data)
{
    return driver->ops->needs_notify(driver, data);
}

VIRTQ_API int virtq_driver_poll(struct virtq_driver *driver, struct virtq_completion *completions,
                                unsigned count)
{
    return driver->ops->poll(driver, completions, count);
}

VIRTQ_API bool virtq_driver_enable_notify(struct virtq_driver *driver)
{
    return driver->ops->enable_notify(driver, 1);
}

VIRTQ_API bool virtq_driver_enable_notify_after(struct virtq_driver *driver, unsigned buffers)
{
    return driver->ops->enable_notify(driver, buffers);
}

VIRTQ_API void virtq_driver_disable_notify(struct virtq_driver *driver)
{
    driver->ops->disable_notify(driver);
}

VIRTQ_API int virtq_driver_detach(struct virtq_driver *driver, void **cookie)
{
    return virtq_driver_setup_detach(&driver->queue.core, driver->how, cookie);
}

VIRTQ_API int virtq_driver_reset(struct virtq_driver *driver)
{
    if (virtq_driver_setup_busy(&driver->queue.core)) {
        return VIRTQ_EBUSY;
    }
    if (driver->is_packed) {
        virtq_packed_driver_start(&driver->queue.packed);
    } else {
        virtq_split_driver_start(&driver->queue.split);
    }
    return VIRTQ_OK;
}

VIRTQ_API int virtq_driver_resize(struct virtq_driver *driver,
                                  const struct virtq_driver_config *config)
{
    struct virtq_driver_config copy;

    if (!virtq_driver_setup_config(&copy, config) ||
        virtq_driver_setup_instance(&copy) != driver->how) {
        return VIRTQ_EINVAL;
    }
    return driver->is_packed ? virtq_packed_driver_resize(&driver->queue.packed, &copy)
                             : virtq_split_driver_resize(&driver->queue.split, &copy);
}

VIRTQ_API void virtq_driver_destroy(struct virtq_driver *driver)
{
    virtq_driver_setup_destroy(&driver->queue.core, driver->how);
}

VIRTQ_API int virtq_driver_save(const struct virtq_driver *driver, struct virtq_state *state)
{
    return driver->is_packed ? virtq_packed_driver_save(&driver->queue.packed, state)
                             : virtq_split_driver_save(&driver->queue.split, state);
}

VIRTQ_API int virtq_driver_restore(struct virtq_driver *driver, const struct virtq_state *state)
{
    return driver->ops->restore(driver, state);
}

VIRTQ_API uint32_t virtq_driver_outstanding(const struct virtq_driver *driver)
{
    return driver->queue.core.outstanding + driver->queue.core.unpublished;
}

VIRTQ_API uint32_t virtq_driver_room(const struct virtq_driver *driver)
{
    return driver->queue.core.room;
}

VIRTQ_API void virtq_driver_fault(const struct virtq_driver *driver, struct virtq_fault *fault)
{
    *fault = driver->queue.core.fault;
}

VIRTQ_API void virtq_driver_counters(const struct virtq_driver *driver,
                                     struct virtq_counters *counters)
{
    *counters = driver->queue.core.counters;
}
