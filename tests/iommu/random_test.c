/* SPDX-License-Identifier: BSD-3-Clause */
/* A million random operations on tables of thousands of entries, against one entry a page: an
 * IOTLB (M2, M3), a domain (M3, M5). Each state of a tree is passed through: nodes that fill,
 * split, lend and are joined, at each level. */
#include <stdio.h>
#include <stdlib.h>

#include "support/random.h"
#include "support/runner.h"
#include "virtq/iommu/domain.h"
#include "virtq/iommu/iotlb.h"

enum { PAGES = 16384, LONG = 300, SHORT = 4, SLICE = 2000 };

/* What each page should lead to. */
struct oracle {
    uint64_t seed;
    uintptr_t where[PAGES];
    uint32_t may[PAGES + 1]; /* 0: nothing. */
    uint32_t owner[PAGES + 1];
    uint32_t number;
};

static unsigned char *const base = (unsigned char *)0x10000;

/* Under Valgrind and emulators (VIRTQ_TEST_HURRIED) fewer have to do. */
static unsigned long rounds(const struct oracle *oracle)
{
    (void)printf("seed %llu\n", (unsigned long long)oracle->seed);
    return getenv("VIRTQ_TEST_HURRIED") != NULL ? 30000 : 1000000;
}

/* A third of the time the table grows, a third it shrinks, and in between it stays. */
static bool grows(struct oracle *oracle, unsigned long round)
{
    unsigned phase = (unsigned)(round / SLICE % 3);

    return random_below(&oracle->seed, 8) < (phase == 0 ? 7u : phase == 1 ? 1u : 4u);
}

static void choose(struct oracle *oracle, unsigned *first, unsigned *last)
{
    unsigned most = random_below(&oracle->seed, 50) == 0 ? LONG : SHORT;

    *first = (unsigned)random_below(&oracle->seed, PAGES);
    *last = *first + (unsigned)random_below(&oracle->seed, most);
    *last = *last < PAGES ? *last : PAGES - 1;
}

/* Exactly one mapping, if the page is of any: what is nearly always unmapped. */
static void choose_one(const struct oracle *oracle, unsigned page, unsigned *first, unsigned *last)
{
    const uint32_t owner = oracle->owner[page];

    if (owner == 0) {
        return;
    }
    for (*first = page; *first > 0 && oracle->owner[*first - 1] == owner; --*first) {
    }
    for (*last = page; *last + 1 < PAGES && oracle->owner[*last + 1] == owner; ++*last) {
    }
}

/* One of two places, so that neighbours often continue each other. */
static unsigned char *place(struct oracle *oracle, unsigned first)
{
    return base + ((size_t)first + random_below(&oracle->seed, 2) * 2 * PAGES) * 4096;
}

static virtq_addr_t address(unsigned page)
{
    /* The last page is the last of all: L6. */
    return UINT64_MAX - ((virtq_addr_t)(PAGES - page) * 4096 - 1);
}

static void set(struct oracle *oracle, unsigned first, unsigned last, unsigned char *at,
                uint32_t permissions)
{
    unsigned i;

    oracle->number++;
    for (i = first; i <= last; i++) {
        oracle->where[i] = (uintptr_t)at + (uintptr_t)(i - first) * 4096;
        oracle->may[i] = permissions;
        oracle->owner[i] = permissions != 0 ? oracle->number : 0;
    }
}

static bool joins(const struct oracle *oracle, unsigned low, uint32_t access)
{
    return (oracle->may[low] & access) == access && (oracle->may[low + 1] & access) == access &&
           oracle->where[low] + 4096 == oracle->where[low + 1];
}

/* Looks one page up, and compares all that the answer says. */
static void compare(struct oracle *oracle, int error, int absent, unsigned page, uint32_t access,
                    const struct virtq_window *window)
{
    unsigned low = page;
    unsigned high = page;
    unsigned i;
    uint32_t permissions;

    if ((oracle->may[page] & access) != access) {
        cr_assert_eq(error, oracle->may[page] == 0 ? absent : VIRTQ_EPERM);
        return;
    }
    while (low > 0 && joins(oracle, low - 1, access)) {
        low--;
    }
    while (high + 1 < PAGES && joins(oracle, high, access)) {
        high++;
    }
    permissions = oracle->may[low];
    for (i = low; i <= high; i++) {
        permissions &= oracle->may[i];
    }
    cr_assert_eq(error, 0);
    cr_assert_eq(window->first, address(low));
    cr_assert_eq(window->last, address(high) + 4095);
    cr_assert_eq((uintptr_t)window->base, oracle->where[low]);
    cr_assert_eq(window->permissions, permissions);
}

static uint32_t random_permissions(struct oracle *oracle)
{
    return 1 + (uint32_t)random_below(&oracle->seed, 3);
}

Test(iommu_random, M2_M3_an_iotlb_agrees_with_a_table_of_pages)
{
    static struct oracle oracle = {.seed = 3};
    void *memory = malloc(virtq_iotlb_size(PAGES));
    struct virtq_iotlb iotlb;
    unsigned long round;

    cr_assert_eq(virtq_iotlb_init(&iotlb, PAGES, memory, virtq_iotlb_size(PAGES)), 0);
    for (round = rounds(&oracle); round > 0; round--) {
        unsigned page = (unsigned)random_below(&oracle.seed, PAGES);
        uint32_t access = random_permissions(&oracle);
        struct virtq_window window;
        unsigned first;
        unsigned last;
        int error;

        choose(&oracle, &first, &last);
        if (grows(&oracle, round)) {
            unsigned char *at = place(&oracle, first);
            uint32_t permissions = random_permissions(&oracle);

            cr_assert_eq(
                virtq_iotlb_update(&iotlb, address(first), address(last) + 4095, at, permissions),
                0);
            set(&oracle, first, last, at, permissions);
        } else {
            cr_assert_eq(virtq_iotlb_invalidate(&iotlb, address(first), address(last) + 4095), 0);
            set(&oracle, first, last, NULL, 0);
        }
        error = virtq_iotlb_lookup(&iotlb, address(page) + page % 4096, access, &window);
        compare(&oracle, error, VIRTQ_EMISS, page, access, &window);
    }
    cr_assert_eq(virtq_iotlb_invalidate(&iotlb, 0, UINT64_MAX), 0);
    cr_assert_eq(iotlb.tree.count, 0u);
    free(memory);
}

/* Whatever a domain's `capacity` and shards are. */
static void domain_agrees(struct virtq_domain *domain, unsigned capacity, struct oracle *oracle)
{
    unsigned long round;

    for (round = rounds(oracle); round > 0; round--) {
        unsigned page = (unsigned)random_below(&oracle->seed, PAGES);
        uint32_t access = random_permissions(oracle);
        const uint32_t *owner = oracle->owner;
        struct virtq_window window;
        unsigned first;
        unsigned last;
        unsigned i;
        int error;

        choose(oracle, &first, &last);
        if (grows(oracle, round)) {
            unsigned char *at = place(oracle, first);
            uint32_t permissions = random_permissions(oracle);
            unsigned before = virtq_domain_count(domain);

            for (i = first; i <= last && owner[i] == 0; i++) {
            }
            error = virtq_domain_map(domain, address(first), address(last) + 4095, at, permissions);
            if (i <= last) {
                cr_assert_eq(error, VIRTQ_EINVAL);
            } else if (before == capacity) {
                cr_assert_eq(error, VIRTQ_ENOMEM);
            } else {
                cr_assert_eq(error, 0);
                set(oracle, first, last, at, permissions);
            }
        } else {
            bool splits;

            if (random_below(&oracle->seed, 4) != 0) {
                choose_one(oracle, page, &first, &last);
            }
            splits = (first > 0 && owner[first] != 0 && owner[first - 1] == owner[first]) ||
                     (owner[last] != 0 && owner[last + 1] == owner[last]);

            cr_assert_eq(virtq_domain_unmap(domain, address(first), address(last) + 4095),
                         splits ? VIRTQ_EINVAL : 0);
            if (!splits) {
                set(oracle, first, last, NULL, 0);
            }
        }
        error = virtq_domain_lookup(domain, address(page) + page % 4096, access, &window);
        compare(oracle, error, VIRTQ_EFAULT, page, access, &window);
    }
}

Test(iommu_random, M3_M5_a_domain_agrees_with_a_table_of_pages)
{
    static struct oracle oracle = {.seed = 5};
    enum { CAPACITY = 6000 };
    void *memory = malloc(virtq_domain_size(CAPACITY));
    struct virtq_domain domain;

    cr_assert_eq(virtq_domain_init(&domain, CAPACITY, memory, virtq_domain_size(CAPACITY)), 0);
    domain_agrees(&domain, CAPACITY, &oracle);
    free(memory);
}

Test(iommu_random, M3_M5_a_domain_with_shards_agrees_with_a_table_of_pages)
{
    static struct oracle oracle = {.seed = 7};
    struct virtq_domain_config config = VIRTQ_DOMAIN_CONFIG_INIT;
    void *memory = malloc(virtq_domain_shards_size(64, PAGES));
    struct virtq_domain domain;

    config.first = address(0);
    config.shards = 64; /* Of 256 pages: cuts lie within the longest mappings. */
    config.capacity = PAGES;
    config.memory = memory;
    config.memory_size = virtq_domain_shards_size(64, PAGES);
    cr_assert_eq(virtq_domain_init_shards(&domain, &config), 0);
    domain_agrees(&domain, 64 * PAGES, &oracle);
    cr_assert_eq(virtq_domain_unmap(&domain, 0, UINT64_MAX), 0);
    cr_assert_eq(virtq_domain_count(&domain), 0u);
    free(memory);
}
