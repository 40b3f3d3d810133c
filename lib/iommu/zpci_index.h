/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Which segments (1 MiB) of the device's addresses have something: a guest's page table, or
 * a host's shadow of one.
 *
 * Changed under the owner's lock. Whoever only looks may do so meanwhile: every number that lies
 * in a slot was a good one once, so the worst is an answer of the past, which the owner notices.
 */
#ifndef VIRTQ_LIB_IOMMU_ZPCI_INDEX_H
#define VIRTQ_LIB_IOMMU_ZPCI_INDEX_H

#include <stdbool.h>
#include <stddef.h>

#include "virtq/iommu/zpci.h"

/** @brief Instead of a number: nothing is there. */
#define VIRTQ_PRIV_ZPCI_NONE UINT32_MAX
/** @brief Instead of a leaf's number: a large frame, which needs none. */
#define VIRTQ_PRIV_ZPCI_LARGE (UINT32_MAX - 1)

/** @brief How many segments there are. */
#define VIRTQ_PRIV_ZPCI_SEGMENTS (VIRTQ_ZPCI_TABLE_ENTRIES * VIRTQ_ZPCI_TABLE_ENTRIES)

/** @brief Bytes for so many directories (each for 2 GiB) and leaves, a multiple of 8; SIZE_MAX if
 * either is 0 or more than there can be. */
size_t virtq_priv_zpci_index_size(uint32_t directories, uint32_t leaves);

/** @brief Makes an empty one. `memory` is 8-byte aligned and as large as it has to be. */
void virtq_priv_zpci_index_init(struct virtq_zpci_index *index, uint32_t directories,
                                uint32_t leaves, void *memory);

/** @brief The directory of a region (2 GiB), or VIRTQ_PRIV_ZPCI_NONE. */
uint32_t virtq_priv_zpci_index_directory(const struct virtq_zpci_index *index, uint32_t region);

/** @brief The leaf of a segment, VIRTQ_PRIV_ZPCI_LARGE or VIRTQ_PRIV_ZPCI_NONE. */
uint32_t virtq_priv_zpci_index_find(const struct virtq_zpci_index *index, uint32_t segment);

/** @brief Takes a directory for a region that has none. VIRTQ_PRIV_ZPCI_NONE: none is free. */
uint32_t virtq_priv_zpci_index_open(struct virtq_zpci_index *index, uint32_t region);

/** @brief Gives a region's directory back if it leads to nothing. */
void virtq_priv_zpci_index_close(struct virtq_zpci_index *index, uint32_t region);

/** @brief Takes a leaf for a segment that has none and whose region has a directory.
 * VIRTQ_PRIV_ZPCI_NONE: none is free. */
uint32_t virtq_priv_zpci_index_add(struct virtq_zpci_index *index, uint32_t segment);

/** @brief Notes a large frame for such a segment. */
void virtq_priv_zpci_index_add_large(struct virtq_zpci_index *index, uint32_t segment);

/** @brief Takes out what a segment has; its leaf is free. */
void virtq_priv_zpci_index_remove(struct virtq_zpci_index *index, uint32_t segment);

#endif
