/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end asks a space for a buffer's addresses, and gives them back.
 */
#ifndef VIRTQ_INLINE_DRIVER_MAP_H
#define VIRTQ_INLINE_DRIVER_MAP_H

#include "driver_core.h"

/** @brief A record begins with one word of ours: whether the space holds a mapping for the entry.
 */
#define VIRTQ_RECORD_HEADER 8u

/** @brief The record of an entry: our word, then the space's bytes.
 * @param core the queue @param id the entry @return its first byte */
VIRTQ_TEMPLATE unsigned char *virtq_driver_map_record(const struct virtq_driver_core *core,
                                                      uint16_t id)
{
    return core->records + core->record_size * id;
}

/** @brief Says whether the space holds a mapping for an entry.
 * @param core the queue @param id the entry @param mapped 1 or 0 */
VIRTQ_INLINE void virtq_driver_map_mark(const struct virtq_driver_core *core, uint16_t id,
                                        unsigned char mapped)
{
    virtq_driver_map_record(core, id)[0] = mapped;
}

/** @brief Copies a premapped buffer's addresses into the scratch for runs. @param core the queue
 * @param buffer the buffer @param count its segments @return the same */
VIRTQ_TEMPLATE int virtq_driver_map_copy(struct virtq_driver_core *core,
                                         const struct virtq_buffer *buffer, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        core->runs[i].addr = buffer->segments[i].addr;
        core->runs[i].len = buffer->segments[i].len;
    }
    return (int)count;
}

/** @brief Premapped buffers on a called queue become runs, as if a space had given them.
 * @param core the queue @param buffer the buffer @param source result */
VIRTQ_OUTLINE void virtq_driver_map_pass(struct virtq_driver_core *core,
                                         const struct virtq_buffer *buffer,
                                         struct virtq_driver_source *source)
{
    (void)virtq_driver_map_copy(core, buffer, source->count);
    source->runs = core->runs;
}

/** @brief Checks what a space is not asked to check: lengths. Bad input of the caller changes
 * nothing.
 * @param buffer the buffer @return 0, VIRTQ_EINVAL or VIRTQ_ETOOBIG */
VIRTQ_TEMPLATE int virtq_driver_map_check(const struct virtq_buffer *buffer)
{
    uint32_t count = (uint32_t)buffer->readable + buffer->writable;
    uint64_t total = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (buffer->segments[i].len == 0u) {
            return VIRTQ_EINVAL;
        }
        total += buffer->segments[i].len;
    }
    /* virtio 1.4, The Virtqueue Descriptor Table: no chain longer than 2^32 bytes in total. */
    return total > ((uint64_t)1 << 32) ? VIRTQ_ETOOBIG : VIRTQ_OK;
}

/** @brief Whether a buffer may go into an indirect table. @param core the queue @param buffer the
 * buffer
 * @return whether */
VIRTQ_TEMPLATE bool virtq_driver_map_tabled(const struct virtq_driver_core *core,
                                            const struct virtq_buffer *buffer)
{
    return (core->flags & VIRTQ_CORE_TABLES) != 0u &&
           (buffer->flags & (uint32_t)VIRTQ_BUFFER_DIRECT) == 0u;
}

/** @brief How many runs a buffer may become: as many as a table or `room` ring descriptors hold; 0
 * if that is fewer than it is bound to need, so that a full ring costs no mapping.
 * @param core the queue @param buffer the buffer @param room ring descriptors: those free now, or
 * all of them
 * @return runs */
VIRTQ_TEMPLATE uint16_t virtq_driver_map_capacity(const struct virtq_driver_core *core,
                                                  const struct virtq_buffer *buffer, uint32_t room)
{
    uint32_t count = (uint32_t)buffer->readable + buffer->writable;
    uint32_t least = count < core->runs_least ? count : core->runs_least;

    if (virtq_driver_map_tabled(core, buffer)) {
        return room == 0u ? 0u : core->runs_max;
    }
    if (room < least) {
        return 0;
    }
    return room < core->runs_max ? (uint16_t)room : core->runs_max;
}

/** @brief Asks a called space for the addresses of a buffer: one call, whatever its segments.
 * @param core the queue @param buffer the buffer @param id the entry it will have @param source
 * result
 * @return 0 or the space's error */
VIRTQ_OUTLINE int virtq_driver_map_ask(struct virtq_driver_core *core,
                                       const struct virtq_buffer *buffer, uint16_t id,
                                       struct virtq_driver_source *source)
{
    struct virtq_mapping mapping = {0};
    const uint16_t capacity = virtq_driver_map_capacity(core, buffer, core->room);
    const uint16_t most = virtq_driver_map_capacity(core, buffer, core->size);
    int error = virtq_driver_map_check(buffer);

    if (error != VIRTQ_OK) {
        return error;
    }
    if (capacity == 0u) {
        return most == 0u ? VIRTQ_ETOOBIG : VIRTQ_EFULL;
    }
    virtq_driver_map_mark(core, id, 0);
    if ((buffer->flags & (uint32_t)VIRTQ_BUFFER_PREMAPPED) != 0u) {
        virtq_driver_map_pass(core, buffer, source);
        return VIRTQ_OK;
    }
    mapping.runs = core->runs;
    mapping.segments = buffer->segments;
    mapping.record = virtq_driver_map_record(core, id) + VIRTQ_RECORD_HEADER;
    mapping.segments_readable = buffer->readable;
    mapping.segments_writable = buffer->writable;
    mapping.capacity = capacity;
    error = core->space->ops->map(core->space, &mapping);
    if (error == VIRTQ_EFULL && capacity == most) {
        /* More runs than there will ever be room for: no use trying again. */
        return VIRTQ_ETOOBIG;
    }
    if (error != VIRTQ_OK) {
        return error;
    }
    virtq_driver_map_mark(core, id, 1);
    core->counters.bytes_copied += mapping.copied;
    source->runs = core->runs;
    source->readable = mapping.runs_readable;
    source->count = (uint16_t)(mapping.runs_readable + mapping.runs_writable);
    return VIRTQ_OK;
}

/** @brief Gives a buffer's addresses back to a called space.
 * @param core the queue @param id its entry @param written bytes the device wrote, clamped */
VIRTQ_OUTLINE void virtq_driver_map_undo(struct virtq_driver_core *core, uint16_t id,
                                         uint64_t written)
{
    struct virtq_mapping mapping = {0};

    if (virtq_driver_map_record(core, id)[0] == 0u) {
        return;
    }
    virtq_driver_map_mark(core, id, 0);
    mapping.record = virtq_driver_map_record(core, id) + VIRTQ_RECORD_HEADER;
    core->space->ops->unmap(core->space, &mapping, written);
    core->counters.bytes_copied += mapping.copied;
}

/** @brief Whether a space is to be told of buffers that come back together: one by itself is
 * complete anyway. @param core the queue @param how the instance @param count how many may come
 * @return whether */
VIRTQ_TEMPLATE bool virtq_driver_map_batches(const struct virtq_driver_core *core, unsigned how,
                                             unsigned count)
{
    return (how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED &&
           (core->flags & VIRTQ_CORE_BATCHES) != 0u && count > 1u;
}

/** @brief Whether a poll has to look closely at each buffer. @param core the queue @param how the
 * instance: those that call nobody test for nothing more @return whether */
VIRTQ_TEMPLATE bool virtq_driver_map_closely(const struct virtq_driver_core *core, unsigned how)
{
    const bool called = (how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED;
    const uint32_t reasons = (uint32_t)VIRTQ_CORE_IN_ORDER | (uint32_t)VIRTQ_CORE_DETACHED |
                             (called ? (uint32_t)VIRTQ_CORE_BATCHES : 0u);

    return (core->flags & reasons) != 0u;
}

/** @brief Tells it. @param core the queue @param more 1 before the first, 0 behind the last: then
 * nothing of them is within the device's reach that is not meant to be */
VIRTQ_INLINE void virtq_driver_map_batch(const struct virtq_driver_core *core, int more)
{
    core->space->ops->batch(core->space, more);
}

/** @brief Turns a buffer into a source of runs; a called space is asked here, once.
 * @param core the queue @param how the instance @param buffer the buffer @param id the entry it
 * will have @param source result
 * @return 0 or an error, then nothing is mapped */
VIRTQ_TEMPLATE int virtq_driver_map_source(struct virtq_driver_core *core, unsigned how,
                                           const struct virtq_buffer *buffer, uint16_t id,
                                           struct virtq_driver_source *source)
{
    const uint32_t known = (uint32_t)VIRTQ_BUFFER_PREMAPPED | (uint32_t)VIRTQ_BUFFER_DIRECT;
    uint32_t count = (uint32_t)buffer->readable + buffer->writable;
    int error = VIRTQ_OK;

    if (VIRTQ_UNLIKELY(count - 1u >= core->segments_max)) {
        return count == 0u ? VIRTQ_EINVAL : VIRTQ_ETOOBIG;
    }
    if (VIRTQ_UNLIKELY((buffer->flags & ~known) != 0u)) {
        return VIRTQ_EINVAL;
    }
    source->segments = buffer->segments;
    source->readable = buffer->readable;
    source->count = (uint16_t)count;
    source->premapped = (buffer->flags & (uint32_t)VIRTQ_BUFFER_PREMAPPED) != 0u;
    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED) {
        error = virtq_driver_map_ask(core, buffer, id, source);
    }
    source->table = source->count > 1u && virtq_driver_map_tabled(core, buffer);
    return error;
}

/** @brief The way of most buffers on a called space: one call, and room for whatever it makes of
 * them.
 *
 * @param core the queue @param buffer any buffer @param id the entry it will have @param room free
 * ring descriptors @param readable result: device-readable runs
 * @return how many runs there are now in the queue's scratch; an error of the space; or 0: nobody
 * was asked, place the buffer in the long way */
VIRTQ_TEMPLATE int virtq_driver_map_usual(struct virtq_driver_core *core,
                                          const struct virtq_buffer *buffer, uint16_t id,
                                          uint32_t room, unsigned *readable)
{
    const uint32_t count = (uint32_t)buffer->readable + buffer->writable;
    unsigned char *const record = virtq_driver_map_record(core, id);
    struct virtq_mapping mapping;
    int error;

    if (VIRTQ_UNLIKELY(count - 1u >= core->segments_max || room < core->room_least) ||
        VIRTQ_UNLIKELY(virtq_driver_map_check(buffer) != VIRTQ_OK)) {
        return 0;
    }
    if (buffer->flags != 0u) {
        if (buffer->flags != (uint32_t)VIRTQ_BUFFER_PREMAPPED) {
            return 0;
        }
        record[0] = 0;
        *readable = buffer->readable;
        return virtq_driver_map_copy(core, buffer, count);
    }
    mapping.runs = core->runs;
    mapping.segments = buffer->segments;
    mapping.record = record + VIRTQ_RECORD_HEADER;
    mapping.segments_readable = buffer->readable;
    mapping.segments_writable = buffer->writable;
    mapping.capacity = core->runs_max;
    mapping.runs_readable = 0;
    mapping.runs_writable = 0;
    mapping.reserved_[0] = 0;
    mapping.reserved_[1] = 0;
    mapping.reserved_[2] = 0;
    mapping.copied = 0;
    error = core->space->ops->map(core->space, &mapping);
    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        /* More runs than there will ever be room for: no use trying again. */
        return error == VIRTQ_EFULL ? VIRTQ_ETOOBIG : error;
    }
    record[0] = 1;
    core->counters.bytes_copied += mapping.copied;
    *readable = mapping.runs_readable;
    return mapping.runs_readable + mapping.runs_writable;
}

#endif
