/* SPDX-License-Identifier: BSD-3-Clause */
/* A machine of which no interrupt is used. */
#ifndef PEERS_GUEST_PLATFORM_POLLED_H
#define PEERS_GUEST_PLATFORM_POLLED_H

#include "platform.h"

bool platform_open_interrupt(unsigned slot)
{
    (void)slot;
    return false;
}

uint32_t platform_interrupts(void)
{
    return 0;
}

void platform_sleep(uint32_t seen)
{
    (void)seen;
}

#ifdef GUEST_PCI
unsigned platform_pci_line(unsigned device, unsigned pin)
{
    return device * 0 + pin;
}

bool platform_pci_message(uint64_t *address, uint32_t *data, unsigned *slot)
{
    (void)address;
    (void)data;
    (void)slot;
    return false;
}
#endif

#endif
