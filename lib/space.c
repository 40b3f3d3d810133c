/* SPDX-License-Identifier: BSD-3-Clause */
/* The seam's own functions: checks that no space need repeat. */
#include "virtq/space.h"

/* Whether the space's table is long enough to have the member that ends there. */
static int reaches(const struct virtq_space *space, size_t end)
{
    return space->ops->size >= end;
}

VIRTQ_API int virtq_space_share(struct virtq_space *space, void *base, uint64_t len,
                                uint32_t permissions, virtq_addr_t *addr)
{
    const uint32_t known = (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE;

    if (len == 0u || permissions == 0u || (permissions & ~known) != 0u || base == NULL ||
        addr == NULL) {
        return VIRTQ_EINVAL;
    }
    if (!reaches(space, offsetof(struct virtq_space_ops, unshare)) || space->ops->share == NULL) {
        return VIRTQ_ENOTSUP;
    }
    return space->ops->share(space, base, len, permissions, addr);
}

VIRTQ_API void virtq_space_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    if (reaches(space, offsetof(struct virtq_space_ops, window)) && space->ops->unshare != NULL) {
        space->ops->unshare(space, addr, len);
    }
}

VIRTQ_API int64_t virtq_space_translate(struct virtq_space *space, virtq_addr_t addr, uint64_t len,
                                        uint32_t permission, void **base)
{
    struct virtq_window window = {0, 0, NULL, 0, 0};
    uint64_t part;
    int error;

    if (len == 0u || len > (uint64_t)INT64_MAX || base == NULL ||
        (permission != (uint32_t)VIRTQ_PERMISSION_READ &&
         permission != (uint32_t)VIRTQ_PERMISSION_WRITE)) {
        return VIRTQ_EINVAL;
    }
    if (!reaches(space, offsetof(struct virtq_space_ops, batch)) || space->ops->window == NULL) {
        return VIRTQ_EFAULT;
    }
    error = space->ops->window(space, addr, permission, &window);
    if (error != VIRTQ_OK) {
        return error;
    }
    if (addr < window.first || addr > window.last) {
        return VIRTQ_EFAULT;
    }
    part = window.last - addr < len - 1u ? window.last - addr + 1u : len;
    *base = window.base + (size_t)(addr - window.first);
    return (int64_t)part;
}
