/* SPDX-License-Identifier: BSD-3-Clause */
/* The requests that are about records of buffers and about the log. */
#include <unistd.h>

#include "vhost_user_backend_private.h"
#include "virtq/feature.h"

typedef struct virtq_vhost_user_backend backend_type;
typedef struct virtq_vhost_user_message message_type;

/* Whether records of so many rings of that size are anything that this device could want. */
static bool sizes_legal(const backend_type *backend, const struct virtq_vhost_user_inflight *wire)
{
    return wire->queue_count != 0 && wire->queue_count <= backend->queue_count &&
           wire->queue_size != 0 && wire->queue_size <= backend->queue_size;
}

uint32_t virtq_priv_records_get_inflight(backend_type *backend, message_type *message)
{
    struct virtq_vhost_user_inflight *wire = &message->payload.inflight;
    int fd;

    if (!sizes_legal(backend, wire)) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    fd = virtq_priv_inflight_make(wire->queue_count, wire->queue_size, &wire->mmap_size);
    if (fd < 0) {
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    wire->mmap_offset = 0;
    wire->padding = 0;
    message->fds[0] = fd;
    message->fd_count = 1;
    return VIRTQ_VHOST_USER_ACCEPTED;
}

uint32_t virtq_priv_records_set_inflight(backend_type *backend, message_type *message)
{
    if (!sizes_legal(backend, &message->payload.inflight)) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    if (virtq_priv_backend_runs(backend)) {
        return VIRTQ_VHOST_USER_REFUSED_ORDER;
    }
    return virtq_priv_inflight_map(&backend->inflight, &backend->mapped.fault,
                                   &message->payload.inflight, message->fds[0],
                                   backend->mapped.strict);
}

void virtq_priv_log_choose(backend_type *backend)
{
    struct virtq_priv_log *log = &backend->log;
    const struct virtq_priv_log_area *area = &log->areas[log->current];
    const struct virtq_priv_log_area *next =
        virtq_feature_has(backend->features, VHOST_F_LOG_ALL) && area->shm.base != NULL ? area
                                                                                        : NULL;

    if (next != log->active) {
        __atomic_store_n(&log->active, next, __ATOMIC_RELEASE);
        /* What a burst writes that has not seen it would be lost. */
        virtq_priv_backend_settle(backend);
    }
}

uint32_t virtq_priv_records_set_log_base(backend_type *backend, message_type *message)
{
    const struct virtq_vhost_user_log wire = message->payload.log;
    struct virtq_priv_log *log = &backend->log;
    struct virtq_priv_log_area *area = &log->areas[log->current ^ 1u];
    const uint32_t refusal = virtq_priv_shm_map(&area->shm, &backend->mapped.fault, message->fds[0],
                                                wire.offset, wire.size, backend->mapped.strict);

    if (refusal != VIRTQ_VHOST_USER_ACCEPTED) {
        return refusal;
    }
    area->size = wire.size;
    log->current ^= 1u;
    virtq_priv_log_choose(backend);
    virtq_priv_shm_unmap(&log->areas[log->current ^ 1u].shm, &backend->mapped.fault);
    message->payload.u64 = 0;
    message->header.size = sizeof(message->payload.u64);
    return VIRTQ_VHOST_USER_ACCEPTED;
}

uint32_t virtq_priv_records_set_log_fd(backend_type *backend, message_type *message)
{
    const int fd = message->fds[0];

    if (!virtq_feature_has(backend->offered, VHOST_F_LOG_ALL)) {
        return VIRTQ_VHOST_USER_REFUSED_REQUEST;
    }
    if (virtq_priv_vring_judge_fd(fd) != VIRTQ_VHOST_USER_ACCEPTED) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    message->fds[0] = -1;
    virtq_priv_vring_replace(backend, &backend->log.fd, fd);
    return VIRTQ_VHOST_USER_ACCEPTED;
}

void virtq_priv_log_ring_set(backend_type *backend, struct virtq_priv_vring *vring)
{
    struct virtq_priv_log_ring *ring = &vring->log;
    const bool wanted = (vring->addr.flags & VIRTQ_VHOST_USER_VRING_F_LOG) != 0;

    if (wanted == (ring->addr != NULL) && (!wanted || *ring->addr == vring->addr.log)) {
        return;
    }
    ring->current ^= 1u;
    ring->addrs[ring->current] = vring->addr.log;
    __atomic_store_n(&ring->addr, wanted ? &ring->addrs[ring->current] : NULL, __ATOMIC_RELEASE);
    virtq_priv_backend_settle(backend);
}
