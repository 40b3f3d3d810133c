/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A device end on a ring that the test writes by hand, and short words for what tests do
 * with it.
 */
#ifndef VIRTQ_TESTS_SPLIT_DEVICE_RIG_H
#define VIRTQ_TESTS_SPLIT_DEVICE_RIG_H

#include "device.h"

enum { RIG_CHAINS = 64, RIG_PIECES = 128 };

struct device_rig {
    const struct device_calls *calls;
    bool called; /**< The space is asked, not computed. */
    struct memory m;
    struct wire *w;
    struct virtq_device_config config;
    union device_queue q;
    void *memory;
    size_t memory_size;
    struct virtq_chain chains[RIG_CHAINS];
    struct virtq_piece pieces[RIG_PIECES];
};

static inline void rig_close(struct device_rig *r)
{
    free(r->memory);
    r->memory = NULL;
    memory_free(&r->m);
}

/** @brief A configuration for the rig's memory; nothing is built yet. The ring is zeroed, its
 * indices stand at `start`. */
static inline void rig_prepare(struct device_rig *r, uint32_t size, uint64_t features,
                               uint16_t start)
{
    const struct virtq_device_config fresh = VIRTQ_DEVICE_CONFIG_INIT;
    const uint32_t flags = r->config.flags;
    const uint32_t table_max = r->config.table_max;

    rig_close(r);
    memory_init(&r->m, size, r->called);
    r->w = &r->m.wire;
    memset(r->w->desc, 0, wire_bytes(r->w, 0));
    memset(r->w->avail, 0, wire_bytes(r->w, 1));
    memset(r->w->used, 0, wire_bytes(r->w, 2));
    wire_put(r->w->avail + 2, 2, start, false);
    wire_put(r->w->used + 2, 2, start, false);
    r->config = fresh;
    r->config.flags = flags;
    r->config.table_max = table_max;
    r->config.format = VIRTQ_FORMAT_SPLIT;
    r->config.size = size;
    r->config.features = features;
    r->config.space = &r->m.direct.space;
    r->config.areas = r->m.areas;
    r->memory_size = r->calls->size(&r->config);
    cr_assert_neq(r->memory_size, 0u);
    r->memory = memory_private(r->memory_size);
}

static inline void rig_open(struct device_rig *r, uint32_t size, uint64_t features)
{
    rig_prepare(r, size, features, 0);
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
}

/** @brief A queue whose indices stand at `start`. */
static inline void rig_open_at(struct device_rig *r, uint32_t size, uint64_t features,
                               uint16_t start)
{
    const struct virtq_state state = {VIRTQ_FORMAT_SPLIT, size, start, start, 0};

    rig_prepare(r, size, features, start);
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    cr_assert_eq(r->calls->restore(&r->q, &state), 0);
}

/** @brief Runs a body over: the library tier computing addresses, the inline tier, the library
 * tier asking a space. */
static inline void rig_each(void (*body)(struct device_rig *r))
{
    for (unsigned tier = 0; tier < 3; tier++) {
        struct device_rig *r = calloc(1, sizeof(*r));

        cr_assert_not_null(r);
        r->calls = tier == 1 ? &inline_device : &library_device;
        r->called = tier == 2;
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

/** @brief Writes a descriptor of the ring; its data lies at `offset`. */
static inline void rig_desc(const struct device_rig *r, unsigned index, uint32_t offset,
                            uint32_t len, unsigned flags, unsigned next)
{
    wire_desc_put(r->w->desc + (size_t)index * 16, r->w->big, MEMORY_FIRST + offset, len, flags,
                  next);
}

/** @brief Writes an entry of a table at `table` bytes into the tables' memory. */
static inline void rig_entry(const struct device_rig *r, size_t table, unsigned index,
                             uint32_t offset, uint32_t len, unsigned flags, unsigned next)
{
    wire_desc_put(r->m.tables + table + (size_t)index * 16, r->w->big, MEMORY_FIRST + offset, len,
                  flags, next);
}

/** @brief Writes a descriptor of the ring that refers to such a table. */
static inline void rig_table(const struct device_rig *r, unsigned index, size_t table, uint32_t len,
                             unsigned flags)
{
    wire_desc_put(r->w->desc + (size_t)index * 16, r->w->big,
                  memory_addr(&r->m, r->m.tables + table), len, (unsigned)WIRE_INDIRECT | flags, 0);
}

/** @brief Offers a buffer of one descriptor with `len` writable bytes. */
static inline void rig_offer(const struct device_rig *r, unsigned index, uint32_t len)
{
    rig_desc(r, index, index * 64, len, WIRE_WRITE, 0);
    wire_offer(r->w, index);
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

/** @brief Marks one popped buffer used and shows it. */
static inline void rig_return(struct device_rig *r, uint32_t id, uint32_t len)
{
    cr_assert_eq(rig_push(r, id, len), 1);
    cr_assert_eq(r->calls->publish(&r->q), 1);
}

/** @brief So many one-descriptor buffers go through the queue, which is otherwise empty. */
static inline void rig_pass(struct device_rig *r, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        rig_offer(r, i % r->w->size, 8);
        rig_return(r, rig_pop_one(r)->id, 8);
    }
}

/** @brief A piece is so many bytes at `offset` of the data. */
static inline void rig_expect_piece(const struct device_rig *r, const struct virtq_chain *chain,
                                    unsigned index, uint32_t offset, uint32_t len)
{
    cr_assert(chain->pieces[index].base == r->m.data + offset);
    cr_assert_eq(chain->pieces[index].len, len);
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

/** @brief The next pop breaks the queue, for this reason; nothing of the ring is written. */
static inline void rig_expect_broken(struct device_rig *r, enum virtq_reason reason, uint64_t value)
{
    struct wire_image before;

    wire_keep(r->w, &before);
    cr_assert_eq(rig_pop(r, RIG_CHAINS), VIRTQ_EBROKEN);
    cr_assert_eq(rig_pop(r, RIG_CHAINS), VIRTQ_EBROKEN);
    cr_assert_eq(rig_push(r, 0, 0), VIRTQ_EBROKEN);
    cr_assert_eq(rig_fault(r).reason, (uint32_t)reason);
    cr_assert_eq(rig_fault(r).value, value);
    cr_assert(wire_same_all(r->w, &before));
}

/** @brief The next buffer is bad, for this reason, and is given back. */
static inline void rig_expect_bad(struct device_rig *r, enum virtq_reason reason)
{
    const uint16_t at = wire_used_idx(r->w);

    cr_assert_eq(rig_pop(r, 1), 1);
    cr_assert_eq(r->chains[0].reason, (uint32_t)reason);
    cr_assert_null(r->chains[0].pieces);
    cr_assert(r->chains[0].readable == 0 && r->chains[0].writable == 0);
    cr_assert_eq(rig_push(r, r->chains[0].id, 1), VIRTQ_EINVAL);
    rig_return(r, r->chains[0].id, 0);
    cr_assert_eq(wire_used_id(r->w, at), r->chains[0].id);
    cr_assert_eq(wire_used_len(r->w, at), 0u);
    cr_assert_eq(rig_fault(r).reason, (uint32_t)VIRTQ_REASON_NONE);
}

#endif
