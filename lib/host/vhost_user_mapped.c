/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost_user_mapped.h"

#include <string.h>

int virtq_priv_mapped_init(struct virtq_priv_mapped *mapped,
                           const struct virtq_vhost_user_backend_config *config)
{
    int error;

    memset(mapped, 0, sizeof(*mapped));
    virtq_priv_fault_none(&mapped->fault);
    mapped->strict = (config->flags & VIRTQ_VHOST_USER_STRICT) != 0;
    mapped->window_last = UINT64_MAX;
    if (config->window_size != 0) {
        mapped->window_first = config->window_first;
        mapped->window_last = config->window_first + (config->window_size - 1);
    }
    error = virtq_direct_init_regions(&mapped->direct, NULL, 0);
    return error != VIRTQ_OK
               ? error
               : virtq_guard_init(&mapped->guard, &mapped->direct.space, VIRTQ_GUARD_EPOCH);
}

static void unmap(struct virtq_priv_mapped *mapped, struct virtq_priv_mapped_region *regions,
                  uint32_t count)
{
    uint32_t i;

    for (i = 0; i < count; i++) {
        virtq_priv_shm_unmap(&regions[i].shm, &mapped->fault);
    }
}

void virtq_priv_mapped_fini(struct virtq_priv_mapped *mapped)
{
    unmap(mapped, mapped->live, mapped->count);
    unmap(mapped, mapped->retired, mapped->retired_count);
    mapped->count = 0;
    mapped->retired_count = 0;
    virtq_priv_fault_part(&mapped->fault);
}

/* A range that is one: not empty, and its last byte has an address (L6). */
static bool legal(uint64_t first, uint64_t size)
{
    return size != 0 && size - 1 <= UINT64_MAX - first;
}

/* How much of a legal region lies in the window: what does not is never mapped, so that no mistake
 * can reach it. */
static void clip(const struct virtq_priv_mapped *mapped, struct virtq_priv_mapped_region *region)
{
    const uint64_t first = region->wire.guest_address;
    const uint64_t last = first + (region->wire.size - 1);
    const uint64_t end = last < mapped->window_last ? last : mapped->window_last;

    region->first = first > mapped->window_first ? first : mapped->window_first;
    region->size = region->first <= end ? end - region->first + 1 : 0;
}

/* Maps what is to be used of a region. */
static uint32_t map_part(struct virtq_priv_mapped *mapped, struct virtq_priv_mapped_region *region,
                         int fd)
{
    const uint64_t offset = region->wire.mmap_offset + (region->first - region->wire.guest_address);

    return virtq_priv_shm_map(&region->shm, &mapped->fault, fd, offset, region->size,
                              mapped->strict);
}

/* Judges one region, and maps what the window has of it. */
static uint32_t map(struct virtq_priv_mapped *mapped, struct virtq_priv_mapped_region *region,
                    const struct virtq_vhost_user_region *wire, int fd)
{
    const uint64_t most = INT64_MAX;

    if (!legal(wire->guest_address, wire->size) || !legal(wire->user_address, wire->size) ||
        wire->mmap_offset > most || wire->size > most - wire->mmap_offset) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    *region = (struct virtq_priv_mapped_region){.wire = *wire};
    clip(mapped, region);
    return region->size == 0 ? (uint32_t)VIRTQ_VHOST_USER_ACCEPTED : map_part(mapped, region, fd);
}

/* Puts a region where its address belongs. */
static void insert(struct virtq_priv_mapped_region *regions, uint32_t count,
                   const struct virtq_priv_mapped_region *region)
{
    uint32_t at = count;

    while (at > 0 && regions[at - 1].wire.guest_address > region->wire.guest_address) {
        regions[at] = regions[at - 1];
        at--;
    }
    regions[at] = *region;
}

/* Makes these the space's regions. The other table is free: the last change waited for all bursts
 * that could still read it (L3). */
static uint32_t publish(struct virtq_priv_mapped *mapped,
                        const struct virtq_priv_mapped_region *regions, uint32_t count)
{
    const uint32_t next = mapped->current ^ 1u;
    struct virtq_direct_table *table = &mapped->tables[next];
    uint32_t i;

    table->count = 0;
    for (i = 0; i < count; i++) {
        if (regions[i].size == 0) {
            continue;
        }
        mapped->regions[next][table->count++] = (struct virtq_region){
            .first = regions[i].first,
            .last = regions[i].first + (regions[i].size - 1),
            .base = regions[i].shm.base,
            .permissions = (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE};
    }
    table->regions = mapped->regions[next];
    if (virtq_direct_set_regions(&mapped->direct, table) != VIRTQ_OK) {
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    mapped->current = next;
    return VIRTQ_VHOST_USER_ACCEPTED;
}

/* Regions are about to go. A ring's thread looks here for what it
 * still has in flight, so that they are here before they leave the space. */
static void retire(struct virtq_priv_mapped *mapped, const struct virtq_priv_mapped_region *regions,
                   uint32_t count)
{
    memcpy(mapped->retired + mapped->retired_count, regions, count * sizeof(regions[0]));
    __atomic_store_n(&mapped->retired_count, mapped->retired_count + count, __ATOMIC_RELEASE);
}

uint32_t virtq_priv_mapped_set(struct virtq_priv_mapped *mapped,
                               const struct virtq_vhost_user_region *regions, const int *fds,
                               uint32_t count)
{
    struct virtq_priv_mapped_region fresh[VIRTQ_VHOST_USER_TABLE_MAX];
    uint32_t refusal = VIRTQ_VHOST_USER_ACCEPTED;
    uint32_t done = 0;
    uint32_t before;

    memset(fresh, 0, sizeof(fresh));
    virtq_priv_mapped_reclaim(mapped);
    if (count > VIRTQ_VHOST_USER_TABLE_MAX ||
        mapped->retired_count + mapped->count > VIRTQ_PRIV_RETIRED_MAX) {
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    while (done < count && refusal == VIRTQ_VHOST_USER_ACCEPTED) {
        struct virtq_priv_mapped_region region;

        refusal = map(mapped, &region, &regions[done], fds[done]);
        if (refusal == VIRTQ_VHOST_USER_ACCEPTED) {
            insert(fresh, done, &region);
            done++;
        }
    }
    before = mapped->retired_count;
    if (refusal == VIRTQ_VHOST_USER_ACCEPTED) {
        retire(mapped, mapped->live, mapped->count);
        refusal = publish(mapped, fresh, count);
    }
    if (refusal != VIRTQ_VHOST_USER_ACCEPTED) {
        mapped->retired_count = before;
        unmap(mapped, fresh, done);
        return refusal;
    }
    memcpy(mapped->live, fresh, count * sizeof(fresh[0]));
    mapped->count = count;
    virtq_priv_mapped_reclaim(mapped);
    return VIRTQ_VHOST_USER_ACCEPTED;
}

uint32_t virtq_priv_mapped_add(struct virtq_priv_mapped *mapped,
                               const struct virtq_vhost_user_region *region, int fd)
{
    struct virtq_priv_mapped_region next[VIRTQ_VHOST_USER_SLOTS_MAX];
    struct virtq_priv_mapped_region fresh;
    uint32_t refusal;

    if (mapped->count == VIRTQ_VHOST_USER_SLOTS_MAX) {
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    refusal = map(mapped, &fresh, region, fd);
    if (refusal != VIRTQ_VHOST_USER_ACCEPTED) {
        return refusal;
    }
    memcpy(next, mapped->live, mapped->count * sizeof(next[0]));
    insert(next, mapped->count, &fresh);
    refusal = publish(mapped, next, mapped->count + 1);
    if (refusal != VIRTQ_VHOST_USER_ACCEPTED) {
        unmap(mapped, &fresh, 1);
        return refusal;
    }
    mapped->count++;
    memcpy(mapped->live, next, mapped->count * sizeof(next[0]));
    return VIRTQ_VHOST_USER_ACCEPTED;
}

uint32_t virtq_priv_mapped_remove(struct virtq_priv_mapped *mapped,
                                  const struct virtq_vhost_user_region *region)
{
    struct virtq_priv_mapped_region next[VIRTQ_VHOST_USER_SLOTS_MAX];
    uint32_t at = 0;
    uint32_t refusal;

    while (at < mapped->count && (mapped->live[at].wire.guest_address != region->guest_address ||
                                  mapped->live[at].wire.user_address != region->user_address ||
                                  mapped->live[at].wire.size != region->size)) {
        at++;
    }
    virtq_priv_mapped_reclaim(mapped);
    if (at == mapped->count) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    if (mapped->retired_count == VIRTQ_PRIV_RETIRED_MAX) {
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    memcpy(next, mapped->live, at * sizeof(next[0]));
    memcpy(next + at, mapped->live + at + 1, (mapped->count - at - 1) * sizeof(next[0]));
    retire(mapped, &mapped->live[at], 1);
    refusal = publish(mapped, next, mapped->count - 1);
    if (refusal != VIRTQ_VHOST_USER_ACCEPTED) {
        mapped->retired_count--;
        return refusal;
    }
    mapped->count--;
    memcpy(mapped->live, next, mapped->count * sizeof(next[0]));
    virtq_priv_mapped_reclaim(mapped);
    return VIRTQ_VHOST_USER_ACCEPTED;
}

void virtq_priv_mapped_reclaim(struct virtq_priv_mapped *mapped)
{
    /* Buffers in flight may lie there. The space no longer gives it to anybody. */
    if (mapped->retired_count != 0 && virtq_guard_held(&mapped->guard) == 0 &&
        (mapped->behind == NULL || virtq_guard_held(mapped->behind) == 0)) {
        unmap(mapped, mapped->retired, mapped->retired_count);
        mapped->retired_count = 0;
    }
}

/* The region that one of the front-end's own addresses lies in, and its guest-physical address;
 * NULL if there is none, or it is not to be used. */
static const struct virtq_priv_mapped_region *region_of(const struct virtq_priv_mapped *mapped,
                                                        uint64_t user_address, virtq_addr_t *addr)
{
    uint32_t i;

    for (i = 0; i < mapped->count; i++) {
        const struct virtq_priv_mapped_region *region = &mapped->live[i];
        const uint64_t offset = user_address - region->wire.user_address;

        if (user_address >= region->wire.user_address && offset < region->wire.size) {
            *addr = region->wire.guest_address + offset;
            return *addr >= region->first && *addr - region->first < region->size ? region : NULL;
        }
    }
    return NULL;
}

uint64_t virtq_priv_mapped_run(const struct virtq_priv_mapped *mapped, uint64_t user_address,
                               void **base)
{
    virtq_addr_t addr;
    const struct virtq_priv_mapped_region *region = region_of(mapped, user_address, &addr);

    if (region == NULL) {
        return 0;
    }
    *base = region->shm.base + (addr - region->first);
    return region->size - (addr - region->first);
}

bool virtq_priv_mapped_find(const struct virtq_priv_mapped *mapped, uint64_t user_address,
                            virtq_addr_t *addr)
{
    return region_of(mapped, user_address, addr) != NULL;
}

/* The guest's address of a byte here, if it is in this range. */
static bool within(const unsigned char *base, uint64_t first, uint64_t last, const void *byte,
                   virtq_addr_t *addr)
{
    const uint64_t offset = (uintptr_t)byte - (uintptr_t)base;

    if ((uintptr_t)byte < (uintptr_t)base || offset > last - first) {
        return false;
    }
    *addr = first + offset;
    return true;
}

bool virtq_priv_mapped_locate(const struct virtq_priv_mapped *mapped, const void *byte,
                              virtq_addr_t *addr)
{
    /* A ring's thread may ask: it sees what it translates with, and what it has buffers in. */
    const struct virtq_direct_table *table =
        __atomic_load_n(&mapped->direct.table, __ATOMIC_ACQUIRE);
    const uint32_t retired = __atomic_load_n(&mapped->retired_count, __ATOMIC_ACQUIRE);
    uint32_t i;

    for (i = 0; i < table->count; i++) {
        const struct virtq_region *region = &table->regions[i];

        if (within(region->base, region->first, region->last, byte, addr)) {
            return true;
        }
    }
    for (i = 0; i < retired; i++) {
        const struct virtq_priv_mapped_region *region = &mapped->retired[i];

        if (region->size != 0 && within(region->shm.base, region->first,
                                        region->first + (region->size - 1), byte, addr)) {
            return true;
        }
    }
    return false;
}
