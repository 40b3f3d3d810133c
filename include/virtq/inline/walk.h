/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The one walker: turns a buffer's elements, wherever they were read, into pieces of this
 * program's memory.
 *
 * Ring descriptors and table entries of both formats end here, each as a private copy that was read
 * once (H1). Results: 0; an enum virtq_reason above 0 for a bad buffer; VIRTQ_EMISS; or VIRTQ_EFULL
 * when the caller's pieces ran out.
 */
#ifndef VIRTQ_INLINE_WALK_H
#define VIRTQ_INLINE_WALK_H

#include "../chain.h"
#include "../split.h"
#include "device_core.h"

/** @brief A walk over one buffer. */
struct virtq_walk {
    struct virtq_piece *first; /**< Its first piece. */
    struct virtq_piece *piece; /**< Where the next piece goes. */
    struct virtq_piece *end;   /**< End of the caller's array. */
    uint64_t bytes; /**< Bytes so far, of both parts: 2^16 lengths of 32 bits cannot wrap it. */
    uint64_t readable_bytes; /**< Bytes of the readable part, once a writable element was seen. */
    uint32_t readable;       /**< Its pieces, likewise. */
    bool writable;           /**< A writable element was seen, be it empty. */
};

/** @brief A table, opened. */
struct virtq_table {
    const unsigned char
        *base;         /**< All of it, if it lies in one window and is aligned to 8; else NULL. */
    virtq_addr_t addr; /**< Its device address. */
    uint32_t entries;  /**< How many. */
};

/** @brief Begins a walk. @param walk the walk @param piece where pieces go @param end of the
 * caller's array */
VIRTQ_TEMPLATE void virtq_walk_begin(struct virtq_walk *walk, struct virtq_piece *piece,
                                     struct virtq_piece *end)
{
    walk->first = piece;
    walk->piece = piece;
    walk->end = end;
    walk->bytes = 0;
    walk->readable_bytes = 0;
    walk->readable = 0;
    walk->writable = false;
}

/** @brief An element that no kept window holds: asks the space, cuts it into pieces where windows
 * end. Bounded by the pieces.
 * @param core the queue @param walk the walk @param addr device address @param len bytes, not 0
 * @param writable the part
 * @return as for the walker */
VIRTQ_OUTLINE int virtq_walk_far(struct virtq_device_core *core, struct virtq_walk *walk,
                                 virtq_addr_t addr, uint32_t len, bool writable)
{
    const unsigned index = writable ? (unsigned)VIRTQ_WINDOW_WRITE : (unsigned)VIRTQ_WINDOW_READ;
    const uint32_t permission = writable ? VIRTQ_PERMISSION_WRITE : VIRTQ_PERMISSION_READ;

    if ((uint64_t)len - 1u > UINT64_MAX - addr) {
        return (int)VIRTQ_REASON_ADDRESS;
    }
    while (len != 0u) {
        const struct virtq_device_window *window = &core->windows[index];
        uint32_t part = len;
        uint64_t offset;

        if (addr - window->first >= window->size) {
            int error = virtq_device_core_ask(core, index, addr, permission);

            core->counters.window_hits--;
            if (error == VIRTQ_EMISS) {
                return virtq_device_core_missed(core, addr, len, permission);
            }
            if (error != VIRTQ_OK) {
                return virtq_device_core_reason(error);
            }
        }
        offset = addr - window->first;
        if (part > window->size - offset) {
            part = (uint32_t)(window->size - offset);
        }
        if (walk->piece == walk->end) {
            return VIRTQ_EFULL;
        }
        walk->piece->base = window->base + (size_t)offset;
        walk->piece->len = part;
        walk->piece++;
        addr += part;
        len -= part;
    }
    return VIRTQ_OK;
}

/** @brief Why an element is outside a space that is one window: not granted at all, or not for
 * this.
 * @param core the queue @param addr device address @param len bytes, not 0 @return the reason */
VIRTQ_COLD int virtq_walk_outside(const struct virtq_device_core *core, virtq_addr_t addr,
                                  uint32_t len)
{
    const struct virtq_window *linear = &core->space->linear;

    if (addr < linear->first || addr > linear->last || len - 1u > linear->last - addr) {
        return (int)VIRTQ_REASON_ADDRESS;
    }
    return (int)VIRTQ_REASON_PERMISSION;
}

/** @brief One element. Zero-length ones count in the walk but produce nothing and are never
 * translated; readable after writable is refused. S3, L2. @param core the queue @param how the
 * instance @param walk the walk @param addr device address
 * @param len bytes @param writable the part @return as for the walker */
VIRTQ_TEMPLATE int virtq_walk_element(struct virtq_device_core *core, unsigned how,
                                      struct virtq_walk *walk, virtq_addr_t addr, uint32_t len,
                                      bool writable)
{
    const unsigned kind = how & VIRTQ_INSTANCE_KIND;
    const struct virtq_device_window *window =
        &core->windows[writable ? VIRTQ_WINDOW_WRITE : VIRTQ_WINDOW_READ];
    uint64_t offset = addr - window->first;

    if (writable != walk->writable) {
        if (VIRTQ_UNLIKELY(!writable)) {
            return (int)VIRTQ_REASON_ORDER;
        }
        walk->writable = true;
        walk->readable = (uint32_t)(walk->piece - walk->first);
        walk->readable_bytes = walk->bytes;
    }
    if (VIRTQ_UNLIKELY(len == 0u)) {
        return VIRTQ_OK;
    }
    walk->bytes += len;
    if (VIRTQ_UNLIKELY(walk->piece == walk->end)) {
        return VIRTQ_EFULL;
    }
    if (kind == VIRTQ_INSTANCE_PREMAPPED) {
        walk->piece->addr = addr;
        walk->piece->len = len;
        walk->piece++;
        return (uint64_t)len - 1u > UINT64_MAX - addr ? (int)VIRTQ_REASON_ADDRESS : VIRTQ_OK;
    }
    if (VIRTQ_LIKELY(offset < window->size && len <= window->size - offset)) {
        walk->piece->base = window->base + (size_t)offset;
        walk->piece->len = len;
        walk->piece++;
        return VIRTQ_OK;
    }
    return kind == VIRTQ_INSTANCE_CALLED ? virtq_walk_far(core, walk, addr, len, writable)
                                         : virtq_walk_outside(core, addr, len);
}

/** @brief Ends a walk: a sound buffer. @param walk the walk @param chain result; `id` and `slots`
 * are the caller's to fill
 * @return 0, or VIRTQ_REASON_TOTAL for more than 2^32 bytes (S4) */
VIRTQ_TEMPLATE int virtq_walk_end(struct virtq_walk *walk, struct virtq_chain *chain)
{
    uint32_t pieces = (uint32_t)(walk->piece - walk->first);

    if (!walk->writable) {
        walk->readable = pieces;
        walk->readable_bytes = walk->bytes;
    }
    if (VIRTQ_UNLIKELY(walk->bytes > (uint64_t)1 << 32)) {
        return (int)VIRTQ_REASON_TOTAL;
    }
    chain->pieces = walk->first;
    chain->readable_bytes = walk->readable_bytes;
    chain->writable_bytes = walk->bytes - walk->readable_bytes;
    chain->readable = walk->readable;
    chain->writable = pieces - walk->readable;
    chain->reason = (uint32_t)VIRTQ_REASON_NONE;
    return VIRTQ_OK;
}

/** @brief Ends a walk: a bad buffer, to be given back with length 0. @param core the queue @param
 * chain result @param reason why */
VIRTQ_COLD void virtq_walk_bad(struct virtq_device_core *core, struct virtq_chain *chain,
                               int reason)
{
    core->counters.error_buffer++;
    chain->pieces = NULL;
    chain->readable_bytes = 0;
    chain->writable_bytes = 0;
    chain->readable = 0;
    chain->writable = 0;
    chain->reason = (uint32_t)reason;
}

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

/** @brief Opens a table: checks its length, and finds all of it, not just its first entry. S5, P8.
 * @param core the queue @param how the instance @param table result @param addr device address
 * @param len bytes, as read
 * @return as for the walker */
VIRTQ_TEMPLATE int virtq_walk_open(struct virtq_device_core *core, unsigned how,
                                   struct virtq_table *table, virtq_addr_t addr, uint32_t len)
{
    const struct virtq_device_window *window = &core->windows[VIRTQ_WINDOW_TABLE];
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
    if (result == VIRTQ_OK && len <= window->size - (addr - window->first)) {
        const unsigned char *base = window->base + (size_t)(addr - window->first);

        table->base = ((uintptr_t)base & 7u) == 0u ? base : NULL;
    }
    return result;
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
        VIRTQ_SHM_TRACE(window->base + (size_t)offset, part, 0);
        __builtin_memcpy(to, window->base + (size_t)offset, part);
        to += part;
        addr += part;
        len -= part;
    }
    return VIRTQ_OK;
}

/** @brief One table entry, read once into a private copy. Split layout; a packed entry has id and
 * flags where split has flags and next, see `last` below. @param core the queue @param how the
 * instance @param table an opened one @param index below its entries
 * @param entry result: fields in processor order, in the order in which they lie @return as for the
 * walker */
VIRTQ_TEMPLATE int virtq_walk_entry(struct virtq_device_core *core, unsigned how,
                                    const struct virtq_table *table, uint32_t index,
                                    struct virtq_desc *entry)
{
    const struct virtq_desc *from;
    int result;

    if (VIRTQ_LIKELY(table->base != NULL)) {
        from = (const struct virtq_desc *)(const void *)(table->base + (size_t)index * 16u);
        entry->addr = virtq_shm_load64(&from->addr, how);
        entry->len = virtq_shm_load32(&from->len, how);
        entry->flags = virtq_shm_load16(&from->flags, how);
        entry->next = virtq_shm_load16(&from->next, how);
        return VIRTQ_OK;
    }
    __builtin_memset(entry, 0, sizeof(*entry));
    result =
        virtq_walk_copy16(core, how, table->addr + (uint64_t)index * 16u, (unsigned char *)entry);
    entry->addr = virtq_shm_order64(entry->addr, how);
    entry->len = virtq_shm_order32(entry->len, how);
    entry->flags = virtq_shm_order16(entry->flags, how);
    entry->next = virtq_shm_order16(entry->next, how);
    return result;
}

#endif
