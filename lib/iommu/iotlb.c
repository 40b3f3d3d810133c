/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/iommu/iotlb.h"

#include <stdbool.h>
#include <string.h>

#include "../space/lock.h"
#include "../space/region.h"

/* A range of the table that goes, and what takes its place: a lower remainder, something new, an
 * upper remainder. */
struct cut {
    unsigned from;
    unsigned to;
    struct virtq_region with[3];
    unsigned count;
};

int virtq_iotlb_init(struct virtq_iotlb *iotlb, struct virtq_region *entries, unsigned capacity)
{
    if (entries == NULL || capacity == 0) {
        return VIRTQ_EINVAL;
    }
    memset(iotlb, 0, sizeof(*iotlb));
    iotlb->entries = entries;
    iotlb->capacity = capacity;
    return 0;
}

static void keep(struct cut *cut, const struct virtq_region *entry, virtq_addr_t first,
                 virtq_addr_t last)
{
    struct virtq_region *part = &cut->with[cut->count++];

    *part = *entry;
    part->first = first;
    part->last = last;
    /* Not as a pointer: the base may be NULL, where all memory is mapped as it is. */
    part->base = (void *)((uintptr_t)entry->base + (uintptr_t)(first - entry->first));
}

/* What becomes of the entries that share an address with [first, last], and of `new`, if there is
 * one. */
static void plan_cut(const struct virtq_iotlb *iotlb, virtq_addr_t first, virtq_addr_t last,
                     const struct virtq_region *new, struct cut *cut)
{
    const struct virtq_region *entries = iotlb->entries;
    unsigned to;

    cut->count = 0;
    cut->from = virtq_priv_region_from(entries, iotlb->count, first);
    for (to = cut->from; to < iotlb->count && entries[to].first <= last; to++) {
    }
    cut->to = to;
    if (to > cut->from && entries[cut->from].first < first) {
        keep(cut, &entries[cut->from], entries[cut->from].first, first - 1);
    }
    if (new != NULL) {
        cut->with[cut->count++] = *new;
    }
    if (to > cut->from && entries[to - 1].last > last) {
        keep(cut, &entries[to - 1], last + 1, entries[to - 1].last);
    }
}

static bool has_room(const struct virtq_iotlb *iotlb, const struct cut *cut)
{
    return cut->count <= iotlb->capacity - (iotlb->count - (cut->to - cut->from));
}

static void apply(struct virtq_iotlb *iotlb, const struct cut *cut)
{
    virtq_priv_region_splice(iotlb->entries, &iotlb->count, cut->from, cut->to, cut->with,
                             cut->count);
}

/* After the table, so that a queue that has seen the new generation cannot get an old window any
 * more. */
static void tell_space(struct virtq_iotlb *iotlb)
{
    if (iotlb->space != NULL) {
        virtq_space_invalidated(iotlb->space);
    }
}

int virtq_iotlb_update(struct virtq_iotlb *iotlb, virtq_addr_t first, virtq_addr_t last, void *base,
                       uint32_t permissions)
{
    const struct virtq_region region = {first, last, base, permissions};
    bool replaces = false;
    struct cut cut;
    int error = VIRTQ_ENOMEM;

    if (!virtq_priv_region_legal(&region)) {
        return VIRTQ_EINVAL;
    }
    virtq_priv_lock(&iotlb->lock);
    plan_cut(iotlb, first, last, &region, &cut);
    if (has_room(iotlb, &cut)) {
        replaces = cut.to > cut.from;
        apply(iotlb, &cut);
        error = 0;
    }
    virtq_priv_unlock(&iotlb->lock);
    if (replaces) {
        tell_space(iotlb);
    }
    return error;
}

int virtq_iotlb_invalidate(struct virtq_iotlb *iotlb, virtq_addr_t first, virtq_addr_t last)
{
    bool changes;
    struct cut cut;

    if (first > last) {
        return VIRTQ_EINVAL;
    }
    virtq_priv_lock(&iotlb->lock);
    plan_cut(iotlb, first, last, NULL, &cut);
    /* Only one entry split in two can need room. A cache may forget; it may not remember what is
     * gone. */
    if (!has_room(iotlb, &cut)) {
        cut.count--;
        iotlb->dropped++;
    }
    changes = cut.to > cut.from;
    apply(iotlb, &cut);
    virtq_priv_unlock(&iotlb->lock);
    if (changes) {
        tell_space(iotlb);
    }
    return 0;
}

int virtq_iotlb_lookup(struct virtq_iotlb *iotlb, virtq_addr_t addr, uint32_t permission,
                       struct virtq_window *window)
{
    int error;

    virtq_priv_lock(&iotlb->lock);
    error = virtq_priv_region_window(iotlb->entries, iotlb->count, addr, permission,
                                     VIRTQ_PRIV_MERGE_ENOUGH, window);
    virtq_priv_unlock(&iotlb->lock);
    return error == VIRTQ_EFAULT ? VIRTQ_EMISS : error;
}
