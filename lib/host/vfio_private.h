/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of VFIO share; and the kernel's interface of iommufd, which is younger than the
 * headers of many systems. */
#ifndef VIRTQ_HOST_VFIO_PRIVATE_H
#define VIRTQ_HOST_VFIO_PRIVATE_H

#include <linux/ioctl.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdint.h>

#include "virtq/host/vfio.h"

/* [Linux, include/uapi/linux/iommufd.h, include/uapi/linux/vfio.h] */
struct virtq_priv_iommufd_alloc {
    uint32_t size;
    uint32_t flags;
    uint32_t space_id;
};

struct virtq_priv_iommufd_ranges {
    uint32_t size;
    uint32_t space_id;
    uint32_t count;
    uint32_t reserved_;
    uint64_t ranges;
    uint64_t alignment;
};

struct virtq_priv_iommufd_map {
    uint32_t size;
    uint32_t flags;
    uint32_t space_id;
    uint32_t reserved_;
    uint64_t base;
    uint64_t length;
    uint64_t iova;
};

struct virtq_priv_iommufd_unmap {
    uint32_t size;
    uint32_t space_id;
    uint64_t iova;
    uint64_t length;
};

struct virtq_priv_iommufd_bind {
    uint32_t argsz;
    uint32_t flags;
    int32_t iommufd;
    uint32_t device_id;
};

struct virtq_priv_iommufd_attach {
    uint32_t argsz;
    uint32_t flags;
    uint32_t space_id;
};

enum {
    VIRTQ_PRIV_IOMMUFD_FIXED = 1,
    VIRTQ_PRIV_IOMMUFD_WRITEABLE = 2,
    VIRTQ_PRIV_IOMMUFD_READABLE = 4
};

#define VIRTQ_PRIV_IOMMUFD_ALLOC _IO(VFIO_TYPE, 0x81)
#define VIRTQ_PRIV_IOMMUFD_RANGES _IO(VFIO_TYPE, 0x84)
#define VIRTQ_PRIV_IOMMUFD_MAP _IO(VFIO_TYPE, 0x85)
#define VIRTQ_PRIV_IOMMUFD_UNMAP _IO(VFIO_TYPE, 0x86)
#define VIRTQ_PRIV_IOMMUFD_BIND _IO(VFIO_TYPE, VFIO_BASE + 18)
#define VIRTQ_PRIV_IOMMUFD_ATTACH _IO(VFIO_TYPE, VFIO_BASE + 19)

/* One system call, with a structure. */
int virtq_priv_vfio_call(const struct virtq_vfio *vfio, int fd, unsigned long request,
                         void *argument);

/* Notes what failed, and gives the error for it; `result` is a negative errno, or 0. */
int virtq_priv_vfio_fail(struct virtq_vfio *vfio, enum virtq_vfio_step step, int64_t result);

/* Asks the kernel what the IOMMU can do, once something has joined. */
int virtq_priv_vfio_inform(struct virtq_vfio *vfio);

/* The operations of the backend. */
int virtq_priv_vfio_map(void *context, const struct virtq_region *ranges, unsigned count);
int virtq_priv_vfio_unmap(void *context, const struct virtq_region *ranges, unsigned count);
int virtq_priv_vfio_flush(void *context, const struct virtq_region *ranges, unsigned count);

#endif
