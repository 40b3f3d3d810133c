/* SPDX-License-Identifier: BSD-3-Clause */
/* A device that reaches little of the program's memory, and carries memory of its own: ring and
 * staged payload lie in that region. Only the headers of requests are left in system memory.
 * docs/address-spaces.md goes through it.
 *
 *     cc bar.c $(pkg-config --cflags --libs libvirtq)
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <virtq/virtq.h>

#include "support.h"

#define QUEUE_SIZE 16u
#define REGION_SIZE 65536u
#define PAGE 4096u
#define PAYLOAD 3000u
#define ID 2u
#define SHIFT 32u
#define BOTH (VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE)

/* The members of the mux. */
enum { SYSTEM = 0, STAGED = 1 };

/* The device's memory, and how each end sees it. */
struct machine {
    unsigned char *region;
    void *books;
    void *slots;
    struct virtq_bar bar;
    struct virtq_bar_stage stage;
    struct virtq_direct system; /* the headers, and nothing else */
    struct virtq_mux_route route;
    struct virtq_mux driver_space;
    struct virtq_mux device_space;
};

/* [region] */
/* A region with the id 2: device addresses are 2 << 32 | offset. */
static void open_region(struct machine *machine)
{
    struct virtq_bar_config config = VIRTQ_BAR_CONFIG_INIT;
    size_t size = virtq_bar_private_size(REGION_SIZE, 64);

    machine->region = memory(REGION_SIZE, PAGE); /* in real life: the BAR, mapped */
    machine->books = memory(size, 8);
    config.base = machine->region;
    config.size = REGION_SIZE;
    config.permissions = BOTH;
    config.id = ID;
    config.shift = SHIFT;
    config.memory = VIRTQ_BAR_CACHEABLE;
    check(virtq_bar_init_config(&machine->bar, &config) == VIRTQ_OK, "the region");
    check(virtq_bar_manage(&machine->bar, 64, machine->books, size) == VIRTQ_OK, "its books");
}
/* [region] */

/* [stage] */
/* What lies elsewhere is copied into the region, and back. */
static void open_stage(struct machine *machine)
{
    struct virtq_bar_stage_config config = VIRTQ_BAR_STAGE_CONFIG_INIT;

    config.bar = &machine->bar;
    /* config.copy: memcpy, since the region is cacheable. */
    config.depth =
        QUEUE_SIZE; /* one queue: it keeps its slots, and asks for none in steady state */
    config.memory_size = virtq_bar_stage_private_size(&config);
    config.memory = machine->slots = memory(config.memory_size, VIRTQ_CACHE_LINE);
    check(virtq_bar_stage_init(&machine->stage, &config) == VIRTQ_OK, "staging");
}
/* [stage] */

/* [mux] */
/* Headers go as they are; everything else is staged, but for the ring, which lies in the region
 * already. Both ends route by the same ranges; to the device end the region is a region. */
static void open_mux(struct machine *machine, unsigned char *headers)
{
    const virtq_addr_t first = (virtq_addr_t)ID << SHIFT;
    struct virtq_mux_member members[] = {
        {&machine->system.space, 0x1000, 0x1000 + PAGE - 1, 0x1000, BOTH},
        {&machine->stage.space, first, first + REGION_SIZE - 1, first, BOTH}};
    struct virtq_mux_config config = VIRTQ_MUX_CONFIG_INIT;
    uintptr_t at = (uintptr_t)headers;

    check(virtq_direct_init(&machine->system, headers, 0x1000, 0x1000 + PAGE - 1, BOTH) == VIRTQ_OK,
          "system memory");
    machine->route = (struct virtq_mux_route){at, at + PAGE - 1, SYSTEM};
    config.members = members;
    config.member_count = 2;
    config.routes = &machine->route;
    config.route_count = 1;
    config.other = STAGED;
    check(virtq_mux_init(&machine->driver_space, &config) == VIRTQ_OK, "the driver's mux");
    members[STAGED].space = &machine->bar.space;
    config.route_count = 0;
    check(virtq_mux_init(&machine->device_space, &config) == VIRTQ_OK, "the device's mux");
}
/* [mux] */

struct queue {
    void *memory[2];
    struct virtq_driver *driver;
    struct virtq_device *device;
};

static void open_queue(struct queue *queue, struct machine *machine, unsigned char *ring)
{
    struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_layout layout;
    size_t size;

    check(virtq_layout_init(VIRTQ_FORMAT_SPLIT, QUEUE_SIZE, &layout) == VIRTQ_OK, "layout");
    driver.size = QUEUE_SIZE;
    driver.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    driver.segments_max = 3;
    driver.space = &machine->driver_space.space;
    virtq_layout_areas(&layout, ring, &driver.areas);
    size = virtq_driver_size(&driver);
    queue->memory[0] = memory(size, VIRTQ_CACHE_LINE);
    check(virtq_driver_init(queue->memory[0], size, &driver, &queue->driver) == VIRTQ_OK, "driver");
    device.size = QUEUE_SIZE;
    device.features = driver.features;
    device.flags = VIRTQ_DEVICE_RING_TRANSLATED;
    device.space = &machine->device_space.space;
    virtq_driver_addresses(queue->driver, &device.addresses);
    size = virtq_device_size(&device);
    queue->memory[1] = memory(size, VIRTQ_CACHE_LINE);
    check(virtq_device_init(queue->memory[1], size, &device, &queue->device, NULL) == VIRTQ_OK,
          "device");
}

/* The device: a header that says what to add to each byte of the payload. */
static void serve(struct virtq_device *device)
{
    static unsigned char bytes[PAYLOAD];
    struct virtq_chain chain;
    struct virtq_piece pieces[4];
    struct virtq_used_buffer used;
    struct virtq_cursor reader;
    struct virtq_cursor writer;
    unsigned char header;

    check(virtq_device_pop(device, &chain, 1, pieces, 4) == 1, "pop");
    check(chain.reason == VIRTQ_REASON_NONE, virtq_reason_name(chain.reason));
    reader = virtq_chain_reader(&chain);
    writer = virtq_chain_writer(&chain);
    check(virtq_cursor_read(&reader, &header, 1) == 1, "the header");
    check(virtq_cursor_read(&reader, bytes, PAYLOAD) == PAYLOAD, "the payload");
    for (unsigned i = 0; i < PAYLOAD; i++) {
        bytes[i] = (unsigned char)(bytes[i] + header);
    }
    check(virtq_cursor_write(&writer, bytes, PAYLOAD) == PAYLOAD, "the answer");
    used = (struct virtq_used_buffer){chain.id, PAYLOAD};
    check(virtq_device_push(device, &used, 1) == 1 && virtq_device_publish(device) == 1, "push");
}

static void exchange(struct queue *queue, unsigned char *header, unsigned char value)
{
    static unsigned char out[PAYLOAD]; /* anywhere: the device does not reach it */
    static unsigned char in[PAYLOAD];
    struct virtq_segment segments[] = {
        {.base = header, .len = 1}, {.base = out, .len = PAYLOAD}, {.base = in, .len = PAYLOAD}};
    struct virtq_buffer buffer = {.segments = segments, .readable = 2, .writable = 1};
    struct virtq_completion done;

    *header = value;
    for (unsigned i = 0; i < PAYLOAD; i++) {
        out[i] = (unsigned char)(i * 5u);
    }
    check(virtq_driver_add(queue->driver, &buffer, 1) == 1, "add");
    check(virtq_driver_publish(queue->driver) == 1, "publish");
    serve(queue->device);
    check(virtq_driver_poll(queue->driver, &done, 1) == 1 && done.len == PAYLOAD, "poll");
    for (unsigned i = 0; i < PAYLOAD; i++) {
        check(in[i] == (unsigned char)(out[i] + value), "each byte came back");
    }
}

int main(void)
{
    unsigned char *headers = memory(PAGE, PAGE);
    struct virtq_counters counters;
    struct machine machine;
    struct queue queue;
    void *ring;

    open_region(&machine);
    check(virtq_bar_alloc(&machine.bar, PAGE, PAGE, &ring) == VIRTQ_OK, "the ring's memory");
    open_stage(&machine);
    open_mux(&machine, headers);
    open_queue(&queue, &machine, ring);
    for (unsigned i = 0; i < 4 * QUEUE_SIZE; i++) {
        exchange(&queue, headers + i, (unsigned char)i);
    }
    virtq_driver_counters(queue.driver, &counters);
    printf("%llu requests, %llu bytes staged\n", (unsigned long long)counters.used,
           (unsigned long long)counters.bytes_copied);
    virtq_driver_destroy(queue.driver);
    virtq_mux_fini(&machine.driver_space);
    virtq_mux_fini(&machine.device_space);
    check(virtq_bar_free(&machine.bar, ring) == VIRTQ_OK, "free");
    free(queue.memory[0]);
    free(queue.memory[1]);
    free(machine.books);
    free(machine.slots);
    free(machine.region);
    free(headers);
    return 0;
}
