/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_space_bar
 * @brief The bar space: a device address is an OFFSET into a region, for devices that carry their
 * own staging memory.
 *
 * Nothing pretends to be DMA: the number in a descriptor is a distance from the region's start, and
 * both ends check it against the region's size, in the form that cannot wrap: `len <= size &&
 * offset <= size - len`. Rings and indirect tables lie in the region too.
 *
 * Memory of the region is handed out by virtq_bar_alloc(), which never touches the region itself,
 * so that its memory type does not matter here; the book-keeping lies in private memory.
 *
 * A region has a **memory type** (virtq_bar_config::memory). The library touches a region's memory
 * only where rings and tables lie, by naturally aligned loads and stores of 2, 4 and 8 bytes, one
 * at a time: a region of device memory that does not take these cannot hold them, and says so to
 * virtq_space_share(). What lies in buffers is the caller's business, or that of
 * struct virtq_bar_stage, which copies by a struct virtq_copy.
 *
 * Of several regions each has an **id**, and with virtq_bar_config::shift the id is part of the
 * device address: `id << shift | offset`. See struct virtq_bar_set.
 *
 * Trust: the device may reach the region and nothing else, whatever it is told.
 */
#ifndef VIRTQ_SPACE_BAR_H
#define VIRTQ_SPACE_BAR_H

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../space.h"
#include "../types.h"
#include "granules.h"

VIRTQ_BEGIN_DECLS

/** @brief What a region's memory is for a processor. */
enum virtq_bar_memory {
    VIRTQ_BAR_CACHEABLE = 0,       /**< As any other memory: every access is good. */
    VIRTQ_BAR_WRITE_COMBINING = 1, /**< Stores are gathered and go out in any order until a fence;
                                        loads are slow and never cached. */
    VIRTQ_BAR_DEVICE = 2 /**< Naturally aligned accesses of some widths only, each as it is
                              written: nothing is gathered, split or repeated. */
};

/** @brief How a region is to be. Begin with #VIRTQ_BAR_CONFIG_INIT. */
struct virtq_bar_config {
    size_t struct_size;   /**< sizeof(struct virtq_bar_config): lets the struct grow. */
    void *base;           /**< This program's address of offset 0; must stay mapped until no queue
                               is on the region. */
    uint64_t size;        /**< Bytes, at least 1; with a shift at most 1 << shift. */
    uint32_t permissions; /**< What the device may do there: a set of enum virtq_permission, not
                               empty. */
    uint32_t id;          /**< Which region it is; with a shift below 1 << (64 - shift). */
    uint32_t shift;       /**< 0: the device address is the offset. 1 to 63: it is `id << shift |
                               offset`. Both ends have to know. */
    uint32_t memory;      /**< An enum virtq_bar_memory. */
    uint32_t widths;      /**< VIRTQ_BAR_DEVICE: the sum of the widths in bytes that are allowed, of
                               1, 2, 4 and 8. Else 0. */
    uint32_t reserved_;   /**< Zero. */
};

/** @brief The initial value of a struct virtq_bar_config. */
#define VIRTQ_BAR_CONFIG_INIT                                      \
    {                                                              \
        sizeof(struct virtq_bar_config), NULL, 0, 0, 0, 0, 0, 0, 0 \
    }

/** @brief A region of offsets. The caller owns the memory; the fields are private. */
struct virtq_bar {
    struct virtq_space space; /**< What queues are given: `&bar.space`. */
    unsigned char *base;      /**< This program's address of offset 0. */
    uint64_t size;            /**< Bytes of the region. */
    uint32_t id;              /**< The caller's number for the region. */
    uint32_t memory;          /**< An enum virtq_bar_memory. */
    uint32_t widths;          /**< VIRTQ_BAR_DEVICE: allowed widths in bytes, in sum. */
    uint32_t reserved_;       /**< Zero. */
    struct virtq_granules
        granules; /**< What virtq_bar_alloc() handed out; of count 0 before virtq_bar_manage(). */
};

/** @brief Makes a cacheable region of offsets 0 to `size` - 1. Its memory is not touched.
 *
 * Sets both kinds to VIRTQ_SPACE_BAR.
 * @param bar         result; owned by the caller, must outlive every queue on it
 * @param base        this program's address of the region; must stay mapped as long
 * @param size        bytes, at least 1
 * @param permissions what the device may do there: a set of enum virtq_permission, not empty
 * @param id          which region it is, for those who have several; any number
 * @return 0, or VIRTQ_EINVAL (no size, memory that wraps, permissions): `bar` is untouched.
 * Any thread, before the first queue. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_bar_init(struct virtq_bar *bar, void *base, uint64_t size,
                                              uint32_t permissions, uint32_t id);

/** @brief Makes a region of any memory type. Its memory is not touched.
 *
 * Sets both kinds to VIRTQ_SPACE_BAR.
 * @param bar    result; owned by the caller, must outlive every queue on it
 * @param config read during the call only
 * @return 0, or VIRTQ_EINVAL (no size, memory that wraps, permissions, an unknown memory type,
 * widths that are none or for another type, an id or a size too large for the shift): `bar` is
 * untouched. Any thread, before the first queue. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_bar_init_config(struct virtq_bar *bar,
                                                     const struct virtq_bar_config *config);

/** @brief The device address of memory in the region, for a buffer that is premapped.
 *
 * Unlike virtq_space_share() it is not for rings and tables: whether the region's memory type can
 * hold those is not asked.
 * @param bar         a region
 * @param base        first byte, in this program's memory
 * @param len         bytes, at least 1
 * @param permissions what the device may do: a set of enum virtq_permission
 * @param addr        result: the device address
 * @return 0; VIRTQ_EINVAL (len, permissions) or VIRTQ_EFAULT (not wholly inside the region, or not
 * permitted there): `addr` is untouched. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_bar_address(const struct virtq_bar *bar, const void *base,
                                                 uint64_t len, uint32_t permissions,
                                                 virtq_addr_t *addr);

/** @brief The number that virtq_bar_init() was given.
 * @param bar a region
 * @return its id. Any thread. */
VIRTQ_API uint32_t virtq_bar_id(const struct virtq_bar *bar);

/** @brief Bytes of private memory that virtq_bar_manage() needs.
 * @param size    bytes of the region
 * @param granule unit of allocation in bytes, a power of two, 16 to 65536
 * @return bytes, to be 8-byte aligned; 0 if `granule` is illegal or `size` is less than one
 * granule. Any thread. */
VIRTQ_API size_t virtq_bar_private_size(uint64_t size, uint32_t granule);

/** @brief Lets virtq_bar_alloc() hand out the region's memory, of which nothing may be in use yet.
 *
 * A tail of less than a granule is not handed out.
 * @param bar         a region
 * @param granule     unit of allocation in bytes, a power of two, 16 to 65536; `base` must be
 * aligned to it
 * @param memory      private memory, 8-byte aligned; owned by the caller, must outlive the region;
 * never shared
 * @param memory_size its bytes
 * @return 0; VIRTQ_EINVAL (granule, alignment) or VIRTQ_ENOMEM (less than
 * virtq_bar_private_size()): nothing changed. Any thread, before the first virtq_bar_alloc(). */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_bar_manage(struct virtq_bar *bar, uint32_t granule,
                                                void *memory, size_t memory_size);

/** @brief Takes memory of the region: for rings, tables, buffers. Its bytes are whatever they were.
 * @param bar   a region with virtq_bar_manage()
 * @param len   bytes, at least 1
 * @param align alignment of the offset in bytes, a power of two; 0: the granule
 * @param base  result: the memory; the caller's until virtq_bar_free(). virtq_space_share() tells
 * its offset.
 * @return 0; VIRTQ_ENOMEM (no room now), VIRTQ_ETOOBIG (not even in an empty region), VIRTQ_EINVAL
 * (len, align) or VIRTQ_ENOTSUP (no virtq_bar_manage()): nothing changed. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_bar_alloc(struct virtq_bar *bar, uint64_t len, uint64_t align,
                                               void **base);

/** @brief Gives memory of virtq_bar_alloc() back. The device must no longer use it.
 * @param bar  the region
 * @param base what virtq_bar_alloc() gave
 * @return 0, or VIRTQ_EINVAL (nothing was allocated there): nothing changed. Any thread. */
VIRTQ_API int virtq_bar_free(struct virtq_bar *bar, void *base);

VIRTQ_END_DECLS

#endif
