/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The parts of a guest's end: its tables (zpci_tables.c), and when they are refreshed
 * (zpci_guest.c, zpci_backend.c).
 */
#ifndef VIRTQ_LIB_IOMMU_ZPCI_GUEST_H
#define VIRTQ_LIB_IOMMU_ZPCI_GUEST_H

#include "virtq/iommu/zpci_guest.h"
#include "zpci_index.h"

/** @brief Counts, from whatever thread. */
VIRTQ_INLINE void virtq_priv_zpci_count(uint64_t *counter, uint64_t more)
{
    (void)__atomic_fetch_add(counter, more, __ATOMIC_RELAXED);
}

/** @brief Makes a new region table, which leads nowhere. */
void virtq_priv_zpci_tables_init(struct virtq_zpci_guest *guest);

/** @brief Sees that all tables are there that a range needs, and that nothing is mapped in it. The
 * lock is held. @return 0; VIRTQ_EINVAL, VIRTQ_EFAULT; VIRTQ_ENOMEM: no table is free */
int virtq_priv_zpci_tables_prepare(struct virtq_zpci_guest *guest,
                                   const struct virtq_region *range);

/** @brief Enters a range that was prepared. The lock is held. */
void virtq_priv_zpci_tables_enter(struct virtq_zpci_guest *guest, const struct virtq_region *range);

/** @brief Whether all of a range is mapped, and no large frame only in part. The lock is held. */
bool virtq_priv_zpci_tables_hold(const struct virtq_zpci_guest *guest,
                                 const struct virtq_region *range);

/** @brief Takes out a range that is held. The lock is held. */
void virtq_priv_zpci_tables_erase(struct virtq_zpci_guest *guest, const struct virtq_region *range);

/** @brief Takes out page tables that lead nowhere, refreshes everything, and gives them back. The
 * lock is not held. @return 0: some may be free now; VIRTQ_ENOMEM: none was empty; or what the
 * refresh answered */
int virtq_priv_zpci_tables_reclaim(struct virtq_zpci_guest *guest);

#endif
