/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost_user_inflight.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "virtq/feature.h"
#include "virtq/inline/event.h"

/* Every field of a record at a place where it is aligned, in that order. */
size_t virtq_priv_inflight_size(uint32_t queue_size)
{
    return queue_size * (sizeof(struct virtq_priv_waiting) + sizeof(struct pvirtq_desc) +
                         sizeof(struct virtq_priv_record) + 2 * sizeof(uint16_t) + 1);
}

void virtq_priv_inflight_init(struct virtq_priv_inflight *inflight, void *memory,
                              uint32_t queue_size)
{
    memset(inflight, 0, sizeof(*inflight));
    inflight->waiting = memory;
    inflight->descs = (struct pvirtq_desc *)(void *)(inflight->waiting + queue_size);
    inflight->records = (struct virtq_priv_record *)(void *)(inflight->descs + queue_size);
    inflight->heads = (uint16_t *)(void *)(inflight->records + queue_size);
    inflight->ids = inflight->heads + queue_size;
    inflight->pushed = (uint8_t *)(inflight->ids + queue_size);
}

/* Bytes of one region. */
static uint64_t region_size(bool packed, uint32_t queue_size)
{
    const uint64_t align = VIRTQ_VHOST_USER_INFLIGHT_ALIGN;
    const uint64_t size = packed ? sizeof(struct virtq_vhost_user_packed_region) +
                                       queue_size * sizeof(struct virtq_vhost_user_packed_record)
                                 : sizeof(struct virtq_vhost_user_split_region) +
                                       queue_size * sizeof(struct virtq_vhost_user_split_record);

    return (size + align - 1) / align * align;
}

int virtq_priv_inflight_make(uint32_t queue_count, uint32_t queue_size, uint64_t *size)
{
    /* The larger of the two formats: the features may not be known yet. */
    const uint64_t bytes = queue_count * region_size(true, queue_size);
    int fd = memfd_create("vhost-user-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0) {
        return -1;
    }
    /* Whoever maps it need not fear that it shrinks. */
    if (ftruncate(fd, (off_t)bytes) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        (void)close(fd);
        return -1;
    }
    *size = bytes;
    return fd;
}

uint32_t virtq_priv_inflight_map(struct virtq_priv_inflight_memory *memory,
                                 struct virtq_priv_fault *fault,
                                 const struct virtq_vhost_user_inflight *wire, int fd, bool strict)
{
    struct virtq_priv_shm shm;
    uint32_t refusal;

    if (wire->mmap_size < wire->queue_count * region_size(false, wire->queue_size) ||
        wire->mmap_offset % sizeof(uint64_t) != 0) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    refusal = virtq_priv_shm_map(&shm, fault, fd, wire->mmap_offset, wire->mmap_size, strict);
    if (refusal != VIRTQ_VHOST_USER_ACCEPTED) {
        return refusal;
    }
    virtq_priv_shm_unmap(&memory->shm, fault);
    memory->shm = shm;
    memory->size = wire->mmap_size;
    memory->queue_count = wire->queue_count;
    memory->queue_size = wire->queue_size;
    return VIRTQ_VHOST_USER_ACCEPTED;
}

/* A ring's region, or NULL: the memory is too short for it. */
static void *region_at(const struct virtq_priv_inflight_memory *memory, uint32_t index, bool packed)
{
    const uint64_t each = region_size(packed, memory->queue_size);

    return (index + 1) * each <= memory->size ? memory->shm.base + index * each : NULL;
}

void virtq_priv_inflight_clear(struct virtq_priv_inflight_memory *memory, bool packed)
{
    uint32_t i;

    for (i = 0; memory->shm.base != NULL && i < memory->queue_count; i++) {
        void *region = region_at(memory, i, packed);

        if (region != NULL) {
            /* `version` lies where it lies in a packed region too. */
            __atomic_store_n(&((struct virtq_vhost_user_split_region *)region)->version, 0,
                             __ATOMIC_RELEASE);
        }
    }
}

/* Not by the library's sort: that may want memory, and has no bound for what a peer wrote. */
void virtq_priv_inflight_sort(struct virtq_priv_inflight *inflight)
{
    struct virtq_priv_waiting *waiting = inflight->waiting;
    const uint32_t count = inflight->waiting_count;
    uint32_t gap = 1;
    uint32_t i;

    while (gap < count / 3) {
        gap = 3 * gap + 1;
    }
    for (; gap != 0; gap /= 3) {
        for (i = gap; i < count; i++) {
            const struct virtq_priv_waiting one = waiting[i];
            uint32_t at = i;

            for (; at >= gap && waiting[at - gap].counter > one.counter; at -= gap) {
                waiting[at] = waiting[at - gap];
            }
            waiting[at] = one;
        }
    }
    inflight->counter = count != 0 ? waiting[count - 1].counter + 1 : 0;
}

int virtq_priv_inflight_start(struct virtq_priv_inflight *inflight,
                              const struct virtq_priv_inflight_memory *memory, uint32_t index,
                              const struct virtq_device *device, uint64_t features,
                              struct virtq_state *state)
{
    const bool packed = state->format == (uint32_t)VIRTQ_FORMAT_PACKED;
    void *region;

    inflight->region.split = NULL;
    inflight->waiting_count = 0;
    inflight->waited = 0;
    inflight->first = 0;
    inflight->count = 0;
    inflight->batch = 0;
    inflight->packed = packed;
    inflight->in_order = virtq_feature_has(features, VIRTIO_F_IN_ORDER);
    inflight->size = memory->queue_size;
    inflight->ring_size = state->size;
    /* QEMU asks for records by its own idea of a ring's size; over virtio-mmio a driver may have
     * made a larger one. That ring does without: it has nowhere to be recorded, and works. */
    if (memory->shm.base == NULL || index >= memory->queue_count ||
        state->size > memory->queue_size) {
        return VIRTQ_OK;
    }
    region = region_at(memory, index, packed);
    if (region == NULL) {
        return VIRTQ_EINVAL;
    }
    memset(inflight->pushed, 0, inflight->size);
    if (packed) {
        inflight->region.packed = region;
        return virtq_priv_packed_recover(inflight, device, state);
    }
    inflight->region.split = region;
    return virtq_priv_split_recover(inflight, state);
}

/* A buffer stands behind all others. */
static void append(struct virtq_priv_inflight *inflight, uint16_t id)
{
    uint32_t at = inflight->first + inflight->count++;

    inflight->ids[at < inflight->size ? at : at - inflight->size] = id;
}

int virtq_priv_inflight_retake(struct virtq_priv_inflight *inflight, struct virtq_device *device,
                               struct virtq_chain *chain, struct virtq_piece *pieces,
                               unsigned piece_count)
{
    const uint32_t head = inflight->waiting[inflight->waited].record;
    struct virtq_taken_buffer buffer = {NULL, 0, head};
    int got;

    if (inflight->packed) {
        const struct virtq_vhost_user_packed_record *records =
            virtq_priv_packed_records(inflight->region.packed);
        uint32_t at = head;

        buffer.descs = inflight->descs;
        buffer.id = inflight->records[head].id;
        for (; buffer.count < inflight->records[head].num; buffer.count++) {
            memcpy(&inflight->descs[buffer.count].addr, &records[at].addr, 8);
            memcpy(&inflight->descs[buffer.count].len, &records[at].len, 4);
            memcpy(&inflight->descs[buffer.count].id, &records[at].id, 2);
            memcpy(&inflight->descs[buffer.count].flags, &records[at].flags, 2);
            at = inflight->records[at].next;
        }
    }
    got = virtq_device_retake(device, &buffer, chain, pieces, piece_count);
    if (got == 1) {
        inflight->waited++;
        inflight->heads[chain->id] = (uint16_t)head;
        if (inflight->in_order) {
            append(inflight, chain->id);
        }
    }
    /* What no ring can have had was written by somebody else: there is no going on. */
    return got == VIRTQ_EINVAL ? VIRTQ_EBROKEN : got;
}

void virtq_priv_inflight_popped(struct virtq_priv_inflight *inflight,
                                const struct virtq_device *device, const struct virtq_chain *chains,
                                unsigned count, uint16_t position)
{
    struct virtq_areas areas;
    unsigned i;

    virtq_device_areas(device, &areas);
    for (i = 0; i < count; i++) {
        const uint16_t id = chains[i].id;

        if (inflight->packed) {
            const uint32_t slots = virtq_device_slots(device, id);

            virtq_priv_packed_record(inflight, areas.descriptor, id, slots, position);
            position = virtq_position_advance(position, slots, inflight->ring_size);
        } else {
            struct virtq_vhost_user_split_record *record =
                &virtq_priv_split_records(inflight->region.split)[id];

            record->counter = inflight->counter++;
            __atomic_store_n(&record->inflight, 1, __ATOMIC_RELEASE);
        }
        if (inflight->in_order) {
            append(inflight, id);
        }
    }
}

void virtq_priv_inflight_pushed(struct virtq_priv_inflight *inflight, uint16_t id)
{
    if (inflight->in_order) {
        inflight->pushed[id] = 1;
    } else {
        append(inflight, id);
    }
}

void virtq_priv_inflight_begin(struct virtq_priv_inflight *inflight, uint16_t used)
{
    struct virtq_vhost_user_split_record *records;
    uint32_t i;

    inflight->batch = inflight->count;
    if (inflight->in_order) {
        inflight->batch = 0;
        while (inflight->batch != inflight->count &&
               inflight->pushed[virtq_priv_inflight_id(inflight, inflight->batch)] != 0) {
            inflight->batch++;
        }
    }
    if (inflight->packed) {
        virtq_priv_packed_begin(inflight, used);
        return;
    }
    records = virtq_priv_split_records(inflight->region.split);
    for (i = 0; i < inflight->batch; i++) {
        const uint16_t id = virtq_priv_inflight_id(inflight, i);

        /* What the front-end puts there now leads nobody anywhere but into its own records. */
        __atomic_store_n(
            &records[id].next,
            __atomic_load_n(&inflight->region.split->last_batch_head, __ATOMIC_RELAXED),
            __ATOMIC_RELAXED);
        __atomic_store_n(&inflight->region.split->last_batch_head, id, __ATOMIC_RELEASE);
    }
}

void virtq_priv_inflight_commit(struct virtq_priv_inflight *inflight, uint16_t used)
{
    uint32_t i;

    if (inflight->packed) {
        virtq_priv_packed_commit(inflight, used);
    } else {
        for (i = 0; i < inflight->batch; i++) {
            const uint16_t id = virtq_priv_inflight_id(inflight, i);

            __atomic_store_n(&virtq_priv_split_records(inflight->region.split)[id].inflight, 0,
                             __ATOMIC_RELEASE);
        }
        __atomic_store_n(&inflight->region.split->used_idx, used, __ATOMIC_RELEASE);
    }
    for (i = 0; i < inflight->batch; i++) {
        inflight->pushed[virtq_priv_inflight_id(inflight, i)] = 0;
    }
    inflight->first += inflight->batch;
    inflight->first -= inflight->first >= inflight->size ? inflight->size : 0;
    inflight->count -= inflight->batch;
    inflight->batch = 0;
}

void virtq_priv_inflight_revert(struct virtq_priv_inflight *inflight, uint16_t used)
{
    /* The list of a split region counts only as far as the used index went. */
    if (inflight->packed) {
        virtq_priv_packed_revert(inflight, used);
    }
    inflight->batch = 0;
}
