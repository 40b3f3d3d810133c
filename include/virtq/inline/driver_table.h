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

/** @brief Writes an entry of either format. @param entry where @param how the instance @param addr
 * device address @param len bytes @param tail the last two fields, see virtq_shm_pair() */
VIRTQ_TEMPLATE void virtq_driver_table_write(unsigned char *entry, unsigned how, uint64_t addr,
                                             uint32_t len, uint32_t tail)
{
    struct virtq_desc *to = (struct virtq_desc *)(void *)entry;

    virtq_shm_store64(&to->addr, addr, how);
    virtq_shm_store32(&to->len, len, how);
    virtq_shm_store32((uint32_t *)(void *)&to->flags, tail, how);
}

/** @brief Fills a table. virtio 1.4, Indirect Descriptors: split entries stand in a row, `next`
 * counting up; packed ones need no `next`. Nothing of it is seen before the descriptor that refers
 * to it.
 * @param core the queue @param how the instance @param source the buffer @param table the entries,
 * zero-based
 * @param packed the format: a constant @return bytes the device may write, or VIRTQ_EFAULT,
 * VIRTQ_EINVAL or VIRTQ_ETOOBIG */
VIRTQ_TEMPLATE int64_t virtq_driver_table_fill(const struct virtq_driver_core *core, unsigned how,
                                               const struct virtq_driver_source *source,
                                               unsigned char *table, const bool packed)
{
    /* Split: flags and `next`. Packed: the id, which means nothing here, and flags, of which none
     * but WRITE may be set. */
    uint32_t tail = packed ? 0u : virtq_shm_pair(VIRTQ_DESC_F_NEXT, 1, how);
    const uint32_t write = packed ? virtq_shm_pair(0, VIRTQ_DESC_F_WRITE, how)
                                  : virtq_shm_pair(VIRTQ_DESC_F_WRITE, 0, how);
    size_t end = source->readable;
    uint64_t bytes = 0;
    uint64_t read = 0;
    size_t k = 0;

    for (;; k++) {
        uint64_t addr;
        uint32_t len;

        if (k == end) {
            if (end == source->count) {
                break;
            }
            /* The device-writable part, if there is one: it is not empty. */
            end = source->count;
            tail |= write;
            read = bytes;
        }
        if (VIRTQ_UNLIKELY(virtq_driver_core_run(core, how, source, k, &addr, &len) != VIRTQ_OK)) {
            return VIRTQ_EFAULT;
        }
        if (VIRTQ_UNLIKELY(len == 0u)) {
            return VIRTQ_EINVAL;
        }
        bytes += len;
        virtq_driver_table_write(table, how, addr, len, tail);
        table += VIRTQ_TABLE_ENTRY;
        if (!packed) {
            tail += virtq_shm_pair(0, 1, how);
        }
    }
    if (!packed) {
        struct virtq_desc *last = (struct virtq_desc *)(void *)(table - VIRTQ_TABLE_ENTRY);

        virtq_shm_store32((uint32_t *)(void *)&last->flags, tail & write, how);
    }
    if (VIRTQ_UNLIKELY(bytes > (uint64_t)1 << 32)) {
        return VIRTQ_ETOOBIG;
    }
    return (tail & write) != 0u ? (int64_t)(bytes - read) : 0;
}

/** @brief The way of most: the caller's segments, on a queue that computes addresses. @param core
 * the queue @param how the instance @param buffer the buffer, not flagged @param table the entries
 * @param packed the format: a constant @return as virtq_driver_table_fill() */
VIRTQ_TEMPLATE int64_t virtq_driver_table_plain(const struct virtq_driver_core *core, unsigned how,
                                                const struct virtq_buffer *buffer,
                                                unsigned char *table, const bool packed)
{
    const struct virtq_driver_source source = {NULL,
                                               buffer->segments,
                                               buffer->readable,
                                               (uint16_t)(buffer->readable + buffer->writable),
                                               false,
                                               true};

    return virtq_driver_table_fill(core, how, &source, table, packed);
}

/** @brief Each instance of it, out of line: a buffer of one segment does not pay for its registers.
 * @param name of the instance @param how the instance @param packed the format */
#define VIRTQ_DRIVER_TABLE(name, how, packed)                                             \
    VIRTQ_OUTLINE int64_t virtq_driver_table_##name(const struct virtq_driver_core *core, \
                                                    const struct virtq_buffer *buffer,    \
                                                    unsigned char *table)                 \
    {                                                                                     \
        return virtq_driver_table_plain(core, how, buffer, table, packed);                \
    }
VIRTQ_DRIVER_TABLE(split_direct, VIRTQ_INSTANCE_DIRECT, false)
VIRTQ_DRIVER_TABLE(split_bar, VIRTQ_INSTANCE_BAR, false)
VIRTQ_DRIVER_TABLE(split_premapped, VIRTQ_INSTANCE_PREMAPPED, false)
VIRTQ_DRIVER_TABLE(split_legacy_premapped,
                   (unsigned)VIRTQ_INSTANCE_PREMAPPED | (unsigned)VIRTQ_INSTANCE_BIG_ENDIAN, false)
VIRTQ_DRIVER_TABLE(packed_direct, VIRTQ_INSTANCE_DIRECT, true)
VIRTQ_DRIVER_TABLE(packed_bar, VIRTQ_INSTANCE_BAR, true)
VIRTQ_DRIVER_TABLE(packed_premapped, VIRTQ_INSTANCE_PREMAPPED, true)
#undef VIRTQ_DRIVER_TABLE

/** @brief Fills the next buffer's table, if it is as most are. @param core the queue @param how the
 * instance; a constant, so nothing is left of the choice @param buffer the buffer, not flagged
 * @param table the entries @param packed the format: a constant @return bytes the device may write,
 * or below 0: place the buffer, to know why */
VIRTQ_TEMPLATE int64_t virtq_driver_table_try(const struct virtq_driver_core *core, unsigned how,
                                              const struct virtq_buffer *buffer,
                                              unsigned char *table, const bool packed)
{
    const unsigned kind = how & VIRTQ_INSTANCE_KIND;
    const uint32_t count = (uint32_t)buffer->readable + buffer->writable;

    if (VIRTQ_UNLIKELY((core->flags & VIRTQ_CORE_TABLES) == 0u || count < 2u ||
                       count > core->segments_max)) {
        return VIRTQ_EINVAL;
    }
    if (kind == VIRTQ_INSTANCE_DIRECT) {
        return packed ? virtq_driver_table_packed_direct(core, buffer, table)
                      : virtq_driver_table_split_direct(core, buffer, table);
    }
    if (kind == VIRTQ_INSTANCE_BAR) {
        return packed ? virtq_driver_table_packed_bar(core, buffer, table)
                      : virtq_driver_table_split_bar(core, buffer, table);
    }
    if ((how & VIRTQ_INSTANCE_BIG_ENDIAN) != 0u) {
        return virtq_driver_table_split_legacy_premapped(core, buffer, table);
    }
    return packed ? virtq_driver_table_packed_premapped(core, buffer, table)
                  : virtq_driver_table_split_premapped(core, buffer, table);
}

#endif
