/* SPDX-License-Identifier: BSD-3-Clause */
/* How a domain is read: the shard of the address, and its neighbours where a window reaches to
 * their edge. Each shard's answer was true at a moment during the call; that they are of several
 * moments does no harm, for whatever goes away after its moment is told to all who listen. */
#include "../space/lock.h"
#include "../space/tree_read.h"
#include "domain_private.h"

struct virtq_domain_shard *virtq_priv_domain_hold(struct virtq_domain *domain, virtq_addr_t addr)
{
    struct virtq_domain_shard *shard =
        virtq_priv_domain_shard(domain, virtq_priv_parts_at(&domain->parts, addr));

    virtq_priv_lock(&shard->lock);
    return shard;
}

void virtq_priv_domain_release(struct virtq_domain_shard *shard)
{
    virtq_priv_unlock(&shard->lock);
}

int virtq_priv_domain_window(const struct virtq_domain_shard *shard, virtq_addr_t addr,
                             uint32_t permission, enum virtq_priv_merge merge,
                             struct virtq_window *window)
{
    const struct virtq_priv_question ask = {addr, permission, merge, false};

    return virtq_priv_tree_window(&shard->tree, &ask, window);
}

static int ask_shard(struct virtq_domain *domain, unsigned at, virtq_addr_t addr,
                     uint32_t permission, struct virtq_window *window)
{
    const struct virtq_priv_question ask = {addr, permission, VIRTQ_PRIV_MERGE_ENOUGH, false};
    struct virtq_domain_shard *shard = virtq_priv_domain_shard(domain, at);

    return virtq_priv_tree_lookup(&shard->tree, &shard->lock, &ask, window);
}

/* Whether `high` continues `low` in memory, as it does in device addresses. */
static bool continues(const struct virtq_window *low, const struct virtq_window *high)
{
    uintptr_t end = (uintptr_t)low->base + (uintptr_t)(low->last - low->first);

    return end != UINTPTR_MAX && (uintptr_t)high->base == end + 1;
}

/* As many steps as there are shards, at most. */
VIRTQ_COLD void extend(struct virtq_domain *domain, unsigned from, uint32_t permission,
                       struct virtq_window *window)
{
    const struct virtq_iommu_parts *parts = &domain->parts;
    struct virtq_window next;
    unsigned at;

    for (at = from; at + 1 < parts->count && window->last == virtq_priv_parts_last(parts, at);
         at++) {
        if (ask_shard(domain, at + 1, window->last + 1, permission, &next) != 0 ||
            !continues(window, &next)) {
            break;
        }
        window->last = next.last;
        window->permissions &= next.permissions;
    }
    for (at = from; at > 0 && window->first == virtq_priv_parts_first(parts, at); at--) {
        if (ask_shard(domain, at - 1, window->first - 1, permission, &next) != 0 ||
            !continues(&next, window)) {
            break;
        }
        window->first = next.first;
        window->base = next.base;
        window->permissions &= next.permissions;
    }
}

int virtq_domain_lookup(struct virtq_domain *domain, virtq_addr_t addr, uint32_t permission,
                        struct virtq_window *window)
{
    const struct virtq_iommu_parts *parts = &domain->parts;
    unsigned at = virtq_priv_parts_at(parts, addr);
    struct virtq_domain_shard *shard = virtq_priv_domain_shard(domain, at);
    const struct virtq_priv_question ask = {addr, permission, VIRTQ_PRIV_MERGE_ENOUGH, false};
    int error = virtq_priv_tree_look(&shard->tree, &shard->lock, ask, window);

    if (error == 0 && parts->count > 1 &&
        VIRTQ_UNLIKELY(window->last == virtq_priv_parts_last(parts, at) ||
                       window->first == virtq_priv_parts_first(parts, at))) {
        extend(domain, at, permission, window);
    }
    return error;
}

int virtq_domain_translation(struct virtq_domain *domain, virtq_addr_t addr, uint32_t permission,
                             struct virtq_window *window)
{
    const struct virtq_priv_question ask = {addr, permission, VIRTQ_PRIV_MERGE_EQUAL, false};
    struct virtq_domain_shard *shard =
        virtq_priv_domain_shard(domain, virtq_priv_parts_at(&domain->parts, addr));

    return virtq_priv_tree_lookup(&shard->tree, &shard->lock, &ask, window);
}
