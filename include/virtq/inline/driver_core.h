/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief What the driver end does in the same way for both formats: private records, mapping,
 * counters, faults.
 *
 * Nothing here touches a ring. Everything is private memory: what a completion needs is kept here
 * and never read back from where the device can write (S6, H2).
 */
#ifndef VIRTQ_INLINE_DRIVER_CORE_H
#define VIRTQ_INLINE_DRIVER_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "../driver.h"
#include "../error.h"
#include "../feature.h"
#include "../space.h"
#include "../types.h"
#include "barrier.h"
#include "core.h"
#include "event.h"
#include "shm.h"

/** @brief What the driver knows of an outstanding buffer; indexed by head (split) or id (packed).
 */
struct virtq_driver_entry {
    void *cookie;   /**< The caller's. */
    uint16_t slots; /**< Ring descriptors; 0: not outstanding. */
    uint16_t link;  /**< Split: its last descriptor ^ its head: 0 for one. Packed: next free id,
                       while this one is free. */
    uint32_t
        writable; /**< Bytes the device may write, saturated: what a used length is clamped to. */
};

/** @brief The part of a driver's queue that knows no format. */
struct virtq_driver_core {
    struct virtq_driver_entry *entries; /**< `size` of them. */
    uint64_t delta;                     /**< Direct and bar: device address minus pointer. */
    uint32_t flags;                     /**< A set of enum virtq_core_flag. */
    uint32_t size;                      /**< Queue size. */
    uint16_t room;                      /**< Free ring descriptors. */
    uint16_t segments_max;              /**< Of one buffer. */
    uint32_t room_least; /**< Free ring descriptors with which any buffer of a called space fits. */
    uint32_t table_span; /**< Segments beyond the first that a table has room for; 0: no tables. */
    uint32_t outstanding; /**< Buffers published and not polled. */
    uint32_t detach;      /**< Where the next virtq_driver_detach() begins to look. */
    uint32_t unpublished; /**< Buffers added since the last publish. */
    uint32_t untested; /**< Split: entries, packed: descriptors, published since the last test for a
                          notification; saturates at ::VIRTQ_UNTESTED_MANY. */
    struct virtq_fault fault;              /**< Why the queue is broken, if it is. */
    struct virtq_counters counters;        /**< What virtq_driver_counters() gives. */
    struct virtq_space *space;             /**< Where buffers are mapped. */
    struct virtq_window linear;            /**< Bar: what offsets may cover. */
    struct virtq_run *runs;                /**< Scratch for one mapping. */
    unsigned char *records;                /**< The space's record of each entry. */
    size_t record_size;                    /**< Bytes of one record. */
    unsigned char *tables;                 /**< Indirect tables, one for each entry. */
    virtq_addr_t tables_addr;              /**< Their device address. */
    uint32_t table_bytes;                  /**< Bytes of one table. */
    uint32_t config_flags;                 /**< As configured. */
    struct virtq_areas areas;              /**< As configured. */
    struct virtq_area_addresses addresses; /**< As shared. */
    uint64_t features;                     /**< As configured. */
    void *memory;                          /**< Private memory given ... */
    size_t memory_size;                    /**< ... and its bytes. */
    uint16_t notify_id;                    /**< As configured. */
    uint16_t runs_max;   /**< Most runs a buffer can become: entries of `runs` and of a table. */
    uint16_t runs_least; /**< What a space that coalesces brings any buffer down to. */
};

/** @brief Runs of the buffer being added: an array of runs (called) or the caller's segments
 * (computed). */
struct virtq_driver_source {
    const struct virtq_run *runs;         /**< If called. */
    const struct virtq_segment *segments; /**< Else. */
    uint16_t readable;                    /**< Readable runs. */
    uint16_t count;                       /**< All runs. */
    bool premapped;                       /**< Segments hold device addresses. */
    bool table;                           /**< The buffer goes into an indirect table. */
};

/** @brief Latches the queue broken; the first reason stays. H6.
 * @param core the queue @param reason why @param position where @param value what was read @return
 * VIRTQ_EBROKEN */
VIRTQ_COLD int virtq_driver_core_break(struct virtq_driver_core *core, enum virtq_reason reason,
                                       uint32_t position, uint64_t value)
{
    if (core->fault.reason == (uint32_t)VIRTQ_REASON_NONE) {
        core->fault.reason = (uint32_t)reason;
        core->fault.position = position;
        core->fault.value = value;
    }
    return VIRTQ_EBROKEN;
}

/** @brief Notes all but the cookie of an outstanding buffer, in one store: stores wait in the
 * processor for the ring's lines, and each has to wait there alone.
 * @param entry its entry @param writable bytes the device may write, saturated @param slots ring
 * descriptors @param link see virtq_driver_entry::link */
VIRTQ_TEMPLATE void virtq_driver_core_note_shape(struct virtq_driver_entry *entry,
                                                 uint32_t writable, uint16_t slots, uint32_t link)
{
    const bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    const uint64_t word = little ? slots | (uint64_t)link << 16 | (uint64_t)writable << 32
                                 : (uint64_t)slots << 48 | (uint64_t)link << 32 | writable;

    __builtin_memcpy((unsigned char *)entry + offsetof(struct virtq_driver_entry, slots), &word,
                     sizeof(word));
}

/** @brief Notes a buffer as outstanding. @param entry its entry @param cookie the caller's @param
 * writable bytes the device may write, saturated @param slots ring descriptors @param link see
 * virtq_driver_entry::link */
VIRTQ_TEMPLATE void virtq_driver_core_note(struct virtq_driver_entry *entry, void *cookie,
                                           uint32_t writable, uint16_t slots, uint32_t link)
{
    entry->cookie = cookie;
    virtq_driver_core_note_shape(entry, writable, slots, link);
}

/** @brief An entry by its offset, which the compiler is made to forget: it would keep the sum in a
 * register for the next access, and the processor adds for nothing. @param entries the queue's
 * @param at bytes @return the entry */
VIRTQ_TEMPLATE struct virtq_driver_entry *virtq_driver_core_entry(
    struct virtq_driver_entry *entries, size_t *at)
{
    VIRTQ_OPAQUE(*at);
    return (struct virtq_driver_entry *)(void *)((unsigned char *)entries + *at);
}

/** @brief Tells the caller of a buffer that has come back. @param completion result @param entry
 * its entry @param len bytes written, clamped @param id of it */
VIRTQ_TEMPLATE void virtq_driver_core_tell(struct virtq_completion *completion,
                                           const struct virtq_driver_entry *entry, uint32_t len,
                                           uint32_t id)
{
    completion->cookie = entry->cookie;
    completion->len = len;
    completion->id = id;
}

/** @brief Counts an error that was met before anything changed, and names it.
 * @param core the queue @param error an enum virtq_error @return the same error */
VIRTQ_COLD int virtq_driver_core_refuse(struct virtq_driver_core *core, int error)
{
    if (error == VIRTQ_EFULL) {
        core->counters.error_full++;
    } else if (error == VIRTQ_ENOMEM) {
        core->counters.error_memory++;
    } else if (error != VIRTQ_EBROKEN) {
        core->counters.error_caller++;
    }
    return error;
}

/** @brief Bytes from one run or segment to the next. @param how the instance @return them */
VIRTQ_TEMPLATE size_t virtq_driver_core_stride(unsigned how)
{
    size_t bytes = sizeof(struct virtq_segment);

    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED) {
        bytes = sizeof(struct virtq_run);
    }
    return bytes;
}

/** @brief Where a buffer's runs are, or its segments where they are computed. @param how the
 * instance @param source the buffer @return the first */
VIRTQ_TEMPLATE const unsigned char *virtq_driver_core_items(
    unsigned how, const struct virtq_driver_source *source)
{
    const void *items = source->segments;

    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED) {
        items = source->runs;
    }
    return (const unsigned char *)items;
}

/** @brief The device address of one run; the arithmetic of the computed kinds.
 *
 * @param core the queue @param how the instance @param item the run, or the segment it is computed
 * from @param premapped whether the caller's segments are device addresses @param addr result
 * @param len result: bytes
 * @return 0; VIRTQ_EFAULT for a bar segment outside the region, VIRTQ_EINVAL for
 * an empty one (elsewhere the caller of this looks whether it is) */
VIRTQ_TEMPLATE int virtq_driver_core_item(const struct virtq_driver_core *core, unsigned how,
                                          const unsigned char *item, bool premapped, uint64_t *addr,
                                          uint32_t *len)
{
    const unsigned kind = how & VIRTQ_INSTANCE_KIND;
    const struct virtq_segment *segment = (const struct virtq_segment *)(const void *)item;

    if (kind == VIRTQ_INSTANCE_CALLED) {
        const struct virtq_run *run = (const struct virtq_run *)(const void *)item;

        *addr = run->addr;
        *len = run->len;
        return VIRTQ_OK;
    }
    *len = segment->len;
    if (kind == VIRTQ_INSTANCE_PREMAPPED || premapped) {
        *addr = segment->addr;
        return VIRTQ_OK;
    }
    *addr = (uint64_t)(uintptr_t)segment->base + core->delta;
    if (kind == VIRTQ_INSTANCE_BAR) {
        /* M9: the offset is checked without a sum that could wrap; `linear.first` is usually 0. */
        uint64_t offset = *addr - core->linear.first;
        uint64_t span = core->linear.last - core->linear.first;

        if (VIRTQ_UNLIKELY(offset > span || (uint64_t)*len - 1u > span - offset)) {
            return *len == 0u ? VIRTQ_EINVAL : VIRTQ_EFAULT;
        }
    }
    return VIRTQ_OK;
}

/** @brief The same by its index. @param core the queue @param how the instance @param source the
 * buffer @param index which run @param addr result @param len result: bytes @return as
 * virtq_driver_core_item() */
VIRTQ_TEMPLATE int virtq_driver_core_run(const struct virtq_driver_core *core, unsigned how,
                                         const struct virtq_driver_source *source, size_t index,
                                         uint64_t *addr, uint32_t *len)
{
    const unsigned char *items = virtq_driver_core_items(how, source);

    return virtq_driver_core_item(core, how, items + index * virtq_driver_core_stride(how),
                                  source->premapped, addr, len);
}

/** @brief A buffer's segments and flags as one word, for one comparison: the compiler makes one
 * load of them. Where all addresses are the device's already, the flag that says so is none.
 * @param how the instance @param buffer any buffer @return 1: one readable segment; 0x10000: one
 * writable one; from 2^32 on: flags */
VIRTQ_TEMPLATE uint64_t virtq_driver_core_shape(unsigned how, const struct virtq_buffer *buffer)
{
    const uint64_t shape =
        buffer->readable | (uint64_t)buffer->writable << 16 | (uint64_t)buffer->flags << 32;

    return (how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_PREMAPPED
               ? shape & ~((uint64_t)VIRTQ_BUFFER_PREMAPPED << 32)
               : shape;
}

/** @brief The address of a buffer of one segment, computed. @param core the queue @param how the
 * instance, a computed one @param buffer the buffer, not flagged @param addr result @param len
 * result: bytes
 * @return whether it is sound: some bytes, and (bar) inside the region */
VIRTQ_TEMPLATE bool virtq_driver_core_single(const struct virtq_driver_core *core, unsigned how,
                                             const struct virtq_buffer *buffer, uint64_t *addr,
                                             uint32_t *len)
{
    const struct virtq_driver_source source = {NULL, buffer->segments, 1, 1, false, false};

    if (VIRTQ_UNLIKELY(virtq_driver_core_run(core, how, &source, 0, addr, len) != VIRTQ_OK)) {
        return false;
    }
    return VIRTQ_LIKELY(*len != 0u);
}

/** @brief Judges a used length beyond the buffer's writable bytes. S9, H3. Peers in the field
 * report wrong lengths, so the default is to count it, and the caller of this clamps.
 * @param core the queue @param position where @param len what the device said
 * @return 0, or VIRTQ_EBROKEN if strict */
VIRTQ_COLD int virtq_driver_core_clamp(struct virtq_driver_core *core, uint32_t position,
                                       uint32_t len)
{
    core->counters.error_length++;
    if ((core->flags & VIRTQ_CORE_STRICT_LENGTH) != 0u) {
        return virtq_driver_core_break(core, VIRTQ_REASON_QUEUE_LENGTH, position, len);
    }
    return VIRTQ_OK;
}

/** @brief Adds to the entries that no test for a notification has seen.
 * @param core the queue @param count entries (split) or descriptors (packed) */
VIRTQ_TEMPLATE void virtq_driver_core_published(struct virtq_driver_core *core, uint32_t count)
{
    core->untested += count;
    if (VIRTQ_UNLIKELY(core->untested > VIRTQ_UNTESTED_MANY)) {
        core->untested = VIRTQ_UNTESTED_MANY;
    }
}

/** @brief Counts a test's result. @param core the queue @param wanted the result @return the same
 */
VIRTQ_TEMPLATE bool virtq_driver_core_tested(struct virtq_driver_core *core, bool wanted)
{
    core->untested = 0;
    if (wanted) {
        core->counters.notify_asked++;
    } else {
        core->counters.notify_suppressed++;
    }
    return wanted;
}

/** @brief The notification word. N1. @param core the queue @param position offset in bits 0 to 14,
 * wrap (or index bit) in 15
 * @return what the transport writes */
VIRTQ_TEMPLATE uint32_t virtq_driver_core_notification(const struct virtq_driver_core *core,
                                                       uint16_t position)
{
    uint32_t word = core->notify_id;

    if ((core->flags & VIRTQ_CORE_NOTIFICATION_DATA) != 0u) {
        word |= (uint32_t)position << 16;
    }
    return word;
}

#endif
