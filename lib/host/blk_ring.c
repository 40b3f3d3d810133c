/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/host/blk_ring.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "align.h"
#include "blk_queue_private.h"
#include "virtq/error.h"

/* Entries of a vector that a call takes: the system's UIO_MAXIOV. */
enum { ENTRIES_MAX = 1024 };

struct virtq_blk_ring {
    struct virtq_vhost_user_backend *backend;
    struct virtq_device *device;
    struct virtq_blk_queue *requests;
    struct virtq_blk_carrier_ops carrier; /* Without `begin`: there is none. */
    void *carrier_opaque;
    uint32_t index;
    uint32_t run_flags; /* Of virtq_blk_request_run(). */
    uint32_t burst;
    uint32_t polls;
    uint32_t depth;
    int file;
    bool locates;
    bool shut;   /* For now nothing is taken, whatever there is. */
    bool untold; /* Buffers are used, and the driver has not been told. */
    bool deaf;   /* No kick will ever come from where they come now. */
    virtq_addr_t lowest;
    virtq_addr_t highest;
    int wake;    /* An eventfd: look at everything again. */
    int drained; /* An eventfd: what `drain` asked for is so. */
    /* Of several threads: */
    uint32_t stop;
    uint32_t drain; /* Take nothing until nothing is in flight, and say so then. */
    uint32_t runs;
};

VIRTQ_API size_t virtq_blk_ring_size(const struct virtq_blk_ring_config *config)
{
    struct virtq_blk_queue_config queue = VIRTQ_BLK_QUEUE_CONFIG_INIT;
    const uint32_t known = (uint32_t)VIRTQ_BLK_RING_STABLE | (uint32_t)VIRTQ_BLK_RING_LOCATE;
    size_t size;

    queue.depth = config->depth;
    queue.pieces = config->pieces;
    size = virtq_blk_queue_size(&queue);
    if (config->struct_size != sizeof(*config) || size == 0 || config->burst == 0 ||
        (config->flags & ~known) != 0) {
        return 0;
    }
    return virtq_priv_align_up(sizeof(struct virtq_blk_ring)) + virtq_priv_align_up(size);
}

/* The requests' memory lies behind the ring's own. */
static int make_queue(struct virtq_blk_ring *ring, size_t size,
                      const struct virtq_blk_ring_config *config)
{
    const size_t own = virtq_priv_align_up(sizeof(*ring));
    struct virtq_blk_queue_config queue = VIRTQ_BLK_QUEUE_CONFIG_INIT;

    queue.depth = config->depth;
    queue.pieces = config->pieces;
    queue.device = ring->device;
    queue.disk = config->disk;
    queue.backend = config->backend;
    queue.index = config->index;
    return virtq_blk_queue_init((unsigned char *)ring + own, size - own, &queue, &ring->requests);
}

VIRTQ_API int virtq_blk_ring_init(void *memory, size_t size,
                                  const struct virtq_blk_ring_config *config,
                                  struct virtq_blk_ring **ring)
{
    const size_t needed = virtq_blk_ring_size(config);
    struct virtq_blk_ring *made = memory;
    int error;

    if (needed == 0 || memory == NULL || (uintptr_t)memory % VIRTQ_CACHE_LINE != 0 ||
        config->backend == NULL || config->disk == NULL || config->file < 0) {
        return VIRTQ_EINVAL;
    }
    if (size < needed) {
        return VIRTQ_ENOMEM;
    }
    memset(made, 0, sizeof(*made));
    made->backend = config->backend;
    made->device = virtq_vhost_user_vring_device(config->backend, config->index);
    made->index = config->index;
    made->run_flags = (config->flags & (uint32_t)VIRTQ_BLK_RING_STABLE) != 0 ? VIRTQ_BLK_STABLE : 0;
    made->burst = config->burst;
    made->polls = config->polls;
    made->depth = config->depth;
    made->file = config->file;
    made->locates = (config->flags & (uint32_t)VIRTQ_BLK_RING_LOCATE) != 0;
    made->lowest = UINT64_MAX;
    error = made->device == NULL ? VIRTQ_EINVAL : make_queue(made, size, config);
    if (error != VIRTQ_OK) {
        return error;
    }
    made->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    made->drained = eventfd(0, EFD_CLOEXEC);
    if (made->wake < 0 || made->drained < 0) {
        virtq_blk_ring_fini(made);
        return VIRTQ_ENOMEM;
    }
    *ring = made;
    return VIRTQ_OK;
}

VIRTQ_API int virtq_blk_ring_carry(struct virtq_blk_ring *ring,
                                   const struct virtq_blk_carrier_ops *carrier, void *opaque)
{
    if (carrier->size < sizeof(*carrier) || carrier->begin == NULL || carrier->submit == NULL ||
        carrier->next == NULL || carrier->fd == NULL) {
        return VIRTQ_EINVAL;
    }
    ring->carrier = *carrier;
    ring->carrier_opaque = opaque;
    return VIRTQ_OK;
}

VIRTQ_API void virtq_blk_ring_fini(struct virtq_blk_ring *ring)
{
    if (ring->wake >= 0) {
        (void)close(ring->wake);
    }
    if (ring->drained >= 0) {
        (void)close(ring->drained);
    }
}

VIRTQ_API void virtq_blk_ring_wake(struct virtq_blk_ring *ring)
{
    (void)eventfd_write(ring->wake, 1);
}

VIRTQ_API void virtq_blk_ring_stop(struct virtq_blk_ring *ring)
{
    __atomic_store_n(&ring->stop, 1u, __ATOMIC_RELEASE);
    virtq_blk_ring_wake(ring);
}

/* Whoever takes the wish back sees to it. */
static bool take_wish(struct virtq_blk_ring *ring)
{
    return __atomic_exchange_n(&ring->drain, 0u, __ATOMIC_SEQ_CST) != 0;
}

VIRTQ_API void virtq_blk_ring_drain(struct virtq_blk_ring *ring)
{
    eventfd_t count;

    __atomic_store_n(&ring->drain, 1u, __ATOMIC_SEQ_CST);
    /* Pairs with the end of virtq_blk_ring_run(): either it is seen here that nobody runs the ring,
     * and then nothing is in flight, or the wish is seen there. */
    if (__atomic_load_n(&ring->runs, __ATOMIC_SEQ_CST) == 0 && take_wish(ring)) {
        return;
    }
    virtq_blk_ring_wake(ring);
    while (eventfd_read(ring->drained, &count) != 0 && errno == EINTR) {
    }
}

static void say_drained(struct virtq_blk_ring *ring)
{
    if (take_wish(ring)) {
        (void)eventfd_write(ring->drained, 1);
    }
}

/* What cannot be shown for want of a translation is shown with the next call. */
static void publish(struct virtq_blk_ring *ring)
{
    ring->untold |= virtq_blk_queue_publish(ring->requests) > 0;
    if (ring->untold && virtq_vhost_user_vring_notify(ring->backend, ring->index) >= 0) {
        ring->untold = false;
    }
}

static void finish(struct virtq_blk_ring *ring, struct virtq_blk_request *request)
{
    if (virtq_blk_queue_finish(ring->requests, request) == ring->burst) {
        publish(ring);
    }
}

/* Notes where in the guest's memory a request lies. */
static void locate(struct virtq_blk_ring *ring, const struct virtq_chain *chain)
{
    uint32_t i;

    for (i = 0; i < chain->readable + chain->writable; i++) {
        virtq_addr_t first;

        if (virtq_vhost_user_backend_locate(ring->backend, chain->pieces[i].base, &first) == 1) {
            const virtq_addr_t last = first + chain->pieces[i].len - 1;

            ring->highest = last > ring->highest ? last : ring->highest;
            ring->lowest = first < ring->lowest ? first : ring->lowest;
        }
    }
}

/* Whether a request that would have to be waited for is carried out by somebody else. */
static bool hand_over(struct virtq_blk_ring *ring, struct virtq_blk_request *request)
{
    struct iovec *vector;
    unsigned count;

    if (request->range_count != 0) {
        return false;
    }
    vector = virtq_blk_queue_vector(ring->requests, request, &count);
    /* What does not go into one call settle() does. */
    count = count < ENTRIES_MAX ? count : ENTRIES_MAX;
    return ring->carrier.begin(ring->carrier_opaque, request, ring->file, vector, count,
                               ring->run_flags) != 0;
}

static void begin(struct virtq_blk_ring *ring, struct virtq_blk_request *request)
{
    if (ring->carrier.begin == NULL) {
        (void)virtq_blk_request_run(request, ring->file, ring->run_flags);
    } else if (virtq_blk_request_run(request, ring->file, ring->run_flags | VIRTQ_BLK_NOWAIT) ==
               VIRTQ_EBUSY) {
        if (hand_over(ring, request)) {
            return;
        }
        (void)virtq_blk_request_run(request, ring->file, ring->run_flags);
    }
    finish(ring, request);
}

/* A request that the carrier has left: what it could not do for the moment, or not to the end, is
 * waited for. A flush is done or not. */
static void settle(struct virtq_blk_ring *ring, struct virtq_blk_request *request, int64_t result)
{
    if (result > 0) {
        request->done += (uint64_t)result;
    } else if (result < 0 && (request->len == 0 || (result != -EAGAIN && result != -EINTR))) {
        request->status = VIRTIO_BLK_S_IOERR;
    }
    if (request->status == VIRTIO_BLK_S_OK && request->done < request->len) {
        (void)virtq_blk_request_run(request, ring->file, ring->run_flags);
    }
    finish(ring, request);
}

static bool reap(struct virtq_blk_ring *ring)
{
    struct virtq_blk_request *request;
    int64_t result = 0;
    bool any = false;

    while (ring->carrier.next != NULL &&
           (request = ring->carrier.next(ring->carrier_opaque, &result)) != NULL) {
        settle(ring, request, result);
        any = true;
    }
    return any;
}

/* Does all that there is to do, within a burst. 1: something was done; 0: nothing; VIRTQ_EMISS or
 * VIRTQ_EBROKEN: nothing can be taken. */
static int work(struct virtq_blk_ring *ring, bool takes)
{
    const bool drains = __atomic_load_n(&ring->drain, __ATOMIC_SEQ_CST) != 0;
    struct virtq_blk_request *request;
    bool busy = reap(ring);
    uint32_t room = takes && !drains ? ring->depth : 0;
    int got = 0;

    /* A driver that adds as fast as they are done has no burst of its own go on for ever: who
     * withdraws memory waits for its end, and who stops or drains the ring for the next look. */
    for (; room != 0 && (got = virtq_blk_queue_pop(ring->requests, &request)) == 1; room--) {
        if (ring->locates) {
            locate(ring, &request->chain);
        }
        begin(ring, request);
        busy = true;
    }
    if (ring->carrier.submit != NULL && ring->carrier.submit(ring->carrier_opaque) != 0) {
        busy = true; /* Nothing would end a sleep. */
    }
    if (!takes) {
        virtq_blk_queue_give_up(ring->requests);
    }
    publish(ring);
    ring->shut = drains || virtq_priv_blk_queue_full(ring->requests);
    if (drains && virtq_blk_queue_busy(ring->requests) == 0) {
        say_drained(ring);
        return 1;
    }
    return got < 0 ? got : busy;
}

/* A burst of its own; takes new requests if it may; before a sleep also asks for kicks. 1: look
 * again at once; else as above. */
static int look(struct virtq_blk_ring *ring, bool takes, bool sleepy)
{
    int done;

    takes = takes && virtq_vhost_user_vring_enabled(ring->backend, ring->index);
    virtq_vhost_user_vring_enter(ring->backend, ring->index);
    done = work(ring, takes);
    if (done == VIRTQ_EBROKEN) {
        virtq_vhost_user_vring_error(ring->backend, ring->index);
    } else if (takes && done == 1) {
        virtq_device_disable_notify(ring->device);
    } else if (takes && sleepy && done == 0 && !ring->shut) {
        /* Else a kick is of no use, and what waits to be taken would keep the thread awake. */
        done = virtq_device_enable_notify(ring->device);
    }
    virtq_vhost_user_vring_leave(ring->backend, ring->index);
    return done;
}

/* Until there may be something to do. Where no kicks come from, looks every now and then. */
static void rest(struct virtq_blk_ring *ring)
{
    const int kick = ring->deaf ? -1 : virtq_vhost_user_vring_kick_fd(ring->backend, ring->index);
    const int end = ring->carrier.fd != NULL ? ring->carrier.fd(ring->carrier_opaque) : -1;
    struct pollfd ready[] = {{ring->wake, POLLIN, 0}, {kick, POLLIN, 0}, {end, POLLIN, 0}};
    eventfd_t count;

    (void)poll(ready, 3, kick < 0 ? 1 : -1);
    if (ready[1].revents != 0) {
        ring->deaf = virtq_vhost_user_vring_take_kick(ring->backend, ring->index) == VIRTQ_EPEER;
    }
    if (ready[0].revents != 0) {
        (void)eventfd_read(ring->wake, &count);
        ring->deaf = false; /* Kicks may come from elsewhere now. */
    }
}

VIRTQ_API void virtq_blk_ring_run(struct virtq_blk_ring *ring)
{
    uint32_t idle = 0;

    __atomic_store_n(&ring->runs, 1u, __ATOMIC_SEQ_CST);
    for (;;) {
        const bool stops = __atomic_load_n(&ring->stop, __ATOMIC_ACQUIRE) != 0;
        const bool sleepy = idle >= ring->polls;
        const int done = look(ring, !stops, sleepy);

        if (stops && virtq_blk_queue_busy(ring->requests) == 0) {
            break;
        }
        idle = done == 1 ? 0 : idle + 1;
        /* When a translation is missing, virtq_blk_ring_wake() tells that it has come. */
        if (done < 0 || (done == 0 && sleepy)) {
            rest(ring);
            idle = 0;
        }
    }
    __atomic_store_n(&ring->runs, 0u, __ATOMIC_SEQ_CST);
    say_drained(ring);
}

VIRTQ_API void virtq_blk_ring_count(const struct virtq_blk_ring *ring,
                                    struct virtq_blk_ring_counters *counters)
{
    virtq_priv_blk_queue_count(ring->requests, &counters->popped, &counters->bad);
    counters->lowest = ring->lowest;
    counters->highest = ring->highest;
}
