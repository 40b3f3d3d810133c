/* SPDX-License-Identifier: BSD-3-Clause */
#include "stage.h"

#include "copy/copy.h"
#include "region.h"

int virtq_priv_stage_sum(const struct virtq_segment *segments, unsigned count, uint64_t *len)
{
    uint64_t sum = 0;
    unsigned i;

    for (i = 0; i < count; i++) {
        if (segments[i].len == 0) {
            return VIRTQ_EINVAL;
        }
        if (!virtq_priv_memory_legal(segments[i].base, segments[i].len - 1)) {
            return VIRTQ_EFAULT;
        }
        sum += segments[i].len; /* At most 2^16 * 2^32. */
    }
    *len = sum;
    /* A part is one run, and a run's length has 32 bits. */
    return sum <= UINT32_MAX ? 0 : VIRTQ_ETOOBIG;
}

/* One slot for both parts: one search, one lock, and never half a buffer. The parts share no
 * block. */
static void place(const struct virtq_mapping *mapping, const struct virtq_priv_stage_shape *shape,
                  struct virtq_priv_stage_plan *plan)
{
    const struct virtq_segment *segments = mapping->segments;
    unsigned readable = mapping->segments_readable;
    uint64_t mask = shape->low_mask;
    uint64_t low = (uintptr_t)segments[0].base & mask; /* The low bits of the first segment. */

    plan->wanted = low & ~shape->slot_mask;
    plan->readable_at = low & shape->slot_mask;
    plan->writable_at = plan->readable_at;
    plan->len = plan->readable_at + plan->readable_len;
    if (mapping->segments_writable != 0) {
        if (readable != 0) {
            uint64_t end = (plan->len + shape->part_mask) & ~shape->part_mask;
            uint64_t wanted = (uintptr_t)segments[readable].base;

            /* Forward to the low bits of the first writable segment, modulo mask + 1. */
            plan->writable_at = end + ((wanted - (plan->wanted + end)) & mask);
        }
        plan->len = plan->writable_at + plan->writable_len;
    }
}

int virtq_priv_stage_plan(const struct virtq_mapping *mapping,
                          const struct virtq_priv_stage_shape *shape,
                          struct virtq_priv_stage_plan *plan)
{
    unsigned readable = mapping->segments_readable;
    unsigned writable = mapping->segments_writable;
    int error = virtq_priv_stage_sum(mapping->segments, readable, &plan->readable_len);

    if (error == 0) {
        error = virtq_priv_stage_sum(mapping->segments + readable, writable, &plan->writable_len);
    }
    if (error != 0) {
        return error;
    }
    if (readable + writable == 0) {
        return VIRTQ_EINVAL;
    }
    if ((readable != 0) + (writable != 0) > mapping->capacity) {
        return VIRTQ_EFULL;
    }
    place(mapping, shape, plan);
    return 0;
}

void virtq_priv_stage_gather(const struct virtq_copy *copy, unsigned char *to,
                             const struct virtq_segment *segments, unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        virtq_priv_copy_to_shared(copy, to, segments[i].base, segments[i].len);
        to += segments[i].len;
    }
}

/* The segments may be gone when the buffer comes back. */
static void note_targets(struct virtq_priv_stage_record *record,
                         const struct virtq_segment *segments, unsigned count)
{
    struct virtq_priv_stage_target *targets = virtq_priv_stage_targets(record);
    unsigned i;

    record->count = count;
    for (i = 0; i < count; i++) {
        targets[i].base = segments[i].base;
        targets[i].len = segments[i].len;
    }
}

void virtq_priv_stage_fill(const struct virtq_copy *copy, struct virtq_mapping *mapping,
                           const struct virtq_priv_stage_plan *plan, unsigned char *base,
                           virtq_addr_t addr, uint64_t offset, bool clean)
{
    struct virtq_priv_stage_record *record = mapping->record;
    const struct virtq_segment *writable = mapping->segments + mapping->segments_readable;
    struct virtq_run *run = mapping->runs;

    if (mapping->segments_readable != 0) {
        uint64_t at = offset + plan->readable_at;

        virtq_priv_stage_gather(copy, base + at, mapping->segments, mapping->segments_readable);
        *run++ = (struct virtq_run){.addr = addr + at, .len = (uint32_t)plan->readable_len};
    }
    record->writable = offset + plan->writable_at;
    note_targets(record, writable, mapping->segments_writable);
    if (mapping->segments_writable != 0) {
        if (!clean) {
            virtq_priv_stage_gather(copy, base + record->writable, writable,
                                    mapping->segments_writable);
        }
        *run = (struct virtq_run){.addr = addr + record->writable,
                                  .len = (uint32_t)plan->writable_len};
    }
    virtq_priv_copy_done(copy);
    mapping->runs_readable = mapping->segments_readable != 0;
    mapping->runs_writable = mapping->segments_writable != 0;
    mapping->copied += plan->readable_len + (clean ? 0 : plan->writable_len);
}
