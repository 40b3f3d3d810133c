/* SPDX-License-Identifier: BSD-3-Clause */
/* One queue with both its ends, its memory, and the buffers that go through it. */
#ifndef BENCH_QUEUE_QUEUE_H
#define BENCH_QUEUE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include <virtq/device.h>
#include <virtq/driver.h>
#include <virtq/inline/device_setup.h>
#include <virtq/inline/driver_setup.h>

#include "harness/one_thread.h"
#include "harness/shape.h"
#include "queue/space.h"

struct bench_variant;

/* Buffers that may be outstanding, and that one call handles, at most. */
#define BENCH_OUTSTANDING_MAX 256u
#define BENCH_BATCH_MAX 64u
/* Segments of a buffer, at most: four each way. */
#define BENCH_QUEUE_SEGMENTS_MAX 8u
/* A processor fetches lines in pairs: what two sides write lies two lines apart. */
#define BENCH_APART 128

enum bench_tier { BENCH_TIER_INLINE, BENCH_TIER_LIBRARY, BENCH_TIERS };
extern const char *const bench_tier_names[BENCH_TIERS + 1];
extern const char *const bench_format_names[3];
extern const char *const bench_table_names[3]; /* "direct", "indirect" */

struct bench_queue_config {
    enum virtq_format format;
    enum bench_tier tier;
    enum bench_space_kind space;
    bool indirect;
    bool two_views;
    unsigned slots;    /* buffers, up to BENCH_OUTSTANDING_MAX */
    size_t slot_bytes; /* memory of each */
    uint16_t segments_max;
};

struct bench_queue {
    /* The driver's side. */
    _Alignas(BENCH_APART) union {
        struct virtq_split_driver split;
        struct virtq_packed_driver packed;
        struct virtq_driver *library;
    } driver;
    struct virtq_completion completions[BENCH_BATCH_MAX];
    uint64_t driver_notifications;
    /* The device's side. */
    _Alignas(BENCH_APART) union {
        struct virtq_split_device split;
        struct virtq_packed_device packed;
        struct virtq_device *library;
    } device;
    struct virtq_chain chains[BENCH_BATCH_MAX];
    struct virtq_used_buffer used[BENCH_BATCH_MAX];
    struct virtq_piece pieces[BENCH_BATCH_MAX * BENCH_QUEUE_SEGMENTS_MAX * 2];
    uint64_t device_notifications;
    /* What neither changes while it runs. */
    _Alignas(BENCH_APART) const struct bench_variant *variant;
    struct bench_queue_config config;
    struct bench_space space;
    void *driver_memory;
    void *device_memory;
    size_t driver_memory_size;
    size_t device_memory_size;
    unsigned char *data[BENCH_OUTSTANDING_MAX];
    struct virtq_segment segments[BENCH_OUTSTANDING_MAX * BENCH_QUEUE_SEGMENTS_MAX];
    struct virtq_buffer buffers[BENCH_OUTSTANDING_MAX];
    bool driver_ready;       /* has been set up, and is to be taken down */
    uint32_t readable_bytes; /* of each buffer, after bench_queue_shape() */
    uint32_t writable_bytes;
};

/* NULL: see `error`, an enum virtq_error. The queue's own memory stays shared after a fork, so that
 * a side's books outlive the process that kept them. */
struct bench_queue *bench_queue_open(const struct bench_queue_config *config, int *error);
void bench_queue_close(struct bench_queue *queue);

/* Gives every buffer this shape. */
void bench_queue_shape(struct bench_queue *queue, const struct bench_shape *shape);

#endif
