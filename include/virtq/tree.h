/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_space
 * @brief The one structure in which spaces look regions up: a search tree in the caller's memory.
 *
 * Sixteen regions a node, keys apart from what they lead to: a lookup among 65536 regions reads
 * five nodes and takes no branch that depends on the address; adding and removing touch one path
 * of nodes, and adding a neighbour where that is another node's. Struct virtq_domain holds one for
 * each of its shards and struct virtq_iotlb one; a caller needs only to know how much memory it
 * takes.
 */
#ifndef VIRTQ_TREE_H
#define VIRTQ_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "types.h"

VIRTQ_BEGIN_DECLS

/** @brief Bytes of a node, a whole number of cache lines. */
#define VIRTQ_TREE_NODE_SIZE ((size_t)448)

/** @brief How many nodes are enough for `capacity` regions, however they come and go: but for the
 * root, each node is filled with seven at least. */
#define VIRTQ_TREE_NODES(capacity) \
    ((capacity) <= 16 ? (size_t)1 : (size_t)(capacity) / 7 + (size_t)(capacity) / 42 + 2)

/** @brief Bytes of memory for a tree of `capacity` regions, whatever the memory's alignment: about
 * 75 a region. A constant where `capacity` is one, so that memory can be static. */
#define VIRTQ_TREE_SIZE(capacity) \
    (VIRTQ_TREE_NODES(capacity) * VIRTQ_TREE_NODE_SIZE + VIRTQ_CACHE_LINE - 1)

/** @brief A search tree of regions. The fields are private to whoever owns the tree. */
struct virtq_tree {
    unsigned char *nodes;    /**< The nodes, at a cache line. */
    uint64_t end;            /**< Where the last node begins, in bytes from the first. */
    uint64_t fresh;          /**< Where the first node begins that was never used. */
    uint64_t spare;          /**< The list of nodes given back; UINT64_MAX: none. */
    struct virtq_tree *pool; /**< Whose nodes it takes and gives back; NULL: its own. */
    uint64_t root;           /**< Where the root begins. */
    uint32_t height;         /**< Levels above the leaves. */
    uint32_t sequence;       /**< Odd while a writer is at work; readers compare it. */
    unsigned count;          /**< How many regions there are. */
    unsigned capacity;       /**< How many there can be. */
    uint32_t *fingers; /**< Where addresses were found last, a line of a leaf each; NULL: none. */
    uint64_t finger_mask;  /**< How many there are, minus 1. */
    uint64_t finger_salt;  /**< Sets apart trees that share them. */
    uint32_t finger_shift; /**< Addresses that share a finger: 2 to this power. */
};

VIRTQ_END_DECLS

#endif
