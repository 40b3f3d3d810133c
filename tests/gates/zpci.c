/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Work for an instruction counter: a range is mapped in a guest's tables, refreshed,
 * translated, unmapped and refreshed again.
 *
 * Usage: zpci ROUNDS PAGES, and it exits with 1 if a translation is wrong. Each kind of work is a
 * function of its own: guest_work, host_work, device_work.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "virtq/iommu/zpci_guest.h"
#include "virtq/iommu/zpci_host.h"
#include "virtq/space/direct.h"

enum { PAGE = 4096, PAGES = 1024, TABLES = 1 << 20, HANDLE = 1 };

#define ABSOLUTE ((uint64_t)1 << 32)
#define FIRST ((virtq_addr_t)1 << 40)

static _Alignas(PAGE) unsigned char memory[(size_t)PAGES * PAGE + TABLES];
static const struct virtq_region region = {ABSOLUTE, ABSOLUTE + sizeof(memory) - 1, memory, 3};
static struct virtq_direct direct;
static struct virtq_zpci_host host;
static struct virtq_zpci_guest guest;
static struct virtq_iommu_backend backend;

static void check(int ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "zpci: %s\n", what);
        exit(1);
    }
}

/* The host is called by hand. */
static uint32_t rpcit(void *context, uint64_t function, virtq_addr_t first, uint64_t len,
                      uint32_t *status)
{
    (void)context;
    (void)function;
    (void)first;
    (void)len;
    *status = VIRTQ_ZPCI_STATUS_NONE;
    return VIRTQ_ZPCI_DONE;
}

static void open_both(void)
{
    struct virtq_zpci_host_config here = VIRTQ_ZPCI_HOST_CONFIG_INIT;
    struct virtq_zpci_guest_config there = VIRTQ_ZPCI_GUEST_CONFIG_INIT;

    check(virtq_direct_init_regions(&direct, &region, 1) == 0, "memory");
    here.memory = &direct.space;
    here.handle = there.handle = HANDLE;
    here.tables_size = virtq_zpci_host_size(here.regions, here.segments);
    here.tables = malloc(here.tables_size);
    check(virtq_zpci_host_init(&host, &here) == 0, "host");
    there.memory = &region;
    there.memory_count = 1;
    there.tables = memory + (size_t)PAGES * PAGE;
    there.tables_size = virtq_zpci_guest_tables_size(1, 64);
    there.books_size = virtq_zpci_guest_books_size(1, 64);
    there.books = malloc(there.books_size);
    there.rpcit = rpcit;
    check(there.tables_size <= TABLES, "room for tables");
    check(virtq_zpci_guest_init(&guest, &there) == 0, "guest");
    virtq_zpci_guest_backend(&guest, &backend);
    check(virtq_zpci_host_register(&host, 0, VIRTQ_ZPCI_LAST, virtq_zpci_guest_anchor(&guest)) == 0,
          "tables");
}

static __attribute__((noinline)) int guest_work(const struct virtq_region *range, int map)
{
    return map ? backend.map(backend.context, range, 1) : backend.unmap(backend.context, range, 1);
}

static __attribute__((noinline)) uint32_t host_work(uint64_t len)
{
    struct virtq_zpci_answer answer;

    virtq_zpci_host_refresh(&host, (uint64_t)HANDLE << 32, FIRST, len, &answer);
    return answer.condition;
}

static __attribute__((noinline)) const unsigned char *device_work(virtq_addr_t addr)
{
    struct virtq_window window;

    return host.space.ops->window(&host.space, addr, VIRTQ_PERMISSION_READ, &window) == 0
               ? window.base + (addr - window.first)
               : NULL;
}

int main(int argc, char **argv)
{
    unsigned rounds = argc == 3 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    unsigned pages = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;

    check(rounds != 0 && pages != 0 && pages <= PAGES, "usage: zpci ROUNDS PAGES");
    open_both();
    for (unsigned round = 0; round < rounds; round++) {
        const uint64_t len = (uint64_t)pages * PAGE;
        const struct virtq_region range = {FIRST, FIRST + len - 1, memory, 3};

        check(guest_work(&range, 1) == 0, "map");
        check(host_work(len) == 0, "refresh");
        check(device_work(FIRST + len - 7) == memory + len - 7, "another byte");
        check(guest_work(&range, 0) == 0, "unmap");
        check(host_work(len) == 0, "refresh");
        check(device_work(FIRST) == NULL, "still there");
    }
    free(host.entries);
    free(guest.leaves);
    return 0;
}
