/* SPDX-License-Identifier: BSD-3-Clause */
/* What the sources of the traffic share. */
#ifndef VIRTQ_TESTS_WORLD_TRAFFIC_PRIVATE_H
#define VIRTQ_TESTS_WORLD_TRAFFIC_PRIVATE_H

#include "random.h"
#include "world_private.h"
#include "world_traffic.h"

enum {
    PATTERN = 4096, /* Offsets at which a buffer's bytes can begin in the pattern. */
    LONGEST = 1024, /* Bytes of one part of a buffer. */
    SEGMENT_MOST = 120,
    GAP = 3,    /* Bytes between segments, which nobody may touch. */
    HELD = 512, /* Most buffers that the device keeps at a time. */
    UNTOUCHED = 0xa5
};

/* A buffer on its way. */
struct flight {
    struct world_buffer buffer;
    uint64_t number;
    uint32_t readable; /* Bytes. */
    uint32_t writable;
    bool busy;
};

/* A buffer that the device has. */
struct held {
    struct world_chain *chain;
    struct flight *flight;
};

struct traffic {
    struct world world;
    uint64_t random;
    uint64_t total;
    uint64_t added;
    uint64_t done;
    uint64_t popped;
    uint64_t pushed;
    unsigned char pattern[PATTERN + LONGEST];
    unsigned char expected[WORLD_SEGMENTS * (SEGMENT_MOST + GAP)];
    uint32_t stride;   /* Bytes of a slot. */
    uint32_t longest;  /* Bytes of a segment. */
    unsigned segments; /* Of a buffer. */
    unsigned slots;
    uint16_t *unused; /* Slots. */
    unsigned unused_count;
    struct flight *flights; /* By slot. */
    uint16_t *order;        /* Slots of what the device has not popped, by number modulo slots. */
    struct world_chain *chains;
    struct world_chain **spare;
    unsigned spare_count;
    struct held *held; /* In the order of pop. */
    unsigned held_count;
    bool driver_awake;
    bool device_awake;
    bool driver_tired; /* Found nothing to do; the other end may move before it asks once more. */
    bool device_tired;
    bool driver_untold; /* Something was added since the last test for a notification. */
    bool device_untold;
    struct world_tally tally;
    const char *trouble;
    char text[400];
};

/* Keeps what went wrong first. Gives false. */
bool traffic_fail(struct traffic *t, const char *what, uint64_t number);
/* The bytes of a buffer: of its readable part (way 0) or its writable part (1). */
const unsigned char *traffic_bytes(const struct traffic *t, uint64_t number, unsigned way);
/* How much of the writable part the device fills. */
uint32_t traffic_filled(const struct flight *flight);

static inline unsigned traffic_below(struct traffic *t, uint64_t count)
{
    return (unsigned)random_below(&t->random, count);
}

/* One turn of an end that is awake. */
void traffic_driver_step(struct traffic *t);
void traffic_device_step(struct traffic *t);

#endif
