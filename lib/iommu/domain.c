/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/iommu/domain.h"

#include <string.h>

#include "../space/lock.h"
#include "../space/tree.h"
#include "domain_private.h"

size_t virtq_domain_size(unsigned capacity)
{
    return virtq_priv_tree_size(capacity);
}

int virtq_domain_init(struct virtq_domain *domain, unsigned capacity, void *memory, size_t size)
{
    int error = virtq_priv_tree_init(&domain->tree, capacity, memory, size);

    if (error == 0) {
        domain->listeners = NULL;
        domain->lock = 0;
    }
    return error;
}

static void lock(struct virtq_domain *domain)
{
    virtq_priv_lock(&domain->lock);
    virtq_priv_tree_begin(&domain->tree);
}

static void unlock(struct virtq_domain *domain)
{
    virtq_priv_tree_commit(&domain->tree);
    virtq_priv_unlock(&domain->lock);
}

static int insert(struct virtq_domain *domain, const struct virtq_region *region)
{
    struct virtq_region other;

    if (!virtq_priv_region_legal(region)) {
        return VIRTQ_EINVAL;
    }
    if (virtq_priv_tree_from(&domain->tree, region->first, &other) && other.first <= region->last) {
        return VIRTQ_EINVAL;
    }
    if (domain->tree.count == domain->tree.capacity) {
        return VIRTQ_ENOMEM;
    }
    virtq_priv_tree_insert(&domain->tree, region);
    return 0;
}

/* An error if a mapping lies only partly in the range: only one at either end can. */
static int check_covered(const struct virtq_domain *domain, const struct virtq_region *range)
{
    struct virtq_region mapping;

    if (range->first > range->last) {
        return VIRTQ_EINVAL;
    }
    if (virtq_priv_tree_from(&domain->tree, range->first, &mapping) &&
        mapping.first < range->first) {
        return VIRTQ_EINVAL;
    }
    if (virtq_priv_tree_from(&domain->tree, range->last, &mapping) &&
        mapping.first <= range->last && mapping.last > range->last) {
        return VIRTQ_EINVAL;
    }
    return 0;
}

static int remove_covered(struct virtq_domain *domain, const struct virtq_region *range)
{
    struct virtq_region mapping;
    int error = check_covered(domain, range);

    if (error != 0) {
        return error;
    }
    if (range->first == 0 && range->last == UINT64_MAX) {
        virtq_priv_tree_clear(&domain->tree);
        return 0;
    }
    while (virtq_priv_tree_from(&domain->tree, range->first, &mapping) &&
           mapping.first <= range->last) {
        virtq_priv_tree_remove(&domain->tree, mapping.last);
    }
    return 0;
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

    lock(domain);
    error = insert(domain, &region);
    unlock(domain);
    return error;
}

int virtq_domain_unmap(struct virtq_domain *domain, virtq_addr_t first, virtq_addr_t last)
{
    const struct virtq_region range = {first, last, NULL, 0};
    int error;

    lock(domain);
    error = remove_covered(domain, &range);
    unlock(domain);
    if (error == 0) {
        tell_listeners(domain, &range);
    }
    return error;
}

int virtq_priv_domain_window(const struct virtq_domain *domain, virtq_addr_t addr,
                             uint32_t permission, enum virtq_priv_merge merge,
                             struct virtq_window *window)
{
    const struct virtq_priv_question ask = {addr, permission, merge, false};

    return virtq_priv_tree_window(&domain->tree, &ask, window);
}

int virtq_domain_lookup(struct virtq_domain *domain, virtq_addr_t addr, uint32_t permission,
                        struct virtq_window *window)
{
    const struct virtq_priv_question ask = {addr, permission, VIRTQ_PRIV_MERGE_ENOUGH, false};

    return virtq_priv_tree_lookup(&domain->tree, &domain->lock, &ask, window);
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

    lock(domain);
    for (i = 0; i < count && error == 0; i++) {
        error = insert(domain, &ranges[i]);
    }
    if (error != 0) {
        for (i--; i > 0; i--) {
            (void)remove_covered(domain, &ranges[i - 1]);
        }
    }
    unlock(domain);
    return error;
}

static int backend_unmap(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct virtq_domain *domain = context;
    int error = 0;
    unsigned i;

    lock(domain);
    for (i = 0; i < count && error == 0; i++) {
        error = check_covered(domain, &ranges[i]);
    }
    for (i = 0; i < count && error == 0; i++) {
        error = remove_covered(domain, &ranges[i]);
    }
    unlock(domain);
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
