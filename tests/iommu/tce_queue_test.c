/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues of both formats whose driver maps by hypercalls and whose device translates by the table
 * that these change: the positions of seed 000 among them. */
#include <stdlib.h>

#include "support/runner.h"
#include "support/spaces.h"
#include "support/world_traffic.h"
#include "virtq/iommu/tce_backend.h"
#include "virtq/iommu/tce_table.h"
#include "virtq/space/direct.h"
#include "virtq/space/iommu.h"
#include "virtq/space/iommu_queue.h"
#include "virtq/space/mux.h"
#include "virtq/space/swiotlb.h"

enum { PAGE = 4096, LARGE = 65536, ENTRIES = 1 << 14, LISTS = LARGE, GRANULE = 64 };

#define REAL UINT64_C(0x10000000)
#define SECOND UINT64_C(0x0800000000000000)

/* A guest and its hypervisor. The guest's memory is one block; the first of it are list pages. */
struct machine {
    unsigned char *block;
    size_t size;
    size_t used;
    struct virtq_region region;       /* All of it, by real address. */
    struct virtq_region shared;       /* What of it the hypervisor can reach. */
    struct virtq_direct memory;       /* The same as a space. */
    struct virtq_tce_table tables[2]; /* The window at 0, and the second one. */
    void *entries[2];
    struct virtq_tce_host host;
    struct virtq_mux both; /* What the device has of the two. */
    struct virtq_tce_backend backend;
    struct virtq_iova iova;
    struct virtq_iova_range *ranges;
    struct virtq_iommu iommu;
    struct virtq_iommu_queue *identity;
    struct virtq_swiotlb swiotlb;
    void *books;
    uint64_t rings; /* Bytes of the pool that are taken for good. */
};

static size_t round_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

static void *zeroed(size_t size)
{
    void *memory = calloc(1, size);

    cr_assert_not_null(memory);
    return memory;
}

static void open_table(struct machine *machine, unsigned which, uint64_t first, uint32_t shift)
{
    struct virtq_tce_table_config config = VIRTQ_TCE_TABLE_CONFIG_INIT;

    config.window = (struct virtq_tce_window){first, ENTRIES, 1 + which, shift};
    config.memory = &machine->memory.space;
    config.entries_size = virtq_tce_table_size(&config.window);
    config.entries = machine->entries[which] = zeroed(config.entries_size);
    cr_assert_eq(virtq_tce_table_init(&machine->tables[which], &config), 0);
    cr_assert_eq(virtq_tce_host_add(&machine->host, &machine->tables[which]), 0);
}

/* A guest with so much memory, two windows, and a backend for one of them. */
static struct machine *machine_open(struct world_space *space, size_t size, unsigned window,
                                    uint32_t calls)
{
    struct machine *machine = zeroed(sizeof(*machine));
    struct virtq_tce_backend_config config = VIRTQ_TCE_BACKEND_CONFIG_INIT;
    struct virtq_mux_config mux = VIRTQ_MUX_CONFIG_INIT;
    struct virtq_mux_member members[2];

    machine->size = round_up(size, LARGE);
    machine->block = aligned_alloc(LARGE, machine->size);
    cr_assert_not_null(machine->block);
    memset(machine->block, 0, machine->size);
    machine->used = LISTS;
    machine->region =
        (struct virtq_region){REAL, REAL + machine->size - 1, machine->block, SPACES_BOTH};
    machine->shared = machine->region;
    cr_assert_eq(virtq_direct_init_regions(&machine->memory, &machine->shared, 1), 0);
    virtq_tce_host_init(&machine->host);
    open_table(machine, 0, 0, 12);
    open_table(machine, 1, SECOND, 16);
    for (unsigned i = 0; i < 2; i++) {
        const struct virtq_tce_window *at = &machine->tables[i].window;

        members[i] = (struct virtq_mux_member){&machine->tables[i].space, at->first,
                                               virtq_tce_window_last(at), at->first, SPACES_BOTH};
    }
    mux.members = members;
    mux.member_count = 2;
    cr_assert_eq(virtq_mux_init(&machine->both, &mux), 0);
    config.window = machine->tables[window].window;
    config.call = virtq_tce_host_call;
    config.context = &machine->host;
    config.memory = &machine->region;
    config.memory_count = 1;
    config.calls = calls;
    config.lists = machine->block;
    config.list_count = 2;
    cr_assert_eq(virtq_tce_backend_init(&machine->backend, &config), 0);
    space->own = machine;
    space->device = &machine->both.space;
    return machine;
}

static void *take(struct world_space *space, size_t bytes, size_t align, bool payload)
{
    struct machine *machine = space->own;
    size_t at = round_up(machine->used, align);

    (void)payload;
    machine->used = at + bytes;
    return machine->used <= machine->size ? machine->block + at : NULL;
}

static void give(struct world_space *space, void *base)
{
    (void)space;
    (void)base;
}

static void machine_close(struct world_space *space)
{
    struct machine *machine = space->own;

    virtq_mux_fini(&machine->both);
    for (unsigned i = 0; i < 2; i++) {
        virtq_tce_table_fini(&machine->tables[i]);
        free(machine->entries[i]);
    }
    free(machine->identity);
    free(machine->books);
    free(machine->ranges);
    free(machine->block);
    free(machine);
}

static unsigned entries_used(const struct machine *machine)
{
    unsigned used = 0;

    for (unsigned i = 0; i < 2; i++) {
        for (unsigned at = 0; at < (unsigned)ENTRIES; at++) {
            used += machine->tables[i].entries[at] != 0;
        }
    }
    return used;
}

/* ---- Each buffer is mapped: the pseries default of translating ---- */

static bool open_mapped(struct world_space *space, size_t size, unsigned buffers, unsigned window,
                        virtq_addr_t limit, uint32_t calls)
{
    struct machine *machine = machine_open(space, size, window, calls);
    const struct virtq_tce_window *at = &machine->tables[window].window;
    struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;
    const unsigned capacity = buffers * WORLD_SEGMENTS + 16;
    virtq_addr_t first = 0;
    virtq_addr_t last = 0;

    machine->ranges = zeroed(capacity * sizeof(*machine->ranges));
    cr_assert_eq(virtq_tce_window_range(at, limit, &first, &last), 0);
    cr_assert_eq(virtq_iova_init(&machine->iova, first, last, (uint64_t)1 << at->shift,
                                 machine->ranges, capacity),
                 0);
    config.iova = &machine->iova;
    config.backend = &machine->backend.backend;
    config.limit = limit;
    space->driver = &machine->iommu.space;
    return virtq_iommu_init(&machine->iommu, &config) == 0;
}

static bool open_low(struct world_space *space, size_t ring, size_t data, unsigned buffers)
{
    return open_mapped(space, ring + data + 16 * (size_t)LARGE, buffers, 0, UINT32_MAX,
                       VIRTQ_TCE_HAS_PUT_INDIRECT | VIRTQ_TCE_HAS_STUFF);
}

/* With pages of 64 KiB, by single puts. */
static bool open_high(struct world_space *space, size_t ring, size_t data, unsigned buffers)
{
    return open_mapped(space, ring + data + 16 * (size_t)LARGE, buffers, 1, UINT64_MAX, 0);
}

static const char *judge_mapped(struct world_space *space, bool idle)
{
    struct machine *machine = space->own;
    struct virtq_iommu_usage usage;

    virtq_iommu_read_usage(&machine->iommu, &usage);
    if (usage.leaked != 0) {
        return "address ranges have leaked";
    }
    if (idle && (usage.mapped != 0 || machine->iova.count != 0 || entries_used(machine) != 0)) {
        return "entries are left";
    }
    return NULL;
}

static const struct world_space_kind world_tce_low = {.name = "tce, 4 KiB at 0",
                                                      .open = open_low,
                                                      .close = machine_close,
                                                      .alloc = take,
                                                      .free = give,
                                                      .data_inside = true,
                                                      .judge = judge_mapped};

static const struct world_space_kind world_tce_high = {.name = "tce, 64 KiB at 2^59",
                                                       .open = open_high,
                                                       .close = machine_close,
                                                       .alloc = take,
                                                       .free = give,
                                                       .data_inside = true,
                                                       .judge = judge_mapped};

/* ---- All of memory is mapped once: "a 1:1 window mapping the whole guest memory" ---- */

static bool open_all(struct world_space *space, size_t ring, size_t data, unsigned buffers)
{
    struct machine *machine = machine_open(space, ring + data + 16 * (size_t)LARGE, 1,
                                           VIRTQ_TCE_HAS_PUT_INDIRECT | VIRTQ_TCE_HAS_STUFF);
    struct virtq_iommu_queue_config config = VIRTQ_IOMMU_QUEUE_CONFIG_INIT;

    (void)buffers;
    machine->identity =
        aligned_alloc(VIRTQ_CACHE_LINE, round_up(sizeof(*machine->identity), VIRTQ_CACHE_LINE));
    cr_assert_not_null(machine->identity);
    cr_assert_eq(virtq_tce_map_all(&machine->backend, SPACES_BOTH), VIRTQ_OK);
    config.policy = VIRTQ_IOMMU_IDENTITY;
    cr_assert_eq(virtq_tce_linear(&machine->backend, SPACES_BOTH, &config.identity), 0);
    space->driver = &machine->identity->space;
    return virtq_iommu_queue_init(machine->identity, &config) == 0;
}

/* Not one call was made for a buffer. */
static const char *judge_all(struct world_space *space, bool idle)
{
    struct machine *machine = space->own;
    struct virtq_tce_usage usage;

    (void)idle;
    virtq_tce_read_usage(&machine->backend, &usage);
    return usage.puts + usage.puts_indirect + usage.stuffs > machine->size / LARGE / 512 + 1
               ? "there are calls for buffers"
               : NULL;
}

static const struct world_space_kind world_tce_all = {.name = "tce, all of memory",
                                                      .open = open_all,
                                                      .close = machine_close,
                                                      .alloc = take,
                                                      .free = give,
                                                      .data_inside = true,
                                                      .judge = judge_all};

/* ---- A secure guest: a pool that it shares, mapped once; nothing else can be ---- */

static bool open_secure(struct world_space *space, size_t ring, size_t data, unsigned buffers)
{
    size_t pool = round_up(ring + data / 4, LARGE) + LARGE;
    /* The hypervisor cannot read a list page of a secure guest. */
    struct machine *machine =
        machine_open(space, LISTS + pool + 4 * (size_t)LARGE, 0, VIRTQ_TCE_HAS_STUFF);
    struct virtq_swiotlb_config config = VIRTQ_SWIOTLB_CONFIG_INIT;
    const uint64_t bus = 16 * PAGE;
    const struct virtq_region range = {bus, bus + pool - 1, machine->block + LISTS, SPACES_BOTH};
    const struct virtq_region secret = {bus + pool, bus + pool + PAGE - 1, machine->block,
                                        SPACES_BOTH};
    const struct virtq_iommu_backend *backend = &machine->backend.backend;

    (void)buffers;
    machine->shared.first += LISTS;
    machine->shared.last = machine->shared.first + pool - 1;
    machine->shared.base = machine->block + LISTS;
    cr_assert_eq(backend->map(backend->context, &range, 1), 0);
    cr_assert_eq(backend->map(backend->context, &secret, 1), VIRTQ_EINVAL);
    config.pool = machine->block + LISTS;
    config.pool_size = pool;
    config.addr = bus;
    config.granule = GRANULE;
    config.memory_size = virtq_swiotlb_private_size(pool, GRANULE);
    config.memory = machine->books = zeroed(config.memory_size);
    space->driver = &machine->swiotlb.space;
    return virtq_swiotlb_init(&machine->swiotlb, &config) == 0;
}

static void *take_slot(struct world_space *space, size_t bytes, size_t align, bool payload)
{
    struct machine *machine = space->own;
    struct virtq_swiotlb_usage usage;
    void *base = NULL;
    int error = virtq_swiotlb_alloc(&machine->swiotlb, bytes, align, &base);

    (void)payload;
    virtq_swiotlb_read_usage(&machine->swiotlb, &usage);
    machine->rings = usage.used;
    return error == 0 ? base : NULL;
}

static void give_slot(struct world_space *space, void *base)
{
    struct machine *machine = space->own;

    (void)virtq_swiotlb_free(&machine->swiotlb, base);
}

static const struct world_space_kind world_tce_secure = {.name = "tce, a secure guest",
                                                         .copies = true,
                                                         .open = open_secure,
                                                         .close = machine_close,
                                                         .alloc = take_slot,
                                                         .free = give_slot};

/* ---- Traffic ---- */

/* Under Valgrind and emulators (VIRTQ_TEST_HURRIED) fewer have to do. */
static void carry(const struct world_space_kind *kind)
{
    const uint64_t buffers = getenv("VIRTQ_TEST_HURRIED") != NULL ? 60 : 3000;

    for (unsigned bits = 0; bits < 8; bits++) {
        struct world_config config = {.space = kind,
                                      .size = (bits & 1) != 0 ? 64 : 4,
                                      .packed = (bits & 2) != 0,
                                      .event_idx = true,
                                      .indirect = (bits & 4) != 0};
        struct world_tally tally = {0};
        const char *trouble = world_traffic(&config, buffers, &tally);

        cr_assert(trouble == NULL, "%s", trouble);
        cr_assert_eq(tally.buffers, buffers);
    }
}

Test(tce_queue, seed_000_the_default_of_translating_maps_each_buffer_in_the_window_at_0)
{
    carry(&world_tce_low);
}

Test(tce_queue, a_second_window_of_large_pages_carries_buffers_beside_the_first)
{
    carry(&world_tce_high);
}

Test(tce_queue, seed_000_a_window_with_all_of_memory_costs_no_call_a_buffer)
{
    carry(&world_tce_all);
}

Test(tce_queue, seed_000_a_secure_guest_maps_the_pool_that_it_shares_and_nothing_else)
{
    carry(&world_tce_secure);
}
