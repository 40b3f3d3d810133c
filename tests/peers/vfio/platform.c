/* SPDX-License-Identifier: BSD-3-Clause */
/* What the guest of tests/peers/guest needs of a machine, in a Linux program: configuration spaces
 * by system calls, BARs in memory, interrupts by eventfd. */
#include "../guest/platform.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../guest/console.h"
#include "devices.h"

#define PATIENCE 60000 /* milliseconds until an interrupt counts as lost */

const struct platform_slots platform_slots = {0, 0, 0};
const struct platform_pci platform_pci = {0, 0};

static const struct device *selected;
static uint32_t interrupts;

void devices_select(unsigned device)
{
    selected = &devices[device];
}

void platform_put(char letter)
{
    (void)putchar(letter);
}

_Noreturn void platform_exit(int code)
{
    exit(code);
}

uint32_t platform_config_read(unsigned device, unsigned offset, unsigned bytes)
{
    uint32_t value = 0; /* little-endian, as the space is */

    if (device >= devices_count) {
        return UINT32_MAX;
    }
    devices_check(virtq_vfio_device_read(&devices[device].vfio, VIRTQ_VFIO_CONFIG_REGION, offset,
                                         &value, bytes),
                  "the configuration is read");
    return value;
}

void platform_config_write(unsigned device, unsigned offset, unsigned bytes, uint32_t value)
{
    devices_check(virtq_vfio_device_write(&devices[device].vfio, VIRTQ_VFIO_CONFIG_REGION, offset,
                                          &value, bytes),
                  "the configuration is written");
}

uintptr_t platform_bar(unsigned device, unsigned bar, uint32_t placed)
{
    (void)placed;
    check(bar < 6 && devices[device].bars[bar] != NULL, "the BAR is mapped");
    return (uintptr_t)devices[device].bars[bar];
}

uint32_t platform_bus_read(uintptr_t address, unsigned bytes)
{
    return bytes == 1   ? platform_read8(address)
           : bytes == 2 ? platform_read16(address)
                        : platform_read32(address);
}

void platform_bus_write(uintptr_t address, unsigned bytes, uint32_t value)
{
    if (bytes == 1) {
        platform_write8(address, (uint8_t)value);
    } else if (bytes == 2) {
        platform_write16(address, (uint16_t)value);
    } else {
        platform_write32(address, value);
    }
}

/* The kernel has the table of vectors. */
unsigned platform_pci_line(unsigned device, unsigned pin)
{
    (void)device;
    (void)pin;
    return 0;
}

bool platform_pci_message(uint64_t *address, uint32_t *data, unsigned *slot)
{
    (void)address;
    (void)data;
    (void)slot;
    return false;
}

bool platform_open_interrupt(unsigned slot)
{
    (void)slot;
    return true;
}

/* The kernel counts them; a number of them at once is one. */
uint32_t platform_interrupts(void)
{
    uint64_t count = 0;

    if (read(selected->event, &count, sizeof(count)) == sizeof(count)) {
        interrupts += (uint32_t)count;
    }
    return interrupts;
}

void platform_sleep(uint32_t seen)
{
    struct pollfd ready = {selected->event, POLLIN, 0};

    while (platform_interrupts() == seen) {
        check(poll(&ready, 1, PATIENCE) > 0, "an interrupt comes");
    }
}
