/* SPDX-License-Identifier: BSD-3-Clause */
/* A file through one queue and back, block by block, in memory that does not depend on the file's
 * size. */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "queue/queue.h"

/* SHA-256 as text. */
#define STREAM_HASH_ROOM 65

struct stream_result {
    uint64_t bytes; /* of the file */
    uint64_t buffers;
    double queue_ns;             /* from add to poll, the device's copy included */
    double copy_ns;              /* the floor: one memcpy of the same bytes in the same blocks */
    char sent[STREAM_HASH_ROOM]; /* of what was read */
    char came[STREAM_HASH_ROOM]; /* of what came back */
    const char *failure;         /* NULL: it went through, and the hashes are the same */
};

/* The queue needs STREAM_SLOTS slots of STREAM_SLOT_BYTES and segments for both ways. Reads `file`
 * from its start. `corrupt`: the device end spoils one byte. */
void stream_run(struct bench_queue *queue, int file, bool corrupt, struct stream_result *result);

#define STREAM_SEGMENT 4096u
#define STREAM_SEGMENTS 4u /* each way */
#define STREAM_BLOCK (STREAM_SEGMENT * STREAM_SEGMENTS)
#define STREAM_SLOTS 16u
#define STREAM_SLOT_BYTES (2u * STREAM_BLOCK)

#endif
