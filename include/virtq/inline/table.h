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
    if (VIRTQ_UNLIKELY(len == 0u || (len & 15u) != 0u || len / 16u > core->table_max)) {
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

/** @brief An entry that is not aligned, or lies across windows. @param core the queue @param how
 * the instance
 * @param addr its device address @param entry result @return as for the walker */
VIRTQ_TEMPLATE int virtq_walk_entry_far(struct virtq_device_core *core, unsigned how,
                                        virtq_addr_t addr, struct virtq_desc *entry)
{
    struct virtq_desc raw = {0, 0, 0, 0};
    int result = virtq_walk_copy16(core, how, addr, (unsigned char *)&raw);

    entry->addr = virtq_shm_order64(raw.addr, how);
    entry->len = virtq_shm_order32(raw.len, how);
    entry->flags = virtq_shm_order16(raw.flags, how);
    entry->next = virtq_shm_order16(raw.next, how);
    return result;
}

/** @brief One table entry, read once into a private copy. Split layout; a packed entry has id and
 * flags where split has flags and next, see `last` below. @param core the queue @param how the
 * instance @param table an opened one @param index below its entries
 * @param near the whole table lies at its `base`
 * @param entry result: fields in processor order, in the order in which they lie @return as for the
 * walker */
VIRTQ_TEMPLATE int virtq_walk_entry(struct virtq_device_core *core, unsigned how,
                                    const struct virtq_table *table, uint32_t index,
                                    const bool near, struct virtq_desc *entry)
{
    const struct virtq_desc *from;

    if (near) {
        from = (const struct virtq_desc *)(const void *)(table->base + (size_t)index * 16u);
        entry->addr = virtq_shm_load64(&from->addr, how);
        entry->len = virtq_shm_load32(&from->len, how);
        entry->flags = virtq_shm_load16(&from->flags, how);
        entry->next = virtq_shm_load16(&from->next, how);
        return VIRTQ_OK;
    }
    return virtq_walk_entry_far(core, how, table->addr + (uint64_t)index * 16u, entry);
}

#endif
