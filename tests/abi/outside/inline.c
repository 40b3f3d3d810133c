/* SPDX-License-Identifier: BSD-3-Clause */
/* The inline tier as a user sees it: headers only, no library, a space of the user's own, static
 * memory. One buffer there and back. Compiled as C and as C++. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <virtq/inline/device_setup.h>
#include <virtq/inline/driver_setup.h>

#define SIZE 8u

static struct {
    __attribute__((aligned(4096))) unsigned char descriptor[SIZE * 16u];
    __attribute__((aligned(64))) unsigned char driver[SIZE * 2u + 6u];
    __attribute__((aligned(64))) unsigned char device[SIZE * 8u + 6u];
} ring;
static __attribute__((aligned(64))) unsigned char private_memory[2][4096];
static char question[5] = "ping";
static char answer[16];

static void check(int holds, const char *what)
{
    if (!holds) {
        printf("failed: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

static int share(struct virtq_space *space, void *base, uint64_t len, uint32_t permissions,
                 virtq_addr_t *addr)
{
    (void)space;
    (void)len;
    (void)permissions;
    *addr = (uintptr_t)base;
    return VIRTQ_OK;
}

static void unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    (void)space;
    (void)addr;
    (void)len;
}

static int find(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                struct virtq_window *window)
{
    (void)addr;
    (void)permission;
    *window = space->linear;
    return VIRTQ_OK;
}

static void set_up(struct virtq_space *space, struct virtq_split_driver *driver,
                   struct virtq_split_device *device)
{
    static struct virtq_space_ops ops;
    struct virtq_driver_config to_drive = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config to_serve = VIRTQ_DEVICE_CONFIG_INIT;

    ops.size = sizeof(ops);
    ops.name = "identity";
    ops.share = share;
    ops.unshare = unshare;
    ops.window = find;
    memset(space, 0, sizeof(*space));
    space->ops = &ops;
    space->linear.last = UINTPTR_MAX;
    space->linear.permissions = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE;
    space->driver_kind = VIRTQ_SPACE_DIRECT;
    space->device_kind = VIRTQ_SPACE_DIRECT;

    to_drive.size = SIZE;
    to_drive.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX);
    to_drive.segments_max = 2;
    to_drive.space = space;
    to_drive.areas.descriptor = ring.descriptor;
    to_drive.areas.driver = ring.driver;
    to_drive.areas.device = ring.device;
    to_serve.size = to_drive.size;
    to_serve.features = to_drive.features;
    to_serve.space = space;
    to_serve.areas = to_drive.areas;
    check(virtq_split_driver_init(driver, &to_drive, private_memory[0],
                                  sizeof(private_memory[0])) == 0,
          "driver");
    check(virtq_split_device_init(device, &to_serve, private_memory[1], sizeof(private_memory[1]),
                                  NULL) == 0,
          "device");
}

static void serve(struct virtq_split_device *device)
{
    struct virtq_chain chain;
    struct virtq_piece pieces[4];
    struct virtq_used_buffer used;

    check(virtq_split_device_pop(device, VIRTQ_INSTANCE_DIRECT, &chain, 1, pieces, 4) == 1, "pop");
    check(chain.readable == 1 && chain.writable == 1, "the pieces");
    check(strcmp((const char *)pieces[0].base, "ping") == 0, "what the driver sent");
    memcpy(pieces[1].base, "PONG", 5);
    used.id = chain.id;
    used.len = 5;
    check(virtq_split_device_push(device, VIRTQ_INSTANCE_DIRECT, &used, 1) == 1, "push");
    (void)virtq_split_device_publish(device, VIRTQ_INSTANCE_DIRECT);
}

int main(void)
{
    static struct virtq_space space;
    static struct virtq_split_driver driver;
    static struct virtq_split_device device;
    static struct virtq_segment segments[2];
    static struct virtq_buffer buffer;
    struct virtq_completion completion;

    set_up(&space, &driver, &device);
    segments[0].base = question;
    segments[0].len = sizeof(question);
    segments[1].base = answer;
    segments[1].len = sizeof(answer);
    buffer.segments = segments;
    buffer.cookie = answer;
    buffer.readable = 1;
    buffer.writable = 1;
    for (int i = 0; i < 20; i++) {
        memset(answer, 0, sizeof(answer));
        check(virtq_split_driver_add(&driver, VIRTQ_INSTANCE_DIRECT, &buffer, 1) == 1, "add");
        check(virtq_split_driver_publish(&driver, VIRTQ_INSTANCE_DIRECT) == 1, "publish");
        serve(&device);
        check(virtq_split_driver_poll(&driver, VIRTQ_INSTANCE_DIRECT, &completion, 1) == 1, "poll");
        check(completion.cookie == answer && completion.len == 5, "the completion");
        check(strcmp(answer, "PONG") == 0, "what the device sent");
    }
    puts("ping, PONG");
    return EXIT_SUCCESS;
}
