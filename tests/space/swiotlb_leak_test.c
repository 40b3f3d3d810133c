/* SPDX-License-Identifier: BSD-3-Clause */
/* A million random buffers through a pool: segments, sizes, alignment and the device's lies about
 * lengths are random, and neither side ever sees a byte that is not its own. M8; threats 60, 61.
 *
 * A buffer's bytes are its number, 1 to 127, another one each time; what the device writes has the
 * top bit. So one look tells whose byte it is. */
#include "support/random.h"
#include "swiotlb_fixture.h"
#include "virtq/space/swiotlb_queue.h"

enum { BUFFERS = 8, BYTES = 700, POOL_BYTES = 1152, SPACES = 2 };

struct leak_buffer {
    struct spaces_buffer buffer;
    unsigned char data[BYTES + 64];
    unsigned char before[BYTES + 64]; /* What the data were when the buffer was mapped. */
    unsigned char wrote[BYTES + 64];  /* What the device wrote, by place in the writable part. */
    struct virtq_run runs[2];
    unsigned readable; /* Runs of each part, at most 1. */
    unsigned writable; /* Likewise. */
    struct virtq_segment segments[SPACES_SEGMENTS];
    unsigned first_writable; /* Which segment is the first writable one. */
    unsigned count;          /* Segments. */
    struct virtq_space *space;
    unsigned char number;
    int live;
};

struct leak {
    struct pool pool;
    struct virtq_swiotlb_queue queues[SPACES];
    uint64_t *memory[SPACES];
    struct virtq_space *spaces[SPACES];
    struct leak_buffer buffers[BUFFERS];
    unsigned char image[POOL_BYTES]; /* What the pool has to hold, byte by byte. */
    uint64_t seed;
    unsigned char number;
    int honest; /* The device writes only where something was granted. */
    uint64_t mapped;
    uint64_t short_of; /* Buffers that found no room. */
};

static unsigned rounds(unsigned many)
{
    return getenv("VIRTQ_TEST_HURRIED") != NULL ? many / 100 : many;
}

static unsigned char *granted(struct leak *leak, const struct virtq_run *run)
{
    cr_assert(run->addr >= ADDR && run->addr - ADDR + run->len <= POOL_BYTES);
    return leak->pool.base + (run->addr - ADDR);
}

/* Cuts random bytes of the buffer's memory into segments, none next to another. */
static void make_segments(struct leak *leak, struct leak_buffer *b)
{
    const unsigned most = random_below(&leak->seed, 8) == 0 ? 250 : 60;
    unsigned at = (unsigned)random_below(&leak->seed, 64);
    unsigned i;

    b->count = 1 + (unsigned)random_below(&leak->seed, random_below(&leak->seed, 2) != 0 ? 1 : 6);
    b->first_writable = (unsigned)random_below(&leak->seed, b->count + 1);
    for (i = 0; i < b->count; i++) {
        unsigned room = (BYTES - at) / (b->count - i);
        unsigned len = 1 + (unsigned)random_below(&leak->seed, room < most ? room - 1 : most);

        spaces_segment(&b->buffer, i, b->data + at, len);
        at += len + 1;
    }
    memcpy(b->segments, b->buffer.segments, sizeof(b->segments));
}

/* The readable run holds the segments' bytes, one behind the other, the writable one zeros; and so
 * the pool's image is known. */
static void note_granted(struct leak *leak, struct leak_buffer *b)
{
    unsigned part;

    for (part = 0; part < 2; part++) {
        const unsigned first = part == 0 ? 0 : b->first_writable;
        const unsigned last = part == 0 ? b->first_writable : b->count;
        uint64_t len = 0;
        unsigned i;

        for (i = first; i < last; i++) {
            len += b->segments[i].len;
        }
        if (first != last) {
            const struct virtq_run *run = &b->runs[part == 0 ? 0 : b->readable];

            cr_assert_eq(run->len, len);
            memset(leak->image + (run->addr - ADDR), part == 0 ? b->number : 0, run->len);
        }
    }
}

static void map_one(struct leak *leak, struct leak_buffer *b)
{
    int error;

    leak->number = (unsigned char)(leak->number % 127 + 1);
    b->number = leak->number;
    memset(b->data, b->number, sizeof(b->data));
    make_segments(leak, b);
    b->space = leak->spaces[random_below(&leak->seed, SPACES)];
    error = spaces_map(b->space, &b->buffer, b->first_writable, b->count - b->first_writable, 2);
    if (error != 0) {
        cr_assert_eq(error, VIRTQ_ENOMEM);
        leak->short_of++;
        return;
    }
    b->readable = b->buffer.mapping.runs_readable;
    b->writable = b->buffer.mapping.runs_writable;
    cr_assert_eq(b->readable, b->first_writable != 0 ? 1u : 0u);
    cr_assert_eq(b->writable, b->first_writable != b->count ? 1u : 0u);
    memcpy(b->runs, b->buffer.runs, sizeof(b->runs));
    memcpy(b->before, b->data, sizeof(b->before));
    memset(b->wrote, 0, sizeof(b->wrote));
    note_granted(leak, b);
    b->live = 1;
    leak->mapped++;
}

/* The device writes anywhere in a writable part: not from its beginning, as it should. */
static void device_writes(struct leak *leak, struct leak_buffer *b)
{
    const struct virtq_run *run = &b->runs[b->readable];
    const unsigned char byte = (unsigned char)(0x80 | random_below(&leak->seed, 128));
    unsigned at;
    unsigned len;

    if (b->writable == 0) {
        return;
    }
    at = random_below(&leak->seed, 2) != 0 ? 0 : (unsigned)random_below(&leak->seed, run->len);
    len = (unsigned)random_below(&leak->seed, run->len - at + 1);
    memset(granted(leak, run) + at, byte, len);
    memset(leak->image + (run->addr - ADDR) + at, byte, len);
    memset(b->wrote + at, byte, len);
}

/* What comes back: in the writable part what the device wrote, as far as it said so; everywhere
 * else what was there, between the segments too. */
static void unmap_one(struct leak *leak, struct leak_buffer *b)
{
    const uint64_t claimed =
        random_below(&leak->seed, 4) == 0 ? UINT64_MAX : random_below(&leak->seed, BYTES);
    unsigned char expected[BYTES + 64];
    uint64_t at = 0;
    unsigned i;

    memcpy(expected, b->before, sizeof(expected));
    for (i = b->first_writable; i < b->count; i++) {
        const struct virtq_segment *segment = &b->segments[i];
        const uint64_t left = claimed > at ? claimed - at : 0;

        memcpy(expected + ((unsigned char *)segment->base - b->data), b->wrote + at,
               left < segment->len ? (size_t)left : segment->len);
        at += segment->len;
    }
    spaces_unmap(b->space, &b->buffer, claimed);
    for (i = 0; i < b->readable + b->writable; i++) {
        memset(leak->image + (b->runs[i].addr - ADDR), 0, b->runs[i].len);
    }
    b->live = 0;
    if (leak->honest) {
        cr_assert(memcmp(b->data, expected, sizeof(expected)) == 0, "the driver's bytes");
        return;
    }
    for (i = 0; i < sizeof(expected); i++) {
        int may = expected[i] != b->before[i] || b->data[i] == b->before[i];

        cr_assert(may || b->data[i] >= 0x80, "byte %u is %u", i, b->data[i]);
    }
}

/* What the device finds when it looks at all of the pool. */
static void device_looks(struct leak *leak)
{
    size_t i;

    if (leak->honest) {
        cr_assert(memcmp(leak->pool.base, leak->image, POOL_BYTES) == 0, "the device's bytes");
        return;
    }
    for (i = 0; i < POOL_BYTES; i++) {
        unsigned char byte = leak->pool.base[i];

        cr_assert(byte >= 0x80 || byte == 0 || byte == leak->image[i], "byte %zu is %u", i, byte);
    }
}

static void device_scribbles(struct leak *leak)
{
    const uint64_t at = random_below(&leak->seed, POOL_BYTES);
    const uint64_t most = POOL_BYTES - at < 200 ? POOL_BYTES - at : 200;

    memset(leak->pool.base + at, (int)(0x80 | random_below(&leak->seed, 128)),
           (size_t)random_below(&leak->seed, most));
}

static void leak_open(struct leak *leak, uint64_t seed, uint32_t mask, int cached)
{
    unsigned i;

    memset(leak, 0, sizeof(*leak));
    leak->seed = seed;
    pool_open(&leak->pool, POOL_BYTES, 64, mask);
    for (i = 0; i < SPACES; i++) {
        struct virtq_swiotlb_queue_config config = VIRTQ_SWIOTLB_QUEUE_CONFIG_INIT;

        config.pool = &leak->pool.swiotlb;
        config.classes = 4;
        config.depth = 3;
        config.memory_size = virtq_swiotlb_queue_private_size(&config);
        leak->memory[i] = malloc(config.memory_size);
        config.memory = leak->memory[i];
        cr_assert_eq(virtq_swiotlb_queue_init(&leak->queues[i], &config), 0);
        leak->spaces[i] = cached ? &leak->queues[i].space : space_of(&leak->pool);
    }
}

static void leak_close(struct leak *leak)
{
    unsigned i;

    for (i = 0; i < BUFFERS; i++) {
        if (leak->buffers[i].live) {
            unmap_one(leak, &leak->buffers[i]);
        }
    }
    for (i = 0; i < SPACES; i++) {
        (void)virtq_swiotlb_queue_flush(&leak->queues[i]);
        free(leak->memory[i]);
    }
    cr_assert_eq(usage_of(&leak->pool).used, 0u);
    cr_assert_gt(leak->short_of, 0u, "the pool was never short");
    device_looks(leak);
    pool_close(&leak->pool);
}

static void leak_run(struct leak *leak, unsigned buffers, int honest)
{
    unsigned turn = 0;

    leak->honest = honest;
    while (leak->mapped < buffers) {
        struct leak_buffer *b = &leak->buffers[random_below(&leak->seed, BUFFERS)];

        if (!b->live) {
            map_one(leak, b);
            if (b->live && random_below(&leak->seed, 4) != 0) {
                device_writes(leak, b);
            }
        } else {
            unmap_one(leak, b);
        }
        if (!honest) {
            device_scribbles(leak);
        }
        if (++turn % (honest ? 2 : 32) == 0) {
            device_looks(leak);
        }
    }
}

static void leak_test(uint64_t seed, unsigned buffers, uint32_t mask, int cached, int honest)
{
    static struct leak leak;

    leak_open(&leak, seed, mask, cached);
    leak_run(&leak, rounds(buffers), honest);
    leak_close(&leak);
}

Test(space_swiotlb_leak, m8_a_pool_holds_granted_bytes_and_zeros_whatever_the_device_claims)
{
    leak_test(1, 250000, 0, 0, 1);
    leak_test(2, 100000, 63, 0, 1);
}

Test(space_swiotlb_leak, m8_slots_of_a_queues_own_hold_granted_bytes_and_zeros_too)
{
    leak_test(3, 250000, 0, 1, 1);
    leak_test(4, 200000, 63, 1, 1);
    leak_test(5, 100000, 127, 1, 1);
}

Test(space_swiotlb_leak,
     m8_a_device_that_writes_all_over_the_pool_learns_nothing_and_plants_nothing)
{
    leak_test(6, 50000, 63, 0, 0);
    leak_test(7, 50000, 63, 1, 0);
}
