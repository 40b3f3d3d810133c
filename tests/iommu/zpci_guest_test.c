/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's end of zPCI: what is in its tables, and when it tells the hypervisor. M7, L4. */
#include "zpci_pair.h"

static struct zpci_pair pair;

enum { PRESENT_READ = 1, PRESENT_BOTH = 3 };

static virtq_addr_t last_first(void)
{
    return pair.calls[(pair.count - 1) % PAIR_CALLS].first;
}

static uint64_t last_len(void)
{
    return pair.calls[(pair.count - 1) % PAIR_CALLS].len;
}

Test(iommu_zpci_guest, mappings_are_in_the_tables_as_the_format_has_them)
{
    struct virtq_region ranges[3];

    pair_open(&pair, 0);
    pair_start(&pair);
    ranges[0] = pair_range(&pair, 0xff000, 3, 0x100, SPACES_READ);
    ranges[1] = pair_range(&pair, 0x7ffff000, 2, 0x110, SPACES_WRITE);
    ranges[2] = pair_range(&pair, 0x5000, 1, 0x120, SPACES_BOTH);
    cr_assert_eq(pair_map(&pair, ranges, 3), 0);
    cr_assert_eq(pair.count, 0u, "no entry was valid before, so nobody is told");
    for (uint64_t i = 0; i < 3; i++) {
        cr_assert_eq(pair_says(&pair, 0xff000 + i * 4096), (0x100 + i) * 4096 | PRESENT_READ);
    }
    cr_assert_eq(pair_says(&pair, 0x7ffff000), 0x110 * 4096u | PRESENT_BOTH);
    cr_assert_eq(pair_says(&pair, 0x80000000), 0x111 * 4096u | PRESENT_BOTH);
    cr_assert_eq(pair_says(&pair, 0x5000), 0x120 * 4096u | PRESENT_BOTH);
    cr_assert_eq(pair_says(&pair, 0x4000), 0u);
    cr_assert_eq(pair_says(&pair, 0x6000), 0u);
    cr_assert_eq(pair.guest.usage.pages, 6u);
    cr_assert_eq(pair_unmap(&pair, ranges, 3), 0);
    cr_assert_eq(pair_says(&pair, 0x100000), 0u);
    cr_assert_eq(pair_says(&pair, 0x80000000), 0u);
    cr_assert_eq(pair.count, 0u, "unmapping is not flushing");
    cr_assert_eq(pair.guest.usage.pages, 0u);
    pair_close(&pair);
}

Test(iommu_zpci_guest, a_list_is_one_refresh_from_its_first_page_to_its_last)
{
    struct virtq_region ranges[3];

    pair_open(&pair, VIRTQ_ZPCI_REFRESH_MAP);
    pair_start(&pair);
    ranges[0] = pair_range(&pair, 0x103000, 3, 0x100, SPACES_READ);
    ranges[1] = pair_range(&pair, 0x208000, 2, 0x110, SPACES_WRITE);
    ranges[2] = pair_range(&pair, 0x5000, 1, 0x120, SPACES_BOTH);
    cr_assert_eq(pair_map(&pair, ranges, 3), 0);
    cr_assert_eq(pair.count, 1u);
    cr_assert_eq(last_first(), 0x5000u);
    cr_assert_eq(last_len(), 0x20a000u - 0x5000);
    cr_assert_eq(pair_finds(&pair, 0x105000), 0x102 * 4096u | PRESENT_READ);
    cr_assert_eq(pair_finds(&pair, 0x209000), 0x111 * 4096u | PRESENT_BOTH);
    cr_assert_eq(pair_unmap(&pair, ranges, 3), 0);
    cr_assert_eq(pair.count, 1u);
    cr_assert_eq(pair_finds(&pair, 0x5000), 0x120 * 4096u | PRESENT_BOTH, "as long as it is old");
    cr_assert_eq(pair_flush(&pair, ranges, 3), 0);
    cr_assert_eq(pair.count, 2u);
    cr_assert_eq(last_len(), 0x20a000u - 0x5000);
    cr_assert_eq(pair_finds(&pair, 0x5000), 0u);
    cr_assert_eq(pair.stand.pinned, 0u);
    pair_close(&pair);
}

Test(iommu_zpci_guest, what_is_wrong_in_a_list_leaves_all_of_it_out)
{
    struct virtq_region good;
    struct virtq_region ranges[2];
    unsigned char outside[4096];

    pair_open(&pair, VIRTQ_ZPCI_REFRESH_MAP);
    pair.config.first = 0x100000;
    pair.config.last = 0x2fffff;
    pair_start(&pair);
    good = pair_range(&pair, 0x100000, 2, 0x100, SPACES_READ);
    ranges[0] = pair_range(&pair, 0x110000, 4, 0x140, SPACES_READ);
    cr_assert_eq(pair_map(&pair, &good, 1), 0);
    for (unsigned i = 0; i < 10; i++) {
        int expected = i == 8 || i == 9 ? VIRTQ_EFAULT : VIRTQ_EINVAL;

        ranges[1] = pair_range(&pair, 0x120000, 1, 0x180, SPACES_READ);
        ranges[1].first -= i == 0 ? 0x800u : 0;
        ranges[1].last -= i == 1 ? 0x800u : 0;
        ranges[1].permissions = i == 2 ? 0 : i == 3 ? 5 : SPACES_READ;
        if (i == 4 || i == 5 || i == 6) {
            ranges[1] = pair_range(&pair,
                                   i == 4   ? 0xff000
                                   : i == 5 ? 0x2ff000
                                            : 0x101000,
                                   2, 0x180, SPACES_READ);
        }
        ranges[1].base = i == 7 ? pair.stand.memory + 0x800 : ranges[1].base;
        if (i == 8) {
            ranges[1].base = (void *)((uintptr_t)(outside + 4095) & ~(uintptr_t)4095);
        } else if (i == 9) {
            ranges[1] = pair_range(&pair, 0x120000, 2, ZPCI_SIZE / 4096 - 1, SPACES_READ);
        }
        cr_assert_eq(pair_map(&pair, ranges, 2), expected, "row %u", i);
        cr_assert_eq(pair_says(&pair, 0x110000), 0u, "row %u", i);
        cr_assert_eq(pair_says(&pair, 0x120000), 0u, "row %u", i);
    }
    cr_assert_eq(pair.count, 1u);
    ranges[1] = pair_range(&pair, 0x101000, 2, 0x180, SPACES_READ);
    cr_assert_eq(pair_unmap(&pair, &ranges[1], 1), VIRTQ_EINVAL);
    ranges[0] = good;
    cr_assert_eq(pair_unmap(&pair, ranges, 2), VIRTQ_EINVAL);
    cr_assert_eq(pair_says(&pair, 0x100000), 0x100 * 4096u | PRESENT_READ);
    ranges[1] = good;
    cr_assert_eq(pair_unmap(&pair, ranges, 2), VIRTQ_EINVAL, "twice the same");
    pair_close(&pair);
}

Test(iommu_zpci_guest, memory_of_several_regions_is_entered_where_each_of_them_lies)
{
    struct virtq_region regions[3];
    struct virtq_region range;

    pair_open(&pair, VIRTQ_ZPCI_REFRESH_MAP | VIRTQ_ZPCI_LARGE_FRAMES);
    /* The first two megabytes of it have changed places. */
    for (unsigned i = 0; i < 2; i++) {
        regions[i] = pair_range(&pair, ZPCI_ABSOLUTE + (1 - i) * 0x100000, 256, i * 256, 3);
    }
    regions[2] = pair_range(&pair, ZPCI_ABSOLUTE + 0x200000, 0x600, 0x200, 3);
    pair.config.memory = regions;
    pair.config.memory_count = 3;
    pair_start(&pair);
    range = pair_range(&pair, 0x5000, 0x220, 0xf0, SPACES_READ);
    cr_assert_eq(pair_map(&pair, &range, 1), 0);
    for (unsigned i = 0; i < 0x220; i++) {
        unsigned page = 0xf0 + i < 0x200 ? (0xf0 + i) ^ 0x100 : 0xf0 + i;

        cr_assert_eq(pair_says(&pair, 0x5000 + i * 4096), page * 4096u | PRESENT_READ);
        cr_assert_eq(pair_finds(&pair, 0x5000 + i * 4096), page * 4096u | PRESENT_READ);
    }
    cr_assert_eq(pair_unmap(&pair, &range, 1), 0);
    cr_assert_eq(pair_flush(&pair, &range, 1), 0);
    cr_assert_eq(pair.stand.pinned, 0u);
    pair_close(&pair);
}

Test(iommu_zpci_guest, large_frames_where_address_and_memory_allow_them)
{
    struct virtq_region range;

    pair_open(&pair, VIRTQ_ZPCI_REFRESH_MAP | VIRTQ_ZPCI_LARGE_FRAMES);
    pair_start(&pair);
    /* Absolute 0x80000000 is page 16 of the memory: 1 page, 2 megabytes, 3 pages. */
    range = pair_range(&pair, 0x3ff000, 1 + 512 + 3, 15, SPACES_BOTH);
    cr_assert_eq(pair_map(&pair, &range, 1), 0);
    for (uint64_t i = 0; i < 516; i++) {
        cr_assert_eq(pair_says(&pair, 0x3ff000 + i * 4096), (15 + i) * 4096 | PRESENT_BOTH);
        cr_assert_eq(pair_finds(&pair, 0x3ff000 + i * 4096), (15 + i) * 4096 | PRESENT_BOTH);
    }
    cr_assert_eq(pair.guest.index.owners[0], 3u);
    cr_assert_eq(pair.guest.index.owners[1], 6u, "two page tables, and two frames without");
    range.first += 4096;
    range.last = range.first + 0x80000 - 1;
    cr_assert_eq(pair_unmap(&pair, &range, 1), VIRTQ_EINVAL, "no part of a frame");
    cr_assert_eq(pair_map(&pair, &range, 1), VIRTQ_EINVAL);
    range = pair_range(&pair, 0x3ff000, 1 + 512 + 3, 15, SPACES_BOTH);
    cr_assert_eq(pair_unmap(&pair, &range, 1), 0);
    cr_assert_eq(pair_flush(&pair, &range, 1), 0);
    cr_assert_eq(pair.stand.pinned, 0u);
    /* Memory that is not aligned goes by pages. */
    range = pair_range(&pair, 0x400000, 256, 15, SPACES_BOTH);
    cr_assert_eq(pair_map(&pair, &range, 1), 0);
    cr_assert_eq(pair_finds(&pair, 0x400000), 15 * 4096u | PRESENT_BOTH);
    /* A list that names a frame twice must not harm anybody. */
    {
        struct virtq_region twice[2] = {pair_range(&pair, 0x500000, 256, 16, SPACES_BOTH)};

        twice[1] = twice[0];
        cr_assert_eq(pair_map(&pair, twice, 2), 0);
        cr_assert_eq(pair_unmap(&pair, twice, 1), 0);
        cr_assert_eq(pair_says(&pair, 0x500000), 0u);
    }
    pair_close(&pair);
}

Test(iommu_zpci_guest, m7_a_shortage_is_answered_by_a_global_refresh)
{
    struct virtq_region range;

    pair_open(&pair, VIRTQ_ZPCI_REFRESH_MAP);
    pair_start(&pair);
    range = pair_range(&pair, 0x5000, 4, 0x120, SPACES_BOTH);
    for (unsigned i = 0; i < 2; i++) {
        pair_withhold(&pair, 1, VIRTQ_ZPCI_ERROR,
                      i == 0 ? VIRTQ_ZPCI_STATUS_RESOURCES : VIRTQ_ZPCI_STATUS_UNAVAILABLE);
        pair.count = 0;
        cr_assert_eq(pair_map(&pair, &range, 1), 0);
        cr_assert_eq(pair.count, 2u);
        cr_assert_eq(last_first(), 0u);
        cr_assert_eq(last_len(), VIRTQ_ZPCI_LAST + 1);
        cr_assert_eq(pair_finds(&pair, 0x6000), 0x121 * 4096u | PRESENT_BOTH);
        cr_assert_eq(pair_unmap(&pair, &range, 1), 0);
        cr_assert_eq(pair_flush(&pair, &range, 1), 0);
    }
    /* And the range once more, where even everything was too much. */
    pair_withhold(&pair, 2, VIRTQ_ZPCI_ERROR, VIRTQ_ZPCI_STATUS_RESOURCES);
    pair.count = 0;
    cr_assert_eq(pair_map(&pair, &range, 1), 0);
    cr_assert_eq(pair.count, 3u);
    cr_assert_eq(last_len(), 0x4000u);
    cr_assert_eq(pair.guest.usage.shortages, 4u);
    cr_assert_eq(pair.guest.usage.global, 3u);
    pair_close(&pair);
}

Test(iommu_zpci_guest, what_the_hypervisor_has_no_room_for_is_taken_out_again)
{
    struct virtq_region range;

    pair_open(&pair, VIRTQ_ZPCI_REFRESH_MAP);
    pair.stand.config.pages_max = 3;
    pair_start(&pair);
    range = pair_range(&pair, 0x5000, 4, 0x120, SPACES_BOTH);
    cr_assert_eq(pair_map(&pair, &range, 1), VIRTQ_ENOMEM);
    cr_assert_eq(pair_says(&pair, 0x5000), 0u);
    cr_assert_eq(pair_finds(&pair, 0x5000), 0u);
    cr_assert_eq(pair.stand.pinned, 0u);
    cr_assert_eq(pair.guest.owes, 0u);
    range = pair_range(&pair, 0x5000, 3, 0x120, SPACES_BOTH);
    cr_assert_eq(pair_map(&pair, &range, 1), 0);
    cr_assert_eq(pair.stand.pinned, 3u);
    pair_close(&pair);
}

Test(iommu_zpci_guest, l4_what_may_linger_is_refreshed_before_anything_else_is_mapped)
{
    struct virtq_region range;
    struct virtq_region other;

    pair_open(&pair, VIRTQ_ZPCI_REFRESH_MAP);
    pair_start(&pair);
    range = pair_range(&pair, 0x5000, 4, 0x120, SPACES_BOTH);
    other = pair_range(&pair, 0x5000, 4, 0x140, SPACES_BOTH);
    pair_withhold(&pair, UINT32_MAX, VIRTQ_ZPCI_ERROR, VIRTQ_ZPCI_STATUS_IN_ERROR);
    cr_assert_eq(pair_map(&pair, &range, 1), VIRTQ_EBROKEN);
    cr_assert_eq(pair_says(&pair, 0x5000), 0u);
    cr_assert_eq(pair.guest.owes, 1u);
    cr_assert_eq(pair_map(&pair, &other, 1), VIRTQ_EBROKEN);
    cr_assert_eq(pair_says(&pair, 0x5000), 0u);
    cr_assert_eq(last_len(), VIRTQ_ZPCI_LAST + 1);
    pair.withheld = 0;
    pair.count = 0;
    cr_assert_eq(pair_map(&pair, &other, 1), 0);
    cr_assert_eq(pair.count, 2u);
    cr_assert_eq(pair.calls[0].len, VIRTQ_ZPCI_LAST + 1);
    cr_assert_eq(pair.guest.owes, 0u);
    cr_assert_eq(pair_finds(&pair, 0x5000), 0x140 * 4096u | PRESENT_BOTH);
    pair_close(&pair);
}

Test(iommu_zpci_guest, m7_busy_is_tried_again_and_not_for_ever)
{
    struct virtq_region range;

    pair_open(&pair, VIRTQ_ZPCI_REFRESH_MAP);
    pair.config.busy_tries = 10;
    pair_start(&pair);
    range = pair_range(&pair, 0x5000, 4, 0x120, SPACES_BOTH);
    pair_withhold(&pair, 9, VIRTQ_ZPCI_BUSY, 0);
    cr_assert_eq(pair_map(&pair, &range, 1), 0);
    cr_assert_eq(pair.count, 10u);
    cr_assert_eq(pair.guest.usage.busy, 9u);
    cr_assert_eq(pair_unmap(&pair, &range, 1), 0);
    pair_withhold(&pair, 10, VIRTQ_ZPCI_BUSY, 0);
    cr_assert_eq(pair_flush(&pair, &range, 1), VIRTQ_EBUSY);
    cr_assert_eq(pair_flush(&pair, &range, 1), 0);
    pair_withhold(&pair, 1, VIRTQ_ZPCI_HANDLE, 0);
    cr_assert_eq(pair_flush(&pair, &range, 1), VIRTQ_EBROKEN);
    cr_assert_eq(virtq_zpci_guest_refresh(&pair.guest, 0x800, 0xfff), VIRTQ_EINVAL);
    cr_assert_eq(virtq_zpci_guest_refresh(&pair.guest, 0, 0x7ff), VIRTQ_EINVAL);
    cr_assert_eq(virtq_zpci_guest_refresh(&pair.guest, 0x1000, 0xfff), VIRTQ_EINVAL);
    cr_assert_eq(virtq_zpci_guest_refresh(&pair.guest, 0, UINT64_MAX), VIRTQ_EINVAL);
    pair_close(&pair);
}

Test(iommu_zpci_guest, empty_page_tables_serve_elsewhere_after_a_global_refresh)
{
    struct virtq_region ranges[9];

    pair_open(&pair, 0);
    pair_start(&pair);
    for (unsigned i = 0; i < 9; i++) {
        ranges[i] = pair_range(&pair, 0x100000 * (uint64_t)i, 1, 0x100 + i, SPACES_READ);
    }
    cr_assert_eq(pair_map(&pair, ranges, 8), 0);
    cr_assert_eq(pair_map(&pair, &ranges[8], 1), VIRTQ_ENOMEM);
    cr_assert_eq(pair.count, 0u, "there was nothing to give back");
    cr_assert_eq(pair_unmap(&pair, &ranges[3], 2), 0);
    cr_assert_eq(pair_map(&pair, &ranges[3], 1), 0);
    cr_assert_eq(pair.count, 0u, "the table is still there");
    pair_withhold(&pair, 1, VIRTQ_ZPCI_HANDLE, 0);
    cr_assert_eq(pair_map(&pair, &ranges[8], 1), VIRTQ_ENOMEM);
    cr_assert_eq(pair.guest.index.leaf_free, 0u, "what may be known still is not free");
    cr_assert_eq(pair_map(&pair, &ranges[4], 1), 0, "it stays where it was");
    cr_assert_eq(pair_says(&pair, 0x400000), 0x104 * 4096u | PRESENT_READ);
    cr_assert_eq(pair_unmap(&pair, &ranges[4], 1), 0);
    pair.count = 0;
    cr_assert_eq(pair_map(&pair, &ranges[8], 1), 0);
    cr_assert_eq(pair.count, 1u);
    cr_assert_eq(last_len(), VIRTQ_ZPCI_LAST + 1);
    cr_assert_eq(pair_says(&pair, 0x800000), 0x108 * 4096u | PRESENT_READ);
    cr_assert_eq(pair_says(&pair, 0x400000), 0u);
    cr_assert_eq(pair.guest.usage.reclaims, 2u);
    pair_close(&pair);
}

Test(iommu_zpci_guest, a_host_that_writes_into_the_tables_moves_no_store_of_ours)
{
    struct virtq_region ranges[2];
    unsigned char before[4096];

    pair_open(&pair, 0);
    pair_start(&pair);
    ranges[0] = pair_range(&pair, 0x5000, 4, 0x120, SPACES_BOTH);
    ranges[1] = pair_range(&pair, 0x9000, 4, 0x140, SPACES_BOTH);
    cr_assert_eq(pair_map(&pair, &ranges[0], 1), 0);
    memset(pair.stand.memory + PAIR_TABLES, 0xa5, PAIR_ROOM);
    memcpy(before, pair.stand.memory + 0x25a5a5, sizeof(before));
    cr_assert_eq(pair_map(&pair, &ranges[1], 1), 0);
    cr_assert_eq(pair_unmap(&pair, ranges, 2), 0);
    cr_assert_eq(memcmp(before, pair.stand.memory + 0x25a5a5, sizeof(before)), 0);
    cr_assert_eq(pair.guest.usage.pages, 0u);
    pair_close(&pair);
}

Test(iommu_zpci_guest, a_config_that_lacks_something_is_refused)
{
    struct virtq_zpci_guest guest;

    pair_open(&pair, 0);
    pair_start(&pair);
    cr_assert_eq(virtq_zpci_guest_tables_size(0, 1), UINT64_MAX);
    cr_assert_eq(virtq_zpci_guest_books_size(1, 0), SIZE_MAX);
    for (unsigned i = 0; i < 16; i++) {
        struct virtq_zpci_guest_config config = pair.config;
        const struct virtq_region inverted = {1, 0, pair.stand.memory, SPACES_BOTH};

        config.struct_size -= i == 0;
        config.memory = i == 1 ? NULL : i == 2 ? &inverted : config.memory;
        config.memory_count -= i == 3;
        config.tables = i == 4 ? NULL : i == 5 ? (char *)config.tables + 4 : config.tables;
        config.tables_size -= i == 6;
        config.books = i == 7 ? NULL : i == 8 ? (char *)config.books + 4 : config.books;
        config.books_size -= i == 9;
        config.flags = i == 10 ? 4 : 0;
        config.first = i == 11 ? 0x800 : 0;
        config.last = i == 12 ? VIRTQ_ZPCI_LAST + 4096 : VIRTQ_ZPCI_LAST;
        config.busy_tries = i == 13 ? 0 : 1;
        config.rpcit = i == 14 ? NULL : config.rpcit;
        if (i == 15) {
            config.tables = pair.books;
        }
        cr_assert_eq(virtq_zpci_guest_init(&guest, &config), i == 15 ? VIRTQ_EFAULT : VIRTQ_EINVAL,
                     "row %u", i);
    }
    pair_close(&pair);
}
