/* SPDX-License-Identifier: BSD-3-Clause */
/* One queue of a case with both its ends, and the payloads that go through it. */
#ifndef BENCH_CROSS_LINK_H
#define BENCH_CROSS_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include <virtq/device.h>
#include <virtq/driver.h>

#include "cross/world.h"

struct cross_link {
    struct cross_world *world;
    unsigned queue; /* which of the world's it is */
    struct virtq_driver *driver;
    struct virtq_device *device;
    void *driver_memory;
    void *device_memory;
    unsigned window; /* buffers of a cycle */
    unsigned batch;  /* that are added, popped, pushed and polled in one call */
    struct virtq_segment plain_segments[CROSS_WINDOW_MAX]; /* the payload, as the program has it */
    struct virtq_segment segments[CROSS_WINDOW_MAX];       /* as it is offered */
    struct virtq_buffer plain[CROSS_WINDOW_MAX];
    struct virtq_buffer buffers[CROSS_WINDOW_MAX];
    struct virtq_swiotlb_request requests[CROSS_WINDOW_MAX]; /* that keep their slots */
    bool has_requests;
    struct virtq_completion completions[CROSS_WINDOW_MAX];
    struct virtq_chain chains[CROSS_WINDOW_MAX];
    struct virtq_used_buffer used[CROSS_WINDOW_MAX];
    struct virtq_piece pieces[2 * CROSS_WINDOW_MAX];
    uint64_t notifications; /* that would have been sent */
    uint64_t seed;
    const char *failure; /* why the last cycle went wrong; NULL: it did not */
};

/* `queue`: which of the world's queues. NULL: see `error`, an enum virtq_error. */
struct cross_link *cross_link_open(struct cross_world *world, unsigned queue, int *error);
void cross_link_close(struct cross_link *link);

/* Each of the window's payloads through the queue and back. The device leaves the bytes alone. */
bool cross_link_cycle(struct cross_link *link);

/* The same with every byte written by one end and found by the other. */
bool cross_link_verify(struct cross_link *link);

#endif
