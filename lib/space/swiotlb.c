/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/space/swiotlb.h"

#include <string.h>

#include "granules.h"
#include "region.h"
#include "swiotlb_pool.h"

enum { GRANULE_LEAST = 64, GRANULE_MOST = 4096 };

/* A writable segment, to copy back to. */
struct target {
    void *base;
    uint32_t len;
};

/* What unmap needs, in private memory: nothing of it is ever read from the pool. */
struct record {
    uint64_t first;    /* The slot's first granule ... */
    uint64_t number;   /* ... and how many it has. */
    uint64_t writable; /* Where the writable part begins in the pool, in bytes. */
    uint64_t count;    /* How many targets follow. */
};

/* Where the two parts of a buffer go in one slot. */
struct plan {
    uint64_t readable_len;
    uint64_t writable_len;
    uint64_t readable_at; /* Bytes from the slot's start. */
    uint64_t writable_at; /* Bytes from the slot's start. */
    uint64_t len;         /* Bytes from the slot's start to the end of the last part. */
    struct virtq_priv_place place;
};

static struct target *targets_of(struct record *record)
{
    return (struct target *)(void *)(record + 1);
}

static int sum(const struct virtq_segment *segments, unsigned count, uint64_t *len)
{
    unsigned i;

    *len = 0;
    for (i = 0; i < count; i++) {
        if (segments[i].len == 0) {
            return VIRTQ_EINVAL;
        }
        if (!virtq_priv_memory_legal(segments[i].base, segments[i].len - 1)) {
            return VIRTQ_EFAULT;
        }
        *len += segments[i].len; /* At most 2^16 * 2^32. */
    }
    /* A part is one run, and a run's length has 32 bits. */
    return *len <= UINT32_MAX ? 0 : VIRTQ_ETOOBIG;
}

/* One slot for both parts: one search, one lock, and never half a buffer. The parts share no
 * granule. */
static int make_plan(const struct virtq_swiotlb *swiotlb, const struct virtq_mapping *mapping,
                     struct plan *plan)
{
    const struct virtq_segment *segments = mapping->segments;
    unsigned readable = mapping->segments_readable;
    uint64_t granule_mask = ((uint64_t)1 << swiotlb->granules.shift) - 1;
    uint64_t mask = swiotlb->low_mask;
    uint64_t low; /* The low bits of the first segment. */
    int error = sum(segments, readable, &plan->readable_len);

    if (error == 0) {
        error = sum(segments + readable, mapping->segments_writable, &plan->writable_len);
    }
    if (error != 0) {
        return error;
    }
    if (readable + mapping->segments_writable == 0) {
        return VIRTQ_EINVAL;
    }
    low = (uintptr_t)segments[0].base & mask;
    plan->readable_at = low & granule_mask;
    plan->writable_at = plan->readable_at;
    plan->len = plan->readable_at + plan->readable_len;
    plan->place =
        virtq_priv_granules_place(&swiotlb->granules, swiotlb->addr, low & ~granule_mask, mask + 1);
    if (readable != 0 && mapping->segments_writable != 0) {
        uint64_t end = (plan->len + granule_mask) & ~granule_mask;
        uint64_t wanted = (uintptr_t)segments[readable].base;

        /* Forward to the low bits of the first writable segment, modulo mask + 1. */
        plan->writable_at = end + ((wanted - ((low & ~granule_mask) + end)) & mask);
    }
    if (mapping->segments_writable != 0) {
        plan->len = plan->writable_at + plan->writable_len;
    }
    return 0;
}

static void copy_in(unsigned char *to, const struct virtq_segment *segments, unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        memcpy(to, segments[i].base, segments[i].len);
        to += segments[i].len;
    }
}

static void fill_record(struct record *record, const struct virtq_mapping *mapping)
{
    const struct virtq_segment *writable = mapping->segments + mapping->segments_readable;
    struct target *targets = targets_of(record);
    unsigned i;

    record->count = mapping->segments_writable;
    for (i = 0; i < mapping->segments_writable; i++) {
        targets[i] = (struct target){writable[i].base, writable[i].len};
    }
}

/* The writable part is filled too: what the device leaves alone comes back as it was, whatever it
 * claims. */
static void fill_slot(struct virtq_swiotlb *swiotlb, struct virtq_mapping *mapping,
                      const struct plan *plan, uint64_t offset)
{
    unsigned readable = mapping->segments_readable;
    unsigned writable = mapping->segments_writable;
    struct virtq_run *run = mapping->runs;
    virtq_addr_t addr = swiotlb->addr + offset;

    if (readable != 0) {
        copy_in(swiotlb->pool + offset + plan->readable_at, mapping->segments, readable);
        *run++ = (struct virtq_run){.addr = addr + plan->readable_at,
                                    .len = (uint32_t)plan->readable_len};
    }
    if (writable != 0) {
        copy_in(swiotlb->pool + offset + plan->writable_at, mapping->segments + readable, writable);
        *run = (struct virtq_run){.addr = addr + plan->writable_at,
                                  .len = (uint32_t)plan->writable_len};
    }
    mapping->runs_readable = readable != 0;
    mapping->runs_writable = writable != 0;
    mapping->copied += plan->readable_len + plan->writable_len;
}

static int swiotlb_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    struct virtq_swiotlb *swiotlb = (struct virtq_swiotlb *)space;
    struct virtq_granules *granules = &swiotlb->granules;
    struct record *record = mapping->record;
    struct plan plan;
    uint64_t number;
    uint64_t first;
    int error = make_plan(swiotlb, mapping, &plan);

    if (error != 0) {
        return error;
    }
    if ((mapping->segments_readable != 0) + (mapping->segments_writable != 0) > mapping->capacity) {
        return VIRTQ_EFULL;
    }
    number = virtq_priv_granules_of(granules, plan.len);
    error = virtq_priv_granules_alloc(granules, number, plan.place, &first);
    if (error != 0) {
        return error;
    }
    record->first = first;
    record->number = number;
    record->writable = (first << granules->shift) + plan.writable_at;
    fill_record(record, mapping);
    fill_slot(swiotlb, mapping, &plan, first << granules->shift);
    return 0;
}

static void swiotlb_unmap(struct virtq_space *space, struct virtq_mapping *mapping,
                          uint64_t written)
{
    struct virtq_swiotlb *swiotlb = (struct virtq_swiotlb *)space;
    struct record *record = mapping->record;
    const struct target *targets = targets_of(record);
    const unsigned char *from = swiotlb->pool + record->writable;
    uint64_t i;

    for (i = 0; i < record->count && written != 0; i++) {
        uint32_t len = written < targets[i].len ? (uint32_t)written : targets[i].len;

        memcpy(targets[i].base, from, len);
        mapping->copied += len;
        from += len;
        written -= len;
    }
    virtq_priv_swiotlb_release(swiotlb, record->first, record->number);
}

/* The memory stays the caller's until virtq_swiotlb_free(). */
static void swiotlb_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    (void)space;
    (void)addr;
    (void)len;
}

static int swiotlb_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                          struct virtq_window *window)
{
    if (!virtq_priv_permissions_legal(permission)) {
        return VIRTQ_EINVAL;
    }
    if (addr < space->linear.first || addr > space->linear.last) {
        return VIRTQ_EFAULT;
    }
    *window = space->linear;
    return 0;
}

static const struct virtq_space_ops swiotlb_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "swiotlb",
    .map = swiotlb_map,
    .unmap = swiotlb_unmap,
    .share = virtq_priv_swiotlb_share,
    .unshare = swiotlb_unshare,
    .window = swiotlb_window,
};

size_t virtq_swiotlb_private_size(uint64_t pool_size, uint32_t granule)
{
    if (!virtq_priv_granule_legal(granule, GRANULE_LEAST, GRANULE_MOST)) {
        return 0;
    }
    return virtq_priv_granules_size(pool_size, granule);
}

static int check_config(const struct virtq_swiotlb_config *config)
{
    size_t needed = virtq_swiotlb_private_size(config->pool_size, config->granule);
    uint64_t mask = config->granule - 1u;

    if (config->struct_size < sizeof(*config) || needed == 0 || config->pool == NULL ||
        config->memory == NULL) {
        return VIRTQ_EINVAL;
    }
    if ((config->pool_size & mask) != 0 || (config->addr & mask) != 0 ||
        ((uintptr_t)config->pool & mask) != 0 ||
        (uintptr_t)config->memory % sizeof(uint64_t) != 0 ||
        (config->low_mask & (config->low_mask + 1u)) != 0) {
        return VIRTQ_EINVAL;
    }
    if (!virtq_priv_memory_legal(config->pool, config->pool_size - 1) ||
        config->pool_size - 1 > UINT64_MAX - config->addr) {
        return VIRTQ_EINVAL;
    }
    return config->memory_size >= needed ? 0 : VIRTQ_ENOMEM;
}

int virtq_swiotlb_init(struct virtq_swiotlb *swiotlb, const struct virtq_swiotlb_config *config)
{
    int error = check_config(config);

    if (error != 0) {
        return error;
    }
    memset(swiotlb, 0, sizeof(*swiotlb));
    swiotlb->space.ops = &swiotlb_ops;
    swiotlb->space.driver_kind = VIRTQ_SPACE_CALLED;
    swiotlb->space.device_kind = VIRTQ_SPACE_DIRECT;
    swiotlb->space.linear.first = config->addr;
    swiotlb->space.linear.last = config->addr + (config->pool_size - 1);
    swiotlb->space.linear.base = config->pool;
    swiotlb->space.linear.permissions =
        (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE;
    swiotlb->space.record_fixed = sizeof(struct record);
    swiotlb->space.record_per_segment = sizeof(struct target);
    swiotlb->space.runs_max = 2;
    swiotlb->pool = config->pool;
    swiotlb->pool_size = config->pool_size;
    swiotlb->addr = config->addr;
    swiotlb->low_mask = config->low_mask;
    virtq_priv_granules_init(&swiotlb->granules, config->pool_size, config->granule,
                             config->memory);
    memset(swiotlb->pool, 0, (size_t)swiotlb->pool_size);
    return 0;
}
