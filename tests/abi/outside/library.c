/* SPDX-License-Identifier: BSD-3-Clause */
/* The library tier as a user sees it: one buffer there and back. Compiled as C and as C++. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <virtq/virtq.h>

static void check(int holds, const char *what)
{
    if (!holds) {
        printf("failed: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

static void *memory(size_t size)
{
    void *result = aligned_alloc(4096, (size + 4095) / 4096 * 4096);

    check(result != NULL, "memory");
    return result;
}

/* The device's part: reads the request and answers it in capitals. */
static void serve(struct virtq_device *device)
{
    struct virtq_chain chain;
    struct virtq_piece pieces[4];
    struct virtq_used_buffer used;
    struct virtq_cursor reader;
    struct virtq_cursor writer;
    char text[8] = "";

    check(virtq_device_pop(device, &chain, 1, pieces, 4) == 1, "pop");
    check(chain.reason == VIRTQ_REASON_NONE, virtq_reason_name(chain.reason));
    reader = virtq_chain_reader(&chain);
    writer = virtq_chain_writer(&chain);
    check(virtq_cursor_read(&reader, text, sizeof(text)) == 5, "read");
    check(strcmp(text, "ping") == 0, "what the driver sent");
    check(virtq_cursor_write(&writer, "PONG", 5) == 5, "write");
    used.id = chain.id;
    used.len = 5;
    check(virtq_device_push(device, &used, 1) == 1, "push");
    (void)virtq_device_publish(device);
}

static void ping(struct virtq_driver *driver, struct virtq_device *device)
{
    char question[5] = "ping";
    char answer[16] = "";
    struct virtq_segment segments[2];
    struct virtq_buffer buffer;
    struct virtq_completion completion;

    memset(&buffer, 0, sizeof(buffer));
    segments[0].base = question;
    segments[0].len = sizeof(question);
    segments[1].base = answer;
    segments[1].len = sizeof(answer);
    buffer.segments = segments;
    buffer.cookie = answer;
    buffer.readable = 1;
    buffer.writable = 1;
    check(virtq_driver_add(driver, &buffer, 1) == 1, "add");
    check(virtq_driver_publish(driver) == 1, "publish");
    serve(device);
    check(virtq_driver_poll(driver, &completion, 1) == 1, "poll");
    check(completion.cookie == answer && completion.len == 5, "the completion");
    check(strcmp(answer, "PONG") == 0, "what the device sent");
}

int main(void)
{
    struct virtq_driver_config to_drive = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config to_serve = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_direct direct;
    struct virtq_layout layout;
    struct virtq_driver *driver;
    struct virtq_device *device;

    check(strcmp(virtq_version(), VIRTQ_VERSION) == 0, "headers and library are of one version");
    check(virtq_direct_init(&direct, NULL, 0, UINTPTR_MAX,
                            VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE) == 0,
          "direct");
    check(virtq_layout_init(VIRTQ_FORMAT_PACKED, 7, &layout) == 0, "layout");

    to_drive.format = VIRTQ_FORMAT_PACKED;
    to_drive.size = 7;
    to_drive.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_RING_PACKED);
    to_drive.segments_max = 2;
    to_drive.space = &direct.space;
    virtq_layout_areas(&layout, memory((size_t)layout.size), &to_drive.areas);
    to_serve.format = to_drive.format;
    to_serve.size = to_drive.size;
    to_serve.features = to_drive.features;
    to_serve.space = to_drive.space;
    to_serve.areas = to_drive.areas;

    check(virtq_driver_init(memory(virtq_driver_size(&to_drive)), virtq_driver_size(&to_drive),
                            &to_drive, &driver) == 0,
          "driver");
    check(virtq_device_init(memory(virtq_device_size(&to_serve)), virtq_device_size(&to_serve),
                            &to_serve, &device, NULL) == 0,
          "device");
    for (int i = 0; i < 20; i++) {
        ping(driver, device);
    }
    puts("ping, PONG");
    return EXIT_SUCCESS;
}
