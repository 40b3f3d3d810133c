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
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <virtq/host/blk_server.h>
#include <virtq/host/blk_uring.h>
#include <virtq/host/vhost_user_fault.h>
#include <virtq/virtq.h>

#include "serve.h"

enum { RING_SIZE = 1024, SEGMENTS = 254, RINGS_MAX = 64, URING_DEPTH = 128 };

struct disk {
    struct virtq_blk_disk is;
    int read_only, sync, log;
    bool waits; /* The file may have to be waited for. */
    pthread_t threads[RINGS_MAX];
    struct virtq_blk_uring urings[RINGS_MAX];
};

static void *ring_thread(void *ring)
{
    virtq_blk_ring_run(ring);
    return NULL;
}

static int start(void *opaque, uint32_t index, struct virtq_blk_ring *ring)
{
    struct disk *disk = opaque;
    struct virtq_blk_uring *uring = &disk->urings[index];

    int result = 0;

    if (disk->waits && virtq_blk_uring_init(uring, URING_DEPTH) == 0) {
        result = virtq_blk_ring_carry(ring, virtq_blk_uring_carrier(), uring);
    }
    if (result == 0) {
        result = pthread_create(&disk->threads[index], NULL, ring_thread, ring);
    }
    if (result != 0) {
        virtq_blk_uring_fini(uring);
    }
    return result;
}

static void join(void *opaque, uint32_t index, struct virtq_blk_ring *ring)
{
    struct disk *disk = opaque;
    struct virtq_blk_ring_counters counters;

    (void)pthread_join(disk->threads[index], NULL);
    virtq_blk_ring_count(ring, &counters);
    if (disk->log) {
        printf("ring %u: %" PRIu64 " buffers, %" PRIu64 " bad, from %#" PRIx64 " to %#" PRIx64 "\n",
               index, counters.popped, counters.bad, counters.lowest, counters.highest);
    }
    virtq_blk_uring_fini(&disk->urings[index]);
}

static void features(void *opaque, uint64_t accepted)
{
    if (((struct disk *)opaque)->log) {
        printf("features %#" PRIx64 "\n", accepted);
    }
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

static void options(struct disk *disk, struct virtq_blk_server_config *config, int argc,
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
    uint32_t *const numbers[] = {NULL, &disk->is.queues, &disk->is.block_size, &config->ring.polls};
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
            good = sscanf(optarg, "%" SCNx64 ":%" SCNx64, &config->backend.window_first,
                          &config->backend.window_size) == 2 &&
                   config->backend.window_size != 0;
        } else {
            good = name == OF_NONE;
        }
    }
    if (help || !good || argc - optind != 2) {
        fputs(usage, help ? stdout : stderr);
        exit(help ? EXIT_SUCCESS : 2);
    }
}

/* Serves the disk until a signal asks to end. */
static int serve(const struct virtq_blk_server_config *config)
{
    const size_t size = virtq_blk_server_size(config);
    void *memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    struct virtq_vhost_user_server *server;
    int result = -1;

    if (size == 0) {
        fprintf(stderr, "vhost-user-blk: no such size of a block, or no queues\n");
    } else if (memory == NULL || virtq_blk_server_init(memory, size, config, &server) != 0) {
        perror(config->server.path);
    } else {
        result = virtq_vhost_user_server_run(server, serve_signals());
        virtq_vhost_user_server_fini(server);
        if (result != 0) {
            fprintf(stderr, "vhost-user-blk: %s\n", virtq_error_name(result));
        }
    }
    free(memory);
    return result;
}

int main(int argc, char **argv)
{
    static const struct virtq_blk_server_ops ops = {sizeof(ops), start, join, features,
                                                    serve_refused};
    static struct disk disk = {.is = VIRTQ_BLK_DISK_INIT};
    struct virtq_blk_server_config config = VIRTQ_BLK_SERVER_CONFIG_INIT;
    int result;

    disk.is.queues = 4;
    disk.is.segments_max = SEGMENTS;
    memcpy(disk.is.serial, "virtq", 5);
    options(&disk, &config, argc, argv);
    config.ring.file =
        virtq_blk_disk_open(&disk.is, argv[optind + 1], disk.read_only ? O_RDONLY : O_RDWR);
    if (config.ring.file < 0) {
        perror(argv[optind + 1]);
        return EXIT_FAILURE;
    }
    disk.waits = !disk.sync && virtq_blk_file_waits(config.ring.file);
    config.ring.disk = &disk.is;
    config.ring.flags = disk.log ? VIRTQ_BLK_RING_LOCATE : 0;
    config.server.path = argv[optind];
    config.backend.features =
        VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) |
        VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) |
        VIRTQ_FEATURE(VIRTIO_F_IN_ORDER) | VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM);
    config.backend.queue_size = RING_SIZE;
    config.backend.table_max = RING_SIZE; /* Linux takes no notice of how small a ring is. */
    /* A front-end that makes its memory shorter ends its own connection, and not this program. */
    config.backend.flags = virtq_vhost_user_fault_install() == 0 ? VIRTQ_VHOST_USER_CATCH : 0;
    config.ops = &ops;
    config.opaque = &disk;
    result = serve(&config);
    if (!disk.read_only && fdatasync(config.ring.file) != 0) {
        perror(argv[optind + 1]);
        result = -1;
    }
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
