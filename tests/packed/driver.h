/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The driver end of a packed queue in both tiers.
 */
#ifndef VIRTQ_TESTS_PACKED_DRIVER_H
#define VIRTQ_TESTS_PACKED_DRIVER_H

#include "memory.h"
#include "packed/ring.h"
#include "support/driver_calls.h"

#endif
