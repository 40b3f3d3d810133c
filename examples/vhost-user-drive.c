/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver of a disk that another program serves: copies it into a file, a file onto it, or
 * compares the two; over any of the four spaces.
 *
 *     cc vhost-user-drive.c $(pkg-config --cflags --libs libvirtq-host)
 *     ./a.out /tmp/disk.sock verify disk.img */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reach.h"

enum { DEPTH = 8, CHUNK = 32768, SECTOR = 512, QUEUE_SIZE = 32, RINGS = 65536 };
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, F_FLUSH = 9 };
#define FEATURES \
    (VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) | VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) | 1 << F_FLUSH)

/* Each part has pages of its own: behind an IOMMU nothing else is shown with it. */
struct request {
    unsigned char data[CHUNK];
    unsigned char header[REACH_PAGE]; /* virtio 1.4, "Block Device: Device Operation" */
    unsigned char status[REACH_PAGE];
};

/* What is known of a request where the device cannot write. */
struct job {
    struct request *request;
    off_t at;
    uint32_t len, type;
};

static struct reach reach;
static struct virtq_driver *driver;
static int image;

static void put_le64(unsigned char *bytes, uint64_t word)
{
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(word >> 8 * i);
    }
}

/* Places a request: 1, or 0 if there is no room now. */
static int submit(struct job *job)
{
    struct request *request = job->request;
    struct virtq_segment segments[3] = {{.base = request->header, .len = 16},
                                        {.base = request->data, .len = job->len},
                                        {.base = request->status, .len = 1}};
    struct virtq_buffer buffer = {.segments = segments, .cookie = job};
    int added;

    put_le64(request->header, job->type);
    put_le64(request->header + 8, (uint64_t)job->at / SECTOR);
    request->status[0] = 0xff;
    buffer.readable = job->type == T_OUT ? 2 : 1;
    buffer.writable = job->type == T_IN ? 2 : 1;
    if (job->type == T_FLUSH) {
        segments[1] = segments[2];
    }
    check(job->type != T_OUT || pread(image, request->data, job->len, job->at) == job->len,
          "to read the image");
    added = virtq_driver_add(driver, &buffer, 1);
    check(added == 1 || added == VIRTQ_EFULL || added == VIRTQ_ENOMEM, virtq_error_name(added));
    return added == 1;
}

/* Takes one request back. What was read goes into the image, or is compared with it. */
static struct job *finish(int compares)
{
    static unsigned char expected[CHUNK];
    const struct virtq_completion completion = reach_take(&reach, 0, driver);
    struct job *job = completion.cookie;

    check(job->request->status[0] == 0, "the device failed a request");
    check(job->type != T_IN || completion.len == job->len + 1, "the device wrote too little");
    if (job->type == T_IN && compares) {
        check(pread(image, expected, job->len, job->at) == job->len, "to read the image");
        check(memcmp(expected, job->request->data, job->len) == 0, "disk and image differ");
    } else if (job->type == T_IN) {
        check(pwrite(image, job->request->data, job->len, job->at) == job->len, "to write");
    }
    return job;
}

/* All requests of one kind, as many at a time as there is room for. */
static void transfer(uint32_t type, off_t size, int compares)
{
    struct request *requests = reach.buffers;
    struct job jobs[DEPTH];
    struct job *idle[DEPTH];
    unsigned count;
    off_t asked = 0;

    for (count = 0; count < DEPTH; count++) {
        jobs[count].request = &requests[count];
        idle[count] = &jobs[count];
    }
    while (asked < size || count < DEPTH) {
        while (count > 0 && asked < size) {
            struct job *job = idle[count - 1];

            job->type = type;
            job->at = asked;
            job->len = size - asked < CHUNK ? (uint32_t)(size - asked) : CHUNK;
            if (submit(job) == 0) {
                break;
            }
            asked += job->len;
            count--;
        }
        check(count < DEPTH, "no room for one request");
        (void)virtq_driver_publish(driver);
        if (virtq_driver_needs_notify(driver, NULL)) {
            virtq_vhost_user_frontend_kick(reach.frontend, 0);
        }
        idle[count++] = finish(compares);
    }
}

/* The disk's bytes, of which a file that is copied or compared can be fewer. */
static off_t measure(int reads)
{
    unsigned char config[8];
    struct stat file;
    uint64_t sectors = 0;

    check(fstat(image, &file) == 0 && file.st_size % SECTOR == 0, "an image of whole sectors");
    check(virtq_vhost_user_frontend_read_config(reach.frontend, 0, config, sizeof(config)) == 0,
          "the disk does not say how large it is");
    for (unsigned i = 8; i-- > 0;) {
        sectors = sectors << 8 | config[i];
    }
    check(sectors < (uint64_t)1 << 50, "a disk of a possible size");
    check((uint64_t)file.st_size / SECTOR <= sectors, "the image is larger than the disk");
    return reads ? (off_t)(sectors * SECTOR) : file.st_size;
}

static void usage(int code)
{
    puts(
        "usage: vhost-user-drive [--packed] [--space direct|swiotlb|iommu|bar] [--iotlb]\n"
        "                        SOCKET read|write|verify IMAGE\n"
        "  --packed  a packed ring, not a split one\n"
        "  --space   what device addresses are (default: direct)\n"
        "  --iotlb   with iommu: the back-end asks for each mapping, and loses it when the buffer\n"
        "            is back; else all memory is mapped once, in a slot of the back-end");
    exit(code);
}

static const struct option options[] = {{"packed", no_argument, NULL, VIRTIO_F_RING_PACKED},
                                        {"iotlb", no_argument, NULL, VIRTIO_F_ACCESS_PLATFORM},
                                        {"space", required_argument, NULL, 's'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};

int main(int argc, char **argv)
{
    uint64_t needed = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    const char *space = "direct";
    const char *what;
    off_t size;
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h' || option == '?') {
            usage(option == 'h' ? EXIT_SUCCESS : EXIT_FAILURE);
        }
        space = option == 's' ? optarg : space;
        needed |= option == 's' ? 0 : VIRTQ_FEATURE(option);
    }
    what = argc - optind == 3 ? argv[optind + 1] : "";
    if (strcmp(what, "read") != 0 && strcmp(what, "write") != 0 && strcmp(what, "verify") != 0) {
        usage(argc == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    image = open(argv[optind + 2], *what == 'r' ? O_RDWR | O_CREAT | O_TRUNC : O_RDONLY, 0666);
    check(image >= 0, argv[optind + 2]);
    reach_connect(&reach, argv[optind], 1);
    reach_accept(&reach, FEATURES, needed);
    reach_open(&reach, space, RINGS, DEPTH * sizeof(struct request));
    size = measure(*what == 'r');
    driver = reach_queue(&reach, 0, 0, QUEUE_SIZE, 3);
    reach_run(&reach);
    transfer(*what == 'w' ? T_OUT : T_IN, size, *what == 'v');
    if (*what == 'w' && virtq_feature_has(reach.features, F_FLUSH)) {
        transfer(T_FLUSH, 1, 0);
    }
    reach_stop(&reach, 0, driver);
    reach_close(&reach);
    check(close(image) == 0, "close");
    printf("%s: %lld bytes over %s\n", what, (long long)size, space);
    return EXIT_SUCCESS;
}
