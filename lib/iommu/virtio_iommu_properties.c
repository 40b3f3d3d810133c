/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/iommu/virtio_iommu_properties.h"

#include "virtq/iommu/virtio_iommu.h"

enum {
    HEADER = sizeof(struct virtio_iommu_probe_property),
    RESV_MEM = sizeof(struct virtio_iommu_probe_resv_mem) - HEADER,
    START = 4, /* of the value: after the subtype and three reserved bytes */
    END = 12
};

/* Little-endian and of any alignment, one load a byte: what was judged is what is used. */
static uint64_t load(const unsigned char *from, unsigned bytes)
{
    uint64_t value = 0;
    unsigned i;

    for (i = 0; i < bytes; i++) {
        value |= (uint64_t)__atomic_load_n(from + i, __ATOMIC_RELAXED) << (8 * i);
    }
    return value;
}

/* A subtype of a later specification counts as reserved; its three reserved bytes are ignored. */
static int read_reserved(const unsigned char *value, uint64_t length,
                         struct virtq_virtio_iommu_region *region)
{
    if (length < RESV_MEM) {
        return VIRTQ_EPEER;
    }
    region->msi = load(value, 1) == VIRTIO_IOMMU_RESV_MEM_T_MSI;
    region->reserved_ = 0;
    region->first = load(value + START, 8);
    region->last = load(value + END, 8);
    return region->first <= region->last ? 0 : VIRTQ_EPEER;
}

int virtq_virtio_iommu_properties_read(const void *bytes, size_t size,
                                       struct virtq_virtio_iommu_region *regions, unsigned capacity,
                                       unsigned *count)
{
    const unsigned char *at = bytes;
    unsigned found = 0;

    /* Every turn passes at least a header, so the caller's size bounds them. */
    while (size >= HEADER) {
        const uint64_t type = load(at, 2);
        const uint64_t length = load(at + 2, 2);
        struct virtq_virtio_iommu_region region;

        if (type == VIRTIO_IOMMU_PROBE_T_NONE) {
            break;
        }
        if (length > size - HEADER) {
            return VIRTQ_EPEER;
        }
        /* With a reserved bit of the header it is another type, and is ignored as that one. */
        if (type == VIRTIO_IOMMU_PROBE_T_RESV_MEM) {
            int error = read_reserved(at + HEADER, length, &region);

            if (error != 0) {
                return error;
            }
            if (found < capacity) {
                regions[found] = region;
            }
            found++;
        }
        at += HEADER + length;
        size -= HEADER + (size_t)length;
    }
    *count = found;
    return found <= capacity || capacity == 0 ? 0 : VIRTQ_ENOMEM;
}

int virtq_virtio_iommu_properties_reserve(const struct virtq_virtio_iommu_region *regions,
                                          unsigned count, struct virtq_iova *iova)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        int error = virtq_iova_reserve(iova, regions[i].first, regions[i].last);

        if (error != 0) {
            return error;
        }
    }
    return 0;
}
