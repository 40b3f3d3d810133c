/* SPDX-License-Identifier: BSD-3-Clause */
/* The device that is fuzzed, and the descriptors that inputs can name. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vhost_user_fuzz.h"

struct fuzz_files fuzz_files;

static void finish(struct virtq_device *device, const struct virtq_chain *chain)
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
    (void)!virtq_device_push(device, &used, 1);
}

static void serve(void *opaque, uint32_t index)
{
    struct fuzz *fuzz = opaque;
    struct virtq_device *device = virtq_vhost_user_vring_device(fuzz->backend, index);
    struct virtq_piece pieces[FUZZ_PIECES];
    struct virtq_chain chain;
    int got;

    virtq_vhost_user_vring_enter(fuzz->backend, index);
    do {
        while ((got = virtq_device_pop(device, &chain, 1, pieces, FUZZ_PIECES)) == 1) {
            fuzz->served++;
            if (fuzz->hold && fuzz->held_count < FUZZ_HELD) {
                unsigned at = fuzz->held_count++;

                memcpy(fuzz->held[at].pieces, pieces, sizeof(pieces));
                fuzz->held[at].chain = chain;
                fuzz->held[at].chain.pieces = fuzz->held[at].pieces;
                fuzz->held[at].ring = index;
            } else {
                finish(device, &chain);
            }
        }
        if (got == VIRTQ_EBROKEN) {
            virtq_vhost_user_vring_error(fuzz->backend, index);
        }
        (void)virtq_device_publish(device);
        (void)virtq_vhost_user_vring_notify(fuzz->backend, index);
    } while (got == 0 && virtq_device_enable_notify(device));
    virtq_vhost_user_vring_leave(fuzz->backend, index);
}

/* Ends what one ring, or each, has kept. */
static void release(struct fuzz *fuzz, uint32_t index)
{
    struct virtq_device *device = virtq_vhost_user_vring_device(fuzz->backend, index);
    unsigned kept = 0;

    if (device == NULL) {
        return;
    }
    virtq_vhost_user_vring_enter(fuzz->backend, index);
    for (unsigned i = 0; i < fuzz->held_count; i++) {
        if (fuzz->held[i].ring == index) {
            finish(device, &fuzz->held[i].chain);
        } else {
            fuzz->held[kept] = fuzz->held[i];
            fuzz->held[kept].chain.pieces = fuzz->held[kept].pieces;
            kept++;
        }
    }
    fuzz->held_count = kept;
    (void)virtq_device_publish(device);
    (void)virtq_vhost_user_vring_notify(fuzz->backend, index);
    virtq_vhost_user_vring_leave(fuzz->backend, index);
}

void fuzz_device_release(struct fuzz *fuzz)
{
    for (uint32_t i = 0; i < FUZZ_RINGS; i++) {
        release(fuzz, i);
    }
}

static int started(void *opaque, uint32_t index)
{
    struct fuzz *fuzz = opaque;

    (void)index;
    fuzz->started++;
    return 0;
}

static void stopping(void *opaque, uint32_t index)
{
    struct fuzz *fuzz = opaque;

    fuzz->stopping++;
    release(fuzz, index);
}

static int config_read(void *opaque, uint32_t offset, void *data, uint32_t len)
{
    memcpy(data, ((struct fuzz *)opaque)->config + offset, len);
    return 0;
}

static int config_write(void *opaque, uint32_t offset, const void *data, uint32_t len,
                        uint32_t flags)
{
    (void)flags;
    memcpy(((struct fuzz *)opaque)->config + offset, data, len);
    return 0;
}

const struct virtq_vhost_user_ops fuzz_ops = {
    .size = sizeof(struct virtq_vhost_user_ops),
    .started = started,
    .stopping = stopping,
    .serve = serve,
    .config_read = config_read,
    .config_write = config_write,
};

void fuzz_files_open(void)
{
    int *kinds = fuzz_files.kinds;
    char path[64];
    int ends[2];

    if (fuzz_files.open) {
        return;
    }
    for (unsigned i = 0; i < FUZZ_KINDS; i++) {
        kinds[i] = -1;
    }
    kinds[FUZZ_MEMORY] = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    kinds[FUZZ_SEALED] = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    kinds[FUZZ_SMALL] = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    kinds[FUZZ_EMPTY] = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (ftruncate(kinds[FUZZ_MEMORY], 1 << 30) != 0 || ftruncate(kinds[FUZZ_SEALED], 1 << 20) ||
        ftruncate(kinds[FUZZ_SMALL], 1 << 16) != 0 ||
        fcntl(kinds[FUZZ_SEALED], F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
        abort();
    }
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", kinds[FUZZ_MEMORY]);
    kinds[FUZZ_READ_ONLY] = open(path, O_RDONLY | O_CLOEXEC);
    kinds[FUZZ_DIRECTORY] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    kinds[FUZZ_NULL] = open("/dev/null", O_RDWR | O_CLOEXEC);
    kinds[FUZZ_PATH] = open("/", O_PATH | O_CLOEXEC);
    if (pipe2(ends, O_CLOEXEC) != 0 || close(ends[1]) != 0) {
        abort();
    }
    kinds[FUZZ_PIPE] = ends[0];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 || close(ends[1]) != 0) {
        abort();
    }
    kinds[FUZZ_SOCKET] = ends[0];
    fuzz_files.open = true;
}

void fuzz_signals_open(struct fuzz *fuzz)
{
    for (unsigned i = 0; i < FUZZ_RINGS; i++) {
        fuzz->kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    fuzz->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fuzz->channel = -1;
    fuzz->far = -1;
}

void fuzz_signals_close(struct fuzz *fuzz)
{
    for (unsigned i = 0; i < FUZZ_RINGS; i++) {
        (void)close(fuzz->kick[i]);
    }
    (void)close(fuzz->call);
    if (fuzz->channel >= 0) {
        (void)close(fuzz->channel);
        (void)close(fuzz->far);
    }
}
