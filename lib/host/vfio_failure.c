/* SPDX-License-Identifier: BSD-3-Clause */
/* What failed: the kernel's errors by our names. */
#include <errno.h>

#include "vfio_private.h"

static int error_of(int64_t result)
{
    switch (-result) {
    case ENOMEM: /* also RLIMIT_MEMLOCK */
    case ENOSPC: /* as many mappings as there can be */
    case EAGAIN:
    case EMFILE:
    case ENFILE:
        return VIRTQ_ENOMEM;
    case EINVAL:
    case E2BIG:
    case EOVERFLOW:
        return VIRTQ_EINVAL;
    case EBUSY:
    case EEXIST:
        return VIRTQ_EBUSY;
    case EFAULT:
        return VIRTQ_EFAULT;
    case EPERM:
    case EACCES:
        return VIRTQ_EPERM;
    case ENOENT:
    case ENODEV:
    case ENXIO:
    case ENOTTY:
    case ENOSYS:
    case EOPNOTSUPP:
        return VIRTQ_ENOTSUP;
    default:
        return VIRTQ_EPEER;
    }
}

int virtq_priv_vfio_fail(struct virtq_vfio *vfio, enum virtq_vfio_step step, int64_t result)
{
    uint64_t number = result < 0 ? (uint64_t)-result & UINT32_MAX : 0;

    /* One word: threads that fail at once do not mix. */
    __atomic_store_n(&vfio->failure, (uint64_t)step << 32 | number, __ATOMIC_RELAXED);
    return error_of(result);
}

void virtq_vfio_failed(const struct virtq_vfio *vfio, struct virtq_vfio_failure *failure)
{
    uint64_t word = __atomic_load_n(&vfio->failure, __ATOMIC_RELAXED);

    failure->step = (uint32_t)(word >> 32);
    failure->system_error = (int32_t)(word & INT32_MAX);
}

const char *virtq_vfio_step_name(uint32_t step)
{
    static const char *const names[] = {
        [VIRTQ_VFIO_STEP_NONE] = "nothing",
        [VIRTQ_VFIO_STEP_OPEN] = "opening VFIO",
        [VIRTQ_VFIO_STEP_VERSION] = "the version of the interface",
        [VIRTQ_VFIO_STEP_TYPE1] = "a type 1 IOMMU",
        [VIRTQ_VFIO_STEP_SPACE] = "making an address space",
        [VIRTQ_VFIO_STEP_GROUP_OPEN] = "opening the group",
        [VIRTQ_VFIO_STEP_VIABLE] = "the kernel has a driver on a device of the group",
        [VIRTQ_VFIO_STEP_JOIN] = "joining the address space",
        [VIRTQ_VFIO_STEP_INFO] = "what the IOMMU can do",
        [VIRTQ_VFIO_STEP_MAP] = "mapping memory",
        [VIRTQ_VFIO_STEP_UNMAP] = "unmapping memory",
        [VIRTQ_VFIO_STEP_DEVICE] = "opening the device",
        [VIRTQ_VFIO_STEP_REGION] = "a region of the device",
        [VIRTQ_VFIO_STEP_ACCESS] = "access to a region of the device",
        [VIRTQ_VFIO_STEP_INTERRUPTS] = "the device's interrupts",
        [VIRTQ_VFIO_STEP_RESET] = "the device's reset"};

    return step < sizeof(names) / sizeof(names[0]) ? names[step] : "an unknown step";
}
