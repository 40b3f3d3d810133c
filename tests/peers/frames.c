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
#include "reach.h"

enum { QUEUE_SIZE = 64, WINDOW = 32, ROOM = 2048, HEADER = 12, TRIES = 60, MAPPED = 128 };
enum mode { NONE, PRELOAD, RETRANSMIT, STRICT };
enum {
    RECEIVE = 0,
    SEND = 1,
    RINGS = 0x10000,
    RING_ROOM = 0x8000,
    STRIDE = 2 * REACH_PAGE,
    PLACES = 2 * WINDOW * STRIDE
};

struct frames {
    struct reach reach;
    struct virtq_driver *queue[2];
    struct virtq_iommu_backend domain; /* What is below one that can tell beforehand. */
    unsigned char *room[2][WINDOW];    /* STRIDE bytes each. */
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
    (void)virtq_driver_publish(f->queue[queue]);
    if (virtq_driver_needs_notify(f->queue[queue], NULL)) {
        virtq_vhost_user_frontend_kick(f->reach.frontend, queue);
    }
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
    struct virtq_vhost_user_frontend *frontend = f->reach.frontend;
    struct pollfd ready[3] = {{virtq_vhost_user_frontend_call_fd(frontend, RECEIVE), POLLIN, 0},
                              {virtq_vhost_user_frontend_call_fd(frontend, SEND), POLLIN, 0},
                              {virtq_vhost_user_frontend_fd(frontend), POLLIN, 0}};
    const int more = (int)virtq_driver_enable_notify(f->queue[RECEIVE]) |
                     (int)virtq_driver_enable_notify(f->queue[SEND]);
    /* What was dropped is waited for in vain; what was not comes, however long it takes. */
    int got = more != 0 ? 1 : poll(ready, 3, f->mode == RETRANSMIT ? 50 : 1000);

    (void)virtq_vhost_user_frontend_called(frontend, RECEIVE);
    (void)virtq_vhost_user_frontend_called(frontend, SEND);
    check(virtq_vhost_user_frontend_process(frontend) == 0,
          virtq_vhost_user_refusal_name(virtq_vhost_user_frontend_refusal(frontend)));
    return got;
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
    const unsigned char *rings = f->reach.rings;

    if (base >= rings && base < rings + RINGS) {
        result.permissions = REACH_BOTH;
    } else {
        result.last = result.first + REACH_PAGE - 1;
        result.permissions |= (result.permissions & VIRTQ_PERMISSION_WRITE) != 0 ? REACH_BOTH : 0;
    }
    return result;
}

static int map(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct frames *f = context;
    const struct virtq_region range = known(f, ranges);
    int error = f->domain.map(f->domain.context, &range, 1);

    check(count == 1, "one segment");
    if (error == 0 && f->mode == STRICT) {
        error = virtq_vhost_user_frontend_update(f->reach.frontend, &range);
    } else if (error == 0) {
        check(f->mapped_count < MAPPED, "so many mappings");
        f->mapped[f->mapped_count++] = range;
    }
    return error;
}

static int unmap(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct frames *f = context;
    const struct virtq_region range = known(f, ranges);

    (void)count;
    return f->domain.unmap(f->domain.context, &range, 1);
}

static int flush(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct frames *f = context;
    const struct virtq_region range = known(f, ranges);

    (void)count;
    return f->domain.flush(f->domain.context, &range, 1);
}

/* Once the rings have been started: what it is told before, DPDK forgets. */
static void tell(struct frames *f)
{
    for (unsigned i = 0; i < f->mapped_count && f->mode == PRELOAD; i++) {
        check(virtq_vhost_user_frontend_update(f->reach.frontend, &f->mapped[i]) == 0, "to tell");
    }
}

static void post(struct frames *f)
{
    for (unsigned i = 0; i < WINDOW; i++) {
        check(add(f, RECEIVE, f->room[RECEIVE][i], ROOM) == 1, "to post");
    }
    publish(f, RECEIVE);
}

/* In place of the usual space one whose addresses leave room between buffers. */
static void keep_apart(struct frames *f)
{
    struct virtq_iommu_queue_config config = VIRTQ_IOMMU_QUEUE_CONFIG_INIT;
    struct reach *reach = &f->reach;

    virtq_iommu_queue_destroy(&reach->iommu);
    check(virtq_iova_init(&reach->iova, REACH_BASE, 2 * REACH_BASE - 1, STRIDE, reach->ranges,
                          sizeof(reach->ranges) / sizeof(reach->ranges[0])) == 0 &&
              virtq_iova_depot_init(&reach->depot, &reach->iova, UINT64_MAX, reach->magazines,
                                    REACH_MAGAZINES) == 0,
          "addresses");
    config.depot = &reach->depot;
    config.backend = &reach->backend;
    config.policy = f->mode == STRICT ? VIRTQ_IOMMU_STRICT : VIRTQ_IOMMU_PERSISTENT;
    config.entries = MAPPED;
    config.memory_size = virtq_iommu_queue_private_size(config.policy, config.entries);
    config.memory = reach->private = config.memory_size != 0 ? memory(config.memory_size, 8) : NULL;
    check(virtq_iommu_queue_init(&reach->iommu, &config) == 0, "the iommu space");
    for (unsigned i = 0; i < 2 * WINDOW && f->mode != STRICT; i++) {
        check(virtq_space_share(reach->space, f->room[i % 2][i / 2], ROOM, REACH_BOTH,
                                &f->shared[i]) == 0,
              "to map a buffer");
    }
}

static void open_all(struct frames *f, const char *path, uint64_t needed)
{
    struct reach *reach = &f->reach;

    reach_connect(reach, path, 2);
    reach_accept(reach, VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX), needed);
    reach_open(reach, f->mode != NONE ? "iommu" : "direct", RINGS + STRIDE, PLACES);
    reach->rings = (char *)reach->rings + (uintptr_t)reach->rings % STRIDE;
    reach->buffers = (char *)reach->buffers + (uintptr_t)reach->buffers % STRIDE;
    for (unsigned i = 0; i < WINDOW; i++) {
        f->room[RECEIVE][i] = (unsigned char *)reach->buffers + (size_t)2 * i * STRIDE;
        f->room[SEND][i] = f->room[RECEIVE][i] + STRIDE;
        f->idle[f->idle_count++] = f->room[SEND][i];
    }
    f->domain = reach->backend;
    if (f->mode != NONE) {
        reach->backend = (struct virtq_iommu_backend){sizeof(reach->backend), f, map, unmap, flush};
        keep_apart(f);
    }
    f->queue[RECEIVE] = reach_queue(reach, RECEIVE, 0, QUEUE_SIZE, 1);
    f->queue[SEND] = reach_queue(reach, SEND, RING_ROOM, QUEUE_SIZE, 1);
    reach_run(reach);
    tell(f);
    post(f);
}

/* Stops both rings, and starts them where they stand: what was posted was never used. */
static void restart(struct frames *f)
{
    struct virtq_vhost_user_frontend *frontend = f->reach.frontend;
    struct virtq_state state;
    uint32_t base = 0;
    void *room;

    check(virtq_vhost_user_frontend_stop(frontend, RECEIVE, NULL) == 0 &&
              virtq_vhost_user_frontend_stop(frontend, SEND, &base) == 0 &&
              virtq_driver_save(f->queue[SEND], &state) == 0 && base == virtq_state_to_base(&state),
          "both ends stand at the same place");
    (void)take(f);
    while (virtq_driver_detach(f->queue[RECEIVE], &room) == 1) {
    }
    check(virtq_driver_reset(f->queue[RECEIVE]) == 0, "a new ring");
    f->reach.made[SEND].state = &state;
    check(virtq_vhost_user_frontend_start(frontend, RECEIVE, &f->reach.made[RECEIVE]) == 0 &&
              virtq_vhost_user_frontend_start(frontend, SEND, &f->reach.made[SEND]) == 0,
          "to start again");
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
    check(virtq_vhost_user_frontend_stop(f.reach.frontend, RECEIVE, NULL) == 0, "to stop");
    virtq_driver_destroy(f.queue[RECEIVE]);
    free(f.reach.queues[RECEIVE]);
    reach_stop(&f.reach, SEND, f.queue[SEND]);
    for (unsigned i = 0; i < 2 * WINDOW && f.shared[i] != 0; i++) {
        virtq_space_unshare(f.reach.space, f.shared[i], ROOM);
    }
    reach_close(&f.reach);
    free(f.seen);
    return 0;
}
