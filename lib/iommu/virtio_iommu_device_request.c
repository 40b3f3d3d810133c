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

/* Bytes of the device-readable part, by type; 0: there is no such type. */
static const uint8_t readable_sizes[8] = {
    [VIRTIO_IOMMU_T_ATTACH] = offsetof(struct virtio_iommu_req_attach, tail),
    [VIRTIO_IOMMU_T_DETACH] = offsetof(struct virtio_iommu_req_detach, tail),
    [VIRTIO_IOMMU_T_MAP] = offsetof(struct virtio_iommu_req_map, tail),
    [VIRTIO_IOMMU_T_UNMAP] = offsetof(struct virtio_iommu_req_unmap, tail),
    [VIRTIO_IOMMU_T_PROBE] = sizeof(struct virtio_iommu_req_probe),
};

/* Copies a request that is long enough for its type, and has room for an answer. */
static bool parse(const struct virtq_virtio_iommu_device *iommu, const struct virtq_chain *chain,
                  union request *request)
{
    struct virtq_cursor reader;
    size_t length;
    uint8_t type;

    if (chain->reason != (uint32_t)VIRTQ_REASON_NONE ||
        chain->readable_bytes < sizeof(request->head) ||
        chain->writable_bytes < sizeof(struct virtio_iommu_req_tail)) {
        return false;
    }
    reader = virtq_chain_reader(chain);
    length = virtq_cursor_read(&reader, request, sizeof(*request));
    type = request->head.type;
    if (type >= sizeof(readable_sizes) || readable_sizes[type] == 0 ||
        length < readable_sizes[type]) {
        return false;
    }
    return type != VIRTIO_IOMMU_T_PROBE || (iommu->offered >> VIRTIO_IOMMU_F_PROBE & 1u) != 0;
}

/* Only PROBE writes anything but the tail. */
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
    case VIRTIO_IOMMU_T_MAP:
        return virtq_priv_viommu_req_map(iommu, &request->map);
    default:
        break;
    }
    return viommu_has(iommu, VIRTIO_IOMMU_F_MAP_UNMAP)
               ? virtq_priv_viommu_req_unmap(iommu, &request->unmap)
               : VIRTIO_IOMMU_S_UNSUPP;
}

static uint32_t answer(struct virtq_cursor *writer, uint32_t status)
{
    const struct virtio_iommu_req_tail tail = {(uint8_t)status, {0, 0, 0}};

    (void)virtq_cursor_write(writer, &tail, sizeof(tail));
    return (uint32_t)virtq_cursor_moved(writer);
}

/* The same where there is nothing before the tail, and it is in one piece. */
VIRTQ_TEMPLATE uint32_t answer_shortly(const struct virtq_chain *chain, uint32_t status)
{
    const struct virtio_iommu_req_tail tail = {(uint8_t)status, {0, 0, 0}};
    const struct virtq_piece *piece = chain->pieces + chain->readable;
    struct virtq_cursor writer;

    if (VIRTQ_LIKELY(piece->len >= sizeof(tail))) {
        memcpy(piece->base, &tail, sizeof(tail));
        return sizeof(tail);
    }
    writer = virtq_chain_writer(chain);
    return answer(&writer, status);
}

/* M1: it is done, and is answered when nobody has buffers in what was withdrawn. */
VIRTQ_COLD int wait_for_buffers(struct virtq_virtio_iommu_device *iommu, uint32_t status)
{
    iommu->waits = 1;
    iommu->status = status;
    return VIRTQ_EBUSY;
}

VIRTQ_COLD int resume(struct virtq_virtio_iommu_device *iommu, const struct virtq_chain *chain,
                      uint32_t *used)
{
    if (!virtq_priv_viommu_released(iommu)) {
        return VIRTQ_EBUSY;
    }
    iommu->waits = 0;
    iommu->requests++;
    *used = answer_shortly(chain, iommu->status);
    return VIRTQ_OK;
}

/* Any request in any pieces. */
VIRTQ_OUTLINE int handle(struct virtq_virtio_iommu_device *iommu, const struct virtq_chain *chain,
                         uint32_t *used)
{
    struct virtq_cursor writer;
    union request request;
    uint32_t status;

    if (iommu->waits != 0) {
        return resume(iommu, chain, used);
    }
    if (!parse(iommu, chain, &request)) {
        iommu->malformed++;
        *used = 0;
        return VIRTQ_OK;
    }
    writer = virtq_chain_writer(chain);
    status = carry_out(iommu, &request, &writer);
    /* PROBE withdraws nothing, and has written a part of its answer. */
    if (iommu->awaited != 0 && request.head.type != VIRTIO_IOMMU_T_PROBE &&
        !virtq_priv_viommu_released(iommu)) {
        return wait_for_buffers(iommu, status);
    }
    iommu->requests++;
    *used = answer(&writer, status);
    return VIRTQ_OK;
}

/* MAP comes in numbers, nearly always in one piece: then it is a copy of fixed size, and there is
 * nothing to wait for. */
int virtq_virtio_iommu_device_handle(struct virtq_virtio_iommu_device *iommu,
                                     const struct virtq_chain *chain, uint32_t *used)
{
    enum { LENGTH = offsetof(struct virtio_iommu_req_map, tail) };
    struct virtio_iommu_req_map map;

    if (VIRTQ_UNLIKELY(iommu->awaited != 0 || chain->readable_bytes != LENGTH ||
                       chain->writable_bytes < sizeof(map.tail) ||
                       chain->reason != (uint32_t)VIRTQ_REASON_NONE ||
                       chain->pieces->len != LENGTH)) {
        return handle(iommu, chain, used);
    }
    memcpy(&map, chain->pieces->base, LENGTH);
    if (VIRTQ_UNLIKELY(map.head.type != VIRTIO_IOMMU_T_MAP)) {
        /* Nothing of this copy is used: the other way makes its own. */
        return handle(iommu, chain, used);
    }
    iommu->requests++;
    *used = answer_shortly(chain, virtq_priv_viommu_req_map(iommu, &map));
    return VIRTQ_OK;
}
