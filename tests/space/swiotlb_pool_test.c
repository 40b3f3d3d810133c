/* SPDX-License-Identifier: BSD-3-Clause */
/* The pool of the swiotlb space: slots, sizes, memory that lives in it. Threats 64, 66. */
#include "support/random.h"
#include "swiotlb_fixture.h"

/* Sixteen granules against a bitmap: each slot is free before it is granted, is the lowest that
 * fits, and is refused only when nothing fits. */
Test(space_swiotlb_pool, threat_64_slots_are_never_handed_out_twice)
{
    enum { GRANULES = 16 };
    uint64_t seed = 64;
    struct pool pool;
    void *live[GRANULES];
    uint64_t sizes[GRANULES];
    int used[GRANULES] = {0};
    unsigned count = 0;
    int round;

    pool_open(&pool, GRANULES * 64, 64, 0);
    for (round = 0; round < 20000; round++) {
        unsigned i;

        if (count < GRANULES && random_below(&seed, 5) < 3) {
            uint64_t number = 1 + random_below(&seed, GRANULES + 1);
            uint64_t stride = (uint64_t)1 << random_below(&seed, 5);
            uint64_t at;
            int fits = 0;
            void *base;
            int error = virtq_swiotlb_alloc(&pool.swiotlb, number * 64 - random_below(&seed, 64),
                                            stride * 64, &base);

            for (at = 0; !fits && at + number <= GRANULES; at += fits ? 0 : stride) {
                fits = 1;
                for (i = 0; i < number; i++) {
                    fits = fits && !used[at + i];
                }
                if (fits) {
                    break;
                }
            }
            if (!fits) {
                cr_assert_eq(error, number > GRANULES ? VIRTQ_ETOOBIG : VIRTQ_ENOMEM);
                continue;
            }
            cr_assert_eq(error, 0);
            cr_assert_eq((unsigned char *)base, pool.base + at * 64);
            for (i = 0; i < number; i++) {
                used[at + i] = 1;
            }
            live[count] = base;
            sizes[count++] = number;
        } else if (count > 0) {
            unsigned which = (unsigned)random_below(&seed, count);
            size_t at = (size_t)((unsigned char *)live[which] - pool.base) / 64;

            cr_assert_eq(virtq_swiotlb_free(&pool.swiotlb, live[which]), 0);
            cr_assert_eq(virtq_swiotlb_free(&pool.swiotlb, live[which]), VIRTQ_EINVAL);
            for (i = 0; i < sizes[which]; i++) {
                used[at + i] = 0;
            }
            live[which] = live[--count];
            sizes[which] = sizes[count];
        }
    }
    pool_close(&pool);
}

static int map_two(struct pool *pool, void *from, uint64_t readable, void *to, uint64_t writable)
{
    struct spaces_buffer buffer;
    int error;

    spaces_segment(&buffer, 0, from, readable);
    spaces_segment(&buffer, 1, to, writable);
    error = spaces_map(space_of(pool), &buffer, 1, 1, 2);
    if (error == 0) {
        spaces_unmap(space_of(pool), &buffer, 0);
    }
    return error;
}

Test(space_swiotlb_pool, threat_66_the_largest_mapping_is_known_and_holds_at_the_worst_alignment)
{
    static unsigned char data[32768] __attribute__((aligned(512)));
    const uint32_t masks[] = {0, 0x3f, 0x1ff};
    uint64_t seed = 66;
    unsigned m;

    for (m = 0; m < 3; m++) {
        uint32_t mask = masks[m];
        unsigned char *from = data + mask; /* As far behind the pool's start as can be ... */
        uint64_t split = 65 + 64 - mask % 64;
        uint64_t end = mask + split - 1;                       /* ... one byte into a granule ... */
        unsigned char *to = data + 8192 + ((end + 63) & mask); /* ... and again as far as can be. */
        struct pool pool;
        uint64_t most;
        int round;

        pool_open(&pool, 4096, 64, mask);
        most = virtq_swiotlb_max_mapping(&pool.swiotlb);
        cr_assert_eq(most, 4096 - 63 - 2 * (uint64_t)mask);
        cr_assert_eq(end % 64, 0u);
        cr_assert_eq(map_two(&pool, from, split, to, most - split), 0);
        cr_assert_eq(map_two(&pool, from, split, to, most - split + 1), VIRTQ_ETOOBIG);
        cr_assert_eq(usage_of(&pool).too_big, 1u);
        for (round = 0; round < 5000; round++) {
            split = 1 + random_below(&seed, most - 1);
            cr_assert_eq(map_two(&pool, data + random_below(&seed, 1024), split,
                                 data + 8192 + random_below(&seed, 1024), most - split),
                         0);
        }
        pool_close(&pool);
    }
}

Test(space_swiotlb_pool, rings_and_persistent_buffers_live_inside_the_pool)
{
    struct pool pool;
    unsigned char outside[64];
    virtq_addr_t addr;
    void *ring;
    void *next;

    pool_open(&pool, 8192, 64, 0);
    cr_assert_eq(virtq_swiotlb_alloc(&pool.swiotlb, 100, 0, &ring), 0);
    cr_assert_eq(virtq_swiotlb_alloc(&pool.swiotlb, 64, 4096, &next), 0);
    cr_assert_eq((unsigned char *)next, pool.base + 4096);
    cr_assert_eq(space_of(&pool)->ops->share(space_of(&pool), ring, 128, SPACES_BOTH, &addr), 0);
    cr_assert_eq(addr, (virtq_addr_t)ADDR);
    cr_assert_eq(space_of(&pool)->ops->share(space_of(&pool), (unsigned char *)next + 5, 3,
                                             SPACES_READ, &addr),
                 0);
    cr_assert_eq(addr, (virtq_addr_t)ADDR + 4096 + 5);
    space_of(&pool)->ops->unshare(space_of(&pool), addr, 3);
    cr_assert_eq(space_of(&pool)->ops->share(space_of(&pool), ring, 129, SPACES_BOTH, &addr),
                 VIRTQ_EFAULT, "not allocated");
    cr_assert_eq(space_of(&pool)->ops->share(space_of(&pool), (void *)((uintptr_t)ring - 1), 2,
                                             SPACES_BOTH, &addr),
                 VIRTQ_EFAULT, "begins below the pool");
    cr_assert_eq(space_of(&pool)->ops->share(space_of(&pool), outside, 64, SPACES_BOTH, &addr),
                 VIRTQ_EFAULT);
    cr_assert_eq(space_of(&pool)->ops->share(space_of(&pool), ring, UINT64_MAX, SPACES_BOTH, &addr),
                 VIRTQ_EFAULT);
    cr_assert_eq(
        space_of(&pool)->ops->share(space_of(&pool), pool.base + 8191, 2, SPACES_BOTH, &addr),
        VIRTQ_EFAULT);
    cr_assert_eq(space_of(&pool)->ops->share(space_of(&pool), ring, 0, SPACES_BOTH, &addr),
                 VIRTQ_EINVAL);
    cr_assert_eq(virtq_swiotlb_alloc(&pool.swiotlb, 1, 3, &ring), VIRTQ_EINVAL);
    cr_assert_eq(virtq_swiotlb_alloc(&pool.swiotlb, 0, 0, &ring), VIRTQ_EINVAL);
    cr_assert_eq(virtq_swiotlb_alloc(&pool.swiotlb, UINT64_MAX, 0, &ring), VIRTQ_ETOOBIG);
    cr_assert_eq(virtq_swiotlb_free(&pool.swiotlb, (unsigned char *)next + 1), VIRTQ_EINVAL);
    cr_assert_eq(virtq_swiotlb_free(&pool.swiotlb, outside), VIRTQ_EINVAL);
    pool_close(&pool);
}

Test(space_swiotlb_pool, refuses_illegal_configurations)
{
    const struct virtq_swiotlb_config empty = VIRTQ_SWIOTLB_CONFIG_INIT;
    static uint64_t bits[64];
    size_t page = guarded_page();
    unsigned char *base = guarded_alloc(page);
    struct virtq_swiotlb_config good = empty;
    struct virtq_swiotlb_config config;
    struct virtq_swiotlb swiotlb;

    good.pool = base;
    good.pool_size = 4096;
    good.addr = UINT64_MAX - 4095;
    good.memory = bits;
    good.memory_size = virtq_swiotlb_private_size(4096, 64);
    cr_assert_eq(virtq_swiotlb_init(&swiotlb, &empty), VIRTQ_EINVAL);
    config = good;
    config.addr += 64;
    cr_assert_eq(virtq_swiotlb_init(&swiotlb, &config), VIRTQ_EINVAL, "wraps");
    config = good;
    config.addr += 1;
    cr_assert_eq(virtq_swiotlb_init(&swiotlb, &config), VIRTQ_EINVAL);
    config = good;
    config.pool_size = 4097;
    cr_assert_eq(virtq_swiotlb_init(&swiotlb, &config), VIRTQ_EINVAL);
    config = good;
    config.granule = 32;
    cr_assert_eq(virtq_swiotlb_init(&swiotlb, &config), VIRTQ_EINVAL);
    config = good;
    config.granule = 96;
    cr_assert_eq(virtq_swiotlb_init(&swiotlb, &config), VIRTQ_EINVAL);
    config = good;
    config.low_mask = 5;
    cr_assert_eq(virtq_swiotlb_init(&swiotlb, &config), VIRTQ_EINVAL);
    config = good;
    config.memory = (unsigned char *)bits + 4;
    cr_assert_eq(virtq_swiotlb_init(&swiotlb, &config), VIRTQ_EINVAL);
    config = good;
    config.memory_size--;
    cr_assert_eq(virtq_swiotlb_init(&swiotlb, &config), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_swiotlb_init(&swiotlb, &good), 0);
    cr_assert_eq(swiotlb.space.linear.last, UINT64_MAX, "L6: the pool may end at the top");
    guarded_free(base, page);
}

struct sharer {
    unsigned shared;
    unsigned unshared;
    void *base;
    uint64_t len;
    int answer;
};

static int share_pages(void *context, void *base, uint64_t len)
{
    struct sharer *sharer = context;

    sharer->shared++;
    sharer->base = base;
    sharer->len = len;
    if (sharer->answer == 0) {
        memset(base, 0xcd, (size_t)len); /* As a change of keys does. */
    }
    return sharer->answer;
}

static void unshare_pages(void *context, void *base, uint64_t len)
{
    struct sharer *sharer = context;

    sharer->unshared += sharer->base == base && sharer->len == len;
}

Test(space_swiotlb_pool, pages_are_shared_once_with_the_host_and_once_taken_back)
{
    struct sharer sharer = {.answer = -77};
    struct virtq_swiotlb_config config = VIRTQ_SWIOTLB_CONFIG_INIT;
    struct virtq_swiotlb before;
    struct pool pool;
    void *slot;
    int i;

    pool_open(&pool, 4096, 64, 0);
    config.pool = pool.base;
    config.pool_size = pool.size;
    config.memory = pool.bits;
    config.memory_size = virtq_swiotlb_private_size(4096, 64);
    config.host = (struct virtq_swiotlb_host){share_pages, unshare_pages, &sharer};
    pool.bits[0] = 5;
    before = pool.swiotlb;
    cr_assert_eq(virtq_swiotlb_init(&pool.swiotlb, &config), -77);
    cr_assert_eq(pool.bits[0], 5u);
    cr_assert(memcmp(&before, &pool.swiotlb, sizeof(before)) == 0, "untouched");
    sharer.answer = 0;
    cr_assert_eq(virtq_swiotlb_init(&pool.swiotlb, &config), 0);
    cr_assert(is_zero(&pool));
    for (i = 0; i < 10; i++) {
        unsigned char data[16] = {1};

        cr_assert_eq(map_two(&pool, data, 8, data + 8, 8), 0);
    }
    cr_assert_eq(virtq_swiotlb_alloc(&pool.swiotlb, 64, 0, &slot), 0);
    cr_assert_eq(virtq_swiotlb_fini(&pool.swiotlb), VIRTQ_EBUSY);
    cr_assert_eq(sharer.unshared, 0u);
    cr_assert_eq(virtq_swiotlb_free(&pool.swiotlb, slot), 0);
    pool.base[100] = 0xee; /* The device's. */
    cr_assert_eq(virtq_swiotlb_fini(&pool.swiotlb), 0);
    cr_assert(is_zero(&pool));
    cr_assert_eq(sharer.shared, 2u);
    cr_assert_eq(sharer.unshared, 1u);
    pool_close(&pool);
}
