/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a packed queue takes available buffers.
 */
#ifndef VIRTQ_INLINE_PACKED_DEVICE_POP_H
#define VIRTQ_INLINE_PACKED_DEVICE_POP_H

#include "hint.h"
#include "packed_device_take.h"

/** @brief Takes one plain descriptor. @param q the queue @param how the instance @param view what
 * pop looks at @param chain result @param desc as read; the same afterwards @param word what its
 * entry says if the device may not write @param writable the part: a constant @return 0; 1: take it
 * in the general way; or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_single(struct virtq_packed_device *q, unsigned how,
                                              struct virtq_packed_device_view *view,
                                              struct virtq_chain *chain, struct pvirtq_desc *desc,
                                              uint64_t word, const bool writable)
{
    size_t id;

    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_PREMAPPED ||
        VIRTQ_UNLIKELY(
            !virtq_walk_single(&q->core, chain, &view->piece, &desc->addr, desc->len, writable))) {
        return 1;
    }
    id = virtq_shm_load16(&view->place.at->id, how);
    VIRTQ_OPAQUE(id);
    virtq_walk_name(chain, id);
    if (VIRTQ_UNLIKELY(virtq_packed_device_admit(q, view->entries, view->size, id, view->place.at,
                                                 view->place.bits) != VIRTQ_OK)) {
        return VIRTQ_EBROKEN;
    }
    /* The address of the entry is no more than a part of two accesses. */
    VIRTQ_OPAQUE(id);
    virtq_device_core_note(&view->entries[id],
                           word + (writable ? virtq_device_core_writable(desc->len) : 0u));
    VIRTQ_APART(writable);
    virtq_packed_place_step(&view->place, 1, view->size);
    return VIRTQ_OK;
}

/** @brief The next buffer in the short way. @param q the queue @param how the instance @param view
 * what pop looks at @param chain result @param word what its entry says if the device may not write
 * @param desc result: as read @return 0; 1: take it in the general way; 2: it is not available; or
 * VIRTQ_EMISS or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_next(struct virtq_packed_device *q, unsigned how,
                                            struct virtq_packed_device_view *view,
                                            struct virtq_chain *chain, uint64_t word,
                                            struct pvirtq_desc *desc)
{
    const uint32_t both = PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED;
    uint32_t flags;
    int result = virtq_packed_device_peek(q, how, view, &flags);

    if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
        return result;
    }
    /* P2: AVAIL is our wrap counter and USED the inverse; one test for that and for a plain
     * buffer. */
    if (VIRTQ_LIKELY(flags == view->place.bits)) {
        *desc = virtq_packed_device_read(view->place.at, how, 0);
        return virtq_packed_device_single(q, how, view, chain, desc, word, false);
    }
    if (VIRTQ_LIKELY(flags == (view->place.bits | VIRTQ_DESC_F_WRITE))) {
        *desc = virtq_packed_device_read(view->place.at, how, VIRTQ_DESC_F_WRITE);
        return virtq_packed_device_single(q, how, view, chain, desc, word, true);
    }
    if ((flags & both) != view->place.bits) {
        return 2;
    }
    /* A table is read where it is walked. */
    if (flags != (view->place.bits | VIRTQ_DESC_F_INDIRECT)) {
        *desc = virtq_packed_device_read(view->place.at, how, (uint16_t)flags);
    } else {
        *desc = (struct pvirtq_desc){0, 0, 0, (uint16_t)flags};
    }
    return 1;
}

/** @brief The loop of a pop in the short way: as long as buffers are one plain descriptor. @param q
 * the queue @param how the instance @param view what pop looks at @param chain the next one @param
 * pieces the caller's array @return as virtq_packed_device_general() */
VIRTQ_TEMPLATE int virtq_packed_device_short(struct virtq_packed_device *q, unsigned how,
                                             struct virtq_packed_device_view *view,
                                             struct virtq_chain *chain,
                                             const struct virtq_piece *pieces)
{
    const uint64_t last = virtq_device_core_word(view->last);
    uint64_t word = virtq_device_core_word(view->ticket);
    uint64_t step = (uint64_t)VIRTQ_TICKET_NEXT << 32;
    int result = VIRTQ_OK;

    VIRTQ_OPAQUE(step);
    while (word != last) {
        struct pvirtq_desc desc;

        result = virtq_packed_device_next(q, how, view, chain, word, &desc);
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
            view->ticket = (uint32_t)(word >> 32);
            return result < 0 ? result
                   : result == 2
                       ? 1
                       : virtq_packed_device_leave_short(q, how, view, chain, desc, pieces);
        }
        word += step;
        VIRTQ_OPAQUE(word);
        VIRTQ_OPAQUE(view->piece);
        chain++;
    }
    view->ticket = (uint32_t)(word >> 32);
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
    /* What a table costs hides that its descriptor is waited for. */
    virtq_hint_next(view.place.at, view.place.bits, q->burst, view.place.end, view.size, how);
    q->burst = 1;
    done = view.size - before;
    virtq_packed_device_aim(&view, view.ticket, count < done ? count : done);
    for (done = 0;;) {
        error = virtq_packed_device_short(q, how, &view, chains + done, pieces);
        done = virtq_packed_device_done(q, &view);
        if (VIRTQ_LIKELY(error != VIRTQ_OK || done >= count || view.piece == view.end ||
                         view.slots + done >= view.size)) {
            break;
        }
        /* Once more: some buffers had no piece. */
        virtq_packed_device_aim(&view, view.ticket,
                                virtq_packed_device_bound(q, &view, view.ticket, count - done));
    }
    q->popped = virtq_packed_place_position(&view.place);
    q->slots = view.slots + done;
    q->core.ticket = view.ticket;
    q->burst *= done;
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
