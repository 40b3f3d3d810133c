/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_virtio_iommu
 * @brief A domain of a virtio-iommu as its driver knows it: endpoints join it, memory is mapped in
 * it; and it is the backend of an iommu space.
 *
 * As a backend (virtq_virtio_iommu_mapper_backend()):
 * - `map` sends all ranges of its list with one notification and waits for all replies. Where one
 * fails, those that did not are taken back.
 * - `unmap` sends, and neither notifies nor waits: the requests go out with whatever is sent next.
 * - `flush` notifies, and returns when every UNMAP sent before it has been answered (L4); a range
 * whose UNMAP failed is an error of the flush that covers it.
 *
 * So a strict buffer costs two notifications, a lazy one costs one and its part of a list's.
 * A list of more than 256 ranges, or of more than the driver has requests for, takes several turns.
 */
#ifndef VIRTQ_IOMMU_VIRTIO_IOMMU_MAPPER_H
#define VIRTQ_IOMMU_VIRTIO_IOMMU_MAPPER_H

#include <stdint.h>

#include "../error.h"
#include "../types.h"
#include "backend.h"
#include "iova.h"
#include "virtio_iommu_driver.h"

VIRTQ_BEGIN_DECLS

/** @brief Flags of virtq_virtio_iommu_mapper_init(). */
enum virtq_virtio_iommu_mapper_flag {
    VIRTQ_VIRTIO_IOMMU_MAPPER_BYPASS = 1 /**< A bypass domain: its endpoints reach all memory, and
                                            nothing is mapped in it. */
};

/** @brief A domain. The caller owns the memory; the fields are private. */
struct virtq_virtio_iommu_mapper {
    struct virtq_virtio_iommu_driver *driver; /**< Whose requests it sends. */
    uint32_t domain;                          /**< Its number. */
    uint32_t flags;                           /**< A set of enum virtq_virtio_iommu_mapper_flag. */
};

/** @brief Makes a domain known here. In the device it exists from the first attach to the last
 * detach.
 * @param mapper result; owned by the caller
 * @param driver a driver; must outlive the mapper
 * @param domain its number; two mappers with one number are one domain, and must have equal flags
 * @param flags  a set of enum virtq_virtio_iommu_mapper_flag
 * @return 0; VIRTQ_EINVAL (number out of the device's range, unknown flag) or VIRTQ_ENOTSUP (bypass
 * without VIRTIO_IOMMU_F_BYPASS_CONFIG): `mapper` is untouched. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_mapper_init(
    struct virtq_virtio_iommu_mapper *mapper, struct virtq_virtio_iommu_driver *driver,
    uint32_t domain, uint32_t flags);

/** @brief Attaches an endpoint; it leaves the domain that it was attached to. Probe it first.
 *
 * Endpoints that cannot be isolated from each other belong into one domain.
 * @param mapper   a domain
 * @param endpoint which endpoint
 * @return 0; VIRTQ_EINVAL (no such endpoint, or the domain exists with the other kind of bypass),
 * VIRTQ_ENOTSUP (the device can not do that), VIRTQ_ENOMEM, VIRTQ_EPEER or VIRTQ_EBROKEN. Any
 * thread; it waits. Source: [virtio 1.4, ATTACH request] */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_mapper_attach(
    struct virtq_virtio_iommu_mapper *mapper, uint32_t endpoint);

/** @brief Probes an endpoint, keeps its reserved regions out of the domain's addresses, and
 * attaches it.
 * @param mapper   a domain
 * @param endpoint which endpoint
 * @param iova     the allocator of the domain's addresses, used by the caller alone during the
 * call; NULL: there is none
 * @param regions  room for what is reserved, and a result
 * @param capacity room in `regions`
 * @param count    result: how many there are
 * @return 0; or an error of virtq_virtio_iommu_driver_probe(),
 * virtq_virtio_iommu_properties_reserve() or virtq_virtio_iommu_mapper_attach(): it is not
 * attached; what was reserved stays so. Any thread; it waits. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_mapper_join(
    struct virtq_virtio_iommu_mapper *mapper, uint32_t endpoint, struct virtq_iova *iova,
    struct virtq_virtio_iommu_region *regions, unsigned capacity, unsigned *count);

/** @brief Detaches an endpoint. With the last one the domain and its mappings are gone.
 * @param mapper   its domain
 * @param endpoint which endpoint
 * @return 0: it reaches nothing of the domain any more; VIRTQ_EINVAL (no such endpoint, or not
 * attached here), VIRTQ_EPEER or VIRTQ_EBROKEN. Any thread; it waits. Source: [virtio 1.4, DETACH
 * request] */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_mapper_detach(
    struct virtq_virtio_iommu_mapper *mapper, uint32_t endpoint);

/** @brief Maps a range by guest-physical address: registers of a device, the doorbell of message
 * signalled interrupts.
 * @param mapper   a domain with an endpoint
 * @param first    first virtual address, a multiple of the device's granule
 * @param last     last one, inclusive, above `first`; the end of a granule
 * @param physical guest-physical address of `first`, a multiple of the granule
 * @param flags    a set of VIRTIO_IOMMU_MAP_F_*
 * @return 0; VIRTQ_EINVAL (as above; not within the device's range; no access, or an unknown flag),
 * VIRTQ_ENOTSUP (a bypass domain; MMIO without VIRTIO_IOMMU_F_MMIO), VIRTQ_ENOMEM (the device has
 * no room: unmap something), VIRTQ_EFAULT, VIRTQ_EPEER or VIRTQ_EBROKEN: nothing is mapped. Any
 * thread; it waits. Source: [virtio 1.4, MAP request] */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_mapper_map(
    struct virtq_virtio_iommu_mapper *mapper, virtq_addr_t first, virtq_addr_t last,
    uint64_t physical, uint32_t flags);

/** @brief Unmaps every mapping in a range; holes in it are no error.
 * @param mapper a domain
 * @param first  first virtual address, a multiple of the granule
 * @param last   last one, inclusive, above `first`; the end of a granule
 * @return 0: no endpoint reaches them any more; VIRTQ_EINVAL (as above, or it would split a
 * mapping), VIRTQ_ENOTSUP (a bypass domain), VIRTQ_EPEER or VIRTQ_EBROKEN: they may be mapped
 * still. Any thread; it waits. Source: [virtio 1.4, UNMAP request] */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_mapper_unmap(
    struct virtq_virtio_iommu_mapper *mapper, virtq_addr_t first, virtq_addr_t last);

/** @brief The domain as the backend of an iommu space.
 * @param mapper  a domain that is not a bypass domain; must outlive every space on the backend
 * @param backend result; owned by the caller; its functions may be called on any thread, see above
 */
VIRTQ_API void virtq_virtio_iommu_mapper_backend(struct virtq_virtio_iommu_mapper *mapper,
                                                 struct virtq_iommu_backend *backend);

VIRTQ_END_DECLS

#endif
