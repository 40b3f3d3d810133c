/* SPDX-License-Identifier: BSD-3-Clause */
#include "iova_depot.h"

#include <stdbool.h>
#include <string.h>

#include "../space/lock.h"
#include "iova.h"
#include "parts.h"

/* Locks are taken in this order: the list of caches, one cache, one home, the depot. A cache's
 * owner asks for a drain without its own lock, so two owners that run dry at once cannot wait for
 * each other. */

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
    virtq_priv_parts_cut(&depot->parts, iova->first, iova->last, 1);
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

struct virtq_iova_magazine *virtq_priv_iova_depot_full(struct virtq_iova_cache *cache, size_t order,
                                                       struct virtq_iova_magazine *empty)
{
    struct virtq_iova_home *home = cache->home;
    struct virtq_iova_magazine *full;

    virtq_priv_lock(&home->lock);
    full = pop(&home->full[order]);
    if (full != NULL) {
        push(&home->empty, empty);
    }
    virtq_priv_unlock(&home->lock);
    return full;
}

/* With the home's lock: one that is in no home yet, or `full` itself, emptied. */
static struct virtq_iova_magazine *bring_empty(struct virtq_iova_depot *depot,
                                               struct virtq_iova_magazine *full)
{
    struct virtq_iova_magazine *empty;

    virtq_priv_lock(&depot->lock);
    empty = pop(&depot->empty);
    if (empty == NULL) {
        empty_out(depot, full);
        empty = full;
    }
    virtq_priv_unlock(&depot->lock);
    return empty;
}

struct virtq_iova_magazine *virtq_priv_iova_depot_empty(struct virtq_iova_cache *cache,
                                                        size_t order,
                                                        struct virtq_iova_magazine *full)
{
    struct virtq_iova_home *home = cache->home;
    struct virtq_iova_magazine *empty;

    virtq_priv_lock(&home->lock);
    empty = pop(&home->empty);
    if (empty == NULL) {
        empty = bring_empty(cache->depot, full);
    }
    if (empty != full) {
        push(&home->full[order], full);
    }
    virtq_priv_unlock(&home->lock);
    return empty;
}

static struct virtq_iova_home *home_at(struct virtq_iova_depot *depot, unsigned at)
{
    return depot->homes == NULL ? &depot->whole : &depot->homes[at];
}

/* What waits in a home becomes free for all, the magazines too. */
static void clear_home(struct virtq_iova_depot *depot, struct virtq_iova_home *home)
{
    struct virtq_iova_magazine *magazine;
    unsigned order;

    virtq_priv_lock(&home->lock);
    virtq_priv_lock(&depot->lock);
    for (order = 0; order < VIRTQ_IOVA_ORDERS; order++) {
        while ((magazine = pop(&home->full[order])) != NULL) {
            empty_out(depot, magazine);
            push(&depot->empty, magazine);
        }
    }
    while ((magazine = pop(&home->empty)) != NULL) {
        push(&depot->empty, magazine);
    }
    virtq_priv_unlock(&depot->lock);
    virtq_priv_unlock(&home->lock);
}

/* Every address in a magazine becomes free for all. Two magazines a size and cache, and the homes'
 * full ones: bounded by the magazines there are. */
void virtq_iova_depot_drain(struct virtq_iova_depot *depot)
{
    struct virtq_iova_cache *cache;
    unsigned order;
    unsigned at;

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
    for (at = 0; at < depot->parts.count; at++) {
        clear_home(depot, home_at(depot, at));
    }
    virtq_priv_lock(&depot->lock);
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

static int take_at_home(struct virtq_iova_cache *cache, uint64_t len, uint64_t align,
                        virtq_addr_t *addr)
{
    struct virtq_iova_depot *depot = cache->depot;
    unsigned at = (unsigned)(cache->home - depot->homes);
    virtq_addr_t last = virtq_priv_parts_last(&depot->parts, at);
    int error;

    virtq_priv_lock(&depot->lock);
    error =
        virtq_priv_iova_alloc_in(depot->iova, len, align, virtq_priv_parts_first(&depot->parts, at),
                                 last < depot->limit ? last : depot->limit, addr);
    virtq_priv_unlock(&depot->lock);
    return error;
}

int virtq_priv_iova_depot_take(struct virtq_iova_cache *cache, uint64_t len, uint64_t align,
                               virtq_addr_t *addr)
{
    if (cache->depot->homes != NULL && take_at_home(cache, len, align, addr) == 0) {
        return 0;
    }
    return virtq_iova_depot_alloc(cache->depot, len, align, addr);
}

int virtq_iova_depot_spread(struct virtq_iova_depot *depot, struct virtq_iova_home *homes,
                            unsigned count)
{
    if (homes == NULL || (uintptr_t)homes % VIRTQ_CACHE_LINE != 0 || count == 0 ||
        count > VIRTQ_IOMMU_PARTS_MAX) {
        return VIRTQ_EINVAL;
    }
    if (depot->caches != NULL || depot->homes != NULL) {
        return VIRTQ_EBUSY;
    }
    memset(homes, 0, count * sizeof(*homes));
    depot->homes = homes;
    virtq_priv_parts_cut(&depot->parts, depot->iova->first, depot->iova->last, count);
    return 0;
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

static bool has_magazines(const struct virtq_iova_depot *depot)
{
    const struct virtq_iova_magazine *magazine = depot->empty;
    unsigned enough = 0;

    while (magazine != NULL && enough < VIRTQ_IOVA_CACHE_MAGAZINES) {
        enough++;
        magazine = magazine->next;
    }
    return enough == VIRTQ_IOVA_CACHE_MAGAZINES;
}

/* The home with the fewest caches, the lowest of them. */
static struct virtq_iova_home *choose_home(struct virtq_iova_depot *depot)
{
    struct virtq_iova_home *home = home_at(depot, 0);
    unsigned at;

    for (at = 1; at < depot->parts.count; at++) {
        if (home_at(depot, at)->caches < home->caches) {
            home = home_at(depot, at);
        }
    }
    return home;
}

int virtq_priv_iova_depot_join(struct virtq_iova_depot *depot, struct virtq_iova_cache *cache)
{
    unsigned order;
    unsigned at;
    bool enough;

    virtq_priv_lock(&depot->caches_lock);
    cache->home = choose_home(depot);
    virtq_priv_lock(&depot->lock);
    enough = has_magazines(depot);
    virtq_priv_unlock(&depot->lock);
    /* Only then are those asked that wait in homes. */
    for (at = 0; !enough && at < depot->parts.count; at++) {
        clear_home(depot, home_at(depot, at));
    }
    virtq_priv_lock(&depot->lock);
    enough = has_magazines(depot);
    if (enough) {
        for (order = 0; order < VIRTQ_IOVA_ORDERS; order++) {
            cache->loaded[order] = pop(&depot->empty);
            cache->spare[order] = pop(&depot->empty);
        }
        cache->home->caches++;
        cache->next = depot->caches;
        depot->caches = cache;
    }
    virtq_priv_unlock(&depot->lock);
    virtq_priv_unlock(&depot->caches_lock);
    return enough ? 0 : VIRTQ_ENOMEM;
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
    /* Nobody would look for them in an empty house. */
    if (--cache->home->caches == 0) {
        clear_home(depot, cache->home);
    }
    virtq_priv_unlock(&depot->caches_lock);
}
