/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio-pci, without the legacy interface; nobody has set the machine's PCI bus up before.
 * [virtio 1.4, Virtio Over PCI Bus] */
#include "console.h"
#include "platform.h"
#include "transport.h"

enum {
    PCI_COMMAND = 0x04,
    PCI_BAR = 0x10,
    PCI_CAPABILITIES = 0x34,
    PCI_PIN = 0x3d,
    COMMAND_MEMORY_AND_MASTER = 6,
    CAPABILITY_VENDOR = 9,
    CAPABILITY_MESSAGES = 0x11,
    MESSAGES_ENABLED = 0x8000
};

/* Kinds of virtio structures. */
enum { COMMON = 1, NOTIFY = 2, INTERRUPT = 3, DEVICE = 4 };

/* The common structure. */
enum {
    DEVICE_FEATURES_SELECT = 0,
    DEVICE_FEATURES = 4,
    DRIVER_FEATURES_SELECT = 8,
    DRIVER_FEATURES = 12,
    STATUS = 20,
    QUEUE_SELECT = 22,
    QUEUE_SIZE = 24,
    QUEUE_VECTOR = 26,
    QUEUE_ENABLE = 28,
    QUEUE_NOTIFY_OFFSET = 30,
    QUEUE_DESCRIPTOR = 32,
    QUEUE_DRIVER = 40,
    QUEUE_DEVICE = 48,
    QUEUE_RESET = 58
};

#ifndef GUEST_MSIX
#    define GUEST_MSIX 0 /* 1: an operating system has set the first vector up */
#endif
#define DEVICES 32u /* that bus 0 can have */

/* Where the next BAR goes. */
static uintptr_t free_memory;

/* Gives each memory BAR an address. */
static void place_bars(unsigned device)
{
    for (unsigned bar = 0; platform_pci.memory != 0 && bar < 6; bar++) {
        unsigned at = PCI_BAR + 4 * bar;
        uint32_t size;

        platform_config_write(device, at, 4, UINT32_MAX);
        size = platform_config_read(device, at, 4);
        if (size == 0 || (size & 1u) != 0) { /* none, or of ports */
            continue;
        }
        if ((size & 4u) != 0) { /* 64 bits */
            platform_config_write(device, at + 4, 4, 0);
            bar++;
        }
        size = ~(size & ~15u) + 1;
        free_memory = (free_memory + size - 1) / size * size;
        check(free_memory + size <= platform_pci.memory_end, "memory for BARs");
        platform_config_write(device, at, 4, (uint32_t)free_memory);
        free_memory += size;
    }
    platform_config_write(device, PCI_COMMAND, 2, COMMAND_MEMORY_AND_MASTER);
}

static uintptr_t bar_of(unsigned device, unsigned bar)
{
    return platform_bar(device, bar, platform_config_read(device, PCI_BAR + 4 * bar, 4) & ~15u);
}

/* Where a virtio structure begins that a capability tells of. */
static uintptr_t structure(unsigned device, unsigned capability)
{
    return bar_of(device, platform_config_read(device, capability + 4, 1)) +
           platform_config_read(device, capability + 8, 4);
}

static void find_structures(struct transport *transport, unsigned device)
{
    unsigned at = platform_config_read(device, PCI_CAPABILITIES, 1) & 0xfcu;

    while (at != 0) {
        uint32_t head = platform_config_read(device, at, 4);
        uint32_t type = head >> 24;

        if ((head & 0xffu) == CAPABILITY_VENDOR && type == COMMON) {
            transport->base = structure(device, at);
        } else if ((head & 0xffu) == CAPABILITY_VENDOR && type == NOTIFY) {
            transport->notify = structure(device, at);
            transport->notify_step = platform_config_read(device, at + 16, 4);
        } else if ((head & 0xffu) == CAPABILITY_VENDOR && type == INTERRUPT) {
            transport->interrupt = structure(device, at);
        } else if ((head & 0xffu) == CAPABILITY_VENDOR && type == DEVICE) {
            transport->config = structure(device, at);
        }
        at = head >> 8 & 0xfcu;
    }
    check(transport->base != 0 && transport->notify != 0 && transport->interrupt != 0,
          "the structures of virtio-pci");
}

static uint32_t read_status(struct transport *transport)
{
    return platform_bus_read(transport->base + STATUS, 1);
}

static void write_status(struct transport *transport, uint32_t status)
{
    platform_bus_write(transport->base + STATUS, 1, status);
}

static uint64_t offered(struct transport *transport)
{
    uint64_t features;

    platform_bus_write(transport->base + DEVICE_FEATURES_SELECT, 4, 1);
    features = (uint64_t)platform_bus_read(transport->base + DEVICE_FEATURES, 4) << 32;
    platform_bus_write(transport->base + DEVICE_FEATURES_SELECT, 4, 0);
    return features | platform_bus_read(transport->base + DEVICE_FEATURES, 4);
}

static void accept(struct transport *transport, uint64_t features)
{
    platform_bus_write(transport->base + DRIVER_FEATURES_SELECT, 4, 1);
    platform_bus_write(transport->base + DRIVER_FEATURES, 4, (uint32_t)(features >> 32));
    platform_bus_write(transport->base + DRIVER_FEATURES_SELECT, 4, 0);
    platform_bus_write(transport->base + DRIVER_FEATURES, 4, (uint32_t)features);
}

static uint32_t select_queue(struct transport *transport, unsigned queue)
{
    platform_bus_write(transport->base + QUEUE_SELECT, 2, queue);
    return platform_bus_read(transport->base + QUEUE_SIZE, 2);
}

static void put_address(struct transport *transport, unsigned offset, uint64_t address)
{
    platform_bus_write(transport->base + offset, 4, (uint32_t)address);
    platform_bus_write(transport->base + offset + 4, 4, (uint32_t)(address >> 32));
}

static void enable(struct transport *transport, uint32_t size,
                   const struct virtq_area_addresses *addresses)
{
    platform_bus_write(transport->base + QUEUE_SIZE, 2, size);
    put_address(transport, QUEUE_DESCRIPTOR, addresses->descriptor);
    put_address(transport, QUEUE_DRIVER, addresses->driver);
    put_address(transport, QUEUE_DEVICE, addresses->device);
    if (transport->messages) {
        platform_bus_write(transport->base + QUEUE_VECTOR, 2, 0);
        check(platform_bus_read(transport->base + QUEUE_VECTOR, 2) == 0, "a vector for the queue");
    }
    platform_bus_write(transport->base + QUEUE_ENABLE, 2, 1);
}

static void notify(struct transport *transport, unsigned queue, uint32_t data)
{
    uintptr_t at;

    platform_bus_write(transport->base + QUEUE_SELECT, 2, queue);
    at = transport->notify +
         platform_bus_read(transport->base + QUEUE_NOTIFY_OFFSET, 2) * transport->notify_step;
    if (virtq_feature_has(transport->features, VIRTIO_F_NOTIFICATION_DATA)) {
        platform_bus_write(at, 4, data);
    } else {
        platform_bus_write(at, 2, data);
    }
}

static void acknowledge(struct transport *transport)
{
    if (transport->messages) {
        return;
    }
    (void)platform_bus_read(transport->interrupt, 1);
}

static uint32_t read_config(struct transport *transport, unsigned offset)
{
    return platform_bus_read(transport->config + offset, 4);
}

static void reset_queue(struct transport *transport, unsigned queue)
{
    platform_bus_write(transport->base + QUEUE_SELECT, 2, queue);
    platform_bus_write(transport->base + QUEUE_RESET, 2, 1);
    while (platform_bus_read(transport->base + QUEUE_RESET, 2) != 0) {
    }
    check(platform_bus_read(transport->base + QUEUE_ENABLE, 2) == 0,
          "a reset queue is not enabled");
}

static const struct transport_ops operations = {read_status,  write_status, offered, accept,
                                                select_queue, enable,       notify,  acknowledge,
                                                read_config,  reset_queue};

/* MSI-X with one vector: the first entry of the table, and whether messages can be had. Behind an
 * IOMMU, which nobody has map the messages' address, they cannot. */
static bool open_messages(struct transport *transport, unsigned at)
{
    uint32_t table = platform_config_read(transport->device, at + 4, 4);
    uintptr_t entry = bar_of(transport->device, table & 7u) + (table & ~7u);
    uint64_t address;
    uint32_t data;

    if (virtq_feature_has(offered(transport), VIRTIO_F_ACCESS_PLATFORM) ||
        !platform_pci_message(&address, &data, &transport->slot)) {
        return false;
    }
    platform_bus_write(entry, 4, (uint32_t)address);
    platform_bus_write(entry + 4, 4, (uint32_t)(address >> 32));
    platform_bus_write(entry + 8, 4, data);
    platform_bus_write(entry + 12, 4, 0); /* not masked */
    platform_config_write(transport->device, at + 2, 2, MESSAGES_ENABLED);
    return true;
}

/* By messages if that is possible, else by the device's line. */
static void open_interrupts(struct transport *transport)
{
    unsigned device = transport->device;
    unsigned at = platform_config_read(device, PCI_CAPABILITIES, 1) & 0xfcu;

    if (GUEST_MSIX) {
        transport->messages = true;
        return;
    }
    transport->slot = platform_pci_line(device, platform_config_read(device, PCI_PIN, 1));
    while (at != 0) {
        if (platform_config_read(device, at, 1) == CAPABILITY_MESSAGES) {
            transport->messages = open_messages(transport, at);
        }
        at = platform_config_read(device, at + 1, 1) & 0xfcu;
    }
}

/* The number of a device on the bus; DEVICES: there is none. */
static unsigned find(uint32_t identity)
{
    unsigned device = 0;

    if (free_memory == 0) {
        free_memory = platform_pci.memory;
    }
    while (device < DEVICES && platform_config_read(device, 0, 4) != identity) {
        device++;
    }
    return device;
}

bool pci_find(unsigned type, struct transport *transport)
{
    unsigned device = find((0x1040u + type) << 16 | 0x1af4u);

    if (device == DEVICES) {
        return false;
    }
    *transport = (struct transport){.ops = &operations, .device = device, .endpoint = device << 3};
    place_bars(device);
    find_structures(transport, device);
    open_interrupts(transport);
    return true;
}

bool pci_region(uint32_t identity, unsigned bar, uintptr_t *base, uint32_t *size)
{
    unsigned device = find(identity);
    unsigned at = PCI_BAR + 4 * bar;

    if (device == DEVICES) {
        return false;
    }
    platform_config_write(device, at, 4, UINT32_MAX);
    *size = ~(platform_config_read(device, at, 4) & ~15u) + 1;
    place_bars(device);
    *base = bar_of(device, bar);
    return true;
}
