/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a packed queue, as templates.
 *
 * Every function takes `how`, an enum virtq_instance that must be a constant. What each does, and
 * which thread may call it, is said at the function of the same name in device.h; set a queue up
 * with inline/device_setup.h. [virtio 1.4, Packed Virtqueues]
 */
#ifndef VIRTQ_INLINE_PACKED_DEVICE_H
#define VIRTQ_INLINE_PACKED_DEVICE_H

#include "../packed.h"
#include "device_core.h"
#include "walk.h"

/** @brief The device end of a packed queue. */
struct virtq_packed_device {
    struct virtq_device_core core; /**< What is the same for both formats. */
    struct pvirtq_desc *desc;      /**< Shared: descriptor ring. */
    const uint32_t *event;         /**< Shared: driver event suppression, as one word. */
    uint32_t *own_event;           /**< Shared: device event suppression, as one word. */
    uint16_t popped;               /**< Position of the next available descriptor. */
    uint16_t pushed;    /**< Position of the next used descriptor, unpublished ones included. */
    uint16_t published; /**< The same as the driver sees it; its flags are what publish stores. */
    uint16_t published_flags;   /**< Flags of the first unpublished used descriptor: the only ones
                                   held back. */
    uint32_t slots;             /**< Ring descriptors popped and not published as used. */
    uint32_t unpublished_slots; /**< Ring descriptors written as used since the last publish. */
};

/** @brief Derives the pointers from `core.areas`. @param q the queue */
VIRTQ_INLINE void virtq_packed_device_attach(struct virtq_packed_device *q)
{
    q->desc = (struct pvirtq_desc *)q->core.areas.descriptor;
    q->event = (const uint32_t *)q->core.areas.driver;
    q->own_event = (uint32_t *)q->core.areas.device;
}

/** @brief The space has moved on: forgets the windows, and finds the ring again if it goes through
 * the space.
 * @param q the queue @return 0, VIRTQ_EMISS (nothing is lost: resolve and call again) or
 * VIRTQ_EBROKEN */
VIRTQ_COLD int virtq_packed_device_refresh(struct virtq_packed_device *q)
{
    struct virtq_device_core *core = &q->core;
    uint64_t generation = __atomic_load_n(&core->space->generation, __ATOMIC_ACQUIRE);
    int error = VIRTQ_OK;

    virtq_device_core_forget(core);
    if ((core->flags & VIRTQ_CORE_TRANSLATED) != 0u) {
        error = virtq_device_core_ring(core, (uint64_t)core->size * 16u, 4, 4);
        if (error != VIRTQ_OK) {
            return virtq_device_core_lost(core, q->popped, error);
        }
        virtq_packed_device_attach(q);
    }
    core->generation = generation;
    return VIRTQ_OK;
}

/** @brief What every call begins with. @param q the queue @param how the instance @return 0,
 * VIRTQ_EMISS or VIRTQ_EBROKEN */
VIRTQ_TEMPLATE int virtq_packed_device_begin(struct virtq_packed_device *q, unsigned how)
{
    int state = virtq_device_core_begin(&q->core, how);

    return VIRTQ_UNLIKELY(state > 0) ? virtq_packed_device_refresh(q) : state;
}

/** @brief Whether flags say "available" at a position: AVAIL is its wrap counter and USED the
 * inverse. P2.
 * @param flags as read @param position where @return whether */
VIRTQ_TEMPLATE bool virtq_packed_device_available(uint16_t flags, uint16_t position)
{
    const uint16_t both = PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED;

    return (flags & both) == virtq_position_available(position);
}

/** @brief Walks a table: consecutive entries, of whose flags only WRITE counts. P8.
 * @param q the queue @param how the instance @param walk the walk @param addr the table's device
 * address @param len its bytes
 * @return as for the walker */
VIRTQ_TEMPLATE int virtq_packed_device_table(struct virtq_packed_device *q, unsigned how,
                                             struct virtq_walk *walk, virtq_addr_t addr,
                                             uint32_t len)
{
    struct virtq_table table;
    int result = virtq_walk_open(&q->core, how, &table, addr, len);

    if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
        return result;
    }
    for (uint32_t index = 0; index < table.entries; index++) {
        struct virtq_desc entry;

        /* A packed entry has its flags last, where a split one has `next`. */
        result = virtq_walk_entry(&q->core, how, &table, index, &entry);
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
            return result;
        }
        result = virtq_walk_element(&q->core, how, walk, entry.addr, entry.len,
                                    (entry.next & VIRTQ_DESC_F_WRITE) != 0u);
        if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
            return result;
        }
    }
    return VIRTQ_OK;
}

/** @brief One descriptor of a list. @param q the queue @param how the instance @param walk the walk
 * @param desc where it lies, for address and length @param flags as read @return as for the walker
 */
VIRTQ_TEMPLATE int virtq_packed_device_element(struct virtq_packed_device *q, unsigned how,
                                               struct virtq_walk *walk,
                                               const struct pvirtq_desc *desc, uint16_t flags)
{
    uint64_t addr = virtq_shm_load64(&desc->addr, how);
    uint32_t len = virtq_shm_load32(&desc->len, how);

    if ((flags & VIRTQ_DESC_F_INDIRECT) != 0u) {
        return virtq_packed_device_table(q, how, walk, addr, len);
    }
    return virtq_walk_element(&q->core, how, walk, addr, len, (flags & VIRTQ_DESC_F_WRITE) != 0u);
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
 * behind it.
 *
 * @param q the queue @param how the instance @param walk the walk @param flags of the first
 * descriptor, as read @param chain result: id and slots @return as for the walker, or VIRTQ_EBROKEN
 */
VIRTQ_TEMPLATE int virtq_packed_device_walk(struct virtq_packed_device *q, unsigned how,
                                            struct virtq_walk *walk, uint16_t flags,
                                            struct virtq_chain *chain)
{
    uint16_t position = q->popped;
    uint32_t slots = 1;
    int result = VIRTQ_OK;

    for (;; slots++) {
        const struct pvirtq_desc *desc = &q->desc[virtq_position_offset(position)];

        if (VIRTQ_UNLIKELY(virtq_packed_device_judge(q, flags, slots) != VIRTQ_OK)) {
            return VIRTQ_EBROKEN;
        }
        if (VIRTQ_LIKELY(result == VIRTQ_OK)) {
            result = virtq_packed_device_element(q, how, walk, desc, flags);
        }
        if ((flags & VIRTQ_DESC_F_NEXT) == 0u) {
            /* The id of the last descriptor counts: virtio 1.4, Next Flag: Descriptor Chaining. */
            chain->id = virtq_shm_load16(&desc->id, how);
            chain->slots = (uint16_t)slots;
            return result;
        }
        position = virtq_position_advance(position, 1, q->core.size);
        flags = virtq_shm_load16(&q->desc[virtq_position_offset(position)].flags, how);
        if (VIRTQ_UNLIKELY(!virtq_packed_device_available(flags, position))) {
            /* P6: the driver makes the head available last, so this is no end but an error. */
            return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_PARTIAL, position, flags);
        }
    }
}

/** @brief Takes one buffer whose head is available. @param q the queue @param how the instance
 * @param flags of its head @param chain result @param piece first free piece @param first of the
 * caller's array @param end of it
 * @return its pieces (0 or more), or VIRTQ_EMISS, VIRTQ_EBROKEN, VIRTQ_EFULL (come back with all
 * pieces free) */
VIRTQ_TEMPLATE int64_t virtq_packed_device_take(struct virtq_packed_device *q, unsigned how,
                                                uint16_t flags, struct virtq_chain *chain,
                                                struct virtq_piece *piece,
                                                struct virtq_piece *first, struct virtq_piece *end)
{
    struct virtq_walk walk;
    int result;

    virtq_walk_begin(&walk, piece, end);
    result = virtq_packed_device_walk(q, how, &walk, flags, chain);
    if (VIRTQ_UNLIKELY(result == VIRTQ_EBROKEN)) {
        return result;
    }
    if (VIRTQ_UNLIKELY(chain->id >= q->core.size)) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_HEAD, q->popped, chain->id);
    }
    if (VIRTQ_UNLIKELY(q->core.entries[chain->id].slots != 0u)) {
        return virtq_device_core_break(&q->core, VIRTQ_REASON_QUEUE_IN_FLIGHT, q->popped,
                                       chain->id);
    }
    if (VIRTQ_LIKELY(result == VIRTQ_OK)) {
        result = virtq_walk_end(&walk, chain);
    }
    if (VIRTQ_UNLIKELY(result != VIRTQ_OK)) {
        if (result == VIRTQ_EFULL && piece == first) {
            result = (int)VIRTQ_REASON_PIECES;
        }
        if (result < 0) {
            return result;
        }
        virtq_walk_bad(&q->core, chain, result);
        walk.piece = piece;
    }
    virtq_device_core_enter(&q->core, chain, q->popped);
    q->popped = virtq_position_advance(q->popped, chain->slots, q->core.size);
    q->slots += chain->slots;
    return walk.piece - piece;
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
    const bool platform = (q->core.flags & VIRTQ_CORE_PLATFORM) != 0u;
    const uint32_t slots = q->slots;
    struct virtq_piece *piece = pieces;
    unsigned done = 0;
    int64_t taken = virtq_packed_device_begin(q, how);

    if (VIRTQ_UNLIKELY(taken < 0)) {
        return (int)taken;
    }
    if (VIRTQ_UNLIKELY((q->core.flags & VIRTQ_CORE_QUIESCED) != 0u)) {
        return 0;
    }
    while (done < count && q->slots < q->core.size) {
        /* B9, partner B8 of the driver: flags before address, length and id. */
        uint16_t flags =
            virtq_shm_load16_acquire(&q->desc[virtq_position_offset(q->popped)].flags, how);

        if (!virtq_packed_device_available(flags, q->popped)) {
            break;
        }
        virtq_barrier_read(platform);
        taken = virtq_packed_device_take(q, how, flags, &chains[done], piece, pieces,
                                         pieces + piece_count);
        if (VIRTQ_UNLIKELY(taken < 0)) {
            break;
        }
        piece += taken;
        done++;
    }
    virtq_device_core_popped(&q->core, q->slots - slots, done, (uint32_t)(piece - pieces));
    return VIRTQ_LIKELY(taken >= 0) ? (int)done
                                    : virtq_packed_device_stopped(q, how, done, (int)taken);
}

/** @brief Writes one used descriptor; the flags of the first unpublished one are held back, so that
 * the driver never sees a part of what is published at once. P5, P7, P11. @param q the queue @param
 * how the instance @param used id and bytes written @param slots ring descriptors it stands for */
VIRTQ_TEMPLATE void virtq_packed_device_write(struct virtq_packed_device *q, unsigned how,
                                              const struct virtq_used_buffer *used, uint32_t slots)
{
    struct pvirtq_desc *desc = &q->desc[virtq_position_offset(q->pushed)];
    uint32_t flags =
        virtq_position_used(q->pushed) | (used->len != 0u ? (uint32_t)VIRTQ_DESC_F_WRITE : 0u);

    virtq_shm_store32(&desc->len, used->len, how);
    virtq_shm_store16(&desc->id, (uint16_t)used->id, how);
    if (q->unpublished_slots == 0u) {
        q->published_flags = (uint16_t)flags;
    } else {
        virtq_shm_store16(&desc->flags, (uint16_t)flags, how);
    }
    q->pushed = virtq_position_advance(q->pushed, slots, q->core.size);
    q->unpublished_slots += slots;
}

/** @brief See virtq_device_push(). @param q the queue @param how the instance @param used them
 * @param count how many
 * @return how many, or an error */
VIRTQ_TEMPLATE int virtq_packed_device_push(struct virtq_packed_device *q, unsigned how,
                                            const struct virtq_used_buffer *used, unsigned count)
{
    const bool in_order = (q->core.flags & VIRTQ_CORE_IN_ORDER) != 0u;
    unsigned done = 0;
    int error = virtq_packed_device_begin(q, how);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    for (; done < count; done++) {
        struct virtq_device_entry *entry = virtq_device_core_pushable(&q->core, &used[done]);
        uint32_t slots;

        if (VIRTQ_UNLIKELY(entry == NULL)) {
            break;
        }
        if (VIRTQ_UNLIKELY(in_order)) {
            if (!virtq_device_core_hold(&q->core, &used[done])) {
                break;
            }
            continue;
        }
        slots = entry->slots;
        entry->slots = 0;
        virtq_packed_device_write(q, how, &used[done], slots);
    }
    return virtq_device_core_pushed(&q->core, in_order, done, count);
}

/** @brief IN_ORDER: writes what is held back and whose turn has come, one descriptor for a run of
 * fully used buffers. I3.
 * @param q the queue @param how the instance */
VIRTQ_TEMPLATE void virtq_packed_device_flush(struct virtq_packed_device *q, unsigned how)
{
    struct virtq_used_buffer used = {0, 0};
    uint32_t slots;
    uint32_t buffers = virtq_device_core_batch(&q->core, &used, &slots);

    while (buffers != 0u) {
        virtq_packed_device_write(q, how, &used, slots);
        q->core.unpublished += buffers;
        buffers = virtq_device_core_batch(&q->core, &used, &slots);
    }
}

/** @brief See virtq_device_publish(). @param q the queue @param how the instance @return how many,
 * or an error */
VIRTQ_TEMPLATE int virtq_packed_device_publish(struct virtq_packed_device *q, unsigned how)
{
    uint32_t count;
    int error = virtq_packed_device_begin(q, how);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    if (VIRTQ_UNLIKELY(q->core.held != 0u)) {
        virtq_packed_device_flush(q, how);
    }
    count = q->core.unpublished;
    if (count == 0u) {
        return 0;
    }
    /* B10, partner B11 of the driver: data, lengths, ids and later flags before the first one's
     * flags. */
    virtq_barrier_write((q->core.flags & VIRTQ_CORE_PLATFORM) != 0u);
    virtq_shm_store16_release(&q->desc[virtq_position_offset(q->published)].flags,
                              q->published_flags, how);
    virtq_device_core_published(&q->core, q->unpublished_slots);
    q->published = q->pushed;
    q->slots -= q->unpublished_slots;
    q->unpublished_slots = 0;
    q->core.unpublished = 0;
    return (int)count;
}

/** @brief See virtq_device_needs_notify(). @param q the queue @param how the instance @return 1, 0
 * or an error */
VIRTQ_TEMPLATE int virtq_packed_device_needs_notify(struct virtq_packed_device *q, unsigned how)
{
    const uint32_t untested = q->core.untested;
    bool wanted = untested != 0u;
    uint32_t word;
    int error = virtq_packed_device_begin(q, how);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    /* B12, partner B7 of the driver: flags before the event, else both ends sleep. */
    virtq_barrier_full((q->core.flags & VIRTQ_CORE_PLATFORM) != 0u);
    /* B14: both halves in one load. */
    word = virtq_shm_load32(q->event, how);
    if (untested < VIRTQ_UNTESTED_MANY) {
        wanted = virtq_event_wanted(word, (q->core.flags & VIRTQ_CORE_EVENT_IDX) != 0u,
                                    q->published, untested, q->core.size);
    }
    return virtq_device_core_tested(&q->core, wanted);
}

/** @brief See virtq_device_enable_notify(). @param q the queue @param how the instance @return
 * whether something new came */
VIRTQ_TEMPLATE bool virtq_packed_device_enable_notify(struct virtq_packed_device *q, unsigned how)
{
    uint16_t known = virtq_position_advance(q->popped, q->core.ahead, q->core.size);
    uint32_t word = VIRTQ_RING_EVENT_FLAGS_ENABLE;

    if (VIRTQ_UNLIKELY(virtq_packed_device_begin(q, how) != VIRTQ_OK)) {
        return true;
    }
    if (VIRTQ_UNLIKELY((q->core.flags & VIRTQ_CORE_QUIESCED) != 0u)) {
        return false;
    }
    if ((q->core.flags & VIRTQ_CORE_EVENT_IDX) != 0u) {
        word = known | VIRTQ_RING_EVENT_FLAGS_DESC << 16;
    }
    /* B13: offset and flags in one store. */
    virtq_shm_store32(q->own_event, word, how);
    q->core.flags &= ~(uint32_t)VIRTQ_CORE_SILENT;
    /* B7, partner B12 of the driver: our wish before its flags, else they may have gone by unseen.
     */
    virtq_barrier_full((q->core.flags & VIRTQ_CORE_PLATFORM) != 0u);
    return q->slots + q->core.ahead < q->core.size &&
           virtq_packed_device_available(
               virtq_shm_load16(&q->desc[virtq_position_offset(known)].flags, how), known);
}

/** @brief See virtq_device_disable_notify(). @param q the queue @param how the instance */
VIRTQ_TEMPLATE void virtq_packed_device_disable_notify(struct virtq_packed_device *q, unsigned how)
{
    if ((q->core.flags & VIRTQ_CORE_SILENT) == 0u &&
        virtq_packed_device_begin(q, how) == VIRTQ_OK) {
        q->core.flags |= VIRTQ_CORE_SILENT;
        virtq_shm_store32(q->own_event, VIRTQ_RING_EVENT_FLAGS_DISABLE << 16, how);
    }
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

        if (chains[i].id >= q->core.size || entry->slots == 0u) {
            return VIRTQ_EINVAL;
        }
        position = virtq_position_retreat(position, entry->slots, q->core.size);
        if (entry->sequence != position) {
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
