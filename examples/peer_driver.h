/* SPDX-License-Identifier: BSD-3-Clause */
/* The other end for device.c: a guest in the same program. Its memory is one block, which it knows
 * by guest-physical addresses from GUEST_BASE on; its queue and its texts lie there. */
#ifndef EXAMPLES_PEER_DRIVER_H
#define EXAMPLES_PEER_DRIVER_H

#include <stdbool.h>
#include <string.h>
#include <virtq/virtq.h>

#include "support.h"

#define GUEST_BASE 0x40000000u
#define GUEST_SIZE 65536u
#define GUEST_QUEUE_SIZE 16u
#define GUEST_TEXTS 8u
#define GUEST_TEXT 32u

struct guest_text {
    char question[GUEST_TEXT];
    char answer[GUEST_TEXT];
};

struct peer_driver {
    unsigned char *memory; /* guest memory, as this program sees it */
    struct guest_text *texts;
    struct virtq_direct direct;
    struct virtq_driver_config config;
    struct virtq_driver *driver;
    void *private_memory;
    bool notified;    /* the device's doorbell was rung */
    bool interrupted; /* and the guest's */
};

static inline void peer_driver_open(struct peer_driver *peer, enum virtq_format format)
{
    struct virtq_driver_config *config = &peer->config;
    struct virtq_layout layout;
    size_t size;

    memset(peer, 0, sizeof(*peer));
    peer->memory = memory(GUEST_SIZE, 4096);
    memset(peer->memory, 0, GUEST_SIZE);
    check(virtq_direct_init(&peer->direct, peer->memory, GUEST_BASE, GUEST_BASE + GUEST_SIZE - 1,
                            VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE) == VIRTQ_OK,
          "guest memory");
    check(virtq_layout_init(format, GUEST_QUEUE_SIZE, &layout) == VIRTQ_OK, "layout");
    *config = (struct virtq_driver_config)VIRTQ_DRIVER_CONFIG_INIT;
    config->format = (uint32_t)format;
    config->size = GUEST_QUEUE_SIZE;
    config->features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX);
    config->features |=
        format == VIRTQ_FORMAT_PACKED ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : (uint64_t)0;
    config->segments_max = 2;
    config->space = &peer->direct.space;
    virtq_layout_areas(&layout, peer->memory, &config->areas);
    peer->texts = (struct guest_text *)(void *)(peer->memory + (layout.size + 4095) / 4096 * 4096);
    size = virtq_driver_size(config);
    peer->private_memory = memory(size, VIRTQ_CACHE_LINE);
    check(virtq_driver_init(peer->private_memory, size, config, &peer->driver) == VIRTQ_OK,
          "the driver's queue");
}

static inline void peer_driver_close(struct peer_driver *peer)
{
    virtq_driver_destroy(peer->driver);
    free(peer->private_memory);
    free(peer->memory);
}

static inline void peer_driver_add(struct peer_driver *peer, const struct virtq_buffer *buffer)
{
    check(virtq_driver_add(peer->driver, buffer, 1) == 1, "the guest's buffer");
    virtq_driver_publish(peer->driver);
    peer->notified |= virtq_driver_needs_notify(peer->driver, NULL);
}

/* The guest sends a text. */
static inline void peer_driver_send(struct peer_driver *peer, unsigned index, const char *question)
{
    struct guest_text *text = &peer->texts[index];
    struct virtq_segment segments[] = {{.base = text->question, .len = GUEST_TEXT},
                                       {.base = text->answer, .len = GUEST_TEXT}};
    struct virtq_buffer buffer = {
        .segments = segments, .cookie = text, .readable = 1, .writable = 1};

    check(strlen(question) < GUEST_TEXT, "the text fits");
    memset(text, 0, sizeof(*text));
    memcpy(text->question, question, strlen(question));
    peer_driver_add(peer, &buffer);
}

/* The guest names an address just below its memory: the device must not touch it. */
static inline void peer_driver_send_stray(struct peer_driver *peer)
{
    struct virtq_segment stray = {.addr = GUEST_BASE - 4096u, .len = 64};
    struct virtq_buffer buffer = {
        .segments = &stray, .writable = 1, .flags = VIRTQ_BUFFER_PREMAPPED};

    peer_driver_add(peer, &buffer);
}

/* The guest takes one used buffer: its cookie, and how much the device wrote. */
static inline uint32_t peer_driver_receive(struct peer_driver *peer, struct guest_text **text)
{
    struct virtq_completion done;

    check(virtq_driver_poll(peer->driver, &done, 1) == 1, "the guest's poll");
    if (text != NULL) {
        *text = done.cookie;
    }
    return done.len;
}

/* Where a VMM waits for an ioeventfd. False once there is nothing more to wait for. */
static inline bool peer_driver_wait(struct peer_driver *peer)
{
    bool notified = peer->notified;

    peer->notified = false;
    return notified;
}

/* The guest breaks the rules: an index far ahead (split), or a list that does not go on (packed).
 */
static inline void peer_driver_misbehave(struct peer_driver *peer)
{
    struct virtq_state state;

    check(virtq_driver_save(peer->driver, &state) == VIRTQ_OK, "the guest is at rest");
    if (peer->config.format == VIRTQ_FORMAT_SPLIT) {
        unsigned char *index = (unsigned char *)peer->config.areas.driver + 2;

        index[0] = 0xff;
        index[1] = 0xff;
    } else {
        unsigned char *desc =
            (unsigned char *)peer->config.areas.descriptor + (state.available & 0x7fff) * 16;

        check((state.available & 0x8000) != 0, "the first time round");
        desc[14] = 0x81; /* AVAIL and NEXT */
        desc[15] = 0;
    }
}

/* The guest starts its queue anew. */
static inline void peer_driver_reset(struct peer_driver *peer)
{
    void *cookie;

    while (virtq_driver_detach(peer->driver, &cookie) == 1) {
    }
    check(virtq_driver_reset(peer->driver) == VIRTQ_OK, "the guest's reset");
}

#endif
