/* SPDX-License-Identifier: BSD-3-Clause */
/* A kernel for the tests of VFIO, behind the table of system calls: type 1 and iommufd as they
 * behave, groups, and a device of PCI. */
#ifndef TESTS_HOST_VFIO_KERNEL_H
#define TESTS_HOST_VFIO_KERNEL_H

#include "vfio_kernel_iommu.h"

static int kernel_group(struct kernel *kernel, unsigned long request, uintptr_t argument)
{
    switch (request) {
    case VFIO_GROUP_GET_STATUS: {
        struct vfio_group_status *status = (struct vfio_group_status *)argument;

        status->flags = kernel->viable ? VFIO_GROUP_FLAGS_VIABLE : 0;
        return 0;
    }
    case VFIO_GROUP_SET_CONTAINER:
        return kernel->files[*(const int *)argument] == FILE_CONTAINER ? 0 : -EINVAL;
    case VFIO_GROUP_GET_DEVICE_FD:
        return strcmp((const char *)argument, "0000:01:00.0") == 0
                   ? kernel_open_file(kernel, FILE_DEVICE)
                   : -EINVAL;
    default:
        return -ENOTTY;
    }
}

static int kernel_set_irqs(struct kernel *kernel, const struct vfio_irq_set *set)
{
    bool none = set->count == 0;

    if (set->index != VFIO_PCI_MSIX_IRQ_INDEX || set->start != 0 || set->count > kernel->vectors ||
        set->flags != (VFIO_IRQ_SET_ACTION_TRIGGER |
                       (none ? VFIO_IRQ_SET_DATA_NONE : VFIO_IRQ_SET_DATA_EVENTFD)) ||
        set->argsz < sizeof(*set) + set->count * sizeof(int32_t)) {
        return -EINVAL;
    }
    kernel->event_count = set->count;
    memcpy(kernel->events, set->data, set->count * sizeof(int32_t));
    return 0;
}

/* Region 0 can be mapped, region 4 cannot, 7 is the configuration space; 8 is one that cannot be
 * written. */
static int kernel_region(struct vfio_region_info *info)
{
    static const struct {
        uint64_t size;
        uint64_t offset;
        uint32_t flags;
    } regions[9] = {[0] = {KERNEL_BAR, 0x10000, 7},
                    [4] = {KERNEL_BAR, 0x10000, 3},
                    [7] = {256, 0x70000, 3},
                    [8] = {64, 0x70000, 1}};

    if (info->index >= 9) {
        return -EINVAL;
    }
    info->size = regions[info->index].size;
    info->offset = regions[info->index].offset;
    info->flags = regions[info->index].flags;
    return 0;
}

static int kernel_device(struct kernel *kernel, unsigned long request, uintptr_t argument)
{
    switch (request) {
    case KERNEL_BIND:
    case KERNEL_ATTACH:
        return 0;
    case VFIO_DEVICE_GET_INFO: {
        struct vfio_device_info *info = (struct vfio_device_info *)argument;

        info->flags = (kernel->not_pci ? VFIO_DEVICE_FLAGS_PLATFORM : VFIO_DEVICE_FLAGS_PCI) |
                      (kernel->no_reset ? 0u : VFIO_DEVICE_FLAGS_RESET);
        info->num_regions = 9;
        info->num_irqs = 5;
        return 0;
    }
    case VFIO_DEVICE_GET_REGION_INFO:
        return kernel_region((struct vfio_region_info *)argument);
    case VFIO_DEVICE_GET_IRQ_INFO:
        ((struct vfio_irq_info *)argument)->count = kernel->vectors;
        return 0;
    case VFIO_DEVICE_SET_IRQS:
        return kernel_set_irqs(kernel, (const struct vfio_irq_set *)argument);
    case VFIO_DEVICE_RESET:
        kernel->resets++;
        return 0;
    default:
        return -ENOTTY;
    }
}

static int kernel_ioctl(void *context, int fd, unsigned long request, uintptr_t argument)
{
    struct kernel *kernel = context;

    cr_assert(fd >= 0 && fd < KERNEL_FILES);
    kernel->calls++;
    if (request == kernel->fails && kernel->fails_after-- == 0) {
        kernel->fails = 0;
        return -kernel->fails_with;
    }
    switch (kernel->files[fd]) {
    case FILE_CONTAINER:
        return kernel_container(kernel, request, argument);
    case FILE_IOMMUFD:
        return kernel_iommufd(kernel, request, argument);
    case FILE_GROUP:
        return kernel_group(kernel, request, argument);
    case FILE_DEVICE:
        return kernel_device(kernel, request, argument);
    default:
        return -EBADF;
    }
}

static unsigned char *kernel_bytes(struct kernel *kernel, uint64_t offset, size_t len)
{
    if (offset >= 0x70000) {
        cr_assert(offset - 0x70000 + len <= sizeof(kernel->config));
        return kernel->config + (offset - 0x70000);
    }
    cr_assert(offset >= 0x10000 && offset - 0x10000 + len <= KERNEL_BAR);
    return kernel->bar + (offset - 0x10000);
}

static int64_t kernel_read(void *context, int fd, void *data, size_t len, uint64_t offset)
{
    struct kernel *kernel = context;

    cr_assert_eq(kernel->files[fd], FILE_DEVICE);
    memcpy(data, kernel_bytes(kernel, offset, len), len);
    return (int64_t)len;
}

static int64_t kernel_write(void *context, int fd, const void *data, size_t len, uint64_t offset)
{
    struct kernel *kernel = context;

    cr_assert_eq(kernel->files[fd], FILE_DEVICE);
    memcpy(kernel_bytes(kernel, offset, len), data, len);
    return (int64_t)len;
}

static int kernel_mmap(void *context, int fd, size_t len, uint64_t offset, void **base)
{
    (void)fd;
    *base = kernel_bytes(context, offset, len);
    return 0;
}

static void kernel_munmap(void *context, void *base, size_t len)
{
    struct kernel *kernel = context;

    cr_assert(base == (void *)kernel->bar && len == KERNEL_BAR);
}

static int kernel_populate(void *context, void *base, size_t len)
{
    struct kernel *kernel = context;

    kernel->populated[0] = (uintptr_t)base;
    kernel->populated[1] = len;
    kernel->populated_count++;
    return -EFAULT; /* as memory that cannot be written */
}

/* A machine as they are: a hole for interrupts, 48 bits, 4 KiB and 2 MiB pages. */
static void kernel_start(struct kernel *kernel)
{
    memset(kernel, 0, sizeof(*kernel));
    kernel->system = (struct virtq_vfio_system){sizeof(kernel->system), kernel,       kernel_open,
                                                kernel_close,           kernel_ioctl, kernel_read,
                                                kernel_write,           kernel_mmap,  kernel_munmap,
                                                kernel_populate};
    kernel->limit = KERNEL_MAPPINGS;
    kernel->ranges[0] = (struct virtq_vfio_range){0, 0xfedfffff};
    kernel->ranges[1] = (struct virtq_vfio_range){0xfef00000, UINT64_C(0xffffffffffff)};
    kernel->range_count = 2;
    kernel->page_sizes = KERNEL_PAGE | 1u << 21;
    kernel->type1 = true;
    kernel->viable = true;
    kernel->vectors = 3;
}

/* An address space of that kind in which a device has joined. */
struct kernel_space {
    struct kernel kernel;
    struct virtq_vfio vfio;
    struct virtq_vfio_group group;
    struct virtq_vfio_device device;
};

static struct virtq_vfio_config kernel_config(struct kernel *kernel, uint32_t kind)
{
    struct virtq_vfio_config config = VIRTQ_VFIO_CONFIG_INIT;

    config.system = &kernel->system;
    config.kind = kind;
    return config;
}

static inline void kernel_space_open(struct kernel_space *space, uint32_t kind)
{
    struct virtq_vfio_config config = kernel_config(&space->kernel, kind);

    cr_assert_eq(virtq_vfio_open(&space->vfio, &config), 0);
    if (kind == (uint32_t)VIRTQ_VFIO_TYPE1) {
        cr_assert_eq(virtq_vfio_group_open(&space->group, &space->vfio, "/dev/vfio/7"), 0);
        cr_assert_eq(virtq_vfio_device_open(&space->device, &space->group, "0000:01:00.0"), 0);
    } else {
        cr_assert_eq(
            virtq_vfio_device_open_file(&space->device, &space->vfio, "/dev/vfio/devices/vfio0"),
            0);
    }
}

static inline void kernel_space_close(struct kernel_space *space)
{
    virtq_vfio_device_close(&space->device);
    if (space->vfio.kind == (uint32_t)VIRTQ_VFIO_TYPE1) {
        virtq_vfio_group_close(&space->group);
    }
    virtq_vfio_close(&space->vfio);
    cr_assert_eq(kernel_open_files(&space->kernel), 0);
}

/* For each kind, in a space of its own. */
#define EACH_KIND(space)                                                        \
    for (uint32_t kind = VIRTQ_VFIO_TYPE1;                                      \
         kind <= VIRTQ_VFIO_IOMMUFD &&                                          \
         (kernel_start(&(space)->kernel), kernel_space_open((space), kind), 1); \
         kernel_space_close(space), kind++)

#endif
