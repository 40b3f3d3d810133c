/* SPDX-License-Identifier: BSD-3-Clause */
/* QEMU's `virt` for m68k, big-endian: a goldfish terminal and the controller that halts. It polls.
 */
#include "platform.h"
#include "platform_atomic.h"
#include "platform_polled.h"

#define TERMINAL 0xff008000u
#define CONTROLLER 0xff009000u

const struct platform_slots platform_slots = {0xff010000u, 0x200u, 128};

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
