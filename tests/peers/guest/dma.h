/* SPDX-License-Identifier: BSD-3-Clause */
/* What a machine's PCI devices are behind, always: zPCI tables or TCEs, kept by libvirtq. Only
 * where GUEST_DMA is defined. */
#ifndef PEERS_GUEST_DMA_H
#define PEERS_GUEST_DMA_H

#include "transport.h"

/* Makes the space that the device's queues are to be on; one device after the other. */
struct virtq_space *dma_open(const struct transport *transport);

/* A disk that is asked to write where nothing is mapped any more: nothing is written. */
void dma_refuses(struct transport *disk);

/* Says what it came to. */
void dma_describe(void);

#endif
