/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What the two halves of the swiotlb space share: taking and releasing slots.
 */
#ifndef VIRTQ_LIB_SPACE_SWIOTLB_POOL_H
#define VIRTQ_LIB_SPACE_SWIOTLB_POOL_H

#include <stdbool.h>

#include "virtq/space/swiotlb.h"

/** @brief Zeroes a slot of `number` granules from `first` on, and then gives it back. */
void virtq_priv_swiotlb_release(struct virtq_swiotlb *swiotlb, uint64_t first, uint64_t number);

/** @brief Gives a buffer that lies in the pool already its own addresses, a run for each segment;
 * false, and nothing is done, if some of it lies elsewhere or there is no room for so many runs.
 * @param base the pool's memory @param size its bytes @param addr its device address: no more of
 * the pool is looked at, for it may be gone @param mapping the buffer */
bool virtq_priv_swiotlb_pass(const unsigned char *base, uint64_t size, virtq_addr_t addr,
                             struct virtq_mapping *mapping);

/** @brief virtq_space_ops::share: memory of the pool that is taken. */
int virtq_priv_swiotlb_share(struct virtq_space *space, void *base, uint64_t len,
                             uint32_t permissions, virtq_addr_t *addr);

#endif
