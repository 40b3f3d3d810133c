/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A hostile device: writes whatever it likes into a ring that a driver end of the library
 * uses.
 *
 * Each body runs with areas that end at a page that traps and with areas that begin behind one; and
 * on a space that is computed, then on a ledger, which is called and knows which mappings are live.
 */
#ifndef VIRTQ_TESTS_HOSTILE_DEVICE_H
#define VIRTQ_TESTS_HOSTILE_DEVICE_H

#include "block.h"
#include "virtq/virtq.h"

enum {
    SEGMENTS = 4,     /* Of the largest buffer. */
    SEGMENT_SIZE = 8, /* Bytes of each. */
    LEDGER_MAX = 1024
};

/** @brief A space that maps every pointer to itself and keeps books. Row 56. */
struct ledger {
    struct virtq_space space;
    bool live[LEDGER_MAX];    /**< By token: mapped and not unmapped. */
    uint64_t fit[LEDGER_MAX]; /**< By token: bytes of the writable part. */
    unsigned next;            /**< The next token. */
    unsigned count;           /**< Live mappings. */
    unsigned shared;          /**< Live shares. */
    unsigned faults;          /**< Times the queue broke the seam's rules. */
    uint64_t written;         /**< As the last unmap said. */
    int refuse;               /**< Error that map gives, or 0. */
};

static inline int ledger_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    struct ledger *ledger = (struct ledger *)space;
    unsigned segments = (unsigned)mapping->segments_readable + mapping->segments_writable;
    uint64_t token = ledger->next++ % LEDGER_MAX;

    if (ledger->refuse != 0) {
        return ledger->refuse;
    }
    if (segments > mapping->capacity) {
        return VIRTQ_EFULL;
    }
    ledger->faults += ledger->live[token];
    ledger->live[token] = true;
    ledger->fit[token] = 0;
    for (unsigned i = 0; i < segments; i++) {
        mapping->runs[i].addr = (uintptr_t)mapping->segments[i].base;
        mapping->runs[i].len = mapping->segments[i].len;
        ledger->fit[token] += i < mapping->segments_readable ? 0 : mapping->segments[i].len;
    }
    memcpy(mapping->record, &token, sizeof(token));
    mapping->runs_readable = mapping->segments_readable;
    mapping->runs_writable = mapping->segments_writable;
    ledger->count++;
    return 0;
}

static inline void ledger_unmap(struct virtq_space *space, struct virtq_mapping *mapping,
                                uint64_t written)
{
    struct ledger *ledger = (struct ledger *)space;
    uint64_t token;

    memcpy(&token, mapping->record, sizeof(token));
    ledger->written = written;
    if (token >= LEDGER_MAX || !ledger->live[token] || written > ledger->fit[token]) {
        ledger->faults++;
        return;
    }
    ledger->live[token] = false;
    ledger->count--;
}

static inline int ledger_share(struct virtq_space *space, void *base, uint64_t len,
                               uint32_t permissions, virtq_addr_t *addr)
{
    (void)len;
    (void)permissions;
    ((struct ledger *)space)->shared++;
    *addr = (uintptr_t)base;
    return 0;
}

static inline void ledger_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    (void)addr;
    (void)len;
    ((struct ledger *)space)->shared--;
}

/** @brief A driver end of the library, and the device's side of its ring. */
struct rogue {
    bool begins; /**< Blocks begin behind a trap. */
    bool called; /**< On the ledger. */
    bool packed;
    uint32_t size;
    struct block ring[3];
    struct block memory;
    struct block tables;
    struct block data; /**< SEGMENTS segments for each of `size` buffers. */
    struct virtq_direct direct;
    struct ledger ledger;
    struct virtq_driver_config config;
    struct virtq_driver *driver;
    uint16_t used;      /**< Split: the used index. Packed: position of the next used descriptor. */
    unsigned long sent; /**< Buffers so far; the cookie of the next one is `sent + 1`. */
    struct virtq_completion done[300];
};

static const struct virtq_space_ops ledger_ops = {.size = sizeof(ledger_ops),
                                                  .name = "ledger",
                                                  .map = ledger_map,
                                                  .unmap = ledger_unmap,
                                                  .share = ledger_share,
                                                  .unshare = ledger_unshare};

static inline struct virtq_space *rogue_space(struct rogue *r)
{
    if (r->called) {
        r->ledger.space.ops = &ledger_ops;
        r->ledger.space.record_fixed = sizeof(uint64_t);
        return &r->ledger.space;
    }
    cr_assert_eq(virtq_direct_init(&r->direct, NULL, 0, UINT64_MAX,
                                   VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE),
                 0);
    return &r->direct.space;
}

static inline void rogue_close(struct rogue *r)
{
    if (r->driver != NULL) {
        virtq_driver_destroy(r->driver);
        r->driver = NULL;
        cr_assert(r->ledger.count == 0 && r->ledger.shared == 0 && r->ledger.faults == 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        block_free(&r->ring[i]);
    }
    block_free(&r->memory);
    block_free(&r->tables);
    block_free(&r->data);
}

/** @brief Builds the driver end. With VIRTIO_F_INDIRECT_DESC it has tables. */
static inline void rogue_open(struct rogue *r, bool packed, uint32_t size, uint64_t features,
                              uint32_t flags)
{
    const size_t n = size;
    const size_t bytes[2][3] = {{n * 16, n * 2 + 6, n * 8 + 6}, {n * 16, 4, 4}};
    size_t need;

    rogue_close(r);
    memset(&r->ledger, 0, sizeof(r->ledger));
    r->packed = packed;
    r->size = size;
    r->sent = 0;
    r->used = packed ? 0x8000 : 0;
    r->config = (struct virtq_driver_config)VIRTQ_DRIVER_CONFIG_INIT;
    r->config.format = packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    r->config.size = size;
    r->config.features = features | VIRTQ_FEATURE(VIRTIO_F_VERSION_1) |
                         (packed ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0);
    r->config.flags = flags;
    r->config.segments_max = SEGMENTS;
    r->config.space = rogue_space(r);
    for (unsigned i = 0; i < 3; i++) {
        block_init(&r->ring[i], bytes[packed][i], i == 0 ? 16 : 4, r->begins);
    }
    r->config.areas = (struct virtq_areas){r->ring[0].view, r->ring[1].view, r->ring[2].view};
    if ((features & VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC)) != 0) {
        block_init(&r->tables, virtq_driver_tables_size(&r->config), 16, r->begins);
        r->config.tables = r->tables.view;
    }
    block_init(&r->data, n * SEGMENTS * SEGMENT_SIZE, 8, r->begins);
    need = virtq_driver_size(&r->config);
    cr_assert(need != 0);
    block_init(&r->memory, need, VIRTQ_CACHE_LINE, r->begins);
    cr_assert_eq(virtq_driver_init(r->memory.view, need, &r->config, &r->driver), 0);
    /* From here on the driver only reads what the device writes. */
    block_protect(&r->ring[2], false);
}

/** @brief Runs a body over both placements and both kinds of space. */
static inline void rogue_each(void (*body)(struct rogue *r))
{
    for (unsigned variant = 0; variant < 4; variant++) {
        static struct rogue r;

        memset(&r, 0, sizeof(r));
        r.begins = (variant & 1) != 0;
        r.called = (variant & 2) != 0;
        body(&r);
        rogue_close(&r);
    }
}

/** @brief A test whose body gets a struct rogue. */
#define Rogue(suite_, name_)                              \
    static void suite_##_##name_##_body(struct rogue *r); \
    Test(suite_, name_)                                   \
    {                                                     \
        rogue_each(suite_##_##name_##_body);              \
    }                                                     \
    static void suite_##_##name_##_body(struct rogue *r)

/** @brief Adds a buffer and says nothing of it to the device; gives what add gives. */
static inline int rogue_add(struct rogue *r, unsigned readable, unsigned writable)
{
    struct virtq_segment segments[SEGMENTS];
    struct virtq_buffer buffer = {segments, (void *)(uintptr_t)(r->sent + 1), (uint16_t)readable,
                                  (uint16_t)writable, 0};
    int added;

    for (unsigned i = 0; i < readable + writable; i++) {
        segments[i].base = r->data.view + (r->sent % r->size * SEGMENTS + i) * (size_t)SEGMENT_SIZE;
        segments[i].len = SEGMENT_SIZE;
    }
    added = virtq_driver_add(r->driver, &buffer, 1);
    r->sent += added == 1;
    return added;
}

/** @brief Adds a buffer, publishes it; gives its head (split) or id (packed). */
static inline unsigned rogue_send(struct rogue *r, unsigned readable, unsigned writable)
{
    static const size_t id_at = 12;
    unsigned id;

    if (r->packed) {
        /* The next id is private; but the driver writes it into every descriptor of the list. */
        unsigned char before[16 * 300];

        memcpy(before, r->ring[0].at,
               r->ring[0].size < sizeof(before) ? r->ring[0].size : sizeof(before));
        for (uint32_t i = 0; i < r->size; i++) {
            put16(r->ring[0].at + (size_t)i * 16 + id_at, 0xeeee);
        }
        cr_assert_eq(rogue_add(r, readable, writable), 1);
        id = 0xeeee;
        for (uint32_t i = 0; i < r->size; i++) {
            unsigned char *word = r->ring[0].at + (size_t)i * 16 + id_at;

            if (get16(word) != 0xeeee) {
                id = get16(word);
            } else {
                memcpy(word, before + (size_t)i * 16 + id_at, 2);
            }
        }
        cr_assert_neq(id, 0xeeeeu);
        cr_assert_eq(virtq_driver_publish(r->driver), 1u);
        return id;
    }
    cr_assert_eq(rogue_add(r, readable, writable), 1);
    cr_assert_eq(virtq_driver_publish(r->driver), 1u);
    id = (uint16_t)(get16(r->ring[1].at + 2) - 1);
    return get16(r->ring[1].at + 4 + (size_t)(id & (r->size - 1)) * 2);
}

/** @brief Writes a used element (split), or a used descriptor that skips `slots` (packed). */
static inline void rogue_use(struct rogue *r, uint32_t id, uint32_t len, unsigned slots)
{
    unsigned char *at;

    if (r->packed) {
        at = r->ring[0].at + (size_t)(r->used & 0x7fff) * 16;
        put32(at + 8, len);
        put16(at + 12, id & 0xffff);
        put16(at + 14, (r->used & 0x8000) != 0 ? PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED : 0u);
        r->used = (uint16_t)(r->used + slots);
        if ((r->used & 0x7fffu) >= r->size) {
            r->used = (uint16_t)((r->used - r->size) ^ 0x8000);
        }
        return;
    }
    at = r->ring[2].at + 4 + (size_t)(r->used & (r->size - 1)) * 8;
    put32(at, id);
    put32(at + 4, len);
    r->used++;
    put16(r->ring[2].at + 2, r->used);
}

/** @brief Polls for one buffer. */
static inline int rogue_poll(struct rogue *r)
{
    return virtq_driver_poll(r->driver, r->done, 1);
}

/** @brief One buffer comes back: this cookie, this length. */
static inline void expect_back(struct rogue *r, unsigned long cookie, uint32_t len)
{
    cr_assert_eq(rogue_poll(r), 1);
    cr_assert_eq((unsigned long)(uintptr_t)r->done[0].cookie, cookie);
    cr_assert_eq(r->done[0].len, len);
    if (r->called) {
        cr_assert_eq(r->ledger.written, len);
    }
}

/** @brief The next poll breaks the queue; it stays so for the first reason; the buffers are given
 * back by detach, each once, and a reset makes it good again. */
static inline void expect_break(struct rogue *r, enum virtq_reason reason, uint32_t position,
                                uint64_t value)
{
    struct virtq_fault fault;
    uint32_t out = virtq_driver_outstanding(r->driver);
    bool seen[LEDGER_MAX] = {false};
    void *cookie;

    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(virtq_driver_poll(r->driver, r->done, 300), VIRTQ_EBROKEN);
        cr_assert_eq(rogue_add(r, 1, 0), VIRTQ_EBROKEN);
        cr_assert(virtq_driver_enable_notify(r->driver), "nobody sleeps on a broken queue");
        virtq_driver_disable_notify(r->driver);
    }
    virtq_driver_fault(r->driver, &fault);
    cr_assert_eq(fault.reason, (uint32_t)reason);
    cr_assert_eq(fault.position, position);
    cr_assert_eq(fault.value, value);
    cr_assert_eq(virtq_driver_outstanding(r->driver), out);
    while (virtq_driver_detach(r->driver, &cookie) == 1) {
        unsigned long number = (unsigned long)(uintptr_t)cookie;

        cr_assert(number >= 1 && number <= r->sent && !seen[number % LEDGER_MAX]);
        seen[number % LEDGER_MAX] = true;
        out--;
    }
    cr_assert_eq(out, 0u);
    block_protect(&r->ring[2], true);
    cr_assert_eq(virtq_driver_reset(r->driver), 0);
    block_protect(&r->ring[2], false);
    r->used = r->packed ? 0x8000 : 0;
    rogue_use(r, rogue_send(r, 0, 1), 3, 1);
    expect_back(r, r->sent, 3);
}

#endif
