/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a split queue takes buffers in the general way: tables, chains, and
 * whatever the short way leaves.
 */
#ifndef VIRTQ_INLINE_SPLIT_DEVICE_TAKE_H
#define VIRTQ_INLINE_SPLIT_DEVICE_TAKE_H

#include "split_device_walk.h"

/** @brief What a pop looks at for every buffer: a local copy, so that no store makes it be loaded
 * again. */
struct virtq_split_device_view {
    uint32_t ticket;           /**< Of the next buffer; its high half is the available index. */
    uint32_t last;             /**< Ticket to stop at. */
    struct virtq_piece *piece; /**< The caller's first free piece. */
    struct virtq_piece *end;   /**< End of the caller's array. */
};

/** @brief Buffers taken so far. @param q the queue @param view what pop looks at @return how many
 */
VIRTQ_TEMPLATE uint32_t virtq_split_device_done(const struct virtq_split_device *q,
                                                const struct virtq_split_device_view *view)
{
    return (view->ticket - q->core.ticket) >> 16;
}

/** @brief Buffers of one piece each that can be taken at once. @param view what pop looks at @param
 * count buffers wanted yet, and there @param slots up to the end of the ring @return how many */
VIRTQ_TEMPLATE uint32_t virtq_split_device_run(const struct virtq_split_device_view *view,
                                               uint32_t count, uint32_t slots)
{
    const size_t pieces = (size_t)(view->end - view->piece);

    count = slots < count ? slots : count;
    return pieces < count ? (uint32_t)pieces : count;
}

/** @brief Says where pop is to stop. @param view what pop looks at @param count buffers wanted yet,
 * and there */
VIRTQ_TEMPLATE void virtq_split_device_aim(struct virtq_split_device_view *view, uint32_t count)
{
    view->last = view->ticket + virtq_split_device_run(view, count, count) * VIRTQ_TICKET_NEXT;
}

/** @brief Latches the queue broken by a head. @param q the queue @param reason why @param ticket of
 * the buffer @param chain it, named @return VIRTQ_EBROKEN */
VIRTQ_COLD int virtq_split_device_break(struct virtq_split_device *q, enum virtq_reason reason,
                                        uint32_t ticket, const struct virtq_chain *chain)
{
    /* Read there: a copy would take a register of the loop. */
    VIRTQ_OPAQUE(chain);
    return virtq_device_core_break(&q->core, reason, (uint16_t)(ticket >> 16), chain->id);
}

/** @brief A head's entry. @param entries the queue's @param at its offset, which the compiler is
 * made to forget: it would keep the sum in a register as well @return it */
VIRTQ_TEMPLATE struct virtq_device_entry *virtq_split_device_entry(
    struct virtq_device_entry *entries, size_t *at)
{
    VIRTQ_OPAQUE(*at);
    return (struct virtq_device_entry *)(void *)((unsigned char *)entries + *at);
}

/** @brief A head's descriptor. The entries are half as large, so one offset is for both. @param
 * table the descriptors @param at offset of the head's entry, as above @return it */
VIRTQ_TEMPLATE const struct virtq_desc *virtq_split_device_desc(const struct virtq_desc *table,
                                                                size_t *at)
{
    const size_t twice = sizeof(struct virtq_desc) / sizeof(struct virtq_device_entry);

    VIRTQ_OPAQUE(*at);
    return (const struct virtq_desc *)(const void *)((const unsigned char *)table + *at * twice);
}

/** @brief Reads the next head and its descriptor, each word once. @param q the queue @param how the
 * instance @param slot of the available ring @param table the descriptors @param entries the
 * queue's @param chain result: its name @param desc result @param at result: offset of the head's
 * entry @return why the queue is to be broken; VIRTQ_REASON_NONE: it is not */
VIRTQ_TEMPLATE enum virtq_reason virtq_split_device_head(struct virtq_split_device *q, unsigned how,
                                                         const uint16_t *slot,
                                                         const struct virtq_desc *table,
                                                         struct virtq_device_entry *entries,
                                                         struct virtq_chain *chain,
                                                         struct virtq_desc *desc, size_t *at)
{
    size_t head = virtq_shm_load16(slot, how);

    VIRTQ_OPAQUE(head);
    virtq_walk_name(chain, head);
    if (VIRTQ_UNLIKELY((uint32_t)head >= q->core.size)) {
        return VIRTQ_REASON_QUEUE_HEAD;
    }
    *at = head * sizeof(struct virtq_device_entry);
    if (VIRTQ_UNLIKELY(virtq_device_core_flies(virtq_split_device_entry(entries, at)))) {
        return VIRTQ_REASON_QUEUE_IN_FLIGHT;
    }
    /* As virtq_split_device_read(), but with an address for each field: no register for the sum. */
    desc->addr = virtq_shm_load64(&virtq_split_device_desc(table, at)->addr, how);
    desc->len = virtq_shm_load32(&virtq_split_device_desc(table, at)->len, how);
    desc->flags =
        virtq_split_device_flags(virtq_shm_load16(&virtq_split_device_desc(table, at)->flags, how));
    desc->next = 0;
    return VIRTQ_REASON_NONE;
}

/** @brief Takes a chain, or any other buffer that is not just a table. @param q the queue @param
 * how the instance @param view what pop looks at @param chain result, id filled in @param desc its
 * head, as read @param pieces the caller's array @return 0, or VIRTQ_EMISS, VIRTQ_EBROKEN,
 * VIRTQ_EFULL (come back with all pieces free) */
VIRTQ_TEMPLATE int virtq_split_device_take_chain(struct virtq_split_device *q, unsigned how,
                                                 struct virtq_split_device_view *view,
                                                 struct virtq_chain *chain, struct virtq_desc desc,
                                                 const struct virtq_piece *pieces)
{
    struct virtq_device_entry *const entry = &q->core.entries[chain->id];
    struct virtq_walk walk;
    uint32_t limit;
    int result;

    if (view->piece == view->end) {
        return VIRTQ_EFULL;
    }
    virtq_walk_begin(&walk, chain, view->piece, view->end);
    /* The walk names it in a fault. */
    q->popped = (uint16_t)(view->ticket >> 16);
    result = virtq_split_device_walk(q, how, &walk, desc, chain->id);
    result = virtq_walk_close(&walk, result, &limit);
    if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
        result = virtq_walk_refuse(&q->core, chain, result, view->piece == pieces);
        if (result != VIRTQ_OK) {
            return result;
        }
    } else {
        view->piece = walk.piece;
    }
    entry->limit = limit;
    entry->ticket = view->ticket;
    return VIRTQ_OK;
}

/** @brief Each instance of it, out of line: tables do not pay for its registers. @param name of the
 * instance @param how the instance */
#define VIRTQ_SPLIT_DEVICE_CHAIN(name, how)                                                  \
    VIRTQ_OUTLINE int virtq_split_device_##name##_chain(                                     \
        struct virtq_split_device *q, struct virtq_split_device_view *view,                  \
        struct virtq_chain *chain, struct virtq_desc desc, const struct virtq_piece *pieces) \
    {                                                                                        \
        return virtq_split_device_take_chain(q, how, view, chain, desc, pieces);             \
    }
VIRTQ_SPLIT_DEVICE_CHAIN(called, VIRTQ_INSTANCE_CALLED)
VIRTQ_SPLIT_DEVICE_CHAIN(direct, VIRTQ_INSTANCE_DIRECT)
VIRTQ_SPLIT_DEVICE_CHAIN(bar, VIRTQ_INSTANCE_BAR)
VIRTQ_SPLIT_DEVICE_CHAIN(premapped, VIRTQ_INSTANCE_PREMAPPED)
VIRTQ_SPLIT_DEVICE_CHAIN(legacy, VIRTQ_INSTANCE_BIG_ENDIAN)
VIRTQ_SPLIT_DEVICE_CHAIN(legacy_premapped,
                         (unsigned)VIRTQ_INSTANCE_PREMAPPED | (unsigned)VIRTQ_INSTANCE_BIG_ENDIAN)
#undef VIRTQ_SPLIT_DEVICE_CHAIN

/** @brief Takes a buffer that is one table. @param q the queue @param how the instance @param end
 * of the caller's array @param ticket of the buffer @param piece the first free one; it moves on
 * @param chain result, id filled in @param addr the table's device address @param len its bytes
 * @param pieces the caller's array @return 0, or VIRTQ_EMISS, VIRTQ_EBROKEN, VIRTQ_EFULL (come back
 * with all pieces free) */
VIRTQ_TEMPLATE int virtq_split_device_take_table(struct virtq_split_device *q, unsigned how,
                                                 struct virtq_piece *end, uint32_t ticket,
                                                 struct virtq_piece **piece,
                                                 struct virtq_chain *chain, virtq_addr_t addr,
                                                 uint32_t len, const struct virtq_piece *pieces)
{
    struct virtq_device_entry *entry;
    struct virtq_walk walk;
    uint32_t limit;
    int result;

    virtq_walk_begin(&walk, chain, *piece, end);
    result = virtq_table_alone(&q->core, how, false, &walk, addr, len, &limit);
    if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
        result = virtq_walk_refuse(&q->core, chain, result, *piece == pieces);
        if (result != VIRTQ_OK) {
            return result;
        }
        walk.piece = *piece;
    }
    *piece = walk.piece;
    entry = &q->core.entries[chain->id];
    entry->limit = limit;
    entry->ticket = ticket;
    return VIRTQ_OK;
}

/** @brief The loop of a pop in the general way, once something was met that is more than a plain
 * descriptor. It keeps next to nothing beside the queue and what pop looks at: tables want the
 * registers.
 * @param q the queue @param how the instance @param view what pop looks at @param chain the buffer
 * it met, id filled in @param desc its head, as read @param pieces the caller's array
 * @return 0, or VIRTQ_EMISS, VIRTQ_EBROKEN, VIRTQ_EFULL (come back with all pieces free) */
VIRTQ_TEMPLATE int virtq_split_device_general(struct virtq_split_device *q, unsigned how,
                                              struct virtq_split_device_view *view,
                                              struct virtq_chain *chain, struct virtq_desc desc,
                                              const struct virtq_piece *pieces)
{
    const uint32_t plain = VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT;
    struct virtq_piece *const end = view->end;
    const uint32_t last = view->last;
    struct virtq_piece *piece = view->piece;
    uint32_t ticket = view->ticket;
    virtq_addr_t addr = desc.addr;
    uint32_t len = desc.len;
    uint32_t flags = desc.flags;
    int result;

    for (;;) {
        size_t at;
        struct virtq_desc next;
        enum virtq_reason reason;

        if (VIRTQ_LIKELY((flags & plain) == VIRTQ_DESC_F_INDIRECT)) {
            result = virtq_split_device_take_table(q, how, end, ticket, &piece, chain, addr, len,
                                                   pieces);
        } else {
            view->piece = piece;
            view->ticket = ticket;
            const struct virtq_desc whole = {addr, len, (uint16_t)flags, 0};

            result = VIRTQ_SPLIT_DEVICE_CHOOSE(how, chain, q, view, chain, whole, pieces);
            piece = view->piece;
        }
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
            break;
        }
        ticket += VIRTQ_TICKET_NEXT;
        chain++;
        if (ticket == last) {
            break;
        }
        reason = virtq_split_device_head(q, how, &q->ring[ticket >> 16 & q->mask], q->desc,
                                         q->core.entries, chain, &next, &at);
        if (VIRTQ_UNLIKELY(reason != VIRTQ_REASON_NONE)) {
            result = virtq_split_device_break(q, reason, ticket, chain);
            break;
        }
        addr = next.addr;
        len = next.len;
        flags = next.flags;
    }
    view->piece = piece;
    view->ticket = ticket;
    return result;
}

/** @brief Each instance of it, out of line: buffers of one descriptor do not pay for its registers.
 * @param name of the instance @param how the instance */
#define VIRTQ_SPLIT_DEVICE_GENERAL(name, how)                                                \
    VIRTQ_OUTLINE int virtq_split_device_##name##_general(                                   \
        struct virtq_split_device *q, struct virtq_split_device_view *view,                  \
        struct virtq_chain *chain, struct virtq_desc desc, const struct virtq_piece *pieces) \
    {                                                                                        \
        return virtq_split_device_general(q, how, view, chain, desc, pieces);                \
    }
VIRTQ_SPLIT_DEVICE_GENERAL(called, VIRTQ_INSTANCE_CALLED)
VIRTQ_SPLIT_DEVICE_GENERAL(direct, VIRTQ_INSTANCE_DIRECT)
VIRTQ_SPLIT_DEVICE_GENERAL(bar, VIRTQ_INSTANCE_BAR)
VIRTQ_SPLIT_DEVICE_GENERAL(premapped, VIRTQ_INSTANCE_PREMAPPED)
VIRTQ_SPLIT_DEVICE_GENERAL(legacy, VIRTQ_INSTANCE_BIG_ENDIAN)
VIRTQ_SPLIT_DEVICE_GENERAL(legacy_premapped,
                           (unsigned)VIRTQ_INSTANCE_PREMAPPED | (unsigned)VIRTQ_INSTANCE_BIG_ENDIAN)
#undef VIRTQ_SPLIT_DEVICE_GENERAL

/** @brief Goes on in the general way, with a copy, so that nothing of what the short way uses has
 * an address. @param q the queue @param how the instance @param view what pop looks at @param chain
 * the buffer that was met @param desc its head, as read @param pieces the caller's array @return as
 * virtq_split_device_general() */
VIRTQ_TEMPLATE int virtq_split_device_leave_short(struct virtq_split_device *q, unsigned how,
                                                  struct virtq_split_device_view *view,
                                                  struct virtq_chain *chain, struct virtq_desc desc,
                                                  const struct virtq_piece *pieces)
{
    struct virtq_split_device_view copy = *view;
    const int result = VIRTQ_SPLIT_DEVICE_CHOOSE(how, general, q, &copy, chain, desc, pieces);

    q->plain = false;
    *view = copy;
    return result;
}

#endif
