/* SPDX-License-Identifier: BSD-3-Clause */
/* The swiotlb space: copies in and out of a pool. M8; threats 60, 61, 65, 66, 67, 78. */
#include <pthread.h>

#include "support/random.h"
#include "swiotlb_fixture.h"

Test(space_swiotlb, a_buffer_of_many_segments_becomes_two_runs)
{
    unsigned char in[4][10];
    unsigned char out[3][20];
    struct spaces_buffer buffer;
    unsigned char bytes[60];
    struct pool pool;
    unsigned i;

    pool_open(&pool, 4096, 64, 0);
    cr_assert_eq(space_of(&pool)->runs_max, 2);
    for (i = 0; i < 4; i++) {
        memset(in[i], (int)(1 + i), 10);
        spaces_segment(&buffer, i, in[i], 10);
    }
    for (i = 0; i < 3; i++) {
        memset(out[i], (int)(0x81 + i), 20);
        spaces_segment(&buffer, 4 + i, out[i], 20);
    }
    cr_assert_eq(spaces_map(space_of(&pool), &buffer, 4, 3, 1), VIRTQ_EFULL);
    cr_assert(is_zero(&pool));
    cr_assert_eq(spaces_map(space_of(&pool), &buffer, 4, 3, 2), 0);
    cr_assert_eq(buffer.mapping.runs_readable, 1);
    cr_assert_eq(buffer.mapping.runs_writable, 1);
    cr_assert_eq(buffer.runs[0].len, 40u);
    cr_assert_eq(buffer.runs[1].len, 60u);
    cr_assert_eq(buffer.mapping.copied, 40u);
    cr_assert_eq(spaces_copy(space_of(&pool), buffer.runs[0].addr, bytes, 40, SPACES_READ), 0);
    for (i = 0; i < 40; i++) {
        cr_assert_eq(bytes[i], 1 + i / 10);
    }
    memset(bytes, 0x55, sizeof(bytes));
    cr_assert_eq(spaces_copy(space_of(&pool), buffer.runs[1].addr, bytes, 60, SPACES_WRITE), 0);
    spaces_unmap(space_of(&pool), &buffer, 33);
    cr_assert_eq(buffer.mapping.copied, 73u);
    for (i = 0; i < 60; i++) {
        cr_assert_eq(out[i / 20][i % 20], i < 33 ? 0x55 : 0x81 + i / 20);
    }
    cr_assert(is_zero(&pool));
    cr_assert_eq(usage_of(&pool).used, 0u);
    pool_close(&pool);
}

Test(space_swiotlb, M8_threat_60_where_the_device_did_not_write_are_the_callers_bytes_or_zeros)
{
    unsigned char data[300];
    struct spaces_buffer buffer;
    struct pool pool;
    uint64_t wrote;
    uint64_t claimed;
    unsigned i;

    pool_open(&pool, 4096, 64, 0);
    for (wrote = 0; wrote <= 300; wrote += 50) {
        for (claimed = 0; claimed <= 350; claimed += 50) {
            unsigned char bytes[300];

            memset(data, 0x11, sizeof(data));
            memset(bytes, 0x99, sizeof(bytes));
            spaces_segment(&buffer, 0, data, 100);
            spaces_segment(&buffer, 1, data + 100, 200);
            cr_assert_eq(spaces_map(space_of(&pool), &buffer, 0, 2, 2), 0);
            cr_assert_eq(
                spaces_copy(space_of(&pool), buffer.runs[0].addr, bytes, wrote, SPACES_WRITE), 0);
            spaces_unmap(space_of(&pool), &buffer, claimed);
            for (i = 0; i < 300; i++) {
                cr_assert_eq(data[i], i >= claimed ? 0x11 : i < wrote ? 0x99 : 0);
            }
        }
    }
    pool_close(&pool);
}

Test(space_swiotlb, threat_61_the_pool_holds_granted_bytes_and_zeros_only)
{
    unsigned char data[130];
    struct spaces_buffer buffer;
    struct pool pool;
    size_t granted = 0;
    size_t i;
    void *slot;

    pool_open(&pool, 4096, 64, 63);
    cr_assert(is_zero(&pool), "zeroed at creation");
    memset(data, 0x77, sizeof(data));
    spaces_segment(&buffer, 0, data + 3, 70);
    spaces_segment(&buffer, 1, data + 90, 9);
    cr_assert_eq(spaces_map(space_of(&pool), &buffer, 1, 1, 2), 0);
    for (i = 0; i < pool.size; i++) {
        virtq_addr_t at = ADDR + i;
        int inside = at >= buffer.runs[0].addr && at - buffer.runs[0].addr < 70;

        /* What the device is to write tells it nothing of what the caller had there. */
        cr_assert_eq(pool.base[i], inside ? 0x77 : 0);
        granted += (size_t)inside;
    }
    cr_assert_eq(granted, 70u);
    /* The device scribbles over everything, padding too: the slot is zeroed none the less. */
    slot = pool.base + (buffer.runs[0].addr - ADDR) / 64 * 64;
    memset(slot, 0xcc, 192);
    spaces_unmap(space_of(&pool), &buffer, 0);
    cr_assert(is_zero(&pool), "zeroed on release");
    cr_assert_eq(virtq_swiotlb_alloc(&pool.swiotlb, 100, 0, &slot), 0);
    memset(slot, 0xcc, 128);
    cr_assert_eq(virtq_swiotlb_free(&pool.swiotlb, slot), 0);
    cr_assert(is_zero(&pool), "zeroed on free");
    pool_close(&pool);
}

Test(space_swiotlb, M8_threat_65_the_low_address_bits_are_kept)
{
    static unsigned char data[3 * 4096];
    const uint32_t masks[] = {0, 0x3f, 0x1ff, 0xfff};
    const uint32_t granules[] = {64, 512, 4096};
    uint64_t seed = 65;
    unsigned m;
    unsigned g;
    int round;

    for (m = 0; m < 4; m++) {
        for (g = 0; g < 3; g++) {
            struct pool pool;

            pool_open(&pool, 16 * 4096, granules[g], masks[m]);
            for (round = 0; round < 300; round++) {
                unsigned char *from = data + random_below(&seed, 4096);
                unsigned char *to = data + 8192 + random_below(&seed, 2048);
                struct spaces_buffer buffer;

                spaces_segment(&buffer, 0, from, 1 + random_below(&seed, 4000));
                spaces_segment(&buffer, 1, to, 1 + random_below(&seed, 2000));
                cr_assert_eq(spaces_map(space_of(&pool), &buffer, 1, 1, 2), 0);
                cr_assert_eq(buffer.runs[0].addr & masks[m], (uintptr_t)from & masks[m]);
                cr_assert_eq(buffer.runs[1].addr & masks[m], (uintptr_t)to & masks[m]);
                spaces_unmap(space_of(&pool), &buffer, 0);
                cr_assert_eq(spaces_map(space_of(&pool), &buffer, 0, 2, 2), 0);
                cr_assert_eq(buffer.runs[0].addr & masks[m], (uintptr_t)from & masks[m]);
                spaces_unmap(space_of(&pool), &buffer, 0);
            }
            pool_close(&pool);
        }
    }
}

Test(space_swiotlb, threat_66_what_never_fits_has_an_error_of_its_own)
{
    static unsigned char data[8192];
    struct spaces_buffer buffer;
    struct pool pool;
    void *base;

    pool_open(&pool, 4096, 64, 0);
    spaces_segment(&buffer, 0, data, 4096);
    cr_assert_eq(spaces_map(space_of(&pool), &buffer, 1, 0, 2), 0);
    cr_assert_eq(virtq_swiotlb_alloc(&pool.swiotlb, 1, 0, &base), VIRTQ_ENOMEM);
    cr_assert_eq(usage_of(&pool).high_water, 4096u);
    cr_assert_eq(usage_of(&pool).shortages, 1u);
    spaces_unmap(space_of(&pool), &buffer, 0);
    spaces_segment(&buffer, 0, data, 4097);
    cr_assert_eq(spaces_map(space_of(&pool), &buffer, 1, 0, 2), VIRTQ_ETOOBIG);
    buffer.segments[0].len = UINT32_MAX;
    spaces_segment(&buffer, 1, data, 1);
    buffer.segments[0].base = NULL;
    cr_assert_eq(spaces_map(space_of(&pool), &buffer, 2, 0, 2), VIRTQ_ETOOBIG, "no 32-bit run");
    spaces_segment(&buffer, 0, (void *)UINTPTR_MAX, 2);
    cr_assert_eq(spaces_map(space_of(&pool), &buffer, 1, 0, 2), VIRTQ_EFAULT);
    spaces_segment(&buffer, 0, data, 0);
    cr_assert_eq(spaces_map(space_of(&pool), &buffer, 1, 0, 2), VIRTQ_EINVAL);
    cr_assert_eq(spaces_map(space_of(&pool), &buffer, 0, 0, 2), VIRTQ_EINVAL);
    cr_assert(is_zero(&pool));
    cr_assert_eq(usage_of(&pool).used, 0u);
    pool_close(&pool);
}

/* A few slots, many requests: each is refused as a shortage until a slot is back, and all finish.
 */
Test(space_swiotlb, threat_67_a_shortage_is_a_shortage_and_everything_finishes)
{
    unsigned granules;

    for (granules = 1; granules <= 4; granules++) {
        enum { REQUESTS = 200, AT_ONCE = 8 };
        static struct spaces_buffer buffers[AT_ONCE];
        static unsigned char data[AT_ONCE][64];
        uint64_t seed = granules;
        int live[AT_ONCE] = {0};
        unsigned shortages = 0;
        unsigned done = 0;
        struct pool pool;

        pool_open(&pool, granules * 64, 64, 0);
        while (done < REQUESTS) {
            unsigned i = (unsigned)random_below(&seed, AT_ONCE);

            if (live[i]) {
                cr_assert_eq(pool.base[buffers[i].runs[0].addr - ADDR], i);
                spaces_unmap(space_of(&pool), &buffers[i], 0);
                live[i] = 0;
                done++;
            } else {
                int error;

                memset(data[i], (int)i, 64);
                spaces_segment(&buffers[i], 0, data[i], 64);
                error = spaces_map(space_of(&pool), &buffers[i], 1, 0, 2);
                cr_assert(error == 0 || error == VIRTQ_ENOMEM);
                live[i] = error == 0;
                shortages += error != 0;
            }
        }
        cr_assert_gt(shortages, 0u);
        cr_assert_eq(usage_of(&pool).shortages, shortages);
        cr_assert_eq(usage_of(&pool).high_water, granules * 64);
        pool_close(&pool);
    }
}

Test(space_swiotlb, threat_78_the_device_end_is_exactly_the_pool)
{
    struct virtq_window window;
    struct pool pool;
    unsigned char byte;

    pool_open(&pool, 4096, 64, 0);
    cr_assert_eq(space_of(&pool)->device_kind, (uint32_t)VIRTQ_SPACE_DIRECT);
    cr_assert_eq(space_of(&pool)->driver_kind, (uint32_t)VIRTQ_SPACE_CALLED);
    cr_assert_eq(space_of(&pool)->linear.first, (virtq_addr_t)ADDR);
    cr_assert_eq(space_of(&pool)->linear.last, (virtq_addr_t)ADDR + 4095);
    cr_assert_eq(space_of(&pool)->linear.base, pool.base);
    cr_assert_eq(spaces_copy(space_of(&pool), ADDR, &byte, 1, SPACES_READ), 0);
    cr_assert_eq(spaces_copy(space_of(&pool), ADDR + 4095, &byte, 1, SPACES_WRITE), 0);
    cr_assert_eq(spaces_copy(space_of(&pool), ADDR - 1, &byte, 1, SPACES_READ), VIRTQ_EFAULT);
    cr_assert_eq(spaces_copy(space_of(&pool), ADDR + 4096, &byte, 1, SPACES_READ), VIRTQ_EFAULT);
    cr_assert_eq(space_of(&pool)->ops->window(space_of(&pool), ADDR, 0, &window), VIRTQ_EINVAL);
    pool_close(&pool);
}

/* Random buffers, several at a time, and a device that writes any number of bytes and claims any
 * other: no byte of another buffer is ever seen by either side (G11). Each buffer's bytes carry its
 * number, the device's carry the top bit. */
enum { LEAK_BUFFERS = 6, LEAK_BYTES = 700 };

struct leak_buffer {
    struct spaces_buffer buffer;
    unsigned char data[LEAK_BYTES];
    unsigned char number;
    unsigned readable_bytes;
    uint64_t wrote;
    int live;
};

/* Cuts the bytes into segments at random. */
static void leak_segments(struct leak_buffer *leak, uint64_t *seed, unsigned readable,
                          unsigned writable)
{
    unsigned at = 0;
    unsigned i;

    memset(leak->data, leak->number, LEAK_BYTES);
    leak->readable_bytes = LEAK_BYTES;
    for (i = 0; i < readable + writable; i++) {
        unsigned len = 1 + (unsigned)random_below(seed, 80);

        if (i + 1 == readable + writable) {
            len = LEAK_BYTES - at;
        }
        if (i == readable) {
            leak->readable_bytes = at;
        }
        spaces_segment(&leak->buffer, i, leak->data + at, len);
        at += len;
    }
}

/* What the device finds are this buffer's bytes, and zeros where it is to write; then it writes
 * some. */
static void leak_device(struct pool *pool, struct leak_buffer *leak, uint64_t *seed)
{
    const struct virtq_mapping *mapping = &leak->buffer.mapping;
    unsigned char bytes[LEAK_BYTES];
    unsigned runs = (unsigned)mapping->runs_readable + mapping->runs_writable;
    const struct virtq_run *last = &leak->buffer.runs[runs - 1];
    unsigned i;
    unsigned j;

    for (i = 0; i < runs; i++) {
        const struct virtq_run *run = &leak->buffer.runs[i];

        cr_assert_eq(spaces_copy(space_of(pool), run->addr, bytes, run->len, SPACES_READ), 0);
        for (j = 0; j < run->len; j++) {
            cr_assert_eq(bytes[j], i < mapping->runs_readable ? leak->number : 0);
        }
    }
    leak->wrote = mapping->runs_writable != 0 ? random_below(seed, last->len + 1) : 0;
    memset(bytes, 0x80 + leak->number, sizeof(bytes));
    cr_assert_eq(spaces_copy(space_of(pool), last->addr, bytes, leak->wrote, SPACES_WRITE), 0);
}

static void leak_unmap(struct pool *pool, struct leak_buffer *leak, uint64_t claimed)
{
    uint64_t i;

    spaces_unmap(space_of(pool), &leak->buffer, claimed);
    for (i = 0; i < LEAK_BYTES; i++) {
        int copied = i >= leak->readable_bytes && i - leak->readable_bytes < claimed;
        int by_device = i - leak->readable_bytes < leak->wrote;

        cr_assert_eq(leak->data[i], !copied ? leak->number : by_device ? 0x80 + leak->number : 0);
    }
    leak->live = 0;
}

Test(space_swiotlb, threats_60_61_no_byte_of_another_buffer_is_ever_seen)
{
    static struct leak_buffer leaks[LEAK_BUFFERS];
    uint64_t seed = 6061;
    struct pool pool;
    int round;

    pool_open(&pool, 4096, 64, 63);
    for (round = 0; round < 20000; round++) {
        unsigned b = (unsigned)random_below(&seed, LEAK_BUFFERS);
        struct leak_buffer *leak = &leaks[b];

        if (leak->live) {
            uint64_t lie = random_below(&seed, LEAK_BYTES + 100);

            leak_unmap(&pool, leak, random_below(&seed, 3) != 0 ? leak->wrote : lie);
        } else {
            unsigned readable = (unsigned)random_below(&seed, 4);
            unsigned writable = (readable == 0) + (unsigned)random_below(&seed, 4);

            leak->number = (unsigned char)(1 + b);
            leak_segments(leak, &seed, readable, writable);
            if (spaces_map(space_of(&pool), &leak->buffer, readable, writable, 2) == 0) {
                leak->live = 1;
                leak_device(&pool, leak, &seed);
            }
        }
    }
    for (round = 0; round < LEAK_BUFFERS; round++) {
        if (leaks[round].live) {
            leak_unmap(&pool, &leaks[round], 0);
        }
    }
    cr_assert(is_zero(&pool));
    cr_assert_eq(usage_of(&pool).used, 0u);
    pool_close(&pool);
}

struct worker {
    struct pool *pool;
    unsigned char mark;
    int wrong;
};

static void *maps_and_unmaps(void *context)
{
    struct worker *worker = context;
    uint64_t seed = worker->mark;
    int round;

    for (round = 0; round < 20000; round++) {
        unsigned len = 1 + (unsigned)random_below(&seed, 400);
        struct spaces_buffer buffer;
        unsigned char data[400];
        unsigned char seen[400];

        memset(data, worker->mark, sizeof(data));
        spaces_segment(&buffer, 0, data, len);
        if (spaces_map(space_of(worker->pool), &buffer, 1, 0, 2) != 0) {
            continue;
        }
        (void)spaces_copy(space_of(worker->pool), buffer.runs[0].addr, seen, len, SPACES_READ);
        worker->wrong |= memcmp(seen, data, len) != 0;
        spaces_unmap(space_of(worker->pool), &buffer, 0);
    }
    return NULL;
}

Test(space_swiotlb, L5_two_threads_share_a_pool)
{
    struct pool pool;
    struct worker workers[2] = {{&pool, 1, 0}, {&pool, 2, 0}};
    pthread_t threads[2];
    int i;

    pool_open(&pool, 1024, 64, 0);
    for (i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, maps_and_unmaps, &workers[i]), 0);
    }
    for (i = 0; i < 2; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_eq(workers[i].wrong, 0);
    }
    cr_assert(is_zero(&pool));
    cr_assert_eq(usage_of(&pool).used, 0u);
    pool_close(&pool);
}
