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
#include "driver_map.h"

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

/** @brief Bytes that a buffer may have: virtio 1.4, The Virtqueue Descriptor Table. S4. */
#define VIRTQ_DRIVER_MOST ((uint64_t)1 << 32)

/** @brief A table that is being filled. */
struct virtq_driver_table {
    unsigned char *entry; /**< The next entry. */
    uint64_t bytes;       /**< Bytes so far. */
    uint32_t tail; /**< Split: flags and `next` of the next entry. Packed: the id, which means
                      nothing here, and flags, of which none but WRITE may be set. */
};

/** @brief Fills in one part of a buffer. @param core the queue @param how the instance @param
 * source the buffer @param item the part's first run @param end behind its last @param table it; it
 * moves on @param packed the format: a constant @return 0, VIRTQ_EFAULT or VIRTQ_EINVAL */
VIRTQ_TEMPLATE int virtq_driver_table_part(const struct virtq_driver_core *core, unsigned how,
                                           const struct virtq_driver_source *source,
                                           const unsigned char *item, const unsigned char *end,
                                           struct virtq_driver_table *table, const bool packed)
{
    while (item != end) {
        uint64_t addr;
        uint64_t bytes;
        uint32_t len;
        const int error = virtq_driver_core_item(core, how, item, source->premapped, &addr, &len);

        if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
            return error;
        }
        if (VIRTQ_UNLIKELY(len == 0u)) {
            return VIRTQ_EINVAL;
        }
        bytes = len;
        VIRTQ_OPAQUE(bytes);
        virtq_driver_table_write(table->entry, how, addr, (uint32_t)bytes, table->tail);
        table->bytes += bytes;
        table->entry += VIRTQ_TABLE_ENTRY;
        if (!packed) {
            table->tail += virtq_shm_pair(0, 1, how);
        }
        item += virtq_driver_core_stride(how);
        VIRTQ_OPAQUE(item);
    }
    return VIRTQ_OK;
}

/** @brief Fills a table. virtio 1.4, Indirect Descriptors: split entries stand in a row, `next`
 * counting up; packed ones need no `next`. Nothing of it is seen before the descriptor that refers
 * to it.
 * @param core the queue @param how the instance @param source the buffer @param entries of the
 * table, zero-based
 * @param most bytes that the buffer may have
 * @param packed the format: a constant @return bytes the device may write, or VIRTQ_EFAULT,
 * VIRTQ_EINVAL or VIRTQ_ETOOBIG */
VIRTQ_TEMPLATE int64_t virtq_driver_table_fill(const struct virtq_driver_core *core, unsigned how,
                                               const struct virtq_driver_source *source,
                                               unsigned char *entries, uint64_t most,
                                               const bool packed)
{
    const unsigned char *const items = virtq_driver_core_items(how, source);
    const unsigned char *const turn = items + source->readable * virtq_driver_core_stride(how);
    const unsigned char *const end = items + source->count * virtq_driver_core_stride(how);
    const uint32_t write = packed ? virtq_shm_pair(0, VIRTQ_DESC_F_WRITE, how)
                                  : virtq_shm_pair(VIRTQ_DESC_F_WRITE, 0, how);
    struct virtq_driver_table table = {entries, 0,
                                       packed ? 0u : virtq_shm_pair(VIRTQ_DESC_F_NEXT, 1, how)};
    uint64_t read;
    int error = virtq_driver_table_part(core, how, source, items, turn, &table, packed);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    read = table.bytes;
    if (turn != end) {
        table.tail |= write;
        error = virtq_driver_table_part(core, how, source, turn, end, &table, packed);
        if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
            return error;
        }
    }
    if (!packed) {
        struct virtq_desc *last = (struct virtq_desc *)(void *)(table.entry - VIRTQ_TABLE_ENTRY);

        virtq_shm_store32((uint32_t *)(void *)&last->flags, table.tail & write, how);
    }
    if (VIRTQ_UNLIKELY(table.bytes > most)) {
        return VIRTQ_ETOOBIG;
    }
    return (int64_t)(table.bytes - read);
}

/** @brief The way of most: the caller's segments, on a queue that computes addresses, and not so
 * many bytes that they have a special meaning anywhere. @param core the queue @param how the
 * instance @param buffer the buffer, not flagged @param entries of the table @param packed the
 * format: a constant @return bytes the device may write, or below 0: place it, to know why */
VIRTQ_TEMPLATE int32_t virtq_driver_table_plain(const struct virtq_driver_core *core, unsigned how,
                                                const struct virtq_buffer *buffer,
                                                unsigned char *entries, const bool packed)
{
    const struct virtq_driver_source source = {NULL,
                                               buffer->segments,
                                               buffer->readable,
                                               (uint16_t)(buffer->readable + buffer->writable),
                                               false,
                                               true};

    return (int32_t)virtq_driver_table_fill(core, how, &source, entries, 0x3fffffffu, packed);
}

/** @brief Each instance of it, out of line: a buffer of one segment does not pay for its registers.
 * @param name of the instance @param how the instance @param packed the format */
#define VIRTQ_DRIVER_TABLE(name, how, packed)                                             \
    VIRTQ_OUTLINE int32_t virtq_driver_table_##name(const struct virtq_driver_core *core, \
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
VIRTQ_TEMPLATE int32_t virtq_driver_table_try(const struct virtq_driver_core *core, unsigned how,
                                              const struct virtq_buffer *buffer,
                                              unsigned char *table, const bool packed)
{
    const unsigned kind = how & VIRTQ_INSTANCE_KIND;
    const uint32_t count = (uint32_t)buffer->readable + buffer->writable;

    /* 2 or more segments, and no more than what there is a table for. */
    if (VIRTQ_UNLIKELY(count - 2u >= core->table_span)) {
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
