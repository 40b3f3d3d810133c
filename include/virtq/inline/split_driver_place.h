/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end of a split queue places a buffer of any kind: in ring descriptors, or in an
 * indirect table.
 */
#ifndef VIRTQ_INLINE_SPLIT_DRIVER_PLACE_H
#define VIRTQ_INLINE_SPLIT_DRIVER_PLACE_H

#include "driver_table.h"
#include "split_driver_queue.h"

/** @brief Writes one descriptor, in two stores. @param desc where @param how the instance
 * @param addr device address @param len bytes @param flags VIRTQ_DESC_F_* @param next 0 without
 * VIRTQ_DESC_F_NEXT */
VIRTQ_TEMPLATE void virtq_split_driver_write(struct virtq_desc *desc, unsigned how, uint64_t addr,
                                             uint32_t len, uint16_t flags, uint16_t next)
{
    virtq_shm_store64(&desc->addr, addr, how);
    virtq_shm_store_fields(&desc->len, len, flags, next, how);
}

/** @brief Writes a buffer's runs as a chain of ring descriptors, along the free list. Nothing is
 * committed here: on an error the descriptors are free as before.
 * @param q the queue @param how the instance @param source the runs @param writable result: bytes
 * the device may write @param last result: last descriptor used
 * @return the next free descriptor, or a negative error */
VIRTQ_TEMPLATE int virtq_split_driver_chain(struct virtq_split_driver *q, unsigned how,
                                            const struct virtq_driver_source *source,
                                            uint64_t *writable, uint16_t *last)
{
    uint16_t i = q->head;
    uint64_t total = 0;
    uint64_t read = 0;

    for (uint32_t k = 0; k < source->count; k++) {
        const uint16_t next = q->next[i];
        uint16_t flags = k < source->readable ? 0 : VIRTQ_DESC_F_WRITE;
        uint64_t addr;
        uint32_t len;
        int error;

        error = virtq_driver_core_run(&q->core, how, source, k, &addr, &len);
        if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
            return error;
        }
        if (VIRTQ_UNLIKELY(len == 0u)) {
            return VIRTQ_EINVAL;
        }
        total += len;
        read += k < source->readable ? len : 0u;
        if (k + 1u < source->count) {
            flags |= VIRTQ_DESC_F_NEXT;
        }
        virtq_split_driver_write(&q->desc[i], how, addr, len, flags,
                                 (flags & VIRTQ_DESC_F_NEXT) != 0u ? next : 0u);
        *last = i;
        i = next;
    }
    if (VIRTQ_UNLIKELY(total > (uint64_t)1 << 32)) {
        return VIRTQ_ETOOBIG;
    }
    *writable = total - read;
    return i;
}

/** @brief Puts a head into the available ring; a slot that holds it already is left alone, so that
 * its line stays with the device. @param q the queue @param how the instance @param head the head
 */
VIRTQ_TEMPLATE void virtq_split_driver_offer(struct virtq_split_driver *q, unsigned how,
                                             uint16_t head)
{
    uint16_t slot = q->added & q->mask;

    if (q->heads[slot] != head) {
        q->heads[slot] = head;
        virtq_shm_store16(&q->ring[slot], head, how);
    }
}

/** @brief Puts a written chain into the books and its head into the available ring.
 * @param q the queue @param how the instance @param buffer the buffer @param slots ring descriptors
 * @param last its last one
 * @param next the next free one @param writable bytes the device may write */
VIRTQ_TEMPLATE void virtq_split_driver_commit(struct virtq_split_driver *q, unsigned how,
                                              const struct virtq_buffer *buffer, uint16_t slots,
                                              uint16_t last, uint16_t next, uint64_t writable)
{
    const uint32_t bytes = writable > UINT32_MAX ? UINT32_MAX : (uint32_t)writable;

    virtq_driver_core_note(&q->core.entries[q->head], buffer->cookie, bytes, slots,
                           (uint32_t)(last ^ q->head));
    virtq_split_driver_offer(q, how, q->head);
    q->head = next;
    q->added++;
    q->core.room = (uint16_t)(q->core.room - slots);
}

/** @brief A buffer in an indirect table: one ring descriptor. S5. @param q the queue @param how the
 * instance @param buffer the buffer @param source its runs @return 0 or an error */
VIRTQ_TEMPLATE int virtq_split_driver_place_table(struct virtq_split_driver *q, unsigned how,
                                                  const struct virtq_buffer *buffer,
                                                  const struct virtq_driver_source *source)
{
    const size_t offset = (size_t)q->core.table_bytes * q->head;
    int64_t writable;

    if (VIRTQ_UNLIKELY(q->core.room == 0u)) {
        return VIRTQ_EFULL;
    }
    writable = virtq_driver_table_fill(&q->core, how, source, q->core.tables + offset,
                                       VIRTQ_DRIVER_MOST, false);
    if (VIRTQ_UNLIKELY(writable < 0)) {
        return (int)writable;
    }
    virtq_split_driver_write(&q->desc[q->head], how, q->core.tables_addr + offset,
                             (uint32_t)source->count * VIRTQ_TABLE_ENTRY, VIRTQ_DESC_F_INDIRECT, 0);
    virtq_split_driver_commit(q, how, buffer, 1, q->head, q->next[q->head], (uint64_t)writable);
    return VIRTQ_OK;
}

/** @brief A buffer in ring descriptors.
 * @param q the queue @param how the instance @param buffer the buffer @param source its runs
 * @return 0 or an error */
VIRTQ_TEMPLATE int virtq_split_driver_place_chain(struct virtq_split_driver *q, unsigned how,
                                                  const struct virtq_buffer *buffer,
                                                  const struct virtq_driver_source *source)
{
    uint64_t writable = 0;
    uint16_t last = 0;
    int result;

    if (VIRTQ_UNLIKELY(source->count > q->core.room)) {
        return source->count > q->core.size ? VIRTQ_ETOOBIG : VIRTQ_EFULL;
    }
    result = virtq_split_driver_chain(q, how, source, &writable, &last);
    if (VIRTQ_UNLIKELY(result < 0)) {
        return result;
    }
    virtq_split_driver_commit(q, how, buffer, source->count, last, (uint16_t)result, writable);
    return VIRTQ_OK;
}

/** @brief Places one buffer. @param q the queue @param how the instance @param buffer the buffer
 * @return 0 or an error, then nothing has changed */
VIRTQ_TEMPLATE int virtq_split_driver_place(struct virtq_split_driver *q, unsigned how,
                                            const struct virtq_buffer *buffer)
{
    struct virtq_driver_source source;
    int error = virtq_driver_map_source(&q->core, how, buffer, q->head, &source);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    if (source.table) {
        error = virtq_split_driver_place_table(q, how, buffer, &source);
    } else {
        error = virtq_split_driver_place_chain(q, how, buffer, &source);
    }
    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED && VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        virtq_driver_map_undo(&q->core, q->head, 0);
    }
    return error;
}

#endif
