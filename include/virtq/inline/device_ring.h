/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end finds a ring that goes through the space, and finds it again.
 */
#ifndef VIRTQ_INLINE_DEVICE_RING_H
#define VIRTQ_INLINE_DEVICE_RING_H

#include "device_core.h"

/** @brief A window for one or both permissions: no larger than what is granted for each.
 * @param core the queue @param addr device address @param permissions a set @param window result
 * @return as virtq_space_ops::window */
VIRTQ_COLD int virtq_device_core_window(struct virtq_device_core *core, virtq_addr_t addr,
                                        uint32_t permissions, struct virtq_window *window)
{
    const uint32_t both = (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE;
    struct virtq_window other = {0, 0, NULL, 0, 0};
    int error;

    if (permissions != both) {
        return virtq_device_core_question(core, addr, permissions, window);
    }
    error = virtq_device_core_question(core, addr, VIRTQ_PERMISSION_READ, &other);
    if (error == VIRTQ_OK) {
        error = virtq_device_core_question(core, addr, VIRTQ_PERMISSION_WRITE, window);
    }
    if (error != VIRTQ_OK) {
        return error;
    }
    if ((uintptr_t)other.base - (uintptr_t)other.first !=
        (uintptr_t)window->base - (uintptr_t)window->first) {
        return VIRTQ_EFAULT;
    }
    if (other.first > window->first) {
        window->base = virtq_core_at(window->base, other.first - window->first);
        window->first = other.first;
    }
    window->last = other.last < window->last ? other.last : window->last;
    return VIRTQ_OK;
}

/** @brief Translates one area of the ring: contiguous in this program's memory, whatever windows it
 * crosses. L2, M3.
 * @param core the queue, for the space and the miss @param addr its device address @param len its
 * bytes @param permission what the device does there @param area result @return 0, VIRTQ_EMISS,
 * VIRTQ_EPERM or VIRTQ_EFAULT */
VIRTQ_COLD int virtq_device_core_area(struct virtq_device_core *core, virtq_addr_t addr,
                                      uint64_t len, uint32_t permission, void **area)
{
    unsigned char *expected = NULL;

    if (len - 1u > UINT64_MAX - addr) {
        return VIRTQ_EFAULT;
    }
    while (len != 0u) {
        struct virtq_window window = {0};
        int error = virtq_device_core_window(core, addr, permission, &window);
        unsigned char *here;
        uint64_t part;

        if (error == VIRTQ_EMISS) {
            return virtq_device_core_missed(core, addr, len, permission);
        }
        if (error != VIRTQ_OK) {
            return error == VIRTQ_EPERM ? VIRTQ_EPERM : VIRTQ_EFAULT;
        }
        here = virtq_core_at(window.base, addr - window.first);
        if (expected == NULL) {
            *area = here;
        } else if (here != expected) {
            return VIRTQ_EFAULT;
        }
        part = window.last - addr < len - 1u ? window.last - addr + 1u : len;
        expected = virtq_core_at(here, part);
        addr += part;
        len -= part;
    }
    return VIRTQ_OK;
}

/** @brief Finds the three areas of a ring that goes through the space, whole length each. L2, M3.
 * @param core the queue @param descriptor bytes of the descriptor area @param driver of the driver
 * area @param device of the device area @return 0, VIRTQ_EMISS, VIRTQ_EPERM or VIRTQ_EFAULT, with
 * `areas` as they were */
VIRTQ_COLD int virtq_device_core_ring(struct virtq_device_core *core, uint64_t descriptor,
                                      uint64_t driver, uint64_t device)
{
    const struct virtq_area_addresses *at = &core->addresses;
    /* The device of a packed queue writes used descriptors where it read available ones. */
    const uint32_t ring = virtq_feature_has(core->features, VIRTIO_F_RING_PACKED)
                              ? (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE
                              : (uint32_t)VIRTQ_PERMISSION_READ;
    struct virtq_areas areas = {NULL, NULL, NULL};
    int error = virtq_device_core_area(core, at->descriptor, descriptor, ring, &areas.descriptor);

    if (error == VIRTQ_OK) {
        error =
            virtq_device_core_area(core, at->driver, driver, VIRTQ_PERMISSION_READ, &areas.driver);
    }
    if (error == VIRTQ_OK) {
        error =
            virtq_device_core_area(core, at->device, device, VIRTQ_PERMISSION_WRITE, &areas.device);
    }
    if (error == VIRTQ_OK && !virtq_core_aligned(&areas, core->features)) {
        /* What the space says now may differ from what it said at init. */
        error = VIRTQ_EINVAL;
    }
    if (error == VIRTQ_OK) {
        core->areas = areas;
    }
    return error;
}

/** @brief A running queue whose ring could not be found again. @param core the queue @param
 * position where it stands @param error of virtq_device_core_ring() @return VIRTQ_EMISS: resolve
 * and call again; else VIRTQ_EBROKEN */
VIRTQ_COLD int virtq_device_core_lost(struct virtq_device_core *core, uint32_t position, int error)
{
    if (error == VIRTQ_EMISS) {
        core->counters.error_miss++;
        return VIRTQ_EMISS;
    }
    return virtq_device_core_break(core, VIRTQ_REASON_QUEUE_RING, position,
                                   (uint64_t)(int64_t)error);
}

#endif
