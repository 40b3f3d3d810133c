/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end of a split queue places buffers.
 */
#ifndef VIRTQ_INLINE_SPLIT_DRIVER_ADD_H
#define VIRTQ_INLINE_SPLIT_DRIVER_ADD_H

#include "driver_table.h"
#include "split_driver_queue.h"

/** @brief Writes one descriptor; one store a field. @param desc where @param how the instance
 * @param addr device address @param len bytes @param flags VIRTQ_DESC_F_* @param next only stored
 * with VIRTQ_DESC_F_NEXT */
VIRTQ_TEMPLATE void virtq_split_driver_write(struct virtq_desc *desc, unsigned how, uint64_t addr,
                                             uint32_t len, uint16_t flags, uint16_t next)
{
    virtq_shm_store64(&desc->addr, addr, how);
    virtq_shm_store32(&desc->len, len, how);
    virtq_shm_store16(&desc->flags, flags, how);
    if ((flags & VIRTQ_DESC_F_NEXT) != 0u) {
        virtq_shm_store16(&desc->next, next, how);
    }
}

/** @brief Writes a buffer's runs as a chain of ring descriptors, along the free list. Nothing is
 * committed here: on an error the descriptors are free as before.
 * @param q the queue @param how the instance @param source the runs @param writable result: bytes
 * the device may write @param last result: last descriptor used
 * @return the next free descriptor, or a negative error */
VIRTQ_TEMPLATE int virtq_split_driver_chain(struct virtq_split_driver *q, unsigned how,
                                            const struct virtq_driver_source *source,
                                            uint64_t *writable, uint16_t *last)
{
    uint16_t i = q->head;
    uint64_t total = 0;
    uint64_t read = 0;

    for (uint32_t k = 0; k < source->count; k++) {
        const uint16_t next = q->next[i];
        uint16_t flags = k < source->readable ? 0 : VIRTQ_DESC_F_WRITE;
        uint64_t addr;
        uint32_t len;

        if (VIRTQ_UNLIKELY(virtq_driver_core_run(&q->core, how, source, k, &addr, &len) !=
                           VIRTQ_OK)) {
            return VIRTQ_EFAULT;
        }
        if (VIRTQ_UNLIKELY(len == 0u)) {
            return VIRTQ_EINVAL;
        }
        total += len;
        read += k < source->readable ? len : 0u;
        if (k + 1u < source->count) {
            flags |= VIRTQ_DESC_F_NEXT;
        }
        virtq_split_driver_write(&q->desc[i], how, addr, len, flags, next);
        *last = i;
        i = next;
    }
    if (VIRTQ_UNLIKELY(total > (uint64_t)1 << 32)) {
        return VIRTQ_ETOOBIG;
    }
    *writable = total - read;
    return i;
}

/** @brief Puts a head into the available ring; a slot that holds it already is left alone, so that
 * its line stays with the device. @param q the queue @param how the instance @param head the head
 */
VIRTQ_TEMPLATE void virtq_split_driver_offer(struct virtq_split_driver *q, unsigned how,
                                             uint16_t head)
{
    uint16_t slot = q->added & q->mask;

    if (q->heads[slot] != head) {
        q->heads[slot] = head;
        virtq_shm_store16(&q->ring[slot], head, how);
    }
}

/** @brief Puts a written chain into the books and its head into the available ring.
 * @param q the queue @param how the instance @param buffer the buffer @param slots ring descriptors
 * @param last its last one
 * @param next the next free one @param writable bytes the device may write */
VIRTQ_TEMPLATE void virtq_split_driver_commit(struct virtq_split_driver *q, unsigned how,
                                              const struct virtq_buffer *buffer, uint16_t slots,
                                              uint16_t last, uint16_t next, uint64_t writable)
{
    struct virtq_driver_entry *entry = &q->core.entries[q->head];

    entry->cookie = buffer->cookie;
    entry->writable = writable > UINT32_MAX ? UINT32_MAX : (uint32_t)writable;
    entry->slots = slots;
    entry->last = last;
    virtq_split_driver_offer(q, how, q->head);
    q->head = next;
    q->added++;
    q->core.room = (uint16_t)(q->core.room - slots);
}

/** @brief A buffer in an indirect table: one ring descriptor. S5. @param q the queue @param how the
 * instance @param buffer the buffer @param source its runs @return 0 or an error */
VIRTQ_TEMPLATE int virtq_split_driver_place_table(struct virtq_split_driver *q, unsigned how,
                                                  const struct virtq_buffer *buffer,
                                                  const struct virtq_driver_source *source)
{
    const size_t offset = (size_t)q->core.table_bytes * q->head;
    int64_t writable;

    if (VIRTQ_UNLIKELY(q->core.room == 0u)) {
        return VIRTQ_EFULL;
    }
    writable = virtq_driver_table_fill(&q->core, how, source, q->core.tables + offset,
                                       VIRTQ_DRIVER_MOST, false);
    if (VIRTQ_UNLIKELY(writable < 0)) {
        return (int)writable;
    }
    virtq_split_driver_write(&q->desc[q->head], how, q->core.tables_addr + offset,
                             (uint32_t)source->count * VIRTQ_TABLE_ENTRY, VIRTQ_DESC_F_INDIRECT, 0);
    virtq_split_driver_commit(q, how, buffer, 1, q->head, q->next[q->head], (uint64_t)writable);
    return VIRTQ_OK;
}

/** @brief A buffer in ring descriptors.
 * @param q the queue @param how the instance @param buffer the buffer @param source its runs
 * @return 0 or an error */
VIRTQ_TEMPLATE int virtq_split_driver_place_chain(struct virtq_split_driver *q, unsigned how,
                                                  const struct virtq_buffer *buffer,
                                                  const struct virtq_driver_source *source)
{
    uint64_t writable = 0;
    uint16_t last = 0;
    int result;

    if (VIRTQ_UNLIKELY(source->count > q->core.room)) {
        return source->count > q->core.size ? VIRTQ_ETOOBIG : VIRTQ_EFULL;
    }
    result = virtq_split_driver_chain(q, how, source, &writable, &last);
    if (VIRTQ_UNLIKELY(result < 0)) {
        return result;
    }
    virtq_split_driver_commit(q, how, buffer, source->count, last, (uint16_t)result, writable);
    return VIRTQ_OK;
}

/** @brief Places one buffer. @param q the queue @param how the instance @param buffer the buffer
 * @return 0 or an error, then nothing has changed */
VIRTQ_TEMPLATE int virtq_split_driver_place(struct virtq_split_driver *q, unsigned how,
                                            const struct virtq_buffer *buffer)
{
    struct virtq_driver_source source;
    int error = virtq_driver_core_source(&q->core, how, buffer, q->head, &source);

    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return error;
    }
    if (source.table) {
        error = virtq_split_driver_place_table(q, how, buffer, &source);
    } else {
        error = virtq_split_driver_place_chain(q, how, buffer, &source);
    }
    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED && VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        virtq_driver_core_unmap(&q->core, q->head, 0);
    }
    return error;
}

/** @brief What an add looks at for every buffer: a local copy, so that no store makes it be loaded
 * again. */
struct virtq_split_driver_view {
    struct virtq_desc *desc;            /**< Shared: descriptor table. */
    uint16_t *ring;                     /**< Shared: slots of the available ring. */
    struct virtq_driver_entry *entries; /**< Private. */
    uint16_t *next;                     /**< Private: the free list. */
    uint16_t *heads;                    /**< Private: what the available ring holds. */
    uint32_t mask;                      /**< Queue size - 1. */
    uint32_t head;                      /**< First free descriptor. */
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

/** @brief Puts a buffer of one ring descriptor into the books and its head into the available
 * ring. @param view what add looks at @param how the instance @param buffer the buffer @param
 * writable bytes the device may write */
VIRTQ_TEMPLATE void virtq_split_driver_enter(struct virtq_split_driver_view *view, unsigned how,
                                             const struct virtq_buffer *buffer, uint32_t writable)
{
    const uint32_t head = view->head;
    const uint32_t slot = view->added & view->mask;
    struct virtq_driver_entry *entry = &view->entries[head];

    entry->cookie = buffer->cookie;
    entry->writable = writable;
    entry->slots = 1;
    entry->last = (uint16_t)head;
    if (view->heads[slot] != head) {
        view->heads[slot] = (uint16_t)head;
        virtq_shm_store16(&view->ring[slot], (uint16_t)head, how);
    }
    view->head = view->next[head];
    view->added++;
    view->room--;
}

/** @brief A buffer of one segment, in one ring descriptor: all that placing would do, known
 * beforehand.
 * @param q the queue @param how the instance, a computed one @param view what add looks at @param
 * buffer the buffer @param writable whether the device may write it: a constant @return whether it
 * was placed; else nothing changed: place it, to know why */
VIRTQ_TEMPLATE bool virtq_split_driver_single(const struct virtq_split_driver *q, unsigned how,
                                              struct virtq_split_driver_view *view,
                                              const struct virtq_buffer *buffer,
                                              const bool writable)
{
    struct virtq_desc *desc = &view->desc[view->head];
    uint64_t addr;
    uint32_t len;

    if (VIRTQ_UNLIKELY(!virtq_driver_core_single(&q->core, how, buffer, &addr, &len))) {
        return false;
    }
    if (VIRTQ_UNLIKELY(view->room == 0u)) {
        return false;
    }
    virtq_shm_store64(&desc->addr, addr, how);
    virtq_shm_store32(&desc->len, len, how);
    virtq_shm_store16(&desc->flags, writable ? VIRTQ_DESC_F_WRITE : 0, how);
    virtq_split_driver_enter(view, how, buffer, writable ? len : 0u);
    /* As in virtq_walk_single(). */
    __asm__ __volatile__("" ::: "memory");
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

/** @brief Places a buffer of one segment. @param q the queue @param how the instance @param view
 * what add looks at @param buffer any buffer @return whether it was one, and was placed; else
 * nothing has changed */
VIRTQ_TEMPLATE bool virtq_split_driver_short(struct virtq_split_driver *q, unsigned how,
                                             struct virtq_split_driver_view *view,
                                             const struct virtq_buffer *buffer)
{
    const uint32_t shape = buffer->readable | (uint32_t)buffer->writable << 16;

    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED || buffer->flags != 0u) {
        return false;
    }
    if (VIRTQ_LIKELY(shape == 1u)) {
        return virtq_split_driver_single(q, how, view, buffer, false);
    }
    return VIRTQ_LIKELY(shape == 0x10000u) && virtq_split_driver_single(q, how, view, buffer, true);
}

/** @brief Places any buffer. @param q the queue @param how the instance @param view what add looks
 * at @param buffer the buffer @return 0 or an error, then nothing has changed */
VIRTQ_TEMPLATE int virtq_split_driver_long(struct virtq_split_driver *q, unsigned how,
                                           struct virtq_split_driver_view *view,
                                           const struct virtq_buffer *buffer)
{
    const bool plain = (how & VIRTQ_INSTANCE_KIND) != VIRTQ_INSTANCE_CALLED && buffer->flags == 0u;
    int error;

    if (plain && VIRTQ_LIKELY(virtq_split_driver_tabled(q, how, view, buffer))) {
        return VIRTQ_OK;
    }
    if (virtq_split_driver_short(q, how, view, buffer)) {
        return VIRTQ_OK;
    }
    virtq_split_driver_look_back(q, view);
    error = virtq_split_driver_place(q, how, buffer);
    view->head = q->head;
    view->added = q->added;
    view->room = q->core.room;
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

/** @brief See virtq_driver_add(). @param q the queue @param how the instance @param buffers them
 * @param count how many @return how many were added, or an error */
VIRTQ_TEMPLATE int virtq_split_driver_add(struct virtq_split_driver *q, unsigned how,
                                          const struct virtq_buffer *buffers, unsigned count)
{
    struct virtq_split_driver_view view;
    unsigned done = 0;
    int more = 0;

    if (VIRTQ_UNLIKELY(q->core.fault.reason != (uint32_t)VIRTQ_REASON_NONE)) {
        return VIRTQ_EBROKEN;
    }
    virtq_split_driver_look_at(q, &view);
    while (done < count && virtq_split_driver_short(q, how, &view, &buffers[done])) {
        VIRTQ_OPAQUE(view.added);
        done++;
    }
    virtq_split_driver_look_back(q, &view);
    if (VIRTQ_UNLIKELY(done < count)) {
        more = virtq_split_driver_more(q, how, &buffers[done], count - done);
        done += more > 0 ? (unsigned)more : 0u;
    }
    q->core.unpublished += done;
    q->core.counters.added += done;
    return done != 0u ? (int)done : more;
}

#endif
