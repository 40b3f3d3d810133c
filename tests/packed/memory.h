/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Memory of a test: the ring's areas with no more alignment than they have to have, indirect
 * tables and data, all in one space whose device addresses are not pointers.
 */
#ifndef VIRTQ_TESTS_PACKED_MEMORY_H
#define VIRTQ_TESTS_PACKED_MEMORY_H

#include "virtq/virtq.h"
#include "wire.h"

/** @brief Device address of the first byte. */
#define MEMORY_FIRST UINT64_C(0x40000000)
/** @brief The features of most tests. */
#define MEMORY_BASIC (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_RING_PACKED))
#define MEMORY_EVENTS (MEMORY_BASIC | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX))
#define MEMORY_TABLES (MEMORY_BASIC | VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC))
#define MEMORY_ORDERED (MEMORY_BASIC | VIRTQ_FEATURE(VIRTIO_F_IN_ORDER))

enum {
    MEMORY_DATA = 65536,
    MEMORY_ENTRIES = 16, /**< Of a table. */
    MEMORY_TABLED = 512  /**< Largest queue with a table for each descriptor. */
};

/** @brief The sizes at which something may go wrong: any integer is legal. */
static const uint32_t memory_sizes[] = {1, 2, 3, 7, 300, 32768};
enum { MEMORY_SIZES = sizeof(memory_sizes) / sizeof(memory_sizes[0]) };

struct memory {
    unsigned char *base;
    size_t size;
    unsigned char *data;   /**< MEMORY_DATA bytes. */
    unsigned char *tables; /**< MEMORY_ENTRIES entries for each descriptor. */
    struct wire wire;
    struct virtq_areas areas;
    struct virtq_region region;
    struct virtq_direct direct;
};

static inline uint64_t memory_addr(const struct memory *m, const void *at)
{
    return MEMORY_FIRST + (uint64_t)((const unsigned char *)at - m->base);
}

/** @brief This program's address of a device address. */
static inline unsigned char *memory_at(const struct memory *m, uint64_t addr)
{
    cr_assert(addr >= MEMORY_FIRST && addr - MEMORY_FIRST < m->size);
    return m->base + (addr - MEMORY_FIRST);
}

/** @brief Room for a queue of `size`, filled with junk. @param called the space is asked for each
 * address: a table of regions */
static inline void memory_init(struct memory *m, uint32_t size, bool called)
{
    const size_t ring = (size_t)size * WIRE_DESC;
    const size_t tabled = size <= (uint32_t)MEMORY_TABLED ? size : 1;
    const size_t tables = tabled * MEMORY_ENTRIES * WIRE_DESC;
    const uint32_t both = (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE;

    /* Room behind the areas: a ring that is resized may lie 64 bytes further on. */
    m->size = (MEMORY_DATA + tables + ring + 512 + 4095) / 4096 * 4096;
    m->base = aligned_alloc(4096, m->size);
    cr_assert_not_null(m->base);
    memset(m->base, 0xa5, m->size);
    m->data = m->base;
    m->tables = m->base + MEMORY_DATA;
    /* The ring at 16 but not 32, the event suppression structures at 4 but not 8. */
    m->wire.desc = m->tables + (tables + 31) / 32 * 32 + 16;
    m->wire.driver = m->tables + (tables + 31) / 32 * 32 + ring + 128 + 4;
    m->wire.device = m->wire.driver + 64;
    m->wire.size = size;
    m->areas = (struct virtq_areas){m->wire.desc, m->wire.driver, m->wire.device};
    m->region = (struct virtq_region){MEMORY_FIRST, MEMORY_FIRST + m->size - 1, m->base, both};
    if (called) {
        cr_assert_eq(virtq_direct_init_regions(&m->direct, &m->region, 1), 0);
    } else {
        cr_assert_eq(virtq_direct_init(&m->direct, m->base, MEMORY_FIRST, m->region.last, both), 0);
    }
}

static inline void memory_free(struct memory *m)
{
    free(m->base);
    m->base = NULL;
}

/** @brief Private memory of a queue, on cache lines. */
static inline void *memory_private(size_t size)
{
    const size_t line = VIRTQ_CACHE_LINE;
    void *at = aligned_alloc(line, (size + line - 1) / line * line);

    cr_assert_not_null(at);
    memset(at, 0x5a, size);
    return at;
}

#endif
