/* SPDX-License-Identifier: BSD-3-Clause */
/* Both ends of a TCE window in one program: guest memory far from where this program has it, a
 * table, and a backend whose calls go through a hook that counts them and can let one fail. */
#ifndef VIRTQ_TESTS_IOMMU_TCE_FIXTURE_H
#define VIRTQ_TESTS_IOMMU_TCE_FIXTURE_H

#include <stdbool.h>

#include "support/runner.h"
#include "support/spaces.h"
#include "virtq/iommu/tce_backend.h"
#include "virtq/iommu/tce_table.h"
#include "virtq/space/direct.h"

enum {
    TCE_SMALL = 12,
    TCE_LARGE = 16,
    TCE_ENTRIES = 2048,
    TCE_MEMORY = 64 * 65536,
    TCE_BOTH = VIRTQ_TCE_READ | VIRTQ_TCE_WRITE
};

/* A name with the highest bit that there is. */
#define TCE_LIOBN UINT32_C(0x80000001)

/* Where guest memory begins in real addresses, and the window on the bus. */
#define TCE_REAL UINT64_C(0x20000000)
#define TCE_BUS UINT64_C(0x0800000000000000)

static unsigned char tce_arena[TCE_MEMORY + 65536] __attribute__((unused));

/* Guest memory, at a page of the largest kind. By hand: not every loader (Valgrind's, for one)
 * gives a program more than a small page's alignment. */
static inline unsigned char *tce_guest(void)
{
    return tce_arena + (65536 - (uintptr_t)tce_arena % 65536) % 65536;
}

struct tce_world {
    struct virtq_region region; /* All of guest memory, by real address. */
    struct virtq_direct memory;
    uint64_t entries[TCE_ENTRIES + VIRTQ_TCE_LIST_MAX];
    struct virtq_tce_table table;
    struct virtq_tce_host host;
    struct virtq_tce_backend_config config;
    struct virtq_tce_backend backend;
    unsigned calls;     /* That were made. */
    unsigned fail_at;   /* Which call fails, counted from 1; 0: none. */
    unsigned fail_more; /* So many after it fail as well. */
    int64_t failure;    /* With what. */
    uint64_t missing;   /* The number of a call that there is not. */
};

/* The hypervisor as the guest sees it. */
static inline int64_t tce_call(void *context, uint64_t call, const uint64_t *arguments,
                               uint64_t *result)
{
    struct tce_world *world = (struct tce_world *)context;

    world->calls++;
    if (call == world->missing) {
        return VIRTQ_TCE_FUNCTION;
    }
    if (world->fail_at != 0 && world->calls >= world->fail_at &&
        world->calls <= world->fail_at + world->fail_more) {
        return world->failure;
    }
    return virtq_tce_host_call(&world->host, call, arguments, result);
}

/* The first 4 KiB of guest memory are the list page. */
static inline void tce_open(struct tce_world *world, virtq_addr_t first, uint32_t shift)
{
    const struct virtq_tce_window window = {first, TCE_ENTRIES, TCE_LIOBN, shift};
    struct virtq_tce_table_config table = VIRTQ_TCE_TABLE_CONFIG_INIT;
    const struct virtq_tce_backend_config config = VIRTQ_TCE_BACKEND_CONFIG_INIT;

    memset(world, 0, sizeof(*world));
    world->region =
        (struct virtq_region){TCE_REAL, TCE_REAL + TCE_MEMORY - 1, tce_guest(), SPACES_BOTH};
    cr_assert_eq(virtq_direct_init_regions(&world->memory, &world->region, 1), 0);
    table.window = window;
    table.memory = &world->memory.space;
    table.entries = world->entries;
    table.entries_size = sizeof(world->entries);
    cr_assert_eq(virtq_tce_table_init(&world->table, &table), 0);
    virtq_tce_host_init(&world->host);
    cr_assert_eq(virtq_tce_host_add(&world->host, &world->table), 0);
    world->config = config;
    world->config.window = window;
    world->config.call = tce_call;
    world->config.context = world;
    world->config.memory = &world->region;
    world->config.memory_count = 1;
    world->config.calls = VIRTQ_TCE_HAS_PUT_INDIRECT | VIRTQ_TCE_HAS_STUFF;
    world->config.lists = tce_guest();
    world->config.list_count = 1;
    cr_assert_eq(virtq_tce_backend_init(&world->backend, &world->config), 0);
}

/* A call as the guest would make it, past the backend. */
static inline int64_t tce_raw(struct tce_world *world, uint64_t call, uint64_t liobn, uint64_t a,
                              uint64_t b, uint64_t c)
{
    const uint64_t arguments[4] = {liobn, a, b, c};
    uint64_t result = 0;

    return virtq_tce_host_call(&world->host, call, arguments, &result);
}

static inline int64_t tce_put(struct tce_world *world, uint64_t ioba, uint64_t entry)
{
    return tce_raw(world, VIRTQ_TCE_PUT, TCE_LIOBN, ioba, entry, 0);
}

/* What a get answers; the call has to succeed. */
static inline uint64_t tce_get(struct tce_world *world, uint64_t ioba)
{
    const uint64_t arguments[4] = {TCE_LIOBN, ioba, 0, 0};
    uint64_t result = UINT64_MAX;

    cr_assert_eq(virtq_tce_host_call(&world->host, VIRTQ_TCE_GET, arguments, &result), 0);
    return result;
}

static inline int tce_window(struct tce_world *world, virtq_addr_t addr, uint32_t permission,
                             struct virtq_window *window)
{
    return world->table.space.ops->window(&world->table.space, addr, permission, window);
}

/* An entry of a list page in guest memory: big-endian, whatever this machine is. */
static inline void tce_list(unsigned char *page, unsigned at, uint64_t entry)
{
    for (unsigned byte = 0; byte < 8; byte++) {
        page[at * 8 + byte] = (unsigned char)(entry >> (56 - 8 * byte));
    }
}

/* How many entries of the table are not 0. */
static inline unsigned tce_used(const struct tce_world *world)
{
    unsigned used = 0;

    for (unsigned i = 0; i < TCE_ENTRIES; i++) {
        used += world->table.entries[i] != 0;
    }
    return used;
}

#endif
