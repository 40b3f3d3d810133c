/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief Resetting, resizing, saving and restoring the driver end.
 */
#ifndef VIRTQ_INLINE_DRIVER_STATE_H
#define VIRTQ_INLINE_DRIVER_STATE_H

#include "../state.h"
#include "driver_setup.h"

/** @brief Whether the old queue may be replaced by a new configuration at all. @param core the
 * queue @param config the caller's
 * @return 0, VIRTQ_EBUSY or VIRTQ_EINVAL */
VIRTQ_INLINE int virtq_driver_state_replaceable(const struct virtq_driver_core *core,
                                                const struct virtq_driver_config *config)
{
    struct virtq_driver_config copy;

    if (virtq_driver_setup_busy(core)) {
        return VIRTQ_EBUSY;
    }
    if (!virtq_driver_setup_config(&copy, config) || copy.space != core->space) {
        return VIRTQ_EINVAL;
    }
    return VIRTQ_OK;
}

/** @brief What the driver counted and was given outlives a resize. @param fresh the new core @param
 * old the old one */
VIRTQ_INLINE void virtq_driver_state_replace(struct virtq_driver_core *fresh,
                                             struct virtq_driver_core *old)
{
    struct virtq_driver_area areas[4];

    fresh->counters = old->counters;
    virtq_driver_setup_unshare(old, areas, virtq_driver_setup_areas(old, areas));
}

/** @brief See virtq_driver_resize(). The new ring is shared before the old one is given up, so that
 * an error leaves the old queue as it was (R2). @param q the queue @param config the caller's
 * @return see there */
VIRTQ_INLINE int virtq_split_driver_resize(struct virtq_split_driver *q,
                                           const struct virtq_driver_config *config)
{
    struct virtq_split_driver fresh;
    int error = virtq_driver_state_replaceable(&q->core, config);

    if (error != VIRTQ_OK) {
        return error;
    }
    __builtin_memset(&fresh, 0, sizeof(fresh));
    error = virtq_driver_setup_init(&fresh.core, config, VIRTQ_FORMAT_SPLIT, q->core.memory,
                                    q->core.memory_size, &fresh.next, &fresh.heads);
    if (error == VIRTQ_OK) {
        virtq_driver_state_replace(&fresh.core, &q->core);
        virtq_split_driver_start(&fresh);
        *q = fresh;
    }
    return error;
}

/** @brief See virtq_driver_resize() and virtq_split_driver_resize(). @param q the queue @param
 * config the caller's @return see there */
VIRTQ_INLINE int virtq_packed_driver_resize(struct virtq_packed_driver *q,
                                            const struct virtq_driver_config *config)
{
    struct virtq_packed_driver fresh;
    uint16_t *unused;
    int error = virtq_driver_state_replaceable(&q->core, config);

    if (error != VIRTQ_OK) {
        return error;
    }
    __builtin_memset(&fresh, 0, sizeof(fresh));
    error = virtq_driver_setup_init(&fresh.core, config, VIRTQ_FORMAT_PACKED, q->core.memory,
                                    q->core.memory_size, &fresh.ids, &unused);
    if (error == VIRTQ_OK) {
        virtq_driver_state_replace(&fresh.core, &q->core);
        virtq_packed_driver_start(&fresh);
        *q = fresh;
    }
    return error;
}

/** @brief Whether a state, from whatever source, fits a queue with nothing outstanding. @param core
 * the queue @param format its format @param state not trusted @return 0, VIRTQ_EINVAL or
 * VIRTQ_EBUSY */
VIRTQ_INLINE int virtq_driver_state_check(const struct virtq_driver_core *core,
                                          enum virtq_format format, const struct virtq_state *state)
{
    if (virtq_driver_setup_busy(core)) {
        return VIRTQ_EBUSY;
    }
    if (state->format != (uint32_t)format || state->size != core->size ||
        state->available != state->used ||
        (format == VIRTQ_FORMAT_PACKED && virtq_position_offset(state->used) >= core->size)) {
        return VIRTQ_EINVAL;
    }
    return VIRTQ_OK;
}

/** @brief Fills a state in. @param core the queue @param format its format @param position of both
 * ends @param state result */
VIRTQ_INLINE void virtq_driver_state_fill(const struct virtq_driver_core *core,
                                          enum virtq_format format, uint16_t position,
                                          struct virtq_state *state)
{
    state->format = (uint32_t)format;
    state->size = core->size;
    state->available = position;
    state->used = position;
    state->reserved_ = 0;
}

/** @brief See virtq_driver_save(). @param q the queue @param state result @return see there */
VIRTQ_INLINE int virtq_split_driver_save(const struct virtq_split_driver *q,
                                         struct virtq_state *state)
{
    if (virtq_driver_setup_busy(&q->core)) {
        return VIRTQ_EBUSY;
    }
    virtq_driver_state_fill(&q->core, VIRTQ_FORMAT_SPLIT, q->published, state);
    return VIRTQ_OK;
}

/** @brief See virtq_driver_save(). @param q the queue @param state result @return see there */
VIRTQ_INLINE int virtq_packed_driver_save(const struct virtq_packed_driver *q,
                                          struct virtq_state *state)
{
    if (virtq_driver_setup_busy(&q->core)) {
        return VIRTQ_EBUSY;
    }
    virtq_driver_state_fill(&q->core, VIRTQ_FORMAT_PACKED, q->published, state);
    return VIRTQ_OK;
}

/** @brief See virtq_driver_restore(). @param q the queue @param how the instance @param state not
 * trusted @return see there */
VIRTQ_INLINE int virtq_split_driver_restore(struct virtq_split_driver *q, unsigned how,
                                            const struct virtq_state *state)
{
    int error = virtq_driver_state_check(&q->core, VIRTQ_FORMAT_SPLIT, state);

    if (error == VIRTQ_OK) {
        virtq_split_driver_start(q);
        q->added = state->available;
        q->published = state->available;
        q->polled = state->used;
        q->seen = state->used;
        virtq_shm_store16(&q->used->idx, state->used, how);
        virtq_shm_store16_release(&q->avail->idx, state->available, how);
        q->core.untested = VIRTQ_UNTESTED_MANY;
    }
    return error;
}

/** @brief See virtq_driver_restore(). @param q the queue @param how the instance @param state not
 * trusted @return see there */
VIRTQ_INLINE int virtq_packed_driver_restore(struct virtq_packed_driver *q, unsigned how,
                                             const struct virtq_state *state)
{
    int error = virtq_driver_state_check(&q->core, VIRTQ_FORMAT_PACKED, state);

    (void)how;
    if (error == VIRTQ_OK) {
        virtq_packed_driver_start(q);
        q->added = state->available;
        q->published = state->available;
        q->polled = state->used;
        q->core.untested = VIRTQ_UNTESTED_MANY;
    }
    return error;
}

#endif
