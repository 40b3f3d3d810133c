/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_vhost_user
 * @brief Memory for rings and buffers, shown to a back-end through one of the four spaces.
 *
 * It is the same memory each time (memory.h). What differs is what a device address is, and what
 * the back-end is given:
 *
 * - **direct**: all of it; an address is where it lies from virtq_vhost_user_space_config::first
 * on.
 * - **swiotlb**: all of it as a pool, in which rings lie; buffers are the program's own memory, and
 * copied.
 * - **bar**: all of it, as a region; an address is an offset.
 * - **iommu**: with VIRTIO_F_ACCESS_PLATFORM accepted, only what is mapped at the moment can be
 * found: each buffer for as long as it is out, if the policy is strict. The back-end asks for what
 * it does not know, and when a mapping goes it has let go (L4, M1). Without that feature all is
 * mapped once, and for that the back-end needs slots of memory.
 *
 * A back-end has to have the memory itself before it can look an address up in it: how far that is
 * from protecting it is said in vhost_user_frontend.h.
 *
 * Everything is called on the thread that owns the front-end.
 */
#ifndef VIRTQ_HOST_VHOST_USER_SPACE_H
#define VIRTQ_HOST_VHOST_USER_SPACE_H

#include <stddef.h>
#include <stdint.h>

#include "../api.h"
#include "../error.h"
#include "../iommu/backend.h"
#include "../space.h"
#include "../space/iommu_queue.h"
#include "../types.h"
#include "vhost_user_frontend.h"

VIRTQ_BEGIN_DECLS

/** @brief What a device address is. */
enum virtq_vhost_user_space_kind {
    VIRTQ_VHOST_USER_SPACE_DIRECT = 0,  /**< A memory address plus a constant. */
    VIRTQ_VHOST_USER_SPACE_SWIOTLB = 1, /**< One in a pool. */
    VIRTQ_VHOST_USER_SPACE_IOMMU = 2,   /**< An IOVA. */
    VIRTQ_VHOST_USER_SPACE_BAR = 3      /**< An offset. */
};

/** @brief How memory is to be shown. Begin with #VIRTQ_VHOST_USER_SPACE_CONFIG_INIT. */
struct virtq_vhost_user_space_config {
    size_t struct_size; /**< sizeof(struct virtq_vhost_user_space_config): lets the struct grow. */
    struct virtq_vhost_user_frontend
        *frontend; /**< With features accepted; must outlive the space. */
    uint32_t kind; /**< An enum virtq_vhost_user_space_kind; with VIRTIO_F_ACCESS_PLATFORM accepted
                        iommu only. */
    uint32_t granule;     /**< Rings and buffers begin at a multiple of it, in bytes; iommu with
                               VIRTIO_F_ACCESS_PLATFORM: the size of a page, too. A power of two from
                               4096 to 2^30. */
    uint64_t ring_size;   /**< Bytes for rings, at least 1; see
                               virtq_vhost_user_queue_ring_size(). */
    uint64_t buffer_size; /**< Bytes for buffers; may be 0. */
    virtq_addr_t first;   /**< The first device address, a multiple of `granule`; bar: 0 counts. */
    virtq_addr_t last;    /**< The last one, inclusive. */
    uint32_t policy;   /**< With VIRTIO_F_ACCESS_PLATFORM: ::VIRTQ_IOMMU_STRICT, ::VIRTQ_IOMMU_LAZY
                            (what is back is unmapped when there is no room for more) or
                            ::VIRTQ_IOMMU_PERSISTENT. */
    uint32_t mappings; /**< The same: segments and areas that can be mapped at a time, 1 to 2^20. */
    const struct virtq_iommu_backend
        *backend; /**< The same: called in place of virtq_vhost_user_space::backend, which it may
                       call in turn; must outlive the space. NULL: there is nothing in its place. */
};

/** @brief The initial value of a struct virtq_vhost_user_space_config: direct, from 4 GiB to 8 GiB;
 * strict, of up to 256 mappings. */
#define VIRTQ_VHOST_USER_SPACE_CONFIG_INIT                                                        \
    {                                                                                             \
        sizeof(struct virtq_vhost_user_space_config), NULL, 0, 4096, 0, 0, UINT64_C(0x100000000), \
            UINT64_C(0x1ffffffff), VIRTQ_IOMMU_STRICT, 256, NULL                                  \
    }

/** @brief Memory, and a space. Lives in memory that the caller gives; the fields may be read. */
struct virtq_vhost_user_space {
    struct virtq_space *space; /**< What queues are given. One for all of them: they are driven by
                                    one thread. */
    void *rings;               /**< Memory for rings, zeroed. */
    void *buffers;             /**< Memory for buffers, zeroed; NULL if there is none. */
    struct virtq_vhost_user_share share;       /**< What the back-end was given. */
    const struct virtq_iommu_backend *backend; /**< Iommu: what maps and unmaps there; else NULL. */
};

/** @brief Bytes of private memory that a space needs; swiotlb: the buffers among them.
 * @param config the configuration
 * @return bytes, a multiple of #VIRTQ_CACHE_LINE, to be aligned to that; 0 if the configuration is
 * illegal. Owner's thread. */
VIRTQ_API size_t virtq_vhost_user_space_size(const struct virtq_vhost_user_space_config *config);

/** @brief Takes memory, gives it to the back-end, and makes the space.
 *
 * To a back-end that has slots of memory it is given in addition to what it has, to another one in
 * place of that.
 * @param memory private memory, aligned to #VIRTQ_CACHE_LINE; owned by the caller, must stay until
 * virtq_vhost_user_space_fini()
 * @param size   its bytes, at least virtq_vhost_user_space_size()
 * @param config read during the call only
 * @param space  result: inside `memory`
 * @return 0; VIRTQ_EINVAL (configuration, alignment, or more memory than there are addresses),
 * VIRTQ_ENOMEM (memory too small, none to be had, no descriptor, or all slots taken), VIRTQ_EBUSY
 * (the front-end's misses are answered from a domain already), VIRTQ_ENOTSUP (the back-end refuses
 * the memory, or has no slots where they are needed), VIRTQ_EPEER: nothing is kept, and the
 * front-end has no domain that it did not have before. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_space_init(
    void *memory, size_t size, const struct virtq_vhost_user_space_config *config,
    struct virtq_vhost_user_space **space);

/** @brief Takes all back: the space from its queues, the memory from the back-end, if that has
 * slots; else it keeps what it has mapped until it is given other memory, or ends.
 * @param space a space that no queue is on any more, and of which all is unshared that the caller
 * has shared; its front-end may be over. Owner's thread. */
VIRTQ_API void virtq_vhost_user_space_fini(struct virtq_vhost_user_space *space);

VIRTQ_END_DECLS

#endif
