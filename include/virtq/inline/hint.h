/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief Lines of a ring are asked for before they are needed.
 *
 * What the peer has just written lies in its cache. The ends' loops do so much for each buffer that
 * the processor does not see the next line's access before the last line has come: a burst then
 * waits for its lines one by one. Nothing here is an access in the sense of the specification: no
 * value that a hint loads is used for anything but the next hint, and a wrong hint costs time only.
 *
 * Rings in a region are left out: a device's memory is not cached, and each load from it is dear.
 */
#ifndef VIRTQ_INLINE_HINT_H
#define VIRTQ_INLINE_HINT_H

#include <stddef.h>

#include "../packed.h"
#include "../split.h"
#include "shm.h"

/** @brief Descriptors, of either format, in a line of 64 bytes. */
#define VIRTQ_HINT_DESCRIPTORS 4u
/** @brief Used elements in a line of 64 bytes. */
#define VIRTQ_HINT_ELEMENTS 8u

/** @brief Heads that came the last time, from which on the next ones are asked for before they are
 * known to be there. */
#define VIRTQ_HINT_AHEAD 16u

/** @brief Descriptors or elements that are claimed in advance, at most: a caller may offer more
 * than fits. */
#define VIRTQ_HINT_MAX 64u

/** @brief Whether an instance's ring lies in ordinary memory. @param how the instance @return a
 * constant */
VIRTQ_TEMPLATE bool virtq_hint_helps(unsigned how)
{
    return (how & VIRTQ_INSTANCE_KIND) != VIRTQ_INSTANCE_BAR;
}

/** @brief A line is about to be read. @param at in it; need not exist */
VIRTQ_TEMPLATE void virtq_hint_read(const void *at)
{
    __builtin_prefetch(at, 0, 3);
}

/** @brief A line is about to be written. @param at in it */
VIRTQ_TEMPLATE void virtq_hint_write(const void *at)
{
#if defined(__x86_64__)
    /* The builtin means to read, unless the compiler may assume a later processor. One without the
     * instruction does nothing. */
    __asm__ __volatile__("prefetchw %0" : : "m"(*(const char *)at));
#else
    __builtin_prefetch(at, 1, 3);
#endif
}

/** @brief Either. @param at in the line @param write whether it is about to be written: a constant
 */
VIRTQ_TEMPLATE void virtq_hint_line(const void *at, const bool write)
{
    if (write) {
        virtq_hint_write(at);
    } else {
        virtq_hint_read(at);
    }
}

/** @brief A slot, looked at before its time. @param slot of the available ring @param how the
 * instance @return a head, if the driver is honest */
VIRTQ_TEMPLATE uint32_t virtq_hint_slot(const uint16_t *slot, unsigned how)
{
    return virtq_shm_order16(__atomic_load_n(slot, __ATOMIC_RELAXED), how);
}

/** @brief The lines of entries that follow one another, and none beyond, where the peer may be
 * writing; two at a time, which is half the price. @param first the first entry @param last the
 * last one; also its line, for a burst need not begin one @param write whether they are about to be
 * written: a constant */
VIRTQ_TEMPLATE void virtq_hint_span(const void *first, const void *last, const bool write)
{
    const size_t line = 64;
    const unsigned char *const end = (const unsigned char *)last;
    const unsigned char *next = (const unsigned char *)first + line;

    while (next < end) {
        virtq_hint_line(next - line, write);
        virtq_hint_line(next, write);
        next += 2 * line;
        /* Else the compiler works out where the loop ends a second time. */
        VIRTQ_OPAQUE(next);
    }
    next -= line;
    virtq_hint_line(next < end ? next : end, write);
    virtq_hint_line(end, write);
}

/** @brief Descriptors of either format that follow one another. @param first the one in hand, whose
 * line comes anyway @param last the last one */
VIRTQ_TEMPLATE void virtq_hint_run(const void *first, const void *last)
{
    virtq_hint_span((const unsigned char *)first + 64, last, false);
}

/** @brief Device: the descriptors of heads that are available. @param desc the table @param ring
 * the slots @param at the first one's index @param count how many, not 0 @param mask queue size - 1
 * @param how the instance */
VIRTQ_TEMPLATE void virtq_hint_heads(const struct virtq_desc *desc, const uint16_t *ring,
                                     uint32_t at, uint32_t count, uint32_t mask, unsigned how)
{
    uint32_t head;
    uint32_t last;

    if (!virtq_hint_helps(how) || count <= VIRTQ_HINT_DESCRIPTORS) {
        return;
    }
    head = virtq_hint_slot(&ring[at & mask], how) & mask;
    last = virtq_hint_slot(&ring[(at + count - 1u) & mask], how) & mask;
    if (VIRTQ_LIKELY(last == head + count - 1u)) {
        virtq_hint_run(desc + head, desc + last);
        return;
    }
    for (uint32_t i = VIRTQ_HINT_DESCRIPTORS; i < count; i += VIRTQ_HINT_DESCRIPTORS) {
        virtq_hint_read(&desc[virtq_hint_slot(&ring[(at + i) & mask], how) & mask]);
    }
    virtq_hint_read(&desc[last]);
}

/** @brief Device: the first descriptors of heads that may be available by now, while the index that
 * will tell is on its way. A driver that keeps the queue busy has filled them; those that it fills
 * last are left to it. @param desc the table @param slot of the next head @param count as many as
 * came the last time @param mask queue size - 1 @param how the instance */
VIRTQ_TEMPLATE void virtq_hint_ahead(const struct virtq_desc *desc, const uint16_t *slot,
                                     uint32_t count, uint32_t mask, unsigned how)
{
    const size_t line = 64;
    const unsigned char *at;

    if (!virtq_hint_helps(how) || count < VIRTQ_HINT_AHEAD) {
        return;
    }
    at = (const unsigned char *)&desc[virtq_hint_slot(slot, how) & mask];
    virtq_hint_read(at);
    virtq_hint_read(at + line);
    virtq_hint_read(at + 2 * line);
    virtq_hint_read(at + 3 * line);
}

/** @brief The lines of entries of a ring. @param ring descriptors or elements @param entry bytes of
 * each: a constant @param at index of the first @param count how many, not 0 @param mask where
 * indices begin again @param write whether they are about to be written: a constant */
VIRTQ_TEMPLATE void virtq_hint_lines(const void *ring, const size_t entry, uint32_t at,
                                     uint32_t count, uint32_t mask, const bool write)
{
    const unsigned char *const base = (const unsigned char *)ring;
    const unsigned char *const last = base + ((at + count - 1u) & mask) * entry;
    const unsigned char *first = base + (at & mask) * entry;

    if (VIRTQ_UNLIKELY(last < first)) {
        virtq_hint_span(first, base + mask * entry, write);
        first = base;
    }
    virtq_hint_span(first, last, write);
}

/** @brief Driver: used elements that are there. @param elements the ring @param at the first one's
 * index @param count how many, not 0 @param mask queue size - 1 @param how the instance */
VIRTQ_TEMPLATE void virtq_hint_elements(const struct virtq_used_elem *elements, uint32_t at,
                                        uint32_t count, uint32_t mask, unsigned how)
{
    if (virtq_hint_helps(how)) {
        virtq_hint_lines(elements, sizeof(*elements), at, count, mask, false);
    }
}

/** @brief Device: used elements that are about to be written. The line or two of a few are claimed
 * by writing them. @param elements the ring @param at the first one's index @param count how many
 * @param mask queue size - 1 @param how the instance */
VIRTQ_TEMPLATE void virtq_hint_claim(const struct virtq_used_elem *elements, uint32_t at,
                                     uint32_t count, uint32_t mask, unsigned how)
{
    if (virtq_hint_helps(how) && count > VIRTQ_HINT_ELEMENTS) {
        count = count < VIRTQ_HINT_MAX ? count : VIRTQ_HINT_MAX;
        virtq_hint_lines(elements, sizeof(*elements), at, count, mask, true);
    }
}

/** @brief Driver: descriptors that are about to be filled, if the free ones follow one another, as
 * they do while buffers come back in order. @param desc the table @param head the first one @param
 * count how many @param mask descriptors that go round - 1 @param how the instance */
VIRTQ_TEMPLATE void virtq_hint_free(const struct virtq_desc *desc, uint32_t head, uint32_t count,
                                    uint32_t mask, unsigned how)
{
    if (virtq_hint_helps(how) && count != 0u) {
        count = count < VIRTQ_HINT_MAX ? count : VIRTQ_HINT_MAX;
        virtq_hint_lines(desc, sizeof(*desc), head, count, mask, true);
    }
}

/** @brief Either end: descriptors behind one whose turn has come. How many more there are is not
 * known; lines that the peer still writes are not to be taken from it, so as many are asked for as
 * came the last time. @param desc the one in hand @param bits AVAIL and USED as they are when its
 * turn has come @param count of the last time @param end of the ring @param size of the queue
 * @param how the instance */
VIRTQ_TEMPLATE void virtq_hint_next(const struct pvirtq_desc *desc, uint32_t bits, uint32_t count,
                                    const struct pvirtq_desc *end, uint32_t size, unsigned how)
{
    const uint32_t both = PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED;
    const struct pvirtq_desc *last;

    if (!virtq_hint_helps(how) || count <= VIRTQ_HINT_DESCRIPTORS ||
        (__atomic_load_n(&desc->flags, __ATOMIC_RELAXED) & both) !=
            virtq_shm_order16((uint16_t)bits, how)) {
        return;
    }
    last = desc + count - 1;
    if (VIRTQ_UNLIKELY(last >= end)) {
        last -= size;
        for (const struct pvirtq_desc *at = end - size; at <= last; at += VIRTQ_HINT_DESCRIPTORS) {
            virtq_hint_read(at);
        }
        last = end - 1;
    }
    virtq_hint_run(desc, last);
}

#endif
