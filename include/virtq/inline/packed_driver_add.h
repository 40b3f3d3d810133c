/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end of a packed queue adds buffers: most of them in a short way.
 */
#ifndef VIRTQ_INLINE_PACKED_DRIVER_ADD_H
#define VIRTQ_INLINE_PACKED_DRIVER_ADD_H

#include "packed_driver_place.h"

/** @brief What an add looks at for every buffer: a local copy, so that no store makes it be loaded
 * again. */
struct virtq_packed_driver_view {
    struct pvirtq_desc *desc;           /**< Shared: descriptor ring. */
    const struct pvirtq_desc *held;     /**< The first unpublished descriptor. */
    struct virtq_driver_entry *entries; /**< Private. */
    uint16_t *ids;                      /**< Private: id by slot. */
    struct virtq_place added;           /**< Where the next buffer goes. */
    uint32_t size;                      /**< Queue size. */
    size_t id;                          /**< First free id. */
    size_t step;                        /**< From it to the next one, as it was the last time. */
    uint32_t room;                      /**< Free descriptors. */
};

/** @brief Copies what an add looks at. @param q the queue @param view result */
VIRTQ_TEMPLATE void virtq_packed_driver_look_at(const struct virtq_packed_driver *q,
                                                struct virtq_packed_driver_view *view)
{
    view->desc = q->desc;
    view->held = &q->desc[virtq_position_offset(q->published)];
    view->entries = q->core.entries;
    view->ids = q->ids;
    view->added = virtq_place_of(q->added, virtq_position_available(q->added));
    view->size = q->core.size;
    view->id = q->id;
    view->step = q->core.entries[q->id].link - view->id;
    view->room = q->core.room;
}

/** @brief Copies back what an add changed. @param q the queue @param view what it looked at */
VIRTQ_TEMPLATE void virtq_packed_driver_look_back(struct virtq_packed_driver *q,
                                                  const struct virtq_packed_driver_view *view)
{
    q->added = virtq_place_position(view->added);
    q->id = (uint16_t)view->id;
    q->core.room = (uint16_t)view->room;
}

/** @brief Takes the first free id. Ids come back as a stack, so they mostly go up or down by one as
 * they did before: the processor guesses so, and need not wait for one link after the other. @param
 * view what add looks at @param entry of that id @param guess a constant: not where so much is done
 * for each buffer that the link has come long since */
VIRTQ_TEMPLATE void virtq_packed_driver_step(struct virtq_packed_driver_view *view,
                                             const struct virtq_driver_entry *entry,
                                             const bool guess)
{
    size_t after = view->id + view->step;

    if (!guess) {
        view->id = entry->link;
        return;
    }
    VIRTQ_OPAQUE(after);
    if (VIRTQ_UNLIKELY(entry->link != (uint16_t)after)) {
        /* Keeps the compiler from selecting without a branch. */
        VIRTQ_OPAQUE(entry);
        after = entry->link;
        view->step = after - view->id;
    }
    view->id = after;
}

/** @brief Makes a buffer of one ring descriptor available, but for the first unpublished one, and
 * puts it into the books; the caller counts the room. @param q the queue @param how the instance
 * @param view what add looks at
 * @param buffer the buffer @param flags of its descriptor @param writable bytes the device may
 * write @param guess see virtq_packed_driver_step() */
VIRTQ_TEMPLATE void virtq_packed_driver_enter(struct virtq_packed_driver *q, unsigned how,
                                              struct virtq_packed_driver_view *view,
                                              const struct virtq_buffer *buffer, uint32_t flags,
                                              uint32_t writable, const bool guess)
{
    struct pvirtq_desc *desc = &view->desc[view->added.offset];
    size_t at = view->id * sizeof(struct virtq_driver_entry);

    if (VIRTQ_UNLIKELY(desc == view->held)) {
        q->published_flags = (uint16_t)flags;
    } else {
        virtq_shm_store16(&desc->flags, (uint16_t)flags, how);
    }
    view->ids[view->added.offset] = (uint16_t)view->id;
    virtq_packed_driver_step(view, virtq_driver_core_entry(view->entries, &at), guess);
    virtq_driver_core_entry(view->entries, &at)->cookie = buffer->cookie;
    virtq_driver_core_note_shape(virtq_driver_core_entry(view->entries, &at), writable, 1, 0);
    virtq_place_step(&view->added, 1, view->size);
}

/** @brief A buffer of one segment, in one ring descriptor: all that placing would do, known
 * beforehand.
 * @param q the queue @param how the instance, a computed one @param view what add looks at @param
 * buffer the buffer, for which there is room @param writable whether the device may write it: a
 * constant @return whether it was placed; else nothing changed: place it, to know why */
VIRTQ_TEMPLATE bool virtq_packed_driver_single(struct virtq_packed_driver *q, unsigned how,
                                               struct virtq_packed_driver_view *view,
                                               const struct virtq_buffer *buffer,
                                               const bool writable)
{
    const uint32_t flags = view->added.bits | (writable ? (uint32_t)VIRTQ_DESC_F_WRITE : 0u);
    struct pvirtq_desc *desc = &view->desc[view->added.offset];
    uint64_t addr;
    uint32_t len;

    if (VIRTQ_UNLIKELY(!virtq_driver_core_single(&q->core, how, buffer, &addr, &len))) {
        return false;
    }
    virtq_packed_driver_write(desc, how, addr, len, (uint16_t)view->id);
    virtq_packed_driver_enter(q, how, view, buffer, flags, writable ? len : 0u, true);
    VIRTQ_APART(writable);
    return true;
}

/** @brief A buffer of more segments, in one table. @param q the queue @param how the instance, a
 * computed one @param view what add looks at @param buffer the buffer, not flagged @return whether
 * it was placed; else nothing changed: place it, to know why */
VIRTQ_TEMPLATE bool virtq_packed_driver_tabled(struct virtq_packed_driver *q, unsigned how,
                                               struct virtq_packed_driver_view *view,
                                               const struct virtq_buffer *buffer)
{
    const uint32_t count = (uint32_t)buffer->readable + buffer->writable;
    const size_t offset = (size_t)q->core.table_bytes * view->id;
    int32_t bytes;

    if (VIRTQ_UNLIKELY(view->room == 0u)) {
        return false;
    }
    bytes =
        virtq_driver_table_try(&q->core, how, buffer, virtq_core_at(q->core.tables, offset), true);
    if (VIRTQ_UNLIKELY(bytes < 0)) {
        return false;
    }
    virtq_packed_driver_write(&view->desc[view->added.offset], how, q->core.tables_addr + offset,
                              count * VIRTQ_TABLE_ENTRY, (uint16_t)view->id);
    virtq_packed_driver_enter(q, how, view, buffer, view->added.bits | VIRTQ_DESC_F_INDIRECT,
                              (uint32_t)bytes, false);
    view->room--;
    return true;
}

/** @brief Takes over what placing a buffer changed. @param q the queue @param view what add looks
 * at */
VIRTQ_TEMPLATE void virtq_packed_driver_look_again(const struct virtq_packed_driver *q,
                                                   struct virtq_packed_driver_view *view)
{
    view->added = virtq_place_of(q->added, virtq_position_available(q->added));
    view->id = q->id;
    view->room = q->core.room;
}

/** @brief A buffer that a called space has mapped, in more than one run. @param q the queue @param
 * how the instance, of a called space @param view what add looks at @param buffer the buffer @param
 * runs how many @param readable of them device-readable @return 0 or an error, then nothing is
 * mapped */
VIRTQ_TEMPLATE int virtq_packed_driver_runs(struct virtq_packed_driver *q, unsigned how,
                                            struct virtq_packed_driver_view *view,
                                            const struct virtq_buffer *buffer, unsigned runs,
                                            unsigned readable)
{
    const struct virtq_driver_source source = {q->core.runs,   NULL,  (uint16_t)readable,
                                               (uint16_t)runs, false, false};
    const uint16_t id = (uint16_t)view->id;
    int error;

    virtq_packed_driver_look_back(q, view);
    if ((q->core.flags & VIRTQ_CORE_TABLES) != 0u) {
        error = virtq_packed_driver_place_table(q, how, buffer, &source);
    } else {
        error = virtq_packed_driver_place_list(q, how, buffer, &source);
    }
    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        virtq_driver_map_undo(&q->core, id, 0);
    }
    virtq_packed_driver_look_again(q, view);
    return error;
}

/** @brief A buffer on a called space that has room for whatever becomes of it. @param q the queue
 * @param how the instance, of a called space @param view what add looks at @param buffer any buffer
 * @param error result: 0 or an error, then nothing has changed @return false: place it in the long
 * way, nothing has changed */
VIRTQ_TEMPLATE bool virtq_packed_driver_mapped(struct virtq_packed_driver *q, unsigned how,
                                               struct virtq_packed_driver_view *view,
                                               const struct virtq_buffer *buffer, int *error)
{
    struct pvirtq_desc *desc = &view->desc[view->added.offset];
    unsigned readable = 0;
    const int runs =
        virtq_driver_map_usual(&q->core, buffer, (uint16_t)view->id, view->room, &readable);
    const struct virtq_run run = q->core.runs[0];

    if (VIRTQ_UNLIKELY(runs <= 0)) {
        *error = runs;
        return runs < 0;
    }
    if (runs != 1 || VIRTQ_UNLIKELY(run.len == 0u)) {
        *error = virtq_packed_driver_runs(q, how, view, buffer, (unsigned)runs, readable);
        return true;
    }
    virtq_packed_driver_write(desc, how, run.addr, run.len, (uint16_t)view->id);
    virtq_packed_driver_enter(q, how, view, buffer,
                              view->added.bits |
                                  (readable != 0u ? 0u : (uint32_t)VIRTQ_DESC_F_WRITE),
                              readable != 0u ? 0u : run.len, false);
    view->room--;
    *error = VIRTQ_OK;
    return true;
}

/** @brief Places a buffer of one segment. @param q the queue @param how the instance @param view
 * what add looks at @param buffer any buffer, for which there is a free descriptor @return whether
 * it was one, and was placed; else nothing has changed */
VIRTQ_TEMPLATE bool virtq_packed_driver_short(struct virtq_packed_driver *q, unsigned how,
                                              struct virtq_packed_driver_view *view,
                                              const struct virtq_buffer *buffer)
{
    const uint64_t shape = virtq_driver_core_shape(how, buffer);

    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED) {
        return false;
    }
    if (VIRTQ_LIKELY(shape == 1u)) {
        return virtq_packed_driver_single(q, how, view, buffer, false);
    }
    return VIRTQ_LIKELY(shape == 0x10000u) &&
           virtq_packed_driver_single(q, how, view, buffer, true);
}

/** @brief Places any buffer. @param q the queue @param how the instance @param view what add looks
 * at @param buffer the buffer @return 0 or an error, then nothing has changed */
VIRTQ_TEMPLATE int virtq_packed_driver_long(struct virtq_packed_driver *q, unsigned how,
                                            struct virtq_packed_driver_view *view,
                                            const struct virtq_buffer *buffer)
{
    const bool called = (how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED;
    const bool plain = !called && virtq_driver_core_shape(how, buffer) >> 32 == 0u;
    int error;

    if (called && VIRTQ_LIKELY(virtq_packed_driver_mapped(q, how, view, buffer, &error))) {
        return error;
    }
    if (plain && VIRTQ_LIKELY(virtq_packed_driver_tabled(q, how, view, buffer))) {
        return VIRTQ_OK;
    }
    if (view->room != 0u && virtq_packed_driver_short(q, how, view, buffer)) {
        view->room--;
        return VIRTQ_OK;
    }
    virtq_packed_driver_look_back(q, view);
    error = virtq_packed_driver_place(q, how, buffer);
    virtq_packed_driver_look_again(q, view);
    return error;
}

/** @brief The loop of an add in the general way, once something was met that is more than one
 * segment. @param q the queue @param how the instance @param buffers them @param count how many
 * @return how many were added, or an error */
VIRTQ_TEMPLATE int virtq_packed_driver_general(struct virtq_packed_driver *q, unsigned how,
                                               const struct virtq_buffer *buffers, unsigned count)
{
    struct virtq_packed_driver_view view;
    unsigned done = 0;
    int error = VIRTQ_OK;

    virtq_packed_driver_look_at(q, &view);
    for (; done < count; done++) {
        error = virtq_packed_driver_long(q, how, &view, &buffers[done]);
        if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
            error = virtq_driver_core_refuse(&q->core, error);
            break;
        }
    }
    virtq_packed_driver_look_back(q, &view);
    return done != 0u ? (int)done : error;
}

/** @brief Each instance of it, out of line: buffers of one segment do not pay for its registers.
 * @param name of the instance @param how the instance */
#define VIRTQ_PACKED_DRIVER_GENERAL(name, how)                                             \
    VIRTQ_OUTLINE int virtq_packed_driver_##name##_general(                                \
        struct virtq_packed_driver *q, const struct virtq_buffer *buffers, unsigned count) \
    {                                                                                      \
        return virtq_packed_driver_general(q, how, buffers, count);                        \
    }
VIRTQ_PACKED_DRIVER_GENERAL(called, VIRTQ_INSTANCE_CALLED)
VIRTQ_PACKED_DRIVER_GENERAL(direct, VIRTQ_INSTANCE_DIRECT)
VIRTQ_PACKED_DRIVER_GENERAL(bar, VIRTQ_INSTANCE_BAR)
VIRTQ_PACKED_DRIVER_GENERAL(premapped, VIRTQ_INSTANCE_PREMAPPED)
#undef VIRTQ_PACKED_DRIVER_GENERAL

/** @brief Chooses among them; `how` is a constant, so nothing is left of the choice. @param q the
 * queue @param how the instance @param buffers them @param count how many @return how many were
 * added, or an error */
VIRTQ_TEMPLATE int virtq_packed_driver_more(struct virtq_packed_driver *q, unsigned how,
                                            const struct virtq_buffer *buffers, unsigned count)
{
    const unsigned kind = how & VIRTQ_INSTANCE_KIND;

    if (kind == VIRTQ_INSTANCE_DIRECT) {
        return virtq_packed_driver_direct_general(q, buffers, count);
    }
    if (kind == VIRTQ_INSTANCE_BAR) {
        return virtq_packed_driver_bar_general(q, buffers, count);
    }
    return kind == VIRTQ_INSTANCE_PREMAPPED
               ? virtq_packed_driver_premapped_general(q, buffers, count)
               : virtq_packed_driver_called_general(q, buffers, count);
}

/** @brief See virtq_driver_add(). @param q the queue @param how the instance @param buffers them
 * @param count how many @return how many were added, or an error */
VIRTQ_TEMPLATE int virtq_packed_driver_add(struct virtq_packed_driver *q, unsigned how,
                                           const struct virtq_buffer *buffers, unsigned count)
{
    const struct virtq_buffer *buffer = buffers;
    const struct virtq_buffer *end;
    struct virtq_packed_driver_view view;
    unsigned done;
    int more = 0;

    if (VIRTQ_UNLIKELY(q->core.fault.reason != (uint32_t)VIRTQ_REASON_NONE)) {
        return VIRTQ_EBROKEN;
    }
    virtq_packed_driver_look_at(q, &view);
    /* Room for those is room enough in the short way. */
    end = buffers + (count < view.room ? count : view.room);
    for (; buffer != end && virtq_packed_driver_short(q, how, &view, buffer); buffer++) {
        VIRTQ_OPAQUE(view.added.offset);
        VIRTQ_OPAQUE(view.id);
    }
    done = (unsigned)(buffer - buffers);
    view.room -= done;
    virtq_packed_driver_look_back(q, &view);
    if (VIRTQ_UNLIKELY(done < count)) {
        more = virtq_packed_driver_more(q, how, buffer, count - done);
        done += more > 0 ? (unsigned)more : 0u;
    }
    q->core.unpublished += done;
    q->core.counters.added += done;
    return done != 0u ? (int)done : more;
}

#endif
