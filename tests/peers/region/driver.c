/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end, in a Linux guest: rings and buffers lie in the BAR of an ivshmem device, which
 * the program maps. An argument: how, wc or uc. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <virtq/virtq.h>

#include "region.h"

#define BUS "/sys/bus/pci/devices"
#define QUEUE_SIZE 32u
#define SLOTS 12u
#define REQUESTS 2000u
#define GRANULE 64u

static struct virtq_bar bar;
static struct region_control *control;
static uint64_t bytes_moved;

struct slot {
    uint8_t *request; /* in the region, as is the answer */
    uint8_t *answer;
    struct region_header header;
    int out;
};

static struct slot slots[SLOTS];

static void check(int holds, const char *what)
{
    if (!holds) {
        printf("guest: failed: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

static void *allocate(size_t size)
{
    void *memory = NULL;

    check(virtq_bar_alloc(&bar, size, 0, &memory) == VIRTQ_OK, "memory of the region");
    return memory;
}

/* The file of a device's attribute or BAR. */
static int open_file(const char *device, const char *name, int flags)
{
    char path[300];

    (void)snprintf(path, sizeof(path), BUS "/%s/%s", device, name);
    return open(path, flags | O_CLOEXEC);
}

static int is_region(const char *device)
{
    char text[16] = "";
    int file = open_file(device, "device", O_RDONLY);
    ssize_t len = file < 0 ? 0 : read(file, text, sizeof(text) - 1);

    if (file >= 0) {
        (void)close(file);
    }
    return len > 0 && strtoul(text, NULL, 16) == 0x1110;
}

static void open_region(const char *device, int combining)
{
    struct virtq_bar_config config = VIRTQ_BAR_CONFIG_INIT;
    int enable = open_file(device, "enable", O_WRONLY);
    int file = open_file(device, combining ? "resource2_wc" : "resource2", O_RDWR);
    struct stat status;
    size_t books;
    void *memory;

    check(enable >= 0 && write(enable, "1", 1) == 1 && file >= 0 && fstat(file, &status) == 0,
          "the BAR's file");
    memory = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    check(memory != MAP_FAILED, "the BAR is mapped");
    (void)close(enable);
    (void)close(file);
    config.base = memory;
    config.size = (uint64_t)status.st_size;
    config.permissions = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE;
    config.memory = combining ? VIRTQ_BAR_WRITE_COMBINING : VIRTQ_BAR_DEVICE;
    config.widths = combining ? 0 : 1 + 2 + 4 + 8;
    check(virtq_bar_init_config(&bar, &config) == VIRTQ_OK, "the region");
    books = virtq_bar_private_size(config.size, GRANULE);
    check(virtq_bar_manage(&bar, GRANULE, aligned_alloc(64, (books + 63) / 64 * 64), books) ==
              VIRTQ_OK,
          "the region's books");
    control = allocate(REGION_PAGE);
    check((void *)control == memory, "the first page");
    for (unsigned i = 0; i < SLOTS; i++) {
        slots[i].request = allocate(REGION_REQUEST);
        slots[i].answer = allocate(REGION_REQUEST);
    }
}

static void find_region(int combining)
{
    DIR *bus = opendir(BUS);
    struct dirent *entry;

    while (bus != NULL && (entry = readdir(bus)) != NULL) {
        if (entry->d_name[0] != '.' && is_region(entry->d_name)) {
            open_region(entry->d_name, combining);
        }
    }
    check(control != NULL, "there is a region");
    (void)closedir(bus);
}

/* Tells the device end of a round, and waits until it has heard. */
static void tell(uint32_t round)
{
    region_store(&control->round, round);
    while (region_load(&control->served) != round) {
        (void)sched_yield();
    }
}

/* The device end takes the queue that the first page tells of. */
static void hand_over(uint32_t round, const struct virtq_driver_config *config,
                      struct virtq_driver *driver)
{
    struct virtq_area_addresses addresses;

    virtq_driver_addresses(driver, &addresses);
    control->format = config->format;
    control->features = config->features;
    control->size = config->size;
    control->descriptor = addresses.descriptor;
    control->driver = addresses.driver;
    control->device = addresses.device;
    tell(round);
}

static void fill(struct slot *slot, uint32_t round, uint32_t number)
{
    slot->header = (struct region_header){
        round, number, sizeof(slot->header) + number * 2654435761u % (REGION_REQUEST - 64)};
    memcpy(slot->request, &slot->header, sizeof(slot->header));
    for (uint32_t at = sizeof(slot->header); at < slot->header.bytes; at++) {
        slot->request[at] = region_byte(&slot->header, at);
    }
    memset(slot->answer, 0, REGION_REQUEST);
}

/* In one to three pieces each way. */
static void send(struct virtq_driver *driver, struct slot *slot)
{
    struct virtq_segment segments[6];
    struct virtq_buffer buffer = {.segments = segments, .cookie = slot};
    uint32_t bytes = (uint32_t)slot->header.bytes;
    uint32_t pieces = 1 + slot->header.number % 3;

    for (unsigned way = 0; way < 2; way++) {
        uint8_t *base = way == 0 ? slot->request : slot->answer;

        for (uint32_t i = 0; i < pieces; i++) {
            uint32_t from = bytes * i / pieces;

            segments[way * pieces + i] =
                (struct virtq_segment){.base = base + from, .len = bytes * (i + 1) / pieces - from};
        }
    }
    buffer.readable = (uint16_t)pieces;
    buffer.writable = (uint16_t)pieces;
    slot->out = virtq_driver_add(driver, &buffer, 1) == 1;
}

static void judge(struct slot *slot, uint32_t len)
{
    check(slot->out && len == slot->header.bytes, "an answer of the request's length");
    for (uint32_t at = 0; at < len; at++) {
        check(slot->answer[at] == region_answer(&slot->header, at), "each byte");
    }
    for (uint32_t at = len; at < REGION_REQUEST; at++) {
        check(slot->answer[at] == 0, "nothing behind the answer");
    }
    slot->out = 0;
    bytes_moved += len;
}

static void traffic(struct virtq_driver *driver, uint32_t round)
{
    uint32_t sent = 0;
    uint32_t done = 0;

    while (done < REQUESTS) {
        struct virtq_completion used;
        int count;

        for (unsigned i = 0; i < SLOTS && sent < REQUESTS; i++) {
            if (slots[i].out) {
                continue;
            }
            fill(&slots[i], round, sent);
            send(driver, &slots[i]);
            if (!slots[i].out) { /* no room */
                break;
            }
            sent++;
        }
        (void)virtq_driver_publish(driver);
        while ((count = virtq_driver_poll(driver, &used, 1)) == 1) {
            judge(used.cookie, used.len);
            done++;
        }
        check(count == 0, "the queue is whole");
        (void)sched_yield();
    }
}

static void run(uint32_t round, enum virtq_format format, int indirect, const char *how)
{
    struct virtq_driver_config config = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_driver *driver;
    struct virtq_layout layout;
    size_t size;
    void *private_memory;
    void *ring;

    check(virtq_layout_init(format, QUEUE_SIZE, &layout) == VIRTQ_OK, "the layout");
    ring = allocate((size_t)layout.size);
    config.format = (uint32_t)format;
    config.size = QUEUE_SIZE;
    config.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM);
    config.features |=
        format == VIRTQ_FORMAT_PACKED ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : (uint64_t)0;
    config.flags = VIRTQ_DRIVER_STRICT_LENGTH;
    config.segments_max = 6;
    config.space = &bar.space;
    virtq_layout_areas(&layout, ring, &config.areas);
    if (indirect) {
        config.features |= VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC);
        config.tables = allocate(virtq_driver_tables_size(&config));
    }
    size = virtq_driver_size(&config);
    private_memory = aligned_alloc(VIRTQ_CACHE_LINE, (size + 63) / 64 * 64);
    check(virtq_driver_init(private_memory, size, &config, &driver) == VIRTQ_OK, "the queue");
    virtq_driver_disable_notify(driver);
    hand_over(round, &config, driver);
    traffic(driver, round);
    printf("region: %s packed=%d indirect=%d requests=%u bytes=%llu\n", how,
           format == VIRTQ_FORMAT_PACKED, indirect, REQUESTS, (unsigned long long)bytes_moved);
    tell(0); /* before its memory is another's */
    virtq_driver_destroy(driver);
    if (indirect) {
        (void)virtq_bar_free(&bar, config.tables);
    }
    (void)virtq_bar_free(&bar, ring);
    free(private_memory);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "wc";

    find_region(strcmp(how, "wc") == 0);
    for (uint32_t round = 0; round < 4; round++) {
        run(round + 1, round < 2 ? VIRTQ_FORMAT_SPLIT : VIRTQ_FORMAT_PACKED, round % 2 != 0, how);
    }
    region_store(&control->round, REGION_END);
    printf("guest: passed\n");
    return EXIT_SUCCESS;
}
