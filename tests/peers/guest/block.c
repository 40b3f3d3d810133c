/* SPDX-License-Identifier: BSD-3-Clause */
#include "block.h"

#include <string.h>

#include "../pattern.h"
#include "console.h"
#include "platform.h"

enum { REQUEST_IN = 0, REQUEST_OUT = 1, REQUEST_FLUSH = 4, REQUEST_ID = 8 };
enum { STATUS_OK = 0, STATUS_ERROR = 1, STATUS_UNTOUCHED = 0xa5 };

#define BLOCK_F_FLUSH 9
#define REQUESTS 8u        /* at once */
#define REQUEST_SECTORS 8u /* at most, and the run of pattern_writer() */

struct header {
    virtq_le32 type;
    virtq_le32 reserved;
    virtq_le64 sector;
};

struct request {
    uint8_t data[REQUEST_SECTORS * PATTERN_SECTOR];
    struct header header;
    uint8_t status;
    bool out; /* the device has it */
    uint32_t type;
    uint32_t sector;
    uint32_t bytes;
};

static struct request *requests;
static uint32_t completed;
static bool disk_written; /* the guest has been over the disk once */

static uint32_t le32(uint32_t value)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap32(value);
#else
    return value;
#endif
}

static uint64_t le64(uint64_t value)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(value);
#else
    return value;
#endif
}

/* Header, data in one to four segments of unequal length, status. */
static bool send(struct queue *queue, struct request *request)
{
    struct virtq_segment segments[QUEUE_SEGMENTS_MAX];
    uint32_t parts = 1 + request->sector / REQUEST_SECTORS % 4;
    bool reads = request->type == REQUEST_IN || request->type == REQUEST_ID;
    struct virtq_buffer buffer = {.segments = segments, .cookie = request};
    unsigned count = 0;

    request->header = (struct header){le32(request->type), 0, le64(request->sector)};
    request->status = STATUS_UNTOUCHED;
    segments[count++] =
        (struct virtq_segment){.base = &request->header, .len = sizeof(request->header)};
    for (uint32_t at = 0; at < request->bytes; parts--) {
        uint32_t len = parts > 1 ? (request->bytes - at) / parts / 4 * 4 + 4 : request->bytes - at;

        segments[count++] = (struct virtq_segment){.base = request->data + at, .len = len};
        at += len;
    }
    segments[count++] = (struct virtq_segment){.base = &request->status, .len = 1};
    buffer.readable = (uint16_t)(reads ? 1 : count - 1);
    buffer.writable = (uint16_t)(count - buffer.readable);
    request->out = queue_add(queue, &buffer);
    return request->out;
}

/* What came back, judged; a read has to have brought what `writer` would have written. */
static void judge(const struct request *request, uint32_t len, uint32_t after_writing)
{
    uint32_t expected = request->type == REQUEST_IN ? request->bytes + 1 : 1;

    if (request->status != STATUS_OK) {
        fail_at("a request's status", request->sector, request->status);
    }
    if (len != expected) {
        fail_at("a used length", request->sector, len);
    }
    for (uint32_t at = 0; request->type == REQUEST_IN && at < request->bytes;
         at += PATTERN_SECTOR) {
        uint32_t sector = request->sector + at / PATTERN_SECTOR;
        uint32_t writer = after_writing ? pattern_writer(sector) : PATTERN_HOST;

        if (!pattern_is(request->data + at, writer, sector)) {
            fail_at("what a sector holds", sector, request->data[at]);
        }
    }
}

/* Takes back at least one request. */
static void receive(struct queue *queue, uint32_t after_writing)
{
    struct virtq_completion done[4];
    unsigned count = queue_wait(queue, done, 4);

    for (unsigned i = 0; i < count; i++) {
        struct request *request = done[i].cookie;

        check(request >= requests && request < requests + REQUESTS && request->out,
              "a request that is outstanding comes back");
        request->out = false;
        judge(request, done[i].len, after_writing);
        completed++;
    }
}

static struct request *idle(void)
{
    for (unsigned i = 0; i < REQUESTS; i++) {
        if (!requests[i].out) {
            return &requests[i];
        }
    }
    return NULL;
}

/* One pass over the disk, with as much outstanding as fits. */
static void pass(struct queue *queue, uint32_t type, uint32_t sectors, uint32_t after_writing)
{
    uint32_t step = type == REQUEST_OUT ? 2 * REQUEST_SECTORS : REQUEST_SECTORS;

    for (uint32_t sector = 0; sector < sectors; sector += step) {
        struct request *request = idle();

        while (request == NULL) {
            receive(queue, after_writing);
            request = idle();
        }
        request->type = type;
        request->sector = sector;
        request->bytes = sizeof(request->data);
        for (uint32_t i = 0; i < REQUEST_SECTORS; i++) {
            if (type == REQUEST_OUT) {
                pattern_fill(request->data + i * PATTERN_SECTOR, PATTERN_GUEST, sector + i);
            }
        }
        if (type == REQUEST_IN) {
            memset(request->data, 0, sizeof(request->data));
        }
        while (!send(queue, request)) {
            receive(queue, after_writing);
        }
        queue_kick(queue);
    }
    while (virtq_driver_outstanding(queue->driver) > 0) {
        receive(queue, after_writing);
    }
}

/* One request by itself; its status. */
static uint8_t single(struct queue *queue, uint32_t type, uint32_t sector, uint32_t bytes)
{
    struct request *request = &requests[0];
    struct virtq_completion done;

    request->type = type;
    request->sector = sector;
    request->bytes = bytes;
    memset(request->data, 0x5a, sizeof(request->data));
    check(send(queue, request), "room");
    queue_kick(queue);
    check(queue_wait(queue, &done, 1) == 1 && done.cookie == request, "the request comes back");
    request->out = false;
    return request->status;
}

static void refusals(struct queue *queue, uint32_t sectors)
{
    check(single(queue, REQUEST_IN, sectors, PATTERN_SECTOR) == STATUS_ERROR,
          "a read beyond the end is refused");
    for (unsigned i = 0; i < PATTERN_SECTOR; i++) {
        check(requests[0].data[i] == 0x5a, "a refused read leaves the data untouched");
    }
    check(single(queue, REQUEST_ID, 0, 20) == STATUS_OK &&
              memcmp(requests[0].data, "virtq", 6) == 0,
          "the disk says its name");
}

static void traffic(struct queue *queue, uint32_t sectors, const char *how)
{
    uint32_t seen = platform_interrupts();

    completed = 0;
    if (!disk_written) {
        pass(queue, REQUEST_IN, sectors, 0);
    }
    disk_written = true;
    pass(queue, REQUEST_OUT, sectors, 1);
    if (virtq_feature_has(queue->transport->features, BLOCK_F_FLUSH)) {
        check(single(queue, REQUEST_FLUSH, 0, 0) == STATUS_OK, "a flush");
    }
    pass(queue, REQUEST_IN, sectors, 1);
    refusals(queue, sectors);
    console_text("blk:");
    console_text(how);
    queue_describe(queue);
    console_pair("requests", completed);
    console_pair("interrupts", platform_interrupts() - seen);
    console_text("\n");
}

/* A reset with requests in the queue that the device has not been told of: none is carried out, and
 * all come back. */
static void restart(struct queue *queue)
{
    unsigned sent = 0;

    for (unsigned i = 0; i < 2; i++) {
        requests[i].type = REQUEST_IN;
        requests[i].sector = 0;
        requests[i].bytes = PATTERN_SECTOR;
        memset(requests[i].data, 0x5a, PATTERN_SECTOR);
        sent += send(queue, &requests[i]) ? 1 : 0;
    }
    (void)virtq_driver_publish(queue->driver);
    check(queue_restart(queue) == sent, "what was not used comes back");
    for (unsigned i = 0; i < 2; i++) {
        requests[i].out = false;
        check(requests[i].status == STATUS_UNTOUCHED && requests[i].data[0] == 0x5a,
              "a queue that was reset is not served");
    }
}

void block_run(struct transport *transport, struct virtq_space *space)
{
    struct memory_mark mark = memory_marked();
    struct queue queue;
    uint32_t sectors;

    requests = memory_shared(REQUESTS * sizeof(*requests), sizeof(uint64_t));
    memset(requests, 0, REQUESTS * sizeof(*requests));
    transport_open(transport, QUEUE_FEATURES | VIRTQ_FEATURE(BLOCK_F_FLUSH));
    queue_open(&queue, transport, 0, space);
    transport_start(transport);
    sectors = transport->ops->read_config(transport, 0);
    traffic(&queue, sectors, " polled");
    if (virtq_feature_has(transport->features, VIRTIO_F_RING_RESET)) {
        restart(&queue);
        traffic(&queue, sectors, " after a reset of its queue");
    }
    if (platform_open_interrupt(transport->slot)) {
        queue.sleeps = true;
        traffic(&queue, sectors, " by interrupt");
    }
    transport_stop(transport);
    queue_close(&queue);
    memory_release(mark);
}
