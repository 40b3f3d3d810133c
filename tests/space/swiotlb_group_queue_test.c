/* SPDX-License-Identifier: BSD-3-Clause */
/* A space for one queue in front of a group of pools: slots of its own of each. L3, L5, M8; threats
 * 66, 67. */
#include <pthread.h>
#include <sched.h>

#include "support/random.h"
#include "swiotlb_fixture.h"
#include "virtq/space/swiotlb_group_queue.h"

enum { DEPTH = 4, OUTSTANDING = 4 };

struct cache {
    struct virtq_swiotlb_group_queue queue;
    void *memory;
};

static void pool_at(struct pool *pool, size_t size, virtq_addr_t addr, uint32_t low_mask)
{
    struct virtq_swiotlb_config config = VIRTQ_SWIOTLB_CONFIG_INIT;

    pool_open(pool, size, 64, 0);
    config.pool = pool->base;
    config.pool_size = size;
    config.addr = addr;
    config.low_mask = low_mask;
    config.memory = pool->bits;
    config.memory_size = virtq_swiotlb_private_size(size, 64);
    cr_assert_eq(virtq_swiotlb_init(&pool->swiotlb, &config), 0);
}

static void cache_open(struct cache *cache, struct virtq_swiotlb_group *group, uint32_t pools,
                       uint32_t classes)
{
    struct virtq_swiotlb_group_queue_config config = VIRTQ_SWIOTLB_GROUP_QUEUE_CONFIG_INIT;

    config.group = group;
    config.pools = pools;
    config.classes = classes;
    config.depth = DEPTH;
    config.memory_size = virtq_swiotlb_group_queue_private_size(&config);
    config.memory = cache->memory = malloc(config.memory_size);
    cr_assert_eq(virtq_swiotlb_group_queue_init(&cache->queue, &config), 0);
}

static struct virtq_slots_usage cache_usage(const struct cache *cache)
{
    struct virtq_slots_usage usage;

    virtq_swiotlb_group_queue_read_usage(&cache->queue, &usage);
    return usage;
}

static int map_bytes(struct cache *cache, struct spaces_buffer *buffer, void *data, uint64_t len)
{
    spaces_segment(buffer, 0, data, len);
    return spaces_map(&cache->queue.space, buffer, 0, 1, 2);
}

static void unmap(struct cache *cache, struct spaces_buffer *buffer, uint64_t written)
{
    spaces_unmap(&cache->queue.space, buffer, written);
}

Test(space_swiotlb_group_queue, a_buffer_goes_where_a_slot_is_kept_and_else_where_there_is_room)
{
    static unsigned char data[4096];
    struct virtq_swiotlb_group group;
    struct spaces_buffer buffers[3];
    struct pool pools[2];
    struct cache cache;

    pool_at(&pools[0], 256, 0x1000, 0);
    pool_at(&pools[1], 1024, 0x8000, 0);
    virtq_swiotlb_group_init(&group);
    cache_open(&cache, &group, 2, 3);
    memset(data, 0x44, sizeof(data));
    cr_assert_eq(map_bytes(&cache, &buffers[0], data, 200), VIRTQ_ETOOBIG, "no pool at all");
    cr_assert_eq(virtq_swiotlb_group_add(&group, &pools[0].swiotlb), 0);
    cr_assert_eq(map_bytes(&cache, &buffers[0], data, 200), 0);
    cr_assert_eq(map_bytes(&cache, &buffers[1], data + 256, 200), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_swiotlb_group_add(&group, &pools[1].swiotlb), 0);
    cr_assert_eq(map_bytes(&cache, &buffers[1], data + 256, 200), 0);
    cr_assert_eq(buffers[1].runs[0].addr, 0x8000u);
    memset(pools[1].base, 0x99, 100);
    unmap(&cache, &buffers[1], 50);
    cr_assert_eq(data[256 + 49], 0x99);
    cr_assert_eq(data[256 + 50], 0x44);
    unmap(&cache, &buffers[0], 0);
    cr_assert(is_zero(&pools[0]));
    cr_assert(is_zero(&pools[1]));
    cr_assert_eq(cache_usage(&cache).kept, 2 * 256u);
    cr_assert_eq(cache_usage(&cache).high_water, 2 * 256u);
    /* The pool that served last; then the other; and no lock of any. */
    group.lock = pools[0].swiotlb.granules.lock = pools[1].swiotlb.granules.lock = 1;
    cr_assert_eq(map_bytes(&cache, &buffers[0], data, 129), 0);
    cr_assert_eq(buffers[0].runs[0].addr, 0x8000u);
    cr_assert_eq(map_bytes(&cache, &buffers[1], data, 130), 0);
    cr_assert_eq(buffers[1].runs[0].addr, 0x1000u);
    group.lock = pools[0].swiotlb.granules.lock = pools[1].swiotlb.granules.lock = 0;
    cr_assert_eq(map_bytes(&cache, &buffers[2], data, 1025), VIRTQ_ETOOBIG);
    cr_assert_eq(map_bytes(&cache, &buffers[2], data, 0), VIRTQ_EINVAL);
    unmap(&cache, &buffers[0], 0);
    unmap(&cache, &buffers[1], 0);
    cr_assert_eq(cache_usage(&cache).misses, 5u);
    cr_assert_eq(cache_usage(&cache).shortages, 1u);
    cr_assert_eq(cache_usage(&cache).too_big, 2u);
    /* All of the larger pool: what is kept goes for that. */
    cr_assert_eq(map_bytes(&cache, &buffers[0], data, 1024), 0);
    cr_assert_eq(cache_usage(&cache).held, 1024u);
    unmap(&cache, &buffers[0], 1024);
    cr_assert_eq(virtq_swiotlb_group_queue_flush(&cache.queue), 0u);
    cr_assert_eq(usage_of(&pools[0]).used + usage_of(&pools[1]).used, 0u);
    cr_assert(is_zero(&pools[0]));
    cr_assert(is_zero(&pools[1]));
    free(cache.memory);
    pool_close(&pools[0]);
    pool_close(&pools[1]);
}

Test(space_swiotlb_group_queue, a_pool_is_withdrawn_when_the_queues_buffers_are_back)
{
    static unsigned char data[4096] __attribute__((aligned(4096)));
    struct virtq_swiotlb_group group;
    struct spaces_buffer buffers[2];
    struct pool pools[2];
    struct cache cache;
    struct pool other;
    unsigned char *old;

    pool_at(&pools[0], 1024, 0x1000, 0);
    pool_at(&pools[1], 1024, 0x8000, 0);
    virtq_swiotlb_group_init(&group);
    cache_open(&cache, &group, 1, 3); /* Of the second place nothing is kept. */
    cr_assert_eq(virtq_swiotlb_group_add(&group, &pools[0].swiotlb), 0);
    cr_assert_eq(virtq_swiotlb_group_add(&group, &pools[1].swiotlb), 0);
    cr_assert_eq(map_bytes(&cache, &buffers[0], data, 64), 0);
    cr_assert_eq(map_bytes(&cache, &buffers[1], data, 64), 0);
    cr_assert_eq(virtq_swiotlb_group_remove(&group, &pools[0].swiotlb), VIRTQ_EBUSY);
    unmap(&cache, &buffers[0], 0);
    cr_assert_eq(usage_of(&pools[0]).used, 64u, "nothing is kept of a closed pool");
    cr_assert_eq(map_bytes(&cache, &buffers[0], data, 64), 0);
    cr_assert_eq(buffers[0].runs[0].addr, 0x8000u, "nor taken");
    unmap(&cache, &buffers[0], 0);
    cr_assert_eq(usage_of(&pools[1]).used, 0u);
    /* Opened again: it is the first one, and what comes back is kept. */
    cr_assert_eq(virtq_swiotlb_group_add(&group, &pools[0].swiotlb), 0);
    unmap(&cache, &buffers[1], 0);
    cr_assert_eq(cache_usage(&cache).kept, 64u);
    cr_assert_eq(virtq_swiotlb_group_remove(&group, &pools[0].swiotlb), VIRTQ_EBUSY);
    cr_assert_eq(map_bytes(&cache, &buffers[0], data, 64), 0);
    cr_assert_eq(usage_of(&pools[0]).used, 0u, "the next buffer of any kind gives back");
    unmap(&cache, &buffers[0], 0);
    cr_assert_eq(virtq_swiotlb_group_remove(&group, &pools[0].swiotlb), 0);
    /* Memory of a pool that is gone is as any other, also of the one that served last. */
    cr_assert_eq(virtq_swiotlb_group_add(&group, &pools[0].swiotlb), 0);
    cr_assert_eq(map_bytes(&cache, &buffers[0], data, 64), 0);
    cr_assert_eq(buffers[0].runs[0].addr, 0x1000u);
    unmap(&cache, &buffers[0], 0);
    cr_assert_eq(virtq_swiotlb_group_queue_flush(&cache.queue), 64u);
    cr_assert_eq(virtq_swiotlb_group_remove(&group, &pools[0].swiotlb), 0);
    old = pools[0].base + 100;
    memset(old, 0x31, 8);
    spaces_segment(&buffers[0], 0, old, 8);
    cr_assert_eq(spaces_map(&cache.queue.space, &buffers[0], 1, 0, 2), 0);
    cr_assert_eq(buffers[0].runs[0].addr, 0x8000u);
    cr_assert_eq(pools[1].base[7], 0x31);
    unmap(&cache, &buffers[0], 0);
    /* Another one in its place, of another shape. */
    pool_at(&other, 8192, 0x20000, 0xfff);
    cr_assert_eq(virtq_swiotlb_group_add(&group, &other.swiotlb), 0);
    cr_assert_eq(map_bytes(&cache, &buffers[0], data + 0x123, 64), 0);
    cr_assert_eq(buffers[0].runs[0].addr & 0xfff, 0x123u);
    unmap(&cache, &buffers[0], 0);
    (void)virtq_swiotlb_group_queue_flush(&cache.queue);
    cr_assert_eq(virtq_swiotlb_group_remove(&group, &other.swiotlb), 0);
    cr_assert_eq(virtq_swiotlb_group_remove(&group, &pools[1].swiotlb), 0);
    cr_assert(is_zero(&other));
    free(cache.memory);
    pool_close(&pools[0]);
    pool_close(&pools[1]);
    pool_close(&other);
}

/* A queue on a thread of its own, with several buffers outstanding, of sizes that vary. */
struct worker {
    struct cache cache;
    struct virtq_swiotlb_group *group;
    unsigned char mark;
    unsigned rounds;
    int wrong;
    unsigned mapped;
    int stop; /* For one that has no number of rounds. */
};

static void put(struct worker *worker, struct spaces_buffer *buffer, unsigned char *data,
                uint32_t len)
{
    struct virtq_space *group = &worker->group->space;
    unsigned char seen[150];

    worker->wrong |= spaces_copy(group, buffer->runs[0].addr, seen, len, SPACES_READ) != 0 ||
                     memcmp(seen, data, len) != 0;
    worker->wrong |= spaces_copy(group, buffer->runs[1].addr, seen, len, SPACES_READ) != 0;
    for (uint32_t k = 0; k < len; k++) {
        worker->wrong |= seen[k] != 0;
    }
    memset(seen, 0x80 | worker->mark, sizeof(seen));
    (void)spaces_copy(group, buffer->runs[1].addr, seen, len, SPACES_WRITE);
    unmap(&worker->cache, buffer, len);
    worker->wrong |= memcmp(data + 150, seen, len) != 0;
}

static int goes_on(const struct worker *worker, unsigned round)
{
    return worker->rounds != 0 ? round < worker->rounds
                               : !__atomic_load_n(&worker->stop, __ATOMIC_ACQUIRE);
}

/* `device`: looks at the bytes as a device does, through the group's windows. */
static void work(struct worker *worker, int device)
{
    struct virtq_space *space = &worker->cache.queue.space;
    uint64_t seed = worker->mark;

    for (unsigned round = 0; round == 0 || goes_on(worker, round); round++) {
        struct spaces_buffer buffers[OUTSTANDING];
        unsigned char data[OUTSTANDING][300];
        uint32_t len[OUTSTANDING];

        for (unsigned i = 0; i < OUTSTANDING; i++) {
            len[i] = 1 + (uint32_t)random_below(&seed, 150);
            memset(data[i], worker->mark + (int)i, sizeof(data[i]));
            spaces_segment(&buffers[i], 0, data[i], len[i]);
            spaces_segment(&buffers[i], 1, data[i] + 150, len[i]);
            if (spaces_map(space, &buffers[i], 1, 1, 2) != 0) {
                len[i] = 0;
            }
        }
        for (unsigned i = 0; i < OUTSTANDING; i++) {
            __atomic_store_n(&worker->mapped, worker->mapped + (len[i] != 0), __ATOMIC_RELAXED);
            if (len[i] != 0 && device) {
                put(worker, &buffers[i], data[i], len[i]);
            } else if (len[i] != 0) {
                unmap(&worker->cache, &buffers[i], 1);
                worker->wrong |= data[i][150] != 0;
            }
        }
    }
}

static void *works(void *context)
{
    work(context, 0);
    return NULL;
}

static void *works_as_a_device_sees(void *context)
{
    work(context, 1);
    return NULL;
}

static void fill_cache(struct cache *cache)
{
    static unsigned char bytes[512];
    struct spaces_buffer buffers[OUTSTANDING];

    for (unsigned size = 0; size < 4; size++) {
        for (unsigned k = 0; k < OUTSTANDING; k++) {
            cr_assert_eq(map_bytes(cache, &buffers[k], bytes, (uint64_t)64 << size), 0);
        }
        for (unsigned k = 0; k < OUTSTANDING; k++) {
            unmap(cache, &buffers[k], 0);
        }
    }
}

Test(space_swiotlb_group_queue, l5_two_queues_share_no_lock_in_steady_state)
{
    static struct worker workers[2];
    struct virtq_swiotlb_group group;
    pthread_t threads[2];
    uint64_t misses[2];
    struct pool pools[2];

    /* The second queue's slots are partly of one pool, partly of the other. */
    pool_at(&pools[0], 6144, 0x10000, 0);
    pool_at(&pools[1], 6144, 0x20000, 0);
    virtq_swiotlb_group_init(&group);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(virtq_swiotlb_group_add(&group, &pools[i].swiotlb), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        workers[i].group = &group;
        workers[i].mark = (unsigned char)(16 * (i + 1));
        workers[i].rounds = getenv("VIRTQ_TEST_HURRIED") != NULL ? 100 : 10000;
        cache_open(&workers[i].cache, &group, 2, 4);
        fill_cache(&workers[i].cache);
        misses[i] = cache_usage(&workers[i].cache).misses;
    }
    cr_assert_gt(usage_of(&pools[1]).used, 0u);
    /* With all locked for good, one question would not come back. */
    group.lock = pools[0].swiotlb.granules.lock = pools[1].swiotlb.granules.lock = 1;
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, works, &workers[i]), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_eq(workers[i].wrong, 0);
        cr_assert_eq(workers[i].mapped, OUTSTANDING * workers[i].rounds);
        cr_assert_eq(cache_usage(&workers[i].cache).misses, misses[i]);
    }
    group.lock = pools[0].swiotlb.granules.lock = pools[1].swiotlb.granules.lock = 0;
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(virtq_swiotlb_group_queue_flush(&workers[i].cache.queue),
                     OUTSTANDING * (64 + 128 + 256 + 512u));
        cr_assert_eq(cache_usage(&workers[i].cache).held, 0u);
        free(workers[i].cache.memory);
    }
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(virtq_swiotlb_group_remove(&group, &pools[i].swiotlb), 0);
        cr_assert(is_zero(&pools[i]));
        pool_close(&pools[i]);
    }
}

/* One pool stays, and is too small for all; another comes and goes, and its memory is overwritten
 * whenever it is out. */
Test(space_swiotlb_group_queue, l3_a_pool_comes_and_goes_while_two_queues_run)
{
    static struct worker workers[2];
    const unsigned times = getenv("VIRTQ_TEST_HURRIED") != NULL ? 10 : 1000;
    struct virtq_swiotlb_group group;
    pthread_t threads[2];
    struct pool pools[2];

    pool_at(&pools[0], 1024, 0x10000, 0);
    pool_at(&pools[1], 4096, 0x20000, 0);
    virtq_swiotlb_group_init(&group);
    cr_assert_eq(virtq_swiotlb_group_add(&group, &pools[0].swiotlb), 0);
    for (unsigned i = 0; i < 2; i++) {
        workers[i].group = &group;
        workers[i].mark = (unsigned char)(16 * (i + 1));
        cache_open(&workers[i].cache, &group, 2, 4);
        cr_assert_eq(pthread_create(&threads[i], NULL, works_as_a_device_sees, &workers[i]), 0);
    }
    while (__atomic_load_n(&workers[0].mapped, __ATOMIC_RELAXED) +
               __atomic_load_n(&workers[1].mapped, __ATOMIC_RELAXED) ==
           0) {
        sched_yield();
    }
    for (unsigned time = 0; time < times; time++) {
        int error;

        cr_assert_eq(virtq_swiotlb_group_add(&group, &pools[1].swiotlb), 0);
        do {
            sched_yield();
            error = virtq_swiotlb_group_remove(&group, &pools[1].swiotlb);
        } while (error == VIRTQ_EBUSY);
        cr_assert_eq(error, 0);
        cr_assert(is_zero(&pools[1]));
        memset(pools[1].base, 0xee, pools[1].size);
        memset(pools[1].base, 0, pools[1].size);
    }
    for (unsigned i = 0; i < 2; i++) {
        __atomic_store_n(&workers[i].stop, 1, __ATOMIC_RELEASE);
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_eq(workers[i].wrong, 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        (void)virtq_swiotlb_group_queue_flush(&workers[i].cache.queue);
        cr_assert_eq(cache_usage(&workers[i].cache).held, 0u);
        free(workers[i].cache.memory);
    }
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(usage_of(&pools[i]).used, 0u);
        cr_assert(is_zero(&pools[i]));
        pool_close(&pools[i]);
    }
}

Test(space_swiotlb_group_queue, illegal_configurations_are_refused)
{
    struct virtq_swiotlb_group_queue_config good = VIRTQ_SWIOTLB_GROUP_QUEUE_CONFIG_INIT;
    struct virtq_swiotlb_group_queue_config config;
    struct virtq_swiotlb_group_queue queue;
    struct virtq_swiotlb_group group;

    virtq_swiotlb_group_init(&group);
    good.group = &group;
    good.memory_size = virtq_swiotlb_group_queue_private_size(&good);
    good.memory = malloc(good.memory_size);
    cr_assert_eq(virtq_swiotlb_group_queue_init(&queue, &good), 0);
    config = good;
    config.struct_size--;
    cr_assert_eq(virtq_swiotlb_group_queue_init(&queue, &config), VIRTQ_EINVAL);
    config = good;
    config.group = NULL;
    cr_assert_eq(virtq_swiotlb_group_queue_init(&queue, &config), VIRTQ_EINVAL);
    config = good;
    config.memory = NULL;
    cr_assert_eq(virtq_swiotlb_group_queue_init(&queue, &config), VIRTQ_EINVAL);
    config = good;
    config.memory = (unsigned char *)good.memory + 4;
    cr_assert_eq(virtq_swiotlb_group_queue_init(&queue, &config), VIRTQ_EINVAL);
    config = good;
    config.memory_size--;
    cr_assert_eq(virtq_swiotlb_group_queue_init(&queue, &config), VIRTQ_ENOMEM);
    config = good;
    config.pools = 0;
    cr_assert_eq(virtq_swiotlb_group_queue_private_size(&config), 0u);
    config.pools = VIRTQ_SWIOTLB_POOLS_MAX + 1;
    cr_assert_eq(virtq_swiotlb_group_queue_private_size(&config), 0u);
    config = good;
    config.classes = VIRTQ_SWIOTLB_CLASSES_MAX + 1;
    cr_assert_eq(virtq_swiotlb_group_queue_private_size(&config), 0u);
    config = good;
    config.depth = 0;
    cr_assert_eq(virtq_swiotlb_group_queue_init(&queue, &config), VIRTQ_EINVAL);
    free(good.memory);
}
