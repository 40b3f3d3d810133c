/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_space
 * @brief The seam: how CPU memory becomes device addresses, and device addresses become CPU memory.
 *
 * A queue knows a `struct virtq_space` and nothing of what is behind it; a space knows nothing of
 * rings. A new space is one struct that begins with a `struct virtq_space`, and one table of
 * operations.
 *
 * Six laws hold for every space:
 * - **L1** direct, bar and premapped cost no call through a pointer per descriptor; any other space
 * costs at most one call per buffer, two per poll (driver end), or one per miss (device end).
 * - **L2** every window has a permission, and it is enforced; rings and indirect tables go through
 * the space too.
 * - **L3** an invalidation returns only when no queue can still use the old window.
 * - **L4** a device address is used again only after the flush that covers its unmapping.
 * - **L5** a queue has one owner; a space may be shared by many queues on many threads.
 * - **L6** the top of the 64-bit range is legal: ranges are [first, last], inclusive.
 */
#ifndef VIRTQ_SPACE_H
#define VIRTQ_SPACE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "types.h"

VIRTQ_BEGIN_DECLS

struct virtq_space;
struct virtq_guard;

/** @brief A run of device addresses that is contiguous in this program's memory. */
struct virtq_window {
    virtq_addr_t first;   /**< First device address. */
    virtq_addr_t last;    /**< Last device address, inclusive. */
    unsigned char *base;  /**< This program's address of `first`. */
    uint32_t permissions; /**< A set of enum virtq_permission; 0: the window is empty. */
    uint32_t reserved_;
};

/** @brief A run of device addresses without a pointer: what goes into one descriptor. */
struct virtq_run {
    virtq_addr_t addr; /**< First device address. */
    uint32_t len;      /**< Bytes. */
    uint32_t reserved_;
};

/** @brief One buffer on its way through virtq_space_ops::map and back through
 * virtq_space_ops::unmap. */
struct virtq_mapping {
    struct virtq_run *runs; /**< To fill, device-readable ones first. Not valid in unmap. */
    const struct virtq_segment *segments; /**< The caller's segments. Not valid in unmap. */
    void *record;               /**< The space's own bytes for this buffer, kept from map to unmap:
                                     virtq_space_record_size() of them, 8-byte aligned, private. */
    uint16_t segments_readable; /**< How many segments the device may read. */
    uint16_t segments_writable; /**< How many it may write, after those. */
    uint16_t capacity;          /**< How many runs there is room for. */
    uint16_t runs_readable;     /**< Result of map: device-readable runs. */
    uint16_t runs_writable;     /**< Result of map: device-writable runs, after those. */
    uint16_t reserved_[3];
    uint64_t copied; /**< Both calls add the bytes that they copied. */
};

/** @brief Where an access went that no window served. */
struct virtq_miss {
    virtq_addr_t addr;    /**< First device address without a window. */
    uint64_t len;         /**< Bytes wanted from there on. */
    uint32_t permissions; /**< What the access needs: a set of enum virtq_permission. */
    uint32_t reserved_;
};

/** @brief How addresses are computed where no call is needed. */
enum virtq_space_kind {
    VIRTQ_SPACE_CALLED = 0, /**< Ask the operations. */
    VIRTQ_SPACE_DIRECT = 1, /**< `linear` is all there is: address = pointer + constant. */
    VIRTQ_SPACE_BAR =
        2, /**< `linear` is all there is, and its addresses are offsets, checked on both ends. */
    VIRTQ_SPACE_PREMAPPED =
        3 /**< Driver: segments hold device addresses. Device: pieces are not translated. */
};

/** @brief What a space can do. A member that is NULL is something the space cannot do.
 *
 * Every function may be called from any thread, for many queues at once, unless the space's own
 * page says otherwise (L5). */
struct virtq_space_ops {
    /** sizeof(struct virtq_space_ops) of whoever fills the table; what lies beyond counts as NULL.
     */
    size_t size;
    /** A word for reports: "direct", "swiotlb", ... */
    const char *name;

    /** @brief Driver end: give device addresses for a whole buffer.
     *
     * May give fewer runs than segments (coalescing) or more (a segment that is not contiguous for
     * the device), up to `mapping->capacity`. All or nothing: on an error the space holds nothing
     * for this buffer.
     * @return 0; VIRTQ_ENOMEM (shortage, retry), VIRTQ_EFULL (more runs than capacity),
     * VIRTQ_EFAULT (a segment the space does not cover) or VIRTQ_ETOOBIG (can never be mapped) */
    int (*map)(struct virtq_space *space, struct virtq_mapping *mapping);

    /** @brief Driver end: take a buffer back.
     * @param space   the space
     * @param mapping only `record` and `copied` are valid
     * @param written bytes the device wrote, already clamped to the writable part; copy back no
     * more */
    void (*unmap)(struct virtq_space *space, struct virtq_mapping *mapping, uint64_t written);

    /** @brief Driver end: give a device address that stays valid until unshare, for rings, tables
     * and premapped buffers.
     * @return 0, VIRTQ_ENOMEM or VIRTQ_EFAULT */
    int (*share)(struct virtq_space *space, void *base, uint64_t len, uint32_t permissions,
                 virtq_addr_t *addr);

    /** @brief Driver end: the address of virtq_space_ops::share is no longer used by the device. */
    void (*unshare)(struct virtq_space *space, virtq_addr_t addr, uint64_t len);

    /** @brief Device end: the largest window that holds `addr` and grants `permission`: a set, for
     * a packed descriptor ring is read and written.
     * @return 0; VIRTQ_EMISS (not known yet, may be resolved); VIRTQ_EFAULT (never); VIRTQ_EPERM
     * (known, not allowed) */
    int (*window)(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                  struct virtq_window *window);

    /** @brief Driver end: buffers come back together. `more` is 1 before the first unmap of them,
     * and 0 behind the last, before any of them is given out: what all of them need may be put off
     * until then, and be one request. An unmap outside of such a batch is complete by itself.
     *
     * NULL: nothing is gained by it, and the driver end does not say. */
    void (*batch)(struct virtq_space *space, int more);
};

/** @brief A space that is built on another one, and whose queues hear of what that one withdraws.
 * Made by the space's own code; the fields are set while no queue uses either space. */
struct virtq_space_listener {
    /** Called after the generation of the space below has moved; `wait`: as
     * virtq_space_invalidated() does, else as virtq_space_moved(). */
    void (*moved)(struct virtq_space_listener *listener, int wait);
    struct virtq_space_listener *next; /**< Of the same space. */
};

#if VIRTQ_ATOMIC64
/** @brief How often a space's windows were withdrawn. */
typedef uint64_t virtq_generation_t;
#else
/** @brief How often a space's windows were withdrawn, modulo 2^32: a queue has to be used once in
 * so many withdrawals. */
typedef uint32_t virtq_generation_t;
#endif

/** @brief An address space. Embed it as the first member of your own; the caller owns the memory,
 * which must outlive every queue on it. Fields are set once, before the first queue uses the space.
 */
struct virtq_space {
    const struct virtq_space_ops *ops; /**< Never NULL. */
    struct virtq_window linear;        /**< For the kinds that compute: the one window there is. */
    uint32_t driver_kind;  /**< An enum virtq_space_kind: how the driver end gets addresses. */
    uint32_t device_kind;  /**< An enum virtq_space_kind: how the device end gets pointers. */
    uint32_t record_fixed; /**< Private bytes per outstanding buffer for map and unmap ... */
    uint32_t record_per_segment; /**< ... and per segment of the largest buffer. */
    uint16_t
        runs_max; /**< map never gives more runs than this; 0: as many as there are segments. */
    uint16_t reserved_[3];
    /** Counts invalidations. A queue compares it once a call and forgets its windows when it has
     * moved; see virtq_space_invalidated(). */
    virtq_generation_t generation;
    struct virtq_guard *guard; /**< Whom an invalidation waits for; NULL: nobody. See guard.h. */
    void (*guard_wait)(struct virtq_guard *guard); /**< virtq_guard_wait(), if there is a guard. */
    struct virtq_space_listener *listeners; /**< Spaces that are built on this one; NULL: none. */
};

/** @brief Bytes of `mapping->record` for buffers of up to `segments` segments.
 * @param space the space
 * @param segments the largest buffer's segments
 * @return bytes, a multiple of 8 */
VIRTQ_INLINE size_t virtq_space_record_size(const struct virtq_space *space, uint16_t segments)
{
    size_t size = (size_t)space->record_fixed + (size_t)space->record_per_segment * segments;

    return (size + 7u) & ~(size_t)7u;
}

/** @brief Driver end: gives a device address to memory that stays shared: rings, tables, premapped
 * buffers.
 *
 * @param space       the space
 * @param base        first byte, in this program's memory; the caller keeps owning it
 * @param len         bytes, at least 1
 * @param permissions what the device may do: a set of enum virtq_permission
 * @param addr        result: the device address; put it into segments of ::VIRTQ_BUFFER_PREMAPPED
 * buffers
 * @return 0; VIRTQ_EINVAL (len or permissions), VIRTQ_EFAULT (the space cannot reach this memory),
 * VIRTQ_ENOMEM (no address left: retry later) or VIRTQ_ENOTSUP. Nothing is shared on an error. Any
 * thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_space_share(struct virtq_space *space, void *base,
                                                 uint64_t len, uint32_t permissions,
                                                 virtq_addr_t *addr);

/** @brief Driver end: takes back what virtq_space_share() gave.
 * @param space the space
 * @param addr  the address it gave; the device must no longer use it
 * @param len   the same length. Any thread. */
VIRTQ_API void virtq_space_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len);

/** @brief Device end: the part of [addr, addr + len) that begins at `addr` and lies in one window.
 *
 * There is no translation without a length. A range that crosses windows takes several calls.
 * @param space      the space
 * @param addr       device address
 * @param len        bytes wanted, at least 1
 * @param permission one enum virtq_permission
 * @param base       result: pointer to `addr`
 * @return bytes usable from there, 1 to `len`; or VIRTQ_EINVAL, VIRTQ_EMISS, VIRTQ_EFAULT,
 * VIRTQ_EPERM. Any thread; the pointer is good until the window is invalidated. */
VIRTQ_API VIRTQ_MUST_CHECK int64_t virtq_space_translate(struct virtq_space *space,
                                                         virtq_addr_t addr, uint64_t len,
                                                         uint32_t permission, void **base);

/** @brief Moves a space's generation, and tells the spaces that are built on it. @param space the
 * space @param wait what they are to do, see struct virtq_space_listener */
VIRTQ_INLINE void virtq_space_tell(struct virtq_space *space, int wait)
{
    struct virtq_space_listener *listener;

    (void)__atomic_add_fetch(&space->generation, 1u, __ATOMIC_RELEASE);
    for (listener = space->listeners; listener != NULL; listener = listener->next) {
        listener->moved(listener, wait);
    }
}

/** @brief For a space's own code: every queue forgets its windows, those of its rings included, at
 * its next call. The memory behind them stays for now: something was evicted, or became larger.
 *
 * Nothing is waited for.
 * @param space the space. Any thread, also within a burst. */
VIRTQ_INLINE void virtq_space_moved(struct virtq_space *space)
{
    virtq_space_tell(space, 0);
}

/** @brief For a space's own code: says that windows given before may no longer be used, after its
 * own table has changed.
 *
 * Every queue forgets its windows, those of its rings included, at its next call. With a guard
 * (guard.h) this returns when no burst is under way that may have them still; without one the owner
 * of each queue must be between two calls on it when this is called. Buffers that were popped and
 * not pushed keep what they have: virtq_guard_held() or virtq_device_outstanding() counts them.
 * @param space the space. Any thread, not within a burst, and with no lock that a window needs. */
VIRTQ_INLINE void virtq_space_invalidated(struct virtq_space *space)
{
    virtq_space_tell(space, 1);
    if (VIRTQ_UNLIKELY(space->guard != NULL)) {
        space->guard_wait(space->guard);
    }
}

VIRTQ_END_DECLS

#endif
