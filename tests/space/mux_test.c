/* SPDX-License-Identifier: BSD-3-Clause */
/* The mux space by itself: routing, order, all or nothing, windows. mux_queue_test.c has queues. */
#include "virtq/space/mux.h"

#include "mux_fixture.h"
#include "support/random.h"

enum {
    SPAN = 0x10000,   /* Addresses of a member. */
    MEMORY = 0x1000,  /* Bytes of memory of a route. */
    UNROUTED = 0x3000 /* Where memory in no route begins. */
};

/* Three members of whom none calls an address what queues call it; memory of a page each. */
static unsigned char memory[4 * MEMORY];

struct three {
    struct booked booked[3];
    struct virtq_mux_member members[3];
    struct virtq_mux_route routes[3];
    struct virtq_mux_config config;
    struct virtq_mux mux;
    struct spaces_buffer buffer;
};

static void describe(struct three *three, enum booked_way way)
{
    const struct virtq_mux_config config = VIRTQ_MUX_CONFIG_INIT;

    memset(three, 0, sizeof(*three));
    for (unsigned i = 0; i < 3; i++) {
        booked_init(&three->booked[i], way, 0x700000);
        three->members[i] =
            (struct virtq_mux_member){.space = &three->booked[i].space,
                                      .first = (virtq_addr_t)(i + 1) << 32,
                                      .last = ((virtq_addr_t)(i + 1) << 32) + SPAN - 1,
                                      .own = 0x700000,
                                      .permissions = SPACES_BOTH};
        three->routes[i].first = (uintptr_t)memory + i * (uintptr_t)MEMORY;
        three->routes[i].last = three->routes[i].first + MEMORY - 1;
        three->routes[i].member = i;
    }
    three->config = config;
    three->config.members = three->members;
    three->config.routes = three->routes;
    three->config.member_count = 3;
    three->config.route_count = 3;
}

static void open(struct three *three, enum booked_way way)
{
    describe(three, way);
    cr_assert_eq(virtq_mux_init(&three->mux, &three->config), 0);
}

/* Segments of 10, 20, 30, ... bytes in the memory of the members that `where` names. */
static void lay(struct three *three, const char *where)
{
    for (unsigned i = 0; where[i] != 0; i++) {
        spaces_segment(&three->buffer, i,
                       memory + (size_t)(where[i] - '0') * MEMORY + (size_t)i * 200, (i + 1) * 10);
        three->buffer.segments[i].route = 0;
    }
}

static int map(struct three *three, unsigned readable, unsigned writable, unsigned capacity)
{
    return spaces_map(&three->mux.space, &three->buffer, readable, writable, capacity);
}

static virtq_addr_t at(unsigned member, virtq_addr_t offset)
{
    return ((virtq_addr_t)(member + 1) << 32) + offset;
}

static void expect(const struct three *three, unsigned run, virtq_addr_t addr, uint32_t len)
{
    cr_assert_eq(three->buffer.runs[run].addr, addr, "run %u is at %llx", run,
                 (unsigned long long)three->buffer.runs[run].addr);
    cr_assert_eq(three->buffer.runs[run].len, len, "run %u has %u bytes", run,
                 (unsigned)three->buffer.runs[run].len);
}

Test(space_mux, a_header_a_payload_and_a_status_are_one_call_a_space)
{
    struct three three;

    open(&three, BOOKED_SINGLE);
    lay(&three, "010");
    cr_assert_eq(map(&three, 2, 1, 3), 0);
    cr_assert_eq(three.buffer.mapping.runs_readable, 2);
    cr_assert_eq(three.buffer.mapping.runs_writable, 1);
    expect(&three, 0, at(0, 0), 10);
    expect(&three, 1, at(1, 0), 20);
    expect(&three, 2, at(0, 256), 30);
    cr_assert_eq(three.booked[0].maps, 1u);
    cr_assert_eq(three.booked[0].readable, 1u);
    cr_assert_eq(three.booked[0].writable, 1u);
    cr_assert_eq(three.booked[1].maps, 1u);
    cr_assert_eq(three.booked[2].maps, 0u);
    cr_assert_eq(three.buffer.mapping.copied, 2u);
    spaces_unmap(&three.mux.space, &three.buffer, 30);
    cr_assert_eq(three.booked[0].unmaps, 1u);
    cr_assert_eq(three.booked[0].written, 30u);
    cr_assert_eq(three.booked[1].unmaps, 1u);
    cr_assert_eq(three.booked[1].written, 0u);
    cr_assert_eq(three.booked[2].unmaps, 0u);
}

Test(space_mux, neighbours_are_coalesced_and_others_are_cut_apart)
{
    struct three three;

    open(&three, BOOKED_TOGETHER);
    lay(&three, "001011");
    cr_assert_eq(map(&three, 4, 2, 5), 0);
    cr_assert_eq(three.booked[0].maps, 1u);
    cr_assert_eq(three.booked[0].readable, 3u);
    cr_assert_eq(three.buffer.mapping.runs_readable, 3);
    cr_assert_eq(three.buffer.mapping.runs_writable, 1);
    expect(&three, 0, at(0, 0), 30);  /* The first two. */
    expect(&three, 1, at(1, 0), 30);  /* What stands between. */
    expect(&three, 2, at(0, 30), 40); /* The rest of the first member's one run. */
    expect(&three, 3, at(1, 256), 110);
    spaces_unmap(&three.mux.space, &three.buffer, 0);
    cr_assert_eq(map(&three, 4, 2, 4), 0);
    spaces_unmap(&three.mux.space, &three.buffer, 0);
    cr_assert_eq(map(&three, 4, 2, 3), VIRTQ_EFULL, "no room for the cut");
    cr_assert_eq(three.booked[0].maps, three.booked[0].unmaps);
    cr_assert_eq(three.booked[1].maps, three.booked[1].unmaps);
}

Test(space_mux, written_bytes_are_dealt_out_over_the_writable_segments_in_order)
{
    for (uint64_t written = 0; written <= 20 + 30 + 40 + 50; written++) {
        const uint64_t lengths[4] = {20, 30, 40, 50};
        uint64_t share[3] = {0};
        uint64_t left = written;
        struct three three;

        open(&three, BOOKED_SINGLE);
        lay(&three, "01201");
        for (unsigned i = 0; i < 4; i++) {
            uint64_t some = left < lengths[i] ? left : lengths[i];

            share["1201"[i] - '0'] += some;
            left -= some;
        }
        cr_assert_eq(map(&three, 1, 4, 5), 0);
        three.buffer.mapping.copied = 0;
        spaces_unmap(&three.mux.space, &three.buffer, written);
        cr_assert_eq(three.buffer.mapping.copied, 3u);
        for (unsigned i = 0; i < 3; i++) {
            cr_assert_eq(three.booked[i].written, share[i], "%u of member %u", (unsigned)written,
                         i);
        }
    }
}

Test(space_mux, all_members_map_or_none)
{
    for (unsigned failing = 0; failing < 3; failing++) {
        struct three three;

        open(&three, BOOKED_SINGLE);
        lay(&three, "0120");
        three.booked[failing].error = VIRTQ_ENOMEM;
        cr_assert_eq(map(&three, 2, 2, 4), VIRTQ_ENOMEM);
        for (unsigned i = 0; i < 3; i++) {
            cr_assert_eq(three.booked[i].maps, i < failing);
            cr_assert_eq(three.booked[i].unmaps, i < failing);
            cr_assert_eq(three.booked[i].written, 0u);
        }
        three.booked[failing].error = 0;
        cr_assert_eq(map(&three, 2, 2, 3), VIRTQ_EFULL);
        cr_assert_eq(map(&three, 2, 2, 4), 0);
        spaces_unmap(&three.mux.space, &three.buffer, 0);
        for (unsigned i = 0; i < 3; i++) {
            cr_assert_eq(three.booked[i].maps, three.booked[i].unmaps);
        }
    }
}

Test(space_mux, a_member_that_is_wrong_about_its_runs_is_not_believed)
{
    for (unsigned way = BOOKED_SHORT; way <= (unsigned)BOOKED_BLURRED; way++) {
        struct three three;

        open(&three, BOOKED_SINGLE);
        lay(&three, "0110");
        three.booked[1].way = (enum booked_way)way;
        cr_assert_eq(map(&three, 2, 2, 8), VIRTQ_EFAULT);
        cr_assert_eq(three.booked[0].maps, three.booked[0].unmaps);
        cr_assert_eq(three.booked[1].maps, three.booked[1].unmaps);
    }
}

Test(space_mux, what_a_member_gives_outside_its_range_is_taken_back)
{
    /* 20 bytes: one too many below the range, one too many above it, and as many as it holds. */
    const virtq_addr_t given[] = {0x700000 - 256, 0x700000 + 256 + 1, 0x700000 + 256};

    for (unsigned i = 0; i < 3; i++) {
        const int error = i < 2 ? VIRTQ_EFAULT : 0;
        struct three three;
        virtq_addr_t addr = 1;

        describe(&three, BOOKED_SINGLE);
        three.members[1].last = three.members[1].first + 256 + (i == 1 ? 18 : 20);
        cr_assert_eq(virtq_mux_init(&three.mux, &three.config), 0);
        lay(&three, "01");
        three.booked[1].next = i == 0 ? given[0] : 0x700000 + 1;
        cr_assert_eq(map(&three, 1, 1, 2), error);
        cr_assert_eq(three.booked[0].unmaps, i < 2);
        cr_assert_eq(three.booked[1].unmaps, i < 2);
        three.booked[1].next = given[i];
        cr_assert_eq(virtq_space_share(&three.mux.space, memory + MEMORY, 20, SPACES_READ, &addr),
                     error);
        cr_assert_eq(three.booked[1].shared, i < 2 ? 0u : 20u);
        cr_assert(i == 2 || addr == 1u);
    }
}

Test(space_mux, memory_is_a_members_as_a_whole_or_nobodys)
{
    struct three three;

    open(&three, BOOKED_SINGLE);
    for (unsigned other = 0; other < 2; other++) {
        three.config.other = other != 0 ? 2 : VIRTQ_MUX_NOBODY;
        cr_assert_eq(virtq_mux_init(&three.mux, &three.config), 0);
        spaces_segment(&three.buffer, 0, memory + MEMORY, MEMORY);
        cr_assert_eq(map(&three, 1, 0, 1), 0);
        expect(&three, 0, at(1, (virtq_addr_t)other * MEMORY), MEMORY);
        spaces_segment(&three.buffer, 0, memory + MEMORY, MEMORY + 1);
        cr_assert_eq(map(&three, 1, 0, 1), VIRTQ_EFAULT, "across two routes");
        spaces_segment(&three.buffer, 0, memory + 3 * MEMORY - 1, 2);
        cr_assert_eq(map(&three, 1, 0, 1), VIRTQ_EFAULT, "beyond the last route");
        spaces_segment(&three.buffer, 0, (void *)((uintptr_t)memory - 1), 2);
        cr_assert_eq(map(&three, 1, 0, 1), VIRTQ_EFAULT, "into the first route");
        spaces_segment(&three.buffer, 0, (void *)((uintptr_t)memory - 1), 1);
        cr_assert_eq(map(&three, 1, 0, 1), other != 0 ? 0 : VIRTQ_EFAULT);
        spaces_segment(&three.buffer, 0, memory + UNROUTED, MEMORY);
        cr_assert_eq(map(&three, 1, 0, 1), other != 0 ? 0 : VIRTQ_EFAULT);
        spaces_segment(&three.buffer, 0, (void *)(UINTPTR_MAX - 8), 9);
        cr_assert_eq(map(&three, 1, 0, 1), other != 0 ? 0 : VIRTQ_EFAULT, "the very end");
        spaces_segment(&three.buffer, 0, (void *)(UINTPTR_MAX - 8), 10);
        cr_assert_eq(map(&three, 1, 0, 1), VIRTQ_EFAULT, "beyond it");
        spaces_segment(&three.buffer, 0, memory, 0);
        cr_assert_eq(map(&three, 1, 0, 1), VIRTQ_EINVAL);
        cr_assert_eq(map(&three, 0, 0, 1), VIRTQ_EINVAL);
    }
}

Test(space_mux, the_callers_word_goes_before_the_place)
{
    struct three three;

    open(&three, BOOKED_SINGLE);
    lay(&three, "000");
    three.buffer.segments[1].route = VIRTQ_MUX_ROUTE(2);
    cr_assert_eq(map(&three, 1, 2, 3), 0);
    cr_assert_eq(three.booked[2].maps, 0u, "not asked to read the word");
    spaces_unmap(&three.mux.space, &three.buffer, 0);
    three.config.flags = VIRTQ_MUX_BY_SEGMENT;
    cr_assert_eq(virtq_mux_init(&three.mux, &three.config), 0);
    cr_assert_eq(map(&three, 1, 2, 3), 0);
    cr_assert_eq(three.booked[2].maps, 1u);
    cr_assert_eq(three.booked[2].lengths[0], 20u);
    spaces_unmap(&three.mux.space, &three.buffer, 0);
    three.buffer.segments[1].route = VIRTQ_MUX_ROUTE(3);
    cr_assert_eq(map(&three, 1, 2, 3), VIRTQ_EINVAL);
    three.buffer.segments[1].route = UINT32_MAX;
    cr_assert_eq(map(&three, 1, 2, 3), VIRTQ_EINVAL);
}

Test(space_mux, l2_m3_a_range_has_permissions_of_its_own)
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

Test(space_mux, a_window_is_clipped_to_the_members_range)
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

Test(space_mux, an_address_that_nobody_routes_is_a_fault)
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

Test(space_mux, l6_ranges_may_end_at_the_top)
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

Test(space_mux, rings_are_shared_through_the_member_they_lie_in)
{
    struct three three;
    virtq_addr_t addr;

    open(&three, BOOKED_SINGLE);
    cr_assert_eq(virtq_space_share(&three.mux.space, memory + MEMORY + 16, 64, SPACES_BOTH, &addr),
                 0);
    cr_assert_eq(addr, at(1, 0));
    cr_assert_eq(three.booked[1].shared, 64u);
    virtq_space_unshare(&three.mux.space, addr, 64);
    cr_assert_eq(three.booked[1].shared, 0u);
    cr_assert_eq(virtq_space_share(&three.mux.space, memory + UNROUTED, 64, SPACES_BOTH, &addr),
                 VIRTQ_EFAULT);
    three.booked[1].error = VIRTQ_ENOMEM;
    cr_assert_eq(virtq_space_share(&three.mux.space, memory + MEMORY, 64, SPACES_BOTH, &addr),
                 VIRTQ_ENOMEM);
}

static void stop_waiting(struct virtq_guard *guard)
{
    ++*(unsigned *)(void *)guard;
}

Test(space_mux, l3_queues_are_told_what_members_withdraw)
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

Test(space_mux, refuses_illegal_configurations)
{
    struct three good;
    struct three three;
    struct virtq_mux mux;

    describe(&good, BOOKED_SINGLE);
    memset(&mux, 0x5a, sizeof(mux));
#define REFUSED(change)                                                  \
    do {                                                                 \
        describe(&three, BOOKED_SINGLE);                                 \
        change;                                                          \
        cr_assert_eq(virtq_mux_init(&mux, &three.config), VIRTQ_EINVAL); \
    } while (0)
    REFUSED(three.config.struct_size = 8);
    REFUSED(three.config.members = NULL);
    REFUSED(three.config.member_count = 0);
    REFUSED(three.config.member_count = VIRTQ_MUX_MEMBERS + 1);
    REFUSED(three.config.routes = NULL);
    REFUSED(three.config.flags = 2);
    REFUSED(three.config.other = 3);
    REFUSED(three.members[1].space = NULL);
    REFUSED(three.members[1].permissions = 0);
    REFUSED(three.members[1].permissions = 4);
    REFUSED(three.members[1].last = three.members[1].first - 1);
    REFUSED(three.members[1].own = UINT64_MAX - SPAN + 2);
    REFUSED(three.members[1].first = three.members[0].last);
    REFUSED(three.members[1].first = 0; three.members[1].last = UINT64_MAX);
    REFUSED(three.routes[2].member = 3);
    REFUSED(three.routes[1].first = three.routes[0].last);
    REFUSED(three.routes[1].last = three.routes[1].first - 1);
    REFUSED(three.routes[0] = three.routes[2]);
#undef REFUSED
    for (size_t i = 0; i < sizeof(mux); i++) {
        cr_assert_eq(((unsigned char *)&mux)[i], 0x5a);
    }
}

/* What the buffer's bytes are for the device, from the runs: the segments' bytes, in order. */
Test(space_mux, any_buffer_comes_out_in_its_order)
{
    uint64_t random = 0x6d757821;

    for (unsigned round = 0; round < 3000; round++) {
        const unsigned count = 1 + (unsigned)random_below(&random, SPACES_SEGMENTS);
        const unsigned readable = (unsigned)random_below(&random, count + 1);
        virtq_addr_t next[3] = {0x700000, 0x700000, 0x700000};
        unsigned capacity = 2 + (unsigned)random_below(&random, SPACES_RUNS - 1);
        unsigned run = 0;
        uint32_t done = 0; /* Bytes of the run. */
        struct three three;
        int error;

        open(&three, (enum booked_way)random_below(&random, 3));
        for (unsigned i = 0; i < 3; i++) {
            three.booked[i].way = (enum booked_way)random_below(&random, 2); /* No gaps. */
        }
        for (unsigned i = 0; i < count; i++) {
            spaces_segment(&three.buffer, i, memory + random_below(&random, 3) * MEMORY,
                           1 + random_below(&random, 99));
        }
        error = map(&three, readable, count - readable, capacity);
        if (error != 0) {
            cr_assert_eq(error, VIRTQ_EFULL);
            cr_assert(capacity < 2 * count);
            continue;
        }
        for (unsigned i = 0; i < count; i++) {
            unsigned member =
                (unsigned)(((unsigned char *)three.buffer.segments[i].base - memory) / MEMORY);
            uint32_t left = three.buffer.segments[i].len;

            if (i == readable) {
                cr_assert_eq(done, 0u);
                cr_assert_eq(run, three.buffer.mapping.runs_readable);
                for (unsigned k = 0; k < 3; k++) {
                    next[k] = (next[k] + 255) & ~UINT64_C(255);
                }
            }
            while (left != 0) {
                const struct virtq_run *it = &three.buffer.runs[run];
                uint32_t some = it->len - done < left ? it->len - done : left;

                cr_assert(run < (unsigned)three.buffer.mapping.runs_readable +
                                    three.buffer.mapping.runs_writable);
                cr_assert_eq(it->addr + done, next[member] - 0x700000 + at(member, 0), "round %u",
                             round);
                next[member] += some;
                left -= some;
                done += some;
                if (done == it->len) {
                    run++;
                    done = 0;
                }
            }
        }
        cr_assert_eq(done, 0u);
        cr_assert_eq(run, three.buffer.mapping.runs_readable + three.buffer.mapping.runs_writable);
        spaces_unmap(&three.mux.space, &three.buffer, 0);
    }
}
