/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a packed queue takes available buffers.
 */
#ifndef VIRTQ_INLINE_PACKED_DEVICE_POP_H
#define VIRTQ_INLINE_PACKED_DEVICE_POP_H

#include "packed_device_queue.h"
#include "table.h"
#include "walk.h"

/** @brief Walks an opened table: consecutive entries, of whose flags only WRITE counts. P8.
 * @param core the queue @param how the instance @param walk the walk @param table it @param near
 * whether it lies in one window: a constant @return as for the walker */
VIRTQ_TEMPLATE int virtq_packed_device_entries(struct virtq_device_core *core, unsigned how,
                                               struct virtq_walk *walk,
                                               const struct virtq_table *table, const bool near)
{
    const uint32_t entries = table->entries;

    for (uint32_t index = 0; index < entries; index++) {
        struct virtq_desc entry;
        /* A packed entry has its flags last, where a split one has `next`. */
        int result = virtq_walk_entry(core, how, table, index, near, &entry);

        if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
            return result;
        }
        result = virtq_walk_element(core, how, walk, entry.addr, entry.len,
                                    (entry.next & VIRTQ_DESC_F_WRITE) != 0u);
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
            return result;
        }
    }
    return VIRTQ_OK;
}

/** @brief Walks a table. @param q the queue @param how the instance @param walk the walk @param
 * addr the table's device address @param len its bytes @return as for the walker */
VIRTQ_TEMPLATE int virtq_packed_device_table(struct virtq_packed_device *q, unsigned how,
                                             struct virtq_walk *walk, virtq_addr_t addr,
                                             uint32_t len)
{
    struct virtq_table table;
    int result = virtq_walk_open(&q->core, how, &table, addr, len);

    if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
        return result;
    }
    return VIRTQ_LIKELY(table.base != NULL)
               ? virtq_packed_device_entries(&q->core, how, walk, &table, true)
               : virtq_packed_device_entries(&q->core, how, walk, &table, false);
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
        return virtq_packed_device_table(q, how, walk, desc.addr, desc.len);
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

/** @brief A buffer that is more than one plain descriptor. @param q the queue @param how the
 * instance
 * @param walk begun @param desc the head, as read @param slots result: ring descriptors @return as
 * for the walker, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_list(struct virtq_packed_device *q, unsigned how,
                                            struct virtq_walk *walk, struct pvirtq_desc desc,
                                            uint32_t *slots)
{
    struct virtq_walk local = *walk;
    uint32_t count = 0;
    int result = virtq_packed_device_walk(q, how, &local, desc, &count);

    *slots = count;
    if (VIRTQ_LIKELY(result == VIRTQ_OK)) {
        result = virtq_walk_end(&local);
        walk->piece = local.piece;
    }
    return result;
}

/** @brief Each instance of it, out of line: a buffer of one descriptor does not pay for its
 * registers. @param name of the instance @param how the instance */
#define VIRTQ_PACKED_DEVICE_LIST(name, how)                                                       \
    VIRTQ_OUTLINE int virtq_packed_device_##name##_list(struct virtq_packed_device *q,            \
                                                        struct virtq_walk *walk,                  \
                                                        struct pvirtq_desc desc, uint32_t *slots) \
    {                                                                                             \
        return virtq_packed_device_list(q, how, walk, desc, slots);                               \
    }
VIRTQ_PACKED_DEVICE_LIST(called, VIRTQ_INSTANCE_CALLED)
VIRTQ_PACKED_DEVICE_LIST(direct, VIRTQ_INSTANCE_DIRECT)
VIRTQ_PACKED_DEVICE_LIST(bar, VIRTQ_INSTANCE_BAR)
VIRTQ_PACKED_DEVICE_LIST(premapped, VIRTQ_INSTANCE_PREMAPPED)
#undef VIRTQ_PACKED_DEVICE_LIST

/** @brief Chooses among them; `how` is a constant, so nothing is left of the choice. @param q the
 * queue @param how the instance @param walk begun @param desc the head, as read @param slots result
 * @return as for the walker, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_more(struct virtq_packed_device *q, unsigned how,
                                            struct virtq_walk *walk, struct pvirtq_desc desc,
                                            uint32_t *slots)
{
    const unsigned kind = how & VIRTQ_INSTANCE_KIND;

    if (kind == VIRTQ_INSTANCE_DIRECT) {
        return virtq_packed_device_direct_list(q, walk, desc, slots);
    }
    if (kind == VIRTQ_INSTANCE_BAR) {
        return virtq_packed_device_bar_list(q, walk, desc, slots);
    }
    return kind == VIRTQ_INSTANCE_PREMAPPED
               ? virtq_packed_device_premapped_list(q, walk, desc, slots)
               : virtq_packed_device_called_list(q, walk, desc, slots);
}

/** @brief What a pop looks at for every buffer: a local copy, so that no store makes it be loaded
 * again. */
struct virtq_packed_device_view {
    const struct pvirtq_desc *desc;     /**< Shared: descriptor ring. */
    struct virtq_device_entry *entries; /**< Private. */
    uint32_t size;                      /**< Queue size. */
    uint32_t slots;                     /**< Ring descriptors in flight, less one for each chain. */
    struct virtq_place popped;          /**< Where the next buffer is. */
    struct virtq_piece *piece;          /**< The caller's first free piece. */
    struct virtq_piece *end;            /**< End of the caller's array. */
    size_t left;                        /**< Buffers pop may still take. */
    size_t budget;                      /**< Buffers it could take, those it took included. */
};

/** @brief A buffer that takes a walk. @param q the queue @param how the instance @param view what
 * pop looks at; its piece moves on @param chain result, id included @param desc its head, as read
 * @param slots result: ring descriptors @return as for the walker, or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_open(struct virtq_packed_device *q, unsigned how,
                                            struct virtq_packed_device_view *view,
                                            struct virtq_chain *chain, struct pvirtq_desc desc,
                                            uint32_t *slots)
{
    struct virtq_walk walk;
    int result;

    q->popped = virtq_place_position(view->popped);
    q->slots = view->slots + (uint32_t)(view->budget - view->left);
    virtq_walk_begin(&walk, chain, view->piece, view->end);
    result = virtq_packed_device_more(q, how, &walk, desc, slots);
    if (VIRTQ_LIKELY(result == VIRTQ_OK)) {
        view->piece = walk.piece;
    }
    return result;
}

/** @brief Whether a buffer's id can be taken: below the queue size, and not in flight. H2. @param q
 * the queue @param view what pop looks at @param id as read @return 0 or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_admit(struct virtq_packed_device *q,
                                             const struct virtq_packed_device_view *view,
                                             uint32_t id)
{
    if (VIRTQ_UNLIKELY(id >= view->size)) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_HEAD,
                                       virtq_place_position(view->popped), id);
    }
    if (VIRTQ_UNLIKELY(view->entries[id].limit != 0u)) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_IN_FLIGHT,
                                       virtq_place_position(view->popped), id);
    }
    return VIRTQ_OK;
}

/** @brief Takes a buffer that takes a walk. @param q the queue @param how the instance @param view
 * what pop looks at @param chain result @param desc its head, as read @param pieces the caller's
 * array @return 0, or VIRTQ_EMISS, VIRTQ_EBROKEN, VIRTQ_EFULL (come back with all pieces free) */
VIRTQ_TEMPLATE int virtq_packed_device_take_list(struct virtq_packed_device *q, unsigned how,
                                                 struct virtq_packed_device_view *view,
                                                 struct virtq_chain *chain, struct pvirtq_desc desc,
                                                 const struct virtq_piece *pieces)
{
    struct virtq_piece *const before = view->piece;
    uint32_t slots = 1;
    int result = virtq_packed_device_open(q, how, view, chain, desc, &slots);

    if (VIRTQ_UNLIKELY(result == VIRTQ_EBROKEN ||
                       virtq_packed_device_admit(q, view, chain->id) != VIRTQ_OK)) {
        return VIRTQ_EBROKEN;
    }
    if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
        result = virtq_walk_refuse(&q->core, chain, result, before == pieces);
        if (result != VIRTQ_OK) {
            return result;
        }
    }
    view->entries[chain->id].slots = slots;
    virtq_device_core_enter(&view->entries[chain->id], chain, view->popped.offset);
    virtq_place_step(&view->popped, slots, view->size);
    /* Counted once more per buffer when pop ends. */
    view->slots += slots - 1u;
    view->budget -= view->left;
    view->left = virtq_walk_left(view->left, (size_t)(view->end - view->piece) + 1u,
                                 view->size - view->slots - view->budget);
    view->budget += view->left;
    return VIRTQ_OK;
}

/** @brief Takes one plain descriptor. @param q the queue @param how the instance @param view what
 * pop looks at @param chain result @param desc as read @param pieces the caller's array @param
 * writable the part: a constant @return 0, or VIRTQ_EMISS, VIRTQ_EBROKEN, VIRTQ_EFULL (come back
 * with all pieces free) */
VIRTQ_TEMPLATE int virtq_packed_device_take_single(struct virtq_packed_device *q, unsigned how,
                                                   struct virtq_packed_device_view *view,
                                                   struct virtq_chain *chain,
                                                   struct pvirtq_desc desc,
                                                   const struct virtq_piece *pieces,
                                                   const bool writable)
{
    struct virtq_device_entry *entry;
    uint64_t limit = 0;
    uint32_t id;

    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_PREMAPPED ||
        VIRTQ_UNLIKELY(!virtq_walk_single(&q->core, chain, &limit, &view->piece, desc.addr,
                                          desc.len, writable))) {
        return virtq_packed_device_take_list(q, how, view, chain, desc, pieces);
    }
    id = virtq_shm_load16(&view->desc[view->popped.offset].id, how);
    chain->id = (uint16_t)id;
    if (VIRTQ_UNLIKELY(virtq_packed_device_admit(q, view, id) != VIRTQ_OK)) {
        return VIRTQ_EBROKEN;
    }
    entry = &view->entries[id];
    entry->limit = limit;
    entry->slots = 1;
    entry->sequence = view->popped.offset;
    virtq_place_step(&view->popped, 1, view->size);
    return VIRTQ_OK;
}

/** @brief What the driver unmapped before it made this descriptor available was withdrawn before we
 * saw it: compares once more, after the acquire. @param q the queue @param how the instance @param
 * view what pop looks at @return 0, VIRTQ_EMISS or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_recheck(struct virtq_packed_device *q, unsigned how,
                                               struct virtq_packed_device_view *view)
{
    int error = virtq_packed_device_begin(q, how);

    view->desc = q->desc;
    return error;
}

/** @brief Takes one buffer, if there is one. @param q the queue @param how the instance @param view
 * what pop looks at @param chain result @param pieces the caller's array @return 0; 1 if none is
 * available; or VIRTQ_EMISS, VIRTQ_EBROKEN, VIRTQ_EFULL (come back with all pieces free) */
VIRTQ_TEMPLATE int virtq_packed_device_take(struct virtq_packed_device *q, unsigned how,
                                            struct virtq_packed_device_view *view,
                                            struct virtq_chain *chain,
                                            const struct virtq_piece *pieces)
{
    const unsigned kind = how & VIRTQ_INSTANCE_KIND;
    const uint32_t both = PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED;
    const uint32_t special = VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_WRITE;
    const struct pvirtq_desc *at = &view->desc[view->popped.offset];
    /* B9, partner B8 of the driver: flags before address, length and id. */
    const uint32_t flags = virtq_shm_load16_acquire(&at->flags, how);
    struct pvirtq_desc desc;

    virtq_barrier_read(how);
    if (kind == VIRTQ_INSTANCE_CALLED || kind == VIRTQ_INSTANCE_PREMAPPED) {
        int error = virtq_packed_device_recheck(q, how, view);

        if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
            return error;
        }
        at = &view->desc[view->popped.offset];
    }
    /* P2: AVAIL is our wrap counter and USED the inverse; one test for that and for a plain buffer.
     */
    if ((flags & (both | special)) == view->popped.bits) {
        desc = virtq_packed_device_read(at, how, (uint16_t)flags);
        return virtq_packed_device_take_single(q, how, view, chain, desc, pieces, false);
    }
    if ((flags & (both | special)) == (view->popped.bits | VIRTQ_DESC_F_WRITE)) {
        desc = virtq_packed_device_read(at, how, (uint16_t)flags);
        return virtq_packed_device_take_single(q, how, view, chain, desc, pieces, true);
    }
    if ((flags & both) != view->popped.bits) {
        return 1;
    }
    desc = virtq_packed_device_read(at, how, (uint16_t)flags);
    return virtq_packed_device_take_list(q, how, view, chain, desc, pieces);
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
    struct virtq_chain *chain = chains;
    unsigned done;
    int error = virtq_packed_device_begin(q, how);

    if (VIRTQ_UNLIKELY(error < 0)) {
        return error;
    }
    if (VIRTQ_UNLIKELY((q->core.flags & VIRTQ_CORE_QUIESCED) != 0u)) {
        return 0;
    }
    view.desc = q->desc;
    view.entries = q->core.entries;
    view.size = q->core.size;
    view.slots = before;
    view.popped = virtq_place_of(q->popped, virtq_position_available(q->popped));
    view.piece = pieces;
    view.end = pieces + piece_count;
    do {
        done = (unsigned)(chain - chains);
        view.left = virtq_walk_left(count - done, (size_t)(view.end - view.piece),
                                    view.size - view.slots - done);
        view.budget = view.left + done;
        for (; view.left != 0u; view.left--) {
            const int result = virtq_packed_device_take(q, how, &view, chain, pieces);

            if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
                error = result;
                break;
            }
            chain++;
        }
        done = (unsigned)(chain - chains);
        /* Once more if some buffers had no piece. */
    } while (VIRTQ_UNLIKELY(error == VIRTQ_OK && done < count && view.piece != view.end &&
                            view.slots + done < view.size));
    q->popped = virtq_place_position(view.popped);
    q->slots = view.slots + done;
    virtq_device_core_popped(&q->core, q->slots - before, chains, done,
                             (uint32_t)(view.piece - pieces));
    return VIRTQ_LIKELY(error >= 0) ? (int)done : virtq_packed_device_stopped(q, how, done, error);
}

/** @brief See virtq_device_unpop(). @param q the queue @param chains the latest ones @param count
 * how many @return 0 or VIRTQ_EINVAL */
VIRTQ_INLINE int virtq_packed_device_unpop(struct virtq_packed_device *q,
                                           const struct virtq_chain *chains, unsigned count)
{
    uint16_t position = q->popped;
    uint32_t slots = 0;

    if (count == 0u || count > q->core.in_flight) {
        return VIRTQ_EINVAL;
    }
    for (unsigned i = count; i-- > 0u;) {
        const struct virtq_device_entry *entry =
            &q->core.entries[chains[i].id < q->core.size ? chains[i].id : 0u];

        if (chains[i].id >= q->core.size || entry->limit == 0u) {
            return VIRTQ_EINVAL;
        }
        position = virtq_position_retreat(position, entry->slots, q->core.size);
        if (entry->sequence != virtq_position_offset(position)) {
            return VIRTQ_EINVAL;
        }
        slots += entry->slots;
    }
    virtq_device_core_unpopped(&q->core, chains, count, slots);
    q->popped = position;
    q->slots -= slots;
    return VIRTQ_OK;
}

#endif
