/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The parts of a front-end made of bytes: its descriptors, and the device at the other end.
 */
#ifndef VIRTQ_TESTS_FUZZ_VHOST_USER_FUZZ_H
#define VIRTQ_TESTS_FUZZ_VHOST_USER_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "virtq/host/vhost_user_backend.h"
#include "virtq/virtq.h"

enum { FUZZ_RINGS = 2, FUZZ_FDS = VIRTQ_VHOST_USER_FDS_MAX + 1, FUZZ_HELD = 8, FUZZ_PIECES = 8 };

/** @brief Where a good front-end has what is at the guest's address 0. */
#define FUZZ_USER UINT64_C(0x100000000000)

#define FUZZ_FEATURES                                                            \
    (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) |   \
     VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) | \
     VIRTQ_FEATURE(VIRTIO_F_IN_ORDER) | UINT64_C(0xffffff))

/** @brief Kinds of descriptors, as inputs name them. */
enum fuzz_kind {
    FUZZ_MEMORY,
    FUZZ_SEALED,
    FUZZ_KICK_0,
    FUZZ_KICK_1,
    FUZZ_CALL,
    FUZZ_CHANNEL, /**< For the back-end's requests. */
    FUZZ_SMALL,   /**< A file of 64 KiB. */
    FUZZ_EMPTY,   /**< A file of none. */
    FUZZ_READ_ONLY,
    FUZZ_PIPE, /**< Whose other end is closed. */
    FUZZ_DIRECTORY,
    FUZZ_NULL,
    FUZZ_SOCKET, /**< Whose other end is closed. */
    FUZZ_PATH,   /**< One that can do nothing. */
    FUZZ_KINDS
};

/** @brief Those that keep no state. */
struct fuzz_files {
    int kinds[FUZZ_KINDS];
    bool open;
};
extern struct fuzz_files fuzz_files;

struct fuzz_input {
    const uint8_t *bytes;
    size_t left;
};

/** @brief One input's connection. */
struct fuzz {
    struct virtq_vhost_user_backend *backend;
    int socket;
    int kick[FUZZ_RINGS];
    int call;
    int channel; /**< The near end of FUZZ_CHANNEL, ... */
    int far;     /**< ... and the one that is sent. */
    unsigned started, stopping, served;
    bool hold;
    bool caught; /**< Memory may go. */
    struct {
        struct virtq_chain chain;
        struct virtq_piece pieces[FUZZ_PIECES];
        uint32_t ring;
    } held[FUZZ_HELD];
    unsigned held_count;
    unsigned char config[256];
};

/** @brief The device: gives back what it reads, inverted. */
extern const struct virtq_vhost_user_ops fuzz_ops;

void fuzz_files_open(void);
void fuzz_signals_open(struct fuzz *fuzz);
void fuzz_signals_close(struct fuzz *fuzz);
/** @brief Ends the buffers that were kept. */
void fuzz_device_release(struct fuzz *fuzz);
#endif
