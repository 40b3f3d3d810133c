/* SPDX-License-Identifier: BSD-3-Clause */
/* How a tree begins: its own nodes, a pool's, and fingers. */
#include "tree.h"
#include "tree_node.h"

size_t virtq_priv_tree_size(unsigned capacity)
{
    size_t nodes = VIRTQ_TREE_NODES(capacity);

    if (nodes > (SIZE_MAX - VIRTQ_CACHE_LINE) / VIRTQ_TREE_NODE_SIZE) {
        return SIZE_MAX;
    }
    return VIRTQ_TREE_SIZE(capacity);
}

int virtq_priv_tree_init(struct virtq_tree *tree, unsigned capacity, void *memory, size_t size)
{
    uintptr_t skip = (uintptr_t)0 - (uintptr_t)memory;
    size_t needed = virtq_priv_tree_size(capacity);

    if (memory == NULL || capacity == 0 || needed == SIZE_MAX || size < needed) {
        return VIRTQ_EINVAL;
    }
    tree->nodes = (unsigned char *)memory + skip % VIRTQ_CACHE_LINE;
    tree->end = (uint64_t)(VIRTQ_TREE_NODES(capacity) - 1) * VIRTQ_TREE_NODE_SIZE;
    tree->pool = NULL;
    tree->fingers = NULL;
    tree->capacity = capacity;
    tree->sequence = 0;
    virtq_priv_tree_clear(tree);
    return 0;
}

void virtq_priv_tree_pool_init(struct virtq_tree *pool, void *nodes, size_t count)
{
    pool->nodes = nodes;
    pool->end = (uint64_t)(count - 1) * VIRTQ_TREE_NODE_SIZE;
    pool->fresh = 0;
    pool->spare = TREE_NOWHERE;
}

void virtq_priv_tree_init_in(struct virtq_tree *tree, struct virtq_tree *pool, unsigned capacity)
{
    tree->nodes = pool->nodes;
    tree->end = pool->end;
    tree->pool = pool;
    tree->fingers = NULL;
    tree->root = TREE_NOWHERE;
    tree->capacity = capacity;
    tree->sequence = 0;
    virtq_priv_tree_clear(tree);
}

void virtq_priv_tree_set_fingers(struct virtq_tree *tree, uint32_t *fingers, uint32_t count,
                                 uint32_t shift, uint64_t salt)
{
    tree->fingers = fingers;
    tree->finger_mask = count - 1;
    tree->finger_salt = salt;
    tree->finger_shift = shift;
}
