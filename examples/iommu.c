/* SPDX-License-Identifier: BSD-3-Clause */
/* One queue behind an IOMMU under each policy: when the device loses its reach, and what that costs
 * in requests. docs/spaces/iommu.md goes through it.
 *
 *     cc iommu.c $(pkg-config --cflags --libs libvirtq)
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <virtq/virtq.h>

#include "queue.h"

#define PAGE 4096u
#define HALF (PAGE / 2)
#define ROUNDS 100u
#define MAPPINGS 256u
#define MAGAZINES (2u * VIRTQ_IOVA_CACHE_MAGAZINES)
#define RANGES (MAPPINGS + MAGAZINES * VIRTQ_IOVA_MAGAZINE_ROOM)
#define BOTH (VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE)

/* What all queues share: who has which address, and what it leads to. */
struct shared {
    unsigned char mappings[VIRTQ_TREE_SIZE(MAPPINGS)];
    struct virtq_iova_range ranges[RANGES];
    struct virtq_iova_magazine magazines[MAGAZINES];
    struct virtq_domain domain;
    struct virtq_iommu_backend backend;
    struct virtq_iova iova;
    struct virtq_iova_depot depot;
    struct virtq_iommu_device device;
};

static void open_shared(struct shared *shared)
{
    /* [shared] */
    check(virtq_domain_init(&shared->domain, MAPPINGS, shared->mappings,
                            sizeof(shared->mappings)) == VIRTQ_OK,
          "domain");
    virtq_domain_backend(&shared->domain, &shared->backend);
    check(virtq_iova_init(&shared->iova, 0x100000u, 0xffffffffu, PAGE, shared->ranges, RANGES) ==
              VIRTQ_OK,
          "addresses");
    check(virtq_iova_depot_init(&shared->depot, &shared->iova, UINT64_MAX, shared->magazines,
                                MAGAZINES) == VIRTQ_OK,
          "the depot of addresses");
    check(virtq_iommu_device_init(&shared->device, &shared->domain, NULL) == VIRTQ_OK,
          "the device end");
    /* [shared] */
}

/* Half of the page goes out, the other half is the answer. */
static void exchange(struct queue *queue, unsigned char *page)
{
    struct virtq_segment segments[] = {{.base = page, .len = HALF},
                                       {.base = page + HALF, .len = HALF}};
    struct virtq_buffer buffer = {.segments = segments, .readable = 1, .writable = 1};

    for (unsigned round = 0; round < ROUNDS; round++) {
        memset(page, (int)round + 1, HALF);
        check(queue_carry(queue, &buffer) == HALF, "the answer");
        check(memcmp(page, page + HALF, HALF) == 0, "each byte came back");
    }
}

static void run(struct shared *shared, uint32_t policy, const char *name)
{
    unsigned char *page = memory(2 * PAGE, PAGE);
    struct virtq_iommu_queue *space = memory(sizeof(*space), VIRTQ_CACHE_LINE);
    struct virtq_iommu_queue_usage usage;
    struct queue queue;
    virtq_addr_t addr = 0;
    /* [policy] */
    struct virtq_iommu_queue_config config = VIRTQ_IOMMU_QUEUE_CONFIG_INIT;

    config.depot = &shared->depot;
    config.backend = &shared->backend;
    config.policy = policy;
    config.entries = 64; /* lazy: what may wait for a flush; persistent: what may be shared */
    config.memory_size = virtq_iommu_queue_private_size(policy, config.entries);
    config.memory = config.memory_size > 0 ? memory(config.memory_size, 8) : NULL;
    check(virtq_iommu_queue_init(space, &config) == VIRTQ_OK, name);
    if (policy == VIRTQ_IOMMU_PERSISTENT) {
        /* The one mapping there is: buffers are looked up in it. */
        check(virtq_space_share(&space->space, page, PAGE, BOTH, &addr) == VIRTQ_OK, "share");
    }
    /* [policy] */
    queue_open(&queue, &space->space, &shared->device.space, page + PAGE);
    exchange(&queue, page);
    virtq_iommu_queue_read_usage(space, &usage);
    printf("%-10s %u buffers, %llu flushes, %llu buffers still within reach\n", name, ROUNDS,
           (unsigned long long)usage.flushes, (unsigned long long)usage.pending);
    /* [tick] */
    check(virtq_iommu_queue_tick(space, 1) == 0, "after the age limit nothing waits");
    /* [tick] */
    queue_close(&queue);
    if (policy == VIRTQ_IOMMU_PERSISTENT) {
        virtq_space_unshare(&space->space, addr, PAGE);
    }
    virtq_iommu_queue_destroy(space);
    free(config.memory);
    free(space);
    free(page);
}

int main(void)
{
    struct shared *shared = memory(sizeof(*shared), VIRTQ_CACHE_LINE);

    open_shared(shared);
    run(shared, VIRTQ_IOMMU_STRICT, "strict");
    run(shared, VIRTQ_IOMMU_LAZY, "lazy");
    run(shared, VIRTQ_IOMMU_PERSISTENT, "persistent");
    virtq_iommu_device_destroy(&shared->device);
    free(shared);
    return 0;
}
