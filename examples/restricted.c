/* SPDX-License-Identifier: BSD-3-Clause */
/* Restricted DMA: a driver and a device in two processes that share a pool and nothing else, in
 * each form that a pool has, split and packed. docs/spaces/restricted.md goes through it.
 *
 *     cc restricted.c $(pkg-config --cflags --libs libvirtq)
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <virtq/virtq.h>

#include "support.h"

#define POOL_SIZE 65536u
#define POOL_ADDRESS 0x80000000u /* of system memory; a region of the device begins at offset 0 */
#define QUEUE_SIZE 16u
#define TEXT 24u
#define ROUNDS 100u

/* The transport: what the driver writes to the device's registers, and the device's answer. */
struct registers {
    uint64_t accepted;
    struct virtq_area_addresses ring;
    int answer;
};

static void put(int wire, const void *bytes, size_t size)
{
    check(write(wire, bytes, size) == (ssize_t)size, "a write to the other process");
}

static void get(int wire, void *bytes, size_t size)
{
    check(read(wire, bytes, size) == (ssize_t)size, "a read from the other process");
}

/* [facts] */
/* What both ends know of the pool, but for the place where each has it in its memory. */
static struct virtq_restricted_config describe(uint32_t form, int file)
{
    struct virtq_restricted_config config = VIRTQ_RESTRICTED_CONFIG_INIT;

    config.facts.features =
        VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTQ_ACCESS_RESTRICTED_BIT);
    config.facts.known = config.facts.features;
    config.pool.form = form;
    config.pool.base = mmap(NULL, POOL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    config.pool.size = POOL_SIZE;
    if (form != VIRTQ_RESTRICTED_DEVICE) {
        config.pool.first = POOL_ADDRESS;
    }
    if (form == VIRTQ_RESTRICTED_RANGE) { /* as read from the device's configuration space */
        config.pool.reach = (struct virtq_restricted_range){POOL_ADDRESS + 8192, UINT32_MAX};
    }
    check(config.pool.base != MAP_FAILED, "the pool");
    return config;
}
/* [facts] */

/* ---- The device's process ---- */

static void serve(struct virtq_device *device)
{
    struct virtq_chain chain;
    struct virtq_piece pieces[4];
    struct virtq_used_buffer used;
    struct virtq_cursor reader;
    struct virtq_cursor writer;

    check(virtq_device_pop(device, &chain, 1, pieces, 4) == 1, "pop");
    check(chain.reason == VIRTQ_REASON_NONE, virtq_reason_name(chain.reason));
    reader = virtq_chain_reader(&chain);
    writer = virtq_chain_writer(&chain);
    (void)virtq_cursor_copy(&writer, &reader, chain.readable_bytes);
    used = (struct virtq_used_buffer){chain.id, (uint32_t)virtq_cursor_moved(&writer)};
    check(virtq_device_push(device, &used, 1) == 1, "push");
    check(virtq_device_publish(device) == 1, "publish");
}

static void device_process(uint32_t form, enum virtq_format format, int file, int wire)
{
    struct virtq_device_config queue = VIRTQ_DEVICE_CONFIG_INIT;
    struct registers registers;
    struct virtq_device *device;
    void *private_memory;
    size_t size;
    char bell;

    /* [device] */
    struct virtq_restricted_config config = describe(form, file);
    struct virtq_restricted_device restricted;

    do { /* FEATURES_OK stays clear for a driver that does not know restricted DMA */
        get(wire, &registers, sizeof(registers));
        registers.answer = virtq_restricted_device_init(&restricted, &config, registers.accepted);
        put(wire, &registers, sizeof(registers));
    } while (registers.answer != VIRTQ_OK);

    get(wire, &registers, sizeof(registers));
    queue.format = format;
    queue.size = QUEUE_SIZE;
    queue.features = registers.accepted;
    queue.addresses = registers.ring;
    /* The ring lies in the pool, or the queue is not enabled. */
    check(virtq_restricted_device_attach(&restricted, &queue) == VIRTQ_OK, "the ring's place");
    size = virtq_device_size(&queue);
    private_memory = memory(size, VIRTQ_CACHE_LINE);
    check(virtq_device_init(private_memory, size, &queue, &device, NULL) == VIRTQ_OK, "device");
    /* [device] */
    while (read(wire, &bell, 1) == 1) {
        serve(device);
        put(wire, &bell, 1);
    }
    free(private_memory);
    (void)munmap(config.pool.base, POOL_SIZE);
}

/* ---- The driver's process ---- */

/* [request] */
/* A header that lies anywhere and is staged; a payload that another device left in the pool, and
 * that goes as it is. */
static void exchange(struct virtq_driver *driver, char *payload, int wire)
{
    char header[] = "header ";
    char answer[TEXT + 8] = "";
    struct virtq_segment segments[] = {{.base = header, .len = 7},
                                       {.base = payload, .len = TEXT},
                                       {.base = answer, .len = sizeof(answer)}};
    struct virtq_buffer buffer = {.segments = segments, .readable = 2, .writable = 1};
    struct virtq_completion done;
    char bell = 0;

    check(virtq_driver_add(driver, &buffer, 1) == 1, "add");
    check(virtq_driver_publish(driver) == 1, "publish");
    put(wire, &bell, 1);
    get(wire, &bell, 1);
    check(virtq_driver_poll(driver, &done, 1) == 1 && done.len == 7 + TEXT, "the answer");
    check(memcmp(answer, header, 7) == 0 && memcmp(answer + 7, payload, TEXT) == 0, "its bytes");
}
/* [request] */

static void drive(struct virtq_restricted_driver *restricted, enum virtq_format format, int wire)
{
    struct virtq_driver_config queue = VIRTQ_DRIVER_CONFIG_INIT;
    struct registers registers = {.accepted = restricted->decision.accept};
    struct virtq_driver *driver;
    struct virtq_counters counters;
    void *payload;
    void *private_memory;
    size_t size;

    /* [queue] */
    queue.format = format;
    queue.size = QUEUE_SIZE;
    queue.features = registers.accepted;
    queue.features |= VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC);
    queue.features |= format == VIRTQ_FORMAT_PACKED ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;
    queue.segments_max = 3;
    /* The ring and the indirect tables, in the pool. */
    check(virtq_restricted_driver_place(restricted, &queue) == VIRTQ_OK, "room for the ring");
    size = virtq_driver_size(&queue);
    private_memory = memory(size, VIRTQ_CACHE_LINE);
    check(virtq_driver_init(private_memory, size, &queue, &driver) == VIRTQ_OK, "driver");
    virtq_driver_addresses(driver, &registers.ring);
    /* [queue] */
    registers.accepted = queue.features;
    put(wire, &registers, sizeof(registers));
    check(virtq_restricted_driver_alloc(restricted, TEXT, 0, &payload) == VIRTQ_OK, "payload");
    for (unsigned round = 0; round < ROUNDS; round++) {
        memset(payload, 'a' + (int)(round % 26), TEXT);
        exchange(driver, payload, wire);
    }
    virtq_driver_counters(driver, &counters);
    printf("%s, %s: %u requests, %llu bytes copied\n",
           virtq_access_space_name(restricted->decision.space),
           format == VIRTQ_FORMAT_PACKED ? "packed" : "split", ROUNDS,
           (unsigned long long)counters.bytes_copied);
    virtq_driver_destroy(driver);
    check(virtq_restricted_driver_free(restricted, payload) == VIRTQ_OK, "payload");
    virtq_restricted_driver_remove(restricted, &queue);
    free(private_memory);
}

static void driver_process(uint32_t form, enum virtq_format format, int file, int wire)
{
    struct registers registers = {.accepted = VIRTQ_FEATURE(VIRTIO_F_VERSION_1)};

    /* A driver that has never heard of restricted DMA gets nowhere. */
    put(wire, &registers, sizeof(registers));
    get(wire, &registers, sizeof(registers));
    check(registers.answer == VIRTQ_ENOTSUP, "the device refuses");

    /* [driver] */
    struct virtq_restricted_config config = describe(form, file);
    struct virtq_restricted_driver restricted;

    config.flags = VIRTQ_RESTRICTED_PARTS; /* some segments lie in the pool already */
    config.memory_size = virtq_restricted_private_size(&config);
    config.memory = memory(config.memory_size, 8);
    check(virtq_restricted_driver_init(&restricted, &config) == VIRTQ_OK,
          virtq_access_reason_name(restricted.decision.reason));
    registers.accepted = restricted.decision.accept;
    /* [driver] */
    put(wire, &registers, sizeof(registers));
    get(wire, &registers, sizeof(registers));
    check(registers.answer == VIRTQ_OK, "FEATURES_OK");
    drive(&restricted, format, wire);
    check(virtq_restricted_driver_fini(&restricted) == VIRTQ_OK, "nothing is left in the pool");
    free(config.memory);
    (void)munmap(config.pool.base, POOL_SIZE);
}

static void run(uint32_t form, enum virtq_format format)
{
    int file = memfd_create("pool", 0);
    int wires[2];
    int status = -1;
    pid_t child;

    check(file >= 0 && ftruncate(file, POOL_SIZE) == 0, "shared memory");
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, wires) == 0, "a wire");
    fflush(stdout);
    child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        (void)close(wires[0]);
        device_process(form, format, file, wires[1]);
        _exit(EXIT_SUCCESS);
    }
    (void)close(wires[1]);
    driver_process(form, format, file, wires[0]);
    (void)close(wires[0]);
    (void)close(file);
    check(waitpid(child, &status, 0) == child && status == 0, "the device's process");
}

int main(void)
{
    for (uint32_t form = VIRTQ_RESTRICTED_SYSTEM; form <= VIRTQ_RESTRICTED_RANGE; form++) {
        run(form, VIRTQ_FORMAT_SPLIT);
        run(form, VIRTQ_FORMAT_PACKED);
    }
    return 0;
}
