/* SPDX-License-Identifier: BSD-3-Clause */
/* A packed ring's records: made, and put in order after a crash. */
#include <stddef.h>
#include <string.h>

#include "vhost_user_inflight.h"
#include "virtq/inline/event.h"
#include "virtq/inline/shm.h"

typedef struct virtq_vhost_user_packed_region region_type;
typedef struct virtq_vhost_user_packed_record record_type;

#define STORE(place, value) __atomic_store_n(&(place), (value), __ATOMIC_RELEASE)
#define LOAD(place) __atomic_load_n(&(place), __ATOMIC_RELAXED)

static uint16_t position_of(uint16_t offset, uint8_t wrap)
{
    return (uint16_t)(offset | (unsigned)wrap << 15);
}

static uint8_t wrap_of(uint16_t position)
{
    return (uint8_t)(position >> 15);
}

/* Where the ring stands, and stood, in one store: an index with another one's wrap counter would be
 * a place where the ring never was. */
struct positions {
    uint16_t used_idx;
    uint16_t old_used_idx;
    uint8_t used_wrap_counter;
    uint8_t old_used_wrap_counter;
    uint8_t padding[2];
};
typedef uint64_t __attribute__((may_alias)) word_type;

_Static_assert(sizeof(struct positions) == sizeof(word_type), "one store");
_Static_assert(offsetof(region_type, used_idx) % sizeof(word_type) == 0, "one store");
_Static_assert(offsetof(region_type, old_used_wrap_counter) - offsetof(region_type, used_idx) ==
                   offsetof(struct positions, old_used_wrap_counter),
               "one store");

static void put_positions(region_type *region, uint16_t used, uint16_t old)
{
    const struct positions positions = {virtq_position_offset(used),
                                        virtq_position_offset(old),
                                        wrap_of(used),
                                        wrap_of(old),
                                        {0, 0}};
    word_type word;

    memcpy(&word, &positions, sizeof(word));
    __atomic_store_n((word_type *)(void *)&region->used_idx, word, __ATOMIC_RELEASE);
}

void virtq_priv_packed_record(struct virtq_priv_inflight *inflight, const struct pvirtq_desc *ring,
                              uint16_t id, uint32_t slots, uint16_t position)
{
    region_type *region = inflight->region.packed;
    record_type *records = virtq_priv_packed_records(region);
    const uint16_t head = inflight->free_head;
    uint16_t at = head;
    uint16_t last = head;
    uint32_t i;

    /* There are as many records as descriptors, and each is in one buffer. */
    for (i = 0; i < slots && at < inflight->size; i++) {
        const struct pvirtq_desc *desc = &ring[virtq_position_offset(position)];

        memcpy(&records[at].addr, &desc->addr, 8);
        memcpy(&records[at].len, &desc->len, 4);
        memcpy(&records[at].id, &desc->id, 2);
        memcpy(&records[at].flags, &desc->flags, 2);
        last = at;
        at = inflight->records[at].next;
        position = virtq_position_advance(position, 1, inflight->ring_size);
    }
    records[head].num = (uint16_t)slots;
    records[head].last = last;
    records[head].counter = inflight->counter++;
    STORE(records[head].inflight, 1);
    inflight->records[head].num = (uint16_t)slots;
    inflight->records[head].last = last;
    inflight->heads[id] = head;
    inflight->free_head = at;
    /* Until here the record is a free one. */
    STORE(region->free_head, at);
    STORE(region->old_free_head, at);
}

void virtq_priv_packed_begin(struct virtq_priv_inflight *inflight, uint16_t used)
{
    region_type *region = inflight->region.packed;
    record_type *records = virtq_priv_packed_records(region);
    const uint16_t old = used;
    uint16_t head = inflight->free_head;
    uint32_t i;

    for (i = 0; i < inflight->batch; i++) {
        const uint16_t first = inflight->heads[virtq_priv_inflight_id(inflight, i)];
        const uint16_t last = inflight->records[first].last;

        STORE(records[last].next, head);
        inflight->records[last].next = head;
        head = first;
        used = virtq_position_advance(used, inflight->records[first].num, inflight->ring_size);
    }
    STORE(region->free_head, head);
    put_positions(region, used, old);
}

void virtq_priv_packed_commit(struct virtq_priv_inflight *inflight, uint16_t used)
{
    region_type *region = inflight->region.packed;
    record_type *records = virtq_priv_packed_records(region);
    uint32_t i;

    for (i = 0; i < inflight->batch; i++) {
        const uint16_t first = inflight->heads[virtq_priv_inflight_id(inflight, i)];

        STORE(records[first].inflight, 0);
        inflight->free_head = first;
    }
    STORE(region->old_free_head, inflight->free_head);
    put_positions(region, used, used);
}

void virtq_priv_packed_revert(struct virtq_priv_inflight *inflight, uint16_t used)
{
    region_type *region = inflight->region.packed;

    STORE(region->free_head, inflight->free_head);
    put_positions(region, used, used);
}

/* A region of zeros becomes one without anything in flight. */
static void begin_anew(struct virtq_priv_inflight *inflight, uint16_t used)
{
    region_type *region = inflight->region.packed;
    record_type *records = virtq_priv_packed_records(region);
    uint32_t i;

    memset(records, 0, inflight->size * sizeof(*records));
    for (i = 0; i < inflight->size; i++) {
        records[i].next = (uint16_t)(i + 1);
        inflight->records[i].next = (uint16_t)(i + 1);
    }
    region->features = 0;
    region->desc_num = (uint16_t)inflight->size;
    region->free_head = 0;
    region->old_free_head = 0;
    put_positions(region, used, used);
    inflight->free_head = 0;
    inflight->counter = 0;
    STORE(region->version, VIRTQ_VHOST_USER_INFLIGHT_VERSION);
}

/* Goes to the end of what was being published when the crash came, or back to its beginning,
 * whichever the driver was shown; the position then, or -1. */
static int32_t settle(struct virtq_priv_inflight *inflight, const struct virtq_device *device)
{
    region_type *region = inflight->region.packed;
    const uint16_t used = position_of(LOAD(region->used_idx), LOAD(region->used_wrap_counter) & 1);
    uint16_t old = position_of(LOAD(region->old_used_idx), LOAD(region->old_used_wrap_counter) & 1);
    struct virtq_areas areas;
    uint16_t flags;

    if (virtq_position_offset(used) >= inflight->ring_size ||
        virtq_position_offset(old) >= inflight->ring_size) {
        return -1;
    }
    virtq_device_areas(device, &areas);
    flags = virtq_shm_load16(
        &((const struct pvirtq_desc *)areas.descriptor)[virtq_position_offset(old)].flags, 0);
    if (used != old &&
        (flags & (PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED)) != virtq_position_available(old)) {
        STORE(region->old_free_head, LOAD(region->free_head));
        old = used;
    }
    STORE(region->free_head, LOAD(region->old_free_head));
    put_positions(region, old, old);
    return old;
}

/* What is in the free list is not in flight, whatever its record says. Bounded: the list is as the
 * front-end left it. */
static void cross_off(struct virtq_priv_inflight *inflight)
{
    record_type *records = virtq_priv_packed_records(inflight->region.packed);
    uint16_t at = LOAD(inflight->region.packed->free_head);
    uint32_t i;

    for (i = 0; i < inflight->size && at < inflight->size; i++) {
        STORE(records[at].inflight, 0);
        at = LOAD(records[at].next);
    }
}

/* One buffer that was in flight: 0, or VIRTQ_EINVAL. `pushed` marks the records of all of them. */
static int collect(struct virtq_priv_inflight *inflight, uint32_t head, uint32_t *slots)
{
    const record_type *records = virtq_priv_packed_records(inflight->region.packed);
    const uint16_t count = LOAD(records[head].num);
    uint16_t at = (uint16_t)head;
    uint16_t last = at;
    uint32_t i;

    if (count == 0 || count > inflight->ring_size - *slots) {
        return VIRTQ_EINVAL;
    }
    for (i = 0; i < count; i++) {
        if (at >= inflight->size || inflight->pushed[at] != 0) {
            return VIRTQ_EINVAL;
        }
        inflight->pushed[at] = 1;
        last = at;
        at = LOAD(records[last].next);
        inflight->records[last].next = at;
    }
    if (last != LOAD(records[head].last)) {
        return VIRTQ_EINVAL;
    }
    inflight->records[head].num = count;
    inflight->records[head].last = last;
    inflight->records[head].id = virtq_shm_load16(&records[last].id, 0);
    inflight->waiting[inflight->waiting_count++] =
        (struct virtq_priv_waiting){records[head].counter, head};
    *slots += count;
    return VIRTQ_OK;
}

/* All records that are in no buffer, as a list that nobody else has written. Each link leads from a
 * free record to a free one before as well as after, so that a crash does no harm here either. */
static void free_others(struct virtq_priv_inflight *inflight)
{
    region_type *region = inflight->region.packed;
    record_type *records = virtq_priv_packed_records(region);
    uint16_t head = (uint16_t)inflight->size;
    uint32_t i = inflight->size;

    while (i-- != 0) {
        if (inflight->pushed[i] == 0) {
            inflight->records[i].next = head;
            STORE(records[i].next, head);
            head = (uint16_t)i;
        }
    }
    memset(inflight->pushed, 0, inflight->size);
    inflight->free_head = head;
    STORE(region->free_head, head);
    STORE(region->old_free_head, head);
}

/* A batch is shown to the driver by its first descriptor, and the others were written before. If
 * the crash came in between, they say "used" where nothing is, and the driver would believe them as
 * soon as it comes by. All these descriptors are still the device's. */
static void take_back(const struct virtq_priv_inflight *inflight, const struct virtq_device *device,
                      uint16_t position, uint32_t slots)
{
    const uint16_t both = PVIRTQ_DESC_F_AVAIL | PVIRTQ_DESC_F_USED;
    struct virtq_areas areas;
    struct pvirtq_desc *ring;

    virtq_device_areas(device, &areas);
    ring = areas.descriptor;
    for (; slots != 0; slots--) {
        virtq_le16 *const place = &ring[virtq_position_offset(position)].flags;
        const uint16_t flags = virtq_shm_load16(place, 0);

        if ((flags & both) == virtq_position_used(position)) {
            virtq_shm_store16(place, (uint16_t)(flags & ~both) | virtq_position_available(position),
                              0);
        }
        position = virtq_position_advance(position, 1, inflight->ring_size);
    }
}

int virtq_priv_packed_recover(struct virtq_priv_inflight *inflight,
                              const struct virtq_device *device, struct virtq_state *state)
{
    region_type *region = inflight->region.packed;
    const record_type *records = virtq_priv_packed_records(region);
    const uint16_t version = __atomic_load_n(&region->version, __ATOMIC_ACQUIRE);
    uint32_t slots = 0;
    int32_t used;
    uint32_t i;

    if (version == 0) {
        begin_anew(inflight, state->used);
        return VIRTQ_OK;
    }
    if (version != VIRTQ_VHOST_USER_INFLIGHT_VERSION || LOAD(region->desc_num) != inflight->size) {
        return VIRTQ_EINVAL;
    }
    used = settle(inflight, device);
    if (used < 0) {
        return VIRTQ_EINVAL;
    }
    cross_off(inflight);
    for (i = 0; i < inflight->size; i++) {
        const uint8_t flies = LOAD(records[i].inflight);

        if (flies > 1 || (flies == 1 && collect(inflight, i, &slots) != VIRTQ_OK)) {
            return VIRTQ_EINVAL;
        }
    }
    take_back(inflight, device, (uint16_t)used, slots);
    free_others(inflight);
    virtq_priv_inflight_sort(inflight);
    /* What was taken and is not used is in flight: so the ring's own positions follow. */
    state->used = (uint16_t)used;
    state->available = virtq_position_advance(state->used, slots, inflight->ring_size);
    return VIRTQ_OK;
}
