/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of the mux space: ranges, permissions, windows, withdrawal. */
#include "mux_fixture.h"

Test(space_mux_window, l2_m3_a_range_has_permissions_of_its_own)
{
    struct virtq_window window;
    struct three three;
    virtq_addr_t addr;

    open(&three, BOOKED_SINGLE);
    three.members[1].permissions = SPACES_READ;
    cr_assert_eq(virtq_mux_init(&three.mux, &three.config), 0);
    lay(&three, "11");
    cr_assert_eq(map(&three, 2, 0, 2), 0);
    spaces_unmap(&three.mux.space, &three.buffer, 0);
    cr_assert_eq(map(&three, 1, 1, 2), VIRTQ_EFAULT);
    cr_assert_eq(virtq_space_share(&three.mux.space, memory + MEMORY, 8, SPACES_BOTH, &addr),
                 VIRTQ_EFAULT);
    cr_assert_eq(three.booked[1].shared, 0u);
    three.booked[1].window =
        (struct virtq_window){0x700000, 0x700000 + SPAN - 1, memory, SPACES_BOTH, 0};
    cr_assert_eq(booked_ops.size, three.mux.space.ops->size);
    cr_assert_eq(three.mux.space.ops->window(&three.mux.space, at(1, 5), SPACES_READ, &window), 0);
    cr_assert_eq(window.permissions, (uint32_t)SPACES_READ);
    cr_assert_eq(three.mux.space.ops->window(&three.mux.space, at(1, 5), SPACES_WRITE, &window),
                 VIRTQ_EPERM);
    cr_assert_eq(three.mux.space.ops->window(&three.mux.space, at(1, 5), SPACES_BOTH, &window),
                 VIRTQ_EPERM);
    cr_assert_eq(three.mux.space.ops->window(&three.mux.space, at(1, 5), 0, &window), VIRTQ_EINVAL);
}

Test(space_mux_window, a_window_is_clipped_to_the_members_range)
{
    static unsigned char far[4 * SPAN];
    struct virtq_window window;
    struct three three;
    virtq_addr_t own = 0;

    open(&three, BOOKED_SINGLE);
    /* The member knows more than its range on both sides. */
    three.booked[2].window =
        (struct virtq_window){0x700000 - SPAN, 0x700000 + 2 * SPAN, far, SPACES_BOTH, 0};
    cr_assert_eq(three.mux.space.ops->window(&three.mux.space, at(2, 9), SPACES_BOTH, &window), 0);
    cr_assert_eq(three.booked[2].asked, 0x700009u);
    cr_assert_eq(window.first, at(2, 0));
    cr_assert_eq(window.last, at(2, SPAN - 1));
    cr_assert_eq(window.base, far + SPAN);
    /* Or less. */
    three.booked[2].window = (struct virtq_window){0x700008, 0x70000a, far, SPACES_READ, 0};
    cr_assert_eq(three.mux.space.ops->window(&three.mux.space, at(2, 9), SPACES_READ, &window), 0);
    cr_assert_eq(window.first, at(2, 8));
    cr_assert_eq(window.last, at(2, 10));
    cr_assert_eq(window.base, far);
    /* Or something else. */
    cr_assert_eq(three.mux.space.ops->window(&three.mux.space, at(2, 11), SPACES_READ, &window),
                 VIRTQ_EFAULT);
    three.booked[2].window_error = VIRTQ_EMISS;
    cr_assert_eq(three.mux.space.ops->window(&three.mux.space, at(2, 9), SPACES_READ, &window),
                 VIRTQ_EMISS);
    cr_assert_eq(virtq_mux_own(&three.mux, at(2, 9), &own), 2);
    cr_assert_eq(own, 0x700009u);
}

Test(space_mux_window, an_address_that_nobody_routes_is_a_fault)
{
    const virtq_addr_t nobodys[] = {0, at(0, 0) - 1, at(0, SPAN), at(2, SPAN), UINT64_MAX};
    struct virtq_window window;
    struct three three;

    open(&three, BOOKED_SINGLE);
    for (unsigned i = 0; i < 3; i++) {
        three.booked[i].window = (struct virtq_window){0, UINT64_MAX, NULL, SPACES_BOTH, 0};
    }
    for (unsigned i = 0; i < sizeof(nobodys) / sizeof(nobodys[0]); i++) {
        virtq_addr_t own = 77;

        cr_assert_eq(
            three.mux.space.ops->window(&three.mux.space, nobodys[i], SPACES_READ, &window),
            VIRTQ_EFAULT);
        cr_assert_eq(virtq_mux_own(&three.mux, nobodys[i], &own), VIRTQ_EFAULT);
        cr_assert_eq(own, 77u);
    }
}

Test(space_mux_window, two_ways_to_one_range_give_the_window_of_the_first)
{
    struct virtq_window window = {0};
    struct three three;

    describe(&three, BOOKED_SINGLE);
    three.members[2].first = three.members[1].first;
    three.members[2].last = three.members[1].last;
    three.booked[1].window =
        (struct virtq_window){0x700000, 0x700000 + SPAN - 1, memory, SPACES_BOTH, 0};
    cr_assert_eq(virtq_mux_init(&three.mux, &three.config), 0);
    lay(&three, "1212"); /* Both of them have part of a buffer. */
    cr_assert_eq(map(&three, 2, 2, 4), 0);
    cr_assert(three.booked[1].maps == 1 && three.booked[2].maps == 1);
    spaces_unmap(&three.mux.space, &three.buffer, 0);
    cr_assert_eq(three.mux.space.ops->window(&three.mux.space, at(1, 5), SPACES_BOTH, &window), 0);
    cr_assert_eq(three.booked[1].asked, 0x700005u);
    cr_assert_eq(three.booked[2].asked, 0u);
    cr_assert(window.first == at(1, 0) && window.last == at(1, SPAN - 1));
    virtq_mux_fini(&three.mux);
    /* By their own numbers they are not the same memory. */
    three.members[2].own += 1;
    cr_assert_eq(virtq_mux_init(&three.mux, &three.config), VIRTQ_EINVAL);
    three.members[2].own -= 1;
    three.members[2].last -= 1;
    cr_assert_eq(virtq_mux_init(&three.mux, &three.config), VIRTQ_EINVAL);
    three.members[2].last += 1;
    three.members[2].first += 1;
    cr_assert_eq(virtq_mux_init(&three.mux, &three.config), VIRTQ_EINVAL);
}

Test(space_mux_window, l6_ranges_may_end_at_the_top)
{
    struct virtq_window window;
    struct three three;

    open(&three, BOOKED_SINGLE);
    three.members[2].first = UINT64_MAX - (SPAN - 1);
    three.members[2].last = UINT64_MAX;
    three.members[2].own = UINT64_MAX - (SPAN - 1);
    cr_assert_eq(virtq_mux_init(&three.mux, &three.config), 0);
    three.booked[2].next = UINT64_MAX - 255;
    spaces_segment(&three.buffer, 0, memory + 2 * MEMORY, 256);
    cr_assert_eq(map(&three, 1, 0, 1), 0);
    expect(&three, 0, UINT64_MAX - 255, 256);
    three.booked[2].window = (struct virtq_window){0, UINT64_MAX, NULL, SPACES_BOTH, 0};
    cr_assert_eq(three.mux.space.ops->window(&three.mux.space, UINT64_MAX, SPACES_READ, &window),
                 0);
    cr_assert_eq(window.first, UINT64_MAX - (SPAN - 1));
    cr_assert_eq(window.last, UINT64_MAX);
    /* One member may have it all, too. */
    three.members[0] =
        (struct virtq_mux_member){&three.booked[0].space, 0, UINT64_MAX, 0, SPACES_BOTH};
    three.config.member_count = 1;
    three.config.route_count = 1;
    cr_assert_eq(virtq_mux_init(&three.mux, &three.config), 0);
    three.booked[0].window = three.booked[2].window;
    cr_assert_eq(three.mux.space.ops->window(&three.mux.space, 0, SPACES_READ, &window), 0);
    cr_assert_eq(window.last, UINT64_MAX);
}

static void stop_waiting(struct virtq_guard *guard)
{
    ++*(unsigned *)(void *)guard;
}

Test(space_mux_window, l3_queues_are_told_what_members_withdraw)
{
    unsigned waits = 0;
    struct virtq_mux above;
    struct three three;

    open(&three, BOOKED_SINGLE);
    cr_assert_eq(virtq_mux_init(&above, &three.config), 0);
    three.mux.space.guard = (struct virtq_guard *)(void *)&waits;
    three.mux.space.guard_wait = stop_waiting;
    for (unsigned i = 0; i < 3; i++) {
        virtq_space_invalidated(&three.booked[i].space);
        cr_assert_eq(three.mux.space.generation, 2 * i + 1u);
        cr_assert_eq(above.space.generation, 2 * i + 1u);
        cr_assert_eq(waits, i + 1, "a withdrawal waits");
        virtq_space_moved(&three.booked[i].space);
        cr_assert_eq(three.mux.space.generation, 2 * i + 2u);
        cr_assert_eq(waits, i + 1, "an eviction does not");
    }
    virtq_mux_fini(&three.mux);
    virtq_space_invalidated(&three.booked[1].space);
    cr_assert_eq(three.mux.space.generation, 6u);
    cr_assert_eq(above.space.generation, 7u);
    virtq_mux_fini(&above);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_null(three.booked[i].space.listeners);
    }
}
