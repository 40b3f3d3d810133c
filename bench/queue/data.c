/* SPDX-License-Identifier: BSD-3-Clause */
#include "queue/data.h"

#include <string.h>

/* Bytes handled at a time. */
enum { CHUNK = 512 };

/* The answer's bytes follow from the same seed, and differ from the question's. */
#define ANSWER ((uint64_t)0x5bd1e995a5a5a5a5)

/* The bytes [at, at + len) of the stream that follows from a seed; `at` is a multiple of 8. */
static void stream(unsigned char *to, uint64_t seed, uint64_t at, size_t len)
{
    for (size_t done = 0; done < len; done += sizeof(uint64_t)) {
        uint64_t word = (seed + 1u) * 0x9e3779b97f4a7c15u + (at + done) * 0xd6e8feb86659fd93u;
        size_t part = len - done < sizeof(word) ? len - done : sizeof(word);

        word ^= word >> 29;
        memcpy(to + done, &word, part);
    }
}

/* Walks a run of segments: `bytes` of the stream, chunk by chunk, cut where segments end. */
static bool walk(const struct virtq_segment *segments, unsigned count, uint64_t seed, bool write)
{
    unsigned char chunk[CHUNK];
    uint64_t at = 0;

    for (unsigned segment = 0; segment < count; segment++) {
        unsigned char *base = segments[segment].base;

        for (uint32_t done = 0; done < segments[segment].len;) {
            size_t in_chunk = (size_t)(at % CHUNK);
            size_t part = CHUNK - in_chunk;

            part = part < segments[segment].len - done ? part : segments[segment].len - done;
            stream(chunk, seed, at - in_chunk, CHUNK);
            if (write) {
                memcpy(base + done, chunk + in_chunk, part);
            } else if (memcmp(base + done, chunk + in_chunk, part) != 0) {
                return false;
            }
            done += (uint32_t)part;
            at += part;
        }
    }
    return true;
}

void bench_data_offer(const struct virtq_buffer *buffer, uint64_t seed)
{
    (void)walk(buffer->segments, buffer->readable, seed, true);
    for (unsigned segment = buffer->readable;
         segment < (unsigned)buffer->readable + buffer->writable; segment++) {
        memset(buffer->segments[segment].base, 0xee, buffer->segments[segment].len);
    }
}

bool bench_data_returned(const struct virtq_buffer *buffer, uint64_t seed)
{
    return walk(buffer->segments + buffer->readable, buffer->writable, seed ^ ANSWER, false);
}

bool bench_data_answer(const struct virtq_chain *chain, uint64_t seed)
{
    struct virtq_cursor reader = virtq_chain_reader(chain);
    struct virtq_cursor writer = virtq_chain_writer(chain);
    unsigned char expected[CHUNK];
    unsigned char found[CHUNK];
    size_t part;

    while ((part = virtq_cursor_read(&reader, found, CHUNK)) > 0) {
        stream(expected, seed, virtq_cursor_moved(&reader) - part, part);
        if (memcmp(expected, found, part) != 0) {
            return false;
        }
    }
    while (virtq_cursor_left(&writer) > 0) {
        stream(expected, seed ^ ANSWER, virtq_cursor_moved(&writer), CHUNK);
        (void)virtq_cursor_write(&writer, expected, CHUNK);
    }
    return true;
}
