/* SPDX-License-Identifier: BSD-3-Clause */
/* How a tree changes. On the way down to an item that comes, full nodes are split; on the way to
 * one that goes, nodes that have no item to spare get some or are joined with their neighbour. So
 * there is never a way back up. */
#include "tree_read.h"

/* ---- Nodes and items ---- */

static struct tree_node *node_new(struct virtq_tree *tree, uint64_t *offset)
{
    struct virtq_tree *pool = tree->pool != NULL ? tree->pool : tree;
    struct tree_node *node;
    unsigned i;

    if (pool->spare != TREE_NOWHERE) {
        *offset = pool->spare;
        node = tree_node_at(pool, *offset);
        pool->spare = TREE_LOAD(node->after);
    } else {
        *offset = pool->fresh;
        node = tree_node_at(pool, *offset);
        pool->fresh += VIRTQ_TREE_NODE_SIZE;
    }
    for (i = 0; i < TREE_ITEMS; i++) {
        TREE_STORE(node->keys[i], UINT64_MAX);
        TREE_STORE(node->to[i].first, UINT64_MAX);
        TREE_STORE(node->to[i].where, 0);
        TREE_STORE(node->flags[i], 0);
        TREE_STORE(node->marks[i], 0);
    }
    TREE_STORE(node->count, 0);
    TREE_STORE(node->before, TREE_NOWHERE);
    TREE_STORE(node->after, TREE_NOWHERE);
    TREE_STORE(node->owner, tree_number(tree));
    return node;
}

static void node_free(struct virtq_tree *tree, uint64_t offset)
{
    struct virtq_tree *pool = tree->pool != NULL ? tree->pool : tree;

    TREE_STORE(tree_node_at(pool, offset)->owner, 0);
    TREE_STORE(tree_node_at(pool, offset)->after, pool->spare);
    pool->spare = offset;
}

VIRTQ_TEMPLATE void item_copy(struct tree_node *to, size_t i, const struct tree_node *from,
                              size_t j)
{
    TREE_STORE(to->keys[i], TREE_LOAD(from->keys[j]));
    TREE_STORE(to->to[i].first, TREE_LOAD(from->to[j].first));
    TREE_STORE(to->to[i].where, TREE_LOAD(from->to[j].where));
    TREE_STORE(to->flags[i], TREE_LOAD(from->flags[j]));
    TREE_STORE(to->marks[i], TREE_LOAD(from->marks[j]));
}

/* Makes `count` items from `at` on, to be filled. */
VIRTQ_TEMPLATE void items_open(struct tree_node *node, size_t at, size_t count)
{
    size_t i = (size_t)node->count;

    for (; i > at; i--) {
        item_copy(node, i - 1 + count, node, i - 1);
    }
    TREE_STORE(node->count, node->count + count);
}

/* Takes `count` items from `at` on out. */
static void items_close(struct tree_node *node, unsigned at, unsigned count)
{
    unsigned left = (unsigned)node->count - count;
    unsigned i;

    for (i = at; i < left; i++) {
        item_copy(node, i, node, i + count);
    }
    for (i = left; i < node->count; i++) {
        TREE_STORE(node->keys[i], UINT64_MAX);
        TREE_STORE(node->flags[i], 0);
    }
    TREE_STORE(node->count, left);
}

static void items_move(struct tree_node *to, unsigned i, struct tree_node *from, unsigned j,
                       unsigned count)
{
    unsigned k;

    items_open(to, i, count);
    for (k = 0; k < count; k++) {
        item_copy(to, i + k, from, j + k);
    }
    items_close(from, j, count);
}

/* The parent's key between `left` and what follows it. An inner node's own last key is UINT64_MAX,
 * but while it is split or joined, that place holds the key between. */
static void key_between(struct tree_node *parent, unsigned at, struct tree_node *left, bool inner)
{
    TREE_STORE(parent->keys[at], left->keys[left->count - 1]);
    if (inner) {
        TREE_STORE(left->keys[left->count - 1], UINT64_MAX);
    }
}

/* ---- Adding ---- */

static void split(struct virtq_tree *tree, struct tree_node *parent, unsigned at, bool inner)
{
    uint64_t left_at = parent->to[at].where;
    struct tree_node *left = tree_node_at(tree, left_at);
    uint64_t right_at;
    struct tree_node *right = node_new(tree, &right_at);
    unsigned i;

    items_move(right, 0, left, TREE_ITEMS / 2, TREE_ITEMS / 2);
    for (i = 0; i < TREE_ITEMS / 2 && !inner && tree->fingers != NULL; i++) {
        tree_point(tree, right->to[i].first, right);
    }
    TREE_STORE(right->before, left_at);
    TREE_STORE(right->after, left->after);
    if (!inner && left->after != TREE_NOWHERE) {
        TREE_STORE(tree_node_at(tree, left->after)->before, right_at);
    }
    TREE_STORE(left->after, right_at);
    items_open(parent, at + 1, 1);
    item_copy(parent, at + 1, parent, at);
    TREE_STORE(parent->to[at + 1].where, right_at);
    key_between(parent, at, left, inner);
}

static void grow(struct virtq_tree *tree)
{
    uint64_t offset;
    struct tree_node *root = node_new(tree, &offset);

    TREE_STORE(root->to[0].where, tree->root);
    TREE_STORE(root->count, 1);
    TREE_STORE(tree->root, offset);
    TREE_STORE(tree->height, tree->height + 1);
}

/* Readers look at neighbours only where this says so; also at those in the next leaf, which they
 * would otherwise have to load to see that they have nothing to do with it. */
VIRTQ_OUTLINE void note_neighbours(struct virtq_tree *tree, struct tree_node *leaf, unsigned at,
                                   const struct virtq_region *region)
{
    struct virtq_region next;
    struct tree_place place = {leaf, at};
    uint8_t joins = 0;

    if (tree_step_down(tree, &place)) {
        tree_item(&place, &next);
        if (virtq_priv_region_contiguous(&next, region)) {
            TREE_STORE(place.leaf->flags[place.at],
                       (uint8_t)(place.leaf->flags[place.at] | TREE_JOINS));
            joins = TREE_JOINS;
        }
    }
    place = (struct tree_place){leaf, at};
    if (tree_step_up(tree, &place)) {
        tree_item(&place, &next);
        if (virtq_priv_region_contiguous(region, &next)) {
            TREE_STORE(place.leaf->flags[place.at],
                       (uint8_t)(place.leaf->flags[place.at] | TREE_JOINS));
            joins = TREE_JOINS;
        }
    }
    TREE_STORE(leaf->flags[at], (uint8_t)(region->permissions | joins));
}

/* Into a leaf with room. */
VIRTQ_TEMPLATE void put(struct virtq_tree *tree, struct tree_node *leaf, unsigned at,
                        const struct virtq_region *region)
{
    items_open(leaf, at, 1);
    TREE_STORE(leaf->keys[at], region->last);
    TREE_STORE(leaf->to[at].first, region->first);
    TREE_STORE(leaf->to[at].where, (uint64_t)(uintptr_t)region->base);
    TREE_STORE(leaf->marks[at], 1);
    TREE_STORE(tree->count, tree->count + 1);
    if (tree->fingers != NULL) {
        TREE_STORE(leaf->flags[at], (uint8_t)region->permissions);
        tree_point(tree, region->first, leaf);
    } else {
        note_neighbours(tree, leaf, at, region);
    }
}

void virtq_priv_tree_insert(struct virtq_tree *tree, const struct virtq_region *region)
{
    struct tree_node *node = tree_node_at(tree, tree->root);
    uint32_t level;
    unsigned at;

    if (node->count == TREE_ITEMS) {
        grow(tree);
        node = tree_node_at(tree, tree->root);
    }
    for (level = tree->height; level > 0; level--) {
        at = (unsigned)tree_child(node, region->last);
        if (tree_node_at(tree, node->to[at].where)->count == TREE_ITEMS) {
            split(tree, node, at, level > 1);
            at = (unsigned)tree_child(node, region->last);
        }
        /* A key between two nodes may lie anywhere in the hole between their regions; here the
         * hole is filled. */
        if (at > 0 && node->keys[at - 1] >= region->first) {
            TREE_STORE(node->keys[at - 1], region->first - 1);
        }
        node = tree_node_at(tree, node->to[at].where);
    }
    put(tree, node, (unsigned)tree_rank(node, region->last), region);
}

int virtq_priv_tree_add(struct virtq_tree *tree, const struct virtq_region *region)
{
    struct tree_node *node = tree_node_at(tree, tree->root);
    struct virtq_region other;
    bool alone = true; /* No other leaf can hold what the region overlaps. */
    uint32_t level;
    size_t at;

    for (level = tree->height; level > 0; level--) {
        at = tree_child(node, region->last);
        alone = alone && (at == 0 || node->keys[at - 1] < region->first);
        node = tree_node_at(tree, node->to[at].where);
    }
    at = tree_rank(node, region->last);
    if (VIRTQ_UNLIKELY(!alone)) {
        if (virtq_priv_tree_from(tree, region->first, &other) && other.first <= region->last) {
            return VIRTQ_EINVAL;
        }
    } else if ((at < node->count && node->to[at].first <= region->last) ||
               (at > 0 && node->keys[at - 1] >= region->first)) {
        return VIRTQ_EINVAL;
    }
    if (tree->count == tree->capacity) {
        return VIRTQ_ENOMEM;
    }
    if (VIRTQ_LIKELY(alone && node->count < TREE_ITEMS)) {
        put(tree, node, (unsigned)at, region);
    } else {
        virtq_priv_tree_insert(tree, region);
    }
    return 0;
}

int virtq_priv_tree_add_near(struct virtq_tree *tree, const struct virtq_region *region)
{
    struct tree_node *leaf = tree_pointed(tree, region->first);
    const size_t at = tree_rank(leaf, region->first);

    /* Between two items of one leaf there is no key of an inner node. */
    if (VIRTQ_LIKELY(leaf->owner == tree_number(tree) && leaf->flags[0] != 0 && at != 0 &&
                     at < leaf->count && leaf->count != TREE_ITEMS &&
                     leaf->to[at].first > region->last && tree->count != tree->capacity)) {
        put(tree, leaf, (unsigned)at, region);
        return 0;
    }
    return virtq_priv_tree_add(tree, region);
}

/* ---- Removing ---- */

/* Two neighbours become one, or are filled alike. */
static void join(struct virtq_tree *tree, struct tree_node *parent, unsigned at, bool inner)
{
    uint64_t right_at = parent->to[at + 1].where;
    struct tree_node *left = tree_node_at(tree, parent->to[at].where);
    struct tree_node *right = tree_node_at(tree, right_at);
    unsigned total = (unsigned)(left->count + right->count);

    if (inner) {
        TREE_STORE(left->keys[left->count - 1], parent->keys[at]);
    }
    if (total <= TREE_ITEMS) {
        uint64_t key = parent->keys[at + 1];

        items_move(left, (unsigned)left->count, right, 0, (unsigned)right->count);
        if (!inner) {
            TREE_STORE(left->after, right->after);
            if (right->after != TREE_NOWHERE) {
                TREE_STORE(tree_node_at(tree, right->after)->before, parent->to[at].where);
            }
        }
        node_free(tree, right_at);
        items_close(parent, at + 1, 1);
        TREE_STORE(parent->keys[at], key);
        return;
    }
    if (left->count < total / 2) {
        items_move(left, (unsigned)left->count, right, 0, total / 2 - (unsigned)left->count);
    } else {
        items_move(right, 0, left, total / 2, (unsigned)left->count - total / 2);
    }
    key_between(parent, at, left, inner);
}

static void shrink(struct virtq_tree *tree)
{
    struct tree_node *root = tree_node_at(tree, tree->root);

    while (tree->height > 0 && root->count == 1) {
        uint64_t child = root->to[0].where;

        node_free(tree, tree->root);
        TREE_STORE(tree->root, child);
        TREE_STORE(tree->height, tree->height - 1);
        root = tree_node_at(tree, child);
    }
}

void virtq_priv_tree_remove(struct virtq_tree *tree, virtq_addr_t last)
{
    struct tree_node *node = tree_node_at(tree, tree->root);
    uint32_t level;

    for (level = tree->height; level > 0; level--) {
        unsigned at = (unsigned)tree_child(node, last);

        if (tree_node_at(tree, node->to[at].where)->count <= TREE_ITEMS_MIN) {
            join(tree, node, at > 0 ? at - 1 : at, level > 1);
            at = (unsigned)tree_child(node, last);
        }
        node = tree_node_at(tree, node->to[at].where);
    }
    items_close(node, (unsigned)tree_rank(node, last), 1);
    TREE_STORE(tree->count, tree->count - 1);
    shrink(tree);
}

/* The leaf that holds exactly this region, and where; NULL: there is none. */
VIRTQ_TEMPLATE struct tree_node *leaf_of(const struct virtq_tree *tree,
                                         const struct virtq_region *range, size_t *at)
{
    struct tree_node *node = tree_node_at(tree, tree->root);
    uint32_t level;

    for (level = tree->height; level > 0; level--) {
        node = tree_node_at(tree, node->to[tree_child(node, range->last)].where);
    }
    *at = tree_rank(node, range->last);
    return *at < node->count && node->keys[*at] == range->last &&
                   node->to[*at].first == range->first
               ? node
               : NULL;
}

bool virtq_priv_tree_has(const struct virtq_tree *tree, const struct virtq_region *range)
{
    size_t at;

    return leaf_of(tree, range, &at) != NULL;
}

void virtq_priv_tree_take(struct virtq_tree *tree, const struct virtq_region *range)
{
    size_t at;
    struct tree_node *leaf = leaf_of(tree, range, &at);

    if (VIRTQ_LIKELY(leaf != NULL && leaf->count > TREE_ITEMS_MIN)) {
        items_close(leaf, (unsigned)at, 1);
        TREE_STORE(tree->count, tree->count - 1);
    } else if (leaf != NULL) {
        virtq_priv_tree_remove(tree, range->last);
    }
}

/* Gives every node back: children before their parents. */
static void release(struct virtq_tree *tree)
{
    uint64_t path[TREE_HEIGHT_MAX + 1];
    unsigned next[TREE_HEIGHT_MAX + 1];
    unsigned depth = 0;

    path[0] = tree->root;
    next[0] = 0;
    for (;;) {
        const struct tree_node *node = tree_node_at(tree, path[depth]);

        if (depth < tree->height && next[depth] < node->count) {
            path[depth + 1] = node->to[next[depth]++].where;
            next[++depth] = 0;
            continue;
        }
        node_free(tree, path[depth]);
        if (depth == 0) {
            return;
        }
        depth--;
    }
}

void virtq_priv_tree_clear(struct virtq_tree *tree)
{
    uint64_t root;

    if (tree->pool == NULL) {
        tree->fresh = 0;
        tree->spare = TREE_NOWHERE;
    } else if (tree->root != TREE_NOWHERE) {
        release(tree);
    }
    (void)node_new(tree, &root);
    TREE_STORE(tree->root, root);
    TREE_STORE(tree->height, 0);
    TREE_STORE(tree->count, 0);
}
