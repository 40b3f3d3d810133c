/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A packed queue as it lies in memory, byte by byte: what "Packed Virtqueues" says and
 * nothing of the library. Tests read with it what an end wrote, and write what the other end would.
 */
#ifndef VIRTQ_TESTS_PACKED_WIRE_H
#define VIRTQ_TESTS_PACKED_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "support/runner.h"

enum {
    WIRE_NEXT = 1,
    WIRE_WRITE = 2,
    WIRE_INDIRECT = 4,
    WIRE_AVAIL = 1 << 7,
    WIRE_USED = 1 << 15,
    WIRE_BOTH = WIRE_AVAIL | WIRE_USED,
    WIRE_ENABLE = 0,
    WIRE_DISABLE = 1,
    WIRE_AT = 2,         /**< RING_EVENT_FLAGS_DESC. */
    WIRE_DESC = 16,      /**< Bytes of a descriptor. */
    WIRE_IMAGE_MAX = 512 /**< Largest ring an image is kept of. */
};

/** @brief The three areas of a queue. */
struct wire {
    unsigned char *desc;
    unsigned char *driver; /**< Driver event suppression. */
    unsigned char *device; /**< Device event suppression. */
    uint32_t size;
};

/** @brief A descriptor, of the ring or of a table. */
struct wire_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t id;
    uint16_t flags;
};

/** @brief An event suppression structure. */
struct wire_event {
    uint16_t off_wrap;
    uint16_t flags;
};

/** @brief Where an end stands: a descriptor and the wrap counter it is visited with. */
struct place {
    uint32_t offset;
    bool wrap;
};

/* ---- Little-endian fields ---- */

static inline uint64_t wire_get(const unsigned char *at, unsigned width)
{
    uint64_t value = 0;

    for (unsigned i = width; i-- > 0;) {
        value = value << 8 | at[i];
    }
    return value;
}

static inline void wire_put(unsigned char *at, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++) {
        at[i] = (unsigned char)(value >> (8 * i));
    }
}

/* ---- Places: one step at a time, as the prose has it ---- */

static inline struct place place_start(void)
{
    const struct place place = {0, true};

    return place;
}

static inline struct place place_after(struct place place, uint32_t size, uint32_t count)
{
    while (count-- > 0) {
        place.offset++;
        if (place.offset == size) {
            place.offset = 0;
            place.wrap = !place.wrap;
        }
    }
    return place;
}

/** @brief Bits 0 to 14 the offset, bit 15 the wrap counter: event words, states, notifications. */
static inline uint16_t place_word(struct place place)
{
    return (uint16_t)(place.offset | (place.wrap ? 0x8000u : 0u));
}

static inline struct place place_of(uint32_t word)
{
    const struct place place = {word & 0x7fff, (word & 0x8000) != 0};

    return place;
}

/** @brief AVAIL is the wrap counter, USED its inverse. */
static inline unsigned place_available(struct place place)
{
    return place.wrap ? WIRE_AVAIL : WIRE_USED;
}

/** @brief AVAIL and USED are both the wrap counter. */
static inline unsigned place_used(struct place place)
{
    return place.wrap ? WIRE_BOTH : 0u;
}

/* ---- Descriptors ---- */

static inline struct wire_desc wire_desc_of(const unsigned char *at)
{
    struct wire_desc desc;

    desc.addr = wire_get(at, 8);
    desc.len = (uint32_t)wire_get(at + 8, 4);
    desc.id = (uint16_t)wire_get(at + 12, 2);
    desc.flags = (uint16_t)wire_get(at + 14, 2);
    return desc;
}

static inline void wire_desc_put(unsigned char *at, uint64_t addr, uint32_t len, unsigned id,
                                 unsigned flags)
{
    wire_put(at, 8, addr);
    wire_put(at + 8, 4, len);
    wire_put(at + 12, 2, id);
    wire_put(at + 14, 2, flags);
}

static inline unsigned char *wire_at(const struct wire *w, uint32_t offset)
{
    cr_assert_lt(offset, w->size);
    return w->desc + (size_t)offset * WIRE_DESC;
}

static inline struct wire_desc wire_desc(const struct wire *w, struct place place)
{
    return wire_desc_of(wire_at(w, place.offset));
}

static inline void wire_flags_put(const struct wire *w, uint32_t offset, unsigned flags)
{
    wire_put(wire_at(w, offset) + 14, 2, flags);
}

/** @brief Whether the device would find a descriptor at its own place. */
static inline bool wire_is_available(const struct wire *w, struct place place)
{
    return (wire_desc(w, place).flags & (unsigned)WIRE_BOTH) == place_available(place);
}

/** @brief Whether the driver would find a used one at its own place. */
static inline bool wire_is_used(const struct wire *w, struct place place)
{
    return (wire_desc(w, place).flags & (unsigned)WIRE_BOTH) == place_used(place);
}

/* ---- Event suppression ---- */

static inline struct wire_event wire_event(const unsigned char *at)
{
    const struct wire_event event = {(uint16_t)wire_get(at, 2), (uint16_t)wire_get(at + 2, 2)};

    return event;
}

static inline void wire_arm(unsigned char *at, unsigned off_wrap, unsigned flags)
{
    wire_put(at, 2, off_wrap);
    wire_put(at + 2, 2, flags);
}

/* ---- All bytes ---- */

/** @brief Every byte of the three areas. */
struct wire_image {
    unsigned char bytes[WIRE_IMAGE_MAX * WIRE_DESC + 8];
};

static inline void wire_keep(const struct wire *w, struct wire_image *image)
{
    const size_t ring = (size_t)w->size * WIRE_DESC;

    cr_assert_leq(w->size, (uint32_t)WIRE_IMAGE_MAX);
    memcpy(image->bytes, w->desc, ring);
    memcpy(image->bytes + ring, w->driver, 4);
    memcpy(image->bytes + ring + 4, w->device, 4);
}

/** @brief Whether a descriptor is as it was. */
static inline bool wire_same_at(const struct wire *w, const struct wire_image *image,
                                uint32_t offset)
{
    const size_t at = (size_t)offset * WIRE_DESC;

    return memcmp(w->desc + at, image->bytes + at, WIRE_DESC) == 0;
}

/** @brief Whether the whole ring is as it was. */
static inline bool wire_same(const struct wire *w, const struct wire_image *image)
{
    const size_t ring = (size_t)w->size * WIRE_DESC;

    return memcmp(w->desc, image->bytes, ring) == 0 &&
           memcmp(w->driver, image->bytes + ring, 4) == 0 &&
           memcmp(w->device, image->bytes + ring + 4, 4) == 0;
}

#endif
