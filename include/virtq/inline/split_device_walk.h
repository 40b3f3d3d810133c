/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a split queue walks a buffer that is more than one plain descriptor.
 */
#ifndef VIRTQ_INLINE_SPLIT_DEVICE_WALK_H
#define VIRTQ_INLINE_SPLIT_DEVICE_WALK_H

#include "row.h"
#include "split_device_queue.h"
#include "walk.h"

/** @brief Reads a descriptor, each field once; all but `next`, which is read when it is needed.
 * @param from where @param how the instance @return a private copy in processor order */
VIRTQ_TEMPLATE struct virtq_desc virtq_split_device_read(const struct virtq_desc *from,
                                                         unsigned how)
{
    struct virtq_desc desc;

    desc.addr = virtq_shm_load64(&from->addr, how);
    desc.len = virtq_shm_load32(&from->len, how);
    desc.flags = virtq_shm_load16(&from->flags, how) &
                 (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_INDIRECT);
    desc.next = 0;
    return desc;
}

/** @brief Walks an opened table from any entry: a chain within it. S5.
 * @param core the queue @param how the instance @param walk the walk @param table it @param index
 * an entry that was reached in as many steps @param entry it, as read @return as for the walker */
VIRTQ_TEMPLATE int virtq_split_device_entries(struct virtq_device_core *core, unsigned how,
                                              struct virtq_walk *walk,
                                              const struct virtq_table *table, uint32_t index,
                                              struct virtq_entry *entry)
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

/** @brief What is left of a table, or all of one that is not as most are. @param core the queue
 * @param how the instance @param walk the walk @param table its address and entries; its base, if
 * it is near @param index the entry to go on with, if it is near @param entry it, as read @return
 * as for the walker */
VIRTQ_TEMPLATE int virtq_split_device_rest(struct virtq_device_core *core, unsigned how,
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
    return result == VIRTQ_OK ? virtq_split_device_entries(core, how, walk, table, index, entry)
                              : result;
}

/** @brief Each instance of it, out of line. @param name of the instance @param how the instance */
#define VIRTQ_SPLIT_DEVICE_REST(name, how)                                                  \
    VIRTQ_OUTLINE int virtq_split_device_##name##_rest(                                     \
        struct virtq_device_core *core, struct virtq_walk *walk, struct virtq_table *table, \
        uint32_t index, struct virtq_entry *entry)                                          \
    {                                                                                       \
        return virtq_split_device_rest(core, how, walk, table, index, entry);               \
    }
VIRTQ_SPLIT_DEVICE_REST(called, VIRTQ_INSTANCE_CALLED)
VIRTQ_SPLIT_DEVICE_REST(direct, VIRTQ_INSTANCE_DIRECT)
VIRTQ_SPLIT_DEVICE_REST(bar, VIRTQ_INSTANCE_BAR)
VIRTQ_SPLIT_DEVICE_REST(premapped, VIRTQ_INSTANCE_PREMAPPED)
VIRTQ_SPLIT_DEVICE_REST(legacy, VIRTQ_INSTANCE_BIG_ENDIAN)
VIRTQ_SPLIT_DEVICE_REST(legacy_premapped,
                        (unsigned)VIRTQ_INSTANCE_PREMAPPED | (unsigned)VIRTQ_INSTANCE_BIG_ENDIAN)
#undef VIRTQ_SPLIT_DEVICE_REST

/** @brief Chooses an instance; `how` is a constant, so nothing is left of the choice. @param how
 * the instance @param function which of its functions */
#define VIRTQ_SPLIT_DEVICE_CHOOSE(how, function, ...)                                     \
    (((how) & (unsigned)VIRTQ_INSTANCE_BIG_ENDIAN) != 0u                                  \
         ? (((how) & (unsigned)VIRTQ_INSTANCE_KIND) == (unsigned)VIRTQ_INSTANCE_PREMAPPED \
                ? virtq_split_device_legacy_premapped_##function(__VA_ARGS__)             \
                : virtq_split_device_legacy_##function(__VA_ARGS__))                      \
     : ((how) & (unsigned)VIRTQ_INSTANCE_KIND) == (unsigned)VIRTQ_INSTANCE_DIRECT         \
         ? virtq_split_device_direct_##function(__VA_ARGS__)                              \
     : ((how) & (unsigned)VIRTQ_INSTANCE_KIND) == (unsigned)VIRTQ_INSTANCE_BAR            \
         ? virtq_split_device_bar_##function(__VA_ARGS__)                                 \
     : ((how) & (unsigned)VIRTQ_INSTANCE_KIND) == (unsigned)VIRTQ_INSTANCE_PREMAPPED      \
         ? virtq_split_device_premapped_##function(__VA_ARGS__)                           \
         : virtq_split_device_called_##function(__VA_ARGS__))

/** @brief Goes on by the instance's own function, with copies, so that nothing of what the usual
 * way uses has an address. @param core the queue @param how the instance @param walk the walk
 * @param table as for virtq_split_device_rest() @param index the same @param entry the same @return
 * as for the walker */
VIRTQ_TEMPLATE int virtq_split_device_leave(struct virtq_device_core *core, unsigned how,
                                            struct virtq_walk *walk, struct virtq_table table,
                                            size_t index, struct virtq_entry entry)
{
    struct virtq_walk local = *walk;
    const int result =
        VIRTQ_SPLIT_DEVICE_CHOOSE(how, rest, core, &local, &table, (uint32_t)index, &entry);

    *walk = local;
    return result;
}

/** @brief Walks a table that may be any. @param core the queue @param how the instance @param walk
 * the walk @param addr the table's device address @param len its bytes @return as for the walker */
VIRTQ_TEMPLATE int virtq_split_device_table(struct virtq_device_core *core, unsigned how,
                                            struct virtq_walk *walk, virtq_addr_t addr,
                                            uint32_t len)
{
    const struct virtq_table table = {NULL, addr, len, len / 16u};
    const struct virtq_entry entry = {0, 0, 0};

    return virtq_split_device_leave(core, how, walk, table, 0, entry);
}

/** @brief Walks a buffer that is one table. @param core the queue @param how the instance @param
 * walk begun @param addr the table's device address @param len its bytes @param limit result: what
 * goes with the buffer's writable bytes @return as for the walker */
VIRTQ_TEMPLATE int virtq_split_device_alone(struct virtq_device_core *core, unsigned how,
                                            struct virtq_walk *walk, virtq_addr_t addr,
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
                                          : virtq_split_device_table(core, how, walk, addr, len);
        return virtq_walk_close(walk, result, limit);
    }
    row.base = (const unsigned char *)near.base;
    row.last = row.base + len - 16;
    VIRTQ_OPAQUE(row.last);
    done = virtq_row_walk(core, how, walk, false, &row);
    if (VIRTQ_LIKELY(done && walk->bytes <= VIRTQ_ROW_BYTES)) {
        *limit = (uint32_t)walk->chain->writable_bytes + 1u;
        return VIRTQ_OK;
    }
    result = VIRTQ_OK;
    if (!done) {
        const struct virtq_table table = {row.base, 0, 0,
                                          (uint32_t)((size_t)(row.last - row.base) / 16u) + 1u};
        const struct virtq_entry entry = {row.addr, (uint32_t)row.len, row.tail};

        result = virtq_split_device_leave(core, how, walk, table, virtq_row_index(&row), entry);
    }
    return virtq_walk_close(walk, result, limit);
}

/** @brief Walks a chain of ring descriptors, which may end in one table. S4, S5, H1, H4. @param q
 * the queue @param how the instance @param walk the walk @param desc the head, as read @param head
 * its index @return as for the walker, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_device_walk(struct virtq_split_device *q, unsigned how,
                                           struct virtq_walk *walk, struct virtq_desc desc,
                                           uint16_t head)
{
    uint32_t index = head;

    for (uint32_t steps = 1;; steps++) {
        const bool next = (desc.flags & VIRTQ_DESC_F_NEXT) != 0u;
        int result;

        if ((desc.flags & VIRTQ_DESC_F_INDIRECT) != 0u) {
            /* The device MUST ignore WRITE here: virtio 1.4, Indirect Descriptors. */
            return next ? (int)VIRTQ_REASON_TABLE_NEXT
                        : virtq_split_device_table(&q->core, how, walk, desc.addr, desc.len);
        }
        result = virtq_walk_element(&q->core, how, walk, desc.addr, desc.len,
                                    (desc.flags & VIRTQ_DESC_F_WRITE) != 0u);
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK) || !next) {
            return result;
        }
        index = virtq_shm_load16(&q->desc[index].next, how);
        if (VIRTQ_UNLIKELY(index > q->mask)) {
            return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_NEXT, q->popped, index);
        }
        if (VIRTQ_UNLIKELY(steps == q->core.size)) {
            return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_LOOP, q->popped, head);
        }
        desc = virtq_split_device_read(&q->desc[index], how);
    }
}

#endif
