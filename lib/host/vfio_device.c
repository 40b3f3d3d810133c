/* SPDX-License-Identifier: BSD-3-Clause */
/* A PCI device behind VFIO. */
#include "virtq/host/vfio_device.h"

#include <errno.h>
#include <string.h>

#include "vfio_private.h"

#define PCI_COMMAND 4u
#define PCI_COMMAND_MEMORY_AND_MASTER 6u

static int fail(struct virtq_vfio_device *device, enum virtq_vfio_step step, int64_t result)
{
    return virtq_priv_vfio_fail(device->vfio, step, result);
}

static int call(struct virtq_vfio_device *device, unsigned long request, void *argument)
{
    return virtq_priv_vfio_call(device->vfio, device->fd, request, argument);
}

static void close_fd(const struct virtq_vfio_device *device)
{
    device->vfio->system->close(device->vfio->system->context, device->fd);
}

/* What it is; the device is closed if it is not of PCI. */
static int describe(struct virtq_vfio_device *device)
{
    struct vfio_device_info info = {.argsz = sizeof(info)};
    int result = call(device, VFIO_DEVICE_GET_INFO, &info);

    if (result >= 0 && (info.flags & VFIO_DEVICE_FLAGS_PCI) == 0) {
        result = -ENODEV;
    }
    device->regions = info.num_regions;
    device->resets = info.flags & VFIO_DEVICE_FLAGS_RESET;
    return result < 0 ? fail(device, VIRTQ_VFIO_STEP_DEVICE, result) : 0;
}

int virtq_vfio_device_open(struct virtq_vfio_device *device, struct virtq_vfio_group *group,
                           const char *name)
{
    const struct virtq_vfio_system *system = group->vfio->system;
    struct virtq_vfio_device made = {.vfio = group->vfio};
    int error;

    made.fd = system->ioctl(system->context, group->fd, VFIO_GROUP_GET_DEVICE_FD, (uintptr_t)name);
    if (made.fd < 0) {
        /* The kernel's word for a name that is not in the group. */
        return fail(&made, VIRTQ_VFIO_STEP_DEVICE, made.fd == -EINVAL ? -ENODEV : made.fd);
    }
    error = describe(&made);
    if (error != 0) {
        close_fd(&made);
        return error;
    }
    *device = made;
    return 0;
}

static int join(struct virtq_vfio_device *device)
{
    struct virtq_priv_iommufd_bind bind = {sizeof(bind), 0, device->vfio->fd, 0};
    struct virtq_priv_iommufd_attach attach = {sizeof(attach), 0, device->vfio->space_id};
    int result = call(device, VIRTQ_PRIV_IOMMUFD_BIND, &bind);

    if (result >= 0) {
        result = call(device, VIRTQ_PRIV_IOMMUFD_ATTACH, &attach);
    }
    return result < 0 ? fail(device, VIRTQ_VFIO_STEP_JOIN, result)
                      : virtq_priv_vfio_inform(device->vfio);
}

int virtq_vfio_device_open_file(struct virtq_vfio_device *device, struct virtq_vfio *vfio,
                                const char *path)
{
    struct virtq_vfio_device made = {.vfio = vfio, .joined = 1};
    int error;

    if (vfio->kind != (uint32_t)VIRTQ_VFIO_IOMMUFD) {
        return VIRTQ_EINVAL;
    }
    made.fd = vfio->system->open(vfio->system->context, path);
    if (made.fd < 0) {
        return fail(&made, VIRTQ_VFIO_STEP_DEVICE, made.fd);
    }
    error = join(&made);
    if (error == 0) {
        error = describe(&made);
    }
    if (error != 0) {
        close_fd(&made); /* which takes it out again */
        return error;
    }
    vfio->members++;
    *device = made;
    return 0;
}

void virtq_vfio_device_close(struct virtq_vfio_device *device)
{
    close_fd(device);
    device->vfio->members -= device->joined;
    device->joined = 0;
    device->fd = -1;
}

int virtq_vfio_device_region(struct virtq_vfio_device *device, uint32_t index,
                             struct virtq_vfio_region *region)
{
    struct vfio_region_info info = {.argsz = sizeof(info), .index = index};
    int result;

    if (index >= device->regions) {
        return VIRTQ_EINVAL;
    }
    result = call(device, VFIO_DEVICE_GET_REGION_INFO, &info);
    if (result < 0) {
        return fail(device, VIRTQ_VFIO_STEP_REGION, result);
    }
    *region =
        (struct virtq_vfio_region){info.size, info.offset, info.flags & VFIO_REGION_INFO_FLAG_MMAP,
                                   info.flags & VFIO_REGION_INFO_FLAG_WRITE};
    return 0;
}

int virtq_vfio_device_map(struct virtq_vfio_device *device, uint32_t index, void **base,
                          uint64_t *size)
{
    const struct virtq_vfio_system *system = device->vfio->system;
    struct virtq_vfio_region region = {0};
    int error = virtq_vfio_device_region(device, index, &region);
    int result;

    if (error != 0) {
        return error;
    }
    if (region.size == 0 || region.size > SIZE_MAX) {
        return VIRTQ_EINVAL;
    }
    if (region.mappable == 0 || region.writable == 0) {
        return VIRTQ_ENOTSUP;
    }
    result = system->map(system->context, device->fd, (size_t)region.size, region.offset, base);
    if (result < 0) {
        return fail(device, VIRTQ_VFIO_STEP_REGION, result);
    }
    *size = region.size;
    return 0;
}

void virtq_vfio_device_unmap(const struct virtq_vfio_device *device, void *base, uint64_t size)
{
    const struct virtq_vfio_system *system = device->vfio->system;

    system->unmap(system->context, base, (size_t)size);
}

/* Where bytes of a region lie in the device's file. */
static int locate(struct virtq_vfio_device *device, uint32_t index, uint64_t offset, size_t len,
                  struct virtq_vfio_region *region)
{
    int error = virtq_vfio_device_region(device, index, region);

    if (error == 0 && (len > region->size || offset > region->size - len)) {
        error = VIRTQ_EINVAL;
    }
    return error;
}

int virtq_vfio_device_read(struct virtq_vfio_device *device, uint32_t index, uint64_t offset,
                           void *data, size_t len)
{
    const struct virtq_vfio_system *system = device->vfio->system;
    struct virtq_vfio_region region = {0};
    int error = locate(device, index, offset, len, &region);
    int64_t result;

    if (error != 0) {
        return error;
    }
    result = system->read(system->context, device->fd, data, len, region.offset + offset);
    return result == (int64_t)len
               ? 0
               : fail(device, VIRTQ_VFIO_STEP_ACCESS, result < 0 ? result : -EIO);
}

int virtq_vfio_device_write(struct virtq_vfio_device *device, uint32_t index, uint64_t offset,
                            const void *data, size_t len)
{
    const struct virtq_vfio_system *system = device->vfio->system;
    struct virtq_vfio_region region = {0};
    int error = locate(device, index, offset, len, &region);
    int64_t result;

    if (error == 0 && region.writable == 0) {
        error = VIRTQ_EINVAL;
    }
    if (error != 0) {
        return error;
    }
    result = system->write(system->context, device->fd, data, len, region.offset + offset);
    return result == (int64_t)len
               ? 0
               : fail(device, VIRTQ_VFIO_STEP_ACCESS, result < 0 ? result : -EIO);
}

int virtq_vfio_device_enable(struct virtq_vfio_device *device)
{
    unsigned char command; /* its low byte, in any byte order */
    int error = virtq_vfio_device_read(device, VIRTQ_VFIO_CONFIG_REGION, PCI_COMMAND, &command, 1);

    if (error != 0) {
        return error;
    }
    command |= PCI_COMMAND_MEMORY_AND_MASTER;
    return virtq_vfio_device_write(device, VIRTQ_VFIO_CONFIG_REGION, PCI_COMMAND, &command, 1);
}

int virtq_vfio_device_interrupts(struct virtq_vfio_device *device, const int *fds, uint32_t count)
{
    union {
        struct vfio_irq_set set;
        unsigned char
            bytes[sizeof(struct vfio_irq_set) + VIRTQ_VFIO_INTERRUPTS_MAX * sizeof(int32_t)];
    } request = {.set = {.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
                         .index = VFIO_PCI_MSIX_IRQ_INDEX,
                         .count = count}};
    struct vfio_irq_info info = {.argsz = sizeof(info), .index = VFIO_PCI_MSIX_IRQ_INDEX};
    int result = call(device, VFIO_DEVICE_GET_IRQ_INFO, &info);
    uint32_t i;

    if (result >= 0) {
        if (count > info.count || count > VIRTQ_VFIO_INTERRUPTS_MAX) {
            return VIRTQ_EINVAL;
        }
        for (i = 0; i < count; i++) {
            int32_t fd = fds[i];

            memcpy(request.bytes + sizeof(request.set) + i * sizeof(fd), &fd, sizeof(fd));
        }
        if (count != 0) {
            request.set.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
        }
        request.set.argsz = (uint32_t)(sizeof(request.set) + count * sizeof(int32_t));
        result = call(device, VFIO_DEVICE_SET_IRQS, &request);
    }
    return result < 0 ? fail(device, VIRTQ_VFIO_STEP_INTERRUPTS, result) : 0;
}

int virtq_vfio_device_reset(struct virtq_vfio_device *device)
{
    int result;

    if (device->resets == 0) {
        return VIRTQ_ENOTSUP;
    }
    result = call(device, VFIO_DEVICE_RESET, NULL);
    return result < 0 ? fail(device, VIRTQ_VFIO_STEP_RESET, result) : 0;
}
