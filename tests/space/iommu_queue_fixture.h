/* SPDX-License-Identifier: BSD-3-Clause */
/* A queue's space over a backend that remembers what is mapped, and what is unmapped but not
 * flushed. */
#ifndef VIRTQ_TESTS_SPACE_IOMMU_QUEUE_FIXTURE_H
#define VIRTQ_TESTS_SPACE_IOMMU_QUEUE_FIXTURE_H

#include "iommu_fixture.h"
#include "virtq/space/iommu_queue.h"

enum { QUEUES = 2, ENTRIES = 16, LEDGER = 512, MAGAZINES = 2 * 12 + 8, RANGES = 512 };

/* What the device can reach. */
struct ledger {
    struct virtq_region ranges[LEDGER];
    unsigned char stale[LEDGER]; /* 1: unmapped, not flushed: still reached. */
    unsigned count;
    unsigned calls[3];   /* map, unmap, flush */
    unsigned longest[3]; /* The longest list. */
    int failing[3];      /* What the next call answers. */
};

static inline int ledger_call(struct ledger *ledger, unsigned which, unsigned count)
{
    int error = ledger->failing[which];

    ledger->calls[which]++;
    ledger->longest[which] = count > ledger->longest[which] ? count : ledger->longest[which];
    ledger->failing[which] = 0;
    return error;
}

static inline int ledger_map(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct ledger *ledger = context;
    int error = ledger_call(ledger, 0, count);

    for (unsigned i = 0; i < count && error == 0; i++) {
        cr_assert(ranges[i].first % PAGE == 0 && ranges[i].last % PAGE == PAGE - 1);
        for (unsigned k = 0; k < ledger->count; k++) {
            cr_assert(ledger->ranges[k].last < ranges[i].first ||
                          ranges[i].last < ledger->ranges[k].first,
                      "a range is used again though the device still reaches it");
        }
        cr_assert_lt(ledger->count, LEDGER);
        ledger->stale[ledger->count] = 0;
        ledger->ranges[ledger->count++] = ranges[i];
    }
    return error;
}

static inline unsigned ledger_find(struct ledger *ledger, const struct virtq_region *range)
{
    unsigned k = 0;

    while (k < ledger->count &&
           (ledger->ranges[k].first != range->first || ledger->ranges[k].last != range->last)) {
        k++;
    }
    cr_assert_lt(k, ledger->count, "exactly ranges that were mapped");
    return k;
}

static inline int ledger_unmap(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct ledger *ledger = context;
    int error = ledger_call(ledger, 1, count);

    for (unsigned i = 0; i < count && error == 0; i++) {
        unsigned k = ledger_find(ledger, &ranges[i]);

        cr_assert_eq(ledger->stale[k], 0);
        ledger->stale[k] = 1;
    }
    return error;
}

static inline int ledger_flush(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct ledger *ledger = context;
    int error = ledger_call(ledger, 2, count);

    for (unsigned i = 0; i < count && error == 0; i++) {
        unsigned k = ledger_find(ledger, &ranges[i]);

        cr_assert_eq(ledger->stale[k], 1);
        ledger->count--;
        ledger->ranges[k] = ledger->ranges[ledger->count];
        ledger->stale[k] = ledger->stale[ledger->count];
    }
    return error;
}

struct house {
    struct virtq_iova_range ranges[RANGES];
    struct virtq_iova_magazine magazines[MAGAZINES];
    struct virtq_iova iova;
    struct virtq_iova_depot depot;
    struct ledger ledger;
    struct virtq_iommu_backend backend;
    struct virtq_iommu_queue_config config;
    uint64_t memory[QUEUES][ENTRIES * 8];
    struct virtq_iommu_queue queues[QUEUES];
};

/* Queues of one policy in [first, last]; `change` may be NULL. */
static inline void house_open(struct house *house, virtq_addr_t first, virtq_addr_t last,
                              uint32_t policy, uint64_t page_sizes)
{
    const struct virtq_iommu_queue_config config = VIRTQ_IOMMU_QUEUE_CONFIG_INIT;
    const struct virtq_iommu_backend backend = {sizeof(backend), &house->ledger, ledger_map,
                                                ledger_unmap, ledger_flush};

    memset(&house->ledger, 0, sizeof(house->ledger));
    cr_assert_eq(virtq_iova_init(&house->iova, first, last, PAGE, house->ranges, RANGES), 0);
    cr_assert_eq(
        virtq_iova_depot_init(&house->depot, &house->iova, UINT64_MAX, house->magazines, MAGAZINES),
        0);
    house->backend = backend;
    house->config = config;
    house->config.depot = &house->depot;
    house->config.backend = &house->backend;
    house->config.page_sizes = page_sizes;
    house->config.policy = policy;
    house->config.entries = ENTRIES;
    house->config.age_limit = 10;
    for (unsigned i = 0; i < QUEUES; i++) {
        house->config.memory = house->memory[i];
        house->config.memory_size = sizeof(house->memory[i]);
        cr_assert_eq(virtq_iommu_queue_init(&house->queues[i], &house->config), 0);
    }
}

/* Everything is given back: nothing is mapped, no address is taken. */
static inline void house_close(struct house *house)
{
    for (unsigned i = 0; i < QUEUES; i++) {
        virtq_iommu_queue_destroy(&house->queues[i]);
    }
    cr_assert_eq(house->ledger.count, 0u);
    cr_assert_eq(house->iova.count, 0u);
}

#endif
