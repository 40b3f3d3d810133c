/* SPDX-License-Identifier: BSD-3-Clause */
/* The other end for driver.c: a device in the same program, which answers each text in capitals. It
 * stands for the transport too: it is notified, and it interrupts. */
#ifndef EXAMPLES_PEER_DEVICE_H
#define EXAMPLES_PEER_DEVICE_H

#include <stdbool.h>
#include <string.h>
#include <virtq/virtq.h>

#include "support.h"

struct peer_device {
    struct virtq_device *device;
    struct virtq_areas areas;
    void *private_memory;
    uint32_t format;
    uint32_t size;
    bool notified;
};

/* What a driver negotiates is what its device has. */
static inline void peer_device_open(struct peer_device *peer,
                                    const struct virtq_driver_config *driver)
{
    struct virtq_device_config config = VIRTQ_DEVICE_CONFIG_INIT;
    size_t size;

    config.format = driver->format;
    config.size = driver->size;
    config.features = driver->features;
    config.space = driver->space;
    config.areas = driver->areas;
    size = virtq_device_size(&config);
    memset(peer, 0, sizeof(*peer));
    peer->areas = driver->areas;
    peer->format = driver->format;
    peer->size = driver->size;
    peer->private_memory = memory(size, VIRTQ_CACHE_LINE);
    check(virtq_device_init(peer->private_memory, size, &config, &peer->device, NULL) == VIRTQ_OK,
          "the device's queue");
    check(!virtq_device_enable_notify(peer->device), "an empty queue");
}

static inline void peer_device_close(struct peer_device *peer)
{
    free(peer->private_memory);
}

/* What a write to the device's doorbell does. */
static inline void peer_device_notify(struct peer_device *peer)
{
    peer->notified = true;
}

static inline uint32_t peer_device_answer(const struct virtq_chain *chain)
{
    struct virtq_cursor reader = virtq_chain_reader(chain);
    struct virtq_cursor writer = virtq_chain_writer(chain);
    char letter;

    while (virtq_cursor_read(&reader, &letter, 1) == 1) {
        letter = (char)(letter >= 'a' && letter <= 'z' ? letter - 'a' + 'A' : letter);
        if (virtq_cursor_write(&writer, &letter, 1) == 0) {
            break;
        }
    }
    return (uint32_t)virtq_cursor_moved(&writer);
}

/* Serves what is there. Returns whether the driver wants an interrupt for it. */
static inline bool peer_device_serve(struct peer_device *peer)
{
    struct virtq_chain chain;
    struct virtq_piece pieces[8];
    bool interrupt = false;

    do {
        while (virtq_device_pop(peer->device, &chain, 1, pieces, 8) == 1) {
            struct virtq_used_buffer used = {chain.id, peer_device_answer(&chain)};

            check(virtq_device_push(peer->device, &used, 1) == 1, "push");
        }
        (void)virtq_device_publish(peer->device);
        interrupt |= virtq_device_needs_notify(peer->device) == 1;
    } while (virtq_device_enable_notify(peer->device));
    return interrupt;
}

/* Sleeps until the device interrupts. A driver that would sleep for ever is an error here. */
static inline void peer_device_wait(struct peer_device *peer)
{
    check(peer->notified, "the device was not notified and sleeps");
    peer->notified = false;
    check(peer_device_serve(peer), "the device did not interrupt");
}

/* Breaks the rules: says that it used buffers that it never got. */
static inline void peer_device_misbehave(struct peer_device *peer)
{
    if (peer->format == VIRTQ_FORMAT_SPLIT) {
        memset((unsigned char *)peer->areas.device + 2, 0xff, 2); /* the used index */
    } else {
        memset(peer->areas.descriptor, 0xff, peer->size * 16u); /* flags: used; id: 65535 */
    }
}

/* What a device does when its queue is reset: forget everything. */
static inline void peer_device_reset(struct peer_device *peer)
{
    peer->notified = false;
    virtq_device_reset(peer->device);
}

#endif
