/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A ring of a served disk on a thread of its own, its driver, and a carrier that ends
 * requests when, and how, a test says.
 */
#ifndef VIRTQ_TESTS_HOST_BLK_RING_H
#define VIRTQ_TESTS_HOST_BLK_RING_H

#include <pthread.h>
#include <stdio.h>

#include "frontend.h"
#include "virtq/host/blk_ring.h"

#define VERSION_1 VIRTQ_FEATURE(VIRTIO_F_VERSION_1)
#define PACKED VIRTQ_FEATURE(VIRTIO_F_RING_PACKED)

enum { SECTORS = 64, SIZE = 32, SLOTS = 8, SLOT = 2048, HEADER = 16, DATA = 32, PATIENCE = 60000 };

/* Requests that were begun; each comes to its end when there is a permit. */
struct carrier {
    int permits; /* An eventfd that counts. */
    struct virtq_blk_request *held[SLOTS];
    struct iovec *vectors[SLOTS];
    unsigned counts[SLOTS];
    unsigned count; /* Of several threads. */
    unsigned submitted;
    unsigned refusals; /* So often it says that it is full. */
    unsigned failures; /* So often it cannot submit. */
    unsigned begun;    /* Since it was last asked to submit; */
    unsigned longest;  /* and the most that this ever was. */
    unsigned refills;  /* So often another flush is there before one is refused. */
    unsigned handed;   /* Of several threads: the driver is the carrier's to use. */
    unsigned looks;    /* Since a test has set it to 0; of several threads. */
    unsigned rests;    /* Likewise: the ring was about to sleep. */
    int64_t result;    /* What the next one ends with; 0: all is moved. */
    bool reverse;
};

struct stand {
    struct frontend f;
    struct virtq_blk_disk disk;
    struct virtq_blk_ring_config config;
    struct virtq_blk_ring *ring;
    void *memory;
    pthread_t thread;
    struct carrier carrier;
    uint32_t size; /* Descriptors. */
    bool running;
    bool carried;
    unsigned release; /* Permits that are given when it is to stop. */
    struct virtq_blk_ring_counters counters;
    unsigned char *status[SLOTS];
};

static struct stand stand;

static inline void place(unsigned slot, uint32_t type, unsigned parts);
static inline void kick(void);

/* A driver that is as fast as the ring. Nobody else uses it until there are no more refills. */
static inline void carrier_refill(struct carrier *carrier)
{
    const unsigned left = carrier->refills - 1;
    struct virtq_completion completion;

    while (__atomic_load_n(&carrier->handed, __ATOMIC_ACQUIRE) == 0) {
        (void)poll(NULL, 0, 1);
    }
    while (virtq_driver_poll(stand.f.driver[0], &completion, 1) == 1) {
    }
    place(left % SLOTS, VIRTIO_BLK_T_FLUSH, 0);
    kick();
    __atomic_store_n(&carrier->refills, left, __ATOMIC_RELEASE);
}

static inline int carrier_begin(void *opaque, struct virtq_blk_request *request, int file,
                                struct iovec *vector, unsigned count, uint32_t flags)
{
    struct carrier *carrier = opaque;
    const unsigned held = __atomic_load_n(&carrier->count, __ATOMIC_RELAXED);

    (void)flags;
    cr_assert(file == stand.config.file && held < SLOTS);
    cr_assert(request->type == VIRTIO_BLK_T_OUT || request->type == VIRTIO_BLK_T_FLUSH);
    carrier->begun++;
    carrier->longest = carrier->begun > carrier->longest ? carrier->begun : carrier->longest;
    if (carrier->refills != 0) {
        carrier_refill(carrier);
        return 0;
    }
    if (carrier->refusals != 0) {
        carrier->refusals--;
        return 0;
    }
    carrier->held[held] = request;
    carrier->vectors[held] = vector;
    carrier->counts[held] = count;
    __atomic_store_n(&carrier->count, held + 1, __ATOMIC_RELEASE);
    return 1;
}

static inline int carrier_submit(void *opaque)
{
    struct carrier *carrier = opaque;

    carrier->begun = 0;
    if (carrier->failures != 0) {
        carrier->failures--;
        return -1;
    }
    __atomic_store_n(&carrier->submitted, carrier->count, __ATOMIC_RELEASE);
    return 0;
}

static inline struct virtq_blk_request *carrier_next(void *opaque, int64_t *result)
{
    struct carrier *carrier = opaque;
    const unsigned held = carrier->count;
    const unsigned which = carrier->reverse ? held - 1 : 0;
    struct virtq_blk_request *request;
    uint64_t permit;

    (void)__atomic_add_fetch(&carrier->looks, 1, __ATOMIC_RELAXED);
    if (held == 0 || carrier->submitted < held ||
        read(carrier->permits, &permit, sizeof(permit)) != (ssize_t)sizeof(permit)) {
        return NULL;
    }
    request = carrier->held[which];
    *result = carrier->result;
    if (request->type == VIRTIO_BLK_T_OUT && *result >= 0) {
        *result = pwritev(stand.config.file, carrier->vectors[which], (int)carrier->counts[which],
                          (off_t)request->offset);
        cr_assert(*result > 0 && (uint64_t)*result <= request->len);
        *result = carrier->result > 0 ? carrier->result : *result;
    }
    memmove(carrier->held + which, carrier->held + which + 1,
            (held - 1 - which) * sizeof(carrier->held[0]));
    memmove(carrier->vectors + which, carrier->vectors + which + 1,
            (held - 1 - which) * sizeof(carrier->vectors[0]));
    memmove(carrier->counts + which, carrier->counts + which + 1,
            (held - 1 - which) * sizeof(carrier->counts[0]));
    carrier->submitted--;
    __atomic_store_n(&carrier->count, held - 1, __ATOMIC_RELEASE);
    return request;
}

static inline int carrier_fd(void *opaque)
{
    struct carrier *carrier = opaque;

    (void)__atomic_add_fetch(&carrier->rests, 1, __ATOMIC_RELAXED);
    return carrier->permits;
}

static const struct virtq_blk_carrier_ops carrier_ops = {sizeof(carrier_ops), carrier_begin,
                                                         carrier_submit, carrier_next, carrier_fd};

static inline void permit(uint64_t count)
{
    cr_assert_eq(write(stand.carrier.permits, &count, sizeof(count)), (ssize_t)sizeof(count));
}

/* Until the carrier has so many. */
static inline void wait_held(unsigned count)
{
    while (__atomic_load_n(&stand.carrier.submitted, __ATOMIC_ACQUIRE) != count) {
        (void)poll(NULL, 0, 1);
    }
}

static inline void *ring_thread(void *ring)
{
    virtq_blk_ring_run(ring);
    return NULL;
}

static inline int started(void *opaque, uint32_t index)
{
    (void)opaque;
    stand.config.backend = stand.f.backend;
    stand.config.index = index;
    stand.memory = aligned_alloc(VIRTQ_CACHE_LINE, virtq_blk_ring_size(&stand.config));
    cr_assert(stand.memory != NULL);
    cr_assert_eq(virtq_blk_ring_init(stand.memory, virtq_blk_ring_size(&stand.config),
                                     &stand.config, &stand.ring),
                 0);
    cr_assert(!stand.carried ||
              virtq_blk_ring_carry(stand.ring, &carrier_ops, &stand.carrier) == 0);
    stand.running = pthread_create(&stand.thread, NULL, ring_thread, stand.ring) == 0;
    cr_assert(stand.running);
    return 0;
}

static inline void end_thread(void)
{
    virtq_blk_ring_stop(stand.ring);
    if (stand.release != 0) {
        (void)poll(NULL, 0, 20); /* Time to end too soon. */
        permit(stand.release);
    }
    cr_assert_eq(pthread_join(stand.thread, NULL), 0);
    stand.running = false;
}

static inline void stopping(void *opaque, uint32_t index)
{
    (void)opaque, (void)index;
    if (stand.running) {
        end_thread();
    }
    virtq_blk_ring_count(stand.ring, &stand.counters);
    virtq_blk_ring_fini(stand.ring);
    free(stand.memory);
    stand.ring = NULL;
}

static inline void wake(void *opaque, uint32_t index)
{
    (void)opaque, (void)index;
    virtq_blk_ring_wake(stand.ring);
}

/* A guest, a back-end and a disk; the ring is described by stand.config. */
static inline void stand_describe(void)
{
    struct virtq_blk_disk disk = VIRTQ_BLK_DISK_INIT;
    const struct virtq_blk_ring_config config = VIRTQ_BLK_RING_CONFIG_INIT;
    char path[] = "/tmp/virtq-ring-XXXXXX";

    memset(&stand, 0, sizeof(stand));
    disk.sectors = SECTORS;
    disk.segments_max = 4;
    disk.features = VIRTQ_FEATURE(VIRTIO_BLK_F_FLUSH);
    stand.disk = disk;
    stand.size = SIZE;
    stand.config = config;
    stand.config.disk = &stand.disk;
    stand.config.file = mkstemp(path);
    cr_assert(stand.config.file >= 0 && unlink(path) == 0);
    cr_assert_eq(ftruncate(stand.config.file, SECTORS * VIRTQ_BLK_SECTOR), 0);
    stand.carrier.permits = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    cr_assert(stand.carrier.permits >= 0);
}

static inline void stand_open(uint64_t features)
{
    static const struct virtq_vhost_user_ops ops = {.size = sizeof(ops),
                                                    .started = started,
                                                    .stopping = stopping,
                                                    .wake = wake,
                                                    .refused = frontend_refused};
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;

    config.flags = VIRTQ_VHOST_USER_RECORDED;
    config.ops = &ops;
    config.queue_size = stand.size > config.queue_size ? stand.size : config.queue_size;
    frontend_open_config(&stand.f, &config);
    frontend_greet(&stand.f, features);
    frontend_start(&stand.f, 0, features, stand.size);
}

static inline void stand_carried(uint64_t features)
{
    stand_describe();
    stand.carried = true;
    stand_open(features);
}

static inline void stand_close(void)
{
    frontend_close(&stand.f);
    cr_assert(stand.ring == NULL);
    cr_assert(close(stand.config.file) == 0 && close(stand.carrier.permits) == 0);
}

static inline unsigned char *slot_at(unsigned slot)
{
    return stand.f.guest + FRONTEND_REGION + (size_t)slot * SLOT;
}

static inline unsigned char byte_of(unsigned slot, unsigned i)
{
    return (unsigned char)(slot * 31 + i * 7 + 1);
}

/* Places a request in a slot of the guest's memory, status first, for two sectors from sector
 * 2 * slot on. The data comes in `parts`. */
static inline void place(unsigned slot, uint32_t type, unsigned parts)
{
    const uint32_t len = type == VIRTIO_BLK_T_FLUSH ? 0 : 2 * VIRTQ_BLK_SECTOR;
    unsigned char *at = slot_at(slot);
    struct virtq_segment segments[4];
    struct virtq_buffer buffer = {.segments = segments, .cookie = at};
    unsigned count = 1;

    memset(segments, 0, sizeof(segments));
    memset(at, 0, SLOT);
    at[HEADER] = (unsigned char)type;
    at[HEADER + 8] = (unsigned char)(2 * slot);
    for (unsigned i = 0; type == VIRTIO_BLK_T_OUT && i < len; i++) {
        at[DATA + i] = byte_of(slot, i);
    }
    segments[0].base = at + HEADER;
    segments[0].len = DATA - HEADER;
    for (unsigned i = 0; len != 0 && i < parts; i++) {
        segments[count].base = at + DATA + (size_t)i * len / parts;
        segments[count++].len = len / parts;
    }
    stand.status[slot] = at;
    *stand.status[slot] = 0xee;
    segments[count].base = stand.status[slot];
    segments[count++].len = 1;
    buffer.readable = (uint16_t)(type == VIRTIO_BLK_T_OUT ? count - 1 : 1);
    buffer.writable = (uint16_t)(count - buffer.readable);
    cr_assert_eq(virtq_driver_add(stand.f.driver[0], &buffer, 1), 1);
}

static inline void kick(void)
{
    cr_assert(virtq_driver_publish(stand.f.driver[0]) > 0);
    if (virtq_driver_needs_notify(stand.f.driver[0], NULL)) {
        frontend_kick(&stand.f, 0);
    }
}

/* Sleeps until `left` requests are not back. */
static inline void wait_left(uint32_t left)
{
    struct virtq_driver *driver = stand.f.driver[0];
    struct pollfd ready = {stand.f.call[0], POLLIN, 0};
    struct virtq_completion completion;
    uint64_t calls;
    int got;

    for (;;) {
        while ((got = virtq_driver_poll(driver, &completion, 1)) == 1) {
        }
        cr_assert_eq(got, 0);
        if (virtq_driver_outstanding(driver) == left) {
            return;
        }
        if (!virtq_driver_enable_notify(driver)) {
            cr_assert_eq(poll(&ready, 1, PATIENCE), 1, "no interrupt");
            cr_assert_eq(read(stand.f.call[0], &calls, sizeof(calls)), (ssize_t)sizeof(calls));
        }
    }
}

/* Whether the file, or a request's data, is what place() wrote. */
static inline bool written(unsigned slot, const unsigned char *data)
{
    unsigned char sectors[2 * VIRTQ_BLK_SECTOR];

    if (data == NULL) {
        cr_assert_eq(
            pread(stand.config.file, sectors, sizeof(sectors), (off_t)slot * 2 * VIRTQ_BLK_SECTOR),
            (ssize_t)sizeof(sectors));
        data = sectors;
    }
    for (unsigned i = 0; i < sizeof(sectors); i++) {
        if (data[i] != byte_of(slot, i)) {
            return false;
        }
    }
    return true;
}

#endif
