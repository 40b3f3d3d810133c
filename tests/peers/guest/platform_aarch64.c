/* SPDX-License-Identifier: BSD-3-Clause */
/* QEMU's `virt` for arm: PL011, GICv2 with a frame for messages, and the end by semihosting. */
#include "platform.h"

#define UART 0x09000000u
#define GIC_DISTRIBUTOR 0x08000000u
#define GIC_CPU 0x08010000u
#define PCI_CONFIG 0x3f000000u
#define GIC_MESSAGE 0x08020040u
#define FIRST_INTERRUPT                                                                       \
    48u                 /* of slot 0: shared peripheral interrupt 16; slots beyond: by number \
                         */
#define PCI_LINE 35u    /* the first of four */
#define PCI_MESSAGE 80u /* the first of those that a message can be */

const struct platform_slots platform_slots = {0x0a000000u, 0x200u, 32};
const struct platform_pci platform_pci = {0x10000000u, 0x3eff0000u};

static volatile uint32_t interrupts;

void platform_interrupt(void);

void platform_put(char letter)
{
    platform_write32(UART, (uint8_t)letter);
}

_Noreturn void platform_exit(int code)
{
    const uint64_t arguments[2] = {0x20026u /* an application's own end */, (uint64_t)code};
    register uint64_t operation __asm__("x0") = 0x18;
    register const uint64_t *argument __asm__("x1") = arguments;

    __asm__ __volatile__("hlt #0xf000" ::"r"(operation), "r"(argument) : "memory");
    for (;;) {
        __asm__ __volatile__("wfi");
    }
}

static unsigned number_of(unsigned slot)
{
    return slot < platform_slots.count ? FIRST_INTERRUPT + slot : slot;
}

unsigned platform_pci_line(unsigned device, unsigned pin)
{
    return PCI_LINE + (device + pin - 1) % 4;
}

bool platform_pci_message(uint64_t *address, uint32_t *data, unsigned *slot)
{
    *address = GIC_MESSAGE;
    *data = PCI_MESSAGE;
    *slot = PCI_MESSAGE;
    return true;
}

bool platform_open_interrupt(unsigned slot)
{
    unsigned id = number_of(slot);
    uint32_t kind = platform_read32(GIC_DISTRIBUTOR + 0xc00u + id / 16 * 4);

    if (id > PCI_MESSAGE) {
        return false;
    }
    if (id == PCI_MESSAGE) { /* by its edge: a message has no end */
        platform_write32(GIC_DISTRIBUTOR + 0xc00u + id / 16 * 4, kind | 2u << id % 16 * 2);
    }
    platform_write32(GIC_DISTRIBUTOR, 1);
    platform_write8(GIC_DISTRIBUTOR + 0x800u + id, 1);                         /* to processor 0 */
    platform_write32(GIC_DISTRIBUTOR + 0x280u + id / 32 * 4, 1u << (id % 32)); /* not the old one */
    platform_write32(GIC_DISTRIBUTOR + 0x100u + id / 32 * 4, 1u << (id % 32));
    platform_write32(GIC_CPU + 4u, 0xff); /* every priority */
    platform_write32(GIC_CPU, 1);
    __asm__ __volatile__("msr daifclr, #2" ::: "memory");
    return true;
}

/* Called by start_aarch64.S. */
void platform_interrupt(void)
{
    uint32_t taken = platform_read32(GIC_CPU + 0xcu);
    uint32_t id = taken & 0x3ffu;

    if (id < PCI_LINE || id > PCI_MESSAGE) {
        return; /* spurious */
    }
    platform_interrupted(id - FIRST_INTERRUPT < platform_slots.count ? id - FIRST_INTERRUPT : id);
    platform_write32(GIC_CPU + 0x10u, taken);
    interrupts++;
}

uint32_t platform_interrupts(void)
{
    return interrupts;
}

void platform_sleep(uint32_t seen)
{
    /* Masked between the look and the sleep, or the one awaited comes in between; a masked one
     * still wakes. */
    while (interrupts == seen) {
        __asm__ __volatile__("msr daifset, #2" ::: "memory");
        if (interrupts == seen) {
            __asm__ __volatile__("wfi" ::: "memory");
        }
        __asm__ __volatile__("msr daifclr, #2\n\tisb" ::: "memory");
    }
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

uint32_t platform_config_read(unsigned device, unsigned offset, unsigned bytes)
{
    return platform_bus_read(PCI_CONFIG + ((uintptr_t)device << 15) + offset, bytes);
}

void platform_config_write(unsigned device, unsigned offset, unsigned bytes, uint32_t value)
{
    platform_bus_write(PCI_CONFIG + ((uintptr_t)device << 15) + offset, bytes, value);
}

uintptr_t platform_bar(unsigned device, unsigned bar, uint32_t placed)
{
    (void)device;
    (void)bar;
    return placed;
}
