/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end, on the host: maps the file behind the region, and nothing else of the guest. An
 * argument: the file. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <virtq/virtq.h>

#include "region.h"

#define SIZE_MAX_QUEUE 256u

static struct virtq_bar bar;
static struct region_control *control;
static uint64_t bytes_moved;
static uint32_t requests;
static uint32_t queues;

static void check(int holds, const char *what)
{
    if (!holds) {
        printf("device: failed: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

static void open_region(const char *path)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    struct stat status;
    void *memory;

    check(file >= 0 && fstat(file, &status) == 0 && status.st_size >= (off_t)REGION_PAGE,
          "the region's file");
    memory = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    check(memory != MAP_FAILED, "the region is mapped");
    (void)close(file);
    control = memory;
    check(virtq_bar_init(&bar, memory, (uint64_t)status.st_size,
                         VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE, 0) == VIRTQ_OK,
          "the region");
}

/* Every byte of a request, and every byte of its answer; how many. */
static uint32_t answer(const struct virtq_chain *chain, uint32_t round)
{
    struct virtq_cursor reader = virtq_chain_reader(chain);
    struct virtq_cursor writer = virtq_chain_writer(chain);
    struct region_header header;
    uint8_t data[REGION_REQUEST];

    check(chain->reason == VIRTQ_REASON_NONE, virtq_reason_name(chain->reason));
    check(virtq_cursor_read_exact(&reader, &header, sizeof(header)) == 0 && header.round == round &&
              header.bytes <= sizeof(data) && header.bytes == chain->readable_bytes,
          "a request of this round, of its length");
    check(virtq_cursor_read(&reader, data, sizeof(data)) == header.bytes - sizeof(header),
          "all of it");
    for (uint32_t at = sizeof(header); at < header.bytes; at++) {
        check(data[at - sizeof(header)] == region_byte(&header, at), "each byte");
    }
    for (uint32_t at = 0; at < header.bytes; at++) {
        data[at] = region_answer(&header, at);
    }
    requests++;
    bytes_moved += header.bytes;
    return (uint32_t)virtq_cursor_write(&writer, data, (size_t)header.bytes);
}

static void serve(struct virtq_device *device, uint32_t round)
{
    struct virtq_piece pieces[16];
    struct virtq_chain chain;
    int got;

    while (region_load(&control->round) == round) {
        while ((got = virtq_device_pop(device, &chain, 1, pieces, 16)) == 1) {
            struct virtq_used_buffer used = {chain.id, answer(&chain, round)};

            check(virtq_device_push(device, &used, 1) == 1 && virtq_device_publish(device) >= 0,
                  "push");
        }
        check(got == 0, virtq_error_name(got));
        (void)sched_yield();
    }
}

static void run(uint32_t round)
{
    struct virtq_device_config config = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_device *device;
    void *memory;
    size_t size;

    config.format = control->format;
    config.size = control->size;
    config.features = control->features;
    config.flags = VIRTQ_DEVICE_RING_TRANSLATED;
    config.space = &bar.space;
    config.addresses =
        (struct virtq_area_addresses){control->descriptor, control->driver, control->device};
    check(config.size <= SIZE_MAX_QUEUE, "the queue's size");
    size = virtq_device_size(&config);
    memory = aligned_alloc(VIRTQ_CACHE_LINE, (size + 63) / 64 * 64);
    check(virtq_device_init(memory, size, &config, &device, NULL) == VIRTQ_OK, "the queue");
    virtq_device_disable_notify(device);
    region_store(&control->served, round);
    serve(device, round);
    queues++;
    region_store(&control->served, 0);
    free(memory);
}

int main(int argc, char **argv)
{
    check(argc == 2, "usage: device FILE");
    (void)alarm(600); /* whatever happens to the guest */
    open_region(argv[1]);
    for (;;) {
        uint32_t round = region_load(&control->round);

        if (round == REGION_END) {
            break;
        }
        if (round != 0) {
            run(round);
        }
        (void)usleep(1000);
    }
    printf("device: queues=%u requests=%u bytes=%llu\n", queues, requests,
           (unsigned long long)bytes_moved);
    return EXIT_SUCCESS;
}
