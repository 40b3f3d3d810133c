/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_vhost_user
 * @brief Memory that can be given to another program: a file without a name, of huge pages where
 * there are any, that never becomes shorter.
 */
#ifndef VIRTQ_HOST_MEMORY_H
#define VIRTQ_HOST_MEMORY_H

#include <stdint.h>

#include "../api.h"

VIRTQ_BEGIN_DECLS

/** @brief Flags of virtq_host_memory_init(). */
enum virtq_host_memory_flag {
    /** Ordinary pages only. */
    VIRTQ_HOST_MEMORY_SMALL_PAGES = 1
};

/** @brief Memory and its file. The caller owns the struct; the fields may be read. */
struct virtq_host_memory {
    void *base;    /**< First byte, in this program. */
    uint64_t size; /**< Bytes: what was asked for, rounded up to whole pages. */
    uint64_t page; /**< Bytes of a page of the file. */
    int fd;        /**< The file, sealed against becoming shorter or longer; owned. */
};

/** @brief Takes memory: zeroed, shared, not in core dumps.
 *
 * Huge pages are taken if all of it can be had of them at once, and `size` is no less than one.
 * @param memory result; owned by the caller until virtq_host_memory_fini()
 * @param size   bytes, at least 1
 * @param flags  a set of enum virtq_host_memory_flag
 * @return 0; VIRTQ_EINVAL (no size, too much for an address, unknown flags), VIRTQ_ENOMEM (no
 * memory, no descriptor) or VIRTQ_ENOTSUP (the system has no such files): `memory` is untouched.
 * Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_host_memory_init(struct virtq_host_memory *memory,
                                                      uint64_t size, uint32_t flags);

/** @brief Gives memory back. Programs that were given the file keep what they have mapped.
 * @param memory what virtq_host_memory_init() gave; nothing here uses it any more. Any thread. */
VIRTQ_API void virtq_host_memory_fini(struct virtq_host_memory *memory);

VIRTQ_END_DECLS

#endif
