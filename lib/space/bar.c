/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/space/bar.h"

#include <string.h>

#include "granules.h"
#include "region.h"

enum { GRANULE_LEAST = 16, GRANULE_MOST = 65536 };

/* The accesses that rings and tables take: of 2, 4 and 8 bytes. */
#define RING_WIDTHS 14u

/* The one test of a range, in the form that cannot wrap. */
static bool inside(const struct virtq_bar *bar, uint64_t offset, uint64_t len)
{
    return len <= bar->size && offset <= bar->size - len;
}

/* The device address of memory that lies wholly in the region. */
static int address_of(const struct virtq_bar *bar, const void *base, uint64_t len,
                      uint32_t permissions, virtq_addr_t *addr)
{
    /* Memory below the region wraps to an offset that is far beyond it: the region itself does not
     * wrap. */
    uint64_t distance = (uintptr_t)base - (uintptr_t)bar->base;

    if (len == 0) {
        return VIRTQ_EINVAL;
    }
    if (!inside(bar, distance, len) ||
        (bar->space.linear.permissions & permissions) != permissions) {
        return VIRTQ_EFAULT;
    }
    *addr = bar->space.linear.first + distance;
    return 0;
}

static int bar_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    const struct virtq_bar *bar = (const struct virtq_bar *)space;
    unsigned readable = mapping->segments_readable;
    unsigned count = readable + mapping->segments_writable;
    unsigned i;

    if (count > mapping->capacity) {
        return VIRTQ_EFULL;
    }
    for (i = 0; i < count; i++) {
        const struct virtq_segment *segment = &mapping->segments[i];
        uint32_t permission = i < readable ? VIRTQ_PERMISSION_READ : VIRTQ_PERMISSION_WRITE;
        virtq_addr_t addr;
        int error = address_of(bar, segment->base, segment->len, permission, &addr);

        if (error != 0) {
            return error;
        }
        mapping->runs[i] = (struct virtq_run){.addr = addr, .len = segment->len};
    }
    mapping->runs_readable = mapping->segments_readable;
    mapping->runs_writable = mapping->segments_writable;
    return 0;
}

static void bar_unmap(struct virtq_space *space, struct virtq_mapping *mapping, uint64_t written)
{
    (void)space;
    (void)mapping;
    (void)written;
}

int virtq_bar_address(const struct virtq_bar *bar, const void *base, uint64_t len,
                      uint32_t permissions, virtq_addr_t *addr)
{
    if (!virtq_priv_permissions_legal(permissions)) {
        return VIRTQ_EINVAL;
    }
    return address_of(bar, base, len, permissions, addr);
}

static int bar_share(struct virtq_space *space, void *base, uint64_t len, uint32_t permissions,
                     virtq_addr_t *addr)
{
    const struct virtq_bar *bar = (const struct virtq_bar *)space;

    if (bar->memory == (uint32_t)VIRTQ_BAR_DEVICE && (bar->widths & RING_WIDTHS) != RING_WIDTHS) {
        return VIRTQ_EFAULT;
    }
    return virtq_bar_address(bar, base, len, permissions, addr);
}

static void bar_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    (void)space;
    (void)addr;
    (void)len;
}

static int bar_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                      struct virtq_window *window)
{
    const struct virtq_bar *bar = (const struct virtq_bar *)space;

    if (!virtq_priv_permissions_legal(permission)) {
        return VIRTQ_EINVAL;
    }
    if (!inside(bar, addr - space->linear.first, 1)) {
        return VIRTQ_EFAULT;
    }
    if ((space->linear.permissions & permission) != permission) {
        return VIRTQ_EPERM;
    }
    *window = space->linear;
    return 0;
}

static const struct virtq_space_ops bar_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "bar",
    .map = bar_map,
    .unmap = bar_unmap,
    .share = bar_share,
    .unshare = bar_unshare,
    .window = bar_window,
};

static bool memory_legal(const struct virtq_bar_config *config)
{
    if (config->memory == (uint32_t)VIRTQ_BAR_DEVICE) {
        return config->widths - 1 < 15;
    }
    return config->memory <= (uint32_t)VIRTQ_BAR_WRITE_COMBINING && config->widths == 0;
}

static bool shift_legal(const struct virtq_bar_config *config)
{
    const uint32_t shift = config->shift;

    if (shift == 0) {
        return true;
    }
    return shift < 64 && (config->size - 1) >> shift == 0 &&
           (uint64_t)config->id << shift >> shift == config->id;
}

int virtq_bar_init_config(struct virtq_bar *bar, const struct virtq_bar_config *config)
{
    if (config->struct_size < sizeof(*config) || config->size == 0 ||
        !virtq_priv_memory_legal(config->base, config->size - 1) ||
        !virtq_priv_permissions_legal(config->permissions) || !memory_legal(config) ||
        !shift_legal(config)) {
        return VIRTQ_EINVAL;
    }
    memset(bar, 0, sizeof(*bar));
    bar->space.ops = &bar_ops;
    bar->space.driver_kind = VIRTQ_SPACE_BAR;
    bar->space.device_kind = VIRTQ_SPACE_BAR;
    bar->space.linear.first = config->shift != 0 ? (uint64_t)config->id << config->shift : 0;
    bar->space.linear.last = bar->space.linear.first + (config->size - 1);
    bar->space.linear.base = config->base;
    bar->space.linear.permissions = config->permissions;
    bar->base = config->base;
    bar->size = config->size;
    bar->id = config->id;
    bar->memory = config->memory;
    bar->widths = config->widths;
    return 0;
}

int virtq_bar_init(struct virtq_bar *bar, void *base, uint64_t size, uint32_t permissions,
                   uint32_t id)
{
    struct virtq_bar_config config = VIRTQ_BAR_CONFIG_INIT;

    config.base = base;
    config.size = size;
    config.permissions = permissions;
    config.id = id;
    return virtq_bar_init_config(bar, &config);
}

uint32_t virtq_bar_id(const struct virtq_bar *bar)
{
    return bar->id;
}

size_t virtq_bar_private_size(uint64_t size, uint32_t granule)
{
    if (!virtq_priv_granule_legal(granule, GRANULE_LEAST, GRANULE_MOST)) {
        return 0;
    }
    return virtq_priv_granules_size(size, granule);
}

int virtq_bar_manage(struct virtq_bar *bar, uint32_t granule, void *memory, size_t memory_size)
{
    size_t needed = virtq_bar_private_size(bar->size, granule);

    if (needed == 0 || memory == NULL || (uintptr_t)memory % sizeof(uint64_t) != 0 ||
        (uintptr_t)bar->base % granule != 0) {
        return VIRTQ_EINVAL;
    }
    if (memory_size < needed) {
        return VIRTQ_ENOMEM;
    }
    virtq_priv_granules_init(&bar->granules, bar->size, granule, memory);
    return 0;
}

int virtq_bar_alloc(struct virtq_bar *bar, uint64_t len, uint64_t align, void **base)
{
    struct virtq_granules *granules = &bar->granules;
    uint64_t first;
    int error;

    if (granules->count == 0) {
        return VIRTQ_ENOTSUP;
    }
    if (len == 0 || (align & (align - 1)) != 0) {
        return VIRTQ_EINVAL;
    }
    error = virtq_priv_granules_alloc(granules, virtq_priv_granules_of(granules, len),
                                      virtq_priv_granules_place(granules, 0, 0, align), &first);
    if (error == 0) {
        *base = bar->base + (first << granules->shift);
    }
    return error;
}

int virtq_bar_free(struct virtq_bar *bar, void *base)
{
    struct virtq_granules *granules = &bar->granules;
    uint64_t offset = (uintptr_t)base - (uintptr_t)bar->base;
    uint64_t first = offset >> granules->shift;
    uint64_t number = virtq_priv_granules_slot(granules, first);

    if (number == 0 || first << granules->shift != offset) {
        return VIRTQ_EINVAL;
    }
    virtq_priv_granules_free(granules, first, number);
    return 0;
}
