/* SPDX-License-Identifier: BSD-3-Clause */
/* Magazines of addresses, and the depot they come from. L5, L6; threats 64, 67. */
#include "virtq/iommu/iova_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "support/random.h"
#include "support/runner.h"

enum { PAGE = 4096, PAGES = 512, ENTRIES = 512, CACHES = 2, MAGAZINES = 3 * 12 };

struct store {
    struct virtq_iova_home homes[CACHES] __attribute__((aligned(VIRTQ_CACHE_LINE)));
    struct virtq_iova_range ranges[ENTRIES];
    struct virtq_iova iova;
    struct virtq_iova_magazine magazines[MAGAZINES];
    struct virtq_iova_depot depot;
    struct virtq_iova_cache caches[CACHES];
};

static void store_open_homes(struct store *store, virtq_addr_t first, unsigned pages,
                             unsigned magazines, unsigned homes)
{
    virtq_addr_t last = first + ((uint64_t)pages * PAGE - 1);

    cr_assert_eq(virtq_iova_init(&store->iova, first, last, PAGE, store->ranges, ENTRIES), 0);
    cr_assert_eq(
        virtq_iova_depot_init(&store->depot, &store->iova, UINT64_MAX, store->magazines, magazines),
        0);
    if (homes != 0) {
        cr_assert_eq(virtq_iova_depot_spread(&store->depot, store->homes, homes), 0);
    }
    for (unsigned i = 0; i < CACHES; i++) {
        cr_assert_eq(virtq_iova_cache_init(&store->caches[i], &store->depot), 0);
    }
}

static void store_open(struct store *store, virtq_addr_t first, unsigned pages, unsigned magazines)
{
    store_open_homes(store, first, pages, magazines, 0);
}

Test(iommu_iova_cache, common_sizes_are_rounded_up_and_aligned_to_themselves)
{
    static struct store store;
    const uint64_t pages[] = {1, 2, 3, 4, 5, 8, 9, 16, 17, 32};
    const uint64_t rounded[] = {1, 2, 4, 4, 8, 8, 16, 16, 32, 32};
    virtq_addr_t addrs[10];
    virtq_addr_t addr;

    store_open(&store, 0x10000, PAGES, MAGAZINES);
    for (unsigned i = 0; i < 10; i++) {
        cr_assert_eq(virtq_iova_cache_alloc(&store.caches[0], pages[i] * PAGE - 1, &addrs[i]), 0);
        cr_assert_eq(addrs[i] % (rounded[i] * PAGE), 0u);
    }
    cr_assert_eq(virtq_iova_cache_alloc(&store.caches[0], 33 * PAGE, &addr), 0);
    cr_assert_eq(store.iova.count, 11u);
    for (unsigned i = 0; i < 10; i++) {
        cr_assert_eq(virtq_iova_cache_free(&store.caches[0], addrs[i], pages[i] * PAGE - 1), 0);
    }
    cr_assert_eq(store.iova.count, 11u, "in magazines, so taken for the allocator");
    cr_assert_eq(virtq_iova_cache_free(&store.caches[0], addr + PAGE, 33 * PAGE), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_cache_free(&store.caches[0], addr, 33 * PAGE), 0);
    cr_assert_eq(store.iova.count, 10u);
    virtq_iova_depot_drain(&store.depot);
    cr_assert_eq(store.iova.count, 0u);
    cr_assert_eq(virtq_iova_cache_alloc(&store.caches[0], 0, &addr), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_cache_alloc(&store.caches[0], PAGES * PAGE + 1, &addr), VIRTQ_ETOOBIG);
}

Test(iommu_iova_cache, what_cannot_be_made_is_refused)
{
    static struct store store;
    struct virtq_iova_cache third;

    cr_assert_eq(virtq_iova_depot_init(&store.depot, NULL, 0, NULL, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_depot_init(&store.depot, &store.iova, 0, NULL, 1), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_cache_init(&third, NULL), VIRTQ_EINVAL);
    store_open(&store, 0, PAGES, CACHES * VIRTQ_IOVA_CACHE_MAGAZINES + 11);
    cr_assert_eq(virtq_iova_cache_init(&third, &store.depot), VIRTQ_ENOMEM);
    virtq_iova_cache_destroy(&store.caches[0]);
    cr_assert_eq(virtq_iova_cache_init(&third, &store.depot), 0);
    virtq_iova_cache_destroy(&third);
    cr_assert_eq(virtq_iova_init(&store.iova, 0, UINT64_MAX, (uint64_t)1 << 59, store.ranges, 4),
                 0);
    cr_assert_eq(virtq_iova_cache_init(&third, &store.depot), VIRTQ_EINVAL);
}

/* The depot is locked for good: who goes there never comes back, and the test runs into its limit
 * of time. */
Test(iommu_iova_cache, L5_in_steady_state_no_shared_lock_is_taken)
{
    static struct store store;
    virtq_addr_t addrs[100];

    store_open(&store, 0, PAGES, MAGAZINES);
    for (unsigned i = 0; i < 100; i++) {
        cr_assert_eq(virtq_iova_cache_alloc(&store.caches[0], PAGE, &addrs[i]), 0);
    }
    store.depot.lock = 1;
    store.depot.caches_lock = 1;
    for (unsigned round = 0; round < 1000; round++) {
        for (unsigned i = 0; i < 100; i++) {
            cr_assert_eq(virtq_iova_cache_free(&store.caches[0], addrs[i], PAGE), 0);
        }
        for (unsigned i = 0; i < 100; i++) {
            cr_assert_eq(virtq_iova_cache_alloc(&store.caches[0], PAGE, &addrs[i]), 0);
        }
    }
}

/* The other one's home is locked for good too, and the swing is more than a cache holds: magazines
 * go home and come back. */
Test(iommu_iova_cache, L5_in_homes_of_their_own_no_pattern_takes_a_shared_lock)
{
    enum { SWING = 220 };
    static struct store store;
    virtq_addr_t addrs[SWING];

    store_open_homes(&store, 0, PAGES, MAGAZINES, CACHES);
    for (unsigned which = 0; which < CACHES; which++) {
        struct virtq_iova_cache *cache = &store.caches[which];

        for (unsigned round = 0; round < 50; round++) {
            for (unsigned i = 0; i < SWING; i++) {
                cr_assert_eq(virtq_iova_cache_alloc(cache, PAGE, &addrs[i]), 0);
                cr_assert_eq(addrs[i] / PAGE / (PAGES / CACHES), which);
            }
            for (unsigned i = 0; i < SWING; i++) {
                cr_assert_eq(virtq_iova_cache_free(cache, addrs[i], PAGE), 0);
            }
            store.depot.lock = 1;
            store.depot.caches_lock = 1;
            store.homes[1 - which].lock = 1;
        }
        store.depot.lock = 0;
        store.depot.caches_lock = 0;
        store.homes[1 - which].lock = 0;
    }
}

Test(iommu_iova_cache, threat_67_a_home_that_is_full_is_no_shortage)
{
    static struct store store;
    static virtq_addr_t addrs[PAGES];
    virtq_addr_t addr;

    store_open_homes(&store, 0, PAGES - 2, MAGAZINES, CACHES);
    for (unsigned round = 0; round < 2 * CACHES; round++) {
        struct virtq_iova_cache *cache = &store.caches[round % CACHES];

        for (unsigned i = 0; i < PAGES - 2; i++) {
            cr_assert_eq(virtq_iova_cache_alloc(cache, PAGE, &addrs[i]), 0);
        }
        cr_assert_eq(virtq_iova_cache_alloc(cache, PAGE, &addr), VIRTQ_ENOMEM);
        cr_assert_eq(virtq_iova_cache_alloc(cache, (PAGES - 1) * PAGE, &addr), VIRTQ_ETOOBIG);
        for (unsigned i = 0; i < PAGES - 2; i++) {
            cr_assert_eq(virtq_iova_cache_free(cache, addrs[i], PAGE), 0);
        }
    }
    /* Longer than a home, and longer than what is cached, in its own home. */
    cr_assert_eq(virtq_iova_cache_alloc(&store.caches[1], 400 * PAGE, &addr), 0);
    cr_assert_eq(virtq_iova_cache_free(&store.caches[1], addr, 400 * PAGE), 0);
    cr_assert_eq(virtq_iova_cache_alloc(&store.caches[1], 100 * PAGE, &addr), 0);
    cr_assert_geq(addr, (virtq_addr_t)PAGES / 2 * PAGE);
    cr_assert_eq(virtq_iova_cache_free(&store.caches[1], addr, 100 * PAGE), 0);
    virtq_iova_cache_destroy(&store.caches[0]);
    virtq_iova_cache_destroy(&store.caches[1]);
    cr_assert_eq(store.iova.count, 0u);
}

/* Who comes takes the home that is least used, and what is left in one goes to who needs it. */
Test(iommu_iova_cache, homes_are_shared_out_evenly)
{
    static struct store store;
    static struct virtq_iova_cache more[2];
    virtq_addr_t addrs[200];

    cr_assert_eq(virtq_iova_init(&store.iova, 0, (virtq_addr_t)PAGES * PAGE - 1, PAGE, store.ranges,
                                 ENTRIES),
                 0);
    cr_assert_eq(
        virtq_iova_depot_init(&store.depot, &store.iova, UINT64_MAX, store.magazines, MAGAZINES),
        0);
    cr_assert_eq(virtq_iova_depot_spread(&store.depot, NULL, 1), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_depot_spread(&store.depot, store.homes, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_depot_spread(&store.depot, store.homes, 65), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_depot_spread(
                     &store.depot, (void *)((unsigned char *)store.homes + sizeof(void *)), 1),
                 VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_depot_spread(&store.depot, store.homes, CACHES), 0);
    cr_assert_eq(virtq_iova_depot_spread(&store.depot, store.homes, CACHES), VIRTQ_EBUSY);
    for (unsigned i = 0; i < CACHES; i++) {
        cr_assert_eq(virtq_iova_cache_init(&store.caches[i], &store.depot), 0);
        cr_assert_eq(store.caches[i].home, &store.homes[i]);
    }
    for (unsigned i = 0; i < 200; i++) {
        cr_assert_eq(virtq_iova_cache_alloc(&store.caches[0], PAGE, &addrs[i]), 0);
    }
    for (unsigned i = 0; i < 200; i++) {
        cr_assert_eq(virtq_iova_cache_free(&store.caches[0], addrs[i], PAGE), 0);
    }
    cr_assert_not_null(store.homes[0].full[0]);
    virtq_iova_cache_destroy(&store.caches[1]);
    cr_assert_eq(virtq_iova_cache_init(&more[0], &store.depot), 0);
    cr_assert_eq(more[0].home, &store.homes[1]);
    cr_assert_eq(virtq_iova_cache_init(&more[1], &store.depot), 0, "a full magazine is not needed");
    cr_assert_eq(more[1].home, &store.homes[0]);
    for (unsigned i = 0; i < 2; i++) {
        virtq_iova_cache_destroy(&more[i]);
    }
    virtq_iova_cache_destroy(&store.caches[0]);
    cr_assert_eq(store.iova.count, 0u);
}

Test(iommu_iova_cache, threat_67_a_shortage_is_reported_only_when_every_magazine_is_empty)
{
    static struct store store;
    static virtq_addr_t addrs[PAGES];
    virtq_addr_t addr;

    store_open(&store, 0, 300, CACHES * VIRTQ_IOVA_CACHE_MAGAZINES);
    for (unsigned i = 0; i < 300; i++) {
        cr_assert_eq(virtq_iova_cache_alloc(&store.caches[0], PAGE, &addrs[i]), 0);
    }
    cr_assert_eq(virtq_iova_cache_alloc(&store.caches[1], PAGE, &addr), VIRTQ_ENOMEM);
    cr_assert_eq(store.depot.drains, 1u, "tried again once");
    for (unsigned i = 0; i < 300; i++) {
        cr_assert_eq(virtq_iova_cache_free(&store.caches[0], addrs[i], PAGE), 0);
    }
    cr_assert_gt(store.iova.count, 0u, "the first queue keeps some");
    /* Another size, and the other cache: it needs all that the first one keeps. */
    for (unsigned i = 0; i < 150; i++) {
        cr_assert_eq(virtq_iova_cache_alloc(&store.caches[1], 2 * PAGE, &addrs[i]), 0);
    }
    cr_assert_eq(virtq_iova_cache_alloc(&store.caches[0], PAGE, &addr), VIRTQ_ENOMEM);
    for (unsigned i = 0; i < 150; i++) {
        cr_assert_eq(virtq_iova_cache_free(&store.caches[1], addrs[i], 2 * PAGE), 0);
    }
    cr_assert_eq(virtq_iova_depot_alloc(&store.depot, 300 * PAGE, 0, &addr), 0);
    cr_assert_eq(virtq_iova_depot_free(&store.depot, addr), 0);
    cr_assert_eq(virtq_iova_depot_free(&store.depot, addr), VIRTQ_EINVAL);
}

/* Random sizes on both caches against a table of pages: nothing is ever handed out twice. */
static void never_twice(virtq_addr_t base, uint64_t seed, unsigned homes)
{
    enum { LIVE = 200 };
    static struct store store;
    static unsigned char used[PAGES];
    static struct {
        virtq_addr_t addr;
        uint64_t len;
    } live[LIVE];
    unsigned count = 0;

    printf("seed %llu\n", (unsigned long long)seed);
    memset(used, 0, sizeof(used));
    store_open_homes(&store, base, PAGES, MAGAZINES, homes);
    for (unsigned round = 0; round < 60000; round++) {
        struct virtq_iova_cache *cache = &store.caches[random_below(&seed, CACHES)];
        uint64_t len = 1 + random_below(&seed, (uint64_t)PAGE << random_below(&seed, 7));
        unsigned phase = round / 500 % 4; /* Fill and empty in turns: magazines wander. */

        if (count < LIVE && random_below(&seed, 4) >= phase) {
            virtq_addr_t addr;

            if (virtq_iova_cache_alloc(cache, len, &addr) != 0) {
                continue;
            }
            for (uint64_t page = 0; page <= (len - 1) / PAGE; page++) {
                unsigned char *at = &used[(addr - base) / PAGE + page];

                cr_assert_eq(*at, 0);
                *at = 1;
            }
            live[count].addr = addr;
            live[count++].len = len;
        } else if (count > 0) {
            unsigned which = (unsigned)random_below(&seed, count);

            memset(used + (live[which].addr - base) / PAGE, 0, (live[which].len - 1) / PAGE + 1);
            cr_assert_eq(virtq_iova_cache_free(cache, live[which].addr, live[which].len), 0);
            live[which] = live[--count];
        }
    }
    while (count > 0) {
        count--;
        cr_assert_eq(virtq_iova_cache_free(&store.caches[0], live[count].addr, live[count].len), 0);
    }
    virtq_iova_cache_destroy(&store.caches[0]);
    virtq_iova_depot_drain(&store.depot);
    cr_assert_eq(store.iova.count, 0u);
}

Test(iommu_iova_cache, threat_64_no_address_is_out_twice)
{
    never_twice(0x40000000, 64, 0);
    never_twice(0x40000000, 65, CACHES);
}

Test(iommu_iova_cache, L6_no_address_is_out_twice_at_the_top)
{
    never_twice(UINT64_MAX - (uint64_t)PAGES * PAGE + 1, 6, 0);
    never_twice(UINT64_MAX - (uint64_t)PAGES * PAGE + 1, 7, CACHES);
}

/* Two owners that run dry all the time, and drain each other. */
struct owner {
    struct store *store;
    unsigned which;
    int wrong;
};

static unsigned owners_of[64];

static void *takes_and_gives(void *context)
{
    struct owner *owner = context;
    struct virtq_iova_cache *cache = &owner->store->caches[owner->which];
    virtq_addr_t addrs[40];

    for (unsigned round = 0; round < 2000; round++) {
        unsigned count = 0;

        while (count < 40 && virtq_iova_cache_alloc(cache, PAGE, &addrs[count]) == 0) {
            unsigned *at = &owners_of[addrs[count++] / PAGE];

            owner->wrong |= __atomic_exchange_n(at, owner->which + 1, __ATOMIC_RELAXED) != 0;
        }
        while (count > 0) {
            unsigned *at = &owners_of[addrs[--count] / PAGE];

            owner->wrong |= __atomic_exchange_n(at, 0, __ATOMIC_RELAXED) != owner->which + 1;
            (void)virtq_iova_cache_free(cache, addrs[count], PAGE);
        }
    }
    return NULL;
}

Test(iommu_iova_cache, L5_two_owners_that_run_dry_do_not_wait_for_each_other)
{
    static struct store store;
    struct owner owners[2] = {{&store, 0, 0}, {&store, 1, 0}};
    pthread_t threads[2];

    store_open(&store, 0, 64, MAGAZINES);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, takes_and_gives, &owners[i]), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_eq(owners[i].wrong, 0);
    }
    virtq_iova_depot_drain(&store.depot);
    cr_assert_eq(store.iova.count, 0u);
}
