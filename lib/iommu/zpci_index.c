/* SPDX-License-Identifier: BSD-3-Clause */
#include "zpci_index.h"

#include <string.h>

#define ROOT VIRTQ_ZPCI_TABLE_ENTRIES

size_t virtq_priv_zpci_index_size(uint32_t directories, uint32_t leaves)
{
    size_t words;

    if (directories == 0 || directories > ROOT || leaves == 0 ||
        leaves > VIRTQ_PRIV_ZPCI_SEGMENTS) {
        return SIZE_MAX;
    }
    words = (size_t)ROOT * (1 + (size_t)directories) + directories + leaves;
    return (words * sizeof(uint32_t) + 7u) & ~(size_t)7u;
}

void virtq_priv_zpci_index_init(struct virtq_zpci_index *index, uint32_t directories,
                                uint32_t leaves, void *memory)
{
    uint32_t i;

    memset(memory, 0, virtq_priv_zpci_index_size(directories, leaves));
    index->slots = memory;
    index->counts = index->slots + (size_t)ROOT * (1 + (size_t)directories);
    index->owners = index->counts + directories;
    index->directories = directories;
    index->leaves = leaves;
    index->directory_free = 1;
    index->leaf_free = 1;
    for (i = 1; i < directories; i++) {
        index->counts[i - 1] = i + 1;
    }
    for (i = 1; i < leaves; i++) {
        index->owners[i - 1] = i + 1;
    }
}

/* The slots of a directory; the root's come first. */
static uint32_t *slot_of(const struct virtq_zpci_index *index, uint32_t directory, uint32_t segment)
{
    return index->slots + (size_t)ROOT * (1 + (size_t)directory) + (segment & (ROOT - 1));
}

static uint32_t load(const uint32_t *slot)
{
    return __atomic_load_n(slot, __ATOMIC_RELAXED) - 1u;
}

static void store(uint32_t *slot, uint32_t value)
{
    __atomic_store_n(slot, value, __ATOMIC_RELAXED);
}

uint32_t virtq_priv_zpci_index_directory(const struct virtq_zpci_index *index, uint32_t region)
{
    return load(&index->slots[region]);
}

uint32_t virtq_priv_zpci_index_find(const struct virtq_zpci_index *index, uint32_t segment)
{
    uint32_t directory = virtq_priv_zpci_index_directory(index, segment / ROOT);

    return directory != VIRTQ_PRIV_ZPCI_NONE ? load(slot_of(index, directory, segment))
                                             : VIRTQ_PRIV_ZPCI_NONE;
}

uint32_t virtq_priv_zpci_index_open(struct virtq_zpci_index *index, uint32_t region)
{
    uint32_t directory = index->directory_free - 1u;

    if (directory != VIRTQ_PRIV_ZPCI_NONE) {
        index->directory_free = index->counts[directory];
        index->counts[directory] = 0;
        store(&index->slots[region], directory + 1);
    }
    return directory;
}

void virtq_priv_zpci_index_close(struct virtq_zpci_index *index, uint32_t region)
{
    uint32_t directory = virtq_priv_zpci_index_directory(index, region);

    if (directory != VIRTQ_PRIV_ZPCI_NONE && index->counts[directory] == 0) {
        store(&index->slots[region], 0);
        index->counts[directory] = index->directory_free;
        index->directory_free = directory + 1;
    }
}

static void set(struct virtq_zpci_index *index, uint32_t segment, uint32_t value)
{
    uint32_t directory = virtq_priv_zpci_index_directory(index, segment / ROOT);

    index->counts[directory] += value != 0 ? 1u : UINT32_MAX;
    store(slot_of(index, directory, segment), value);
}

uint32_t virtq_priv_zpci_index_add(struct virtq_zpci_index *index, uint32_t segment)
{
    uint32_t leaf = index->leaf_free - 1u;

    if (leaf != VIRTQ_PRIV_ZPCI_NONE) {
        index->leaf_free = index->owners[leaf];
        index->owners[leaf] = segment;
        set(index, segment, leaf + 1);
    }
    return leaf;
}

void virtq_priv_zpci_index_add_large(struct virtq_zpci_index *index, uint32_t segment)
{
    set(index, segment, VIRTQ_PRIV_ZPCI_LARGE + 1);
}

void virtq_priv_zpci_index_remove(struct virtq_zpci_index *index, uint32_t segment)
{
    uint32_t leaf = virtq_priv_zpci_index_find(index, segment);

    set(index, segment, 0);
    if (leaf != VIRTQ_PRIV_ZPCI_LARGE) {
        index->owners[leaf] = index->leaf_free;
        index->leaf_free = leaf + 1;
    }
}
