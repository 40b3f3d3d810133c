/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A driver end on a ring of its own, and short words for what tests do with it.
 */
#ifndef VIRTQ_TESTS_SPLIT_DRIVER_RIG_H
#define VIRTQ_TESTS_SPLIT_DRIVER_RIG_H

#include "driver.h"

struct driver_rig {
    const struct driver_calls *calls;
    bool called; /**< The space is asked, not computed. */
    bool open;
    struct memory m;
    struct wire *w;
    struct virtq_driver_config config;
    union driver_queue q;
    void *memory;
    size_t memory_size;
    uint32_t next_data; /**< Where the next segment lies. */
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
    r->config.format = VIRTQ_FORMAT_SPLIT;
    r->config.size = size;
    r->config.features = features;
    r->config.segments_max = MEMORY_ENTRIES / 2;
    r->config.notify_id = 3;
    r->config.space = &r->m.direct.space;
    r->config.areas = r->m.areas;
    if (virtq_feature_has(features, VIRTIO_F_INDIRECT_DESC) != 0) {
        r->config.tables = r->m.tables;
        cr_assert(virtq_driver_tables_size(&r->config) <= (size_t)size * MEMORY_ENTRIES * 16);
    }
    r->memory_size = r->calls->size(&r->config);
    cr_assert_neq(r->memory_size, 0u);
    r->memory = memory_private(r->memory_size);
}

static inline void rig_open(struct driver_rig *r, uint32_t size, uint64_t features)
{
    rig_prepare(r, size, features);
    cr_assert_eq(r->calls->init(&r->q, r->memory, r->memory_size, &r->config), 0);
    r->open = true;
}

/** @brief A queue whose indices stand at `start`, with no test for a notification pending. */
static inline void rig_open_at(struct driver_rig *r, uint32_t size, uint64_t features,
                               uint16_t start)
{
    const struct virtq_state state = {VIRTQ_FORMAT_SPLIT, size, start, start, 0};

    rig_open(r, size, features);
    cr_assert_eq(r->calls->restore(&r->q, &state), 0);
    cr_assert(r->calls->needs_notify(&r->q, NULL));
}

/** @brief Runs a body over: the library tier computing addresses, the inline tier, the library
 * tier asking a space. */
static inline void rig_each(void (*body)(struct driver_rig *r))
{
    for (unsigned tier = 0; tier < 3; tier++) {
        struct driver_rig r;

        memset(&r, 0, sizeof(r));
        r.calls = tier == 1 ? &inline_driver : &library_driver;
        r.called = tier == 2;
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

/** @brief A buffer and its segments. */
struct rig_buffer {
    struct virtq_segment segments[MEMORY_ENTRIES + 8];
    struct virtq_buffer buffer;
};

/** @brief A buffer of segments that nobody else has; the k-th one is of k + 1 bytes. */
static inline const struct virtq_buffer *rig_make(struct driver_rig *r, struct rig_buffer *b,
                                                  unsigned readable, unsigned writable,
                                                  uintptr_t cookie)
{
    for (unsigned k = 0; k < readable + writable; k++) {
        b->segments[k].base = r->m.data + r->next_data;
        b->segments[k].len = k + 1;
        r->next_data = (r->next_data + 32) % MEMORY_DATA;
    }
    b->buffer = (struct virtq_buffer){b->segments, (void *)cookie, (uint16_t)readable,
                                      (uint16_t)writable, 0};
    return &b->buffer;
}

/** @brief Adds one buffer; gives what add gave. */
static inline int rig_try(struct driver_rig *r, unsigned readable, unsigned writable,
                          uintptr_t cookie)
{
    struct rig_buffer b;

    return r->calls->add(&r->q, rig_make(r, &b, readable, writable, cookie), 1);
}

/** @brief Adds one buffer, which must go. */
static inline void rig_add(struct driver_rig *r, unsigned readable, unsigned writable,
                           uintptr_t cookie)
{
    cr_assert_eq(rig_try(r, readable, writable, cookie), 1);
}

/** @brief Adds a buffer of one readable byte and publishes it; gives its head. */
static inline uint16_t rig_send(struct driver_rig *r, uintptr_t cookie)
{
    const uint16_t at = wire_avail_idx(r->w);

    rig_add(r, 1, 0, cookie);
    cr_assert_eq(r->calls->publish(&r->q), 1u);
    return wire_avail_head(r->w, at);
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

#endif
