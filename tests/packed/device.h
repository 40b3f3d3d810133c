/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The device end of a packed queue in both tiers.
 */
#ifndef VIRTQ_TESTS_PACKED_DEVICE_H
#define VIRTQ_TESTS_PACKED_DEVICE_H

#include "memory.h"
#include "packed/ring.h"
#include "support/device_calls.h"

#endif
