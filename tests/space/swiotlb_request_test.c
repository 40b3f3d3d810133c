/* SPDX-License-Identifier: BSD-3-Clause */
/* Persistent slots of a pool. M8; threats 60, 61, 63, 65. */
#include "support/random.h"
#include "swiotlb_fixture.h"
#include "virtq/space/swiotlb_request.h"

static unsigned char *at_addr(const struct pool *pool, virtq_addr_t addr)
{
    return pool->base + (addr - ADDR);
}

Test(space_swiotlb_request, a_request_uses_its_slot_again_and_again)
{
    unsigned char in[3][10];
    unsigned char out[2][20];
    struct virtq_segment segments[5];
    struct virtq_swiotlb_request request;
    struct virtq_buffer buffer = {.cookie = in};
    struct virtq_swiotlb_usage before;
    struct pool pool;
    unsigned round;
    unsigned i;

    pool_open(&pool, 4096, 64, 0);
    cr_assert_eq(virtq_swiotlb_request_init(&request, 1, &pool.swiotlb, NULL, 30, 40), 0);
    before = usage_of(&pool);
    for (i = 0; i < 3; i++) {
        segments[i] = (struct virtq_segment){.base = in[i], .len = 10};
    }
    for (i = 0; i < 2; i++) {
        segments[3 + i] = (struct virtq_segment){.base = out[i], .len = 20};
    }
    for (round = 0; round < 20; round++) {
        memset(in, (int)round, sizeof(in));
        memset(out, 0x40, sizeof(out));
        cr_assert_eq(virtq_swiotlb_request_prepare(&request, segments, 3, 2, &buffer), 0);
        cr_assert_eq(buffer.flags, (uint32_t)VIRTQ_BUFFER_PREMAPPED);
        cr_assert_eq(buffer.cookie, in);
        cr_assert_eq(buffer.readable + buffer.writable, 2);
        cr_assert_eq(buffer.segments[0].len, 30u);
        cr_assert_eq(buffer.segments[1].len, 40u);
        cr_assert_eq(at_addr(&pool, buffer.segments[0].addr)[29], round);
        cr_assert_eq(at_addr(&pool, buffer.segments[1].addr)[39], 0);
        cr_assert_eq(virtq_swiotlb_request_prepare(&request, segments, 3, 2, &buffer), VIRTQ_EBUSY);
        memset(at_addr(&pool, buffer.segments[1].addr), 0x99, 40);
        cr_assert_eq(virtq_swiotlb_request_complete(&request, round * 3),
                     round * 3 < 40 ? round * 3 : 40);
        for (i = 0; i < 40; i++) {
            cr_assert_eq(out[i / 20][i % 20], i < round * 3 ? 0x99 : 0x40);
        }
        cr_assert_eq(virtq_swiotlb_request_complete(&request, 40), 0u, "not in use");
    }
    cr_assert_eq(usage_of(&pool).used, before.used);
    virtq_swiotlb_request_fini(&request, 1);
    cr_assert(is_zero(&pool));
    cr_assert_eq(usage_of(&pool).used, 0u);
    pool_close(&pool);
}

/* Random uses of a few requests: the device may write anything anywhere in what it was granted, and
 * claim what it likes; the pool holds the bytes of the last use and zeros. */
Test(space_swiotlb_request, m8_no_byte_of_an_earlier_use_is_granted_or_copied_back)
{
    enum { REQUESTS = 3, MOST = 300 };
    const uint32_t masks[] = {0, 63, 127};
    const unsigned rounds = getenv("VIRTQ_TEST_HURRIED") != NULL ? 2000 : 100000;
    static unsigned char data[REQUESTS][2 * MOST + 256];
    uint64_t seed = 8;
    unsigned m;
    unsigned round;

    for (m = 0; m < 3; m++) {
        struct virtq_swiotlb_request requests[REQUESTS];
        static unsigned char image[8192];
        struct pool pool;

        memset(image, 0, sizeof(image));
        pool_open(&pool, sizeof(image), 64, masks[m]);
        cr_assert_eq(
            virtq_swiotlb_request_init(requests, REQUESTS, &pool.swiotlb, NULL, MOST, MOST), 0);
        for (round = 0; round < rounds; round++) {
            const unsigned r = (unsigned)random_below(&seed, REQUESTS);
            const unsigned char number = (unsigned char)(1 + round % 127);
            const unsigned readable = (unsigned)random_below(&seed, 3);
            const unsigned writable = (readable == 0) + (unsigned)random_below(&seed, 2);
            const uint64_t claimed = random_below(&seed, 2 * MOST);
            unsigned char *own = data[r] + random_below(&seed, 128);
            unsigned char *writes = own;
            struct virtq_swiotlb_part *parts = requests[r].parts;
            struct virtq_segment segments[4];
            struct virtq_buffer buffer = {.cookie = NULL};
            uint64_t wrote = 0;
            uint64_t total = 0;
            unsigned i;

            /* What the device wrote last time is gone, and so is everything of other sizes. */
            memset(data[r], number, sizeof(data[r]));
            for (i = 0; i < readable + writable; i++) {
                segments[i] = (struct virtq_segment){
                    .base = own, .len = 1 + (uint32_t)random_below(&seed, MOST / 2)};
                writes = i == readable ? own : writes;
                own += segments[i].len;
            }
            cr_assert_eq(virtq_swiotlb_request_prepare(&requests[r], segments, (uint16_t)readable,
                                                       (uint16_t)writable, &buffer),
                         0);
            memset(image + (parts[0].addr - ADDR), 0,
                   (size_t)(parts[1].addr - parts[0].addr) + MOST + masks[m]);
            for (i = 0; i < (unsigned)buffer.readable + buffer.writable; i++) {
                memset(image + (buffer.segments[i].addr - ADDR), i < buffer.readable ? number : 0,
                       buffer.segments[i].len);
            }
            cr_assert(memcmp(pool.base, image, sizeof(image)) == 0, "mask %u round %u", m, round);
            if (writable != 0) {
                const struct virtq_segment *segment = &buffer.segments[buffer.readable];

                cr_assert_eq(segment->addr & masks[m],
                             (uintptr_t)segments[readable].base & masks[m]);
                total = segment->len;
                wrote = random_below(&seed, total + 1);
                memset(at_addr(&pool, segment->addr), 0x80 | number, (size_t)wrote);
            }
            cr_assert_eq(virtq_swiotlb_request_complete(&requests[r], claimed),
                         claimed < total ? claimed : total);
            for (i = 0; i < sizeof(data[r]); i++) {
                const unsigned char *byte = &data[r][i];
                const int copied =
                    byte >= writes && byte < writes + total && byte < writes + claimed;

                cr_assert_eq(*byte, !copied ? number : byte < writes + wrote ? (0x80 | number) : 0);
            }
        }
        virtq_swiotlb_request_fini(requests, REQUESTS);
        cr_assert(is_zero(&pool));
        pool_close(&pool);
    }
}

Test(space_swiotlb_request, threat_63_a_part_of_a_long_lived_buffer_is_copied_either_way)
{
    static unsigned char in[100];
    static unsigned char out[100];
    struct virtq_segment segments[4] = {{.base = in, .len = 60},
                                        {.base = in + 60, .len = 40},
                                        {.base = out, .len = 1},
                                        {.base = out + 1, .len = 99}};
    struct virtq_swiotlb_request request;
    struct virtq_buffer buffer;
    struct pool pool;
    unsigned offset;
    unsigned len;
    unsigned i;

    pool_open(&pool, 4096, 64, 0);
    cr_assert_eq(virtq_swiotlb_request_init(&request, 1, &pool.swiotlb, NULL, 100, 100), 0);
    cr_assert_eq(virtq_swiotlb_request_sync_in(&request, 0, 0), VIRTQ_EINVAL, "not in use");
    cr_assert_eq(virtq_swiotlb_request_prepare(&request, segments, 2, 2, &buffer), 0);
    for (offset = 0; offset <= 100; offset++) {
        for (len = 0; len <= 101 - offset; len++) {
            unsigned char *slot = at_addr(&pool, buffer.segments[0].addr);
            const int error = offset + len > 100 ? VIRTQ_EINVAL : 0;

            memset(in, 7, sizeof(in));
            memset(slot, 0, 100);
            cr_assert_eq(virtq_swiotlb_request_sync_in(&request, offset, len), error);
            for (i = 0; i < 100; i++) {
                cr_assert_eq(slot[i], error == 0 && i >= offset && i < offset + len ? 7 : 0);
            }
            memset(out, 1, sizeof(out));
            memset(at_addr(&pool, buffer.segments[1].addr), 9, 100);
            cr_assert_eq(virtq_swiotlb_request_sync_out(&request, offset, len), error);
            for (i = 0; i < 100; i++) {
                cr_assert_eq(out[i], error == 0 && i >= offset && i < offset + len ? 9 : 1);
            }
        }
    }
    cr_assert_eq(virtq_swiotlb_request_sync_out(&request, 1, UINT64_MAX), VIRTQ_EINVAL);
    cr_assert_eq(virtq_swiotlb_request_sync_in(&request, UINT64_MAX, 2), VIRTQ_EINVAL);
    virtq_swiotlb_request_fini(&request, 1);
    pool_close(&pool);
}

Test(space_swiotlb_request, what_does_not_fit_changes_nothing)
{
    static unsigned char data[128];
    struct virtq_segment segments[2] = {{.base = data, .len = 65}, {.base = data + 65, .len = 0}};
    struct virtq_swiotlb_request requests[5];
    struct virtq_buffer buffer;
    struct pool pool;

    pool_open(&pool, 256, 64, 0);
    cr_assert_eq(virtq_swiotlb_request_init(requests, 0, &pool.swiotlb, NULL, 1, 1), VIRTQ_EINVAL);
    cr_assert_eq(virtq_swiotlb_request_init(requests, 1, &pool.swiotlb, NULL, 0, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_swiotlb_request_init(requests, 1, &pool.swiotlb, NULL, 257, 0),
                 VIRTQ_ETOOBIG);
    cr_assert_eq(virtq_swiotlb_request_init(requests, 5, &pool.swiotlb, NULL, 64, 0), VIRTQ_ENOMEM);
    cr_assert_eq(usage_of(&pool).used, 0u, "all or nothing");
    cr_assert_eq(virtq_swiotlb_request_init(requests, 4, &pool.swiotlb, NULL, 64, 0), 0);
    cr_assert_eq(virtq_swiotlb_request_prepare(requests, segments, 1, 0, &buffer), VIRTQ_ETOOBIG);
    segments[0].len = 64;
    cr_assert_eq(virtq_swiotlb_request_prepare(requests, segments, 0, 1, &buffer), VIRTQ_ETOOBIG);
    cr_assert_eq(virtq_swiotlb_request_prepare(requests, segments, 1, 1, &buffer), VIRTQ_EINVAL);
    cr_assert_eq(virtq_swiotlb_request_prepare(requests, segments, 0, 0, &buffer), VIRTQ_EINVAL);
    segments[0].base = (void *)UINTPTR_MAX;
    cr_assert_eq(virtq_swiotlb_request_prepare(requests, segments, 1, 0, &buffer), VIRTQ_EFAULT);
    segments[0].base = data;
    cr_assert(is_zero(&pool));
    cr_assert_eq(virtq_swiotlb_request_prepare(requests, segments, 1, 0, &buffer), 0);
    virtq_swiotlb_request_fini(requests, 4);
    cr_assert_eq(usage_of(&pool).used, 0u);
    pool_close(&pool);
}

/* Longer than what is copied and zeroed at a time. */
Test(space_swiotlb_request, m8_a_long_reply_comes_back_as_far_as_claimed_and_is_gone)
{
    enum { MOST = 5000 };
    static unsigned char data[MOST];
    static unsigned char reply[MOST];
    struct virtq_segment segment = {.base = data, .len = MOST};
    struct virtq_swiotlb_request request;
    struct virtq_buffer buffer;
    struct pool pool;
    uint64_t seed = 9;
    uint64_t claimed;
    unsigned i;

    pool_open(&pool, 8192, 64, 0);
    for (i = 0; i < MOST; i++) {
        reply[i] = (unsigned char)(1 + random_below(&seed, 255));
    }
    cr_assert_eq(virtq_swiotlb_request_init(&request, 1, &pool.swiotlb, NULL, 0, MOST), 0);
    for (claimed = 0; claimed <= MOST; claimed += 1 + random_below(&seed, 100)) {
        segment.len = claimed != 0 ? (uint32_t)claimed : 1;
        segment.len += (uint32_t)random_below(&seed, MOST + 1 - segment.len);
        memset(data, 0, sizeof(data));
        cr_assert_eq(virtq_swiotlb_request_prepare(&request, &segment, 0, 1, &buffer), 0);
        memcpy(at_addr(&pool, buffer.segments[0].addr), reply, segment.len);
        cr_assert_eq(virtq_swiotlb_request_complete(&request, claimed), claimed);
        cr_assert(memcmp(data, reply, (size_t)claimed) == 0, "of %u", segment.len);
        for (i = (unsigned)claimed; i < MOST; i++) {
            cr_assert_eq(data[i], 0);
        }
        cr_assert(is_zero(&pool), "%u of %u", (unsigned)claimed, segment.len);
    }
    virtq_swiotlb_request_fini(&request, 1);
    pool_close(&pool);
}
