/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief What the device end does in the same way for both formats: windows, faults, counters.
 */
#ifndef VIRTQ_INLINE_DEVICE_CORE_H
#define VIRTQ_INLINE_DEVICE_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "../device.h"
#include "../error.h"
#include "../space.h"
#include "../types.h"
#include "barrier.h"
#include "core.h"
#include "event.h"
#include "shm.h"

/** @brief A window as the hot path wants it: `size` bytes from `first`. An empty one has size 0. */
struct virtq_device_window {
    virtq_addr_t first;  /**< First device address. */
    uint64_t size;       /**< Bytes; never 2^64, see virtq_device_core_keep(). */
    unsigned char *base; /**< This program's address of `first`. */
};

/** @brief What the device knows of a buffer in flight; indexed by head (split) or id (packed). */
struct virtq_device_entry {
    uint32_t
        limit; /**< 0, like all of it: not in flight. Else one more than the bytes the device may
                  write: a pushed length is below it. #VIRTQ_LIMIT_NONE if that is no number. */
    uint32_t ticket; /**< Low half: its ring descriptors (split: 1). High half: its number in the
                        order of pop (split: the available index). */
};

/** @brief Any length may be pushed: the buffer is as large as a length can say. */
#define VIRTQ_LIMIT_NONE UINT32_MAX

/** @brief From one ticket of one descriptor to the next. */
#define VIRTQ_TICKET_NEXT 0x10000u

/** @brief IN_ORDER: set in a held length, so that a length of 0 can be told from none. */
#define VIRTQ_HELD ((uint64_t)1 << 32)

/** @brief IN_ORDER: set beside a bad buffer's length: it never counts as fully written, for nobody
 * knows what fully would be. */
#define VIRTQ_PARTIAL ((uint64_t)1 << 33)

/** @brief The windows a queue keeps. */
enum virtq_device_window_index {
    VIRTQ_WINDOW_READ = 0,  /**< Device-readable data. */
    VIRTQ_WINDOW_WRITE = 1, /**< Device-writable data. */
    VIRTQ_WINDOW_TABLE = 2, /**< Indirect tables. */
    VIRTQ_WINDOWS = 3       /**< How many. */
};

/** @brief The part of a device's queue that knows no format. */
struct virtq_device_core {
    struct virtq_device_window windows[VIRTQ_WINDOWS]; /**< By enum virtq_device_window_index. */
    struct virtq_device_entry *entries;                /**< `size` of them. */
    struct virtq_space *space;                         /**< Where device addresses lead. */
    virtq_generation_t generation; /**< Of the space, when the windows were empty. */
    uint32_t flags;                /**< A set of enum virtq_core_flag. */
    uint32_t size;                 /**< Queue size. */
    uint32_t in_flight;            /**< Buffers popped and not pushed. */
    uint32_t held;                 /**< IN_ORDER: buffers pushed and held back. */
    uint32_t stale;       /**< Buffers in flight that were popped before windows were forgotten. */
    uint32_t *marks;      /**< A bit for each of them, by id. */
    uint32_t unpublished; /**< Buffers written as used since the last publish. */
    uint32_t untested;    /**< As in the driver's core. */
    uint32_t first_test;  /**< 1: the next test with anything to tell says yes. S14. */
    uint32_t ahead; /**< Entries (split) or descriptors (packed) beyond the next pop that the caller
                       was told of: enable_notify does not count them as new. */
    uint32_t ticket;      /**< Of the next buffer to pop, if it takes one descriptor. */
    uint32_t table_bytes; /**< Of the largest table; 0: none may come. */
    uint32_t order_first; /**< IN_ORDER: where in `order` the oldest buffer stands ... */
    uint32_t order_next;  /**< ... and where the next one will. */
    uint16_t *order;      /**< IN_ORDER: ids in the order of pop, a circle of `size`. */
    uint64_t *lengths;    /**< IN_ORDER: lengths of held buffers | #VIRTQ_HELD, by id; else 0. */
    struct virtq_counters counters;        /**< What virtq_device_counters() gives. */
    uint64_t asked;                        /**< Pieces that took a question to the space. */
    struct virtq_fault fault;              /**< Why the queue is broken, if it is. */
    struct virtq_miss miss;                /**< The latest miss. */
    struct virtq_areas areas;              /**< The ring, as this program sees it. */
    struct virtq_area_addresses addresses; /**< The ring's device addresses, if it is translated. */
    uint64_t features;                     /**< As negotiated. */
    uint32_t untaken; /**< Ring descriptors between the positions of a restored queue whose buffers
                         have not been retaken. */
    void *memory;     /**< The private memory. */
    size_t memory_size; /**< Its bytes. */
};

/** @brief Latches the queue broken; the first reason stays. H6.
 * @param core the queue @param reason why @param position where @param value what was read @return
 * VIRTQ_EBROKEN */
VIRTQ_COLD int virtq_device_core_break(struct virtq_device_core *core, enum virtq_reason reason,
                                       uint32_t position, uint64_t value)
{
    if (core->fault.reason == (uint32_t)VIRTQ_REASON_NONE) {
        core->fault.reason = (uint32_t)reason;
        core->fault.position = position;
        core->fault.value = value;
    }
    return VIRTQ_EBROKEN;
}

/** @brief Notes what could not be translated. M4. @param core the queue @param addr first address
 * @param len bytes wanted from there @param permission what for @return VIRTQ_EMISS */
VIRTQ_COLD int virtq_device_core_missed(struct virtq_device_core *core, virtq_addr_t addr,
                                        uint64_t len, uint32_t permission)
{
    core->miss.addr = addr;
    core->miss.len = len;
    core->miss.permissions = permission;
    return VIRTQ_EMISS;
}

/** @brief Keeps a window for the hot path. The whole 64-bit range has 2^64 bytes, which no size can
 * say: then the half that holds the address is kept, and a buffer across the middle is cut in two.
 * L6.
 * @param to where @param window what the space gave @param addr the address it was asked for */
VIRTQ_INLINE void virtq_device_core_keep(struct virtq_device_window *to,
                                         const struct virtq_window *window, virtq_addr_t addr)
{
    const uint64_t half = (uint64_t)1 << 63;

    to->first = window->first;
    to->base = window->base;
    to->size = window->last - window->first + 1u;
    if (to->size == 0u) {
        to->first = addr & half;
        to->base = virtq_core_at(window->base, to->first);
        to->size = half;
    }
}

/** @brief Asks the space, and believes no answer that does not hold the address or grant the
 * access.
 * @param core the queue @param addr device address @param permission what for @param window result
 * @return 0, VIRTQ_EMISS, VIRTQ_EFAULT or VIRTQ_EPERM */
VIRTQ_INLINE int virtq_device_core_question(struct virtq_device_core *core, virtq_addr_t addr,
                                            uint32_t permission, struct virtq_window *window)
{
    int error = core->space->ops->window(core->space, addr, permission, window);

    if (error != VIRTQ_OK) {
        return error;
    }
    if (addr < window->first || addr > window->last ||
        (window->permissions & permission) != permission) {
        return VIRTQ_EFAULT;
    }
    return VIRTQ_OK;
}

/** @brief Asks the space for a window. @param core the queue @param index which of the queue's
 * windows to fill @param addr the address @param permission what for @return 0, VIRTQ_EMISS,
 * VIRTQ_EFAULT or VIRTQ_EPERM */
VIRTQ_OUTLINE int virtq_device_core_ask(struct virtq_device_core *core, unsigned index,
                                        virtq_addr_t addr, uint32_t permission)
{
    struct virtq_window window = {0};
    int error;

    core->counters.window_misses++;
    error = virtq_device_core_question(core, addr, permission, &window);
    if (error != VIRTQ_OK) {
        return error;
    }
    virtq_device_core_keep(&core->windows[index], &window, addr);
    core->asked += index != (unsigned)VIRTQ_WINDOW_TABLE ? 1u : 0u;
    return VIRTQ_OK;
}

/** @brief Which of a buffer's reasons an answer of the space amounts to. @param error its answer
 * @return the reason, or VIRTQ_EMISS */
VIRTQ_INLINE int virtq_device_core_reason(int error)
{
    if (error == VIRTQ_EMISS) {
        return VIRTQ_EMISS;
    }
    return error == VIRTQ_EPERM ? (int)VIRTQ_REASON_PERMISSION : (int)VIRTQ_REASON_ADDRESS;
}

/** @brief Forgets every window kept. @param core the queue */
VIRTQ_INLINE void virtq_device_core_forget(struct virtq_device_core *core)
{
    for (unsigned i = 0; i < (unsigned)VIRTQ_WINDOWS; i++) {
        core->windows[i].size = 0;
    }
}

/** @brief Fills the windows of a space that is one window, once and for all; each only as far as it
 * is permitted. L2.
 * @param core the queue */
VIRTQ_INLINE void virtq_device_core_linear(struct virtq_device_core *core)
{
    const struct virtq_window *linear = &core->space->linear;

    struct virtq_device_window window = {linear->first, linear->last - linear->first + 1u,
                                         linear->base};

    virtq_device_core_forget(core);
    if (window.size == 0u) {
        /* All 2^64 bytes: one too many for a size, and address 0 is the one nobody misses. */
        window.first++;
        window.base = virtq_core_at(window.base, 1);
        window.size = UINT64_MAX;
    }
    if ((linear->permissions & (uint32_t)VIRTQ_PERMISSION_READ) != 0u) {
        core->windows[VIRTQ_WINDOW_READ] = window;
        core->windows[VIRTQ_WINDOW_TABLE] = window;
    }
    if ((linear->permissions & (uint32_t)VIRTQ_PERMISSION_WRITE) != 0u) {
        core->windows[VIRTQ_WINDOW_WRITE] = window;
    }
}

/** @brief What every call begins with: a broken queue stays broken, and withdrawn windows are
 * forgotten.
 * @param core the queue @param how the instance @return 0; VIRTQ_EBROKEN; 1: the space has moved
 * on, refresh */
VIRTQ_TEMPLATE int virtq_device_core_begin(const struct virtq_device_core *core, unsigned how)
{
    const unsigned kind = how & VIRTQ_INSTANCE_KIND;

    if (VIRTQ_UNLIKELY(core->fault.reason != (uint32_t)VIRTQ_REASON_NONE)) {
        return VIRTQ_EBROKEN;
    }
    if (kind == VIRTQ_INSTANCE_DIRECT || kind == VIRTQ_INSTANCE_BAR) {
        return VIRTQ_OK;
    }
    /* Pairs with the release of virtq_space_invalidated(): what the space changed before it is seen
     * by what we ask after. */
    return VIRTQ_UNLIKELY(__atomic_load_n(&core->space->generation, __ATOMIC_ACQUIRE) !=
                          core->generation)
               ? 1
               : 0;
}

/** @brief Adds to the entries that no test for a notification has seen.
 * @param core the queue @param count entries (split) or descriptors (packed) */
VIRTQ_TEMPLATE void virtq_device_core_published(struct virtq_device_core *core, uint32_t count)
{
    core->untested += count;
    if (VIRTQ_UNLIKELY(core->untested > VIRTQ_UNTESTED_MANY)) {
        core->untested = VIRTQ_UNTESTED_MANY;
    }
}

/** @brief Counts a test's result; the first with anything to tell says yes, for what the driver was
 * told before is unknown. S14.
 * @param core the queue @param wanted the result @return the result */
VIRTQ_TEMPLATE int virtq_device_core_tested(struct virtq_device_core *core, bool wanted)
{
    if (VIRTQ_UNLIKELY(core->first_test != 0u) && core->untested != 0u) {
        core->first_test = 0;
        wanted = true;
    }
    core->untested = 0;
    if (wanted) {
        core->counters.notify_asked++;
    } else {
        core->counters.notify_suppressed++;
    }
    return wanted ? 1 : 0;
}

/** @brief What was counted. The hot path counts pieces, so that a hit costs nothing of its own.
 * @param core the queue @param counters result */
VIRTQ_INLINE void virtq_device_core_read(const struct virtq_device_core *core,
                                         struct virtq_counters *counters)
{
    const uint64_t pieces = core->counters.window_hits;

    *counters = core->counters;
    counters->window_hits = pieces > core->asked ? pieces - core->asked : 0u;
}

#endif
