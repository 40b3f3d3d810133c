/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The device end of a split queue in both tiers.
 */
#ifndef VIRTQ_TESTS_SPLIT_DEVICE_H
#define VIRTQ_TESTS_SPLIT_DEVICE_H

#include "memory.h"
#include "split/ring.h"
#include "support/device_calls.h"

#endif
