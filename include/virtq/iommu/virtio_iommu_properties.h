/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_virtio_iommu
 * @brief The properties of an endpoint, as a virtio-iommu answers a PROBE request: the addresses
 * that are not to be mapped.
 *
 * The list is the device's word, and may change while it is read: each byte is read once, every
 * length is compared with what is left, and a list that overruns its end is refused as a whole.
 */
#ifndef VIRTQ_IOMMU_VIRTIO_IOMMU_PROPERTIES_H
#define VIRTQ_IOMMU_VIRTIO_IOMMU_PROPERTIES_H

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../types.h"
#include "iova.h"

VIRTQ_BEGIN_DECLS

/** @brief Addresses that the driver is not to map: a RESV_MEM property. */
struct virtq_virtio_iommu_region {
    virtq_addr_t first; /**< First address. */
    virtq_addr_t last;  /**< Last address, inclusive (L6). */
    uint32_t msi;       /**< 1: the doorbell of message signalled interrupts; 0: anything else, also
                           kinds that a later specification may add. */
    uint32_t reserved_;
};

/** @brief Reads the list of properties of one endpoint.
 *
 * Properties of unknown types and those with reserved bits in their header are passed over. The
 * list ends at an empty property, or at its size.
 * @param bytes    the list, of any alignment; the device may write it at the same time
 * @param size     bytes of it
 * @param regions  result: what is reserved, in the list's order; on an error partly filled
 * @param capacity room in `regions`; 0: they are only counted
 * @param count    result: how many there are, also where there is not room for all; untouched by
 * VIRTQ_EPEER
 * @return 0; VIRTQ_ENOMEM (more than `capacity`: ask again with room for `count`) or VIRTQ_EPEER (a
 * property overruns the list, a RESV_MEM is too short or inverted): do not attach the endpoint. Any
 * thread. Source: [virtio 1.4, PROBE request; Property RESV_MEM] */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_properties_read(
    const void *bytes, size_t size, struct virtq_virtio_iommu_region *regions, unsigned capacity,
    unsigned *count);

/** @brief Keeps regions out of an allocator's addresses, for ever.
 * @param regions what virtq_virtio_iommu_properties_read() gave
 * @param count   how many; 0 is no error
 * @param iova    the allocator; used by the caller alone during the call
 * @return 0; or the error of virtq_iova_reserve(): regions before the one that failed stay
 * reserved.
 */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_properties_reserve(
    const struct virtq_virtio_iommu_region *regions, unsigned count, struct virtq_iova *iova);

VIRTQ_END_DECLS

#endif
