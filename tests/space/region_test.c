/* SPDX-License-Identifier: BSD-3-Clause */
/* The search in a sorted table, through the direct space: tables of every small size and of those
 * at which the search changes its step, against a walk from one region to the next. L6, M3. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/random.h"
#include "support/spaces.h"
#include "virtq/space/direct.h"

enum { SMALL = 200, LARGE = 65536 };

static unsigned char *const memory = (unsigned char *)0x10000;

static struct virtq_region *new_table(void)
{
    struct virtq_region *regions = calloc(LARGE, sizeof(*regions));

    cr_assert_not_null(regions);
    return regions;
}

/* `count` regions of one to four bytes with holes of none to two between them, from `at` up: a
 * third of them continues the one before in memory. */
static void fill(struct virtq_region *regions, unsigned count, virtq_addr_t at, uint64_t *seed)
{
    unsigned char *base = memory;

    for (unsigned i = 0; i < count; i++) {
        uint64_t span = random_below(seed, 4);
        uint64_t hole = random_below(seed, 3);

        regions[i] = (struct virtq_region){.first = at, .last = at + span, .base = base};
        regions[i].permissions = 1 + (uint32_t)random_below(seed, 3);
        at += span + 1 + hole;
        base += span + 1 + (random_below(seed, 2) != 0 ? 16 : 0);
    }
}

static bool continues(const struct virtq_region *regions, unsigned low)
{
    const struct virtq_region *before = &regions[low];
    const struct virtq_region *after = &regions[low + 1];

    return before->last + 1 == after->first && before->permissions == after->permissions &&
           (uintptr_t)before->base + (before->last - before->first) + 1 == (uintptr_t)after->base;
}

static void look_up(struct virtq_direct *direct, virtq_addr_t addr, uint32_t access, int expected,
                    struct virtq_window *window)
{
    int error = direct->space.ops->window(&direct->space, addr, access, window);

    cr_assert_eq(error, expected, "%d and not %d for %#llx among %u", error, expected,
                 (unsigned long long)addr, direct->own.count);
}

/* The addresses of one region, and those in the hole behind it. */
static void check_region(struct virtq_direct *direct, const struct virtq_region *regions,
                         unsigned count, unsigned at)
{
    const struct virtq_region *region = &regions[at];
    struct virtq_window window = {.permissions = 0};
    unsigned low = at;
    unsigned high = at;
    virtq_addr_t addr;

    while (low > 0 && continues(regions, low - 1)) {
        low--;
    }
    while (high + 1 < count && continues(regions, high)) {
        high++;
    }
    for (addr = region->first; addr - region->first <= region->last - region->first; addr++) {
        for (uint32_t access = 1; access <= 3; access++) {
            bool granted = (region->permissions & access) == access;

            look_up(direct, addr, access, granted ? 0 : VIRTQ_EPERM, &window);
            if (granted) {
                cr_assert_eq(window.first, regions[low].first);
                cr_assert_eq(window.last, regions[high].last);
                cr_assert_eq(window.base, (unsigned char *)regions[low].base);
                cr_assert_eq(window.permissions, region->permissions);
            }
        }
    }
    for (; addr != 0 && (at + 1 == count ? addr < region->last + 4 : addr < region[1].first);
         addr++) {
        look_up(direct, addr, VIRTQ_PERMISSION_READ, VIRTQ_EFAULT, &window);
    }
}

static void check_table(const struct virtq_region *regions, unsigned count)
{
    struct virtq_direct direct;
    struct virtq_window window;

    cr_assert_eq(virtq_direct_init_regions(&direct, regions, count), 0);
    for (unsigned i = 0; i < count; i++) {
        check_region(&direct, regions, count, i);
    }
    if (count == 0 || regions[0].first != 0) {
        look_up(&direct, 0, VIRTQ_PERMISSION_READ, VIRTQ_EFAULT, &window);
    }
    if (count == 0 || regions[count - 1].last != UINT64_MAX) {
        look_up(&direct, UINT64_MAX, VIRTQ_PERMISSION_READ, VIRTQ_EFAULT, &window);
    }
}

Test(space_region, finds_each_address_in_tables_of_every_small_size)
{
    struct virtq_region *regions = new_table();
    uint64_t seed = 1;

    (void)printf("seed %llu\n", (unsigned long long)seed);
    for (unsigned count = 0; count <= SMALL; count++) {
        fill(regions, count, random_below(&seed, 2), &seed);
        check_table(regions, count);
    }
    free(regions);
}

Test(space_region, finds_each_address_where_the_search_changes_its_step)
{
    static const unsigned counts[] = {511, 512, 513, 1024, 4095, 4096, 4097, 40000, LARGE};
    bool hurried = getenv("VIRTQ_TEST_HURRIED") != NULL;
    struct virtq_region *regions = new_table();
    uint64_t seed = 2;

    (void)printf("seed %llu\n", (unsigned long long)seed);
    for (unsigned i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        if (hurried && counts[i] > 5000) {
            break;
        }
        fill(regions, counts[i], 1, &seed);
        check_table(regions, counts[i]);
    }
    free(regions);
}

Test(space_region, L6_the_last_region_may_end_where_all_addresses_do)
{
    struct virtq_region *regions = new_table();
    uint64_t seed = 3;

    (void)printf("seed %llu\n", (unsigned long long)seed);
    for (unsigned count = 1; count <= SMALL; count++) {
        virtq_addr_t move;

        fill(regions, count, 0, &seed);
        move = UINT64_MAX - regions[count - 1].last;
        for (unsigned i = 0; i < count; i++) {
            regions[i].first += move;
            regions[i].last += move;
        }
        check_table(regions, count);
    }
    free(regions);
}
