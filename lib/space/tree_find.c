/* SPDX-License-Identifier: BSD-3-Clause */
/* How a tree is read, by writers and, without a lock, by others.
 What most lookups need is in
 * tree_read.h; here is the rest: neighbours, whose number is bounded, errors, and writers that get
 * in between. */
#include "lock.h"
#include "tree_read.h"

/* An answer that is none: a writer was there. No enum virtq_error. */
enum { TORN = 1, TRIES = 8 };

void virtq_priv_tree_begin(struct virtq_tree *tree)
{
    __atomic_store_n(&tree->sequence, tree->sequence + 1, __ATOMIC_RELAXED);
    /* The odd number before all that is changed: a reader that sees a change sees the number too,
     * when it compares. */
#if defined(__x86_64__) || defined(__i386__)
    __asm__ __volatile__("" ::: "memory");
#else
    __atomic_thread_fence(__ATOMIC_RELEASE);
#endif
}

void virtq_priv_tree_commit(struct virtq_tree *tree)
{
    __atomic_store_n(&tree->sequence, tree->sequence + 1, __ATOMIC_RELEASE);
}

static bool mergeable(const struct virtq_region *other, uint32_t permissions,
                      const struct virtq_priv_question *ask)
{
    if (ask->merge == VIRTQ_PRIV_MERGE_EQUAL) {
        return other->permissions == permissions;
    }
    return (other->permissions & ask->permission) == ask->permission;
}

/* Takes neighbours in, up to a bound, from the region in `window`. */
static void extend(const struct virtq_tree *tree, const struct tree_place *from,
                   const struct virtq_priv_question *ask, struct virtq_window *window)
{
    struct virtq_region found;
    struct virtq_region here;
    struct virtq_region next;
    struct tree_place place = *from;
    unsigned i;

    tree_item(&place, &found);
    here = found;
    for (i = 0; i < VIRTQ_PRIV_TREE_NEIGHBOURS && tree_step_down(tree, &place); i++) {
        tree_item(&place, &next);
        if (!virtq_priv_region_contiguous(&next, &here) ||
            !mergeable(&next, found.permissions, ask)) {
            break;
        }
        here = next;
        window->first = here.first;
        window->base = (unsigned char *)here.base;
        window->permissions &= here.permissions;
    }
    here = found;
    place = *from;
    for (i = 0; i < VIRTQ_PRIV_TREE_NEIGHBOURS && tree_step_up(tree, &place); i++) {
        tree_item(&place, &next);
        if (!virtq_priv_region_contiguous(&here, &next) ||
            !mergeable(&next, found.permissions, ask)) {
            break;
        }
        here = next;
        window->last = here.last;
        window->permissions &= here.permissions;
    }
}

static int read_window(const struct virtq_tree *tree, const struct virtq_priv_question *ask,
                       struct tree_place *place, struct virtq_window *window)
{
    struct virtq_region found;

    if (!tree_find(tree, ask->addr, place)) {
        return TORN;
    }
    if (place->at == TREE_ITEMS) {
        return VIRTQ_EFAULT;
    }
    tree_item(place, &found);
    if (found.permissions == 0 || found.first > ask->addr) {
        return VIRTQ_EFAULT;
    }
    if ((found.permissions & ask->permission) != ask->permission) {
        return VIRTQ_EPERM;
    }
    *window = (struct virtq_window){.first = found.first,
                                    .last = found.last,
                                    .base = (unsigned char *)found.base,
                                    .permissions = found.permissions};
    if ((TREE_LOAD(place->leaf->flags[place->at]) & TREE_JOINS) != 0) {
        extend(tree, place, ask, window);
    }
    return 0;
}

int virtq_priv_tree_window(const struct virtq_tree *tree, const struct virtq_priv_question *ask,
                           struct virtq_window *window)
{
    struct virtq_window found;
    struct tree_place place;
    int error;

    if (!virtq_priv_permissions_legal(ask->permission)) {
        return VIRTQ_EINVAL;
    }
    error = read_window(tree, ask, &place, &found);
    if (error == 0) {
        tree_mark(&place, ask->mark);
        *window = found;
    }
    return error;
}

int virtq_priv_tree_lookup(const struct virtq_tree *tree, uint32_t *lock,
                           const struct virtq_priv_question *ask, struct virtq_window *window)
{
    struct virtq_window found;
    struct tree_place place;
    unsigned i;
    int error;

    if (!virtq_priv_permissions_legal(ask->permission)) {
        return VIRTQ_EINVAL;
    }
    for (i = 0; i < TRIES && !TREE_READERS_WAIT; i++) {
        uint32_t sequence = tree_sequence(tree);

        if (VIRTQ_LIKELY(sequence % 2 == 0)) {
            error = read_window(tree, ask, &place, &found);
            if (VIRTQ_LIKELY(tree_unchanged(tree, sequence))) {
                if (error == 0) {
                    tree_mark(&place, ask->mark);
                    *window = found;
                }
                return error;
            }
        }
        virtq_priv_relax();
    }
    virtq_priv_lock(lock);
    error = virtq_priv_tree_window(tree, ask, window);
    virtq_priv_unlock(lock);
    return error;
}

/* ---- One region ---- */

VIRTQ_TEMPLATE int read_region(const struct virtq_tree *tree, virtq_addr_t addr,
                               struct tree_place *place, struct virtq_region *region)
{
    if (!tree_find(tree, addr, place)) {
        return TORN;
    }
    if (place->at == TREE_ITEMS) {
        return VIRTQ_EFAULT;
    }
    tree_item(place, region);
    return region->permissions == 0 || region->first > addr ? VIRTQ_EFAULT : VIRTQ_OK;
}

/* The way down, until no writer was there meanwhile. */
VIRTQ_OUTLINE int find_far(const struct virtq_tree *tree, uint32_t *lock, virtq_addr_t addr,
                           struct virtq_region *region)
{
    struct tree_place place;
    unsigned i;
    int error;

    for (i = 0; i < TRIES && !TREE_READERS_WAIT; i++) {
        const uint32_t sequence = tree_sequence(tree);

        if (VIRTQ_LIKELY(sequence % 2 == 0)) {
            error = read_region(tree, addr, &place, region);
            if (VIRTQ_LIKELY(tree_unchanged(tree, sequence))) {
                if (error == VIRTQ_OK) {
                    tree_point(tree, addr, place.leaf);
                }
                return error;
            }
        }
        virtq_priv_relax();
    }
    virtq_priv_lock(lock);
    error = read_region(tree, addr, &place, region);
    virtq_priv_unlock(lock);
    return error;
}

int virtq_priv_tree_find(const struct virtq_tree *tree, uint32_t *lock, virtq_addr_t addr,
                         struct virtq_region *region)
{
    const uint32_t sequence = tree_sequence(tree);

    if (VIRTQ_LIKELY(!TREE_READERS_WAIT && sequence % 2 == 0)) {
        struct tree_node *leaf = tree_pointed(tree, addr);
        const struct tree_place place = {leaf, tree_rank(leaf, addr)};

        /* If the leaf is this tree's and holds the address, then there is no other answer. */
        if (VIRTQ_LIKELY(place.at != TREE_ITEMS && TREE_LOAD(leaf->owner) == tree_number(tree))) {
            tree_item(&place, region);
            if (VIRTQ_LIKELY(region->permissions != 0 && region->first <= addr &&
                             tree_unchanged(tree, sequence))) {
                return VIRTQ_OK;
            }
        }
    }
    return find_far(tree, lock, addr, region);
}

/* ---- For writers ---- */

bool virtq_priv_tree_from(const struct virtq_tree *tree, virtq_addr_t addr,
                          struct virtq_region *region)
{
    struct tree_place place;

    if (!tree_find(tree, addr, &place)) {
        return false;
    }
    /* Above all of this leaf: the first of the next, which is never empty. */
    if (place.at == TREE_ITEMS || TREE_LOAD(place.leaf->flags[place.at]) == 0) {
        place.at = TREE_ITEMS;
        if (!tree_step_up(tree, &place)) {
            return false;
        }
    }
    tree_item(&place, region);
    return true;
}

bool virtq_priv_tree_before(const struct virtq_tree *tree, virtq_addr_t addr,
                            struct virtq_region *region)
{
    struct tree_place place;

    if (!tree_find(tree, addr, &place) || !tree_step_down(tree, &place)) {
        return false;
    }
    tree_item(&place, region);
    return true;
}

void virtq_priv_tree_trim(struct virtq_tree *tree, virtq_addr_t last, virtq_addr_t first,
                          virtq_addr_t new_last)
{
    struct tree_place place;
    struct tree_target *to;

    if (!tree_find(tree, last, &place) || place.at == TREE_ITEMS) {
        return;
    }
    to = &place.leaf->to[place.at];
    TREE_STORE(to->where, to->where + (first - to->first));
    TREE_STORE(to->first, first);
    TREE_STORE(place.leaf->keys[place.at], new_last);
}

bool virtq_priv_tree_take_mark(struct virtq_tree *tree, virtq_addr_t last)
{
    struct tree_place place;
    bool used;

    if (!tree_find(tree, last, &place) || place.at == TREE_ITEMS) {
        return false;
    }
    used = __atomic_load_n(&place.leaf->marks[place.at], __ATOMIC_RELAXED) != 0;
    __atomic_store_n(&place.leaf->marks[place.at], 0, __ATOMIC_RELAXED);
    return used;
}
