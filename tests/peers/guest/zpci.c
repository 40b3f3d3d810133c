/* SPDX-License-Identifier: BSD-3-Clause */
/* The instructions of zPCI, and with them the accesses of the virtio-pci transport. Configuration
 * space and BARs are little-endian: a number comes swapped. */
#include "zpci.h"

#include <stddef.h>
#include <string.h>

#include "console.h"
#include "platform.h"

enum { LIST = 2, QUERY = 3, QUERY_GROUP = 4, SET = 5 };

#define REQUEST 32u /* bytes, of each of them */
#define OK 0x10u
#define FUNCTIONS 4u
#define LIST_HEADER 32u
#define LIST_ENTRY 16u
#define CONFIGURED 0x80000000u
#define SPACE_CONFIG 15u

static struct zpci_function functions[FUNCTIONS];
static unsigned count;
static bool listed;

/* A request, then the response. */
static uint8_t block[REQUEST + 192] __attribute__((aligned(8)));

static unsigned condition(uint32_t from_ipm)
{
    return from_ipm >> 28;
}

static uint64_t response(unsigned offset, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++) {
        value = value << 8 | block[REQUEST + offset + i];
    }
    return value;
}

/* CLP, with the one word that requests have besides their header. */
static void call(unsigned command, uint32_t word, uint32_t other, uint16_t response_bytes)
{
    uint64_t mask = 0;
    uint16_t bytes = REQUEST;
    uint16_t code = (uint16_t)command;

    memset(block, 0, sizeof(block));
    memcpy(block, &bytes, 2);
    memcpy(block + 2, &code, 2);
    memcpy(block + 16, &word, 4);
    memcpy(block + 20, &other, 4);
    memcpy(block + REQUEST, &response_bytes, 2);
    __asm__ __volatile__(".insn rre,0xb9a00000,%0,%1" : "+d"(mask) : "a"(block) : "cc", "memory");
    if (response(2, 2) != OK) {
        fail_at("a logical processor call", command, (uint32_t)response(2, 2));
    }
}

static void enable(struct zpci_function *function)
{
    call(QUERY, function->handle, 0, 192);
    function->first = response(64, 8);
    function->last = response(72, 8);
    call(QUERY_GROUP, (uint32_t)response(19, 1), 0, 64);
    function->refresh = (response(19, 1) & 1u) != 0;
    call(SET, function->handle, 1 /* one address space */, 32);
    function->handle = (uint32_t)response(16, 4);
}

static void list(void)
{
    call(LIST, 0, 0, LIST_HEADER + FUNCTIONS * LIST_ENTRY);
    for (unsigned at = LIST_HEADER; at < response(0, 2); at += LIST_ENTRY) {
        if ((response(at + 4, 4) & CONFIGURED) != 0) {
            functions[count++].handle = (uint32_t)response(at + 12, 4);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        enable(&functions[i]);
    }
    listed = true;
}

const struct zpci_function *zpci_function(unsigned n)
{
    if (!listed) {
        list();
    }
    return n < count ? &functions[n] : NULL;
}

unsigned zpci_modify(uint32_t handle, enum zpci_control control, const struct zpci_block *from)
{
    uint64_t function = (uint64_t)handle << 32 | control;
    uint32_t code;

    __asm__ __volatile__(".insn rxy,0xe300000000d0,%1,%2\n\tipm %0"
                         : "=d"(code), "+d"(function)
                         : "T"(*from)
                         : "cc", "memory");
    return condition(code);
}

unsigned zpci_store(uint32_t handle, struct zpci_block *to)
{
    uint64_t function = (uint64_t)handle << 32;
    uint32_t code;

    __asm__ __volatile__(".insn rxy,0xe300000000d4,%1,%2\n\tipm %0"
                         : "=d"(code), "+d"(function), "=T"(*to)
                         :
                         : "cc", "memory");
    return condition(code);
}

uint32_t zpci_refresh(void *context, uint64_t function, uint64_t first, uint64_t len,
                      uint32_t *status)
{
    register uint64_t from __asm__("4") = first;
    register uint64_t bytes __asm__("5") = len;
    uint32_t code;

    (void)context;
    __asm__ __volatile__(".insn rre,0xb9d30000,%1,%2\n\tipm %0"
                         : "=d"(code), "+d"(function)
                         : "d"(from), "d"(bytes)
                         : "cc", "memory");
    *status = (uint32_t)(function >> 24) & 0xffu;
    return condition(code);
}

static uint32_t swapped(uint64_t value, unsigned bytes)
{
    return bytes == 1   ? (uint8_t)value
           : bytes == 2 ? __builtin_bswap16((uint16_t)value)
                        : __builtin_bswap32((uint32_t)value);
}

/* The first operand of PCILG and PCISTG. */
static uint64_t operand(unsigned device, unsigned space, unsigned bytes)
{
    return (uint64_t)functions[device].handle << 32 | space << 16 | bytes;
}

static uint32_t load(unsigned device, unsigned space, uint64_t offset, unsigned bytes)
{
    register uint64_t function __asm__("4") = operand(device, space, bytes);
    register uint64_t at __asm__("5") = offset;
    uint64_t value;
    uint32_t code;

    __asm__ __volatile__(".insn rre,0xb9d20000,%1,%2\n\tipm %0"
                         : "=&d"(code), "=&d"(value), "+d"(function), "+d"(at)
                         :
                         : "cc", "memory");
    if (condition(code) != 0) {
        fail_at("a load", (uint32_t)offset, condition(code));
    }
    return swapped(value, bytes);
}

static void store(unsigned device, unsigned space, uint64_t offset, unsigned bytes, uint32_t value)
{
    register uint64_t function __asm__("4") = operand(device, space, bytes);
    register uint64_t at __asm__("5") = offset;
    uint64_t stored = swapped(value, bytes);
    uint32_t code;

    __asm__ __volatile__(".insn rre,0xb9d00000,%1,%2\n\tipm %0"
                         : "=&d"(code), "+d"(stored), "+d"(function), "+d"(at)
                         :
                         : "cc", "memory");
    if (condition(code) != 0) {
        fail_at("a store", (uint32_t)offset, condition(code));
    }
}

uint32_t platform_config_read(unsigned device, unsigned offset, unsigned bytes)
{
    return zpci_function(device) == NULL ? UINT32_MAX : load(device, SPACE_CONFIG, offset, bytes);
}

void platform_config_write(unsigned device, unsigned offset, unsigned bytes, uint32_t value)
{
    store(device, SPACE_CONFIG, offset, bytes, value);
}

/* There are no addresses: the number of the function + 1, of the BAR, and the offset. */
uintptr_t platform_bar(unsigned device, unsigned bar, uint32_t placed)
{
    (void)placed;
    return (uintptr_t)(device + 1) << 48 | (uintptr_t)bar << 40;
}

uint32_t platform_bus_read(uintptr_t address, unsigned bytes)
{
    return load((unsigned)(address >> 48) - 1, address >> 40 & 0xffu, address & 0xffffffffffu,
                bytes);
}

void platform_bus_write(uintptr_t address, unsigned bytes, uint32_t value)
{
    store((unsigned)(address >> 48) - 1, address >> 40 & 0xffu, address & 0xffffffffffu, bytes,
          value);
}
