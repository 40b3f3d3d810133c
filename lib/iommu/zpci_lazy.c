/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/iommu/zpci_lazy.h"

#include <string.h>

#include "../space/iommu_place.h"
#include "../space/lock.h"
#include "../space/region.h"

#define PAGE_MASK (VIRTQ_ZPCI_PAGE - 1)
#define NOWHERE UINT64_MAX

/* What unmap needs. The ranges behind it are for the call of the backend alone. */
struct record {
    virtq_addr_t addr;
    uint64_t len;
};

static struct virtq_region *ranges_of(struct record *record)
{
    return (struct virtq_region *)(void *)(record + 1);
}

static struct virtq_zpci_lazy *lazy_of(struct virtq_space *space)
{
    return (struct virtq_zpci_lazy *)space;
}

/* The bits of [at, end) that lie in the word that `at` is in. */
static uint64_t bits_of(uint64_t at, uint64_t end)
{
    uint64_t left = end - at < 64 - at % 64 ? end - at : 64 - at % 64;

    return UINT64_MAX >> (64 - left) << at % 64;
}

static uint64_t behind(uint64_t at, uint64_t end)
{
    uint64_t next = (at | 63) + 1;

    return next < end ? next : end;
}

static void set(uint64_t *bitmap, uint64_t at, uint64_t count)
{
    uint64_t end = at + count;

    for (; at < end; at = behind(at, end)) {
        bitmap[at / 64] |= bits_of(at, end);
    }
}

/* The first of `count` free pages in a row, from `at` on. Full words are passed at once. */
static uint64_t search(const struct virtq_zpci_lazy *lazy, uint64_t at, uint64_t count)
{
    uint64_t run = 0;

    while (at < lazy->pages && run < count) {
        uint64_t word = lazy->taken[at / 64];

        if (at % 64 == 0 && word == 0 && count - run >= 64 && lazy->pages - at >= 64) {
            run += 64;
            at += 64;
        } else if (at % 64 == 0 && word == UINT64_MAX) {
            run = 0;
            at += 64;
        } else {
            run = (word >> at % 64 & 1) != 0 ? 0 : run + 1;
            at++;
        }
    }
    return run >= count ? at - count : NOWHERE;
}

/* Everything is refreshed once for all that waits; what is unmapped meanwhile waits for the next
 * time. The lock is held, but not over the call. */
static int flush(struct virtq_zpci_lazy *lazy)
{
    uint64_t *leaving = lazy->waiting;
    uint64_t words = (lazy->pages + 63) / 64;
    uint64_t count = lazy->usage.waiting;
    uint64_t i;
    int error;

    if (lazy->flushing != 0) {
        return VIRTQ_EBUSY;
    }
    lazy->flushing = 1;
    lazy->waiting = lazy->leaving;
    lazy->leaving = leaving;
    virtq_priv_unlock(&lazy->lock);
    error = virtq_zpci_guest_refresh_all(lazy->guest);
    virtq_priv_lock(&lazy->lock);
    for (i = 0; i < words; i++) {
        if (error == 0) {
            lazy->taken[i] &= ~leaving[i];
        } else {
            lazy->waiting[i] |= leaving[i];
        }
        leaving[i] = 0;
    }
    if (error == 0) {
        lazy->usage.waiting -= count;
        lazy->usage.flushes++;
    }
    lazy->flushing = 0;
    return error;
}

/* The wrap: everything is refreshed, or is being refreshed by another thread, for which this one
 * waits as long as it would for the hypervisor. The lock is held, but not while waiting. What came
 * of it the next search finds. */
static void wrap(struct virtq_zpci_lazy *lazy)
{
    uint32_t tries;

    if (lazy->usage.waiting == 0 || flush(lazy) != VIRTQ_EBUSY) {
        return;
    }
    for (tries = 0; tries < lazy->guest->busy_tries && lazy->flushing != 0; tries++) {
        virtq_priv_unlock(&lazy->lock);
        virtq_priv_relax();
        virtq_priv_lock(&lazy->lock);
    }
}

static int take(struct virtq_zpci_lazy *lazy, uint64_t len, virtq_addr_t *addr)
{
    uint64_t count = len >> 12;
    uint64_t at;

    if (count > lazy->pages) {
        return VIRTQ_ETOOBIG;
    }
    virtq_priv_lock(&lazy->lock);
    at = search(lazy, lazy->next, count);
    if (at == NOWHERE) {
        /* A refresh that fails leaves what was free all along. */
        wrap(lazy);
        at = search(lazy, 0, count);
    }
    if (at != NOWHERE) {
        set(lazy->taken, at, count);
        lazy->next = at + count;
        lazy->usage.mapped++;
        *addr = lazy->first + (at << 12);
    }
    lazy->usage.shortages += at == NOWHERE;
    virtq_priv_unlock(&lazy->lock);
    return at != NOWHERE ? 0 : VIRTQ_ENOMEM;
}

/* Addresses that nothing was mapped at, or that nothing is any more: both may still be known
 * somewhere, so they wait. */
static void retire(struct virtq_zpci_lazy *lazy, virtq_addr_t addr, uint64_t len, bool unmapped)
{
    uint64_t count = len >> 12;

    virtq_priv_lock(&lazy->lock);
    lazy->usage.mapped--;
    if (unmapped) {
        set(lazy->waiting, (addr - lazy->first) >> 12, count);
        lazy->usage.waiting += count;
    } else {
        lazy->usage.leaked += count;
    }
    virtq_priv_unlock(&lazy->lock);
}

static int install(struct virtq_zpci_lazy *lazy, const struct virtq_region *ranges, unsigned count,
                   virtq_addr_t addr, uint64_t len)
{
    int error = lazy->backend.map(lazy->backend.context, ranges, count);

    if (error != 0) {
        retire(lazy, addr, len, true);
        virtq_priv_lock(&lazy->lock);
        lazy->usage.shortages += error == VIRTQ_ENOMEM;
        virtq_priv_unlock(&lazy->lock);
    }
    return error;
}

static void withdraw(struct virtq_zpci_lazy *lazy, virtq_addr_t addr, uint64_t len)
{
    const struct virtq_region range = {addr, addr + (len - 1), NULL, 0};

    retire(lazy, addr, len, lazy->backend.unmap(lazy->backend.context, &range, 1) == 0);
}

/* All segments behind one another from `layout->base` on, each on pages of its own. */
static int place(struct virtq_priv_layout *layout, const struct virtq_mapping *mapping)
{
    struct virtq_region *ranges = ranges_of(mapping->record);
    unsigned count = (unsigned)mapping->segments_readable + mapping->segments_writable;
    int error = count == 0 ? VIRTQ_EINVAL : 0;
    unsigned i;

    for (i = 0; i < count && error == 0; i++) {
        const struct virtq_segment *segment = &mapping->segments[i];

        error = virtq_priv_layout_add(layout, segment->base, segment->len, &ranges[i]);
        ranges[i].permissions =
            i < mapping->segments_readable ? VIRTQ_PERMISSION_READ : VIRTQ_PERMISSION_WRITE;
    }
    return error;
}

static int lazy_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    struct virtq_zpci_lazy *lazy = lazy_of(space);
    struct record *record = mapping->record;
    struct virtq_region *ranges = ranges_of(record);
    struct virtq_priv_layout layout = {PAGE_MASK, 0, 0, 0, 0};
    unsigned count = (unsigned)mapping->segments_readable + mapping->segments_writable;
    unsigned i;
    int error;

    if (count > mapping->capacity) {
        return VIRTQ_EFULL;
    }
    error = place(&layout, mapping);
    if (error == 0) {
        error = take(lazy, layout.len, &record->addr);
    }
    if (error != 0) {
        return error;
    }
    record->len = layout.len;
    for (i = 0; i < count; i++) {
        const struct virtq_segment *segment = &mapping->segments[i];

        ranges[i].first += record->addr;
        ranges[i].last += record->addr;
        mapping->runs[i] = (struct virtq_run){
            .addr = ranges[i].first + ((uintptr_t)segment->base & PAGE_MASK), .len = segment->len};
    }
    error = install(lazy, ranges, count, record->addr, record->len);
    if (error == 0) {
        mapping->runs_readable = mapping->segments_readable;
        mapping->runs_writable = mapping->segments_writable;
    }
    return error;
}

static void lazy_unmap(struct virtq_space *space, struct virtq_mapping *mapping, uint64_t written)
{
    const struct record *record = mapping->record;

    (void)written;
    withdraw(lazy_of(space), record->addr, record->len);
}

static int lazy_share(struct virtq_space *space, void *base, uint64_t len, uint32_t permissions,
                      virtq_addr_t *addr)
{
    struct virtq_zpci_lazy *lazy = lazy_of(space);
    struct virtq_priv_layout layout = {PAGE_MASK, 0, 0, 0, 0};
    struct virtq_region range;
    virtq_addr_t first = 0;
    int error = virtq_priv_layout_add(&layout, base, len, &range);

    if (error != 0 || !virtq_priv_permissions_legal(permissions)) {
        return error == VIRTQ_EFAULT ? VIRTQ_EFAULT : VIRTQ_EINVAL;
    }
    if (take(lazy, layout.len, &first) != 0) {
        /* virtq_space_share() has one word for all that does not fit. */
        return VIRTQ_ENOMEM;
    }
    range.first += first;
    range.last += first;
    range.permissions = permissions;
    error = install(lazy, &range, 1, first, layout.len);
    if (error == 0) {
        *addr = first + ((uintptr_t)base & PAGE_MASK);
    }
    return error;
}

static void lazy_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    virtq_addr_t first = addr & ~PAGE_MASK;

    withdraw(lazy_of(space), first, ((addr + (len - 1)) | PAGE_MASK) - first + 1);
}

static const struct virtq_space_ops lazy_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "zpci-lazy",
    .map = lazy_map,
    .unmap = lazy_unmap,
    .share = lazy_share,
    .unshare = lazy_unshare,
};

static size_t bitmap_size(virtq_addr_t first, virtq_addr_t last)
{
    return (size_t)(((((last - first) >> 12) + 1) + 63) / 64 * sizeof(uint64_t));
}

size_t virtq_zpci_lazy_size(virtq_addr_t first, virtq_addr_t last)
{
    if (first > last || last > VIRTQ_ZPCI_LAST || (first & PAGE_MASK) != 0 ||
        (last & PAGE_MASK) != PAGE_MASK) {
        return SIZE_MAX;
    }
    return 3 * bitmap_size(first, last);
}

int virtq_zpci_lazy_init(struct virtq_zpci_lazy *lazy, const struct virtq_zpci_lazy_config *config)
{
    size_t words;

    if (config->struct_size < sizeof(*config) || config->guest == NULL || config->bitmaps == NULL ||
        (uintptr_t)config->bitmaps % 8 != 0 ||
        config->bitmaps_size < virtq_zpci_lazy_size(config->first, config->last) ||
        config->first < config->guest->first || config->last > config->guest->last) {
        return VIRTQ_EINVAL;
    }
    memset(lazy, 0, sizeof(*lazy));
    memset(config->bitmaps, 0, virtq_zpci_lazy_size(config->first, config->last));
    words = bitmap_size(config->first, config->last) / sizeof(uint64_t);
    lazy->space.ops = &lazy_ops;
    lazy->space.driver_kind = VIRTQ_SPACE_CALLED;
    lazy->space.device_kind = VIRTQ_SPACE_CALLED;
    lazy->space.record_fixed = sizeof(struct record);
    lazy->space.record_per_segment = sizeof(struct virtq_region);
    lazy->guest = config->guest;
    virtq_zpci_guest_backend(config->guest, &lazy->backend);
    lazy->first = config->first;
    lazy->pages = ((config->last - config->first) >> 12) + 1;
    lazy->taken = config->bitmaps;
    lazy->waiting = lazy->taken + words;
    lazy->leaving = lazy->waiting + words;
    return 0;
}

int virtq_zpci_lazy_flush(struct virtq_zpci_lazy *lazy)
{
    int error;

    virtq_priv_lock(&lazy->lock);
    error = flush(lazy);
    virtq_priv_unlock(&lazy->lock);
    return error;
}

void virtq_zpci_lazy_read_usage(struct virtq_zpci_lazy *lazy, struct virtq_zpci_lazy_usage *usage)
{
    virtq_priv_lock(&lazy->lock);
    *usage = lazy->usage;
    virtq_priv_unlock(&lazy->lock);
}
