/* SPDX-License-Identifier: BSD-3-Clause */
/* A ring of a served disk, on a thread of its own: what it does by itself, what it has a carrier
 * do, and how it ends, is drained and told of. The carrier is the test's: it ends requests when,
 * and how, the test says. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "frontend.h"
#include "process.h"
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
    bool running;
    bool carried;
    unsigned release; /* Permits that are given when it is to stop. */
    struct virtq_blk_ring_counters counters;
    unsigned char *status[SLOTS];
};

static struct stand stand;

static int carrier_begin(void *opaque, struct virtq_blk_request *request, int file,
                         struct iovec *vector, unsigned count, uint32_t flags)
{
    struct carrier *carrier = opaque;
    const unsigned held = __atomic_load_n(&carrier->count, __ATOMIC_RELAXED);

    (void)flags;
    cr_assert(file == stand.config.file && held < SLOTS);
    cr_assert(request->type == VIRTIO_BLK_T_OUT || request->type == VIRTIO_BLK_T_FLUSH);
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

static int carrier_submit(void *opaque)
{
    struct carrier *carrier = opaque;

    if (carrier->failures != 0) {
        carrier->failures--;
        return -1;
    }
    __atomic_store_n(&carrier->submitted, carrier->count, __ATOMIC_RELEASE);
    return 0;
}

static struct virtq_blk_request *carrier_next(void *opaque, int64_t *result)
{
    struct carrier *carrier = opaque;
    const unsigned held = carrier->count;
    const unsigned which = carrier->reverse ? held - 1 : 0;
    struct virtq_blk_request *request;
    uint64_t permit;

    if (held == 0 || carrier->submitted < held ||
        read(carrier->permits, &permit, sizeof(permit)) != (ssize_t)sizeof(permit)) {
        return NULL;
    }
    request = carrier->held[which];
    *result = carrier->result;
    if (request->type == VIRTIO_BLK_T_OUT && *result >= 0) {
        *result = pwritev(stand.config.file, carrier->vectors[which], (int)carrier->counts[which],
                          (off_t)request->offset);
        cr_assert_eq((uint64_t)*result, request->len);
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

static int carrier_fd(void *opaque)
{
    return ((struct carrier *)opaque)->permits;
}

static const struct virtq_blk_carrier_ops carrier_ops = {sizeof(carrier_ops), carrier_begin,
                                                         carrier_submit, carrier_next, carrier_fd};

static void permit(uint64_t count)
{
    cr_assert_eq(write(stand.carrier.permits, &count, sizeof(count)), (ssize_t)sizeof(count));
}

/* Until the carrier has so many. */
static void wait_held(unsigned count)
{
    while (__atomic_load_n(&stand.carrier.submitted, __ATOMIC_ACQUIRE) != count) {
        (void)poll(NULL, 0, 1);
    }
}

static void *ring_thread(void *ring)
{
    virtq_blk_ring_run(ring);
    return NULL;
}

static int started(void *opaque, uint32_t index)
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

static void end_thread(void)
{
    virtq_blk_ring_stop(stand.ring);
    if (stand.release != 0) {
        (void)poll(NULL, 0, 20); /* Time to end too soon. */
        permit(stand.release);
    }
    cr_assert_eq(pthread_join(stand.thread, NULL), 0);
    stand.running = false;
}

static void stopping(void *opaque, uint32_t index)
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

static void wake(void *opaque, uint32_t index)
{
    (void)opaque, (void)index;
    virtq_blk_ring_wake(stand.ring);
}

/* A guest, a back-end and a disk; the ring is described by stand.config. */
static void stand_describe(void)
{
    struct virtq_blk_disk disk = VIRTQ_BLK_DISK_INIT;
    const struct virtq_blk_ring_config config = VIRTQ_BLK_RING_CONFIG_INIT;
    char path[] = "/tmp/virtq-ring-XXXXXX";

    memset(&stand, 0, sizeof(stand));
    disk.sectors = SECTORS;
    disk.segments_max = 4;
    disk.features = VIRTQ_FEATURE(VIRTIO_BLK_F_FLUSH);
    stand.disk = disk;
    stand.config = config;
    stand.config.disk = &stand.disk;
    stand.config.file = mkstemp(path);
    cr_assert(stand.config.file >= 0 && unlink(path) == 0);
    cr_assert_eq(ftruncate(stand.config.file, SECTORS * VIRTQ_BLK_SECTOR), 0);
    stand.carrier.permits = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    cr_assert(stand.carrier.permits >= 0);
}

static void stand_open(uint64_t features)
{
    static const struct virtq_vhost_user_ops ops = {.size = sizeof(ops),
                                                    .started = started,
                                                    .stopping = stopping,
                                                    .wake = wake,
                                                    .refused = frontend_refused};
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;

    config.flags = VIRTQ_VHOST_USER_RECORDED;
    config.ops = &ops;
    frontend_open_config(&stand.f, &config);
    frontend_greet(&stand.f, features);
    frontend_start(&stand.f, 0, features, SIZE);
}

static void stand_carried(uint64_t features)
{
    stand_describe();
    stand.carried = true;
    stand_open(features);
}

static void stand_close(void)
{
    frontend_close(&stand.f);
    cr_assert(stand.ring == NULL);
    cr_assert(close(stand.config.file) == 0 && close(stand.carrier.permits) == 0);
}

static unsigned char *slot_at(unsigned slot)
{
    return stand.f.guest + FRONTEND_REGION + (size_t)slot * SLOT;
}

static unsigned char byte_of(unsigned slot, unsigned i)
{
    return (unsigned char)(slot * 31 + i * 7 + 1);
}

/* Places a request in a slot of the guest's memory, status first, for two sectors from sector
 * 2 * slot on. The data comes in `parts`. */
static void place(unsigned slot, uint32_t type, unsigned parts)
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

static void kick(void)
{
    cr_assert(virtq_driver_publish(stand.f.driver[0]) > 0);
    if (virtq_driver_needs_notify(stand.f.driver[0], NULL)) {
        frontend_kick(&stand.f, 0);
    }
}

/* Sleeps until `left` requests are not back. */
static void wait_left(uint32_t left)
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
static bool written(unsigned slot, const unsigned char *data)
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

Test(host_blk_ring, without_a_carrier_it_does_everything_itself_and_a_kick_wakes_it)
{
    for (unsigned shape = 0; shape < 4; shape++) {
        stand_describe();
        stand.config.polls = shape < 2 ? 0 : 100;
        stand_open(shape % 2 == 0 ? VERSION_1 : VERSION_1 | PACKED);
        for (unsigned round = 0; round < 20; round++) {
            const unsigned slot = round % SLOTS;

            place(slot, VIRTIO_BLK_T_OUT, 2);
            kick();
            wait_left(0);
            cr_assert(*stand.status[slot] == VIRTIO_BLK_S_OK && written(slot, NULL));
            place(slot, VIRTIO_BLK_T_IN, 1);
            place((slot + 1) % SLOTS, VIRTIO_BLK_T_FLUSH, 0);
            kick();
            wait_left(0);
            cr_assert_eq(*stand.status[(slot + 1) % SLOTS], VIRTIO_BLK_S_OK);
            cr_assert(*stand.status[slot] == VIRTIO_BLK_S_OK);
            cr_assert(written(slot, slot_at(slot) + DATA));
            cr_assert_eq(ftruncate(stand.config.file, 0), 0);
            cr_assert_eq(ftruncate(stand.config.file, SECTORS * VIRTQ_BLK_SECTOR), 0);
        }
        stand_close();
        cr_assert_eq(stand.counters.popped, 60u);
        cr_assert_eq(stand.counters.bad, 0u);
        cr_assert(stand.counters.lowest == UINT64_MAX && stand.counters.highest == 0);
    }
}

Test(host_blk_ring, a_carrier_has_what_would_be_waited_for_and_ends_it_in_any_order)
{
    for (unsigned shape = 0; shape < 4; shape++) {
        stand_describe();
        stand.carried = true;
        stand.carrier.reverse = shape >= 2;
        stand_open(shape % 2 == 0 ? VERSION_1 : VERSION_1 | PACKED);
        for (unsigned i = 0; i < 6; i++) {
            place(i, i == 5 ? VIRTIO_BLK_T_FLUSH : VIRTIO_BLK_T_OUT, 1);
        }
        kick();
        wait_held(6);
        cr_assert_eq(virtq_driver_outstanding(stand.f.driver[0]), 6u);
        for (unsigned i = 0; i < 6; i++) {
            const unsigned slot = stand.carrier.reverse ? 5 - i : i;

            cr_assert_eq(*stand.status[slot], 0xee);
            permit(1);
            wait_left(5 - i);
            cr_assert_eq(*stand.status[slot], VIRTIO_BLK_S_OK);
            cr_assert(slot == 5 || written(slot, NULL));
        }
        stand_close();
    }
}

/* Each line: what the carrier says of a write, and what the driver gets. */
Test(host_blk_ring, what_a_carrier_does_not_do_to_the_end_is_done_and_an_error_is_told)
{
    static const struct {
        int64_t result;
        uint32_t type, status;
    } lines[] = {{100, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_OK},
                 {-EAGAIN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_OK},
                 {-EINTR, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_OK},
                 {-EIO, VIRTIO_BLK_T_OUT, VIRTIO_BLK_S_IOERR},
                 {-EAGAIN, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_S_IOERR},
                 {-EIO, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_S_IOERR}};

    for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        stand_carried(VERSION_1);
        stand.carrier.result = lines[i].result;
        place(1, lines[i].type, 3 - 1);
        kick();
        wait_held(1);
        permit(1);
        wait_left(0);
        cr_assert_eq(*stand.status[1], lines[i].status, "line %u", i);
        if (lines[i].type == VIRTIO_BLK_T_OUT) {
            cr_assert_eq(written(1, NULL), lines[i].status == VIRTIO_BLK_S_OK, "line %u", i);
        }
        stand_close();
    }
}

Test(host_blk_ring,
     a_carrier_that_is_full_is_done_without_and_one_that_cannot_submit_is_asked_again)
{
    stand_describe();
    stand.carried = true;
    stand.config.polls = 0;
    stand.carrier.refusals = 1;
    stand.carrier.failures = 5;
    stand_open(VERSION_1);
    place(0, VIRTIO_BLK_T_OUT, 1);
    place(1, VIRTIO_BLK_T_OUT, 1);
    kick();
    wait_left(1);
    cr_assert(*stand.status[0] == VIRTIO_BLK_S_OK && written(0, NULL));
    wait_held(1);
    permit(1);
    wait_left(0);
    cr_assert(*stand.status[1] == VIRTIO_BLK_S_OK && written(1, NULL));
    stand_close();
}

/* Says how many requests were in flight when it was drained. */
static void *drain_thread(void *opaque)
{
    const int *done = opaque;
    uint64_t said;

    virtq_blk_ring_drain(stand.ring);
    said = __atomic_load_n(&stand.carrier.count, __ATOMIC_ACQUIRE) + 1u;
    cr_assert_eq(write(*done, &said, sizeof(said)), (ssize_t)sizeof(said));
    return NULL;
}

Test(host_blk_ring, it_is_drained_when_nothing_is_in_flight_and_goes_on)
{
    int done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct pollfd ready = {done, POLLIN, 0};
    pthread_t thread;
    uint64_t said = 0;

    stand_carried(VERSION_1 | PACKED);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < round; i++) {
            place(i, VIRTIO_BLK_T_OUT, 1);
        }
        if (round != 0) {
            kick();
            wait_held(round);
        }
        cr_assert_eq(pthread_create(&thread, NULL, drain_thread, &done), 0);
        if (round != 0) {
            cr_assert_eq(poll(&ready, 1, 50), 0, "it was drained too soon");
            permit(round);
        }
        cr_assert_eq(poll(&ready, 1, PATIENCE), 1);
        cr_assert_eq(read(done, &said, sizeof(said)), (ssize_t)sizeof(said));
        cr_assert_eq(said, 1u);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        wait_left(0);
    }
    stand_close();
    cr_assert_eq(close(done), 0);
}

Test(host_blk_ring, one_that_nobody_runs_is_drained)
{
    stand_carried(VERSION_1);
    end_thread();
    virtq_blk_ring_drain(stand.ring);
    virtq_blk_ring_drain(stand.ring);
    /* And the wish does not stay, should it be run again. */
    virtq_blk_ring_run(stand.ring);
    virtq_blk_ring_drain(stand.ring);
    stand_close();
}

Test(host_blk_ring, it_stops_when_all_that_was_taken_is_done_and_shown)
{
    for (unsigned shape = 0; shape < 2; shape++) {
        stand_carried(shape == 0 ? VERSION_1 : VERSION_1 | PACKED);
        for (unsigned i = 0; i < 5; i++) {
            place(i, VIRTIO_BLK_T_OUT, 1);
        }
        kick();
        wait_held(5);
        stand.release = 5;
        (void)frontend_stop(&stand.f, 0);
        cr_assert(stand.ring == NULL && stand.carrier.count == 0);
        wait_left(0);
        for (unsigned i = 0; i < 5; i++) {
            cr_assert(*stand.status[i] == VIRTIO_BLK_S_OK && written(i, NULL));
        }
        stand_close();
    }
}

Test(host_blk_ring, a_burst_is_told_once_and_a_longer_one_now_and_then)
{
    for (unsigned shape = 0; shape < 2; shape++) {
        struct pollfd ready;
        uint64_t calls = 0;

        stand_describe();
        stand.config.burst = shape == 0 ? 16 : 2;
        stand_open(VERSION_1);
        ready = (struct pollfd){stand.f.call[0], POLLIN, 0};
        for (unsigned i = 0; i < 6; i++) {
            place(i, VIRTIO_BLK_T_OUT, 1);
        }
        kick();
        /* What was there at once is done at once: it does not stop in between. */
        cr_assert_eq(poll(&ready, 1, PATIENCE), 1);
        (void)frontend_stop(&stand.f, 0);
        cr_assert_eq(read(stand.f.call[0], &calls, sizeof(calls)), (ssize_t)sizeof(calls));
        cr_assert_eq(calls, shape == 0 ? 1u : 3u);
        wait_left(0);
        stand_close();
    }
}

Test(host_blk_ring, no_more_are_in_flight_than_there_is_room_for)
{
    stand_describe();
    stand.carried = true;
    stand.config.depth = 2;
    stand_open(VERSION_1);
    for (unsigned i = 0; i < 6; i++) {
        place(i, VIRTIO_BLK_T_OUT, 1);
    }
    kick();
    for (unsigned i = 0; i < 6; i++) {
        wait_held(i < 5 ? 2 : 1);
        permit(1);
        wait_left(5 - i);
    }
    for (unsigned i = 0; i < 6; i++) {
        cr_assert(*stand.status[i] == VIRTIO_BLK_S_OK && written(i, NULL));
    }
    stand_close();
}

Test(host_blk_ring, it_counts_buffers_and_notes_where_they_lie)
{
    stand_describe();
    stand.config.flags = VIRTQ_BLK_RING_LOCATE | VIRTQ_BLK_RING_STABLE;
    stand.config.pieces = 3;
    stand_open(VERSION_1);
    place(3, VIRTIO_BLK_T_OUT, 1);
    place(1, VIRTIO_BLK_T_IN, 1);
    place(2, VIRTIO_BLK_T_IN, 2); /* More pieces than there is room for. */
    kick();
    wait_left(0);
    cr_assert(*stand.status[3] == VIRTIO_BLK_S_OK && *stand.status[1] == VIRTIO_BLK_S_OK);
    stand_close();
    cr_assert_eq(stand.counters.popped, 3u);
    cr_assert_eq(stand.counters.bad, 1u);
    cr_assert_eq(stand.counters.lowest, frontend_guest[1] + SLOT);
    cr_assert_eq(stand.counters.highest,
                 frontend_guest[1] + 3 * SLOT + DATA + 2 * VIRTQ_BLK_SECTOR - 1);
}

Test(host_blk_ring, a_broken_ring_is_told_once_and_ends_in_order)
{
    const uint64_t zero = 0;
    int err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct pollfd ready = {err, POLLIN, 0};
    unsigned char *index;
    uint64_t count = 0;

    stand_describe();
    stand_open(VERSION_1);
    cr_assert_eq(frontend_try(&stand.f, VHOST_USER_SET_VRING_ERR, &zero, 8, &err, 1), 0);
    /* More buffers than there are descriptors. */
    index = stand.f.guest + frontend_ring_at(0) + stand.f.layout.driver.offset + 2;
    __atomic_store_n((uint16_t *)(void *)index, (uint16_t)0x7f7f, __ATOMIC_RELEASE);
    frontend_kick(&stand.f, 0);
    cr_assert_eq(poll(&ready, 1, PATIENCE), 1);
    for (unsigned i = 0; i < 3; i++) {
        frontend_kick(&stand.f, 0);
        virtq_blk_ring_drain(stand.ring);
    }
    cr_assert_eq(read(err, &count, sizeof(count)), (ssize_t)sizeof(count));
    cr_assert_eq(count, 1u);
    stand_close();
    cr_assert_eq(close(err), 0);
}

Test(host_blk_ring, a_carrier_that_lacks_a_function_is_none)
{
    stand_carried(VERSION_1);
    end_thread();
    for (unsigned i = 0; i < 5; i++) {
        struct virtq_blk_carrier_ops ops = carrier_ops;

        ops.size -= i == 0 ? 8 : 0;
        ops.begin = i == 1 ? NULL : ops.begin;
        ops.submit = i == 2 ? NULL : ops.submit;
        ops.next = i == 3 ? NULL : ops.next;
        ops.fd = i == 4 ? NULL : ops.fd;
        cr_assert_eq(virtq_blk_ring_carry(stand.ring, &ops, NULL), VIRTQ_EINVAL, "%u", i);
    }
    stand_close();
}

Test(host_blk_ring, an_illegal_configuration_makes_nothing)
{
    struct virtq_blk_ring_config legal;
    struct virtq_blk_ring *ring = NULL;
    unsigned char *memory;
    unsigned before;
    size_t size;

    stand_carried(VERSION_1);
    legal = stand.config;
    size = virtq_blk_ring_size(&legal);
    cr_assert(size != 0 && size % VIRTQ_CACHE_LINE == 0);
    memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    before = process_fds();
    for (unsigned i = 0; i < 11; i++) {
        struct virtq_blk_ring_config config = legal;

        config.struct_size -= i == 0 ? 8 : 0;
        config.depth = i == 1 ? 0 : config.depth;
        config.pieces = i == 2 ? 2 : config.pieces;
        config.burst = i == 3 ? 0 : config.burst;
        config.flags = i == 4 ? 4 : 0;
        cr_assert_eq(virtq_blk_ring_size(&config) != 0, i >= 5, "%u", i);
        config.backend = i == 5 ? NULL : config.backend;
        config.disk = i == 6 ? NULL : config.disk;
        config.file = i == 7 ? -1 : config.file;
        config.index = i == 8 ? 1 : 0; /* It does not run. */
        cr_assert_eq(virtq_blk_ring_init(memory + (i == 9 ? 8 : 0), i == 10 ? size - 1 : size,
                                         &config, &ring),
                     i == 10 ? VIRTQ_ENOMEM : VIRTQ_EINVAL, "%u", i);
        cr_assert(ring == NULL, "%u", i);
    }
    cr_assert_eq(virtq_blk_ring_init(NULL, size, &legal, &ring), VIRTQ_EINVAL);
    cr_assert_eq(process_fds(), before, "descriptors are left");
    free(memory);
    stand_close();
}
