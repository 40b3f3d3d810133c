/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests as they come off the queue: what they are, and the answer. */
#include <string.h>

#include "virtio_iommu_device_private.h"

/* Every request's device-readable part, copied once. */
union request {
    struct virtio_iommu_req_head head;
    struct virtio_iommu_req_attach attach;
    struct virtio_iommu_req_detach detach;
    struct virtio_iommu_req_map map;
    struct virtio_iommu_req_unmap unmap;
    struct virtio_iommu_req_probe probe;
};

uint32_t virtq_priv_viommu_status(int error)
{
    switch (error) {
    case VIRTQ_OK:
        return VIRTIO_IOMMU_S_OK;
    case VIRTQ_ENOMEM:
        return VIRTIO_IOMMU_S_NOMEM;
    case VIRTQ_EFAULT:
        return VIRTIO_IOMMU_S_FAULT;
    case VIRTQ_EINVAL:
        return VIRTIO_IOMMU_S_INVAL;
    case VIRTQ_ETOOBIG:
        return VIRTIO_IOMMU_S_RANGE;
    case VIRTQ_ENOTSUP:
        return VIRTIO_IOMMU_S_UNSUPP;
    case VIRTQ_EBROKEN:
        return VIRTIO_IOMMU_S_IOERR;
    default:
        return VIRTIO_IOMMU_S_DEVERR;
    }
}

/* Bytes of the device-readable part; 0: the type is not known, or not offered. */
static uint32_t readable_size(const struct virtq_virtio_iommu_device *iommu, uint8_t type)
{
    switch (type) {
    case VIRTIO_IOMMU_T_ATTACH:
        return offsetof(struct virtio_iommu_req_attach, tail);
    case VIRTIO_IOMMU_T_DETACH:
        return offsetof(struct virtio_iommu_req_detach, tail);
    case VIRTIO_IOMMU_T_MAP:
        return offsetof(struct virtio_iommu_req_map, tail);
    case VIRTIO_IOMMU_T_UNMAP:
        return offsetof(struct virtio_iommu_req_unmap, tail);
    case VIRTIO_IOMMU_T_PROBE:
        return (iommu->offered >> VIRTIO_IOMMU_F_PROBE & 1u) != 0
                   ? sizeof(struct virtio_iommu_req_probe)
                   : 0;
    default:
        return 0;
    }
}

/* Copies a request that is long enough for its type, and has room for an answer. */
static bool parse(const struct virtq_virtio_iommu_device *iommu, const struct virtq_chain *chain,
                  union request *request)
{
    struct virtq_cursor reader;
    uint32_t size;

    if (chain->reason != (uint32_t)VIRTQ_REASON_NONE ||
        chain->readable_bytes < sizeof(request->head) ||
        chain->writable_bytes < sizeof(struct virtio_iommu_req_tail)) {
        return false;
    }
    reader = virtq_chain_reader(chain);
    (void)virtq_cursor_read(&reader, &request->head, sizeof(request->head));
    size = readable_size(iommu, request->head.type);
    if (size == 0 || chain->readable_bytes < size) {
        return false;
    }
    (void)virtq_cursor_read(&reader, (unsigned char *)request + sizeof(request->head),
                            size - sizeof(request->head));
    return true;
}

static uint32_t carry_out(struct virtq_virtio_iommu_device *iommu, const union request *request,
                          struct virtq_cursor *writer)
{
    switch (request->head.type) {
    case VIRTIO_IOMMU_T_ATTACH:
        return virtq_priv_viommu_req_attach(iommu, &request->attach);
    case VIRTIO_IOMMU_T_DETACH:
        return virtq_priv_viommu_req_detach(iommu, &request->detach);
    case VIRTIO_IOMMU_T_PROBE:
        return virtq_priv_viommu_req_probe(iommu, &request->probe, writer);
    default:
        break;
    }
    if (!viommu_has(iommu, VIRTIO_IOMMU_F_MAP_UNMAP)) {
        return VIRTIO_IOMMU_S_UNSUPP;
    }
    return request->head.type == VIRTIO_IOMMU_T_MAP
               ? virtq_priv_viommu_req_map(iommu, &request->map)
               : virtq_priv_viommu_req_unmap(iommu, &request->unmap);
}

static uint32_t answer(struct virtq_virtio_iommu_device *iommu, struct virtq_cursor *writer,
                       uint32_t status)
{
    const struct virtio_iommu_req_tail tail = {(uint8_t)status, {0, 0, 0}};

    iommu->requests++;
    (void)virtq_cursor_write(writer, &tail, sizeof(tail));
    return (uint32_t)virtq_cursor_moved(writer);
}

int virtq_virtio_iommu_device_handle(struct virtq_virtio_iommu_device *iommu,
                                     const struct virtq_chain *chain, uint32_t *used)
{
    struct virtq_cursor writer = virtq_chain_writer(chain);
    union request request;
    uint32_t status;

    if (iommu->waits != 0) {
        if (!virtq_priv_viommu_released(iommu)) {
            return VIRTQ_EBUSY;
        }
        iommu->waits = 0;
        *used = answer(iommu, &writer, iommu->status);
        return VIRTQ_OK;
    }
    if (!parse(iommu, chain, &request)) {
        iommu->malformed++;
        *used = 0;
        return VIRTQ_OK;
    }
    status = carry_out(iommu, &request, &writer);
    /* M1. PROBE withdraws nothing, and has written a part of its answer. */
    if (VIRTQ_UNLIKELY(iommu->awaited != 0) && request.head.type != VIRTIO_IOMMU_T_PROBE &&
        !virtq_priv_viommu_released(iommu)) {
        iommu->waits = 1;
        iommu->status = status;
        return VIRTQ_EBUSY;
    }
    *used = answer(iommu, &writer, status);
    return VIRTQ_OK;
}
