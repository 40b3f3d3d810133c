/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What both ends of TCE windows share, and how the two halves of a table reach each other.
 */
#ifndef VIRTQ_LIB_IOMMU_TCE_PRIVATE_H
#define VIRTQ_LIB_IOMMU_TCE_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "virtq/inline/shm.h"
#include "virtq/iommu/tce.h"
#include "virtq/iommu/tce_table.h"

/** @brief An entry's permissions. */
#define VIRTQ_PRIV_TCE_BITS ((uint64_t)VIRTQ_TCE_READ | (uint64_t)VIRTQ_TCE_WRITE)

/** @brief An entry as it lies in memory, and back. */
VIRTQ_INLINE uint64_t virtq_priv_tce_order(uint64_t entry)
{
    return virtq_shm_order64(entry, VIRTQ_INSTANCE_BIG_ENDIAN);
}

/** @brief The page size minus 1. */
VIRTQ_INLINE uint64_t virtq_priv_tce_mask(const struct virtq_tce_window *window)
{
    return ((uint64_t)1 << window->shift) - 1;
}

/** @brief An entry of a table, by one load: a call may be changing it. Acquire: whoever finds an
 * entry finds what the guest wrote to the page before it made the call. */
VIRTQ_INLINE uint64_t virtq_priv_tce_load(const struct virtq_tce_table *table, uint64_t index)
{
    return virtq_priv_tce_order(__atomic_load_n(&table->entries[index], __ATOMIC_ACQUIRE));
}

/** @brief Replaces an entry. @return whether the old one granted something that this one does not
 */
VIRTQ_INLINE bool virtq_priv_tce_store(struct virtq_tce_table *table, uint64_t index,
                                       uint64_t entry)
{
    uint64_t old = virtq_priv_tce_order(
        __atomic_exchange_n(&table->entries[index], virtq_priv_tce_order(entry), __ATOMIC_ACQ_REL));
    uint64_t moved = (old ^ entry) & ~virtq_priv_tce_mask(&table->window);

    return (old & VIRTQ_PRIV_TCE_BITS) != 0 &&
           (moved != 0 || (old & ~entry & VIRTQ_PRIV_TCE_BITS) != 0);
}

#endif
