/* SPDX-License-Identifier: BSD-3-Clause */
/* examples/vhost-user-blk, run as a program of its own and driven through its socket: requests of
 * all kinds at once, in every shape of a ring, with io_uring and without; hostile ones among them.
 * In the end the image holds what was written. */
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

int example_main(int argc, char **argv);
#undef _GNU_SOURCE
#define main example_main
/* In a forked process LeakSanitizer cannot find its way about at the end; Valgrind can. */
#define exit _exit
#include "../../examples/vhost-user-blk.c"
#undef main
#undef exit

#include <sys/prctl.h>
#include <sys/wait.h>

#include "random.h"
#include "runner.h"
#include "virtq/host/memory.h"
#include "virtq/host/socket.h"
#include "virtq/host/vhost_user_frontend.h"

enum {
    LANES = 8,    /* Requests at once, each in a part of the disk of its own. */
    LANE = 64,    /* Sectors of such a part. */
    LONGEST = 16, /* Most sectors of a request. */
    PARTS = 4,    /* Most segments of its data. */
    SIZE = 64,    /* Descriptors. */
    DISK = LANES * LANE,
    SLOT = 16 + LONGEST * VIRTQ_BLK_SECTOR + 1,
    RINGS = 2,
    RING_AREA = 1 << 15
};

struct lane {
    unsigned char *slot; /* Header, data, status. */
    uint32_t type, sector, sectors, expected;
    bool flying;
};

struct stand {
    pid_t child;
    char socket[64], image[64];
    struct virtq_vhost_user_frontend *frontend;
    void *frontend_memory, *driver_memory[RINGS];
    struct virtq_host_memory memory;
    struct virtq_direct space;
    struct virtq_region region;
    struct virtq_driver *drivers[RINGS];
    struct lane lanes[LANES];
    uint64_t random;
    unsigned char model[DISK][VIRTQ_BLK_SECTOR];
};

static void write_image(struct stand *stand)
{
    int file = open(stand->image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    for (unsigned i = 0; i < DISK; i++) {
        memset(stand->model[i], (int)(i * 7 + 1), VIRTQ_BLK_SECTOR);
    }
    cr_assert(file >= 0);
    cr_assert_eq(write(file, stand->model, sizeof(stand->model)), (ssize_t)sizeof(stand->model));
    cr_assert_eq(close(file), 0);
}

/* Runs the program; it is there when it can be connected to. */
static int serve_disk(struct stand *stand, const char *option)
{
    const char *arguments[] = {"vhost-user-blk", "--serial=a disk of the tests",
                               option,           stand->socket,
                               stand->image,     NULL};
    int fd;

    stand->child = fork();
    cr_assert(stand->child >= 0);
    if (stand->child == 0) {
        /* It does not outlive a test that fails. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(example_main(5, (char **)(uintptr_t)arguments));
    }
    for (unsigned i = 0; (fd = virtq_socket_connect(stand->socket)) < 0; i++) {
        cr_assert(i < 3000 && waitpid(stand->child, NULL, WNOHANG) == 0);
        (void)poll(NULL, 0, 10);
    }
    return fd;
}

static void *take_memory(size_t size)
{
    void *memory = aligned_alloc(VIRTQ_CACHE_LINE, (size + VIRTQ_CACHE_LINE - 1) /
                                                       VIRTQ_CACHE_LINE * VIRTQ_CACHE_LINE);

    cr_assert(memory != NULL);
    return memory;
}

static void make_queue(struct stand *stand, uint32_t index, uint64_t features)
{
    struct virtq_driver_config config = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_vhost_user_ring ring = {.struct_size = sizeof(ring), .size = SIZE};
    unsigned char *base = (unsigned char *)stand->memory.base + (size_t)index * 2 * RING_AREA;
    struct virtq_layout layout;

    config.format = virtq_feature_has(features, VIRTIO_F_RING_PACKED) ? VIRTQ_FORMAT_PACKED
                                                                      : VIRTQ_FORMAT_SPLIT;
    config.size = SIZE;
    config.features = features;
    config.segments_max = PARTS + 2;
    config.space = &stand->space.space;
    if (virtq_feature_has(features, VIRTIO_F_INDIRECT_DESC)) {
        config.tables = base + RING_AREA;
        cr_assert(virtq_driver_tables_size(&config) <= RING_AREA);
    }
    cr_assert_eq(virtq_layout_init((enum virtq_format)config.format, SIZE, &layout), 0);
    virtq_layout_areas(&layout, base, &config.areas);
    stand->driver_memory[index] = take_memory(virtq_driver_size(&config));
    cr_assert_eq(virtq_driver_init(stand->driver_memory[index], virtq_driver_size(&config), &config,
                                   &stand->drivers[index]),
                 0);
    ring.areas = config.areas;
    cr_assert_eq(virtq_vhost_user_frontend_start(stand->frontend, index, &ring), 0);
}

static void stand_open(struct stand *stand, const char *option, uint64_t features)
{
    struct virtq_vhost_user_frontend_config config = VIRTQ_VHOST_USER_FRONTEND_CONFIG_INIT;
    struct virtq_vhost_user_share share = {0};

    memset(stand, 0, sizeof(*stand));
    stand->random = 5;
    (void)snprintf(stand->socket, sizeof(stand->socket), "/tmp/virtq-blk-%d.sock", (int)getpid());
    (void)snprintf(stand->image, sizeof(stand->image), "/tmp/virtq-blk-%d.img", (int)getpid());
    write_image(stand);
    config.socket = serve_disk(stand, option);
    config.queue_count = RINGS;
    config.deadline = 30000;
    stand->frontend_memory = take_memory(virtq_vhost_user_frontend_size(&config));
    cr_assert_eq(virtq_vhost_user_frontend_init(stand->frontend_memory,
                                                virtq_vhost_user_frontend_size(&config), &config,
                                                &stand->frontend),
                 0);
    cr_assert_eq(virtq_vhost_user_frontend_greet(stand->frontend), 0);
    cr_assert_eq(virtq_vhost_user_frontend_accept(stand->frontend, features), 0);
    cr_assert_eq(virtq_host_memory_init(&stand->memory, RINGS * 2 * RING_AREA + LANES * SLOT, 0),
                 0);
    share.base = stand->region.base = stand->memory.base;
    share.size = stand->memory.size;
    share.address = stand->region.first = 0x40000000;
    share.fd = stand->memory.fd;
    stand->region.last = stand->region.first + stand->memory.size - 1;
    stand->region.permissions = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE;
    cr_assert_eq(virtq_direct_init_regions(&stand->space, &stand->region, 1), 0);
    cr_assert_eq(virtq_vhost_user_frontend_set_memory(stand->frontend, &share, 1), 0);
    for (uint32_t i = 0; i < RINGS; i++) {
        make_queue(stand, i, features);
    }
    for (unsigned i = 0; i < LANES; i++) {
        stand->lanes[i].slot =
            (unsigned char *)stand->memory.base + (size_t)RINGS * 2 * RING_AREA + (size_t)i * SLOT;
    }
}

/* The program ends with 0 when it is asked to, and the image is as it should be. */
static void stand_close(struct stand *stand, bool asked)
{
    unsigned char sector[VIRTQ_BLK_SECTOR];
    int status = 0;
    int file;

    if (!asked) {
        for (uint32_t i = 0; i < RINGS; i++) {
            cr_assert_eq(virtq_vhost_user_frontend_stop(stand->frontend, i, NULL), 0);
            cr_assert_eq(virtq_driver_outstanding(stand->drivers[i]), 0u);
        }
        cr_assert_eq(kill(stand->child, SIGTERM), 0);
    }
    cr_assert_eq(waitpid(stand->child, &status, 0), stand->child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it ended with %x", (unsigned)status);
    cr_assert(access(stand->socket, F_OK) != 0, "the socket is left behind");
    virtq_vhost_user_frontend_fini(stand->frontend);
    virtq_host_memory_fini(&stand->memory);
    free(stand->frontend_memory);
    file = open(stand->image, O_RDONLY | O_CLOEXEC);
    for (unsigned i = 0; i < DISK; i++) {
        cr_assert_eq(pread(file, sector, sizeof(sector), (off_t)i * VIRTQ_BLK_SECTOR),
                     (ssize_t)sizeof(sector));
        cr_assert(memcmp(sector, stand->model[i], sizeof(sector)) == 0, "sector %u", i);
    }
    cr_assert_eq(close(file), 0);
    cr_assert_eq(unlink(stand->image), 0);
    for (uint32_t i = 0; i < RINGS; i++) {
        free(stand->driver_memory[i]);
    }
}

static void put_le(unsigned char *bytes, unsigned count, uint64_t word)
{
    for (unsigned i = 0; i < count; i++, word >>= 8) {
        bytes[i] = (unsigned char)word;
    }
}

/* Places a request; its data is cut anywhere. The device is told later. */
static void place(struct stand *stand, uint32_t index, struct lane *lane, uint32_t readable,
                  uint32_t writable)
{
    struct virtq_segment segments[PARTS + 2];
    struct virtq_buffer buffer = {.segments = segments, .cookie = lane};
    unsigned char *at = lane->slot;

    memset(segments, 0, sizeof(segments));
    while (readable + writable != 0) {
        uint32_t *left = readable != 0 ? &readable : &writable;
        const unsigned count = buffer.readable + buffer.writable;
        uint32_t len = *left;

        if (count < PARTS && random_below(&stand->random, 2) != 0) {
            len = 1 + (uint32_t)random_below(&stand->random, *left);
        }
        segments[count].base = at;
        segments[count].len = len;
        *(left == &readable ? &buffer.readable : &buffer.writable) += 1;
        at += len;
        *left -= len;
    }
    lane->flying = true;
    cr_assert_eq(virtq_driver_add(stand->drivers[index], &buffer, 1), 1);
}

/* A request of any kind in the lane's own part of the disk; the model is changed at once. */
static void begin(struct stand *stand, uint32_t index, struct lane *lane)
{
    static const uint32_t types[] = {
        VIRTIO_BLK_T_IN,           VIRTIO_BLK_T_IN,      VIRTIO_BLK_T_OUT,
        VIRTIO_BLK_T_OUT,          VIRTIO_BLK_T_FLUSH,   VIRTIO_BLK_T_GET_ID,
        VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_DISCARD, UINT32_MAX};
    const uint32_t first = (uint32_t)(lane - stand->lanes) * LANE;
    uint32_t readable = 16;
    uint32_t writable = 1;

    lane->type = types[random_below(&stand->random, sizeof(types) / sizeof(types[0]))];
    lane->sectors = 1 + (uint32_t)random_below(&stand->random, LONGEST);
    lane->sector = first + (uint32_t)random_below(&stand->random, LANE - lane->sectors + 1);
    lane->expected = lane->type == UINT32_MAX ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_OK;
    if (random_below(&stand->random, 16) == 0 && lane->type <= VIRTIO_BLK_T_OUT) {
        lane->sector = DISK - lane->sectors + 1; /* One too far. */
        lane->expected = VIRTIO_BLK_S_IOERR;
    }
    memset(lane->slot, 0xee, SLOT);
    put_le(lane->slot, 4, lane->type);
    put_le(lane->slot + 8, 8, lane->sector);
    if (lane->type == VIRTIO_BLK_T_IN) {
        writable += lane->sectors * VIRTQ_BLK_SECTOR;
    } else if (lane->type == VIRTIO_BLK_T_OUT) {
        memset(lane->slot + 16, (int)random_below(&stand->random, 256),
               lane->sectors * VIRTQ_BLK_SECTOR);
        if (lane->expected == VIRTIO_BLK_S_OK) {
            memcpy(stand->model[lane->sector], lane->slot + 16, lane->sectors * VIRTQ_BLK_SECTOR);
        }
        readable += lane->sectors * VIRTQ_BLK_SECTOR;
    } else if (lane->type == VIRTIO_BLK_T_GET_ID) {
        writable += VIRTQ_BLK_SERIAL_SIZE;
    } else if (lane->type == VIRTIO_BLK_T_WRITE_ZEROES || lane->type == VIRTIO_BLK_T_DISCARD) {
        put_le(lane->slot + 16, 8, lane->sector);
        put_le(lane->slot + 24, 4, lane->sectors);
        put_le(lane->slot + 28, 4, 0);
        memset(stand->model[lane->sector], 0, lane->sectors * VIRTQ_BLK_SECTOR);
        readable += 16;
    }
    place(stand, index, lane, readable, writable);
}

static void judge(struct stand *stand, struct lane *lane, uint32_t len)
{
    const uint32_t bytes = lane->sectors * VIRTQ_BLK_SECTOR;
    const unsigned char *status = lane->slot + 16;

    if (lane->type == VIRTIO_BLK_T_IN) {
        status += bytes;
        cr_assert_eq(len, bytes + 1);
    } else if (lane->type == VIRTIO_BLK_T_OUT) {
        status += bytes;
    } else if (lane->type == VIRTIO_BLK_T_GET_ID) {
        status += VIRTQ_BLK_SERIAL_SIZE;
        cr_assert(memcmp(lane->slot + 16, "a disk of the tests\0", 20) == 0);
    } else if (lane->type == VIRTIO_BLK_T_WRITE_ZEROES || lane->type == VIRTIO_BLK_T_DISCARD) {
        status += 16;
    }
    cr_assert_eq(*status, lane->expected, "type %u: status %u", lane->type, *status);
    if (lane->type == VIRTIO_BLK_T_IN && lane->expected == VIRTIO_BLK_S_OK) {
        cr_assert(memcmp(lane->slot + 16, stand->model[lane->sector], bytes) == 0,
                  "sector %u is not what it was", lane->sector);
    }
    lane->flying = false;
}

static void take(struct stand *stand, uint32_t index)
{
    struct virtq_completion completion;
    int got;

    while ((got = virtq_driver_poll(stand->drivers[index], &completion, 1)) == 1) {
        judge(stand, completion.cookie, completion.len);
    }
    cr_assert_eq(got, 0, "the queue is broken");
}

/* Sends lots of requests and sleeps until all have come back. */
static void traffic(struct stand *stand, unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++) {
        const uint32_t index = round % RINGS;
        struct virtq_driver *driver = stand->drivers[index];

        for (unsigned i = 0; i < LANES; i++) {
            begin(stand, index, &stand->lanes[i]);
        }
        cr_assert_eq(virtq_driver_publish(driver), LANES);
        if (virtq_driver_needs_notify(driver, NULL)) {
            virtq_vhost_user_frontend_kick(stand->frontend, index);
        }
        while (virtq_driver_outstanding(driver) != 0) {
            struct pollfd ready = {virtq_vhost_user_frontend_call_fd(stand->frontend, index),
                                   POLLIN, 0};

            take(stand, index);
            if (virtq_driver_outstanding(driver) != 0 && !virtq_driver_enable_notify(driver)) {
                cr_assert_eq(poll(&ready, 1, 60000), 1, "no interrupt");
                (void)virtq_vhost_user_frontend_called(stand->frontend, index);
            }
        }
    }
}

static struct stand stand;

static void all_shapes(const char *option, unsigned rounds)
{
    const uint64_t some = VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_BLK_F_MQ) |
                          VIRTQ_FEATURE(VIRTIO_BLK_F_DISCARD) |
                          VIRTQ_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);

    for (unsigned shape = 0; shape < 16; shape++) {
        uint64_t features = some;

        features |= (shape & 1) != 0 ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;
        features |= (shape & 2) != 0 ? VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) : 0;
        features |= (shape & 4) != 0 ? VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) : 0;
        features |= (shape & 8) != 0 ? VIRTQ_FEATURE(VIRTIO_F_IN_ORDER) : 0;
        /* One that does not flush is written through. */
        features |= shape % 3 != 0 ? VIRTQ_FEATURE(VIRTIO_BLK_F_FLUSH) : 0;
        stand_open(&stand, option, features);
        traffic(&stand, rounds);
        stand_close(&stand, false);
    }
}

Test(host_blk_served, a_disk_does_all_requests_in_every_shape_of_a_ring_with_io_uring)
{
    all_shapes("--poll=100", 40);
}

Test(host_blk_served, a_disk_does_the_same_without_io_uring)
{
    all_shapes("--sync", 40);
}

Test(host_blk_served, what_is_in_flight_when_it_is_asked_to_end_is_done)
{
    const uint64_t features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_BLK_F_FLUSH);

    for (unsigned round = 0; round < 10; round++) {
        struct lane *lanes = stand.lanes;
        unsigned back = 0;

        stand_open(&stand, round % 2 != 0 ? "--poll=0" : "--poll=100000", features);
        for (unsigned i = 0; i < LANES; i++) {
            lanes[i].type = VIRTIO_BLK_T_OUT;
            lanes[i].sector = i * LANE;
            lanes[i].sectors = LONGEST;
            memset(lanes[i].slot, (int)(round + 100), SLOT);
            put_le(lanes[i].slot, 4, VIRTIO_BLK_T_OUT);
            put_le(lanes[i].slot + 8, 8, lanes[i].sector);
            place(&stand, 0, &lanes[i], SLOT - 1, 1);
        }
        cr_assert_eq(virtq_driver_publish(stand.drivers[0]), LANES);
        virtq_vhost_user_frontend_kick(stand.frontend, 0);
        cr_assert_eq(kill(stand.child, SIGTERM), 0);
        cr_assert_eq(waitid(P_PID, (id_t)stand.child, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
        /* What was taken is done, and told; what was not taken has not changed anything. */
        take(&stand, 0);
        for (unsigned i = 0; i < LANES; i++) {
            back += !lanes[i].flying;
            if (!lanes[i].flying) {
                memset(stand.model[lanes[i].sector], (int)(round + 100),
                       LONGEST * VIRTQ_BLK_SECTOR);
            }
        }
        cr_assert_eq(virtq_driver_outstanding(stand.drivers[0]), LANES - back);
        stand_close(&stand, true);
    }
}

/* Each line: the program's arguments and how it ends. */
Test(host_blk_served, wrong_usage_is_told_apart_from_what_cannot_be_done)
{
    static const char *const lines[][5] = {
        {"--help"},
        {"--queues=0", "--read-only", "/tmp/virtq-none.sock", "/proc/self/exe"},
        {"--queues=65", "s", "i"},
        {"--queues=three", "s", "i"},
        {"--block-size=700", "--read-only", "/tmp/virtq-none.sock", "/proc/self/exe"},
        {"--serial=one that has 21 bytes", "s", "i"},
        {"--no-such-option", "s", "i"},
        {"--poll"},
        {"s"},
        {"s", "i", "more"},
        {"/tmp/virtq-none.sock", "/nowhere/disk.img"},
        {"--read-only", "/nowhere/disk.sock", "/proc/self/exe"},
        {"--read-only", "/tmp/virtq-none.sock", "/tmp"},
    };
    static const int ends[] = {0, 1, 2, 2, 1, 2, 2, 2, 2, 2, 1, 1, 1};

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        const char *arguments[7] = {"vhost-user-blk"};
        int count = 1;
        int status = 0;
        pid_t child;

        for (; lines[i][count - 1] != NULL; count++) {
            arguments[count] = lines[i][count - 1];
        }
        child = fork();
        if (child == 0) {
            if (freopen("/dev/null", "w", stdout) == NULL ||
                freopen("/dev/null", "w", stderr) == NULL) {
                _exit(99);
            }
            _exit(example_main(count, (char **)(uintptr_t)arguments));
        }
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == ends[i], "line %zu: %x", i,
                  (unsigned)status);
    }
}
