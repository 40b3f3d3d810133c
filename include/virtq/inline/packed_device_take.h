/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a packed queue takes buffers in the general way: tables, lists, and
 * whatever the short way leaves.
 */
#ifndef VIRTQ_INLINE_PACKED_DEVICE_TAKE_H
#define VIRTQ_INLINE_PACKED_DEVICE_TAKE_H

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

/** @brief Latches the queue broken by a buffer's id. @param q the queue @param reason why @param at
 * the buffer's head @param bits of its place @param id as read */
VIRTQ_COLD void virtq_packed_device_break(struct virtq_packed_device *q, enum virtq_reason reason,
                                          struct pvirtq_desc *at, uint32_t bits, uint32_t id)
{
    const struct virtq_packed_place place = {q->desc, at, q->desc + q->core.size, bits};

    (void)virtq_device_core_break(&q->core, reason, virtq_packed_place_position(&place), id);
}

/** @brief Whether a buffer's id can be taken: below the queue size, and not in flight. H2. @param q
 * the queue @param entries the queue's @param size how many @param id as read @param at the
 * buffer's head @param bits of its place @return 0 or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_admit(struct virtq_packed_device *q,
                                             const struct virtq_device_entry *entries,
                                             uint32_t size, size_t id, struct pvirtq_desc *at,
                                             uint32_t bits)
{
    enum virtq_reason reason = VIRTQ_REASON_QUEUE_IN_FLIGHT;

    if (VIRTQ_LIKELY((uint32_t)id < size)) {
        if (VIRTQ_LIKELY(!virtq_device_core_flies(&entries[id]))) {
            return VIRTQ_OK;
        }
    } else {
        reason = VIRTQ_REASON_QUEUE_HEAD;
    }
    virtq_packed_device_break(q, reason, at, bits, (uint32_t)id);
    return VIRTQ_EBROKEN;
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

/** @brief A buffer that could not be walked: bad, or not to be had now. @param q the queue @param
 * at its head @param bits of its place @param chain it @param result of the walk @param alone
 * whether it had all the caller's pieces to itself @return 0: a bad buffer, to be handed out as
 * such; else VIRTQ_EMISS, VIRTQ_EBROKEN or VIRTQ_EFULL */
VIRTQ_COLD int virtq_packed_device_refuse(struct virtq_packed_device *q, struct pvirtq_desc *at,
                                          uint32_t bits, struct virtq_chain *chain, int result,
                                          bool alone)
{
    if (result == VIRTQ_EBROKEN || virtq_packed_device_admit(q, q->core.entries, q->core.size,
                                                             chain->id, at, bits) != VIRTQ_OK) {
        return VIRTQ_EBROKEN;
    }
    return virtq_walk_refuse(&q->core, chain, result, alone);
}

/** @brief Takes a list of descriptors, or any other buffer that is not just a table. @param q the
 * queue @param how the instance @param view what pop looks at @param chain result @param desc its
 * head, as read @param pieces the caller's array @return 0, or VIRTQ_EMISS, VIRTQ_EBROKEN,
 * VIRTQ_EFULL (come back with all pieces free) */
VIRTQ_TEMPLATE int virtq_packed_device_take_list(struct virtq_packed_device *q, unsigned how,
                                                 struct virtq_packed_device_view *view,
                                                 struct virtq_chain *chain, struct pvirtq_desc desc,
                                                 const struct virtq_piece *pieces)
{
    const uint32_t next = view->ticket + VIRTQ_TICKET_NEXT;
    struct virtq_walk walk;
    uint32_t slots = 0;
    uint32_t limit;
    int result;

    if (view->piece == view->end) {
        return VIRTQ_EFULL;
    }
    virtq_walk_begin(&walk, chain, view->piece, view->end);
    q->popped = virtq_packed_place_position(&view->place);
    q->slots = view->slots + virtq_packed_device_done(q, view);
    result = virtq_packed_device_walk(q, how, &walk, desc, &slots);
    result = virtq_walk_close(&walk, result, &limit);
    if (result != VIRTQ_OK) {
        result = virtq_packed_device_refuse(q, view->place.at, view->place.bits, chain, result,
                                            view->piece == pieces);
        if (result != VIRTQ_OK) {
            return result;
        }
    } else if (virtq_packed_device_admit(q, view->entries, view->size, chain->id, view->place.at,
                                         view->place.bits) != VIRTQ_OK) {
        return VIRTQ_EBROKEN;
    } else {
        view->piece = walk.piece;
    }
    view->entries[chain->id].limit = limit;
    view->entries[chain->id].ticket = view->ticket + slots - 1u;
    virtq_packed_place_step(&view->place, slots, view->size);
    view->slots += slots - 1u;
    virtq_packed_device_aim(view, next,
                            virtq_packed_device_bound(q, view, next, (view->last - next) >> 16));
    return VIRTQ_OK;
}

/** @brief Each instance of it, out of line: tables do not pay for its registers. @param name of the
 * instance @param how the instance */
#define VIRTQ_PACKED_DEVICE_LIST(name, how)                                                   \
    VIRTQ_OUTLINE int virtq_packed_device_##name##_list(                                      \
        struct virtq_packed_device *q, struct virtq_packed_device_view *view,                 \
        struct virtq_chain *chain, struct pvirtq_desc desc, const struct virtq_piece *pieces) \
    {                                                                                         \
        return virtq_packed_device_take_list(q, how, view, chain, desc, pieces);              \
    }
VIRTQ_PACKED_DEVICE_LIST(called, VIRTQ_INSTANCE_CALLED)
VIRTQ_PACKED_DEVICE_LIST(direct, VIRTQ_INSTANCE_DIRECT)
VIRTQ_PACKED_DEVICE_LIST(bar, VIRTQ_INSTANCE_BAR)
VIRTQ_PACKED_DEVICE_LIST(premapped, VIRTQ_INSTANCE_PREMAPPED)
#undef VIRTQ_PACKED_DEVICE_LIST

/** @brief Takes a buffer that is one table. @param q the queue @param how the instance @param view
 * what pop looks at @param chain result @param desc as read @param pieces the caller's array
 * @return 0, or VIRTQ_EMISS, VIRTQ_EBROKEN, VIRTQ_EFULL (come back with all pieces free) */
VIRTQ_TEMPLATE int virtq_packed_device_take_table(struct virtq_packed_device *q, unsigned how,
                                                  struct virtq_packed_device_view *view,
                                                  struct virtq_chain *chain,
                                                  struct pvirtq_desc desc,
                                                  const struct virtq_piece *pieces)
{
    struct virtq_device_entry *entry;
    struct virtq_walk walk;
    uint32_t limit;
    size_t id;
    int result;

    virtq_walk_begin(&walk, chain, view->piece, view->end);
    result = virtq_table_alone(&q->core, how, true, &walk, desc.addr, desc.len, &limit);
    id = virtq_shm_load16(&view->place.at->id, how);
    VIRTQ_OPAQUE(id);
    virtq_walk_name(chain, id);
    if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
        result = virtq_packed_device_refuse(q, view->place.at, view->place.bits, chain, result,
                                            view->piece == pieces);
        if (result != VIRTQ_OK) {
            return result;
        }
        walk.piece = view->piece;
    } else if (VIRTQ_UNLIKELY(virtq_packed_device_admit(q, q->core.entries, q->core.size, id,
                                                        view->place.at,
                                                        view->place.bits) != VIRTQ_OK)) {
        return VIRTQ_EBROKEN;
    }
    view->piece = walk.piece;
    entry = &q->core.entries[id];
    entry->limit = limit;
    entry->ticket = view->ticket;
    virtq_packed_place_step(&view->place, 1, q->core.size);
    return VIRTQ_OK;
}

/** @brief The loop of a pop in the general way, once something was met that is more than a plain
 * descriptor. @param q the queue @param how the instance @param outer what pop looks at @param
 * chain the buffer it met @param desc its head, as read; but if it is a table, only the flags were
 * @param pieces the caller's array @return 0; 1 if no more are available; or VIRTQ_EMISS,
 * VIRTQ_EBROKEN, VIRTQ_EFULL (come back with all pieces free)
 */
VIRTQ_TEMPLATE int virtq_packed_device_general(struct virtq_packed_device *q, unsigned how,
                                               struct virtq_packed_device_view *outer,
                                               struct virtq_chain *chain, struct pvirtq_desc desc,
                                               const struct virtq_piece *pieces)
{
    const uint32_t both = PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED;
    struct virtq_packed_device_view view = *outer;
    uint32_t flags = desc.flags;
    const struct virtq_chain *const first = chain;
    int result;

    for (;;) {
        if (VIRTQ_LIKELY(flags == (view.place.bits | VIRTQ_DESC_F_INDIRECT))) {
            const struct pvirtq_desc table =
                virtq_packed_device_read(view.place.at, how, (uint16_t)flags);

            result = virtq_packed_device_take_table(q, how, &view, chain, table, pieces);
        } else if (chain != first && (flags & both) != view.place.bits) {
            result = 1;
        } else {
            struct virtq_packed_device_view copy = view;

            if (chain != first) {
                desc = virtq_packed_device_read(view.place.at, how, (uint16_t)flags);
            }
            result = VIRTQ_PACKED_DEVICE_CHOOSE(how, list, q, &copy, chain, desc, pieces);
            view.piece = copy.piece;
            view.last = copy.last;
            view.slots = copy.slots;
            view.place.at = copy.place.at;
            view.place.bits = copy.place.bits;
        }
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
            break;
        }
        view.ticket += VIRTQ_TICKET_NEXT;
        VIRTQ_OPAQUE(view.ticket);
        chain++;
        if (view.ticket == view.last) {
            break;
        }
        result = virtq_packed_device_peek(q, how, &view, &flags);
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
            break;
        }
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

    q->burst = 0;
    *view = copy;
    return result;
}

#endif
