/* SPDX-License-Identifier: BSD-3-Clause */
/* The IOVA allocator. L6, M5 (reserved regions); threats 64, 67, 73, 80. */
#include "virtq/iommu/iova.h"

#include <stdbool.h>

#include "support/random.h"
#include "support/runner.h"

enum { PAGE = 4096 };

Test(iommu_iova, takes_the_lowest_gap_and_whole_pages)
{
    struct virtq_iova_range ranges[8];
    struct virtq_iova iova;
    virtq_addr_t a;
    virtq_addr_t b;
    virtq_addr_t c;

    cr_assert_eq(virtq_iova_init(&iova, 0x800, 0x10fff, PAGE, ranges, 8), 0);
    cr_assert_eq(virtq_iova_alloc(&iova, 1, 0, UINT64_MAX, &a), 0);
    cr_assert_eq(virtq_iova_alloc(&iova, PAGE + 1, 0, UINT64_MAX, &b), 0);
    cr_assert_eq(virtq_iova_alloc(&iova, PAGE, 0, UINT64_MAX, &c), 0);
    cr_assert_eq(a, 0x1000u);
    cr_assert_eq(b, 0x2000u);
    cr_assert_eq(c, 0x4000u);
    cr_assert_eq(virtq_iova_free(&iova, b + 1), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_free(&iova, b), 0);
    cr_assert_eq(virtq_iova_free(&iova, b), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_alloc(&iova, 3 * PAGE, 0, UINT64_MAX, &a), 0);
    cr_assert_eq(a, 0x5000u);
    cr_assert_eq(virtq_iova_alloc(&iova, 2 * PAGE, 0, UINT64_MAX, &a), 0);
    cr_assert_eq(a, 0x2000u);
    cr_assert_eq(virtq_iova_alloc(&iova, PAGE, 0x8000, UINT64_MAX, &a), 0);
    cr_assert_eq(a, 0x8000u);
}

Test(iommu_iova, limit_and_alignment_are_kept_and_errors_tell_never_from_not_now)
{
    struct virtq_iova_range ranges[3];
    struct virtq_iova iova;
    virtq_addr_t addr;

    cr_assert_eq(virtq_iova_init(&iova, 0x1000, 0x8fff, PAGE, ranges, 3), 0);
    cr_assert_eq(virtq_iova_alloc(&iova, PAGE, 0, 0x1ffe, &addr), VIRTQ_ETOOBIG);
    cr_assert_eq(virtq_iova_alloc(&iova, 1, 0, 0x1ffe, &addr), VIRTQ_ETOOBIG, "a whole page");
    cr_assert_eq(virtq_iova_alloc(&iova, PAGE, 0, 0x1fff, &addr), 0);
    cr_assert_eq(virtq_iova_alloc(&iova, PAGE, 0, 0x1fff, &addr), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_iova_alloc(&iova, 8 * PAGE, 0, UINT64_MAX, &addr), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_iova_alloc(&iova, 8 * PAGE + 1, 0, UINT64_MAX, &addr), VIRTQ_ETOOBIG);
    cr_assert_eq(virtq_iova_alloc(&iova, PAGE, 0x10000, UINT64_MAX, &addr), VIRTQ_ETOOBIG);
    cr_assert_eq(virtq_iova_alloc(&iova, PAGE, 3, UINT64_MAX, &addr), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_alloc(&iova, 0, 0, UINT64_MAX, &addr), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_alloc(&iova, UINT64_MAX, 0, UINT64_MAX, &addr), VIRTQ_ETOOBIG);
    cr_assert_eq(virtq_iova_alloc(&iova, 1, 0, UINT64_MAX, &addr), 0);
    cr_assert_eq(virtq_iova_alloc(&iova, 1, 0, UINT64_MAX, &addr), 0);
    cr_assert_eq(virtq_iova_alloc(&iova, 1, 0, UINT64_MAX, &addr), VIRTQ_ENOMEM, "no entry left");
    cr_assert_eq(virtq_iova_reserve(&iova, 0x8000, 0x8fff), VIRTQ_ENOMEM);
}

Test(iommu_iova, L6_threat_73_the_whole_64_bit_range)
{
    struct virtq_iova_range ranges[4];
    struct virtq_iova iova;
    virtq_addr_t addr;

    cr_assert_eq(virtq_iova_init(&iova, 0, UINT64_MAX, PAGE, ranges, 4), 0);
    cr_assert_eq(virtq_iova_alloc(&iova, UINT64_MAX, 0, UINT64_MAX, &addr), 0);
    cr_assert_eq(addr, 0u);
    cr_assert_eq(virtq_iova_alloc(&iova, 1, 0, UINT64_MAX, &addr), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_iova_free(&iova, 0), 0);
    cr_assert_eq(virtq_iova_reserve(&iova, 0, UINT64_MAX - PAGE), 0);
    cr_assert_eq(virtq_iova_alloc(&iova, PAGE, 0, UINT64_MAX, &addr), 0);
    cr_assert_eq(addr, UINT64_MAX - PAGE + 1);
    cr_assert_eq(virtq_iova_alloc(&iova, PAGE, 0, UINT64_MAX, &addr), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_iova_free(&iova, UINT64_MAX - PAGE + 1), 0);
    cr_assert_eq(virtq_iova_reserve(&iova, UINT64_MAX, UINT64_MAX), 0);
    cr_assert_eq(virtq_iova_alloc(&iova, 1, 0, UINT64_MAX, &addr), VIRTQ_ETOOBIG);
    cr_assert_eq(virtq_iova_init(&iova, UINT64_MAX - 1, UINT64_MAX, 1, ranges, 4), 0);
    cr_assert_eq(virtq_iova_alloc(&iova, 1, 0, UINT64_MAX, &addr), 0);
    cr_assert_eq(virtq_iova_alloc(&iova, 1, 0, UINT64_MAX, &addr), 0);
    cr_assert_eq(addr, UINT64_MAX);
    cr_assert_eq(virtq_iova_init(&iova, 0, UINT64_MAX, UINT64_C(1) << 63, ranges, 4), 0);
    cr_assert_eq(virtq_iova_alloc(&iova, 1, 0, UINT64_MAX, &addr), 0);
    cr_assert_eq(virtq_iova_alloc(&iova, 1, 0, UINT64_MAX, &addr), 0);
    cr_assert_eq(addr, UINT64_C(1) << 63);
}

Test(iommu_iova, refuses_illegal_ranges)
{
    struct virtq_iova_range ranges[4];
    struct virtq_iova iova;

    cr_assert_eq(virtq_iova_init(&iova, 0, PAGE - 2, PAGE, ranges, 4), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_init(&iova, 1, PAGE - 1, PAGE, ranges, 4), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_init(&iova, 1, 2 * PAGE - 2, PAGE, ranges, 4), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_init(&iova, UINT64_MAX - 5, UINT64_MAX, PAGE, ranges, 4), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_init(&iova, 2, 1, 1, ranges, 4), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_init(&iova, 0, UINT64_MAX, 3, ranges, 4), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_init(&iova, 0, UINT64_MAX, 0, ranges, 4), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_init(&iova, 0, UINT64_MAX, PAGE, ranges, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_init(&iova, 0, UINT64_MAX, PAGE, NULL, 4), VIRTQ_EINVAL);
}

Test(iommu_iova, M5_reserved_regions_are_kept_out_and_may_overlap)
{
    struct virtq_iova_range ranges[4];
    struct virtq_iova iova;
    virtq_addr_t addr;

    cr_assert_eq(virtq_iova_init(&iova, 0, 0xffff, PAGE, ranges, 4), 0);
    cr_assert_eq(virtq_iova_reserve(&iova, 0x1800, 0x1900), 0);
    cr_assert_eq(virtq_iova_reserve(&iova, 0x4000, 0x4fff), 0);
    cr_assert_eq(virtq_iova_reserve(&iova, 0x1000, 0x40ff), 0);
    cr_assert_eq(iova.count, 1u, "one region, which covers both");
    cr_assert_eq(virtq_iova_reserve(&iova, 0x10000, UINT64_MAX), 0, "outside");
    cr_assert_eq(iova.count, 1u);
    cr_assert_eq(virtq_iova_reserve(&iova, 0xf000, UINT64_MAX), 0, "partly outside");
    cr_assert_eq(virtq_iova_reserve(&iova, 2, 1), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iova_alloc(&iova, PAGE, 0, UINT64_MAX, &addr), 0);
    cr_assert_eq(addr, 0u);
    cr_assert_eq(virtq_iova_reserve(&iova, 0xfff, 0xfff), VIRTQ_EBUSY);
    cr_assert_eq(virtq_iova_alloc(&iova, PAGE, 0, UINT64_MAX, &addr), 0);
    cr_assert_eq(addr, 0x5000u);
    cr_assert_eq(virtq_iova_free(&iova, 0x1000), VIRTQ_EINVAL, "reserved for ever");
    cr_assert_eq(virtq_iova_alloc(&iova, 9 * PAGE, 0, UINT64_MAX, &addr), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_iova_alloc(&iova, 10 * PAGE, 0, UINT64_MAX, &addr), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_iova_alloc(&iova, 10 * PAGE + 1, 0, UINT64_MAX, &addr), VIRTQ_ETOOBIG);
}

enum { PAGES_MAX = 2048, CAPACITY_MAX = 600, TAKEN = 1, KEPT = 2 };

/* What the tree of taken ranges knows of itself, at and below an entry. */
static unsigned check_tree(const struct virtq_iova *iova, uint32_t number)
{
    const struct virtq_iova_range *range = &iova->ranges[number - 1];
    unsigned heights[2] = {0, 0};
    uint64_t gap = 0;

    if (range->left != 0) {
        const struct virtq_iova_range *left = &iova->ranges[range->left - 1];

        heights[0] = check_tree(iova, range->left);
        cr_assert_lt(left->high, range->first);
        cr_assert_eq(left->low, range->low);
        gap = range->first - left->high - 1;
        gap = gap > left->gap ? gap : left->gap;
    }
    if (range->right != 0) {
        const struct virtq_iova_range *right = &iova->ranges[range->right - 1];
        uint64_t between = right->low - range->last - 1;

        heights[1] = check_tree(iova, range->right);
        cr_assert_gt(right->low, range->last);
        cr_assert_eq(right->high, range->high);
        gap = gap > right->gap ? gap : right->gap;
        gap = gap > between ? gap : between;
    }
    cr_assert_eq(range->gap, gap);
    cr_assert(heights[0] <= heights[1] + 1 && heights[1] <= heights[0] + 1, "balanced");
    cr_assert_eq(range->height, 1 + (heights[0] > heights[1] ? heights[0] : heights[1]));
    return range->height;
}

/* Some pages at the bottom or at the very top of the range, against a table of pages. */
/* The lowest place below a limit for so many pages, where `used` has none of the marks; `most`:
 * there is none. */
static unsigned lowest(const char *used, char marks, unsigned most, unsigned pages, unsigned align)
{
    unsigned at;
    unsigned i;

    for (at = 0; at + pages <= most; at += align) {
        for (i = 0; i < pages && (used[at + i] & marks) == 0; i++) {
        }
        if (i == pages) {
            return at;
        }
    }
    return most;
}

static void agrees_with_pages(virtq_addr_t base, uint64_t seed, unsigned all, unsigned capacity)
{
    static struct virtq_iova_range ranges[CAPACITY_MAX];
    static struct {
        unsigned at, pages;
    } live[CAPACITY_MAX];
    static char used[PAGES_MAX];
    struct virtq_iova iova;
    unsigned reserved = 0;
    unsigned count = 0;
    int round;

    memset(used, 0, sizeof(used));
    cr_assert_eq(
        virtq_iova_init(&iova, base, base + ((uint64_t)all * PAGE - 1), PAGE, ranges, capacity), 0);
    for (unsigned at = 3; at + 5 < all; at += 61, reserved++) {
        virtq_addr_t first = base + (uint64_t)at * PAGE;

        cr_assert_eq(virtq_iova_reserve(&iova, first, first + 5 * PAGE - 1), 0);
        memset(used + at, KEPT, 5);
    }
    for (round = 0; round < 20000; round++) {
        if (random_below(&seed, 8) < (round / 2000 % 2 == 0 ? 6u : 3u)) {
            unsigned pages = 1 + (unsigned)random_below(&seed, 12);
            unsigned align = 1u << random_below(&seed, 5);
            unsigned most = 1 + (unsigned)random_below(&seed, all); /* Pages below the limit. */
            virtq_addr_t addr = 0;
            int error =
                virtq_iova_alloc(&iova, (uint64_t)pages * PAGE - random_below(&seed, PAGE),
                                 (uint64_t)align * PAGE, base + ((uint64_t)most * PAGE - 1), &addr);
            unsigned at = lowest(used, TAKEN | KEPT, most, pages, align);

            if (at == most || count + reserved == capacity) {
                bool never = lowest(used, KEPT, most, pages, align) == most;

                cr_assert_eq(error, never ? VIRTQ_ETOOBIG : VIRTQ_ENOMEM);
                continue;
            }
            cr_assert_eq(error, 0);
            cr_assert_eq(addr, base + (uint64_t)at * PAGE);
            memset(used + at, TAKEN, pages);
            live[count].at = at;
            live[count++].pages = pages;
        } else if (count > 0) {
            unsigned which = (unsigned)random_below(&seed, count);

            cr_assert_eq(virtq_iova_free(&iova, base + (uint64_t)live[which].at * PAGE), 0);
            memset(used + live[which].at, 0, live[which].pages);
            live[which] = live[--count];
        }
        if (round % 64 == 0) {
            (void)check_tree(&iova, iova.root);
        }
    }
}

Test(iommu_iova, threats_64_80_agrees_with_a_table_of_pages)
{
    agrees_with_pages(0, 1, 64, 12);
    agrees_with_pages(0x40000000, 2, 64, 12);
    agrees_with_pages(0x40000000, 4, PAGES_MAX, CAPACITY_MAX);
}

Test(iommu_iova, L6_agrees_with_a_table_of_pages_at_the_top)
{
    agrees_with_pages(UINT64_MAX - 64 * PAGE + 1, 3, 64, 12);
    agrees_with_pages(UINT64_MAX - (uint64_t)PAGES_MAX * PAGE + 1, 5, PAGES_MAX, CAPACITY_MAX);
}
