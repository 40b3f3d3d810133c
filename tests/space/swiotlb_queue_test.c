/* SPDX-License-Identifier: BSD-3-Clause */
/* A space for one queue in front of a pool: slots of its own. L5, M8; threats 65, 66, 67. */
#include <pthread.h>

#include "support/random.h"
#include "swiotlb_fixture.h"
#include "virtq/space/swiotlb_queue.h"

struct cache {
    struct virtq_swiotlb_queue queue;
    uint64_t memory[VIRTQ_SWIOTLB_CLASSES_MAX * 8];
};

static void cache_open(struct cache *cache, struct pool *pool, uint32_t classes, uint32_t depth)
{
    struct virtq_swiotlb_queue_config config = VIRTQ_SWIOTLB_QUEUE_CONFIG_INIT;

    config.pool = &pool->swiotlb;
    config.classes = classes;
    config.depth = depth;
    config.memory = cache->memory;
    config.memory_size = virtq_swiotlb_queue_private_size(&config);
    cr_assert_leq(config.memory_size, sizeof(cache->memory));
    cr_assert_eq(virtq_swiotlb_queue_init(&cache->queue, &config), 0);
}

static struct virtq_slots_usage cache_usage(const struct cache *cache)
{
    struct virtq_slots_usage usage;

    virtq_swiotlb_queue_read_usage(&cache->queue, &usage);
    return usage;
}

static int map_bytes(struct cache *cache, struct spaces_buffer *buffer, void *data, uint64_t len)
{
    spaces_segment(buffer, 0, data, len);
    return spaces_map(&cache->queue.space, buffer, 0, 1, 2);
}

Test(space_swiotlb_queue, a_slot_that_came_back_serves_the_next_buffer_without_the_pool)
{
    static unsigned char data[200];
    struct spaces_buffer buffer;
    struct cache cache;
    struct pool pool;
    uint32_t lock_word;
    unsigned i;

    pool_open(&pool, 4096, 64, 0);
    cache_open(&cache, &pool, 4, 4);
    cr_assert_eq(usage_of(&pool).used, 0u, "nothing is taken in advance");
    cr_assert_eq(map_bytes(&cache, &buffer, data, 200), 0);
    cr_assert_eq(usage_of(&pool).used, 256u);
    spaces_unmap(&cache.queue.space, &buffer, 200);
    cr_assert(is_zero(&pool));
    /* With the pool locked for good, one question to it would not come back. */
    lock_word = pool.swiotlb.granules.lock;
    pool.swiotlb.granules.lock = 1;
    for (i = 0; i < 100; i++) {
        cr_assert_eq(map_bytes(&cache, &buffer, data, 129 + i % 72), 0);
        spaces_unmap(&cache.queue.space, &buffer, 7);
    }
    pool.swiotlb.granules.lock = lock_word;
    cr_assert_eq(cache_usage(&cache).misses, 1u);
    cr_assert_eq(cache_usage(&cache).kept, 256u);
    cr_assert_eq(virtq_swiotlb_queue_flush(&cache.queue), 256u);
    cr_assert_eq(usage_of(&pool).used, 0u);
    cr_assert_eq(cache_usage(&cache).held, 0u);
    pool_close(&pool);
}

Test(space_swiotlb_queue, a_class_keeps_no_more_than_its_depth)
{
    static unsigned char data[64];
    struct spaces_buffer buffers[6];
    struct cache cache;
    struct pool pool;
    unsigned i;

    pool_open(&pool, 4096, 64, 0);
    cache_open(&cache, &pool, 1, 4);
    for (i = 0; i < 6; i++) {
        cr_assert_eq(map_bytes(&cache, &buffers[i], data, 64), 0);
    }
    for (i = 0; i < 6; i++) {
        spaces_unmap(&cache.queue.space, &buffers[i], 64);
    }
    cr_assert(is_zero(&pool));
    cr_assert_eq(usage_of(&pool).used, 4 * 64u);
    cr_assert_eq(cache_usage(&cache).returns, 2u);
    cr_assert_eq(cache_usage(&cache).high_water, 6 * 64u);
    cr_assert_eq(cache_usage(&cache).held, 4 * 64u);
    pool_close(&pool);
}

Test(space_swiotlb_queue, threat_66_a_buffer_may_be_as_large_as_the_pool)
{
    static unsigned char data[5000];
    struct spaces_buffer buffer;
    struct cache cache;
    struct pool pool;

    pool_open(&pool, 4096, 64, 0);
    cache_open(&cache, &pool, 3, 4);
    cr_assert_eq(map_bytes(&cache, &buffer, data, 64), 0);
    spaces_unmap(&cache.queue.space, &buffer, 0);
    cr_assert_eq(map_bytes(&cache, &buffer, data, 4096), 0, "what is kept is given back for it");
    cr_assert_eq(cache_usage(&cache).high_water, 4096u);
    spaces_unmap(&cache.queue.space, &buffer, 0);
    cr_assert_eq(usage_of(&pool).used, 0u);
    cr_assert_eq(map_bytes(&cache, &buffer, data, 4097), VIRTQ_ETOOBIG);
    cr_assert_eq(map_bytes(&cache, &buffer, data, UINT32_MAX), VIRTQ_ETOOBIG);
    cr_assert_eq(cache_usage(&cache).too_big, 2u);
    cr_assert_eq(usage_of(&pool).shortages, 0u);
    cr_assert(is_zero(&pool));
    pool_close(&pool);
}

Test(space_swiotlb_queue, threat_67_what_one_queue_keeps_is_back_pressure_for_another)
{
    static unsigned char data[64];
    struct spaces_buffer buffers[4];
    struct spaces_buffer other;
    struct cache caches[2];
    struct pool pool;
    unsigned i;

    pool_open(&pool, 256, 64, 0);
    cache_open(&caches[0], &pool, 1, 8);
    cache_open(&caches[1], &pool, 1, 8);
    for (i = 0; i < 4; i++) {
        cr_assert_eq(map_bytes(&caches[0], &buffers[i], data, 64), 0);
    }
    for (i = 0; i < 4; i++) {
        spaces_unmap(&caches[0].queue.space, &buffers[i], 0);
    }
    cr_assert_eq(map_bytes(&caches[1], &other, data, 64), VIRTQ_ENOMEM);
    cr_assert_eq(cache_usage(&caches[1]).shortages, 1u);
    cr_assert_eq(usage_of(&pool).shortages, 1u, "counted once, however often it was tried");
    cr_assert_eq(virtq_swiotlb_queue_flush(&caches[0].queue), 256u);
    cr_assert_eq(map_bytes(&caches[1], &other, data, 64), 0);
    spaces_unmap(&caches[1].queue.space, &other, 0);
    cr_assert_eq(usage_of(&pool).high_water, 256u);
    pool_close(&pool);
}

Test(space_swiotlb_queue, M8_threat_65_the_low_address_bits_are_kept_in_every_slot)
{
    static unsigned char data[3 * 4096];
    const uint32_t masks[] = {0, 0x3f, 0x1ff, 0xfff};
    uint64_t seed = 65;
    unsigned m;
    int round;

    for (m = 0; m < 4; m++) {
        struct cache cache;
        struct pool pool;

        pool_open(&pool, 32 * 4096, 64, masks[m]);
        cache_open(&cache, &pool, 9, 2);
        for (round = 0; round < 2000; round++) {
            unsigned char *from = data + random_below(&seed, 4096);
            unsigned char *to = data + 8192 + random_below(&seed, 2048);
            struct spaces_buffer buffer;
            unsigned parts = 1 + (unsigned)random_below(&seed, 2);

            spaces_segment(&buffer, 0, from, 1 + random_below(&seed, 4000));
            spaces_segment(&buffer, 1, to, 1 + random_below(&seed, 2000));
            cr_assert_eq(spaces_map(&cache.queue.space, &buffer, 1, parts - 1, 2), 0);
            cr_assert_eq(buffer.runs[0].addr & masks[m], (uintptr_t)from & masks[m]);
            cr_assert(parts == 1 || (buffer.runs[1].addr & masks[m]) == ((uintptr_t)to & masks[m]));
            spaces_unmap(&cache.queue.space, &buffer, 0);
        }
        cr_assert_lt(cache_usage(&cache).misses, 100u);
        cr_assert(is_zero(&pool));
        pool_close(&pool);
    }
}

/* Turns every bit on the way in and on the way out: a stand-in for encryption. */
struct turner {
    uint64_t in;
    uint64_t out;
    uint64_t zeroed;
    unsigned done;
};

static void turn(unsigned char *to, const unsigned char *from, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        to[i] = (unsigned char)~from[i];
    }
}

static void turn_in(void *context, void *to, const void *from, size_t len)
{
    ((struct turner *)context)->in += len;
    turn(to, from, len);
}

static void turn_out(void *context, void *to, const void *from, size_t len)
{
    ((struct turner *)context)->out += len;
    turn(to, from, len);
}

static void turn_zero(void *context, void *to, size_t len)
{
    ((struct turner *)context)->zeroed += len;
    memset(to, 0, len);
}

static void turn_done(void *context)
{
    ((struct turner *)context)->done++;
}

Test(space_swiotlb_queue, every_byte_of_a_queue_goes_through_its_own_hooks)
{
    struct virtq_swiotlb_queue_config config = VIRTQ_SWIOTLB_QUEUE_CONFIG_INIT;
    struct turner turner = {0};
    unsigned char data[100];
    struct spaces_buffer buffer;
    struct cache cache;
    struct pool pool;
    unsigned i;

    pool_open(&pool, 4096, 64, 0);
    config.pool = &pool.swiotlb;
    config.classes = 2;
    config.depth = 8;
    config.memory = cache.memory;
    config.memory_size = sizeof(cache.memory);
    config.copy = (struct virtq_copy){turn_in, turn_out, turn_zero, turn_done, &turner};
    cr_assert_eq(virtq_swiotlb_queue_init(&cache.queue, &config), 0);
    for (i = 0; i < 2; i++) {
        memset(data, 0x0f, sizeof(data));
        spaces_segment(&buffer, 0, data, 40);
        spaces_segment(&buffer, 1, data, 60);
        cr_assert_eq(spaces_map(&cache.queue.space, &buffer, 1, 1, 2), 0);
        cr_assert_eq(pool.base[buffer.runs[0].addr - ADDR + 39], 0xf0);
        memset(pool.base + (buffer.runs[1].addr - ADDR), 0xaa, 60);
        spaces_unmap(&cache.queue.space, &buffer, 50);
        cr_assert_eq(data[49], 0x55);
        cr_assert_eq(data[50], 0x0f);
    }
    cr_assert_eq(turner.in, 80u);
    cr_assert_eq(turner.out, 100u);
    cr_assert_eq(turner.zeroed, 248u);
    cr_assert_eq(turner.done, 4u);
    cr_assert(is_zero(&pool));
    pool_close(&pool);
}

Test(space_swiotlb_queue, bad_buffers_and_configurations_are_refused_and_change_nothing)
{
    struct virtq_swiotlb_queue_config good = VIRTQ_SWIOTLB_QUEUE_CONFIG_INIT;
    struct virtq_swiotlb_queue_config config;
    struct spaces_buffer buffer = {.segments = {{.len = 0}}};
    unsigned char data[8];
    virtq_addr_t addr;
    struct cache cache;
    struct pool pool;

    pool_open(&pool, 4096, 64, 63);
    cache_open(&cache, &pool, 2, 2);
    cr_assert_eq(map_bytes(&cache, &buffer, data + 1, 0), VIRTQ_EINVAL);
    cr_assert_eq(map_bytes(&cache, &buffer, (void *)UINTPTR_MAX, 2), VIRTQ_EFAULT);
    cr_assert_eq(spaces_map(&cache.queue.space, &buffer, 0, 0, 2), VIRTQ_EINVAL);
    spaces_segment(&buffer, 0, data, 8);
    cr_assert_eq(spaces_map(&cache.queue.space, &buffer, 1, 0, 0), VIRTQ_EFULL);
    spaces_segment(&buffer, 1, data, 8);
    cr_assert_eq(spaces_map(&cache.queue.space, &buffer, 1, 1, 1), VIRTQ_EFULL);
    cr_assert_eq(usage_of(&pool).used, 0u);
    cr_assert_eq(virtq_space_share(&cache.queue.space, pool.base, 64, SPACES_BOTH, &addr),
                 VIRTQ_EFAULT, "not taken");
    good.pool = &pool.swiotlb;
    good.memory = cache.memory;
    good.depth = 8;
    good.memory_size = sizeof(cache.memory);
    config = good;
    config.classes = 0;
    cr_assert_eq(virtq_swiotlb_queue_init(&cache.queue, &config), VIRTQ_EINVAL);
    config.classes = VIRTQ_SWIOTLB_CLASSES_MAX + 1;
    cr_assert_eq(virtq_swiotlb_queue_init(&cache.queue, &config), VIRTQ_EINVAL);
    config = good;
    config.depth = 0;
    cr_assert_eq(virtq_swiotlb_queue_private_size(&config), 0u);
    config.depth = 65537;
    cr_assert_eq(virtq_swiotlb_queue_private_size(&config), 0u);
    config = good;
    config.pool = NULL;
    cr_assert_eq(virtq_swiotlb_queue_init(&cache.queue, &config), VIRTQ_EINVAL);
    config = good;
    config.memory = (unsigned char *)cache.memory + 4;
    cr_assert_eq(virtq_swiotlb_queue_init(&cache.queue, &config), VIRTQ_EINVAL);
    config = good;
    config.memory_size = virtq_swiotlb_queue_private_size(&config) - 1;
    cr_assert_eq(virtq_swiotlb_queue_init(&cache.queue, &config), VIRTQ_ENOMEM);
    pool_close(&pool);
}

struct worker {
    struct cache *cache;
    unsigned char mark;
    int wrong;
    unsigned mapped;
};

static void *maps_and_unmaps(void *context)
{
    struct worker *worker = context;
    struct virtq_space *space = &worker->cache->queue.space;
    uint64_t seed = worker->mark;
    int round;

    for (round = 0; round < 20000; round++) {
        unsigned len = 1 + (unsigned)random_below(&seed, 400);
        struct spaces_buffer buffer;
        unsigned char data[400];
        unsigned char seen[400];

        memset(data, worker->mark, sizeof(data));
        spaces_segment(&buffer, 0, data, len);
        spaces_segment(&buffer, 1, data, len);
        if (spaces_map(space, &buffer, 1, 1, 2) != 0) {
            continue;
        }
        worker->mapped++;
        (void)spaces_copy(space, buffer.runs[0].addr, seen, len, SPACES_READ);
        worker->wrong |= memcmp(seen, data, len) != 0;
        memset(seen, 0x80 | worker->mark, sizeof(seen));
        (void)spaces_copy(space, buffer.runs[1].addr, seen, len, SPACES_WRITE);
        spaces_unmap(space, &buffer, len);
        worker->wrong |= memcmp(seen, data, len) != 0;
    }
    return NULL;
}

Test(space_swiotlb_queue, L5_two_queues_on_two_threads_share_a_pool)
{
    static struct cache caches[2];
    struct worker workers[2] = {{&caches[0], 1, 0, 0}, {&caches[1], 2, 0, 0}};
    pthread_t threads[2];
    struct pool pool;
    int i;

    pool_open(&pool, 1024, 64, 0);
    for (i = 0; i < 2; i++) {
        cache_open(&caches[i], &pool, 4, 2);
        cr_assert_eq(pthread_create(&threads[i], NULL, maps_and_unmaps, &workers[i]), 0);
    }
    for (i = 0; i < 2; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_eq(workers[i].wrong, 0);
        cr_assert_gt(workers[i].mapped, 1000u);
        (void)virtq_swiotlb_queue_flush(&caches[i].queue);
    }
    cr_assert(is_zero(&pool));
    cr_assert_eq(usage_of(&pool).used, 0u);
    pool_close(&pool);
}

static void pass_through(struct virtq_space *space, struct pool *pool)
{
    struct spaces_buffer buffer;
    unsigned char own[16] = {1};
    struct virtq_swiotlb_usage before;
    unsigned char *slot;
    void *base;

    cr_assert_eq(virtq_swiotlb_alloc(&pool->swiotlb, 256, 0, &base), 0);
    before = usage_of(pool);
    slot = base;
    memset(slot, 0x31, 256);
    spaces_segment(&buffer, 0, slot + 3, 10);
    cr_assert_eq(spaces_map(space, &buffer, 1, 0, 2), 0);
    cr_assert_eq(buffer.runs[0].addr, ADDR + (virtq_addr_t)(slot + 3 - pool->base));
    spaces_unmap(space, &buffer, 0);
    spaces_segment(&buffer, 1, slot + 200, 56);
    cr_assert_eq(spaces_map(space, &buffer, 1, 1, 2), 0);
    cr_assert_eq(buffer.runs[1].addr, ADDR + (virtq_addr_t)(slot + 200 - pool->base));
    cr_assert_eq(buffer.runs[1].len, 56u);
    cr_assert_eq(buffer.mapping.copied, 0u);
    cr_assert_eq(usage_of(pool).used, before.used);
    spaces_unmap(space, &buffer, 56);
    cr_assert_eq(slot[3], 0x31, "left alone");
    cr_assert_eq(slot[255], 0x31);
    /* Partly elsewhere, or in too many pieces: copied like any other. */
    spaces_segment(&buffer, 1, own, sizeof(own));
    cr_assert_eq(spaces_map(space, &buffer, 1, 1, 2), 0);
    cr_assert_eq(buffer.mapping.copied, 10u);
    spaces_unmap(space, &buffer, 0);
    spaces_segment(&buffer, 1, slot + 100, 5);
    spaces_segment(&buffer, 2, slot + 50, 5);
    cr_assert_eq(spaces_map(space, &buffer, 3, 0, 2), 0);
    cr_assert_eq(buffer.mapping.runs_readable, 1);
    cr_assert_eq(buffer.mapping.copied, 20u);
    spaces_unmap(space, &buffer, 0);
    cr_assert_eq(virtq_swiotlb_free(&pool->swiotlb, base), 0);
}

Test(space_swiotlb_queue, what_lies_in_the_pool_already_is_not_copied)
{
    struct cache cache;
    struct pool pool;

    pool_open(&pool, 4096, 64, 0);
    cache_open(&cache, &pool, 4, 4);
    pass_through(space_of(&pool), &pool);
    pass_through(&cache.queue.space, &pool);
    (void)virtq_swiotlb_queue_flush(&cache.queue);
    cr_assert_eq(usage_of(&pool).used, 0u);
    cr_assert(is_zero(&pool));
    pool_close(&pool);
}

static unsigned told;

static void tell(struct virtq_space_listener *listener, int wait)
{
    (void)listener;
    (void)wait;
    told++;
}

Test(space_swiotlb_queue, those_who_listen_to_the_pool_do_not_hear_of_the_queue)
{
    struct virtq_space_listener listener = {tell, NULL};
    struct cache cache;
    struct pool pool;

    pool_open(&pool, 4096, 64, 0);
    pool.swiotlb.space.listeners = &listener;
    cache_open(&cache, &pool, 4, 4);
    virtq_space_moved(&cache.queue.space);
    cr_assert_eq(told, 0u);
    virtq_space_moved(&pool.swiotlb.space);
    cr_assert_eq(told, 1u);
    pool_close(&pool);
}
