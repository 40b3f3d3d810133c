/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Which ring support/driver_calls.h and support/device_calls.h are about.
 */
#ifndef VIRTQ_TESTS_SPLIT_RING_H
#define VIRTQ_TESTS_SPLIT_RING_H

/** @brief The name of something of this format. */
#define CALLS(name) virtq_split##name
#define CALLS_FORMAT VIRTQ_FORMAT_SPLIT
/** @brief Where a new queue begins. */
#define CALLS_START 0

#endif
