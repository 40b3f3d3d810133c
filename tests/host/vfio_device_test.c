/* SPDX-License-Identifier: BSD-3-Clause */
/* A device behind VFIO: its regions and interrupts. */
#include "vfio_kernel.h"

static void expect_step(const struct virtq_vfio *vfio, uint32_t step, int system_error)
{
    struct virtq_vfio_failure failure;

    virtq_vfio_failed(vfio, &failure);
    cr_assert_eq(failure.step, step);
    cr_assert_eq(failure.system_error, system_error);
}

Test(vfio_device, regions_are_read_and_written_within_their_bounds)
{
    static struct kernel_space space;
    struct virtq_vfio_device *device = &space.device;
    struct virtq_vfio_region region;
    uint32_t word = 0;

    kernel_start(&space.kernel);
    kernel_space_open(&space, VIRTQ_VFIO_TYPE1);
    memcpy(space.kernel.config, "\xf4\x1a\x42\x10", 4);
    cr_assert_eq(virtq_vfio_device_region(device, VIRTQ_VFIO_CONFIG_REGION, &region), 0);
    cr_assert(region.size == 256 && !region.mappable && region.writable);
    cr_assert_eq(virtq_vfio_device_read(device, VIRTQ_VFIO_CONFIG_REGION, 0, &word, 4), 0);
    cr_assert_eq(memcmp(&word, "\xf4\x1a\x42\x10", 4), 0);
    cr_assert_eq(virtq_vfio_device_write(device, 4, KERNEL_BAR - 4, &word, 4), 0);
    cr_assert_eq(memcmp(space.kernel.bar + KERNEL_BAR - 4, &word, 4), 0);
    cr_assert_eq(virtq_vfio_device_write(device, 4, KERNEL_BAR - 3, &word, 4), VIRTQ_EINVAL);
    cr_assert_eq(virtq_vfio_device_read(device, 4, UINT64_MAX, &word, 4), VIRTQ_EINVAL);
    cr_assert_eq(virtq_vfio_device_read(device, 1, 0, &word, 4), VIRTQ_EINVAL);
    cr_assert_eq(virtq_vfio_device_read(device, 9, 0, &word, 4), VIRTQ_EINVAL);
    cr_assert_eq(virtq_vfio_device_read(device, 8, 0, &word, 4), 0);
    cr_assert_eq(virtq_vfio_device_write(device, 8, 0, &word, 4), VIRTQ_EINVAL);
    kernel_space_close(&space);
}

Test(vfio_device, a_bar_is_mapped_where_the_kernel_allows_it)
{
    static struct kernel_space space;
    void *base = NULL;
    uint64_t size = 0;

    kernel_start(&space.kernel);
    kernel_space_open(&space, VIRTQ_VFIO_TYPE1);
    cr_assert_eq(virtq_vfio_device_map(&space.device, 0, &base, &size), 0);
    cr_assert(base == (void *)space.kernel.bar && size == KERNEL_BAR);
    virtq_vfio_device_unmap(&space.device, base, size);
    cr_assert_eq(virtq_vfio_device_map(&space.device, 4, &base, &size), VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_vfio_device_map(&space.device, 2, &base, &size), VIRTQ_EINVAL);
    kernel_space_close(&space);
}

Test(vfio_device, enabling_sets_two_bits_of_the_command_and_no_other)
{
    static struct kernel_space space;

    kernel_start(&space.kernel);
    kernel_space_open(&space, VIRTQ_VFIO_TYPE1);
    space.kernel.config[4] = 0x40;
    space.kernel.config[5] = 0x04;
    cr_assert_eq(virtq_vfio_device_enable(&space.device), 0);
    cr_assert_eq(space.kernel.config[4], 0x46);
    cr_assert_eq(space.kernel.config[5], 0x04);
    kernel_space_close(&space);
}

Test(vfio_device, interrupts_go_to_the_eventfds_that_were_given)
{
    static struct kernel_space space;
    const int fds[VIRTQ_VFIO_INTERRUPTS_MAX + 1] = {41, -1, 43};

    kernel_start(&space.kernel);
    kernel_space_open(&space, VIRTQ_VFIO_TYPE1);
    cr_assert_eq(virtq_vfio_device_interrupts(&space.device, fds, 3), 0);
    cr_assert_eq(space.kernel.event_count, 3);
    cr_assert(space.kernel.events[0] == 41 && space.kernel.events[1] == -1 &&
              space.kernel.events[2] == 43);
    space.kernel.calls = 0;
    cr_assert_eq(virtq_vfio_device_interrupts(&space.device, fds, 4), VIRTQ_EINVAL);
    cr_assert_eq(space.kernel.calls, 1); /* how many there are */
    cr_assert_eq(space.kernel.event_count, 3);
    cr_assert_eq(virtq_vfio_device_interrupts(&space.device, NULL, 0), 0);
    cr_assert_eq(space.kernel.event_count, 0);
    space.kernel.vectors = 100;
    cr_assert_eq(virtq_vfio_device_interrupts(&space.device, fds, VIRTQ_VFIO_INTERRUPTS_MAX + 1),
                 VIRTQ_EINVAL);
    space.kernel.fails = VFIO_DEVICE_SET_IRQS;
    space.kernel.fails_with = ENOSPC;
    cr_assert_eq(virtq_vfio_device_interrupts(&space.device, fds, 1), VIRTQ_ENOMEM);
    expect_step(&space.vfio, VIRTQ_VFIO_STEP_INTERRUPTS, ENOSPC);
    kernel_space_close(&space);
}

Test(vfio_device, a_device_that_can_be_reset_is)
{
    static struct kernel_space space;

    kernel_start(&space.kernel);
    kernel_space_open(&space, VIRTQ_VFIO_TYPE1);
    cr_assert_eq(virtq_vfio_device_reset(&space.device), 0);
    cr_assert_eq(space.kernel.resets, 1);
    kernel_space_close(&space);
    space.kernel.no_reset = true;
    space.kernel.iommu_set = false;
    kernel_space_open(&space, VIRTQ_VFIO_TYPE1);
    cr_assert_eq(virtq_vfio_device_reset(&space.device), VIRTQ_ENOTSUP);
    kernel_space_close(&space);
}

Test(vfio_device, what_cannot_be_opened_is_closed_and_named)
{
    static struct kernel_space space;
    struct virtq_vfio_device device;

    kernel_start(&space.kernel);
    kernel_space_open(&space, VIRTQ_VFIO_TYPE1);
    cr_assert_eq(virtq_vfio_device_open(&device, &space.group, "0000:02:00.0"), VIRTQ_ENOTSUP);
    expect_step(&space.vfio, VIRTQ_VFIO_STEP_DEVICE, ENODEV);
    space.kernel.not_pci = true;
    cr_assert_eq(virtq_vfio_device_open(&device, &space.group, "0000:01:00.0"), VIRTQ_ENOTSUP);
    expect_step(&space.vfio, VIRTQ_VFIO_STEP_DEVICE, ENODEV);
    kernel_space_close(&space);
}

Test(vfio_device, a_device_of_its_own_joins_or_is_closed)
{
    static const struct {
        unsigned long request;
        uint32_t step;
    } cases[] = {
        {KERNEL_BIND, VIRTQ_VFIO_STEP_JOIN},
        {KERNEL_ATTACH, VIRTQ_VFIO_STEP_JOIN},
        {KERNEL_IOAS_RANGES, VIRTQ_VFIO_STEP_INFO},
        {VFIO_DEVICE_GET_INFO, VIRTQ_VFIO_STEP_DEVICE},
    };
    static struct kernel_space space;
    struct virtq_vfio_device device;

    kernel_start(&space.kernel);
    kernel_space_open(&space, VIRTQ_VFIO_IOMMUFD);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        space.kernel.fails = cases[i].request;
        space.kernel.fails_after = 0;
        space.kernel.fails_with = EACCES;
        cr_assert_eq(virtq_vfio_device_open_file(&device, &space.vfio, "/dev/vfio/devices/vfio1"),
                     VIRTQ_EPERM);
        expect_step(&space.vfio, cases[i].step, EACCES);
        cr_assert_eq(kernel_open_files(&space.kernel), 2);
    }
    cr_assert_eq(virtq_vfio_device_open_file(&device, &space.vfio, "/nowhere"), VIRTQ_ENOTSUP);
    kernel_space_close(&space);
}
