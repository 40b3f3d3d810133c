/* SPDX-License-Identifier: BSD-3-Clause */
/* How a domain is made and changed. A mapping that crosses from one shard into the next is a region
 * in each of them; `crosses` of both tells that it is one mapping, so that nobody can split it. */
#include "virtq/iommu/domain.h"

#include <string.h>

#include "../space/lock.h"
#include "domain_private.h"

enum { FROM_BELOW = 1, TO_ABOVE = 2 };

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

/* ---- Locks ---- */

/* The shards that a list lies in; `set` begins at `low`. */
struct touched {
    uint64_t set;
    unsigned low;
};

static struct touched touch(const struct virtq_domain *domain, const struct virtq_region *ranges,
                            unsigned count)
{
    struct touched touched = {0, VIRTQ_IOMMU_PARTS_MAX - 1};
    unsigned i;

    for (i = 0; i < count; i++) {
        unsigned low = virtq_priv_parts_at(&domain->parts, ranges[i].first);
        unsigned high = virtq_priv_parts_at(&domain->parts, ranges[i].last);

        /* An inverted range is refused later, under any lock. */
        touched.set |= virtq_priv_parts_set(low, high);
        touched.low = low < touched.low ? low : touched.low;
    }
    touched.set >>= touched.low;
    return touched;
}

static void lock(struct virtq_domain *domain, const struct touched *touched)
{
    uint64_t set = touched->set;
    unsigned i;

    for (i = touched->low; set != 0; i++, set >>= 1) {
        if ((set & 1) != 0) {
            struct virtq_domain_shard *shard = virtq_priv_domain_shard(domain, i);

            virtq_priv_lock(&shard->lock);
            virtq_priv_tree_begin(&shard->tree);
        }
    }
}

static void unlock(struct virtq_domain *domain, const struct touched *touched)
{
    uint64_t set = touched->set;
    unsigned i;

    for (i = touched->low; set != 0; i++, set >>= 1) {
        if ((set & 1) != 0) {
            struct virtq_domain_shard *shard = virtq_priv_domain_shard(domain, i);

            virtq_priv_tree_commit(&shard->tree);
            virtq_priv_unlock(&shard->lock);
        }
    }
}

/* ---- Changes, under the locks ---- */

/* What of a region lies in a shard. The base may be NULL, where all memory is mapped as it is. */
static struct virtq_region part_of(const struct virtq_domain *domain,
                                   const struct virtq_region *region, unsigned at)
{
    virtq_addr_t first = virtq_priv_parts_first(&domain->parts, at);
    virtq_addr_t last = virtq_priv_parts_last(&domain->parts, at);
    struct virtq_region part = *region;

    if (part.first < first) {
        part.base = (void *)((uintptr_t)region->base + (uintptr_t)(first - region->first));
        part.first = first;
    }
    part.last = part.last < last ? part.last : last;
    return part;
}

/* Overlap anywhere is an error before a lack of room anywhere. */
static int check_free(const struct virtq_domain *domain, const struct virtq_region *region,
                      unsigned low, unsigned high)
{
    int error = 0;

    for (; low <= high; low++) {
        const struct virtq_tree *tree = &virtq_priv_domain_shard(domain, low)->tree;
        struct virtq_region part = part_of(domain, region, low);
        struct virtq_region other;

        if (virtq_priv_tree_from(tree, part.first, &other) && other.first <= part.last) {
            return VIRTQ_EINVAL;
        }
        if (tree->count == tree->capacity) {
            error = VIRTQ_ENOMEM;
        }
    }
    return error;
}

static int insert(struct virtq_domain *domain, const struct virtq_region *region)
{
    unsigned low;
    unsigned high;
    unsigned at;
    int error;

    if (!virtq_priv_region_legal(region)) {
        return VIRTQ_EINVAL;
    }
    low = virtq_priv_parts_at(&domain->parts, region->first);
    high = virtq_priv_parts_at(&domain->parts, region->last);
    error = check_free(domain, region, low, high);
    for (at = low; at <= high && error == 0; at++) {
        struct virtq_domain_shard *shard = virtq_priv_domain_shard(domain, at);
        struct virtq_region part = part_of(domain, region, at);

        virtq_priv_tree_insert(&shard->tree, &part);
        shard->crosses |=
            (at > low ? (uint32_t)FROM_BELOW : 0) | (at < high ? (uint32_t)TO_ABOVE : 0);
    }
    return error;
}

/* An error if a mapping lies only partly in the range: only one at either end can. */
static int check_covered(const struct virtq_domain *domain, const struct virtq_region *range)
{
    const struct virtq_domain_shard *shard;
    struct virtq_region mapping;
    unsigned at;

    if (range->first > range->last) {
        return VIRTQ_EINVAL;
    }
    at = virtq_priv_parts_at(&domain->parts, range->first);
    shard = virtq_priv_domain_shard(domain, at);
    if (virtq_priv_tree_from(&shard->tree, range->first, &mapping)) {
        if (mapping.first == range->first && mapping.last == range->last && shard->crosses == 0) {
            return 0; /* What it nearly always is: one mapping, all of it. */
        }
        if (mapping.first < range->first) {
            return VIRTQ_EINVAL;
        }
    }
    if ((shard->crosses & FROM_BELOW) != 0 &&
        range->first == virtq_priv_parts_first(&domain->parts, at)) {
        return VIRTQ_EINVAL;
    }
    at = virtq_priv_parts_at(&domain->parts, range->last);
    shard = virtq_priv_domain_shard(domain, at);
    if (virtq_priv_tree_from(&shard->tree, range->last, &mapping) && mapping.first <= range->last &&
        mapping.last > range->last) {
        return VIRTQ_EINVAL;
    }
    return (shard->crosses & TO_ABOVE) != 0 &&
                   range->last == virtq_priv_parts_last(&domain->parts, at)
               ? VIRTQ_EINVAL
               : 0;
}

static void remove_part(struct virtq_tree *tree, const struct virtq_region *part)
{
    struct virtq_region mapping;

    while (virtq_priv_tree_from(tree, part->first, &mapping) && mapping.first <= part->last) {
        virtq_priv_tree_remove(tree, mapping.last);
        if (mapping.last == part->last) {
            break;
        }
    }
}

/* What check_covered() has found to be whole mappings. */
static void remove_covered(struct virtq_domain *domain, const struct virtq_region *range)
{
    unsigned low = virtq_priv_parts_at(&domain->parts, range->first);
    unsigned high = virtq_priv_parts_at(&domain->parts, range->last);
    unsigned at;

    for (at = low; at <= high; at++) {
        struct virtq_domain_shard *shard = virtq_priv_domain_shard(domain, at);
        virtq_addr_t first = virtq_priv_parts_first(&domain->parts, at);
        virtq_addr_t last = virtq_priv_parts_last(&domain->parts, at);
        struct virtq_region part = part_of(domain, range, at);

        if (part.first == first && part.last == last) {
            virtq_priv_tree_clear(&shard->tree);
            shard->crosses = 0;
            continue;
        }
        remove_part(&shard->tree, &part);
        shard->crosses &= ~((part.first == first ? (uint32_t)FROM_BELOW : 0) |
                            (part.last == last ? (uint32_t)TO_ABOVE : 0));
    }
}

/* All or none: what was inserted before the one that failed is taken out again, under the same
 * locks, so nobody saw it. */
static int map_list(struct virtq_domain *domain, const struct virtq_region *ranges, unsigned count)
{
    const struct touched touched = touch(domain, ranges, count);
    int error = 0;
    unsigned i;

    lock(domain, &touched);
    for (i = 0; i < count && error == 0; i++) {
        error = insert(domain, &ranges[i]);
    }
    if (error != 0) {
        for (i--; i > 0; i--) {
            remove_covered(domain, &ranges[i - 1]);
        }
    }
    unlock(domain, &touched);
    return error;
}

static int unmap_list(struct virtq_domain *domain, const struct virtq_region *ranges,
                      unsigned count)
{
    const struct touched touched = touch(domain, ranges, count);
    int error = 0;
    unsigned i;

    lock(domain, &touched);
    for (i = 0; i < count && error == 0; i++) {
        error = check_covered(domain, &ranges[i]);
    }
    for (i = 0; i < count && error == 0; i++) {
        remove_covered(domain, &ranges[i]);
    }
    unlock(domain, &touched);
    return error;
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

    return map_list(domain, &region, 1);
}

int virtq_domain_unmap(struct virtq_domain *domain, virtq_addr_t first, virtq_addr_t last)
{
    const struct virtq_region range = {first, last, NULL, 0};
    int error = unmap_list(domain, &range, 1);

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
    return map_list(context, ranges, count);
}

static int backend_unmap(void *context, const struct virtq_region *ranges, unsigned count)
{
    return unmap_list(context, ranges, count);
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
