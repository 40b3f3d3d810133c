/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a packed queue takes available buffers.
 */
#ifndef VIRTQ_INLINE_PACKED_DEVICE_POP_H
#define VIRTQ_INLINE_PACKED_DEVICE_POP_H

#include "packed_device_walk.h"

/** @brief What a pop looks at for every buffer: a local copy, so that no store makes it be loaded
 * again. */
struct virtq_packed_device_view {
    struct virtq_packed_place place;    /**< Where the next buffer is. */
    struct virtq_device_entry *entries; /**< Private. */
    uint32_t size;                      /**< Queue size. */
    uint32_t slots;                     /**< Ring descriptors in flight, less one for each chain. */
    uint32_t ticket;                    /**< Of the next buffer. */
    uint32_t last;                      /**< Ticket to stop at. */
    struct virtq_piece *piece;          /**< The caller's first free piece. */
    struct virtq_piece *end;            /**< End of the caller's array. */
};

/** @brief Buffers taken so far. @param q the queue @param view what pop looks at @return how many
 */
VIRTQ_TEMPLATE uint32_t virtq_packed_device_done(const struct virtq_packed_device *q,
                                                 const struct virtq_packed_device_view *view)
{
    return (view->ticket - q->core.ticket) >> 16;
}

/** @brief Says where pop is to stop. @param view what pop looks at @param next ticket of the next
 * buffer @param count buffers wanted yet, and no more than free descriptors */
VIRTQ_TEMPLATE void virtq_packed_device_aim(struct virtq_packed_device_view *view, uint32_t next,
                                            uint32_t count)
{
    const size_t pieces = (size_t)(view->end - view->piece);

    view->last = next + (pieces < count ? (uint32_t)pieces : count) * VIRTQ_TICKET_NEXT;
}

/** @brief Buffers that the ring's free descriptors are enough for. @param q the queue @param view
 * what pop looks at @param next ticket of the next buffer @param count buffers wanted yet @return
 * as many, or fewer */
VIRTQ_TEMPLATE uint32_t virtq_packed_device_bound(const struct virtq_packed_device *q,
                                                  const struct virtq_packed_device_view *view,
                                                  uint32_t next, uint32_t count)
{
    const uint32_t slots = view->size - view->slots - ((next - q->core.ticket) >> 16);

    return count < slots ? count : slots;
}

/** @brief Whether a buffer's id can be taken: below the queue size, and not in flight. H2. @param q
 * the queue @param view what pop looks at @param id as read @return 0 or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_admit(struct virtq_packed_device *q,
                                             const struct virtq_packed_device_view *view, size_t id)
{
    if (VIRTQ_UNLIKELY((uint32_t)id >= view->size)) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_HEAD,
                                       virtq_packed_place_position(&view->place), id);
    }
    if (VIRTQ_UNLIKELY(virtq_device_core_flies(&view->entries[id]))) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_IN_FLIGHT,
                                       virtq_packed_place_position(&view->place), id);
    }
    return VIRTQ_OK;
}

/** @brief What the driver unmapped before it made this descriptor available was withdrawn before we
 * saw it: compares once more, after the acquire. @param q the queue @param how the instance @param
 * view what pop looks at @return 0, VIRTQ_EMISS or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_recheck(struct virtq_packed_device *q, unsigned how,
                                               struct virtq_packed_device_view *view)
{
    int error = virtq_packed_device_begin(q, how);

    if (VIRTQ_UNLIKELY(q->desc != view->place.ring)) {
        view->place = virtq_packed_place_of(q, virtq_packed_place_position(&view->place),
                                            (uint16_t)view->place.bits);
    }
    return error;
}

/** @brief Reads the next flags, once. @param q the queue @param how the instance @param view what
 * pop looks at @param flags result: those that count @return 0, VIRTQ_EMISS or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_peek(struct virtq_packed_device *q, unsigned how,
                                            struct virtq_packed_device_view *view, uint32_t *flags)
{
    const unsigned kind = how & VIRTQ_INSTANCE_KIND;
    const uint32_t known = PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED | VIRTQ_DESC_F_NEXT |
                           VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_WRITE;
    /* B9, partner B8 of the driver: flags before address, length and id. */
    uint32_t read = virtq_shm_load16_acquire(&view->place.at->flags, how) & known;

    VIRTQ_OPAQUE(read);
    *flags = read;
    virtq_barrier_read(how);
    if (kind == VIRTQ_INSTANCE_CALLED || kind == VIRTQ_INSTANCE_PREMAPPED) {
        return virtq_packed_device_recheck(q, how, view);
    }
    return VIRTQ_OK;
}

/** @brief Takes one plain descriptor. @param q the queue @param how the instance @param view what
 * pop looks at @param chain result @param desc as read; the same afterwards @param writable the
 * part: a constant @return 0; 1: take it in the general way; or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_single(struct virtq_packed_device *q, unsigned how,
                                              struct virtq_packed_device_view *view,
                                              struct virtq_chain *chain, struct pvirtq_desc *desc,
                                              const bool writable)
{
    struct virtq_device_entry *entry;
    size_t id;

    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_PREMAPPED ||
        VIRTQ_UNLIKELY(
            !virtq_walk_single(&q->core, chain, &view->piece, &desc->addr, desc->len, writable))) {
        return 1;
    }
    id = virtq_shm_load16(&view->place.at->id, how);
    VIRTQ_OPAQUE(id);
    chain->id = (uint16_t)id;
    if (VIRTQ_UNLIKELY(virtq_packed_device_admit(q, view, id) != VIRTQ_OK)) {
        return VIRTQ_EBROKEN;
    }
    entry = &view->entries[id];
    entry->limit = writable ? virtq_device_core_limit(desc->len) : 1u;
    entry->ticket = view->ticket;
    virtq_packed_place_step(&view->place, 1, view->size);
    return VIRTQ_OK;
}

/** @brief Walks a buffer of any kind. @param q the queue @param how the instance @param view what
 * pop looks at @param walk begun; its chain gets the id @param desc its head, as read @param slots
 * result: ring descriptors @return as for the walker, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_follow(struct virtq_packed_device *q, unsigned how,
                                              const struct virtq_packed_device_view *view,
                                              struct virtq_walk *walk, struct pvirtq_desc desc,
                                              uint32_t *slots)
{
    struct virtq_walk local;
    uint32_t count = 0;
    int result;

    if (VIRTQ_LIKELY((desc.flags & (VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT)) ==
                     VIRTQ_DESC_F_INDIRECT)) {
        *slots = 1;
        walk->chain->id = virtq_shm_load16(&view->place.at->id, how);
        result = virtq_packed_device_table(&q->core, how, walk, desc.addr, desc.len);
        return VIRTQ_LIKELY(result == VIRTQ_OK) ? virtq_walk_end(walk) : result;
    }
    local = *walk;
    q->popped = virtq_packed_place_position(&view->place);
    q->slots = view->slots + virtq_packed_device_done(q, view);
    result = VIRTQ_PACKED_DEVICE_CHOOSE(how, list, q, &local, desc, &count);
    walk->piece = local.piece;
    *slots = count;
    return result;
}

/** @brief Takes a buffer of any kind. @param q the queue @param how the instance @param view what
 * pop looks at @param chain result @param desc its head, as read @param pieces the caller's array
 * @return 0, or VIRTQ_EMISS, VIRTQ_EBROKEN, VIRTQ_EFULL (come back with all pieces free) */
VIRTQ_TEMPLATE int virtq_packed_device_take(struct virtq_packed_device *q, unsigned how,
                                            struct virtq_packed_device_view *view,
                                            struct virtq_chain *chain, struct pvirtq_desc desc,
                                            const struct virtq_piece *pieces)
{
    const uint32_t next = view->ticket + VIRTQ_TICKET_NEXT;
    uint32_t left = (view->last - next) >> 16;
    struct virtq_device_entry *entry;
    struct virtq_walk walk;
    uint32_t slots;
    int result;

    virtq_walk_begin(&walk, chain, view->piece, view->end);
    result = virtq_packed_device_follow(q, how, view, &walk, desc, &slots);
    if (VIRTQ_UNLIKELY(result == VIRTQ_EBROKEN ||
                       virtq_packed_device_admit(q, view, chain->id) != VIRTQ_OK)) {
        return VIRTQ_EBROKEN;
    }
    if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
        result = virtq_walk_refuse(&q->core, chain, result, view->piece == pieces);
        if (result != VIRTQ_OK) {
            return result;
        }
    } else {
        view->piece = walk.piece;
    }
    entry = &view->entries[chain->id];
    entry->limit = virtq_device_core_limit(chain->writable_bytes);
    entry->ticket = view->ticket + slots - 1u;
    virtq_packed_place_step(&view->place, slots, view->size);
    if (slots != 1u) {
        view->slots += slots - 1u;
        left = virtq_packed_device_bound(q, view, next, left);
    }
    virtq_packed_device_aim(view, next, left);
    return VIRTQ_OK;
}

/** @brief The loop of a pop in the general way, once something was met that is more than a plain
 * descriptor. @param q the queue @param how the instance @param outer what pop looks at @param
 * chain the buffer it met @param desc its head, as read @param pieces the caller's array @return 0;
 * 1 if no more are available; or VIRTQ_EMISS, VIRTQ_EBROKEN, VIRTQ_EFULL (come back with all pieces
 * free)
 */
VIRTQ_TEMPLATE int virtq_packed_device_general(struct virtq_packed_device *q, unsigned how,
                                               struct virtq_packed_device_view *outer,
                                               struct virtq_chain *chain, struct pvirtq_desc desc,
                                               const struct virtq_piece *pieces)
{
    const uint32_t both = PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED;
    struct virtq_packed_device_view view = *outer;
    uint32_t flags;
    int result;

    for (;;) {
        result = virtq_packed_device_take(q, how, &view, chain, desc, pieces);
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
            break;
        }
        view.ticket += VIRTQ_TICKET_NEXT;
        chain++;
        if (view.ticket == view.last) {
            break;
        }
        result = virtq_packed_device_peek(q, how, &view, &flags);
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
            break;
        }
        if ((flags & both) != view.place.bits) {
            result = 1;
            break;
        }
        desc = virtq_packed_device_read(view.place.at, how, (uint16_t)flags);
    }
    *outer = view;
    return result;
}

/** @brief Each instance of it, out of line: buffers of one descriptor do not pay for its registers.
 * @param name of the instance @param how the instance */
#define VIRTQ_PACKED_DEVICE_GENERAL(name, how)                                                \
    VIRTQ_OUTLINE int virtq_packed_device_##name##_general(                                   \
        struct virtq_packed_device *q, struct virtq_packed_device_view *view,                 \
        struct virtq_chain *chain, struct pvirtq_desc desc, const struct virtq_piece *pieces) \
    {                                                                                         \
        return virtq_packed_device_general(q, how, view, chain, desc, pieces);                \
    }
VIRTQ_PACKED_DEVICE_GENERAL(called, VIRTQ_INSTANCE_CALLED)
VIRTQ_PACKED_DEVICE_GENERAL(direct, VIRTQ_INSTANCE_DIRECT)
VIRTQ_PACKED_DEVICE_GENERAL(bar, VIRTQ_INSTANCE_BAR)
VIRTQ_PACKED_DEVICE_GENERAL(premapped, VIRTQ_INSTANCE_PREMAPPED)
#undef VIRTQ_PACKED_DEVICE_GENERAL

/** @brief Goes on in the general way, with a copy, so that nothing of what the short way uses has
 * an address. @param q the queue @param how the instance @param view what pop looks at @param chain
 * the buffer that was met @param desc its head, as read @param pieces the caller's array @return as
 * virtq_packed_device_general() */
VIRTQ_TEMPLATE int virtq_packed_device_leave_short(struct virtq_packed_device *q, unsigned how,
                                                   struct virtq_packed_device_view *view,
                                                   struct virtq_chain *chain,
                                                   struct pvirtq_desc desc,
                                                   const struct virtq_piece *pieces)
{
    struct virtq_packed_device_view copy = *view;
    int result;

    if ((how & VIRTQ_INSTANCE_PLATFORM) != 0u) {
        /* There are no such instances: one buffer, and back to where the barriers are. B15. */
        copy.last = copy.ticket + VIRTQ_TICKET_NEXT;
    }
    result = VIRTQ_PACKED_DEVICE_CHOOSE(how, general, q, &copy, chain, desc, pieces);

    *view = copy;
    return result;
}

/** @brief The loop of a pop in the short way: as long as buffers are one plain descriptor. @param q
 * the queue @param how the instance @param view what pop looks at @param chain the next one @param
 * pieces the caller's array @return as virtq_packed_device_general() */
VIRTQ_TEMPLATE int virtq_packed_device_short(struct virtq_packed_device *q, unsigned how,
                                             struct virtq_packed_device_view *view,
                                             struct virtq_chain *chain,
                                             const struct virtq_piece *pieces)
{
    const uint32_t both = PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED;

    while (view->ticket != view->last) {
        struct pvirtq_desc desc;
        uint32_t flags;
        int result = virtq_packed_device_peek(q, how, view, &flags);

        if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
            return result;
        }
        /* P2: AVAIL is our wrap counter and USED the inverse; one test for that and for a plain
         * buffer. */
        if (VIRTQ_LIKELY(flags == view->place.bits)) {
            desc = virtq_packed_device_read(view->place.at, how, 0);
            result = virtq_packed_device_single(q, how, view, chain, &desc, false);
        } else if (VIRTQ_LIKELY(flags == (view->place.bits | VIRTQ_DESC_F_WRITE))) {
            desc = virtq_packed_device_read(view->place.at, how, VIRTQ_DESC_F_WRITE);
            result = virtq_packed_device_single(q, how, view, chain, &desc, true);
        } else if ((flags & both) != view->place.bits) {
            return 1;
        } else {
            desc = virtq_packed_device_read(view->place.at, how, (uint16_t)flags);
            result = 1;
        }
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
            return result < 0 ? result
                              : virtq_packed_device_leave_short(q, how, view, chain, desc, pieces);
        }
        view->ticket += VIRTQ_TICKET_NEXT;
        VIRTQ_OPAQUE(view->ticket);
        VIRTQ_OPAQUE(view->piece);
        chain++;
    }
    return VIRTQ_OK;
}

/** @brief Descriptors that are available from the next one on, so that a buffer left behind for a
 * miss is not "new" for ever. Bounded by the queue size. @param q the queue @param how the instance
 * @return how many */
VIRTQ_COLD uint32_t virtq_packed_device_ahead(const struct virtq_packed_device *q, unsigned how)
{
    uint16_t position = q->popped;
    uint32_t count = 0;

    while (count < q->core.size &&
           virtq_packed_device_available(
               virtq_shm_load16(&q->desc[virtq_position_offset(position)].flags, how), position)) {
        position = virtq_position_advance(position, 1, q->core.size);
        count++;
    }
    return count;
}

/** @brief What a pop gives that stopped early. @param q the queue @param how the instance @param
 * done buffers taken @param result why it stopped @return what pop returns */
VIRTQ_COLD int virtq_packed_device_stopped(struct virtq_packed_device *q, unsigned how,
                                           unsigned done, int result)
{
    if (result == VIRTQ_EMISS && done == 0u) {
        q->core.counters.error_miss++;
        q->core.ahead = virtq_packed_device_ahead(q, how);
    }
    return done != 0u ? (int)done : result;
}

/** @brief See virtq_device_pop(). @param q the queue @param how the instance @param chains room for
 * `count` @param count budget
 * @param pieces room @param piece_count how many @return how many, or VIRTQ_EMISS or VIRTQ_EBROKEN
 */
VIRTQ_TEMPLATE int virtq_packed_device_pop(struct virtq_packed_device *q, unsigned how,
                                           struct virtq_chain *chains, unsigned count,
                                           struct virtq_piece *pieces, unsigned piece_count)
{
    const uint32_t before = q->slots;
    struct virtq_packed_device_view view;
    uint32_t done;
    int error = virtq_packed_device_begin(q, how);

    if (VIRTQ_UNLIKELY(error < 0)) {
        return error;
    }
    if (VIRTQ_UNLIKELY((q->core.flags & VIRTQ_CORE_QUIESCED) != 0u)) {
        return 0;
    }
    view.place = virtq_packed_place_of(q, q->popped, virtq_position_available(q->popped));
    view.entries = q->core.entries;
    view.size = q->core.size;
    view.slots = before;
    view.ticket = q->core.ticket;
    view.piece = pieces;
    view.end = pieces + piece_count;
    do {
        done = virtq_packed_device_done(q, &view);
        virtq_packed_device_aim(&view, view.ticket,
                                virtq_packed_device_bound(q, &view, view.ticket, count - done));
        error = virtq_packed_device_short(q, how, &view, chains + done, pieces);
        done = virtq_packed_device_done(q, &view);
        /* Once more if some buffers had no piece. */
    } while (VIRTQ_UNLIKELY(error == VIRTQ_OK && done < count && view.piece != view.end &&
                            view.slots + done < view.size));
    q->popped = virtq_packed_place_position(&view.place);
    q->slots = view.slots + done;
    q->core.ticket = view.ticket;
    virtq_device_core_popped(&q->core, q->slots - before, chains, done,
                             (uint32_t)(view.piece - pieces));
    return VIRTQ_LIKELY(error >= 0) ? (int)done : virtq_packed_device_stopped(q, how, done, error);
}

/** @brief See virtq_device_unpop(). @param q the queue @param chains the latest ones @param count
 * how many @return 0 or VIRTQ_EINVAL */
VIRTQ_INLINE int virtq_packed_device_unpop(struct virtq_packed_device *q,
                                           const struct virtq_chain *chains, unsigned count)
{
    const uint32_t slots = virtq_device_core_latest(&q->core, chains, count);

    if (slots == 0u) {
        return VIRTQ_EINVAL;
    }
    virtq_device_core_unpopped(&q->core, chains, count, slots);
    q->popped = virtq_position_retreat(q->popped, slots, q->core.size);
    q->slots -= slots;
    return VIRTQ_OK;
}

#endif
