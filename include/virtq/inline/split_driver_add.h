/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end of a split queue adds buffers: most of them in a short way.
 */
#ifndef VIRTQ_INLINE_SPLIT_DRIVER_ADD_H
#define VIRTQ_INLINE_SPLIT_DRIVER_ADD_H

#include "hint.h"
#include "split_driver_place.h"

/** @brief What an add looks at for every buffer: a local copy, so that no store makes it be loaded
 * again. */
struct virtq_split_driver_view {
    struct virtq_desc *desc;            /**< Shared: descriptor table. */
    uint16_t *ring;                     /**< Shared: slots of the available ring. */
    struct virtq_driver_entry *entries; /**< Private. */
    uint16_t *next;                     /**< Private: the free list. */
    uint16_t *heads;                    /**< Private: what the available ring holds. */
    uint32_t mask;                      /**< Queue size - 1. */
    size_t head;                        /**< First free descriptor. */
    uint32_t added;                     /**< Available index, not reduced to 16 bits. */
    uint32_t room;                      /**< Free descriptors. */
};

/** @brief Copies what an add looks at. @param q the queue @param view result */
VIRTQ_TEMPLATE void virtq_split_driver_look_at(const struct virtq_split_driver *q,
                                               struct virtq_split_driver_view *view)
{
    view->desc = q->desc;
    view->ring = q->ring;
    view->entries = q->core.entries;
    view->next = q->next;
    view->heads = q->heads;
    view->mask = q->mask;
    view->head = q->head;
    view->added = q->added;
    view->room = q->core.room;
}

/** @brief Copies back what an add changed. @param q the queue @param view what it looked at */
VIRTQ_TEMPLATE void virtq_split_driver_look_back(struct virtq_split_driver *q,
                                                 const struct virtq_split_driver_view *view)
{
    q->head = (uint16_t)view->head;
    q->added = (uint16_t)view->added;
    q->core.room = (uint16_t)view->room;
}

/** @brief Puts the first free head into the available ring. @param view what add looks at @param
 * how the instance @param held what slots hold, counted from one of `heads` @param slot which of
 * them */
VIRTQ_TEMPLATE void virtq_split_driver_offer_next(struct virtq_split_driver_view *view,
                                                  unsigned how, uint16_t *held, ptrdiff_t slot)
{
    const size_t head = view->head;

    if (held[slot] != (uint16_t)head) {
        /* Else the compiler keeps the address for here, at the others' expense. */
        VIRTQ_OPAQUE(slot);
        held[slot] = (uint16_t)head;
        virtq_shm_store16(&view->ring[&held[slot] - view->heads], (uint16_t)head, how);
    }
}

/** @brief Takes the first free descriptor from the free list. Mostly the next one follows: the
 * processor guesses so, and need not wait for one link after the other. @param view what add looks
 * at */
VIRTQ_TEMPLATE void virtq_split_driver_step(struct virtq_split_driver_view *view)
{
    size_t after = view->head + 1u;

    VIRTQ_OPAQUE(after);
    view->head = after;
    if (VIRTQ_UNLIKELY(view->next[after - 1u] != (uint16_t)after)) {
        /* Keeps the compiler from selecting without a branch. */
        VIRTQ_OPAQUE(after);
        view->head = view->next[after - 1u];
    }
}

/** @brief Puts a buffer of one ring descriptor into the books and its head into the available
 * ring. @param view what add looks at @param how the instance @param buffer the buffer @param
 * writable bytes the device may write */
VIRTQ_TEMPLATE void virtq_split_driver_enter(struct virtq_split_driver_view *view, unsigned how,
                                             const struct virtq_buffer *buffer, uint32_t writable)
{
    virtq_driver_core_note(&view->entries[view->head], buffer->cookie, writable, 1, 0);
    virtq_split_driver_offer_next(view, how, view->heads, (ptrdiff_t)(view->added & view->mask));
    view->head = view->next[view->head];
    view->added++;
    view->room--;
}

/** @brief A descriptor by its offset, forgotten as in virtq_driver_core_entry(). @param table the
 * descriptors @param at bytes @return the descriptor */
VIRTQ_TEMPLATE struct virtq_desc *virtq_split_driver_desc(struct virtq_desc *table, size_t *at)
{
    VIRTQ_OPAQUE(*at);
    return (struct virtq_desc *)(void *)((unsigned char *)table + *at);
}

/** @brief A buffer of one segment, in one ring descriptor: all that placing would do, known
 * beforehand. The caller counts what is available and the room.
 * @param q the queue @param how the instance, a computed one @param view what add looks at @param
 * held what slots hold @param slot its slot, counted from there @param buffer the buffer, for which
 * there is room @param writable whether the device may write it: a constant @return whether it was
 * placed; else nothing changed: place it, to know why */
VIRTQ_TEMPLATE bool virtq_split_driver_single(const struct virtq_split_driver *q, unsigned how,
                                              struct virtq_split_driver_view *view, uint16_t *held,
                                              ptrdiff_t slot, const struct virtq_buffer *buffer,
                                              const bool writable)
{
    const size_t unit = sizeof(struct virtq_desc);
    size_t at = view->head * unit;
    uint64_t addr;
    uint32_t len;

    if (VIRTQ_UNLIKELY(!virtq_driver_core_single(&q->core, how, buffer, &addr, &len))) {
        return false;
    }
    virtq_shm_store64(&virtq_split_driver_desc(view->desc, &at)->addr, addr, how);
    virtq_shm_store_fields(&virtq_split_driver_desc(view->desc, &at)->len, len,
                           writable ? VIRTQ_DESC_F_WRITE : 0, 0, how);
    /* Where pointers have 64 bits, one offset is for both. */
    at = unit == sizeof(struct virtq_driver_entry) ? at
                                                   : view->head * sizeof(struct virtq_driver_entry);
    virtq_driver_core_entry(view->entries, &at)->cookie = buffer->cookie;
    virtq_driver_core_note_shape(virtq_driver_core_entry(view->entries, &at), writable ? len : 0u,
                                 1, 0);
    virtq_split_driver_offer_next(view, how, held, slot);
    virtq_split_driver_step(view);
    VIRTQ_APART(writable);
    return true;
}

/** @brief A buffer of more segments, in one table. @param q the queue @param how the instance, a
 * computed one @param view what add looks at @param buffer the buffer, not flagged @return whether
 * it was placed; else nothing changed: place it, to know why */
VIRTQ_TEMPLATE bool virtq_split_driver_tabled(const struct virtq_split_driver *q, unsigned how,
                                              struct virtq_split_driver_view *view,
                                              const struct virtq_buffer *buffer)
{
    const uint32_t count = (uint32_t)buffer->readable + buffer->writable;
    const size_t offset = (size_t)q->core.table_bytes * view->head;
    int32_t bytes;

    if (VIRTQ_UNLIKELY(view->room == 0u)) {
        return false;
    }
    bytes =
        virtq_driver_table_try(&q->core, how, buffer, virtq_core_at(q->core.tables, offset), false);
    if (VIRTQ_UNLIKELY(bytes < 0)) {
        return false;
    }
    virtq_split_driver_write(&view->desc[view->head], how, q->core.tables_addr + offset,
                             count * VIRTQ_TABLE_ENTRY, VIRTQ_DESC_F_INDIRECT, 0);
    virtq_split_driver_enter(view, how, buffer, (uint32_t)bytes);
    return true;
}

/** @brief Takes over what placing a buffer changed. @param q the queue @param view what add looks
 * at
 */
VIRTQ_TEMPLATE void virtq_split_driver_look_again(const struct virtq_split_driver *q,
                                                  struct virtq_split_driver_view *view)
{
    view->head = q->head;
    view->added = q->added;
    view->room = q->core.room;
}

/** @brief A buffer that a called space has mapped, in more than one run. @param q the queue @param
 * how the instance, of a called space @param view what add looks at @param buffer the buffer @param
 * runs how many @param readable of them device-readable @return 0 or an error, then nothing is
 * mapped */
VIRTQ_TEMPLATE int virtq_split_driver_runs(struct virtq_split_driver *q, unsigned how,
                                           struct virtq_split_driver_view *view,
                                           const struct virtq_buffer *buffer, unsigned runs,
                                           unsigned readable)
{
    const struct virtq_driver_source source = {q->core.runs,   NULL,  (uint16_t)readable,
                                               (uint16_t)runs, false, false};
    const uint16_t id = (uint16_t)view->head;
    int error;

    virtq_split_driver_look_back(q, view);
    if ((q->core.flags & VIRTQ_CORE_TABLES) != 0u) {
        error = virtq_split_driver_place_table(q, how, buffer, &source);
    } else {
        error = virtq_split_driver_place_chain(q, how, buffer, &source);
    }
    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        virtq_driver_map_undo(&q->core, id, 0);
    }
    virtq_split_driver_look_again(q, view);
    return error;
}

/** @brief A buffer on a called space that has room for whatever becomes of it. @param q the queue
 * @param how the instance, of a called space @param view what add looks at @param buffer any buffer
 * @param error result: 0 or an error, then nothing has changed @return false: place it in the long
 * way, nothing has changed */
VIRTQ_TEMPLATE bool virtq_split_driver_mapped(struct virtq_split_driver *q, unsigned how,
                                              struct virtq_split_driver_view *view,
                                              const struct virtq_buffer *buffer, int *error)
{
    struct virtq_desc *desc = &view->desc[view->head];
    unsigned readable = 0;
    const int runs =
        virtq_driver_map_usual(&q->core, buffer, (uint16_t)view->head, view->room, &readable);
    const struct virtq_run run = q->core.runs[0];

    if (VIRTQ_UNLIKELY(runs <= 0)) {
        *error = runs;
        return runs < 0;
    }
    if (runs != 1 || VIRTQ_UNLIKELY(run.len == 0u)) {
        *error = virtq_split_driver_runs(q, how, view, buffer, (unsigned)runs, readable);
        return true;
    }
    virtq_split_driver_write(desc, how, run.addr, run.len, readable != 0u ? 0 : VIRTQ_DESC_F_WRITE,
                             0);
    virtq_split_driver_enter(view, how, buffer, readable != 0u ? 0u : run.len);
    *error = VIRTQ_OK;
    return true;
}

/** @brief Places a buffer of one segment. @param q the queue @param how the instance @param view
 * what add looks at @param held what slots hold @param slot its slot, counted from there @param
 * buffer any buffer, for which there is a free descriptor @return whether it was one, and was
 * placed; else nothing has changed */
VIRTQ_TEMPLATE bool virtq_split_driver_short(struct virtq_split_driver *q, unsigned how,
                                             struct virtq_split_driver_view *view, uint16_t *held,
                                             ptrdiff_t slot, const struct virtq_buffer *buffer)
{
    const uint64_t shape = virtq_driver_core_shape(how, buffer);

    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED) {
        return false;
    }
    if (VIRTQ_LIKELY(shape == 1u)) {
        return virtq_split_driver_single(q, how, view, held, slot, buffer, false);
    }
    return VIRTQ_LIKELY(shape == 0x10000u) &&
           virtq_split_driver_single(q, how, view, held, slot, buffer, true);
}

/** @brief Places any buffer. @param q the queue @param how the instance @param view what add looks
 * at @param buffer the buffer @return 0 or an error, then nothing has changed */
VIRTQ_TEMPLATE int virtq_split_driver_long(struct virtq_split_driver *q, unsigned how,
                                           struct virtq_split_driver_view *view,
                                           const struct virtq_buffer *buffer)
{
    const bool called = (how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED;
    const bool plain = !called && virtq_driver_core_shape(how, buffer) >> 32 == 0u;
    int error;

    if (called && VIRTQ_LIKELY(virtq_split_driver_mapped(q, how, view, buffer, &error))) {
        return error;
    }
    if (plain && VIRTQ_LIKELY(virtq_split_driver_tabled(q, how, view, buffer))) {
        return VIRTQ_OK;
    }
    if (view->room != 0u &&
        virtq_split_driver_short(q, how, view, view->heads, (ptrdiff_t)(view->added & view->mask),
                                 buffer)) {
        view->added++;
        view->room--;
        return VIRTQ_OK;
    }
    virtq_split_driver_look_back(q, view);
    error = virtq_split_driver_place(q, how, buffer);
    virtq_split_driver_look_again(q, view);
    return error;
}

/** @brief The loop of an add in the general way, once something was met that is more than one
 * segment. @param q the queue @param how the instance @param buffers them @param count how many
 * @return how many were added, or an error */
VIRTQ_TEMPLATE int virtq_split_driver_general(struct virtq_split_driver *q, unsigned how,
                                              const struct virtq_buffer *buffers, unsigned count)
{
    struct virtq_split_driver_view view;
    unsigned done = 0;
    int error = VIRTQ_OK;

    virtq_split_driver_look_at(q, &view);
    for (; done < count; done++) {
        error = virtq_split_driver_long(q, how, &view, &buffers[done]);
        if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
            error = virtq_driver_core_refuse(&q->core, error);
            break;
        }
    }
    virtq_split_driver_look_back(q, &view);
    return done != 0u ? (int)done : error;
}

/** @brief Each instance of it, out of line: buffers of one segment do not pay for its registers.
 * @param name of the instance @param how the instance */
#define VIRTQ_SPLIT_DRIVER_GENERAL(name, how)                                             \
    VIRTQ_OUTLINE int virtq_split_driver_##name##_general(                                \
        struct virtq_split_driver *q, const struct virtq_buffer *buffers, unsigned count) \
    {                                                                                     \
        return virtq_split_driver_general(q, how, buffers, count);                        \
    }
VIRTQ_SPLIT_DRIVER_GENERAL(called, VIRTQ_INSTANCE_CALLED)
VIRTQ_SPLIT_DRIVER_GENERAL(direct, VIRTQ_INSTANCE_DIRECT)
VIRTQ_SPLIT_DRIVER_GENERAL(bar, VIRTQ_INSTANCE_BAR)
VIRTQ_SPLIT_DRIVER_GENERAL(premapped, VIRTQ_INSTANCE_PREMAPPED)
VIRTQ_SPLIT_DRIVER_GENERAL(legacy, VIRTQ_INSTANCE_BIG_ENDIAN)
VIRTQ_SPLIT_DRIVER_GENERAL(legacy_premapped,
                           (unsigned)VIRTQ_INSTANCE_PREMAPPED | (unsigned)VIRTQ_INSTANCE_BIG_ENDIAN)
#undef VIRTQ_SPLIT_DRIVER_GENERAL

/** @brief Chooses among them; `how` is a constant, so nothing is left of the choice. @param q the
 * queue @param how the instance @param buffers them @param count how many @return how many were
 * added, or an error */
VIRTQ_TEMPLATE int virtq_split_driver_more(struct virtq_split_driver *q, unsigned how,
                                           const struct virtq_buffer *buffers, unsigned count)
{
    const unsigned kind = how & VIRTQ_INSTANCE_KIND;

    if ((how & VIRTQ_INSTANCE_BIG_ENDIAN) != 0u) {
        return kind == VIRTQ_INSTANCE_PREMAPPED
                   ? virtq_split_driver_legacy_premapped_general(q, buffers, count)
                   : virtq_split_driver_legacy_general(q, buffers, count);
    }
    if (kind == VIRTQ_INSTANCE_DIRECT) {
        return virtq_split_driver_direct_general(q, buffers, count);
    }
    if (kind == VIRTQ_INSTANCE_BAR) {
        return virtq_split_driver_bar_general(q, buffers, count);
    }
    return kind == VIRTQ_INSTANCE_PREMAPPED
               ? virtq_split_driver_premapped_general(q, buffers, count)
               : virtq_split_driver_called_general(q, buffers, count);
}

/** @brief The loop of an add in the short way: as long as buffers are one segment, and up to the
 * end of the available ring. @param q the queue @param how the instance @param view what add looks
 * at @param buffers them @param count how many, for which there is room; not 0 @param left result:
 * 0 if all of them were placed up to the end of the ring; else the next one is no such buffer, and
 * this is minus how many were not @return how many were placed */
VIRTQ_TEMPLATE uint32_t virtq_split_driver_add_run(struct virtq_split_driver *q, unsigned how,
                                                   struct virtq_split_driver_view *view,
                                                   const struct virtq_buffer *buffers,
                                                   uint32_t count, ptrdiff_t *left)
{
    const uint32_t first = view->added & view->mask;
    const uint32_t slots = view->mask + 1u - first;
    const uint32_t run = count < slots ? count : slots;
    uint16_t *end = view->heads + first + run;
    ptrdiff_t slot;

    VIRTQ_OPAQUE(end);
    for (slot = -(ptrdiff_t)run; slot != 0; slot++) {
        if (VIRTQ_UNLIKELY(!virtq_split_driver_short(q, how, view, end, slot, buffers))) {
            break;
        }
        VIRTQ_OPAQUE(view->head);
        VIRTQ_OPAQUE(slot);
        buffers++;
    }
    *left = slot;
    view->added += run + (uint32_t)slot;
    view->room -= run + (uint32_t)slot;
    return run + (uint32_t)slot;
}

/** @brief See virtq_driver_add(). @param q the queue @param how the instance @param buffers them
 * @param count how many @return how many were added, or an error */
VIRTQ_TEMPLATE int virtq_split_driver_add(struct virtq_split_driver *q, unsigned how,
                                          const struct virtq_buffer *buffers, unsigned count)
{
    struct virtq_split_driver_view view;
    unsigned done = 0;
    ptrdiff_t left = 0;
    uint32_t room;
    int more = 0;

    if (VIRTQ_UNLIKELY(q->core.fault.reason != (uint32_t)VIRTQ_REASON_NONE)) {
        return VIRTQ_EBROKEN;
    }
    virtq_split_driver_look_at(q, &view);
    /* Not more than are free: the others' lines are the device's. And room for those is room enough
     * in the short way. */
    room = count < view.room ? count : view.room;
    virtq_hint_free(view.desc, (uint32_t)view.head, room, view.mask - q->spare, how);
    while (done != room && left == 0) {
        done += virtq_split_driver_add_run(q, how, &view, buffers + done, room - done, &left);
    }
    virtq_split_driver_look_back(q, &view);
    if (VIRTQ_UNLIKELY(done < count)) {
        more = virtq_split_driver_more(q, how, buffers + done, count - done);
        done += more > 0 ? (unsigned)more : 0u;
    }
    q->core.unpublished += done;
    q->core.counters.added += done;
    return done != 0u ? (int)done : more;
}

#endif
