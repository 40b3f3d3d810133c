/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_iommu
 * @brief What installs mappings for an iommu space: a domain of this program, a virtio-iommu,
 * hardware tables.
 *
 * Every operation takes a list of ranges, so that a whole buffer, and later a batch of buffers, is
 * one request.
 */
#ifndef VIRTQ_IOMMU_BACKEND_H
#define VIRTQ_IOMMU_BACKEND_H

#include <stddef.h>

#include "../error.h"
#include "../region.h"

VIRTQ_BEGIN_DECLS

/** @brief Operations on lists of page-aligned, disjoint ranges. Must be safe to call from any
 * thread; no lock of the space is held. */
struct virtq_iommu_backend {
    /** sizeof(struct virtq_iommu_backend) of whoever fills it: lets the struct grow. */
    size_t size;
    /** Given to every operation; owned by whoever fills the struct. */
    void *context;

    /** @brief Installs all of the mappings, or none.
     * @param context the backend's
     * @param ranges  what to map; `base` and `permissions` count; read during the call only
     * @param count   at least 1
     * @return 0; VIRTQ_ENOMEM (retry later); any other enum virtq_error is passed on. Nothing is
     * mapped on an error. */
    int (*map)(void *context, const struct virtq_region *ranges, unsigned count);

    /** @brief Removes mappings that `map` installed; they may remain in caches until `flush`.
     * @param context the backend's
     * @param ranges  exactly ranges that were mapped; `base` and `permissions` do not count; read
     * during the call only
     * @param count   at least 1
     * @return 0, or an error: the space then never uses these addresses again. */
    int (*unmap)(void *context, const struct virtq_region *ranges, unsigned count);

    /** @brief Returns when no cache holds these ranges any more, and no access through them is
     * under way.
     * @param context the backend's
     * @param ranges  ranges that were unmapped; `base` and `permissions` do not count; read during
     * the call only
     * @param count   at least 1
     * @return 0, or an error: the space then never uses these addresses again. */
    int (*flush)(void *context, const struct virtq_region *ranges, unsigned count);
};

VIRTQ_END_DECLS

#endif
