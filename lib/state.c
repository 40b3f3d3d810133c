/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/state.h"

#include "virtq/inline/core.h"
#include "virtq/inline/event.h"

VIRTQ_API uint32_t virtq_state_to_base(const struct virtq_state *state)
{
    if (state->format == (uint32_t)VIRTQ_FORMAT_PACKED) {
        return state->available | (uint32_t)state->used << 16;
    }
    return state->available;
}

VIRTQ_API int virtq_state_from_base(enum virtq_format format, uint32_t size, uint32_t base,
                                    struct virtq_state *state)
{
    struct virtq_state fresh = {(uint32_t)format, size, (uint16_t)base, (uint16_t)base, 0};
    int error;

    if (format == VIRTQ_FORMAT_PACKED) {
        fresh.used = (uint16_t)(base >> 16);
    } else if (base > UINT16_MAX) {
        return VIRTQ_EINVAL;
    }
    error = virtq_state_validate(&fresh);
    if (error == VIRTQ_OK) {
        *state = fresh;
    }
    return error;
}

VIRTQ_API int virtq_state_validate(const struct virtq_state *state)
{
    bool packed = state->format == (uint32_t)VIRTQ_FORMAT_PACKED;
    uint64_t features = packed ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0u;

    if (!virtq_core_legal(state->format, state->size, features, false) ||
        !virtq_event_positions(packed, state->size, state->available, state->used)) {
        return VIRTQ_EINVAL;
    }
    return VIRTQ_OK;
}
