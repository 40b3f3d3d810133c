/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests as the device reads them. */
#include "virtio_iommu_driver.h"
#include "virtq/inline/shm.h"
#include "virtq/iommu/virtio_iommu.h"

/* What no device answers: a reply that was not written is told from one of an earlier request. */
#define NO_STATUS UINT32_MAX

/* Aligned stores of a word each: the memory may be a device's (M9). */
static void put32(unsigned char *request, size_t at, uint32_t value)
{
    virtq_shm_store32((uint32_t *)(void *)(request + at), value, 0);
}

static void put64(unsigned char *request, size_t at, uint64_t value)
{
    virtq_shm_store64((uint64_t *)(void *)(request + at), value, 0);
}

/* Guest-physical address of `base`: computed where the space says how, asked for where it has a
 * table. */
static int locate(const struct virtq_virtio_iommu_driver *driver, const struct virtq_region *range,
                  uint64_t *physical)
{
    struct virtq_space *space = driver->config.physical;
    const uint64_t span = range->last - range->first;
    uint64_t offset;

    if (space == NULL) {
        *physical = (uintptr_t)range->base;
        return 0;
    }
    if (space->driver_kind != (uint32_t)VIRTQ_SPACE_DIRECT) {
        return span == UINT64_MAX
                   ? VIRTQ_EFAULT
                   : virtq_space_share(space, range->base, span + 1, range->permissions, physical);
    }
    offset = (uint64_t)(uintptr_t)range->base - (uintptr_t)space->linear.base;
    if ((uintptr_t)range->base < (uintptr_t)space->linear.base ||
        offset > space->linear.last - space->linear.first ||
        span > space->linear.last - space->linear.first - offset ||
        (range->permissions & ~space->linear.permissions) != 0) {
        return VIRTQ_EFAULT;
    }
    *physical = space->linear.first + offset;
    return 0;
}

static int encode_map(const struct virtq_virtio_iommu_driver *driver,
                      const struct virtq_priv_viommu_driver_list *list, uint32_t at,
                      unsigned char *request)
{
    const struct virtq_region *range = &list->ranges[at];
    uint64_t physical = list->physical;
    uint32_t flags = list->flags;

    if (list->given == 0) {
        int error = locate(driver, range, &physical);

        if (error != 0) {
            return error;
        }
        /* The bits of enum virtq_permission are those of VIRTIO_IOMMU_MAP_F_*. */
        flags = range->permissions;
    }
    if ((physical & (driver->settings.granule - 1)) != 0 ||
        physical > UINT64_MAX - (range->last - range->first)) {
        return VIRTQ_EINVAL;
    }
    put64(request, offsetof(struct virtio_iommu_req_map, virt_start), range->first);
    put64(request, offsetof(struct virtio_iommu_req_map, virt_end), range->last);
    put64(request, offsetof(struct virtio_iommu_req_map, phys_start), physical);
    put32(request, offsetof(struct virtio_iommu_req_map, flags), flags);
    return 0;
}

static void encode_unmap(const struct virtq_region *range, unsigned char *request)
{
    put64(request, offsetof(struct virtio_iommu_req_unmap, virt_start), range->first);
    put64(request, offsetof(struct virtio_iommu_req_unmap, virt_end), range->last);
    put32(request, offsetof(struct virtio_iommu_req_unmap, reserved), 0);
}

/* ATTACH and DETACH differ in a word that is zero for DETACH. */
static void encode_attach(const struct virtq_priv_viommu_driver_list *list, unsigned char *request)
{
    put32(request, offsetof(struct virtio_iommu_req_attach, endpoint), list->endpoint);
    put32(request, offsetof(struct virtio_iommu_req_attach, flags), list->flags);
    put32(request, offsetof(struct virtio_iommu_req_attach, reserved), 0);
}

VIRTQ_STATIC_ASSERT(VIRTIO_IOMMU_MAP_F_READ == (uint32_t)VIRTQ_PERMISSION_READ &&
                        VIRTIO_IOMMU_MAP_F_WRITE == (uint32_t)VIRTQ_PERMISSION_WRITE,
                    "permissions are flags");
VIRTQ_STATIC_ASSERT(offsetof(struct virtio_iommu_req_attach, flags) ==
                            offsetof(struct virtio_iommu_req_detach, reserved) &&
                        sizeof(struct virtio_iommu_req_attach) ==
                            sizeof(struct virtio_iommu_req_detach),
                    "ATTACH and DETACH are laid out alike");

/* PROBE has memory of its own, for its answer is as long as the device says. */
static void encode_probe(struct virtq_virtio_iommu_driver *driver, uint32_t endpoint,
                         struct virtq_virtio_iommu_slot *slot, struct virtq_segment segments[2])
{
    const uint32_t start = driver->config.requests * VIRTQ_VIRTIO_IOMMU_REQUEST_BYTES;
    unsigned char *request = (unsigned char *)driver->config.shared + start;
    const uint32_t properties = start + VIRTQ_PRIV_VIOMMU_DRIVER_PROPERTIES;

    /* Answers of another endpoint are not to be taken for this one's. */
    virtq_shm_zero(request, virtq_priv_viommu_driver_probe_bytes(driver->settings.probe_size));
    put32(request, 0, VIRTIO_IOMMU_T_PROBE);
    put32(request, offsetof(struct virtio_iommu_req_probe, endpoint), endpoint);
    segments[0].addr = driver->addr + start;
    segments[0].len = sizeof(struct virtio_iommu_req_probe);
    slot->tail = properties + driver->settings.probe_size;
    slot->needed = driver->settings.probe_size + (uint32_t)sizeof(struct virtio_iommu_req_tail);
    segments[1].addr = driver->addr + properties;
    segments[1].len = slot->needed;
    /* One byte, for the properties may end anywhere. */
    __atomic_store_n((unsigned char *)driver->config.shared + slot->tail, (unsigned char)NO_STATUS,
                     __ATOMIC_RELAXED);
}

static uint32_t readable_bytes(uint8_t type)
{
    switch (type) {
    case VIRTIO_IOMMU_T_MAP:
        return offsetof(struct virtio_iommu_req_map, tail);
    case VIRTIO_IOMMU_T_UNMAP:
        return offsetof(struct virtio_iommu_req_unmap, tail);
    default:
        return offsetof(struct virtio_iommu_req_attach, tail);
    }
}

int virtq_priv_viommu_driver_encode(struct virtq_virtio_iommu_driver *driver,
                                    const struct virtq_priv_viommu_driver_list *list, uint32_t at,
                                    uint32_t index, struct virtq_segment segments[2])
{
    struct virtq_virtio_iommu_slot *slot = &driver->slots[index];
    const uint32_t start = index * VIRTQ_VIRTIO_IOMMU_REQUEST_BYTES;
    unsigned char *request = (unsigned char *)driver->config.shared + start;
    const uint32_t readable = readable_bytes(list->type);

    if (list->type == VIRTIO_IOMMU_T_PROBE) {
        encode_probe(driver, list->endpoint, slot, segments);
        return 0;
    }
    if (list->type == VIRTIO_IOMMU_T_MAP) {
        int error = encode_map(driver, list, at, request);

        if (error != 0) {
            return error;
        }
    } else if (list->type == VIRTIO_IOMMU_T_UNMAP) {
        encode_unmap(&list->ranges[at], request);
        slot->first = list->ranges[at].first;
        slot->last = list->ranges[at].last;
    } else {
        encode_attach(list, request);
    }
    put32(request, 0, list->type);
    put32(request, offsetof(struct virtio_iommu_req_map, domain), list->domain);
    put32(request, readable, NO_STATUS);
    slot->tail = start + readable;
    slot->needed = sizeof(struct virtio_iommu_req_tail);
    segments[0].addr = driver->addr + start;
    segments[0].len = readable;
    segments[1].addr = driver->addr + slot->tail;
    segments[1].len = slot->needed;
    return 0;
}
