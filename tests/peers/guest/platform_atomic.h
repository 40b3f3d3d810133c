/* SPDX-License-Identifier: BSD-3-Clause */
/* What the compiler asks for where the processor has no 64-bit atomic access, which libatomic would
 * bring. There is one processor, and its interrupts touch none of this: nobody sees anything in
 * between; and what a device reads of 64 bits is published by a store of 16. */
#ifndef PEERS_GUEST_PLATFORM_ATOMIC_H
#define PEERS_GUEST_PLATFORM_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

uint64_t platform_load8(const volatile void *at, int order) __asm__("__atomic_load_8");
void platform_store8(volatile void *at, uint64_t value, int order) __asm__("__atomic_store_8");
uint64_t platform_add8(volatile void *at, uint64_t value,
                       int order) __asm__("__atomic_fetch_add_8");
bool platform_exchange8(volatile void *at, void *expected, uint64_t value, int success,
                        int failure) __asm__("__atomic_compare_exchange_8");

uint64_t platform_load8(const volatile void *at, int order)
{
    (void)order;
    return *(const volatile uint64_t *)at;
}

void platform_store8(volatile void *at, uint64_t value, int order)
{
    (void)order;
    *(volatile uint64_t *)at = value;
}

uint64_t platform_add8(volatile void *at, uint64_t value, int order)
{
    uint64_t before = platform_load8(at, order);

    platform_store8(at, before + value, order);
    return before;
}

bool platform_exchange8(volatile void *at, void *expected, uint64_t value, int success, int failure)
{
    uint64_t *known = expected;
    uint64_t before = platform_load8(at, failure);

    if (before != *known) {
        *known = before;
        return false;
    }
    platform_store8(at, value, success);
    return true;
}

#endif
