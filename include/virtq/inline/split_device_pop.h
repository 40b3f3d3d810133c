/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a split queue takes available buffers.
 */
#ifndef VIRTQ_INLINE_SPLIT_DEVICE_POP_H
#define VIRTQ_INLINE_SPLIT_DEVICE_POP_H

#include "hint.h"
#include "split_device_take.h"

/** @brief Takes one plain descriptor. @param q the queue @param how the instance @param view what
 * pop looks at @param chain result, named @param entries the queue's @param addr as read; the same
 * afterwards @param len bytes
 * @param at offset of its head's entry @param word what the entry says if the device may not write
 * @param writable the part: a constant @return whether it was taken; else take it in the general
 * way */
VIRTQ_TEMPLATE bool virtq_split_device_single(struct virtq_split_device *q, unsigned how,
                                              struct virtq_split_device_view *view,
                                              struct virtq_chain *chain,
                                              struct virtq_device_entry *entries,
                                              virtq_addr_t *addr, uint64_t len, size_t at,
                                              uint64_t word, const bool writable)
{
    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_PREMAPPED ||
        VIRTQ_UNLIKELY(!virtq_walk_single(&q->core, chain, &view->piece, addr, len, writable))) {
        return false;
    }
    virtq_device_core_note(virtq_split_device_entry(entries, &at),
                           word + (writable ? virtq_device_core_writable((uint32_t)len) : 0u));
    VIRTQ_APART(writable);
    return true;
}

/** @brief The loop of a pop in the short way: as long as buffers are one plain descriptor, and up
 * to the end of the ring of slots. @param q the queue @param how the instance @param view what pop
 * looks at; there is a piece yet @param chain the next one @param count buffers wanted yet, and
 * there; not 0 @param pieces the caller's array @return 0, or VIRTQ_EMISS, VIRTQ_EBROKEN,
 * VIRTQ_EFULL (come back with all pieces free) */
VIRTQ_TEMPLATE int virtq_split_device_short(struct virtq_split_device *q, unsigned how,
                                            struct virtq_split_device_view *view,
                                            struct virtq_chain *chain, uint32_t count,
                                            const struct virtq_piece *pieces)
{
    const uint32_t first = view->ticket >> 16 & q->mask;
    const uint32_t run = virtq_split_device_run(view, count, q->core.size - first);
    const struct virtq_desc *const table = q->desc;
    struct virtq_device_entry *const entries = q->core.entries;
    const uint16_t *end = q->ring + first + run;
    uint64_t word = virtq_device_core_word(view->ticket);
    uint64_t step = (uint64_t)VIRTQ_TICKET_NEXT << 32;

    VIRTQ_OPAQUE(end);
    VIRTQ_OPAQUE(step);
    for (ptrdiff_t slot = -(ptrdiff_t)run; slot != 0; slot++) {
        size_t at = 0;
        struct virtq_desc desc;
        uint64_t len;
        const enum virtq_reason reason =
            virtq_split_device_head(q, how, &end[slot], table, entries, chain, &desc, &at);
        bool taken = false;

        if (VIRTQ_UNLIKELY(reason != VIRTQ_REASON_NONE)) {
            view->ticket = (uint32_t)(word >> 32);
            return virtq_split_device_break(q, reason, view->ticket, chain);
        }
        /* Widened once: the loop needs it both ways. */
        len = desc.len;
        VIRTQ_OPAQUE(len);
        desc.len = (uint32_t)len;
        if (VIRTQ_LIKELY(desc.flags == 0u)) {
            taken = virtq_split_device_single(q, how, view, chain, entries, &desc.addr, len, at,
                                              word, false);
        } else if (VIRTQ_LIKELY(desc.flags == VIRTQ_DESC_F_WRITE)) {
            taken = virtq_split_device_single(q, how, view, chain, entries, &desc.addr, len, at,
                                              word, true);
        }
        if (VIRTQ_UNLIKELY(!taken)) {
            view->ticket = (uint32_t)(word >> 32);
            virtq_split_device_aim(view, count - run + (uint32_t)-slot);
            return virtq_split_device_leave_short(q, how, view, chain, desc, pieces);
        }
        word += step;
        VIRTQ_OPAQUE(word);
        VIRTQ_OPAQUE(slot);
        VIRTQ_OPAQUE(view->piece);
        chain++;
    }
    view->ticket = (uint32_t)(word >> 32);
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
    const unsigned kind = how & VIRTQ_INSTANCE_KIND;
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
        const uint32_t burst = q->burst;
        int fresh;

        /* Once, and not each time that somebody waits here and looks: the driver is writing there.
         */
        q->burst = 0;
        virtq_hint_ahead(q->desc, &q->ring[q->popped & q->mask], burst, q->mask, how);
        fresh = virtq_split_device_look(q, how);
        if (fresh <= 0) {
            return fresh;
        }
        there = (unsigned)fresh;
        /* What the driver unmapped before it made these available was withdrawn before we saw them.
         */
        if (kind == VIRTQ_INSTANCE_CALLED || kind == VIRTQ_INSTANCE_PREMAPPED) {
            error = virtq_split_device_begin(q, how);
        }
        if (VIRTQ_UNLIKELY(error < 0)) {
            return error;
        }
    }
    count = there < count ? there : count;
    view.ticket = q->core.ticket;
    view.piece = pieces;
    view.end = pieces + piece_count;
    /* What a table costs hides that its descriptor is waited for. */
    if (VIRTQ_LIKELY(q->plain)) {
        virtq_hint_heads(q->desc, q->ring, view.ticket >> 16, count, q->mask, how);
    } else {
        q->plain = true;
    }
    done = 0;
    do {
        error = virtq_split_device_short(q, how, &view, chains + done, count - done, pieces);
        done = virtq_split_device_done(q, &view);
        /* Once more: some buffers had no piece, or the ring begins again. */
    } while (VIRTQ_UNLIKELY(done < count && error == VIRTQ_OK && view.piece != view.end));
    q->popped = (uint16_t)(view.ticket >> 16);
    q->burst = (uint16_t)done;
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
