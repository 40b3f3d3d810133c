/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The parts of a host's end: the walk over the guest's tables (zpci_walk.c) and the shadow
 * that it keeps (zpci_shadow.c).
 */
#ifndef VIRTQ_LIB_IOMMU_ZPCI_HOST_H
#define VIRTQ_LIB_IOMMU_ZPCI_HOST_H

#include "virtq/iommu/zpci_host.h"
#include "zpci_index.h"

/** @brief In an entry of the shadow: what the device may do. The rest is the absolute address. */
#define VIRTQ_PRIV_ZPCI_PERMISSIONS \
    ((uint64_t)VIRTQ_PERMISSION_READ | (uint64_t)VIRTQ_PERMISSION_WRITE)

/** @brief Makes `count` entries from page `from` of a segment what `host->fresh` says.
 * @return 0; VIRTQ_ENOMEM: some are missing; anything else is of the pin hook. In each case nothing
 * else than what `fresh` says is left there. */
int virtq_priv_zpci_shadow_update(struct virtq_zpci_host *host, uint32_t segment, unsigned from,
                                  unsigned count);

/** @brief Empties the shadow of [first, last]: whole pages, at most #VIRTQ_ZPCI_LAST. */
void virtq_priv_zpci_shadow_drop(struct virtq_zpci_host *host, virtq_addr_t first,
                                 virtq_addr_t last);

/** @brief The run of equal neighbours around an address in the shadow, as a window without a base.
 * @param absolute result: the guest's address of the window's first byte
 * @return 0, VIRTQ_EFAULT or VIRTQ_EPERM */
int virtq_priv_zpci_shadow_lookup(struct virtq_zpci_host *host, virtq_addr_t addr,
                                  uint32_t permission, struct virtq_window *window,
                                  uint64_t *absolute);

/** @brief Walks the guest's tables over [first, last], whole pages within what is registered, and
 * updates the shadow. Fills condition, status, event and address of `answer`. */
void virtq_priv_zpci_walk(struct virtq_zpci_host *host, virtq_addr_t first, virtq_addr_t last,
                          struct virtq_zpci_answer *answer);

/** @brief The window of the guest's memory around an absolute address: what virtq_space_ops::window
 * says, or VIRTQ_EFAULT for an answer that does not hold the address. */
int virtq_priv_zpci_memory(struct virtq_zpci_host *host, uint64_t absolute, uint32_t permission,
                           struct virtq_window *window);

#endif
