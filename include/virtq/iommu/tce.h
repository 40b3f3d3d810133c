/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_tce
 * @brief Translation control entries (TCEs), the POWER way to an IOMMU: the numbers that both ends
 * share, and which window a device is to use.
 *
 * A *window* is a range of bus addresses with a table of one level: one entry of 64 bits a page,
 * the page's address in guest memory and what the device may do there. The table lies in the
 * hypervisor; the guest changes it by calls, which name the table by its LIOBN. Entries are
 * big-endian wherever they lie in memory: in a table, and in the list page of a call.
 *
 * - iommu/tce_backend.h is the guest's end: a backend of the iommu space that makes calls.
 * - iommu/tce_table.h is the hypervisor's: a table that answers them, and is a space for devices.
 *
 * Numbers and rules are those of the Power Architecture Platform Reference (LoPAR), in which the
 * calls and statuses are called H_PUT_TCE, H_PARAMETER and so on.
 */
#ifndef VIRTQ_IOMMU_TCE_H
#define VIRTQ_IOMMU_TCE_H

#include <stdint.h>

#include "../error.h"
#include "../types.h"

VIRTQ_BEGIN_DECLS

/** @brief The low bits of an entry; with neither of them it grants nothing. The numbers are those
 * of enum virtq_permission. */
enum virtq_tce_bit {
    VIRTQ_TCE_READ = 1, /**< The device may read the page. */
    VIRTQ_TCE_WRITE = 2 /**< The device may write the page. */
};

/** @brief The calls, by their numbers. Arguments are 64-bit words in this order. */
enum virtq_tce_call {
    /** H_GET_TCE (LIOBN, bus address): the entry, as a result. */
    VIRTQ_TCE_GET = 0x1c,
    /** H_PUT_TCE (LIOBN, bus address, entry): one entry. */
    VIRTQ_TCE_PUT = 0x20,
    /** H_STUFF_TCE (LIOBN, bus address, entry, count): the same entry so many times. */
    VIRTQ_TCE_STUFF = 0x138,
    /** H_PUT_TCE_INDIRECT (LIOBN, bus address, real address of a list page, count): up to
     * #VIRTQ_TCE_LIST_MAX entries. */
    VIRTQ_TCE_PUT_INDIRECT = 0x13c
};

/** @brief Entries of one VIRTQ_TCE_PUT_INDIRECT, at most. */
#define VIRTQ_TCE_LIST_MAX 512u
/** @brief Bytes of a list page, and its alignment in real addresses, whatever the window's page
 * size is. */
#define VIRTQ_TCE_LIST_SIZE 4096u

/** @brief What a call answers. Others exist; below zero they are all failures. */
enum virtq_tce_status {
    VIRTQ_TCE_SUCCESS = 0,      /**< H_SUCCESS. */
    VIRTQ_TCE_BUSY = 1,         /**< H_BUSY: call again. */
    VIRTQ_TCE_HARDWARE = -1,    /**< H_HARDWARE: the IOMMU failed. */
    VIRTQ_TCE_FUNCTION = -2,    /**< H_FUNCTION: there is no such call. */
    VIRTQ_TCE_PRIVILEGE = -3,   /**< H_PRIVILEGE: not for this caller. */
    VIRTQ_TCE_PARAMETER = -4,   /**< H_PARAMETER: an argument is wrong. */
    VIRTQ_TCE_NO_MEM = -9,      /**< H_NO_MEM. */
    VIRTQ_TCE_AUTHORITY = -10,  /**< H_AUTHORITY. */
    VIRTQ_TCE_PERMISSION = -11, /**< H_PERMISSION: the page may not be used like that. */
    VIRTQ_TCE_RESOURCE = -16,   /**< H_RESOURCE: none left. */
    VIRTQ_TCE_NOT_ENOUGH = -44, /**< H_NOT_ENOUGH_RESOURCES: no memory is entitled to be pinned. */
    VIRTQ_TCE_LONG_BUSY = 9900, /**< H_LONG_BUSY_ORDER_1_MSEC: call again after a millisecond ... */
    VIRTQ_TCE_LONG_BUSY_LAST = 9905 /**< ... to H_LONG_BUSY_ORDER_100_SEC. */
};

/** @brief A window: where it lies on the bus, and which table it has. */
struct virtq_tce_window {
    virtq_addr_t first; /**< First bus address, a multiple of the page size. 0 for the window that
                           every device has; e.g. 2^59 for a second one. */
    uint64_t entries;   /**< Pages, at least 1. */
    uint32_t liobn;     /**< The logical I/O bus number: the name of its table in calls. */
    uint32_t shift;     /**< The page size as a power of two: 12 (4 KiB) to 34 (16 GiB); 16 is
                           64 KiB. */
};

/** @brief The last bus address of a legal window. @param window a window @return it, inclusive */
VIRTQ_INLINE virtq_addr_t virtq_tce_window_last(const struct virtq_tce_window *window)
{
    /* All of 2^64 bytes come out right as well: the shift drops the one bit too many. */
    return window->first + ((window->entries << window->shift) - 1);
}

/** @brief Whether a window is legal.
 * @param window a window
 * @return 0, or VIRTQ_EINVAL: page size, no entries, not at a page, beyond the top of the 64-bit
 * range. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_tce_window_check(const struct virtq_tce_window *window);

/** @brief The addresses of a window that an allocator may hand out: whole pages within the device's
 * reach, and never the page at bus address 0, which too many devices take for "none".
 * @param window a window
 * @param limit  the highest address the device can reach
 * @param first  result: first address
 * @param last   result: last address, inclusive
 * @return 0; VIRTQ_EINVAL (the window is not legal) or VIRTQ_EFAULT (nothing within reach): nothing
 * is written. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_tce_window_range(const struct virtq_tce_window *window,
                                                      virtq_addr_t limit, virtq_addr_t *first,
                                                      virtq_addr_t *last);

/** @brief What is known when a device's window is chosen. */
struct virtq_tce_needs {
    uint64_t memory_last; /**< The highest real address of guest memory, inclusive. */
    virtq_addr_t limit;   /**< The highest bus address that the device can drive: its width. */
    uint32_t trusted;     /**< 1: the device may reach all of memory, always; 0: only what is mapped
                             for it. */
    uint32_t reserved_;
};

/** @brief Which window, and how it is to be used. */
struct virtq_tce_choice {
    uint32_t window; /**< An index of the windows. */
    uint32_t all;    /**< 1: map all memory in it once, address = `first` + real address
                        (virtq_tce_map_all()); 0: map each buffer. */
};

/** @brief Chooses among a device's windows.
 *
 * All memory is mapped once if the device is trusted with it and a window holds it within the
 * device's reach (of several, the one with the largest pages: it takes the fewest calls). Otherwise
 * buffers are mapped one by one, in the window of which the device reaches most. So a device with
 * 32 address bits gets the window at 0 whatever else there is.
 * @param windows `count` windows
 * @param count   at least 1
 * @param needs   read during the call only
 * @param choice  result
 * @return 0; VIRTQ_EINVAL (no window, or one that is not legal) or VIRTQ_EFAULT (the device reaches
 * none): `choice` is untouched. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_tce_choose(const struct virtq_tce_window *windows,
                                                unsigned count, const struct virtq_tce_needs *needs,
                                                struct virtq_tce_choice *choice);

/** @brief A call's status as one of the library's errors.
 * @param status what a call answered
 * @return 0 (success); VIRTQ_ENOMEM (busy, or no resources: later); VIRTQ_EPERM (permission,
 * privilege, authority); VIRTQ_EINVAL (parameter); VIRTQ_ENOTSUP (no such call) or VIRTQ_EFAULT
 * (anything else). Any thread. */
VIRTQ_API int virtq_tce_error(int64_t status);

VIRTQ_END_DECLS

#endif
