/* SPDX-License-Identifier: BSD-3-Clause */
/* Random reads of 4 KiB from a disk behind vhost-user, without a guest: how many a second. Every
 * block of the image begins with its number, as `disk_load --image FILE MIB` makes it, and each one
 * that is read is looked at. */
#define _GNU_SOURCE
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <virtq/host/blk.h>
#include <virtq/host/memory.h>
#include <virtq/host/socket.h>
#include <virtq/host/vhost_user_frontend.h>
#include <virtq/virtq.h>

enum { BLOCK = 4096, RING = 128, DEPTH_MAX = 64, AREA = 1 << 16 };

/* A request's place in shared memory: header, status and data. */
struct place {
    unsigned char data[BLOCK];
    unsigned char header[16];
    unsigned char status;
    unsigned char fill[BLOCK - 17];
};

struct load {
    struct virtq_vhost_user_frontend *frontend;
    void *frontend_memory;
    struct virtq_host_memory memory;
    struct virtq_direct space;
    struct virtq_region region;
    struct virtq_driver *driver;
    void *driver_memory;
    struct place *places;
    uint64_t wanted[DEPTH_MAX];
    uint64_t blocks;
    uint64_t random;
    uint64_t notified, kicked;
    bool packed, event, waits;
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "disk_load: %s\n", what);
    exit(EXIT_FAILURE);
}

static double now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static uint64_t get_le64(const unsigned char *bytes)
{
    uint64_t word = 0;

    for (unsigned i = 8; i-- != 0;) {
        word = word << 8 | bytes[i];
    }
    return word;
}

static void put_le64(unsigned char *bytes, uint64_t word)
{
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(word >> (8 * i));
    }
}

static void *take_memory(size_t size)
{
    void *memory = aligned_alloc(VIRTQ_CACHE_LINE, (size + VIRTQ_CACHE_LINE - 1) /
                                                       VIRTQ_CACHE_LINE * VIRTQ_CACHE_LINE);

    if (memory == NULL || size == 0) {
        fail("no memory");
    }
    return memory;
}

static int make_image(const char *path, uint64_t blocks)
{
    unsigned char block[BLOCK] = {0};
    FILE *file = fopen(path, "wb");

    for (uint64_t i = 0; file != NULL && i < blocks; i++) {
        put_le64(block, i);
        if (fwrite(block, sizeof(block), 1, file) != 1) {
            fail("the image cannot be written");
        }
    }
    return file != NULL && fclose(file) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The driver's queue, in memory of which the back-end gets a share. */
static void make_queue(struct load *load, uint64_t features, struct virtq_layout *layout)
{
    struct virtq_driver_config config = VIRTQ_DRIVER_CONFIG_INIT;
    unsigned char *base;

    if (virtq_host_memory_init(&load->memory, (uint64_t)AREA * 2 + sizeof(struct place) * DEPTH_MAX,
                               0) != 0) {
        fail("no memory");
    }
    base = load->memory.base;
    load->places = (struct place *)(void *)(base + (size_t)AREA * 2);
    load->region =
        (struct virtq_region){.first = 0x100000,
                              .last = 0x100000 + load->memory.size - 1,
                              .base = base,
                              .permissions = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE};
    config.format = load->packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    config.size = RING;
    config.features = features;
    config.segments_max = 3;
    config.space = &load->space.space;
    config.tables = base + AREA;
    if (virtq_direct_init_regions(&load->space, &load->region, 1) != 0 ||
        virtq_layout_init((enum virtq_format)config.format, RING, layout) != 0 ||
        layout->size > AREA || virtq_driver_tables_size(&config) > AREA) {
        fail("no room for the ring");
    }
    virtq_layout_areas(layout, base, &config.areas);
    load->driver_memory = take_memory(virtq_driver_size(&config));
    if (virtq_driver_init(load->driver_memory, virtq_driver_size(&config), &config,
                          &load->driver) != 0) {
        fail("no queue");
    }
}

static void open_disk(struct load *load, const char *path)
{
    struct virtq_vhost_user_frontend_config config = VIRTQ_VHOST_USER_FRONTEND_CONFIG_INIT;
    struct virtq_vhost_user_ring ring = {.struct_size = sizeof(ring), .size = RING};
    struct virtq_vhost_user_share share = {0};
    uint64_t features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) |
                        VIRTQ_FEATURE(VIRTIO_BLK_F_FLUSH);
    unsigned char capacity[8];
    struct virtq_layout layout;

    config.socket = virtq_socket_connect(path);
    if (config.socket < 0) {
        fail("no connection");
    }
    load->frontend_memory = take_memory(virtq_vhost_user_frontend_size(&config));
    if (virtq_vhost_user_frontend_init(load->frontend_memory,
                                       virtq_vhost_user_frontend_size(&config), &config,
                                       &load->frontend) != 0 ||
        virtq_vhost_user_frontend_greet(load->frontend) != 0) {
        fail("no session");
    }
    features |= load->packed ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;
    features |= load->event ? VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) : 0;
    if (virtq_vhost_user_frontend_accept(load->frontend, features) != 0) {
        fail("the device does not offer that");
    }
    make_queue(load, features, &layout);
    share.base = load->memory.base;
    share.size = load->memory.size;
    share.address = load->region.first;
    share.fd = load->memory.fd;
    virtq_layout_areas(&layout, load->memory.base, &ring.areas);
    if (virtq_vhost_user_frontend_read_config(load->frontend, 0, capacity, 8) != 0 ||
        virtq_vhost_user_frontend_set_memory(load->frontend, &share, 1) != 0 ||
        virtq_vhost_user_frontend_start(load->frontend, 0, &ring) != 0) {
        fail("the ring does not start");
    }
    load->blocks = get_le64(capacity) / (BLOCK / VIRTQ_BLK_SECTOR);
    if (load->blocks == 0) {
        fail("the disk has no blocks");
    }
}

static void add(struct load *load, unsigned i)
{
    struct place *place = &load->places[i];
    struct virtq_segment segments[] = {{.base = place->header, .len = 16},
                                       {.base = place->data, .len = BLOCK},
                                       {.base = &place->status, .len = 1}};
    struct virtq_buffer buffer = {
        .segments = segments, .cookie = place, .readable = 1, .writable = 2};

    load->random = load->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    load->wanted[i] = (load->random >> 33) % load->blocks;
    memset(place->header, 0, sizeof(place->header));
    put_le64(place->header + 8, load->wanted[i] * (BLOCK / VIRTQ_BLK_SECTOR));
    put_le64(place->data, UINT64_MAX);
    place->status = 0xff;
    if (virtq_driver_add(load->driver, &buffer, 1) != 1) {
        fail("a request does not fit");
    }
}

static void publish(struct load *load)
{
    (void)virtq_driver_publish(load->driver);
    if (virtq_driver_needs_notify(load->driver, NULL)) {
        load->kicked++;
        virtq_vhost_user_frontend_kick(load->frontend, 0);
    }
}

static unsigned take(struct load *load, bool again)
{
    struct virtq_completion completions[DEPTH_MAX];
    const int count = virtq_driver_poll(load->driver, completions, DEPTH_MAX);

    if (count < 0) {
        fail("the queue is broken");
    }
    for (int i = 0; i < count; i++) {
        const struct place *place = completions[i].cookie;
        const unsigned slot = (unsigned)(place - load->places);

        if (place->status != 0 || get_le64(place->data) != load->wanted[slot]) {
            fail("a read came back wrong");
        }
        if (again) {
            add(load, slot);
        }
    }
    if (again && count > 0) {
        publish(load);
    }
    return (unsigned)count;
}

/* Sleeps until the device notifies, unless something has come meanwhile. */
static void sleep_until(struct load *load)
{
    struct pollfd ready = {virtq_vhost_user_frontend_call_fd(load->frontend, 0), POLLIN, 0};

    if (!virtq_driver_enable_notify(load->driver)) {
        if (poll(&ready, 1, 5000) != 1) {
            fail("the device does not answer");
        }
        (void)virtq_vhost_user_frontend_called(load->frontend, 0);
        load->notified++;
    }
    virtq_driver_disable_notify(load->driver);
}

static void run(struct load *load, unsigned depth, double seconds)
{
    const double began = now();
    const double end = began + seconds;
    uint64_t reads = 0;
    unsigned left = depth;
    double took;

    virtq_driver_disable_notify(load->driver);
    for (unsigned i = 0; i < depth; i++) {
        add(load, i);
    }
    publish(load);
    while (left != 0) {
        const bool again = now() < end;
        const unsigned count = take(load, again);

        reads += count;
        left -= again ? 0 : count;
        if (count == 0 && load->waits && left != 0) {
            sleep_until(load);
        }
        if (now() > end + 10) {
            fail("the device does not answer");
        }
    }
    took = now() - began;
    printf("%.0f reads/s; %.2f kicks and %.2f interrupts a read\n", (double)reads / took,
           (double)load->kicked / (double)reads, (double)load->notified / (double)reads);
}

int main(int argc, char **argv)
{
    static struct load load = {.random = 1};
    unsigned depth = 1;
    double seconds = 1;
    int at = 1;

    if (argc == 4 && strcmp(argv[1], "--image") == 0) {
        return make_image(argv[2], strtoull(argv[3], NULL, 10) * 256);
    }
    for (; at < argc - 1; at++) {
        if (strcmp(argv[at], "--packed") == 0) {
            load.packed = true;
        } else if (strcmp(argv[at], "--event") == 0) {
            load.event = true;
        } else if (strcmp(argv[at], "--wait") == 0) {
            load.waits = true;
        } else if (strncmp(argv[at], "--depth=", 8) == 0) {
            depth = (unsigned)strtoul(argv[at] + 8, NULL, 10);
        } else if (strncmp(argv[at], "--seconds=", 10) == 0) {
            seconds = strtod(argv[at] + 10, NULL);
        } else {
            break;
        }
    }
    if (at != argc - 1 || depth == 0 || depth > DEPTH_MAX || !(seconds > 0)) {
        fprintf(stderr, "usage: disk_load [--packed] [--event] [--wait] [--depth=1..64] "
                        "[--seconds=S] SOCKET\n       disk_load --image FILE MIB\n");
        return 2;
    }
    open_disk(&load, argv[at]);
    run(&load, depth, seconds);
    if (virtq_vhost_user_frontend_stop(load.frontend, 0, NULL) != 0) {
        fail("the ring does not stop");
    }
    virtq_vhost_user_frontend_fini(load.frontend);
    virtq_host_memory_fini(&load.memory);
    free(load.frontend_memory);
    free(load.driver_memory);
    return EXIT_SUCCESS;
}
