/* SPDX-License-Identifier: BSD-3-Clause */
/* How a tree is read, by writers and, without a lock, by others.
 *
 * What a reader sees while a writer is at work can be a mixture of two states. It is kept inside
 * the tree's memory: an offset is cut to a line and compared with the last node's, an item's number
 * with how many there can be; levels and neighbours are bounded. Then the sequence tells that it
 * was a mixture, and it is thrown away. */
#include "lock.h"
#include "tree.h"
#include "tree_node.h"

/* An answer that is none: a writer was there. No enum virtq_error. */
enum { TORN = 1, TRIES = 8 };

/* Keeps loads before a word that is loaded next. On x86 loads stay in order by themselves. */
static void order_loads(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __asm__ __volatile__("" ::: "memory");
#else
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
}

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

/* A place of an item, and the state of the tree in which it was found. */
struct place {
    struct tree_node *leaf;
    unsigned at;
    uint32_t sequence;
};

static bool unchanged(const struct virtq_tree *tree, const struct place *place)
{
    order_loads();
    return __atomic_load_n(&tree->sequence, __ATOMIC_RELAXED) == place->sequence;
}

/* NULL: nothing that was ever an offset. */
static struct tree_node *node_checked(const struct virtq_tree *tree, uint64_t offset)
{
    offset &= ~(uint64_t)(VIRTQ_CACHE_LINE - 1);
    return VIRTQ_LIKELY(offset <= tree->end) ? tree_node_at(tree, offset) : NULL;
}

/* A large tree's leaves are in no cache: its lines come at once, not one after another as each
 * tells where to go on. */
VIRTQ_TEMPLATE void fetch_leaf(const struct tree_node *leaf)
{
    unsigned i;

    for (i = 0; i < TREE_ITEMS; i += 4) {
        __builtin_prefetch(&leaf->to[i]);
    }
    __builtin_prefetch(leaf->flags);
}

/* The leaf that holds `addr` if any does, and how many of its keys are below. */
VIRTQ_TEMPLATE bool find(const struct virtq_tree *tree, virtq_addr_t addr, struct place *place)
{
    uint32_t level = TREE_LOAD(tree->height);
    struct tree_node *node = node_checked(tree, TREE_LOAD(tree->root));

    for (; level > 0 && node != NULL; level--) {
        node = node_checked(tree, TREE_LOAD(node->to[tree_child(node, addr)].where));
    }
    if (VIRTQ_UNLIKELY(node == NULL)) {
        return false;
    }
    fetch_leaf(node);
    place->leaf = node;
    place->at = tree_rank(node, addr);
    return true;
}

static void read_item(const struct place *place, struct virtq_region *region)
{
    const struct tree_node *leaf = place->leaf;
    unsigned at = place->at;

    region->first = TREE_LOAD(leaf->to[at].first);
    region->last = TREE_LOAD(leaf->keys[at]);
    region->base = (void *)(uintptr_t)TREE_LOAD(leaf->to[at].where);
    region->permissions = TREE_LOAD(leaf->flags[at]);
}

/* The next item up. False: there is none, or (the caller will see) the tree has changed. */
static bool step_up(const struct virtq_tree *tree, struct place *place)
{
    uint64_t after;

    if (place->at + 1 < TREE_ITEMS && TREE_LOAD(place->leaf->flags[place->at + 1]) != 0) {
        place->at++;
        return true;
    }
    after = TREE_LOAD(place->leaf->after);
    if (after == TREE_NOWHERE || (place->leaf = node_checked(tree, after)) == NULL) {
        return false;
    }
    place->at = 0;
    return true;
}

static bool step_down(const struct virtq_tree *tree, struct place *place)
{
    uint64_t before;
    uint64_t count;

    if (place->at > 0) {
        place->at--;
        return true;
    }
    before = TREE_LOAD(place->leaf->before);
    if (before == TREE_NOWHERE || (place->leaf = node_checked(tree, before)) == NULL) {
        return false;
    }
    count = TREE_LOAD(place->leaf->count);
    if (count - 1 >= TREE_ITEMS) {
        return false;
    }
    place->at = (unsigned)count - 1;
    return true;
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
static void extend(const struct virtq_tree *tree, const struct place *from,
                   const struct virtq_priv_question *ask, const struct virtq_region *found,
                   struct virtq_window *window)
{
    struct virtq_region here = *found;
    struct virtq_region next;
    struct place place = *from;
    unsigned i;

    for (i = 0; i < VIRTQ_PRIV_TREE_NEIGHBOURS && step_down(tree, &place); i++) {
        read_item(&place, &next);
        if (!virtq_priv_region_contiguous(&next, &here) ||
            !mergeable(&next, found->permissions, ask)) {
            break;
        }
        here = next;
        window->first = here.first;
        window->base = (unsigned char *)here.base;
        window->permissions &= here.permissions;
    }
    here = *found;
    place = *from;
    for (i = 0; i < VIRTQ_PRIV_TREE_NEIGHBOURS && step_up(tree, &place); i++) {
        read_item(&place, &next);
        if (!virtq_priv_region_contiguous(&here, &next) ||
            !mergeable(&next, found->permissions, ask)) {
            break;
        }
        here = next;
        window->last = here.last;
        window->permissions &= here.permissions;
    }
}

VIRTQ_TEMPLATE int read_window(const struct virtq_tree *tree, const struct virtq_priv_question *ask,
                               struct place *place, struct virtq_window *window)
{
    struct virtq_region found;

    if (!find(tree, ask->addr, place)) {
        return TORN;
    }
    if (place->at == TREE_ITEMS) {
        return VIRTQ_EFAULT;
    }
    read_item(place, &found);
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
    extend(tree, place, ask, &found, window);
    return 0;
}

static void mark(const struct place *place, const struct virtq_priv_question *ask)
{
    /* Only where it changes something: a store would take the line from other readers. */
    if (ask->mark && __atomic_load_n(&place->leaf->marks[place->at], __ATOMIC_RELAXED) == 0) {
        __atomic_store_n(&place->leaf->marks[place->at], 1, __ATOMIC_RELAXED);
    }
}

int virtq_priv_tree_window(const struct virtq_tree *tree, const struct virtq_priv_question *ask,
                           struct virtq_window *window)
{
    struct virtq_window found;
    struct place place;
    int error;

    if (!virtq_priv_permissions_legal(ask->permission)) {
        return VIRTQ_EINVAL;
    }
    error = read_window(tree, ask, &place, &found);
    if (error == 0) {
        mark(&place, ask);
        *window = found;
    }
    return error;
}

int virtq_priv_tree_lookup(const struct virtq_tree *tree, uint32_t *lock,
                           const struct virtq_priv_question *ask, struct virtq_window *window)
{
    struct virtq_window found;
    struct place place;
    unsigned i;
    int error;

    if (!virtq_priv_permissions_legal(ask->permission)) {
        return VIRTQ_EINVAL;
    }
    for (i = 0; i < TRIES && !TREE_READERS_WAIT; i++) {
        place.sequence = __atomic_load_n(&tree->sequence, __ATOMIC_ACQUIRE);
        if (VIRTQ_LIKELY(place.sequence % 2 == 0)) {
            error = read_window(tree, ask, &place, &found);
            if (VIRTQ_LIKELY(unchanged(tree, &place))) {
                if (error == 0) {
                    mark(&place, ask);
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

/* ---- For writers ---- */

bool virtq_priv_tree_from(const struct virtq_tree *tree, virtq_addr_t addr,
                          struct virtq_region *region)
{
    struct place place;

    if (!find(tree, addr, &place)) {
        return false;
    }
    /* Above all of this leaf: the first of the next, which is never empty. */
    if (place.at == TREE_ITEMS || TREE_LOAD(place.leaf->flags[place.at]) == 0) {
        place.at = TREE_ITEMS;
        if (!step_up(tree, &place)) {
            return false;
        }
    }
    read_item(&place, region);
    return true;
}

bool virtq_priv_tree_before(const struct virtq_tree *tree, virtq_addr_t addr,
                            struct virtq_region *region)
{
    struct place place;

    if (!find(tree, addr, &place) || !step_down(tree, &place)) {
        return false;
    }
    read_item(&place, region);
    return true;
}

void virtq_priv_tree_trim(struct virtq_tree *tree, virtq_addr_t last, virtq_addr_t first,
                          virtq_addr_t new_last)
{
    struct place place;
    struct tree_target *to;

    if (!find(tree, last, &place) || place.at == TREE_ITEMS) {
        return;
    }
    to = &place.leaf->to[place.at];
    TREE_STORE(to->where, to->where + (first - to->first));
    TREE_STORE(to->first, first);
    TREE_STORE(place.leaf->keys[place.at], new_last);
}

bool virtq_priv_tree_take_mark(struct virtq_tree *tree, virtq_addr_t last)
{
    struct place place;
    bool used;

    if (!find(tree, last, &place) || place.at == TREE_ITEMS) {
        return false;
    }
    used = __atomic_load_n(&place.leaf->marks[place.at], __ATOMIC_RELAXED) != 0;
    __atomic_store_n(&place.leaf->marks[place.at], 0, __ATOMIC_RELAXED);
    return used;
}
