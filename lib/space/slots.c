/* SPDX-License-Identifier: BSD-3-Clause */
#include "slots.h"

#include <string.h>

enum { DEPTH_MOST = 65536 };

size_t virtq_priv_slots_size(uint32_t classes, uint32_t depth)
{
    if (classes == 0 || classes > VIRTQ_SLOTS_CLASSES_MAX || depth == 0 || depth > DEPTH_MOST) {
        return 0;
    }
    return sizeof(uint64_t) * classes * depth;
}

void virtq_priv_slots_init(struct virtq_slots *slots, struct virtq_granules *granules,
                           uint64_t start, uint64_t align, uint32_t classes, uint32_t depth,
                           uint64_t *memory)
{
    uint32_t at;

    memset(slots, 0, sizeof(*slots));
    slots->granules = granules;
    slots->start = start;
    slots->align = align;
    slots->shift = granules->shift;
    slots->classes = classes;
    slots->depth = depth;
    for (at = 0; at < classes && depth != 0; at++) {
        slots->free[at].slots = memory + (size_t)at * depth;
    }
}

static void give_back(struct virtq_slots *slots, uint64_t offset, uint64_t bytes)
{
    const uint64_t first = offset >> slots->shift;
    const uint64_t number = bytes >> slots->shift;

    if (slots->give != NULL) {
        slots->give(slots, first, number);
    } else {
        virtq_priv_granules_free(slots->granules, first, number);
    }
}

uint64_t virtq_priv_slots_flush(struct virtq_slots *slots)
{
    uint64_t bytes = 0;
    uint32_t at;

    for (at = 0; at < slots->classes; at++) {
        struct virtq_slots_class *free = &slots->free[at];
        const uint64_t each = virtq_priv_slots_class_bytes(slots, at);

        bytes += free->count * each;
        while (free->count != 0) {
            free->count--;
            give_back(slots, free->slots[free->count], each);
        }
    }
    slots->held -= bytes;
    return bytes;
}

/* Takes granules; if there are none, what is kept of other sizes has to go. */
static bool take_granules(struct virtq_slots *slots, uint64_t number, struct virtq_priv_place place,
                          uint64_t *first)
{
    return virtq_priv_granules_take(slots->granules, number, place, first) ||
           (slots->effort == (uint32_t)VIRTQ_PRIV_SLOTS_ALL && virtq_priv_slots_flush(slots) != 0 &&
            virtq_priv_granules_take(slots->granules, number, place, first));
}

/* A slot of the class; else, or beyond the largest class, one of just these bytes. One that could
 * be kept but is not of its class is the last resort. */
static bool take_any(struct virtq_slots *slots, struct virtq_priv_stage_record *record,
                     uint64_t exact, uint64_t at, struct virtq_priv_place place)
{
    const bool is_last = slots->effort == (uint32_t)VIRTQ_PRIV_SLOTS_ALL || at == slots->classes;
    uint64_t first = 0;

    if (at != slots->classes && take_granules(slots, (uint64_t)1 << at, place, &first)) {
        record->number = at | VIRTQ_PRIV_SLOT_PARTS;
    } else if (is_last && take_granules(slots, exact, place, &first)) {
        record->number = VIRTQ_PRIV_SLOT_POOLED | exact;
    } else {
        return false;
    }
    record->first = first << slots->shift;
    return true;
}

/* None is kept. Only the last word of the books counts as their refusal. */
VIRTQ_COLD int take_from_books(struct virtq_slots *slots, struct virtq_priv_stage_record *record,
                               uint64_t len, uint64_t at)
{
    struct virtq_granules *all = slots->granules;
    const uint64_t exact = virtq_priv_granules_of(all, len);
    const struct virtq_priv_place place =
        virtq_priv_granules_place(all, slots->start, 0, slots->align);
    int error;

    slots->misses++;
    if (take_any(slots, record, exact, at, place)) {
        slots->held += virtq_priv_slots_bytes(slots, record);
        slots->high_water = slots->held > slots->high_water ? slots->held : slots->high_water;
        return 0;
    }
    if (slots->effort != (uint32_t)VIRTQ_PRIV_SLOTS_ALL) {
        return VIRTQ_ENOMEM;
    }
    error = virtq_priv_granules_refuse(all, exact, place);
    slots->shortages += error == VIRTQ_ENOMEM;
    slots->too_big += error == VIRTQ_ETOOBIG;
    return error;
}

int virtq_priv_slots_take(struct virtq_slots *slots, struct virtq_priv_stage_record *record,
                          uint64_t len)
{
    const uint64_t at = virtq_priv_slots_class_of(slots, len - 1);
    struct virtq_slots_class *free = &slots->free[at];

    if (free->count == 0) {
        /* The books may be gone where only what is kept counts. */
        return slots->effort == (uint32_t)VIRTQ_PRIV_SLOTS_KEPT
                   ? VIRTQ_ENOMEM
                   : take_from_books(slots, record, len, at);
    }
    free->count--;
    record->first = free->slots[free->count];
    record->number = at | VIRTQ_PRIV_SLOT_PARTS;
    return 0;
}

bool virtq_priv_slots_keep(struct virtq_slots *slots, const struct virtq_priv_stage_record *record)
{
    struct virtq_slots_class *free;

    if ((record->number & VIRTQ_PRIV_SLOT_POOLED) != 0) {
        return false;
    }
    free = &slots->free[record->number & (VIRTQ_PRIV_SLOT_PARTS - 1)];
    if (free->count == slots->depth) {
        slots->returns++;
        return false;
    }
    free->slots[free->count++] = record->first;
    return true;
}

void virtq_priv_slots_give(struct virtq_slots *slots, const struct virtq_priv_stage_record *record)
{
    const uint64_t bytes = virtq_priv_slots_bytes(slots, record);

    slots->held -= bytes;
    give_back(slots, record->first, bytes);
}

void virtq_priv_slots_read_usage(const struct virtq_slots *slots, struct virtq_slots_usage *usage)
{
    uint32_t at;

    *usage = (struct virtq_slots_usage){.misses = slots->misses,
                                        .returns = slots->returns,
                                        .shortages = slots->shortages,
                                        .too_big = slots->too_big,
                                        .held = slots->held,
                                        .high_water = slots->high_water};
    for (at = 0; at < slots->classes; at++) {
        usage->kept += slots->free[at].count * virtq_priv_slots_class_bytes(slots, at);
    }
}
