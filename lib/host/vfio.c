/* SPDX-License-Identifier: BSD-3-Clause */
/* Address spaces of VFIO, and the groups in them. */
#include "virtq/host/vfio.h"

#include <errno.h>
#include <string.h>

#include "vfio_private.h"

int virtq_priv_vfio_call(const struct virtq_vfio *vfio, int fd, unsigned long request,
                         void *argument)
{
    return vfio->system->ioctl(vfio->system->context, fd, request, (uintptr_t)argument);
}

static void close_fd(const struct virtq_vfio *vfio, int fd)
{
    vfio->system->close(vfio->system->context, fd);
}

static bool system_legal(const struct virtq_vfio_system *system)
{
    return system->size >= sizeof(*system) && system->open != NULL && system->close != NULL &&
           system->ioctl != NULL && system->read != NULL && system->write != NULL &&
           system->map != NULL && system->unmap != NULL && system->populate != NULL;
}

static int make_type1(struct virtq_vfio *vfio)
{
    const struct virtq_vfio_system *system = vfio->system;
    int result = system->ioctl(system->context, vfio->fd, VFIO_GET_API_VERSION, 0);

    if (result != VFIO_API_VERSION) {
        return virtq_priv_vfio_fail(vfio, VIRTQ_VFIO_STEP_VERSION, result < 0 ? result : -ENOSYS);
    }
    /* Version 2 alone: the first one unmaps more than it is asked to. */
    result = system->ioctl(system->context, vfio->fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU);
    if (result <= 0) {
        return virtq_priv_vfio_fail(vfio, VIRTQ_VFIO_STEP_TYPE1, result < 0 ? result : -ENOSYS);
    }
    return 0;
}

static int make_iommufd(struct virtq_vfio *vfio)
{
    struct virtq_priv_iommufd_alloc alloc = {sizeof(alloc), 0, 0};
    int result = virtq_priv_vfio_call(vfio, vfio->fd, VIRTQ_PRIV_IOMMUFD_ALLOC, &alloc);

    if (result < 0) {
        return virtq_priv_vfio_fail(vfio, VIRTQ_VFIO_STEP_SPACE, result);
    }
    vfio->space_id = alloc.space_id;
    return 0;
}

int virtq_vfio_open(struct virtq_vfio *vfio, const struct virtq_vfio_config *config)
{
    const struct virtq_vfio_system *system =
        config->system != NULL ? config->system : virtq_vfio_system_linux();
    const char *path = config->path;
    int error;

    if (config->struct_size < sizeof(*config) || !system_legal(system) ||
        config->kind > (uint32_t)VIRTQ_VFIO_IOMMUFD) {
        return VIRTQ_EINVAL;
    }
    memset(vfio, 0, sizeof(*vfio));
    vfio->backend = (struct virtq_iommu_backend){sizeof(vfio->backend), vfio, virtq_priv_vfio_map,
                                                 virtq_priv_vfio_unmap, virtq_priv_vfio_flush};
    vfio->system = system;
    vfio->kind = config->kind;
    vfio->available = UINT32_MAX;
    if (path == NULL) {
        path = config->kind == (uint32_t)VIRTQ_VFIO_TYPE1 ? "/dev/vfio/vfio" : "/dev/iommu";
    }
    vfio->fd = system->open(system->context, path);
    if (vfio->fd < 0) {
        return virtq_priv_vfio_fail(vfio, VIRTQ_VFIO_STEP_OPEN, vfio->fd);
    }
    error = config->kind == (uint32_t)VIRTQ_VFIO_TYPE1 ? make_type1(vfio) : make_iommufd(vfio);
    if (error != 0) {
        virtq_vfio_close(vfio);
    }
    return error;
}

void virtq_vfio_close(struct virtq_vfio *vfio)
{
    close_fd(vfio, vfio->fd);
    vfio->fd = -1;
}

/* A group can join only if each of its devices has VFIO's driver, or none. */
static int judge_group(struct virtq_vfio *vfio, int fd)
{
    struct vfio_group_status status = {sizeof(status), 0};
    int result = virtq_priv_vfio_call(vfio, fd, VFIO_GROUP_GET_STATUS, &status);

    if (result >= 0 && (status.flags & VFIO_GROUP_FLAGS_VIABLE) == 0) {
        result = -EBUSY;
    }
    return result < 0 ? virtq_priv_vfio_fail(vfio, VIRTQ_VFIO_STEP_VIABLE, result) : 0;
}

/* The first group brings the IOMMU with it. */
static int join(struct virtq_vfio *vfio, int fd)
{
    const struct virtq_vfio_system *system = vfio->system;
    int result = virtq_priv_vfio_call(vfio, fd, VFIO_GROUP_SET_CONTAINER, &vfio->fd);

    if (result < 0) {
        return virtq_priv_vfio_fail(vfio, VIRTQ_VFIO_STEP_JOIN, result);
    }
    if (vfio->members == 0) {
        result = system->ioctl(system->context, vfio->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
        if (result < 0) {
            return virtq_priv_vfio_fail(vfio, VIRTQ_VFIO_STEP_SPACE, result);
        }
    }
    return virtq_priv_vfio_inform(vfio);
}

int virtq_vfio_group_open(struct virtq_vfio_group *group, struct virtq_vfio *vfio, const char *path)
{
    int error;
    int fd;

    if (vfio->kind != (uint32_t)VIRTQ_VFIO_TYPE1) {
        return VIRTQ_EINVAL;
    }
    fd = vfio->system->open(vfio->system->context, path);
    if (fd < 0) {
        return virtq_priv_vfio_fail(vfio, VIRTQ_VFIO_STEP_GROUP_OPEN, fd);
    }
    error = judge_group(vfio, fd);
    if (error == 0) {
        error = join(vfio, fd);
    }
    if (error != 0) {
        close_fd(vfio, fd); /* which takes it out again */
        return error;
    }
    vfio->members++;
    group->vfio = vfio;
    group->fd = fd;
    return 0;
}

void virtq_vfio_group_close(struct virtq_vfio_group *group)
{
    close_fd(group->vfio, group->fd);
    group->vfio->members--;
    group->fd = -1;
}
