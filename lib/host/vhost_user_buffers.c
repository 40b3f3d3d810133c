/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers of a ring whose records are kept, or whose writes are logged. Without either each call is
 * the queue's own, and a comparison. */
#include "vhost_user_backend_private.h"

VIRTQ_API int virtq_vhost_user_vring_pop(struct virtq_vhost_user_backend *backend, uint32_t index,
                                         struct virtq_chain *chains, unsigned count,
                                         struct virtq_piece *pieces, unsigned piece_count)
{
    struct virtq_priv_vring *vring = &backend->vrings[index];
    struct virtq_priv_inflight *inflight = &vring->inflight;
    struct virtq_state before;
    int got;

    if (inflight->region.split == NULL) {
        return virtq_device_pop(vring->device, chains, count, pieces, piece_count);
    }
    if (virtq_priv_inflight_waits(inflight)) {
        /* One, so that it has all pieces to itself. */
        return virtq_priv_inflight_retake(inflight, vring->device, chains, pieces, piece_count);
    }
    virtq_device_position(vring->device, &before);
    got = virtq_device_pop(vring->device, chains, count, pieces, piece_count);
    if (got > 0) {
        virtq_priv_inflight_popped(inflight, vring->device, chains, (unsigned)got,
                                   before.available);
    }
    return got;
}

VIRTQ_API void virtq_vhost_user_vring_written(struct virtq_vhost_user_backend *backend,
                                              uint32_t index, const struct virtq_chain *chain,
                                              uint32_t len)
{
    const struct virtq_priv_log_area *log = virtq_priv_log_active(&backend->log);

    (void)index;
    if (log != NULL) {
        virtq_priv_log_buffer(log, &backend->mapped, chain, len);
    }
}

VIRTQ_API int virtq_vhost_user_vring_push_used(struct virtq_vhost_user_backend *backend,
                                               uint32_t index, const struct virtq_used_buffer *used,
                                               unsigned count)
{
    struct virtq_priv_vring *vring = &backend->vrings[index];
    const int got = virtq_device_push(vring->device, used, count);
    const bool recorded = vring->inflight.region.split != NULL;
    unsigned i;

    for (i = 0; recorded && i < count && (int)i < got; i++) {
        virtq_priv_inflight_pushed(&vring->inflight, (uint16_t)used[i].id);
    }
    return got;
}

VIRTQ_API int virtq_vhost_user_vring_push(struct virtq_vhost_user_backend *backend, uint32_t index,
                                          const struct virtq_chain *chain, uint32_t len)
{
    const struct virtq_used_buffer used = {chain->id, len};
    const int got = virtq_vhost_user_vring_push_used(backend, index, &used, 1);

    if (got == 1) {
        /* M10: after the data, and before anybody is told of it. */
        virtq_vhost_user_vring_written(backend, index, chain, len);
    }
    return got;
}

VIRTQ_API int virtq_vhost_user_vring_publish(struct virtq_vhost_user_backend *backend,
                                             uint32_t index)
{
    struct virtq_priv_vring *vring = &backend->vrings[index];
    const struct virtq_priv_log_area *log = virtq_priv_log_active(&backend->log);
    const bool recorded = vring->inflight.region.split != NULL;
    struct virtq_state before;
    struct virtq_state after;
    int got;

    if (log == NULL && !recorded) {
        return virtq_device_publish(vring->device);
    }
    virtq_device_position(vring->device, &before);
    if (recorded) {
        virtq_priv_inflight_begin(&vring->inflight, before.used);
    }
    got = virtq_device_publish(vring->device);
    virtq_device_position(vring->device, &after);
    if (recorded && got > 0) {
        virtq_priv_inflight_commit(&vring->inflight, after.used);
    } else if (recorded) {
        virtq_priv_inflight_revert(&vring->inflight, before.used);
    }
    if (log != NULL && got > 0) {
        virtq_priv_log_used(log, &vring->log, &backend->mapped, vring->device, before.used,
                            after.used);
        virtq_priv_vring_signal(&backend->log.fd);
    }
    return got;
}
