/* SPDX-License-Identifier: BSD-3-Clause */
/* QEMU's `virt` for m68k, big-endian: a goldfish terminal, the controller that halts, and goldfish
 * interrupt controllers, of 32 interrupts each. */
#include "platform.h"

#define INTERRUPTS 0xff001000u /* the controller of slot 0; the others follow */
#define INTERRUPTS_STEP 0x1000u
#define INTERRUPTS_PENDING 4u
#define INTERRUPTS_ENABLE 16u
#define TERMINAL 0xff008000u
#define CONTROLLER 0xff009000u

const struct platform_slots platform_slots = {0xff010000u, 0x200u, 128};

static volatile uint32_t interrupts;

void platform_interrupt(void);

void platform_put(char letter)
{
    platform_write32(TERMINAL, (uint8_t)letter);
}

/* The machine has no way to hand over a code: the text tells. */
_Noreturn void platform_exit(int code)
{
    (void)code;
    platform_write32(CONTROLLER + 4u, 2);
    for (;;) {
    }
}

bool platform_open_interrupt(unsigned slot)
{
    platform_write32(INTERRUPTS + slot / 32 * INTERRUPTS_STEP + INTERRUPTS_ENABLE, 1u << slot % 32);
    __asm__ __volatile__("move.w #0x2000, %%sr" ::: "memory");
    return true;
}

/* Called by start_m68k.S. An interrupt lasts until the device withdraws it. */
void platform_interrupt(void)
{
    for (unsigned slot = 0; slot < platform_slots.count; slot += 32) {
        uint32_t pending =
            platform_read32(INTERRUPTS + slot / 32 * INTERRUPTS_STEP + INTERRUPTS_PENDING);

        for (unsigned i = 0; i < 32; i++) {
            if ((pending >> i & 1u) != 0) {
                platform_interrupted(slot + i);
                interrupts++;
            }
        }
    }
}

uint32_t platform_interrupts(void)
{
    return interrupts;
}

void platform_sleep(uint32_t seen)
{
    /* Masked between the look and the sleep, or the one awaited comes in between; going to sleep
     * lets it in. */
    while (interrupts == seen) {
        __asm__ __volatile__("move.w #0x2700, %%sr" ::: "memory");
        if (interrupts == seen) {
            __asm__ __volatile__("stop #0x2000" ::: "memory");
        } else {
            __asm__ __volatile__("move.w #0x2000, %%sr" ::: "memory");
        }
    }
}
