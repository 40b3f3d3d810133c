/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_space_iommu
 * @brief The iommu space: buffers are mapped at device addresses of their own, for as long as the
 * device has them.
 *
 * **Driver end** (struct virtq_iommu): map takes one range of IOVAs for a whole buffer, keeps the
 * low bits of every segment, and installs all of its segments with one call of a backend. Unmapping
 * is strict: unmapped, flushed, and only then is the address free again (L4). Rings and indirect
 * tables are shared in the same way, until they are unshared.
 *
 * **Device end** (struct virtq_iommu_device): windows come from a domain of this program, from an
 * IOTLB that the owner fills, or from an IOTLB in front of a domain. Permissions are enforced: a
 * segment the device reads is not writable through its address, and the reverse.
 *
 * Trust: mappings are made of whole pages (the granule of the IOVA allocator). A device that has a
 * segment of less than a page can reach the rest of that page too, with the segment's permission:
 * other buffers, heap, stack. Where the device is not trusted with that, give segments pages of
 * their own, or use a pool (space/swiotlb.h).
 */
#ifndef VIRTQ_SPACE_IOMMU_H
#define VIRTQ_SPACE_IOMMU_H

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../iommu/backend.h"
#include "../iommu/domain.h"
#include "../iommu/iotlb.h"
#include "../iommu/iova.h"
#include "../space.h"
#include "../types.h"

VIRTQ_BEGIN_DECLS

/** @brief How the driver end is to be. Begin with #VIRTQ_IOMMU_CONFIG_INIT. */
struct virtq_iommu_config {
    size_t struct_size;      /**< sizeof(struct virtq_iommu_config): lets the struct grow. */
    struct virtq_iova *iova; /**< Where addresses come from; its granule is the page size. Used by
                                this space only, must outlive it. */
    const struct virtq_iommu_backend
        *backend;       /**< What installs mappings; must outlive the space. */
    virtq_addr_t limit; /**< The highest address that the device can reach. */
};

/** @brief The initial value of a struct virtq_iommu_config. */
#define VIRTQ_IOMMU_CONFIG_INIT                                   \
    {                                                             \
        sizeof(struct virtq_iommu_config), NULL, NULL, UINT64_MAX \
    }

/** @brief What happened in an iommu space. */
struct virtq_iommu_usage {
    uint64_t mapped;    /**< Buffers and shared areas mapped now. */
    uint64_t shortages; /**< Requests answered VIRTQ_ENOMEM. */
    uint64_t leaked;    /**< Ranges never to be used again, because the backend could not unmap or
                           flush them. */
};

/** @brief The driver end. The caller owns the memory; the fields are private. */
struct virtq_iommu {
    struct virtq_space space;                  /**< What queues are given: `&iommu.space`. */
    const struct virtq_iommu_backend *backend; /**< What installs mappings. */
    struct virtq_iova *iova;                   /**< Where addresses come from; guarded by `lock`. */
    virtq_addr_t limit;                        /**< The highest address the device can reach. */
    struct virtq_iommu_usage usage;            /**< What happened; guarded by `lock`. */
    uint32_t lock; /**< 1 while a thread is inside. Never held over a backend's function. */
};

/** @brief Makes the driver end of an iommu space.
 *
 * Sets `driver_kind` to VIRTQ_SPACE_CALLED. It has no device end: see virtq_iommu_device_init().
 * @param iommu  result; owned by the caller, must outlive every queue on it
 * @param config read during the call only
 * @return 0, or VIRTQ_EINVAL (something is missing): `iommu` is untouched. Any thread, before the
 * first queue. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iommu_init(struct virtq_iommu *iommu,
                                                const struct virtq_iommu_config *config);

/** @brief What happened so far.
 * @param iommu a driver end
 * @param usage result: one consistent moment. Any thread. */
VIRTQ_API void virtq_iommu_read_usage(struct virtq_iommu *iommu, struct virtq_iommu_usage *usage);

/** @brief The device end. The caller owns the memory; the fields are private. */
struct virtq_iommu_device {
    struct virtq_space space;               /**< What queues are given: `&device.space`. */
    unsigned char apart_[VIRTQ_CACHE_LINE]; /**< Every unmapping reads what follows, whoever's it
                                               is; the space's generation is written by few. */
    struct virtq_domain_listener listener;  /**< Hears of the domain's unmappings. */
    struct virtq_domain *domain;            /**< Where translations come from, or NULL. */
    struct virtq_iotlb *iotlb;              /**< What is known of them, or NULL: everything. */
    uint64_t reach; /**< Shards of the domain that windows were given of; what is unmapped elsewhere
                       is no news for the queues. Without an IOTLB. */
};

/** @brief Makes the device end of an iommu space.
 *
 * - A domain alone: windows straight from it. An address that is not mapped is VIRTQ_EFAULT.
 * - An IOTLB alone: what is not in it is VIRTQ_EMISS, and the owner calls virtq_iotlb_update() and
 * retries.
 * - Both: what is not in the IOTLB is VIRTQ_EMISS, and the owner calls virtq_iommu_device_resolve()
 * and retries. What is unmapped from the domain goes from the IOTLB.
 *
 * Whatever goes from either is forgotten by the queues, as virtq_space_invalidated() says. Each of
 * several queues may have a device end of its own on the same domain: then an unmapping in shards
 * (virtq_domain_init_shards()) of which it has had no window leaves its windows alone.
 *
 * Sets `device_kind` to VIRTQ_SPACE_CALLED. It has no driver end.
 * @param device result; owned by the caller, must outlive every queue on it
 * @param domain a domain, listened to until virtq_iommu_device_destroy(); no other thread uses it
 * during this call; or NULL
 * @param iotlb  an IOTLB, for this space only; or NULL
 * @return 0; VIRTQ_EINVAL (neither is given) or VIRTQ_EBUSY (the IOTLB belongs to another space):
 * nothing changed. Before the first queue. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iommu_device_init(struct virtq_iommu_device *device,
                                                       struct virtq_domain *domain,
                                                       struct virtq_iotlb *iotlb);

/** @brief Lets go of the domain and the IOTLB. No queue may be on the space any more.
 * @param device a device end; no other thread uses its domain during this call */
VIRTQ_API void virtq_iommu_device_destroy(struct virtq_iommu_device *device);

/** @brief Brings into the IOTLB what a miss asked for, from the domain. An unmapping meanwhile is
 * not overlooked.
 *
 * A full IOTLB makes room, as virtq_iotlb_set_eviction() says.
 * @param device a device end with a domain and an IOTLB
 * @param miss   what virtq_device_miss() gave; read during the call only
 * @return 0: retry; VIRTQ_EFAULT (not mapped), VIRTQ_EPERM (not for this access), VIRTQ_EINVAL
 * (permissions) or VIRTQ_ENOTSUP (not both domain and IOTLB): nothing changed. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_iommu_device_resolve(struct virtq_iommu_device *device,
                                                          const struct virtq_miss *miss);

VIRTQ_END_DECLS

#endif
