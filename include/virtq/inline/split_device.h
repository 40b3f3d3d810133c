/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The device end of a split queue, as templates.
 *
 * Every function takes `how`, an enum virtq_instance that must be a constant. What each does, and
 * which thread may call it, is said at the function of the same name in device.h; set a queue up
 * with inline/device_setup.h. The device never writes the descriptor table or the available ring
 * (S6). [virtio 1.4, Split Virtqueues]
 */
#ifndef VIRTQ_INLINE_SPLIT_DEVICE_H
#define VIRTQ_INLINE_SPLIT_DEVICE_H

#include "split_device_notify.h"
#include "split_device_pop.h"
#include "split_device_push.h"
#include "split_device_queue.h"

#endif
