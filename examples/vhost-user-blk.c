/* SPDX-License-Identifier: BSD-3-Clause */
/* A disk for a virtual machine: a file behind vhost-user. Serves one front-end after the other.
 *
 *     cc vhost-user-blk.c $(pkg-config --cflags --libs libvirtq-host) -luring
 *     ./a.out /tmp/disk.sock disk.img &
 *     qemu-system-x86_64 -m 256M -object memory-backend-memfd,id=m,size=256M,share=on \
 *         -machine q35,memory-backend=m -chardev socket,id=c,path=/tmp/disk.sock \
 *         -device vhost-user-blk-pci,chardev=c ...
 *
 * Each ring has a thread of its own. It does at once what needs not wait, and gives the rest to
 * io_uring. Without liburing.h (leave out -luring then) each request is waited for. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <pthread.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <virtq/host/blk_uring.h>
#include <virtq/host/vhost_user_fault.h>
#include <virtq/virtq.h>

#include "serve.h"

enum { RING_SIZE = 1024, SEGMENTS = 254, RINGS_MAX = 64 };

struct ring {
    struct virtq_blk_ring *is; /* NULL: it does not run. */
    struct virtq_blk_uring uring;
    pthread_t thread;
};

struct disk {
    struct virtq_blk_disk is;
    struct virtq_vhost_user_server *server;
    int file;
    int read_only, sync, log;
    bool waits;      /* The file may have to be waited for. */
    uint32_t polls;  /* How often a ring is looked at before its thread sleeps. */
    uint32_t stable; /* VIRTQ_BLK_RING_STABLE for a driver that does not flush. */
    unsigned char config[VIRTQ_BLK_CONFIG_SIZE];
    struct ring rings[RINGS_MAX];
};

static void *ring_thread(void *ring)
{
    virtq_blk_ring_run(ring);
    return NULL;
}

static int started(void *opaque, uint32_t index)
{
    struct virtq_blk_ring_config config = VIRTQ_BLK_RING_CONFIG_INIT;
    struct disk *disk = opaque;
    struct ring *ring = &disk->rings[index];
    void *memory;

    config.backend = virtq_vhost_user_server_backend(disk->server);
    config.index = index;
    config.disk = &disk->is;
    config.file = disk->file;
    config.flags = disk->stable | (disk->log ? VIRTQ_BLK_RING_LOCATE : 0u);
    config.polls = disk->polls;
    if (disk->waits && virtq_blk_uring_init(&ring->uring, config.depth) == 0) {
        config.carrier = virtq_blk_uring_carrier();
        config.carrier_opaque = &ring->uring;
    }
    memory = aligned_alloc(VIRTQ_CACHE_LINE, virtq_blk_ring_size(&config));
    if (virtq_blk_ring_init(memory, virtq_blk_ring_size(&config), &config, &ring->is) == 0) {
        if (pthread_create(&ring->thread, NULL, ring_thread, ring->is) == 0) {
            return 0;
        }
        virtq_blk_ring_fini(ring->is);
        ring->is = NULL;
    }
    virtq_blk_uring_fini(&ring->uring);
    free(memory);
    return -1;
}

static void wake(void *opaque, uint32_t index)
{
    virtq_blk_ring_wake(((struct disk *)opaque)->rings[index].is);
}

/* The thread ends when nothing is in flight any more. */
static void stopping(void *opaque, uint32_t index)
{
    struct disk *disk = opaque;
    struct ring *ring = &disk->rings[index];
    struct virtq_blk_ring_counters counters;

    virtq_blk_ring_stop(ring->is);
    (void)pthread_join(ring->thread, NULL);
    virtq_blk_ring_count(ring->is, &counters);
    if (disk->log) {
        printf("ring %u: %" PRIu64 " buffers, %" PRIu64 " bad, from %#" PRIx64 " to %#" PRIx64 "\n",
               index, counters.popped, counters.bad, counters.lowest, counters.highest);
    }
    virtq_blk_ring_fini(ring->is);
    virtq_blk_uring_fini(&ring->uring);
    free(ring->is);
    ring->is = NULL;
}

/* Whatever is read or written there now, is not any more when this returns. */
static void withdrawn(void *opaque, virtq_addr_t first, virtq_addr_t last)
{
    struct disk *disk = opaque;

    (void)first, (void)last;
    for (uint32_t i = 0; i < disk->is.queues; i++) {
        if (disk->rings[i].is != NULL) {
            virtq_blk_ring_drain(disk->rings[i].is);
        }
    }
}

static void features(void *opaque, uint64_t accepted)
{
    struct disk *disk = opaque;

    disk->stable = virtq_feature_has(accepted, VIRTIO_BLK_F_FLUSH) ? 0 : VIRTQ_BLK_RING_STABLE;
    if (disk->log) {
        printf("features %#" PRIx64 "\n", accepted);
    }
}

static int config_read(void *opaque, uint32_t offset, void *data, uint32_t len)
{
    memcpy(data, ((struct disk *)opaque)->config + offset, len);
    return 0;
}

static int open_disk(struct disk *disk, const char *path)
{
    struct statfs system;
    off_t size;

    disk->file = open(path, (disk->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    size = disk->file < 0 ? -1 : lseek(disk->file, 0, SEEK_END);
    if (size < 0 || fstatfs(disk->file, &system) != 0) {
        perror(path);
        return -1;
    }
    disk->waits = !disk->sync && system.f_type != TMPFS_MAGIC && system.f_type != RAMFS_MAGIC;
    disk->is.sectors = (uint64_t)size / VIRTQ_BLK_SECTOR;
    disk->is.segments_max = SEGMENTS;
    disk->is.features = VIRTQ_FEATURE(VIRTIO_BLK_F_SEG_MAX) | VIRTQ_FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
                        VIRTQ_FEATURE(VIRTIO_BLK_F_FLUSH) | VIRTQ_FEATURE(VIRTIO_BLK_F_MQ);
    disk->is.features |= disk->read_only ? VIRTQ_FEATURE(VIRTIO_BLK_F_RO)
                                         : VIRTQ_FEATURE(VIRTIO_BLK_F_DISCARD) |
                                               VIRTQ_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
    if (virtq_blk_disk_config(&disk->is, disk->config) != 0) {
        fprintf(stderr, "vhost-user-blk: no such size of a block, or no queues\n");
        return -1;
    }
    return 0;
}

static const char usage[] =
    "usage: vhost-user-blk [OPTION...] SOCKET IMAGE\n"
    "Serves the file or block device IMAGE to a virtual machine that connects to SOCKET.\n"
    "  --read-only         the guest cannot write\n"
    "  --queues=N          1 to 64 queues, a thread for each that is used (4)\n"
    "  --block-size=BYTES  the guest's blocks: a power of two from 512 to 65536 (512)\n"
    "  --serial=TEXT       up to 20 bytes (virtq)\n"
    "  --poll=LOOKS        looks at a ring before its thread sleeps (32)\n"
    "  --sync              wait for the file; no io_uring\n"
    "  --only=FIRST:BYTES  of the guest's memory map and use only this, in hexadecimal\n"
    "  --log               say what the guest accepts, and where its buffers lie\n"
    "  --help              this text\n"
    "Ends in order on SIGINT and SIGTERM. Exit codes: 0 ended; 1 an error; 2 wrong usage.\n";

static void options(struct disk *disk, struct virtq_vhost_user_backend_config *config, int argc,
                    char **argv)
{
    enum { OF_NONE, OF_QUEUES, OF_BLOCK, OF_POLLS, OF_SERIAL, OF_ONLY };
    int help = argc == 1;
    const struct option names[] = {{"serial", required_argument, NULL, OF_SERIAL},
                                   {"queues", required_argument, NULL, OF_QUEUES},
                                   {"block-size", required_argument, NULL, OF_BLOCK},
                                   {"poll", required_argument, NULL, OF_POLLS},
                                   {"only", required_argument, NULL, OF_ONLY},
                                   {"log", no_argument, &disk->log, 1},
                                   {"read-only", no_argument, &disk->read_only, 1},
                                   {"sync", no_argument, &disk->sync, 1},
                                   {"help", no_argument, &help, 1},
                                   {NULL, 0, NULL, 0}};
    uint32_t *const numbers[] = {NULL, &disk->is.queues, &disk->is.block_size, &disk->polls};
    static const unsigned long most[] = {0, RINGS_MAX, 65536, UINT32_MAX};
    bool good = true;
    int name;

    while (good && (name = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (name == OF_SERIAL) {
            good = strlen(optarg) <= sizeof(disk->is.serial);
            memset(disk->is.serial, 0, sizeof(disk->is.serial));
            memcpy(disk->is.serial, optarg, strnlen(optarg, sizeof(disk->is.serial)));
        } else if (name != OF_NONE && name < OF_SERIAL) {
            char *rest;
            const unsigned long value = strtoul(optarg, &rest, 10);

            good = *optarg >= '0' && *optarg <= '9' && *rest == '\0' && value <= most[name];
            *numbers[name] = (uint32_t)value;
        } else if (name == OF_ONLY) {
            good = sscanf(optarg, "%" SCNx64 ":%" SCNx64, &config->window_first,
                          &config->window_size) == 2 &&
                   config->window_size != 0;
        } else {
            good = name == OF_NONE;
        }
    }
    if (help || !good || argc - optind != 2) {
        fputs(usage, help ? stdout : stderr);
        exit(help ? EXIT_SUCCESS : 2);
    }
}

int main(int argc, char **argv)
{
    static const struct virtq_vhost_user_ops ops = {.size = sizeof(ops),
                                                    .features = features,
                                                    .started = started,
                                                    .stopping = stopping,
                                                    .wake = wake,
                                                    .withdrawn = withdrawn,
                                                    .config_read = config_read,
                                                    .refused = serve_refused};
    static struct disk disk = {.is = VIRTQ_BLK_DISK_INIT, .polls = 32};
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;
    int result = -1;

    disk.is.queues = 4;
    memcpy(disk.is.serial, "virtq", 5);
    options(&disk, &config, argc, argv);
    if (open_disk(&disk, argv[optind + 1]) != 0) {
        return EXIT_FAILURE;
    }
    config.features = disk.is.features | VIRTQ_FEATURE(VIRTIO_F_VERSION_1) |
                      VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) | VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) |
                      VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) | VIRTQ_FEATURE(VIRTIO_F_IN_ORDER) |
                      VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM);
    config.queue_count = disk.is.queues;
    config.queue_size = RING_SIZE;
    config.table_max = RING_SIZE; /* Linux takes no notice of how small a ring is. */
    config.config_size = VIRTQ_BLK_CONFIG_SIZE;
    config.ops = &ops;
    config.opaque = &disk;
    /* A front-end that makes its memory shorter ends its own connection, and not this program. */
    config.flags |= virtq_vhost_user_fault_install() == 0 ? VIRTQ_VHOST_USER_CATCH : 0u;
    config.flags |= VIRTQ_VHOST_USER_RECORDED; /* After a crash the next one goes on. */
    disk.server = serve_open(argv[optind], &config);
    if (disk.server != NULL) {
        result = serve_all(disk.server, serve_signals());
        serve_close(disk.server);
    }
    if (!disk.read_only && fdatasync(disk.file) != 0) {
        perror(argv[optind + 1]);
        result = -1;
    }
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
