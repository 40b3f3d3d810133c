/* SPDX-License-Identifier: BSD-3-Clause */
/* How a domain is changed. A mapping that crosses from one shard into the next is a region in each
 * of them; `crosses` of both tells that it is one mapping, so that nobody can split it. */
#include "../space/lock.h"
#include "domain_private.h"

enum { FROM_BELOW = 1, TO_ABOVE = 2 };

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
    if (virtq_priv_tree_from(&shard->tree, range->first, &mapping) &&
        mapping.first < range->first) {
        return VIRTQ_EINVAL;
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

/* The one shard that all of a list lies in, NULL if there is none: nearly always there is. */
static struct virtq_domain_shard *only_shard(const struct virtq_domain *domain,
                                             const struct virtq_region *ranges, unsigned count)
{
    unsigned at = virtq_priv_parts_at(&domain->parts, ranges[0].first);
    virtq_addr_t first = virtq_priv_parts_first(&domain->parts, at);
    virtq_addr_t last = virtq_priv_parts_last(&domain->parts, at);
    unsigned i;

    for (i = 0; i < count; i++) {
        if (ranges[i].first < first || ranges[i].last > last) {
            return NULL;
        }
    }
    return virtq_priv_domain_shard(domain, at);
}

/* All or none: what was inserted before the one that failed is taken out again, under the same
 * locks, so nobody saw it. */
static int map_in_shard(struct virtq_domain_shard *shard, const struct virtq_region *ranges,
                        unsigned count)
{
    int error = 0;
    unsigned i;

    virtq_priv_lock(&shard->lock);
    virtq_priv_tree_begin(&shard->tree);
    for (i = 0; i < count && error == 0; i++) {
        error = virtq_priv_region_legal(&ranges[i]) ? virtq_priv_tree_add(&shard->tree, &ranges[i])
                                                    : VIRTQ_EINVAL;
    }
    if (error != 0) {
        for (i--; i > 0; i--) {
            virtq_priv_tree_take(&shard->tree, &ranges[i - 1]);
        }
    }
    virtq_priv_tree_commit(&shard->tree);
    virtq_priv_unlock(&shard->lock);
    return error;
}

int virtq_priv_domain_map(struct virtq_domain *domain, const struct virtq_region *ranges,
                          unsigned count)
{
    struct virtq_domain_shard *shard = only_shard(domain, ranges, count);
    struct touched touched;
    int error = 0;
    unsigned i;

    if (VIRTQ_LIKELY(shard != NULL)) {
        return map_in_shard(shard, ranges, count);
    }
    touched = touch(domain, ranges, count);
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

/* Where each range is a mapping of its own, all of it: what it nearly always is. False: it is not,
 * and nothing changed. */
static bool unmap_in_shard(struct virtq_domain_shard *shard, const struct virtq_region *ranges,
                           unsigned count)
{
    unsigned i;

    virtq_priv_lock(&shard->lock);
    for (i = 0; i < count && shard->crosses == 0; i++) {
        if (!virtq_priv_tree_has(&shard->tree, &ranges[i])) {
            break;
        }
    }
    if (i == count) {
        virtq_priv_tree_begin(&shard->tree);
        for (i = 0; i < count; i++) {
            virtq_priv_tree_take(&shard->tree, &ranges[i]);
        }
        virtq_priv_tree_commit(&shard->tree);
    }
    virtq_priv_unlock(&shard->lock);
    return i == count;
}

int virtq_priv_domain_unmap(struct virtq_domain *domain, const struct virtq_region *ranges,
                            unsigned count)
{
    struct virtq_domain_shard *shard = only_shard(domain, ranges, count);
    struct touched touched;
    int error = 0;
    unsigned i;

    if (VIRTQ_LIKELY(shard != NULL && unmap_in_shard(shard, ranges, count))) {
        return 0;
    }
    touched = touch(domain, ranges, count);
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
