/* SPDX-License-Identifier: BSD-3-Clause */
/* The mux space by itself: routing, order, all or nothing, windows. mux_queue_test.c has queues. */
#include "virtq/space/mux.h"

#include <stdbool.h>

#include "mux_fixture.h"
#include "support/random.h"

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

Test(space_mux, nor_is_one_that_has_all_of_the_buffer)
{
    for (unsigned way = BOOKED_SINGLE; way <= (unsigned)BOOKED_BLURRED; way++) {
        const bool wrong = way == (unsigned)BOOKED_SHORT || way == (unsigned)BOOKED_BLURRED;
        struct three three;

        open(&three, (enum booked_way)way);
        lay(&three, "1111");
        cr_assert_eq(map(&three, 2, 2, 8), wrong ? VIRTQ_EFAULT : 0, "way %u", way);
        if (!wrong) {
            cr_assert_eq(three.buffer.mapping.copied, 1u);
            cr_assert_eq(three.buffer.runs[0].addr, at(1, 0));
            spaces_unmap(&three.mux.space, &three.buffer, 33);
            cr_assert_eq(three.booked[1].written, 33u);
        }
        cr_assert_eq(three.booked[1].maps, 1u);
        cr_assert_eq(three.booked[1].unmaps, 1u);
        cr_assert(three.booked[0].maps == 0 && three.booked[2].maps == 0);
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
