/* SPDX-License-Identifier: BSD-3-Clause */
/* Staging in a region: stage.h does the work, the slots of one queue or the region's books say
 * where. */
#include "virtq/space/bar_stage.h"

#include <string.h>

#include "copy/copy.h"
#include "granules.h"
#include "slots.h"
#include "stage.h"

/* Whether all of a part's segments, and where it begins, are whole units: else bytes would have to
 * be stored by accesses that are not allowed, or by reading their neighbours (M9). */
static bool part_fits(const struct virtq_bar_stage *stage, const struct virtq_segment *segments,
                      unsigned count)
{
    const uint64_t unit_mask = stage->unit - 1u;
    unsigned i;

    if (count != 0 && ((uintptr_t)segments[0].base & stage->low_mask & unit_mask) != 0) {
        return false;
    }
    for (i = 0; i < count; i++) {
        if ((segments[i].len & unit_mask) != 0) {
            return false;
        }
    }
    return true;
}

/* Whether it is the space of one queue; else of any number, and nothing of it is written. */
static bool keeps(const struct virtq_bar_stage *stage)
{
    return stage->slots.depth != 0;
}

/* A slot just where the plan has it, under the books' lock. */
static int take_from_books(const struct virtq_bar_stage *stage,
                           const struct virtq_priv_stage_plan *plan,
                           struct virtq_priv_stage_record *record)
{
    struct virtq_granules *granules = &stage->bar->granules;
    const uint64_t number = virtq_priv_granules_of(granules, plan->len);
    uint64_t first;
    int error =
        virtq_priv_granules_alloc(granules, number,
                                  virtq_priv_granules_place(granules, stage->space.linear.first,
                                                            plan->wanted, stage->low_mask + 1),
                                  &first);

    if (error == 0) {
        record->first = first << granules->shift;
        record->number = VIRTQ_PRIV_SLOT_POOLED | number;
    }
    return error;
}

static int stage_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    struct virtq_bar_stage *stage = (struct virtq_bar_stage *)space;
    struct virtq_priv_stage_record *record = mapping->record;
    const struct virtq_segment *writable = mapping->segments + mapping->segments_readable;
    const uint64_t granule_mask = ((uint64_t)1 << stage->slots.shift) - 1;
    /* A slot that is kept has to suit any low bits, so it begins where they are all 0. */
    const struct virtq_priv_stage_shape shape = {
        granule_mask, granule_mask | (keeps(stage) ? stage->low_mask : 0), stage->low_mask};
    struct virtq_priv_stage_plan plan;
    int error = virtq_priv_stage_plan(mapping, &shape, &plan);

    if (error != 0) {
        return error;
    }
    if (stage->unit != 1 && (!part_fits(stage, mapping->segments, mapping->segments_readable) ||
                             !part_fits(stage, writable, mapping->segments_writable))) {
        return VIRTQ_EFAULT;
    }
    error = keeps(stage) ? virtq_priv_slots_take(&stage->slots, record, plan.len)
                         : take_from_books(stage, &plan, record);
    if (error != 0) {
        return error;
    }
    virtq_priv_stage_fill(&stage->copy, mapping, &plan, stage->bar->base, space->linear.first,
                          record->first, false);
    return 0;
}

static void stage_unmap(struct virtq_space *space, struct virtq_mapping *mapping, uint64_t written)
{
    struct virtq_bar_stage *stage = (struct virtq_bar_stage *)space;
    const struct virtq_priv_stage_record *record = mapping->record;
    const uint64_t unit_mask = stage->unit - 1u;

    virtq_priv_stage_drain(&stage->copy, mapping, stage->bar->base,
                           (written + unit_mask) & ~unit_mask);
    if (!keeps(stage)) {
        virtq_priv_granules_free(&stage->bar->granules, record->first >> stage->slots.shift,
                                 record->number & ~VIRTQ_PRIV_SLOT_POOLED);
    } else if (!virtq_priv_slots_keep(&stage->slots, record)) {
        virtq_priv_slots_give(&stage->slots, record);
    }
}

static int stage_share(struct virtq_space *space, void *base, uint64_t len, uint32_t permissions,
                       virtq_addr_t *addr)
{
    struct virtq_bar_stage *stage = (struct virtq_bar_stage *)space;

    return virtq_space_share(&stage->bar->space, base, len, permissions, addr);
}

static void stage_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    (void)space;
    (void)addr;
    (void)len;
}

static int stage_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                        struct virtq_window *window)
{
    struct virtq_space *region = &((struct virtq_bar_stage *)space)->bar->space;

    return region->ops->window(region, addr, permission, window);
}

static const struct virtq_space_ops stage_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "bar stage",
    .map = stage_map,
    .unmap = stage_unmap,
    .share = stage_share,
    .unshare = stage_unshare,
    .window = stage_window,
};

static int check_config(const struct virtq_bar_stage_config *config)
{
    const uint32_t both = (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE;
    const struct virtq_bar *bar = config->bar;

    if (config->struct_size < sizeof(*config) || bar == NULL ||
        (bar->space.linear.permissions & both) != both ||
        (config->low_mask & (config->low_mask + 1u)) != 0) {
        return VIRTQ_EINVAL;
    }
    if (bar->memory != (uint32_t)VIRTQ_BAR_CACHEABLE &&
        (config->copy.to_shared == NULL || config->copy.from_shared == NULL)) {
        /* A memcpy may touch a byte twice, or many at once. */
        return VIRTQ_EINVAL;
    }
    return bar->granules.count != 0 ? 0 : VIRTQ_ENOTSUP;
}

size_t virtq_bar_stage_private_size(const struct virtq_bar_stage_config *config)
{
    return config->struct_size < sizeof(*config)
               ? 0
               : virtq_priv_slots_size(config->classes, config->depth);
}

static int check_memory(const struct virtq_bar_stage_config *config)
{
    const size_t needed = virtq_bar_stage_private_size(config);

    if (config->depth == 0) {
        return 0;
    }
    if (needed == 0 || config->memory == NULL ||
        (uintptr_t)config->memory % sizeof(uint64_t) != 0) {
        return VIRTQ_EINVAL;
    }
    return config->memory_size >= needed ? 0 : VIRTQ_ENOMEM;
}

int virtq_bar_stage_init(struct virtq_bar_stage *stage, const struct virtq_bar_stage_config *config)
{
    int error = check_config(config);

    if (error == 0) {
        error = check_memory(config);
    }
    if (error != 0) {
        return error;
    }
    memset(stage, 0, sizeof(*stage));
    stage->space.ops = &stage_ops;
    stage->space.driver_kind = VIRTQ_SPACE_CALLED;
    stage->space.device_kind = VIRTQ_SPACE_BAR;
    stage->space.linear = config->bar->space.linear;
    stage->space.record_fixed = VIRTQ_PRIV_STAGE_RECORD_FIXED;
    stage->space.record_per_segment = VIRTQ_PRIV_STAGE_RECORD_PER_SEGMENT;
    stage->space.runs_max = 2;
    stage->bar = config->bar;
    stage->copy = config->copy;
    stage->low_mask = config->low_mask;
    stage->unit = 1;
    if (config->bar->memory == (uint32_t)VIRTQ_BAR_DEVICE) {
        stage->unit = config->bar->widths & (~config->bar->widths + 1u); /* The smallest. */
    }
    virtq_priv_slots_init(&stage->slots, &config->bar->granules, stage->space.linear.first,
                          stage->low_mask + 1, config->depth != 0 ? config->classes : 0,
                          config->depth, config->memory);
    return 0;
}

uint64_t virtq_bar_stage_flush(struct virtq_bar_stage *stage)
{
    return virtq_priv_slots_flush(&stage->slots);
}

void virtq_bar_stage_read_usage(const struct virtq_bar_stage *stage,
                                struct virtq_slots_usage *usage)
{
    virtq_priv_slots_read_usage(&stage->slots, usage);
}
