/* SPDX-License-Identifier: BSD-3-Clause */
/* An adversary that changes words between two loads of ours: after each load it may flip what was
 * just read, before each it may flip what will be. Whatever it does, nothing outside the granted
 * memory is touched (the blocks end at pages that trap), calls end, and what comes out is what was
 * read, once. Rows 23 to 25, 48 to 51; G1 to G3, G8, G10. */
#include "trace.h"
/* The hook first, then the library. */
#include "ends.h"
#include "source.h"
#include "support/random.h"

#define RW ((uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE)

enum { SIZE = 4, SEEDS = 400, STEPS = 60, COOKIES = 4096 };

static uint64_t seed;
static unsigned char *target; /* The word that was loaded last ... */
static unsigned target_width;
static const unsigned char *views[4]; /* ... in what the library sees, and where to write to it. */
static unsigned char *writable[4];
static size_t lengths[4];

static const uint64_t addresses[] = {GUEST,      GUEST + 1,      GUEST + GUEST_SIZE - 16,
                                     GUEST + 64, GUEST - 1,      GUEST + GUEST_SIZE - 1,
                                     0,          UINT64_MAX - 7, GUEST + GUEST_SIZE};
static const uint32_t words[] = {0,  1,  2,      4,       16,         32,
                                 33, 48, 0xffff, 0x10000, GUEST_SIZE, UINT32_MAX};

static uint64_t nasty(unsigned width)
{
    if (width == 8) {
        return addresses[random_below(&seed, 9)];
    }
    if (width == 4) {
        return words[random_below(&seed, 12)];
    }
    switch (random_below(&seed, 4)) {
    case 0:
        return random_below(&seed, 8) | (random_below(&seed, 2) != 0 ? AVAIL : USED);
    case 1:
        return random_next(&seed) & 0xffff;
    default:
        return random_below(&seed, SIZE + 2);
    }
}

static void overwrite(unsigned char *at, unsigned width)
{
    uint64_t value = nasty(width);

    for (unsigned i = 0; i < width; i++) {
        at[i] = (unsigned char)(value >> 8 * i);
    }
}

static unsigned char *alias(const unsigned char *at)
{
    for (unsigned i = 0; i < 4; i++) {
        if (views[i] != NULL && at >= views[i] && at < views[i] + lengths[i]) {
            return writable[i] + (at - views[i]);
        }
    }
    cr_assert(false, "an access outside the ring and its tables");
    return NULL;
}

/* Called before each access: the one before it is over, so its word may be flipped now. */
static void flip(const struct access *access)
{
    unsigned char *at = alias(access->at);

    (void)alias(access->at + access->width - 1);
    if (target != NULL && random_below(&seed, 3) == 0) {
        overwrite(target, target_width);
    }
    if (!access->store && access->width <= 8 && random_below(&seed, 12) == 0) {
        overwrite(at, access->width);
    }
    target = access->store || access->width > 8 ? NULL : at;
    target_width = access->width;
}

static void watch(unsigned index, const struct block *block)
{
    views[index] = block->view;
    writable[index] = block->at;
    lengths[index] = block->size;
}

/* ---- The device end ---- */

/* Pieces are address and length pairs that were loaded one after the other, in that order. */
static void expect_loaded(const struct hostile *h, const struct virtq_chain *chain)
{
    unsigned at = 0;

    for (unsigned i = 0; i < chain->readable + chain->writable; i++) {
        const struct virtq_piece *piece = &chain->pieces[i];
        uint64_t addr = GUEST + (uint64_t)((unsigned char *)piece->base - h->guest.view);
        bool found = false;

        for (; at + 1 < trace_count && !found; at++) {
            const struct access *one = &trace_log[at];
            const struct access *two = &trace_log[at + 1];

            found = one->width == 8 && two->width == 4 && two->at == one->at + 8 &&
                    one->value == addr && two->value == piece->len;
            /* Unaligned entries are copied in one go, or in parts where a window ends. */
            found = found || one->width > 8;
        }
        cr_assert(found, "a piece that nobody wrote");
    }
}

static void expect_sane(const struct hostile *h, const struct virtq_chain *chain, bool whole)
{
    uint64_t bytes[2] = {0, 0};

    if (chain->reason != 0) {
        cr_assert(!virtq_reason_is_queue(chain->reason) && chain->pieces == NULL);
        return;
    }
    for (unsigned i = 0; i < chain->readable + chain->writable; i++) {
        const unsigned char *base = chain->pieces[i].base;
        uint32_t len = chain->pieces[i].len;

        cr_assert(len != 0 && base >= h->guest.view && len <= GUEST_SIZE &&
                  base + len <= h->guest.view + GUEST_SIZE);
        bytes[i >= chain->readable] += len;
    }
    cr_assert(bytes[0] == chain->readable_bytes && bytes[1] == chain->writable_bytes);
    if (whole) {
        expect_loaded(h, chain);
    }
}

static void scramble(struct hostile *h)
{
    for (unsigned char *at = h->ring[0].at; at < h->ring[0].at + h->ring[0].size; at += 16) {
        overwrite(at, 8);
        overwrite(at + 8, 4);
        overwrite(at + 12, 2);
        overwrite(at + 14, 2);
    }
    for (unsigned k = 0; k < 12; k++) {
        split_desc_at(h->guest.at, k, nasty(8), (uint32_t)nasty(4), (unsigned)nasty(2),
                      (unsigned)nasty(2));
    }
}

static void lure(struct hostile *h, uint16_t index)
{
    if (h->packed) {
        for (unsigned k = 0; k < SIZE; k++) {
            put16(h->ring[0].at + (size_t)k * 16 + 14, (unsigned)random_below(&seed, 8) | AVAIL);
        }
        return;
    }
    for (unsigned k = 0; k < SIZE; k++) {
        put16(h->ring[1].at + 4 + (size_t)k * 2, (unsigned)random_below(&seed, SIZE));
    }
    put16(h->ring[1].at + 2, index + 1u + (unsigned)random_below(&seed, 3));
}

static void device_run(struct hostile *h, bool packed)
{
    struct device_end device;
    struct virtq_chain chains[SIZE];
    struct virtq_piece pieces[16];
    struct virtq_used_buffer used[SIZE];
    uint16_t index = 0;

    hostile_open(h, packed, SIZE, EVENTS);
    device.calls = inline_devices[packed][h->called];
    cr_assert_eq(device.calls->init(&device, &h->config, h->memory.view, h->memory.size), 0);
    for (unsigned i = 0; i < 3; i++) {
        watch(i, &h->ring[i]);
    }
    watch(3, &h->guest);
    for (unsigned step = 0; step < STEPS; step++) {
        int got;

        scramble(h);
        lure(h, index);
        trace_count = 0;
        target = NULL;
        trace_hook = flip;
        got = device.calls->pop(&device, chains, SIZE, pieces, 16);
        trace_hook = NULL;
        cr_assert(got <= SIZE && trace_count < 1000);
        if (got < 0) {
            cr_assert_eq(got, VIRTQ_EBROKEN);
            return;
        }
        for (int i = 0; i < got; i++) {
            expect_sane(h, &chains[i], true);
            used[i] = (struct virtq_used_buffer){chains[i].id, 0};
        }
        if (got != 0) {
            int pushed = device.calls->push(&device, used, (unsigned)got);

            if (pushed == VIRTQ_EBROKEN) {
                return; /* What came before the break was given out. */
            }
            cr_assert_eq(pushed, got);
        }
        trace_hook = flip;
        cr_assert_eq(device.calls->publish(&device), got);
        (void)device.calls->needs_notify(&device);
        (void)device.calls->enable_notify(&device);
        trace_hook = NULL;
        index = (uint16_t)(index + got);
    }
}

static void device_runs(struct hostile *h, bool packed)
{
    seed = 1;
    hostile_grant(h, RW);
    for (unsigned k = 0; k < SEEDS; k++) {
        device_run(h, packed);
    }
}

Hostile(hostile_adversary, split_device_stays_in_its_memory_and_gives_what_it_read)
{
    device_runs(h, false);
}

Hostile(hostile_adversary, packed_device_stays_in_its_memory_and_gives_what_it_read)
{
    device_runs(h, true);
}

/* ---- The driver end ---- */

struct victim {
    struct block ring[3];
    struct block memory;
    struct block tables;
    struct block data;
    struct virtq_direct direct;
    struct virtq_region region;
    struct driver_end driver;
    uint32_t fit[COOKIES]; /* By cookie: writable bytes + 1; 0: not outstanding. */
    unsigned sent;
};

static void victim_open(struct victim *v, bool packed, bool called, uint64_t features)
{
    const size_t bytes[2][3] = {{SIZE * 16, SIZE * 2 + 6, SIZE * 8 + 6}, {SIZE * 16, 4, 4}};
    struct virtq_driver_config config = VIRTQ_DRIVER_CONFIG_INIT;
    size_t need;

    config.format = packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    config.size = SIZE;
    config.features = features | (packed ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0);
    config.segments_max = 4;
    config.space = &v->direct.space;
    for (unsigned i = 0; i < 3; i++) {
        block_init(&v->ring[i], bytes[packed][i], i == 0 ? 16 : 4, false);
        watch(i, &v->ring[i]);
    }
    v->region = (struct virtq_region){0, UINT64_MAX, NULL, RW};
    if (called) {
        cr_assert_eq(virtq_direct_init_regions(&v->direct, &v->region, 1), 0);
    } else {
        cr_assert_eq(virtq_direct_init(&v->direct, NULL, 0, UINT64_MAX, RW), 0);
    }
    block_init(&v->tables, virtq_driver_tables_size(&config), 16, false);
    watch(3, &v->tables);
    block_init(&v->data, 256, 16, false);
    config.areas = (struct virtq_areas){v->ring[0].view, v->ring[1].view, v->ring[2].view};
    config.tables = v->tables.view;
    v->driver.calls = inline_drivers[packed][called];
    need = v->driver.calls->size(&config);
    block_init(&v->memory, need, VIRTQ_CACHE_LINE, false);
    cr_assert_eq(v->driver.calls->init(&v->driver, &config, v->memory.view, need), 0);
}

static void victim_close(struct victim *v)
{
    for (unsigned i = 0; i < 3; i++) {
        block_free(&v->ring[i]);
    }
    block_free(&v->memory);
    block_free(&v->tables);
    block_free(&v->data);
    memset(v, 0, sizeof(*v));
}

static void victim_add(struct victim *v)
{
    struct virtq_segment segments[4];
    struct virtq_buffer buffer = {segments, (void *)(uintptr_t)(v->sent + 1), 0, 0, 0};
    unsigned count = 1 + (unsigned)random_below(&seed, 4);
    uint32_t fit = 0;

    buffer.readable = (uint16_t)random_below(&seed, count + 1);
    buffer.writable = (uint16_t)(count - buffer.readable);
    for (unsigned i = 0; i < count; i++) {
        segments[i].base = v->data.view;
        segments[i].len = 1 + (uint32_t)random_below(&seed, 40);
        fit += i < buffer.readable ? 0 : segments[i].len;
    }
    if (v->sent + 1 < COOKIES && v->driver.calls->add(&v->driver, &buffer, 1) == 1) {
        v->fit[++v->sent] = fit + 1;
    }
}

/* The device writes near-truths: indices that are right, ids that exist, used flags. */
static void victim_lure(struct victim *v, bool packed, unsigned polled)
{
    for (unsigned k = 0; k < SIZE; k++) {
        unsigned char *at =
            packed ? v->ring[0].at + (size_t)k * 16 + 8 : v->ring[2].at + 4 + (size_t)k * 8;

        if (packed) {
            put32(at, (uint32_t)random_below(&seed, 50));
            put16(at + 4, (unsigned)random_below(&seed, SIZE));
            put16(at + 6, random_below(&seed, 2) != 0 ? AVAIL | USED : 0u);
        } else {
            put32(at, (uint32_t)random_below(&seed, SIZE));
            put32(at + 4, (uint32_t)random_below(&seed, 50));
        }
    }
    if (!packed) {
        put16(v->ring[2].at + 2, polled + (unsigned)random_below(&seed, 3));
    }
}

static void driver_run(struct victim *v, bool packed, bool called, uint64_t features)
{
    struct virtq_completion done[SIZE];
    unsigned polled = 0;

    victim_open(v, packed, called, features);
    for (unsigned step = 0; step < STEPS; step++) {
        int got;

        target = NULL;
        trace_count = 0;
        trace_hook = flip;
        victim_add(v);
        (void)v->driver.calls->publish(&v->driver);
        (void)v->driver.calls->needs_notify(&v->driver);
        trace_hook = NULL;
        victim_lure(v, packed, polled);
        trace_hook = flip;
        got = v->driver.calls->poll(&v->driver, done, SIZE);
        (void)v->driver.calls->enable_notify(&v->driver, 1);
        trace_hook = NULL;
        cr_assert(got <= SIZE && trace_count < 500);
        if (got < 0) {
            cr_assert_eq(got, VIRTQ_EBROKEN);
            return;
        }
        for (int i = 0; i < got; i++) {
            uintptr_t cookie = (uintptr_t)done[i].cookie;

            cr_assert(cookie >= 1 && cookie <= v->sent && v->fit[cookie] != 0, "once each");
            cr_assert_lt(done[i].len, v->fit[cookie]);
            v->fit[cookie] = 0;
        }
        polled += (unsigned)got;
    }
}

static void driver_runs(bool packed)
{
    static struct victim v;

    seed = 2;
    for (unsigned variant = 0; variant < 16; variant++) {
        uint64_t features = 0;

        features |= (variant & 1) != 0 ? VIRTQ_FEATURE(VIRTIO_F_IN_ORDER) : 0;
        features |= (variant & 2) != 0 ? VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) : 0;
        features |= (variant & 4) != 0 ? VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) : 0;
        for (unsigned k = 0; k < SEEDS / 2; k++) {
            driver_run(&v, packed, (variant & 8) != 0, features);
            victim_close(&v);
        }
    }
}

Test(hostile_adversary, split_driver_gives_each_buffer_once_and_no_byte_too_many)
{
    driver_runs(false);
}

Test(hostile_adversary, packed_driver_gives_each_buffer_once_and_no_byte_too_many)
{
    driver_runs(true);
}
