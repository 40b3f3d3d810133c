/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end fills an indirect table: the same work for both formats, but for two
 * fields.
 */
#ifndef VIRTQ_INLINE_DRIVER_TABLE_H
#define VIRTQ_INLINE_DRIVER_TABLE_H

#include "../packed.h"
#include "../split.h"
#include "driver_core.h"

/** @brief Bytes of an entry of either format. */
#define VIRTQ_TABLE_ENTRY 16u

/** @brief Fills one part of a table: readable or writable entries, each chained to the next one.
 * @param core the queue @param how the instance @param source the buffer @param table the entries
 * @param first index of the part's first entry @param end index behind its last one @param packed
 * the format: a constant @param write VIRTQ_DESC_F_WRITE or 0: a constant
 * @return its bytes, or VIRTQ_EFAULT or VIRTQ_EINVAL */
VIRTQ_TEMPLATE int64_t virtq_driver_table_part(const struct virtq_driver_core *core, unsigned how,
                                               const struct virtq_driver_source *source,
                                               unsigned char *table, uint32_t first, uint32_t end,
                                               const bool packed, const uint16_t write)
{
    int64_t bytes = 0;

    for (uint32_t k = first; k < end; k++) {
        unsigned char *entry = table + (size_t)k * VIRTQ_TABLE_ENTRY;
        uint64_t addr;
        uint32_t len;

        if (VIRTQ_UNLIKELY(virtq_driver_core_run(core, how, source, k, &addr, &len) != VIRTQ_OK)) {
            return VIRTQ_EFAULT;
        }
        if (VIRTQ_UNLIKELY(len == 0u)) {
            return VIRTQ_EINVAL;
        }
        bytes += len;
        if (packed) {
            struct pvirtq_desc *to = (struct pvirtq_desc *)(void *)entry;

            /* The id means nothing here, and no flag but WRITE may be set. */
            virtq_shm_store64(&to->addr, addr, how);
            virtq_shm_store32(&to->len, len, how);
            virtq_shm_store16(&to->flags, write, how);
        } else {
            struct virtq_desc *to = (struct virtq_desc *)(void *)entry;

            virtq_shm_store64(&to->addr, addr, how);
            virtq_shm_store32(&to->len, len, how);
            virtq_shm_store16(&to->flags, write | VIRTQ_DESC_F_NEXT, how);
            virtq_shm_store16(&to->next, (uint16_t)(k + 1u), how);
        }
    }
    return bytes;
}

/** @brief Fills a table. virtio 1.4, Indirect Descriptors: split entries stand in a row, `next`
 * counting up; packed ones need no `next`. Nothing of it is seen before the descriptor that refers
 * to it.
 * @param core the queue @param how the instance @param source the buffer @param table the entries,
 * zero-based
 * @param packed the format: a constant @param writable result: bytes the device may write
 * @return 0, VIRTQ_EFAULT, VIRTQ_EINVAL or VIRTQ_ETOOBIG */
VIRTQ_TEMPLATE int virtq_driver_table_fill(const struct virtq_driver_core *core, unsigned how,
                                           const struct virtq_driver_source *source,
                                           unsigned char *table, const bool packed,
                                           uint64_t *writable)
{
    const uint32_t count = source->count;
    const uint32_t readable = source->readable;
    int64_t read = virtq_driver_table_part(core, how, source, table, 0, readable, packed, 0);
    int64_t written;

    if (VIRTQ_UNLIKELY(read < 0)) {
        return (int)read;
    }
    written = virtq_driver_table_part(core, how, source, table, readable, count, packed,
                                      VIRTQ_DESC_F_WRITE);
    if (VIRTQ_UNLIKELY(written < 0)) {
        return (int)written;
    }
    if (!packed) {
        struct virtq_desc *last =
            (struct virtq_desc *)(void *)(table + (size_t)(count - 1u) * VIRTQ_TABLE_ENTRY);

        virtq_shm_store16(&last->flags, readable == count ? 0 : VIRTQ_DESC_F_WRITE, how);
    }
    *writable = (uint64_t)written;
    return VIRTQ_UNLIKELY(read + written > (int64_t)1 << 32) ? VIRTQ_ETOOBIG : VIRTQ_OK;
}

#endif
