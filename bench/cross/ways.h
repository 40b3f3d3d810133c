/* SPDX-License-Identifier: BSD-3-Clause */
/* How each way sets up its world: for world.c alone. */
#ifndef BENCH_CROSS_WAYS_H
#define BENCH_CROSS_WAYS_H

#include "cross/world.h"

#define CROSS_PAGE 4096u
#define CROSS_GRANULE 64u

/* Where device addresses begin: nowhere near a pointer, so that one that was not translated is
 * noticed. */
#define CROSS_FIRST ((virtq_addr_t)1 << 40)

#define CROSS_BOTH ((uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE)

/* 0, or an enum virtq_error. What was opened is closed with the world. */
int cross_direct_open(struct cross_world *world);
int cross_premapped_open(struct cross_world *world);
int cross_swiotlb_dynamic_open(struct cross_world *world);
int cross_swiotlb_persistent_open(struct cross_world *world);
int cross_swiotlb_group_open(struct cross_world *world);
int cross_iommu_strict_open(struct cross_world *world);
int cross_iommu_strict_batch_open(struct cross_world *world);
int cross_iommu_lazy_open(struct cross_world *world);
int cross_iommu_persistent_open(struct cross_world *world);
int cross_tce_open(struct cross_world *world);
int cross_bar_cacheable_open(struct cross_world *world);
int cross_bar_write_combining_open(struct cross_world *world);
int cross_zpci_strict_open(struct cross_world *world);
int cross_zpci_by_page_open(struct cross_world *world);
int cross_zpci_lazy_open(struct cross_world *world);
int cross_restricted_open(struct cross_world *world);
int cross_viommu_strict_open(struct cross_world *world);
int cross_viommu_lazy_open(struct cross_world *world);

void cross_iommu_close(struct cross_world *world);

/* The same space for every driver end. */
void cross_world_use(struct cross_world *world, struct virtq_space *space);

/* A port for each queue. False: no memory. */
bool cross_world_open_ports(struct cross_world *world);

/* How many classes of slots there have to be for payloads of so many bytes. */
uint32_t cross_classes(uint32_t bytes);

/* Zeroed, and on cache lines of its own; free() takes it back. NULL: none. */
void *cross_private(size_t bytes);

/* How far payloads of so many bytes lie apart: a line further than they are long, so that they do
 * not all want the same cache sets. */
size_t cross_stride(size_t bytes);

#endif
