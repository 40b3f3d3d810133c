/* SPDX-License-Identifier: BSD-3-Clause */
/* PROBE: an endpoint's properties as a list, and zeroes behind it. */
#include <string.h>

#include "virtio_iommu_device_private.h"

uint64_t virtq_priv_viommu_properties_size(const struct virtq_virtio_iommu_endpoint_config *config)
{
    uint64_t size = (uint64_t)config->reserved_count * sizeof(struct virtio_iommu_probe_resv_mem);
    uint32_t i;

    for (i = 0; i < config->property_count; i++) {
        size += sizeof(struct virtio_iommu_probe_property) + config->properties[i].length;
    }
    return size;
}

static uint16_t le16(uint16_t value)
{
    return virtq_shm_order16(value, 0);
}

static void write_reserved(const struct virtq_virtio_iommu_resv_mem *range,
                           struct virtq_cursor *writer)
{
    struct virtio_iommu_probe_resv_mem property;

    memset(&property, 0, sizeof(property));
    property.head.type = le16(VIRTIO_IOMMU_PROBE_T_RESV_MEM);
    property.head.length = le16(sizeof(property) - sizeof(property.head));
    property.subtype = (uint8_t)range->subtype;
    property.start = viommu_le64(range->first);
    property.end = viommu_le64(range->last);
    (void)virtq_cursor_write(writer, &property, sizeof(property));
}

static void write_other(const struct virtq_virtio_iommu_property *other,
                        struct virtq_cursor *writer)
{
    const struct virtio_iommu_probe_property head = {le16(other->type), le16(other->length)};

    (void)virtq_cursor_write(writer, &head, sizeof(head));
    (void)virtq_cursor_write(writer, other->value, other->length);
}

/* Up to `end` bytes in all: old bytes of the driver's are not handed back as an answer. */
static void write_zeroes(struct virtq_cursor *writer, uint64_t end)
{
    static const unsigned char zero[64];

    while (virtq_cursor_moved(writer) < end) {
        const uint64_t left = end - virtq_cursor_moved(writer);

        (void)virtq_cursor_write(writer, zero, left < sizeof(zero) ? (size_t)left : sizeof(zero));
    }
}

uint32_t virtq_priv_viommu_req_probe(struct virtq_virtio_iommu_device *iommu,
                                     const struct virtio_iommu_req_probe *request,
                                     struct virtq_cursor *writer)
{
    const uint64_t room = virtq_cursor_left(writer) - sizeof(struct virtio_iommu_req_tail);
    const uint64_t size = iommu->config.probe_size;
    const struct virtq_virtio_iommu_endpoint *endpoint =
        virtq_priv_viommu_endpoint(iommu, viommu_le32(request->endpoint));
    uint32_t i;

    if (room < size || endpoint == NULL) {
        write_zeroes(writer, room < size ? room : size);
        return room < size ? VIRTIO_IOMMU_S_INVAL : VIRTIO_IOMMU_S_NOENT;
    }
    for (i = 0; i < endpoint->reserved_count; i++) {
        write_reserved(&endpoint->reserved[i], writer);
    }
    for (i = 0; i < endpoint->property_count; i++) {
        write_other(&endpoint->properties[i], writer);
    }
    write_zeroes(writer, size);
    return VIRTIO_IOMMU_S_OK;
}
