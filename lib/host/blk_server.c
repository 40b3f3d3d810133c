/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/host/blk_server.h"

#include <string.h>

#include "align.h"
#include "virtq/error.h"
#include "virtq/feature.h"

/* Behind the server in its memory; and behind this the memory of each ring. */
struct served {
    struct virtq_vhost_user_server *server;
    struct virtq_blk_server_ops ops;
    void *opaque;
    struct virtq_blk_ring_config ring;
    unsigned char *memory;
    size_t ring_size;
    unsigned char config[VIRTQ_BLK_CONFIG_SIZE];
    struct virtq_blk_ring *rings[VIRTQ_VHOST_USER_QUEUES_MAX]; /* NULL: it does not run. */
};

static void features(void *opaque, uint64_t accepted)
{
    struct served *served = opaque;

    /* [virtio 1.4, Block Device, Device Initialization]: who does not flush is written through. */
    served->ring.flags &= ~(uint32_t)VIRTQ_BLK_RING_STABLE;
    if (!virtq_feature_has(accepted, VIRTIO_BLK_F_FLUSH)) {
        served->ring.flags |= (uint32_t)VIRTQ_BLK_RING_STABLE;
    }
    if (served->ops.features != NULL) {
        served->ops.features(served->opaque, accepted);
    }
}

static int started(void *opaque, uint32_t index)
{
    struct served *served = opaque;
    struct virtq_blk_ring *ring;

    served->ring.backend = virtq_vhost_user_server_backend(served->server);
    served->ring.index = index;
    if (virtq_blk_ring_init(served->memory + index * served->ring_size, served->ring_size,
                            &served->ring, &ring) != VIRTQ_OK) {
        return VIRTQ_ENOMEM;
    }
    if (served->ops.start(served->opaque, index, ring) != 0) {
        virtq_blk_ring_fini(ring);
        return VIRTQ_ENOMEM;
    }
    served->rings[index] = ring;
    return VIRTQ_OK;
}

static void stopping(void *opaque, uint32_t index)
{
    struct served *served = opaque;
    struct virtq_blk_ring *ring = served->rings[index];

    if (ring != NULL) {
        virtq_blk_ring_stop(ring);
        served->ops.join(served->opaque, index, ring);
        virtq_blk_ring_fini(ring);
        served->rings[index] = NULL;
    }
}

static void wake(void *opaque, uint32_t index)
{
    struct served *served = opaque;

    if (served->rings[index] != NULL) {
        virtq_blk_ring_wake(served->rings[index]);
    }
}

/* Whatever is read or written there now, is not any more when this returns. */
static void withdrawn(void *opaque, virtq_addr_t first, virtq_addr_t last)
{
    struct served *served = opaque;
    uint32_t i;

    (void)first, (void)last;
    for (i = 0; i < VIRTQ_VHOST_USER_QUEUES_MAX; i++) {
        if (served->rings[i] != NULL) {
            virtq_blk_ring_drain(served->rings[i]);
        }
    }
}

static int config_read(void *opaque, uint32_t offset, void *data, uint32_t len)
{
    memcpy(data, ((struct served *)opaque)->config + offset, len);
    return VIRTQ_OK;
}

static void refused(void *opaque, uint32_t request, uint32_t refusal)
{
    struct served *served = opaque;

    if (served->ops.refused != NULL) {
        served->ops.refused(served->opaque, request, refusal);
    }
}

static const struct virtq_vhost_user_ops device_ops = {.size = sizeof(device_ops),
                                                       .features = features,
                                                       .started = started,
                                                       .stopping = stopping,
                                                       .wake = wake,
                                                       .config_read = config_read,
                                                       .refused = refused,
                                                       .withdrawn = withdrawn};

/* The configuration of the server alone: its bytes, 0 if it or the disk's is illegal. */
static size_t complete(const struct virtq_blk_server_config *config,
                       struct virtq_vhost_user_backend_config *backend,
                       struct virtq_vhost_user_server_config *server)
{
    unsigned char space[VIRTQ_BLK_CONFIG_SIZE];

    if (config->struct_size != sizeof(*config) || config->ops == NULL ||
        config->ops->size < sizeof(*config->ops) || config->ops->start == NULL ||
        config->ops->join == NULL || config->ring.disk == NULL ||
        virtq_blk_disk_config(config->ring.disk, space) != VIRTQ_OK) {
        return 0;
    }
    *backend = config->backend;
    backend->features |= config->ring.disk->features;
    backend->flags |= (uint32_t)VIRTQ_VHOST_USER_RECORDED;
    backend->queue_count = config->ring.disk->queues;
    backend->config_size = VIRTQ_BLK_CONFIG_SIZE;
    backend->ops = &device_ops;
    *server = config->server;
    server->backend = backend;
    return virtq_vhost_user_server_size(server);
}

VIRTQ_API size_t virtq_blk_server_size(const struct virtq_blk_server_config *config)
{
    struct virtq_vhost_user_backend_config backend;
    struct virtq_vhost_user_server_config server;
    const size_t own = complete(config, &backend, &server);
    const size_t ring = virtq_blk_ring_size(&config->ring);

    return own == 0 || ring == 0
               ? 0
               : own + virtq_priv_align_up(sizeof(struct served)) + backend.queue_count * ring;
}

VIRTQ_API int virtq_blk_server_init(void *memory, size_t size,
                                    const struct virtq_blk_server_config *config,
                                    struct virtq_vhost_user_server **server)
{
    const size_t needed = virtq_blk_server_size(config);
    struct virtq_vhost_user_backend_config backend;
    struct virtq_vhost_user_server_config made;
    struct served *served;
    size_t own;
    int error;

    if (needed == 0 || memory == NULL || (uintptr_t)memory % VIRTQ_CACHE_LINE != 0 ||
        config->ring.file < 0) {
        return VIRTQ_EINVAL;
    }
    if (size < needed) {
        return VIRTQ_ENOMEM;
    }
    own = complete(config, &backend, &made);
    served = (struct served *)(void *)((unsigned char *)memory + own);
    backend.opaque = served;
    memset(served, 0, sizeof(*served));
    served->memory = (unsigned char *)served + virtq_priv_align_up(sizeof(*served));
    served->ring_size = virtq_blk_ring_size(&config->ring);
    served->ring = config->ring;
    served->ops = *config->ops;
    served->opaque = config->opaque;
    error = virtq_blk_disk_config(config->ring.disk, served->config);
    if (error == VIRTQ_OK) {
        error = virtq_vhost_user_server_init(memory, own, &made, &served->server);
    }
    if (error == VIRTQ_OK) {
        *server = served->server;
    }
    return error;
}
