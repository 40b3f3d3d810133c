/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end, library tier, direct space: sends texts and gets them back in capitals. The
 * device is played by peer_device.h, in this same program. docs/tutorial-driver.md goes through it.
 *
 *     cc driver.c $(pkg-config --cflags --libs libvirtq)
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <virtq/virtq.h>

#include "peer_device.h"
#include "support.h"

#define QUEUE_SIZE 64
#define TEXT_MAX 32

struct queue {
    struct virtq_direct direct;
    struct virtq_driver *driver;
    struct virtq_driver_config config;
    void *ring;
    void *private_memory;
};

/* [request] */
struct request {
    char question[TEXT_MAX];
    char answer[TEXT_MAX];
    uint32_t len; /* of the answer; 0 as long as there is none */
};
/* [request] */

static void open_space(struct queue *queue)
{
    /* [space] */
    check(virtq_direct_init(&queue->direct, NULL, 0, UINTPTR_MAX,
                            VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE) == VIRTQ_OK,
          "the space");
    /* [space] */
}

static void open_ring(struct queue *queue, enum virtq_format format)
{
    struct virtq_driver_config *config = &queue->config;

    /* [ring] */
    struct virtq_layout layout;

    check(virtq_layout_init(format, QUEUE_SIZE, &layout) == VIRTQ_OK, "the size");
    queue->ring = memory((size_t)layout.size, layout.align);
    virtq_layout_areas(&layout, queue->ring, &config->areas);
    /* [ring] */
}

static void open_queue(struct queue *queue, enum virtq_format format)
{
    struct virtq_driver_config *config = &queue->config;
    size_t size;
    size_t tables_size;

    /* [config] */
    *config = (struct virtq_driver_config)VIRTQ_DRIVER_CONFIG_INIT;
    config->format = format;
    config->size = QUEUE_SIZE;
    config->features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) |
                       VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC);
    if (format == VIRTQ_FORMAT_PACKED) {
        config->features |= VIRTQ_FEATURE(VIRTIO_F_RING_PACKED);
    }
    config->segments_max = 4;
    config->space = &queue->direct.space;
    /* [config] */
    open_ring(queue, format);
    /* [tables] */
    tables_size = virtq_driver_tables_size(config);
    config->tables = memory(tables_size, VIRTQ_CACHE_LINE);
    /* [tables] */
    /* [init] */
    size = virtq_driver_size(config);
    queue->private_memory = memory(size, VIRTQ_CACHE_LINE);
    check(virtq_driver_init(queue->private_memory, size, config, &queue->driver) == VIRTQ_OK,
          "the queue");
    /* [init] */
}

static void close_queue(struct queue *queue)
{
    /* [destroy] */
    virtq_driver_destroy(queue->driver);
    free(queue->private_memory);
    free(queue->config.tables);
    free(queue->ring);
    /* [destroy] */
}

static void describe(const struct virtq_driver *driver)
{
    /* [addresses] */
    struct virtq_area_addresses addresses;

    virtq_driver_addresses(driver, &addresses);
    /* A transport writes the three of them into the device's registers, then enables the queue. */
    /* [addresses] */
    check(addresses.descriptor != 0 && addresses.driver != 0 && addresses.device != 0,
          "the ring's addresses");
}

/* Places one request and tells the device. */
static int send(struct virtq_driver *driver, struct peer_device *device, struct request *request)
{
    /* [send] */
    struct virtq_segment segments[] = {
        {.base = request->question, .len = (uint32_t)strlen(request->question) + 1},
        {.base = request->answer, .len = sizeof(request->answer)},
    };
    struct virtq_buffer buffer = {
        .segments = segments, .cookie = request, .readable = 1, .writable = 1};
    int added = virtq_driver_add(driver, &buffer, 1);

    if (added == 1) {
        virtq_driver_publish(driver);
        if (virtq_driver_needs_notify(driver, NULL)) {
            peer_device_notify(device);
        }
    }
    /* [send] */
    return added;
}

/* [wait] */
/* Takes used buffers; sleeps as long as there are none. */
static int receive(struct virtq_driver *driver, struct peer_device *device,
                   struct virtq_completion *done, unsigned count)
{
    int taken = virtq_driver_poll(driver, done, count);

    while (taken == 0) {
        if (!virtq_driver_enable_notify(driver)) {
            peer_device_wait(device);
        }
        virtq_driver_disable_notify(driver);
        taken = virtq_driver_poll(driver, done, count);
    }
    return taken;
}
/* [wait] */

/* Takes back at least `count` requests. */
static void collect(struct virtq_driver *driver, struct peer_device *device, unsigned count)
{
    for (unsigned back = 0; back < count;) {
        /* [receive] */
        struct virtq_completion done[8];
        int taken = receive(driver, device, done, 8);

        check(taken > 0, "receive");
        for (int i = 0; i < taken; i++) {
            struct request *request = done[i].cookie;

            request->len = done[i].len;
        }
        /* [receive] */
        back += (unsigned)taken;
    }
}

static void one_request(struct virtq_driver *driver, struct peer_device *device)
{
    struct request request = {.question = "hello, device"};

    check(send(driver, device, &request) == 1, "send");
    collect(driver, device, 1);
    check(request.len == 14 && strcmp(request.answer, "HELLO, DEVICE") == 0, "the answer");
    puts(request.answer);
}

/* More requests than the ring has room for. */
static void full_ring(struct virtq_driver *driver, struct peer_device *device)
{
    static struct request requests[3 * QUEUE_SIZE];
    unsigned sent = 0;
    unsigned shortages = 0;

    memset(requests, 0, sizeof(requests));
    while (sent < 3 * QUEUE_SIZE) {
        snprintf(requests[sent].question, TEXT_MAX, "request %u", sent);
        /* [full] */
        int added = send(driver, device, &requests[sent]);

        if (added == VIRTQ_EFULL || added == VIRTQ_ENOMEM) {
            collect(driver, device, 1); /* a shortage: make room, and try the same again */
            shortages++;
            continue;
        }
        check(added == 1, virtq_error_name(added)); /* anything else is a mistake of ours */
        /* [full] */
        sent++;
    }
    collect(driver, device, virtq_driver_outstanding(driver));
    check(shortages > 0, "the ring was full at times");
    for (unsigned i = 0; i < sent; i++) {
        char expected[TEXT_MAX];

        snprintf(expected, sizeof(expected), "REQUEST %u", i);
        check(requests[i].len == strlen(expected) + 1 && strcmp(requests[i].answer, expected) == 0,
              "each answer is that of its request");
    }
}

/* Several buffers with one call of each function. */
static void batch(struct virtq_driver *driver, struct peer_device *device)
{
    /* [batch] */
    static char words[3][8] = {"one", "two", "three"};
    static char answers[3][8];
    struct virtq_segment segments[3][2];
    struct virtq_buffer buffers[3];

    for (unsigned i = 0; i < 3; i++) {
        segments[i][0] = (struct virtq_segment){.base = words[i], .len = sizeof(words[i])};
        segments[i][1] = (struct virtq_segment){.base = answers[i], .len = sizeof(answers[i])};
        buffers[i] = (struct virtq_buffer){
            .segments = segments[i], .cookie = answers[i], .readable = 1, .writable = 1};
    }
    check(virtq_driver_add(driver, buffers, 3) == 3, "three buffers");
    check(virtq_driver_publish(driver) == 3, "one store for all of them");
    if (virtq_driver_needs_notify(driver, NULL)) {
        peer_device_notify(device);
    }
    /* Sleep until all three are back, where the device can do that. */
    if (!virtq_driver_enable_notify_after(driver, 3)) {
        peer_device_wait(device);
    }
    /* [batch] */
    virtq_driver_disable_notify(driver);
    for (unsigned i = 0; i < 3; i++) {
        struct virtq_completion done;

        check(virtq_driver_poll(driver, &done, 1) == 1 && done.len == 8, "poll");
    }
    check(strcmp(answers[0], "ONE") == 0 && strcmp(answers[2], "THREE") == 0, "the answers");
}

/* A buffer in three segments takes one descriptor of the ring, for there are indirect tables. */
static void indirect(struct virtq_driver *driver, struct peer_device *device)
{
    /* [indirect] */
    static char title[] = {'m', 'r', 's', ' '};
    static char name[] = "ada";
    static char answer[16];
    struct virtq_segment segments[] = {
        {.base = title, .len = sizeof(title)},
        {.base = name, .len = sizeof(name)},
        {.base = answer, .len = sizeof(answer)},
    };
    struct virtq_buffer buffer = {.segments = segments, .readable = 2, .writable = 1};
    uint32_t room = virtq_driver_room(driver);

    check(virtq_driver_add(driver, &buffer, 1) == 1, "add");
    check(virtq_driver_room(driver) == room - 1, "one descriptor for three segments");
    /* [indirect] */
    virtq_driver_publish(driver);
    if (virtq_driver_needs_notify(driver, NULL)) {
        peer_device_notify(device);
    }
    {
        struct virtq_completion done;

        check(receive(driver, device, &done, 1) == 1 && done.len == 8, "receive");
    }
    check(strcmp(answer, "MRS ADA") == 0, "the answer");
}

/* A device that breaks the rules costs this queue, and nothing else. */
static void broken(struct virtq_driver *driver, struct peer_device *device)
{
    struct request request = {.question = "anyone there?"};

    check(send(driver, device, &request) == 1, "send");
    peer_device_misbehave(device);
    /* [broken] */
    struct virtq_completion done;
    int taken = virtq_driver_poll(driver, &done, 1);

    if (taken == VIRTQ_EBROKEN) {
        struct virtq_fault fault;

        virtq_driver_fault(driver, &fault);
        printf("broken: %s (at %u, value %llu)\n", virtq_reason_name(fault.reason), fault.position,
               (unsigned long long)fault.value);
    }
    /* [broken] */
    check(taken == VIRTQ_EBROKEN, "a device that breaks the rules is found out");
    /* [reset] */
    void *cookie;
    unsigned lost = 0;

    peer_device_reset(device); /* first the device: wait until it says that it has finished */
    while (virtq_driver_detach(driver, &cookie) == 1) {
        ((struct request *)cookie)->len = 0; /* failed: to be sent again, or given up */
        lost++;
    }
    check(virtq_driver_reset(driver) == VIRTQ_OK, "reset");
    /* [reset] */
    check(lost == 1 && virtq_driver_outstanding(driver) == 0, "it all came back");
}

/* Where the queue stands, for a program that goes on later or elsewhere. */
static void save(struct virtq_driver *driver)
{
    /* [save] */
    struct virtq_state state;

    check(virtq_driver_save(driver, &state) == VIRTQ_OK, "nothing is outstanding");
    printf("vring base: 0x%08x\n", virtq_state_to_base(&state));
    /* [save] */
}

int main(void)
{
    for (int format = VIRTQ_FORMAT_SPLIT; format <= VIRTQ_FORMAT_PACKED; format++) {
        struct queue queue;
        struct peer_device device;

        puts(format == VIRTQ_FORMAT_SPLIT ? "split" : "packed");
        open_space(&queue);
        open_queue(&queue, (enum virtq_format)format);
        peer_device_open(&device, &queue.config);
        describe(queue.driver);
        one_request(queue.driver, &device);
        batch(queue.driver, &device);
        indirect(queue.driver, &device);
        broken(queue.driver, &device);
        check(!virtq_device_enable_notify(device.device), "a fresh start");
        one_request(queue.driver, &device);
        full_ring(queue.driver, &device);
        save(queue.driver);
        peer_device_close(&device);
        close_queue(&queue);
    }
    return 0;
}
