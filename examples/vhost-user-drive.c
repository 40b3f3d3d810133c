/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver of a disk that another program serves: copies it into a file, a file onto it, or
 * compares the two; over any of the four spaces.
 *
 *     cc vhost-user-drive.c $(pkg-config --cflags --libs libvirtq-host)
 *     ./a.out /tmp/disk.sock verify disk.img */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <virtq/host/blk_driver.h>
#include <virtq/host/socket.h>
#include <virtq/host/vhost_user_queue.h>
#include <virtq/host/vhost_user_space.h>

enum { DEPTH = 8, CHUNK = 32768, PAGE = 4096, ROOM = 1 << 20, PATIENCE = 60000 };
/* Data, header and status have pages of their own: behind an IOMMU nothing else is shown. */
enum { PLACE = CHUNK + 2 * PAGE };
#define WANTED                                                                   \
    (VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) | VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) | \
     VIRTQ_FEATURE(VIRTIO_BLK_F_FLUSH))

static _Alignas(VIRTQ_CACHE_LINE) unsigned char memory[3][ROOM]; /* Of these: */
static struct virtq_vhost_user_frontend *frontend;
static struct virtq_vhost_user_space *space;
static struct virtq_vhost_user_queue *queue;
static int image;

#define CHECK(holds, what) ((holds) ? (void)0 : errx(EXIT_FAILURE, "failed: %s", (what)))

/* Connects, accepts what is wanted and offered, and what is needed; then memory in a space of that
 * kind, and a ring in it that runs. */
static void attach(const char *path, uint64_t needed, uint32_t kind)
{
    struct virtq_vhost_user_frontend_config config = VIRTQ_VHOST_USER_FRONTEND_CONFIG_INIT;
    struct virtq_vhost_user_queue_config ring = VIRTQ_VHOST_USER_QUEUE_CONFIG_INIT;
    struct virtq_vhost_user_space_config room = VIRTQ_VHOST_USER_SPACE_CONFIG_INIT;
    uint64_t offered;

    config.deadline = PATIENCE;
    config.socket = virtq_socket_connect(path);
    CHECK(config.socket >= 0, "nobody listens at the socket");
    CHECK(virtq_vhost_user_frontend_init(memory[0], ROOM, &config, &frontend) == 0 &&
              virtq_vhost_user_frontend_greet(frontend) == 0,
          "no vhost-user back-end");
    offered = virtq_vhost_user_frontend_offered(frontend);
    CHECK(!virtq_feature_has(needed & ~offered, VIRTIO_F_RING_PACKED), "no packed ring is offered");
    CHECK(!virtq_feature_has(needed & ~offered, VIRTIO_F_ACCESS_PLATFORM), "no IOTLB is offered");
    CHECK(virtq_vhost_user_frontend_accept(frontend, (offered & WANTED) | needed) == 0,
          "the features are refused");
    ring.frontend = room.frontend = frontend;
    ring.size = 32;
    ring.segments_max = 3;
    room.kind = kind;
    room.ring_size = virtq_vhost_user_queue_ring_size(&ring);
    room.buffer_size = DEPTH * PLACE;
    CHECK(virtq_vhost_user_space_init(memory[1], ROOM, &room, &space) == 0,
          "the back-end does not take the memory, or it has an IOTLB and the space none");
    ring.space = space->space;
    ring.ring = space->rings;
    CHECK(virtq_vhost_user_queue_init(memory[2], ROOM, &ring, &queue) == 0 &&
              virtq_vhost_user_queue_start(queue) == 0 &&
              virtq_vhost_user_frontend_ready(frontend) == 0,
          "the back-end does not start the ring");
}

/* Takes one request back. What was read goes into the image, or is compared with it. */
static struct virtq_blk_driver_request *finish(int compares)
{
    static unsigned char expected[CHUNK];
    struct virtq_completion done = {NULL, 0, 0};
    const int got = virtq_vhost_user_queue_take(queue, &done, 1, PATIENCE);
    struct virtq_blk_driver_request *request = done.cookie;

    CHECK(got == 1, got == 0 ? "the device does not answer" : virtq_error_name(got));
    CHECK(virtq_blk_driver_request_end(request, done.len) == 0, "the device failed a request");
    if (request->type == VIRTIO_BLK_T_IN) {
        const off_t at = (off_t)request->offset;
        const ssize_t moved = compares ? pread(image, expected, request->len, at)
                                       : pwrite(image, request->data, request->len, at);

        CHECK(moved == request->len, "to read or to write the image");
        CHECK(!compares || memcmp(expected, request->data, request->len) == 0,
              "disk and image differ");
    }
    return request;
}

/* All requests of one kind, as many at a time as there is room for. */
static void transfer(uint32_t type, uint64_t size, int compares)
{
    struct virtq_blk_driver_request requests[DEPTH], *idle[DEPTH];
    uint64_t asked = 0;
    unsigned count;

    for (count = 0; count < DEPTH; count++) {
        unsigned char *place = (unsigned char *)space->buffers + (size_t)count * PLACE;

        requests[count] = (struct virtq_blk_driver_request){
            .type = type, .data = place, .header = place + CHUNK, .status = place + CHUNK + PAGE};
        idle[count] = &requests[count];
    }
    while (asked < size || count < DEPTH) {
        while (count > 0 && asked < size) {
            struct virtq_blk_driver_request *next = idle[count - 1];
            int added;

            next->offset = asked;
            next->len = size - asked < CHUNK ? (uint32_t)(size - asked) : CHUNK;
            CHECK(type != VIRTIO_BLK_T_OUT ||
                      pread(image, next->data, next->len, (off_t)asked) == next->len,
                  "to read the image");
            added = virtq_blk_driver_request_add(next, virtq_vhost_user_queue_driver(queue));
            if (added == VIRTQ_EFULL || added == VIRTQ_ENOMEM) {
                break;
            }
            CHECK(added == 1, virtq_error_name(added));
            asked += next->len;
            count--;
        }
        CHECK(count < DEPTH, "no room for one request");
        (void)virtq_vhost_user_queue_publish(queue);
        idle[count++] = finish(compares);
    }
}

/* The disk's bytes, of which a file that is copied or compared can be fewer. */
static uint64_t measure(int reads)
{
    const off_t end = lseek(image, 0, SEEK_END);
    unsigned char config[8];
    uint64_t size;

    CHECK(virtq_vhost_user_frontend_read_config(frontend, 0, config, sizeof(config)) == 0,
          "the disk does not say how large it is");
    size = virtq_blk_driver_capacity(config);
    CHECK(size != 0, "a disk of a possible size");
    CHECK(end >= 0 && end % VIRTQ_BLK_SECTOR == 0, "an image of whole sectors");
    CHECK((uint64_t)end <= size, "the image is larger than the disk");
    return reads ? size : (uint64_t)end;
}

static const char usage[] =
    "usage: vhost-user-drive [--packed] [--space direct|swiotlb|iommu|bar] [--iotlb]\n"
    "                        SOCKET read|write|verify IMAGE\n"
    "  --packed  a packed ring, not a split one\n"
    "  --space   what device addresses are (default: direct)\n"
    "  --iotlb   with iommu: the back-end asks for each mapping, and loses it when the buffer\n"
    "            is back; else all memory is mapped once, in a slot of the back-end";

static const struct option options[] = {{"packed", no_argument, NULL, VIRTIO_F_RING_PACKED},
                                        {"iotlb", no_argument, NULL, VIRTIO_F_ACCESS_PLATFORM},
                                        {"space", required_argument, NULL, 's'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};

int main(int argc, char **argv)
{
    static const char *const kinds[] = {"direct", "swiotlb", "iommu", "bar"};
    uint64_t size, needed = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    const char *what;
    uint32_t kind = 0;
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) > 0 && !strchr("h?", option)) {
        if (option != 's') {
            needed |= VIRTQ_FEATURE(option);
            continue;
        }
        for (kind = 0; strcmp(optarg, kinds[kind]) != 0;) {
            CHECK(++kind < 4, "a space: direct, swiotlb, iommu or bar");
        }
    }
    what = option == -1 && argc - optind == 3 ? argv[optind + 1] : "";
    if (strcmp(what, "read") != 0 && strcmp(what, "write") != 0 && strcmp(what, "verify") != 0) {
        puts(usage);
        return argc > 1 && option != 'h';
    }
    image = open(argv[optind + 2], *what == 'r' ? O_RDWR | O_CREAT | O_TRUNC : O_RDONLY, 0666);
    CHECK(image >= 0, argv[optind + 2]);
    attach(argv[optind], needed, kind);
    size = measure(*what == 'r');
    transfer(*what == 'w' ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, size, *what == 'v');
    if (*what == 'w' &&
        virtq_feature_has(virtq_vhost_user_frontend_features(frontend), VIRTIO_BLK_F_FLUSH)) {
        transfer(VIRTIO_BLK_T_FLUSH, 1, 0);
    }
    CHECK(virtq_vhost_user_queue_stop(queue) == 0, "both ends stand at the same place");
    virtq_vhost_user_queue_fini(queue);
    virtq_vhost_user_space_fini(space);
    virtq_vhost_user_frontend_fini(frontend);
    CHECK(close(image) == 0, "close");
    printf("%s: %llu bytes over %s\n", what, (unsigned long long)size, kinds[kind]);
    return EXIT_SUCCESS;
}
