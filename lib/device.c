/* SPDX-License-Identifier: BSD-3-Clause */
/* The library tier of the device end: chooses an instance once, at init, and from then on is one
 * indirect call away from the templates. */
#include "device_private.h"

/* The queue's struct comes first in the caller's memory, the arrays on the following cache lines.
 */
static size_t header_bytes(void)
{
    return (sizeof(struct virtq_device) + VIRTQ_CACHE_LINE - 1u) & ~(size_t)(VIRTQ_CACHE_LINE - 1u);
}

VIRTQ_API size_t virtq_device_size(const struct virtq_device_config *config)
{
    size_t arrays = virtq_device_setup_size(config);

    return arrays == 0u ? 0u : header_bytes() + arrays;
}

/* Builds the queue of the configured format beside the old one, if any: `fresh` is complete, or
 * nothing was touched. */
static int build(struct virtq_device *fresh, const struct virtq_device_config *config, void *arrays,
                 size_t arrays_size, struct virtq_miss *miss)
{
    fresh->how = virtq_device_setup_instance(config);
    fresh->is_packed = config->format == (uint32_t)VIRTQ_FORMAT_PACKED;
    if (fresh->is_packed) {
        fresh->ops = virtq_priv_packed_device_ops[virtq_priv_device_index(fresh->how)];
        return virtq_packed_device_init(&fresh->queue.packed, config, arrays, arrays_size, miss);
    }
    fresh->ops = virtq_priv_split_device_ops[virtq_priv_device_index(fresh->how)];
    return virtq_split_device_init(&fresh->queue.split, config, arrays, arrays_size, miss);
}

VIRTQ_API int virtq_device_init(void *memory, size_t memory_size,
                                const struct virtq_device_config *config,
                                struct virtq_device **device, struct virtq_miss *miss_of_ring)
{
    struct virtq_device_config copy;
    struct virtq_device fresh;
    int error;

    if (device == NULL || memory == NULL || !virtq_device_setup_config(&copy, config)) {
        return VIRTQ_EINVAL;
    }
    if (memory_size < header_bytes()) {
        return VIRTQ_ENOMEM;
    }
    error = build(&fresh, &copy, (unsigned char *)memory + header_bytes(),
                  memory_size - header_bytes(), miss_of_ring);
    if (error == VIRTQ_OK) {
        *device = (struct virtq_device *)memory;
        **device = fresh;
    }
    return error;
}

VIRTQ_API int virtq_device_pop(struct virtq_device *device, struct virtq_chain *chains,
                               unsigned count, struct virtq_piece *pieces, unsigned piece_count)
{
    return device->ops->pop(device, chains, count, pieces, piece_count);
}

VIRTQ_API int virtq_device_unpop(struct virtq_device *device, const struct virtq_chain *chains,
                                 unsigned count)
{
    return device->is_packed ? virtq_packed_device_unpop(&device->queue.packed, chains, count)
                             : virtq_split_device_unpop(&device->queue.split, chains, count);
}

VIRTQ_API int virtq_device_push(struct virtq_device *device, const struct virtq_used_buffer *used,
                                unsigned count)
{
    return device->ops->push(device, used, count);
}

VIRTQ_API int virtq_device_publish(struct virtq_device *device)
{
    return device->ops->publish(device);
}

VIRTQ_API int virtq_device_needs_notify(struct virtq_device *device)
{
    return device->ops->needs_notify(device);
}

VIRTQ_API bool virtq_device_enable_notify(struct virtq_device *device)
{
    return device->ops->enable_notify(device);
}

VIRTQ_API void virtq_device_disable_notify(struct virtq_device *device)
{
    device->ops->disable_notify(device);
}

VIRTQ_API uint32_t virtq_device_quiesce(struct virtq_device *device)
{
    device->queue.core.flags |= VIRTQ_CORE_QUIESCED;
    return device->queue.core.in_flight;
}

VIRTQ_API void virtq_device_resume(struct virtq_device *device)
{
    device->queue.core.flags &= ~(uint32_t)VIRTQ_CORE_QUIESCED;
}

VIRTQ_API void virtq_device_reset(struct virtq_device *device)
{
    if (device->is_packed) {
        virtq_packed_device_start(&device->queue.packed, device->how, VIRTQ_POSITION_START,
                                  VIRTQ_POSITION_START);
    } else {
        virtq_split_device_start(&device->queue.split, device->how, 0, 0);
    }
}

VIRTQ_API int virtq_device_resize(struct virtq_device *device,
                                  const struct virtq_device_config *config)
{
    const struct virtq_device_core *core = &device->queue.core;
    struct virtq_device_config copy;
    struct virtq_device fresh;
    struct virtq_counters counters;
    int error;

    virtq_device_core_read(core, &counters);
    if (!virtq_device_setup_config(&copy, config) ||
        virtq_device_setup_instance(&copy) != device->how ||
        (copy.format == (uint32_t)VIRTQ_FORMAT_PACKED) != device->is_packed) {
        return VIRTQ_EINVAL;
    }
    error = build(&fresh, &copy, core->memory, core->memory_size, &device->queue.core.miss);
    if (error == VIRTQ_OK) {
        *device = fresh;
        device->queue.core.counters = counters;
    }
    return error;
}

VIRTQ_API int virtq_device_save(const struct virtq_device *device, struct virtq_state *state)
{
    const struct virtq_split_device *split = &device->queue.split;
    const struct virtq_packed_device *packed = &device->queue.packed;

    return device->is_packed ? virtq_device_setup_save(&packed->core, VIRTQ_FORMAT_PACKED,
                                                       packed->popped, packed->published, state)
                             : virtq_device_setup_save(&split->core, VIRTQ_FORMAT_SPLIT,
                                                       split->popped, split->published, state);
}

VIRTQ_API int virtq_device_restore(struct virtq_device *device, const struct virtq_state *state)
{
    enum virtq_format format = device->is_packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    int error = virtq_device_setup_restorable(&device->queue.core, format, state);

    if (error != VIRTQ_OK) {
        return error;
    }
    if (device->is_packed) {
        virtq_packed_device_start(&device->queue.packed, device->how, state->available,
                                  state->used);
    } else {
        virtq_split_device_start(&device->queue.split, device->how, state->available, state->used);
    }
    /* What the driver was told before is unknown, so it is told once more. S14. */
    device->queue.core.untested = VIRTQ_UNTESTED_MANY;
    return VIRTQ_OK;
}

VIRTQ_API uint32_t virtq_device_outstanding(const struct virtq_device *device)
{
    return device->queue.core.in_flight;
}

VIRTQ_API uint32_t virtq_device_stale(const struct virtq_device *device)
{
    return virtq_device_core_stale(&device->queue.core);
}

VIRTQ_API void virtq_device_miss(const struct virtq_device *device, struct virtq_miss *miss)
{
    *miss = device->queue.core.miss;
}

VIRTQ_API void virtq_device_fault(const struct virtq_device *device, struct virtq_fault *fault)
{
    *fault = device->queue.core.fault;
}

VIRTQ_API void virtq_device_counters(const struct virtq_device *device,
                                     struct virtq_counters *counters)
{
    virtq_device_core_read(&device->queue.core, counters);
}
