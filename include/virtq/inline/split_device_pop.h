/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a split queue takes available buffers.
 */
#ifndef VIRTQ_INLINE_SPLIT_DEVICE_POP_H
#define VIRTQ_INLINE_SPLIT_DEVICE_POP_H

#include "split_device_queue.h"
#include "table.h"
#include "walk.h"

/** @brief Reads a descriptor, each field once; all but `next`, which is read when it is needed.
 * @param from where @param how the instance @return a private copy in processor order */
VIRTQ_TEMPLATE struct virtq_desc virtq_split_device_read(const struct virtq_desc *from,
                                                         unsigned how)
{
    struct virtq_desc desc;

    desc.addr = virtq_shm_load64(&from->addr, how);
    desc.len = virtq_shm_load32(&from->len, how);
    desc.flags = virtq_shm_load16(&from->flags, how);
    desc.next = 0;
    return desc;
}

/** @brief Walks an opened table: a chain within it, from entry 0. S5.
 * @param core the queue @param how the instance @param walk the walk @param table it @param near
 * whether it lies in one window: a constant @return as for the walker */
VIRTQ_TEMPLATE int virtq_split_device_entries(struct virtq_device_core *core, unsigned how,
                                              struct virtq_walk *walk,
                                              const struct virtq_table *table, const bool near)
{
    const uint32_t entries = table->entries;
    uint32_t index = 0;

    for (uint32_t steps = entries; steps != 0u; steps--) {
        struct virtq_desc entry;
        int result = virtq_walk_entry(core, how, table, index, near, &entry);

        if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
            return result;
        }
        if (VIRTQ_UNLIKELY((entry.flags & VIRTQ_DESC_F_INDIRECT) != 0u)) {
            return (int)VIRTQ_REASON_TABLE_NESTED;
        }
        result = virtq_walk_element(core, how, walk, entry.addr, entry.len,
                                    (entry.flags & VIRTQ_DESC_F_WRITE) != 0u);
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK) || (entry.flags & VIRTQ_DESC_F_NEXT) == 0u) {
            return result;
        }
        index = entry.next;
        if (VIRTQ_UNLIKELY(index >= entries)) {
            return (int)VIRTQ_REASON_TABLE_RANGE;
        }
    }
    return (int)VIRTQ_REASON_TABLE_LOOP;
}

/** @brief Walks a table. @param q the queue @param how the instance @param walk the walk @param
 * addr the table's device address @param len its bytes @return as for the walker */
VIRTQ_TEMPLATE int virtq_split_device_table(struct virtq_split_device *q, unsigned how,
                                            struct virtq_walk *walk, virtq_addr_t addr,
                                            uint32_t len)
{
    struct virtq_table table;
    int result = virtq_walk_open(&q->core, how, &table, addr, len);

    if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
        return result;
    }
    return VIRTQ_LIKELY(table.base != NULL)
               ? virtq_split_device_entries(&q->core, how, walk, &table, true)
               : virtq_split_device_entries(&q->core, how, walk, &table, false);
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
                        : virtq_split_device_table(q, how, walk, desc.addr, desc.len);
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

/** @brief A buffer of more than one descriptor. @param q the queue @param how the instance
 * @param walk begun @param desc the head, as read @param head its index @return as for the walker,
 * or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_device_chain(struct virtq_split_device *q, unsigned how,
                                            struct virtq_walk *walk, struct virtq_desc desc,
                                            uint16_t head)
{
    struct virtq_walk local = *walk;
    int result = virtq_split_device_walk(q, how, &local, desc, head);

    if (VIRTQ_LIKELY(result == VIRTQ_OK)) {
        result = virtq_walk_end(&local);
        walk->piece = local.piece;
    }
    return result;
}

/** @brief Each instance of it, out of line: a buffer of one descriptor does not pay for its
 * registers. @param name of the instance @param how the instance */
#define VIRTQ_SPLIT_DEVICE_CHAIN(name, how)                                                    \
    VIRTQ_OUTLINE int virtq_split_device_##name##_chain(struct virtq_split_device *q,          \
                                                        struct virtq_walk *walk,               \
                                                        struct virtq_desc desc, uint16_t head) \
    {                                                                                          \
        return virtq_split_device_chain(q, how, walk, desc, head);                             \
    }
VIRTQ_SPLIT_DEVICE_CHAIN(called, VIRTQ_INSTANCE_CALLED)
VIRTQ_SPLIT_DEVICE_CHAIN(direct, VIRTQ_INSTANCE_DIRECT)
VIRTQ_SPLIT_DEVICE_CHAIN(bar, VIRTQ_INSTANCE_BAR)
VIRTQ_SPLIT_DEVICE_CHAIN(premapped, VIRTQ_INSTANCE_PREMAPPED)
VIRTQ_SPLIT_DEVICE_CHAIN(legacy, VIRTQ_INSTANCE_BIG_ENDIAN)
VIRTQ_SPLIT_DEVICE_CHAIN(legacy_premapped,
                         (unsigned)VIRTQ_INSTANCE_PREMAPPED | (unsigned)VIRTQ_INSTANCE_BIG_ENDIAN)
#undef VIRTQ_SPLIT_DEVICE_CHAIN

/** @brief Chooses among them; `how` is a constant, so nothing is left of the choice. @param q the
 * queue @param how the instance @param walk begun @param desc the head, as read @param head its
 * index
 * @return as for the walker, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_device_more(struct virtq_split_device *q, unsigned how,
                                           struct virtq_walk *walk, struct virtq_desc desc,
                                           uint16_t head)
{
    const unsigned kind = how & VIRTQ_INSTANCE_KIND;

    if ((how & VIRTQ_INSTANCE_BIG_ENDIAN) != 0u) {
        return kind == VIRTQ_INSTANCE_PREMAPPED
                   ? virtq_split_device_legacy_premapped_chain(q, walk, desc, head)
                   : virtq_split_device_legacy_chain(q, walk, desc, head);
    }
    if (kind == VIRTQ_INSTANCE_DIRECT) {
        return virtq_split_device_direct_chain(q, walk, desc, head);
    }
    if (kind == VIRTQ_INSTANCE_BAR) {
        return virtq_split_device_bar_chain(q, walk, desc, head);
    }
    return kind == VIRTQ_INSTANCE_PREMAPPED
               ? virtq_split_device_premapped_chain(q, walk, desc, head)
               : virtq_split_device_called_chain(q, walk, desc, head);
}

/** @brief What a pop looks at for every buffer: a local copy, so that no store makes it be loaded
 * again. */
struct virtq_split_device_view {
    const uint16_t *ring;               /**< Shared: slots of the available ring. */
    const struct virtq_desc *desc;      /**< Shared: descriptor table. */
    struct virtq_device_entry *entries; /**< Private. */
    uint32_t popped;                    /**< Available index, not reduced to 16 bits. */
    struct virtq_piece *piece;          /**< The caller's first free piece. */
    struct virtq_piece *end;            /**< End of the caller's array. */
    size_t left;                        /**< Buffers pop may still take. */
};

/** @brief A buffer that takes a walk. @param q the queue @param how the instance @param view what
 * pop looks at; its piece moves on @param chain result @param desc its head, as read @param pieces
 * the caller's array @return 0, or VIRTQ_EMISS, VIRTQ_EBROKEN, VIRTQ_EFULL (come back with all
 * pieces free) */
VIRTQ_TEMPLATE int virtq_split_device_take_chain(struct virtq_split_device *q, unsigned how,
                                                 struct virtq_split_device_view *view,
                                                 struct virtq_chain *chain, struct virtq_desc desc,
                                                 const struct virtq_piece *pieces)
{
    struct virtq_walk walk;
    int result;

    /* The walk names it in a fault. */
    q->popped = (uint16_t)view->popped;
    virtq_walk_begin(&walk, chain, view->piece, view->end);
    result = virtq_split_device_more(q, how, &walk, desc, chain->id);
    if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
        result = virtq_walk_refuse(&q->core, chain, result, view->piece == pieces);
        walk.piece = view->piece;
    }
    view->piece = walk.piece;
    view->left = virtq_walk_left(view->left, (size_t)(view->end - view->piece) + 1u, SIZE_MAX);
    return result;
}

/** @brief Takes one buffer. @param q the queue @param how the instance @param view what pop looks
 * at
 * @param chain result @param pieces the caller's array @return 0, or VIRTQ_EMISS, VIRTQ_EBROKEN,
 * VIRTQ_EFULL (come back with all pieces free) */
VIRTQ_TEMPLATE int virtq_split_device_take(struct virtq_split_device *q, unsigned how,
                                           struct virtq_split_device_view *view,
                                           struct virtq_chain *chain,
                                           const struct virtq_piece *pieces)
{
    const uint32_t special = VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_WRITE;
    const bool translated = (how & VIRTQ_INSTANCE_KIND) != VIRTQ_INSTANCE_PREMAPPED;
    const uint16_t head = virtq_shm_load16(&view->ring[view->popped & q->mask], how);
    struct virtq_device_entry *entry = &view->entries[head];
    struct virtq_desc desc;
    bool found = false;

    chain->id = head;
    if (VIRTQ_UNLIKELY(head > q->mask)) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_HEAD, (uint16_t)view->popped,
                                       head);
    }
    if (VIRTQ_UNLIKELY(entry->limit != 0u)) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_IN_FLIGHT,
                                       (uint16_t)view->popped, head);
    }
    desc = virtq_split_device_read(&view->desc[head], how);
    if (translated && (desc.flags & special) == 0u) {
        found = virtq_walk_single(&q->core, chain, &entry->limit, &view->piece, desc.addr, desc.len,
                                  false);
    } else if (translated && (desc.flags & special) == VIRTQ_DESC_F_WRITE) {
        found = virtq_walk_single(&q->core, chain, &entry->limit, &view->piece, desc.addr, desc.len,
                                  true);
    }
    if (VIRTQ_UNLIKELY(!found)) {
        int result = virtq_split_device_take_chain(q, how, view, chain, desc, pieces);

        if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
            return result;
        }
        entry->limit = chain->writable_bytes + 1u;
    }
    entry->sequence = view->popped;
    view->popped++;
    return VIRTQ_OK;
}

/** @brief Reads and checks the available index. @param q the queue @param how the instance @return
 * entries to take, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_device_look(struct virtq_split_device *q, unsigned how)
{
    /* B3, partner B1 of the driver: the index before slots and descriptors. */
    uint16_t available = virtq_shm_load16_acquire(&q->avail->idx, how);

    virtq_barrier_read(how);
    /* S8: never more than the queue size between what is available and what was returned. */
    if (VIRTQ_UNLIKELY((uint16_t)(available - q->published) > q->core.size ||
                       (uint16_t)(available - q->popped) > q->core.size)) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_INDEX, q->popped, available);
    }
    q->seen = available;
    return (uint16_t)(available - q->popped);
}

/** @brief What a pop gives that stopped early. @param q the queue @param done buffers taken @param
 * result why it stopped
 * @return what pop returns */
VIRTQ_COLD int virtq_split_device_stopped(struct virtq_split_device *q, unsigned done, int result)
{
    if (result == VIRTQ_EMISS && done == 0u) {
        q->core.counters.error_miss++;
        q->core.ahead = (uint16_t)(q->seen - q->popped);
    }
    return done != 0u ? (int)done : result;
}

/** @brief See virtq_device_pop(). @param q the queue @param how the instance @param chains room for
 * `count` @param count budget
 * @param pieces room @param piece_count how many @return how many, or VIRTQ_EMISS or VIRTQ_EBROKEN
 */
VIRTQ_TEMPLATE int virtq_split_device_pop(struct virtq_split_device *q, unsigned how,
                                          struct virtq_chain *chains, unsigned count,
                                          struct virtq_piece *pieces, unsigned piece_count)
{
    struct virtq_split_device_view view;
    struct virtq_chain *chain = chains;
    unsigned there = (uint16_t)(q->seen - q->popped);
    unsigned done;
    int error = virtq_split_device_begin(q, how);

    if (VIRTQ_UNLIKELY(error < 0)) {
        return error;
    }
    if (VIRTQ_UNLIKELY((q->core.flags & VIRTQ_CORE_QUIESCED) != 0u)) {
        return 0;
    }
    if (there < count) {
        int fresh = virtq_split_device_look(q, how);

        if (fresh <= 0) {
            return fresh;
        }
        there = (unsigned)fresh;
        /* What the driver unmapped before it made these available was withdrawn before we saw them.
         */
        error = virtq_split_device_begin(q, how);
        if (VIRTQ_UNLIKELY(error < 0)) {
            return error;
        }
    }
    count = there < count ? there : count;
    view.ring = q->ring;
    view.desc = q->desc;
    view.entries = q->core.entries;
    view.popped = q->popped;
    view.piece = pieces;
    view.end = pieces + piece_count;
    do {
        view.left = virtq_walk_left(count - (size_t)(chain - chains),
                                    (size_t)(view.end - view.piece), SIZE_MAX);
        for (; view.left != 0u; view.left--) {
            const int result = virtq_split_device_take(q, how, &view, chain, pieces);

            if (VIRTQ_UNLIKELY(result < 0)) {
                error = result;
                break;
            }
            chain++;
        }
        done = (unsigned)(chain - chains);
        /* Once more if some buffers had no piece. */
    } while (VIRTQ_UNLIKELY(error >= 0 && done < count && view.piece != view.end));
    q->popped = (uint16_t)view.popped;
    virtq_device_core_popped(&q->core, done, chains, done, (uint32_t)(view.piece - pieces));
    return VIRTQ_LIKELY(error >= 0) ? (int)done : virtq_split_device_stopped(q, done, error);
}

/** @brief See virtq_device_unpop(). @param q the queue @param chains the latest ones @param count
 * how many @return 0 or VIRTQ_EINVAL */
VIRTQ_INLINE int virtq_split_device_unpop(struct virtq_split_device *q,
                                          const struct virtq_chain *chains, unsigned count)
{
    uint16_t sequence = (uint16_t)(q->popped - count);

    if (count == 0u || count > q->core.in_flight) {
        return VIRTQ_EINVAL;
    }
    for (unsigned i = 0; i < count; i++, sequence++) {
        const struct virtq_device_entry *entry = &q->core.entries[chains[i].id & q->mask];

        if (chains[i].id > q->mask || entry->limit == 0u || (uint16_t)entry->sequence != sequence) {
            return VIRTQ_EINVAL;
        }
    }
    virtq_device_core_unpopped(&q->core, chains, count, count);
    q->popped = (uint16_t)(q->popped - count);
    return VIRTQ_OK;
}

#endif
