/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/iommu/domain.h"

#include <string.h>

#include "../space/lock.h"
#include "../space/region.h"
#include "domain_private.h"

int virtq_domain_init(struct virtq_domain *domain, struct virtq_region *mappings, unsigned capacity)
{
    if (mappings == NULL || capacity == 0) {
        return VIRTQ_EINVAL;
    }
    memset(domain, 0, sizeof(*domain));
    domain->mappings = mappings;
    domain->capacity = capacity;
    return 0;
}

static int insert(struct virtq_domain *domain, const struct virtq_region *region)
{
    unsigned at;

    if (!virtq_priv_region_legal(region)) {
        return VIRTQ_EINVAL;
    }
    at = virtq_priv_region_from(domain->mappings, domain->count, region->first);
    if (at < domain->count && domain->mappings[at].first <= region->last) {
        return VIRTQ_EINVAL;
    }
    if (domain->count == domain->capacity) {
        return VIRTQ_ENOMEM;
    }
    virtq_priv_region_splice(domain->mappings, &domain->count, at, at, region, 1);
    return 0;
}

/* The mappings that [first, last] covers are [from, to). An error if one lies only partly in it. */
static int covered(const struct virtq_domain *domain, const struct virtq_region *range,
                   unsigned *from, unsigned *to)
{
    const struct virtq_region *mappings = domain->mappings;
    unsigned i;

    if (range->first > range->last) {
        return VIRTQ_EINVAL;
    }
    *from = virtq_priv_region_from(mappings, domain->count, range->first);
    for (i = *from; i < domain->count && mappings[i].first <= range->last; i++) {
        if (mappings[i].first < range->first || mappings[i].last > range->last) {
            return VIRTQ_EINVAL;
        }
    }
    *to = i;
    return 0;
}

static int remove_covered(struct virtq_domain *domain, const struct virtq_region *range)
{
    unsigned from;
    unsigned to;
    int error = covered(domain, range, &from, &to);

    if (error == 0) {
        virtq_priv_region_splice(domain->mappings, &domain->count, from, to, NULL, 0);
    }
    return error;
}

/* Without the lock: a listener may look something up. */
static void tell_listeners(struct virtq_domain *domain, const struct virtq_region *range)
{
    struct virtq_domain_listener *listener;

    for (listener = domain->listeners; listener != NULL; listener = listener->next) {
        listener->invalidate(listener, range->first, range->last);
    }
}

int virtq_domain_map(struct virtq_domain *domain, virtq_addr_t first, virtq_addr_t last, void *base,
                     uint32_t permissions)
{
    const struct virtq_region region = {first, last, base, permissions};
    int error;

    virtq_priv_lock(&domain->lock);
    error = insert(domain, &region);
    virtq_priv_unlock(&domain->lock);
    return error;
}

int virtq_domain_unmap(struct virtq_domain *domain, virtq_addr_t first, virtq_addr_t last)
{
    const struct virtq_region range = {first, last, NULL, 0};
    int error;

    virtq_priv_lock(&domain->lock);
    error = remove_covered(domain, &range);
    virtq_priv_unlock(&domain->lock);
    if (error == 0) {
        tell_listeners(domain, &range);
    }
    return error;
}

int virtq_priv_domain_window(const struct virtq_domain *domain, virtq_addr_t addr,
                             uint32_t permission, enum virtq_priv_merge merge,
                             struct virtq_window *window)
{
    return virtq_priv_region_window(domain->mappings, domain->count, addr, permission, merge,
                                    window);
}

int virtq_domain_lookup(struct virtq_domain *domain, virtq_addr_t addr, uint32_t permission,
                        struct virtq_window *window)
{
    int error;

    virtq_priv_lock(&domain->lock);
    error = virtq_priv_domain_window(domain, addr, permission, VIRTQ_PRIV_MERGE_ENOUGH, window);
    virtq_priv_unlock(&domain->lock);
    return error;
}

void virtq_domain_listen(struct virtq_domain *domain, struct virtq_domain_listener *listener)
{
    listener->next = domain->listeners;
    domain->listeners = listener;
}

void virtq_domain_unlisten(struct virtq_domain *domain, struct virtq_domain_listener *listener)
{
    struct virtq_domain_listener **link = &domain->listeners;

    while (*link != NULL && *link != listener) {
        link = &(*link)->next;
    }
    if (*link != NULL) {
        *link = listener->next;
    }
}

/* All or none: what was inserted before the one that failed is taken out again, under the same
 * lock, so nobody saw it. */
static int backend_map(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct virtq_domain *domain = context;
    int error = 0;
    unsigned i;

    virtq_priv_lock(&domain->lock);
    for (i = 0; i < count && error == 0; i++) {
        error = insert(domain, &ranges[i]);
    }
    if (error != 0) {
        for (i--; i > 0; i--) {
            (void)remove_covered(domain, &ranges[i - 1]);
        }
    }
    virtq_priv_unlock(&domain->lock);
    return error;
}

static int backend_unmap(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct virtq_domain *domain = context;
    int error = 0;
    unsigned from;
    unsigned to;
    unsigned i;

    virtq_priv_lock(&domain->lock);
    for (i = 0; i < count && error == 0; i++) {
        error = covered(domain, &ranges[i], &from, &to);
    }
    for (i = 0; i < count && error == 0; i++) {
        error = remove_covered(domain, &ranges[i]);
    }
    virtq_priv_unlock(&domain->lock);
    return error;
}

static int backend_flush(void *context, const struct virtq_region *ranges, unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        tell_listeners(context, &ranges[i]);
    }
    return 0;
}

void virtq_domain_backend(struct virtq_domain *domain, struct virtq_iommu_backend *backend)
{
    memset(backend, 0, sizeof(*backend));
    backend->size = sizeof(*backend);
    backend->context = domain;
    backend->map = backend_map;
    backend->unmap = backend_unmap;
    backend->flush = backend_flush;
}
