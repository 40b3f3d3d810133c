/* SPDX-License-Identifier: BSD-3-Clause */
/* The inline tier: both ends of a packed queue, compiled from headers alone, in static memory, over
 * a space of its own. No library is linked; the code itself needs nothing of an operating system.
 *
 *     cc inline.c $(pkg-config --cflags libvirtq-inline)
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <virtq/inline/device_setup.h>
#include <virtq/inline/driver_setup.h>
#include <virtq/packed.h>
#include <virtq/space.h>

#include "support.h"

#define QUEUE_SIZE 7u /* packed: any number */
#define ROUNDS 20u

/* [instance] */
/* A constant: how this queue gets its addresses. The compiler leaves everything else out. */
#define HOW ((unsigned)VIRTQ_INSTANCE_DIRECT)
/* [instance] */

/* [memory] */
static struct {
    _Alignas(64) struct pvirtq_desc descriptor[QUEUE_SIZE];
    _Alignas(64) struct pvirtq_event_suppress driver;
    _Alignas(64) struct pvirtq_event_suppress device;
} ring;
static _Alignas(VIRTQ_CACHE_LINE) unsigned char driver_memory[4096];
static _Alignas(VIRTQ_CACHE_LINE) unsigned char device_memory[4096];
/* [memory] */

/* [space] */
/* Device addresses are pointers: nothing to do but to say so. */
static int identity_share(struct virtq_space *space, void *base, uint64_t len, uint32_t permissions,
                          virtq_addr_t *addr)
{
    (void)space, (void)len, (void)permissions;
    *addr = (uintptr_t)base;
    return VIRTQ_OK;
}

static void identity_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    (void)space, (void)addr, (void)len;
}

static int identity_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                           struct virtq_window *window)
{
    (void)addr, (void)permission;
    *window = space->linear;
    return VIRTQ_OK;
}

static const struct virtq_space_ops identity_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "identity",
    .share = identity_share,
    .unshare = identity_unshare,
    .window = identity_window,
};

static struct virtq_space identity = {
    .ops = &identity_ops,
    .linear = {.last = UINTPTR_MAX, .permissions = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE},
    .driver_kind = VIRTQ_SPACE_DIRECT,
    .device_kind = VIRTQ_SPACE_DIRECT,
};
/* [space] */

static void set_up(struct virtq_packed_driver *driver, struct virtq_packed_device *device)
{
    /* [init] */
    struct virtq_driver_config to_drive = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config to_serve = VIRTQ_DEVICE_CONFIG_INIT;

    to_drive.format = VIRTQ_FORMAT_PACKED;
    to_drive.size = QUEUE_SIZE;
    to_drive.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_RING_PACKED);
    to_drive.segments_max = 2;
    to_drive.space = &identity;
    to_drive.areas = (struct virtq_areas){ring.descriptor, &ring.driver, &ring.device};
    check(virtq_packed_driver_init(driver, &to_drive, driver_memory, sizeof(driver_memory)) == 0,
          "the driver's queue");

    to_serve.format = to_drive.format;
    to_serve.size = to_drive.size;
    to_serve.features = to_drive.features;
    to_serve.space = to_drive.space;
    to_serve.areas = to_drive.areas;
    check(virtq_packed_device_init(device, &to_serve, device_memory, sizeof(device_memory), NULL) ==
              0,
          "the device's queue");
    /* [init] */
}

/* [device] */
/* Answers each number with its double. */
static void serve(struct virtq_packed_device *device)
{
    struct virtq_chain chain;
    struct virtq_piece pieces[4];

    while (virtq_packed_device_pop(device, HOW, &chain, 1, pieces, 4) == 1) {
        struct virtq_used_buffer used = {chain.id, 0};
        uint32_t number;

        if (chain.readable == 1 && chain.writable == 1 && pieces[0].len == sizeof(number) &&
            pieces[1].len == sizeof(number)) {
            memcpy(&number, pieces[0].base, sizeof(number)); /* copy first, then look */
            number *= 2;
            memcpy(pieces[1].base, &number, sizeof(number));
            used.len = sizeof(number);
        }
        check(virtq_packed_device_push(device, HOW, &used, 1) == 1, "push");
    }
    (void)virtq_packed_device_publish(device, HOW);
}
/* [device] */

int main(void)
{
    static struct virtq_packed_driver driver;
    static struct virtq_packed_device device;
    uint32_t sum = 0;

    set_up(&driver, &device);
    for (uint32_t number = 0; number < ROUNDS; number++) {
        /* [driver] */
        uint32_t answer = 0;
        struct virtq_segment segments[] = {{.base = &number, .len = sizeof(number)},
                                           {.base = &answer, .len = sizeof(answer)}};
        struct virtq_buffer buffer = {
            .segments = segments, .cookie = &answer, .readable = 1, .writable = 1};
        struct virtq_completion done;

        check(virtq_packed_driver_add(&driver, HOW, &buffer, 1) == 1, "add");
        check(virtq_packed_driver_publish(&driver, HOW) == 1, "publish");
        serve(&device);
        check(virtq_packed_driver_poll(&driver, HOW, &done, 1) == 1, "poll");
        check(done.cookie == &answer && done.len == sizeof(answer), "the completion");
        /* [driver] */
        check(answer == 2 * number, "the answer");
        sum += answer;
    }
    virtq_driver_setup_destroy(&driver.core, HOW);
    printf("%u numbers there and back, sum %u\n", ROUNDS, sum);
    return 0;
}
