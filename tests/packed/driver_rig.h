/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A driver end on a ring of its own, the device's side of it by hand, and short words for
 * what tests do with them.
 */
#ifndef VIRTQ_TESTS_PACKED_DRIVER_RIG_H
#define VIRTQ_TESTS_PACKED_DRIVER_RIG_H

#include "driver.h"

enum { RIG_SEGMENTS = MEMORY_ENTRIES / 2 };

struct driver_rig {
    const struct driver_calls *calls;
    bool called;    /**< The space is asked, not computed. */
    uint64_t extra; /**< Features beside those of the test. */
    bool open;
    struct memory m;
    struct wire *w;
    struct virtq_driver_config config;
    union driver_queue q;
    void *memory;
    size_t memory_size;
    uint32_t next_data;   /**< Where the next segment lies. */
    struct place avail;   /**< Where the driver has to put its next descriptor. */
    struct place used;    /**< Where the device puts its next one. */
    uint16_t segments[2]; /**< Readable and writable segments of the latest buffer ... */
    struct virtq_segment latest[RIG_SEGMENTS + 8]; /**< ... and where they lie. */
};

static inline void rig_close(struct driver_rig *r)
{
    if (r->open) {
        r->calls->destroy(&r->q);
        r->open = false;
    }
    free(r->memory);
    r->memory = NULL;
    memory_free(&r->m);
}

/** @brief A configuration for the rig's memory; nothing is built yet. */
static inline void rig_prepare(struct driver_rig *r, uint32_t size, uint64_t features)
{
    const struct virtq_driver_config fresh = VIRTQ_DRIVER_CONFIG_INIT;
    const uint32_t flags = r->config.flags;

    rig_close(r);
    memory_init(&r->m, size, r->called);
    r->w = &r->m.wire;
    r->config = fresh;
    r->config.flags = flags;
    r->config.format = VIRTQ_FORMAT_PACKED;
    r->config.size = size;
    r->config.features = features | r->extra;
    r->config.segments_max = RIG_SEGMENTS;
    r->config.notify_id = 3;
    r->config.space = &r->m.direct.space;
    r->config.areas = r->m.areas;
    if (virtq_feature_has(features, VIRTIO_F_INDIRECT_DESC) != 0) {
        cr_assert_leq(size, (uint32_t)MEMORY_TABLED);
        r->config.tables = r->m.tables;
        cr_assert(virtq_driver_tables_size(&r->config) <=
                  (size_t)size * MEMORY_ENTRIES * WIRE_DESC);
    }
    r->memory_size = r->calls->size(&r->config);
    cr_assert_neq(r->memory_size, 0u);
    r->memory = memory_private(r->memory_size);
    r->avail = place_start();
    r->used = place_start();
}

static inline void rig_open(struct driver_rig *r, uint32_t size, uint64_t features)
{
    rig_prepare(r, size, features);
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    r->open = true;
}

/** @brief A queue that stands at `start` (offset, and the wrap counter in bit 15), with no test for
 * a notification pending. */
static inline void rig_open_at(struct driver_rig *r, uint32_t size, uint64_t features,
                               uint16_t start)
{
    const struct virtq_state state = {VIRTQ_FORMAT_PACKED, size, start, start, 0};

    rig_open(r, size, features);
    cr_assert_eq(r->calls->restore(&r->q, &state), 0);
    cr_assert(r->calls->needs_notify(&r->q, NULL));
    r->avail = place_of(start);
    r->used = r->avail;
}

/** @brief Runs a body over: the library tier computing addresses, the inline tier, the library
 * tier asking a space, and the same with device-strength barriers. */
static inline void rig_each(void (*body)(struct driver_rig *r))
{
    for (unsigned tier = 0; tier < 4; tier++) {
        struct driver_rig r;

        memset(&r, 0, sizeof(r));
        r.calls = tier == 1 ? &inline_driver : &library_driver;
        r.called = tier >= 2;
        r.extra = tier == 3 ? VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM) : 0;
        body(&r);
        rig_close(&r);
    }
}

/** @brief A test whose body gets a struct driver_rig, once for each tier. */
#define DriverTest(suite_, name_)                              \
    static void suite_##_##name_##_body(struct driver_rig *r); \
    Test(suite_, name_)                                        \
    {                                                          \
        rig_each(suite_##_##name_##_body);                     \
    }                                                          \
    static void suite_##_##name_##_body(struct driver_rig *r)

/* ---- The driver ---- */

/** @brief A buffer of segments that nobody else has; the k-th one is of k + 1 bytes. */
static inline struct virtq_buffer rig_make(struct driver_rig *r, unsigned readable,
                                           unsigned writable, uintptr_t cookie)
{
    const struct virtq_buffer buffer = {r->latest, (void *)cookie, (uint16_t)readable,
                                        (uint16_t)writable, 0};

    cr_assert_leq(readable + writable, (unsigned)RIG_SEGMENTS + 8);
    for (unsigned k = 0; k < readable + writable; k++) {
        r->latest[k].base = r->m.data + r->next_data;
        r->latest[k].len = k + 1;
        r->next_data = (r->next_data + 32) % MEMORY_DATA;
    }
    r->segments[0] = (uint16_t)readable;
    r->segments[1] = (uint16_t)writable;
    return buffer;
}

/** @brief Adds one buffer; gives what add gave. */
static inline int rig_try(struct driver_rig *r, unsigned readable, unsigned writable,
                          uintptr_t cookie)
{
    const struct virtq_buffer buffer = rig_make(r, readable, writable, cookie);

    return r->calls->add(&r->q, &buffer, 1);
}

/** @brief Adds one buffer, which must go, in so many ring descriptors. */
static inline void rig_add(struct driver_rig *r, unsigned readable, unsigned writable,
                           uintptr_t cookie)
{
    const bool table = r->config.tables != NULL && readable + writable > 1;

    cr_assert_eq(rig_try(r, readable, writable, cookie), 1);
    r->avail = place_after(r->avail, r->w->size, table ? 1 : readable + writable);
}

/** @brief The latest buffer lies in a list from `first` on, exactly as it has to; gives its id. */
static inline uint16_t rig_expect_list(const struct driver_rig *r, struct place first)
{
    const unsigned count = (unsigned)r->segments[0] + r->segments[1];
    struct wire_desc desc = {0, 0, 0, 0};

    for (unsigned k = 0; k < count; k++) {
        unsigned flags = place_available(first);

        flags |= k < r->segments[0] ? 0u : (unsigned)WIRE_WRITE;
        flags |= k + 1 < count ? (unsigned)WIRE_NEXT : 0u;
        desc = wire_desc(r->w, first);
        cr_assert_eq(desc.addr, memory_addr(&r->m, r->latest[k].base));
        cr_assert_eq(desc.len, r->latest[k].len);
        cr_assert_eq(desc.flags, flags);
        first = place_after(first, r->w->size, 1);
    }
    /* That of the last descriptor counts. */
    cr_assert_lt(desc.id, r->w->size);
    return desc.id;
}

/** @brief Adds a buffer and publishes it; gives its id, from its last ring descriptor. */
static inline uint16_t rig_send(struct driver_rig *r, unsigned readable, unsigned writable,
                                uintptr_t cookie)
{
    const struct place first = r->avail;

    rig_add(r, readable, writable, cookie);
    cr_assert_eq(r->calls->publish(&r->q), 1u);
    if (r->config.tables != NULL && readable + writable > 1) {
        return wire_desc(r->w, first).id;
    }
    return rig_expect_list(r, first);
}

/** @brief Takes exactly one buffer back. */
static inline struct virtq_completion rig_poll(struct driver_rig *r)
{
    struct virtq_completion completion = {0};

    cr_assert_eq(r->calls->poll(&r->q, &completion, 1), 1);
    return completion;
}

static inline int rig_poll_none(struct driver_rig *r)
{
    struct virtq_completion completion;

    return r->calls->poll(&r->q, &completion, 1);
}

static inline uint32_t rig_room(const struct driver_rig *r)
{
    return r->calls->core != NULL ? r->calls->core(&r->q)->room : virtq_driver_room(r->q.library);
}

static inline uint32_t rig_outstanding(const struct driver_rig *r)
{
    return r->calls->core != NULL
               ? r->calls->core(&r->q)->outstanding + r->calls->core(&r->q)->unpublished
               : virtq_driver_outstanding(r->q.library);
}

static inline struct virtq_fault rig_fault(const struct driver_rig *r)
{
    struct virtq_fault fault;

    if (r->calls->core != NULL) {
        return r->calls->core(&r->q)->fault;
    }
    virtq_driver_fault(r->q.library, &fault);
    return fault;
}

static inline struct virtq_counters rig_counters(const struct driver_rig *r)
{
    struct virtq_counters counters;

    if (r->calls->core != NULL) {
        return r->calls->core(&r->q)->counters;
    }
    virtq_driver_counters(r->q.library, &counters);
    return counters;
}

/** @brief The queue is broken, for this reason, and every call says so. */
static inline void rig_expect_broken(struct driver_rig *r, enum virtq_reason reason,
                                     uint32_t position, uint64_t value)
{
    const struct virtq_fault fault = rig_fault(r);

    cr_assert_eq(fault.reason, (uint32_t)reason);
    cr_assert_eq(fault.position, position);
    cr_assert_eq(fault.value, value);
    cr_assert_eq(rig_poll_none(r), VIRTQ_EBROKEN);
    cr_assert_eq(rig_try(r, 1, 0, 0), VIRTQ_EBROKEN);
}

/* ---- The device, by hand ---- */

/** @brief Uses a buffer of so many descriptors: one used descriptor at the device's own place. */
static inline void rig_use(struct driver_rig *r, unsigned id, uint32_t len, uint32_t slots)
{
    const unsigned write = len != 0 ? (unsigned)WIRE_WRITE : 0u;

    /* The address of a used descriptor means nothing. */
    wire_desc_put(wire_at(r->w, r->used.offset), UINT64_C(0xdead0000dead0000), len, id,
                  place_used(r->used) | write);
    r->used = place_after(r->used, r->w->size, slots);
}

/** @brief So many one-descriptor buffers go through the queue. */
static inline void rig_pass(struct driver_rig *r, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        rig_use(r, rig_send(r, 1, 0, i), 0, 1);
        cr_assert_eq((uintptr_t)rig_poll(r).cookie, i);
    }
}

#endif
