/* SPDX-License-Identifier: BSD-3-Clause */
/* The domain. M1, M3, M5; threats 71, 73, 74, 75, 78, 79, 80. */
#include "virtq/iommu/domain.h"

#include "support/random.h"
#include "support/runner.h"

enum {
    READ = VIRTQ_PERMISSION_READ,
    WRITE = VIRTQ_PERMISSION_WRITE,
    BOTH = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE
};

static unsigned char memory[65536];

/* What the listener heard. */
struct ear {
    struct virtq_domain_listener listener;
    unsigned times;
    virtq_addr_t first;
    virtq_addr_t last;
};

static void hears(struct virtq_domain_listener *listener, virtq_addr_t first, virtq_addr_t last)
{
    struct ear *ear = (struct ear *)listener;

    ear->times++;
    ear->first = first;
    ear->last = last;
}

Test(iommu_domain, M5_overlap_is_refused_and_changes_nothing)
{
    unsigned char table[VIRTQ_TREE_SIZE(8)];
    struct virtq_domain domain;
    struct virtq_window window;

    cr_assert_eq(virtq_domain_init(&domain, 8, table, sizeof(table)), 0);
    cr_assert_eq(virtq_domain_map(&domain, 100, 199, memory, READ), 0);
    cr_assert_eq(virtq_domain_map(&domain, 199, 299, memory, READ), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_map(&domain, 0, 100, memory, READ), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_map(&domain, 120, 130, memory, READ), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_map(&domain, 0, 1000, memory, READ), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_map(&domain, 100, 199, memory, READ), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_count(&domain), 1u);
    cr_assert_eq(virtq_domain_map(&domain, 200, 299, memory, READ), 0);
    cr_assert_eq(virtq_domain_map(&domain, 0, 99, memory, READ), 0);
    cr_assert_eq(virtq_domain_lookup(&domain, 300, READ, &window), VIRTQ_EFAULT);
    cr_assert_eq(virtq_domain_map(&domain, 301, 300, memory, READ), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_map(&domain, 300, 301, memory, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_map(&domain, 300, 301, memory, 4), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_map(&domain, 300, UINT64_MAX, memory, READ), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_init(&domain, 8, NULL, SIZE_MAX), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_init(&domain, 0, table, sizeof(table)), VIRTQ_EINVAL);
}

Test(iommu_domain, a_translation_takes_in_neighbours_of_the_same_permissions_only)
{
    unsigned char table[VIRTQ_TREE_SIZE(8)];
    struct virtq_domain domain;
    struct virtq_window window;

    cr_assert_eq(virtq_domain_init(&domain, 8, table, sizeof(table)), 0);
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_eq(virtq_domain_map(&domain, 100 + i * 10, 109 + i * 10, memory + (size_t)i * 10,
                                      i == 1 || i == 2 ? BOTH : READ),
                     0);
    }
    cr_assert_eq(virtq_domain_lookup(&domain, 105, READ, &window), 0);
    cr_assert(window.first == 100 && window.last == 149 && window.permissions == READ);
    cr_assert_eq(virtq_domain_translation(&domain, 105, READ, &window), 0);
    cr_assert(window.first == 100 && window.last == 109 && window.permissions == READ);
    cr_assert_eq(virtq_domain_translation(&domain, 115, READ, &window), 0);
    cr_assert(window.first == 110 && window.last == 129 && window.permissions == BOTH);
    cr_assert_eq(window.base, memory + 10);
    cr_assert_eq(virtq_domain_translation(&domain, 149, READ, &window), 0);
    cr_assert(window.first == 130 && window.last == 149 && window.permissions == READ);
    cr_assert_eq(virtq_domain_translation(&domain, 149, WRITE, &window), VIRTQ_EPERM);
    cr_assert_eq(virtq_domain_translation(&domain, 150, READ, &window), VIRTQ_EFAULT);
    cr_assert_eq(virtq_domain_translation(&domain, 149, 0, &window), VIRTQ_EINVAL);
}

/* The seven examples of the specification [virtio 1.4, UNMAP request]: mappings, what is unmapped,
 * what is left. */
Test(iommu_domain, threat_71_unmap_never_splits)
{
    static const struct {
        struct {
            virtq_addr_t first, last;
        } map[2];
        virtq_addr_t first, last;
        int error;
        unsigned left;
    } rows[] = {
        {{{1, 0}, {1, 0}}, 0, 4, 0, 0},
        {{{0, 9}, {1, 0}}, 0, 9, 0, 0},
        {{{0, 4}, {5, 9}}, 0, 9, 0, 0},
        {{{0, 9}, {1, 0}}, 0, 4, VIRTQ_EINVAL, 1},
        {{{0, 4}, {5, 9}}, 0, 4, 0, 1},
        {{{0, 4}, {1, 0}}, 0, 9, 0, 0},
        {{{0, 4}, {10, 14}}, 0, 14, 0, 0},
        {{{0, 4}, {5, 9}}, 0, 7, VIRTQ_EINVAL, 2},
        {{{0, 4}, {5, 9}}, 2, 9, VIRTQ_EINVAL, 2},
        {{{0, 9}, {1, 0}}, 3, 5, VIRTQ_EINVAL, 1},
        {{{0, 9}, {1, 0}}, 5, 4, VIRTQ_EINVAL, 1},
    };
    unsigned i;

    for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        unsigned char table[VIRTQ_TREE_SIZE(2)];
        struct virtq_domain domain;
        struct ear ear = {{NULL, hears, NULL}, 0, 0, 0};
        unsigned j;

        cr_assert_eq(virtq_domain_init(&domain, 2, table, sizeof(table)), 0);
        virtq_domain_listen(&domain, &ear.listener);
        for (j = 0; j < 2; j++) {
            if (rows[i].map[j].first <= rows[i].map[j].last) {
                cr_assert_eq(virtq_domain_map(&domain, rows[i].map[j].first, rows[i].map[j].last,
                                              memory, BOTH),
                             0);
            }
        }
        cr_assert_eq(virtq_domain_unmap(&domain, rows[i].first, rows[i].last), rows[i].error);
        cr_assert_eq(virtq_domain_count(&domain), rows[i].left);
        cr_assert_eq(ear.times, rows[i].error == 0 ? 1u : 0u, "M1: told, or nothing happened");
    }
}

Test(iommu_domain, L6_threat_73_the_whole_range)
{
    unsigned char table[VIRTQ_TREE_SIZE(4)];
    struct virtq_domain domain;
    struct virtq_window window;

    cr_assert_eq(virtq_domain_init(&domain, 4, table, sizeof(table)), 0);
    cr_assert_eq(virtq_domain_map(&domain, UINT64_MAX - 99, UINT64_MAX, memory, BOTH), 0);
    cr_assert_eq(virtq_domain_map(&domain, 0, 99, memory, BOTH), 0);
    cr_assert_eq(virtq_domain_lookup(&domain, UINT64_MAX, READ, &window), 0);
    cr_assert_eq(window.last, UINT64_MAX);
    cr_assert_eq(virtq_domain_unmap(&domain, 0, UINT64_MAX), 0);
    cr_assert_eq(virtq_domain_count(&domain), 0u);
    if (UINTPTR_MAX == UINT64_MAX) {
        cr_assert_eq(virtq_domain_map(&domain, 0, UINT64_MAX, NULL, READ), 0);
        cr_assert_eq(virtq_domain_lookup(&domain, 5, READ, &window), 0);
        cr_assert_eq(virtq_domain_unmap(&domain, 1, UINT64_MAX), VIRTQ_EINVAL);
        cr_assert_eq(virtq_domain_unmap(&domain, 0, UINT64_MAX), 0);
    }
}

Test(iommu_domain, threat_74_capacity_is_fixed)
{
    unsigned char table[VIRTQ_TREE_SIZE(2) + 1];
    struct virtq_domain domain;

    cr_assert_eq(virtq_domain_init(&domain, 2, table, VIRTQ_TREE_SIZE(2)), 0);
    table[VIRTQ_TREE_SIZE(2)] = 0x5a;
    cr_assert_eq(virtq_domain_map(&domain, 0, 9, memory, BOTH), 0);
    cr_assert_eq(virtq_domain_map(&domain, 20, 29, memory, BOTH), 0);
    cr_assert_eq(virtq_domain_map(&domain, 10, 19, memory, BOTH), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_domain_count(&domain), 2u);
    cr_assert_eq(table[VIRTQ_TREE_SIZE(2)], 0x5a);
    cr_assert_eq(virtq_domain_unmap(&domain, 0, 9), 0);
    cr_assert_eq(virtq_domain_map(&domain, 10, 19, memory, BOTH), 0);
}

/* Most of a dense run goes, one by one, and a run elsewhere comes: what is left of the first must
 * not keep more nodes than the memory was made for. */
Test(iommu_domain, threat_74_memory_is_enough_however_mappings_come_and_go)
{
    enum { CAPACITY = 480, KEPT = CAPACITY / 16 };
    static unsigned char table[VIRTQ_TREE_SIZE(CAPACITY)];
    struct virtq_domain domain;
    unsigned round;
    unsigned i;

    cr_assert_eq(virtq_domain_init(&domain, CAPACITY, table, sizeof(table)), 0);
    for (round = 0; round < 8; round++) {
        const virtq_addr_t run = (virtq_addr_t)round << 20;
        const unsigned count = CAPACITY - virtq_domain_count(&domain);

        for (i = 0; i < count; i++) {
            cr_assert_eq(virtq_domain_map(&domain, run + 2 * i, run + 2 * i, memory, BOTH), 0);
        }
        for (i = 0; i < count; i++) {
            if (i % 16 != 0) {
                cr_assert_eq(virtq_domain_unmap(&domain, run + 2 * i, run + 2 * i), 0);
            }
        }
        cr_assert_leq(virtq_domain_count(&domain), (round + 1) * KEPT);
        cr_assert_leq(domain.whole.tree.fresh, domain.whole.tree.end + VIRTQ_TREE_NODE_SIZE);
    }
    cr_assert_eq(virtq_domain_unmap(&domain, 0, UINT64_MAX), 0);
}

Test(iommu_domain, M3_threat_78_permissions_three_by_three)
{
    uint32_t permissions;
    uint32_t access;

    for (permissions = READ; permissions <= BOTH; permissions++) {
        unsigned char table[VIRTQ_TREE_SIZE(1)];
        struct virtq_domain domain;
        struct virtq_window window;

        cr_assert_eq(virtq_domain_init(&domain, 1, table, sizeof(table)), 0);
        cr_assert_eq(virtq_domain_map(&domain, 0, 9, memory, permissions), 0);
        for (access = READ; access <= BOTH; access++) {
            cr_assert_eq(virtq_domain_lookup(&domain, 5, access, &window),
                         (permissions & access) == access ? 0 : VIRTQ_EPERM);
        }
        cr_assert_eq(virtq_domain_lookup(&domain, 5, 0, &window), VIRTQ_EINVAL);
        cr_assert_eq(virtq_domain_lookup(&domain, 5, 4, &window), VIRTQ_EINVAL);
    }
}

Test(iommu_domain, threat_79_neighbours_with_enough_permission_are_one_window)
{
    unsigned char table[VIRTQ_TREE_SIZE(5)];
    struct virtq_domain domain;
    struct virtq_window window;

    cr_assert_eq(virtq_domain_init(&domain, 5, table, sizeof(table)), 0);
    cr_assert_eq(virtq_domain_map(&domain, 100, 199, memory, READ), 0);
    cr_assert_eq(virtq_domain_map(&domain, 200, 299, memory + 100, BOTH), 0);
    cr_assert_eq(virtq_domain_map(&domain, 300, 399, memory + 200, WRITE), 0);
    cr_assert_eq(virtq_domain_map(&domain, 400, 499, memory + 200, WRITE), 0);
    cr_assert_eq(virtq_domain_lookup(&domain, 250, READ, &window), 0);
    cr_assert_eq(window.first, 100u);
    cr_assert_eq(window.last, 299u);
    cr_assert_eq(window.base, memory);
    cr_assert_eq(window.permissions, (uint32_t)READ, "only what all of it grants");
    cr_assert_eq(virtq_domain_lookup(&domain, 250, WRITE, &window), 0);
    cr_assert_eq(window.first, 200u);
    cr_assert_eq(window.last, 399u);
    cr_assert_eq(virtq_domain_lookup(&domain, 250, BOTH, &window), 0);
    cr_assert_eq(window.first, 200u);
    cr_assert_eq(window.last, 299u);
}

Test(iommu_domain, threat_75_a_list_is_mapped_or_unmapped_as_a_whole)
{
    unsigned char table[VIRTQ_TREE_SIZE(3)];
    struct virtq_region list[3] = {
        {0, 9, memory, BOTH}, {20, 29, memory, BOTH}, {40, 49, memory, BOTH}};
    struct ear ear = {{NULL, hears, NULL}, 0, 0, 0};
    struct virtq_iommu_backend backend;
    struct virtq_domain domain;

    cr_assert_eq(virtq_domain_init(&domain, 3, table, sizeof(table)), 0);
    virtq_domain_listen(&domain, &ear.listener);
    virtq_domain_backend(&domain, &backend);
    /* Fails at each place in turn: overlap with what is there. */
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(virtq_domain_map(&domain, list[i].first + 5, list[i].first + 5, memory, READ),
                     0);
        cr_assert_eq(backend.map(backend.context, list, 3), VIRTQ_EINVAL);
        cr_assert_eq(virtq_domain_count(&domain), 1u);
        cr_assert_eq(virtq_domain_unmap(&domain, list[i].first + 5, list[i].first + 5), 0);
    }
    cr_assert_eq(virtq_domain_map(&domain, 100, 100, memory, READ), 0);
    cr_assert_eq(backend.map(backend.context, list, 3), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_domain_count(&domain), 1u);
    cr_assert_eq(virtq_domain_unmap(&domain, 0, UINT64_MAX), 0);
    cr_assert_eq(backend.map(backend.context, list, 3), 0);
    ear.times = 0;
    list[2].last = 45;
    cr_assert_eq(backend.unmap(backend.context, list, 3), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_count(&domain), 3u);
    list[2].last = 49;
    cr_assert_eq(backend.unmap(backend.context, list, 3), 0);
    cr_assert_eq(virtq_domain_count(&domain), 0u);
    cr_assert_eq(ear.times, 0u, "the flush is a step of its own");
    cr_assert_eq(backend.flush(backend.context, list, 3), 0);
    cr_assert_eq(ear.times, 3u);
    cr_assert_eq(ear.last, 49u);
}

Test(iommu_domain, listeners_come_and_go)
{
    unsigned char table[VIRTQ_TREE_SIZE(1)];
    struct ear one = {{NULL, hears, NULL}, 0, 0, 0};
    struct ear two = {{NULL, hears, NULL}, 0, 0, 0};
    struct virtq_domain domain;

    cr_assert_eq(virtq_domain_init(&domain, 1, table, sizeof(table)), 0);
    virtq_domain_listen(&domain, &one.listener);
    virtq_domain_listen(&domain, &two.listener);
    cr_assert_eq(virtq_domain_unmap(&domain, 3, 4), 0);
    virtq_domain_unlisten(&domain, &one.listener);
    virtq_domain_unlisten(&domain, &one.listener);
    cr_assert_eq(virtq_domain_unmap(&domain, 5, 6), 0);
    cr_assert_eq(one.times, 1u);
    cr_assert_eq(one.last, 4u);
    cr_assert_eq(two.times, 2u);
    cr_assert_eq(two.first, 5u);
}

/* Random maps, unmaps and lookups against one entry an address. */
enum { SPAN = 128, ORACLE_CAPACITY = 20 };

struct oracle {
    int owner[SPAN + 1]; /* Number of the mapping an address belongs to; 0: none. */
    uintptr_t where[SPAN + 1];
    uint32_t may[SPAN + 1];
    int number;
};

static void map_both(struct virtq_domain *domain, struct oracle *oracle, uint64_t *seed,
                     unsigned first, unsigned last)
{
    unsigned char *base = memory + first + random_below(seed, 2) * 1000;
    uint32_t permissions = 1 + (uint32_t)random_below(seed, 3);
    unsigned before = virtq_domain_count(domain);
    int error = virtq_domain_map(domain, first, last, base, permissions);
    int overlap = 0;
    unsigned i;

    for (i = first; i <= last; i++) {
        overlap = overlap || oracle->owner[i] != 0;
    }
    if (overlap || before == ORACLE_CAPACITY) {
        cr_assert_eq(error, overlap ? VIRTQ_EINVAL : VIRTQ_ENOMEM);
        cr_assert_eq(virtq_domain_count(domain), before);
        return;
    }
    cr_assert_eq(error, 0);
    oracle->number++;
    for (i = first; i <= last; i++) {
        oracle->owner[i] = oracle->number;
        oracle->where[i] = (uintptr_t)base + (i - first);
        oracle->may[i] = permissions;
    }
}

static void unmap_both(struct virtq_domain *domain, struct oracle *oracle, unsigned first,
                       unsigned last)
{
    const int *owner = oracle->owner;
    int split = (first > 0 && owner[first] != 0 && owner[first - 1] == owner[first]) ||
                (owner[last] != 0 && owner[last + 1] == owner[last]);
    unsigned i;

    cr_assert_eq(virtq_domain_unmap(domain, first, last), split ? VIRTQ_EINVAL : 0);
    for (i = first; i <= last && !split; i++) {
        oracle->owner[i] = 0;
        oracle->may[i] = 0;
    }
}

static void lookup_both(struct virtq_domain *domain, const struct oracle *oracle, unsigned at,
                        uint32_t access)
{
    const uintptr_t *where = oracle->where;
    const uint32_t *may = oracle->may;
    struct virtq_window window;
    unsigned low = at;
    unsigned high = at;
    int error = virtq_domain_lookup(domain, at, access, &window);

    if ((may[at] & access) != access) {
        cr_assert_eq(error, oracle->owner[at] == 0 ? VIRTQ_EFAULT : VIRTQ_EPERM);
        return;
    }
    while (low > 0 && (may[low - 1] & access) == access && where[low - 1] + 1 == where[low]) {
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

Test(iommu_domain, threat_80_agrees_with_a_slow_oracle)
{
    static struct oracle oracle;
    unsigned char table[VIRTQ_TREE_SIZE(ORACLE_CAPACITY)];
    struct virtq_domain domain;
    uint64_t seed = 80;
    int round;

    cr_assert_eq(virtq_domain_init(&domain, ORACLE_CAPACITY, table, sizeof(table)), 0);
    for (round = 0; round < 50000; round++) {
        unsigned first = (unsigned)random_below(&seed, SPAN);
        unsigned last = first + (unsigned)random_below(&seed, 12);

        last = last < SPAN ? last : SPAN - 1;
        if (random_below(&seed, 2) != 0) {
            map_both(&domain, &oracle, &seed, first, last);
        } else {
            unmap_both(&domain, &oracle, first, last);
        }
        lookup_both(&domain, &oracle, (unsigned)random_below(&seed, SPAN),
                    1 + (uint32_t)random_below(&seed, 3));
    }
}
