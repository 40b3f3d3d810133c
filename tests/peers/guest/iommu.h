/* SPDX-License-Identifier: BSD-3-Clause */
/* A virtio-iommu, driven by libvirtq, and a disk behind it. [virtio 1.4, IOMMU Device] */
#ifndef PEERS_GUEST_IOMMU_H
#define PEERS_GUEST_IOMMU_H

#include "queue.h"

#define IOMMU_TYPE 23u

/* Makes the IOMMU ready. */
void iommu_open(struct transport *transport, struct virtq_space *memory);

/* Attaches a device; the space that its queues are to be on. */
struct virtq_space *iommu_attach(uint32_t endpoint);

/* A disk that is asked to write where nothing is mapped any more: it fails, nothing is written, and
 * the IOMMU tells. */
void iommu_refuses(struct transport *disk);

/* Says what it came to. */
void iommu_describe(void);

#endif
