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

/** @brief A buffer that is more than one plain descriptor. @param q the queue @param how the
 * instance @param view what pop looks at @param chain result @param desc its head, as read
 * @return the next free piece, and as for the walker */
VIRTQ_TEMPLATE struct virtq_walked virtq_split_device_follow(struct virtq_split_device *q,
                                                             unsigned how,
                                                             struct virtq_split_device_view *view,
                                                             struct virtq_chain *chain,
                                                             struct virtq_desc desc)
{
    struct virtq_walked walked;
    struct virtq_walk walk;

    if (VIRTQ_LIKELY((desc.flags & (VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT)) ==
                     VIRTQ_DESC_F_INDIRECT)) {
        return VIRTQ_SPLIT_DEVICE_CHOOSE(how, whole, &q->core, chain, view->piece, view->end,
                                         desc.addr, desc.len);
    }
    /* The walk names it in a fault. */
    q->popped = (uint16_t)(view->ticket >> 16);
    virtq_walk_begin(&walk, chain, view->piece, view->end);
    walked.result = VIRTQ_SPLIT_DEVICE_CHOOSE(how, chain, q, &walk, desc, chain->id);
    walked.piece = walk.piece;
    return walked;
}

/** @brief Takes a buffer that is more than one plain descriptor. @param q the queue @param how the
 * instance @param view what pop looks at @param chain result @param desc its head, as read @param
 * pieces the caller's array @return 0, or VIRTQ_EMISS, VIRTQ_EBROKEN, VIRTQ_EFULL (come back with
 * all pieces free) */
VIRTQ_TEMPLATE int virtq_split_device_take_chain(struct virtq_split_device *q, unsigned how,
                                                 struct virtq_split_device_view *view,
                                                 struct virtq_chain *chain, struct virtq_desc desc,
                                                 const struct virtq_piece *pieces)
{
    const struct virtq_walked walked = virtq_split_device_follow(q, how, view, chain, desc);
    struct virtq_device_entry *entry;
    uint32_t next;

    if (VIRTQ_UNLIKELY(walked.result != VIRTQ_OK)) {
        int result = virtq_walk_refuse(&q->core, chain, (int)walked.result, view->piece == pieces);

        if (result != VIRTQ_OK) {
            return result;
        }
    } else {
        view->piece = walked.piece;
    }
    entry = &view->entries[chain->id];
    entry->limit = virtq_device_core_limit(chain->writable_bytes);
    entry->ticket = view->ticket;
    next = view->ticket + VIRTQ_TICKET_NEXT;
    virtq_split_device_aim(view, next, (view->last - next) >> 16);
    return VIRTQ_OK;
}

/** @brief Takes one plain descriptor. @param q the queue @param how the instance @param view what
 * pop looks at @param chain result @param desc as read @param pieces the caller's array @param
 * writable the part: a constant @return 0, or VIRTQ_EMISS, VIRTQ_EBROKEN, VIRTQ_EFULL (come back
 * with all pieces free) */
VIRTQ_TEMPLATE int virtq_split_device_take_single(struct virtq_split_device *q, unsigned how,
                                                  struct virtq_split_device_view *view,
                                                  struct virtq_chain *chain, struct virtq_desc desc,
                                                  const struct virtq_piece *pieces, uint32_t head,
                                                  const bool writable)
{
    struct virtq_device_entry *const entry = &view->entries[head];

    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_PREMAPPED ||
        VIRTQ_UNLIKELY(
            !virtq_walk_single(&q->core, chain, &view->piece, &desc.addr, desc.len, writable))) {
        return virtq_split_device_take_chain(q, how, view, chain, desc, pieces);
    }
    entry->limit = writable ? virtq_device_core_limit(desc.len) : 1u;
    entry->ticket = view->ticket;
    return VIRTQ_OK;
}

/** @brief Takes one buffer. @param q the queue @param how the instance @param view what pop looks
 * at @param chain result @param pieces the caller's array @return 0, or VIRTQ_EMISS, VIRTQ_EBROKEN,
 * VIRTQ_EFULL (come back with all pieces free) */
VIRTQ_TEMPLATE int virtq_split_device_take(struct virtq_split_device *q, unsigned how,
                                           struct virtq_split_device_view *view,
                                           struct virtq_chain *chain,
                                           const struct virtq_piece *pieces)
{
    const uint32_t special = VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_WRITE;
    const uint32_t head = virtq_shm_load16(&view->ring[view->ticket >> 16 & view->mask], how);
    struct virtq_desc desc;

    chain->id = (uint16_t)head;
    if (VIRTQ_UNLIKELY(head > view->mask)) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_HEAD,
                                       (uint16_t)(view->ticket >> 16), head);
    }
    if (VIRTQ_UNLIKELY(virtq_device_core_flies(&view->entries[head]))) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_IN_FLIGHT,
                                       (uint16_t)(view->ticket >> 16), head);
    }
    desc = virtq_split_device_read(&view->desc[head], how);
    if (VIRTQ_LIKELY((desc.flags & special) == 0u)) {
        return virtq_split_device_take_single(q, how, view, chain, desc, pieces, head, false);
    }
    if (VIRTQ_LIKELY((desc.flags & special) == VIRTQ_DESC_F_WRITE)) {
        return virtq_split_device_take_single(q, how, view, chain, desc, pieces, head, true);
    }
    return virtq_split_device_take_chain(q, how, view, chain, desc, pieces);
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
        virtq_split_device_aim(&view, view.ticket, count - virtq_split_device_done(q, &view));
        while (view.ticket != view.last) {
            const int result = virtq_split_device_take(q, how, &view, chain, pieces);

            if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
                error = result;
                break;
            }
            view.ticket += VIRTQ_TICKET_NEXT;
            VIRTQ_OPAQUE(view.ticket);
            chain++;
        }
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
