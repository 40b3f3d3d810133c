/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/iommu/iova_cache.h"

#include <string.h>

#include "../space/lock.h"
#include "iova_depot.h"

enum { CACHED = 1 << (VIRTQ_IOVA_ORDERS - 1) };

/* Granules minus 1 to the order that holds them: counting bits is a library call on some machines.
 */
static const unsigned char order_of[CACHED] = {0, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4,
                                               5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5};

int virtq_iova_cache_init(struct virtq_iova_cache *cache, struct virtq_iova_depot *depot)
{
    uint32_t shift = 0;

    /* The largest cached size has to be a number of 64 bits. */
    if (depot == NULL || depot->iova->granule > UINT64_MAX / 2 / CACHED) {
        return VIRTQ_EINVAL;
    }
    while ((uint64_t)1 << shift != depot->iova->granule) {
        shift++;
    }
    /* Ready before the depot knows it: from then on another thread may drain it. */
    memset(cache, 0, sizeof(*cache));
    cache->shift = shift;
    cache->depot = depot;
    return virtq_priv_iova_depot_join(depot, cache);
}

void virtq_iova_cache_destroy(struct virtq_iova_cache *cache)
{
    virtq_priv_iova_depot_leave(cache->depot, cache);
}

/* Under the cache's lock: the other magazine, or a full one of its home, takes the place of the
 * empty one. */
static struct virtq_iova_magazine *reload(struct virtq_iova_cache *cache, size_t order)
{
    struct virtq_iova_magazine *empty = cache->loaded[order];
    struct virtq_iova_magazine *other = cache->spare[order];

    if (other->count != 0) {
        cache->spare[order] = empty;
    } else {
        other = virtq_priv_iova_depot_full(cache, order, empty);
        if (other == NULL) {
            return NULL;
        }
    }
    cache->loaded[order] = other;
    return other;
}

/* Under the cache's lock: as reload(), for one with room. */
static struct virtq_iova_magazine *unload(struct virtq_iova_cache *cache, size_t order)
{
    struct virtq_iova_magazine *full = cache->loaded[order];
    struct virtq_iova_magazine *other = cache->spare[order];

    if (other->count != VIRTQ_IOVA_MAGAZINE_ROOM) {
        cache->spare[order] = full;
    } else {
        other = virtq_priv_iova_depot_empty(cache, order, full);
    }
    cache->loaded[order] = other;
    return other;
}

/* Under the cache's lock, which it gives back. Out of line, as is give(): a caller that does not
 * come here then saves no register. */
VIRTQ_COLD int take(struct virtq_iova_cache *cache, size_t order, virtq_addr_t *addr)
{
    struct virtq_iova_magazine *magazine = reload(cache, order);
    uint64_t size = (uint64_t)1 << (cache->shift + order);

    if (magazine != NULL) {
        *addr = magazine->addrs[--magazine->count];
    }
    virtq_priv_unlock(&cache->lock);
    return magazine != NULL ? 0 : virtq_priv_iova_depot_take(cache, size, size, addr);
}

VIRTQ_COLD int give(struct virtq_iova_cache *cache, size_t order, virtq_addr_t addr)
{
    struct virtq_iova_magazine *magazine = unload(cache, order);

    magazine->addrs[magazine->count++] = addr;
    virtq_priv_unlock(&cache->lock);
    return 0;
}

/* virtq_priv_lock() without its loop on the straight way: nearly always nobody is inside. */
VIRTQ_INLINE void enter(struct virtq_iova_cache *cache)
{
    if (VIRTQ_UNLIKELY(__atomic_exchange_n(&cache->lock, 1u, __ATOMIC_ACQUIRE) != 0)) {
        virtq_priv_lock(&cache->lock);
    }
}

int virtq_iova_cache_alloc(struct virtq_iova_cache *cache, uint64_t len, virtq_addr_t *addr)
{
    uint64_t granules = (len - 1) >> cache->shift; /* Minus 1; a length of 0 is an enormous one. */
    struct virtq_iova_magazine *magazine;
    size_t order;

    if (VIRTQ_UNLIKELY(granules >= CACHED)) {
        return virtq_priv_iova_depot_take(cache, len, 0, addr);
    }
    order = order_of[granules];
    enter(cache);
    magazine = cache->loaded[order];
    if (VIRTQ_UNLIKELY(magazine->count == 0)) {
        return take(cache, order, addr);
    }
    *addr = magazine->addrs[--magazine->count];
    virtq_priv_unlock(&cache->lock);
    return 0;
}

int virtq_iova_cache_free(struct virtq_iova_cache *cache, virtq_addr_t addr, uint64_t len)
{
    uint64_t granules = (len - 1) >> cache->shift;
    struct virtq_iova_magazine *magazine;
    size_t order;

    if (VIRTQ_UNLIKELY(granules >= CACHED)) {
        return virtq_iova_depot_free(cache->depot, addr);
    }
    order = order_of[granules];
    enter(cache);
    magazine = cache->loaded[order];
    if (VIRTQ_UNLIKELY(magazine->count == VIRTQ_IOVA_MAGAZINE_ROOM)) {
        return give(cache, order, addr);
    }
    magazine->addrs[magazine->count++] = addr;
    virtq_priv_unlock(&cache->lock);
    return 0;
}
