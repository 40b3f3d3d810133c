/* SPDX-License-Identifier: BSD-3-Clause */
#include "zpci_guest.h"

#include <string.h>

#include "../space/lock.h"
#include "../space/region.h"

#define PAGE_MASK (VIRTQ_ZPCI_PAGE - 1)
#define TABLE_MASK (VIRTQ_ZPCI_TABLE_SIZE - 1)

uint64_t virtq_zpci_guest_tables_size(uint32_t segment_tables, uint32_t page_tables)
{
    if (virtq_priv_zpci_index_size(segment_tables, page_tables) == SIZE_MAX) {
        return UINT64_MAX;
    }
    return (1 + (uint64_t)segment_tables) * VIRTQ_ZPCI_TABLE_SIZE +
           page_tables * VIRTQ_ZPCI_PAGE_TABLE_SIZE + TABLE_MASK;
}

size_t virtq_zpci_guest_books_size(uint32_t segment_tables, uint32_t page_tables)
{
    size_t index = virtq_priv_zpci_index_size(segment_tables, page_tables);

    return index == SIZE_MAX ? SIZE_MAX
                             : index + (size_t)page_tables * sizeof(struct virtq_zpci_leaf);
}

static bool config_legal(const struct virtq_zpci_guest_config *config)
{
    const uint32_t flags = VIRTQ_ZPCI_REFRESH_MAP | VIRTQ_ZPCI_LARGE_FRAMES;
    uint32_t i;

    if (config->struct_size < sizeof(*config) || config->memory == NULL ||
        config->memory_count == 0) {
        return false;
    }
    for (i = 0; i < config->memory_count; i++) {
        if (!virtq_priv_region_legal(&config->memory[i])) {
            return false;
        }
    }
    return config->tables != NULL && (uintptr_t)config->tables % 8 == 0 && config->books != NULL &&
           (uintptr_t)config->books % 8 == 0 &&
           config->tables_size >=
               virtq_zpci_guest_tables_size(config->segment_tables, config->page_tables) &&
           config->books_size >=
               virtq_zpci_guest_books_size(config->segment_tables, config->page_tables) &&
           (config->flags & ~flags) == 0 && config->first <= config->last &&
           config->last <= VIRTQ_ZPCI_LAST && (config->first & PAGE_MASK) == 0 &&
           (config->last & PAGE_MASK) == PAGE_MASK && config->busy_tries != 0 &&
           config->rpcit != NULL;
}

/* The absolute address of memory that lies in one region: false if there is none. */
static bool find_tables(const struct virtq_zpci_guest_config *config, uint64_t *absolute)
{
    uint32_t i;

    for (i = 0; i < config->memory_count; i++) {
        const struct virtq_region *region = &config->memory[i];
        uint64_t offset = (uintptr_t)config->tables - (uintptr_t)region->base;
        uint64_t span = region->last - region->first;

        if ((uintptr_t)config->tables >= (uintptr_t)region->base && offset <= span &&
            config->tables_size - 1 <= span - offset) {
            *absolute = region->first + offset;
            return true;
        }
    }
    return false;
}

int virtq_zpci_guest_init(struct virtq_zpci_guest *guest,
                          const struct virtq_zpci_guest_config *config)
{
    unsigned char *books = config->books;
    uint64_t absolute;
    uint64_t pad;

    if (!config_legal(config)) {
        return VIRTQ_EINVAL;
    }
    if (!find_tables(config, &absolute)) {
        return VIRTQ_EFAULT;
    }
    pad = (0 - absolute) & TABLE_MASK;
    if (((uintptr_t)config->tables + (uintptr_t)pad) % 8 != 0) {
        return VIRTQ_EINVAL;
    }
    memset(guest, 0, sizeof(*guest));
    guest->memory = config->memory;
    guest->memory_count = config->memory_count;
    guest->flags = config->flags;
    guest->tables = (unsigned char *)config->tables + pad;
    guest->absolute = absolute + pad;
    guest->leaves = (struct virtq_zpci_leaf *)(void *)books;
    memset(books, 0, (size_t)config->page_tables * sizeof(struct virtq_zpci_leaf));
    books += (size_t)config->page_tables * sizeof(struct virtq_zpci_leaf);
    virtq_priv_zpci_index_init(&guest->index, config->segment_tables, config->page_tables, books);
    guest->first = config->first;
    guest->last = config->last;
    guest->handle = config->handle;
    guest->busy_tries = config->busy_tries;
    guest->context = config->context;
    guest->rpcit = config->rpcit;
    virtq_priv_zpci_tables_init(guest);
    return 0;
}

uint64_t virtq_zpci_guest_anchor(const struct virtq_zpci_guest *guest)
{
    return guest->absolute | VIRTQ_ZPCI_ANCHOR_ENABLED | VIRTQ_ZPCI_ANCHOR_REGION;
}

static int judge(struct virtq_zpci_guest *guest, uint32_t condition, uint32_t status)
{
    if (condition == (uint32_t)VIRTQ_ZPCI_DONE) {
        return 0;
    }
    if (condition == (uint32_t)VIRTQ_ZPCI_BUSY) {
        return VIRTQ_EBUSY;
    }
    if (condition == (uint32_t)VIRTQ_ZPCI_ERROR &&
        (status == (uint32_t)VIRTQ_ZPCI_STATUS_RESOURCES ||
         status == (uint32_t)VIRTQ_ZPCI_STATUS_UNAVAILABLE)) {
        virtq_priv_zpci_count(&guest->usage.shortages, 1);
        return VIRTQ_ENOMEM;
    }
    return VIRTQ_EBROKEN;
}

static int call(struct virtq_zpci_guest *guest, virtq_addr_t first, virtq_addr_t last)
{
    uint32_t condition = VIRTQ_ZPCI_BUSY;
    uint32_t status = VIRTQ_ZPCI_STATUS_NONE;
    uint32_t tries;

    /* Z1, partner Z2 of the host's end: the entries before the call that is about them. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (tries = 0; tries < guest->busy_tries; tries++) {
        virtq_priv_zpci_count(&guest->usage.refreshes, 1);
        condition = guest->rpcit(guest->context, (uint64_t)guest->handle << 32, first,
                                 last - first + 1, &status);
        if (condition != (uint32_t)VIRTQ_ZPCI_BUSY) {
            break;
        }
        virtq_priv_zpci_count(&guest->usage.busy, 1);
        virtq_priv_relax();
    }
    return judge(guest, condition, status);
}

int virtq_zpci_guest_refresh(struct virtq_zpci_guest *guest, virtq_addr_t first, virtq_addr_t last)
{
    if (first > last || (first & PAGE_MASK) != 0 || (last & PAGE_MASK) != PAGE_MASK ||
        first < guest->first || last > guest->last) {
        return VIRTQ_EINVAL;
    }
    return call(guest, first, last);
}

int virtq_zpci_guest_refresh_all(struct virtq_zpci_guest *guest)
{
    virtq_priv_zpci_count(&guest->usage.global, 1);
    return call(guest, guest->first, guest->last);
}

void virtq_zpci_guest_read_usage(const struct virtq_zpci_guest *guest,
                                 struct virtq_zpci_guest_usage *usage)
{
    const struct virtq_zpci_guest_usage *from = &guest->usage;

    usage->pages = __atomic_load_n(&from->pages, __ATOMIC_RELAXED);
    usage->refreshes = __atomic_load_n(&from->refreshes, __ATOMIC_RELAXED);
    usage->global = __atomic_load_n(&from->global, __ATOMIC_RELAXED);
    usage->busy = __atomic_load_n(&from->busy, __ATOMIC_RELAXED);
    usage->shortages = __atomic_load_n(&from->shortages, __ATOMIC_RELAXED);
    usage->reclaims = __atomic_load_n(&from->reclaims, __ATOMIC_RELAXED);
}
