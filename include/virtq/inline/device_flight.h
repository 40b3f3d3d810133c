/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief Buffers in flight: popped and not pushed, or pushed and held back until their turn.
 */
#ifndef VIRTQ_INLINE_DEVICE_FLIGHT_H
#define VIRTQ_INLINE_DEVICE_FLIGHT_H

#include "../chain.h"
#include "device_core.h"

/** @brief Whether a buffer is as large as a length can say, and so is what was pushed. @param
 * entries the queue's @param id of the buffer @param len bytes pushed @return whether */
VIRTQ_COLD bool virtq_device_core_huge(const struct virtq_device_entry *entries, size_t id,
                                       uint32_t len)
{
    return len == UINT32_MAX && entries[id].limit == VIRTQ_LIMIT_NONE;
}

/** @brief Whether a caller may push this: in flight, and no longer than what the driver allowed.
 * @param entries the queue's @param size how many @param id what the caller says, below 2^32 @param
 * len the same @return whether */
VIRTQ_TEMPLATE bool virtq_device_core_pushable(const struct virtq_device_entry *entries,
                                               uint32_t size, size_t id, uint32_t len)
{
    if (VIRTQ_UNLIKELY((uint32_t)id >= size)) {
        return false;
    }
    return VIRTQ_LIKELY(len < entries[id].limit) || virtq_device_core_huge(entries, id, len);
}

/** @brief Whether a buffer is in flight. @param entry its entry; all of it is 0 if not, and one
 * comparison is enough for all of it @return whether */
VIRTQ_TEMPLATE bool virtq_device_core_flies(const struct virtq_device_entry *entry)
{
    uint64_t all;

    __builtin_memcpy(&all, entry, sizeof(all));
    return all != 0u;
}

/** @brief What an entry says of a buffer that the device may not write, as one word. @param ticket
 * of the buffer @return the word; bytes the device may write are to be added, and
 * #VIRTQ_TICKET_NEXT << 32 leads to the next ticket */
VIRTQ_TEMPLATE uint64_t virtq_device_core_word(uint32_t ticket)
{
    return (uint64_t)ticket << 32 | 1u;
}

/** @brief Bytes the device may write, as they are added to such a word: the limit stays below 2^32.
 * @param len them @return the same, or one less */
VIRTQ_TEMPLATE uint32_t virtq_device_core_writable(uint32_t len)
{
    return len - (len == UINT32_MAX ? 1u : 0u);
}

/** @brief Notes a buffer as in flight, by one store. @param entry its entry @param word what it
 * says */
VIRTQ_TEMPLATE void virtq_device_core_note(struct virtq_device_entry *entry, uint64_t word)
{
    if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) {
        word = word << 32 | word >> 32;
    }
    __builtin_memcpy(entry, &word, sizeof(word));
}

/** @brief A buffer is no longer in flight. @param entry its entry */
VIRTQ_TEMPLATE void virtq_device_core_land(struct virtq_device_entry *entry)
{
    entry->limit = 0;
    entry->ticket = 0;
}

/** @brief The limit that goes with so many writable bytes. @param bytes them @return the limit */
VIRTQ_TEMPLATE uint32_t virtq_device_core_limit(uint64_t bytes)
{
    return bytes < VIRTQ_LIMIT_NONE ? (uint32_t)bytes + 1u : VIRTQ_LIMIT_NONE;
}

/** @brief IN_ORDER: notes the order of what was popped. @param core the queue @param chains them
 * @param count how many */
VIRTQ_OUTLINE void virtq_device_core_queue(struct virtq_device_core *core,
                                           const struct virtq_chain *chains, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        core->order[core->order_next] = chains[i].id;
        core->order_next = core->order_next + 1u == core->size ? 0u : core->order_next + 1u;
        core->lengths[chains[i].id] =
            chains[i].reason != (uint32_t)VIRTQ_REASON_NONE ? VIRTQ_PARTIAL : 0u;
    }
}

/** @brief Counts what pop took, and what of it the caller had been told of before. @param core the
 * queue @param ring entries or descriptors @param chains the buffers @param count how many
 * @param pieces their pieces */
VIRTQ_TEMPLATE void virtq_device_core_popped(struct virtq_device_core *core, uint32_t ring,
                                             const struct virtq_chain *chains, uint32_t count,
                                             uint32_t pieces)
{
    if (VIRTQ_UNLIKELY(core->ahead != 0u)) {
        core->ahead = core->ahead > ring ? core->ahead - ring : 0u;
    }
    core->in_flight += count;
    core->counters.added += count;
    core->counters.window_hits += pieces;
    if (VIRTQ_UNLIKELY((core->flags & VIRTQ_CORE_IN_ORDER) != 0u)) {
        virtq_device_core_queue(core, chains, count);
    }
}

/** @brief IN_ORDER: takes the next run that one used entry can stand for: buffers whose turn has
 * come, all but the last of them fully written, for that is what the driver assumes of those that
 * get no entry. I2, I4.
 * @param core the queue @param used result: the last one's id and length @param slots result: ring
 * descriptors of all @return buffers, 0 if the oldest is still in flight */
VIRTQ_OUTLINE uint32_t virtq_device_core_batch(struct virtq_device_core *core,
                                               struct virtq_used_buffer *used, uint32_t *slots)
{
    uint32_t buffers = 0;
    bool full = true;

    *slots = 0;
    while (core->held != 0u && full) {
        uint16_t id = core->order[core->order_first];
        struct virtq_device_entry *entry = &core->entries[id];

        if ((core->lengths[id] & VIRTQ_HELD) == 0u) {
            break;
        }
        used->id = id;
        used->len = (uint32_t)core->lengths[id];
        full = (core->lengths[id] & VIRTQ_PARTIAL) == 0u && entry->limit != VIRTQ_LIMIT_NONE &&
               used->len + 1u == entry->limit;
        *slots += (uint16_t)entry->ticket;
        core->lengths[id] = 0;
        virtq_device_core_land(entry);
        core->order_first = core->order_first + 1u == core->size ? 0u : core->order_first + 1u;
        core->held--;
        buffers++;
    }
    return buffers;
}

/** @brief Whether these are the latest buffers popped, in order. @param core the queue @param
 * chains them @param count how many @return their ring descriptors, or 0: they are not */
VIRTQ_INLINE uint32_t virtq_device_core_latest(const struct virtq_device_core *core,
                                               const struct virtq_chain *chains, unsigned count)
{
    uint32_t ticket = core->ticket - count * VIRTQ_TICKET_NEXT;
    uint32_t slots = 0;

    if (count > core->in_flight) {
        return 0;
    }
    for (unsigned i = 0; i < count; i++, ticket += VIRTQ_TICKET_NEXT) {
        const struct virtq_device_entry *entry;

        if (chains[i].id >= core->size) {
            return 0;
        }
        entry = &core->entries[chains[i].id];
        if (entry->limit == 0u || entry->ticket >> 16 != ticket >> 16) {
            return 0;
        }
        /* IN_ORDER: pushed, though the driver has not been told. */
        if (core->lengths != NULL && (core->lengths[chains[i].id] & VIRTQ_HELD) != 0u) {
            return 0;
        }
        slots += (uint16_t)entry->ticket;
    }
    return slots;
}

/** @brief Windows are forgotten: marks all buffers in flight, for they lie in what was before. L3.
 * @param core the queue */
VIRTQ_COLD void virtq_device_core_age(struct virtq_device_core *core)
{
    uint32_t left = core->in_flight;

    core->stale = left;
    for (uint32_t id = 0; id < core->size && left != 0u; id++) {
        const bool held = core->lengths != NULL && (core->lengths[id] & VIRTQ_HELD) != 0u;

        if (virtq_device_core_flies(&core->entries[id]) && !held) {
            core->marks[id / 32u] |= 1u << id % 32u;
            left--;
        }
    }
}

/** @brief A buffer is no longer in flight: takes its mark away, if it has one. @param core the
 * queue
 * @param id its id */
VIRTQ_INLINE void virtq_device_core_unmark(struct virtq_device_core *core, uint32_t id)
{
    const uint32_t bit = 1u << id % 32u;

    if ((core->marks[id / 32u] & bit) != 0u) {
        core->marks[id / 32u] &= ~bit;
        core->stale--;
    }
}

/** @brief The same for pushed buffers. @param core the queue @param used them @param count how many
 */
VIRTQ_COLD void virtq_device_core_unmark_used(struct virtq_device_core *core,
                                              const struct virtq_used_buffer *used, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        virtq_device_core_unmark(core, used[i].id);
    }
}

/** @brief Buffers in flight that may lie in memory withdrawn since they were popped. @param core
 * the queue @return how many */
VIRTQ_INLINE uint32_t virtq_device_core_stale(const struct virtq_device_core *core)
{
    return __atomic_load_n(&core->space->generation, __ATOMIC_ACQUIRE) == core->generation
               ? core->stale
               : core->in_flight;
}

/** @brief Forgets the latest popped buffers. @param core the queue @param chains them @param count
 * how many @param ring entries or descriptors they took */
VIRTQ_INLINE void virtq_device_core_unpopped(struct virtq_device_core *core,
                                             const struct virtq_chain *chains, unsigned count,
                                             uint32_t ring)
{
    for (unsigned i = 0; i < count; i++) {
        virtq_device_core_land(&core->entries[chains[i].id]);
        virtq_device_core_unmark(core, chains[i].id);
    }
    core->ticket -= count * VIRTQ_TICKET_NEXT;
    if ((core->flags & VIRTQ_CORE_IN_ORDER) != 0u) {
        core->order_next = core->order_next >= count ? core->order_next - count
                                                     : core->order_next + core->size - count;
    }
    core->ahead += ring;
    core->in_flight -= count;
    core->counters.added -= count;
}

/** @brief Ends a push. @param core the queue @param used the buffers @param done buffers pushed
 * @param count buffers given @return what push returns */
VIRTQ_TEMPLATE int virtq_device_core_pushed(struct virtq_device_core *core,
                                            const struct virtq_used_buffer *used, unsigned done,
                                            unsigned count)
{
    if (VIRTQ_UNLIKELY(core->stale != 0u)) {
        virtq_device_core_unmark_used(core, used, done);
    }
    core->in_flight -= done;
    core->counters.used += done;
    if (VIRTQ_UNLIKELY(done != count)) {
        core->counters.error_caller++;
        return done != 0u ? (int)done : VIRTQ_EINVAL;
    }
    return (int)done;
}

/** @brief IN_ORDER: holds pushed buffers back until publish. I6. @param core the queue @param used
 * them
 * @param count how many @return what push returns */
VIRTQ_OUTLINE int virtq_device_core_hold(struct virtq_device_core *core,
                                         const struct virtq_used_buffer *used, unsigned count)
{
    unsigned done = 0;

    for (; done < count; done++) {
        const struct virtq_used_buffer buffer = used[done];

        if (!virtq_device_core_pushable(core->entries, core->size, buffer.id, buffer.len) ||
            (core->lengths[buffer.id] & VIRTQ_HELD) != 0u) {
            break;
        }
        core->lengths[buffer.id] |= VIRTQ_HELD | buffer.len;
    }
    core->held += done;
    return virtq_device_core_pushed(core, used, done, count);
}

#endif
