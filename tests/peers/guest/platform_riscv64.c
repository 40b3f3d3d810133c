/* SPDX-License-Identifier: BSD-3-Clause */
/* QEMU's `virt` for RISC-V, in machine mode: a 16550, the PLIC, and the finisher. */
#include "console.h"
#include "platform.h"

#define UART 0x10000000u
#define FINISHER 0x00100000u
#define PLIC 0x0c000000u
#define PLIC_ENABLE (PLIC + 0x2000u) /* of machine mode of hart 0, as all of these */
#define PLIC_THRESHOLD (PLIC + 0x200000u)
#define PLIC_CLAIM (PLIC + 0x200004u)
#define FIRST_INTERRUPT 1u

const struct platform_slots platform_slots = {0x10001000u, 0x1000u, 8};

static volatile uint32_t interrupts;

void platform_put(char letter)
{
    platform_write8(UART, (uint8_t)letter);
}

_Noreturn void platform_exit(int code)
{
    platform_write32(FINISHER, code == 0 ? 0x5555u : (uint32_t)code << 16 | 0x3333u);
    for (;;) {
        __asm__ __volatile__("wfi");
    }
}

/* Everything that traps comes here. */
static __attribute__((interrupt("machine"), aligned(4))) void trap(void)
{
    uint64_t cause;
    uint32_t id;

    __asm__ __volatile__("csrr %0, mcause" : "=r"(cause));
    if (cause != ((uint64_t)1 << 63 | 11)) { /* an external interrupt */
        guest_trapped();
    }
    id = platform_read32(PLIC_CLAIM);
    if (id == 0) {
        return; /* spurious */
    }
    platform_interrupted(id - FIRST_INTERRUPT);
    platform_write32(PLIC_CLAIM, id);
    interrupts++;
}

bool platform_open_interrupt(unsigned slot)
{
    unsigned id = FIRST_INTERRUPT + slot;

    if (slot >= platform_slots.count) {
        return false;
    }
    __asm__ __volatile__("csrw mtvec, %0" ::"r"(trap));
    platform_write32(PLIC + id * 4, 1);
    platform_write32(PLIC_ENABLE, platform_read32(PLIC_ENABLE) | 1u << id);
    platform_write32(PLIC_THRESHOLD, 0);
    __asm__ __volatile__("csrs mie, %0" ::"r"((uint64_t)1 << 11) : "memory");
    __asm__ __volatile__("csrsi mstatus, 8" ::: "memory");
    return true;
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
        __asm__ __volatile__("csrci mstatus, 8" ::: "memory");
        if (interrupts == seen) {
            __asm__ __volatile__("wfi" ::: "memory");
        }
        __asm__ __volatile__("csrsi mstatus, 8" ::: "memory");
    }
}
