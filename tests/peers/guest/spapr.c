/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls, services and the device tree; and with them the accesses of the virtio-pci transport,
 * whose registers are little-endian. */
#include "spapr.h"

#include <stdbool.h>
#include <stddef.h>

#include "console.h"
#include "platform.h"

enum { CALL_LOAD = 0x3c, CALL_STORE = 0x40, CALL_SERVICE = 0xf000 };
enum { TREE_NODE = 1, TREE_END_NODE = 2, TREE_PROPERTY = 3, TREE_NOTHING = 4 };

#define RANGE_CELLS 7u
#define RANGE_32_BITS 0x02000000u

uintptr_t platform_tree; /* set by start_ppc64.S */

int64_t spapr_call(uint64_t call, const uint64_t arguments[4], uint64_t *result)
{
    register uint64_t r3 __asm__("r3") = call;
    register uint64_t r4 __asm__("r4") = arguments[0];
    register uint64_t r5 __asm__("r5") = arguments[1];
    register uint64_t r6 __asm__("r6") = arguments[2];
    register uint64_t r7 __asm__("r7") = arguments[3];

    __asm__ __volatile__("sc 1"
                         : "+r"(r3), "+r"(r4), "+r"(r5), "+r"(r6), "+r"(r7)
                         :
                         : "r0", "r8", "r9", "r10", "r11", "r12", "ctr", "xer", "cr0", "cr1", "cr5",
                           "cr6", "cr7", "memory");
    if (result != NULL) {
        *result = r4;
    }
    return (int64_t)r3;
}

/* Whether the text begins like that; `whole`: and ends there. */
static bool begins(const char *text, const char *with, bool whole)
{
    while (*with != '\0' && *text == *with) {
        text++;
        with++;
    }
    return *with == '\0' && (!whole || *text == '\0');
}

const uint32_t *spapr_property(const char *node, const char *name, uint32_t *bytes)
{
    const uint32_t *head = (const uint32_t *)platform_tree;
    const char *names = (const char *)(platform_tree + head[3]);
    const uint32_t *at = (const uint32_t *)(platform_tree + head[2]);
    bool inside = false;

    for (;; at++) {
        if (*at == TREE_NODE) {
            const char *text = (const char *)(at + 1);

            inside = begins(text, node, false);
            while ((*++at & 0xffu) != 0) { /* to the word that ends the name */
            }
        } else if (*at == TREE_END_NODE) {
            inside = false;
        } else if (*at == TREE_PROPERTY) {
            if (inside && begins(names + at[2], name, true)) {
                *bytes = at[1];
                return at + 3;
            }
            at += 2 + (at[1] + 3) / 4;
        } else if (*at != TREE_NOTHING) {
            return NULL;
        }
    }
}

void spapr_service(const char *name, unsigned argument_count, const uint32_t *arguments,
                   unsigned result_count, uint32_t *results)
{
    static uint32_t block[16];
    uint32_t bytes;
    const uint32_t *token = spapr_property("rtas", name, &bytes);
    uint64_t call[4] = {(uintptr_t)block};

    check(token != NULL && 3 + argument_count + result_count <= 16, name);
    block[0] = *token;
    block[1] = argument_count;
    block[2] = result_count;
    for (unsigned i = 0; i < argument_count; i++) {
        block[3 + i] = arguments[i];
    }
    check(spapr_call(CALL_SERVICE, call, NULL) == 0, name);
    for (unsigned i = 0; i < result_count; i++) {
        results[i] = block[3 + argument_count + i];
    }
}

const uint32_t *spapr_bridge(void)
{
    uint32_t bytes;
    const uint32_t *unit = spapr_property("pci@", "reg", &bytes);

    check(unit != NULL && bytes >= 8, "a PCI host bridge");
    return unit;
}

uint32_t platform_config_read(unsigned device, unsigned offset, unsigned bytes)
{
    const uint32_t *unit = spapr_bridge();
    const uint32_t arguments[] = {device << 11 | offset, unit[0], unit[1], bytes};
    uint32_t results[2];

    spapr_service("ibm,read-pci-config", 4, arguments, 2, results);
    return results[0] == 0 ? results[1] : UINT32_MAX;
}

void platform_config_write(unsigned device, unsigned offset, unsigned bytes, uint32_t value)
{
    const uint32_t *unit = spapr_bridge();
    const uint32_t arguments[] = {device << 11 | offset, unit[0], unit[1], bytes, value};
    uint32_t result;

    spapr_service("ibm,write-pci-config", 5, arguments, 1, &result);
    check(result == 0, "a write to the configuration space");
}

uintptr_t platform_bar(unsigned device, unsigned bar, uint32_t placed)
{
    uint32_t bytes;
    const uint32_t *range = spapr_property("pci@", "ranges", &bytes);

    (void)device;
    (void)bar;
    check(range != NULL, "addresses of PCI");
    for (uint32_t i = 0; i + RANGE_CELLS <= bytes / 4; i += RANGE_CELLS, range += RANGE_CELLS) {
        if (range[0] == RANGE_32_BITS && placed >= range[2]) {
            return ((uintptr_t)range[3] << 32 | range[4]) + (placed - range[2]);
        }
    }
    check(false, "a BAR's address");
    return 0;
}

static uint32_t swapped(uint64_t value, unsigned bytes)
{
    return bytes == 1   ? (uint8_t)value
           : bytes == 2 ? __builtin_bswap16((uint16_t)value)
                        : __builtin_bswap32((uint32_t)value);
}

uint32_t platform_bus_read(uintptr_t address, unsigned bytes)
{
    const uint64_t arguments[4] = {bytes, address};
    uint64_t value;

    check(spapr_call(CALL_LOAD, arguments, &value) == 0, "a load");
    return swapped(value, bytes);
}

void platform_bus_write(uintptr_t address, unsigned bytes, uint32_t value)
{
    const uint64_t arguments[4] = {bytes, address, swapped(value, bytes)};

    check(spapr_call(CALL_STORE, arguments, NULL) == 0, "a store");
}
