/* SPDX-License-Identifier: BSD-3-Clause */
/* All devices in one address space of VFIO; each with a space of its own for its queue, of the
 * policy that was asked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <virtq/space/iommu_queue.h>

#include "../guest/console.h"
#include "../guest/dma.h"
#include "../guest/memory.h"
#include "../guest/platform.h"
#include "../guest/refusal.h"
#include "devices.h"

#define RANGES 512u
#define ENTRIES 64u
#define BOTH (VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE)
#define FIRST 0x100000u /* QEMU takes an address of 0 for "no ring" */

static const char *const policies[] = {"strict", "lazy", "persistent"};

static struct {
    uint32_t policy;
    virtq_addr_t first;
    struct virtq_iova iova;
    struct virtq_iova_range ranges[RANGES];
    struct virtq_iova_depot depot;
    struct virtq_iova_magazine magazines[DEVICES_MAX * VIRTQ_IOVA_CACHE_MAGAZINES];
} all = {.first = FIRST};

static struct dma {
    struct virtq_iommu_queue queue __attribute__((aligned(VIRTQ_CACHE_LINE)));
    uint64_t books[4096];
    virtq_addr_t pages; /* where the device sees what the guest takes for it */
} spaces[DEVICES_MAX];

static struct dma *current;

static void open_addresses(void)
{
    struct virtq_vfio_limits limits;

    devices_check(virtq_vfio_read_limits(&devices_vfio, &limits), "what the IOMMU can do");
    printf("vfio: granule=%llu first=%#llx last=%#llx ranges=%u available=%u\n",
           (unsigned long long)limits.granule, (unsigned long long)limits.first,
           (unsigned long long)limits.last, limits.range_count, limits.available);
    devices_check(
        virtq_vfio_init_iova(&devices_vfio, all.first, UINT64_MAX, &all.iova, all.ranges, RANGES),
        "usable addresses");
    check(virtq_iova_depot_init(&all.depot, &all.iova, UINT64_MAX, all.magazines,
                                sizeof(all.magazines) / sizeof(all.magazines[0])) == VIRTQ_OK,
          "a depot of addresses");
}

struct virtq_space *dma_open(const struct transport *transport)
{
    struct virtq_iommu_queue_config config = VIRTQ_IOMMU_QUEUE_CONFIG_INIT;

    devices_select(transport->device);
    current = &spaces[transport->device];
    config.depot = &all.depot;
    config.backend = &devices_vfio.backend;
    config.policy = all.policy;
    config.memory = current->books;
    config.memory_size = sizeof(current->books);
    config.entries = ENTRIES;
    check(virtq_iommu_queue_private_size(config.policy, ENTRIES) <= sizeof(current->books) &&
              virtq_iommu_queue_init(&current->queue, &config) == VIRTQ_OK,
          "the device's space");
    if (all.policy == VIRTQ_IOMMU_PERSISTENT) {
        void *pages;
        size_t bytes;

        memory_seen(&pages, &bytes);
        check(virtq_space_share(&current->queue.space, pages, bytes, BOTH, &current->pages) ==
                  VIRTQ_OK,
              "the guest's memory for the device is shared");
    }
    return &current->queue.space;
}

void dma_refuses(struct transport *disk)
{
    const struct refusal refusal = {&current->queue.space, NULL, NULL, NULL};

    refusal_run(&refusal, disk);
}

void dma_describe(void)
{
    struct virtq_iommu_queue_usage mapped;
    struct virtq_vfio_usage usage;

    if (all.policy == VIRTQ_IOMMU_PERSISTENT) {
        void *pages;
        size_t bytes;

        memory_seen(&pages, &bytes);
        virtq_space_unshare(&current->queue.space, current->pages, bytes);
    }
    virtq_iommu_queue_flush(&current->queue);
    virtq_iommu_queue_read_usage(&current->queue, &mapped);
    virtq_vfio_read_usage(&devices_vfio, &usage);
    check(mapped.mapped == 0 && mapped.leaked == 0 && usage.mapped == 0, "all is unmapped");
    check(usage.failures == 0 && usage.lost == 0, "the kernel refused nothing");
    printf("iommu: vfio; policy=%s maps=%llu unmaps=%llu\n", policies[all.policy],
           (unsigned long long)usage.maps, (unsigned long long)usage.unmaps);
}

/* Arguments: a policy; the lowest device address; "unsafe": interrupts are trusted; "iommufd": in
 * place of type 1. */
int main(int argc, char **argv)
{
    uint32_t kind = VIRTQ_VFIO_TYPE1;

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "first=", 6) == 0) {
            all.first = strtoull(argv[i] + 6, NULL, 0);
        } else if (strcmp(argv[i], "unsafe") == 0) {
            devices_trust_interrupts();
        } else if (strcmp(argv[i], "iommufd") == 0) {
            kind = VIRTQ_VFIO_IOMMUFD;
        }
        for (uint32_t policy = 0; policy < sizeof(policies) / sizeof(policies[0]); policy++) {
            all.policy = strcmp(argv[i], policies[policy]) == 0 ? policy : all.policy;
        }
    }
    devices_open(kind);
    open_addresses();
    guest_main();
}
