/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/space/bar_set.h"

#include <stdbool.h>
#include <string.h>

/* The region that memory begins in; whether it ends there too, the region itself says. */
static struct virtq_bar *region_of(const struct virtq_bar_set *set, const void *base)
{
    uint32_t i;

    for (i = 0; i < set->count; i++) {
        struct virtq_bar *bar = set->regions[i];

        if ((uintptr_t)base - (uintptr_t)bar->base < bar->size) {
            return bar;
        }
    }
    return NULL;
}

static int set_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    const struct virtq_bar_set *set = (const struct virtq_bar_set *)space;
    unsigned readable = mapping->segments_readable;
    unsigned count = readable + mapping->segments_writable;
    unsigned i;

    if (count > mapping->capacity) {
        return VIRTQ_EFULL;
    }
    for (i = 0; i < count; i++) {
        const struct virtq_segment *segment = &mapping->segments[i];
        uint32_t permission = i < readable ? VIRTQ_PERMISSION_READ : VIRTQ_PERMISSION_WRITE;
        const struct virtq_bar *bar = region_of(set, segment->base);
        virtq_addr_t addr;
        int error = VIRTQ_EFAULT;

        if (bar != NULL) {
            error = virtq_bar_address(bar, segment->base, segment->len, permission, &addr);
        }
        if (error != 0) {
            return error;
        }
        mapping->runs[i] = (struct virtq_run){.addr = addr, .len = segment->len};
    }
    mapping->runs_readable = mapping->segments_readable;
    mapping->runs_writable = mapping->segments_writable;
    return 0;
}

static void set_unmap(struct virtq_space *space, struct virtq_mapping *mapping, uint64_t written)
{
    (void)space;
    (void)mapping;
    (void)written;
}

static int set_share(struct virtq_space *space, void *base, uint64_t len, uint32_t permissions,
                     virtq_addr_t *addr)
{
    struct virtq_bar *bar = region_of((const struct virtq_bar_set *)space, base);

    return bar != NULL ? virtq_space_share(&bar->space, base, len, permissions, addr)
                       : VIRTQ_EFAULT;
}

static void set_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    (void)space;
    (void)addr;
    (void)len;
}

static int set_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                      struct virtq_window *window)
{
    const struct virtq_bar_set *set = (const struct virtq_bar_set *)space;
    uint32_t i;

    for (i = 0; i < set->count; i++) {
        struct virtq_space *region = &set->regions[i]->space;

        if (addr >= region->linear.first && addr <= region->linear.last) {
            return region->ops->window(region, addr, permission, window);
        }
    }
    return VIRTQ_EFAULT;
}

static const struct virtq_space_ops set_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "bar set",
    .map = set_map,
    .unmap = set_unmap,
    .share = set_share,
    .unshare = set_unshare,
    .window = set_window,
};

/* In device addresses or in memory: then one number or pointer would mean two bytes. */
static bool overlap(const struct virtq_bar *one, const struct virtq_bar *other)
{
    const struct virtq_window *a = &one->space.linear;
    const struct virtq_window *b = &other->space.linear;

    return one->id == other->id || (a->first <= b->last && b->first <= a->last) ||
           (uintptr_t)other->base - (uintptr_t)one->base < one->size ||
           (uintptr_t)one->base - (uintptr_t)other->base < other->size;
}

int virtq_bar_set_init(struct virtq_bar_set *set, struct virtq_bar *const *regions, uint32_t count)
{
    uint32_t i;
    uint32_t j;

    if (count - 1 >= VIRTQ_BAR_SET_REGIONS) {
        return VIRTQ_EINVAL;
    }
    for (i = 0; i < count; i++) {
        for (j = 0; j < i; j++) {
            if (overlap(regions[i], regions[j])) {
                return VIRTQ_EINVAL;
            }
        }
    }
    memset(set, 0, sizeof(*set));
    set->space.ops = &set_ops;
    set->space.driver_kind = VIRTQ_SPACE_CALLED;
    set->space.device_kind = VIRTQ_SPACE_CALLED;
    for (i = 0; i < count; i++) {
        set->regions[i] = regions[i];
    }
    set->count = count;
    return 0;
}

struct virtq_bar *virtq_bar_set_region(const struct virtq_bar_set *set, uint32_t id)
{
    uint32_t i;

    for (i = 0; i < set->count; i++) {
        if (set->regions[i]->id == id) {
            return set->regions[i];
        }
    }
    return NULL;
}
