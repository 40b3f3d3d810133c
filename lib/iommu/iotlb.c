/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/iommu/iotlb.h"

#include <stdbool.h>

#include "../space/lock.h"
#include "../space/tree.h"
#include "../space/tree_read.h"
#include "iotlb_private.h"

/* What an update or an invalidation of a range does to the table. */
struct cut {
    struct virtq_region low;  /* What is left, or lies, next to the range below it ... */
    struct virtq_region high; /* ... and above it. */
    unsigned overlapping;     /* Entries that share an address with the range. */
    unsigned left;            /* Remainders of those. */
    bool merges_low;          /* `low` and the new entry become one. */
    bool merges_high;         /* `high` and the new entry do. */
};

size_t virtq_iotlb_size(unsigned capacity)
{
    return virtq_priv_tree_size(capacity);
}

int virtq_iotlb_init(struct virtq_iotlb *iotlb, unsigned capacity, void *memory, size_t size)
{
    int error = virtq_priv_tree_init(&iotlb->tree, capacity, memory, size);

    if (error == 0) {
        const struct virtq_tree tree = iotlb->tree;

        *iotlb = (struct virtq_iotlb){.tree = tree};
    }
    return error;
}

void virtq_iotlb_set_eviction(struct virtq_iotlb *iotlb, bool evicts)
{
    iotlb->evicts = evicts ? 1u : 0u;
}

/* The part of an entry from `first` to `last`. Not by pointer: the base may be NULL, where all
 * memory is mapped as it is. */
static struct virtq_region part(const struct virtq_region *entry, virtq_addr_t first,
                                virtq_addr_t last)
{
    void *base = (void *)((uintptr_t)entry->base + (uintptr_t)(first - entry->first));

    return (struct virtq_region){first, last, base, entry->permissions};
}

static void plan_cut(const struct virtq_iotlb *iotlb, virtq_addr_t first, virtq_addr_t last,
                     struct cut *cut)
{
    struct virtq_region entry;
    virtq_addr_t at = first;

    *cut = (struct cut){.overlapping = 0};
    while (virtq_priv_tree_from(&iotlb->tree, at, &entry) && entry.first <= last) {
        cut->overlapping++;
        if (entry.first < first) {
            cut->low = part(&entry, entry.first, first - 1);
            cut->left++;
        }
        if (entry.last > last) {
            cut->high = part(&entry, last + 1, entry.last);
            cut->left++;
        }
        if (entry.last >= last) {
            break;
        }
        at = entry.last + 1;
    }
}

/* Whether neighbours and `new` are to become one entry. */
static void plan_merge(const struct virtq_iotlb *iotlb, const struct virtq_region *new,
                       struct cut *cut)
{
    if (cut->low.permissions == 0) {
        (void)virtq_priv_tree_before(&iotlb->tree, new->first, &cut->low);
    }
    if (cut->high.permissions == 0 && new->last != UINT64_MAX) {
        (void)virtq_priv_tree_from(&iotlb->tree, new->last + 1, &cut->high);
    }
    cut->merges_low =
        cut->low.permissions == new->permissions &&virtq_priv_region_contiguous(&cut->low, new);
    cut->merges_high =
        cut->high.permissions == new->permissions &&virtq_priv_region_contiguous(new, &cut->high);
}

static bool has_room(const struct virtq_iotlb *iotlb, const struct cut *cut, unsigned more)
{
    unsigned gone = cut->overlapping + (cut->merges_low ? 1u : 0u) + (cut->merges_high ? 1u : 0u);

    return iotlb->tree.count + cut->left + more - gone <= iotlb->tree.capacity;
}

/* Takes [first, last] out. `keep_high`: the remainder of an entry split in two is kept. */
static void apply_cut(struct virtq_tree *tree, virtq_addr_t first, virtq_addr_t last,
                      bool keep_high)
{
    struct virtq_region entry;

    if (first == 0 && last == UINT64_MAX) {
        virtq_priv_tree_clear(tree);
        return;
    }
    while (virtq_priv_tree_from(tree, first, &entry) && entry.first <= last) {
        if (entry.first < first) {
            virtq_priv_tree_trim(tree, entry.last, entry.first, first - 1);
            if (entry.last > last && keep_high) {
                struct virtq_region high = part(&entry, last + 1, entry.last);

                virtq_priv_tree_insert(tree, &high);
            }
        } else if (entry.last > last) {
            virtq_priv_tree_trim(tree, entry.last, last + 1, entry.last);
        } else {
            virtq_priv_tree_remove(tree, entry.last);
        }
    }
}

/* `new` and what it continues take the place of what was there. */
static void replace(struct virtq_tree *tree, const struct virtq_region *new, const struct cut *cut)
{
    struct virtq_region entry = *new;

    apply_cut(tree, new->first, new->last, true);
    if (cut->merges_low) {
        virtq_priv_tree_remove(tree, cut->low.last);
        entry.first = cut->low.first;
        entry.base = cut->low.base;
    }
    if (cut->merges_high) {
        virtq_priv_tree_remove(tree, cut->high.last);
        entry.last = cut->high.last;
    }
    virtq_priv_tree_insert(tree, &entry);
}

/* After the table, so that a queue that has seen the new generation cannot get an old window any
 * more. */
static void tell_space(struct virtq_iotlb *iotlb)
{
    if (iotlb->space != NULL) {
        virtq_space_invalidated(iotlb->space);
    }
}

/* Second chance: whoever was looked up since the hand was last there stays for a round, so what a
 * buffer has found so far is not what goes for what it still needs. A round clears all marks; that
 * readers set them again meanwhile does not prolong it. */
static void evict(struct virtq_iotlb *iotlb)
{
    struct virtq_region entry = {.last = 0};
    unsigned step;

    for (step = 0; step <= iotlb->tree.count; step++) {
        if (!virtq_priv_tree_from(&iotlb->tree, iotlb->hand, &entry)) {
            iotlb->hand = 0;
            (void)virtq_priv_tree_from(&iotlb->tree, 0, &entry);
        }
        iotlb->hand = entry.last + 1; /* Behind the last address comes the first. */
        if (!virtq_priv_tree_take_mark(&iotlb->tree, entry.last)) {
            break;
        }
    }
    virtq_priv_tree_begin(&iotlb->tree);
    virtq_priv_tree_remove(&iotlb->tree, entry.last);
    virtq_priv_tree_commit(&iotlb->tree);
    iotlb->evicted++;
}

/* VIRTQ_ENOMEM if there is no room, and none is to be made. */
static int make_room(struct virtq_iotlb *iotlb, const struct virtq_region *region, bool evicts,
                     struct cut *cut)
{
    for (;;) {
        plan_cut(iotlb, region->first, region->last, cut);
        plan_merge(iotlb, region, cut);
        if (has_room(iotlb, cut, 1)) {
            return 0;
        }
        if (!evicts || iotlb->tree.count == 0) {
            return VIRTQ_ENOMEM;
        }
        evict(iotlb);
    }
}

int virtq_priv_iotlb_enter(struct virtq_iotlb *iotlb, const struct virtq_region *region,
                           bool evicts, bool *replaced, bool *evicted)
{
    uint64_t before;
    struct cut cut;
    int error;

    *replaced = false;
    virtq_priv_lock(&iotlb->lock);
    before = iotlb->evicted;
    plan_cut(iotlb, region->first, region->last, &cut);
    plan_merge(iotlb, region, &cut);
    if (cut.overlapping == 1 && cut.left == 2 && cut.merges_low && cut.merges_high) {
        error = 0; /* Known already, as the middle of an entry. To cut that might need room. */
    } else {
        error = make_room(iotlb, region, evicts, &cut);
        if (error == 0) {
            *replaced = cut.overlapping != 0;
            virtq_priv_tree_begin(&iotlb->tree);
            replace(&iotlb->tree, region, &cut);
            virtq_priv_tree_commit(&iotlb->tree);
        }
    }
    if (error == 0) {
        virtq_priv_iotlb_resolve_misses(iotlb, region);
    }
    *evicted = iotlb->evicted != before;
    virtq_priv_unlock(&iotlb->lock);
    return error;
}

int virtq_iotlb_update(struct virtq_iotlb *iotlb, virtq_addr_t first, virtq_addr_t last, void *base,
                       uint32_t permissions)
{
    const struct virtq_region region = {first, last, base, permissions};
    bool replaced;
    bool evicted;
    int error;

    if (!virtq_priv_region_legal(&region)) {
        return VIRTQ_EINVAL;
    }
    error = virtq_priv_iotlb_enter(iotlb, &region, iotlb->evicts != 0, &replaced, &evicted);
    if (replaced) {
        tell_space(iotlb);
    } else if (evicted && iotlb->space != NULL) {
        /* Or a window would outlive the entry that an invalidation has to find. */
        virtq_space_moved(iotlb->space);
    }
    return error;
}

int virtq_iotlb_invalidate(struct virtq_iotlb *iotlb, virtq_addr_t first, virtq_addr_t last)
{
    bool keep_high;
    bool tell;
    struct cut cut;

    if (first > last) {
        return VIRTQ_EINVAL;
    }
    virtq_priv_lock(&iotlb->lock);
    plan_cut(iotlb, first, last, &cut);
    if (cut.overlapping != 0) {
        /* Only one entry split in two can need room. A cache may forget; it may not remember what
         * is gone. */
        keep_high = has_room(iotlb, &cut, 0);
        iotlb->dropped += keep_high ? 0u : 1u;
        virtq_priv_tree_begin(&iotlb->tree);
        apply_cut(&iotlb->tree, first, last, keep_high);
        virtq_priv_tree_commit(&iotlb->tree);
    }
    /* What was evicted may be in use still by a burst that began before. */
    tell = cut.overlapping != 0 || iotlb->evicted != 0;
    virtq_priv_unlock(&iotlb->lock);
    if (tell) {
        tell_space(iotlb);
    }
    return 0;
}

int virtq_iotlb_lookup(struct virtq_iotlb *iotlb, virtq_addr_t addr, uint32_t permission,
                       struct virtq_window *window)
{
    const struct virtq_priv_question ask = {addr, permission, VIRTQ_PRIV_MERGE_ENOUGH, true};
    int error = virtq_priv_tree_look(&iotlb->tree, &iotlb->lock, ask, window);

    return error == VIRTQ_EFAULT ? VIRTQ_EMISS : error;
}
