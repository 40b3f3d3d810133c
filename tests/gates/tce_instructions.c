/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Work for an instruction counter: TCE windows in steady state, guest and hypervisor in one
 * program.
 *
 * Usage: tce_instructions WHAT ROUNDS, and it exits with 1 if something is wrong. WHAT is `page`
 * (one is mapped and unmapped), `list` (512 at once) or `lookup` (a page without neighbours).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virtq/iommu/tce_backend.h"
#include "virtq/iommu/tce_table.h"
#include "virtq/space/direct.h"

enum { PAGE = 4096, PAGES = 1024, ENTRIES = 4096, BOTH = VIRTQ_TCE_READ | VIRTQ_TCE_WRITE };

#define REAL UINT64_C(0x10000000)

static unsigned char memory[PAGES * PAGE] __attribute__((aligned(4096)));
static uint64_t entries[ENTRIES + VIRTQ_TCE_LIST_MAX];
static struct virtq_region region = {REAL, REAL + sizeof(memory) - 1, memory, BOTH};
static struct virtq_direct direct;
static struct virtq_tce_table table;
static struct virtq_tce_host host;
static struct virtq_tce_backend backend;

static void check(int ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "tce_instructions: %s\n", what);
        exit(1);
    }
}

static void open_ends(void)
{
    const struct virtq_tce_window window = {0, ENTRIES, 1, 12};
    struct virtq_tce_table_config config = VIRTQ_TCE_TABLE_CONFIG_INIT;
    struct virtq_tce_backend_config guest = VIRTQ_TCE_BACKEND_CONFIG_INIT;

    check(virtq_direct_init_regions(&direct, &region, 1) == 0, "memory");
    config.window = window;
    config.memory = &direct.space;
    config.entries = entries;
    config.entries_size = sizeof(entries);
    check(virtq_tce_table_init(&table, &config) == 0, "table");
    virtq_tce_host_init(&host);
    check(virtq_tce_host_add(&host, &table) == 0, "host");
    guest.window = window;
    guest.call = virtq_tce_host_call;
    guest.context = &host;
    guest.memory = &region;
    guest.memory_count = 1;
    guest.calls = VIRTQ_TCE_HAS_PUT_INDIRECT | VIRTQ_TCE_HAS_STUFF;
    guest.lists = memory;
    guest.list_count = 1;
    check(virtq_tce_backend_init(&backend, &guest) == 0, "backend");
}

/* Named, so that what is counted can be. */
__attribute__((noinline)) static void counted_round(const struct virtq_region *range)
{
    check(backend.backend.map(backend.backend.context, range, 1) == 0, "map");
    check(backend.backend.unmap(backend.backend.context, range, 1) == 0, "unmap");
}

__attribute__((noinline)) static void counted_lookup(virtq_addr_t addr)
{
    struct virtq_window window;

    check(table.space.ops->window(&table.space, addr, VIRTQ_TCE_READ, &window) == 0, "lookup");
    check(window.last - window.first == PAGE - 1, "one page");
}

int main(int argc, char **argv)
{
    unsigned rounds = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    unsigned pages = argc == 3 && strcmp(argv[1], "list") == 0 ? 512 : 1;

    check(rounds != 0, "usage: tce_instructions WHAT ROUNDS");
    open_ends();
    if (strcmp(argv[1], "lookup") == 0) {
        const struct virtq_region range = {8 * PAGE, 9 * PAGE - 1, memory + PAGE, BOTH};

        check(backend.backend.map(backend.backend.context, &range, 1) == 0, "map");
        for (unsigned round = 0; round < rounds; round++) {
            counted_lookup(8 * PAGE + round % PAGE);
        }
        return 0;
    }
    for (unsigned round = 0; round < rounds; round++) {
        const virtq_addr_t first = (virtq_addr_t)(round % 1024) * PAGE;
        const struct virtq_region range = {first, first + (virtq_addr_t)pages * PAGE - 1,
                                           memory + (size_t)(round % 512) * PAGE, BOTH};

        counted_round(&range);
    }
    return 0;
}
