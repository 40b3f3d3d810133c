/* SPDX-License-Identifier: BSD-3-Clause */
/* A mux's buffers: each segment to its member, one call a member, all or nothing. */
#include <string.h>

#include "mux_private.h"
#include "region.h"

/* The record's parts: ours, a step for each segment, the segments sorted by member, and the
 * members' own records, each as long as its share of the segments makes it. */
static struct virtq_priv_mux_step *steps_of(struct virtq_priv_mux_record *record)
{
    return (struct virtq_priv_mux_step *)(void *)(record + 1);
}

static struct virtq_segment *sorted_of(struct virtq_priv_mux_record *record)
{
    return (struct virtq_segment *)(void *)(steps_of(record) + record->segments);
}

/* The same memory, once the members have seen the segments. */
static struct virtq_run *scratch_of(struct virtq_priv_mux_record *record)
{
    VIRTQ_STATIC_ASSERT(sizeof(struct virtq_run) <= sizeof(struct virtq_segment), "a run's room");

    return (struct virtq_run *)(void *)sorted_of(record);
}

static unsigned char *records_of(struct virtq_priv_mux_record *record)
{
    return (unsigned char *)(sorted_of(record) + record->segments);
}

static size_t record_size(const struct virtq_mux *mux, const struct virtq_priv_mux_record *record,
                          uint32_t at)
{
    const struct virtq_space *space = mux->members[at].space;

    return ((size_t)space->record_fixed + (size_t)space->record_per_segment * record->counts[at] +
            7u) &
           ~(size_t)7u;
}

/* By where it lies: often in the same route as the one before it. */
static int find(const struct virtq_mux *mux, const struct virtq_segment *segment, uint32_t *hint)
{
    const uintptr_t first = (uintptr_t)segment->base;

    if (*hint < mux->route_count) {
        const struct virtq_mux_route *route = &mux->routes[*hint];

        /* A length of 0 wraps, and is judged by the search. */
        if (first >= route->first && first <= route->last &&
            (uintptr_t)segment->len - 1u <= route->last - first) {
            return (int)route->member;
        }
    }
    return virtq_priv_mux_find(mux, segment->base, segment->len, hint);
}

/* The member of one segment, or why there is none. */
static int choose(const struct virtq_mux *mux, const struct virtq_segment *segment,
                  uint32_t permission, uint32_t *hint)
{
    int at;

    if ((mux->flags & (uint32_t)VIRTQ_MUX_BY_SEGMENT) != 0 && segment->route != 0) {
        if (segment->route > mux->member_count) {
            return VIRTQ_EINVAL;
        }
        at = (int)(segment->route - 1);
    } else {
        at = find(mux, segment, hint);
    }
    if (at >= 0 && (mux->members[at].permissions & permission) == 0) {
        return VIRTQ_EFAULT;
    }
    return at;
}

/* Fills in the steps and the counts. */
static int choose_all(const struct virtq_mux *mux, const struct virtq_mapping *mapping,
                      struct virtq_priv_mux_record *record)
{
    struct virtq_priv_mux_step *steps;
    uint32_t hint = 0;
    uint32_t i;

    memset(record, 0, sizeof(*record));
    record->readable = mapping->segments_readable;
    record->segments = record->readable + mapping->segments_writable;
    record->members = mux->member_count;
    steps = steps_of(record);
    for (i = 0; i < record->segments; i++) {
        uint32_t permission = i < record->readable ? VIRTQ_PERMISSION_READ : VIRTQ_PERMISSION_WRITE;
        int at = choose(mux, &mapping->segments[i], permission, &hint);

        if (at < 0) {
            return at;
        }
        record->counts[at]++;
        record->only = i == 0 || record->only == (uint32_t)at ? (uint32_t)at : record->members;
        steps[i] = (struct virtq_priv_mux_step){mapping->segments[i].len, (uint32_t)at};
    }
    return 0;
}

/* The segments of each member beside each other, in the buffer's order, readable ones first.
 * `readable` comes as zeros. */
static void sort(struct virtq_priv_mux_record *record, const struct virtq_mapping *mapping,
                 uint16_t readable[VIRTQ_MUX_MEMBERS])
{
    const struct virtq_priv_mux_step *steps = steps_of(record);
    struct virtq_segment *sorted = sorted_of(record);
    uint32_t next[VIRTQ_MUX_MEMBERS] = {0};
    uint32_t i;

    for (i = 1; i < record->members; i++) {
        next[i] = next[i - 1] + record->counts[i - 1];
    }
    for (i = 0; i < record->segments; i++) {
        sorted[next[steps[i].member]++] = mapping->segments[i];
        readable[steps[i].member] =
            (uint16_t)(readable[steps[i].member] + (i < record->readable ? 1u : 0u));
    }
}

/* Gives back what the members below `end` hold, and tells each what the device wrote of its part.
 */
static void unmap_members(struct virtq_mux *mux, struct virtq_priv_mux_record *record, uint32_t end,
                          const uint64_t written[VIRTQ_MUX_MEMBERS], uint64_t *copied)
{
    unsigned char *own = records_of(record);
    uint32_t at;

    for (at = 0; at < end; at++) {
        struct virtq_space *space = mux->members[at].space;
        struct virtq_mapping part;

        if (record->counts[at] == 0) {
            continue;
        }
        part = (struct virtq_mapping){.record = own};
        space->ops->unmap(space, &part, written[at]);
        *copied += part.copied;
        own += record_size(mux, record, at);
    }
}

/* The runs that a member gave, as queues know them. */
static bool place_all(const struct virtq_mux_member *member, struct virtq_run *runs, uint32_t count)
{
    uint32_t i;

    for (i = 0; i < count; i++) {
        if (runs[i].len == 0 || !virtq_priv_mux_place(member, &runs[i].addr, runs[i].len)) {
            return false;
        }
    }
    return true;
}

/* One member's call. `part` has segments, counts, record, runs and capacity. */
static int map_member(const struct virtq_mux_member *member, struct virtq_mapping *part)
{
    const struct virtq_space_ops *ops = member->space->ops;
    int error;

    if (ops->size < offsetof(struct virtq_space_ops, share) || ops->map == NULL ||
        ops->unmap == NULL) {
        return VIRTQ_EFAULT;
    }
    if (part->capacity == 0) {
        return VIRTQ_EFULL;
    }
    error = ops->map(member->space, part);
    if (error == 0 &&
        !place_all(member, part->runs, (uint32_t)part->runs_readable + part->runs_writable)) {
        ops->unmap(member->space, part, 0);
        return VIRTQ_EFAULT;
    }
    return error;
}

static uint64_t sum(const struct virtq_run *runs, uint32_t count)
{
    uint64_t bytes = 0;
    uint32_t i;

    for (i = 0; i < count; i++) {
        bytes += runs[i].len;
    }
    return bytes;
}

/* A buffer of one member needs no sorting: its runs are in order, if they are as long as its
 * segments. */
static int map_only(struct virtq_mux *mux, struct virtq_mapping *mapping)
{
    struct virtq_priv_mux_record *record = mapping->record;
    const struct virtq_mux_member *member = &mux->members[record->only];
    const struct virtq_priv_mux_step *steps = steps_of(record);
    struct virtq_mapping part = *mapping;
    uint64_t readable = 0;
    uint64_t writable = 0;
    uint32_t i;
    int error;

    part.record = records_of(record);
    part.copied = 0;
    error = map_member(member, &part);
    if (error != 0) {
        return error;
    }
    for (i = 0; i < record->readable; i++) {
        readable += steps[i].len;
    }
    for (; i < record->segments; i++) {
        writable += steps[i].len;
    }
    if (sum(part.runs, part.runs_readable) != readable ||
        sum(part.runs + part.runs_readable, part.runs_writable) != writable) {
        member->space->ops->unmap(member->space, &part, 0);
        error = VIRTQ_EFAULT;
    }
    mapping->copied += part.copied;
    mapping->runs_readable = part.runs_readable;
    mapping->runs_writable = part.runs_writable;
    return error;
}

static const uint64_t nothing[VIRTQ_MUX_MEMBERS];

/* Every member's call, in turn; if one fails, those before it take their part back. */
static int map_members(struct virtq_mux *mux, struct virtq_mapping *mapping,
                       struct virtq_priv_mux_runs *given)
{
    struct virtq_priv_mux_record *record = mapping->record;
    const struct virtq_segment *segments = sorted_of(record);
    unsigned char *own = records_of(record);
    uint16_t readable[VIRTQ_MUX_MEMBERS] = {0};
    uint32_t used = 0;
    uint32_t at;

    sort(record, mapping, readable);
    for (at = 0; at < mux->member_count; at++) {
        struct virtq_mapping part;
        int error;

        if (record->counts[at] == 0) {
            continue;
        }
        part = (struct virtq_mapping){.runs = mapping->runs + used,
                                      .segments = segments,
                                      .record = own,
                                      .segments_readable = readable[at],
                                      .segments_writable =
                                          (uint16_t)(record->counts[at] - readable[at]),
                                      .capacity = (uint16_t)(mapping->capacity - used)};
        error = map_member(&mux->members[at], &part);
        if (error != 0) {
            unmap_members(mux, record, at, nothing, &mapping->copied);
            return error;
        }
        mapping->copied += part.copied;
        given->readable[at] = part.runs_readable;
        given->writable[at] = part.runs_writable;
        used += (uint32_t)part.runs_readable + part.runs_writable;
        segments += record->counts[at];
        own += record_size(mux, record, at);
    }
    return 0;
}

int virtq_priv_mux_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    struct virtq_mux *mux = (struct virtq_mux *)space;
    struct virtq_priv_mux_record *record = mapping->record;
    struct virtq_priv_mux_runs given = {{0}, {0}};
    int error = choose_all(mux, mapping, record);

    if (error != 0) {
        return error;
    }
    if (record->segments == 0) {
        return VIRTQ_EINVAL;
    }
    if (record->only != record->members) {
        return map_only(mux, mapping);
    }
    error = map_members(mux, mapping, &given);
    if (error != 0) {
        return error;
    }
    /* The members' calls are over, and of segments nothing is valid in unmap. */
    error = virtq_priv_mux_order(record, steps_of(record), scratch_of(record), mapping, &given);
    if (error != 0) {
        unmap_members(mux, record, mux->member_count, nothing, &mapping->copied);
    }
    return error;
}

/* The device wrote the first bytes of the writable segments: each member's share of them lies at
 * the beginning of that member's part, too. */
void virtq_priv_mux_unmap(struct virtq_space *space, struct virtq_mapping *mapping,
                          uint64_t written)
{
    struct virtq_mux *mux = (struct virtq_mux *)space;
    struct virtq_priv_mux_record *record = mapping->record;
    const struct virtq_priv_mux_step *steps = steps_of(record);
    uint64_t shares[VIRTQ_MUX_MEMBERS] = {0};
    uint32_t i;

    if (record->only != record->members) {
        struct virtq_space *only = mux->members[record->only].space;
        struct virtq_mapping part = {.record = records_of(record)};

        only->ops->unmap(only, &part, written);
        mapping->copied += part.copied;
        return;
    }
    for (i = record->readable; i < record->segments && written != 0; i++) {
        uint64_t some = written < steps[i].len ? written : steps[i].len;

        shares[steps[i].member] += some;
        written -= some;
    }
    unmap_members(mux, record, mux->member_count, shares, &mapping->copied);
}
