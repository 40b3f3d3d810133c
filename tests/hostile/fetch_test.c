/* SPDX-License-Identifier: BSD-3-Clause */
/* Every access of both ends to shared memory, in both formats: each word is loaded once per use,
 * in its own width, and nobody loads or stores where the rules do not let it. G2, G9, H1; rows 23
 * to 25 and 48. */
#include "trace.h"
/* The hook first, then the library. */
#include "block.h"
#include "ends.h"
#include "support/random.h"

enum { SIZE = 8, TABLE = 4, ENTRIES = 64, WORDS = 2 * SIZE * TABLE * 16 };

/* A ring with both ends on it. */
struct bench {
    bool packed;
    struct block ring[3];
    struct block tables;
    struct block data;
    struct block memory[2];
    struct virtq_direct direct;
    struct virtq_region regions[2];
    struct driver_end driver;
    struct device_end device;
    unsigned long sent;
};

static void bench_close(struct bench *b)
{
    for (unsigned i = 0; i < 3; i++) {
        block_free(&b->ring[i]);
    }
    block_free(&b->tables);
    block_free(&b->data);
    block_free(&b->memory[0]);
    block_free(&b->memory[1]);
}

static void bench_open(struct bench *b, bool packed, bool called, bool tables, uint64_t features)
{
    const uint32_t both = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE;
    const size_t bytes[2][3] = {{SIZE * 16, SIZE * 2 + 6, SIZE * 8 + 6}, {SIZE * 16, 4, 4}};
    struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device = VIRTQ_DEVICE_CONFIG_INIT;
    size_t need;

    memset(b, 0, sizeof(*b));
    b->packed = packed;
    for (unsigned i = 0; i < 3; i++) {
        block_init(&b->ring[i], bytes[packed][i], i == 0 ? 16 : 4, false);
    }
    block_init(&b->data, 4096, 16, false);
    b->regions[0] = (struct virtq_region){0, UINT64_MAX, NULL, both};
    if (called) {
        cr_assert_eq(virtq_direct_init_regions(&b->direct, b->regions, 1), 0);
    } else {
        cr_assert_eq(virtq_direct_init(&b->direct, NULL, 0, UINT64_MAX, both), 0);
    }
    driver.format = packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    driver.size = SIZE;
    driver.features = features | VIRTQ_FEATURE(VIRTIO_F_VERSION_1) |
                      (packed ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0) |
                      (tables ? VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) : 0);
    driver.segments_max = TABLE;
    driver.space = &b->direct.space;
    driver.areas = (struct virtq_areas){b->ring[0].at, b->ring[1].at, b->ring[2].at};
    block_init(&b->tables, virtq_driver_tables_size(&driver), 16, false);
    driver.tables = tables ? b->tables.at : NULL;
    device.format = driver.format;
    device.size = SIZE;
    device.features = driver.features;
    device.space = driver.space;
    device.areas = driver.areas;
    b->driver.calls = inline_drivers[packed][called];
    b->device.calls = inline_devices[packed][called];
    need = b->driver.calls->size(&driver);
    block_init(&b->memory[0], need, VIRTQ_CACHE_LINE, false);
    cr_assert_eq(b->driver.calls->init(&b->driver, &driver, b->memory[0].at, need), 0);
    need = b->device.calls->size(&device);
    block_init(&b->memory[1], need, VIRTQ_CACHE_LINE, false);
    cr_assert_eq(b->device.calls->init(&b->device, &device, b->memory[1].at, need), 0);
}

/* Which area an access is in (3: the tables), and where. */
static unsigned area_of(const struct bench *b, const struct access *access, size_t *offset)
{
    const struct block *blocks[4] = {&b->ring[0], &b->ring[1], &b->ring[2], &b->tables};

    for (unsigned i = 0; i < 4; i++) {
        if (access->at >= blocks[i]->at && access->at < blocks[i]->at + blocks[i]->size) {
            *offset = (size_t)(access->at - blocks[i]->at);
            return i;
        }
    }
    cr_assert(false, "an access outside the ring");
    return 4;
}

/* The width of the field that begins at an offset; 0 if none does. What a driver stores into a
 * split descriptor behind the address goes together: nobody looks before it is published. */
static unsigned width_at(const struct bench *b, unsigned area, size_t offset, bool store)
{
    static const unsigned descriptor[16] = {[0] = 8, [8] = 4, [12] = 2, [14] = 2};
    static const unsigned entry[16] = {[0] = 8, [8] = 4, [12] = 4};

    if (area == 0 && store && !b->packed) {
        return offset % 8 == 0 ? 8 : 0;
    }
    if (area == 0) {
        return descriptor[offset % 16];
    }
    if (area == 3) { /* The last two fields of an entry go together. */
        return entry[offset % 16];
    }
    if (b->packed) {
        return offset == 0 ? 4 : 0;
    }
    if (area == 1 || offset < 4 || offset >= 4 + SIZE * 8) {
        return offset % 2 == 0 ? 2 : 0;
    }
    return (offset - 4) % 4 == 0 ? 4 : 0;
}

/* Where an end may load and store. */
static bool allowed(const struct bench *b, bool driver, unsigned area, size_t offset, bool store)
{
    const bool used_word = offset % 16 >= 8; /* Length, id, flags of a packed descriptor. */

    if (driver) {
        if (store) {
            return area != 2;
        }
        return area == 2 || (b->packed && area == 0 && used_word);
    }
    if (store) {
        return area == 2 || (b->packed && area == 0 && used_word);
    }
    return b->packed || area != 2;
}

/* Checks the accesses of one call. */
static void check(const struct bench *b, bool driver)
{
    static uint32_t loads[4][WORDS];

    memset(loads, 0, sizeof(loads));
    cr_assert_lt(trace_count, (unsigned)TRACE_MAX);
    for (unsigned i = 0; i < trace_count; i++) {
        const struct access *access = &trace_log[i];
        size_t offset;
        unsigned area = area_of(b, access, &offset);

        cr_assert_lt(offset, (size_t)WORDS);
        cr_assert_eq(access->width, width_at(b, area, offset, access->store), "area %u, offset %zu",
                     area, offset);
        cr_assert_eq((uintptr_t)access->at % access->width, 0u);
        cr_assert(allowed(b, driver, area, offset, access->store), "area %u, offset %zu", area,
                  offset);
        if (!access->store) {
            cr_assert_eq(loads[area][offset], 0u, "loaded twice: area %u, offset %zu", area,
                         offset);
            loads[area][offset] = 1;
        }
    }
    trace_count = 0;
}

static void driver_step(struct bench *b, uint64_t *seed)
{
    struct virtq_completion done[4];
    struct virtq_segment segments[TABLE];
    struct virtq_buffer buffer = {segments, NULL, 0, 0, 0};
    unsigned count = 1 + (unsigned)random_below(seed, TABLE);

    for (unsigned i = 0; i < count; i++) {
        segments[i].base = b->data.at + random_below(seed, 4000);
        segments[i].len = 1 + (uint32_t)random_below(seed, 90);
    }
    buffer.readable = (uint16_t)random_below(seed, count + 1);
    buffer.writable = (uint16_t)(count - buffer.readable);
    buffer.flags = random_below(seed, 4) == 0 ? VIRTQ_BUFFER_DIRECT : 0;
    switch (random_below(seed, 8)) {
    case 0:
    case 1:
    case 2:
        b->sent += b->driver.calls->add(&b->driver, &buffer, 1) == 1;
        break;
    case 3:
        (void)b->driver.calls->publish(&b->driver);
        break;
    case 4:
        (void)b->driver.calls->needs_notify(&b->driver);
        break;
    case 5:
        cr_assert_geq(b->driver.calls->poll(&b->driver, done, 1 + (unsigned)random_below(seed, 4)),
                      0);
        break;
    case 6:
        (void)b->driver.calls->enable_notify(&b->driver, 1 + (unsigned)random_below(seed, 9));
        break;
    default:
        b->driver.calls->disable_notify(&b->driver);
        break;
    }
    check(b, true);
}

static void device_step(struct bench *b, uint64_t *seed, struct virtq_used_buffer *held,
                        unsigned *count)
{
    struct virtq_chain chains[4];
    struct virtq_piece pieces[64];
    int got = 0;

    switch (random_below(seed, 6)) {
    case 0:
    case 1:
        got = b->device.calls->pop(&b->device, chains, 1 + (unsigned)random_below(seed, 4), pieces,
                                   64);
        cr_assert_geq(got, 0);
        for (int i = 0; i < got; i++) {
            cr_assert_eq(chains[i].reason, 0u);
            held[(*count)++] = (struct virtq_used_buffer){
                chains[i].id, (uint32_t)random_below(seed, chains[i].writable_bytes + 1)};
        }
        break;
    case 2:
        if (*count != 0) {
            unsigned which = (unsigned)random_below(seed, *count);

            cr_assert_eq(b->device.calls->push(&b->device, &held[which], 1), 1);
            held[which] = held[--*count];
        }
        break;
    case 3:
        cr_assert_geq(b->device.calls->publish(&b->device), 0);
        break;
    case 4:
        cr_assert_geq(b->device.calls->needs_notify(&b->device), 0);
        break;
    default:
        if (random_below(seed, 2) != 0) {
            (void)b->device.calls->enable_notify(&b->device);
        } else {
            b->device.calls->disable_notify(&b->device);
        }
        break;
    }
    check(b, false);
}

static void run(bool packed, bool called, bool tables, uint64_t features)
{
    struct virtq_used_buffer held[ENTRIES];
    unsigned count = 0;
    uint64_t seed = 23;
    struct bench b;

    bench_open(&b, packed, called, tables, features);
    trace_count = 0;
    for (unsigned step = 0; step < 6000; step++) {
        if (random_below(&seed, 2) != 0) {
            driver_step(&b, &seed);
        } else {
            device_step(&b, &seed, held, &count);
        }
    }
    cr_assert_gt(b.sent, 200ul, "the run moved something");
    bench_close(&b);
}

static void runs(bool packed)
{
    static const unsigned bits[] = {VIRTIO_F_EVENT_IDX, VIRTIO_F_IN_ORDER,
                                    VIRTIO_F_NOTIFY_ON_EMPTY};

    for (unsigned variant = 0; variant < 32; variant++) {
        uint64_t features = 0;

        for (unsigned i = 0; i < 3; i++) {
            features |= (variant >> i & 1) != 0 ? VIRTQ_FEATURE(bits[i]) : 0;
        }
        if (packed && (features & VIRTQ_FEATURE(VIRTIO_F_NOTIFY_ON_EMPTY)) != 0) {
            continue;
        }
        run(packed, (variant & 8) != 0, (variant & 16) != 0, features);
    }
}

Test(hostile_fetch, split_each_word_once_in_its_width_and_only_where_it_may)
{
    runs(false);
}

Test(hostile_fetch, packed_each_word_once_in_its_width_and_only_where_it_may)
{
    runs(true);
}
