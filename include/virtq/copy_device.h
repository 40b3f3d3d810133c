/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_copy
 * @brief Copies for device memory: only naturally aligned accesses of the widths it allows.
 *
 * Registers, and memory behind some buses, take accesses of certain widths and drop or fault on all
 * others. Here each byte is accessed exactly once, by a load or a store that the compiler can
 * neither split, merge nor widen, in order of addresses. Nothing is read in order to be written
 * back: what a device changes meanwhile in bytes nearby would be lost.
 */
#ifndef VIRTQ_COPY_DEVICE_H
#define VIRTQ_COPY_DEVICE_H

#include <stdint.h>

#include "api.h"
#include "copy.h"

VIRTQ_BEGIN_DECLS

/** @brief Gives the copies for device memory.
 *
 * A range that virtq_copy_device_fits() refuses is copied as far as accesses fit, from its
 * beginning; the rest of it is left alone, or comes as zeros out of shared memory.
 * @param copy   result: all members are set; there is no state, so that any number of queues and
 * threads may use it
 * @param widths the allowed widths in bytes, as a set: the sum of any of 1, 2, 4 and 8
 * @return 0; VIRTQ_EINVAL (no width, or an unknown one) or VIRTQ_ENOTSUP (only 8, on a machine of
 * 32 bits): `copy` is untouched. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_copy_device(struct virtq_copy *copy, uint32_t widths);

/** @brief Whether a range can be copied with accesses of these widths alone.
 * @param widths the allowed widths in bytes, as for virtq_copy_device()
 * @param at     the first byte: an address, or an offset into a region that is aligned to 8
 * @param len    bytes
 * @return 0; VIRTQ_EINVAL (it cannot, or the widths are wrong) or VIRTQ_ENOTSUP (only 8, on a
 * machine of 32 bits). Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_copy_device_fits(uint32_t widths, uint64_t at, uint64_t len);

VIRTQ_END_DECLS

#endif
