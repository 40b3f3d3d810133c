/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration space: what the driver reads of it, and the one byte that it may write. */
#include <string.h>

#include "virtio_iommu_device_private.h"

int virtq_virtio_iommu_device_config_read(const struct virtq_virtio_iommu_device *iommu,
                                          uint32_t offset, void *to, uint32_t len)
{
    const struct virtq_virtio_iommu_device_config *own = &iommu->config;
    struct virtio_iommu_config config;

    if (len > sizeof(config) || offset > sizeof(config) - len) {
        return VIRTQ_EINVAL;
    }
    memset(&config, 0, sizeof(config));
    config.page_size_mask = viommu_le64(own->page_size_mask);
    config.input_range.start = viommu_le64(own->input_first);
    config.input_range.end = viommu_le64(own->input_last);
    config.domain_range.start = viommu_le32(own->domain_first);
    config.domain_range.end = viommu_le32(own->domain_last);
    config.probe_size = viommu_le32(own->probe_size);
    config.bypass = (uint8_t)iommu->bypass;
    memcpy(to, (const unsigned char *)&config + offset, len);
    return VIRTQ_OK;
}

int virtq_virtio_iommu_device_config_write(struct virtq_virtio_iommu_device *iommu, uint32_t offset,
                                           const void *from, uint32_t len)
{
    uint8_t value;

    if (offset != offsetof(struct virtio_iommu_config, bypass) || len != sizeof(value)) {
        return VIRTQ_EINVAL;
    }
    memcpy(&value, from, sizeof(value));
    if (value > 1) {
        return VIRTQ_EINVAL;
    }
    if (!viommu_has(iommu, VIRTIO_IOMMU_F_BYPASS_CONFIG)) {
        return VIRTQ_ENOTSUP;
    }
    iommu->bypass = value;
    virtq_priv_viommu_settle_bypass(iommu);
    return VIRTQ_OK;
}
