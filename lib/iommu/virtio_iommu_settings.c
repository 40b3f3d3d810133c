/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/iommu/virtio_iommu_settings.h"

#include <stdbool.h>
#include <string.h>

#include "virtq/feature.h"
#include "virtq/inline/shm.h"
#include "virtq/iommu/virtio_iommu.h"

/* How many bytes there must be, and which field ends there: those of later ones may be missing. */
#define ENDS(field) \
    (offsetof(struct virtio_iommu_config, field) + sizeof(((struct virtio_iommu_config *)0)->field))

uint64_t virtq_virtio_iommu_settings_accept(uint64_t offered, uint32_t flags)
{
    const uint64_t always =
        VIRTQ_FEATURE(VIRTIO_IOMMU_F_INPUT_RANGE) | VIRTQ_FEATURE(VIRTIO_IOMMU_F_DOMAIN_RANGE) |
        VIRTQ_FEATURE(VIRTIO_IOMMU_F_MAP_UNMAP) | VIRTQ_FEATURE(VIRTIO_IOMMU_F_PROBE) |
        VIRTQ_FEATURE(VIRTIO_IOMMU_F_MMIO) | VIRTQ_FEATURE(VIRTIO_IOMMU_F_BYPASS_CONFIG);
    uint64_t accepted = offered & always;

    if (!virtq_feature_has(offered, VIRTIO_IOMMU_F_MAP_UNMAP)) {
        return 0;
    }
    if ((flags & (uint32_t)VIRTQ_VIRTIO_IOMMU_ACCEPT_BYPASS) != 0 &&
        !virtq_feature_has(offered, VIRTIO_IOMMU_F_BYPASS_CONFIG)) {
        accepted |= offered & VIRTQ_FEATURE(VIRTIO_IOMMU_F_BYPASS);
    }
    return accepted;
}

/* Bytes that the negotiated features promise. */
static size_t size_needed(uint64_t features)
{
    if (virtq_feature_has(features, VIRTIO_IOMMU_F_BYPASS_CONFIG)) {
        return ENDS(bypass);
    }
    if (virtq_feature_has(features, VIRTIO_IOMMU_F_PROBE)) {
        return ENDS(probe_size);
    }
    if (virtq_feature_has(features, VIRTIO_IOMMU_F_DOMAIN_RANGE)) {
        return ENDS(domain_range);
    }
    return virtq_feature_has(features, VIRTIO_IOMMU_F_INPUT_RANGE) ? ENDS(input_range)
                                                                   : ENDS(page_size_mask);
}

static void read_fields(struct virtq_virtio_iommu_settings *to,
                        const struct virtio_iommu_config *from)
{
    const uint64_t features = to->features;

    to->page_sizes = virtq_shm_order64(from->page_size_mask, 0);
    to->granule = to->page_sizes & (0 - to->page_sizes);
    if (virtq_feature_has(features, VIRTIO_IOMMU_F_INPUT_RANGE)) {
        to->first = virtq_shm_order64(from->input_range.start, 0);
        to->last = virtq_shm_order64(from->input_range.end, 0);
    }
    if (virtq_feature_has(features, VIRTIO_IOMMU_F_DOMAIN_RANGE)) {
        to->domain_first = virtq_shm_order32(from->domain_range.start, 0);
        to->domain_last = virtq_shm_order32(from->domain_range.end, 0);
    }
    if (virtq_feature_has(features, VIRTIO_IOMMU_F_PROBE)) {
        to->probe_size = virtq_shm_order32(from->probe_size, 0);
    }
    if (virtq_feature_has(features, VIRTIO_IOMMU_F_BYPASS_CONFIG)) {
        to->bypass = from->bypass & 1u; /* The other bits are to be ignored. */
    } else if (virtq_feature_has(features, VIRTIO_IOMMU_F_BYPASS)) {
        to->bypass = 1;
    }
}

/* Whether a whole granule lies in the range: written so that nothing wraps at the top (L6). */
static bool holds_granule(const struct virtq_virtio_iommu_settings *settings)
{
    const uint64_t mask = settings->granule - 1;
    const uint64_t lead = (0 - settings->first) & mask;

    return settings->first <= settings->last && lead <= settings->last - settings->first &&
           settings->last - settings->first - lead >= mask;
}

int virtq_virtio_iommu_settings_read(struct virtq_virtio_iommu_settings *settings,
                                     const void *bytes, size_t size, uint64_t features)
{
    struct virtq_virtio_iommu_settings read = {
        .features = features, .last = UINT64_MAX, .domain_last = UINT32_MAX};
    struct virtio_iommu_config config;

    if (!virtq_feature_has(features, VIRTIO_IOMMU_F_MAP_UNMAP)) {
        return VIRTQ_ENOTSUP;
    }
    if (size < size_needed(features)) {
        return VIRTQ_EINVAL;
    }
    memset(&config, 0, sizeof(config));
    memcpy(&config, bytes, size < sizeof(config) ? size : sizeof(config));
    read_fields(&read, &config);
    if (read.page_sizes == 0 || !holds_granule(&read) || read.domain_first > read.domain_last) {
        return VIRTQ_EINVAL;
    }
    if (read.probe_size > VIRTQ_VIRTIO_IOMMU_PROBE_MAX) {
        return VIRTQ_ETOOBIG;
    }
    *settings = read;
    return 0;
}
