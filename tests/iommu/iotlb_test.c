/* SPDX-License-Identifier: BSD-3-Clause */
/* The IOTLB. M2, M3, M4; threats 73, 74, 76, 77, 78, 79, 80. */
#include "virtq/iommu/iotlb.h"

#include <pthread.h>

#include "support/random.h"
#include "support/runner.h"

enum {
    READ = VIRTQ_PERMISSION_READ,
    WRITE = VIRTQ_PERMISSION_WRITE,
    BOTH = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE
};

static unsigned char memory[65536];

static void expect(struct virtq_iotlb *iotlb, virtq_addr_t first, virtq_addr_t last, void *base)
{
    struct virtq_window window;

    cr_assert_eq(virtq_iotlb_lookup(iotlb, last, READ, &window), 0);
    cr_assert_eq(window.first, first);
    cr_assert_eq(window.last, last);
    cr_assert_eq(window.base, (unsigned char *)base);
    cr_assert_eq(virtq_iotlb_lookup(iotlb, first, READ, &window), 0);
    cr_assert_eq(window.first, first);
}

static int misses(struct virtq_iotlb *iotlb, virtq_addr_t addr)
{
    struct virtq_window window;

    return virtq_iotlb_lookup(iotlb, addr, READ, &window) == VIRTQ_EMISS;
}

Test(iommu_iotlb, M2_an_update_replaces_and_cuts_what_it_overlaps)
{
    unsigned char table[VIRTQ_TREE_SIZE(4)];
    struct virtq_iotlb iotlb;

    cr_assert_eq(virtq_iotlb_init(&iotlb, 4, table, sizeof(table)), 0);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 100, 199, memory, BOTH), 0);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 140, 159, memory + 5000, BOTH), 0);
    expect(&iotlb, 100, 139, memory);
    expect(&iotlb, 140, 159, memory + 5000);
    expect(&iotlb, 160, 199, memory + 60);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 120, 169, memory + 9000, BOTH), 0);
    expect(&iotlb, 100, 119, memory);
    expect(&iotlb, 120, 169, memory + 9000);
    expect(&iotlb, 170, 199, memory + 70);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 0, 299, memory, BOTH), 0);
    expect(&iotlb, 0, 299, memory);
    cr_assert_eq(iotlb.tree.count, 1u);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 5, 4, memory, BOTH), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 4, 5, memory, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iotlb_init(&iotlb, 4, NULL, SIZE_MAX), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iotlb_init(&iotlb, 0, table, sizeof(table)), VIRTQ_EINVAL);
}

Test(iommu_iotlb, M2_threat_77_a_partial_invalidation_leaves_no_stale_part)
{
    unsigned char table[VIRTQ_TREE_SIZE(4)];
    struct virtq_iotlb iotlb;

    cr_assert_eq(virtq_iotlb_init(&iotlb, 4, table, sizeof(table)), 0);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 0x1000, 0x3fff, memory, BOTH), 0);
    cr_assert_eq(virtq_iotlb_invalidate(&iotlb, 0x2000, 0x2fff), 0);
    expect(&iotlb, 0x1000, 0x1fff, memory);
    expect(&iotlb, 0x3000, 0x3fff, memory + 0x2000);
    cr_assert(misses(&iotlb, 0x2000) && misses(&iotlb, 0x2fff));
    cr_assert_eq(virtq_iotlb_invalidate(&iotlb, 0x1fff, 0x3000), 0);
    expect(&iotlb, 0x1000, 0x1ffe, memory);
    expect(&iotlb, 0x3001, 0x3fff, memory + 0x2001);
    cr_assert_eq(virtq_iotlb_invalidate(&iotlb, 2, 1), VIRTQ_EINVAL);
    cr_assert_eq(iotlb.tree.count, 2u);
}

Test(iommu_iotlb, M2_L6_threat_73_everything_at_once)
{
    unsigned char table[VIRTQ_TREE_SIZE(4)];
    struct virtq_iotlb iotlb;

    cr_assert_eq(virtq_iotlb_init(&iotlb, 4, table, sizeof(table)), 0);
    cr_assert_eq(virtq_iotlb_update(&iotlb, UINT64_MAX - 9, UINT64_MAX, memory, BOTH), 0);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 0, 9, memory, BOTH), 0);
    expect(&iotlb, UINT64_MAX - 9, UINT64_MAX, memory);
    cr_assert_eq(virtq_iotlb_invalidate(&iotlb, UINT64_MAX, UINT64_MAX), 0);
    expect(&iotlb, UINT64_MAX - 9, UINT64_MAX - 1, memory);
    cr_assert_eq(virtq_iotlb_invalidate(&iotlb, 0, 0), 0);
    expect(&iotlb, 1, 9, memory + 1);
    cr_assert_eq(virtq_iotlb_invalidate(&iotlb, 0, UINT64_MAX), 0);
    cr_assert_eq(iotlb.tree.count, 0u);
    if (UINTPTR_MAX == UINT64_MAX) {
        cr_assert_eq(virtq_iotlb_update(&iotlb, 0, UINT64_MAX, NULL, READ), 0);
        expect(&iotlb, 0, UINT64_MAX, NULL);
        cr_assert_eq(virtq_iotlb_invalidate(&iotlb, UINT64_C(1) << 63, UINT64_MAX), 0);
        expect(&iotlb, 0, (UINT64_C(1) << 63) - 1, NULL);
    }
}

Test(iommu_iotlb, threat_74_without_room_an_update_changes_nothing_and_an_invalidation_forgets)
{
    unsigned char table[VIRTQ_TREE_SIZE(2) + 1];
    struct virtq_iotlb iotlb;

    cr_assert_eq(virtq_iotlb_init(&iotlb, 2, table, VIRTQ_TREE_SIZE(2)), 0);
    table[VIRTQ_TREE_SIZE(2)] = 0x5a;
    cr_assert_eq(virtq_iotlb_update(&iotlb, 0, 99, memory, BOTH), 0);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 40, 49, memory + 5000, BOTH), VIRTQ_ENOMEM);
    expect(&iotlb, 0, 99, memory);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 200, 299, memory, BOTH), 0);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 150, 250, memory + 5000, BOTH), VIRTQ_ENOMEM);
    expect(&iotlb, 200, 299, memory);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 150, 299, memory + 5000, BOTH), 0);
    cr_assert_eq(virtq_iotlb_invalidate(&iotlb, 40, 49), 0);
    expect(&iotlb, 0, 39, memory);
    cr_assert(misses(&iotlb, 40) && misses(&iotlb, 50));
    cr_assert_eq(iotlb.dropped, 1u);
    cr_assert_eq(table[VIRTQ_TREE_SIZE(2)], 0x5a);
}

Test(iommu_iotlb, M3_M4_threat_78_unknown_is_a_miss_and_known_but_not_allowed_is_not)
{
    uint32_t permissions;
    uint32_t access;

    for (permissions = READ; permissions <= BOTH; permissions++) {
        unsigned char table[VIRTQ_TREE_SIZE(1)];
        struct virtq_iotlb iotlb;
        struct virtq_window window;

        cr_assert_eq(virtq_iotlb_init(&iotlb, 1, table, sizeof(table)), 0);
        cr_assert_eq(virtq_iotlb_update(&iotlb, 0, 9, memory, permissions), 0);
        for (access = READ; access <= BOTH; access++) {
            cr_assert_eq(virtq_iotlb_lookup(&iotlb, 5, access, &window),
                         (permissions & access) == access ? 0 : VIRTQ_EPERM);
            cr_assert_eq(virtq_iotlb_lookup(&iotlb, 10, access, &window), VIRTQ_EMISS);
        }
        cr_assert_eq(virtq_iotlb_lookup(&iotlb, 5, 0, &window), VIRTQ_EINVAL);
    }
}

Test(iommu_iotlb, threat_79_neighbours_are_one_window_with_what_both_grant)
{
    unsigned char table[VIRTQ_TREE_SIZE(3)];
    struct virtq_iotlb iotlb;
    struct virtq_window window;

    cr_assert_eq(virtq_iotlb_init(&iotlb, 3, table, sizeof(table)), 0);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 0, 9, memory, READ), 0);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 10, 19, memory + 10, BOTH), 0);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 20, 29, memory + 20, WRITE), 0);
    cr_assert_eq(virtq_iotlb_lookup(&iotlb, 15, READ, &window), 0);
    cr_assert_eq(window.first, 0u);
    cr_assert_eq(window.last, 19u);
    cr_assert_eq(window.permissions, (uint32_t)READ);
    cr_assert_eq(virtq_iotlb_lookup(&iotlb, 15, WRITE, &window), 0);
    cr_assert_eq(window.first, 10u);
    cr_assert_eq(window.last, 29u);
    cr_assert_eq(window.permissions, (uint32_t)WRITE);
}

Test(iommu_iotlb, threat_76_queues_are_told_when_a_translation_goes_and_only_then)
{
    unsigned char table[VIRTQ_TREE_SIZE(4)];
    struct virtq_iotlb iotlb;
    struct virtq_space space;

    memset(&space, 0, sizeof(space));
    cr_assert_eq(virtq_iotlb_init(&iotlb, 4, table, sizeof(table)), 0);
    iotlb.space = &space;
    cr_assert_eq(virtq_iotlb_update(&iotlb, 0, 99, memory, BOTH), 0);
    cr_assert_eq(virtq_iotlb_invalidate(&iotlb, 100, 199), 0);
    cr_assert_eq(space.generation, 0u);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 99, 99, memory, BOTH), 0);
    cr_assert_eq(space.generation, 1u);
    cr_assert_eq(virtq_iotlb_invalidate(&iotlb, 99, 199), 0);
    cr_assert_eq(space.generation, 2u);
}

/* Random updates and invalidations against one entry an address: where each leads, what each
 * grants, and windows as large as can be. Capacity is never short, so that the oracle is exact. */
Test(iommu_iotlb, threat_80_agrees_with_a_slow_oracle)
{
    enum { SPAN = 128 };
    unsigned char table[VIRTQ_TREE_SIZE(SPAN)];
    uintptr_t where[SPAN + 1] = {0};
    uint32_t may[SPAN + 1] = {0};
    struct virtq_iotlb iotlb;
    uint64_t seed = 80;
    int round;

    cr_assert_eq(virtq_iotlb_init(&iotlb, SPAN, table, sizeof(table)), 0);
    for (round = 0; round < 20000; round++) {
        unsigned first = (unsigned)random_below(&seed, SPAN);
        unsigned last = first + (unsigned)random_below(&seed, 30);
        unsigned char *base = memory + first + random_below(&seed, 2) * 1000;
        uint32_t permissions = (uint32_t)random_below(&seed, 4);
        uint32_t access = 1 + (uint32_t)random_below(&seed, 3);
        unsigned i;

        last = last < SPAN ? last : SPAN - 1;
        if (permissions == 0) {
            cr_assert_eq(virtq_iotlb_invalidate(&iotlb, first, last), 0);
        } else {
            cr_assert_eq(virtq_iotlb_update(&iotlb, first, last, base, permissions), 0);
        }
        for (i = first; i <= last; i++) {
            where[i] = (uintptr_t)base + (i - first);
            may[i] = permissions;
        }
        for (i = 0; i < SPAN; i++) {
            struct virtq_window window;
            unsigned low = i;
            unsigned high = i;
            int error = virtq_iotlb_lookup(&iotlb, i, access, &window);

            if ((may[i] & access) != access) {
                cr_assert_eq(error, may[i] == 0 ? VIRTQ_EMISS : VIRTQ_EPERM);
                continue;
            }
            while (low > 0 && (may[low - 1] & access) == access &&
                   where[low - 1] + 1 == where[low]) {
                low--;
            }
            while ((may[high + 1] & access) == access && where[high] + 1 == where[high + 1]) {
                high++;
            }
            cr_assert_eq(error, 0);
            cr_assert_eq(window.first, low);
            cr_assert_eq(window.last, high);
            cr_assert_eq((uintptr_t)window.base, where[low]);
        }
    }
}

/* L5: each thread has a range of its own in one table, and always finds it as it left it. */
struct worker {
    struct virtq_iotlb *iotlb;
    virtq_addr_t first;
    int wrong;
};

static void *updates_and_invalidates(void *context)
{
    struct worker *worker = context;
    virtq_addr_t first = worker->first;
    int round;

    for (round = 0; round < 20000; round++) {
        unsigned char *base = memory + round % 1000;
        struct virtq_window window;

        worker->wrong |= virtq_iotlb_update(worker->iotlb, first, first + 99, base, READ) != 0;
        worker->wrong |= virtq_iotlb_lookup(worker->iotlb, first + 50, READ, &window) != 0 ||
                         window.first != first || window.last != first + 99 || window.base != base;
        worker->wrong |= virtq_iotlb_invalidate(worker->iotlb, first, first + 99) != 0;
        worker->wrong |= !misses(worker->iotlb, first + 50);
    }
    return NULL;
}

Test(iommu_iotlb, L5_two_threads_share_a_table)
{
    unsigned char table[VIRTQ_TREE_SIZE(2)];
    struct virtq_iotlb iotlb;
    struct worker workers[2] = {{&iotlb, 0, 0}, {&iotlb, 1000, 0}};
    pthread_t threads[2];
    int i;

    cr_assert_eq(virtq_iotlb_init(&iotlb, 2, table, sizeof(table)), 0);
    for (i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, updates_and_invalidates, &workers[i]), 0);
    }
    for (i = 0; i < 2; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_eq(workers[i].wrong, 0);
    }
    cr_assert_eq(iotlb.tree.count, 0u);
}

Test(iommu_iotlb, threat_74_a_full_table_makes_room_when_it_is_asked_to)
{
    enum { CAPACITY = 64, NEEDS = 62 };
    unsigned char table[VIRTQ_TREE_SIZE(CAPACITY)];
    struct virtq_iotlb iotlb;
    struct virtq_window window;
    struct virtq_space space;
    unsigned tries = 0;
    unsigned i;

    memset(&space, 0, sizeof(space));
    cr_assert_eq(virtq_iotlb_init(&iotlb, CAPACITY, table, sizeof(table)), 0);
    virtq_iotlb_set_eviction(&iotlb, true);
    iotlb.space = &space;
    for (i = 0; i < CAPACITY; i++) {
        cr_assert_eq(virtq_iotlb_update(&iotlb, i * 100u, i * 100u + 9, memory, BOTH), 0);
    }
    cr_assert_eq(space.generation, 0u);
    /* A buffer that needs nearly the whole table, none of which is there: retried from its
     * beginning after each miss, as a queue does. */
    for (i = 0; i < NEEDS; tries++) {
        cr_assert_lt(tries, 3u * NEEDS, "it gets on");
        for (i = 0; i < NEEDS; i++) {
            virtq_addr_t first = 50 + (virtq_addr_t)((i * 37) % NEEDS) * 100;

            if (virtq_iotlb_lookup(&iotlb, first, READ, &window) == VIRTQ_EMISS) {
                cr_assert_eq(virtq_iotlb_update(&iotlb, first, first + 9, memory, BOTH), 0);
                break;
            }
        }
    }
    cr_assert_eq(iotlb.tree.count, (unsigned)CAPACITY);
    cr_assert_geq(iotlb.evicted, (uint64_t)NEEDS);
    cr_assert_eq(space.generation, iotlb.evicted, "windows go with their entries");
    /* M1: a burst that began before an eviction is waited for, though nothing is left to take. */
    cr_assert_eq(virtq_iotlb_invalidate(&iotlb, 1000000, 1000009), 0);
    cr_assert_eq(space.generation, iotlb.evicted + 1);
}

Test(iommu_iotlb, threat_74_what_is_looked_up_stays)
{
    unsigned char table[VIRTQ_TREE_SIZE(8)];
    struct virtq_iotlb iotlb;
    struct virtq_window window;
    unsigned i;

    cr_assert_eq(virtq_iotlb_init(&iotlb, 8, table, sizeof(table)), 0);
    virtq_iotlb_set_eviction(&iotlb, true);
    for (i = 0; i < 100; i++) {
        virtq_addr_t first = i * 37 % 101 * 100;

        cr_assert_eq(virtq_iotlb_update(&iotlb, first, first + 9, memory, BOTH), 0);
        /* After the first full round, which finds everything new. */
        if (i == 10) {
            cr_assert_eq(virtq_iotlb_update(&iotlb, 50, 59, memory, BOTH), 0);
        }
        cr_assert_eq(virtq_iotlb_lookup(&iotlb, 50, READ, &window), i < 10 ? VIRTQ_EMISS : 0);
    }
}

Test(iommu_iotlb, M2_continued_translations_are_one_entry)
{
    unsigned char table[VIRTQ_TREE_SIZE(3)];
    struct virtq_iotlb iotlb;
    struct virtq_space space;

    memset(&space, 0, sizeof(space));
    cr_assert_eq(virtq_iotlb_init(&iotlb, 1, table, sizeof(table)), 0);
    iotlb.space = &space;
    cr_assert_eq(virtq_iotlb_update(&iotlb, 100, 199, memory + 100, BOTH), 0);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 200, 299, memory + 200, BOTH), 0);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 0, 99, memory, BOTH), 0);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 120, 130, memory + 120, BOTH), 0, "known");
    cr_assert_eq(space.generation, 0u, "and nothing went");
    cr_assert_eq(iotlb.tree.count, 1u);
    expect(&iotlb, 0, 299, memory);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 300, 399, memory + 300, READ), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 300, 399, memory + 301, BOTH), VIRTQ_ENOMEM);
}

Test(iommu_iotlb, M4_misses_are_asked_for_once_in_order_and_bounded)
{
    unsigned char table[VIRTQ_TREE_SIZE(8)];
    struct virtq_miss list[3];
    struct virtq_miss first = {0x1000, 0x100, READ, 0};
    struct virtq_miss second = {0x5000, 0x200, WRITE, 0};
    struct virtq_miss third = {0x3000, 1, READ, 0};
    struct virtq_miss inside = {0x1080, 0x400, READ, 0};
    struct virtq_miss other = {0x1080, 0x10, WRITE, 0};
    struct virtq_miss illegal = {0x1080, 0, READ, 0};
    struct virtq_miss got;
    struct virtq_iotlb iotlb;

    cr_assert_eq(virtq_iotlb_init(&iotlb, 8, table, sizeof(table)), 0);
    cr_assert_eq(virtq_iotlb_note_miss(&iotlb, &first), VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_iotlb_set_misses(&iotlb, list, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iotlb_set_misses(&iotlb, list, 3), 0);
    cr_assert_eq(virtq_iotlb_next_miss(&iotlb, &got), 0);
    cr_assert_eq(virtq_iotlb_note_miss(&iotlb, &illegal), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iotlb_note_miss(&iotlb, &first), 1);
    cr_assert_eq(virtq_iotlb_note_miss(&iotlb, &first), 0);
    cr_assert_eq(virtq_iotlb_note_miss(&iotlb, &inside), 0);
    cr_assert_eq(virtq_iotlb_note_miss(&iotlb, &second), 1);
    cr_assert_eq(virtq_iotlb_next_miss(&iotlb, &got), 1);
    cr_assert(got.addr == 0x1000 && got.len == 0x100 && got.permissions == (uint32_t)READ);
    cr_assert_eq(virtq_iotlb_note_miss(&iotlb, &first), 0, "asked for already");
    cr_assert_eq(virtq_iotlb_note_miss(&iotlb, &other), 1, "another permission is another miss");
    cr_assert_eq(virtq_iotlb_note_miss(&iotlb, &third), VIRTQ_ENOMEM);
    /* Resolved: what covers it with enough permission, and nothing less. */
    cr_assert_eq(virtq_iotlb_update(&iotlb, 0x1000, 0x10ff, memory, READ), 0);
    cr_assert_eq(iotlb.misses_count, 2u);
    cr_assert_eq(virtq_iotlb_note_miss(&iotlb, &first), 0, "known meanwhile");
    cr_assert_eq(virtq_iotlb_note_miss(&iotlb, &third), 1);
    cr_assert_eq(virtq_iotlb_next_miss(&iotlb, &got), 1);
    cr_assert_eq(got.addr, 0x5000u);
    cr_assert_eq(virtq_iotlb_next_miss(&iotlb, &got), 1);
    cr_assert(got.addr == 0x1080 && got.permissions == (uint32_t)WRITE);
    cr_assert_eq(virtq_iotlb_update(&iotlb, 0x1000, 0x5fff, memory, BOTH), 0);
    cr_assert_eq(iotlb.misses_count, 0u);
    cr_assert_eq(virtq_iotlb_next_miss(&iotlb, &got), 0);
    third.addr = 0x9000;
    cr_assert_eq(virtq_iotlb_note_miss(&iotlb, &third), 1);
    virtq_iotlb_forget_miss(&iotlb, &third);
    virtq_iotlb_forget_miss(&iotlb, &third);
    cr_assert_eq(virtq_iotlb_note_miss(&iotlb, &third), 1);
}
