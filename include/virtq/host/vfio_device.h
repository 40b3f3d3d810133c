/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_vfio
 * @brief A PCI device behind VFIO: its regions and interrupts, as far as a driver in user space
 * needs them.
 *
 * One thread at a time for each device; what is mapped of it is the caller's business.
 */
#ifndef VIRTQ_HOST_VFIO_DEVICE_H
#define VIRTQ_HOST_VFIO_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "vfio.h"

VIRTQ_BEGIN_DECLS

/** @brief Regions 0 to 5 are the BARs; this one is the configuration space. */
#define VIRTQ_VFIO_CONFIG_REGION 7u
/** @brief Most interrupts of a device. */
#define VIRTQ_VFIO_INTERRUPTS_MAX 64u

/** @brief A region of a device. */
struct virtq_vfio_region {
    uint64_t size;     /**< Bytes; 0: there is no such region. */
    uint64_t offset;   /**< Where it begins in the device's file. */
    uint32_t mappable; /**< Not 0: virtq_vfio_device_map() can be tried; else it is read and
                          written only. */
    uint32_t writable; /**< Not 0: it can be written. */
};

/** @brief A device. The caller owns the memory; the fields are private. */
struct virtq_vfio_device {
    struct virtq_vfio *vfio; /**< Its address space. */
    int fd;                  /**< The device. */
    uint32_t regions;        /**< How many regions it has. */
    uint32_t resets;         /**< Not 0: it can be reset. */
    uint32_t joined;         /**< Not 0: it joined by itself, without a group. */
};

/** @brief Opens a PCI device of a group.
 * @param device result; owned by the caller, until virtq_vfio_device_close()
 * @param group  its group, which must outlive it
 * @param name   its address on the bus, as in `0000:01:00.0`; read during the call only
 * @return 0; VIRTQ_ENOTSUP (no such device in the group, or none of PCI), VIRTQ_EPERM, VIRTQ_EBUSY,
 * VIRTQ_ENOMEM or VIRTQ_EPEER, with virtq_vfio_failed() to tell more: nothing is open. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vfio_device_open(struct virtq_vfio_device *device,
                                                      struct virtq_vfio_group *group,
                                                      const char *name);

/** @brief Opens a PCI device by its own file, and joins it to an address space of iommufd.
 * @param device result; owned by the caller, until virtq_vfio_device_close()
 * @param vfio   an address space of kind VIRTQ_VFIO_IOMMUFD, which must outlive it
 * @param path   its file, `/dev/vfio/devices/vfioN`; N is in the name of what is in
 * `/sys/bus/pci/devices/.../vfio-dev`. Read during the call only.
 * @return 0; VIRTQ_EINVAL (not of iommufd) or as virtq_vfio_device_open() says: nothing is open.
 * No other thread uses `vfio`. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vfio_device_open_file(struct virtq_vfio_device *device,
                                                           struct virtq_vfio *vfio,
                                                           const char *path);

/** @brief Closes a device: the kernel resets it, if it can, and takes its interrupts back. What was
 * mapped of it stays mapped until virtq_vfio_device_unmap(), and is of no use.
 * @param device a device */
VIRTQ_API void virtq_vfio_device_close(struct virtq_vfio_device *device);

/** @brief Describes a region.
 * @param device a device
 * @param index  0 to 5: a BAR; #VIRTQ_VFIO_CONFIG_REGION: the configuration space
 * @param region result; untouched on an error
 * @return 0; VIRTQ_EINVAL (no such index), or what virtq_vfio_failed() tells more of */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vfio_device_region(struct virtq_vfio_device *device,
                                                        uint32_t index,
                                                        struct virtq_vfio_region *region);

/** @brief Maps a whole region for reading and writing.
 * @param device a device
 * @param index  a BAR
 * @param base   result; the caller's until virtq_vfio_device_unmap()
 * @param size   result: its bytes
 * @return 0; VIRTQ_EINVAL (no such region), VIRTQ_ENOTSUP (it cannot be mapped) or what
 * virtq_vfio_failed() tells more of: the results are untouched */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vfio_device_map(struct virtq_vfio_device *device,
                                                     uint32_t index, void **base, uint64_t *size);

/** @brief Gives back what virtq_vfio_device_map() gave.
 * @param device the device, or one that was closed
 * @param base   the memory
 * @param size   its bytes */
VIRTQ_API void virtq_vfio_device_unmap(const struct virtq_vfio_device *device, void *base,
                                       uint64_t size);

/** @brief Reads from a region, by a system call.
 * @param device a device
 * @param index  the region
 * @param offset in bytes from its start
 * @param data   result
 * @param len    bytes
 * @return 0; VIRTQ_EINVAL (not wholly inside the region) or what virtq_vfio_failed() tells more of:
 * `data` is not to be used */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vfio_device_read(struct virtq_vfio_device *device,
                                                      uint32_t index, uint64_t offset, void *data,
                                                      size_t len);

/** @brief Writes to a region, by a system call.
 * @param device a device
 * @param index  the region
 * @param offset in bytes from its start
 * @param data   what to write
 * @param len    bytes
 * @return 0; VIRTQ_EINVAL (not wholly inside the region, or not to be written) or what
 * virtq_vfio_failed() tells more of: some of it may have been written */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vfio_device_write(struct virtq_vfio_device *device,
                                                       uint32_t index, uint64_t offset,
                                                       const void *data, size_t len);

/** @brief Lets the device answer at its memory BARs, and reach memory by itself: what a driver does
 * first. Only what is mapped in the address space can be reached.
 * @param device a device
 * @return 0, or what virtq_vfio_failed() tells more of */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vfio_device_enable(struct virtq_vfio_device *device);

/** @brief Which MSI-X interrupt adds 1 to which eventfd.
 * @param device a device
 * @param fds    an eventfd for each vector from 0 on, -1: none for this one; read during the call
 * only, the descriptors stay the caller's
 * @param count  how many vectors, at most #VIRTQ_VFIO_INTERRUPTS_MAX; 0: MSI-X is switched off, as
 * at first
 * @return 0; VIRTQ_EINVAL (more than the device has, or than can be) or what virtq_vfio_failed()
 * tells more of: interrupts are as they were, or off */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vfio_device_interrupts(struct virtq_vfio_device *device,
                                                            const int *fds, uint32_t count);

/** @brief Resets the device.
 * @param device a device
 * @return 0; VIRTQ_ENOTSUP (it cannot be reset) or what virtq_vfio_failed() tells more of */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vfio_device_reset(struct virtq_vfio_device *device);

VIRTQ_END_DECLS

#endif
