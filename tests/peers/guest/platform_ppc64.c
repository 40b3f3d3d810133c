/* SPDX-License-Identifier: BSD-3-Clause */
/* QEMU's `pseries`, big-endian, in place of its firmware: the hypervisor's terminal, and the end by
 * a run-time service. It polls. */
#include "platform.h"
#include "platform_polled.h"
#include "spapr.h"

#define CALL_PUT_TERMINAL 0x58u

const struct platform_slots platform_slots = {0, 0, 0};
const struct platform_pci platform_pci = {0x80000000u, 0xf0000000u};

void platform_put(char letter)
{
    const uint64_t arguments[4] = {0 /* the first terminal */, 1, (uint64_t)(uint8_t)letter << 56};

    (void)spapr_call(CALL_PUT_TERMINAL, arguments, 0);
}

/* The machine has no way to hand over a code: the text tells. */
_Noreturn void platform_exit(int code)
{
    static const uint32_t arguments[2] = {UINT32_MAX, UINT32_MAX};
    uint32_t result;

    (void)code;
    spapr_service("power-off", 2, arguments, 1, &result);
    for (;;) {
    }
}
