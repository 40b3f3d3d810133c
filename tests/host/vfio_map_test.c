/* SPDX-License-Identifier: BSD-3-Clause */
/* VFIO as the backend of the iommu spaces: what the kernel is told, and what comes of its refusals.
 */
#include "vfio_kernel.h"

#define READ VIRTQ_PERMISSION_READ
#define WRITE VIRTQ_PERMISSION_WRITE

enum { ENTRIES = 128, PAGES = 64 };

static unsigned char memory[(PAGES + 1) * KERNEL_PAGE] __attribute__((aligned(KERNEL_PAGE)));

static struct virtq_region range_at(uint64_t page, uint64_t pages, uint32_t permissions)
{
    return (struct virtq_region){page * KERNEL_PAGE, (page + pages) * KERNEL_PAGE - 1, memory,
                                 permissions};
}

static int map(struct kernel_space *space, const struct virtq_region *ranges, unsigned count)
{
    return space->vfio.backend.map(space->vfio.backend.context, ranges, count);
}

static int unmap(struct kernel_space *space, const struct virtq_region *ranges, unsigned count)
{
    const struct virtq_iommu_backend *backend = &space->vfio.backend;
    int result = backend->unmap(backend->context, ranges, count);

    cr_assert_eq(backend->flush(backend->context, ranges, count), 0);
    return result;
}

static void expect_step(const struct virtq_vfio *vfio, uint32_t step)
{
    struct virtq_vfio_failure failure;

    virtq_vfio_failed(vfio, &failure);
    cr_assert_eq(failure.step, step);
}

Test(vfio_map, m3_the_kernel_gets_each_range_with_its_own_permission)
{
    static struct kernel_space space;

    EACH_KIND(&space)
    {
        const struct virtq_region ranges[] = {range_at(16, 1, READ), range_at(17, 2, WRITE),
                                              range_at(30, 1, READ | WRITE)};
        const struct kernel_mapping *found = space.kernel.mappings;

        cr_assert_eq(map(&space, ranges, 3), 0);
        cr_assert_eq(space.kernel.count, 3);
        cr_assert(found[0].readable && !found[0].writable);
        cr_assert(!found[1].readable && found[1].writable && found[1].last == 0x12fff);
        cr_assert(found[2].readable && found[2].writable);
        cr_assert_eq(found[1].base, (uintptr_t)memory);
        cr_assert_eq(unmap(&space, ranges, 3), 0);
        cr_assert_eq(space.kernel.count, 0);
    }
}

Test(vfio_map, memory_that_is_only_read_gets_pages_before_it_is_pinned)
{
    static struct kernel_space space;

    EACH_KIND(&space)
    {
        const struct virtq_region ranges[] = {range_at(16, 1, WRITE), range_at(17, 2, READ),
                                              range_at(30, 1, READ | WRITE)};

        cr_assert_eq(map(&space, ranges, 3), 0);
        if (kind == VIRTQ_VFIO_TYPE1) {
            cr_assert_eq(space.kernel.populated_count, 1);
            cr_assert_eq(space.kernel.populated[0], (uintptr_t)memory);
            cr_assert_eq(space.kernel.populated[1], 2 * KERNEL_PAGE);
        } else {
            cr_assert_eq(space.kernel.populated_count, 0);
        }
        cr_assert_eq(unmap(&space, ranges, 3), 0);
    }
}

Test(vfio_map, neighbours_are_unmapped_in_one_call_up_and_down)
{
    static struct kernel_space space;

    EACH_KIND(&space)
    {
        const struct virtq_region ranges[] = {range_at(16, 1, READ), range_at(17, 2, WRITE),
                                              range_at(19, 1, READ), range_at(41, 1, READ),
                                              range_at(40, 1, READ), range_at(8, 1, READ)};
        struct virtq_vfio_usage usage;

        cr_assert_eq(map(&space, ranges, 6), 0);
        space.kernel.calls = 0;
        cr_assert_eq(unmap(&space, ranges, 6), 0);
        cr_assert_eq(space.kernel.calls, 3);
        cr_assert_eq(space.kernel.count, 0);
        virtq_vfio_read_usage(&space.vfio, &usage);
        cr_assert(usage.maps == 6 && usage.unmaps == 3 && usage.mapped == 0 && usage.lost == 0);
    }
}

Test(vfio_map, all_or_none_is_mapped)
{
    static struct kernel_space space;

    EACH_KIND(&space)
    {
        const struct virtq_region ranges[] = {range_at(16, 1, READ), range_at(40, 1, WRITE),
                                              range_at(17, 1, READ)};
        struct virtq_vfio_usage usage;

        for (unsigned after = 0; after < 3; after++) {
            space.kernel.fails = kind == VIRTQ_VFIO_TYPE1 ? VFIO_IOMMU_MAP_DMA : KERNEL_IOAS_MAP;
            space.kernel.fails_after = after;
            space.kernel.fails_with = ENOMEM;
            cr_assert_eq(map(&space, ranges, 3), VIRTQ_ENOMEM);
            expect_step(&space.vfio, VIRTQ_VFIO_STEP_MAP);
            cr_assert_eq(space.kernel.count, 0);
        }
        virtq_vfio_read_usage(&space.vfio, &usage);
        cr_assert(usage.failures == 3 && usage.mapped == 0 && usage.lost == 0);
    }
}

Test(vfio_map, as_many_mappings_as_the_kernel_allows_then_a_shortage)
{
    static struct kernel_space space;
    struct virtq_vfio_limits limits;
    struct virtq_region ranges[5];

    kernel_start(&space.kernel);
    space.kernel.limit = 4;
    kernel_space_open(&space, VIRTQ_VFIO_TYPE1);
    for (unsigned i = 0; i < 5; i++) {
        ranges[i] = range_at(16 + 2 * i, 1, READ);
    }
    cr_assert_eq(map(&space, ranges, 3), 0);
    cr_assert_eq(map(&space, ranges + 3, 2), VIRTQ_ENOMEM);
    cr_assert_eq(space.kernel.count, 3);
    cr_assert_eq(virtq_vfio_read_limits(&space.vfio, &limits), 0);
    cr_assert_eq(limits.available, 1);
    cr_assert_eq(unmap(&space, ranges, 1), 0);
    cr_assert_eq(map(&space, ranges + 3, 2), 0);
    cr_assert_eq(unmap(&space, ranges + 1, 4), 0);
    kernel_space_close(&space);
}

Test(vfio_map, what_cannot_be_mapped_is_refused_before_the_kernel_is_asked)
{
    static struct kernel_space space;

    EACH_KIND(&space)
    {
        const struct virtq_region good = range_at(16, 1, READ);
        struct virtq_region ranges[2];

        space.kernel.calls = 0;
#define EXPECT(error, change)          \
    ranges[0] = good;                  \
    ranges[1] = range_at(30, 1, READ); \
    change;                            \
    cr_assert_eq(map(&space, ranges, 2), error)
        EXPECT(VIRTQ_EINVAL, ranges[1].first++);
        EXPECT(VIRTQ_EINVAL, ranges[1].last--);
        EXPECT(VIRTQ_EINVAL, ranges[1].last = ranges[1].first - 1);
        EXPECT(VIRTQ_EINVAL, ranges[1].base = memory + 16);
        EXPECT(VIRTQ_EINVAL, ranges[1].permissions = 0);
        EXPECT(VIRTQ_EINVAL, ranges[1].permissions = 4);
        EXPECT(VIRTQ_EINVAL, ranges[1].base = (void *)(UINTPTR_MAX & ~(uintptr_t)4095);
               ranges[1].last += KERNEL_PAGE);
        EXPECT(VIRTQ_EINVAL, (ranges[1].first = 0, ranges[1].last = UINT64_MAX));
        EXPECT(VIRTQ_EFAULT, ranges[1] = range_at(0xfee00, 1, READ));
        EXPECT(VIRTQ_EFAULT, ranges[1] = range_at(0xfedff, 2, READ));
        EXPECT(VIRTQ_EFAULT, ranges[1] = range_at(0xfeeff, 2, READ));
        EXPECT(VIRTQ_EFAULT, ranges[1] = range_at(UINT64_C(0x1000000000), 1, READ));
#undef EXPECT
        cr_assert_eq(space.kernel.calls, 0);
        ranges[0] = ranges[1] = good;
        ranges[1].last -= 1;
        cr_assert_eq(unmap(&space, ranges, 2), VIRTQ_EINVAL);
        ranges[1] = (struct virtq_region){0, UINT64_MAX, memory, READ};
        cr_assert_eq(unmap(&space, ranges, 2), VIRTQ_EINVAL);
        cr_assert_eq(space.kernel.calls, 0);
    }
}

Test(vfio_map, overlapping_mappings_are_refused_and_the_first_one_stays)
{
    static struct kernel_space space;

    EACH_KIND(&space)
    {
        const struct virtq_region first = range_at(16, 2, READ);
        const struct virtq_region ranges[] = {range_at(15, 1, WRITE), range_at(17, 1, WRITE)};

        cr_assert_eq(map(&space, &first, 1), 0);
        cr_assert_eq(map(&space, ranges, 2), VIRTQ_EBUSY);
        cr_assert_eq(space.kernel.count, 1);
        cr_assert_eq(space.kernel.mappings[0].first, 16 * KERNEL_PAGE);
        cr_assert_eq(unmap(&space, &first, 1), 0);
    }
}

Test(vfio_map, a_part_of_a_mapping_cannot_be_unmapped)
{
    static struct kernel_space space;

    EACH_KIND(&space)
    {
        const struct virtq_region all = range_at(16, 3, READ);
        const struct virtq_region parts[] = {range_at(16, 1, READ), range_at(17, 1, READ),
                                             range_at(18, 1, READ), range_at(18, 2, READ)};
        struct virtq_vfio_usage usage;

        cr_assert_eq(map(&space, &all, 1), 0);
        for (unsigned i = 0; i < 4; i++) {
            cr_assert_lt(unmap(&space, &parts[i], 1), 0);
            expect_step(&space.vfio, VIRTQ_VFIO_STEP_UNMAP);
            cr_assert_eq(space.kernel.count, 1);
        }
        virtq_vfio_read_usage(&space.vfio, &usage);
        cr_assert(usage.lost == 4 && usage.mapped == 1);
        cr_assert_eq(unmap(&space, &all, 1), 0);
        cr_assert_lt(unmap(&space, &all, 1), 0); /* not twice */
    }
}

Test(vfio_map, l6_the_last_page_of_all_can_be_mapped)
{
    static struct kernel_space space;
    const struct virtq_region top[] = {
        {UINT64_MAX - 8191, UINT64_MAX - 4096, memory, READ},
        {UINT64_MAX - 4095, UINT64_MAX, memory, READ},
        {0, 4095, memory, READ},
    };

    for (uint32_t kind = VIRTQ_VFIO_TYPE1; kind <= VIRTQ_VFIO_IOMMUFD; kind++) {
        kernel_start(&space.kernel);
        space.kernel.ranges[1].last = UINT64_MAX;
        kernel_space_open(&space, kind);
        cr_assert_eq(map(&space, top, 3), 0);
        space.kernel.calls = 0;
        cr_assert_eq(unmap(&space, top, 3), 0);
        cr_assert_eq(space.kernel.calls, 2); /* what is at 0 is no neighbour of what is on top */
        cr_assert_eq(space.kernel.count, 0);
        cr_assert_eq(map(&space, top + 1, 2), 0);
        cr_assert_eq(unmap(&space, (const struct virtq_region[]){top[2], top[1]}, 2), 0);
        cr_assert_eq(space.kernel.count, 0);
        kernel_space_close(&space);
    }
}
