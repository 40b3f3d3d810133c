/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A device end on a ring whose driver is played by hand, and short words for what tests do
 * with it.
 */
#ifndef VIRTQ_TESTS_PACKED_DEVICE_RIG_H
#define VIRTQ_TESTS_PACKED_DEVICE_RIG_H

#include "device.h"

enum { RIG_CHAINS = 64, RIG_PIECES = 512, RIG_APART = 32 /* bytes between elements */ };

/** @brief An id that stands where none counts. */
enum { RIG_NO_ID = 0xbeef };

struct device_rig {
    const struct device_calls *calls;
    bool called;    /**< The space is asked, not computed. */
    uint64_t extra; /**< Features beside those of the test. */
    struct memory m;
    struct wire *w;
    struct virtq_device_config config;
    union device_queue q;
    void *memory;
    size_t memory_size;
    struct place avail; /**< Where the driver puts its next descriptor. */
    struct place used;  /**< Where the device has to put its next one. */
    struct virtq_chain chains[RIG_CHAINS];
    struct virtq_piece pieces[RIG_PIECES];
};

static inline void rig_close(struct device_rig *r)
{
    free(r->memory);
    r->memory = NULL;
    memory_free(&r->m);
}

/** @brief A configuration for the rig's memory; nothing is built yet. The ring is one that stands
 * at `start` (offset, and the wrap counter in bit 15): every descriptor says "used" a lap ago. */
static inline void rig_prepare(struct device_rig *r, uint32_t size, uint64_t features,
                               uint16_t start)
{
    const struct virtq_device_config fresh = VIRTQ_DEVICE_CONFIG_INIT;
    const uint32_t flags = r->config.flags;
    const uint32_t table_max = r->config.table_max;

    rig_close(r);
    memory_init(&r->m, size, r->called);
    r->w = &r->m.wire;
    r->avail = place_of(start);
    r->used = r->avail;
    for (uint32_t at = 0; at < size; at++) {
        const bool wrap = at < r->avail.offset ? r->avail.wrap : !r->avail.wrap;

        wire_desc_put(wire_at(r->w, at), 0, 0, 0, wrap ? WIRE_BOTH : 0u);
    }
    memset(r->w->driver, 0, 4);
    memset(r->w->device, 0, 4);
    r->config = fresh;
    r->config.flags = flags;
    r->config.table_max = table_max;
    r->config.format = VIRTQ_FORMAT_PACKED;
    r->config.size = size;
    r->config.features = features | r->extra;
    r->config.space = &r->m.direct.space;
    r->config.areas = r->m.areas;
    r->memory_size = r->calls->size(&r->config);
    cr_assert_neq(r->memory_size, 0u);
    r->memory = memory_private(r->memory_size);
}

static inline void rig_open(struct device_rig *r, uint32_t size, uint64_t features)
{
    rig_prepare(r, size, features, 0x8000);
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
}

/** @brief A queue that stands at `start`. */
static inline void rig_open_at(struct device_rig *r, uint32_t size, uint64_t features,
                               uint16_t start)
{
    const struct virtq_state state = {VIRTQ_FORMAT_PACKED, size, start, start, 0};

    rig_prepare(r, size, features, start);
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    cr_assert_eq(r->calls->restore(&r->q, &state), 0);
}

/** @brief Runs a body over: the library tier computing addresses, the inline tier, the library
 * tier asking a space, and the same with device-strength barriers. */
static inline void rig_each(void (*body)(struct device_rig *r))
{
    for (unsigned tier = 0; tier < 4; tier++) {
        struct device_rig *r = calloc(1, sizeof(*r));

        cr_assert_not_null(r);
        r->calls = tier == 1 ? &inline_device : &library_device;
        r->called = tier >= 2;
        r->extra = tier == 3 ? VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM) : 0;
        body(r);
        rig_close(r);
        free(r);
    }
}

/** @brief A test whose body gets a struct device_rig, once for each tier. */
#define DeviceTest(suite_, name_)                              \
    static void suite_##_##name_##_body(struct device_rig *r); \
    Test(suite_, name_)                                        \
    {                                                          \
        rig_each(suite_##_##name_##_body);                     \
    }                                                          \
    static void suite_##_##name_##_body(struct device_rig *r)

/* ---- The driver, by hand ---- */

/** @brief Writes the driver's next descriptor, available at once; its data lies at `offset`. */
static inline void rig_put(struct device_rig *r, uint32_t offset, uint32_t len, unsigned id,
                           unsigned flags)
{
    wire_desc_put(wire_at(r->w, r->avail.offset), MEMORY_FIRST + offset, len, id,
                  flags | place_available(r->avail));
    r->avail = place_after(r->avail, r->w->size, 1);
}

/** @brief Offers a buffer of one descriptor with `len` writable bytes. */
static inline void rig_offer(struct device_rig *r, unsigned id, uint32_t len)
{
    rig_put(r, id % 64 * RIG_APART, len, id, WIRE_WRITE);
}

/** @brief Offers a list: the k-th element has k + 1 bytes at its own place, only the last one
 * has the id. */
static inline void rig_offer_list(struct device_rig *r, unsigned id, unsigned readable,
                                  unsigned writable)
{
    const unsigned count = readable + writable;

    for (unsigned k = 0; k < count; k++) {
        const unsigned next = k + 1 < count ? (unsigned)WIRE_NEXT : 0u;

        rig_put(r, k * RIG_APART % 32768, k + 1, next != 0 ? (unsigned)RIG_NO_ID : id,
                next | (k < readable ? 0u : (unsigned)WIRE_WRITE));
    }
}

/** @brief Writes an entry of a table at `table` bytes into the tables' memory; its id is junk. */
static inline void rig_entry(const struct device_rig *r, size_t table, unsigned index,
                             uint32_t offset, uint32_t len, unsigned flags)
{
    wire_desc_put(r->m.tables + table + (size_t)index * WIRE_DESC, MEMORY_FIRST + offset, len,
                  RIG_NO_ID, flags);
}

/** @brief Offers a buffer in such a table. */
static inline void rig_table(struct device_rig *r, unsigned id, size_t table, uint32_t len,
                             unsigned flags)
{
    wire_desc_put(wire_at(r->w, r->avail.offset), memory_addr(&r->m, r->m.tables + table), len, id,
                  (unsigned)WIRE_INDIRECT | flags | place_available(r->avail));
    r->avail = place_after(r->avail, r->w->size, 1);
}

/* ---- The device ---- */

static inline int rig_pop(struct device_rig *r, unsigned count)
{
    return r->calls->pop(&r->q, r->chains, count, r->pieces, RIG_PIECES);
}

/** @brief Pops exactly one sound buffer. */
static inline const struct virtq_chain *rig_pop_one(struct device_rig *r)
{
    cr_assert_eq(rig_pop(r, 1), 1);
    cr_assert_eq(r->chains[0].reason, (uint32_t)VIRTQ_REASON_NONE);
    return &r->chains[0];
}

static inline int rig_push(struct device_rig *r, uint32_t id, uint32_t len)
{
    const struct virtq_used_buffer used = {id, len};

    return r->calls->push(&r->q, &used, 1);
}

/** @brief A used descriptor stands at the device's place, exactly as it has to; of a buffer of so
 * many descriptors. */
static inline void rig_expect_used(struct device_rig *r, unsigned id, uint32_t len, uint32_t slots)
{
    const struct wire_desc desc = wire_desc(r->w, r->used);

    cr_assert_eq(desc.id, id);
    cr_assert_eq(desc.len, len);
    cr_assert_eq(desc.flags, place_used(r->used) | (len != 0 ? (unsigned)WIRE_WRITE : 0u));
    r->used = place_after(r->used, r->w->size, slots);
}

/** @brief Marks one popped buffer used and shows it; the wire is judged. */
static inline void rig_return(struct device_rig *r, uint32_t id, uint32_t len, uint32_t slots)
{
    cr_assert_eq(rig_push(r, id, len), 1);
    cr_assert_eq(r->calls->publish(&r->q), 1);
    rig_expect_used(r, id, len, slots);
}

/** @brief So many one-descriptor buffers go through the queue. */
static inline void rig_pass(struct device_rig *r, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const unsigned id = i * 5 % r->w->size;

        rig_offer(r, id, 8);
        cr_assert_eq(rig_pop_one(r)->id, id);
        rig_return(r, id, i % 9, 1);
    }
}

/** @brief A piece is so many bytes at `offset` of the data. */
static inline void rig_expect_piece(const struct device_rig *r, const struct virtq_chain *chain,
                                    unsigned index, uint32_t offset, uint32_t len)
{
    cr_assert(chain->pieces[index].base == r->m.data + offset);
    cr_assert_eq(chain->pieces[index].len, len);
}

/** @brief A chain is what rig_offer_list() offered. */
static inline void rig_expect_list(const struct device_rig *r, const struct virtq_chain *chain,
                                   unsigned id, unsigned readable, unsigned writable)
{
    cr_assert_eq(chain->id, id);
    cr_assert_eq(chain->readable, readable);
    cr_assert_eq(chain->writable, writable);
    for (unsigned k = 0; k < readable + writable; k++) {
        rig_expect_piece(r, chain, k, k * RIG_APART % 32768, k + 1);
    }
}

static inline struct virtq_fault rig_fault(const struct device_rig *r)
{
    struct virtq_fault fault;

    if (r->calls->core != NULL) {
        return r->calls->core(&r->q)->fault;
    }
    virtq_device_fault(r->q.library, &fault);
    return fault;
}

static inline uint32_t rig_outstanding(const struct device_rig *r)
{
    return r->calls->core != NULL ? r->calls->core(&r->q)->in_flight
                                  : virtq_device_outstanding(r->q.library);
}

/** @brief The next pop breaks the queue, for this reason, and it stays so; nothing of the ring is
 * written. */
static inline void rig_expect_broken(struct device_rig *r, enum virtq_reason reason,
                                     struct place position, uint64_t value)
{
    struct wire_image before;

    wire_keep(r->w, &before);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(rig_pop(r, RIG_CHAINS), VIRTQ_EBROKEN);
        cr_assert_eq(rig_push(r, 0, 0), VIRTQ_EBROKEN);
        cr_assert_eq(r->calls->publish(&r->q), VIRTQ_EBROKEN);
        cr_assert_eq(r->calls->needs_notify(&r->q), VIRTQ_EBROKEN);
    }
    cr_assert_eq(rig_fault(r).reason, (uint32_t)reason);
    cr_assert_eq(rig_fault(r).position, place_word(position));
    cr_assert_eq(rig_fault(r).value, value);
    cr_assert(wire_same(r->w, &before));
}

/** @brief The next buffer is bad, for this reason, and is given back. */
static inline void rig_expect_bad(struct device_rig *r, enum virtq_reason reason, uint32_t slots)
{
    cr_assert_eq(rig_pop(r, 1), 1);
    cr_assert_eq(r->chains[0].reason, (uint32_t)reason);
    cr_assert_null(r->chains[0].pieces);
    cr_assert(r->chains[0].readable == 0 && r->chains[0].writable == 0);
    rig_return(r, r->chains[0].id, 0, slots);
    cr_assert_eq(rig_fault(r).reason, (uint32_t)VIRTQ_REASON_NONE);
}

#endif
