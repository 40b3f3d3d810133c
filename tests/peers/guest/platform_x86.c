/* SPDX-License-Identifier: BSD-3-Clause */
/* QEMU's `microvm`, 32 bits: a 16550 and the debug exit, both by ports. It polls. */
#include "platform.h"
#include "platform_polled.h"

const struct platform_slots platform_slots = {0xfeb00000u, 0x200u, 24};

void platform_put(char letter)
{
    __asm__ __volatile__("outb %0, %1" ::"a"(letter), "Nd"((uint16_t)0x3f8));
}

_Noreturn void platform_exit(int code)
{
    __asm__ __volatile__("outl %0, %1" ::"a"(code), "Nd"((uint16_t)0xf4));
    for (;;) {
        __asm__ __volatile__("hlt");
    }
}
