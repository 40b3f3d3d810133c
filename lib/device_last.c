/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a bad buffer ends: its descriptors are walked once more, for their ends and not for pieces.
 * What the driver changes meanwhile changes the answer, and nothing else: the one byte is looked up
 * like any other (L1, H1). */
#include "device_private.h"
#include "virtq/inline/packed_device.h"
#include "virtq/inline/split_device.h"

/* The walk so far: the element that may be the last one. */
struct last {
    virtq_addr_t addr; /* Its last byte. */
    bool writable;
    bool lost; /* Nobody can tell where it is. */
};

static void note(struct last *last, virtq_addr_t addr, uint32_t len, uint16_t flags)
{
    if (len == 0u) {
        return; /* Counts for nothing, here as in a sound buffer. */
    }
    last->addr = addr + (len - 1u);
    last->writable = (flags & VIRTQ_DESC_F_WRITE) != 0u && len - 1u <= UINT64_MAX - addr;
}

/* The one or the other half of an entry's tail. */
static uint16_t flags_of(const struct virtq_entry *entry, unsigned how, bool packed)
{
    return packed ? virtq_shm_pair_second(entry->tail, how)
                  : virtq_shm_pair_first(entry->tail, how);
}

/* Bounded by the table's entries (H4). As for the walker. */
static int walk_table(struct virtq_device_core *core, unsigned how, bool packed, struct last *last,
                      virtq_addr_t addr, uint32_t len)
{
    struct virtq_table table;
    uint32_t index = 0;
    uint32_t steps;
    int result = virtq_walk_open(core, how, &table, addr, len);

    for (steps = 0; result == VIRTQ_OK && steps < table.entries; steps++) {
        struct virtq_entry entry;
        uint16_t flags;

        result = virtq_walk_entry(core, how, &table, index, &entry);
        if (result != VIRTQ_OK) {
            return result;
        }
        flags = flags_of(&entry, how, packed);
        note(last, entry.addr, entry.len, flags);
        last->lost = last->lost || (!packed && (flags & VIRTQ_DESC_F_INDIRECT) != 0u);
        if (!packed && (flags & VIRTQ_DESC_F_NEXT) == 0u) {
            return VIRTQ_OK;
        }
        index = packed ? index + 1u : virtq_shm_pair_second(entry.tail, how);
        if (!packed && index >= table.entries) {
            break;
        }
    }
    last->lost = last->lost || !packed;
    return result;
}

static int walk_split(struct virtq_split_device *q, unsigned how, struct last *last, uint32_t index)
{
    uint32_t steps;

    for (steps = 0; steps < q->core.size && index <= q->mask; steps++) {
        const struct virtq_desc desc = virtq_split_device_read(&q->desc[index], how);

        if ((desc.flags & VIRTQ_DESC_F_INDIRECT) != 0u) {
            last->lost = (desc.flags & VIRTQ_DESC_F_NEXT) != 0u;
            return walk_table(&q->core, how, false, last, desc.addr, desc.len);
        }
        note(last, desc.addr, desc.len, desc.flags);
        if ((desc.flags & VIRTQ_DESC_F_NEXT) == 0u) {
            return VIRTQ_OK;
        }
        index = virtq_shm_load16(&q->desc[index].next, how);
    }
    last->lost = true;
    return VIRTQ_OK;
}

/* How many descriptors there are is our own knowledge. They are the latest of the ring that were
 * taken, so nothing that was used has overwritten them. */
static int walk_packed(struct virtq_packed_device *q, unsigned how, struct last *last,
                       uint32_t slots)
{
    const uint16_t first = virtq_position_retreat(q->popped, slots, q->core.size);
    struct virtq_place place = virtq_place_of(first, virtq_position_available(first));
    uint32_t i;

    for (i = 0; i < slots; i++) {
        const struct pvirtq_desc *at = &q->desc[place.offset];
        const struct pvirtq_desc desc =
            virtq_packed_device_read(at, how, virtq_shm_load16(&at->flags, how));

        if ((desc.flags & VIRTQ_DESC_F_INDIRECT) != 0u) {
            last->lost = slots != 1u;
            return walk_table(&q->core, how, true, last, desc.addr, desc.len);
        }
        note(last, desc.addr, desc.len, desc.flags);
        virtq_place_step(&place, 1, q->core.size);
    }
    return VIRTQ_OK;
}

/* As for the walker. */
static int find(struct virtq_device_core *core, unsigned how, virtq_addr_t addr,
                struct virtq_piece *piece)
{
    const unsigned kind = how & VIRTQ_INSTANCE_KIND;
    struct virtq_window window = core->space->linear;
    int error = VIRTQ_OK;

    if (kind == VIRTQ_INSTANCE_CALLED) {
        error = virtq_device_core_question(core, addr, VIRTQ_PERMISSION_WRITE, &window);
    } else if (addr < window.first || addr > window.last ||
               (window.permissions & (uint32_t)VIRTQ_PERMISSION_WRITE) == 0u) {
        error = VIRTQ_EFAULT;
    }
    if (error == VIRTQ_EMISS) {
        return virtq_device_core_missed(core, addr, 1, VIRTQ_PERMISSION_WRITE);
    }
    if (error != VIRTQ_OK) {
        return virtq_device_core_reason(error);
    }
    piece->base = virtq_core_at(window.base, addr - window.first);
    piece->len = 1;
    return VIRTQ_OK;
}

VIRTQ_API int virtq_device_last_byte(struct virtq_device *device, const struct virtq_chain *chain,
                                     struct virtq_piece *piece)
{
    struct virtq_device_core *core = &device->queue.core;
    const unsigned how = device->how;
    struct last last = {0, false, false};
    const uint32_t slots = virtq_device_core_latest(core, chain, 1);
    int result;

    if (slots == 0u || chain->reason == (uint32_t)VIRTQ_REASON_NONE) {
        return VIRTQ_EINVAL;
    }
    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_PREMAPPED) {
        return 0;
    }
    result = device->is_packed ? virtq_packed_device_begin(&device->queue.packed, how)
                               : virtq_split_device_begin(&device->queue.split, how);
    if (result == VIRTQ_OK) {
        result = device->is_packed ? walk_packed(&device->queue.packed, how, &last, slots)
                                   : walk_split(&device->queue.split, how, &last, chain->id);
    }
    if (result == VIRTQ_OK && last.writable && !last.lost) {
        result = find(core, how, last.addr, piece);
        return result == VIRTQ_OK ? 1 : result < 0 ? result : 0;
    }
    return result < 0 ? result : 0;
}
