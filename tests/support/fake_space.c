/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_space.h"

#include <stdlib.h>
#include <string.h>

#include "world.h"

enum { GRANULE = FAKE_SPACE_GRANULE };

#define NONE UINT32_MAX

#define ALIVE UINT64_C(0x6d617070656421)
#define DEAD UINT64_C(0x756e6d61707065)
#define BOTH ((uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE)

/* What is remembered of a buffer in its private record; the word for each segment follows. */
struct record {
    uint64_t state; /* ALIVE or DEAD. */
    uint64_t head;  /* Its first granule. */
    uint64_t writable;
    uint64_t segments;
};

static struct fake_space *fake_of(struct virtq_space *space)
{
    return (struct fake_space *)(void *)space;
}

static void promise(struct fake_space *fake, bool kept, const char *what)
{
    if (!kept && fake->broken == NULL) {
        fake->broken = what;
    }
}

/* ---- Granules: the last one ends at 2^64 - 1 ---- */

static virtq_addr_t addr_of(const struct fake_space *fake, uint32_t index)
{
    return UINT64_MAX - ((uint64_t)(fake->count - index) * GRANULE - 1);
}

/* The granule of a device address; `count` for an address that is none of ours. */
static uint32_t index_of(const struct fake_space *fake, virtq_addr_t addr)
{
    uint64_t back = (UINT64_MAX - addr) / GRANULE;

    return back < fake->count ? fake->count - 1 - (uint32_t)back : fake->count;
}

/* `first` bytes into the granule: an address need not look like a pointer at all. */
static void grant(struct fake_space *fake, uint32_t index, unsigned char *base, uint32_t len,
                  uint32_t permissions, uint32_t first)
{
    struct fake_granule *granule = &fake->granules[index];

    granule->base = base;
    granule->first = first;
    granule->last = first + len - 1;
    granule->permissions = permissions;
    granule->next = NONE;
    granule->known = false;
    fake->granted++;
}

static void withdraw(struct fake_space *fake, uint32_t index)
{
    struct fake_granule *granule = &fake->granules[index];

    promise(fake, granule->permissions != 0, "a granule was given back twice");
    fake->known -= granule->known;
    granule->known = false;
    granule->permissions = 0;
    fake->granted--;
    fake->cursor = index + 1;
}

/* Bytes from `base` to the end of its granule, or `len`. */
static uint32_t part_of(const unsigned char *base, uint64_t len)
{
    uint32_t room = GRANULE - (uint32_t)((uintptr_t)base % GRANULE);

    return len < room ? (uint32_t)len : room;
}

/* Backwards and round, from what was given back last. */
static uint32_t find_one(struct fake_space *fake)
{
    for (uint32_t tries = 0; tries < fake->count; tries++) {
        fake->cursor = fake->cursor == 0 ? fake->count - 1 : fake->cursor - 1;
        if (fake->granules[fake->cursor].permissions == 0) {
            return fake->cursor;
        }
    }
    return NONE;
}

/* ---- Driver end ---- */

static void withdraw_list(struct fake_space *fake, uint64_t head)
{
    while (head != NONE) {
        uint32_t next = fake->granules[head].next;

        withdraw(fake, (uint32_t)head);
        head = next;
    }
    /* The queues' windows may be among them. L3. */
    virtq_space_invalidated(&fake->space);
}

static int map_segment(struct fake_space *fake, const struct virtq_segment *segment,
                       uint32_t permissions, struct virtq_mapping *mapping, unsigned *runs,
                       uint64_t *head)
{
    unsigned char *base = segment->base;
    uint32_t left = segment->len;

    promise(fake, left != 0, "a segment without a byte");
    fake->cut += left > part_of(base, left);
    while (left != 0) {
        uint32_t len = part_of(base, left);
        uint32_t index;

        if (*runs == mapping->capacity || *runs == (unsigned)FAKE_SPACE_RUNS) {
            return VIRTQ_EFULL;
        }
        index = find_one(fake);
        if (index == NONE) {
            return VIRTQ_ENOMEM;
        }
        /* To the end of its granule: the byte behind it is another mapping's or nobody's. */
        grant(fake, index, base, len, permissions, GRANULE - len);
        fake->granules[index].next = (uint32_t)*head;
        *head = index;
        mapping->runs[*runs].addr = addr_of(fake, index) + fake->granules[index].first;
        mapping->runs[*runs].len = len;
        ++*runs;
        base += len;
        left -= len;
    }
    return VIRTQ_OK;
}

static void check_mapping(struct fake_space *fake, const struct virtq_mapping *mapping)
{
    const struct record *record = mapping->record;

    promise(fake, (uintptr_t)record % 8 == 0, "the record is not aligned");
    promise(fake, record->state != ALIVE, "a record in use was given again");
    promise(fake, mapping->capacity != 0, "map without room for a run");
    promise(fake, mapping->segments_readable + mapping->segments_writable != 0,
            "map of a buffer without segments");
    promise(fake, mapping->copied == 0, "map's count of copied bytes does not begin at 0");
}

static void remember(const struct virtq_mapping *mapping, uint64_t head)
{
    struct record *record = mapping->record;
    uint64_t *lengths = (uint64_t *)(record + 1);
    unsigned count = (unsigned)mapping->segments_readable + mapping->segments_writable;

    record->state = ALIVE;
    record->head = head;
    record->writable = 0;
    record->segments = count;
    for (unsigned i = 0; i < count; i++) {
        lengths[i] = mapping->segments[i].len;
        record->writable += i >= mapping->segments_readable ? lengths[i] : 0;
    }
}

static int fake_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    struct fake_space *fake = fake_of(space);
    unsigned count = (unsigned)mapping->segments_readable + mapping->segments_writable;
    uint64_t head = NONE;
    unsigned runs = 0;
    int error = VIRTQ_OK;

    check_mapping(fake, mapping);
    mapping->runs_readable = 0;
    for (unsigned i = 0; i < count && error == VIRTQ_OK; i++) {
        bool readable = i < mapping->segments_readable;

        error = map_segment(fake, &mapping->segments[i],
                            readable ? (uint32_t)VIRTQ_PERMISSION_READ
                                     : (uint32_t)VIRTQ_PERMISSION_WRITE,
                            mapping, &runs, &head);
        if (readable) {
            mapping->runs_readable = (uint16_t)runs;
        }
    }
    if (error != VIRTQ_OK) {
        withdraw_list(fake, head);
        return error;
    }
    mapping->runs_writable = (uint16_t)(runs - mapping->runs_readable);
    remember(mapping, head);
    fake->mapped++;
    return VIRTQ_OK;
}

static void fake_unmap(struct virtq_space *space, struct virtq_mapping *mapping, uint64_t written)
{
    struct fake_space *fake = fake_of(space);
    struct record *record = mapping->record;
    const uint64_t *lengths = (const uint64_t *)(record + 1);
    uint64_t sum = 0;

    promise(fake, record->state == ALIVE, "an unmapping of what is not mapped");
    if (record->state != ALIVE) {
        return;
    }
    for (uint64_t i = 0; i < record->segments; i++) {
        sum += lengths[i];
    }
    promise(fake, sum >= record->writable && sum != 0, "the record was written to");
    promise(fake, written <= record->writable, "more bytes written than the writable part has");
    record->state = DEAD;
    fake->mapped--;
    withdraw_list(fake, record->head);
}

/* A row of free granules, from the top down: what is shared is contiguous for the device. */
static uint32_t find_row(const struct fake_space *fake, uint64_t wanted)
{
    uint64_t row = 0;

    for (uint32_t index = fake->count; index-- > 0;) {
        row = fake->granules[index].permissions == 0 ? row + 1 : 0;
        if (row == wanted) {
            return index;
        }
    }
    return NONE;
}

static int fake_share(struct virtq_space *space, void *memory, uint64_t len, uint32_t permissions,
                      virtq_addr_t *addr)
{
    struct fake_space *fake = fake_of(space);
    unsigned char *base = memory;
    uint64_t number = ((uintptr_t)base % GRANULE + len + GRANULE - 1) / GRANULE;
    uint32_t index = find_row(fake, number);

    promise(fake, len != 0 && permissions != 0 && (permissions & ~BOTH) == 0, "an empty share");
    if (index == NONE) {
        return VIRTQ_ENOMEM;
    }
    *addr = addr_of(fake, index) + (uintptr_t)base % GRANULE;
    for (; len != 0; index++) {
        uint32_t part = part_of(base, len);

        grant(fake, index, base, part, permissions, (uint32_t)((uintptr_t)base % GRANULE));
        base += part;
        len -= part;
    }
    fake->shared++;
    return VIRTQ_OK;
}

static void fake_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    struct fake_space *fake = fake_of(space);
    uint64_t number = (addr % GRANULE + len + GRANULE - 1) / GRANULE;
    uint32_t index = index_of(fake, addr);

    if (index == fake->count || number > fake->count - index ||
        fake->granules[index].first != addr % GRANULE) {
        promise(fake, false, "an unshare of what was not shared");
        return;
    }
    for (uint64_t i = 0; i < number; i++) {
        withdraw(fake, index + (uint32_t)i);
    }
    fake->shared--;
    virtq_space_invalidated(&fake->space);
}

/* ---- Device end ---- */

/* The granule that grants an access, or why there is none. */
static int find(struct fake_space *fake, virtq_addr_t addr, uint32_t permission, uint32_t *index)
{
    const struct fake_granule *granule;
    uint64_t offset = addr % GRANULE;

    *index = index_of(fake, addr);
    if (*index == fake->count) {
        return VIRTQ_EFAULT;
    }
    granule = &fake->granules[*index];
    if (granule->permissions == 0 || offset < granule->first || offset > granule->last) {
        return VIRTQ_EFAULT;
    }
    return (granule->permissions & permission) == permission ? VIRTQ_OK : VIRTQ_EPERM;
}

static int fake_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                       struct virtq_window *window)
{
    struct fake_space *fake = fake_of(space);
    const struct fake_granule *granule;
    uint32_t index;
    int error = find(fake, addr, permission, &index);

    promise(fake, permission != 0 && (permission & ~BOTH) == 0, "a question without a permission");
    if (error != VIRTQ_OK) {
        promise(fake, false, "the device asked for what nobody gave it");
        return error;
    }
    granule = &fake->granules[index];
    if (!granule->known) {
        fake->misses++;
        return VIRTQ_EMISS;
    }
    *window = (struct virtq_window){.first = addr_of(fake, index) + granule->first,
                                    .last = addr_of(fake, index) + granule->last,
                                    .base = granule->base,
                                    .permissions = granule->permissions};
    return VIRTQ_OK;
}

static const struct virtq_space_ops fake_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "fake",
    .map = fake_map,
    .unmap = fake_unmap,
    .share = fake_share,
    .unshare = fake_unshare,
    .window = fake_window,
};

void fake_space_init(struct fake_space *fake, struct fake_granule *granules, uint32_t count)
{
    memset(fake, 0, sizeof(*fake));
    memset(granules, 0, count * sizeof(*granules));
    fake->space.ops = &fake_ops;
    fake->space.driver_kind = VIRTQ_SPACE_CALLED;
    fake->space.device_kind = VIRTQ_SPACE_CALLED;
    fake->space.record_fixed = sizeof(struct record);
    fake->space.record_per_segment = sizeof(uint64_t);
    fake->space.runs_max = FAKE_SPACE_RUNS;
    fake->granules = granules;
    fake->count = count;
}

int fake_space_resolve(struct fake_space *fake, const struct virtq_miss *miss)
{
    uint32_t index;
    int error = find(fake, miss->addr, miss->permissions, &index);

    promise(fake, miss->len != 0 && miss->len - 1 <= UINT64_MAX - miss->addr, "a miss that wraps");
    if (error != VIRTQ_OK) {
        promise(fake, false, "a miss of what nobody gave the device");
        return error;
    }
    promise(fake, !fake->granules[index].known, "a miss of what is known");
    if (fake->known == (uint32_t)FAKE_SPACE_KNOWN) {
        for (uint32_t i = 0; i < fake->count; i++) {
            fake->granules[i].known = false;
        }
        fake->known = 0;
        virtq_space_invalidated(&fake->space);
    }
    fake->known += !fake->granules[index].known;
    fake->granules[index].known = true;
    return VIRTQ_OK;
}

const char *fake_space_judge(const struct fake_space *fake, bool idle)
{
    if (fake->broken != NULL) {
        return fake->broken;
    }
    if (idle && (fake->granted != 0 || fake->mapped != 0 || fake->shared != 0)) {
        return "something was not given back";
    }
    return NULL;
}

/* ---- As worlds use it ---- */

static bool world_fake_open(struct world_space *space, size_t ring, size_t data, unsigned buffers)
{
    const uint32_t count = (uint32_t)(ring / GRANULE) + 16 + buffers * (uint32_t)WORLD_SEGMENTS;
    struct fake_space *fake = calloc(1, sizeof(*fake));
    struct fake_granule *granules = calloc(count, sizeof(*granules));

    (void)data;
    if (fake == NULL || granules == NULL) {
        return false;
    }
    fake_space_init(fake, granules, count);
    space->own = fake;
    space->driver = &fake->space;
    space->device = &fake->space;
    return true;
}

static void world_fake_close(struct world_space *space)
{
    struct fake_space *fake = space->own;

    free(fake->granules);
    free(fake);
}

static int world_fake_resolve(struct world_space *space, const struct virtq_miss *miss)
{
    return fake_space_resolve(space->own, miss);
}

static const char *world_fake_judge(struct world_space *space, bool idle)
{
    return fake_space_judge(space->own, idle);
}

const struct world_space_kind world_fake = {.name = "fake",
                                            .granule = GRANULE,
                                            .open = world_fake_open,
                                            .close = world_fake_close,
                                            .resolve = world_fake_resolve,
                                            .judge = world_fake_judge};
