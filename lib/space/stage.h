/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Staging: a buffer's two parts in one slot of memory that both sides may touch. What a pool
 * and a region of a device have in common.
 *
 * Plan, take a slot of `plan.len` bytes, fill it, and later drain it. The readable segments become
 * one run, the writable ones another. Bytes go through a struct virtq_copy only, and nothing that
 * is staged is ever read but payload: what draining needs lies in a private record.
 */
#ifndef VIRTQ_LIB_SPACE_STAGE_H
#define VIRTQ_LIB_SPACE_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "copy/copy.h"
#include "virtq/copy.h"
#include "virtq/space.h"

/** @brief Where slots begin and how their parts lie. Each member is a power of two minus 1. */
struct virtq_priv_stage_shape {
    uint64_t part_mask; /**< Two parts never share a block of this size: the granule. */
    uint64_t slot_mask; /**< What a slot's address is aligned to, at least: at most `low_mask` or
                             the granule, whichever is larger. */
    uint64_t low_mask;  /**< The low address bits to keep. */
};

/** @brief Where the two parts of a buffer go in one slot. */
struct virtq_priv_stage_plan {
    uint64_t readable_len; /**< Bytes. */
    uint64_t writable_len; /**< Bytes. */
    uint64_t readable_at; /**< Bytes from the slot's start; where the first part there is begins. */
    uint64_t writable_at; /**< Bytes from the slot's start. */
    uint64_t len;         /**< Bytes from the slot's start to the end of the last part. */
    uint64_t wanted;      /**< What the slot's address has to be, modulo `low_mask` + 1. */
};

/** @brief A writable segment, to copy back to. */
struct virtq_priv_stage_target {
    void *base;   /**< The caller's memory. */
    uint32_t len; /**< Bytes. */
};

/** @brief What draining needs, in private memory: nothing of it is ever read from the slot. */
struct virtq_priv_stage_record {
    uint64_t first;     /**< For the space: where the slot is. */
    uint32_t filled_at; /**< For the space: what was filled begins here in the slot ... */
    uint32_t filled;    /**< ... and has so many bytes. */
    uint64_t writable;  /**< Where the writable part begins, in bytes from the memory's start. */
    uint64_t number;    /**< For the space: how large the slot is, or of what kind. */
    uint64_t count;     /**< How many targets follow. */
};

/** @brief What a space asks for as virtq_space::record_fixed. */
#define VIRTQ_PRIV_STAGE_RECORD_FIXED ((uint32_t)sizeof(struct virtq_priv_stage_record))
/** @brief What a space asks for as virtq_space::record_per_segment. */
#define VIRTQ_PRIV_STAGE_RECORD_PER_SEGMENT ((uint32_t)sizeof(struct virtq_priv_stage_target))

/** @brief Plans a buffer: 0; VIRTQ_EINVAL (no segment, or an empty one), VIRTQ_EFAULT (memory that
 * wraps), VIRTQ_ETOOBIG (a part exceeds a run), VIRTQ_EFULL (fewer runs than parts). */
int virtq_priv_stage_plan(const struct virtq_mapping *mapping,
                          const struct virtq_priv_stage_shape *shape,
                          struct virtq_priv_stage_plan *plan);

/** @brief Copies a buffer into its slot, writes its runs, and notes the targets in the record.
 *
 * Unless its memory is known to be zero, the writable part is filled too: what the device leaves
 * alone is never another buffer's, whatever it claims (M8).
 * @param clean whether the slot is all zeros; constant in each space
 * @param copy how @param mapping the buffer @param plan its plan
 * @param base the memory that slots are in @param addr its device address
 * @param offset where the slot begins in it, in bytes */
void virtq_priv_stage_fill(const struct virtq_copy *copy, struct virtq_mapping *mapping,
                           const struct virtq_priv_stage_plan *plan, unsigned char *base,
                           virtq_addr_t addr, uint64_t offset, bool clean);

/** @brief Where a record's targets are. */
VIRTQ_INLINE struct virtq_priv_stage_target *virtq_priv_stage_targets(
    struct virtq_priv_stage_record *record)
{
    return (struct virtq_priv_stage_target *)(void *)(record + 1);
}

/** @brief Copies back what the device wrote, at most `written` bytes, over the writable segments in
 * order.
 * @param copy how @param mapping `record` and `copied` count
 * @param base the memory that slots are in @param written bytes, of any size */
VIRTQ_INLINE void virtq_priv_stage_drain(const struct virtq_copy *copy,
                                         struct virtq_mapping *mapping, const unsigned char *base,
                                         uint64_t written)
{
    struct virtq_priv_stage_record *record = mapping->record;
    const struct virtq_priv_stage_target *targets = virtq_priv_stage_targets(record);
    const unsigned char *from = base + record->writable;
    uint64_t i;

    for (i = 0; i < record->count && written != 0; i++) {
        uint32_t len = written < targets[i].len ? (uint32_t)written : targets[i].len;

        virtq_priv_copy_from_shared(copy, targets[i].base, from, len);
        mapping->copied += len;
        from += len;
        written -= len;
    }
}

/** @brief Copies segments into shared memory, one behind the other. */
void virtq_priv_stage_gather(const struct virtq_copy *copy, unsigned char *to,
                             const struct virtq_segment *segments, unsigned count);

/** @brief Adds up a part's bytes: 0, VIRTQ_EINVAL (an empty segment), VIRTQ_EFAULT (memory that
 * wraps) or VIRTQ_ETOOBIG (more than a run holds). */
int virtq_priv_stage_sum(const struct virtq_segment *segments, unsigned count, uint64_t *len);

#endif
