/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/space/direct.h"

#include <string.h>

#include "region.h"

/* Pairs with the release store in virtq_direct_set_regions(): whoever sees the pointer sees the
 * table. */
static const struct virtq_direct_table *direct_table(struct virtq_space *space)
{
    struct virtq_direct *direct = (struct virtq_direct *)space;

    return __atomic_load_n(&direct->table, __ATOMIC_ACQUIRE);
}

/* The run that begins at `base`, at most `left` + 1 bytes long; gives its own length minus 1 in
 * `span`. */
static int run_at(const struct virtq_direct_table *table, uintptr_t base, uint64_t left,
                  uint32_t permissions, virtq_addr_t *addr, uint64_t *span)
{
    unsigned i;

    for (i = 0; i < table->count; i++) {
        const struct virtq_region *region = &table->regions[i];
        uint64_t size = region->last - region->first;
        uint64_t offset = (uint64_t)base - (uintptr_t)region->base;

        if (base < (uintptr_t)region->base || offset > size ||
            (region->permissions & permissions) != permissions) {
            continue;
        }
        *addr = region->first + offset;
        *span = left < size - offset ? left : size - offset;
        return 0;
    }
    return VIRTQ_EFAULT;
}

/* Adds the runs of one segment. Pieces that continue each other in device addresses become one run
 * again. */
static int map_segment(const struct virtq_direct_table *table, const struct virtq_segment *segment,
                       uint32_t permission, struct virtq_mapping *mapping, uint16_t *runs)
{
    uintptr_t base = (uintptr_t)segment->base;
    uint32_t left = segment->len;
    struct virtq_run *run = NULL;

    if (left == 0) {
        return VIRTQ_EINVAL;
    }
    if (!virtq_priv_memory_legal(segment->base, left - 1)) {
        return VIRTQ_EFAULT;
    }
    while (left != 0) {
        virtq_addr_t addr;
        uint64_t span;
        uint32_t len;

        if (run_at(table, base, left - 1, permission, &addr, &span) != 0) {
            return VIRTQ_EFAULT;
        }
        len = (uint32_t)span + 1;
        if (run != NULL && run->addr + (run->len - 1) + 1 == addr && addr != 0) {
            run->len += len;
        } else {
            if (*runs == mapping->capacity) {
                return VIRTQ_EFULL;
            }
            run = &mapping->runs[(*runs)++];
            *run = (struct virtq_run){.addr = addr, .len = len};
        }
        base += len;
        left -= len;
    }
    return 0;
}

static int direct_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    const struct virtq_direct_table *table = direct_table(space);
    unsigned readable = mapping->segments_readable;
    unsigned count = readable + mapping->segments_writable;
    uint16_t runs_readable = 0;
    uint16_t runs = 0;
    unsigned i;

    for (i = 0; i < count; i++) {
        uint32_t permission = i < readable ? VIRTQ_PERMISSION_READ : VIRTQ_PERMISSION_WRITE;
        int error = map_segment(table, &mapping->segments[i], permission, mapping, &runs);

        if (error != 0) {
            return error;
        }
        if (i < readable) {
            runs_readable = runs;
        }
    }
    mapping->runs_readable = runs_readable;
    mapping->runs_writable = (uint16_t)(runs - runs_readable);
    return 0;
}

static void direct_unmap(struct virtq_space *space, struct virtq_mapping *mapping, uint64_t written)
{
    (void)space;
    (void)mapping;
    (void)written;
}

/* A shared range has one address, so it must be contiguous for the device from end to end. */
static int direct_share(struct virtq_space *space, void *base, uint64_t len, uint32_t permissions,
                        virtq_addr_t *addr)
{
    const struct virtq_direct_table *table = direct_table(space);
    uint64_t done = 0;
    virtq_addr_t start = 0;

    if (len == 0 || !virtq_priv_permissions_legal(permissions)) {
        return VIRTQ_EINVAL;
    }
    if (!virtq_priv_memory_legal(base, len - 1)) {
        return VIRTQ_EFAULT;
    }
    while (done != len) {
        virtq_addr_t at;
        uint64_t span;

        if (run_at(table, (uintptr_t)base + (uintptr_t)done, len - done - 1, permissions, &at,
                   &span) != 0) {
            return VIRTQ_EFAULT;
        }
        if (done == 0) {
            start = at;
        } else if (at < start || at - start != done) {
            return VIRTQ_EFAULT;
        }
        done += span + 1;
    }
    *addr = start;
    return 0;
}

static void direct_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    (void)space;
    (void)addr;
    (void)len;
}

static int direct_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                         struct virtq_window *window)
{
    const struct virtq_direct_table *table = direct_table(space);

    return virtq_priv_region_window(table->regions, table->count, addr, permission, window);
}

static const struct virtq_space_ops direct_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "direct",
    .map = direct_map,
    .unmap = direct_unmap,
    .share = direct_share,
    .unshare = direct_unshare,
    .window = direct_window,
};

static int check_regions(const struct virtq_region *regions, unsigned count)
{
    unsigned i;

    if (count != 0 && regions == NULL) {
        return VIRTQ_EINVAL;
    }
    for (i = 0; i < count; i++) {
        if (!virtq_priv_region_legal(&regions[i]) ||
            (i > 0 && regions[i].first <= regions[i - 1].last)) {
            return VIRTQ_EINVAL;
        }
    }
    return 0;
}

int virtq_direct_init_regions(struct virtq_direct *direct, const struct virtq_region *regions,
                              unsigned count)
{
    int error = check_regions(regions, count);

    if (error != 0) {
        return error;
    }
    memset(direct, 0, sizeof(*direct));
    direct->space.ops = &direct_ops;
    direct->space.driver_kind = VIRTQ_SPACE_CALLED;
    direct->space.device_kind = VIRTQ_SPACE_CALLED;
    direct->own.regions = regions;
    direct->own.count = count;
    direct->table = &direct->own;
    return 0;
}

int virtq_direct_init(struct virtq_direct *direct, void *base, virtq_addr_t first,
                      virtq_addr_t last, uint32_t permissions)
{
    const struct virtq_region region = {first, last, base, permissions};
    int error = virtq_direct_init_regions(direct, &region, 1);

    if (error != 0) {
        return error;
    }
    direct->constant = region;
    direct->own.regions = &direct->constant;
    direct->space.driver_kind = VIRTQ_SPACE_DIRECT;
    direct->space.device_kind = VIRTQ_SPACE_DIRECT;
    direct->space.linear.first = first;
    direct->space.linear.last = last;
    direct->space.linear.base = base;
    direct->space.linear.permissions = permissions;
    return 0;
}

int virtq_direct_set_regions(struct virtq_direct *direct, const struct virtq_direct_table *table)
{
    if (direct->space.device_kind != (uint32_t)VIRTQ_SPACE_CALLED) {
        return VIRTQ_ENOTSUP;
    }
    if (table == NULL || check_regions(table->regions, table->count) != 0) {
        return VIRTQ_EINVAL;
    }
    /* The table before the generation: a queue that has seen the new generation finds the new
     * table. */
    __atomic_store_n(&direct->table, table, __ATOMIC_RELEASE);
    virtq_space_invalidated(&direct->space);
    return 0;
}
