/* SPDX-License-Identifier: BSD-3-Clause */
/* Endpoints: who they are, and how an address of theirs is translated. */
#include <string.h>

#include "../space/region.h"
#include "virtio_iommu_device_private.h"
#include "virtq/guard.h"
#include "virtq/inline/core.h"

/* The first endpoint whose id is not below. */
static uint32_t place_of(const struct virtq_virtio_iommu_device *iommu, uint32_t id)
{
    uint32_t first = 0;
    uint32_t count = iommu->endpoint_count;

    while (count != 0) {
        const uint32_t half = count / 2;

        if (iommu->endpoints[first + half]->id < id) {
            first += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return first;
}

struct virtq_virtio_iommu_endpoint *virtq_priv_viommu_endpoint(
    const struct virtq_virtio_iommu_device *iommu, uint32_t id)
{
    const uint32_t at = place_of(iommu, id);

    return at < iommu->endpoint_count && iommu->endpoints[at]->id == id ? iommu->endpoints[at]
                                                                        : NULL;
}

/* [virtio 1.4, Property RESV_MEM]: no overlap, and at most one MSI. */
static bool reserved_legal(const struct virtq_virtio_iommu_endpoint_config *config)
{
    unsigned doorbells = 0;
    uint32_t i;

    for (i = 0; i < config->reserved_count; i++) {
        const struct virtq_virtio_iommu_resv_mem *range = &config->reserved[i];

        if (range->first > range->last || range->subtype > VIRTIO_IOMMU_RESV_MEM_T_MSI ||
            (i > 0 && range->first <= config->reserved[i - 1].last)) {
            return false;
        }
        doorbells += range->subtype == VIRTIO_IOMMU_RESV_MEM_T_MSI;
    }
    for (i = 0; i < config->property_count; i++) {
        if (config->properties[i].type <= VIRTIO_IOMMU_PROBE_T_RESV_MEM ||
            config->properties[i].type > VIRTIO_IOMMU_PROBE_T_MASK) {
            return false;
        }
    }
    return doorbells <= 1;
}

static void make(struct virtq_virtio_iommu_device *iommu,
                 struct virtq_virtio_iommu_endpoint *endpoint,
                 const struct virtq_virtio_iommu_endpoint_config *config)
{
    memset(endpoint, 0, sizeof(*endpoint));
    endpoint->space.ops = &virtq_priv_viommu_endpoint_ops;
    endpoint->space.driver_kind = VIRTQ_SPACE_CALLED;
    endpoint->space.device_kind = VIRTQ_SPACE_CALLED;
    endpoint->iommu = iommu;
    endpoint->reserved = config->reserved;
    endpoint->reserved_count = config->reserved_count;
    endpoint->properties = config->properties;
    endpoint->property_count = config->property_count;
    endpoint->id = config->id;
}

int virtq_virtio_iommu_device_add(struct virtq_virtio_iommu_device *iommu,
                                  struct virtq_virtio_iommu_endpoint *endpoint,
                                  const struct virtq_virtio_iommu_endpoint_config *config)
{
    struct virtq_virtio_iommu_endpoint_config own;
    uint32_t at;

    if (!virtq_core_copy_config(&own, sizeof(own), config, config->struct_size) ||
        !reserved_legal(&own) || virtq_priv_viommu_endpoint(iommu, own.id) != NULL) {
        return VIRTQ_EINVAL;
    }
    if (iommu->config.probe_size != 0 &&
        virtq_priv_viommu_properties_size(&own) > iommu->config.probe_size) {
        return VIRTQ_ETOOBIG;
    }
    if (iommu->endpoint_count == iommu->config.endpoints) {
        return VIRTQ_ENOMEM;
    }
    make(iommu, endpoint, &own);
    at = place_of(iommu, own.id);
    memmove(&iommu->endpoints[at + 1], &iommu->endpoints[at],
            (iommu->endpoint_count - at) * sizeof(void *));
    iommu->endpoints[at] = endpoint;
    iommu->endpoint_count++;
    iommu->reserves += endpoint->reserved_count != 0;
    return VIRTQ_OK;
}

void virtq_virtio_iommu_device_remove(struct virtq_virtio_iommu_endpoint *endpoint)
{
    struct virtq_virtio_iommu_device *iommu = endpoint->iommu;
    const uint32_t at = place_of(iommu, endpoint->id);

    if (endpoint->domain != NULL) {
        virtq_priv_viommu_detach(endpoint);
    }
    iommu->endpoint_count--;
    iommu->reserves -= endpoint->reserved_count != 0;
    memmove(&iommu->endpoints[at], &iommu->endpoints[at + 1],
            (iommu->endpoint_count - at) * sizeof(void *));
}

void virtq_priv_viommu_withdraw(struct virtq_virtio_iommu_endpoint *endpoint)
{
    virtq_space_invalidated(&endpoint->space);
    if (endpoint->space.guard != NULL && virtq_guard_held(endpoint->space.guard) != 0) {
        endpoint->held = 1;
        endpoint->iommu->awaited = 1;
    }
}

bool virtq_priv_viommu_released(struct virtq_virtio_iommu_device *iommu)
{
    uint32_t i;

    for (i = 0; i < iommu->endpoint_count; i++) {
        struct virtq_virtio_iommu_endpoint *endpoint = iommu->endpoints[i];

        if (endpoint->held != 0 && endpoint->space.guard != NULL &&
            virtq_guard_held(endpoint->space.guard) != 0) {
            return false;
        }
        endpoint->held = 0;
    }
    iommu->awaited = 0;
    return true;
}

const struct virtq_virtio_iommu_resv_mem *virtq_priv_viommu_reserved(
    const struct virtq_virtio_iommu_endpoint *endpoint, virtq_addr_t first, virtq_addr_t last)
{
    uint32_t i;

    for (i = 0; i < endpoint->reserved_count; i++) {
        const struct virtq_virtio_iommu_resv_mem *range = &endpoint->reserved[i];

        if (range->first <= last && range->last >= first) {
            return range;
        }
    }
    return NULL;
}
