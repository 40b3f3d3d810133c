/* SPDX-License-Identifier: BSD-3-Clause */
/* A region of memory on a PCI device (ivshmem), which rings and buffers are to lie in. */
#ifndef PEERS_GUEST_BAR_H
#define PEERS_GUEST_BAR_H

#include <virtq/virtq.h>

/* The space of a region, if the machine has such a device; else NULL. From here on all that a
 * device is to see is taken from the region. */
struct virtq_space *bar_open(void);

#endif
