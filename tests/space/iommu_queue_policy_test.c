/* SPDX-License-Identifier: BSD-3-Clause */
/* The iommu space of one queue: persistent, identity, distrust and page sizes. M8; threats 60, 61,
 * 70. */
#include <stdio.h>

#include "iommu_queue_fixture.h"
#include "support/random.h"
#include "virtq/iommu/pages.h"
#include "virtq/space/swiotlb.h"

static struct house house;

static struct virtq_space *space_of(unsigned which)
{
    return &house.queues[which].space;
}

Test(space_iommu_queue_policy, persistent_buffers_cost_no_call_of_the_backend)
{
    struct spaces_buffer buffer;
    virtq_addr_t arena;
    virtq_addr_t ring;
    virtq_addr_t other;

    house_open(&house, 0, 0xfffff, VIRTQ_IOMMU_PERSISTENT, 0);
    cr_assert_eq(virtq_space_share(space_of(0), data + 64, 4 * PAGE, SPACES_BOTH, &arena), 0);
    cr_assert_eq(virtq_space_share(space_of(0), data + 8 * PAGE, PAGE, SPACES_READ, &other), 0);
    cr_assert_eq(virtq_space_share(space_of(0), data + PAGE, 100, SPACES_WRITE, &ring), 0);
    cr_assert_eq(ring, arena + PAGE - 64, "a part of the arena");
    cr_assert_eq(house.ledger.calls[0], 2u);
    for (unsigned round = 0; round < 100; round++) {
        spaces_segment(&buffer, 0, data + 8 * PAGE + 17, 1000);
        spaces_segment(&buffer, 1, data + 64 + round, 4 * PAGE - round);
        cr_assert_eq(spaces_map(space_of(0), &buffer, 1, 1, 2), 0);
        cr_assert_eq(buffer.runs[0].addr, other + 17);
        cr_assert_eq(buffer.runs[1].addr, arena + round);
        cr_assert_eq(buffer.runs[1].len, 4 * PAGE - round);
        spaces_unmap(space_of(0), &buffer, 0);
    }
    cr_assert(house.ledger.calls[0] == 2 && house.ledger.calls[1] == 0);
    /* Outside, across the end, not granted, nothing. */
    spaces_segment(&buffer, 0, data + 63, 2);
    cr_assert_eq(spaces_map(space_of(0), &buffer, 1, 0, 1), VIRTQ_EFAULT);
    spaces_segment(&buffer, 0, data + 64, 4 * PAGE + 1);
    cr_assert_eq(spaces_map(space_of(0), &buffer, 1, 0, 1), VIRTQ_EFAULT);
    spaces_segment(&buffer, 0, data + 8 * PAGE, 1);
    cr_assert_eq(spaces_map(space_of(0), &buffer, 0, 1, 1), VIRTQ_EFAULT);
    spaces_segment(&buffer, 0, data + 8 * PAGE, 0);
    cr_assert_eq(spaces_map(space_of(0), &buffer, 1, 0, 1), VIRTQ_EINVAL);
    /* Half in a region, or in it and more than it grants. */
    cr_assert_eq(virtq_space_share(space_of(0), data, 100, SPACES_READ, &ring), VIRTQ_EINVAL);
    cr_assert_eq(virtq_space_share(space_of(0), data + 8 * PAGE, 1, SPACES_WRITE, &ring),
                 VIRTQ_EINVAL);
    /* A region lives as long as anything in it. */
    virtq_space_unshare(space_of(0), arena, 4 * PAGE);
    cr_assert_eq(house.ledger.count, 2u);
    virtq_space_unshare(space_of(0), arena + PAGE - 64, 100);
    cr_assert_eq(house.ledger.count, 1u);
    spaces_segment(&buffer, 0, data + 64, 1);
    cr_assert_eq(spaces_map(space_of(0), &buffer, 1, 0, 1), VIRTQ_EFAULT);
    virtq_space_unshare(space_of(0), other, PAGE);
    house_close(&house);
}

Test(space_iommu_queue_policy, identity_is_arithmetic_within_its_range)
{
    struct virtq_iommu_queue_config config = VIRTQ_IOMMU_QUEUE_CONFIG_INIT;
    struct virtq_iommu_queue queue;
    struct spaces_buffer buffer;
    virtq_addr_t addr;

    config.policy = VIRTQ_IOMMU_IDENTITY;
    cr_assert_eq(virtq_iommu_queue_init(&queue, &config), VIRTQ_EINVAL);
    config.identity.first = (uintptr_t)data;
    config.identity.last = config.identity.first + (sizeof(data) - 1);
    config.identity.base = data;
    config.identity.permissions = SPACES_READ;
    cr_assert_eq(virtq_iommu_queue_init(&queue, &config), 0);
    cr_assert_eq(queue.space.driver_kind, VIRTQ_SPACE_BAR, "checked by the driver end itself");
    spaces_segment(&buffer, 0, data + 5, sizeof(data) - 5);
    cr_assert_eq(spaces_map(&queue.space, &buffer, 1, 0, 1), 0);
    cr_assert_eq(buffer.runs[0].addr, (uintptr_t)data + 5);
    spaces_unmap(&queue.space, &buffer, 0);
    cr_assert_eq(spaces_map(&queue.space, &buffer, 0, 1, 1), VIRTQ_EFAULT);
    spaces_segment(&buffer, 0, data + 5, sizeof(data) - 4);
    cr_assert_eq(spaces_map(&queue.space, &buffer, 1, 0, 1), VIRTQ_EFAULT);
    spaces_segment(&buffer, 0, &buffer, 1);
    cr_assert_eq(spaces_map(&queue.space, &buffer, 1, 0, 1), VIRTQ_EFAULT);
    cr_assert_eq(virtq_space_share(&queue.space, data, sizeof(data), SPACES_READ, &addr), 0);
    cr_assert_eq(addr, (uintptr_t)data);
    virtq_space_unshare(&queue.space, addr, sizeof(data));
    virtq_iommu_queue_destroy(&queue);
}

/* A pool that the device reaches, and no other memory. */
enum { POOL = 32 * PAGE };
static unsigned char pool[POOL] __attribute__((aligned(4096)));
static uint64_t pool_private[2048];
static struct virtq_swiotlb swiotlb;
static virtq_addr_t pool_addr;

static void open_pool(uint32_t policy)
{
    struct virtq_swiotlb_config config = VIRTQ_SWIOTLB_CONFIG_INIT;

    house_open(&house, 0, 0xffffff, policy, 0);
    cr_assert_eq(virtq_space_share(space_of(0), pool, POOL, SPACES_BOTH, &pool_addr), 0);
    config.pool = pool;
    config.pool_size = POOL;
    config.addr = pool_addr;
    config.memory_size = virtq_swiotlb_private_size(POOL, config.granule);
    cr_assert_leq(config.memory_size, sizeof(pool_private));
    config.memory = pool_private;
    cr_assert_eq(virtq_swiotlb_init(&swiotlb, &config), 0);
    cr_assert_eq(virtq_iommu_queue_distrust(&house.queues[0], NULL), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iommu_queue_distrust(&house.queues[0], &swiotlb.space), 0);
}

/* This program's address of a device address, as the device may use it; NULL: it faults. */
static unsigned char *reach(virtq_addr_t addr, uint32_t permission)
{
    for (unsigned k = 0; k < house.ledger.count; k++) {
        const struct virtq_region *range = &house.ledger.ranges[k];

        if (range->first <= addr && addr <= range->last && (range->permissions & permission) != 0) {
            return (unsigned char *)range->base + (addr - range->first);
        }
    }
    return NULL;
}

Test(space_iommu_queue_policy, m8_threat_61_the_device_reaches_no_neighbours_byte)
{
    struct spaces_buffer buffer;

    open_pool(VIRTQ_IOMMU_STRICT);
    memset(data, 0x5a, sizeof(data));
    memset(data + 2 * PAGE + 100, 0x21, 300);
    spaces_segment(&buffer, 0, data + 2 * PAGE + 100, 300);
    cr_assert_eq(spaces_map(space_of(0), &buffer, 1, 0, 1), 0);
    cr_assert(memcmp(reach(buffer.runs[0].addr, SPACES_READ), data + 2 * PAGE + 100, 300) == 0);
    /* All that the device reaches is the pool, and there is nothing in it but these bytes. */
    cr_assert_eq(house.ledger.count, 1u);
    for (uint64_t i = 0; i < POOL; i++) {
        uint64_t in = pool_addr + i - buffer.runs[0].addr;

        cr_assert_eq(*reach(pool_addr + i, SPACES_READ), in < 300 ? 0x21 : 0);
    }
    spaces_unmap(space_of(0), &buffer, 0);
    for (uint64_t i = 0; i < POOL; i++) {
        cr_assert_eq(pool[i], 0);
    }
    virtq_space_unshare(space_of(0), pool_addr, POOL);
    house_close(&house);
}

/* A random buffer of whole and broken pages: what the device reaches, and what comes back. */
static void fill(struct spaces_buffer *buffer, unsigned count, uint64_t *seed)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned char *base = data + 2 * i * PAGE; /* Segments share no page. */
        uint64_t len = PAGE;

        if (random_below(seed, 2) != 0) {
            base += random_below(seed, 4) != 0 ? random_below(seed, PAGE) : 0;
            len = 1 + random_below(seed, 2 * PAGE - (uint64_t)(base - data) % PAGE);
        }
        spaces_segment(buffer, i, base, len);
    }
}

static uint64_t device_writes(const struct spaces_buffer *buffer, uint64_t written)
{
    const struct virtq_mapping *mapping = &buffer->mapping;
    uint64_t done = 0;

    for (unsigned r = 0; r < mapping->runs_writable; r++) {
        const struct virtq_run *run = &buffer->runs[mapping->runs_readable + r];

        for (uint64_t i = 0; i < run->len && done < written; i++, done++) {
            *reach(run->addr + i, SPACES_WRITE) = (unsigned char)(0x80 | done % 127);
        }
    }
    return done;
}

/* The device may write what it likes into the pool; only what it reports may come back. */
static void device_scribbles(const struct spaces_buffer *buffer)
{
    for (unsigned r = 0; r < buffer->mapping.runs_writable; r++) {
        const struct virtq_run *run = &buffer->runs[buffer->mapping.runs_readable + r];

        if (run->addr >= pool_addr && run->addr < pool_addr + POOL) {
            memset(reach(run->addr, SPACES_WRITE), 0xff, run->len);
        }
    }
}

static void check_read(const struct spaces_buffer *buffer, unsigned readable)
{
    unsigned r = 0;
    uint64_t at = 0;

    for (unsigned s = 0; s < readable; s++) {
        const unsigned char *base = buffer->segments[s].base;

        for (uint64_t i = 0; i < buffer->segments[s].len; i++, at++) {
            if (at == buffer->runs[r].len) {
                r++;
                at = 0;
            }
            cr_assert_eq(*reach(buffer->runs[r].addr + at, SPACES_READ), base[i]);
        }
    }
    cr_assert(readable == 0 ||
              (r + 1 == buffer->mapping.runs_readable && at == buffer->runs[r].len));
}

static void distrusted(uint32_t policy, uint64_t seed)
{
    static unsigned char before[sizeof(data)];

    printf("seed %llu\n", (unsigned long long)seed);
    open_pool(policy);
    for (unsigned round = 0; round < 300; round++) {
        struct spaces_buffer buffer;
        unsigned count = 1 + (unsigned)random_below(&seed, 7);
        unsigned readable = (unsigned)random_below(&seed, count + 1);
        uint64_t written;
        uint64_t done = 0;

        for (unsigned i = 0; i < sizeof(data); i++) {
            data[i] = (unsigned char)(random_next(&seed) & 0x7f);
        }
        memcpy(before, data, sizeof(data));
        fill(&buffer, count, &seed);
        cr_assert_eq(spaces_map(space_of(0), &buffer, readable, count - readable, count), 0);
        for (unsigned k = 0; k < house.ledger.count && policy == VIRTQ_IOMMU_STRICT; k++) {
            const struct virtq_region *range = &house.ledger.ranges[k];
            int whole = range->base == (void *)pool;

            for (unsigned i = 0; i < count; i++) {
                whole |= range->base == buffer.segments[i].base &&
                         range->last - range->first + 1 == buffer.segments[i].len;
            }
            cr_assert(whole, "exactly a segment, or the pool");
        }
        check_read(&buffer, readable);
        device_scribbles(&buffer);
        written = device_writes(&buffer, random_below(&seed, 4 * PAGE));
        spaces_unmap(space_of(0), &buffer, written);
        for (unsigned i = readable; i < count; i++) {
            unsigned char *base = buffer.segments[i].base;

            for (uint64_t k = 0; k < buffer.segments[i].len && done < written; k++, done++) {
                cr_assert_eq(base[k], 0x80 | done % 127);
                before[base + k - data] = base[k];
            }
        }
        cr_assert(memcmp(before, data, sizeof(data)) == 0, "no other byte has changed");
    }
    virtq_space_unshare(space_of(0), pool_addr, POOL);
    house_close(&house);
}

Test(space_iommu_queue_policy, m8_threat_60_whole_and_broken_pages_in_one_buffer)
{
    distrusted(VIRTQ_IOMMU_STRICT, 60);
    distrusted(VIRTQ_IOMMU_LAZY, 61);
}

Test(space_iommu_queue_policy, threat_75_a_full_pool_leaves_nothing_behind)
{
    struct spaces_buffer buffer;
    struct virtq_swiotlb_usage usage;
    void *most;

    open_pool(VIRTQ_IOMMU_STRICT);
    cr_assert_eq(virtq_swiotlb_alloc(&swiotlb, POOL - PAGE, 0, &most), 0);
    spaces_segment(&buffer, 0, data + 1, 100);
    spaces_segment(&buffer, 1, data + PAGE, PAGE);
    spaces_segment(&buffer, 2, data + 3 * PAGE + 1, 2 * PAGE);
    cr_assert_eq(spaces_map(space_of(0), &buffer, 3, 0, 2), VIRTQ_EFULL);
    cr_assert_eq(spaces_map(space_of(0), &buffer, 3, 0, 3), VIRTQ_ENOMEM);
    house.ledger.failing[0] = VIRTQ_ENOMEM;
    cr_assert_eq(spaces_map(space_of(0), &buffer, 2, 0, 2), VIRTQ_ENOMEM);
    virtq_swiotlb_read_usage(&swiotlb, &usage);
    cr_assert_eq(usage.used, POOL - PAGE);
    cr_assert_eq(house.ledger.count, 1u);
    virtq_iova_depot_drain(&house.depot);
    cr_assert_eq(house.iova.count, 1u, "the pool");
    virtq_space_unshare(space_of(0), pool_addr, POOL);
    house_close(&house);
}

/* How many pages the backend would need for all that is mapped. */
static uint64_t pages_mapped(uint64_t sizes)
{
    uint64_t number = 0;

    for (unsigned k = 0; k < house.ledger.count; k++) {
        struct virtq_region rest = house.ledger.ranges[k];
        struct virtq_iommu_pages pages;

        while (virtq_iommu_pages_next(sizes, &rest, &pages) == 1) {
            number += pages.count;
        }
        cr_assert(rest.first == 1 && rest.last == 0, "legal for the mask");
    }
    return number;
}

Test(space_iommu_queue_policy, large_memory_is_mapped_with_the_fewest_pages)
{
    static unsigned char large[256 * PAGE] __attribute__((aligned(256 * 4096)));
    const uint64_t sizes = PAGE | 16 * PAGE | 64 * PAGE;
    uint64_t seed = 21;

    printf("seed %llu\n", (unsigned long long)seed);
    house_open(&house, PAGE, (virtq_addr_t)1 << 30, VIRTQ_IOMMU_STRICT, sizes);
    for (unsigned round = 0; round < 500; round++) {
        unsigned at = (unsigned)random_below(&seed, 128 * PAGE);
        unsigned len = 1 + (unsigned)random_below(&seed, 128 * PAGE);
        struct virtq_region rest = {(uintptr_t)large + (at & ~(PAGE - 1u)),
                                    (uintptr_t)large + ((at + len - 1) | (PAGE - 1u)),
                                    large + (at & ~(PAGE - 1u)), 1};
        struct virtq_iommu_pages pages;
        struct spaces_buffer buffer;
        uint64_t fewest = 0;
        virtq_addr_t addr;

        while (virtq_iommu_pages_next(sizes, &rest, &pages) == 1) {
            fewest += pages.count;
        }
        spaces_segment(&buffer, 0, large + at, len);
        cr_assert_eq(spaces_map(space_of(0), &buffer, 1, 0, 1), 0);
        cr_assert_eq(pages_mapped(sizes), fewest, "as few as at its own address");
        spaces_unmap(space_of(0), &buffer, 0);
        cr_assert_eq(virtq_space_share(space_of(0), large + at, len, SPACES_READ, &addr), 0);
        cr_assert_eq(pages_mapped(sizes), fewest);
        virtq_space_unshare(space_of(0), addr, len);
        cr_assert_eq(house.ledger.count, 0u);
    }
    house_close(&house);
}

Test(space_iommu_queue_policy, without_room_to_align_small_pages_do)
{
    static unsigned char large[64 * PAGE] __attribute__((aligned(64 * 4096)));
    struct spaces_buffer buffer;
    virtq_addr_t addr;

    house_open(&house, PAGE, 65 * PAGE - 1, VIRTQ_IOMMU_STRICT, PAGE | 64 * PAGE);
    spaces_segment(&buffer, 0, large, 64 * PAGE);
    cr_assert_eq(spaces_map(space_of(0), &buffer, 1, 0, 1), 0);
    cr_assert_eq(pages_mapped(PAGE | 64 * PAGE), 64u);
    spaces_unmap(space_of(0), &buffer, 0);
    cr_assert_eq(virtq_space_share(space_of(0), large, 64 * PAGE, SPACES_READ, &addr), 0);
    virtq_space_unshare(space_of(0), addr, 64 * PAGE);
    house_close(&house);
}
