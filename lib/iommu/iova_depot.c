/* SPDX-License-Identifier: BSD-3-Clause */
#include "iova_depot.h"

#include <string.h>

#include "../space/lock.h"
#include "iova.h"

/* Locks are taken in this order: the list of caches, one cache, the depot. A cache's owner asks for
 * a drain without its own lock, so two owners that run dry at once cannot wait for each other. */

int virtq_iova_depot_init(struct virtq_iova_depot *depot, struct virtq_iova *iova,
                          virtq_addr_t limit, struct virtq_iova_magazine *magazines, unsigned count)
{
    unsigned i;

    if (iova == NULL || (magazines == NULL && count != 0)) {
        return VIRTQ_EINVAL;
    }
    memset(depot, 0, sizeof(*depot));
    depot->iova = iova;
    depot->limit = limit;
    for (i = count; i-- > 0;) {
        magazines[i].count = 0;
        magazines[i].next = depot->empty;
        depot->empty = &magazines[i];
    }
    return 0;
}

static void push(struct virtq_iova_magazine **list, struct virtq_iova_magazine *magazine)
{
    magazine->next = *list;
    *list = magazine;
}

static struct virtq_iova_magazine *pop(struct virtq_iova_magazine **list)
{
    struct virtq_iova_magazine *magazine = *list;

    if (magazine != NULL) {
        *list = magazine->next;
    }
    return magazine;
}

/* Under the depot's lock. */
static void empty_out(struct virtq_iova_depot *depot, struct virtq_iova_magazine *magazine)
{
    while (magazine->count != 0) {
        magazine->count--;
        (void)virtq_iova_free(depot->iova, magazine->addrs[magazine->count]);
    }
}

struct virtq_iova_magazine *virtq_priv_iova_depot_full(struct virtq_iova_depot *depot, size_t order,
                                                       struct virtq_iova_magazine *empty)
{
    struct virtq_iova_magazine *full;

    virtq_priv_lock(&depot->lock);
    full = pop(&depot->full[order]);
    if (full != NULL) {
        push(&depot->empty, empty);
    }
    virtq_priv_unlock(&depot->lock);
    return full;
}

struct virtq_iova_magazine *virtq_priv_iova_depot_empty(struct virtq_iova_depot *depot,
                                                        size_t order,
                                                        struct virtq_iova_magazine *full)
{
    struct virtq_iova_magazine *empty;

    virtq_priv_lock(&depot->lock);
    empty = pop(&depot->empty);
    if (empty != NULL) {
        push(&depot->full[order], full);
    } else {
        empty_out(depot, full);
        empty = full;
    }
    virtq_priv_unlock(&depot->lock);
    return empty;
}

/* Every address in a magazine becomes free for all. Two magazines a size and cache, and the
 * depot's full ones: bounded by the magazines there are. */
void virtq_iova_depot_drain(struct virtq_iova_depot *depot)
{
    struct virtq_iova_cache *cache;
    struct virtq_iova_magazine *magazine;
    unsigned order;

    virtq_priv_lock(&depot->caches_lock);
    for (cache = depot->caches; cache != NULL; cache = cache->next) {
        virtq_priv_lock(&cache->lock);
        virtq_priv_lock(&depot->lock);
        for (order = 0; order < VIRTQ_IOVA_ORDERS; order++) {
            empty_out(depot, cache->loaded[order]);
            empty_out(depot, cache->spare[order]);
        }
        virtq_priv_unlock(&depot->lock);
        virtq_priv_unlock(&cache->lock);
    }
    virtq_priv_lock(&depot->lock);
    for (order = 0; order < VIRTQ_IOVA_ORDERS; order++) {
        while ((magazine = pop(&depot->full[order])) != NULL) {
            empty_out(depot, magazine);
            push(&depot->empty, magazine);
        }
    }
    depot->drains++;
    virtq_priv_unlock(&depot->lock);
    virtq_priv_unlock(&depot->caches_lock);
}

static int take(struct virtq_iova_depot *depot, uint64_t len, uint64_t align, virtq_addr_t *addr)
{
    int error;

    virtq_priv_lock(&depot->lock);
    error = virtq_iova_alloc(depot->iova, len, align, depot->limit, addr);
    virtq_priv_unlock(&depot->lock);
    return error;
}

int virtq_iova_depot_alloc(struct virtq_iova_depot *depot, uint64_t len, uint64_t align,
                           virtq_addr_t *addr)
{
    int error = take(depot, len, align, addr);

    if (error != VIRTQ_ENOMEM) {
        return error;
    }
    virtq_iova_depot_drain(depot);
    return take(depot, len, align, addr);
}

int virtq_iova_depot_free(struct virtq_iova_depot *depot, virtq_addr_t addr)
{
    int error;

    virtq_priv_lock(&depot->lock);
    error = virtq_iova_free(depot->iova, addr);
    virtq_priv_unlock(&depot->lock);
    return error;
}

int virtq_priv_iova_depot_find(struct virtq_iova_depot *depot, virtq_addr_t addr,
                               virtq_addr_t *first, uint64_t *len)
{
    int error;

    virtq_priv_lock(&depot->lock);
    error = virtq_priv_iova_find(depot->iova, addr, first, len);
    virtq_priv_unlock(&depot->lock);
    return error;
}

int virtq_priv_iova_depot_join(struct virtq_iova_depot *depot, struct virtq_iova_cache *cache)
{
    const struct virtq_iova_magazine *magazine;
    unsigned enough = 0;
    unsigned order;

    virtq_priv_lock(&depot->caches_lock);
    virtq_priv_lock(&depot->lock);
    for (magazine = depot->empty; magazine != NULL && enough < VIRTQ_IOVA_CACHE_MAGAZINES;
         magazine = magazine->next) {
        enough++;
    }
    if (enough == VIRTQ_IOVA_CACHE_MAGAZINES) {
        for (order = 0; order < VIRTQ_IOVA_ORDERS; order++) {
            cache->loaded[order] = pop(&depot->empty);
            cache->spare[order] = pop(&depot->empty);
        }
        cache->next = depot->caches;
        depot->caches = cache;
    }
    virtq_priv_unlock(&depot->lock);
    virtq_priv_unlock(&depot->caches_lock);
    return enough == VIRTQ_IOVA_CACHE_MAGAZINES ? 0 : VIRTQ_ENOMEM;
}

void virtq_priv_iova_depot_leave(struct virtq_iova_depot *depot, struct virtq_iova_cache *cache)
{
    struct virtq_iova_cache **link;
    unsigned order;

    virtq_priv_lock(&depot->caches_lock);
    for (link = &depot->caches; *link != NULL && *link != cache; link = &(*link)->next) {
    }
    if (*link != NULL) {
        *link = (*link)->next;
    }
    virtq_priv_lock(&depot->lock);
    for (order = 0; order < VIRTQ_IOVA_ORDERS; order++) {
        empty_out(depot, cache->loaded[order]);
        empty_out(depot, cache->spare[order]);
        push(&depot->empty, cache->loaded[order]);
        push(&depot->empty, cache->spare[order]);
    }
    virtq_priv_unlock(&depot->lock);
    virtq_priv_unlock(&depot->caches_lock);
}
