/* SPDX-License-Identifier: BSD-3-Clause */
/* A virtio device as the guest sees it, whatever bus it is on. [virtio 1.4, Virtio Transport
 * Options] */
#ifndef PEERS_GUEST_TRANSPORT_H
#define PEERS_GUEST_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <virtq/virtq.h>

#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER 2u
#define STATUS_DRIVER_OK 4u
#define STATUS_FEATURES_OK 8u
#define STATUS_NEEDS_RESET 64u

struct transport;

struct transport_ops {
    uint32_t (*read_status)(struct transport *transport);
    void (*write_status)(struct transport *transport, uint32_t status);
    uint64_t (*offered)(struct transport *transport);
    void (*accept)(struct transport *transport, uint64_t features);
    /* The largest size of a queue; 0: there is no such queue. */
    uint32_t (*select)(struct transport *transport, unsigned queue);
    /* Enables the queue that was selected. */
    void (*enable)(struct transport *transport, uint32_t size,
                   const struct virtq_area_addresses *addresses);
    void (*notify)(struct transport *transport, unsigned queue, uint32_t data);
    /* Makes the device withdraw its interrupt. */
    void (*acknowledge)(struct transport *transport);
    uint32_t (*read_config)(struct transport *transport, unsigned offset);
    /* Returns once the device has nothing more to do with the queue; NULL: only the whole device
     * can be reset. */
    void (*reset_queue)(struct transport *transport, unsigned queue);
};

struct transport {
    const struct transport_ops *ops;
    uintptr_t base;    /* of the registers */
    unsigned slot;     /* of its interrupt */
    uint64_t features; /* those negotiated */
    /* virtio-pci only: */
    uintptr_t notify; /* registers of notifications, this far apart: */
    uint32_t notify_step;
    uintptr_t interrupt; /* the register that says why, and is cleared by that */
    uintptr_t config;
    unsigned device;   /* on bus 0 */
    bool messages;     /* its interrupts are messages, which need no acknowledgement */
    uint32_t endpoint; /* its number behind an IOMMU */
};

/* Finds the n-th device of a type on virtio-mmio. */
bool mmio_find(unsigned type, unsigned n, struct transport *transport);

/* Finds a device of a type on PCI bus 0. */
bool pci_find(unsigned type, struct transport *transport);

/* Places the BARs of a PCI device, by its device and vendor numbers, and tells where one of them
 * is. False: there is no such device. */
bool pci_region(uint32_t identity, unsigned bar, uintptr_t *base, uint32_t *size);

/* Resets the device and agrees with it: on what it offers and `wanted` has. */
void transport_open(struct transport *transport, uint64_t wanted);

/* The device may begin. */
void transport_start(struct transport *transport);

/* Nothing of the device is in use from here on. */
void transport_stop(struct transport *transport);

#endif
