/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A node of a tree, and how its words are read and written.
 *
 * Leaf: item i is the region [to[i].first, keys[i]]. Inner node: item i leads to what lies above
 * keys[i - 1] and not above keys[i]; the last key is UINT64_MAX, so each address leads somewhere.
 * Keys of items that are not there are UINT64_MAX, and their flags 0.
 *
 * Readers may see a node while it is changed, or after it became another's: they bound what they
 * read, and find out afterwards (tree_find.c). So all words are relaxed atomics; where a word takes
 * more than one load, readers hold the lock, and plain accesses do.
 */
#ifndef VIRTQ_LIB_SPACE_TREE_NODE_H
#define VIRTQ_LIB_SPACE_TREE_NODE_H

#include <stddef.h>
#include <stdint.h>

#include "virtq/tree.h"

enum {
    TREE_ITEMS = 16,     /* Items of a node. */
    TREE_ITEMS_MIN = 7,  /* But for the root. */
    TREE_HEIGHT_MAX = 12 /* Of 2^32 regions, all nodes with seven items. */
};

#define TREE_NOWHERE UINT64_MAX

/* In `flags`, beside the permissions: a neighbour continued the region when one of the two came, so
 * that both may be one window. It stays when the neighbour goes, and moves with the item. */
#define TREE_JOINS 0x80u
#define TREE_PERMISSIONS 0x7fu /* And what else the tree's owner keeps there. */

struct tree_target {
    uint64_t first; /* Leaf: first address. */
    uint64_t where; /* Leaf: its pointer. Inner node: where the child begins. */
};

struct tree_node {
    uint64_t keys[TREE_ITEMS];
    struct tree_target to[TREE_ITEMS];
    uint8_t flags[TREE_ITEMS]; /* Leaf: permissions, TREE_JOINS. */
    uint8_t marks[TREE_ITEMS]; /* Leaf: 1: looked up lately. The one thing readers write. */
    uint64_t count;
    uint64_t before; /* The leaf with lower addresses; TREE_NOWHERE: none. */
    uint64_t after;  /* The leaf with higher ones; in the list of spare nodes, the next. */
    uint64_t owner;  /* The tree, as a number; 0: none. A finger may point to another's node. */
};

_Static_assert(sizeof(struct tree_node) == VIRTQ_TREE_NODE_SIZE, "callers reckon with this size");
_Static_assert(sizeof(struct tree_node) % VIRTQ_CACHE_LINE == 0, "nodes begin at a line");

#if UINTPTR_MAX == UINT64_MAX
#    define TREE_READERS_WAIT 0
#    define TREE_LOAD(word) __atomic_load_n(&(word), __ATOMIC_RELAXED)
#    define TREE_STORE(word, value) __atomic_store_n(&(word), (value), __ATOMIC_RELAXED)
#else
#    define TREE_READERS_WAIT 1
#    define TREE_LOAD(word) (word)
#    define TREE_STORE(word, value) ((word) = (value))
#endif

/** @brief The node at an offset that a writer knows to be one. */
VIRTQ_INLINE struct tree_node *tree_node_at(const struct virtq_tree *tree, uint64_t offset)
{
    return (struct tree_node *)(void *)(tree->nodes + offset);
}

/** @brief The tree as a node's owner. */
VIRTQ_INLINE uint64_t tree_number(const struct virtq_tree *tree)
{
    return (uint64_t)(uintptr_t)tree;
}

/** @brief An address's finger. */
VIRTQ_INLINE uint32_t *tree_finger(const struct virtq_tree *tree, uint64_t addr)
{
    return &tree->fingers[((addr >> tree->finger_shift) + tree->finger_salt) & tree->finger_mask];
}

/** @brief The node that an address's finger points to. It is always some node. */
VIRTQ_INLINE struct tree_node *tree_pointed(const struct virtq_tree *tree, uint64_t addr)
{
    const uint32_t line = __atomic_load_n(tree_finger(tree, addr), __ATOMIC_RELAXED);

    return tree_node_at(tree, (uint64_t)line * VIRTQ_CACHE_LINE);
}

/** @brief Notes where an address was found. */
VIRTQ_INLINE void tree_point(const struct virtq_tree *tree, uint64_t addr,
                             const struct tree_node *leaf)
{
    const uint64_t offset = (uint64_t)((const unsigned char *)leaf - tree->nodes);

    __atomic_store_n(tree_finger(tree, addr), (uint32_t)(offset / VIRTQ_CACHE_LINE),
                     __ATOMIC_RELAXED);
}

/** @brief Which child leads to `addr`, 0 to 15, whatever the keys are: the last of 16 is not asked.
 * Without a branch: a random address would be guessed wrong half of the time. */
VIRTQ_TEMPLATE size_t tree_child(const struct tree_node *node, uint64_t addr)
{
    const size_t skip =
        4 * ((size_t)(TREE_LOAD(node->keys[3]) < addr) + (size_t)(TREE_LOAD(node->keys[7]) < addr) +
             (size_t)(TREE_LOAD(node->keys[11]) < addr));
    const uint64_t *four = &node->keys[skip];

    return skip + (size_t)(TREE_LOAD(four[0]) < addr) + (size_t)(TREE_LOAD(four[1]) < addr) +
           (size_t)(TREE_LOAD(four[2]) < addr);
}

/** @brief How many keys of a leaf are below `addr`, 0 to 16. */
VIRTQ_TEMPLATE size_t tree_rank(const struct tree_node *node, uint64_t addr)
{
    size_t at = tree_child(node, addr);

    return at + (size_t)(TREE_LOAD(node->keys[at]) < addr);
}

#endif
