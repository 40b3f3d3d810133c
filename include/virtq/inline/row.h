/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The way of most indirect tables: near, its entries in a row, each in a window that the
 * queue keeps.
 *
 * Whatever is otherwise is left to the walk of any table, which goes on with the entry in hand: no
 * entry is read twice.
 */
#ifndef VIRTQ_INLINE_ROW_H
#define VIRTQ_INLINE_ROW_H

#include "table.h"

/** @brief Total bytes up to which a buffer is usual: below what has a special meaning anywhere. */
#define VIRTQ_ROW_BYTES 0x3fffffffu

/** @brief Where a walk of a row stands. */
struct virtq_row {
    const unsigned char *base; /**< The table. */
    const unsigned char *last; /**< Its last entry. */
    const unsigned char *at;   /**< The entry in hand. */
    uint64_t addr;             /**< It, as read: device address, */
    uint64_t len;              /**< bytes. */
    uint32_t tail;             /**< The entry's flags and `next` or id, see virtq_shm_pair(). */
    uint32_t expected;         /**< Split: flags and `next` of an entry that goes on in a row. */
};

/** @brief Entries before the one in hand. @param row where the walk stands @return how many */
VIRTQ_TEMPLATE uint32_t virtq_row_index(const struct virtq_row *row)
{
    return (uint32_t)((size_t)(row->at - row->base) / 16u);
}

/** @brief Reads an entry, each word of it once. @param row where the walk stands; the entry @param
 * how the instance */
VIRTQ_TEMPLATE void virtq_row_load(struct virtq_row *row, unsigned how)
{
    const struct virtq_entry entry = virtq_walk_load(row->at, how);

    row->addr = entry.addr;
    row->len = entry.len;
    VIRTQ_OPAQUE(row->len);
    row->tail = entry.tail;
}

/** @brief An entry that lies in a window that the queue keeps becomes a piece. @param window the
 * part's @param walk the walk; it moves on @param row the entry; the same afterwards if it does not
 * @return whether it does */
VIRTQ_TEMPLATE bool virtq_row_hit(const struct virtq_device_window *window, struct virtq_walk *walk,
                                  struct virtq_row *row)
{
    uint64_t offset = row->addr - window->first;
    const uint64_t last = offset + row->len - 1u;

    VIRTQ_OPAQUE(offset);
    if (VIRTQ_UNLIKELY(last < offset || last >= window->size)) {
        /* Not kept beside its offset: the usual way has no register for it. */
        row->addr = offset + *(const volatile virtq_addr_t *)&window->first;
        return false;
    }
    walk->piece->base = virtq_core_at(window->base, offset);
    walk->piece->len = (uint32_t)row->len;
    walk->piece++;
    walk->bytes += row->len;
    row->at += 16;
    return true;
}

/** @brief Entries of one part, up to the first that is otherwise, or the table's last one. @param
 * core the queue @param how the instance @param walk the walk @param packed the format: a constant
 * @param writable the part: a constant @param row the entry to begin with, and then the one it
 * stopped at @return false if it stopped at an address */
VIRTQ_TEMPLATE bool virtq_row_part(const struct virtq_device_core *core, unsigned how,
                                   struct virtq_walk *walk, const bool packed, const bool writable,
                                   struct virtq_row *row)
{
    const struct virtq_device_window *window =
        &core->windows[writable ? VIRTQ_WINDOW_WRITE : VIRTQ_WINDOW_READ];
    const uint16_t write = writable ? VIRTQ_DESC_F_WRITE : 0;
    const uint32_t mask = packed ? virtq_shm_pair(0, VIRTQ_DESC_F_WRITE, how) : UINT32_MAX;

    row->expected += packed ? virtq_shm_pair(0, write, how) : virtq_shm_pair(write, 0, how);
    while ((row->tail & mask) == row->expected && row->at != row->last) {
        if (VIRTQ_UNLIKELY(!virtq_row_hit(window, walk, row))) {
            return false;
        }
        if (!packed) {
            row->expected += virtq_shm_pair(0, 1, how);
            VIRTQ_OPAQUE(row->expected);
        }
        /* Two places that move on are cheaper than one offset to both. */
        VIRTQ_OPAQUE(walk->piece);
        VIRTQ_OPAQUE(row->at);
        virtq_row_load(row, how);
    }
    return true;
}

/** @brief Where the writable part begins: everything before the entry in hand was readable. @param
 * walk the walk @param row the entry */
VIRTQ_TEMPLATE void virtq_row_turn(struct virtq_walk *walk, const struct virtq_row *row)
{
    walk->writable = true;
    walk->chain->readable = virtq_row_index(row);
    walk->chain->readable_bytes = walk->bytes;
}

/** @brief Whether the entry in hand ends the table, as an entry of a part. @param how the instance
 * @param packed the format: a constant @param write the part: 0 or VIRTQ_DESC_F_WRITE @param row
 * the entry @return whether */
VIRTQ_TEMPLATE bool virtq_row_ends(unsigned how, const bool packed, uint16_t write,
                                   const struct virtq_row *row)
{
    const uint16_t flags = VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_WRITE;

    if (packed) {
        return (row->tail & virtq_shm_pair(0, VIRTQ_DESC_F_WRITE, how)) ==
                   virtq_shm_pair(0, write, how) &&
               row->at == row->last;
    }
    return (row->tail & virtq_shm_pair(flags, 0, how)) == virtq_shm_pair(write, 0, how);
}

/** @brief Says what the writable part of a sound buffer is. @param chain the buffer @param pieces
 * of the part @param bytes of the part */
VIRTQ_TEMPLATE void virtq_row_end(struct virtq_chain *chain, uint32_t pieces, uint64_t bytes)
{
    chain->writable = pieces;
    chain->writable_bytes = bytes;
}

/** @brief Walks a table that is near. @param core the queue @param how the instance @param walk
 * begun, and with pieces enough; its bytes move on, and its piece is the buffer's first @param
 * packed the format: a constant @param row its base and last; then, if there is more to do, the
 * entry in hand @return whether the walk is at its end */
VIRTQ_TEMPLATE bool virtq_row_walk(const struct virtq_device_core *core, unsigned how,
                                   struct virtq_walk *walk, const bool packed,
                                   struct virtq_row *row)
{
    const uint32_t write = packed ? virtq_shm_pair(0, VIRTQ_DESC_F_WRITE, how)
                                  : virtq_shm_pair(VIRTQ_DESC_F_WRITE, 0, how);
    struct virtq_chain *chain;

    row->at = row->base;
    row->expected = packed ? 0u : virtq_shm_pair(VIRTQ_DESC_F_NEXT, 1, how);
    virtq_row_load(row, how);
    if (VIRTQ_UNLIKELY(!virtq_row_part(core, how, walk, packed, false, row))) {
        return false;
    }
    /* A split entry tells by its flags alone that it is the last; of a packed one, WRITE is known
     * here. */
    if ((packed || VIRTQ_UNLIKELY(!virtq_row_ends(how, packed, VIRTQ_DESC_F_WRITE, row))) &&
        VIRTQ_UNLIKELY((row->tail & write) == 0u)) {
        if (!virtq_row_ends(how, packed, 0, row) ||
            !virtq_row_hit(&core->windows[VIRTQ_WINDOW_READ], walk, row)) {
            return false;
        }
        virtq_row_turn(walk, row);
        virtq_row_end(walk->chain, 0, 0);
        return true;
    }
    virtq_row_turn(walk, row);
    if (VIRTQ_LIKELY(virtq_row_ends(how, packed, VIRTQ_DESC_F_WRITE, row))) {
        virtq_row_end(walk->chain, 1, row->len);
        return virtq_row_hit(&core->windows[VIRTQ_WINDOW_WRITE], walk, row);
    }
    if (!virtq_row_part(core, how, walk, packed, true, row) ||
        !virtq_row_ends(how, packed, VIRTQ_DESC_F_WRITE, row) ||
        !virtq_row_hit(&core->windows[VIRTQ_WINDOW_WRITE], walk, row)) {
        return false;
    }
    /* Read again, so that the usual way need not keep them. */
    chain = walk->chain;
    VIRTQ_OPAQUE(chain);
    virtq_row_end(chain, virtq_row_index(row) - chain->readable,
                  walk->bytes - chain->readable_bytes);
    return true;
}

#endif
