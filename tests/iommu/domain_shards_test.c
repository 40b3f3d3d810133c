/* SPDX-License-Identifier: BSD-3-Clause */
/* A domain with shards: mappings on both sides of a cut, and across it. L5, L6, M5. */
#include "support/random.h"
#include "support/runner.h"
#include "virtq/iommu/domain.h"

enum {
    READ = VIRTQ_PERMISSION_READ,
    WRITE = VIRTQ_PERMISSION_WRITE,
    BOTH = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE,
    SHARDS = 4,
    CAPACITY = 20
};

static unsigned char memory[65536];

/* Shards of 0x1000 bytes each from 0x10000 on; what is below and above is part of the outer ones.
 */
static void open_domain(struct virtq_domain *domain)
{
    static unsigned char room[VIRTQ_DOMAIN_SHARDS_SIZE(SHARDS, CAPACITY)];
    struct virtq_domain_config config = VIRTQ_DOMAIN_CONFIG_INIT;

    config.first = 0x10000;
    config.last = 0x13fff;
    config.shards = SHARDS;
    config.capacity = CAPACITY;
    config.memory = room;
    config.memory_size = sizeof(room);
    cr_assert_eq(virtq_domain_shards_size(SHARDS, CAPACITY), sizeof(room));
    cr_assert_eq(virtq_domain_init_shards(domain, &config), 0);
    cr_assert_eq(domain->parts.count, (uint32_t)SHARDS);
}

static struct virtq_domain_shard *shard(const struct virtq_domain *domain, unsigned at)
{
    return (struct virtq_domain_shard *)(void *)(domain->shards + at * VIRTQ_DOMAIN_STRIDE);
}

Test(iommu_domain_shards, what_cannot_be_made_is_refused)
{
    static unsigned char room[VIRTQ_DOMAIN_SHARDS_SIZE(2, 4)];
    struct virtq_domain_config good = VIRTQ_DOMAIN_CONFIG_INIT;
    struct virtq_domain_config config;
    struct virtq_domain domain;

    good.shards = 2;
    good.capacity = 4;
    good.memory = room;
    good.memory_size = sizeof(room);
    config = good;
    cr_assert_eq(virtq_domain_init_shards(&domain, &config), 0);
    config.struct_size--;
    cr_assert_eq(virtq_domain_init_shards(&domain, &config), VIRTQ_EINVAL);
    config = good;
    config.first = 1;
    config.last = 0;
    cr_assert_eq(virtq_domain_init_shards(&domain, &config), VIRTQ_EINVAL);
    config = good;
    config.shards = 0;
    cr_assert_eq(virtq_domain_init_shards(&domain, &config), VIRTQ_EINVAL);
    config.shards = VIRTQ_IOMMU_PARTS_MAX + 1;
    cr_assert_eq(virtq_domain_init_shards(&domain, &config), VIRTQ_EINVAL);
    config = good;
    config.capacity = 0;
    cr_assert_eq(virtq_domain_init_shards(&domain, &config), VIRTQ_EINVAL);
    config = good;
    config.memory = NULL;
    cr_assert_eq(virtq_domain_init_shards(&domain, &config), VIRTQ_EINVAL);
    config = good;
    config.memory_size--;
    cr_assert_eq(virtq_domain_init_shards(&domain, &config), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_shards_size(0, 4), SIZE_MAX);
    cr_assert_eq(virtq_domain_shards_size(65, 4), SIZE_MAX);
}

Test(iommu_domain_shards, every_number_of_shards_cuts_every_range)
{
    static unsigned char room[VIRTQ_DOMAIN_SHARDS_SIZE(64, 1)];
    static const virtq_addr_t ranges[][2] = {{0, UINT64_MAX},
                                             {5, 5},
                                             {0, 62},
                                             {0x10000, 0x1ffff},
                                             {UINT64_MAX - 100, UINT64_MAX},
                                             {UINT64_C(1) << 63, UINT64_MAX}};
    unsigned i;

    if (UINTPTR_MAX != UINT64_MAX) {
        return; /* No memory is as long as the longest of these. */
    }
    for (i = 0; i < 64 * sizeof(ranges) / sizeof(*ranges); i++) {
        struct virtq_domain_config config = VIRTQ_DOMAIN_CONFIG_INIT;
        struct virtq_domain domain;
        struct virtq_window window;

        config.first = ranges[i / 64][0];
        config.last = ranges[i / 64][1];
        config.shards = 1 + i % 64;
        config.capacity = 1;
        config.memory = room;
        config.memory_size = sizeof(room);
        cr_assert_eq(virtq_domain_init_shards(&domain, &config), 0);
        cr_assert_leq(domain.parts.count, config.shards);
        cr_assert_eq(virtq_domain_map(&domain, config.first, config.last, NULL, READ), 0);
        cr_assert_eq(virtq_domain_lookup(&domain, config.last, READ, &window), 0);
        cr_assert_eq(window.first, config.first);
        cr_assert_eq(window.last, config.last);
        cr_assert_null(window.base);
        cr_assert_eq(virtq_domain_unmap(&domain, 0, UINT64_MAX), 0);
        cr_assert_eq(virtq_domain_count(&domain), 0u);
    }
}

Test(iommu_domain_shards, threat_71_unmap_never_splits_at_a_cut)
{
    struct virtq_domain domain;
    struct virtq_window window;

    open_domain(&domain);
    cr_assert_eq(virtq_domain_map(&domain, 0x10f00, 0x130ff, memory, BOTH), 0);
    cr_assert_eq(virtq_domain_count(&domain), 4u, "a piece in each shard");
    cr_assert_eq(virtq_domain_unmap(&domain, 0x10f00, 0x10fff), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_unmap(&domain, 0x11000, 0x11fff), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_unmap(&domain, 0x11000, 0x130ff), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_unmap(&domain, 0, 0x12fff), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_unmap(&domain, 0x13000, UINT64_MAX), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_lookup(&domain, 0x11234, WRITE, &window), 0);
    cr_assert_eq(window.first, 0x10f00u);
    cr_assert_eq(window.last, 0x130ffu);
    cr_assert_eq(window.base, memory);
    cr_assert_eq(virtq_domain_unmap(&domain, 0x10f00, 0x130ff), 0);
    cr_assert_eq(virtq_domain_count(&domain), 0u);
    /* Two that meet there are two. */
    cr_assert_eq(virtq_domain_map(&domain, 0x10f00, 0x10fff, memory, BOTH), 0);
    cr_assert_eq(virtq_domain_map(&domain, 0x11000, 0x11fff, memory + 0x100, READ), 0);
    cr_assert_eq(virtq_domain_lookup(&domain, 0x10fff, READ, &window), 0);
    cr_assert_eq(window.first, 0x10f00u);
    cr_assert_eq(window.last, 0x11fffu);
    cr_assert_eq(window.permissions, (uint32_t)READ, "only what all of it grants");
    cr_assert_eq(virtq_domain_lookup(&domain, 0x10fff, WRITE, &window), 0);
    cr_assert_eq(window.last, 0x10fffu);
    cr_assert_eq(virtq_domain_unmap(&domain, 0x11000, 0x11fff), 0);
    cr_assert_eq(virtq_domain_unmap(&domain, 0x10f00, 0x10fff), 0);
}

Test(iommu_domain_shards, threat_75_a_list_over_shards_is_mapped_or_unmapped_as_a_whole)
{
    struct virtq_region list[3] = {{0x10100, 0x101ff, memory, BOTH},
                                   {0x11f00, 0x120ff, memory, BOTH},
                                   {0x13100, 0x131ff, memory, BOTH}};
    struct virtq_iommu_backend backend;
    struct virtq_domain domain;
    unsigned i;

    open_domain(&domain);
    virtq_domain_backend(&domain, &backend);
    for (i = 0; i < 3; i++) {
        cr_assert_eq(virtq_domain_map(&domain, list[i].last, list[i].last, memory, READ), 0);
        cr_assert_eq(backend.map(backend.context, list, 3), VIRTQ_EINVAL);
        cr_assert_eq(virtq_domain_count(&domain), 1u);
        cr_assert_eq(virtq_domain_unmap(&domain, list[i].last, list[i].last), 0);
    }
    /* One shard is full: nothing is left in the others. */
    for (i = 0; i < CAPACITY; i++) {
        cr_assert_eq(virtq_domain_map(&domain, 0x12200 + i, 0x12200 + i, memory, READ), 0);
    }
    cr_assert_eq(backend.map(backend.context, list, 3), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_domain_map(&domain, 0, UINT64_MAX / 2, NULL, READ), VIRTQ_EINVAL);
    cr_assert_eq(virtq_domain_count(&domain), (unsigned)CAPACITY);
    cr_assert_eq(virtq_domain_unmap(&domain, 0x12200, 0x12fff), 0);
    cr_assert_eq(virtq_domain_map(&domain, 0x11000, 0x11eff, memory, READ), 0);
    cr_assert_eq(backend.map(backend.context, list, 3), 0);
    list[2].last--;
    cr_assert_eq(backend.unmap(backend.context, list, 3), VIRTQ_EINVAL);
    list[2].last++;
    list[1].last = 0x11fff;
    cr_assert_eq(backend.unmap(backend.context, list, 3), VIRTQ_EINVAL, "half of what crosses");
    list[1].last = 0x120ff;
    cr_assert_eq(virtq_domain_count(&domain), 5u);
    cr_assert_eq(backend.unmap(backend.context, list, 3), 0);
    cr_assert_eq(virtq_domain_count(&domain), 1u);
}

/* A shard is locked for good: whoever wants it never comes back, and the test runs into its limit
 * of time. */
Test(iommu_domain_shards, L5_who_maps_in_one_shard_wants_nothing_of_another)
{
    struct virtq_domain domain;
    struct virtq_window window;
    unsigned at;

    open_domain(&domain);
    for (at = 0; at < SHARDS; at++) {
        const virtq_addr_t first = 0x10000 + at * 0x1000u + 0x100;
        unsigned other;

        for (other = 0; other < SHARDS; other++) {
            shard(&domain, other)->lock = other != at;
        }
        cr_assert_eq(virtq_domain_map(&domain, first, first + 9, memory, READ), 0);
        cr_assert_eq(virtq_domain_lookup(&domain, first + 9, READ, &window), 0);
        cr_assert_eq(virtq_domain_unmap(&domain, first, first + 9), 0);
    }
    cr_assert_geq((uintptr_t)shard(&domain, 1) - (uintptr_t)shard(&domain, 0),
                  (uintptr_t)VIRTQ_CACHE_LINE);
    cr_assert_eq((uintptr_t)shard(&domain, 0) % VIRTQ_CACHE_LINE, 0u);
}

/* What is outside of the range that is cut can be mapped too. */
Test(iommu_domain_shards, L6_addresses_below_and_above_the_range)
{
    struct virtq_domain domain;
    struct virtq_window window;

    open_domain(&domain);
    cr_assert_eq(virtq_domain_map(&domain, 0, 99, memory, BOTH), 0);
    cr_assert_eq(virtq_domain_map(&domain, UINT64_MAX - 99, UINT64_MAX, memory, BOTH), 0);
    cr_assert_eq(virtq_domain_lookup(&domain, 0, READ, &window), 0);
    cr_assert_eq(window.last, 99u);
    cr_assert_eq(virtq_domain_lookup(&domain, UINT64_MAX, READ, &window), 0);
    cr_assert_eq(window.first, UINT64_MAX - 99);
    cr_assert_eq(virtq_domain_unmap(&domain, 0, UINT64_MAX - 100), 0);
    cr_assert_eq(virtq_domain_count(&domain), 1u);
    cr_assert_eq(virtq_domain_unmap(&domain, 0x13000, UINT64_MAX), 0);
    cr_assert_eq(virtq_domain_count(&domain), 0u);
}
