/* SPDX-License-Identifier: BSD-3-Clause */
/* MAP and UNMAP: all or nothing, and never a part of a mapping. */
#include <string.h>

#include "../space/lock.h"
#include "virtio_iommu_device_private.h"

static void table_lock(struct virtq_virtio_iommu_domain *domain)
{
    virtq_priv_lock(&domain->lock);
    virtq_priv_tree_begin(&domain->tree);
}

static void table_unlock(struct virtq_virtio_iommu_domain *domain)
{
    virtq_priv_tree_commit(&domain->tree);
    virtq_priv_unlock(&domain->lock);
}

/* Whether an endpoint of the domain has the addresses for itself. Those that share a table are
 * asked once. */
static bool reserved(const struct virtq_virtio_iommu_domain *domain,
                     const struct virtq_region *region)
{
    const struct virtq_virtio_iommu_resv_mem *asked = NULL;
    const struct virtq_virtio_iommu_endpoint *endpoint;

    for (endpoint = domain->endpoints; endpoint != NULL; endpoint = endpoint->next) {
        if (endpoint->reserved != asked &&
            virtq_priv_viommu_reserved(endpoint, region->first, region->last) != NULL) {
            return true;
        }
        asked = endpoint->reserved;
    }
    return false;
}

/* The owner is only asked about what is not in the way of another mapping. */
VIRTQ_COLD uint32_t ask_owner(const struct virtq_virtio_iommu_device *iommu,
                              const struct virtq_virtio_iommu_domain *domain,
                              const struct virtq_region *region)
{
    const struct virtq_virtio_iommu_hooks *hooks = iommu->config.hooks;
    const struct virtq_virtio_iommu_mapping mapping = {
        region->first, region->last, (uintptr_t)region->base,
        region->permissions & ~(uint32_t)VIOMMU_PRESENT};
    struct virtq_region other;

    if (hooks->map == NULL || (virtq_priv_tree_from(&domain->tree, region->first, &other) &&
                               other.first <= region->last)) {
        return VIRTIO_IOMMU_S_OK;
    }
    return virtq_priv_viommu_status(hooks->map(iommu->config.context, domain->id, &mapping));
}

VIRTQ_TEMPLATE uint32_t add(struct virtq_virtio_iommu_device *iommu,
                            struct virtq_virtio_iommu_domain *domain,
                            const struct virtq_region *region)
{
    int error;

    if (domain->tree.count == domain->tree.capacity || iommu->mappings == iommu->config.mappings) {
        return VIRTIO_IOMMU_S_NOMEM;
    }
    if (VIRTQ_UNLIKELY(iommu->config.hooks != NULL)) {
        const uint32_t status = ask_owner(iommu, domain, region);

        if (status != VIRTIO_IOMMU_S_OK) {
            return status;
        }
    }
    table_lock(domain);
    error = virtq_priv_tree_add_near(&domain->tree, region);
    table_unlock(domain);
    if (VIRTQ_UNLIKELY(error != VIRTQ_OK)) {
        return VIRTIO_IOMMU_S_INVAL;
    }
    iommu->mappings++;
    return VIRTIO_IOMMU_S_OK;
}

uint32_t virtq_priv_viommu_req_map(struct virtq_virtio_iommu_device *iommu,
                                   const struct virtio_iommu_req_map *request)
{
    const struct virtq_virtio_iommu_device_config *config = &iommu->config;
    const uint64_t first = viommu_le64(request->virt_start);
    const uint64_t last = viommu_le64(request->virt_end);
    const uint64_t phys = viommu_le64(request->phys_start);
    const uint32_t flags = viommu_le32(request->flags);
    struct virtq_virtio_iommu_domain *domain;
    struct virtq_region region;

    if (!viommu_has(iommu, VIRTIO_IOMMU_F_MAP_UNMAP)) {
        return VIRTIO_IOMMU_S_UNSUPP;
    }
    if ((flags & ~iommu->map_flags) != 0) {
        return VIRTIO_IOMMU_S_INVAL;
    }
    domain = virtq_priv_viommu_domain(iommu, viommu_le32(request->domain));
    if (domain == NULL) {
        return VIRTIO_IOMMU_S_NOENT;
    }
    if (domain->bypass != 0) {
        return VIRTIO_IOMMU_S_INVAL;
    }
    if (first > last || ((first | phys | (last + 1)) & iommu->granule) != 0 ||
        first < config->input_first || last > config->input_last) {
        return VIRTIO_IOMMU_S_RANGE;
    }
    if (phys > config->phys_last || last - first > config->phys_last - phys) {
        return VIRTIO_IOMMU_S_FAULT;
    }
    region.first = first;
    region.last = last;
    region.base = (void *)(uintptr_t)phys;
    region.permissions = flags | VIOMMU_PRESENT;
    if (VIRTQ_UNLIKELY(iommu->reserves != 0) && reserved(domain, &region)) {
        return VIRTIO_IOMMU_S_INVAL;
    }
    return add(iommu, domain, &region);
}

/* Whether every mapping is in the range as a whole or not at all: only those at its ends can be
 * cut. */
static bool covers(const struct virtq_virtio_iommu_domain *domain, virtq_addr_t first,
                   virtq_addr_t last)
{
    struct virtq_region mapping;

    if (virtq_priv_tree_from(&domain->tree, first, &mapping) && mapping.first < first) {
        return false;
    }
    return !virtq_priv_tree_from(&domain->tree, last, &mapping) || mapping.first > last ||
           mapping.last == last;
}

static bool holds_all(const struct virtq_virtio_iommu_domain *domain, virtq_addr_t first,
                      virtq_addr_t last)
{
    struct virtq_region mapping;

    return !virtq_priv_tree_before(&domain->tree, first, &mapping) &&
           (last == UINT64_MAX || !virtq_priv_tree_from(&domain->tree, last + 1, &mapping));
}

/* Each step removes a mapping: as many as there are bound the work, whatever the range. */
static void remove_range(struct virtq_virtio_iommu_device *iommu,
                         struct virtq_virtio_iommu_domain *domain, virtq_addr_t first,
                         virtq_addr_t last)
{
    const unsigned before = domain->tree.count;
    struct virtq_region mapping;

    table_lock(domain);
    if (holds_all(domain, first, last)) {
        virtq_priv_tree_clear(&domain->tree);
    }
    while (virtq_priv_tree_from(&domain->tree, first, &mapping) && mapping.first <= last) {
        virtq_priv_tree_remove(&domain->tree, mapping.last);
    }
    table_unlock(domain);
    iommu->mappings -= before - domain->tree.count;
}

void virtq_priv_viommu_mappings_clear(struct virtq_virtio_iommu_device *iommu,
                                      struct virtq_virtio_iommu_domain *domain)
{
    iommu->mappings -= domain->tree.count;
    table_lock(domain);
    virtq_priv_tree_clear(&domain->tree);
    table_unlock(domain);
}

static uint32_t unmap(struct virtq_virtio_iommu_device *iommu,
                      struct virtq_virtio_iommu_domain *domain, virtq_addr_t first,
                      virtq_addr_t last)
{
    const struct virtq_virtio_iommu_hooks *hooks = iommu->config.hooks;
    struct virtq_virtio_iommu_endpoint *endpoint;
    struct virtq_region mapping;

    if (first > last || !covers(domain, first, last)) {
        return VIRTIO_IOMMU_S_RANGE;
    }
    /* What was not mapped is in no window. */
    if (!virtq_priv_tree_from(&domain->tree, first, &mapping) || mapping.first > last) {
        return VIRTIO_IOMMU_S_OK;
    }
    if (hooks != NULL && hooks->unmap != NULL) {
        const int error = hooks->unmap(iommu->config.context, domain->id, first, last);

        if (error != VIRTQ_OK) {
            return virtq_priv_viommu_status(error);
        }
    }
    remove_range(iommu, domain, first, last);
    for (endpoint = domain->endpoints; endpoint != NULL; endpoint = endpoint->next) {
        virtq_priv_viommu_withdraw(endpoint);
    }
    return VIRTIO_IOMMU_S_OK;
}

uint32_t virtq_priv_viommu_req_unmap(struct virtq_virtio_iommu_device *iommu,
                                     const struct virtio_iommu_req_unmap *request)
{
    static const uint8_t zero[sizeof(request->reserved)];
    struct virtq_virtio_iommu_domain *domain;

    if (memcmp(request->reserved, zero, sizeof(zero)) != 0) {
        return VIRTIO_IOMMU_S_INVAL;
    }
    domain = virtq_priv_viommu_domain(iommu, viommu_le32(request->domain));
    if (domain == NULL) {
        return VIRTIO_IOMMU_S_NOENT;
    }
    if (domain->bypass != 0) {
        return VIRTIO_IOMMU_S_INVAL;
    }
    return unmap(iommu, domain, viommu_le64(request->virt_start), viommu_le64(request->virt_end));
}
