/* SPDX-License-Identifier: BSD-3-Clause */
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "harness/stop.h"
#include "harness/timer.h"
#include "queue/variant.h"

struct stream {
    struct bench_queue *queue;
    struct stream_result *result;
    EVP_MD_CTX *sent;
    EVP_MD_CTX *came;
    unsigned char *scratch; /* where the floor copies to */
    uint32_t lengths[STREAM_SLOTS];
    unsigned filled; /* slots in use in this round */
    bool corrupt;
    struct bench_timer queue_timer;
    struct bench_timer copy_timer;
};

static unsigned char *question(const struct stream *stream, unsigned slot)
{
    return stream->queue->data[slot];
}

static unsigned char *reply(const struct stream *stream, unsigned slot)
{
    return stream->queue->data[slot] + STREAM_BLOCK;
}

/* As many bytes as the file still has, up to a block; -1 on an error. */
static ssize_t read_block(int file, unsigned char *to)
{
    size_t done = 0;

    while (done < STREAM_BLOCK) {
        ssize_t got = read(file, to + done, STREAM_BLOCK - done);

        if (got < 0 && errno == EINTR && !bench_stop_asked()) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* Segments for `len` bytes from `at`; how many. */
static uint16_t cut(struct virtq_segment *segments, unsigned char *at, uint32_t len)
{
    uint16_t count = 0;

    while (len > 0) {
        uint32_t part = len < STREAM_SEGMENT ? len : STREAM_SEGMENT;

        segments[count].base = at;
        segments[count].len = part;
        count++;
        at += part;
        len -= part;
    }
    return count;
}

/* Fills the slots from the file. False: it could not be read. */
static bool read_round(struct stream *stream, int file)
{
    struct bench_queue *queue = stream->queue;

    for (stream->filled = 0; stream->filled < STREAM_SLOTS; stream->filled++) {
        unsigned slot = stream->filled;
        ssize_t got = read_block(file, question(stream, slot));
        struct virtq_segment *segments = &queue->segments[slot * BENCH_QUEUE_SEGMENTS_MAX];

        if (got < 0) {
            stream->result->failure = "the file cannot be read";
            return false;
        }
        if (got == 0) {
            break;
        }
        stream->lengths[slot] = (uint32_t)got;
        queue->buffers[slot].segments = segments;
        queue->buffers[slot].readable = cut(segments, question(stream, slot), (uint32_t)got);
        queue->buffers[slot].writable =
            cut(segments + queue->buffers[slot].readable, reply(stream, slot), (uint32_t)got);
        (void)EVP_DigestUpdate(stream->sent, question(stream, slot), (size_t)got);
        stream->result->bytes += (uint64_t)got;
        stream->result->buffers++;
    }
    return true;
}

/* What came back may not be what was there before. */
static void spoil_replies(struct stream *stream)
{
    for (unsigned slot = 0; slot < stream->filled; slot++) {
        memset(reply(stream, slot), 0xee, stream->lengths[slot]);
    }
}

/* The device: copies what it can read to where it can write. */
static const char *serve(struct stream *stream)
{
    struct bench_queue *queue = stream->queue;
    int got = queue->variant->pop(queue, queue->chains, STREAM_SLOTS, queue->pieces,
                                  STREAM_SLOTS * BENCH_QUEUE_SEGMENTS_MAX * 2);

    if (got != (int)stream->filled) {
        return "the device did not get every buffer";
    }
    for (int index = 0; index < got; index++) {
        const struct virtq_chain *chain = &queue->chains[index];
        struct virtq_cursor reader = virtq_chain_reader(chain);
        struct virtq_cursor writer = virtq_chain_writer(chain);

        if (chain->reason != (uint32_t)VIRTQ_REASON_NONE) {
            return virtq_reason_name(chain->reason);
        }
        (void)virtq_cursor_copy(&writer, &reader, STREAM_BLOCK);
        if (stream->corrupt) {
            unsigned char *first = chain->pieces[chain->readable].base;

            first[0] ^= 1u;
            stream->corrupt = false;
        }
        queue->used[index].id = chain->id;
        queue->used[index].len = (uint32_t)virtq_cursor_moved(&writer);
    }
    if (queue->variant->push(queue, queue->used, (unsigned)got) != got ||
        queue->variant->device_publish(queue) != got) {
        return "the device could not give the buffers back";
    }
    return NULL;
}

static const char *carry(struct stream *stream)
{
    struct bench_queue *queue = stream->queue;
    const char *failure;

    if (queue->variant->add(queue, queue->buffers, stream->filled) != (int)stream->filled) {
        return "a buffer could not be added";
    }
    (void)queue->variant->publish(queue);
    failure = serve(stream);
    if (failure != NULL) {
        return failure;
    }
    if (queue->variant->poll(queue, queue->completions, stream->filled) != (int)stream->filled) {
        return "not every buffer came back";
    }
    return NULL;
}

static void copy(struct stream *stream)
{
    bench_timer_start(&stream->copy_timer);
    for (unsigned slot = 0; slot < stream->filled; slot++) {
        memcpy(stream->scratch + (size_t)slot * STREAM_BLOCK, question(stream, slot),
               stream->lengths[slot]);
        __asm__ volatile("" ::: "memory");
    }
    bench_timer_stop(&stream->copy_timer);
}

/* Which of the two goes first finds colder bytes: they take turns. */
static const char *carry_and_copy(struct stream *stream, bool copy_first)
{
    const char *failure;

    if (copy_first) {
        copy(stream);
    }
    bench_timer_start(&stream->queue_timer);
    failure = carry(stream);
    bench_timer_stop(&stream->queue_timer);
    if (!copy_first) {
        copy(stream);
    }
    return failure;
}

static const char *collect(struct stream *stream)
{
    const struct bench_queue *queue = stream->queue;

    for (unsigned slot = 0; slot < stream->filled; slot++) {
        if (queue->completions[slot].cookie != &queue->buffers[slot] ||
            queue->completions[slot].len != stream->lengths[slot]) {
            return "WRONG BUFFER OR LENGTH came back";
        }
        (void)EVP_DigestUpdate(stream->came, reply(stream, slot), stream->lengths[slot]);
    }
    return NULL;
}

static void carry_file(struct stream *stream, int file)
{
    struct stream_result *result = stream->result;

    for (bool copy_first = false; !bench_stop_asked(); copy_first = !copy_first) {
        if (!read_round(stream, file) || stream->filled == 0) {
            return;
        }
        spoil_replies(stream);
        result->failure = carry_and_copy(stream, copy_first);
        if (result->failure == NULL) {
            result->failure = collect(stream);
        }
        if (result->failure != NULL) {
            return;
        }
    }
    result->failure = "stopped";
}

static void finish_hash(EVP_MD_CTX *context, char text[STREAM_HASH_ROOM])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    (void)EVP_DigestFinal_ex(context, hash, &size);
    for (unsigned index = 0; index < size && 2 * index + 2 < STREAM_HASH_ROOM; index++) {
        text[2 * index] = digits[hash[index] >> 4];
        text[2 * index + 1] = digits[hash[index] & 15u];
        text[2 * index + 2] = '\0';
    }
}

void stream_run(struct bench_queue *queue, int file, bool corrupt, struct stream_result *result)
{
    struct stream stream = {.queue = queue, .result = result, .corrupt = corrupt};

    memset(result, 0, sizeof(*result));
    stream.sent = EVP_MD_CTX_new();
    stream.came = EVP_MD_CTX_new();
    stream.scratch = calloc(STREAM_SLOTS, STREAM_BLOCK);
    if (stream.scratch == NULL || EVP_DigestInit_ex(stream.sent, EVP_sha256(), NULL) != 1 ||
        EVP_DigestInit_ex(stream.came, EVP_sha256(), NULL) != 1) {
        result->failure = "no memory, or no SHA-256";
    } else if (lseek(file, 0, SEEK_SET) != 0) {
        result->failure = "the file cannot be read twice";
    } else {
        carry_file(&stream, file);
        finish_hash(stream.sent, result->sent);
        finish_hash(stream.came, result->came);
        if (result->failure == NULL && strcmp(result->sent, result->came) != 0) {
            result->failure = "WRONG DATA: the hash of what came back differs";
        }
    }
    result->queue_ns = bench_timer_elapsed(&stream.queue_timer);
    result->copy_ns = bench_timer_elapsed(&stream.copy_timer);
    free(stream.scratch);
    EVP_MD_CTX_free(stream.sent);
    EVP_MD_CTX_free(stream.came);
}
