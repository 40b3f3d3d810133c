/* SPDX-License-Identifier: BSD-3-Clause */
/* ATTACH and DETACH: a domain exists as long as an endpoint is attached to it. */
#include <string.h>

#include "virtio_iommu_device_private.h"

/* The first domain whose number is not below. */
static uint32_t place_of(const struct virtq_virtio_iommu_device *iommu, uint32_t id)
{
    uint32_t first = 0;
    uint32_t count = iommu->domain_count;

    while (count != 0) {
        const uint32_t half = count / 2;

        if (iommu->domains[first + half]->id < id) {
            first += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return first;
}

struct virtq_virtio_iommu_domain *virtq_priv_viommu_domain_search(
    struct virtq_virtio_iommu_device *iommu, uint32_t id)
{
    const uint32_t at = place_of(iommu, id);

    if (at == iommu->domain_count || iommu->domains[at]->id != id) {
        return NULL;
    }
    iommu->last = iommu->domains[at];
    return iommu->last;
}

/* Takes the first free slot; the caller has seen that there is one. */
static struct virtq_virtio_iommu_domain *domain_new(struct virtq_virtio_iommu_device *iommu,
                                                    uint32_t id, uint32_t bypass)
{
    struct virtq_virtio_iommu_domain *domain = iommu->domains[iommu->domain_count];
    const uint32_t at = place_of(iommu, id);

    memmove(&iommu->domains[at + 1], &iommu->domains[at],
            (iommu->domain_count - at) * sizeof(void *));
    iommu->domains[at] = domain;
    iommu->domain_count++;
    domain->id = id;
    __atomic_store_n(&domain->bypass, bypass, __ATOMIC_RELAXED);
    return domain;
}

static void domain_free(struct virtq_virtio_iommu_device *iommu,
                        struct virtq_virtio_iommu_domain *domain)
{
    const uint32_t at = place_of(iommu, domain->id);

    iommu->domain_count--;
    memmove(&iommu->domains[at], &iommu->domains[at + 1],
            (iommu->domain_count - at) * sizeof(void *));
    iommu->domains[iommu->domain_count] = domain;
    iommu->last = NULL;
    virtq_priv_viommu_mappings_clear(iommu, domain);
}

static void link_to(struct virtq_virtio_iommu_domain *domain,
                    struct virtq_virtio_iommu_endpoint *endpoint)
{
    endpoint->next = domain->endpoints;
    domain->endpoints = endpoint;
}

/* Out of its domain's list; the domain goes with its last endpoint. */
static void leave(struct virtq_virtio_iommu_endpoint *endpoint,
                  struct virtq_virtio_iommu_domain *domain)
{
    struct virtq_virtio_iommu_device *iommu = endpoint->iommu;
    const struct virtq_virtio_iommu_hooks *hooks = iommu->config.hooks;
    struct virtq_virtio_iommu_endpoint **at = &domain->endpoints;

    while (*at != endpoint) {
        at = &(*at)->next;
    }
    *at = endpoint->next;
    if (hooks != NULL && hooks->detach != NULL) {
        hooks->detach(iommu->config.context, endpoint->id, domain->id);
    }
    if (domain->endpoints == NULL) {
        domain_free(iommu, domain);
    }
}

/* The endpoint translates through `domain` from now on. Only when no burst has windows of the old
 * one may that one's slot become another domain. */
static void move(struct virtq_virtio_iommu_endpoint *endpoint,
                 struct virtq_virtio_iommu_domain *domain)
{
    __atomic_store_n(&endpoint->domain, domain, __ATOMIC_RELEASE);
    virtq_priv_viommu_withdraw(endpoint);
}

void virtq_priv_viommu_detach(struct virtq_virtio_iommu_endpoint *endpoint)
{
    struct virtq_virtio_iommu_domain *domain = endpoint->domain;

    move(endpoint, NULL);
    leave(endpoint, domain);
}

/* Whether what the endpoint must not map is not mapped. */
static bool compatible(const struct virtq_virtio_iommu_endpoint *endpoint,
                       const struct virtq_virtio_iommu_domain *domain)
{
    struct virtq_region mapping;
    uint32_t i;

    for (i = 0; i < endpoint->reserved_count; i++) {
        if (virtq_priv_tree_from(&domain->tree, endpoint->reserved[i].first, &mapping) &&
            mapping.first <= endpoint->reserved[i].last) {
            return false;
        }
    }
    return true;
}

/* Whether there is one domain more, counting that a lone endpoint's old one goes. */
static bool has_room(const struct virtq_virtio_iommu_device *iommu,
                     const struct virtq_virtio_iommu_endpoint *endpoint)
{
    const struct virtq_virtio_iommu_domain *old = endpoint->domain;
    const uint32_t goes = old != NULL && old->endpoints == endpoint && endpoint->next == NULL;

    return iommu->domain_count - goes < iommu->config.domains;
}

static uint32_t attach(struct virtq_virtio_iommu_device *iommu,
                       struct virtq_virtio_iommu_endpoint *endpoint, uint32_t id, uint32_t bypass)
{
    const struct virtq_virtio_iommu_hooks *hooks = iommu->config.hooks;
    struct virtq_virtio_iommu_domain *domain = virtq_priv_viommu_domain(iommu, id);
    struct virtq_virtio_iommu_domain *old = endpoint->domain;

    if (domain != NULL && domain->bypass != bypass) {
        return VIRTIO_IOMMU_S_INVAL;
    }
    if (domain != NULL && domain == old) {
        return VIRTIO_IOMMU_S_OK;
    }
    if (domain != NULL && !compatible(endpoint, domain)) {
        return VIRTIO_IOMMU_S_UNSUPP;
    }
    if (domain == NULL && !has_room(iommu, endpoint)) {
        return VIRTIO_IOMMU_S_NOMEM;
    }
    if (hooks != NULL && hooks->attach != NULL) {
        const int error = hooks->attach(iommu->config.context, endpoint->id, id, bypass);

        if (error != VIRTQ_OK) {
            return virtq_priv_viommu_status(error);
        }
    }
    if (domain == NULL) {
        domain = domain_new(iommu, id, bypass);
    }
    move(endpoint, domain);
    if (old != NULL) {
        leave(endpoint, old);
    }
    link_to(domain, endpoint);
    return VIRTIO_IOMMU_S_OK;
}

uint32_t virtq_priv_viommu_req_attach(struct virtq_virtio_iommu_device *iommu,
                                      const struct virtio_iommu_req_attach *request)
{
    const uint32_t id = viommu_le32(request->domain);
    const uint32_t flags = viommu_le32(request->flags);
    const uint32_t known = viommu_has(iommu, VIRTIO_IOMMU_F_BYPASS_CONFIG)
                               ? (uint32_t)VIRTIO_IOMMU_ATTACH_F_BYPASS
                               : 0;
    static const uint8_t zero[sizeof(request->reserved)];
    struct virtq_virtio_iommu_endpoint *endpoint;

    if (memcmp(request->reserved, zero, sizeof(zero)) != 0 || (flags & ~known) != 0) {
        return VIRTIO_IOMMU_S_INVAL;
    }
    endpoint = virtq_priv_viommu_endpoint(iommu, viommu_le32(request->endpoint));
    if (endpoint == NULL) {
        return VIRTIO_IOMMU_S_NOENT;
    }
    if (id < iommu->config.domain_first || id > iommu->config.domain_last) {
        return VIRTIO_IOMMU_S_RANGE;
    }
    return attach(iommu, endpoint, id, flags);
}

uint32_t virtq_priv_viommu_req_detach(struct virtq_virtio_iommu_device *iommu,
                                      const struct virtio_iommu_req_detach *request)
{
    struct virtq_virtio_iommu_endpoint *endpoint =
        virtq_priv_viommu_endpoint(iommu, viommu_le32(request->endpoint));

    if (endpoint == NULL) {
        return VIRTIO_IOMMU_S_NOENT;
    }
    if (endpoint->domain == NULL || endpoint->domain->id != viommu_le32(request->domain)) {
        return VIRTIO_IOMMU_S_INVAL;
    }
    virtq_priv_viommu_detach(endpoint);
    return VIRTIO_IOMMU_S_OK;
}
