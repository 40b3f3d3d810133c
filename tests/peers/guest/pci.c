/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio-pci, without the legacy interface, polled; nobody has set the machine's PCI bus up before.
 * Little-endian machines only, as its registers are. [virtio 1.4, Virtio Over PCI Bus] */
#include "console.h"
#include "platform.h"
#include "transport.h"

enum {
    PCI_COMMAND = 0x04,
    PCI_BAR = 0x10,
    PCI_CAPABILITIES = 0x34,
    COMMAND_MEMORY_AND_MASTER = 6,
    CAPABILITY_VENDOR = 9
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
    QUEUE_ENABLE = 28,
    QUEUE_NOTIFY_OFFSET = 30,
    QUEUE_DESCRIPTOR = 32,
    QUEUE_DRIVER = 40,
    QUEUE_DEVICE = 48,
    QUEUE_RESET = 58
};

/* Where the next BAR goes. */
static uintptr_t free_memory;

static uintptr_t config_of(unsigned device)
{
    return platform_pci.config + ((uintptr_t)device << 15);
}

/* Gives each memory BAR an address. */
static void place_bars(uintptr_t config)
{
    for (unsigned bar = 0; bar < 6; bar++) {
        uintptr_t at = config + PCI_BAR + 4 * bar;
        uint32_t size;

        platform_write32(at, UINT32_MAX);
        size = platform_read32(at);
        if (size == 0 || (size & 1u) != 0) { /* none, or of ports */
            continue;
        }
        if ((size & 4u) != 0) { /* 64 bits */
            platform_write32(at + 4, 0);
            bar++;
        }
        size = ~(size & ~15u) + 1;
        free_memory = (free_memory + size - 1) / size * size;
        check(free_memory + size <= platform_pci.memory_end, "memory for BARs");
        platform_write32(at, (uint32_t)free_memory);
        free_memory += size;
    }
    platform_write32(config + PCI_COMMAND, COMMAND_MEMORY_AND_MASTER);
}

/* Where a virtio structure begins that a capability tells of. */
static uintptr_t structure(uintptr_t config, uintptr_t capability)
{
    unsigned bar = platform_read32(capability + 4) & 0xffu;

    return (platform_read32(config + PCI_BAR + 4 * bar) & ~15u) + platform_read32(capability + 8);
}

static void find_structures(struct transport *transport, uintptr_t config)
{
    uint32_t at = platform_read32(config + PCI_CAPABILITIES) & 0xfcu;

    while (at != 0) {
        uint32_t head = platform_read32(config + at);
        uint32_t type = head >> 24;

        if ((head & 0xffu) == CAPABILITY_VENDOR && type == COMMON) {
            transport->base = structure(config, config + at);
        } else if ((head & 0xffu) == CAPABILITY_VENDOR && type == NOTIFY) {
            transport->notify = structure(config, config + at);
            transport->notify_step = platform_read32(config + at + 16);
        } else if ((head & 0xffu) == CAPABILITY_VENDOR && type == INTERRUPT) {
            transport->interrupt = structure(config, config + at);
        } else if ((head & 0xffu) == CAPABILITY_VENDOR && type == DEVICE) {
            transport->config = structure(config, config + at);
        }
        at = head >> 8 & 0xfcu;
    }
    check(transport->base != 0 && transport->notify != 0 && transport->interrupt != 0,
          "the structures of virtio-pci");
}

static uint32_t read_status(struct transport *transport)
{
    return platform_read8(transport->base + STATUS);
}

static void write_status(struct transport *transport, uint32_t status)
{
    platform_write8(transport->base + STATUS, (uint8_t)status);
}

static uint64_t offered(struct transport *transport)
{
    uint64_t features;

    platform_write32(transport->base + DEVICE_FEATURES_SELECT, 1);
    features = (uint64_t)platform_read32(transport->base + DEVICE_FEATURES) << 32;
    platform_write32(transport->base + DEVICE_FEATURES_SELECT, 0);
    return features | platform_read32(transport->base + DEVICE_FEATURES);
}

static void accept(struct transport *transport, uint64_t features)
{
    platform_write32(transport->base + DRIVER_FEATURES_SELECT, 1);
    platform_write32(transport->base + DRIVER_FEATURES, (uint32_t)(features >> 32));
    platform_write32(transport->base + DRIVER_FEATURES_SELECT, 0);
    platform_write32(transport->base + DRIVER_FEATURES, (uint32_t)features);
}

static uint32_t select_queue(struct transport *transport, unsigned queue)
{
    platform_write16(transport->base + QUEUE_SELECT, (uint16_t)queue);
    return platform_read16(transport->base + QUEUE_SIZE);
}

static void put_address(struct transport *transport, unsigned offset, uint64_t address)
{
    platform_write32(transport->base + offset, (uint32_t)address);
    platform_write32(transport->base + offset + 4, (uint32_t)(address >> 32));
}

static void enable(struct transport *transport, uint32_t size,
                   const struct virtq_area_addresses *addresses)
{
    platform_write16(transport->base + QUEUE_SIZE, (uint16_t)size);
    put_address(transport, QUEUE_DESCRIPTOR, addresses->descriptor);
    put_address(transport, QUEUE_DRIVER, addresses->driver);
    put_address(transport, QUEUE_DEVICE, addresses->device);
    platform_write16(transport->base + QUEUE_ENABLE, 1);
}

static void notify(struct transport *transport, unsigned queue, uint32_t data)
{
    uintptr_t at;

    platform_write16(transport->base + QUEUE_SELECT, (uint16_t)queue);
    at = transport->notify +
         platform_read16(transport->base + QUEUE_NOTIFY_OFFSET) * transport->notify_step;
    if (virtq_feature_has(transport->features, VIRTIO_F_NOTIFICATION_DATA)) {
        platform_write32(at, data);
    } else {
        platform_write16(at, (uint16_t)data);
    }
}

static void acknowledge(struct transport *transport)
{
    (void)platform_read8(transport->interrupt);
}

static uint32_t read_config(struct transport *transport, unsigned offset)
{
    return platform_read32(transport->config + offset);
}

static void reset_queue(struct transport *transport, unsigned queue)
{
    platform_write16(transport->base + QUEUE_SELECT, (uint16_t)queue);
    platform_write16(transport->base + QUEUE_RESET, 1);
    while (platform_read16(transport->base + QUEUE_RESET) != 0) {
    }
    check(platform_read16(transport->base + QUEUE_ENABLE) == 0, "a reset queue is not enabled");
}

static const struct transport_ops operations = {read_status,  write_status, offered, accept,
                                                select_queue, enable,       notify,  acknowledge,
                                                read_config,  reset_queue};

/* The configuration space of a device; 0: there is none. */
static uintptr_t find(uint32_t identity)
{
    if (free_memory == 0) {
        free_memory = platform_pci.memory;
    }
    for (unsigned device = 0; device < 32; device++) {
        if (platform_read32(config_of(device)) == identity) {
            return config_of(device);
        }
    }
    return 0;
}

bool pci_find(unsigned type, struct transport *transport)
{
    uintptr_t config = find((0x1040u + type) << 16 | 0x1af4u);

    if (config == 0) {
        return false;
    }
    *transport = (struct transport){.ops = &operations,
                                    .slot = TRANSPORT_POLLED,
                                    .endpoint = (uint32_t)(config - config_of(0)) >> 12};
    place_bars(config);
    find_structures(transport, config);
    return true;
}

bool pci_region(uint32_t identity, unsigned bar, uintptr_t *base, uint32_t *size)
{
    uintptr_t config = find(identity);

    if (config == 0) {
        return false;
    }
    platform_write32(config + PCI_BAR + 4 * bar, UINT32_MAX);
    *size = ~(platform_read32(config + PCI_BAR + 4 * bar) & ~15u) + 1;
    place_bars(config);
    *base = platform_read32(config + PCI_BAR + 4 * bar) & ~15u;
    return true;
}
