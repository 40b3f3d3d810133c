/* SPDX-License-Identifier: BSD-3-Clause */
/* One queue of libvirtq on a transport, in static memory. */
#ifndef PEERS_GUEST_QUEUE_H
#define PEERS_GUEST_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <virtq/virtq.h>

#include "transport.h"

/* What the guest's queues can do, to be accepted where it is offered. */
#define QUEUE_FEATURES                                                           \
    (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) |   \
     VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) | VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) | \
     VIRTQ_FEATURE(VIRTIO_F_IN_ORDER) | VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM) | \
     VIRTQ_FEATURE(VIRTIO_F_NOTIFICATION_DATA))

#define QUEUE_SEGMENTS_MAX 6u

struct queue {
    struct virtq_driver *driver;
    struct transport *transport;
    unsigned index;
    bool sleeps; /* queue_wait() waits for an interrupt, instead of polling */
};

/* Makes a queue and enables it; before transport_start(). */
void queue_open(struct queue *queue, struct transport *transport, unsigned index,
                struct virtq_space *space);

/* Takes the memory of all queues back; after transport_stop(). */
void queue_close_all(void);

/* Adds one buffer; false: there is no room until something comes back. */
bool queue_add(struct queue *queue, const struct virtq_buffer *buffer);

/* Publishes what was added, and notifies the device if it asks for that. */
void queue_kick(struct queue *queue);

/* At least one used buffer, at most `count`; ends the guest if the queue is broken. */
unsigned queue_wait(struct queue *queue, struct virtq_completion *done, unsigned count);

/* " format=... size=... event=... indirect=..." */
void queue_describe(const struct queue *queue);

#endif
