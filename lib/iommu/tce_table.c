/* SPDX-License-Identifier: BSD-3-Clause */
/* The hypervisor's end: a table as a space for device ends. */
#include "virtq/iommu/tce_table.h"

#include <string.h>

#include "../space/region.h"
#include "../space/tree.h"
#include "tce_private.h"

static struct virtq_tce_table *table_of(struct virtq_space_listener *listener)
{
    unsigned char *at = (unsigned char *)listener;

    return (struct virtq_tce_table *)(void *)(at - offsetof(struct virtq_tce_table, listener));
}

/* Guest memory has changed: windows through the table may lead to what is gone. */
static void memory_moved(struct virtq_space_listener *listener, int wait)
{
    struct virtq_tce_table *table = table_of(listener);

    if (wait != 0) {
        virtq_space_invalidated(&table->space);
    } else {
        virtq_space_moved(&table->space);
    }
}

/* The largest run of pages around an address so far. */
struct run {
    uint64_t index;       /* Of the entry at its lower or upper end. */
    uint64_t real;        /* The real address of that entry's page. */
    uint64_t permissions; /* What all of the entries grant. */
};

/* Whether the neighbour's entry grants the access, and its page is `real`. One load: the guest may
 * be changing it. */
static bool joins(const struct virtq_tce_table *table, uint64_t index, uint64_t real,
                  uint32_t permission, struct run *run)
{
    uint64_t entry = virtq_priv_tce_load(table, index);

    if ((entry & ~virtq_priv_tce_mask(&table->window)) != real ||
        (entry & permission) != permission) {
        return false;
    }
    run->index = index;
    run->real = real;
    run->permissions &= entry;
    return true;
}

/* How many pages below the address's own belong to the window. Bounded: the guest decides how many
 * entries continue each other. */
static unsigned grow_down(const struct virtq_tce_table *table, uint32_t permission,
                          uint64_t real_first, struct run *run)
{
    uint64_t page = virtq_priv_tce_mask(&table->window) + 1;
    unsigned taken = 0;

    while (taken < VIRTQ_PRIV_TREE_NEIGHBOURS && run->index != 0 && run->real > real_first &&
           joins(table, run->index - 1, run->real - page, permission, run)) {
        taken++;
    }
    return taken;
}

static unsigned grow_up(const struct virtq_tce_table *table, uint32_t permission,
                        uint64_t real_last, struct run *run)
{
    uint64_t mask = virtq_priv_tce_mask(&table->window);
    unsigned taken = 0;

    while (taken < VIRTQ_PRIV_TREE_NEIGHBOURS && run->index + 1 < table->window.entries &&
           run->real + mask < real_last &&
           joins(table, run->index + 1, run->real + mask + 1, permission, run)) {
        taken++;
    }
    return taken;
}

/* The window around `addr`, whose entry is `entry`: its page and neighbours, as far as one window
 * of guest memory goes. */
static int window_around(struct virtq_tce_table *table, virtq_addr_t addr, uint64_t entry,
                         uint32_t permission, struct virtq_window *window)
{
    uint64_t mask = virtq_priv_tce_mask(&table->window);
    uint64_t index = (addr - table->window.first) >> table->window.shift;
    uint64_t real = (entry & ~mask) + (addr & mask);
    struct run down = {index, entry & ~mask, entry};
    struct run up;
    struct virtq_window under;
    uint64_t first;
    uint64_t last;
    int error = table->memory->ops->window(table->memory, real, permission, &under);

    if (error != 0) {
        return error == VIRTQ_EMISS ? VIRTQ_EFAULT : error;
    }
    (void)grow_down(table, permission, under.first, &down);
    up = (struct run){index, entry & ~mask, down.permissions};
    (void)grow_up(table, permission, under.last, &up);
    /* The page at either end need not be in memory as a whole: memory may have changed since its
     * entry was put. */
    first = down.real > under.first ? down.real : under.first;
    last = up.real + mask < under.last ? up.real + mask : under.last;
    window->first = addr - (real - first);
    window->last = addr + (last - real);
    window->base = under.base + (first - under.first);
    window->permissions = (uint32_t)(up.permissions & VIRTQ_PRIV_TCE_BITS) & under.permissions;
    window->reserved_ = 0;
    return 0;
}

static int table_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                        struct virtq_window *window)
{
    struct virtq_tce_table *table = (struct virtq_tce_table *)space;
    uint64_t index = (addr - table->window.first) >> table->window.shift;
    uint64_t entry;

    if (!virtq_priv_permissions_legal(permission)) {
        return VIRTQ_EINVAL;
    }
    if (addr < table->window.first || index >= table->window.entries) {
        return VIRTQ_EFAULT;
    }
    entry = virtq_priv_tce_load(table, index);
    if ((entry & VIRTQ_PRIV_TCE_BITS) == 0) {
        return VIRTQ_EFAULT;
    }
    if ((entry & permission) != permission) {
        return VIRTQ_EPERM;
    }
    return window_around(table, addr, entry, permission, window);
}

static const struct virtq_space_ops table_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "tce",
    .window = table_window,
};

size_t virtq_tce_table_size(const struct virtq_tce_window *window)
{
    if (virtq_tce_window_check(window) != 0 ||
        window->entries > (SIZE_MAX - VIRTQ_TCE_LIST_SIZE) / sizeof(uint64_t)) {
        return SIZE_MAX;
    }
    return (size_t)window->entries * sizeof(uint64_t) + VIRTQ_TCE_LIST_SIZE;
}

int virtq_tce_table_init(struct virtq_tce_table *table, const struct virtq_tce_table_config *config)
{
    size_t needed = virtq_tce_table_size(&config->window);

    if (config->struct_size < sizeof(*config) || needed == SIZE_MAX || config->memory == NULL ||
        config->memory->ops->window == NULL || config->entries == NULL ||
        ((uintptr_t)config->entries & 7) != 0) {
        return VIRTQ_EINVAL;
    }
    if (config->entries_size < needed) {
        return VIRTQ_ENOMEM;
    }
    memset(table, 0, sizeof(*table));
    memset(config->entries, 0, needed);
    table->space.ops = &table_ops;
    table->space.driver_kind = VIRTQ_SPACE_CALLED;
    table->space.device_kind = VIRTQ_SPACE_CALLED;
    table->window = config->window;
    table->memory = config->memory;
    table->list = config->entries;
    table->entries = table->list + VIRTQ_TCE_LIST_MAX;
    table->listener.moved = memory_moved;
    table->listener.next = table->memory->listeners;
    table->memory->listeners = &table->listener;
    return 0;
}

void virtq_tce_table_fini(struct virtq_tce_table *table)
{
    struct virtq_space_listener **at = &table->memory->listeners;

    while (*at != NULL && *at != &table->listener) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = (*at)->next;
    }
}

void virtq_tce_table_reset(struct virtq_tce_table *table)
{
    bool granted = false;
    uint64_t i;

    for (i = 0; i < table->window.entries; i++) {
        granted = virtq_priv_tce_store(table, i, 0) || granted;
    }
    if (granted) {
        virtq_space_invalidated(&table->space);
    }
}
