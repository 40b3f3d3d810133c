/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end of a packed queue places a buffer of any kind: in ring descriptors, or in
 * an indirect table.
 */
#ifndef VIRTQ_INLINE_PACKED_DRIVER_PLACE_H
#define VIRTQ_INLINE_PACKED_DRIVER_PLACE_H

#include "driver_table.h"
#include "packed_driver_queue.h"

/** @brief Writes all of a descriptor but its flags. @param desc where @param how the instance
 * @param addr device address @param len bytes @param id buffer id; in every descriptor, though only
 * the last one's counts */
VIRTQ_TEMPLATE void virtq_packed_driver_write(struct pvirtq_desc *desc, unsigned how, uint64_t addr,
                                              uint32_t len, uint16_t id)
{
    virtq_shm_store64(&desc->addr, addr, how);
    virtq_shm_store32(&desc->len, len, how);
    virtq_shm_store16(&desc->id, id, how);
}

/** @brief Writes flags, unless they are the first unpublished ones: those publish stores, last of
 * all. P4, B8.
 * @param q the queue @param how the instance @param position which descriptor @param flags its
 * flags */
VIRTQ_TEMPLATE void virtq_packed_driver_flag(struct virtq_packed_driver *q, unsigned how,
                                             uint16_t position, uint16_t flags)
{
    if (position == q->published) {
        q->published_flags = flags;
    } else {
        virtq_shm_store16(&q->desc[virtq_position_offset(position)].flags, flags, how);
    }
}

/** @brief Flags of an available descriptor. P3, P4. @param position where it is @param source the
 * buffer @param index which of its runs @return PVIRTQ_DESC_F_* and VIRTQ_DESC_F_* */
VIRTQ_TEMPLATE uint16_t virtq_packed_driver_flags(uint16_t position,
                                                  const struct virtq_driver_source *source,
                                                  uint32_t index)
{
    uint32_t flags = virtq_position_available(position);

    flags |= index < source->readable ? 0u : (uint32_t)VIRTQ_DESC_F_WRITE;
    flags |= index + 1u < source->count ? (uint32_t)VIRTQ_DESC_F_NEXT : 0u;
    return (uint16_t)flags;
}

/** @brief Puts a written list into the books. @param q the queue @param buffer the buffer @param
 * slots ring descriptors @param after the position behind it @param writable bytes the device may
 * write */
VIRTQ_TEMPLATE void virtq_packed_driver_commit(struct virtq_packed_driver *q,
                                               const struct virtq_buffer *buffer, uint16_t slots,
                                               uint16_t after, uint64_t writable)
{
    struct virtq_driver_entry *entry = &q->core.entries[q->id];

    q->ids[virtq_position_offset(q->added)] = q->id;
    q->id = entry->link;
    entry->cookie = buffer->cookie;
    entry->writable = writable > UINT32_MAX ? UINT32_MAX : (uint32_t)writable;
    entry->slots = slots;
    q->added = after;
    q->core.room = (uint16_t)(q->core.room - slots);
}

/** @brief A buffer in an indirect table: one ring descriptor. P8. @param q the queue @param how the
 * instance @param buffer the buffer @param source its runs @return 0 or an error */
VIRTQ_TEMPLATE int virtq_packed_driver_place_table(struct virtq_packed_driver *q, unsigned how,
                                                   const struct virtq_buffer *buffer,
                                                   const struct virtq_driver_source *source)
{
    const size_t offset = (size_t)q->core.table_bytes * q->id;
    int64_t writable;

    if (VIRTQ_UNLIKELY(q->core.room == 0u)) {
        return VIRTQ_EFULL;
    }
    writable = virtq_driver_table_fill(&q->core, how, source, q->core.tables + offset,
                                       VIRTQ_DRIVER_MOST, true);
    if (VIRTQ_UNLIKELY(writable < 0)) {
        return (int)writable;
    }
    virtq_packed_driver_write(&q->desc[virtq_position_offset(q->added)], how,
                              q->core.tables_addr + offset,
                              (uint32_t)source->count * VIRTQ_TABLE_ENTRY, q->id);
    virtq_packed_driver_flag(q, how, q->added,
                             virtq_position_available(q->added) | VIRTQ_DESC_F_INDIRECT);
    virtq_packed_driver_commit(q, buffer, 1, virtq_position_advance(q->added, 1, q->core.size),
                               (uint64_t)writable);
    return VIRTQ_OK;
}

/** @brief Makes the tail of a buffer that turned out to be bad unavailable again. Its head never
 * was.
 * @param q the queue @param how the instance @param end the position behind the last descriptor
 * written */
VIRTQ_COLD void virtq_packed_driver_erase(struct virtq_packed_driver *q, unsigned how, uint16_t end)
{
    uint16_t position = virtq_position_advance(q->added, 1, q->core.size);

    while (position != end) {
        uint16_t flags = virtq_position_used((uint16_t)(position ^ VIRTQ_POSITION_WRAP));

        virtq_shm_store16(&q->desc[virtq_position_offset(position)].flags, flags, how);
        position = virtq_position_advance(position, 1, q->core.size);
    }
}

/** @brief Writes a buffer's descriptors into the ring, all but the head's flags.
 * @param q the queue @param how the instance @param source its runs @param end result: the position
 * behind the last one written
 * @param writable result: bytes the device may write @return 0 or an error */
VIRTQ_TEMPLATE int virtq_packed_driver_list(struct virtq_packed_driver *q, unsigned how,
                                            const struct virtq_driver_source *source, uint16_t *end,
                                            uint64_t *writable)
{
    uint16_t position = q->added;
    uint64_t total = 0;
    uint64_t read = 0;

    for (uint32_t k = 0; k < source->count; k++) {
        struct pvirtq_desc *desc = &q->desc[virtq_position_offset(position)];
        uint64_t addr;
        uint32_t len;
        int error;

        *end = position;
        error = virtq_driver_core_run(&q->core, how, source, k, &addr, &len);
        if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
            return error;
        }
        if (VIRTQ_UNLIKELY(len == 0u)) {
            return VIRTQ_EINVAL;
        }
        total += len;
        read += k < source->readable ? len : 0u;
        virtq_packed_driver_write(desc, how, addr, len, q->id);
        if (k != 0u) {
            virtq_shm_store16(&desc->flags, virtq_packed_driver_flags(position, source, k), how);
        }
        position = virtq_position_advance(position, 1, q->core.size);
    }
    *end = position;
    *writable = total - read;
    return VIRTQ_UNLIKELY(total > (uint64_t)1 << 32) ? VIRTQ_ETOOBIG : VIRTQ_OK;
}

/** @brief A buffer in ring descriptors. P12: room for all of it first.
 * @param q the queue @param how the instance @param buffer the buffer @param source its runs
 * @return 0 or an error */
VIRTQ_TEMPLATE int virtq_packed_driver_place_list(struct virtq_packed_driver *q, unsigned how,
                                                  const struct virtq_buffer *buffer,
                                                  const struct virtq_driver_source *source)
{
    uint64_t writable = 0;
    uint16_t end = q->added;
    int error;

    if (VIRTQ_UNLIKELY(source->count > q->core.room)) {
        return source->count > q->core.size ? VIRTQ_ETOOBIG : VIRTQ_EFULL;
    }
    error = virtq_packed_driver_list(q, how, source, &end, &writable);
    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        if (end != q->added) {
            virtq_packed_driver_erase(q, how, end);
        }
        return error;
    }
    virtq_packed_driver_flag(q, how, q->added, virtq_packed_driver_flags(q->added, source, 0));
    virtq_packed_driver_commit(q, buffer, source->count, end, writable);
    return VIRTQ_OK;
}

/** @brief Places one buffer. @param q the queue @param how the instance @param buffer the buffer
 * @return 0 or an error, then nothing has changed */
VIRTQ_TEMPLATE int virtq_packed_driver_place(struct virtq_packed_driver *q, unsigned how,
                                             const struct virtq_buffer *buffer)
{
    struct virtq_driver_source source;
    uint16_t id = q->id;
    int error = virtq_driver_map_source(&q->core, how, buffer, id, &source);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    if (source.table) {
        error = virtq_packed_driver_place_table(q, how, buffer, &source);
    } else {
        error = virtq_packed_driver_place_list(q, how, buffer, &source);
    }
    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED && VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        virtq_driver_map_undo(&q->core, id, 0);
    }
    return error;
}

#endif
