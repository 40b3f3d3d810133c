/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The driver end of a split queue in both tiers.
 */
#ifndef VIRTQ_TESTS_SPLIT_DRIVER_H
#define VIRTQ_TESTS_SPLIT_DRIVER_H

#include "memory.h"
#include "split/ring.h"
#include "support/driver_calls.h"

#endif
