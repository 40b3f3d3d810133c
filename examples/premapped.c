/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that the device is given once: its buffers cost nothing from then on, whatever space is
 * under them. docs/spaces/premapped.md goes through it.
 *
 *     cc premapped.c $(pkg-config --cflags --libs libvirtq)
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <virtq/virtq.h>

#include "queue.h"

#define PAGE 4096u
#define ARENA (4u * PAGE)
#define HALF 64u

int main(void)
{
    unsigned char *arena = memory(ARENA, PAGE);
    void *ring = memory(QUEUE_RING_BYTES, PAGE);
    unsigned char mappings[VIRTQ_TREE_SIZE(8)];
    struct virtq_iova_range ranges[8];
    struct virtq_domain domain;
    struct virtq_iommu_backend backend;
    struct virtq_iova iova;
    struct virtq_iommu iommu;
    struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;
    struct virtq_iommu_device device_space;
    struct queue queue;

    check(virtq_domain_init(&domain, 8, mappings, sizeof(mappings)) == VIRTQ_OK, "domain");
    virtq_domain_backend(&domain, &backend);
    check(virtq_iova_init(&iova, 0x100000u, 0xffffffffu, PAGE, ranges, 8) == VIRTQ_OK, "iova");
    config.iova = &iova;
    config.backend = &backend;
    check(virtq_iommu_init(&iommu, &config) == VIRTQ_OK, "iommu");
    check(virtq_iommu_device_init(&device_space, &domain, NULL) == VIRTQ_OK, "the device end");
    /* [share] */
    virtq_addr_t shared;
    struct virtq_premapped space;

    /* The one mapping there will be. */
    check(virtq_space_share(&iommu.space, arena, ARENA,
                            VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE, &shared) == VIRTQ_OK,
          "share");
    virtq_premapped_init(&space, &iommu.space);
    queue_open(&queue, &space.space, &device_space.space, ring);
    /* [share] */
    /* [add] */
    struct virtq_segment segments[] = {{.addr = shared, .len = HALF},
                                       {.addr = shared + HALF, .len = HALF}};
    struct virtq_buffer buffer = {.segments = segments, .readable = 1, .writable = 1};

    strcpy((char *)arena, "mapped once");
    check(queue_carry(&queue, &buffer) == HALF, "the answer");
    check(strcmp((char *)arena + HALF, "mapped once") == 0, "what was sent");
    /* [add] */
    printf("device address 0x%llx, %s\n", (unsigned long long)shared, arena + HALF);
    queue_close(&queue);
    virtq_space_unshare(&iommu.space, shared, ARENA);
    virtq_iommu_device_destroy(&device_space);
    free(ring);
    free(arena);
    return 0;
}
