/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A driver and a device of the library tier on one queue, of either format.
 */
#ifndef VIRTQ_TESTS_PAIR_H
#define VIRTQ_TESTS_PAIR_H

#include <stdlib.h>

#include "guarded.h"
#include "ledger.h"
#include "virtq/space/bar.h"
#include "virtq/space/direct.h"
#include "virtq/virtq.h"

enum {
    PAIR_CHAINS = 64, /**< Of one pop or poll. */
    PAIR_PIECES = 256,
    PAIR_SEGMENTS = 8,  /**< Of the largest buffer. */
    PAIR_SEGMENT = 16,  /**< Bytes of each. */
    PAIR_DATA = 1 << 15 /**< Bytes of payload: 256 buffers' worth. */
};

/** @brief How a pair is to be. */
enum pair_option {
    PAIR_DIRECT = 0, /**< On the identity. */
    PAIR_LEDGER = 1, /**< On the ledger. */
    PAIR_BAR = 2,
    PAIR_PREMAPPED = 3,
    PAIR_SPACE = 3,      /**< Which of these. */
    PAIR_TABLES = 4,     /**< Indirect tables, and their feature. */
    PAIR_TRANSLATED = 8, /**< The device finds the ring through the space. */
    PAIR_LEGACY = 16     /**< Big-endian (split). */
};

/** @brief Both ends, and all their memory. */
struct pair {
    unsigned format; /**< Set before the test begins. */
    unsigned options;
    struct virtq_direct direct;
    struct virtq_bar bar;
    struct virtq_premapped premapped;
    struct ledger ledger;
    struct virtq_space *space;
    struct virtq_layout layout;
    unsigned char *block; /**< The ring, then the tables, then the payload: whole pages each. */
    size_t block_size;
    size_t ring_size;
    unsigned char *data;
    unsigned char *driver_memory; /**< Each ends at a page that traps. */
    unsigned char *device_memory;
    size_t driver_size;
    size_t device_size;
    struct virtq_driver_config driver_config;
    struct virtq_device_config device_config;
    struct virtq_driver *driver;
    struct virtq_device *device;
    unsigned told; /**< How often the driver was to notify. */
    struct virtq_chain chains[PAIR_CHAINS];
    struct virtq_piece pieces[PAIR_PIECES];
    struct virtq_completion done[PAIR_CHAINS];
    struct virtq_segment segments[PAIR_CHAINS][PAIR_SEGMENTS];
};

static inline size_t pair_pages(size_t bytes)
{
    return (bytes + guarded_page() - 1) / guarded_page() * guarded_page();
}

static inline void pair_open_space(struct pair *p)
{
    const uint32_t both = (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE;

    cr_assert_eq(virtq_direct_init(&p->direct, NULL, 0, UINT64_MAX, both), VIRTQ_OK);
    p->space = &p->direct.space;
    if ((p->options & PAIR_SPACE) == PAIR_LEDGER) {
        ledger_init(&p->ledger);
        p->space = &p->ledger.space;
    } else if ((p->options & PAIR_SPACE) == PAIR_BAR) {
        cr_assert_eq(virtq_bar_init(&p->bar, p->block, p->block_size, both, 0), VIRTQ_OK);
        p->space = &p->bar.space;
    } else if ((p->options & PAIR_SPACE) == PAIR_PREMAPPED) {
        virtq_premapped_init(&p->premapped, &p->direct.space);
        p->space = &p->premapped.space;
    }
}

/** @brief Makes the memory and the configurations; no end is made yet. */
static inline void pair_prepare(struct pair *p, uint32_t size, uint64_t features, unsigned options)
{
    const struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
    const struct virtq_device_config device = VIRTQ_DEVICE_CONFIG_INIT;
    const size_t tables = pair_pages((size_t)size * PAIR_SEGMENTS * 2 * 16);
    const unsigned format = p->format;

    memset(p, 0, sizeof(*p));
    p->format = format;
    p->options = options;
    cr_assert_eq(virtq_layout_init((enum virtq_format)format, size, &p->layout), VIRTQ_OK);
    p->ring_size = pair_pages(p->layout.size);
    p->block_size = p->ring_size + tables + PAIR_DATA;
    p->block = guarded_alloc(p->block_size);
    p->data = p->block + p->ring_size + tables;
    pair_open_space(p);
    features |= format != 0 ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;
    features |= (options & PAIR_LEGACY) != 0 ? 0 : VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    features |= (options & PAIR_TABLES) != 0 ? VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) : 0;
    p->driver_config = driver;
    p->driver_config.format = format;
    p->driver_config.size = size;
    p->driver_config.features = features;
    p->driver_config.flags = (options & PAIR_LEGACY) != 0 ? VIRTQ_DRIVER_BIG_ENDIAN : 0;
    p->driver_config.segments_max = PAIR_SEGMENTS;
    p->driver_config.space = p->space;
    p->driver_config.tables = (options & PAIR_TABLES) != 0 ? p->block + p->ring_size : NULL;
    virtq_layout_areas(&p->layout, p->block, &p->driver_config.areas);
    p->device_config = device;
    p->device_config.format = format;
    p->device_config.size = size;
    p->device_config.features = features;
    p->device_config.flags = (options & PAIR_LEGACY) != 0 ? VIRTQ_DEVICE_BIG_ENDIAN : 0;
    p->device_config.flags |= (options & PAIR_TRANSLATED) != 0 ? VIRTQ_DEVICE_RING_TRANSLATED : 0;
    p->device_config.table_max = 2 * PAIR_SEGMENTS;
    p->device_config.space = p->space;
    p->device_config.areas = p->driver_config.areas;
    p->driver_size = virtq_driver_size(&p->driver_config);
    p->device_size = virtq_device_size(&p->device_config);
    cr_assert(p->driver_size != 0 && p->device_size != 0);
    p->driver_memory = guarded_alloc(p->driver_size);
    p->device_memory = guarded_alloc(p->device_size);
}

static inline void pair_start_driver(struct pair *p)
{
    cr_assert_eq(virtq_driver_init(p->driver_memory, p->driver_size, &p->driver_config, &p->driver),
                 VIRTQ_OK);
    virtq_driver_addresses(p->driver, &p->device_config.addresses);
}

static inline void pair_start_device(struct pair *p)
{
    cr_assert_eq(
        virtq_device_init(p->device_memory, p->device_size, &p->device_config, &p->device, NULL),
        VIRTQ_OK);
}

static inline void pair_open(struct pair *p, uint32_t size, uint64_t features, unsigned options)
{
    pair_prepare(p, size, features, options);
    pair_start_driver(p);
    pair_start_device(p);
}

/** @brief Gives everything back; nothing may be left in the ledger. */
static inline void pair_close(struct pair *p)
{
    if (p->block == NULL) {
        return;
    }
    if (p->driver != NULL) {
        virtq_driver_destroy(p->driver);
    }
    cr_assert_eq(p->ledger.count, 0u);
    guarded_free(p->driver_memory, p->driver_size);
    guarded_free(p->device_memory, p->device_size);
    guarded_free(p->block, p->block_size);
    p->block = NULL;
}

/** @brief Payload of the buffer with a cookie; cookies count from 1. */
static inline unsigned char *pair_payload(const struct pair *p, uintptr_t cookie)
{
    return p->data + (cookie % 256) * PAIR_SEGMENTS * PAIR_SEGMENT;
}

/** @brief Buffer number `slot` of a batch: `readable` + `writable` segments of 16 bytes. */
static inline struct virtq_buffer pair_buffer(struct pair *p, unsigned slot, unsigned readable,
                                              unsigned writable, uintptr_t cookie)
{
    struct virtq_segment *segments = p->segments[slot];
    struct virtq_buffer buffer;

    memset(&buffer, 0, sizeof(buffer));
    for (unsigned i = 0; i < readable + writable && i < PAIR_SEGMENTS; i++) {
        segments[i].len = PAIR_SEGMENT;
        segments[i].base = pair_payload(p, cookie) + (size_t)i * PAIR_SEGMENT;
        if ((p->options & PAIR_SPACE) == PAIR_PREMAPPED) {
            segments[i].addr = (uintptr_t)segments[i].base;
        }
        if (i < readable) {
            memset(pair_payload(p, cookie) + (size_t)i * PAIR_SEGMENT, (int)(cookie + i) & 0xff,
                   PAIR_SEGMENT);
        }
    }
    buffer.segments = segments;
    buffer.cookie = (void *)cookie;
    buffer.readable = (uint16_t)readable;
    buffer.writable = (uint16_t)writable;
    return buffer;
}

/** @brief Adds one buffer. @return what add says */
static inline int pair_add(struct pair *p, unsigned readable, unsigned writable, uintptr_t cookie)
{
    const struct virtq_buffer buffer = pair_buffer(p, 0, readable, writable, cookie);

    return virtq_driver_add(p->driver, &buffer, 1);
}

/** @brief Makes `count` buffers of one writable segment available; cookies from `first` on. */
static inline void pair_send(struct pair *p, unsigned count, uintptr_t first)
{
    for (unsigned i = 0; i < count; i++) {
        cr_assert_eq(pair_add(p, 0, 1, first + i), 1);
    }
    cr_assert_eq(virtq_driver_publish(p->driver), count);
}

static inline int pair_pop(struct pair *p, unsigned count)
{
    return virtq_device_pop(p->device, p->chains, count, p->pieces, PAIR_PIECES);
}

/** @brief Pushes one of the chains popped last. */
static inline int pair_push(struct pair *p, unsigned chain, uint32_t len)
{
    const struct virtq_used_buffer used = {p->chains[chain].id, len};

    return virtq_device_push(p->device, &used, 1);
}

static inline int pair_poll(struct pair *p, unsigned count)
{
    return virtq_driver_poll(p->driver, p->done, count);
}

/** @brief Takes exactly `count` buffers and gives them back, written in full. */
static inline void pair_serve(struct pair *p, unsigned count)
{
    cr_assert_eq(pair_pop(p, count), (int)count);
    for (unsigned i = 0; i < count; i++) {
        cr_assert_eq(p->chains[i].reason, (uint32_t)VIRTQ_REASON_NONE);
        cr_assert_eq(pair_push(p, i, (uint32_t)p->chains[i].writable_bytes), 1);
    }
    cr_assert_eq(virtq_device_publish(p->device), (int)count);
}

/** @brief Gets exactly `count` buffers back, in order; cookies from `first` on. */
static inline void pair_receive(struct pair *p, unsigned count, uintptr_t first)
{
    cr_assert_eq(pair_poll(p, count), (int)count);
    for (unsigned i = 0; i < count; i++) {
        cr_assert_eq((uintptr_t)p->done[i].cookie, first + i);
    }
}

/** @brief `count` buffers there and back. */
static inline void pair_exchange(struct pair *p, unsigned count, uintptr_t first)
{
    pair_send(p, count, first);
    pair_serve(p, count);
    pair_receive(p, count, first);
}

/** @brief Either end asks whether to notify the other, whatever the answer. */
static inline void pair_tell(struct pair *p)
{
    if (virtq_driver_needs_notify(p->driver, NULL)) {
        p->told++;
    }
    cr_assert(virtq_device_needs_notify(p->device) >= 0);
}

/** @brief Nothing is there for either end. */
static inline void pair_idle(struct pair *p)
{
    cr_assert_eq(pair_pop(p, 1), 0);
    cr_assert_eq(pair_poll(p, 1), 0);
    cr_assert_eq(virtq_driver_outstanding(p->driver), 0u);
    cr_assert_eq(virtq_device_outstanding(p->device), 0u);
}

/** @brief A 16-bit word of the ring, little-endian, at a byte of an area. */
static inline void pair_poke(void *area, size_t at, unsigned value)
{
    unsigned char *bytes = area;

    bytes[at] = (unsigned char)value;
    bytes[at + 1] = (unsigned char)(value >> 8);
}

/** @brief Breaks the ring towards the driver, whose next poll sees it: a used index far ahead
 * (split); at the start of the ring, a used descriptor with an id that is none (packed). */
static inline void pair_break_driver(struct pair *p)
{
    const struct virtq_areas *areas = &p->driver_config.areas;

    if (p->format == VIRTQ_FORMAT_SPLIT) {
        pair_poke(areas->device, 2, 1000);
    } else {
        pair_poke(areas->descriptor, 12, 0x7fff);
        pair_poke(areas->descriptor, 14, PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED);
    }
}

/** @brief Breaks a fresh ring towards the device, whose next pop sees it: an available index far
 * ahead (split), an id that is none (packed). */
static inline void pair_break_device(struct pair *p)
{
    const struct virtq_areas *areas = &p->driver_config.areas;

    if (p->format == VIRTQ_FORMAT_SPLIT) {
        pair_poke(areas->driver, 2, 1000);
    } else {
        pair_poke(areas->descriptor, 12, 0x7fff);
        pair_poke(areas->descriptor, 14, PVIRTQ_DESC_F_AVAIL);
    }
}

/** @brief A test that runs once for each format; its body opens `p`. */
#define PairTest(suite, name)                                   \
    static void suite##_##name##_body(struct pair *p);          \
    Test(suite, name)                                           \
    {                                                           \
        for (unsigned format = 0; format < 2; format++) {       \
            struct pair *p = (struct pair *)malloc(sizeof(*p)); \
                                                                \
            cr_assert_not_null(p);                              \
            memset(p, 0, sizeof(*p));                           \
            p->format = format;                                 \
            suite##_##name##_body(p);                           \
            pair_close(p);                                      \
            free(p);                                            \
        }                                                       \
    }                                                           \
    static void suite##_##name##_body(struct pair *p)

#endif
