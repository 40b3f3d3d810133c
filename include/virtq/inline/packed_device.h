/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a packed queue, as templates.
 *
 * Every function takes `how`, an enum virtq_instance that must be a constant. What each does, and
 * which thread may call it, is said at the function of the same name in device.h; set a queue up
 * with inline/device_setup.h. [virtio 1.4, Packed Virtqueues]
 */
#ifndef VIRTQ_INLINE_PACKED_DEVICE_H
#define VIRTQ_INLINE_PACKED_DEVICE_H

#include "packed_device_notify.h"
#include "packed_device_pop.h"
#include "packed_device_push.h"
#include "packed_device_queue.h"

#endif
