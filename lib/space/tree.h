/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Trees of disjoint regions: the search, and the one way from regions to a window.
 *
 * Writers hold the owner's lock, and put virtq_priv_tree_begin() and virtq_priv_tree_commit()
 * around what readers are to see as one step. Readers take no lock: they read, and read again if a
 * writer was there meanwhile.
 */
#ifndef VIRTQ_LIB_SPACE_TREE_H
#define VIRTQ_LIB_SPACE_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "region.h"
#include "virtq/tree.h"

/** @brief How many neighbours on each side a lookup takes into one window: the device's peer may
 * decide how many there are, so they may not bound a loop. */
#define VIRTQ_PRIV_TREE_NEIGHBOURS 64u

/** @brief Bytes of memory for `capacity` regions; SIZE_MAX if there is no such number. */
size_t virtq_priv_tree_size(unsigned capacity);

/** @brief Makes an empty tree. VIRTQ_EINVAL: no memory, too little, no capacity. */
int virtq_priv_tree_init(struct virtq_tree *tree, unsigned capacity, void *memory, size_t size);

/** @brief How many nodes are enough for `trees` trees of one pool with `capacity` regions
 * together: each but the roots is filled with seven at least. */
#define VIRTQ_PRIV_TREE_POOL_NODES(capacity, trees) \
    ((size_t)(capacity) / 7 + (size_t)(capacity) / 42 + (size_t)(trees)*2)

/** @brief Makes a pool of `count` nodes for several trees that are changed by one thread: a struct
 * virtq_tree of which nothing else is used. `nodes` is aligned to a cache line. */
void virtq_priv_tree_pool_init(struct virtq_tree *pool, void *nodes, size_t count);

/** @brief Makes an empty tree of a pool's nodes. It keeps one, for good. Whoever inserts sees to
 * it that no more regions are in the trees together than the pool was made for. */
void virtq_priv_tree_init_in(struct virtq_tree *tree, struct virtq_tree *pool, unsigned capacity);

/** @brief Has virtq_priv_tree_find() remember where addresses were found: `count` fingers, a power
 * of two, zeroed, for each run of 2 to the power of `shift` addresses one. Where addresses lie
 * densely, the way down is not taken twice. Trees of one pool may share them, each with a salt of
 * its own. Such a tree is asked by virtq_priv_tree_find() only: neighbours are not noted. */
void virtq_priv_tree_set_fingers(struct virtq_tree *tree, uint32_t *fingers, uint32_t count,
                                 uint32_t shift, uint64_t salt);

/** @brief Before the first change. The owner's lock is held. */
void virtq_priv_tree_begin(struct virtq_tree *tree);

/** @brief After the last change. */
void virtq_priv_tree_commit(struct virtq_tree *tree);

/** @brief Removes everything: at once, or, where the nodes are a pool's, in as many steps as there
 * are nodes. */
void virtq_priv_tree_clear(struct virtq_tree *tree);

/** @brief Adds a legal region that shares no address with another; the caller has checked that
 * there is room. */
void virtq_priv_tree_insert(struct virtq_tree *tree, const struct virtq_region *region);

/** @brief Adds a legal region, unless it overlaps another (VIRTQ_EINVAL) or there is no room
 * (VIRTQ_ENOMEM). One way down, nearly always. */
int virtq_priv_tree_add(struct virtq_tree *tree, const struct virtq_region *region);

/** @brief The same for a tree with fingers: no way down between two items of the leaf where the
 * address was before. */
int virtq_priv_tree_add_near(struct virtq_tree *tree, const struct virtq_region *region);

/** @brief Whether there is a region with exactly this `first` and `last`. For writers. */
bool virtq_priv_tree_has(const struct virtq_tree *tree, const struct virtq_region *range);

/** @brief Removes the region with exactly this `first` and `last`, if there is one. */
void virtq_priv_tree_take(struct virtq_tree *tree, const struct virtq_region *range);

/** @brief Removes the region that ends at `last`; there is one. */
void virtq_priv_tree_remove(struct virtq_tree *tree, virtq_addr_t last);

/** @brief Leaves [first, new_last] of the region that ends at `last`: there is one, and it does
 * not begin above `first`. */
void virtq_priv_tree_trim(struct virtq_tree *tree, virtq_addr_t last, virtq_addr_t first,
                          virtq_addr_t new_last);

/** @brief The first region that does not end below `addr`; false: there is none. For writers. */
bool virtq_priv_tree_from(const struct virtq_tree *tree, virtq_addr_t addr,
                          struct virtq_region *region);

/** @brief The last region that ends below `addr`; false: there is none. For writers. */
bool virtq_priv_tree_before(const struct virtq_tree *tree, virtq_addr_t addr,
                            struct virtq_region *region);

/** @brief Which neighbours a window may take in. */
enum virtq_priv_merge {
    VIRTQ_PRIV_MERGE_EQUAL, /**< Those with the same permissions: one window serves all accesses. */
    VIRTQ_PRIV_MERGE_ENOUGH /**< Those that grant the access: the longest window. */
};

/** @brief What a lookup asks. */
struct virtq_priv_question {
    virtq_addr_t addr;           /**< A device address. */
    uint32_t permission;         /**< What must be granted. */
    enum virtq_priv_merge merge; /**< Which neighbours the window may take in. */
    bool mark;                   /**< Whether the region is to count as used, for eviction. */
};

/** @brief The largest window that holds the address, for whoever holds the owner's lock, or where
 * there are no writers: 0, VIRTQ_EFAULT (in no region), VIRTQ_EPERM, VIRTQ_EINVAL (permission). */
int virtq_priv_tree_window(const struct virtq_tree *tree, const struct virtq_priv_question *ask,
                           struct virtq_window *window);

/** @brief The same without the lock, while writers may be at work; `lock` is only taken if they
 * never let a reader be. */
int virtq_priv_tree_lookup(const struct virtq_tree *tree, uint32_t *lock,
                           const struct virtq_priv_question *ask, struct virtq_window *window);

/** @brief The region that holds an address, without its neighbours: 0, or VIRTQ_EFAULT (in none).
 * While writers may be at work, as virtq_priv_tree_lookup(). */
int virtq_priv_tree_find(const struct virtq_tree *tree, uint32_t *lock, virtq_addr_t addr,
                         struct virtq_region *region);

/** @brief Whether the region that ends at `last` was used since it was last asked; it counts as
 * unused from now on. For writers. */
bool virtq_priv_tree_take_mark(struct virtq_tree *tree, virtq_addr_t last);

#endif
