/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end of a packed queue, as templates.
 *
 * Every function takes `how`, an enum virtq_instance that must be a constant. What each does, and
 * which thread may call it, is said at the function of the same name in driver.h; set a queue up
 * with inline/driver_setup.h. The driver loads a descriptor's flags, and then id and length of a
 * used one; never an address. [virtio 1.4, Packed Virtqueues]
 */
#ifndef VIRTQ_INLINE_PACKED_DRIVER_H
#define VIRTQ_INLINE_PACKED_DRIVER_H

#include "packed_driver_add.h"
#include "packed_driver_notify.h"
#include "packed_driver_poll.h"
#include "packed_driver_queue.h"

#endif
