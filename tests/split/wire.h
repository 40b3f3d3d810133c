/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A split ring as the specification lays it out, read and written byte by byte: what the
 * tests of both ends look at. Shares nothing with the library.
 */
#ifndef VIRTQ_TESTS_SPLIT_WIRE_H
#define VIRTQ_TESTS_SPLIT_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "support/runner.h"

enum {
    WIRE_NEXT = 1,             /* The buffer goes on in `next`. */
    WIRE_WRITE = 2,            /* Device-writable. */
    WIRE_INDIRECT = 4,         /* A table. */
    WIRE_DESC = 16,            /* Bytes of a descriptor. */
    WIRE_IMAGE = 26 * 256 + 12 /* Bytes of the areas of a queue of 256. */
};

/** @brief The three areas of a queue. */
struct wire {
    unsigned char *desc;
    unsigned char *avail;
    unsigned char *used;
    uint32_t size;
    bool big; /**< Big-endian: a legacy queue. */
};

/** @brief A descriptor, of the ring or of a table. */
struct wire_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
};

static inline uint64_t wire_get(const unsigned char *at, unsigned width, bool big)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width; i++) {
        value = value << 8 | at[big ? i : width - 1 - i];
    }
    return value;
}

static inline void wire_put(unsigned char *at, unsigned width, uint64_t value, bool big)
{
    for (unsigned i = 0; i < width; i++) {
        at[big ? width - 1 - i : i] = (unsigned char)(value >> (8 * i));
    }
}

static inline uint16_t wire_get16(const struct wire *w, const unsigned char *at)
{
    return (uint16_t)wire_get(at, 2, w->big);
}

/* ---- Available ring: flags, idx, ring[size], used_event ---- */

static inline unsigned char *wire_avail_at(const struct wire *w, uint32_t index)
{
    return w->avail + 4 + (size_t)(index % w->size) * 2;
}

static inline unsigned char *wire_used_event_at(const struct wire *w)
{
    return w->avail + 4 + (size_t)w->size * 2;
}

static inline uint16_t wire_avail_flags(const struct wire *w)
{
    return wire_get16(w, w->avail);
}

static inline uint16_t wire_avail_idx(const struct wire *w)
{
    return wire_get16(w, w->avail + 2);
}

/** @brief The head in the slot of a free-running index. */
static inline uint16_t wire_avail_head(const struct wire *w, uint32_t index)
{
    return wire_get16(w, wire_avail_at(w, index));
}

static inline uint16_t wire_used_event(const struct wire *w)
{
    return wire_get16(w, wire_used_event_at(w));
}

/* ---- Used ring: flags, idx, ring[size] of (id, len), avail_event ---- */

static inline unsigned char *wire_used_at(const struct wire *w, uint32_t index)
{
    return w->used + 4 + (size_t)(index % w->size) * 8;
}

static inline unsigned char *wire_avail_event_at(const struct wire *w)
{
    return w->used + 4 + (size_t)w->size * 8;
}

static inline uint16_t wire_used_flags(const struct wire *w)
{
    return wire_get16(w, w->used);
}

static inline uint16_t wire_used_idx(const struct wire *w)
{
    return wire_get16(w, w->used + 2);
}

static inline uint32_t wire_used_id(const struct wire *w, uint32_t index)
{
    return (uint32_t)wire_get(wire_used_at(w, index), 4, w->big);
}

static inline uint32_t wire_used_len(const struct wire *w, uint32_t index)
{
    return (uint32_t)wire_get(wire_used_at(w, index) + 4, 4, w->big);
}

static inline uint16_t wire_avail_event(const struct wire *w)
{
    return wire_get16(w, wire_avail_event_at(w));
}

/* ---- Descriptors ---- */

static inline struct wire_desc wire_desc_of(const unsigned char *at, bool big)
{
    struct wire_desc desc;

    desc.addr = wire_get(at, 8, big);
    desc.len = (uint32_t)wire_get(at + 8, 4, big);
    desc.flags = (uint16_t)wire_get(at + 12, 2, big);
    desc.next = (uint16_t)wire_get(at + 14, 2, big);
    return desc;
}

static inline struct wire_desc wire_desc(const struct wire *w, uint32_t index)
{
    cr_assert_lt(index, w->size);
    return wire_desc_of(w->desc + (size_t)index * WIRE_DESC, w->big);
}

static inline void wire_desc_put(unsigned char *at, bool big, uint64_t addr, uint32_t len,
                                 unsigned flags, unsigned next)
{
    wire_put(at, 8, addr, big);
    wire_put(at + 8, 4, len, big);
    wire_put(at + 12, 2, flags, big);
    wire_put(at + 14, 2, next, big);
}

/* ---- What the other end does ---- */

/** @brief The device writes a used element at a free-running index. */
static inline void wire_use_at(const struct wire *w, uint16_t index, uint32_t id, uint32_t len)
{
    wire_put(wire_used_at(w, index), 4, id, w->big);
    wire_put(wire_used_at(w, index) + 4, 4, len, w->big);
}

/** @brief The device moves its index by so many. */
static inline void wire_used_move(const struct wire *w, unsigned by)
{
    wire_put(w->used + 2, 2, wire_used_idx(w) + by, w->big);
}

/** @brief The device uses one buffer. */
static inline void wire_use(const struct wire *w, uint32_t id, uint32_t len)
{
    wire_use_at(w, wire_used_idx(w), id, len);
    wire_used_move(w, 1);
}

/** @brief The driver offers a head. */
static inline void wire_offer(const struct wire *w, uint32_t head)
{
    wire_put(wire_avail_at(w, wire_avail_idx(w)), 2, head, w->big);
    wire_put(w->avail + 2, 2, wire_avail_idx(w) + 1u, w->big);
}

/* ---- All bytes ---- */

static inline size_t wire_bytes(const struct wire *w, unsigned area)
{
    const size_t size = w->size;
    const size_t bytes[3] = {size * 16, size * 2 + 6, size * 8 + 6};

    return bytes[area];
}

/** @brief Every byte of the three areas. */
struct wire_image {
    unsigned char bytes[WIRE_IMAGE];
};

static inline void wire_keep(const struct wire *w, struct wire_image *image)
{
    const size_t desc = wire_bytes(w, 0);
    const size_t avail = wire_bytes(w, 1);

    cr_assert_leq(w->size, 256u);
    memcpy(image->bytes, w->desc, desc);
    memcpy(image->bytes + desc, w->avail, avail);
    memcpy(image->bytes + desc + avail, w->used, wire_bytes(w, 2));
}

/** @brief Whether an area is as it was: 0 descriptors, 1 available, 2 used. */
static inline bool wire_same(const struct wire *w, const struct wire_image *image, unsigned area)
{
    unsigned char *const areas[3] = {w->desc, w->avail, w->used};
    size_t offset = 0;

    for (unsigned i = 0; i < area; i++) {
        offset += wire_bytes(w, i);
    }
    return memcmp(areas[area], image->bytes + offset, wire_bytes(w, area)) == 0;
}

/** @brief Whether the whole ring is as it was. */
static inline bool wire_same_all(const struct wire *w, const struct wire_image *image)
{
    return wire_same(w, image, 0) && wire_same(w, image, 1) && wire_same(w, image, 2);
}

#endif
