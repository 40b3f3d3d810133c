/* SPDX-License-Identifier: BSD-3-Clause */
/* All of a guest's memory in one TCE window, mapped once: by real address, at an offset. */
#include "iommu/tce_fixture.h"

enum { PAGE = 4096, LARGE = 65536 };

static struct tce_world world;

/* That so many of each call have been made since the world was opened. */
static void expect(uint64_t puts, uint64_t puts_indirect, uint64_t stuffs)
{
    struct virtq_tce_usage usage;

    virtq_tce_read_usage(&world.backend, &usage);
    cr_assert_eq(usage.puts, puts);
    cr_assert_eq(usage.puts_indirect, puts_indirect);
    cr_assert_eq(usage.stuffs, stuffs);
    cr_assert_eq(world.calls, puts + puts_indirect + stuffs);
}

/* Makes the backend anew, as configured now. */
static int remake(void)
{
    world.calls = 0;
    return virtq_tce_backend_init(&world.backend, &world.config);
}

Test(tce_memory, all_of_memory_is_mapped_once_at_an_offset)
{
    struct virtq_window window;
    struct virtq_window linear;

    tce_open(&world, TCE_BUS, TCE_LARGE);
    world.region.first = 32 * (uint64_t)LARGE;
    world.region.last = world.region.first + TCE_MEMORY - 1;
    cr_assert_eq(remake(), 0);
    cr_assert_eq(virtq_tce_map_all(&world.backend, SPACES_BOTH), 0);
    cr_assert_eq(tce_used(&world), (unsigned)TCE_MEMORY / LARGE);
    expect(0, 1, 0);
    cr_assert_eq(virtq_tce_linear(&world.backend, SPACES_BOTH, &linear), 0);
    cr_assert_eq(linear.first, TCE_BUS + 32 * (uint64_t)LARGE);
    cr_assert_eq(linear.last - linear.first, (uint64_t)TCE_MEMORY - 1);
    cr_assert(linear.base == tce_guest());
    cr_assert_eq(linear.permissions, (uint32_t)SPACES_BOTH);
    cr_assert_eq(tce_window(&world, linear.first + 77, SPACES_BOTH, &window), 0);
    cr_assert(window.first == linear.first && window.last == linear.last &&
              window.base == linear.base);
    cr_assert_eq(virtq_tce_unmap_all(&world.backend), 0);
    cr_assert_eq(tce_used(&world), 0u);
    expect(0, 1, 1);
}

Test(tce_memory, memory_that_exceeds_the_window_is_not_mapped_at_once)
{
    struct virtq_window linear = {7, 7, NULL, 7, 0};

    tce_open(&world, 0, TCE_LARGE);
    cr_assert_eq(virtq_tce_map_all(&world.backend, SPACES_BOTH), VIRTQ_EINVAL);
    cr_assert_eq(virtq_tce_linear(&world.backend, SPACES_BOTH, &linear), VIRTQ_EINVAL);
    world.region.first = 0;
    world.region.last = TCE_MEMORY - 1;
    cr_assert_eq(virtq_tce_map_all(&world.backend, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_tce_map_all(&world.backend, 4), VIRTQ_EINVAL);
    cr_assert_eq(virtq_tce_linear(&world.backend, 0, &linear), VIRTQ_EINVAL);
    world.region.last -= PAGE;
    cr_assert_eq(virtq_tce_map_all(&world.backend, SPACES_BOTH), VIRTQ_EINVAL);
    expect(0, 0, 0);
    cr_assert_eq(linear.first, 7u);
}

Test(tce_memory, when_all_of_memory_cannot_be_mapped_nothing_is)
{
    const struct virtq_region memory[] = {{0, 4 * PAGE - 1, tce_guest(), 0},
                                          {8 * PAGE, 12 * PAGE - 1, tce_guest() + 8 * PAGE, 0}};

    tce_open(&world, 0, TCE_SMALL);
    world.config.memory = memory;
    world.config.memory_count = 2;
    world.region.first = 0;
    cr_assert_eq(remake(), 0);
    world.fail_at = 2;
    world.failure = VIRTQ_TCE_RESOURCE;
    cr_assert_eq(virtq_tce_map_all(&world.backend, SPACES_READ), VIRTQ_ENOMEM);
    cr_assert_eq(tce_used(&world), 0u);
    world.fail_at = 0;
    cr_assert_eq(virtq_tce_map_all(&world.backend, SPACES_READ), 0);
    cr_assert_eq(tce_used(&world), 8u);
}

Test(tce_memory, a_hole_in_memory_is_a_hole_on_the_bus)
{
    const struct virtq_region memory[] = {{8 * PAGE, 12 * PAGE - 1, tce_guest() + 8 * PAGE, 0},
                                          {0, 4 * PAGE - 1, tce_guest(), 0}};
    const struct virtq_region apart[] = {memory[0], {0, 4 * PAGE - 1, tce_guest() + PAGE, 0}};
    struct virtq_window linear;

    tce_open(&world, TCE_BUS, TCE_SMALL);
    world.region.first = 0;
    world.config.memory = memory;
    world.config.memory_count = 2;
    cr_assert_eq(remake(), 0);
    cr_assert_eq(virtq_tce_linear(&world.backend, SPACES_READ, &linear), 0);
    cr_assert(linear.first == TCE_BUS && linear.last == TCE_BUS + 12 * PAGE - 1);
    cr_assert(linear.base == tce_guest());
    cr_assert_eq(virtq_tce_map_all(&world.backend, SPACES_READ), 0);
    cr_assert_eq(tce_get(&world, TCE_BUS + 5 * PAGE), 0u);
    cr_assert_eq(tce_get(&world, TCE_BUS + 9 * PAGE), (uint64_t)(9 * PAGE) | VIRTQ_TCE_READ);
    /* Pointers that are no constant away from addresses are not one window. */
    world.config.memory = apart;
    world.config.list_count = 0;
    cr_assert_eq(remake(), 0);
    cr_assert_eq(virtq_tce_linear(&world.backend, SPACES_READ, &linear), VIRTQ_ENOTSUP);
}
