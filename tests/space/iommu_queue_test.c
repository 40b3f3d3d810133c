/* SPDX-License-Identifier: BSD-3-Clause */
/* The iommu space of one queue, strict and lazy. L4, L5, L6; M6; threats 67, 75. */
#include "iommu_queue_fixture.h"

#include <pthread.h>
#include <stdio.h>

#include "support/random.h"

static struct house house;

static struct virtq_iommu_queue_usage usage_of(const struct virtq_iommu_queue *queue)
{
    struct virtq_iommu_queue_usage usage;

    virtq_iommu_queue_read_usage(queue, &usage);
    return usage;
}

static void one_page(struct spaces_buffer *buffer, unsigned page)
{
    spaces_segment(buffer, 0, data + page * PAGE + 3, 1500);
    cr_assert_eq(spaces_map(&house.queues[0].space, buffer, 1, 0, 1), 0);
}

Test(space_iommu_queue, l4_strict_has_unmapped_and_flushed_when_the_buffer_is_back)
{
    struct spaces_buffer buffer;

    house_open(&house, 0, 0xfffff, VIRTQ_IOMMU_STRICT, 0);
    spaces_segment(&buffer, 0, data + 5, 2 * PAGE);
    spaces_segment(&buffer, 1, data + 4 * PAGE, 10);
    cr_assert_eq(spaces_map(&house.queues[0].space, &buffer, 1, 1, 1), VIRTQ_EFULL);
    cr_assert_eq(spaces_map(&house.queues[0].space, &buffer, 0, 0, 1), VIRTQ_EINVAL);
    cr_assert_eq(spaces_map(&house.queues[0].space, &buffer, 1, 1, 2), 0);
    cr_assert_eq(buffer.runs[0].addr % PAGE, 5u);
    cr_assert_eq(house.ledger.count, 2u);
    cr_assert(house.ledger.ranges[0].permissions == SPACES_READ &&
              house.ledger.ranges[1].permissions == SPACES_WRITE);
    cr_assert_eq(usage_of(&house.queues[0]).mapped, 1u);
    spaces_unmap(&house.queues[0].space, &buffer, 0);
    cr_assert_eq(house.ledger.count, 0u);
    cr_assert_eq(house.ledger.calls[2], 1u);
    cr_assert_eq(usage_of(&house.queues[0]).mapped, 0u);
    house_close(&house);
}

Test(space_iommu_queue, l4_lazy_flushes_one_list_when_it_is_full)
{
    struct spaces_buffer buffer;

    house_open(&house, 0, 0xfffff, VIRTQ_IOMMU_LAZY, 0);
    for (unsigned i = 0; i < ENTRIES; i++) {
        cr_assert_eq(house.ledger.calls[1], 0u);
        one_page(&buffer, 1);
        cr_assert_eq(house.ledger.count, i + 1, "the earlier ones are still reached");
        spaces_unmap(&house.queues[0].space, &buffer, 0);
    }
    cr_assert_eq(house.ledger.calls[1], 1u);
    cr_assert_eq(house.ledger.calls[2], 1u);
    cr_assert_eq(house.ledger.longest[1], ENTRIES);
    cr_assert_eq(house.ledger.count, 0u);
    cr_assert_eq(usage_of(&house.queues[0]).flushes, 1u);
    house_close(&house);
}

Test(space_iommu_queue, m6_lazy_flushes_when_the_callers_clock_says_so)
{
    struct spaces_buffer buffer;
    struct virtq_iommu_queue *queue = &house.queues[0];

    house_open(&house, 0, 0xfffff, VIRTQ_IOMMU_LAZY, 0);
    cr_assert_eq(virtq_iommu_queue_tick(queue, UINT64_MAX - 3), 0u);
    one_page(&buffer, 0);
    spaces_unmap(&queue->space, &buffer, 0);
    one_page(&buffer, 1);
    cr_assert_eq(virtq_iommu_queue_tick(queue, UINT64_MAX), 1u);
    cr_assert_eq(virtq_iommu_queue_tick(queue, 2), 1u, "the clock may wrap");
    spaces_unmap(&queue->space, &buffer, 0);
    cr_assert_eq(usage_of(queue).pending, 2u);
    cr_assert_eq(virtq_iommu_queue_tick(queue, 5), 2u);
    cr_assert_eq(house.ledger.calls[2], 0u);
    cr_assert_eq(virtq_iommu_queue_tick(queue, 6), 0u, "the oldest is ten old");
    cr_assert_eq(house.ledger.calls[2], 1u);
    cr_assert_eq(house.ledger.count, 0u);
    virtq_iommu_queue_flush(queue);
    cr_assert_eq(house.ledger.calls[2], 1u, "nothing waits");
    house_close(&house);
}

Test(space_iommu_queue, a_buffer_longer_than_the_list_is_withdrawn_at_once)
{
    static struct spaces_buffer buffer;

    house_open(&house, 0, 0xfffff, VIRTQ_IOMMU_LAZY, 0);
    house.queues[0].entries = 3;
    for (unsigned i = 0; i < 4; i++) {
        spaces_segment(&buffer, i, data + i * PAGE, 1);
    }
    cr_assert_eq(spaces_map(&house.queues[0].space, &buffer, 4, 0, 4), 0);
    spaces_unmap(&house.queues[0].space, &buffer, 0);
    cr_assert_eq(house.ledger.count, 0u);
    /* Two wait; two more do not fit beside them. */
    cr_assert_eq(spaces_map(&house.queues[0].space, &buffer, 2, 0, 2), 0);
    spaces_unmap(&house.queues[0].space, &buffer, 0);
    cr_assert_eq(spaces_map(&house.queues[0].space, &buffer, 1, 1, 2), 0);
    spaces_unmap(&house.queues[0].space, &buffer, 0);
    cr_assert_eq(house.ledger.count, 2u);
    house_close(&house);
}

Test(space_iommu_queue, threat_67_what_waits_is_flushed_before_there_is_a_shortage)
{
    struct spaces_buffer buffer;
    struct spaces_buffer other;

    house_open(&house, 0, 2 * PAGE - 1, VIRTQ_IOMMU_LAZY, 0);
    for (unsigned i = 0; i < 50; i++) {
        one_page(&buffer, 0);
        spaces_unmap(&house.queues[0].space, &buffer, 0);
    }
    one_page(&buffer, 0);
    one_page(&other, 1);
    spaces_segment(&buffer, 1, data, 1);
    cr_assert_eq(spaces_map(&house.queues[1].space, &buffer, 1, 0, 1), VIRTQ_ENOMEM);
    spaces_segment(&other, 0, data, 2 * PAGE + 1);
    cr_assert_eq(usage_of(&house.queues[1]).shortages, 1u);
    /* The backend's room is a reserve too. */
    house_open(&house, 0, 0xfffff, VIRTQ_IOMMU_LAZY, 0);
    one_page(&buffer, 0);
    spaces_unmap(&house.queues[0].space, &buffer, 0);
    house.ledger.failing[0] = VIRTQ_ENOMEM;
    one_page(&buffer, 0);
    cr_assert_eq(house.ledger.calls[2], 1u);
    house.ledger.failing[0] = VIRTQ_ENOMEM;
    cr_assert_eq(spaces_map(&house.queues[0].space, &other, 1, 0, 1), VIRTQ_ENOMEM);
    spaces_unmap(&house.queues[0].space, &buffer, 0);
    house_close(&house);
}

Test(space_iommu_queue, l4_what_could_not_be_flushed_is_never_used_again)
{
    for (unsigned which = 1; which < 3; which++) {
        for (uint32_t policy = VIRTQ_IOMMU_STRICT; policy <= VIRTQ_IOMMU_LAZY; policy++) {
            struct spaces_buffer buffer;

            house_open(&house, 0, 0xfffff, policy, 0);
            one_page(&buffer, 0);
            house.ledger.failing[which] = VIRTQ_ENOMEM;
            spaces_unmap(&house.queues[0].space, &buffer, 0);
            virtq_iommu_queue_flush(&house.queues[0]);
            cr_assert_eq(usage_of(&house.queues[0]).leaked, 1u);
            virtq_iova_depot_drain(&house.depot);
            cr_assert_eq(house.iova.count, 1u);
        }
    }
}

/* Random buffers on two queues; ledger_map() refuses a range that is live or not flushed. */
static void never_early(uint32_t policy, virtq_addr_t first, uint64_t seed)
{
    enum { BUFFERS = 12 };
    static struct spaces_buffer buffers[QUEUES][BUFFERS];
    unsigned char used[QUEUES][BUFFERS] = {{0}};
    uint64_t now = 0;

    printf("seed %llu\n", (unsigned long long)seed);
    house_open(&house, first, first + (128 * PAGE - 1), policy, 0);
    for (unsigned round = 0; round < 20000; round++) {
        unsigned q = (unsigned)random_below(&seed, QUEUES);
        unsigned b = (unsigned)random_below(&seed, BUFFERS);
        struct spaces_buffer *buffer = &buffers[q][b];
        unsigned count = 1 + (unsigned)random_below(&seed, 4);

        if (random_below(&seed, 16) == 0) {
            (void)virtq_iommu_queue_tick(&house.queues[q], now += random_below(&seed, 6));
        }
        if (used[q][b]) {
            spaces_unmap(&house.queues[q].space, buffer, 0);
            used[q][b] = 0;
            continue;
        }
        for (unsigned i = 0; i < count; i++) {
            spaces_segment(buffer, i, data + random_below(&seed, 10 * PAGE),
                           1 + random_below(&seed, 4 * PAGE));
        }
        used[q][b] = spaces_map(&house.queues[q].space, buffer, 1, count - 1, count) == 0;
    }
    for (unsigned i = 0; i < QUEUES * BUFFERS; i++) {
        if (used[i / BUFFERS][i % BUFFERS]) {
            spaces_unmap(&house.queues[i / BUFFERS].space, &buffers[i / BUFFERS][i % BUFFERS], 0);
        }
    }
    cr_assert_gt(house.ledger.calls[0], 1000u);
    house_close(&house);
}

Test(space_iommu_queue, l4_m6_no_new_range_overlaps_one_that_is_live_or_not_flushed)
{
    never_early(VIRTQ_IOMMU_LAZY, 0, 4);
    never_early(VIRTQ_IOMMU_STRICT, 0x40000000, 5);
}

Test(space_iommu_queue, l6_the_same_at_the_top)
{
    never_early(VIRTQ_IOMMU_LAZY, UINT64_MAX - 128 * PAGE + 1, 6);
}

Test(space_iommu_queue, what_is_missing_is_refused)
{
    struct virtq_iommu_queue queue;
    struct virtq_iommu_queue_config config;

    house_open(&house, 0, 0xfffff, VIRTQ_IOMMU_LAZY, 0);
    cr_assert_eq(virtq_iommu_queue_init(&queue, &house.config), VIRTQ_ENOMEM, "magazines");
    config = house.config;
    config.memory_size--;
    config.memory_size = virtq_iommu_queue_private_size(VIRTQ_IOMMU_LAZY, ENTRIES) - 1;
    cr_assert_eq(virtq_iommu_queue_init(&queue, &config), VIRTQ_ENOMEM);
    config = house.config;
    config.page_sizes = (uint64_t)1 << 21;
    cr_assert_eq(virtq_iommu_queue_init(&queue, &config), VIRTQ_EINVAL);
    config = house.config;
    config.entries = 0;
    cr_assert_eq(virtq_iommu_queue_init(&queue, &config), VIRTQ_EINVAL);
    config = house.config;
    config.policy = 4;
    cr_assert_eq(virtq_iommu_queue_init(&queue, &config), VIRTQ_EINVAL);
    config = house.config;
    config.struct_size--;
    cr_assert_eq(virtq_iommu_queue_init(&queue, &config), VIRTQ_EINVAL);
    config = house.config;
    config.backend = NULL;
    cr_assert_eq(virtq_iommu_queue_init(&queue, &config), VIRTQ_EINVAL);
    house_close(&house);
}

/* Both ends over a domain, lazily, two threads: L5, and the domain's refusal of overlap. */
struct town {
    struct virtq_iova_range ranges[256];
    struct virtq_iova_magazine magazines[MAGAZINES];
    struct virtq_iova iova;
    struct virtq_iova_depot depot;
    struct virtq_iommu_backend backend;
    uint64_t memory[QUEUES][ENTRIES * 8];
    struct virtq_iommu_queue queues[QUEUES];
    struct world *world;
};

struct worker {
    struct town *town;
    unsigned which;
    int wrong;
};

static void *maps_lazily(void *context)
{
    struct worker *worker = context;
    struct virtq_space *space = &worker->town->queues[worker->which].space;
    unsigned char *mine = data + worker->which * 4 * PAGE;
    uint64_t seed = worker->which;

    memset(mine, 1 + (int)worker->which, 2 * PAGE);
    for (unsigned round = 0; round < 10000; round++) {
        unsigned len = 1 + (unsigned)random_below(&seed, PAGE);
        struct spaces_buffer buffer;
        unsigned char seen[PAGE];

        spaces_segment(&buffer, 0, mine + random_below(&seed, PAGE), len);
        worker->wrong |= spaces_map(space, &buffer, 1, 0, 1) != 0;
        worker->wrong |= spaces_copy(&worker->town->world->device.space, buffer.runs[0].addr, seen,
                                     len, SPACES_READ) != 0;
        worker->wrong |= seen[0] != 1 + worker->which || seen[len - 1] != 1 + worker->which;
        spaces_unmap(space, &buffer, 0);
    }
    virtq_iommu_queue_flush(&worker->town->queues[worker->which]);
    return NULL;
}

Test(space_iommu_queue, L5_two_lazy_queues_on_two_threads_over_one_domain)
{
    static struct world world;
    static struct town town;
    struct virtq_iommu_queue_config config = VIRTQ_IOMMU_QUEUE_CONFIG_INIT;
    struct worker workers[QUEUES] = {{&town, 0, 0}, {&town, 1, 0}};
    pthread_t threads[QUEUES];

    world_open(&world, 0, PAGE - 1, 0);
    town.world = &world;
    cr_assert_eq(virtq_iova_init(&town.iova, 0, 0xffffff, PAGE, town.ranges, 256), 0);
    cr_assert_eq(
        virtq_iova_depot_init(&town.depot, &town.iova, UINT64_MAX, town.magazines, MAGAZINES), 0);
    virtq_domain_backend(&world.domain, &town.backend);
    config.depot = &town.depot;
    config.backend = &town.backend;
    config.policy = VIRTQ_IOMMU_LAZY;
    config.entries = ENTRIES;
    for (unsigned i = 0; i < QUEUES; i++) {
        config.memory = town.memory[i];
        config.memory_size = sizeof(town.memory[i]);
        cr_assert_eq(virtq_iommu_queue_init(&town.queues[i], &config), 0);
    }
    for (unsigned i = 0; i < QUEUES; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, maps_lazily, &workers[i]), 0);
    }
    for (unsigned i = 0; i < QUEUES; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_eq(workers[i].wrong, 0);
        virtq_iommu_queue_destroy(&town.queues[i]);
    }
    cr_assert_eq(town.iova.count, 0u);
    virtq_iommu_device_destroy(&world.device);
}
