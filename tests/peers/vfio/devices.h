/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtio devices of a Linux guest, taken from the kernel and opened by VFIO. */
#ifndef PEERS_VFIO_DEVICES_H
#define PEERS_VFIO_DEVICES_H

#include <virtq/host/vfio_device.h>

#define DEVICES_MAX 2u

/* One of them, with all of its BARs that can be mapped, and an eventfd for its first MSI-X vector.
 */
struct device {
    char name[16];
    struct virtq_vfio_group group;
    struct virtq_vfio_device vfio;
    void *bars[6];
    int event;
};

extern struct virtq_vfio devices_vfio;
extern struct device devices[DEVICES_MAX];
extern unsigned devices_count;

/* Without it the kernel refuses an IOMMU that does not judge interrupts; a device could raise any.
 */
void devices_trust_interrupts(void);

/* Takes them all, and opens them in one address space, of an enum virtq_vfio_kind. */
void devices_open(uint32_t kind);

/* Which of them platform_open_interrupt() and the like are about. */
void devices_select(unsigned device);

/* Ends the program unless `result` is 0; says what failed, and where. */
void devices_check(int result, const char *what);

#endif
