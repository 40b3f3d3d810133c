/* SPDX-License-Identifier: BSD-3-Clause */
/* The requests that begin a device anew, and its status. */
#include <string.h>

#include "vhost_user_backend_private.h"
#include "virtq/feature.h"

typedef struct virtq_vhost_user_backend backend_type;
typedef struct virtq_vhost_user_message message_type;

/* A kick alone must not have the device serve what a driver has left behind. Its eventfds are the
 * connection's, as its memory is: QEMU names some of them once. */
static void forget_ring(backend_type *backend, struct virtq_priv_vring *vring)
{
    vring->size = 0;
    vring->base = 0;
    vring->has_addr = false;
    memset(&vring->addr, 0, sizeof(vring->addr));
    virtq_priv_log_ring_set(backend, vring);
}

uint32_t virtq_priv_status_reset(backend_type *backend, message_type *message)
{
    uint32_t i;

    (void)message;
    virtq_priv_backend_stop(backend);
    for (i = 0; i < backend->queue_count; i++) {
        forget_ring(backend, &backend->vrings[i]);
    }
    virtq_priv_inflight_clear(&backend->inflight,
                              virtq_feature_has(backend->features, VIRTIO_F_RING_PACKED));
    backend->status = 0;
    if (backend->ops.reset != NULL) {
        backend->ops.reset(backend->opaque);
    }
    return VIRTQ_VHOST_USER_ACCEPTED;
}

uint32_t virtq_priv_status_set(backend_type *backend, message_type *message)
{
    if (message->payload.u64 > UINT8_MAX) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    if (message->payload.u64 == 0) {
        return virtq_priv_status_reset(backend, message);
    }
    backend->status = (uint32_t)message->payload.u64;
    return VIRTQ_VHOST_USER_ACCEPTED;
}

uint32_t virtq_priv_status_get(backend_type *backend, message_type *message)
{
    message->payload.u64 = backend->status;
    message->header.size = sizeof(message->payload.u64);
    return VIRTQ_VHOST_USER_ACCEPTED;
}
