/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The device of the tests: a back-end that gives back each buffer's bytes inverted, and what
 * it was told.
 */
#ifndef VIRTQ_TESTS_HOST_FRONTEND_DEVICE_H
#define VIRTQ_TESTS_HOST_FRONTEND_DEVICE_H

#include <stdbool.h>
#include <string.h>

#include "runner.h"
#include "virtq/host/vhost_user_backend.h"
#include "virtq/virtq.h"

enum {
    FRONTEND_RINGS = 2,
    FRONTEND_REGION = 1 << 20,
    FRONTEND_HELD = 8, /* Buffers that the device keeps when it is told to. */
    FRONTEND_CONFIG = 60
};

#define FRONTEND_OFFERED                                                       \
    (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) | \
     VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) | 1)
#define FRONTEND_PROTOCOL VIRTQ_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES)

/* Where the two regions lie, in the guest and in the front-end. */
static const uint64_t frontend_guest[2] = {0x100000, UINT64_C(0x100000000)};
static const uint64_t frontend_user[2] = {UINT64_C(0x7f0000000000), UINT64_C(0x600000000000)};

struct frontend {
    struct virtq_vhost_user_backend *backend;
    void *memory;
    int socket;
    int file;             /* The guest's memory: both regions, one after the other. */
    unsigned char *guest; /* The same, here. */
    struct virtq_direct space;
    struct virtq_region regions[2];
    struct virtq_driver *driver[FRONTEND_RINGS];
    void *driver_memory[FRONTEND_RINGS];
    int kick[FRONTEND_RINGS];
    int call[FRONTEND_RINGS];
    struct virtq_layout layout;
    uint64_t more;      /* Features that are offered beyond FRONTEND_OFFERED. */
    uint64_t ring_base; /* Where the first region is, in a ring's addresses. */
    /* What the device was told. */
    unsigned started, stopping, resets, refused;
    uint64_t features;
    uint32_t last_refusal;
    bool hold;   /* Keep buffers instead of answering. */
    bool refuse; /* Start nothing. */
    struct virtq_chain held[FRONTEND_HELD];
    struct virtq_piece held_pieces[FRONTEND_HELD][4];
    unsigned held_count;
    unsigned char config[FRONTEND_CONFIG];
};

static inline void frontend_finish(struct virtq_device *device, const struct virtq_chain *chain)
{
    struct virtq_cursor reader = virtq_chain_reader(chain);
    struct virtq_cursor writer = virtq_chain_writer(chain);
    struct virtq_used_buffer used = {chain->id, 0};
    unsigned char bytes[64];
    uint64_t count = virtq_cursor_read(&reader, bytes, sizeof(bytes));

    for (uint64_t i = 0; i < count; i++) {
        bytes[i] = (unsigned char)~bytes[i];
    }
    used.len = (uint32_t)virtq_cursor_write(&writer, bytes, count);
    cr_assert_eq(virtq_device_push(device, &used, 1), 1);
}

static inline void frontend_release(struct frontend *f, uint32_t index)
{
    struct virtq_device *device = virtq_vhost_user_vring_device(f->backend, index);

    virtq_vhost_user_vring_enter(f->backend, index);
    for (unsigned i = 0; i < f->held_count; i++) {
        f->held[i].pieces = f->held_pieces[i];
        frontend_finish(device, &f->held[i]);
    }
    f->held_count = 0;
    cr_assert(virtq_device_publish(device) >= 0);
    (void)virtq_vhost_user_vring_notify(f->backend, index);
    virtq_vhost_user_vring_leave(f->backend, index);
}

static inline void frontend_serve(void *opaque, uint32_t index)
{
    struct frontend *f = opaque;
    struct virtq_device *device = virtq_vhost_user_vring_device(f->backend, index);
    struct virtq_chain chain;
    struct virtq_piece pieces[4];
    int got;

    virtq_vhost_user_vring_enter(f->backend, index);
    do {
        while ((got = virtq_device_pop(device, &chain, 1, pieces, 4)) == 1) {
            if (f->hold) {
                cr_assert(f->held_count < FRONTEND_HELD);
                memcpy(f->held_pieces[f->held_count], pieces, sizeof(pieces));
                f->held[f->held_count++] = chain;
            } else {
                frontend_finish(device, &chain);
            }
        }
        if (got == VIRTQ_EBROKEN) {
            virtq_vhost_user_vring_error(f->backend, index);
            break;
        }
        (void)virtq_device_publish(device);
        (void)virtq_vhost_user_vring_notify(f->backend, index);
    } while (got == 0 && virtq_device_enable_notify(device));
    virtq_vhost_user_vring_leave(f->backend, index);
}

static inline void frontend_features(void *opaque, uint64_t features)
{
    ((struct frontend *)opaque)->features = features;
}

static inline int frontend_started(void *opaque, uint32_t index)
{
    struct frontend *f = opaque;

    cr_assert(virtq_vhost_user_vring_device(f->backend, index) != NULL);
    f->started++;
    return f->refuse ? -1 : 0;
}

static inline void frontend_stopping(void *opaque, uint32_t index)
{
    struct frontend *f = opaque;

    f->stopping++;
    if (f->held_count != 0) {
        frontend_release(f, index);
    }
}

static inline int frontend_config_read(void *opaque, uint32_t offset, void *data, uint32_t len)
{
    struct frontend *f = opaque;

    cr_assert(offset <= FRONTEND_CONFIG && len <= FRONTEND_CONFIG - offset);
    memcpy(data, f->config + offset, len);
    return 0;
}

static inline int frontend_config_write(void *opaque, uint32_t offset, const void *data,
                                        uint32_t len, uint32_t flags)
{
    struct frontend *f = opaque;

    (void)flags;
    cr_assert(offset <= FRONTEND_CONFIG && len <= FRONTEND_CONFIG - offset);
    if (offset == 0) {
        return -1; /* The first byte is read-only. */
    }
    memcpy(f->config + offset, data, len);
    return 0;
}

static inline void frontend_reset(void *opaque)
{
    ((struct frontend *)opaque)->resets++;
}

static inline void frontend_refused(void *opaque, uint32_t request, uint32_t refusal)
{
    struct frontend *f = opaque;

    (void)request;
    f->refused++;
    f->last_refusal = refusal;
}

static const struct virtq_vhost_user_ops frontend_ops = {
    .size = sizeof(struct virtq_vhost_user_ops),
    .features = frontend_features,
    .started = frontend_started,
    .stopping = frontend_stopping,
    .serve = frontend_serve,
    .config_read = frontend_config_read,
    .config_write = frontend_config_write,
    .reset = frontend_reset,
    .refused = frontend_refused,
};

#endif
