/* SPDX-License-Identifier: BSD-3-Clause */
/* A disk for a virtual machine: a raw file behind vhost-user. Serves one front-end after the other.
 *
 *     cc vhost-user-blk.c $(pkg-config --cflags --libs libvirtq-host)
 *     ./a.out /tmp/disk.sock disk.img &
 *     qemu-system-x86_64 -object memory-backend-memfd,id=m,size=256M,share=on \
 *         -machine q35,memory-backend=m -m 256M -chardev socket,id=c,path=/tmp/disk.sock \
 *         -device vhost-user-blk-pci,chardev=c ... */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <virtq/host/vhost_user_backend.h>
#include <virtq/virtq.h>

enum { QUEUES = 4, QUEUE_SIZE = 256, SEGMENTS = 254, PIECES = SEGMENTS + 2, SECTOR = 512 };
enum { F_SEG_MAX = 2, F_RO = 5, F_BLK_SIZE = 6, F_FLUSH = 9, F_MQ = 12 };
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

/* virtio 1.4, "Device configuration layout": little-endian, as are requests. */
enum { CONFIG_SIZE = 60, CONFIG_SEG_MAX = 12, CONFIG_BLK_SIZE = 20, CONFIG_QUEUES = 34 };

struct disk {
    struct virtq_vhost_user_backend *backend;
    int file;
    int read_only;
    uint64_t sectors;
    unsigned char config[CONFIG_SIZE];
};

static volatile sig_atomic_t asked_to_end;

static void end(int signal)
{
    (void)signal;
    asked_to_end = 1;
}

static uint64_t get_le(const unsigned char *bytes, unsigned count)
{
    uint64_t word = 0;

    while (count-- != 0) {
        word = word << 8 | bytes[count];
    }
    return word;
}

static void put_le(unsigned char *bytes, unsigned count, uint64_t word)
{
    for (unsigned i = 0; i < count; i++, word >>= 8) {
        bytes[i] = (unsigned char)word;
    }
}

/* Moves what is left of a cursor, but for `keep` bytes, from or to the file. */
static int transfer(const struct disk *disk, struct virtq_cursor *cursor, uint64_t sector,
                    uint64_t keep, int writes)
{
    uint64_t left = virtq_cursor_left(cursor) - keep;
    off_t at = (off_t)(sector * SECTOR);

    if (left % SECTOR != 0 || sector > disk->sectors || left / SECTOR > disk->sectors - sector) {
        return S_IOERR;
    }
    while (left != 0) {
        void *base = NULL;
        size_t span = virtq_cursor_span(cursor, &base);
        ssize_t done;

        span = span < left ? span : (size_t)left;
        done = writes ? pwrite(disk->file, base, span, at) : pread(disk->file, base, span, at);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return S_IOERR;
        }
        (void)virtq_cursor_skip(cursor, (uint64_t)done);
        left -= (uint64_t)done;
        at += done;
    }
    return S_OK;
}

static int request(const struct disk *disk, struct virtq_cursor *reader,
                   struct virtq_cursor *writer)
{
    static const char id[20] = "virtq";
    unsigned char header[16];
    uint64_t sector;

    if (virtq_cursor_read_exact(reader, header, sizeof(header)) != 0) {
        return S_IOERR;
    }
    sector = get_le(header + 8, 8);
    switch (get_le(header, 4)) {
    case T_IN:
        return transfer(disk, writer, sector, 1, 0);
    case T_OUT:
        return disk->read_only ? S_IOERR : transfer(disk, reader, sector, 0, 1);
    case T_FLUSH:
        return fdatasync(disk->file) == 0 ? S_OK : S_IOERR;
    case T_GET_ID:
        if (virtq_cursor_left(writer) != sizeof(id) + 1) {
            return S_IOERR;
        }
        (void)virtq_cursor_write(writer, id, sizeof(id));
        return S_OK;
    default:
        return S_UNSUPP;
    }
}

/* One request: how many bytes of it were written. The last byte is the status. */
static uint32_t serve_chain(const struct disk *disk, const struct virtq_chain *chain)
{
    struct virtq_cursor reader = virtq_chain_reader(chain);
    struct virtq_cursor writer = virtq_chain_writer(chain);
    unsigned char status;

    if (virtq_cursor_left(&writer) == 0) {
        return 0; /* A bad buffer, or no room for a status. */
    }
    status = (unsigned char)request(disk, &reader, &writer);
    if (status != S_OK || virtq_cursor_left(&writer) != 1) {
        /* The status is last, so that the length takes in what lies before it. */
        writer = virtq_chain_writer(chain);
        (void)virtq_cursor_skip(&writer, virtq_cursor_left(&writer) - 1);
        (void)virtq_cursor_write(&writer, &status, 1);
    } else {
        (void)virtq_cursor_write(&writer, &status, 1);
    }
    return (uint32_t)virtq_cursor_moved(&writer);
}

static void serve(void *opaque, uint32_t index)
{
    struct disk *disk = opaque;
    struct virtq_device *device = virtq_vhost_user_vring_device(disk->backend, index);
    struct virtq_piece pieces[PIECES];
    struct virtq_chain chain;
    int got;

    virtq_vhost_user_vring_enter(disk->backend, index);
    do {
        virtq_device_disable_notify(device);
        while ((got = virtq_device_pop(device, &chain, 1, pieces, PIECES)) == 1) {
            struct virtq_used_buffer used = {chain.id, serve_chain(disk, &chain)};

            if (virtq_device_push(device, &used, 1) != 1 || virtq_device_publish(device) < 0) {
                got = VIRTQ_EBROKEN;
                break;
            }
            (void)virtq_vhost_user_vring_notify(disk->backend, index);
        }
        if (got == VIRTQ_EBROKEN) {
            virtq_vhost_user_vring_error(disk->backend, index);
        }
        /* Without a translation that the front-end is being asked for, this is called again. */
    } while (got == 0 && virtq_device_enable_notify(device));
    virtq_vhost_user_vring_leave(disk->backend, index);
}

static int config_read(void *opaque, uint32_t offset, void *data, uint32_t len)
{
    memcpy(data, ((struct disk *)opaque)->config + offset, len);
    return 0;
}

static void refused(void *opaque, uint32_t number, uint32_t refusal)
{
    (void)opaque;
    fprintf(stderr, "vhost-user-blk: %s refused: %s\n", virtq_vhost_user_request_name(number),
            virtq_vhost_user_refusal_name(refusal));
}

static int open_disk(struct disk *disk, const char *path, int read_only)
{
    struct stat file;

    memset(disk, 0, sizeof(*disk));
    disk->read_only = read_only;
    disk->file = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (disk->file < 0 || fstat(disk->file, &file) != 0) {
        perror(path);
        return -1;
    }
    disk->sectors = (uint64_t)file.st_size / SECTOR;
    put_le(disk->config, 8, disk->sectors);
    put_le(disk->config + CONFIG_SEG_MAX, 4, SEGMENTS);
    put_le(disk->config + CONFIG_BLK_SIZE, 4, SECTOR);
    put_le(disk->config + CONFIG_QUEUES, 2, QUEUES);
    return 0;
}

/* Serves one front-end until it goes. */
static int serve_connection(struct disk *disk, int connection)
{
    static const struct virtq_vhost_user_ops ops = {
        .size = sizeof(ops), .serve = serve, .config_read = config_read, .refused = refused};
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;
    struct pollfd ready = {-1, POLLIN, 0};
    size_t size;
    void *memory;

    config.socket = connection;
    config.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) |
                      VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) |
                      VIRTQ_FEATURE(F_SEG_MAX) | VIRTQ_FEATURE(F_BLK_SIZE) |
                      VIRTQ_FEATURE(F_FLUSH) | VIRTQ_FEATURE(F_MQ) |
                      VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM);
    config.features |= disk->read_only ? VIRTQ_FEATURE(F_RO) : 0;
    config.queue_count = QUEUES;
    config.queue_size = QUEUE_SIZE;
    config.table_max = PIECES;
    config.config_size = CONFIG_SIZE;
    config.ops = &ops;
    config.opaque = disk;
    size = virtq_vhost_user_backend_size(&config);
    memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    if (memory == NULL ||
        virtq_vhost_user_backend_init(memory, size, &config, &disk->backend) != 0) {
        free(memory);
        (void)close(connection);
        return -1;
    }
    ready.fd = virtq_vhost_user_backend_fd(disk->backend);
    while (!asked_to_end && (poll(&ready, 1, -1) >= 0 || errno == EINTR) &&
           virtq_vhost_user_backend_process(disk->backend) == 0) {
    }
    virtq_vhost_user_backend_fini(disk->backend);
    free(memory);
    return 0;
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (listener < 0 || strlen(path) >= sizeof(address.sun_path)) {
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    (void)unlink(path);
    return bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
                   listen(listener, 1) != 0
               ? -1
               : listener;
}

int main(int argc, char **argv)
{
    const int read_only = argc == 4 && strcmp(argv[1], "--read-only") == 0;
    struct sigaction action = {.sa_handler = end};
    struct disk disk;
    int listener;

    if (argc != 3 && !read_only) {
        printf("usage: vhost-user-blk [--read-only] SOCKET IMAGE\n");
        return argc == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    if (open_disk(&disk, argv[argc - 1], read_only) != 0) {
        return EXIT_FAILURE;
    }
    listener = listen_at(argv[argc - 2]);
    if (listener < 0) {
        perror(argv[argc - 2]);
        return EXIT_FAILURE;
    }
    while (!asked_to_end) {
        int connection = accept(listener, NULL, NULL);

        if (connection >= 0) {
            (void)serve_connection(&disk, connection);
        }
    }
    (void)unlink(argv[argc - 2]);
    (void)close(listener);
    (void)close(disk.file);
    return EXIT_SUCCESS;
}
