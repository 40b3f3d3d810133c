/* SPDX-License-Identifier: BSD-3-Clause */
/* One queue of libvirtq on a transport, in static memory. */
#ifndef PEERS_GUEST_QUEUE_H
#define PEERS_GUEST_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <virtq/virtq.h>

#include "memory.h"
#include "transport.h"

/* What the guest's queues can do, to be accepted where it is offered. A device behind an IOMMU
 * insists on ACCESS_PLATFORM; the space then says what its addresses are. */
#define QUEUE_FEATURES                                                                \
    (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) |        \
     VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) | VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) |      \
     VIRTQ_FEATURE(VIRTIO_F_IN_ORDER) | VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM) |      \
     VIRTQ_FEATURE(VIRTIO_F_NOTIFICATION_DATA) | VIRTQ_FEATURE(VIRTIO_F_RING_RESET) | \
     VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM))

#define QUEUE_SEGMENTS_MAX 6u

struct queue {
    struct virtq_driver *driver;
    struct transport *transport;
    unsigned index;
    bool sleeps; /* queue_wait() waits for an interrupt, instead of polling */
    struct virtq_driver_config config;
    struct memory_mark memory; /* how much was taken before it came */
};

/* Makes a queue and enables it; before transport_start(). */
void queue_open(struct queue *queue, struct transport *transport, unsigned index,
                struct virtq_space *space);

/* Takes its memory back; after transport_stop(), the last that was opened first. */
void queue_close(struct queue *queue);

/* Resets one queue while the device goes on, and enables it anew, half as large (in order: as
 * large); returns how many buffers the device had not used. */
unsigned queue_restart(struct queue *queue);

/* Adds one buffer; false: there is no room until something comes back. */
bool queue_add(struct queue *queue, const struct virtq_buffer *buffer);

/* Publishes what was added, and notifies the device if it asks for that. */
void queue_kick(struct queue *queue);

/* At least one used buffer, at most `count`; ends the guest if the queue is broken. */
unsigned queue_wait(struct queue *queue, struct virtq_completion *done, unsigned count);

/* " format=... size=... event=... indirect=..." */
void queue_describe(const struct queue *queue);

#endif
