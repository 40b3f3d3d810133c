/* SPDX-License-Identifier: BSD-3-Clause */
/* What records and logs of a device's queue need. */
#include "virtq/inline/device_retake.h"
#include "device_private.h"

VIRTQ_API int virtq_device_retake(struct virtq_device *device,
                                  const struct virtq_taken_buffer *buffer,
                                  struct virtq_chain *chain, struct virtq_piece *pieces,
                                  unsigned piece_count)
{
    return device->is_packed ? virtq_packed_device_retake(&device->queue.packed, device->how,
                                                          buffer, chain, pieces, piece_count)
                             : virtq_split_device_retake(&device->queue.split, device->how, buffer,
                                                         chain, pieces, piece_count);
}

VIRTQ_API uint32_t virtq_device_slots(const struct virtq_device *device, uint32_t id)
{
    const struct virtq_device_core *core = &device->queue.core;

    return id < core->size ? core->entries[id].ticket & 0xffffu : 0u;
}

VIRTQ_API void virtq_device_position(const struct virtq_device *device, struct virtq_state *state)
{
    const struct virtq_split_device *split = &device->queue.split;
    const struct virtq_packed_device *packed = &device->queue.packed;

    state->format =
        device->is_packed ? (uint32_t)VIRTQ_FORMAT_PACKED : (uint32_t)VIRTQ_FORMAT_SPLIT;
    state->size = device->queue.core.size;
    state->available = device->is_packed ? packed->popped : split->popped;
    state->used = device->is_packed ? packed->published : split->published;
    state->reserved_ = 0;
}

VIRTQ_API void virtq_device_areas(const struct virtq_device *device, struct virtq_areas *areas)
{
    *areas = device->queue.core.areas;
}
