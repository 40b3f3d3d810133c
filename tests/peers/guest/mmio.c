/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio-mmio, version 2. Its registers are little-endian, whatever the processor is. [virtio 1.4,
 * Virtio Over MMIO] */
#include "platform.h"
#include "transport.h"

enum {
    MAGIC = 0x000,
    VERSION = 0x004,
    DEVICE_ID = 0x008,
    DEVICE_FEATURES = 0x010,
    DEVICE_FEATURES_SELECT = 0x014,
    DRIVER_FEATURES = 0x020,
    DRIVER_FEATURES_SELECT = 0x024,
    QUEUE_SELECT = 0x030,
    QUEUE_SIZE_MAX = 0x034,
    QUEUE_SIZE = 0x038,
    QUEUE_READY = 0x044,
    QUEUE_NOTIFY = 0x050,
    INTERRUPT_STATUS = 0x060,
    INTERRUPT_ACKNOWLEDGE = 0x064,
    STATUS = 0x070,
    QUEUE_DESCRIPTOR = 0x080,
    QUEUE_DRIVER = 0x090,
    QUEUE_DEVICE = 0x0a0,
    CONFIG = 0x100
};

static uint32_t swapped(uint32_t value)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap32(value);
#else
    return value;
#endif
}

static uint32_t get(const struct transport *transport, unsigned offset)
{
    return swapped(platform_read32(transport->base + offset));
}

static void put(const struct transport *transport, unsigned offset, uint32_t value)
{
    platform_write32(transport->base + offset, swapped(value));
}

static uint32_t read_status(struct transport *transport)
{
    return get(transport, STATUS);
}

static void write_status(struct transport *transport, uint32_t status)
{
    put(transport, STATUS, status);
}

static uint64_t offered(struct transport *transport)
{
    uint64_t features;

    put(transport, DEVICE_FEATURES_SELECT, 1);
    features = (uint64_t)get(transport, DEVICE_FEATURES) << 32;
    put(transport, DEVICE_FEATURES_SELECT, 0);
    return features | get(transport, DEVICE_FEATURES);
}

static void accept(struct transport *transport, uint64_t features)
{
    put(transport, DRIVER_FEATURES_SELECT, 1);
    put(transport, DRIVER_FEATURES, (uint32_t)(features >> 32));
    put(transport, DRIVER_FEATURES_SELECT, 0);
    put(transport, DRIVER_FEATURES, (uint32_t)features);
}

static uint32_t select_queue(struct transport *transport, unsigned queue)
{
    put(transport, QUEUE_SELECT, queue);
    return get(transport, QUEUE_SIZE_MAX);
}

static void put_address(struct transport *transport, unsigned offset, uint64_t address)
{
    put(transport, offset, (uint32_t)address);
    put(transport, offset + 4, (uint32_t)(address >> 32));
}

static void enable(struct transport *transport, uint32_t size,
                   const struct virtq_area_addresses *addresses)
{
    put(transport, QUEUE_SIZE, size);
    put_address(transport, QUEUE_DESCRIPTOR, addresses->descriptor);
    put_address(transport, QUEUE_DRIVER, addresses->driver);
    put_address(transport, QUEUE_DEVICE, addresses->device);
    put(transport, QUEUE_READY, 1);
}

static void notify(struct transport *transport, unsigned queue, uint32_t data)
{
    (void)queue; /* it is the low half of `data` */
    put(transport, QUEUE_NOTIFY, data);
}

static void acknowledge(struct transport *transport)
{
    put(transport, INTERRUPT_ACKNOWLEDGE, get(transport, INTERRUPT_STATUS));
}

static uint32_t read_config(struct transport *transport, unsigned offset)
{
    return get(transport, CONFIG + offset);
}

static const struct transport_ops operations = {read_status,  write_status, offered, accept,
                                                select_queue, enable,       notify,  acknowledge,
                                                read_config,  NULL};

bool mmio_find(unsigned type, unsigned n, struct transport *transport)
{
    for (unsigned slot = 0; slot < platform_slots.count; slot++) {
        *transport = (struct transport){.ops = &operations,
                                        .base = platform_slots.base + slot * platform_slots.stride,
                                        .slot = slot};
        if (get(transport, MAGIC) == 0x74726976u && get(transport, VERSION) == 2 &&
            get(transport, DEVICE_ID) == type && n-- == 0) {
            return true;
        }
    }
    return false;
}
