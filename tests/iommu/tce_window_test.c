/* SPDX-License-Identifier: BSD-3-Clause */
/* A TCE table as a space: the windows it gives, and when it takes them back. */
#include "iommu/tce_fixture.h"
#include "virtq/guard.h"

enum { PAGE = 4096, LARGE = 65536 };

static struct tce_world world;

Test(tce_window, neighbours_that_continue_each_other_are_one_window)
{
    struct virtq_window window;

    tce_open(&world, TCE_BUS, TCE_SMALL);
    for (unsigned i = 0; i < 6; i++) {
        cr_assert_eq(
            tce_put(&world, TCE_BUS + (uint64_t)i * PAGE, (TCE_REAL + (uint64_t)i * PAGE) | 3), 0);
    }
    /* Not where the page is another one, nor where the access is not granted. */
    cr_assert_eq(tce_put(&world, TCE_BUS, (TCE_REAL + 9 * PAGE) | TCE_BOTH), 0);
    cr_assert_eq(tce_put(&world, TCE_BUS + 5 * PAGE, (TCE_REAL + 5 * PAGE) | VIRTQ_TCE_READ), 0);
    cr_assert_eq(tce_window(&world, TCE_BUS + 3 * PAGE, SPACES_WRITE, &window), 0);
    cr_assert_eq(window.first, TCE_BUS + PAGE);
    cr_assert_eq(window.last, TCE_BUS + 5 * PAGE - 1);
    cr_assert(window.base == tce_guest() + PAGE);
    cr_assert_eq(window.permissions, (uint32_t)SPACES_BOTH);
    cr_assert_eq(tce_window(&world, TCE_BUS + 3 * PAGE, SPACES_READ, &window), 0);
    cr_assert_eq(window.last, TCE_BUS + 6 * PAGE - 1);
    /* What one of them does not grant the window does not. */
    cr_assert_eq(window.permissions, (uint32_t)SPACES_READ);
}

Test(tce_window, a_window_has_at_most_64_neighbours_on_each_side)
{
    struct virtq_window window;

    tce_open(&world, 0, TCE_SMALL);
    for (unsigned i = 0; i < 512; i++) {
        tce_list(tce_guest(), i, (TCE_REAL + (uint64_t)i * PAGE) | TCE_BOTH);
    }
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT_INDIRECT, TCE_LIOBN, 0, TCE_REAL, 512), 0);
    cr_assert_eq(tce_window(&world, 200 * PAGE + 5, SPACES_READ, &window), 0);
    cr_assert_eq(window.first, (virtq_addr_t)(200 - 64) * PAGE);
    cr_assert_eq(window.last, (virtq_addr_t)(200 + 65) * PAGE - 1);
    cr_assert(window.base == tce_guest() + (200 - 64) * PAGE);
    cr_assert_eq(tce_window(&world, 3 * PAGE, SPACES_READ, &window), 0);
    cr_assert_eq(window.first, 0u);
}

Test(tce_window, l6_the_last_entry_of_the_range_is_as_good_as_any)
{
    const uint64_t size = (uint64_t)TCE_ENTRIES << TCE_LARGE;
    struct virtq_window window;

    tce_open(&world, 0 - size, TCE_LARGE);
    cr_assert_eq(tce_put(&world, UINT64_MAX - (LARGE - 1), (TCE_REAL + LARGE) | TCE_BOTH), 0);
    cr_assert_eq(tce_put(&world, UINT64_MAX - (2 * LARGE - 1), TCE_REAL | TCE_BOTH), 0);
    cr_assert_eq(tce_window(&world, UINT64_MAX, SPACES_BOTH, &window), 0);
    cr_assert_eq(window.first, UINT64_MAX - (2 * LARGE - 1));
    cr_assert_eq(window.last, UINT64_MAX);
    cr_assert(window.base == tce_guest());
    cr_assert_eq(tce_window(&world, 0 - size - 1, SPACES_READ, &window), VIRTQ_EFAULT);
    cr_assert_eq(tce_window(&world, 0, SPACES_READ, &window), VIRTQ_EFAULT);
}

/* Guest memory at the very top of real addresses, too. */
Test(tce_window, l6_real_addresses_go_up_to_the_top_as_well)
{
    struct virtq_window window;

    tce_open(&world, 0, TCE_SMALL);
    world.region.first = UINT64_MAX - (TCE_MEMORY - 1);
    world.region.last = UINT64_MAX;
    cr_assert_eq(tce_put(&world, 0, (UINT64_MAX - (2 * PAGE - 1)) | TCE_BOTH), 0);
    cr_assert_eq(tce_put(&world, PAGE, (UINT64_MAX - (PAGE - 1)) | TCE_BOTH), 0);
    cr_assert_eq(tce_put(&world, 2 * PAGE, TCE_BOTH), VIRTQ_TCE_PARAMETER);
    cr_assert_eq(tce_window(&world, 0, SPACES_READ, &window), 0);
    cr_assert_eq(window.last, 2u * PAGE - 1);
    cr_assert(window.base == tce_guest() + TCE_MEMORY - 2 * PAGE);
    cr_assert_eq(tce_window(&world, PAGE, SPACES_READ, &window), 0);
    cr_assert_eq(window.first, 0u);
}

/* ---- Withdrawing ---- */

Test(tce_window, l3_windows_are_withdrawn_whenever_something_granted_is_taken_away)
{
    uint64_t generation = 0;

    tce_open(&world, 0, TCE_SMALL);
    generation = world.table.space.generation;
    cr_assert_eq(tce_put(&world, 0, TCE_REAL | VIRTQ_TCE_READ), 0);
    cr_assert_eq(tce_put(&world, 0, TCE_REAL | TCE_BOTH), 0);
    cr_assert_eq(tce_put(&world, 0, TCE_REAL | TCE_BOTH), 0);
    cr_assert_eq(world.table.space.generation, generation, "nothing was taken away");
    cr_assert_eq(tce_put(&world, 0, TCE_REAL | VIRTQ_TCE_WRITE), 0);
    cr_assert_eq(world.table.space.generation, ++generation, "a permission");
    cr_assert_eq(tce_put(&world, 0, (TCE_REAL + PAGE) | TCE_BOTH), 0);
    cr_assert_eq(world.table.space.generation, ++generation, "the page is another one");
    cr_assert_eq(tce_put(&world, 0, (TCE_REAL + PAGE)), 0);
    cr_assert_eq(world.table.space.generation, ++generation, "all");
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_STUFF, TCE_LIOBN, 0, 0, TCE_ENTRIES), 0);
    cr_assert_eq(world.table.space.generation, generation, "there was nothing");
    for (unsigned i = 0; i < 4; i++) {
        tce_list(tce_guest(), i, TCE_REAL | TCE_BOTH);
    }
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT_INDIRECT, TCE_LIOBN, 0, TCE_REAL, 4), 0);
    tce_list(tce_guest(), 3, 0);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT_INDIRECT, TCE_LIOBN, 0, TCE_REAL, 4), 0);
    cr_assert_eq(world.table.space.generation, ++generation, "one of a list");
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_STUFF, TCE_LIOBN, 0, 0, 4), 0);
    cr_assert_eq(world.table.space.generation, ++generation, "once for all");
}

Test(tce_window, m1_buffers_popped_before_an_entry_was_cleared_are_reported)
{
    struct virtq_guard guard;
    struct virtq_guard_user user;

    tce_open(&world, 0, TCE_SMALL);
    cr_assert_eq(virtq_guard_init(&guard, &world.table.space, VIRTQ_GUARD_EPOCH), 0);
    cr_assert_eq(virtq_guard_join(&guard, &user), 0);
    cr_assert_eq(tce_put(&world, 0, TCE_REAL | TCE_BOTH), 0);
    virtq_guard_enter(&user);
    virtq_guard_leave(&user, 3, 0);
    cr_assert_eq(tce_put(&world, 0, 0), 0);
    cr_assert_eq(virtq_guard_held(&guard), 3u);
    virtq_guard_enter(&user);
    virtq_guard_leave(&user, 0, 0);
    cr_assert_eq(virtq_guard_held(&guard), 0u);
    virtq_guard_part(&user);
    cr_assert_eq(virtq_guard_fini(&guard), 0);
}

Test(tce_window, what_guest_memory_withdraws_the_table_withdraws)
{
    const struct virtq_direct_table none = {NULL, 0};
    struct virtq_window window;
    uint64_t generation;

    tce_open(&world, 0, TCE_SMALL);
    cr_assert_eq(tce_put(&world, 0, TCE_REAL | TCE_BOTH), 0);
    generation = world.table.space.generation;
    cr_assert_eq(virtq_direct_set_regions(&world.memory, &none), 0);
    cr_assert_gt(world.table.space.generation, generation);
    cr_assert_eq(tce_window(&world, 0, SPACES_READ, &window), VIRTQ_EFAULT);
    virtq_tce_table_fini(&world.table);
    generation = world.table.space.generation;
    cr_assert_eq(virtq_direct_set_regions(&world.memory, &none), 0);
    cr_assert_eq(world.table.space.generation, generation);
    virtq_tce_table_fini(&world.table);
}

Test(tce_window, a_reset_clears_and_withdraws_everything)
{
    uint64_t generation;

    tce_open(&world, 0, TCE_SMALL);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_STUFF, TCE_LIOBN, 0, TCE_REAL | 1, TCE_ENTRIES), 0);
    generation = world.table.space.generation;
    virtq_tce_table_reset(&world.table);
    cr_assert_eq(tce_used(&world), 0u);
    cr_assert_eq(world.table.space.generation, generation + 1);
    virtq_tce_table_reset(&world.table);
    cr_assert_eq(world.table.space.generation, generation + 1);
}

static int missing_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                          struct virtq_window *window)
{
    (void)space;
    (void)addr;
    (void)permission;
    (void)window;
    return VIRTQ_EMISS;
}

/* A miss in guest memory is nothing that a device's owner could resolve by a bus address. */
Test(tce_window, guest_memory_that_is_not_known_is_none)
{
    static const struct virtq_space_ops ops = {
        .size = sizeof(ops), .name = "missing", .window = missing_window};
    struct virtq_space missing = {.ops = &ops};
    struct virtq_window window;

    tce_open(&world, 0, TCE_SMALL);
    cr_assert_eq(tce_put(&world, 0, TCE_REAL | TCE_BOTH), 0);
    world.table.memory = &missing;
    cr_assert_eq(tce_window(&world, 0, SPACES_READ, &window), VIRTQ_EFAULT);
    cr_assert_eq(tce_put(&world, PAGE, TCE_REAL | TCE_BOTH), VIRTQ_TCE_PARAMETER);
}
