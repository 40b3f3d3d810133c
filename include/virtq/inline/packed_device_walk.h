/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a packed queue walks a buffer that is more than one plain descriptor.
 */
#ifndef VIRTQ_INLINE_PACKED_DEVICE_WALK_H
#define VIRTQ_INLINE_PACKED_DEVICE_WALK_H

#include "packed_device_queue.h"
#include "row.h"
#include "walk.h"

/** @brief Walks an opened table from any entry: consecutive ones, of whose flags only WRITE counts.
 * P8. @param core the queue @param how the instance @param walk the walk @param table it @param
 * index an entry @param entry it, as read @return as for the walker */
VIRTQ_TEMPLATE int virtq_packed_device_entries(struct virtq_device_core *core, unsigned how,
                                               struct virtq_walk *walk,
                                               const struct virtq_table *table, uint32_t index,
                                               struct virtq_entry *entry)
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
 * @param how the instance @param walk the walk @param table its address and entries; its base, if
 * it is near @param index the entry to go on with, if it is near @param entry it, as read @return
 * as for the walker */
VIRTQ_TEMPLATE int virtq_packed_device_rest(struct virtq_device_core *core, unsigned how,
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
    return result == VIRTQ_OK ? virtq_packed_device_entries(core, how, walk, table, index, entry)
                              : result;
}

/** @brief Each instance of it, out of line. @param name of the instance @param how the instance */
#define VIRTQ_PACKED_DEVICE_REST(name, how)                                                 \
    VIRTQ_OUTLINE int virtq_packed_device_##name##_rest(                                    \
        struct virtq_device_core *core, struct virtq_walk *walk, struct virtq_table *table, \
        uint32_t index, struct virtq_entry *entry)                                          \
    {                                                                                       \
        return virtq_packed_device_rest(core, how, walk, table, index, entry);              \
    }
VIRTQ_PACKED_DEVICE_REST(called, VIRTQ_INSTANCE_CALLED)
VIRTQ_PACKED_DEVICE_REST(direct, VIRTQ_INSTANCE_DIRECT)
VIRTQ_PACKED_DEVICE_REST(bar, VIRTQ_INSTANCE_BAR)
VIRTQ_PACKED_DEVICE_REST(premapped, VIRTQ_INSTANCE_PREMAPPED)
#undef VIRTQ_PACKED_DEVICE_REST

/** @brief Chooses an instance; `how` is a constant, so nothing is left of the choice. @param how
 * the instance @param function which of its functions */
#define VIRTQ_PACKED_DEVICE_CHOOSE(how, function, ...)                               \
    (((how) & (unsigned)VIRTQ_INSTANCE_KIND) == (unsigned)VIRTQ_INSTANCE_DIRECT      \
         ? virtq_packed_device_direct_##function(__VA_ARGS__)                        \
     : ((how) & (unsigned)VIRTQ_INSTANCE_KIND) == (unsigned)VIRTQ_INSTANCE_BAR       \
         ? virtq_packed_device_bar_##function(__VA_ARGS__)                           \
     : ((how) & (unsigned)VIRTQ_INSTANCE_KIND) == (unsigned)VIRTQ_INSTANCE_PREMAPPED \
         ? virtq_packed_device_premapped_##function(__VA_ARGS__)                     \
         : virtq_packed_device_called_##function(__VA_ARGS__))

/** @brief Goes on by the instance's own function, with copies, so that nothing of what the usual
 * way uses has an address. @param core the queue @param how the instance @param walk the walk
 * @param table as for virtq_packed_device_rest() @param index the same @param entry the same
 * @return as for the walker */
VIRTQ_TEMPLATE int virtq_packed_device_leave(struct virtq_device_core *core, unsigned how,
                                             struct virtq_walk *walk, struct virtq_table table,
                                             size_t index, struct virtq_entry entry)
{
    struct virtq_walk local = *walk;
    const int result =
        VIRTQ_PACKED_DEVICE_CHOOSE(how, rest, core, &local, &table, (uint32_t)index, &entry);

    *walk = local;
    return result;
}

/** @brief Walks a table that may be any. @param core the queue @param how the instance @param walk
 * the walk @param addr the table's device address @param len its bytes @return as for the walker */
VIRTQ_TEMPLATE int virtq_packed_device_table(struct virtq_device_core *core, unsigned how,
                                             struct virtq_walk *walk, virtq_addr_t addr,
                                             uint32_t len)
{
    const struct virtq_table table = {NULL, addr, len, len / 16u};
    const struct virtq_entry entry = {0, 0, 0};

    return virtq_packed_device_leave(core, how, walk, table, 0, entry);
}

/** @brief Walks a buffer that is one table. @param core the queue @param how the instance @param
 * walk begun @param addr the table's device address @param len its bytes @param limit result: what
 * goes with the buffer's writable bytes @return as for the walker */
VIRTQ_TEMPLATE int virtq_packed_device_alone(struct virtq_device_core *core, unsigned how,
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
                                          : virtq_packed_device_table(core, how, walk, addr, len);
        return virtq_walk_close(walk, result, limit);
    }
    row.base = (const unsigned char *)near.base;
    row.last = row.base + len - 16;
    VIRTQ_OPAQUE(row.last);
    done = virtq_row_walk(core, how, walk, true, &row);
    if (VIRTQ_LIKELY(done && walk->bytes <= VIRTQ_ROW_BYTES)) {
        *limit = (uint32_t)walk->chain->writable_bytes + 1u;
        return VIRTQ_OK;
    }
    result = VIRTQ_OK;
    if (!done) {
        const struct virtq_table table = {row.base, 0, 0,
                                          (uint32_t)((size_t)(row.last - row.base) / 16u) + 1u};
        const struct virtq_entry entry = {row.addr, (uint32_t)row.len, row.tail};

        result = virtq_packed_device_leave(core, how, walk, table, virtq_row_index(&row), entry);
    }
    return virtq_walk_close(walk, result, limit);
}

/** @brief Reads a descriptor's address and length, once each. @param from where @param how the
 * instance
 * @param flags as read before them @return a private copy in processor order; its id is read at the
 * end */
VIRTQ_TEMPLATE struct pvirtq_desc virtq_packed_device_read(const struct pvirtq_desc *from,
                                                           unsigned how, uint16_t flags)
{
    struct pvirtq_desc desc;

    desc.addr = virtq_shm_load64(&from->addr, how);
    desc.len = virtq_shm_load32(&from->len, how);
    desc.id = 0;
    desc.flags = flags;
    return desc;
}

/** @brief One descriptor of a list. @param q the queue @param how the instance @param walk the walk
 * @param desc as read @return as for the walker */
VIRTQ_TEMPLATE int virtq_packed_device_element(struct virtq_packed_device *q, unsigned how,
                                               struct virtq_walk *walk, struct pvirtq_desc desc)
{
    if ((desc.flags & VIRTQ_DESC_F_INDIRECT) != 0u) {
        return virtq_packed_device_table(&q->core, how, walk, desc.addr, desc.len);
    }
    return virtq_walk_element(&q->core, how, walk, desc.addr, desc.len,
                              (desc.flags & VIRTQ_DESC_F_WRITE) != 0u);
}

/** @brief Whether a list may go on as this descriptor says: an INDIRECT one stands alone (P8), and
 * a list is no longer than what the ring has free (S4, H4). @param q the queue @param flags as read
 * @param slots descriptors so far, this one included
 * @return 0 or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_judge(struct virtq_packed_device *q, uint16_t flags,
                                             uint32_t slots)
{
    if (VIRTQ_UNLIKELY((flags & VIRTQ_DESC_F_INDIRECT) != 0u &&
                       (slots != 1u || (flags & VIRTQ_DESC_F_NEXT) != 0u))) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_TABLE, q->popped, flags);
    }
    if (VIRTQ_UNLIKELY(slots + q->slots > q->core.size)) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_LOOP, q->popped, slots);
    }
    return VIRTQ_OK;
}

/** @brief Walks a list of ring descriptors to its end, even if an element is bad: the ring goes on
 * behind it. @param q the queue @param how the instance @param walk the walk; its chain gets the id
 * @param desc the first one, as read @param slots result: descriptors @return as for the walker, or
 * VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_walk(struct virtq_packed_device *q, unsigned how,
                                            struct virtq_walk *walk, struct pvirtq_desc desc,
                                            uint32_t *slots)
{
    struct virtq_place place = virtq_place_of(q->popped, virtq_position_available(q->popped));
    const uint16_t both = PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED;
    uint32_t count = 1;
    int result = VIRTQ_OK;

    for (;; count++) {
        const struct pvirtq_desc *at = &q->desc[place.offset];
        uint16_t flags;

        if (VIRTQ_UNLIKELY(virtq_packed_device_judge(q, desc.flags, count) != VIRTQ_OK)) {
            return VIRTQ_EBROKEN;
        }
        if (VIRTQ_LIKELY(result == VIRTQ_OK)) {
            result = virtq_packed_device_element(q, how, walk, desc);
        }
        if ((desc.flags & VIRTQ_DESC_F_NEXT) == 0u) {
            /* The id of the last descriptor counts: virtio 1.4, Next Flag: Descriptor Chaining. */
            walk->chain->id = virtq_shm_load16(&at->id, how);
            *slots = count;
            return result;
        }
        virtq_place_step(&place, 1, q->core.size);
        at = &q->desc[place.offset];
        flags = virtq_shm_load16(&at->flags, how);
        if (VIRTQ_UNLIKELY((flags & both) != place.bits)) {
            /* P6: the driver makes the head available last, so this is no end but an error. */
            return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_PARTIAL,
                                           virtq_place_position(place), flags);
        }
        desc = virtq_packed_device_read(at, how, flags);
    }
}

#endif
