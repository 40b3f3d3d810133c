/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_space
 * @brief A region: a run of device addresses and the memory behind it, as tables of spaces hold it.
 *
 * Regions are what an owner puts into a table (struct virtq_direct, struct virtq_domain,
 * struct virtq_iotlb); windows (struct virtq_window) are what a queue gets out. One window may
 * cover several neighbouring regions.
 */
#ifndef VIRTQ_REGION_H
#define VIRTQ_REGION_H

#include <stdint.h>

#include "api.h"
#include "types.h"

VIRTQ_BEGIN_DECLS

/** @brief Device addresses [first, last], inclusive (L6), and where they lie in this program's
 * memory.
 *
 * A region is legal if `first` is not above `last`, `permissions` is a non-empty set of enum
 * virtq_permission, and `base` + (`last` - `first`) does not wrap. */
struct virtq_region {
    virtq_addr_t first;   /**< First device address. */
    virtq_addr_t last;    /**< Last device address, inclusive. */
    void *base;           /**< This program's address of `first`. */
    uint32_t permissions; /**< What the device may do: a set of enum virtq_permission, not empty. */
};

VIRTQ_END_DECLS

#endif
