/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The arithmetic of events and of packed positions: pure functions, each in one place only.
 */
#ifndef VIRTQ_INLINE_EVENT_H
#define VIRTQ_INLINE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "../api.h"
#include "../packed.h"

/** @brief Bit 15 of a packed position: the wrap counter; bits 0 to 14 are the descriptor offset. */
#define VIRTQ_POSITION_WRAP 0x8000u
/** @brief Where a packed ring starts: offset 0, wrap counter 1. [virtio 1.4, Driver and Device Ring
 * Wrap Counters] */
#define VIRTQ_POSITION_START 0x8000u

/** @brief S12: whether the peer's event lies among the entries old .. new - 1, all modulo 2^16.
 *
 * `new > event` instead would lose wake-ups at every wrap. [virtio 1.4, Available Buffer
 * Notification Suppression]
 * @param event the index the peer armed
 * @param now   own index
 * @param count entries since the last test, at most 65535; more must notify without asking
 * @return whether to notify */
VIRTQ_TEMPLATE bool virtq_event_split(uint16_t event, uint16_t now, uint16_t count)
{
    return (uint16_t)(now - event - 1u) < count;
}

/** @brief The descriptor offset of a position. @param position a position @return 0 to 32767 */
VIRTQ_TEMPLATE uint16_t virtq_position_offset(uint16_t position)
{
    return (uint16_t)(position & (VIRTQ_POSITION_WRAP - 1u));
}

/** @brief A position some descriptors later; the wrap counter flips with the offset, in this one
 * place.
 * @param position where it is
 * @param count    descriptors, 0 to `size`
 * @param size     queue size
 * @return where it gets */
VIRTQ_TEMPLATE uint16_t virtq_position_advance(uint16_t position, uint32_t count, uint32_t size)
{
    const uint32_t offset = virtq_position_offset(position) + count;

    if (VIRTQ_LIKELY(offset < size)) {
        return (uint16_t)(position + count);
    }
    return (uint16_t)((offset - size) | (~(uint32_t)position & VIRTQ_POSITION_WRAP));
}

/** @brief A position some descriptors earlier.
 * @param position where it is
 * @param count    descriptors, 0 to `size`
 * @param size     queue size
 * @return where it was */
VIRTQ_TEMPLATE uint16_t virtq_position_retreat(uint16_t position, uint32_t count, uint32_t size)
{
    uint32_t offset = virtq_position_offset(position);
    uint32_t wrap = position & VIRTQ_POSITION_WRAP;

    if (count > offset) {
        offset += size;
        wrap ^= VIRTQ_POSITION_WRAP;
    }
    return (uint16_t)((offset - count) | wrap);
}

/** @brief Descriptors from one position to a later one. @param from a position @param to at most a
 * lap behind it, or the same @param size queue size @return how many, 0 to `size` */
VIRTQ_TEMPLATE uint32_t virtq_position_between(uint16_t from, uint16_t to, uint32_t size)
{
    const uint32_t lap = ((from ^ to) & VIRTQ_POSITION_WRAP) != 0u ? size : 0u;

    return virtq_position_offset(to) + lap - virtq_position_offset(from);
}

/** @brief AVAIL and USED as the driver writes them at a position: AVAIL is its wrap counter, USED
 * the inverse. P2.
 * @param position a position @return PVIRTQ_DESC_F_* */
VIRTQ_TEMPLATE uint16_t virtq_position_available(uint16_t position)
{
    return (position & VIRTQ_POSITION_WRAP) != 0u ? PVIRTQ_DESC_F_AVAIL : PVIRTQ_DESC_F_USED;
}

/** @brief AVAIL and USED as the device writes them at a position: both its wrap counter. P2.
 * @param position a position @return PVIRTQ_DESC_F_* */
VIRTQ_TEMPLATE uint16_t virtq_position_used(uint16_t position)
{
    return (position & VIRTQ_POSITION_WRAP) != 0u ? (PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED) : 0u;
}

/** @brief A position as a loop wants it: the flag bits that go with its wrap counter at hand. */
struct virtq_place {
    uint32_t offset; /**< Descriptor offset. */
    uint32_t
        bits; /**< AVAIL and USED, as virtq_position_available() or virtq_position_used() say. */
};

/** @brief A position as a place. @param position a position @param bits its flag bits @return the
 * place */
VIRTQ_TEMPLATE struct virtq_place virtq_place_of(uint16_t position, uint16_t bits)
{
    struct virtq_place place = {virtq_position_offset(position), bits};

    return place;
}

/** @brief A place as a position: AVAIL is the wrap counter in both kinds of bits. @param place a
 * place
 * @return its position */
VIRTQ_TEMPLATE uint16_t virtq_place_position(struct virtq_place place)
{
    return (uint16_t)(place.offset | (place.bits & PVIRTQ_DESC_F_AVAIL) << 8);
}

/** @brief Moves a place on; P3: both bits flip where the offset passes the end. @param place the
 * place
 * @param count descriptors, 0 to `size` @param size queue size */
VIRTQ_TEMPLATE void virtq_place_step(struct virtq_place *place, uint32_t count, uint32_t size)
{
    place->offset += count;
    if (VIRTQ_UNLIKELY(place->offset >= size)) {
        place->offset -= size;
        place->bits ^= PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED;
    }
}

/** @brief P10: whether the descriptor the peer armed lies among the `count` before `now`.
 *
 * Both wrap counters make a circle of 2 * size places, on which it is a range test: a chain may
 * jump over the armed place. An offset outside the ring, or a whole circle of news, notifies (P9).
 * @param event the position the peer armed; not trusted
 * @param now   own position
 * @param count descriptors since the last test
 * @param size  queue size
 * @return whether to notify */
VIRTQ_TEMPLATE bool virtq_event_packed(uint16_t event, uint16_t now, uint32_t count, uint32_t size)
{
    uint32_t armed = virtq_position_offset(event);
    uint32_t here = virtq_position_offset(now);
    uint32_t back;

    if (armed >= size) {
        return count != 0u;
    }
    armed += (event & VIRTQ_POSITION_WRAP) != 0u ? 0u : size;
    here += (now & VIRTQ_POSITION_WRAP) != 0u ? 0u : size;
    back = here > armed ? here - armed - 1u : here + 2u * size - armed - 1u;
    return back < count;
}

/** @brief What a packed event suppression structure asks for. P9, N2: DESC without EVENT_IDX, and
 * the reserved value 3, mean ENABLE: a notification too many is harmless, one too few is not.
 * @param word      the structure, read as one word in processor order: off_wrap in the low half,
 * flags in the high half
 * @param event_idx VIRTIO_F_EVENT_IDX negotiated
 * @param now       own position
 * @param count     descriptors since the last test
 * @param size      queue size
 * @return whether to notify */
VIRTQ_TEMPLATE bool virtq_event_wanted(uint32_t word, bool event_idx, uint16_t now, uint32_t count,
                                       uint32_t size)
{
    uint32_t flags = (word >> 16) & 3u;

    if (flags == VIRTQ_RING_EVENT_FLAGS_DISABLE) {
        return false;
    }
    if (flags == VIRTQ_RING_EVENT_FLAGS_DESC && event_idx) {
        return virtq_event_packed((uint16_t)word, now, count, size);
    }
    return count != 0u;
}

/** @brief Whether two positions can belong to one queue: offsets inside it, and no further apart
 * than it is long.
 * @param packed    the format
 * @param size      queue size, legal
 * @param available where the next available buffer is
 * @param used      where the next used buffer goes
 * @return whether */
VIRTQ_TEMPLATE bool virtq_event_positions(bool packed, uint32_t size, uint16_t available,
                                          uint16_t used)
{
    uint32_t ahead = virtq_position_offset(available);
    uint32_t behind = virtq_position_offset(used);

    if (!packed) {
        return (uint16_t)(available - used) <= size;
    }
    if (ahead >= size || behind >= size) {
        return false;
    }
    ahead += ((available ^ used) & VIRTQ_POSITION_WRAP) != 0u ? size : 0u;
    return ahead >= behind && ahead - behind <= size;
}

#endif
