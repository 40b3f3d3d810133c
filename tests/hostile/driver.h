/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A hostile driver: writes whatever it likes into a ring that a device end of the library
 * serves.
 *
 * Each body runs with the ring's areas and the guest's memory ending at a page that traps, then
 * with all of them beginning behind one; and on a space that is computed, then on one that is
 * called. The device's view of what it must not write is read-only.
 */
#ifndef VIRTQ_TESTS_HOSTILE_DRIVER_H
#define VIRTQ_TESTS_HOSTILE_DRIVER_H

#include "block.h"
#include "virtq/virtq.h"

enum {
    NEXT = VIRTQ_DESC_F_NEXT,
    WRITE = VIRTQ_DESC_F_WRITE,
    INDIRECT = VIRTQ_DESC_F_INDIRECT,
    AVAIL = PVIRTQ_DESC_F_AVAIL,
    USED = PVIRTQ_DESC_F_USED,
    PIECES = 64,        /* Room of one pop. */
    GUEST_SIZE = 16384, /* Bytes of guest memory. */
    TABLE_MAX = 48      /* Entries of a table, fewer than PIECES. */
};

/** @brief Where guest memory begins. */
#define GUEST UINT64_C(0x40000000)
/** @brief What most queues here negotiate. */
#define BASIC (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC))
/** @brief The same with event indices. */
#define EVENTS (BASIC | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX))

/** @brief A device end of the library, and the driver's side of its ring. */
struct hostile {
    bool begins; /**< Blocks begin behind a trap. */
    bool called; /**< The space is asked, not computed. */
    bool packed;
    uint32_t size;
    struct block guest;   /**< Payload and tables. */
    struct block ring[3]; /**< Descriptor, driver and device area. */
    struct block memory;  /**< The queue's private memory. */
    struct virtq_direct direct;
    struct virtq_region region;
    struct virtq_device_config config;
    struct virtq_device *device;
    uint16_t next; /**< Split: the available index. Packed: position of the next descriptor. */
    struct virtq_chain chain;
    struct virtq_piece pieces[PIECES];
};

/** @brief Grants the guest's memory with some permissions. Before open(). */
static inline void hostile_grant(struct hostile *h, uint32_t permissions)
{
    if (h->guest.at == NULL) {
        block_init(&h->guest, GUEST_SIZE, 16, h->begins);
    }
    h->region = (struct virtq_region){GUEST, GUEST + GUEST_SIZE - 1, h->guest.view, permissions};
    if (h->called) {
        cr_assert_eq(virtq_direct_init_regions(&h->direct, &h->region, 1), 0);
    } else {
        cr_assert_eq(
            virtq_direct_init(&h->direct, h->region.base, GUEST, h->region.last, permissions), 0);
    }
}

static inline void hostile_close(struct hostile *h)
{
    for (unsigned i = 0; i < 3; i++) {
        block_free(&h->ring[i]);
    }
    block_free(&h->memory);
    block_free(&h->guest);
}

/** @brief Builds the device end. `config.space` may have been set; else guest memory is granted
 * for everything. */
static inline void hostile_open(struct hostile *h, bool packed, uint32_t size, uint64_t features)
{
    const size_t n = size;
    const size_t bytes[2][3] = {{n * 16, n * 2 + 6, n * 8 + 6}, {n * 16, 4, 4}};
    size_t need;

    if (h->guest.at == NULL) {
        hostile_grant(h, VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE);
    }
    h->packed = packed;
    h->size = size;
    h->config.struct_size = sizeof(h->config);
    h->config.format = packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    h->config.size = size;
    h->config.features = features | (packed ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0);
    h->config.table_max = TABLE_MAX;
    h->config.space = h->config.space != NULL ? h->config.space : &h->direct.space;
    for (unsigned i = 0; i < 3; i++) {
        block_free(&h->ring[i]);
        block_init(&h->ring[i], bytes[packed][i], i == 0 ? 16 : 4, h->begins);
    }
    h->config.areas = (struct virtq_areas){h->ring[0].view, h->ring[1].view, h->ring[2].view};
    need = virtq_device_size(&h->config);
    cr_assert(need != 0);
    block_free(&h->memory);
    block_init(&h->memory, need, VIRTQ_CACHE_LINE, h->begins);
    /* The device writes used elements and its event word; of a packed ring the descriptors too. */
    block_protect(&h->ring[0], packed);
    block_protect(&h->ring[1], false);
    cr_assert_eq(virtq_device_init(h->memory.view, need, &h->config, &h->device, NULL), 0);
    h->next = packed ? 0x8000 : 0;
}

/** @brief Runs a body over both placements and both kinds of space. */
static inline void hostile_each(void (*body)(struct hostile *h))
{
    for (unsigned variant = 0; variant < 4; variant++) {
        struct hostile h;

        memset(&h, 0, sizeof(h));
        h.begins = (variant & 1) != 0;
        h.called = (variant & 2) != 0;
        body(&h);
        hostile_close(&h);
    }
}

/** @brief A test whose body gets a struct hostile. */
#define Hostile(suite_, name_)                              \
    static void suite_##_##name_##_body(struct hostile *h); \
    Test(suite_, name_)                                     \
    {                                                       \
        hostile_each(suite_##_##name_##_body);              \
    }                                                       \
    static void suite_##_##name_##_body(struct hostile *h)

/** @brief Why the queue is broken. */
static inline struct virtq_fault hostile_fault(const struct hostile *h)
{
    struct virtq_fault fault;

    virtq_device_fault(h->device, &fault);
    return fault;
}

/** @brief Pops at most one chain. */
static inline int hostile_pop(struct hostile *h)
{
    return virtq_device_pop(h->device, &h->chain, 1, h->pieces, PIECES);
}

/** @brief Gives the popped chain back. */
static inline void hostile_return(struct hostile *h, uint32_t len)
{
    struct virtq_used_buffer used = {h->chain.id, len};

    cr_assert_eq(virtq_device_push(h->device, &used, 1), 1);
    cr_assert_eq(virtq_device_publish(h->device), 1);
}

/** @brief The next chain is sound, and has so many pieces and bytes. It is given back. */
static inline void expect_good(struct hostile *h, uint32_t readable, uint32_t writable,
                               uint64_t readable_bytes, uint64_t writable_bytes)
{
    cr_assert_eq(hostile_pop(h), 1);
    cr_assert_eq(h->chain.reason, (uint32_t)VIRTQ_REASON_NONE);
    cr_assert_eq(h->chain.readable, readable);
    cr_assert_eq(h->chain.writable, writable);
    cr_assert_eq(h->chain.readable_bytes, readable_bytes);
    cr_assert_eq(h->chain.writable_bytes, writable_bytes);
    hostile_return(h, (uint32_t)writable_bytes);
}

/** @brief The next chain is bad for this reason, has no pieces, and can be given back; the queue
 * is whole. G6. */
static inline void expect_bad(struct hostile *h, enum virtq_reason reason)
{
    cr_assert_eq(hostile_pop(h), 1);
    cr_assert_eq(h->chain.reason, (uint32_t)reason);
    cr_assert(h->chain.readable == 0 && h->chain.writable == 0);
    cr_assert(h->chain.readable_bytes == 0 && h->chain.writable_bytes == 0);
    cr_assert_null(h->chain.pieces);
    hostile_return(h, 0);
    cr_assert_eq(hostile_fault(h).reason, (uint32_t)VIRTQ_REASON_NONE);
}

/** @brief Every call says that the queue is broken, for the first reason. G5. */
static inline void expect_latched(struct hostile *h, enum virtq_reason reason, uint32_t position,
                                  uint64_t value)
{
    struct virtq_used_buffer used = {0, 0};

    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(hostile_pop(h), VIRTQ_EBROKEN);
        cr_assert_eq(virtq_device_push(h->device, &used, 1), VIRTQ_EBROKEN);
        cr_assert_eq(virtq_device_publish(h->device), VIRTQ_EBROKEN);
        cr_assert_eq(virtq_device_needs_notify(h->device), VIRTQ_EBROKEN);
        cr_assert(virtq_device_enable_notify(h->device));
        virtq_device_disable_notify(h->device);
    }
    cr_assert_eq(hostile_fault(h).reason, (uint32_t)reason);
    cr_assert_eq(hostile_fault(h).position, position);
    cr_assert_eq(hostile_fault(h).value, value);
}

/** @brief The next pop breaks the queue, and it stays so. */
static inline void expect_broken(struct hostile *h, enum virtq_reason reason, uint32_t position,
                                 uint64_t value)
{
    cr_assert_eq(hostile_pop(h), VIRTQ_EBROKEN);
    expect_latched(h, reason, position, value);
}

/* ---- Split ---- */

/** @brief Writes a descriptor, of the ring or of a table at `table`. */
static inline void split_desc_at(unsigned char *table, unsigned index, uint64_t addr, uint32_t len,
                                 unsigned flags, unsigned next)
{
    unsigned char *desc = table + (size_t)index * 16;

    put64(desc, addr);
    put32(desc + 8, len);
    put16(desc + 12, flags);
    put16(desc + 14, next);
}

/** @brief Writes a descriptor of the ring. */
static inline void split_desc(struct hostile *h, unsigned index, uint64_t addr, uint32_t len,
                              unsigned flags, unsigned next)
{
    split_desc_at(h->ring[0].at, index, addr, len, flags, next);
}

/** @brief Writes the available index. */
static inline void split_index(struct hostile *h, unsigned index)
{
    h->next = (uint16_t)index;
    put16(h->ring[1].at + 2, index & 0xffff);
}

/** @brief Makes a head available, whatever it is. */
static inline void split_offer(struct hostile *h, unsigned head)
{
    put16(h->ring[1].at + 4 + (size_t)(h->next & (h->size - 1)) * 2, head);
    split_index(h, h->next + 1u);
}

/* ---- Packed ---- */

/** @brief Writes the descriptor at the next position with flags that say "available", and goes
 * on. */
static inline void packed_desc(struct hostile *h, uint64_t addr, uint32_t len, unsigned id,
                               unsigned flags)
{
    unsigned char *desc = h->ring[0].at + (size_t)(h->next & 0x7fff) * 16;

    put64(desc, addr);
    put32(desc + 8, len);
    put16(desc + 12, id);
    put16(desc + 14, flags | ((h->next & 0x8000) != 0 ? (unsigned)AVAIL : (unsigned)USED));
    h->next++;
    if ((h->next & 0x7fff) == h->size) {
        h->next = (uint16_t)((h->next & 0x8000) ^ 0x8000);
    }
}

/* ---- Either format ---- */

/** @brief One element of a buffer. */
struct element {
    uint64_t addr;
    uint32_t len;
    unsigned flags; /**< WRITE, INDIRECT or other bits; NEXT is put where it belongs. */
};

/** @brief Makes a buffer of `count` elements available, in descriptors 0, 1, ... (split) or with
 * id 0 (packed). Nothing may be in flight. */
static inline void offer_list(struct hostile *h, const struct element *elements, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned flags = elements[i].flags | (i + 1 < count ? (unsigned)NEXT : 0u);

        if (h->packed) {
            packed_desc(h, elements[i].addr, elements[i].len, 0, flags);
        } else {
            split_desc(h, i, elements[i].addr, elements[i].len, flags, i + 1);
        }
    }
    if (!h->packed) {
        split_offer(h, 0);
    }
}

/** @brief Makes a buffer of one element available. */
static inline void offer_one(struct hostile *h, uint64_t addr, uint32_t len, unsigned flags)
{
    const struct element element = {addr, len, flags};

    offer_list(h, &element, 1);
}

/** @brief Writes entry `index` of a table that begins `at` bytes into guest memory. */
static inline void table_entry(struct hostile *h, size_t at, unsigned index, uint64_t addr,
                               uint32_t len, unsigned flags, unsigned next)
{
    unsigned char *table = h->guest.at + at;

    if (h->packed) {
        split_desc_at(table, index, addr, len, 0, flags);
    } else {
        split_desc_at(table, index, addr, len, flags, next);
    }
}

/** @brief Writes a sound table of `count` readable entries of 1 byte each. */
static inline void table_fill(struct hostile *h, size_t at, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        table_entry(h, at, i, GUEST + i, 1, i + 1 < count ? NEXT : 0, i + 1);
    }
}

/** @brief Runs a body for both formats, with a queue of 8. */
static inline void both_formats(struct hostile *h, uint64_t features,
                                void (*body)(struct hostile *))
{
    for (unsigned packed = 0; packed < 2; packed++) {
        hostile_open(h, packed != 0, 8, features);
        body(h);
    }
}

#endif
