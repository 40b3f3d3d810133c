/* SPDX-License-Identifier: BSD-3-Clause */
/* A served disk as a whole: what the driver sees of it, and what the program is asked for. That it
 * carries requests out is blk_ring_test's and blk_served_test's. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "frontend.h"
#include "process.h"
#include "virtq/host/blk_server.h"
#include "virtq/host/socket.h"

#define VERSION_1 VIRTQ_FEATURE(VIRTIO_F_VERSION_1)
#define FLUSH VIRTQ_FEATURE(VIRTIO_BLK_F_FLUSH)

enum { SECTORS = 64, SIZE = 8, PATIENCE = 60000 };

struct stand {
    struct frontend f;
    struct virtq_blk_disk disk;
    struct virtq_blk_server_config config;
    struct virtq_vhost_user_server *server;
    void *memory;
    char directory[32], path[64];
    pthread_t threads[FRONTEND_RINGS];
    bool unable;
    unsigned starts, joins, refusals;
    uint64_t features;
    uint64_t popped;
    uint32_t run_flags; /* Of the latest request, which the carrier did not take. */
};

static struct stand stand;

static int carrier_begin(void *opaque, struct virtq_blk_request *request, int file,
                         struct iovec *vector, unsigned count, uint32_t flags)
{
    (void)request, (void)file, (void)vector, (void)count;
    /* Of several rings. */
    __atomic_store_n(&((struct stand *)opaque)->run_flags, flags, __ATOMIC_RELAXED);
    return 0;
}

static int carrier_submit(void *opaque)
{
    (void)opaque;
    return 0;
}

static struct virtq_blk_request *carrier_next(void *opaque, int64_t *result)
{
    (void)opaque, (void)result;
    return NULL;
}

static int carrier_fd(void *opaque)
{
    (void)opaque;
    return -1;
}

static void *ring_thread(void *ring)
{
    virtq_blk_ring_run(ring);
    return NULL;
}

static int start(void *opaque, uint32_t index, struct virtq_blk_ring *ring)
{
    static const struct virtq_blk_carrier_ops carrier = {sizeof(carrier), carrier_begin,
                                                         carrier_submit, carrier_next, carrier_fd};
    struct stand *s = opaque;

    if (s->unable) {
        return -1;
    }
    s->starts++;
    cr_assert_eq(virtq_blk_ring_carry(ring, &carrier, s), 0);
    return pthread_create(&s->threads[index], NULL, ring_thread, ring);
}

static void join(void *opaque, uint32_t index, struct virtq_blk_ring *ring)
{
    struct virtq_blk_ring_counters counters;
    struct stand *s = opaque;

    cr_assert_eq(pthread_join(s->threads[index], NULL), 0);
    virtq_blk_ring_count(ring, &counters);
    s->popped += counters.popped;
    s->joins++;
}

static void features(void *opaque, uint64_t accepted)
{
    ((struct stand *)opaque)->features = accepted;
}

static void refused(void *opaque, uint32_t request, uint32_t refusal)
{
    (void)request, (void)refusal;
    ((struct stand *)opaque)->refusals++;
}

static const struct virtq_blk_server_ops ops = {sizeof(ops), start, join, features, refused};

static void describe(void)
{
    const struct virtq_blk_server_config config = VIRTQ_BLK_SERVER_CONFIG_INIT;
    const struct virtq_blk_disk disk = VIRTQ_BLK_DISK_INIT;

    memset(&stand, 0, sizeof(stand));
    (void)snprintf(stand.directory, sizeof(stand.directory), "/tmp/virtq-disk-XXXXXX");
    cr_assert(mkdtemp(stand.directory) != NULL);
    (void)snprintf(stand.path, sizeof(stand.path), "%s/s", stand.directory);
    stand.disk = disk;
    stand.disk.sectors = SECTORS;
    stand.disk.queues = FRONTEND_RINGS;
    stand.disk.features = FLUSH | VIRTQ_FEATURE(VIRTIO_BLK_F_MQ);
    stand.config = config;
    stand.config.server.path = stand.path;
    stand.config.backend.features = FRONTEND_OFFERED;
    stand.config.ring.disk = &stand.disk;
    stand.config.ring.file = memfd_create("disk", MFD_CLOEXEC);
    cr_assert_eq(ftruncate(stand.config.ring.file, SECTORS * VIRTQ_BLK_SECTOR), 0);
    stand.config.ops = &ops;
    stand.config.opaque = &stand;
    stand.f.more = stand.disk.features;
    stand.f.ring_base = frontend_user[0];
}

static void process_all(void)
{
    struct pollfd ready = {virtq_vhost_user_server_fd(stand.server), POLLIN, 0};

    while (poll(&ready, 1, 0) == 1) {
        cr_assert_eq(virtq_vhost_user_server_process(stand.server), 0);
    }
}

/* The disk is served, and somebody has connected. */
static void stand_open(uint64_t accepted)
{
    const size_t size = virtq_blk_server_size(&stand.config);

    cr_assert(size != 0 && size % VIRTQ_CACHE_LINE == 0);
    stand.memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    cr_assert_eq(virtq_blk_server_init(stand.memory, size, &stand.config, &stand.server), 0);
    cr_assert_eq((void *)stand.server, stand.memory);
    stand.f.socket = virtq_socket_connect(stand.path);
    cr_assert(stand.f.socket >= 0);
    process_all();
    stand.f.backend = virtq_vhost_user_server_backend(stand.server);
    cr_assert(stand.f.backend != NULL);
    frontend_guest_open(&stand.f);
    frontend_greet(&stand.f, accepted);
}

static void stand_close(void)
{
    virtq_vhost_user_server_fini(stand.server);
    stand.f.backend = NULL;
    frontend_close(&stand.f);
    free(stand.memory);
    cr_assert_eq(close(stand.config.ring.file), 0);
    cr_assert_eq(rmdir(stand.directory), 0);
}

/* A request of one sector there and back. */
static void request(unsigned index, unsigned char type)
{
    unsigned char *at = stand.f.guest + FRONTEND_REGION + (size_t)index * 4096;
    struct virtq_segment segments[3];
    struct virtq_buffer buffer = {.segments = segments, .readable = 2, .writable = 1};
    struct pollfd ready = {stand.f.call[index], POLLIN, 0};
    struct virtq_driver *driver = stand.f.driver[index];
    struct virtq_completion completion;
    uint64_t calls;

    memset(segments, 0, sizeof(segments));
    memset(at, 0, 4096);
    at[16] = type;
    segments[0].base = at + 16;
    segments[0].len = 16;
    segments[1].base = at + 512;
    segments[1].len = VIRTQ_BLK_SECTOR;
    segments[2].base = at;
    segments[2].len = 1;
    *at = 0xee;
    cr_assert_eq(virtq_driver_add(driver, &buffer, 1), 1);
    cr_assert_eq(virtq_driver_publish(driver), 1);
    frontend_kick(&stand.f, index);
    cr_assert_eq(poll(&ready, 1, PATIENCE), 1, "no interrupt");
    cr_assert_eq(read(stand.f.call[index], &calls, sizeof(calls)), (ssize_t)sizeof(calls));
    cr_assert_eq(virtq_driver_poll(driver, &completion, 1), 1);
    cr_assert_eq(*at, VIRTIO_BLK_S_OK);
}

Test(host_blk_server, the_driver_sees_the_disk_and_each_of_its_rings_is_run)
{
    struct {
        uint32_t offset, size, flags;
        unsigned char space[VIRTQ_BLK_CONFIG_SIZE];
    } message = {0, VIRTQ_BLK_CONFIG_SIZE, 0, {0}};
    unsigned char space[VIRTQ_BLK_CONFIG_SIZE];

    describe();
    stand_open(VERSION_1 | stand.disk.features);
    cr_assert_eq(stand.features, VERSION_1 | stand.disk.features);
    frontend_put(&stand.f, VHOST_USER_GET_CONFIG, 0, &message, sizeof(message), NULL, 0);
    cr_assert_eq(frontend_run(&stand.f), 0);
    cr_assert_eq(frontend_answer(&stand.f, VHOST_USER_GET_CONFIG, &message, sizeof(message)),
                 (int)sizeof(message));
    cr_assert_eq(virtq_blk_disk_config(&stand.disk, space), 0);
    cr_assert(memcmp(space, message.space, sizeof(space)) == 0);
    for (unsigned i = 0; i < FRONTEND_RINGS; i++) {
        frontend_start(&stand.f, i, VERSION_1, SIZE);
        cr_assert(stand.starts == i + 1 && stand.joins == 0);
    }
    for (unsigned i = 0; i < 20; i++) {
        request(i % FRONTEND_RINGS, VIRTIO_BLK_T_OUT);
    }
    (void)frontend_stop(&stand.f, 1);
    cr_assert_eq(stand.joins, 1u);
    stand_close();
    cr_assert_eq(stand.joins, (unsigned)FRONTEND_RINGS);
    cr_assert_eq(stand.popped, 20u);
    cr_assert_eq(stand.refusals, 0u);
}

Test(host_blk_server, a_driver_that_does_not_flush_is_written_through)
{
    for (unsigned i = 0; i < 3; i++) {
        describe();
        /* Whatever the program has said of it. */
        stand.config.ring.flags = i == 2 ? VIRTQ_BLK_RING_STABLE : 0;
        stand.run_flags = 77;
        stand_open(i == 0 ? VERSION_1 : VERSION_1 | FLUSH);
        frontend_start(&stand.f, 0, VERSION_1, SIZE);
        request(0, VIRTIO_BLK_T_OUT);
        (void)frontend_stop(&stand.f, 0);
        cr_assert_eq(stand.run_flags, i == 0 ? (uint32_t)VIRTQ_BLK_STABLE : 0u, "%u", i);
        stand_close();
    }
}

Test(host_blk_server, a_ring_that_cannot_be_run_does_not_start_and_may_later)
{
    uint32_t base;

    describe();
    stand_open(VERSION_1 | FLUSH);
    frontend_start(&stand.f, 0, VERSION_1, SIZE);
    request(0, VIRTIO_BLK_T_OUT);
    base = frontend_stop(&stand.f, 0);
    for (unsigned i = 0; i < 2; i++) {
        const unsigned before = process_fds();

        stand.unable = true;
        frontend_describe(&stand.f, 0, SIZE, base);
        cr_assert_eq(frontend_kick_message(&stand.f, 0), 1);
        cr_assert(stand.starts == 1 && stand.joins == 1 && stand.refusals == i + 1);
        cr_assert_eq(process_fds(), before, "descriptors are left");
    }
    stand.unable = false;
    frontend_describe(&stand.f, 0, SIZE, base);
    cr_assert_eq(frontend_kick_message(&stand.f, 0), 0);
    request(0, VIRTIO_BLK_T_OUT);
    stand_close();
    cr_assert(stand.starts == 2 && stand.joins == 2);
}

Test(host_blk_server, a_file_becomes_a_disk_of_its_size)
{
    struct virtq_blk_disk disk = VIRTQ_BLK_DISK_INIT;
    char path[64];
    int file;
    int proc;

    file = memfd_create("disk", MFD_CLOEXEC);
    cr_assert(file >= 0 && ftruncate(file, 3 * VIRTQ_BLK_SECTOR + 100) == 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    for (unsigned i = 0; i < 2; i++) {
        const int opened = virtq_blk_disk_open(&disk, path, i == 0 ? O_RDWR : O_RDONLY);

        cr_assert(opened >= 0 && (fcntl(opened, F_GETFD) & FD_CLOEXEC) != 0);
        cr_assert_eq(fcntl(opened, F_GETFL) & O_ACCMODE, i == 0 ? O_RDWR : O_RDONLY);
        cr_assert_eq(disk.sectors, 3u);
        cr_assert_eq(virtq_feature_has(disk.features, VIRTIO_BLK_F_RO) != 0, i == 1);
        cr_assert_eq(virtq_feature_has(disk.features, VIRTIO_BLK_F_DISCARD) != 0, i == 0);
        cr_assert(virtq_feature_has(disk.features, VIRTIO_BLK_F_FLUSH));
        cr_assert_eq(virtq_blk_file_waits(opened), 0);
        cr_assert_eq(close(opened), 0);
    }
    cr_assert_eq(close(file), 0);
    cr_assert_eq(virtq_blk_disk_open(&disk, "/nowhere/disk.img", O_RDWR), VIRTQ_EINVAL);
    cr_assert_eq(errno, ENOENT);
    /* Some file systems say of a directory that its end is where no file could reach. */
    cr_assert_eq(virtq_blk_disk_open(&disk, "/tmp", O_RDONLY), VIRTQ_EINVAL);
    cr_assert_eq(errno, EISDIR);
    cr_assert_eq(virtq_blk_disk_open(&disk, "/dev/null", O_RDWR), VIRTQ_EINVAL);
    cr_assert_eq(errno, ENOTBLK);
    cr_assert_eq(disk.sectors, 3u);
    proc = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    cr_assert(proc >= 0 && virtq_blk_file_waits(proc) == 1 && close(proc) == 0);
}

Test(host_blk_server, an_illegal_configuration_makes_nothing)
{
    struct virtq_blk_server_config legal;
    unsigned char *memory;
    unsigned before;
    size_t size;

    describe();
    legal = stand.config;
    size = virtq_blk_server_size(&legal);
    memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    before = process_fds();
    for (unsigned i = 0; i < 14; i++) {
        struct virtq_blk_server_config config = legal;
        struct virtq_blk_server_ops some = ops;

        config.struct_size -= i == 0 ? 8 : 0;
        config.ops = i == 1 ? NULL : &some;
        some.size -= i == 2 ? 8 : 0;
        some.start = i == 3 ? NULL : some.start;
        some.join = i == 4 ? NULL : some.join;
        config.ring.disk = i == 5 ? NULL : config.ring.disk;
        stand.disk.block_size = i == 6 ? 700 : 512;
        config.ring.depth = i == 7 ? 0 : config.ring.depth;
        config.backend.queue_size = i == 8 ? 0 : 256;
        config.server.struct_size -= i == 9 ? 8 : 0;
        cr_assert_eq(virtq_blk_server_size(&config) != 0, i >= 10, "%u", i);
        config.ring.file = i == 10 ? -1 : config.ring.file;
        config.server.path = i == 11 ? NULL : config.server.path;
        cr_assert_eq(virtq_blk_server_init(memory + (i == 12 ? 8 : 0), i == 13 ? size - 1 : size,
                                           &config, &stand.server),
                     i == 13 ? VIRTQ_ENOMEM : VIRTQ_EINVAL, "%u", i);
        cr_assert(stand.server == NULL, "%u", i);
    }
    cr_assert_eq(process_fds(), before, "descriptors are left");
    free(memory);
    cr_assert(close(stand.config.ring.file) == 0 && rmdir(stand.directory) == 0);
}
