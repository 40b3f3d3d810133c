/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_virtio_iommu
 * @brief What a virtio-iommu offers, as its driver reads it: which features to accept, and the
 * configuration space in this processor's order.
 *
 * Both come from the device, which is not trusted: virtq_virtio_iommu_settings_read() refuses what
 * makes no sense, and what it gives is used as it is from then on. [virtio 1.4, IOMMU Device]
 */
#ifndef VIRTQ_IOMMU_VIRTIO_IOMMU_SETTINGS_H
#define VIRTQ_IOMMU_VIRTIO_IOMMU_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../types.h"

VIRTQ_BEGIN_DECLS

/** @brief The largest `probe_size` that is taken: the memory for it is the caller's. */
#define VIRTQ_VIRTIO_IOMMU_PROBE_MAX 65536u

/** @brief Flags of virtq_virtio_iommu_settings_accept(). */
enum virtq_virtio_iommu_accept {
    /** Endpoints without a domain may reach all memory: VIRTIO_IOMMU_F_BYPASS is accepted where its
       successor is not offered. Without it a device that does not attach its endpoints is stopped.
     */
    VIRTQ_VIRTIO_IOMMU_ACCEPT_BYPASS = 1
};

/** @brief A device's limits, checked. Those without their feature are as wide as the field. */
struct virtq_virtio_iommu_settings {
    uint64_t features;     /**< As negotiated, bits that others know included. */
    uint64_t page_sizes;   /**< A bit for each page size; not 0. */
    uint64_t granule;      /**< The lowest of them: mappings are made of it. */
    virtq_addr_t first;    /**< First virtual address that can be mapped. */
    virtq_addr_t last;     /**< Last one, inclusive (L6). */
    uint32_t domain_first; /**< First domain number. */
    uint32_t domain_last;  /**< Last one, inclusive. */
    uint32_t probe_size;   /**< Bytes of an endpoint's properties; 0: PROBE is not available. */
    uint32_t bypass;       /**< Whether endpoints without a domain are in bypass mode now: 0 or
                              1. */
};

/** @brief The IOMMU device's feature bits to accept, of those that are offered.
 * @param offered what the device offers; bits that are not the IOMMU device's are left out
 * @param flags   a set of enum virtq_virtio_iommu_accept
 * @return INPUT_RANGE, DOMAIN_RANGE, MAP_UNMAP, PROBE, MMIO and BYPASS_CONFIG as far as they are
 * offered, and BYPASS as the flags say; 0: without MAP_UNMAP nothing can be driven, so give the
 * device up. Any thread. Source: [virtio 1.4, IOMMU Device, Feature bits] */
VIRTQ_API uint64_t virtq_virtio_iommu_settings_accept(uint64_t offered, uint32_t flags);

/** @brief Reads the configuration space.
 * @param settings result; owned by the caller
 * @param bytes    a copy of the configuration space, in the device's order, of any alignment; read
 * during the call only
 * @param size     bytes of it; fields of features that were not negotiated may be missing
 * @param features the negotiated features
 * @return 0; VIRTQ_ENOTSUP (no VIRTIO_IOMMU_F_MAP_UNMAP), VIRTQ_EINVAL (too short, no page size, an
 * inverted range, a range without a granule) or VIRTQ_ETOOBIG (`probe_size` above
 * #VIRTQ_VIRTIO_IOMMU_PROBE_MAX): `settings` is untouched. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_settings_read(
    struct virtq_virtio_iommu_settings *settings, const void *bytes, size_t size,
    uint64_t features);

VIRTQ_END_DECLS

#endif
