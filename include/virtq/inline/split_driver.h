/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end of a split queue, as templates.
 *
 * Every function takes `how`, an enum virtq_instance that must be a constant. What each does, and
 * which thread may call it, is said at the function of the same name in driver.h; set a queue up
 * with inline/driver_setup.h. The driver never loads from the descriptor table, the available ring
 * or a table (S6). [virtio 1.4, Split Virtqueues]
 */
#ifndef VIRTQ_INLINE_SPLIT_DRIVER_H
#define VIRTQ_INLINE_SPLIT_DRIVER_H

#include "split_driver_add.h"
#include "split_driver_notify.h"
#include "split_driver_poll.h"
#include "split_driver_queue.h"

#endif
