/* SPDX-License-Identifier: BSD-3-Clause */
/* How a domain is made, and who hears of what goes. */
#include "virtq/iommu/domain.h"

#include <string.h>

#include "domain_private.h"

size_t virtq_domain_size(unsigned capacity)
{
    return virtq_priv_tree_size(capacity);
}

size_t virtq_domain_shards_size(unsigned shards, unsigned capacity)
{
    size_t tree = virtq_priv_tree_size(capacity);

    if (shards == 0 || shards > VIRTQ_IOMMU_PARTS_MAX ||
        tree > (SIZE_MAX >> 7) - 2 * VIRTQ_DOMAIN_STRIDE) {
        return SIZE_MAX;
    }
    return VIRTQ_DOMAIN_SHARDS_SIZE(shards, capacity);
}

int virtq_domain_init(struct virtq_domain *domain, unsigned capacity, void *memory, size_t size)
{
    int error = virtq_priv_tree_init(&domain->whole.tree, capacity, memory, size);

    if (error == 0) {
        domain->shards = (unsigned char *)&domain->whole;
        virtq_priv_parts_cut(&domain->parts, 0, UINT64_MAX, 1);
        domain->listeners = NULL;
        domain->whole.lock = 0;
        domain->whole.crosses = 0;
    }
    return error;
}

int virtq_domain_init_shards(struct virtq_domain *domain, const struct virtq_domain_config *config)
{
    uintptr_t skip = (uintptr_t)0 - (uintptr_t)config->memory;
    size_t tree_size = virtq_priv_tree_size(config->capacity);
    size_t needed = virtq_domain_shards_size(config->shards, config->capacity);
    unsigned char *trees;
    unsigned i;

    if (config->struct_size < sizeof(*config) || config->first > config->last ||
        config->capacity == 0 || config->memory == NULL || needed == SIZE_MAX ||
        config->memory_size < needed) {
        return VIRTQ_EINVAL;
    }
    memset(domain, 0, sizeof(*domain));
    domain->shards = (unsigned char *)config->memory + skip % VIRTQ_DOMAIN_STRIDE;
    virtq_priv_parts_cut(&domain->parts, config->first, config->last, config->shards);
    trees = domain->shards + config->shards * VIRTQ_DOMAIN_STRIDE;
    for (i = 0; i < domain->parts.count; i++) {
        struct virtq_domain_shard *shard = virtq_priv_domain_shard(domain, i);

        shard->lock = 0;
        shard->crosses = 0;
        (void)virtq_priv_tree_init(&shard->tree, config->capacity, trees + i * tree_size,
                                   tree_size);
    }
    return 0;
}

unsigned virtq_domain_count(const struct virtq_domain *domain)
{
    unsigned count = 0;
    unsigned i;

    for (i = 0; i < domain->parts.count; i++) {
        count += __atomic_load_n(&virtq_priv_domain_shard(domain, i)->tree.count, __ATOMIC_RELAXED);
    }
    return count;
}

/* Without a lock: a listener may look something up. */
static void tell_listeners(struct virtq_domain *domain, const struct virtq_region *ranges,
                           unsigned count)
{
    struct virtq_domain_listener *listener;
    unsigned i;

    for (listener = domain->listeners; listener != NULL; listener = listener->next) {
        if (listener->invalidate_list != NULL) {
            listener->invalidate_list(listener, ranges, count);
            continue;
        }
        for (i = 0; i < count; i++) {
            listener->invalidate(listener, ranges[i].first, ranges[i].last);
        }
    }
}

int virtq_domain_map(struct virtq_domain *domain, virtq_addr_t first, virtq_addr_t last, void *base,
                     uint32_t permissions)
{
    const struct virtq_region region = {first, last, base, permissions};

    return virtq_priv_domain_map(domain, &region, 1);
}

int virtq_domain_unmap(struct virtq_domain *domain, virtq_addr_t first, virtq_addr_t last)
{
    const struct virtq_region range = {first, last, NULL, 0};
    int error = virtq_priv_domain_unmap(domain, &range, 1);

    if (error == 0) {
        tell_listeners(domain, &range, 1);
    }
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

static int backend_map(void *context, const struct virtq_region *ranges, unsigned count)
{
    return virtq_priv_domain_map(context, ranges, count);
}

static int backend_unmap(void *context, const struct virtq_region *ranges, unsigned count)
{
    return virtq_priv_domain_unmap(context, ranges, count);
}

static int backend_flush(void *context, const struct virtq_region *ranges, unsigned count)
{
    tell_listeners(context, ranges, count);
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
