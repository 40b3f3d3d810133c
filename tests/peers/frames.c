/* SPDX-License-Identifier: BSD-3-Clause */
/* A network driver of little: sends frames to a device of another program that sends them back, and
 * compares every byte; half-way both rings are stopped and started again. The device's IOTLB:
 *
 * - none: it has none.
 * - preload: each buffer is mapped once, and the device is told of all before it can ask.
 * - retransmit: it is not told; it drops what it has to ask for first, and gets it again.
 * - strict: each buffer is mapped and told for as long as it is out.
 *
 *     frames SOCKET FRAMES split|packed none|preload|retransmit|strict */
#define _GNU_SOURCE
#include <string.h>
#include <virtq/host/socket.h>
#include <virtq/host/vhost_user_queue.h>
#include <virtq/host/vhost_user_space.h>

#include "support.h"

#define BOTH ((uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE)
enum { QUEUE_SIZE = 64, WINDOW = 32, ROOM = 2048, HEADER = 12, TRIES = 60, MAPPED = 128 };
enum mode { NONE, PRELOAD, RETRANSMIT, STRICT };
enum {
    RECEIVE = 0,
    SEND = 1,
    RINGS = 0x10000,
    RING_ROOM = 0x8000,
    PAGE = 4096,
    STRIDE = 2 * PAGE,
    PLACES = 2 * WINDOW * STRIDE
};

struct frames {
    struct virtq_vhost_user_frontend *frontend;
    struct virtq_vhost_user_space *space;
    struct virtq_vhost_user_queue *ring[2];
    struct virtq_driver *queue[2];
    void *kept[4];                      /* The memory of these. */
    struct virtq_iommu_backend backend; /* Stands before the space's own. */
    unsigned char *room[2][WINDOW];     /* STRIDE bytes each. */
    unsigned char *idle[WINDOW];
    unsigned idle_count;
    enum mode mode;
    struct virtq_region mapped[MAPPED]; /* For good. */
    unsigned mapped_count;
    virtq_addr_t shared[2 * WINDOW];
    unsigned count;  /* To be sent. */
    unsigned next;   /* The first that has not been sent. */
    unsigned oldest; /* The first that has not come back. */
    unsigned char *seen;
    unsigned sent, back, again;
};

static unsigned length_of(unsigned number)
{
    return 60 + number * 37 % 1455; /* Up to 1514. */
}

static unsigned char byte_of(unsigned number, unsigned i)
{
    return (unsigned char)((number * 2654435761u >> 8) + i * 7);
}

/* The frame of a number: addresses, a type, the number, and bytes that depend on it. */
static void compose(unsigned char *at, unsigned number)
{
    memset(at, 0, HEADER);
    at += HEADER;
    for (unsigned i = 0; i < length_of(number); i++) {
        at[i] = byte_of(number, i);
    }
    memcpy(at, "\x02virtq\x02virtr\x88\xb5", 14);
    memcpy(at + 14, &number, sizeof(number));
}

static void judge(struct frames *f, const unsigned char *at, uint32_t len)
{
    unsigned char expected[ROOM];
    unsigned number = 0;

    check(len >= HEADER + 60, "a frame is too short");
    memcpy(&number, at + HEADER + 14, sizeof(number));
    check(number < f->next && len == HEADER + length_of(number), "a frame that was never sent");
    compose(expected, number);
    check(memcmp(expected + HEADER, at + HEADER, length_of(number)) == 0, "a frame was changed");
    f->back += f->seen[number] == 0;
    f->seen[number] = 1;
    while (f->oldest < f->next && f->seen[f->oldest] != 0) {
        f->oldest++;
    }
}

static int add(struct frames *f, unsigned queue, unsigned char *room, uint32_t len)
{
    struct virtq_segment segment = {.base = room, .len = len};
    struct virtq_buffer buffer = {.segments = &segment, .cookie = room};

    buffer.readable = queue == SEND;
    buffer.writable = queue == RECEIVE;
    return virtq_driver_add(f->queue[queue], &buffer, 1);
}

static void publish(struct frames *f, unsigned queue)
{
    (void)virtq_vhost_user_queue_publish(f->ring[queue]);
}

static void transmit(struct frames *f, unsigned number)
{
    unsigned char *room = f->idle[--f->idle_count];

    compose(room, number);
    check(add(f, SEND, room, HEADER + length_of(number)) == 1, "to send");
    f->sent++;
}

/* Frames that have come, and buffers that have gone: how many. */
static int take(struct frames *f)
{
    struct virtq_completion done;
    int moved = 0;
    int got;

    while ((got = virtq_driver_poll(f->queue[RECEIVE], &done, 1)) == 1) {
        judge(f, done.cookie, done.len);
        check(add(f, RECEIVE, done.cookie, ROOM) == 1, "to post again");
        moved++;
    }
    check(got == 0, "the ring of what comes is broken");
    publish(f, RECEIVE);
    while ((got = virtq_driver_poll(f->queue[SEND], &done, 1)) == 1) {
        f->idle[f->idle_count++] = done.cookie;
        moved++;
    }
    check(got == 0, "the ring of what goes is broken");
    return moved;
}

/* Sleeps until either queue has something, or for a while: 0 if nothing came. */
static int rest(struct frames *f)
{
    const int more = (int)virtq_driver_enable_notify(f->queue[RECEIVE]) |
                     (int)virtq_driver_enable_notify(f->queue[SEND]);
    /* What was dropped is waited for in vain; what was not comes, however long it takes. */
    const int got = virtq_vhost_user_frontend_wait(f->frontend, 0, 2,
                                                   more != 0               ? 0
                                                   : f->mode == RETRANSMIT ? 50
                                                                           : 1000);

    check(got >= 0, virtq_vhost_user_refusal_name(virtq_vhost_user_frontend_refusal(f->frontend)));
    return more | got;
}

/* Until frame `end` has come back, and all before it. */
static void exchange(struct frames *f, unsigned end)
{
    unsigned idle = 0;

    while (f->oldest < end) {
        while (f->next < end && f->next - f->oldest < WINDOW && f->idle_count != 0) {
            f->next++;
            transmit(f, f->next - 1);
        }
        publish(f, SEND);
        if (take(f) != 0) {
            idle = 0;
        } else if (rest(f) == 0) {
            check(++idle < TRIES, "frames do not come back");
            for (unsigned i = f->oldest; i < f->next && f->idle_count != 0; i++) {
                if (f->mode == RETRANSMIT && f->seen[i] == 0) {
                    transmit(f, i);
                    f->again++;
                }
            }
        }
    }
    for (idle = 0; f->idle_count < WINDOW; idle += take(f) == 0 && rest(f) == 0) {
        check(idle < TRIES, "sent buffers do not come back");
    }
}

/* What DPDK is to be told of a mapping. It asks for both accesses to a ring, of which it only reads
 * one part, and to a buffer that it only writes. An invalidation takes from it what begins right
 * behind, too: so there is nothing. */
static struct virtq_region known(const struct frames *f, const struct virtq_region *range)
{
    struct virtq_region result = *range;
    const unsigned char *base = result.base;
    const unsigned char *rings = f->space->rings;

    if (base >= rings && base < rings + RINGS) {
        result.permissions = BOTH;
    } else {
        result.last = result.first + PAGE - 1;
        result.permissions |= (result.permissions & VIRTQ_PERMISSION_WRITE) != 0 ? BOTH : 0;
    }
    return result;
}

static int map(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct frames *f = context;
    const struct virtq_region range = known(f, ranges);
    const struct virtq_iommu_backend *own = f->space->backend;
    int error = own->map(own->context, &range, 1);

    check(count == 1, "one segment");
    if (error == 0 && f->mode == STRICT) {
        error = virtq_vhost_user_frontend_update(f->frontend, &range);
    } else if (error == 0) {
        check(f->mapped_count < MAPPED, "so many mappings");
        f->mapped[f->mapped_count++] = range;
    }
    return error;
}

static int unmap(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct frames *f = context;
    const struct virtq_iommu_backend *own = f->space->backend;
    const struct virtq_region range = known(f, ranges);

    (void)count;
    return own->unmap(own->context, &range, 1);
}

static int flush(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct frames *f = context;
    const struct virtq_iommu_backend *own = f->space->backend;
    const struct virtq_region range = known(f, ranges);

    (void)count;
    return own->flush(own->context, &range, 1);
}

/* Once the rings have been started: what it is told before, DPDK forgets. */
static void tell(struct frames *f)
{
    for (unsigned i = 0; i < f->mapped_count && f->mode == PRELOAD; i++) {
        check(virtq_vhost_user_frontend_update(f->frontend, &f->mapped[i]) == 0, "to tell");
    }
}

static void post(struct frames *f)
{
    for (unsigned i = 0; i < WINDOW; i++) {
        check(add(f, RECEIVE, f->room[RECEIVE][i], ROOM) == 1, "to post");
    }
    publish(f, RECEIVE);
}

/* Memory in a space whose addresses leave room between buffers. */
static void open_space(struct frames *f)
{
    struct virtq_vhost_user_space_config config = VIRTQ_VHOST_USER_SPACE_CONFIG_INIT;
    size_t size;

    f->backend = (struct virtq_iommu_backend){sizeof(f->backend), f, map, unmap, flush};
    config.frontend = f->frontend;
    config.granule = STRIDE;
    config.ring_size = RINGS;
    config.buffer_size = PLACES;
    if (f->mode != NONE) {
        config.kind = VIRTQ_VHOST_USER_SPACE_IOMMU;
        config.policy = f->mode == STRICT ? VIRTQ_IOMMU_STRICT : VIRTQ_IOMMU_PERSISTENT;
        config.backend = &f->backend;
    }
    size = virtq_vhost_user_space_size(&config);
    f->kept[1] = memory(size, VIRTQ_CACHE_LINE);
    check(virtq_vhost_user_space_init(f->kept[1], size, &config, &f->space) == 0, "a space");
    for (unsigned i = 0; i < WINDOW; i++) {
        f->room[RECEIVE][i] = (unsigned char *)f->space->buffers + (size_t)2 * i * STRIDE;
        f->room[SEND][i] = f->room[RECEIVE][i] + STRIDE;
        f->idle[f->idle_count++] = f->room[SEND][i];
    }
    for (unsigned i = 0; i < 2 * WINDOW && (f->mode == PRELOAD || f->mode == RETRANSMIT); i++) {
        check(virtq_space_share(f->space->space, f->room[i % 2][i / 2], ROOM, BOTH,
                                &f->shared[i]) == 0,
              "to map a buffer");
    }
}

static void open_queue(struct frames *f, uint32_t index)
{
    struct virtq_vhost_user_queue_config config = VIRTQ_VHOST_USER_QUEUE_CONFIG_INIT;
    size_t size;

    config.frontend = f->frontend;
    config.space = f->space->space;
    config.index = index;
    config.size = QUEUE_SIZE;
    config.ring = (unsigned char *)f->space->rings + (size_t)index * RING_ROOM;
    check(virtq_vhost_user_queue_ring_size(&config) <= RING_ROOM, "room for a ring");
    size = virtq_vhost_user_queue_size(&config);
    f->kept[2 + index] = memory(size, VIRTQ_CACHE_LINE);
    check(virtq_vhost_user_queue_init(f->kept[2 + index], size, &config, &f->ring[index]) == 0 &&
              virtq_vhost_user_queue_start(f->ring[index]) == 0,
          "the back-end does not start the ring");
    f->queue[index] = virtq_vhost_user_queue_driver(f->ring[index]);
}

static void open_all(struct frames *f, const char *path, uint64_t needed)
{
    struct virtq_vhost_user_frontend_config config = VIRTQ_VHOST_USER_FRONTEND_CONFIG_INIT;
    uint64_t offered;
    size_t size;

    config.socket = virtq_socket_connect(path);
    config.queue_count = 2;
    config.deadline = 60000;
    check(config.socket >= 0, "nobody listens at the socket");
    size = virtq_vhost_user_frontend_size(&config);
    f->kept[0] = memory(size, VIRTQ_CACHE_LINE);
    check(virtq_vhost_user_frontend_init(f->kept[0], size, &config, &f->frontend) == 0 &&
              virtq_vhost_user_frontend_greet(f->frontend) == 0,
          "no vhost-user back-end");
    offered = virtq_vhost_user_frontend_offered(f->frontend);
    needed |= offered & VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX);
    check(virtq_vhost_user_frontend_accept(f->frontend, needed) == 0, "a feature is not offered");
    open_space(f);
    open_queue(f, RECEIVE);
    open_queue(f, SEND);
    check(virtq_vhost_user_frontend_ready(f->frontend) == 0, "to say so");
    tell(f);
    post(f);
}

static void close_all(struct frames *f)
{
    for (unsigned i = 0; i < 2; i++) {
        check(virtq_vhost_user_queue_stop(f->ring[i]) == 0, "both ends stand at the same place");
        virtq_vhost_user_queue_fini(f->ring[i]);
    }
    for (unsigned i = 0; i < 2 * WINDOW && f->shared[i] != 0; i++) {
        virtq_space_unshare(f->space->space, f->shared[i], ROOM);
    }
    virtq_vhost_user_space_fini(f->space);
    virtq_vhost_user_frontend_fini(f->frontend);
    for (unsigned i = 0; i < 4; i++) {
        free(f->kept[i]);
    }
}

/* Stops both rings, and starts them: what goes goes on where it stands, and of what was posted
 * nothing was ever used, so that ring begins anew. */
static void restart(struct frames *f)
{
    struct virtq_state before, after;
    void *room;

    check(virtq_vhost_user_queue_stop(f->ring[RECEIVE]) == 0 &&
              virtq_vhost_user_queue_stop(f->ring[SEND]) == 0 &&
              virtq_driver_save(f->queue[SEND], &before) == 0,
          "both ends stand at the same place");
    (void)take(f);
    while (virtq_driver_detach(f->queue[RECEIVE], &room) == 1) {
    }
    check(virtq_vhost_user_queue_start(f->ring[RECEIVE]) == 0 &&
              virtq_vhost_user_queue_start(f->ring[SEND]) == 0,
          "to start again");
    check(virtq_driver_save(f->queue[SEND], &after) == 0 && after.available == before.available,
          "to go on");
    tell(f);
    post(f);
}

int main(int argc, char **argv)
{
    static const char *const modes[] = {"none", "preload", "retransmit", "strict"};
    static struct frames f;
    uint64_t needed = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);

    check(argc == 5, "frames SOCKET FRAMES split|packed none|preload|retransmit|strict");
    while (f.mode < STRICT && strcmp(argv[4], modes[f.mode]) != 0) {
        f.mode++;
    }
    needed |= strcmp(argv[3], "packed") == 0 ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;
    needed |= f.mode != NONE ? VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM) : 0;
    f.count = (unsigned)atoi(argv[2]);
    f.seen = memory(f.count, 1);
    memset(f.seen, 0, f.count);
    open_all(&f, argv[1], needed);
    exchange(&f, f.count / 2);
    restart(&f);
    exchange(&f, f.count);
    check(f.back == f.count, "every frame came back");
    check((f.mode == RETRANSMIT) == (f.again != 0), "frames are dropped for a miss, and only then");
    printf("%u frames came back, %u were sent again\n", f.back, f.again);
    close_all(&f);
    free(f.seen);
    return 0;
}
