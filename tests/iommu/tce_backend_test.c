/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's end of a TCE window: which calls a list of ranges becomes, and what is left when one
 * of them fails. */
#include "iommu/tce_fixture.h"
#include "virtq/space/iommu.h"

enum { PAGE = 4096, LARGE = 65536 };

static struct tce_world world;

/* Pages of guest memory on the bus. */
static struct virtq_region range(uint64_t bus_page, uint64_t memory_page, uint64_t pages,
                                 uint32_t permissions)
{
    const uint64_t size = (uint64_t)1 << world.config.window.shift;
    const virtq_addr_t first = world.config.window.first + bus_page * size;

    return (struct virtq_region){first, first + (pages * size - 1),
                                 tce_guest() + memory_page * size, permissions};
}

static int map(const struct virtq_region *ranges, unsigned count)
{
    return world.backend.backend.map(world.backend.backend.context, ranges, count);
}

static int unmap(const struct virtq_region *ranges, unsigned count)
{
    return world.backend.backend.unmap(world.backend.backend.context, ranges, count);
}

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

Test(tce_backend, a_page_is_one_put_and_one_put_to_unmap)
{
    tce_open(&world, TCE_BUS, TCE_SMALL);
    const struct virtq_region one[] = {range(3, 5, 1, SPACES_READ)};

    cr_assert_eq(map(one, 1), 0);
    expect(1, 0, 0);
    cr_assert_eq(tce_get(&world, TCE_BUS + 3 * PAGE), (TCE_REAL + 5 * PAGE) | VIRTQ_TCE_READ);
    cr_assert_eq(unmap(one, 1), 0);
    expect(2, 0, 0);
    cr_assert_eq(tce_used(&world), 0u);
    cr_assert_eq(world.backend.backend.flush(world.backend.backend.context, one, 1), 0);
    expect(2, 0, 0);
}

/* The segments of a buffer, each for other memory with its own permission. */
Test(tce_backend, a_buffers_segments_are_one_call_to_map_and_one_to_unmap)
{
    tce_open(&world, TCE_BUS, TCE_SMALL);
    const struct virtq_region ranges[] = {range(10, 100, 1, SPACES_READ),
                                          range(11, 50, 3, SPACES_READ),
                                          range(14, 7, 2, SPACES_WRITE)};

    cr_assert_eq(map(ranges, 3), 0);
    expect(0, 1, 0);
    cr_assert_eq(tce_used(&world), 6u);
    cr_assert_eq(tce_get(&world, TCE_BUS + 10 * PAGE), (TCE_REAL + 100 * PAGE) | VIRTQ_TCE_READ);
    cr_assert_eq(tce_get(&world, TCE_BUS + 13 * PAGE), (TCE_REAL + 52 * PAGE) | VIRTQ_TCE_READ);
    cr_assert_eq(tce_get(&world, TCE_BUS + 15 * PAGE), (TCE_REAL + 8 * PAGE) | VIRTQ_TCE_WRITE);
    cr_assert_eq(unmap(ranges, 3), 0);
    expect(0, 1, 1);
    cr_assert_eq(tce_used(&world), 0u);
}

Test(tce_backend, a_call_has_at_most_512_entries)
{
    tce_open(&world, 0, TCE_SMALL);
    const struct virtq_region ranges[] = {range(1, 0, 1000, SPACES_BOTH),
                                          range(1001, 0, 25, SPACES_BOTH)};

    cr_assert_eq(map(ranges, 2), 0);
    expect(1, 2, 0);
    cr_assert_eq(tce_used(&world), 1025u);
    cr_assert_eq(tce_get(&world, 513 * PAGE), (TCE_REAL + 512 * PAGE) | TCE_BOTH);
    cr_assert_eq(tce_get(&world, 1025 * PAGE), (TCE_REAL + 24 * PAGE) | TCE_BOTH);
    cr_assert_eq(unmap(ranges, 2), 0);
    expect(2, 2, 2);
    cr_assert_eq(tce_used(&world), 0u);
}

Test(tce_backend, runs_that_are_apart_are_a_call_each)
{
    tce_open(&world, 0, TCE_SMALL);
    const struct virtq_region ranges[] = {range(1, 0, 2, SPACES_READ), range(4, 2, 2, SPACES_READ),
                                          range(6, 9, 2, SPACES_READ), range(9, 9, 1, SPACES_READ)};

    cr_assert_eq(map(ranges, 4), 0);
    expect(1, 2, 0);
    cr_assert_eq(tce_used(&world), 7u);
    cr_assert_eq(unmap(ranges, 4), 0);
    expect(2, 2, 2);
    cr_assert_eq(tce_used(&world), 0u);
}

/* As buffers come back whose addresses were taken from the end of a magazine. */
Test(tce_backend, neighbours_are_unmapped_by_one_call_in_either_order)
{
    tce_open(&world, 0, TCE_SMALL);
    const struct virtq_region ranges[] = {range(8, 0, 2, SPACES_READ), range(6, 4, 2, SPACES_READ),
                                          range(5, 3, 1, SPACES_READ), range(2, 7, 3, SPACES_READ)};

    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(map(&ranges[i], 1), 0);
    }
    expect(1, 3, 0);
    cr_assert_eq(unmap(ranges, 4), 0);
    expect(1, 3, 1);
    cr_assert_eq(tce_used(&world), 0u);
}

Test(tce_backend, pages_of_64_kib_are_an_entry_each)
{
    tce_open(&world, TCE_BUS, TCE_LARGE);
    const struct virtq_region ranges[] = {range(1, 3, 4, SPACES_BOTH)};
    struct virtq_window window;

    cr_assert_eq(map(ranges, 1), 0);
    expect(0, 1, 0);
    cr_assert_eq(tce_used(&world), 4u);
    cr_assert_eq(tce_window(&world, TCE_BUS + 2 * LARGE, SPACES_WRITE, &window), 0);
    cr_assert_eq(window.last - window.first, 4u * LARGE - 1);
    cr_assert(window.base == tce_guest() + 3 * LARGE);
}

Test(tce_backend, memory_in_several_regions_is_mapped_page_by_page)
{
    const struct virtq_region memory[] = {
        {TCE_REAL, TCE_REAL + 2 * PAGE - 1, tce_guest(), 0},
        {TCE_REAL + 64 * PAGE, TCE_REAL + 66 * PAGE - 1, tce_guest() + 2 * PAGE, 0}};

    tce_open(&world, 0, TCE_SMALL);
    world.config.memory = memory;
    world.config.memory_count = 2;
    cr_assert_eq(remake(), 0);
    cr_assert_eq(map((struct virtq_region[]){range(1, 1, 3, SPACES_READ)}, 1), 0);
    cr_assert_eq(tce_get(&world, PAGE), (TCE_REAL + PAGE) | VIRTQ_TCE_READ);
    cr_assert_eq(tce_get(&world, 2 * PAGE), (TCE_REAL + 64 * PAGE) | VIRTQ_TCE_READ);
    cr_assert_eq(tce_get(&world, 3 * PAGE), (TCE_REAL + 65 * PAGE) | VIRTQ_TCE_READ);
    expect(0, 1, 0);
    /* What is no memory cannot be mapped, and nothing of the list is. */
    cr_assert_eq(
        map((struct virtq_region[]){range(8, 1, 1, SPACES_READ), range(10, 2, 3, SPACES_READ)}, 2),
        VIRTQ_EFAULT);
    cr_assert_eq(tce_used(&world), 3u);
}

/* ---- A hypervisor that has less ---- */

Test(tce_backend, without_the_multiple_calls_each_page_is_a_put)
{
    tce_open(&world, 0, TCE_SMALL);
    const struct virtq_region ranges[] = {range(1, 0, 5, SPACES_READ), range(6, 9, 2, SPACES_READ)};

    world.config.calls = 0;
    cr_assert_eq(remake(), 0);
    cr_assert_eq(map(ranges, 2), 0);
    expect(7, 0, 0);
    cr_assert_eq(tce_used(&world), 7u);
    cr_assert_eq(unmap(ranges, 2), 0);
    expect(14, 0, 0);
    cr_assert_eq(tce_used(&world), 0u);
}

/* Seed 000: nor does a secure guest have it, whose list page the hypervisor cannot read. */
Test(tce_backend, without_a_list_page_there_is_no_put_indirect)
{
    tce_open(&world, 0, TCE_SMALL);
    const struct virtq_region ranges[] = {range(1, 0, 5, SPACES_READ)};

    world.config.list_count = 0;
    cr_assert_eq(remake(), 0);
    cr_assert_eq(map(ranges, 1), 0);
    expect(5, 0, 0);
    cr_assert_eq(unmap(ranges, 1), 0);
    expect(5, 0, 1);
}

Test(tce_backend, a_call_that_there_is_not_is_asked_for_once)
{
    tce_open(&world, 0, TCE_SMALL);
    const struct virtq_region ranges[] = {range(1, 0, 4, SPACES_READ)};

    world.missing = VIRTQ_TCE_PUT_INDIRECT;
    cr_assert_eq(map(ranges, 1), 0);
    expect(4, 1, 1); /* the first list might have been put half way */
    cr_assert_eq(tce_used(&world), 4u);
    world.missing = VIRTQ_TCE_STUFF;
    cr_assert_eq(unmap(ranges, 1), 0);
    expect(8, 1, 2);
    cr_assert_eq(tce_used(&world), 0u);
    cr_assert_eq(map(ranges, 1), 0);
    cr_assert_eq(unmap(ranges, 1), 0);
    expect(16, 1, 2);
}

Test(tce_backend, a_hypervisor_without_any_of_them_is_no_endless_loop)
{
    tce_open(&world, 0, TCE_SMALL);
    const struct virtq_region ranges[] = {range(1, 0, 4, SPACES_READ)};

    world.missing = VIRTQ_TCE_PUT;
    world.config.calls = 0;
    cr_assert_eq(remake(), 0);
    cr_assert_eq(map(ranges, 1), VIRTQ_ENOTSUP);
    cr_assert_eq(unmap(ranges, 1), VIRTQ_ENOTSUP);
}

/* ---- Failures ---- */

/* All or none: whichever call fails, and with whatever it fails. */
Test(tce_backend, whichever_call_fails_nothing_stays_mapped)
{
    static const int64_t failures[] = {VIRTQ_TCE_NOT_ENOUGH, VIRTQ_TCE_PERMISSION,
                                       VIRTQ_TCE_HARDWARE,   VIRTQ_TCE_PARAMETER,
                                       VIRTQ_TCE_BUSY,       VIRTQ_TCE_LONG_BUSY};

    for (unsigned which = 0; which < 6; which++) {
        for (unsigned at = 1; at <= 4; at++) {
            struct virtq_tce_usage usage;

            tce_open(&world, 0, TCE_SMALL);
            const struct virtq_region ranges[] = {range(1, 0, 1, SPACES_READ),
                                                  range(3, 4, 700, SPACES_READ),
                                                  range(800, 9, 1, SPACES_WRITE)};

            world.fail_at = at;
            world.failure = failures[which];
            cr_assert_eq(map(ranges, 3), virtq_tce_error(failures[which]));
            cr_assert_eq(tce_used(&world), 0u);
            virtq_tce_read_usage(&world.backend, &usage);
            cr_assert(usage.failures == 1 && usage.lost == 0);
            world.fail_at = 0;
            cr_assert_eq(map(ranges, 3), 0);
            cr_assert_eq(tce_used(&world), 702u);
        }
    }
}

Test(tce_backend, only_what_calls_were_made_for_is_cleared)
{
    tce_open(&world, 0, TCE_SMALL);
    const struct virtq_region ranges[] = {range(1, 0, 700, SPACES_READ)};

    world.fail_at = 1;
    world.failure = VIRTQ_TCE_RESOURCE;
    cr_assert_eq(map(ranges, 1), VIRTQ_ENOMEM);
    expect(0, 1, 1);
}

Test(tce_backend, what_cannot_be_cleared_after_a_failure_is_counted)
{
    struct virtq_tce_usage usage;

    tce_open(&world, 0, TCE_SMALL);
    const struct virtq_region ranges[] = {range(1, 0, 2, SPACES_READ), range(5, 4, 2, SPACES_READ)};

    world.fail_at = 2;
    world.fail_more = 1;
    world.failure = VIRTQ_TCE_HARDWARE;
    cr_assert_eq(map(ranges, 2), VIRTQ_EFAULT);
    virtq_tce_read_usage(&world.backend, &usage);
    cr_assert_eq(usage.lost, 1u);
    cr_assert_eq(usage.failures, 2u);
}

Test(tce_backend, an_unmap_that_fails_clears_all_it_can)
{
    tce_open(&world, 0, TCE_SMALL);
    const struct virtq_region ranges[] = {range(1, 0, 2, SPACES_READ), range(5, 4, 2, SPACES_READ),
                                          range(9, 4, 2, SPACES_READ)};

    cr_assert_eq(map(ranges, 3), 0);
    world.fail_at = world.calls + 2;
    world.failure = VIRTQ_TCE_HARDWARE;
    cr_assert_eq(unmap(ranges, 3), VIRTQ_EFAULT);
    cr_assert_eq(tce_used(&world), 2u);
    cr_assert_neq(tce_get(&world, 5 * PAGE), 0u);
}

Test(tce_backend, ranges_that_are_not_pages_of_the_window_make_no_call)
{
    tce_open(&world, TCE_BUS, TCE_SMALL);
    const struct virtq_region good = range(TCE_ENTRIES - 1, 0, 1, SPACES_READ);
    struct virtq_region bad[8];

    for (unsigned i = 0; i < 8; i++) {
        bad[i] = range(7, 0, 1, SPACES_READ);
    }
    bad[0].first += 8;
    bad[1].last -= 8;
    bad[2].first = bad[2].last + 1;
    bad[3] = range(TCE_ENTRIES, 0, 1, SPACES_READ);
    bad[4].first = TCE_BUS - PAGE;
    bad[5].permissions = 0;
    bad[6].permissions = 4 | SPACES_READ;
    bad[7] = range(TCE_ENTRIES - 1, 0, 2, SPACES_READ);
    for (unsigned i = 0; i < 8; i++) {
        const struct virtq_region ranges[] = {good, bad[i]};

        cr_assert_eq(map(ranges, 2), VIRTQ_EINVAL, "range %u", i);
        if (i != 5 && i != 6) {
            cr_assert_eq(unmap(ranges, 2), VIRTQ_EINVAL, "range %u", i);
        }
    }
    expect(0, 0, 0);
    cr_assert_eq(map(&good, 1), 0);
}

Test(tce_backend, an_entry_can_be_read_back)
{
    uint64_t entry = 7;

    tce_open(&world, TCE_BUS, TCE_SMALL);
    cr_assert_eq(map((struct virtq_region[]){range(3, 5, 1, SPACES_READ)}, 1), 0);
    cr_assert_eq(virtq_tce_read_entry(&world.backend, TCE_BUS + 3 * PAGE + 99, &entry), 0);
    cr_assert_eq(entry, (TCE_REAL + 5 * PAGE) | VIRTQ_TCE_READ);
    cr_assert_eq(virtq_tce_read_entry(&world.backend, TCE_BUS - 1, &entry), VIRTQ_EFAULT);
    cr_assert_eq(
        virtq_tce_read_entry(&world.backend, TCE_BUS + (uint64_t)TCE_ENTRIES * PAGE, &entry),
        VIRTQ_EFAULT);
    world.missing = VIRTQ_TCE_GET;
    cr_assert_eq(virtq_tce_read_entry(&world.backend, TCE_BUS, &entry), VIRTQ_ENOTSUP);
    cr_assert_eq(entry, (TCE_REAL + 5 * PAGE) | VIRTQ_TCE_READ);
}

/* ---- Making one ---- */

Test(tce_backend, is_not_made_of_a_wrong_configuration)
{
    struct virtq_tce_backend_config good;
    struct virtq_region region;

    tce_open(&world, 0, TCE_LARGE);
    good = world.config;
    region = world.region;
    world.config.struct_size = 8;
    cr_assert_eq(remake(), VIRTQ_EINVAL);
    world.config = good;
    world.config.call = NULL;
    cr_assert_eq(remake(), VIRTQ_EINVAL);
    world.config = good;
    world.config.window.entries = 0;
    cr_assert_eq(remake(), VIRTQ_EINVAL);
    world.config = good;
    world.config.memory = NULL;
    cr_assert_eq(remake(), VIRTQ_EINVAL);
    world.config = good;
    world.config.memory_count = 0;
    cr_assert_eq(remake(), VIRTQ_EINVAL);
    world.config = good;
    world.config.lists = tce_guest() + 8;
    cr_assert_eq(remake(), VIRTQ_EINVAL);
    world.config.lists = NULL;
    cr_assert_eq(remake(), VIRTQ_EINVAL);
    world.config.lists = tce_guest() + TCE_MEMORY - PAGE;
    cr_assert_eq(remake(), 0);
    world.config.list_count = 2;
    cr_assert_eq(remake(), VIRTQ_EINVAL);
    world.config = good;
    world.config.list_count = VIRTQ_TCE_LISTS_MAX + 1;
    cr_assert_eq(remake(), VIRTQ_EINVAL);
    world.config.list_count = VIRTQ_TCE_LISTS_MAX;
    cr_assert_eq(remake(), 0);
    world.config = good;
    /* A pointer and its real address have to be at the same place of a page. */
    world.region.first += PAGE;
    cr_assert_eq(remake(), VIRTQ_EINVAL);
    world.region = region;
    world.region.last = world.region.first - 1;
    cr_assert_eq(remake(), VIRTQ_EINVAL);
    /* Nor does memory wrap. */
    world.region.first = 0;
    world.region.last = UINT64_MAX;
    cr_assert_eq(remake(), VIRTQ_EINVAL);
}

/* ---- As a backend of the iommu space ---- */

Test(tce_backend, both_ends_carry_a_buffer_and_the_device_loses_it)
{
    static struct virtq_iova_range ranges[16];
    struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;
    struct virtq_iommu iommu;
    struct virtq_iova iova;
    struct spaces_buffer buffer = {0};
    unsigned char bytes[6000];
    virtq_addr_t first = 0;
    virtq_addr_t last = 0;

    tce_open(&world, 0, TCE_SMALL);
    cr_assert_eq(virtq_tce_window_range(&world.config.window, UINT32_MAX, &first, &last), 0);
    cr_assert_eq(virtq_iova_init(&iova, first, last, PAGE, ranges, 16), 0);
    config.iova = &iova;
    config.backend = &world.backend.backend;
    cr_assert_eq(virtq_iommu_init(&iommu, &config), 0);
    memset(tce_guest() + 9 * PAGE, 0x5a, 3 * PAGE);
    spaces_segment(&buffer, 0, tce_guest() + 9 * PAGE + 100, 6000);
    spaces_segment(&buffer, 1, tce_guest() + 20 * PAGE + 7, 6000);
    cr_assert_eq(spaces_map(&iommu.space, &buffer, 1, 1, 2), 0);
    expect(0, 1, 0);
    cr_assert_eq(buffer.runs[0].addr, (virtq_addr_t)PAGE + 100, "page 0 is nobody's");
    cr_assert_eq(spaces_copy(&world.table.space, buffer.runs[0].addr, bytes, 6000, SPACES_READ), 0);
    cr_assert_eq(bytes[5999], 0x5a);
    cr_assert_eq(spaces_copy(&world.table.space, buffer.runs[1].addr, bytes, 6000, SPACES_WRITE),
                 0);
    cr_assert_eq(memcmp(tce_guest() + 20 * PAGE + 7, bytes, 6000), 0);
    cr_assert_eq(spaces_copy(&world.table.space, buffer.runs[0].addr, bytes, 1, SPACES_WRITE),
                 VIRTQ_EPERM);
    spaces_unmap(&iommu.space, &buffer, 6000);
    expect(0, 1, 1);
    cr_assert_eq(spaces_copy(&world.table.space, (virtq_addr_t)PAGE + 100, bytes, 1, SPACES_READ),
                 VIRTQ_EFAULT);
    cr_assert_eq(tce_used(&world), 0u);
}
