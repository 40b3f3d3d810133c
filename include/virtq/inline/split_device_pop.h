/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a split queue takes available buffers.
 */
#ifndef VIRTQ_INLINE_SPLIT_DEVICE_POP_H
#define VIRTQ_INLINE_SPLIT_DEVICE_POP_H

#include "split_device_walk.h"

/** @brief What a pop looks at for every buffer: a local copy, so that no store makes it be loaded
 * again. */
struct virtq_split_device_view {
    const uint16_t *ring;               /**< Shared: slots of the available ring. */
    const struct virtq_desc *desc;      /**< Shared: descriptor table. */
    struct virtq_device_entry *entries; /**< Private. */
    uint32_t mask;                      /**< Queue size - 1. */
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

/** @brief Says where pop is to stop. @param view what pop looks at @param next ticket of the next
 * buffer @param count buffers wanted yet, and there */
VIRTQ_TEMPLATE void virtq_split_device_aim(struct virtq_split_device_view *view, uint32_t next,
                                           uint32_t count)
{
    const size_t pieces = (size_t)(view->end - view->piece);

    view->last = next + (pieces < count ? (uint32_t)pieces : count) * VIRTQ_TICKET_NEXT;
}

/** @brief Reads the next head and its descriptor, each word once. @param q the queue @param how the
 * instance @param view what pop looks at @param chain result: its id @param desc result
 * @param head result: the same id @return 0 or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_device_head(struct virtq_split_device *q, unsigned how,
                                           const struct virtq_split_device_view *view,
                                           struct virtq_chain *chain, struct virtq_desc *desc,
                                           uint32_t *head)
{
    *head = virtq_shm_load16(&view->ring[view->ticket >> 16 & view->mask], how);
    chain->id = (uint16_t)*head;
    if (VIRTQ_UNLIKELY(*head > view->mask)) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_HEAD,
                                       (uint16_t)(view->ticket >> 16), *head);
    }
    if (VIRTQ_UNLIKELY(virtq_device_core_flies(&view->entries[*head]))) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_IN_FLIGHT,
                                       (uint16_t)(view->ticket >> 16), *head);
    }
    *desc = virtq_split_device_read(&view->desc[*head], how);
    return VIRTQ_OK;
}

/** @brief Takes one plain descriptor. @param q the queue @param how the instance @param view what
 * pop looks at @param chain result @param desc as read; the same afterwards @param head its index
 * @param writable the part: a constant @return whether it was taken; else take it in the general
 * way
 */
VIRTQ_TEMPLATE bool virtq_split_device_single(struct virtq_split_device *q, unsigned how,
                                              struct virtq_split_device_view *view,
                                              struct virtq_chain *chain, struct virtq_desc *desc,
                                              uint32_t head, const bool writable)
{
    struct virtq_device_entry *const entry = &view->entries[head];

    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_PREMAPPED ||
        VIRTQ_UNLIKELY(
            !virtq_walk_single(&q->core, chain, &view->piece, &desc->addr, desc->len, writable))) {
        return false;
    }
    entry->limit = writable ? virtq_device_core_limit(desc->len) : 1u;
    entry->ticket = view->ticket;
    return true;
}

/** @brief Walks a buffer of any kind. @param q the queue @param how the instance @param view what
 * pop looks at @param walk begun @param desc its head, as read @param head its index @return as for
 * the walker, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_split_device_follow(struct virtq_split_device *q, unsigned how,
                                             const struct virtq_split_device_view *view,
                                             struct virtq_walk *walk, struct virtq_desc desc,
                                             uint32_t head)
{
    struct virtq_walk local;
    int result;

    if (VIRTQ_LIKELY((desc.flags & (VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT)) ==
                     VIRTQ_DESC_F_INDIRECT)) {
        result = virtq_split_device_table(&q->core, how, walk, desc.addr, desc.len);
        return VIRTQ_LIKELY(result == VIRTQ_OK) ? virtq_walk_end(walk) : result;
    }
    local = *walk;
    /* The walk names it in a fault. */
    q->popped = (uint16_t)(view->ticket >> 16);
    result = VIRTQ_SPLIT_DEVICE_CHOOSE(how, chain, q, &local, desc, (uint16_t)head);
    walk->piece = local.piece;
    return result;
}

/** @brief Takes a buffer of any kind. @param q the queue @param how the instance @param view what
 * pop looks at @param chain result @param desc its head, as read @param head its index @param
 * pieces the caller's array @return 0, or VIRTQ_EMISS, VIRTQ_EBROKEN, VIRTQ_EFULL (come back with
 * all pieces free) */
VIRTQ_TEMPLATE int virtq_split_device_take(struct virtq_split_device *q, unsigned how,
                                           struct virtq_split_device_view *view,
                                           struct virtq_chain *chain, struct virtq_desc desc,
                                           uint32_t head, const struct virtq_piece *pieces)
{
    struct virtq_device_entry *const entry = &view->entries[head];
    struct virtq_walk walk;
    uint32_t next;
    int result;

    virtq_walk_begin(&walk, chain, view->piece, view->end);
    result = virtq_split_device_follow(q, how, view, &walk, desc, head);
    if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
        result = virtq_walk_refuse(&q->core, chain, result, view->piece == pieces);
        if (result != VIRTQ_OK) {
            return result;
        }
    } else {
        view->piece = walk.piece;
    }
    entry->limit = virtq_device_core_limit(chain->writable_bytes);
    entry->ticket = view->ticket;
    next = view->ticket + VIRTQ_TICKET_NEXT;
    virtq_split_device_aim(view, next, (view->last - next) >> 16);
    return VIRTQ_OK;
}

/** @brief The loop of a pop in the general way, once something was met that is more than a plain
 * descriptor. @param q the queue @param how the instance @param outer what pop looks at @param
 * chain the buffer it met, id filled in @param desc its head, as read @param pieces the caller's
 * array
 * @return 0, or VIRTQ_EMISS, VIRTQ_EBROKEN, VIRTQ_EFULL (come back with all pieces free) */
VIRTQ_TEMPLATE int virtq_split_device_general(struct virtq_split_device *q, unsigned how,
                                              struct virtq_split_device_view *outer,
                                              struct virtq_chain *chain, struct virtq_desc desc,
                                              const struct virtq_piece *pieces)
{
    struct virtq_split_device_view view = *outer;
    uint32_t head = chain->id;
    int result;

    for (;;) {
        result = virtq_split_device_take(q, how, &view, chain, desc, head, pieces);
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
            break;
        }
        view.ticket += VIRTQ_TICKET_NEXT;
        chain++;
        if (view.ticket == view.last) {
            break;
        }
        result = virtq_split_device_head(q, how, &view, chain, &desc, &head);
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
            break;
        }
    }
    *outer = view;
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

    *view = copy;
    return result;
}

/** @brief The loop of a pop in the short way: as long as buffers are one plain descriptor. @param q
 * the queue @param how the instance @param view what pop looks at @param chain the next one @param
 * pieces the caller's array @return 0, or VIRTQ_EMISS, VIRTQ_EBROKEN, VIRTQ_EFULL (come back with
 * all pieces free) */
VIRTQ_TEMPLATE int virtq_split_device_short(struct virtq_split_device *q, unsigned how,
                                            struct virtq_split_device_view *view,
                                            struct virtq_chain *chain,
                                            const struct virtq_piece *pieces)
{
    while (view->ticket != view->last) {
        struct virtq_desc desc;
        uint32_t head;
        const int error = virtq_split_device_head(q, how, view, chain, &desc, &head);
        bool taken = false;

        if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
            return error;
        }
        if (VIRTQ_LIKELY(desc.flags == 0u)) {
            taken = virtq_split_device_single(q, how, view, chain, &desc, head, false);
        } else if (VIRTQ_LIKELY(desc.flags == VIRTQ_DESC_F_WRITE)) {
            taken = virtq_split_device_single(q, how, view, chain, &desc, head, true);
        }
        if (VIRTQ_UNLIKELY(!taken)) {
            return virtq_split_device_leave_short(q, how, view, chain, desc, pieces);
        }
        view->ticket += VIRTQ_TICKET_NEXT;
        VIRTQ_OPAQUE(view->ticket);
        VIRTQ_OPAQUE(view->piece);
        chain++;
    }
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
    unsigned there = (uint16_t)(q->seen - q->popped);
    uint32_t done;
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
    view.mask = q->mask;
    view.ticket = q->core.ticket;
    view.piece = pieces;
    view.end = pieces + piece_count;
    do {
        done = virtq_split_device_done(q, &view);
        virtq_split_device_aim(&view, view.ticket, count - done);
        error = virtq_split_device_short(q, how, &view, chains + done, pieces);
        done = virtq_split_device_done(q, &view);
        /* Once more if some buffers had no piece. */
    } while (VIRTQ_UNLIKELY(error >= 0 && done < count && view.piece != view.end));
    q->popped = (uint16_t)(view.ticket >> 16);
    q->core.ticket = view.ticket;
    virtq_device_core_popped(&q->core, done, chains, done, (uint32_t)(view.piece - pieces));
    return VIRTQ_LIKELY(error >= 0) ? (int)done : virtq_split_device_stopped(q, done, error);
}

/** @brief See virtq_device_unpop(). @param q the queue @param chains the latest ones @param count
 * how many @return 0 or VIRTQ_EINVAL */
VIRTQ_INLINE int virtq_split_device_unpop(struct virtq_split_device *q,
                                          const struct virtq_chain *chains, unsigned count)
{
    if (virtq_device_core_latest(&q->core, chains, count) == 0u) {
        return VIRTQ_EINVAL;
    }
    virtq_device_core_unpopped(&q->core, chains, count, count);
    q->popped = (uint16_t)(q->popped - count);
    return VIRTQ_OK;
}

#endif
