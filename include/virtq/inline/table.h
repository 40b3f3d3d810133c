/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end opens indirect tables, and reads each entry once.
 */
#ifndef VIRTQ_INLINE_TABLE_H
#define VIRTQ_INLINE_TABLE_H

#include "../split.h"
#include "walk.h"

/** @brief A table, opened. */
struct virtq_table {
    const unsigned char
        *base;         /**< All of it, if it lies in one window and is aligned to 8; else NULL. */
    virtq_addr_t addr; /**< Its device address. */
    uint32_t bytes;    /**< Its bytes, as read. */
    uint32_t entries;  /**< How many. */
};

/** @brief The table window, asked for anew, unless the space is one window and so has nothing more
 * to say.
 * @param core the queue @param how the instance @param addr device address @param len bytes wanted
 * @return as for the walker */
VIRTQ_OUTLINE int virtq_walk_table_window(struct virtq_device_core *core, unsigned how,
                                          virtq_addr_t addr, uint32_t len)
{
    const unsigned kind = how & VIRTQ_INSTANCE_KIND;
    int error;

    if (kind == VIRTQ_INSTANCE_DIRECT || kind == VIRTQ_INSTANCE_BAR) {
        return virtq_walk_outside(core, addr, len);
    }
    error = virtq_device_core_ask(core, VIRTQ_WINDOW_TABLE, addr, VIRTQ_PERMISSION_READ);
    if (error == VIRTQ_EMISS) {
        return virtq_device_core_missed(core, addr, len, VIRTQ_PERMISSION_READ);
    }
    return error == VIRTQ_OK ? VIRTQ_OK : virtq_device_core_reason(error);
}

/** @brief Whether every byte of a table that crosses windows is granted: all of it, or none. @param
 * core the queue @param addr device address @param len bytes; their end does not wrap @return as
 * for the walker */
VIRTQ_COLD int virtq_walk_granted(struct virtq_device_core *core, virtq_addr_t addr, uint32_t len)
{
    while (len != 0u) {
        const struct virtq_device_window *window = &core->windows[VIRTQ_WINDOW_TABLE];
        int error = virtq_device_core_ask(core, VIRTQ_WINDOW_TABLE, addr, VIRTQ_PERMISSION_READ);
        uint64_t part;

        if (error == VIRTQ_EMISS) {
            return virtq_device_core_missed(core, addr, len, VIRTQ_PERMISSION_READ);
        }
        if (error != VIRTQ_OK) {
            return virtq_device_core_reason(error);
        }
        part = window->size - (addr - window->first);
        part = part < len ? part : len;
        addr += part;
        len -= (uint32_t)part;
    }
    return VIRTQ_OK;
}

/** @brief Opens a table: checks its length, and finds all of it, not just its first entry. S5, P8.
 * @param core the queue @param how the instance @param table result @param addr device address
 * @param len bytes, as read
 * @return as for the walker */
VIRTQ_TEMPLATE int virtq_walk_open(struct virtq_device_core *core, unsigned how,
                                   struct virtq_table *table, virtq_addr_t addr, uint32_t len)
{
    const struct virtq_device_window *window = &core->windows[VIRTQ_WINDOW_TABLE];
    const unsigned char *base;
    int result = VIRTQ_OK;

    if (VIRTQ_UNLIKELY((core->flags & VIRTQ_CORE_TABLES) == 0u)) {
        return (int)VIRTQ_REASON_TABLE_OFF;
    }
    if (VIRTQ_UNLIKELY(len == 0u || (len & 15u) != 0u || len > core->table_bytes)) {
        return (int)VIRTQ_REASON_TABLE_LENGTH;
    }
    if (VIRTQ_UNLIKELY((uint64_t)len - 1u > UINT64_MAX - addr)) {
        return (int)VIRTQ_REASON_ADDRESS;
    }
    table->addr = addr;
    table->entries = len / 16u;
    table->base = NULL;
    if (VIRTQ_UNLIKELY(addr - window->first >= window->size ||
                       len > window->size - (addr - window->first))) {
        result = virtq_walk_table_window(core, how, addr, len);
    }
    if (result != VIRTQ_OK) {
        return result;
    }
    if (VIRTQ_UNLIKELY(len > window->size - (addr - window->first))) {
        return virtq_walk_granted(core, addr, len);
    }
    base = virtq_core_at(window->base, addr - window->first);
    table->base = ((uintptr_t)base & 7u) == 0u ? base : NULL;
    return VIRTQ_OK;
}

/** @brief Copies 16 bytes that may cross windows or be unaligned. @param core the queue @param how
 * the instance @param addr device address @param to room for 16 bytes @return as for the walker */
VIRTQ_OUTLINE int virtq_walk_copy16(struct virtq_device_core *core, unsigned how, virtq_addr_t addr,
                                    unsigned char *to)
{
    const struct virtq_device_window *window = &core->windows[VIRTQ_WINDOW_TABLE];
    uint32_t len = 16;

    while (len != 0u) {
        uint64_t offset = addr - window->first;
        uint32_t part = len;

        if (offset >= window->size) {
            int result = virtq_walk_table_window(core, how, addr, len);

            if (result != VIRTQ_OK) {
                return result;
            }
            offset = addr - window->first;
        }
        if (part > window->size - offset) {
            part = (uint32_t)(window->size - offset);
        }
        VIRTQ_SHM_TRACE(virtq_core_at(window->base, offset), part, VIRTQ_ACCESS_LOAD);
        __builtin_memcpy(to, virtq_core_at(window->base, offset), part);
        to += part;
        addr += part;
        len -= part;
    }
    return VIRTQ_OK;
}

/** @brief A table entry, as it lies: split order, for a packed one has id and flags where a split
 * one has flags and next. */
struct virtq_entry {
    uint64_t addr; /**< Device address. */
    uint32_t len;  /**< Bytes. */
    uint32_t tail; /**< The rest, see virtq_shm_pair(). */
};

/** @brief Reads an entry, each word of it once. @param from where @param how the instance @return a
 * private copy in processor order */
VIRTQ_TEMPLATE struct virtq_entry virtq_walk_load(const unsigned char *from, unsigned how)
{
    const struct virtq_desc *desc = (const struct virtq_desc *)(const void *)from;
    struct virtq_entry entry;

    entry.tail = virtq_shm_load32((const uint32_t *)(const void *)&desc->flags, how);
    entry.addr = virtq_shm_load64(&desc->addr, how);
    entry.len = virtq_shm_load32(&desc->len, how);
    return entry;
}

/** @brief An entry that is not aligned, or lies across windows. @param core the queue @param how
 * the instance @param addr its device address @param entry result @return as for the walker */
VIRTQ_TEMPLATE int virtq_walk_entry_far(struct virtq_device_core *core, unsigned how,
                                        virtq_addr_t addr, struct virtq_entry *entry)
{
    struct virtq_entry raw = {0, 0, 0};
    int result = virtq_walk_copy16(core, how, addr, (unsigned char *)&raw);

    entry->addr = virtq_shm_order64(raw.addr, how);
    entry->len = virtq_shm_order32(raw.len, how);
    entry->tail = virtq_shm_order32(raw.tail, how);
    return result;
}

/** @brief One table entry. @param core the queue @param how the instance @param table an opened one
 * @param index below its entries @param entry result @return as for the walker */
VIRTQ_TEMPLATE int virtq_walk_entry(struct virtq_device_core *core, unsigned how,
                                    const struct virtq_table *table, uint32_t index,
                                    struct virtq_entry *entry)
{
    if (VIRTQ_LIKELY(table->base != NULL)) {
        *entry = virtq_walk_load(table->base + (size_t)index * 16u, how);
        return VIRTQ_OK;
    }
    return virtq_walk_entry_far(core, how, table->addr + (uint64_t)index * 16u, entry);
}

/** @brief Finds a table that is as most are: all that virtq_walk_open() checks, known beforehand.
 * @param core the queue @param addr device address @param len bytes, as read @param piece result:
 * the table @return whether all of it is in the window that the queue keeps, and aligned to 8; else
 * open it */
VIRTQ_TEMPLATE bool virtq_walk_near(const struct virtq_device_core *core, virtq_addr_t addr,
                                    uint32_t len, struct virtq_piece *piece)
{
    if (VIRTQ_UNLIKELY((len & 15u) != 0u || len > core->table_bytes)) {
        return false;
    }
    if (VIRTQ_UNLIKELY(!virtq_walk_hit(&core->windows[VIRTQ_WINDOW_TABLE], addr, len, piece))) {
        return false;
    }
    return VIRTQ_LIKELY(((uintptr_t)piece->base & 7u) == 0u);
}

#endif
