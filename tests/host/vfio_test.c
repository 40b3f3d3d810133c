/* SPDX-License-Identifier: BSD-3-Clause */
/* Address spaces of VFIO: how they come about, what they can do, and each way in which that fails.
 */
#include <stdlib.h>

#include "vfio_kernel.h"

#include "virtq/space/iommu.h"

static void expect_failure(const struct virtq_vfio *vfio, uint32_t step, int system_error)
{
    struct virtq_vfio_failure failure;

    virtq_vfio_failed(vfio, &failure);
    cr_assert_eq(failure.step, step);
    cr_assert_eq(failure.system_error, system_error);
}

Test(vfio, limits_are_what_the_kernel_says)
{
    for (uint32_t kind = VIRTQ_VFIO_TYPE1; kind <= VIRTQ_VFIO_IOMMUFD; kind++) {
        struct kernel_space space;
        struct virtq_vfio_limits limits;

        kernel_start(&space.kernel);
        space.kernel.limit = 100;
        kernel_space_open(&space, kind);
        cr_assert_eq(virtq_vfio_read_limits(&space.vfio, &limits), 0);
        cr_assert_eq(limits.granule, KERNEL_PAGE);
        cr_assert_eq(limits.first, 0);
        cr_assert_eq(limits.last, UINT64_C(0xffffffffffff));
        cr_assert_eq(limits.range_count, 2);
        cr_assert_eq(limits.available, kind == VIRTQ_VFIO_TYPE1 ? 100 : UINT32_MAX);
        cr_assert_eq(limits.page_sizes,
                     kind == VIRTQ_VFIO_TYPE1 ? KERNEL_PAGE | 1u << 21 : KERNEL_PAGE);
        kernel_space_close(&space);
    }
}

Test(vfio, addresses_outside_what_is_usable_are_never_handed_out)
{
    struct kernel_space space;
    struct virtq_iova iova;
    struct virtq_iova_range entries[64];
    virtq_addr_t addr = 0;
    unsigned count = 0;

    kernel_start(&space.kernel);
    space.kernel.ranges[0] = (struct virtq_vfio_range){0x1000, 0x4fff};
    space.kernel.ranges[1] = (struct virtq_vfio_range){0x7000, 0x8fff};
    space.kernel.ranges[2] = (struct virtq_vfio_range){0x9000, 0x9fff}; /* no hole before it */
    space.kernel.ranges[3] = (struct virtq_vfio_range){0xb800, 0xefff}; /* not of whole pages */
    space.kernel.range_count = 4;
    kernel_space_open(&space, VIRTQ_VFIO_TYPE1);
    cr_assert_eq(virtq_vfio_init_iova(&space.vfio, 0x2000, 0xdfff, &iova, entries, 64), 0);
    while (virtq_iova_alloc(&iova, KERNEL_PAGE, 0, UINT64_MAX, &addr) == 0) {
        cr_assert((addr >= 0x2000 && addr <= 0x4000) || (addr >= 0x7000 && addr <= 0x9000) ||
                  (addr >= 0xc000 && addr <= 0xd000));
        count++;
    }
    cr_assert_eq(count, 8);
    cr_assert_eq(virtq_vfio_init_iova(&space.vfio, 0, UINT64_MAX, &iova, entries, 64), 0);
    for (count = 0; virtq_iova_alloc(&iova, KERNEL_PAGE, 0, UINT64_MAX, &addr) == 0; count++) {
        cr_assert(addr >= 0x1000 && addr <= 0xe000);
    }
    cr_assert_eq(count, 10);
    cr_assert_eq(virtq_vfio_init_iova(&space.vfio, 0x5000, 0x5fff, &iova, entries, 64), 0);
    cr_assert_eq(virtq_iova_alloc(&iova, 1, 0, UINT64_MAX, &addr), VIRTQ_ETOOBIG);
    cr_assert_eq(virtq_vfio_init_iova(&space.vfio, 0xf000, UINT64_MAX, &iova, entries, 64),
                 VIRTQ_EINVAL);
    cr_assert_eq(virtq_vfio_init_iova(&space.vfio, 0, UINT64_MAX, &iova, entries, 1), VIRTQ_ENOMEM);
    kernel_space_close(&space);
}

Test(vfio, a_kernel_that_tells_no_ranges_takes_all_addresses)
{
    struct kernel_space space;
    struct virtq_vfio_limits limits;

    kernel_start(&space.kernel);
    space.kernel.without_caps = true;
    kernel_space_open(&space, VIRTQ_VFIO_TYPE1);
    cr_assert_eq(virtq_vfio_read_limits(&space.vfio, &limits), 0);
    cr_assert(limits.first == 0 && limits.last == UINT64_MAX && limits.available == UINT32_MAX);
    kernel_space_close(&space);
}

Test(vfio, more_ranges_than_are_kept_are_not_used)
{
    struct kernel_space space;
    struct virtq_vfio_limits limits;

    kernel_start(&space.kernel);
    for (unsigned i = 0; i < 40; i++) {
        space.kernel.ranges[i] = (struct virtq_vfio_range){0x2000 * i, 0x2000 * i + 0xfff};
    }
    space.kernel.range_count = 40;
    kernel_space_open(&space, VIRTQ_VFIO_TYPE1);
    cr_assert_eq(virtq_vfio_read_limits(&space.vfio, &limits), 0);
    cr_assert_eq(limits.range_count, VIRTQ_VFIO_RANGES_MAX);
    cr_assert_eq(limits.last, 0x2000 * (VIRTQ_VFIO_RANGES_MAX - 1) + 0xfff);
    kernel_space_close(&space);
}

Test(vfio, nothing_is_known_before_something_has_joined)
{
    struct kernel kernel;
    struct virtq_vfio vfio;
    struct virtq_vfio_limits limits;
    struct virtq_iova iova;
    struct virtq_iova_range entries[4];
    struct virtq_vfio_config config;
    char page[1];
    struct virtq_region range = {0, KERNEL_PAGE - 1, page, VIRTQ_PERMISSION_READ};

    kernel_start(&kernel);
    config = kernel_config(&kernel, VIRTQ_VFIO_TYPE1);
    cr_assert_eq(virtq_vfio_open(&vfio, &config), 0);
    cr_assert_eq(virtq_vfio_read_limits(&vfio, &limits), VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_vfio_init_iova(&vfio, 0, UINT64_MAX, &iova, entries, 4), VIRTQ_ENOTSUP);
    cr_assert_eq(vfio.backend.map(vfio.backend.context, &range, 1), VIRTQ_EINVAL);
    virtq_vfio_close(&vfio);
    cr_assert_eq(kernel_open_files(&kernel), 0);
}

Test(vfio, a_kernel_without_it_is_refused_by_name)
{
    struct kernel kernel;
    struct virtq_vfio vfio;
    struct virtq_vfio_config config;

    kernel_start(&kernel);
    config = kernel_config(&kernel, VIRTQ_VFIO_TYPE1);
    config.path = "/nowhere";
    cr_assert_eq(virtq_vfio_open(&vfio, &config), VIRTQ_ENOTSUP);
    expect_failure(&vfio, VIRTQ_VFIO_STEP_OPEN, ENOENT);
    config.path = NULL;
    kernel.version = 1;
    cr_assert_eq(virtq_vfio_open(&vfio, &config), VIRTQ_ENOTSUP);
    expect_failure(&vfio, VIRTQ_VFIO_STEP_VERSION, ENOSYS);
    kernel.version = 0;
    kernel.type1 = false;
    cr_assert_eq(virtq_vfio_open(&vfio, &config), VIRTQ_ENOTSUP);
    expect_failure(&vfio, VIRTQ_VFIO_STEP_TYPE1, ENOSYS);
    config.kind = VIRTQ_VFIO_IOMMUFD;
    kernel.fails = KERNEL_IOAS_ALLOC;
    kernel.fails_with = EPERM;
    cr_assert_eq(virtq_vfio_open(&vfio, &config), VIRTQ_EPERM);
    expect_failure(&vfio, VIRTQ_VFIO_STEP_SPACE, EPERM);
    cr_assert_eq(kernel_open_files(&kernel), 0);
}

Test(vfio, a_config_that_is_none_changes_nothing)
{
    struct kernel kernel;
    struct virtq_vfio vfio;
    struct virtq_vfio_config config;
    struct virtq_vfio_group group;
    struct virtq_vfio_device device;

    kernel_start(&kernel);
    config = kernel_config(&kernel, 2);
    cr_assert_eq(virtq_vfio_open(&vfio, &config), VIRTQ_EINVAL);
    config.kind = VIRTQ_VFIO_TYPE1;
    config.struct_size = 8;
    cr_assert_eq(virtq_vfio_open(&vfio, &config), VIRTQ_EINVAL);
    config.struct_size = sizeof(config);
    kernel.system.read = NULL;
    cr_assert_eq(virtq_vfio_open(&vfio, &config), VIRTQ_EINVAL);
    cr_assert_eq(kernel.calls, 0);
    kernel.system.read = kernel_read;
    cr_assert_eq(virtq_vfio_open(&vfio, &config), 0);
    cr_assert_eq(virtq_vfio_device_open_file(&device, &vfio, "/dev/vfio/devices/vfio0"),
                 VIRTQ_EINVAL);
    virtq_vfio_close(&vfio);
    config.kind = VIRTQ_VFIO_IOMMUFD;
    cr_assert_eq(virtq_vfio_open(&vfio, &config), 0);
    cr_assert_eq(virtq_vfio_group_open(&group, &vfio, "/dev/vfio/7"), VIRTQ_EINVAL);
    virtq_vfio_close(&vfio);
    cr_assert_eq(kernel_open_files(&kernel), 0);
}

Test(vfio, a_group_that_cannot_join_is_closed_and_named)
{
    static const struct {
        unsigned long request;
        int with;
        uint32_t step;
        int error;
    } cases[] = {
        {VFIO_GROUP_GET_STATUS, EIO, VIRTQ_VFIO_STEP_VIABLE, VIRTQ_EPEER},
        {VFIO_GROUP_SET_CONTAINER, EBUSY, VIRTQ_VFIO_STEP_JOIN, VIRTQ_EBUSY},
        {VFIO_SET_IOMMU, EPERM, VIRTQ_VFIO_STEP_SPACE, VIRTQ_EPERM},
        {VFIO_IOMMU_GET_INFO, ENOMEM, VIRTQ_VFIO_STEP_INFO, VIRTQ_ENOMEM},
    };
    struct kernel kernel;
    struct virtq_vfio vfio;
    struct virtq_vfio_group group;
    struct virtq_vfio_config config;

    kernel_start(&kernel);
    config = kernel_config(&kernel, VIRTQ_VFIO_TYPE1);
    cr_assert_eq(virtq_vfio_open(&vfio, &config), 0);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        kernel.fails = cases[i].request;
        kernel.fails_after = 0;
        kernel.fails_with = cases[i].with;
        kernel.iommu_set = false;
        cr_assert_eq(virtq_vfio_group_open(&group, &vfio, "/dev/vfio/7"), cases[i].error);
        expect_failure(&vfio, cases[i].step, cases[i].with);
        cr_assert_eq(kernel_open_files(&kernel), 1);
    }
    kernel.viable = false;
    cr_assert_eq(virtq_vfio_group_open(&group, &vfio, "/dev/vfio/7"), VIRTQ_EBUSY);
    expect_failure(&vfio, VIRTQ_VFIO_STEP_VIABLE, EBUSY);
    cr_assert_eq(virtq_vfio_group_open(&group, &vfio, "/nowhere/7"), VIRTQ_ENOTSUP);
    expect_failure(&vfio, VIRTQ_VFIO_STEP_GROUP_OPEN, ENOENT);
    virtq_vfio_close(&vfio);
    cr_assert_eq(kernel_open_files(&kernel), 0);
}

Test(vfio, a_second_group_shares_the_address_space_and_may_narrow_it)
{
    struct kernel_space space;
    struct virtq_vfio_group second;
    struct virtq_vfio_limits limits;

    kernel_start(&space.kernel);
    kernel_space_open(&space, VIRTQ_VFIO_TYPE1);
    space.kernel.ranges[1].last = UINT64_C(0x7fffffffff);
    cr_assert_eq(virtq_vfio_group_open(&second, &space.vfio, "/dev/vfio/8"), 0);
    cr_assert_eq(virtq_vfio_read_limits(&space.vfio, &limits), 0);
    cr_assert_eq(limits.last, UINT64_C(0x7fffffffff));
    virtq_vfio_group_close(&second);
    kernel_space_close(&space);
}

/* What becomes of a group that joins while the kernel's answer is these bytes. */
static void expect_answer(const void *bytes, size_t len, int error)
{
    struct kernel kernel;
    struct virtq_vfio vfio;
    struct virtq_vfio_group group;
    struct virtq_vfio_config config;

    kernel_start(&kernel);
    config = kernel_config(&kernel, VIRTQ_VFIO_TYPE1);
    cr_assert_eq(virtq_vfio_open(&vfio, &config), 0);
    memcpy(kernel.answer, bytes, len);
    kernel.answer_len = len;
    cr_assert_eq(virtq_vfio_group_open(&group, &vfio, "/dev/vfio/7"), error);
    if (error != 0) {
        expect_failure(&vfio, VIRTQ_VFIO_STEP_INFO, EPROTO);
    } else {
        virtq_vfio_group_close(&group);
    }
    virtq_vfio_close(&vfio);
}

struct nonsense {
    struct vfio_iommu_type1_info info; /* 24 bytes: what follows is aligned */
    struct vfio_info_cap_header header;
    uint32_t count;
    uint32_t reserved;
    struct vfio_iova_range ranges[3];
};

Test(vfio, an_answer_that_makes_no_sense_is_refused)
{
    const struct nonsense good = {{sizeof(good), VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS,
                                   KERNEL_PAGE, (uint32_t)offsetof(struct nonsense, header)},
                                  {VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, 0},
                                  3,
                                  0,
                                  {{0, 0xfff}, {0x2000, 0x2fff}, {0x4000, 0x4fff}}};
    struct nonsense bad;

    expect_answer(&good, sizeof(good), 0);
#define EXPECT(change) \
    bad = good;        \
    change;            \
    expect_answer(&bad, sizeof(bad), VIRTQ_EPEER)
    EXPECT(bad.info.cap_offset = sizeof(good));
    EXPECT(bad.info.cap_offset = sizeof(good) - 4);
    EXPECT(bad.info.cap_offset = UINT32_MAX);
    EXPECT(bad.info.argsz = (uint32_t)offsetof(struct nonsense, ranges));
    EXPECT(bad.header.next = bad.info.cap_offset);
    EXPECT(bad.header.next = 4);
    EXPECT((bad.header.id = 9, bad.header.next = bad.info.cap_offset));
    EXPECT(bad.count = UINT32_MAX);
    EXPECT(bad.count = 4);
    EXPECT(bad.ranges[1].start = 0x3000);
    EXPECT(bad.ranges[2].start = 0x2fff);
    EXPECT(bad.info.iova_pgsizes = 0);
    EXPECT(bad.info.flags = VFIO_IOMMU_INFO_CAPS);
#undef EXPECT
}

Test(vfio, every_step_has_a_name)
{
    for (uint32_t step = 0; step <= VIRTQ_VFIO_STEP_RESET; step++) {
        cr_assert(strlen(virtq_vfio_step_name(step)) > 4);
    }
    cr_assert_str_eq(virtq_vfio_step_name(VIRTQ_VFIO_STEP_RESET + 1), "an unknown step");
}

Test(vfio, the_machines_own_calls_report_what_is_not_there)
{
    struct virtq_vfio_config config = VIRTQ_VFIO_CONFIG_INIT;
    struct virtq_vfio_failure failure;
    struct virtq_vfio vfio;

    config.path = "/dev/vfio/there-is-no-such-thing";
    cr_assert_eq(virtq_vfio_open(&vfio, &config), VIRTQ_ENOTSUP);
    expect_failure(&vfio, VIRTQ_VFIO_STEP_OPEN, ENOENT);
    /* Valgrind knows no such request, and says so. */
    if (getenv("VIRTQ_TEST_HURRIED") != NULL) {
        return;
    }
    config.path = "/dev/null";
    cr_assert_eq(virtq_vfio_open(&vfio, &config), VIRTQ_ENOTSUP);
    virtq_vfio_failed(&vfio, &failure);
    cr_assert_eq(failure.step, VIRTQ_VFIO_STEP_VERSION);
}
