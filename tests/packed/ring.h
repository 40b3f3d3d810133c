/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Which ring support/driver_calls.h and support/device_calls.h are about.
 */
#ifndef VIRTQ_TESTS_PACKED_RING_H
#define VIRTQ_TESTS_PACKED_RING_H

/** @brief The name of something of this format. */
#define CALLS(name) virtq_packed##name
#define CALLS_FORMAT VIRTQ_FORMAT_PACKED
/** @brief Where a new queue begins. */
#define CALLS_START VIRTQ_POSITION_START

#endif
