/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranges in pages, against the fewest there can be. L6. */
#include "virtq/iommu/pages.h"

#include <stdio.h>

#include "support/random.h"
#include "support/runner.h"

/* The fewest pages from `at` on, by trying every size at every place: slow, and right. */
static unsigned fewest(uint64_t sizes, uint64_t addr, uint64_t base, unsigned units, uint64_t unit)
{
    static unsigned best[513];

    best[units] = 0;
    for (unsigned i = units; i-- > 0;) {
        uint64_t at = (uint64_t)i * unit;

        best[i] = UINT32_MAX;
        for (unsigned bit = 0; bit < 64; bit++) {
            uint64_t size = (uint64_t)1 << bit;

            if ((sizes & size) != 0 && (((addr + at) | (base + at)) & (size - 1)) == 0 &&
                size / unit <= units - i && best[i + size / unit] < best[i]) {
                best[i] = best[i + size / unit] + 1;
            }
        }
    }
    return best[0];
}

static void cut(uint64_t seed, virtq_addr_t top)
{
    printf("seed %llu\n", (unsigned long long)seed);
    for (unsigned round = 0; round < 5000; round++) {
        uint64_t unit = 4096;
        uint64_t sizes = unit * (1 + 2 * random_below(&seed, 128));
        unsigned units = 1 + (unsigned)random_below(&seed, 512);
        uint64_t base = random_below(&seed, 512) * unit + ((uint64_t)1 << 30);
        virtq_addr_t addr = top - (uint64_t)units * unit + 1 -
                            random_below(&seed, 2) * random_below(&seed, 512) * unit;
        struct virtq_region rest = {addr, addr + ((uint64_t)units * unit - 1),
                                    (void *)(uintptr_t)base, 1};
        struct virtq_iommu_pages pages;
        virtq_addr_t at = addr;
        uint64_t number = 0;
        uint64_t before = 0;

        while (virtq_iommu_pages_next(sizes, &rest, &pages) == 1) {
            cr_assert_eq(pages.first, at);
            cr_assert_eq((uintptr_t)pages.base, base + (at - addr));
            cr_assert((sizes & pages.size) == pages.size && pages.size != 0);
            cr_assert_eq((pages.first | (uintptr_t)pages.base) & (pages.size - 1), 0u);
            cr_assert_neq(pages.size, before, "as many at once as there are");
            before = pages.size;
            at += pages.size * pages.count;
            number += pages.count;
        }
        cr_assert_eq(at, addr + (uint64_t)units * unit);
        cr_assert(rest.first == 1 && rest.last == 0);
        cr_assert_eq(number, fewest(sizes, addr, base, units, unit));
    }
}

Test(iommu_pages, a_range_takes_the_fewest_pages_it_can_be_made_of)
{
    cut(3, ((uint64_t)1 << 40) - 1);
}

Test(iommu_pages, L6_the_same_at_the_top)
{
    cut(6, UINT64_MAX);
}

Test(iommu_pages, the_whole_range_and_what_is_not_whole)
{
    const uint64_t sizes = (uint64_t)1 << 12 | (uint64_t)1 << 21 | (uint64_t)1 << 30;
    struct virtq_region rest = {0, UINT64_MAX, NULL, 1};
    struct virtq_iommu_pages pages = {7, NULL, 7, 7};

    cr_assert_eq(virtq_iommu_pages_next(sizes, &rest, &pages), 1);
    cr_assert(pages.size == (uint64_t)1 << 30 && pages.count == (uint64_t)1 << 34);
    cr_assert_eq(virtq_iommu_pages_next(sizes, &rest, &pages), 0);
    rest = (struct virtq_region){0x1000, 0x1fff, (void *)0x800, 1};
    cr_assert_eq(virtq_iommu_pages_next(sizes, &rest, &pages), VIRTQ_EINVAL);
    rest = (struct virtq_region){0x1000, 0x27ff, (void *)0x1000, 1};
    cr_assert_eq(virtq_iommu_pages_next(sizes, &rest, &pages), VIRTQ_EINVAL);
    rest = (struct virtq_region){0x1000, 0x17ff, (void *)0x1000, 1};
    cr_assert_eq(virtq_iommu_pages_next(sizes, &rest, &pages), VIRTQ_EINVAL);
    cr_assert_eq(virtq_iommu_pages_next(0, &rest, &pages), VIRTQ_EINVAL);
    cr_assert(rest.first == 0x1000 && rest.last == 0x17ff);
}
