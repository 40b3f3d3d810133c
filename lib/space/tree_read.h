/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The way down a tree, and a lookup that finds what it expects: one region that grants the
 * access, no neighbour that continues it, no writer.
 *
 * What a reader sees while a writer is at work can be a mixture of two states. It is kept inside
 * the tree's memory: an offset is compared with the last node's, an item's number with how many
 * there can be; levels are bounded. Then the sequence tells that it was a mixture, and it is thrown
 * away.
 */
#ifndef VIRTQ_LIB_SPACE_TREE_READ_H
#define VIRTQ_LIB_SPACE_TREE_READ_H

#include "tree.h"
#include "tree_node.h"

/** @brief Keeps loads before a word that is loaded next. On x86 loads stay in order by themselves.
 */
VIRTQ_TEMPLATE void tree_order_loads(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __asm__ __volatile__("" ::: "memory");
#else
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
}

/** @brief The state of the tree; odd: a writer is at work. Acquire: pairs with
 * virtq_priv_tree_commit(). */
VIRTQ_TEMPLATE uint32_t tree_sequence(const struct virtq_tree *tree)
{
    return __atomic_load_n(&tree->sequence, __ATOMIC_ACQUIRE);
}

/** @brief Whether all that was read since belongs to that state. */
VIRTQ_TEMPLATE bool tree_unchanged(const struct virtq_tree *tree, uint32_t sequence)
{
    tree_order_loads();
    return __atomic_load_n(&tree->sequence, __ATOMIC_RELAXED) == sequence;
}

/** @brief A place of an item. */
struct tree_place {
    struct tree_node *leaf;
    size_t at;
};

/** @brief The node at an offset that may be none; NULL: nothing that was ever one. One comparison:
 * the bits below a line, rotated to the top, are more than any number of lines. */
VIRTQ_TEMPLATE struct tree_node *tree_node_checked(const struct virtq_tree *tree, uint64_t offset)
{
    const uint64_t lines = offset / VIRTQ_CACHE_LINE | offset << 58;

    return VIRTQ_LIKELY(lines <= tree->end / VIRTQ_CACHE_LINE) ? tree_node_at(tree, offset) : NULL;
}

/** @brief A large tree's leaves are in no cache: its lines come at once, not one after another as
 * each tells where to go on. */
VIRTQ_TEMPLATE void tree_fetch(const struct tree_node *leaf)
{
    unsigned i;

    for (i = 0; i < TREE_ITEMS; i += 4) {
        __builtin_prefetch(&leaf->to[i]);
    }
    __builtin_prefetch(leaf->flags);
}

/** @brief The leaf that holds `addr` if any does, and how many of its keys are below; false: a
 * mixture. */
VIRTQ_TEMPLATE bool tree_find(const struct virtq_tree *tree, virtq_addr_t addr,
                              struct tree_place *place)
{
    const uint32_t height = TREE_LOAD(tree->height);
    uint64_t offset = TREE_LOAD(tree->root);
    struct tree_node *node;
    uint32_t level;

    for (level = height;; level--) {
        node = tree_node_checked(tree, offset);
        if (VIRTQ_UNLIKELY(node == NULL)) {
            return false;
        }
        if (level == 0) {
            break;
        }
        offset = TREE_LOAD(node->to[tree_child(node, addr)].where);
    }
    if (height > 2) {
        tree_fetch(node);
    }
    place->leaf = node;
    place->at = tree_rank(node, addr);
    return true;
}

/** @brief The item at a place, which is not behind the last. */
VIRTQ_TEMPLATE void tree_item(const struct tree_place *place, struct virtq_region *region)
{
    const struct tree_node *leaf = place->leaf;
    const size_t at = place->at;

    region->first = TREE_LOAD(leaf->to[at].first);
    region->last = TREE_LOAD(leaf->keys[at]);
    region->base = (void *)(uintptr_t)TREE_LOAD(leaf->to[at].where);
    region->permissions = TREE_LOAD(leaf->flags[at]) & TREE_PERMISSIONS;
}

/** @brief The next item up. False: there is none, or (the caller will see) the tree has changed. */
VIRTQ_INLINE bool tree_step_up(const struct virtq_tree *tree, struct tree_place *place)
{
    uint64_t after;

    if (place->at + 1 < TREE_ITEMS && TREE_LOAD(place->leaf->flags[place->at + 1]) != 0) {
        place->at++;
        return true;
    }
    after = TREE_LOAD(place->leaf->after);
    if (after == TREE_NOWHERE || (place->leaf = tree_node_checked(tree, after)) == NULL) {
        return false;
    }
    place->at = 0;
    return true;
}

/** @brief The next item down. */
VIRTQ_INLINE bool tree_step_down(const struct virtq_tree *tree, struct tree_place *place)
{
    uint64_t before;
    uint64_t count;

    if (place->at > 0) {
        place->at--;
        return true;
    }
    before = TREE_LOAD(place->leaf->before);
    if (before == TREE_NOWHERE || (place->leaf = tree_node_checked(tree, before)) == NULL) {
        return false;
    }
    count = TREE_LOAD(place->leaf->count);
    if (count - 1 >= TREE_ITEMS) {
        return false;
    }
    place->at = (size_t)count - 1;
    return true;
}

/** @brief Notes that an item was looked up, if that is asked for. */
VIRTQ_TEMPLATE void tree_mark(const struct tree_place *place, bool mark)
{
    /* Only where it changes something: a store would take the line from other readers. */
    if (mark && __atomic_load_n(&place->leaf->marks[place->at], __ATOMIC_RELAXED) == 0) {
        __atomic_store_n(&place->leaf->marks[place->at], 1, __ATOMIC_RELAXED);
    }
}

/** @brief virtq_priv_tree_lookup() in its caller, for the common case; anything else, errors
 * included, is left to the function. By value: what was never in memory need not come from there.
 */
VIRTQ_TEMPLATE int virtq_priv_tree_look(const struct virtq_tree *tree, uint32_t *lock,
                                        const struct virtq_priv_question ask,
                                        struct virtq_window *window)
{
    const uint32_t sequence = tree_sequence(tree);
    struct virtq_priv_question again;
    struct virtq_region found;
    struct tree_place place;
    uint32_t flags;

    if (VIRTQ_LIKELY(!TREE_READERS_WAIT && sequence % 2 == 0 && ask.permission != 0 &&
                     tree_find(tree, ask.addr, &place) && place.at != TREE_ITEMS)) {
        flags = TREE_LOAD(place.leaf->flags[place.at]);
        tree_item(&place, &found);
        if (VIRTQ_LIKELY((flags & (ask.permission | TREE_JOINS)) == ask.permission &&
                         found.first <= ask.addr && tree_unchanged(tree, sequence))) {
            tree_mark(&place, ask.mark);
            /* Each field by a store of its own, as callers will load them: a copy of the whole
             * would wait for the stores that made it. */
            window->first = found.first;
            window->last = found.last;
            window->base = (unsigned char *)found.base;
            window->permissions = flags;
            window->reserved_ = 0;
            return 0;
        }
    }
    again = ask;
    return virtq_priv_tree_lookup(tree, lock, &again, window);
}

#endif
