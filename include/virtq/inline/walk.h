/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The one walker: turns a buffer's elements, wherever they were read, into pieces of this
 * program's memory.
 *
 * Ring descriptors and table entries of both formats end here, each as a private copy that was read
 * once (H1). Results: 0; an enum virtq_reason above 0 for a bad buffer; VIRTQ_EMISS; or VIRTQ_EFULL
 * when the caller's pieces ran out.
 */
#ifndef VIRTQ_INLINE_WALK_H
#define VIRTQ_INLINE_WALK_H

#include "../chain.h"
#include "../split.h"
#include "device_core.h"
#include "device_flight.h"

/** @brief A walk over one buffer. Where its writable part begins is put into the chain when it is
 * met. */
struct virtq_walk {
    struct virtq_chain *chain; /**< The buffer; `pieces` is its first piece. */
    struct virtq_piece *piece; /**< Where the next piece goes. */
    struct virtq_piece *end;   /**< End of the caller's array. */
    uint64_t bytes; /**< Bytes so far, both parts: 2^16 lengths of 32 bits cannot wrap it. */
    bool writable;  /**< A writable element was seen, be it empty. */
};

/** @brief Names a buffer that is sound so far: its id, and no reason, by one store. Nothing else
 * says that a buffer is sound. @param chain the buffer @param id of it */
VIRTQ_TEMPLATE void virtq_walk_name(struct virtq_chain *chain, size_t id)
{
    const uint64_t word = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? id : (uint64_t)id << 48;

    __builtin_memcpy((unsigned char *)chain + offsetof(struct virtq_chain, id), &word,
                     sizeof(word));
}

/** @brief Begins a walk. @param walk the walk @param chain the buffer @param piece where pieces go
 * @param end of the caller's array */
VIRTQ_TEMPLATE void virtq_walk_begin(struct virtq_walk *walk, struct virtq_chain *chain,
                                     struct virtq_piece *piece, struct virtq_piece *end)
{
    chain->pieces = piece;
    walk->chain = chain;
    walk->piece = piece;
    walk->end = end;
    walk->bytes = 0;
    walk->writable = false;
}

/** @brief The writable part begins here: everything before was readable. @param walk the walk */
VIRTQ_TEMPLATE void virtq_walk_turn(struct virtq_walk *walk)
{
    walk->writable = true;
    walk->chain->readable = (uint32_t)(walk->piece - walk->chain->pieces);
    walk->chain->readable_bytes = walk->bytes;
}

/** @brief An element that no kept window holds: asks the space, cuts it into pieces where windows
 * end. Bounded by the pieces.
 * @param core the queue @param walk the walk @param addr device address @param len bytes, not 0
 * @param writable the part
 * @return as for the walker */
VIRTQ_OUTLINE int virtq_walk_far(struct virtq_device_core *core, struct virtq_walk *walk,
                                 virtq_addr_t addr, uint32_t len, bool writable)
{
    const unsigned index = writable ? (unsigned)VIRTQ_WINDOW_WRITE : (unsigned)VIRTQ_WINDOW_READ;
    const uint32_t permission = writable ? VIRTQ_PERMISSION_WRITE : VIRTQ_PERMISSION_READ;

    if ((uint64_t)len - 1u > UINT64_MAX - addr) {
        return (int)VIRTQ_REASON_ADDRESS;
    }
    while (len != 0u) {
        const struct virtq_device_window *window = &core->windows[index];
        uint32_t part = len;
        uint64_t offset;

        if (addr - window->first >= window->size) {
            int error = virtq_device_core_ask(core, index, addr, permission);

            if (error == VIRTQ_EMISS) {
                return virtq_device_core_missed(core, addr, len, permission);
            }
            if (error != VIRTQ_OK) {
                return virtq_device_core_reason(error);
            }
        }
        offset = addr - window->first;
        if (part > window->size - offset) {
            part = (uint32_t)(window->size - offset);
        }
        if (walk->piece == walk->end) {
            return VIRTQ_EFULL;
        }
        walk->piece->base = virtq_core_at(window->base, offset);
        walk->piece->len = part;
        walk->piece++;
        addr += part;
        len -= part;
    }
    return VIRTQ_OK;
}

/** @brief Why an element is outside a space that is one window: not granted at all, or not for
 * this.
 * @param core the queue @param addr device address @param len bytes, not 0 @return the reason */
VIRTQ_COLD int virtq_walk_outside(const struct virtq_device_core *core, virtq_addr_t addr,
                                  uint32_t len)
{
    const struct virtq_window *linear = &core->space->linear;

    if (addr < linear->first || addr > linear->last || len - 1u > linear->last - addr) {
        return (int)VIRTQ_REASON_ADDRESS;
    }
    return (int)VIRTQ_REASON_PERMISSION;
}

/** @brief An element that is not translated. @param walk the walk @param addr device address
 * @param len bytes @return as for the walker */
VIRTQ_TEMPLATE int virtq_walk_pass(struct virtq_walk *walk, virtq_addr_t addr, uint32_t len)
{
    if (VIRTQ_UNLIKELY(len == 0u)) {
        return VIRTQ_OK;
    }
    if (VIRTQ_UNLIKELY(len - 1u > UINT64_MAX - addr)) {
        return (int)VIRTQ_REASON_ADDRESS;
    }
    walk->bytes += len;
    walk->piece->addr = addr;
    walk->piece->len = len;
    walk->piece++;
    return VIRTQ_OK;
}

/** @brief An element that no kept window holds. @param core the queue @param how the instance
 * @param walk the walk @param addr device address @param len bytes @param writable the part @return
 * as for the walker */
VIRTQ_TEMPLATE int virtq_walk_elsewhere(struct virtq_device_core *core, unsigned how,
                                        struct virtq_walk *walk, virtq_addr_t addr, uint32_t len,
                                        bool writable)
{
    if (len == 0u) {
        return VIRTQ_OK;
    }
    walk->bytes += len;
    return (how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED
               ? virtq_walk_far(core, walk, addr, len, writable)
               : virtq_walk_outside(core, addr, len);
}

/** @brief The one translation: an element that lies in a window the queue keeps.
 *
 * M9: a sum that wraps is found out, and an empty window holds nothing. A length of 0 makes the
 * last byte lie before the first or outside of everything, and so is never found.
 * @param window a window @param addr device address @param len bytes @param piece result
 * @return whether it is in there */
VIRTQ_TEMPLATE bool virtq_walk_hit(const struct virtq_device_window *window, virtq_addr_t addr,
                                   uint32_t len, struct virtq_piece *piece)
{
    const uint64_t offset = addr - window->first;
    const uint64_t last = offset + len - 1u;

    if (VIRTQ_UNLIKELY(last < offset)) {
        return false;
    }
    if (VIRTQ_UNLIKELY(last >= window->size)) {
        return false;
    }
    piece->base = virtq_core_at(window->base, offset);
    piece->len = len;
    return true;
}

/** @brief One element of one part; see virtq_walk_element(). @param core the queue @param how the
 * instance @param walk the walk @param addr device address @param len bytes @param writable the
 * part: a constant @return as for the walker */
VIRTQ_TEMPLATE int virtq_walk_part(struct virtq_device_core *core, unsigned how,
                                   struct virtq_walk *walk, virtq_addr_t addr, uint32_t len,
                                   const bool writable)
{
    if (writable != walk->writable) {
        if (VIRTQ_UNLIKELY(!writable)) {
            return (int)VIRTQ_REASON_ORDER;
        }
        virtq_walk_turn(walk);
    }
    if (VIRTQ_UNLIKELY(walk->piece == walk->end)) {
        return len == 0u ? VIRTQ_OK : VIRTQ_EFULL;
    }
    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_PREMAPPED) {
        return virtq_walk_pass(walk, addr, len);
    }
    if (VIRTQ_LIKELY(
            virtq_walk_hit(&core->windows[writable ? VIRTQ_WINDOW_WRITE : VIRTQ_WINDOW_READ], addr,
                           len, walk->piece))) {
        walk->bytes += len;
        walk->piece++;
        return VIRTQ_OK;
    }
    return virtq_walk_elsewhere(core, how, walk, addr, len, writable);
}

/** @brief One element. Zero-length ones count in the walk but produce nothing and are never
 * translated; readable after writable is refused. S3, L2. @param core the queue @param how the
 * instance
 * @param walk the walk @param addr device address @param len bytes @param writable the part @return
 * as for the walker */
VIRTQ_TEMPLATE int virtq_walk_element(struct virtq_device_core *core, unsigned how,
                                      struct virtq_walk *walk, virtq_addr_t addr, uint32_t len,
                                      bool writable)
{
    return writable ? virtq_walk_part(core, how, walk, addr, len, true)
                    : virtq_walk_part(core, how, walk, addr, len, false);
}

/** @brief Ends a walk: a sound buffer. @param walk the walk @return 0, or VIRTQ_REASON_TOTAL for
 * more than 2^32 bytes (S4) */
VIRTQ_TEMPLATE int virtq_walk_end(struct virtq_walk *walk)
{
    struct virtq_chain *chain = walk->chain;

    if (!walk->writable) {
        virtq_walk_turn(walk);
    }
    if (VIRTQ_UNLIKELY(walk->bytes > (uint64_t)1 << 32)) {
        return (int)VIRTQ_REASON_TOTAL;
    }
    chain->writable = (uint32_t)(walk->piece - chain->pieces) - chain->readable;
    chain->writable_bytes = walk->bytes - chain->readable_bytes;
    return VIRTQ_OK;
}

/** @brief Ends a walk that came to its end, and says how much may be pushed. @param walk the walk
 * @param result of the walker so far @param limit result: for its entry; 1 if it is no sound buffer
 * @return as for the walker */
VIRTQ_TEMPLATE int virtq_walk_close(struct virtq_walk *walk, int result, uint32_t *limit)
{
    if (VIRTQ_LIKELY(result == VIRTQ_OK)) {
        result = virtq_walk_end(walk);
    }
    *limit = result == VIRTQ_OK ? virtq_device_core_limit(walk->chain->writable_bytes) : 1u;
    return result;
}

/** @brief Says that a buffer has one piece, by one store of a constant: a compiler that merges two
 * stores may load what they store. @param chain the buffer @param writable whether the device may
 * write it: a constant */
VIRTQ_TEMPLATE void virtq_walk_count(struct virtq_chain *chain, const bool writable)
{
    const bool second = writable == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
    const uint64_t counts = second ? (uint64_t)1 << 32 : 1u;

    __builtin_memcpy((unsigned char *)chain + offsetof(struct virtq_chain, readable), &counts,
                     sizeof(counts));
}

/** @brief A buffer of one element that is where most are: all that the walk above would do, known
 * beforehand, but for its name. @param core the queue @param chain result @param piece the first
 * free one, of at least one; moved on @param addr device address; the same afterwards @param len
 * bytes @param writable the part: a constant @return whether it was found; else nothing that counts
 * was written: walk it */
VIRTQ_TEMPLATE bool virtq_walk_single(const struct virtq_device_core *core,
                                      struct virtq_chain *chain, struct virtq_piece **piece,
                                      virtq_addr_t *addr, uint64_t len, const bool writable)
{
    const struct virtq_device_window *window =
        &core->windows[writable ? VIRTQ_WINDOW_WRITE : VIRTQ_WINDOW_READ];
    struct virtq_piece *at = *piece;
    uint64_t offset = *addr - window->first;
    const uint64_t last = offset + len - 1u;

    VIRTQ_OPAQUE(offset);
    if (VIRTQ_UNLIKELY(last < offset || last >= window->size)) {
        *addr = offset + *(const volatile virtq_addr_t *)&window->first;
        return false;
    }
    at->base = virtq_core_at(window->base, offset);
    at->len = (uint32_t)len;
    chain->pieces = at;
    chain->readable_bytes = writable ? 0u : len;
    chain->writable_bytes = writable ? len : 0u;
    virtq_walk_count(chain, writable);
    *piece = at + 1;
    return true;
}

/** @brief Ends a walk: a bad buffer, to be given back with length 0. @param core the queue @param
 * chain result @param reason why */
VIRTQ_COLD void virtq_walk_bad(struct virtq_device_core *core, struct virtq_chain *chain,
                               int reason)
{
    core->counters.error_buffer++;
    chain->pieces = NULL;
    chain->readable_bytes = 0;
    chain->writable_bytes = 0;
    chain->readable = 0;
    chain->writable = 0;
    chain->reason = (uint32_t)reason;
}

/** @brief A buffer that could not be walked: bad, or not to be had now. @param core the queue
 * @param chain the buffer @param result of the walk @param alone whether it had all the caller's
 * pieces to itself @return 0: a bad buffer, to be handed out as such; else VIRTQ_EMISS,
 * VIRTQ_EBROKEN or VIRTQ_EFULL */
VIRTQ_COLD int virtq_walk_refuse(struct virtq_device_core *core, struct virtq_chain *chain,
                                 int result, bool alone)
{
    if (result == VIRTQ_EFULL && alone) {
        result = (int)VIRTQ_REASON_PIECES;
    }
    if (result < 0) {
        return result;
    }
    virtq_walk_bad(core, chain, result);
    return VIRTQ_OK;
}

#endif
