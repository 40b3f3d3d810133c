/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end walks indirect tables: of either format, in one way but for how an entry
 * leads to the next.
 */
#ifndef VIRTQ_INLINE_TABLE_WALK_H
#define VIRTQ_INLINE_TABLE_WALK_H

#include "row.h"
#include "walk.h"

/** @brief Walks an opened table of a split queue from any entry: a chain within it. S5.
 * @param core the queue @param how the instance @param walk the walk @param table it @param index
 * an entry that was reached in as many steps @param entry it, as read @return as for the walker */
VIRTQ_TEMPLATE int virtq_table_chain(struct virtq_device_core *core, unsigned how,
                                     struct virtq_walk *walk, const struct virtq_table *table,
                                     uint32_t index, struct virtq_entry *entry)
{
    for (uint32_t steps = table->entries - index;;) {
        const uint16_t flags = virtq_shm_pair_first(entry->tail, how);
        int result;

        if ((flags & VIRTQ_DESC_F_INDIRECT) != 0u) {
            return (int)VIRTQ_REASON_TABLE_NESTED;
        }
        result = virtq_walk_element(core, how, walk, entry->addr, entry->len,
                                    (flags & VIRTQ_DESC_F_WRITE) != 0u);
        if (result != VIRTQ_OK || (flags & VIRTQ_DESC_F_NEXT) == 0u) {
            return result;
        }
        index = virtq_shm_pair_second(entry->tail, how);
        if (index >= table->entries) {
            return (int)VIRTQ_REASON_TABLE_RANGE;
        }
        if (--steps == 0u) {
            return (int)VIRTQ_REASON_TABLE_LOOP;
        }
        result = virtq_walk_entry(core, how, table, index, entry);
        if (result != VIRTQ_OK) {
            return result;
        }
    }
}

/** @brief Walks an opened table of a packed queue from any entry: consecutive ones, of whose flags
 * only WRITE counts. P8. @param core the queue @param how the instance @param walk the walk @param
 * table it @param index an entry @param entry it, as read @return as for the walker */
VIRTQ_TEMPLATE int virtq_table_list(struct virtq_device_core *core, unsigned how,
                                    struct virtq_walk *walk, const struct virtq_table *table,
                                    uint32_t index, struct virtq_entry *entry)
{
    for (;;) {
        /* A packed entry has its flags last, where a split one has `next`. */
        const uint16_t flags = virtq_shm_pair_second(entry->tail, how);
        int result = virtq_walk_element(core, how, walk, entry->addr, entry->len,
                                        (flags & VIRTQ_DESC_F_WRITE) != 0u);

        if (result != VIRTQ_OK || ++index == table->entries) {
            return result;
        }
        result = virtq_walk_entry(core, how, table, index, entry);
        if (result != VIRTQ_OK) {
            return result;
        }
    }
}

/** @brief What is left of a table, or all of one that is not as most are. @param core the queue
 * @param how the instance @param packed the format: a constant @param walk the walk @param table
 * its address and entries; its base, if it is near @param index the entry to go on with, if it is
 * near @param entry it, as read @return as for the walker */
VIRTQ_TEMPLATE int virtq_table_rest(struct virtq_device_core *core, unsigned how, const bool packed,
                                    struct virtq_walk *walk, struct virtq_table *table,
                                    uint32_t index, struct virtq_entry *entry)
{
    int result = VIRTQ_OK;

    if (table->base == NULL) {
        result = virtq_walk_open(core, how, table, table->addr, table->bytes);
        if (result == VIRTQ_OK) {
            result = virtq_walk_entry(core, how, table, 0, entry);
        }
    }
    if (result != VIRTQ_OK) {
        return result;
    }
    return packed ? virtq_table_list(core, how, walk, table, index, entry)
                  : virtq_table_chain(core, how, walk, table, index, entry);
}

/** @brief Each instance of it, out of line. @param format of the queue @param packed the same
 * @param name of the instance @param how the instance */
#define VIRTQ_TABLE_REST(format, packed, name, how)                                         \
    VIRTQ_OUTLINE int virtq_##format##_device_##name##_rest(                                \
        struct virtq_device_core *core, struct virtq_walk *walk, struct virtq_table *table, \
        uint32_t index, struct virtq_entry *entry)                                          \
    {                                                                                       \
        return virtq_table_rest(core, how, packed, walk, table, index, entry);              \
    }
VIRTQ_TABLE_REST(split, false, called, VIRTQ_INSTANCE_CALLED)
VIRTQ_TABLE_REST(split, false, direct, VIRTQ_INSTANCE_DIRECT)
VIRTQ_TABLE_REST(split, false, bar, VIRTQ_INSTANCE_BAR)
VIRTQ_TABLE_REST(split, false, premapped, VIRTQ_INSTANCE_PREMAPPED)
VIRTQ_TABLE_REST(split, false, legacy, VIRTQ_INSTANCE_BIG_ENDIAN)
VIRTQ_TABLE_REST(split, false, legacy_premapped,
                 (unsigned)VIRTQ_INSTANCE_PREMAPPED | (unsigned)VIRTQ_INSTANCE_BIG_ENDIAN)
VIRTQ_TABLE_REST(packed, true, called, VIRTQ_INSTANCE_CALLED)
VIRTQ_TABLE_REST(packed, true, direct, VIRTQ_INSTANCE_DIRECT)
VIRTQ_TABLE_REST(packed, true, bar, VIRTQ_INSTANCE_BAR)
VIRTQ_TABLE_REST(packed, true, premapped, VIRTQ_INSTANCE_PREMAPPED)
#undef VIRTQ_TABLE_REST

/** @brief Chooses an instance; `how` is a constant, so nothing is left of the choice. @param how
 * the instance @param format of the queue @param function which of its functions */
#define VIRTQ_DEVICE_CHOOSE(how, format, function, ...)                              \
    (((how) & (unsigned)VIRTQ_INSTANCE_KIND) == (unsigned)VIRTQ_INSTANCE_DIRECT      \
         ? virtq_##format##_device_direct_##function(__VA_ARGS__)                    \
     : ((how) & (unsigned)VIRTQ_INSTANCE_KIND) == (unsigned)VIRTQ_INSTANCE_BAR       \
         ? virtq_##format##_device_bar_##function(__VA_ARGS__)                       \
     : ((how) & (unsigned)VIRTQ_INSTANCE_KIND) == (unsigned)VIRTQ_INSTANCE_PREMAPPED \
         ? virtq_##format##_device_premapped_##function(__VA_ARGS__)                 \
         : virtq_##format##_device_called_##function(__VA_ARGS__))

/** @brief The same for a packed queue. @param how the instance @param function which of its
 * functions */
#define VIRTQ_PACKED_DEVICE_CHOOSE(how, function, ...) \
    VIRTQ_DEVICE_CHOOSE(how, packed, function, __VA_ARGS__)

/** @brief The same for a split queue, which may be of the legacy byte order. @param how the
 * instance
 * @param function which of its functions */
#define VIRTQ_SPLIT_DEVICE_CHOOSE(how, function, ...)                                     \
    (((how) & (unsigned)VIRTQ_INSTANCE_BIG_ENDIAN) != 0u                                  \
         ? (((how) & (unsigned)VIRTQ_INSTANCE_KIND) == (unsigned)VIRTQ_INSTANCE_PREMAPPED \
                ? virtq_split_device_legacy_premapped_##function(__VA_ARGS__)             \
                : virtq_split_device_legacy_##function(__VA_ARGS__))                      \
         : VIRTQ_DEVICE_CHOOSE(how, split, function, __VA_ARGS__))

/** @brief Goes on by the instance's own function, with copies, so that nothing of what the usual
 * way uses has an address. @param core the queue @param how the instance @param packed the format:
 * a constant @param walk the walk @param table as for virtq_table_rest() @param index the same
 * @param entry the same @return as for the walker */
VIRTQ_TEMPLATE int virtq_table_leave(struct virtq_device_core *core, unsigned how,
                                     const bool packed, struct virtq_walk *walk,
                                     struct virtq_table table, size_t index,
                                     struct virtq_entry entry)
{
    const uint32_t at = (uint32_t)index;
    struct virtq_walk local = *walk;
    const int result = packed
                           ? VIRTQ_PACKED_DEVICE_CHOOSE(how, rest, core, &local, &table, at, &entry)
                           : VIRTQ_SPLIT_DEVICE_CHOOSE(how, rest, core, &local, &table, at, &entry);

    *walk = local;
    return result;
}

/** @brief Walks a table that may be any. @param core the queue @param how the instance @param
 * packed the format: a constant @param walk the walk @param addr the table's device address @param
 * len its bytes @return as for the walker */
VIRTQ_TEMPLATE int virtq_table_any(struct virtq_device_core *core, unsigned how, const bool packed,
                                   struct virtq_walk *walk, virtq_addr_t addr, uint32_t len)
{
    const struct virtq_table table = {NULL, addr, len, len / 16u};
    const struct virtq_entry entry = {0, 0, 0};

    return virtq_table_leave(core, how, packed, walk, table, 0, entry);
}

/** @brief Walks a buffer that is one table. @param core the queue @param how the instance @param
 * packed the format: a constant @param walk begun @param addr the table's device address @param len
 * its bytes @param limit result: what goes with the buffer's writable bytes @return as for the
 * walker */
VIRTQ_TEMPLATE int virtq_table_alone(struct virtq_device_core *core, unsigned how,
                                     const bool packed, struct virtq_walk *walk, virtq_addr_t addr,
                                     uint32_t len, uint32_t *limit)
{
    const bool translated = (how & VIRTQ_INSTANCE_KIND) != VIRTQ_INSTANCE_PREMAPPED;
    struct virtq_piece near;
    struct virtq_row row;
    bool done;
    int result;

    if (VIRTQ_UNLIKELY(!translated || !virtq_walk_near(core, addr, len, &near) ||
                       (uintptr_t)walk->end - (uintptr_t)walk->piece <
                           len * sizeof(struct virtq_piece) / 16u)) {
        result = walk->piece == walk->end ? VIRTQ_EFULL
                                          : virtq_table_any(core, how, packed, walk, addr, len);
        return virtq_walk_close(walk, result, limit);
    }
    row.base = (const unsigned char *)near.base;
    row.last = row.base + len - 16;
    VIRTQ_OPAQUE(row.last);
    /* A literal each: handed on as a parameter it takes nine instructions of a buffer. */
    done = packed ? virtq_row_walk(core, how, walk, true, &row)
                  : virtq_row_walk(core, how, walk, false, &row);
    if (VIRTQ_LIKELY(done && walk->bytes <= VIRTQ_ROW_BYTES)) {
        *limit = (uint32_t)walk->chain->writable_bytes + 1u;
        return VIRTQ_OK;
    }
    result = VIRTQ_OK;
    if (!done) {
        const struct virtq_table table = {row.base, 0, 0,
                                          (uint32_t)((size_t)(row.last - row.base) / 16u) + 1u};
        const struct virtq_entry entry = {row.addr, (uint32_t)row.len, row.tail};

        result = virtq_table_leave(core, how, packed, walk, table, virtq_row_index(&row), entry);
    }
    return virtq_walk_close(walk, result, limit);
}

#endif
