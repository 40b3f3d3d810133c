/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_copy
 * @brief Copies for write-combining memory: a region of a device that is mapped prefetchable.
 *
 * Such memory gathers stores until a line is whole, and answers loads one by one, slowly. So
 * stores are as wide as can be, each aligned and in order of addresses, past the caches where the
 * machine has such stores; the destination is never read. One fence a buffer, by
 * virtq_copy::done, sends off what has gathered.
 */
#ifndef VIRTQ_COPY_STREAMING_H
#define VIRTQ_COPY_STREAMING_H

#include "api.h"
#include "copy.h"

VIRTQ_BEGIN_DECLS

/** @brief Gives the copies for write-combining memory. They also work on any other memory.
 *
 * Loads from shared memory are aligned, and streamed where this processor can, with a fence before
 * those of each call: what a former call gathered may be out of date. Each byte is loaded once.
 * @param copy result: all members are set; there is no state, so that any number of queues and
 * threads may use it. Any thread. */
VIRTQ_API void virtq_copy_streaming(struct virtq_copy *copy);

VIRTQ_END_DECLS

#endif
