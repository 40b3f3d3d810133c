/* SPDX-License-Identifier: BSD-3-Clause */
/* The direct space: constant, regions, premapped. M1, M3; threats 73, 76, 78, 79. */
#include "virtq/space/direct.h"

#include <pthread.h>

#include "support/guarded.h"
#include "support/random.h"
#include "support/runner.h"
#include "support/spaces.h"

static unsigned char memory[8192];

static int window_of(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                     struct virtq_window *window)
{
    return space->ops->window(space, addr, permission, window);
}

Test(space_direct, constant_computes_at_both_ends_and_through_the_operations)
{
    struct virtq_direct direct;
    struct spaces_buffer buffer;
    struct virtq_window window;
    virtq_addr_t addr;

    cr_assert_eq(virtq_direct_init(&direct, memory, 0x1000, 0x1000 + 8191, SPACES_BOTH), 0);
    cr_assert_eq(direct.space.driver_kind, (uint32_t)VIRTQ_SPACE_DIRECT);
    cr_assert_eq(direct.space.device_kind, (uint32_t)VIRTQ_SPACE_DIRECT);
    cr_assert_eq(direct.space.linear.first, 0x1000u);
    cr_assert_eq(direct.space.linear.last, 0x1000u + 8191u);
    cr_assert_eq(direct.space.linear.base, memory);

    spaces_segment(&buffer, 0, memory + 5, 100);
    spaces_segment(&buffer, 1, memory + 8191, 1);
    cr_assert_eq(spaces_map(&direct.space, &buffer, 1, 1, 2), 0);
    cr_assert_eq(buffer.mapping.runs_readable, 1);
    cr_assert_eq(buffer.mapping.runs_writable, 1);
    cr_assert_eq(buffer.runs[0].addr, 0x1005u);
    cr_assert_eq(buffer.runs[0].len, 100u);
    cr_assert_eq(buffer.runs[1].addr, 0x1000u + 8191u);
    cr_assert_eq(spaces_map(&direct.space, &buffer, 1, 1, 1), VIRTQ_EFULL);
    spaces_unmap(&direct.space, &buffer, 0);

    spaces_segment(&buffer, 0, memory + 8191, 2);
    cr_assert_eq(spaces_map(&direct.space, &buffer, 1, 0, 2), VIRTQ_EFAULT);

    cr_assert_eq(direct.space.ops->share(&direct.space, memory, 8192, SPACES_BOTH, &addr), 0);
    cr_assert_eq(addr, 0x1000u);
    cr_assert_eq(direct.space.ops->share(&direct.space, memory + 1, 8192, SPACES_BOTH, &addr),
                 VIRTQ_EFAULT);
    cr_assert_eq(window_of(&direct.space, 0x1000 + 8191, SPACES_READ, &window), 0);
    cr_assert_eq(window.base, memory);
    cr_assert_eq(window_of(&direct.space, 0x1000 + 8192, SPACES_READ, &window), VIRTQ_EFAULT);
    cr_assert_eq(window_of(&direct.space, 0xfff, SPACES_READ, &window), VIRTQ_EFAULT);
}

Test(space_direct, L6_the_top_of_the_address_range_is_legal)
{
    struct virtq_direct direct;
    struct spaces_buffer buffer;
    struct virtq_window window;

    cr_assert_eq(virtq_direct_init(&direct, memory, UINT64_MAX - 4095, UINT64_MAX, SPACES_BOTH), 0);
    cr_assert_eq(window_of(&direct.space, UINT64_MAX, SPACES_WRITE, &window), 0);
    cr_assert_eq(window.last, UINT64_MAX);
    cr_assert_eq(window_of(&direct.space, UINT64_MAX - 4096, SPACES_WRITE, &window), VIRTQ_EFAULT);
    spaces_segment(&buffer, 0, memory + 4090, 6);
    cr_assert_eq(spaces_map(&direct.space, &buffer, 0, 1, 1), 0);
    cr_assert_eq(buffer.runs[0].addr, UINT64_MAX - 5);
    spaces_segment(&buffer, 0, memory + 4090, 7);
    cr_assert_eq(spaces_map(&direct.space, &buffer, 0, 1, 1), VIRTQ_EFAULT);
}

Test(space_direct, threat_73_the_identity_of_everything_works)
{
    struct virtq_direct direct;
    struct spaces_buffer buffer;
    struct virtq_window window;

    cr_assert_eq(virtq_direct_init(&direct, NULL, 0, UINTPTR_MAX, SPACES_BOTH), 0);
    cr_assert_eq(window_of(&direct.space, (uintptr_t)memory, SPACES_READ, &window), 0);
    cr_assert_eq(window.last, UINTPTR_MAX);
    spaces_segment(&buffer, 0, memory, 64);
    cr_assert_eq(spaces_map(&direct.space, &buffer, 1, 0, 1), 0);
    cr_assert_eq(buffer.runs[0].addr, (uintptr_t)memory);
}

Test(space_direct, refuses_illegal_windows)
{
    struct virtq_direct direct;

    cr_assert_eq(virtq_direct_init(&direct, memory, 1, 0, SPACES_BOTH), VIRTQ_EINVAL);
    cr_assert_eq(virtq_direct_init(&direct, memory, 0, UINT64_MAX, SPACES_BOTH), VIRTQ_EINVAL);
    cr_assert_eq(virtq_direct_init(&direct, memory, 0, 1, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_direct_init(&direct, memory, 0, 1, 4), VIRTQ_EINVAL);
}

Test(space_direct, refuses_illegal_tables)
{
    struct virtq_region overlap[] = {{0, 99, memory, SPACES_READ}, {99, 199, memory, SPACES_READ}};
    struct virtq_region unsorted[] = {{100, 199, memory, SPACES_READ},
                                      {0, 99, memory, SPACES_READ}};
    struct virtq_region inverted[] = {{100, 99, memory, SPACES_READ}};
    struct virtq_region wrapping[] = {{0, UINT64_MAX, memory, SPACES_READ}};
    struct virtq_direct direct;
    const struct virtq_direct_table table = {overlap, 2};

    cr_assert_eq(virtq_direct_init_regions(&direct, overlap, 2), VIRTQ_EINVAL);
    cr_assert_eq(virtq_direct_init_regions(&direct, unsorted, 2), VIRTQ_EINVAL);
    cr_assert_eq(virtq_direct_init_regions(&direct, inverted, 1), VIRTQ_EINVAL);
    cr_assert_eq(virtq_direct_init_regions(&direct, wrapping, 1), VIRTQ_EINVAL);
    cr_assert_eq(virtq_direct_init_regions(&direct, NULL, 1), VIRTQ_EINVAL);
    cr_assert_eq(virtq_direct_init_regions(&direct, NULL, 0), 0);
    cr_assert_eq(virtq_direct_set_regions(&direct, &table), VIRTQ_EINVAL);
    cr_assert_eq(virtq_direct_init(&direct, memory, 0, 1, SPACES_READ), 0);
    cr_assert_eq(virtq_direct_set_regions(&direct, &table), VIRTQ_ENOTSUP);
}

Test(space_direct, M3_threat_78_permissions_are_enforced_three_by_three)
{
    uint32_t permissions;
    uint32_t access;

    for (permissions = SPACES_READ; permissions <= SPACES_BOTH; permissions++) {
        struct virtq_region region = {0, 99, memory, permissions};
        struct virtq_direct direct;

        cr_assert_eq(virtq_direct_init_regions(&direct, &region, 1), 0);
        for (access = SPACES_READ; access <= SPACES_BOTH; access++) {
            struct virtq_window window;
            virtq_addr_t addr;
            int granted = (permissions & access) == access;

            cr_assert_eq(window_of(&direct.space, 5, access, &window), granted ? 0 : VIRTQ_EPERM);
            cr_assert_eq(direct.space.ops->share(&direct.space, memory, 100, access, &addr),
                         granted ? 0 : VIRTQ_EFAULT);
        }
    }
}

Test(space_direct, threat_79_contiguous_neighbours_are_one_window)
{
    struct virtq_region regions[] = {{0x1000, 0x10ff, memory, SPACES_BOTH},
                                     {0x1100, 0x11ff, memory + 0x100, SPACES_BOTH},
                                     {0x1200, 0x12ff, memory + 0x200, SPACES_READ},
                                     {0x1300, 0x13ff, memory + 0x400, SPACES_READ},
                                     {0x1500, 0x15ff, memory + 0x500, SPACES_READ}};
    struct virtq_direct direct;
    struct virtq_window window;

    cr_assert_eq(virtq_direct_init_regions(&direct, regions, 5), 0);
    cr_assert_eq(window_of(&direct.space, 0x1180, SPACES_READ, &window), 0);
    cr_assert_eq(window.first, 0x1000u);
    cr_assert_eq(window.last, 0x11ffu, "other permissions are another window");
    cr_assert_eq(window.base, memory);
    cr_assert_eq(window.permissions, (uint32_t)SPACES_BOTH);
    cr_assert_eq(window_of(&direct.space, 0x1200, SPACES_READ, &window), 0);
    cr_assert_eq(window.last, 0x12ffu, "not contiguous in memory");
    cr_assert_eq(window_of(&direct.space, 0x13ff, SPACES_READ, &window), 0);
    cr_assert_eq(window.last, 0x13ffu, "not contiguous in addresses");
    cr_assert_eq(window_of(&direct.space, 0x1400, SPACES_READ, &window), VIRTQ_EFAULT);
}

Test(space_direct, a_segment_across_regions_becomes_several_runs)
{
    /* In memory one after the other; in addresses the second continues the first, the third does
     * not. */
    struct virtq_region regions[] = {{0x1000, 0x10ff, memory + 0x200, SPACES_BOTH},
                                     {0x5000, 0x50ff, memory, SPACES_BOTH},
                                     {0x5100, 0x51ff, memory + 0x100, SPACES_BOTH}};
    struct virtq_direct direct;
    struct spaces_buffer buffer;
    virtq_addr_t addr;

    cr_assert_eq(virtq_direct_init_regions(&direct, regions, 3), 0);
    spaces_segment(&buffer, 0, memory + 0x10, 0x210);
    spaces_segment(&buffer, 1, memory + 0x2f0, 0x10);
    cr_assert_eq(spaces_map(&direct.space, &buffer, 1, 1, 4), 0);
    cr_assert_eq(buffer.mapping.runs_readable, 2);
    cr_assert_eq(buffer.mapping.runs_writable, 1);
    cr_assert_eq(buffer.runs[0].addr, 0x5010u);
    cr_assert_eq(buffer.runs[0].len, 0x1f0u);
    cr_assert_eq(buffer.runs[1].addr, 0x1000u);
    cr_assert_eq(buffer.runs[1].len, 0x20u);
    cr_assert_eq(buffer.runs[2].addr, 0x10f0u);
    cr_assert_eq(spaces_map(&direct.space, &buffer, 1, 1, 2), VIRTQ_EFULL);
    spaces_segment(&buffer, 0, memory + 0x2ff, 2);
    cr_assert_eq(spaces_map(&direct.space, &buffer, 1, 0, 4), VIRTQ_EFAULT);
    cr_assert_eq(direct.space.ops->share(&direct.space, memory, 0x200, SPACES_BOTH, &addr), 0);
    cr_assert_eq(addr, 0x5000u);
    cr_assert_eq(direct.space.ops->share(&direct.space, memory, 0x201, SPACES_BOTH, &addr),
                 VIRTQ_EFAULT, "one address cannot name both");
}

Test(space_direct, memory_with_several_addresses_gives_one_that_grants_the_access)
{
    struct virtq_region regions[] = {{0x1000, 0x10ff, memory, SPACES_READ},
                                     {0x2000, 0x20ff, memory, SPACES_WRITE}};
    struct virtq_direct direct;
    struct spaces_buffer buffer;

    cr_assert_eq(virtq_direct_init_regions(&direct, regions, 2), 0);
    spaces_segment(&buffer, 0, memory, 16);
    spaces_segment(&buffer, 1, memory, 16);
    cr_assert_eq(spaces_map(&direct.space, &buffer, 1, 1, 2), 0);
    cr_assert_eq(buffer.runs[0].addr, 0x1000u);
    cr_assert_eq(buffer.runs[1].addr, 0x2000u);
}

/* Regions of random sizes and gaps against a byte-by-byte oracle: where each address leads, and
 * where windows must end. */
Test(space_direct, windows_agree_with_a_slow_oracle)
{
    enum { SPAN = 256 };
    uint64_t seed = 1;
    int round;

    for (round = 0; round < 300; round++) {
        struct virtq_region regions[16];
        uintptr_t where[SPAN + 1] = {0};
        uint32_t may[SPAN + 1] = {0};
        struct virtq_direct direct;
        unsigned count = 0;
        unsigned at = (unsigned)random_below(&seed, 4);
        unsigned i;

        while (count < 16 && at < SPAN) {
            unsigned len = 1 + (unsigned)random_below(&seed, 20);
            struct virtq_region *region = &regions[count];

            len = len < SPAN - at ? len : SPAN - at;
            region->first = at;
            region->last = at + len - 1;
            region->permissions = 1 + (uint32_t)random_below(&seed, 3);
            region->base = memory + 1024 + random_below(&seed, 4) * 1000;
            if (count > 0 && random_below(&seed, 2) != 0) {
                region->base = (unsigned char *)regions[count - 1].base +
                               (regions[count - 1].last - regions[count - 1].first) + 1;
            }
            for (i = 0; i < len; i++) {
                where[at + i] = (uintptr_t)region->base + i;
                may[at + i] = region->permissions;
            }
            at += len + (random_below(&seed, 2) != 0 ? 0 : (unsigned)random_below(&seed, 9));
            count++;
        }
        cr_assert_eq(virtq_direct_init_regions(&direct, regions, count), 0);
        for (i = 0; i < SPAN; i++) {
            uint32_t access = 1 + (uint32_t)random_below(&seed, 2);
            struct virtq_window window;
            unsigned low = i;
            unsigned high = i;
            int error = window_of(&direct.space, i, access, &window);

            if (may[i] == 0 || (may[i] & access) == 0) {
                cr_assert_eq(error, may[i] == 0 ? VIRTQ_EFAULT : VIRTQ_EPERM);
                continue;
            }
            while (low > 0 && may[low - 1] == may[i] && where[low - 1] + 1 == where[low]) {
                low--;
            }
            while (may[high + 1] == may[i] && where[high] + 1 == where[high + 1]) {
                high++;
            }
            cr_assert_eq(error, 0);
            cr_assert_eq(window.first, low);
            cr_assert_eq(window.last, high);
            cr_assert_eq((uintptr_t)window.base, where[low]);
            cr_assert_eq(window.permissions, may[i]);
        }
    }
}

/* M1, threat 76: a region is removed, and its memory trapped, while another thread looks windows
 * up. The reader plays a queue: it compares generations at the start of each "call", and says when
 * it is between two. */
struct swap {
    struct virtq_direct direct;
    unsigned char *removed; /* The memory that goes and comes. */
    uint64_t calls;         /* Odd while a call is under way. */
    uint64_t hits;          /* Reads of `removed`. */
    int stop;
};

static void *reads_windows(void *context)
{
    struct swap *swap = context;
    uint64_t generation = UINT64_MAX;
    struct virtq_window window = {0, 0, NULL, 0, 0};

    while (!__atomic_load_n(&swap->stop, __ATOMIC_RELAXED)) {
        uint64_t now;

        __atomic_add_fetch(&swap->calls, 1, __ATOMIC_SEQ_CST);
        now = __atomic_load_n(&swap->direct.space.generation, __ATOMIC_ACQUIRE);
        if (generation != now) {
            generation = now;
            window.permissions = 0;
        }
        if (window.permissions == 0) {
            (void)window_of(&swap->direct.space, 0x1000, SPACES_READ, &window);
        }
        if (window.permissions != 0 && *(volatile unsigned char *)window.base == 7 &&
            window.base == swap->removed) {
            __atomic_add_fetch(&swap->hits, 1, __ATOMIC_RELAXED);
        }
        __atomic_add_fetch(&swap->calls, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

/* A write that changes nothing, so that the reader's next call begins after it, for certain. */
static void wait_between_calls(struct swap *swap)
{
    uint64_t seen = __atomic_fetch_add(&swap->calls, 0, __ATOMIC_SEQ_CST);

    while (seen % 2 != 0 && __atomic_fetch_add(&swap->calls, 0, __ATOMIC_SEQ_CST) == seen) {
    }
}

Test(space_direct, M1_a_removed_region_may_be_unmapped_once_queues_were_between_calls)
{
    static struct swap swap;
    size_t page = guarded_page();
    unsigned char *other = guarded_alloc(page);
    struct virtq_region stays = {0x1000, 0x1fff, other, SPACES_READ};
    const struct virtq_direct_table without = {&stays, 1};
    pthread_t reader;
    int round;

    swap.removed = guarded_alloc(page);
    swap.removed[0] = 7;
    cr_assert_eq(virtq_direct_init_regions(&swap.direct, &stays, 1), 0);
    cr_assert_eq(pthread_create(&reader, NULL, reads_windows, &swap), 0);
    for (round = 0; round < 2000; round++) {
        struct virtq_region goes = {0x1000, 0x1fff, swap.removed, SPACES_READ};
        struct virtq_direct_table with = {&goes, 1};
        uint64_t hits = __atomic_load_n(&swap.hits, __ATOMIC_RELAXED);

        cr_assert_eq(virtq_direct_set_regions(&swap.direct, &with), 0);
        while (round < 20 && __atomic_load_n(&swap.hits, __ATOMIC_RELAXED) == hits) {
        }
        cr_assert_eq(virtq_direct_set_regions(&swap.direct, &without), 0);
        wait_between_calls(&swap);
        /* Now the table may be used for something else, and the memory may go. */
        memset(&goes, 0xff, sizeof(goes));
        memset(&with, 0xff, sizeof(with));
        cr_assert_eq(mprotect(swap.removed, page, PROT_NONE), 0);
        cr_assert_eq(mprotect(swap.removed, page, PROT_READ | PROT_WRITE), 0);
    }
    __atomic_store_n(&swap.stop, 1, __ATOMIC_RELAXED);
    cr_assert_eq(pthread_join(reader, NULL), 0);
    guarded_free(swap.removed, page);
    guarded_free(other, page);
}

Test(space_direct, premapped_buffers_hold_addresses_and_rings_go_to_the_space_below)
{
    struct virtq_premapped premapped;
    struct virtq_direct direct;
    struct spaces_buffer buffer;
    struct virtq_window window;
    virtq_addr_t addr;

    cr_assert_eq(virtq_direct_init(&direct, memory, 0x1000, 0x1fff, SPACES_BOTH), 0);
    virtq_premapped_init(&premapped, &direct.space);
    cr_assert_eq(premapped.space.driver_kind, (uint32_t)VIRTQ_SPACE_PREMAPPED);
    cr_assert_eq(premapped.space.device_kind, (uint32_t)VIRTQ_SPACE_PREMAPPED);
    buffer.segments[0].addr = UINT64_C(0xdeadbeef0000);
    buffer.segments[0].len = 32;
    cr_assert_eq(spaces_map(&premapped.space, &buffer, 1, 0, 1), 0);
    cr_assert_eq(buffer.runs[0].addr, UINT64_C(0xdeadbeef0000));
    cr_assert_eq(premapped.space.ops->share(&premapped.space, memory, 64, SPACES_BOTH, &addr), 0);
    cr_assert_eq(addr, 0x1000u);
    premapped.space.ops->unshare(&premapped.space, addr, 64);
    cr_assert_eq(window_of(&premapped.space, 0x1800, SPACES_READ, &window), 0);
    cr_assert_eq(window.base, memory);

    virtq_premapped_init(&premapped, NULL);
    cr_assert_eq(premapped.space.ops->share(&premapped.space, memory, 64, SPACES_BOTH, &addr),
                 VIRTQ_ENOTSUP);
    cr_assert_eq(window_of(&premapped.space, 0x1800, SPACES_READ, &window), VIRTQ_ENOTSUP);
}
