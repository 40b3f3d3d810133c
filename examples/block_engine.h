/* SPDX-License-Identifier: BSD-3-Clause */
/* Carries out a block device's requests on a file: at once what needs not wait, the rest through
 * io_uring. Without HAVE_LIBURING, or where a container's rules forbid it, all is waited for. */
#ifndef VIRTQ_EXAMPLES_BLOCK_ENGINE_H
#define VIRTQ_EXAMPLES_BLOCK_ENGINE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>
#ifdef HAVE_LIBURING
#    include <liburing.h>
#endif
#include <virtq/host/blk_queue.h>
#include <virtq/host/vhost_user_backend.h>

/* Requests in flight; how many are done before the driver is told of them. */
enum { ENGINE_DEPTH = 128, ENGINE_BURST = 16 };

#ifdef HAVE_LIBURING

struct uring {
    struct io_uring ring;
    bool open;
};

static inline void uring_open(struct uring *uring, unsigned depth)
{
    uring->open = io_uring_queue_init(depth, &uring->ring, 0) == 0;
}

static inline void uring_close(struct uring *uring)
{
    if (uring->open) {
        io_uring_queue_exit(&uring->ring);
    }
}

/* Readable when something has completed; -1 if nothing ever will. */
static inline int uring_fd(const struct uring *uring)
{
    return uring->open ? uring->ring.ring_fd : -1;
}

/* False if it cannot be done this way now. `vector` stays as it is until the request completes. */
static inline bool uring_begin(struct uring *uring, struct virtq_blk_request *request, int file,
                               struct iovec *vector, unsigned count, uint32_t flags)
{
    const uint64_t at = request->offset + request->done;
    struct io_uring_sqe *entry = request->range_count == 0 ? io_uring_get_sqe(&uring->ring) : NULL;

    if (entry == NULL) {
        return false;
    }
    if (request->type == VIRTIO_BLK_T_FLUSH) {
        io_uring_prep_fsync(entry, file, IORING_FSYNC_DATASYNC);
    } else if (request->type == VIRTIO_BLK_T_IN) {
        io_uring_prep_readv(entry, file, vector, count, at);
    } else {
        io_uring_prep_writev2(entry, file, vector, count, at,
                              (flags & VIRTQ_BLK_STABLE) != 0 ? RWF_DSYNC : 0);
    }
    io_uring_sqe_set_data(entry, request);
    return true;
}

/* Submits all that was begun, with one call. */
static inline void uring_submit(struct uring *uring)
{
    if (uring->open && io_uring_sq_ready(&uring->ring) != 0) {
        (void)io_uring_submit(&uring->ring);
    }
}

/* The next request that has completed, if not in full: virtq_blk_request_run() does the rest. */
static inline struct virtq_blk_request *uring_next(struct uring *uring)
{
    struct virtq_blk_request *request = NULL;
    struct io_uring_cqe *entry;

    if (uring->open && io_uring_peek_cqe(&uring->ring, &entry) == 0) {
        request = io_uring_cqe_get_data(entry);
        if (entry->res > 0) {
            request->done += (uint64_t)entry->res;
        } else if (entry->res < 0 &&
                   (request->len == 0 || (entry->res != -EAGAIN && entry->res != -EINTR))) {
            request->status = VIRTIO_BLK_S_IOERR;
        }
        io_uring_cqe_seen(&uring->ring, entry);
    }
    return request;
}
#else
struct uring {
    bool open;
};
static inline void uring_open(struct uring *uring, unsigned depth)
{
    (void)depth;
    uring->open = false;
}
static inline void uring_close(struct uring *uring)
{
    (void)uring;
}
static inline int uring_fd(const struct uring *uring)
{
    (void)uring;
    return -1;
}
static inline bool uring_begin(struct uring *uring, struct virtq_blk_request *request, int file,
                               struct iovec *vector, unsigned count, uint32_t flags)
{
    (void)uring, (void)request, (void)file, (void)vector, (void)count, (void)flags;
    return false;
}
static inline void uring_submit(struct uring *uring)
{
    (void)uring;
}
static inline struct virtq_blk_request *uring_next(struct uring *uring)
{
    (void)uring;
    return NULL;
}
#endif

/* What serves one ring. Begin with zeroes. */
struct engine {
    struct virtq_vhost_user_backend *backend;
    uint32_t index; /* The ring's. */
    int file;
    uint32_t flags; /* Of virtq_blk_request_run(). */
    bool untold;    /* Buffers are used, and the driver has not been told. */
    uint32_t drain; /* 1: takes nothing until nothing is in flight, and says so then: */
    int drained;    /* an eventfd. */
    bool log;       /* Note where buffers lie: */
    uint64_t popped, bad, lowest, highest;
    struct virtq_blk_queue *requests;
    void *memory;
    struct uring uring;
};

static inline int engine_open(struct engine *engine, const struct virtq_blk_disk *disk, bool waits)
{
    struct virtq_blk_queue_config config = VIRTQ_BLK_QUEUE_CONFIG_INIT;
    size_t size;

    engine->drained = eventfd(0, EFD_CLOEXEC);
    config.depth = ENGINE_DEPTH;
    config.device = virtq_vhost_user_vring_device(engine->backend, engine->index);
    config.disk = disk;
    config.backend = engine->backend;
    config.index = engine->index;
    size = virtq_blk_queue_size(&config);
    engine->memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    if (waits) {
        uring_open(&engine->uring, ENGINE_DEPTH);
    }
    return virtq_blk_queue_init(engine->memory, size, &config, &engine->requests);
}

static inline void engine_close(struct engine *engine)
{
    uring_close(&engine->uring);
    free(engine->memory);
    (void)close(engine->drained);
}

/* Waits until nothing is in flight; not the engine's own thread, which `wake` has look. */
static inline void engine_drain(struct engine *engine, int wake)
{
    eventfd_t count;

    __atomic_store_n(&engine->drain, 1u, __ATOMIC_RELEASE);
    (void)eventfd_write(wake, 1);
    (void)eventfd_read(engine->drained, &count);
}

/* Readable when something has completed; -1 if nothing ever will by itself. */
static inline int engine_fd(const struct engine *engine)
{
    return uring_fd(&engine->uring);
}

static inline bool engine_busy(const struct engine *engine)
{
    return virtq_blk_queue_busy(engine->requests) != 0;
}

/* What cannot be shown for want of a translation is shown with the next call. */
static inline void engine_publish(struct engine *engine)
{
    engine->untold |= virtq_blk_queue_publish(engine->requests) > 0;
    if (engine->untold && virtq_vhost_user_vring_notify(engine->backend, engine->index) >= 0) {
        engine->untold = false;
    }
}

static inline void engine_finish(struct engine *engine, struct virtq_blk_request *request)
{
    if (virtq_blk_queue_finish(engine->requests, request) == ENGINE_BURST) {
        engine_publish(engine);
    }
}

static inline void engine_begin(struct engine *engine, struct virtq_blk_request *request)
{
    int left = VIRTQ_EBUSY;

    if (engine->uring.open) {
        left = virtq_blk_request_run(request, engine->file, engine->flags | VIRTQ_BLK_NOWAIT);
    }
    if (engine->uring.open && left == VIRTQ_EBUSY) {
        unsigned count;
        struct iovec *vector = virtq_blk_queue_vector(engine->requests, request, &count);

        if (uring_begin(&engine->uring, request, engine->file, vector, count, engine->flags)) {
            return;
        }
    }
    if (left == VIRTQ_EBUSY) {
        (void)virtq_blk_request_run(request, engine->file, engine->flags);
    }
    engine_finish(engine, request);
}

/* Finishes what io_uring has completed. */
static inline bool engine_reap(struct engine *engine)
{
    struct virtq_blk_request *request;
    bool any = false;

    while ((request = uring_next(&engine->uring)) != NULL) {
        if (request->status == VIRTIO_BLK_S_OK && request->done < request->len) {
            (void)virtq_blk_request_run(request, engine->file, engine->flags);
        }
        engine_finish(engine, request);
        any = true;
    }
    return any;
}

/* Notes where in the guest's memory a buffer lies. */
static inline void engine_note(struct engine *engine, const struct virtq_chain *chain)
{
    for (uint32_t i = 0; i < chain->readable + chain->writable; i++) {
        virtq_addr_t first;

        if (virtq_vhost_user_backend_locate(engine->backend, chain->pieces[i].base, &first) == 1) {
            const uint64_t last = first + chain->pieces[i].len - 1;

            engine->highest = last > engine->highest ? last : engine->highest;
            engine->lowest = engine->lowest == 0 || first < engine->lowest ? first : engine->lowest;
        }
    }
    engine->popped++;
    engine->bad += chain->reason != VIRTQ_REASON_NONE;
}

/* Does all that there is to do, within a burst. 1: something was done; 0: nothing; VIRTQ_EMISS or
 * VIRTQ_EBROKEN: nothing can be taken. */
static inline int engine_burst(struct engine *engine, bool takes)
{
    const bool drains = __atomic_load_n(&engine->drain, __ATOMIC_ACQUIRE) != 0;
    bool busy = engine_reap(engine);
    struct virtq_blk_request *request;
    int got = 0;

    while (takes && !drains && (got = virtq_blk_queue_pop(engine->requests, &request)) == 1) {
        if (engine->log) {
            engine_note(engine, &request->chain);
        }
        engine_begin(engine, request);
        busy = true;
    }
    uring_submit(&engine->uring);
    engine_publish(engine);
    if (drains && !engine_busy(engine)) {
        __atomic_store_n(&engine->drain, 0u, __ATOMIC_RELEASE);
        (void)eventfd_write(engine->drained, 1);
        return 1;
    }
    return got < 0 ? got : busy;
}

/* A burst of its own; takes new requests if it may; before a sleep also asks for kicks. 1: look
 * again at once; else as above. */
static inline int engine_look(struct engine *engine, bool takes, bool sleepy)
{
    struct virtq_device *device = virtq_vhost_user_vring_device(engine->backend, engine->index);
    int done;

    takes = takes && virtq_vhost_user_vring_enabled(engine->backend, engine->index);
    virtq_vhost_user_vring_enter(engine->backend, engine->index);
    done = engine_burst(engine, takes);
    if (done == VIRTQ_EBROKEN) {
        virtq_vhost_user_vring_error(engine->backend, engine->index);
    } else if (takes && done == 1) {
        virtq_device_disable_notify(device);
    } else if (takes && sleepy) {
        done = virtq_device_enable_notify(device);
    }
    virtq_vhost_user_vring_leave(engine->backend, engine->index);
    return done;
}

#endif
