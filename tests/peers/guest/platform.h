/* SPDX-License-Identifier: BSD-3-Clause */
/* What differs from machine to machine; each has a platform_NAME.c and a start_NAME.S. */
#ifndef PEERS_GUEST_PLATFORM_H
#define PEERS_GUEST_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

/* Where the machine has its virtio-mmio transports, used or not. */
struct platform_slots {
    uintptr_t base;
    uintptr_t stride;
    unsigned count;
};

extern const struct platform_slots platform_slots;

/* PCI; only where GUEST_PCI is defined. Memory for BARs; 0: they are not to be placed. */
struct platform_pci {
    uintptr_t memory;
    uintptr_t memory_end;
};

extern const struct platform_pci platform_pci;

/* The configuration of a device on bus 0, and registers in its BARs: numbers of 1, 2 or 4 bytes, in
 * the processor's byte order. */
uint32_t platform_config_read(unsigned device, unsigned offset, unsigned bytes);
void platform_config_write(unsigned device, unsigned offset, unsigned bytes, uint32_t value);
uint32_t platform_bus_read(uintptr_t address, unsigned bytes);
void platform_bus_write(uintptr_t address, unsigned bytes, uint32_t value);

/* The interrupt of a PCI device, for platform_open_interrupt(): that of its line, 1 to 4; or that
 * of a message, which is a store of `data` at `address`: false: there are none. */
unsigned platform_pci_line(unsigned device, unsigned pin);
bool platform_pci_message(uint64_t *address, uint32_t *data, unsigned *slot);

/* Where platform_bus_read() finds a BAR that holds `placed`. */
uintptr_t platform_bar(unsigned device, unsigned bar, uint32_t placed);

void platform_put(char letter);

/* Ends the machine; 0 is success. */
_Noreturn void platform_exit(int code);

/* Routes the interrupt of a transport to platform_interrupted(); false: this machine only polls. */
bool platform_open_interrupt(unsigned slot);

/* How many interrupts have been served. */
uint32_t platform_interrupts(void);

/* Sleeps until platform_interrupts() is no longer `seen`. */
void platform_sleep(uint32_t seen);

/* Called by the platform, on an interrupt of a transport: makes the transport withdraw it. */
void platform_interrupted(unsigned slot);

/* The C program, called by start_NAME.S. */
_Noreturn void guest_main(void);

/* Device registers: single accesses that the compiler neither moves nor merges. */
static inline uint8_t platform_read8(uintptr_t address)
{
    return *(volatile uint8_t *)address;
}

static inline void platform_write8(uintptr_t address, uint8_t value)
{
    *(volatile uint8_t *)address = value;
}

static inline uint16_t platform_read16(uintptr_t address)
{
    return *(volatile uint16_t *)address;
}

static inline void platform_write16(uintptr_t address, uint16_t value)
{
    *(volatile uint16_t *)address = value;
}

static inline uint32_t platform_read32(uintptr_t address)
{
    return *(volatile uint32_t *)address;
}

static inline void platform_write32(uintptr_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

#endif
